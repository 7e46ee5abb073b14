package sender

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// greeting is one request of the profile's handshake, and what it was answered.
type greeting struct {
	asked    profile.Asked
	when     time.Time // it was answered
	unproven error     // why the endpoint's secret has not signed it; nil where it has
	granted  bool
	called   bool   // the callback that it names has been gone to
	uncalled string // why that came to nothing
}

// consentWay is a way of answering a handshake otherwise than is due.
type consentWay struct {
	scenarios.Entry
	needs []string
	// change makes the answer out of the one that is due.
	change func(c *profile.Challenge, a profile.Asked, key []byte, reply *wire.Reply)
	grants bool // it agrees all the same
	// leaving tells that it concerns the question whether deliveries are to end, and no other.
	leaving bool
}

var consentWays = []consentWay{
	{word("wrong-echo", "is answered with another challenge than it has"), []string{"echoed-challenge"},
		func(c *profile.Challenge, a profile.Asked, key []byte, reply *wire.Reply) {
			a.Challenge = newToken()
			give(c, a, key, reply)
		}, false, false},
	{word("no-echo", "is answered with a good status and nothing else"), []string{"echoed-challenge"},
		func(_ *profile.Challenge, _ profile.Asked, _ []byte, reply *wire.Reply) {
			reply.Headers, reply.Body = nil, nil
		}, false, false},
	{word("echo-in-page", "is answered with a page in which the right answer stands"), []string{"text-challenge"},
		func(_ *profile.Challenge, _ profile.Asked, _ []byte, reply *wire.Reply) {
			reply.Headers.Set("Content-Type", "text/html")
			reply.Body = slices.Concat([]byte("<html><body>"), reply.Body, []byte("</body></html>"))
		}, false, false},
	{word("wrong-proof", "is answered with the right challenge, and a proof made with another secret"), []string{"proven-challenge"},
		func(c *profile.Challenge, a profile.Asked, _ []byte, reply *wire.Reply) {
			give(c, a, []byte(tokenMark), reply)
		}, false, false},
	{word("refused", "is answered 403, with what else is due"), nil,
		func(_ *profile.Challenge, _ profile.Asked, _ []byte, reply *wire.Reply) {
			reply.Status = http.StatusForbidden
		}, false, false},
	{word("careless", "is answered as is due, whoever has signed it"), []string{"tried-forgery"},
		func(*profile.Challenge, profile.Asked, []byte, *wire.Reply) {}, true, false},
	{word("stays", "is answered as is due, but as one that is not wanted where it asks whether deliveries are to end"), []string{"leaving"},
		func(c *profile.Challenge, _ profile.Asked, _ []byte, reply *wire.Reply) {
			*reply = wire.Reply{Status: c.Answer.Refuses()}
		}, false, true},
	{word("stays-by-wrong-echo", "is answered as is due, but with another challenge than it has where it asks whether deliveries are to end"), []string{"leaving"},
		func(c *profile.Challenge, a profile.Asked, key []byte, reply *wire.Reply) {
			a.Challenge = newToken()
			give(c, a, key, reply)
		}, false, true},
	{word("by-callback", "is answered with no consent, which is given a little later at the URL that it names"), []string{"consent-callback"}, withhold, true, false},
	{word("by-wrong-callback", "is answered with no consent, and a stranger who has guessed at the URL that it names goes there"), []string{"consent-callback"}, withhold, false, false},
	{word("two-a-minute", "is answered as is due, and allows two deliveries a minute"), []string{"allowed-rate"},
		func(c *profile.Challenge, _ profile.Asked, _ []byte, reply *wire.Reply) {
			reply.Headers.Set(c.Rate.Allows, fmt.Sprint(fewest))
		}, true, false},
}

// withhold says nothing of what the endpoint agrees to.
func withhold(c *profile.Challenge, _ profile.Asked, _ []byte, reply *wire.Reply) {
	*reply = wire.Reply{Status: http.StatusOK, Headers: wire.Headers{{Name: "Allow", Value: "POST"}}}
}

// fewest is the rate that an endpoint allows which allows few.
const fewest = 2

func findConsent(name string) (consentWay, bool) {
	i := slices.IndexFunc(consentWays, func(w consentWay) bool { return w.Name == name })
	if i < 0 {
		return consentWay{}, false
	}
	return consentWays[i], true
}

func give(c *profile.Challenge, a profile.Asked, key []byte, reply *wire.Reply) {
	reply.Status, reply.Headers, reply.Body = c.Due(a, key)
}

// greet answers a request that is the profile's handshake; nil is for what is none. The
// caller holds mu.
func (t *trial) greet(e *endpoint, r *wire.Received) *wire.Reply {
	p := t.subject.Profile
	c := p.Challenge
	if c == nil || e.canary() {
		return nil
	}
	in := profile.Incoming{Method: r.Method, URL: t.asSent(e, r), Headers: r.Headers, Body: r.Body}
	asked, is := c.Find(in)
	switch {
	case !is && c.Denies(in):
		return t.hearDenial(e, r)
	case !is:
		return nil
	}
	g := greeting{asked: asked, granted: true}
	if c.Signed && e.keys != nil {
		_, g.unproven = p.Verify(in, e.keys, time.Now())
	}
	reply := t.consent(e, &g)
	if t.over {
		return &reply
	}
	g.when = time.Now()
	e.greetings = append(e.greetings, g)
	if e.defers() && asked.Callback != "" {
		nth := len(e.greetings) - 1
		t.running.Go(func() { t.callBack(e, nth, asked.Callback, r.Remote.Addr()) })
	}
	t.keepGreeting(e, r, reply, g.notes(c))
	t.signal()
	return &reply
}

// hearDenial takes note that there will be no deliveries: it is none, and asks nothing.
func (t *trial) hearDenial(e *endpoint, r *wire.Received) *wire.Reply {
	reply := wire.Reply{Status: 200}
	if !t.over {
		e.denials = append(e.denials, time.Now())
		t.keepGreeting(e, r, reply, []string{"it says that there will be no deliveries"})
		t.signal()
	}
	return &reply
}

func (t *trial) keepGreeting(e *endpoint, r *wire.Received, reply wire.Reply, notes []string) {
	t.keepExchange(reports.Exchange{
		Label: "handshake with " + e.spec.Name, Outcome: "answered", Status: reply.Status, Notes: notes,
		Received: reports.Printable(append(slices.Clone(r.Head), r.Body...), shown), ReceivedBytes: int64(len(r.Head) + len(r.Body)),
		Sent: reports.Printable(answerText(&attempt{reply: reply}), shown), SentBytes: int64(len(reply.Body)), Remote: r.Remote.String(),
		TLS: tlsEvidence(r.TLS), StartedMS: milliseconds(r.Start.Sub(t.started)),
	})
}

// asSent is the URL of a request as its sender wrote it.
func (t *trial) asSent(e *endpoint, r *wire.Received) string {
	if r.Query == "" {
		return e.url
	}
	u, _, _ := strings.Cut(e.url, "?")
	return profile.WithQuery(u, r.Query)
}

// consent is the answer to a handshake: that which is due, unless the scenario says
// otherwise. Where the provider finds out whether endpoints verify, ours do.
func (t *trial) consent(e *endpoint, g *greeting) (reply wire.Reply) {
	p := t.subject.Profile
	c, key := p.Challenge, p.ProofKey(e.keys[p.Signature.Name])
	give(c, g.asked, key, &reply)
	if c.Rate != nil {
		reply.Headers.Set(c.Rate.Allows, "*")
	}
	way, special := findConsent(e.spec.Handshake)
	if special && !t.over && way.leaving == g.asked.Leaving {
		way.change(c, g.asked, key, &reply)
		g.granted = way.grants && !e.defers()
	}
	if g.unproven != nil && triesForgery(c) && way.Name != "careless" {
		reply, g.granted = wire.Reply{Status: c.Answer.Refuses()}, false
	}
	return reply
}

func (g greeting) notes(c *profile.Challenge) []string {
	switch {
	case g.asked.Leaving:
		return []string{"it asks whether deliveries are to end"}
	case !c.Signed:
		return nil
	case g.unproven != nil:
		return []string{"its signature does not verify: " + g.unproven.Error()}
	}
	return []string{"its signature verifies"}
}

// consent is the last handshake by which an endpoint had agreed to what came at a time.
// That deliveries end, and that there will be none, may cross with one on its way.
func (e *endpoint) consent(came time.Time, slack time.Duration) (last greeting, agreed bool) {
	for _, g := range e.greetings {
		switch {
		case !g.granted || g.when.After(came):
		case !g.asked.Leaving:
			last, agreed = g, true
		case came.Sub(g.when) > slack:
			agreed = false
		}
	}
	denied := slices.ContainsFunc(e.denials, func(at time.Time) bool { return !at.Before(last.when) && came.Sub(at) > slack })
	return last, agreed && !denied
}

// leaves tells of an endpoint that confirms that its deliveries are to end.
func (e *endpoint) leaves() bool {
	way, special := findConsent(e.spec.Handshake)
	return !special || !way.leaving || way.grants
}

// leave waits until an endpoint has been asked whether its deliveries are to end, where
// the sender asks: it may do so behind its answer.
func (t *trial) leave(ctx context.Context, e *endpoint, accepted bool) {
	c := t.subject.Profile.Challenge
	if !accepted || c == nil || c.Leaving == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	end := earlier(time.Now().Add(t.silence()), t.limit)
	t.until(ctx, func(now time.Time) (bool, time.Time) {
		return e.askedToLeave() || !now.Before(end), end
	})
}

func (e *endpoint) askedToLeave() bool {
	return slices.ContainsFunc(e.greetings, func(g greeting) bool { return g.asked.Leaving })
}

// usualLease is what is asked for where a case asks for none of its own, in seconds.
const usualLease = 24 * 60 * 60

// leaseFor is the lease that an endpoint asks for, in seconds of the sender's.
func (t *trial) leaseFor(e *endpoint) int {
	if e.spec.Lease == 0 {
		return usualLease
	}
	return max(1, int(math.Ceil(e.spec.Lease.Seconds()/t.hasten())))
}

// hasten is how much shorter a lease is than it says.
func (t *trial) hasten() float64 { return cmp.Or(t.subject.Limits.Hasten, 1) }

// lease is the one that a handshake has named or, where it named none, the one that was
// asked for, and when it is over.
func (t *trial) lease(e *endpoint, g greeting) (seconds int, end time.Time) {
	seconds = cmp.Or(g.asked.Lease, t.leaseFor(e))
	return seconds, g.when.Add(time.Duration(float64(seconds) * t.hasten() * float64(time.Second)))
}

// triesForgery tells of providers that find out whether an endpoint verifies.
func triesForgery(c *profile.Challenge) bool { return c.Signed && c.Answer.Refusal != "" }

// move has the sender move the endpoint main to the URL of another.
func (t *trial) move(e *endpoint) (Values, func(ok bool)) {
	main := t.named(scenarios.Main)
	v := t.values(main, &event{token: main.token}, scenarios.Trigger{})
	v.URL = e.url
	return v, func(ok bool) {
		if ok {
			e.registered, e.registration, e.keys, main.registered = true, main.registration, main.keys, false
		}
	}
}

var handshakeExpectations = expectationTable{
	{Entry: word("consented-first", "asks an endpoint by the profile's handshake, and delivers nothing before that has agreed"), needs: []string{"handshake"}, judge: judgeConsentedFirst},
	{Entry: word("handshake-signed", "signs its handshake"), needs: []string{"signed-handshake"}, judge: judgeHandshakeSigned},
	{Entry: word("challenges-differ", "asks every endpoint with a challenge of its own"), needs: []string{"invented-challenge"}, judge: judgeChallengesDiffer},
	{Entry: word("granted-by-callback", "registers an endpoint that is to agree later, takes its consent at the callback, and delivers then"), needs: []string{"consent-callback"}, absent: true, judge: judgeGrantedByCallback},
	{Entry: word("lease-named", "says in its handshake for how long the endpoint has its deliveries"), needs: []string{"lease"}, judge: judgeLeaseNamed},
	{Entry: word("within-lease", "delivers nothing when the lease of an endpoint is over"), needs: []string{"lease"}, absent: true,
		demand: func(*trial, any) demand { return demand{silence: true} }, judge: judgeWithinLease},
	{Entry: word("asked-to-leave", "asks an endpoint whether its deliveries are to end, before it ends them"), needs: []string{"leaving"}, absent: true,
		demand: func(*trial, any) demand { return demand{silence: true} }, judge: judgeAskedToLeave},
	{Entry: word("unconsented", "refuses to register an endpoint that does not agree, or delivers nothing to it"), needs: []string{"handshake"}, absent: true,
		demand: func(*trial, any) demand { return demand{silence: true} }, judge: judgeUnconsented},
	{Entry: word("origin-named", "names on every delivery the origin that it asked for"), needs: []string{"origin"}, judge: each(judgeOrigin)},
	{Entry: word("within-rate", "delivers no more in a minute than the endpoint allows"), needs: []string{"allowed-rate"}, absent: true,
		demand: func(t *trial, _ any) demand { return demand{quiet: t.minute()} }, judge: judgeWithinRate},
}

func judgeConsentedFirst(t *trial, s scope, _ any) finding {
	for _, d := range s.deliveries {
		came := d.attempts[0].arrived
		_, granted := d.to.consent(came, t.subject.Limits.Slack)
		switch {
		case granted:
		case len(d.to.greetings) == 0:
			return failed("%s came, and the endpoint was never asked whether it agrees", d.name())
		default:
			return failed("%s came before the endpoint had agreed, or after it had ceased to", d.name())
		}
	}
	return passed()
}

func judgeHandshakeSigned(t *trial, _ scope, _ any) finding {
	tries := triesForgery(t.subject.Profile.Challenge)
	for _, e := range t.endpoints {
		if len(e.greetings) == 0 {
			return failed("the endpoint %s was never asked whether it agrees", e.url)
		}
		genuine := 0
		for _, g := range e.greetings {
			if g.unproven == nil {
				genuine++
			} else if !tries {
				return failed("the signature of its handshake does not verify: %s", g.unproven)
			}
		}
		if genuine == 0 {
			return failed("no handshake with the endpoint %s is signed with its secret", e.url)
		}
	}
	return passed()
}

// judgeGrantedByCallback looks at what came of a consent that was given later. To name a
// callback is the sender's choice.
func judgeGrantedByCallback(t *trial, s scope, _ any) finding {
	named := false
	for _, e := range t.endpoints {
		for _, g := range e.greetings {
			switch {
			case g.asked.Callback == "":
				continue
			case g.uncalled != "":
				return inconclusive("the callback that it names was not gone to: %s", g.uncalled)
			case g.called && !g.granted:
				return failed("it takes no consent at the callback that it names itself")
			}
			named = true
		}
	}
	switch f := t.arrived(s); {
	case !named:
		return skipped("the sender names no callback at which consent could be given later")
	case t.refusal != nil:
		return failed("it names a callback, and does not register an endpoint that is to agree there")
	case f.reason != "":
		if f.late = t.waited(s); f.late {
			f.verdict = reports.Fail
		}
		return f
	}
	return judgeConsentedFirst(t, s, nil)
}

func judgeLeaseNamed(t *trial, _ scope, _ any) finding {
	named := 0
	for _, e := range t.endpoints {
		for _, g := range e.greetings {
			switch {
			case g.asked.Leaving:
			case g.asked.Lease == 0:
				return failed("its handshake does not say in %s for how many seconds", t.subject.Profile.Challenge.Lease)
			default:
				named++
			}
		}
	}
	if named == 0 {
		return failed("the endpoint %s was never asked whether it agrees", t.endpoints[0].url)
	}
	return passed()
}

// judgeWithinLease looks at what came behind the lease that the sender has named. It must
// have had an occasion to deliver then.
func judgeWithinLease(t *trial, s scope, _ any) finding {
	slack := t.subject.Limits.Slack
	for _, d := range s.deliveries {
		for _, a := range d.attempts {
			g, agreed := d.to.consent(a.arrived, slack)
			seconds, end := t.lease(d.to, g)
			if agreed && a.arrived.After(end.Add(slack)) {
				return failed("%s came %s after the lease was over, which was of %d s%s", d.name(), show(a.arrived.Sub(end)), seconds, t.hastened())
			}
		}
	}
	if t.unused() {
		return inconclusive("nothing arrived before the lease was over either")
	}
	return worst(t.outlasted(s), t.watchedSilence())
}

// outlasted demands that the last event of several was fired when the lease was over.
func (t *trial) outlasted(s scope) finding {
	ev := s.events[len(s.events)-1]
	g, agreed := ev.to.consent(ev.fired, t.subject.Limits.Slack)
	seconds, end := t.lease(ev.to, g)
	switch {
	case !agreed:
		return inconclusive("the endpoint had not agreed, and so there was no lease")
	case ev.fired.Before(end):
		return inconclusive("the sender has named a lease of %d s, and not the %d s that were asked for: it could not be watched to its end%s", seconds, t.leaseFor(ev.to), t.hastened())
	}
	return passed()
}

// hastened says by which rule leases are shorter than they say.
func (t *trial) hastened() string {
	if t.hasten() == 1 {
		return ""
	}
	return fmt.Sprintf(", and is over after %s of that by --time-scale", strconv.FormatFloat(t.hasten(), 'g', 4, 64))
}

// unused tells of a case in which no event has arrived at all.
func (t *trial) unused() bool {
	return !slices.ContainsFunc(t.events, func(ev *event) bool { return t.main(ev) != nil })
}

func judgeAskedToLeave(t *trial, _ scope, _ any) finding {
	for _, e := range t.endpoints {
		if e.askedToLeave() {
			return passed()
		}
	}
	return failed("the endpoint %s was never asked whether its deliveries are to end: whoever says so in its name ends them", t.endpoints[0].url)
}

// leastChallenge is the length of a challenge that nobody guesses.
const leastChallenge = 8

func judgeChallengesDiffer(t *trial, _ scope, _ any) finding {
	first := map[string]string{}
	for _, e := range t.endpoints {
		if len(e.greetings) == 0 {
			return failed("the endpoint %s was never asked whether it agrees", e.url)
		}
		for _, g := range e.greetings {
			if len(g.asked.Challenge) < leastChallenge {
				return failed("a challenge of %d bytes can be guessed", len(g.asked.Challenge))
			}
			if other, taken := first[g.asked.Challenge]; taken && other != e.url {
				return failed("two endpoints were asked with the same challenge: an answer that was seen once serves again")
			}
			first[g.asked.Challenge] = e.url
		}
	}
	if len(first) < 2 {
		return inconclusive("there was one challenge only, and so nothing to compare")
	}
	return passed()
}

func judgeUnconsented(t *trial, s scope, _ any) finding {
	if t.refusal != nil {
		return judgeRefused(t, s, nil)
	}
	return judgeSilent(t, s, nil)
}

func judgeOrigin(t *trial, a *attempt, _ any) finding {
	known := t.subject.Profile.Challenge.Known
	if a.request.Headers.Get(known.Header) == "" {
		return failed("%s has no header %s", a.name(), known.Header)
	}
	for _, g := range a.delivery.to.greetings {
		if g.granted && g.asked.Known != a.request.Headers.Get(known.Header) {
			return failed("%s names another origin in %s than the endpoint has agreed to", a.name(), known.Header)
		}
	}
	return passed()
}

// minute is what the sender takes for one.
func (t *trial) minute() time.Duration { return cmp.Or(t.subject.Limits.Minute, time.Minute) }

// judgeWithinRate looks for a minute, but for the slack, in which more came than was
// allowed.
func judgeWithinRate(t *trial, s scope, _ any) finding {
	var came []time.Time
	for _, a := range s.attempts {
		came = append(came, a.arrived)
	}
	if len(came) == 0 {
		return inconclusive("nothing arrived, and so there is no rate")
	}
	slices.SortFunc(came, time.Time.Compare)
	least := t.minute() - t.subject.Limits.Slack
	for i := fewest; i < len(came); i++ {
		if within := came[i].Sub(came[i-fewest]); within < least {
			return failed("%d attempts came within %s, where the endpoint allows %d in %s", fewest+1, show(within), fewest, show(t.minute()))
		}
	}
	if watched := t.seen.Sub(came[0]); watched < least {
		return inconclusive("no more than %d came in %s, and a minute could not be watched: allow more time with --budget", len(came), show(watched))
	}
	return passed()
}
