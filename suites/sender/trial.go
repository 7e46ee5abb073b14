package sender

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/payloads"
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// trial is the judging of one case.
type trial struct {
	*Judge
	c         scenarios.Case
	endpoints []*endpoint
	limit     time.Time // when the watching ends at the latest
	running   sync.WaitGroup

	mu         sync.Mutex
	changed    chan struct{} // closed when something has happened
	events     []*event
	deliveries []*delivery
	refusal    *Outcome // of the first endpoint that the sender would not register
	seen       time.Time
	over       bool
	panicked   string // what a connection's goroutine panicked with
	taken      int    // attempts
	bytes      int    // of their bodies
	evidence   []reports.Exchange
	figures    []reports.Figure
	broken     error // the journal could not be written, or a port could not be opened
}

func (j *Judge) newTrial(c scenarios.Case) *trial {
	if len(c.Endpoints) == 0 {
		c.Endpoints = []scenarios.Endpoint{{Name: scenarios.Main}}
	}
	return &trial{Judge: j, c: c, changed: make(chan struct{}), limit: time.Now().Add(j.subject.Limits.Budget)}
}

// named returns the endpoint of a name, and main for none.
func (t *trial) named(name string) *endpoint {
	name = cmp.Or(name, scenarios.Main)
	i := slices.IndexFunc(t.endpoints, func(e *endpoint) bool { return e.spec.Name == name })
	if i < 0 {
		return t.endpoints[0]
	}
	return t.endpoints[i]
}

// open makes the endpoints of the case and has the sender told of them.
func (t *trial) open(ctx context.Context) finding {
	for _, spec := range t.c.Endpoints {
		e := &endpoint{spec: spec, trial: t, token: newToken(), keys: t.subject.Keys}
		t.endpoints = append(t.endpoints, e)
		if err := t.place(e); err != nil {
			return inconclusive("%s", err)
		}
		t.house.enter(e)
	}
	for _, e := range t.endpoints {
		if e.spec.Canary || e.spec.Later {
			continue
		}
		if f := t.register(ctx, e); f.verdict != reports.Pass {
			return f
		}
	}
	return passed()
}

// place gives an endpoint its URL and, if it needs one, a port of its own.
func (t *trial) place(e *endpoint) (err error) {
	if !ownPort(t.c, e.spec) {
		e.url = t.house.urlOf(e)
		return nil
	}
	host := t.house.host
	hosts := []string{host}
	if e.spec.TLS != nil {
		if host, err = t.secureHost(e); err != nil {
			return err
		}
	}
	form, isForm := addresses.find(e.spec.Address)
	if isForm && len(form.listen) > 0 {
		hosts = form.listen
	}
	if e.port, err = t.house.openPort(e, hosts); err != nil {
		return err
	}
	at := place{port: e.port.number, path: e.requestPath(), name: e.token + domain}
	e.url = e.scheme() + "://" + net.JoinHostPort(host, at.port) + at.path
	if isForm {
		e.url = form.url(at)
		if form.answers != nil {
			t.subject.Resolver.Set(at.name, form.answers()...)
		}
	}
	return nil
}

// domain holds the names that the stub resolver knows.
const domain = ".hookanvil.test"

// ownPort tells whether an endpoint cannot share its port: where the connection
// itself is scripted, or where every connection is a finding.
func ownPort(c scenarios.Case, spec scenarios.Endpoint) bool {
	if spec.Canary && spec.Address == "" && spec.TLS == nil {
		return false // it is reached wherever the endpoint is that leads there
	}
	scripted := slices.ContainsFunc(slices.Concat(c.Respond, spec.Respond), atConnect)
	for _, trigger := range c.Trigger {
		scripted = scripted || cmp.Or(trigger.To, scenarios.Main) == spec.Name && slices.ContainsFunc(trigger.Respond, atConnect)
	}
	return scripted || spec.Address != "" || spec.Dark > 0 || spec.TLS != nil
}

// register tells the sender of an endpoint.
func (t *trial) register(ctx context.Context, e *endpoint) finding {
	if t.subject.Register == nil {
		return passed()
	}
	out, err := t.subject.Register.Do(ctx, t.values(e, &event{token: e.token}, scenarios.Trigger{}))
	switch {
	case err != nil:
		return inconclusive("the endpoint could not be registered: %s", err)
	case out.OK():
		e.registered, e.registration = true, out.Body
		t.awaitCallback(ctx, e)
		return t.issued(e)
	}
	t.refusal = &out
	if !t.expects("refused", "refused-or-silent", "refused-or-inert", "refused-or-unsent", "no-request", "unconsented", "granted-by-callback") {
		return inconclusive("the sender did not register the endpoint %s: %s", e.url, out.phrase())
	}
	return passed()
}

// outOfSight tells of endpoints that nobody can watch: private networks, the
// metadata services of clouds. A careless sender must not be sent there.
func (t *trial) outOfSight() bool {
	return slices.ContainsFunc(t.endpoints, func(e *endpoint) bool {
		form, isForm := addresses.find(e.spec.Address)
		return isForm && len(form.listen) == 0
	})
}

// issued reads the secret that the sender has invented for an endpoint.
func (t *trial) issued(e *endpoint) finding {
	keys, err := t.subject.Issued(e.registration)
	if err != nil {
		return inconclusive("the secret of the endpoint could not be read: %s", err)
	}
	if keys != nil {
		e.keys = keys
	}
	return passed()
}

// values are what the words of an action stand for.
func (t *trial) values(e *endpoint, ev *event, trigger scenarios.Trigger) Values {
	v := Values{
		URL: e.url, Token: ev.token, Event: trigger.Event, Endpoint: e.spec.Name, Data: []byte("{}"),
		Headers: e.spec.Headers, Events: e.spec.Events, Lease: t.leaseFor(e), Registration: e.registration, Secret: secretOf(t.subject.Profile, t.subject.Keys),
	}
	if e.tls != nil {
		v.ClientCertificate, v.ClientKey = e.tls.certificate, e.tls.key
	}
	if v.Event == "" && t.subject.Profile.Event != nil {
		v.Event = t.subject.Profile.Event.Value
	}
	v.Event = cmp.Or(v.Event, "hookanvil.test")
	if trigger.Payload != "" {
		data, _ := payloads.Get(trigger.Payload) // the vocabulary knows no other names
		v.Data = []byte(data)
	}
	return v
}

// secretOf is the secret of the main signature, as it is written.
func secretOf(p *profile.Profile, keys profile.Keys) string {
	if !p.Signed() {
		return ""
	}
	if secrets := keys[p.Schemes()[0].Name]; len(secrets) > 0 {
		return secrets[0].Reveal()
	}
	return ""
}

// perform does what the case says, and watches until nothing more is to be seen.
func (t *trial) perform(ctx context.Context) {
	lit := false
	for i, trigger := range t.c.Trigger {
		rest := trigger.After
		if i > 0 && !trigger.Meanwhile {
			t.settle(ctx)
			// What was answered last, a 410 for instance, must have come through to the
			// sender before it can be held against what it does next.
			rest = max(rest, t.subject.Limits.Slack)
		}
		if !pause(ctx, rest) {
			return
		}
		if !lit {
			lit = true
			t.light(ctx)
		}
		t.do(ctx, i, trigger)
		if t.refusal != nil {
			return // nobody is told of what the sender would not do
		}
	}
	t.settle(ctx)
}

func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// light ends the darkness of endpoints, each in its time.
func (t *trial) light(ctx context.Context) {
	for _, e := range t.endpoints {
		if e.spec.Dark == 0 {
			continue
		}
		t.running.Go(func() {
			if !pause(ctx, e.spec.Dark) {
				return
			}
			if err := e.port.open(); err != nil {
				t.mu.Lock()
				defer t.mu.Unlock()
				t.broken = cmp.Or(t.broken, err)
				t.signal()
			}
		})
	}
}

// do does one thing to the sender.
func (t *trial) do(ctx context.Context, step int, trigger scenarios.Trigger) {
	e := t.named(trigger.To)
	if trigger.Do == "" || trigger.Do == "event" {
		t.fire(ctx, step, trigger, e)
		return
	}
	action := map[string]Action{"rotate": t.subject.Rotate, "restart": t.subject.Restart, "remove": t.subject.Remove, "move": t.subject.Move}[trigger.Do]
	v, moved := t.values(e, &event{token: e.token}, trigger), func(bool) {}
	if trigger.Do == "move" {
		v, moved = t.move(e)
	}
	if trigger.Do == "rotate" {
		v.Secret = secretOf(t.subject.Profile, t.subject.Next)
	}
	out, err := action.Do(ctx, v)
	if trigger.Do == "remove" {
		t.leave(ctx, e, err == nil && out.OK())
	}
	moved(err == nil && out.OK())
	switch {
	case err == nil && trigger.Do == "remove" && out.Refused() && !e.leaves(): // it was asked, and did not confirm it
	case err == nil && trigger.Do == "move" && out.Refused() && t.expects("unconsented"):
		t.refusal = &out
	case err != nil:
		t.complain(fmt.Errorf("%s the sender's endpoint: %w", trigger.Do, err))
	case !out.OK():
		t.complain(fmt.Errorf("%s the sender's endpoint: %s", trigger.Do, out.phrase()))
	case trigger.Do == "remove":
		e.registered = false
	}
}

// catch keeps a panic on a connection from ending the run: it is told where the case
// is judged, and costs that case alone. The caller holds mu, so that nobody judges in
// between.
func (t *trial) catch() {
	if r := recover(); r != nil {
		t.panicked = fmt.Sprintf("%v\n%s", r, debug.Stack())
		t.signal()
	}
}

// complain notes the first thing that went wrong with the means of judging.
func (t *trial) complain(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken == nil {
		t.broken = err
	}
}

// fire has the sender tell of events, all at once.
func (t *trial) fire(ctx context.Context, step int, trigger scenarios.Trigger, e *endpoint) {
	var firing sync.WaitGroup
	for n := range max(trigger.Times, 1) {
		ev := &event{trial: t, step: step, nth: n + 1, to: e, token: newToken(), script: t.attemptsOf(e, trigger)}
		t.house.expect(ev)
		t.mu.Lock()
		t.events = append(t.events, ev)
		ev.fired = time.Now()
		t.mu.Unlock()
		if t.subject.waiting() {
			continue
		}
		firing.Go(func() {
			out, err := t.subject.Trigger.Do(ctx, t.values(e, ev, trigger))
			t.mu.Lock()
			defer t.mu.Unlock()
			switch {
			case err != nil:
				ev.problem = err.Error()
			case !out.OK() && out.Refused() && t.subject.Register != nil && (!e.registered || t.gone(e)):
				ev.declined = true // there is nobody to deliver to any more
			case !out.OK():
				ev.problem = out.phrase()
			}
			t.signal()
		})
	}
	firing.Wait()
	if t.subject.waiting() && t.subject.Prompt != nil {
		t.subject.Prompt(t.request(e, max(trigger.Times, 1)))
	}
}

// gone tells whether an endpoint has said that it is gone, so that nobody need be
// delivered to there. The caller holds mu.
func (t *trial) gone(e *endpoint) bool {
	return slices.ContainsFunc(t.deliveries, func(d *delivery) bool {
		return d.to == e && slices.ContainsFunc(d.attempts, func(a *attempt) bool { return a.done && statusOf(a.answer) == http.StatusGone })
	})
}

// request asks a person for events.
func (t *trial) request(e *endpoint, n int) string {
	what := "one event"
	if n > 1 {
		what = fmt.Sprintf("%d events, all at once,", n)
	}
	return fmt.Sprintf("%s: have the sender deliver %s to %s within %s", t.c.Name(), what, e.url, t.subject.Limits.Budget)
}

// close ends the case's part in the run.
func (t *trial) close() {
	t.mu.Lock()
	t.over = true
	t.mu.Unlock()
	for _, e := range t.endpoints {
		t.house.leave(e)
		if e.registered && t.subject.Remove != nil {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			_, _ = t.subject.Remove.Do(ctx, t.values(e, &event{token: e.token}, scenarios.Trigger{})) // what still arrives is acknowledged
			cancel()
		}
		if e.port != nil {
			t.house.retire(e.port)
		}
	}
	t.running.Wait()
}

// replyOf makes an answer of what the scenario says.
func (t *trial) replyOf(a scenarios.Answer) wire.Reply {
	r := t.subject.Profile.Answered(statusOf(a))
	r.Delay, r.Hold = a.Wait(t.endDeadline()), t.holdOf()
	for name := range a.Headers {
		r.Headers.Del(name)
	}
	for name, value := range a.Headers {
		r.Headers.Add(name, t.fill(value))
	}
	slices.SortFunc(r.Headers, func(a, b wire.Header) int { return cmp.Compare(a.Name, b.Name) })
	if a.Body != nil {
		r.Body = []byte(*a.Body)
	}
	way := wayOf(a)
	n := way.Default
	if a.Way != nil {
		if given, ok := a.Way.Arg.(int); ok {
			n = given
		}
	}
	return way.Apply(r, n)
}

func statusOf(a scenarios.Answer) int { return cmp.Or(a.Status, 200) }

// endDeadline is the time that the sender gives an attempt, or what senders are told
// to give where nobody says: Standard Webhooks asks for 15 to 30 seconds.
func (t *trial) endDeadline() time.Duration {
	return cmp.Or(t.subject.deadline(), 15*time.Second)
}

// holdOf is how long an answer that does not end is gone on with: well beyond the
// deadline, so that it is the sender who ends it.
func (t *trial) holdOf() time.Duration {
	long := 2*t.endDeadline() + t.subject.Limits.Slack
	if t.subject.deadline() == 0 {
		long = longestDeadline + longestDeadline/3
	}
	return max(min(long, t.subject.Limits.Budget/2), time.Second)
}

// fill fills in the words of a header: the URLs of endpoints, and HTTP-dates.
func (t *trial) fill(value string) string {
	return scenarios.Fill(value, time.Now(), func(name string) string { return t.named(name).url })
}

// atConnect tells whether an answer is given before a request is read.
func atConnect(a scenarios.Answer) bool { return wayOf(a).AtConnect }

// attemptsOf are the answers to a trigger's deliveries that are given to requests.
func (t *trial) attemptsOf(e *endpoint, trigger scenarios.Trigger) []scenarios.Answer {
	all := slices.DeleteFunc(t.script(e, trigger), atConnect)
	if len(all) == 0 {
		return []scenarios.Answer{{Status: t.subject.Profile.Acknowledges()}}
	}
	return all
}

// expects tells whether the case demands any of these, of itself or of a trigger.
func (t *trial) expects(words ...string) bool {
	is := func(w scenarios.Word) bool { return slices.Contains(words, w.Name) }
	return slices.ContainsFunc(t.c.Expect, is) ||
		slices.ContainsFunc(t.c.Trigger, func(trigger scenarios.Trigger) bool { return slices.ContainsFunc(trigger.Expect, is) })
}
