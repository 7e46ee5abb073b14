package sender

import (
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// expectation is one thing that a scenario can demand of a sender.
type expectation struct {
	scenarios.Entry
	needs []string
	// demand is what must have been watched before it can be judged: every scripted
	// answer given, where it is nil.
	demand func(t *trial, arg any) demand
	// absent expectations can be met although nothing arrived.
	absent bool
	// arrival expectations are not met by an event that never arrives; the others
	// cannot be judged then.
	arrival bool
	judge   func(t *trial, s scope, arg any) finding
}

// scope is what an expectation is asked about: the deliveries of one trigger, or of
// the whole case.
type scope struct {
	events     []*event
	deliveries []*delivery
	attempts   []*attempt
	step       int // number of the trigger, or everything
}

// everything is the scope of a case's own expectations.
const everything = -1

// scopeOf gathers what a trigger brought about. The caller holds mu.
func (t *trial) scopeOf(step int) scope {
	s := scope{step: step}
	for _, ev := range t.events {
		if step == everything || ev.step == step {
			s.events = append(s.events, ev)
		}
	}
	for _, d := range t.deliveries {
		concerns := step == everything || d.event != nil && d.event.step == step && d.event.to == d.to
		if concerns && !d.to.canary() {
			s.deliveries = append(s.deliveries, d)
			s.attempts = append(s.attempts, d.attempts...)
		}
	}
	return s
}

func (e expectation) ask(t *trial, s scope, arg any) finding {
	if f := t.arrived(s); f.reason != "" && !e.absent {
		if t.batched(s) {
			return inconclusive("the event came in one request with others, and what became of it alone cannot be told: have the sender deliver each by itself")
		}
		if f.late = t.waited(s); f.late && e.arrival {
			f.verdict, f.silent = reports.Fail, t.trusted() != nil // it may not trust our authority
		}
		return f
	}
	return e.judge(t, s, arg)
}

// arrived demands that every event has arrived.
func (t *trial) arrived(s scope) finding {
	missing := 0
	for _, ev := range s.events {
		if t.main(ev) == nil {
			missing++
		}
	}
	switch {
	case len(s.events) == 0:
		return inconclusive("the run was interrupted before an event was fired")
	case missing == 0:
		return passed()
	case len(s.events) == 1:
		return inconclusive("nothing arrived at the endpoint within %s after the event was fired%s", show(t.seen.Sub(s.events[0].fired)), t.instead())
	}
	return inconclusive("%d of %d events did not arrive at the endpoint%s", missing, len(s.events), t.instead())
}

// batched tells whether an event is missing that came in the request of another.
func (t *trial) batched(s scope) bool {
	return slices.ContainsFunc(s.events, func(ev *event) bool { return t.main(ev) == nil && ev.batched.Load() })
}

// waited tells whether the events had the time to arrive.
func (t *trial) waited(s scope) bool {
	// Whether somebody else has fired an event is not known.
	return len(s.events) > 0 && !t.subject.waiting() && !t.unforeseen() && !slices.ContainsFunc(s.events, func(ev *event) bool {
		return t.main(ev) == nil && t.seen.Before(ev.fired.Add(t.arrival()))
	})
}

// arrivals demands that every event of the case has arrived.
func (t *trial) arrivals() finding {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.unfired(); f.reason != "" {
		return f
	}
	return t.arrived(t.scopeOf(everything))
}

// unfired is the finding of events that could not be fired.
func (t *trial) unfired() finding {
	for _, ev := range t.events {
		if ev.problem != "" {
			return inconclusive("the event could not be fired: %s", ev.problem)
		}
	}
	return passed()
}

// instead says what came in place of a delivery.
func (t *trial) instead() string {
	t.house.mu.Lock()
	strays := strings.Join(t.house.strays, ", ")
	t.house.mu.Unlock()
	if strays != "" {
		return "; what came in this run, and is for no endpoint: " + strays
	}
	if t.plain() != nil {
		return "; what came instead was in plain text, to an endpoint whose URL begins with https://"
	}
	for _, e := range t.endpoints {
		for _, x := range e.incidents {
			if malformed(x) {
				return "; what came instead was no request: " + x.Detail
			}
		}
	}
	return ""
}

type expectationTable []expectation

func (t expectationTable) find(name string) expectation {
	i := slices.IndexFunc(t, func(e expectation) bool { return e.Name == name })
	return t[i]
}

// expectations are what a scenario can demand. Each sentence completes "the sender
// ...".
var expectations expectationTable

// The table refers to functions that refer to it; hence init.
func init() {
	expectations = slices.Concat(formExpectations, signatureExpectations, tokenExpectations, attemptExpectations, wholeExpectations, tlsExpectations, handshakeExpectations)
}

// each judges every attempt by itself, and names the one that failed.
func each(judge func(t *trial, a *attempt, arg any) finding) func(*trial, scope, any) finding {
	return func(t *trial, s scope, arg any) finding {
		var all []finding
		for _, a := range s.attempts {
			f := judge(t, a, arg)
			if f.reason != "" {
				t.mark(a, f.reason)
				f.reason = a.name() + ": " + f.reason
			}
			all = append(all, f)
		}
		return worst(all...)
	}
}

// eachDelivery judges every delivery by itself.
func eachDelivery(judge func(t *trial, d *delivery, arg any) finding) func(*trial, scope, any) finding {
	return func(t *trial, s scope, arg any) finding {
		var all []finding
		for _, d := range s.deliveries {
			if d.event == nil {
				all = append(all, t.unexplained())
				continue
			}
			f := judge(t, d, arg)
			if f.reason != "" && len(s.deliveries) > 1 {
				f.reason = d.name() + ": " + f.reason
			}
			all = append(all, f)
		}
		return worst(all...)
	}
}

// unexplained is the finding of a delivery that no event accounts for. Where events
// carry a token and it does not, it is none of the case's: a greeting of the sender's
// own, as many send to a new endpoint.
func (t *trial) unexplained() finding {
	if t.carried {
		return passed()
	}
	return inconclusive("a delivery came that no event explains, and deliveries carry no token by which to tell")
}

func word(name, doc string) scenarios.Entry { return scenarios.Entry{Name: name, Doc: doc} }

func wordWith(name string, arg scenarios.Kind, doc string) scenarios.Entry {
	return scenarios.Entry{Name: name, Arg: arg, Doc: doc}
}

func namesOf(name string, choices []string, doc string) scenarios.Entry {
	return scenarios.Entry{Name: name, Arg: scenarios.Names, Choices: choices, Doc: doc}
}
