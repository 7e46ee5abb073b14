package sender

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
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
}

// consentWay is a way of answering a handshake otherwise than is due.
type consentWay struct {
	scenarios.Entry
	needs []string
	// change makes the answer out of the one that is due.
	change func(c *profile.Challenge, a profile.Asked, key []byte, reply *wire.Reply)
	grants bool // it agrees all the same
}

var consentWays = []consentWay{
	{word("wrong-echo", "is answered with another challenge than it has"), []string{"echoed-challenge"},
		func(c *profile.Challenge, a profile.Asked, key []byte, reply *wire.Reply) {
			a.Challenge = newToken()
			give(c, a, key, reply)
		}, false},
	{word("no-echo", "is answered with a good status and nothing else"), []string{"echoed-challenge"},
		func(_ *profile.Challenge, _ profile.Asked, _ []byte, reply *wire.Reply) {
			reply.Headers, reply.Body = nil, nil
		}, false},
	{word("echo-in-page", "is answered with a page in which the right answer stands"), []string{"text-challenge"},
		func(_ *profile.Challenge, _ profile.Asked, _ []byte, reply *wire.Reply) {
			reply.Headers.Set("Content-Type", "text/html")
			reply.Body = slices.Concat([]byte("<html><body>"), reply.Body, []byte("</body></html>"))
		}, false},
	{word("wrong-proof", "is answered with the right challenge, and a proof made with another secret"), []string{"proven-challenge"},
		func(c *profile.Challenge, a profile.Asked, _ []byte, reply *wire.Reply) {
			give(c, a, []byte(tokenMark), reply)
		}, false},
	{word("refused", "is answered 403, with what else is due"), nil,
		func(_ *profile.Challenge, _ profile.Asked, _ []byte, reply *wire.Reply) {
			reply.Status = http.StatusForbidden
		}, false},
	{word("careless", "is answered as is due, whoever has signed it"), []string{"tried-forgery"},
		func(*profile.Challenge, profile.Asked, []byte, *wire.Reply) {}, true},
	{word("two-a-minute", "is answered as is due, and allows two deliveries a minute"), []string{"allowed-rate"},
		func(c *profile.Challenge, _ profile.Asked, _ []byte, reply *wire.Reply) {
			reply.Headers.Set(c.Rate.Allows, fmt.Sprint(fewest))
		}, true},
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
	if !is {
		return nil
	}
	g := greeting{asked: asked, granted: true}
	if c.Signed && e.keys != nil {
		_, g.unproven = p.Verify(in, e.keys, time.Now())
	}
	reply := t.consent(e, &g)
	g.when = time.Now()
	e.greetings = append(e.greetings, g)
	t.keepExchange(reports.Exchange{
		Label: "handshake with " + e.spec.Name, Outcome: "answered", Status: reply.Status, Notes: g.notes(c),
		Received: reports.Printable(append(slices.Clone(r.Head), r.Body...), shown), ReceivedBytes: int64(len(r.Head) + len(r.Body)),
		Sent: reports.Printable(answerText(&attempt{reply: reply}), shown), SentBytes: int64(len(reply.Body)), Remote: r.Remote.String(),
		TLS: tlsEvidence(r.TLS), StartedMS: milliseconds(r.Start.Sub(t.started)),
	})
	t.signal()
	return &reply
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
	if special {
		way.change(c, g.asked, key, &reply)
		g.granted = way.grants
	}
	if g.unproven != nil && triesForgery(c) && way.Name != "careless" {
		reply, g.granted = wire.Reply{Status: c.Answer.Refuses()}, false
	}
	return reply
}

func (g greeting) notes(c *profile.Challenge) []string {
	switch {
	case !c.Signed:
		return nil
	case g.unproven != nil:
		return []string{"its signature does not verify: " + g.unproven.Error()}
	}
	return []string{"its signature verifies"}
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
	{Entry: word("unconsented", "refuses to register an endpoint that does not agree, or delivers nothing to it"), needs: []string{"handshake"}, absent: true,
		demand: func(*trial, any) demand { return demand{silence: true} }, judge: judgeUnconsented},
	{Entry: word("origin-named", "names on every delivery the origin that it asked for"), needs: []string{"origin"}, judge: each(judgeOrigin)},
	{Entry: word("within-rate", "delivers no more in a minute than the endpoint allows"), needs: []string{"allowed-rate"}, absent: true,
		demand: func(t *trial, _ any) demand { return demand{quiet: t.minute()} }, judge: judgeWithinRate},
}

func judgeConsentedFirst(_ *trial, s scope, _ any) finding {
	for _, d := range s.deliveries {
		came := d.attempts[0].arrived
		granted := slices.ContainsFunc(d.to.greetings, func(g greeting) bool { return g.granted && !g.when.After(came) })
		switch {
		case granted:
		case len(d.to.greetings) == 0:
			return failed("%s came, and the endpoint was never asked whether it agrees", d.name())
		default:
			return failed("%s came before the endpoint had agreed", d.name())
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
