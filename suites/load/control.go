package load

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites/evidence"
	"github.com/hookanvil/hookanvil/suites/load/attack"
)

// Witness sees what a receiver does beside a load: before it and after it, by deliveries
// of its own, and of the load's deliveries, by the probe.
type Witness struct {
	receiver Subject
	rand     *rand.Rand
	forger   profile.Keys
	// record keeps an exchange before anything is concluded from it.
	record func(label string, x wire.Exchange) error

	controls []reports.Control
	closes   bool // the target closes its connections after an answer
	sample   []attack.Delivery
	counted  int // the total that a probe which is not keyed told of before the load
}

// NewWitness returns one whose deliveries are not those of a load with the same seed.
func NewWitness(s Subject, seed uint64) *Witness {
	const stream = 1 << 63 // more than a load has hits
	w := &Witness{receiver: s.filled(), rand: rand.New(rand.NewPCG(seed, stream))}
	w.record = func(string, wire.Exchange) error { return nil }
	if w.forger = s.Other; len(w.forger) == 0 {
		w.forger = s.Profile.Forged(w.rand, s.Keys)
	}
	return w
}

// request is a delivery, signed now. The token is its id.
func (w *Witness) request(class attack.Class) (r wire.Request, token string, err error) {
	p, u, keys := w.receiver.Profile, w.receiver.URL, w.receiver.Keys
	if class == attack.Forged {
		keys = w.forger
	}
	m := profile.Message{Method: "POST", URL: p.Addressed(u.String()), ID: p.NewID(w.rand)}
	if p.Event != nil {
		m.Event = p.Event.Value
	}
	if p.Timestamp != nil {
		m.Timestamp = p.Stamp(time.Now())
	}
	m.Body = []byte(p.Fill(p.Payload, m))
	headers := p.Plain(m)
	for _, h := range w.receiver.Headers {
		headers.Set(h.Name, h.Value)
	}
	sealed, err := profile.Seal(p.Signings(m, keys), m.Body)
	if err != nil {
		return wire.Request{}, "", fmt.Errorf("sign a delivery under profile %s: %w", p.Name, err)
	}
	r = wire.Request{Method: "POST", Target: profile.WithQuery(p.Addressed(wire.OriginForm(u)), sealed.Query), Host: u.Host, Headers: append(headers, sealed.Headers...), Body: sealed.Body}
	return r, m.ID, nil
}

// control sends a delivery by itself.
func (w *Witness) control(ctx context.Context, when string, class attack.Class) (c reports.Control, token string, err error) {
	c = reports.Control{When: when, Class: string(class)}
	r, token, err := w.request(class)
	if err != nil {
		return c, token, err
	}
	r.KeepAlive = true // as the load does: what closes then closes of its own
	x := wire.Do(ctx, w.receiver.Endpoint, r.Script(), wire.Limits{Total: w.receiver.Timeout})
	label := "control " + when
	if class != attack.Honest {
		label = string(class) + " " + label
	}
	if err := w.record(label, x); err != nil {
		return c, token, err
	}
	switch {
	case x.Outcome == wire.NoDial:
		c.Got, c.Gone = fmt.Sprintf("nothing listens (%s)", x.Detail), true
	case x.Outcome != wire.Answered || len(x.Responses) == 0:
		c.Got = strings.TrimSuffix(strings.ReplaceAll(string(x.Outcome), "-", " ")+": "+x.Detail, ": ")
	default:
		answer := x.Responses[0]
		c.Got = "answered " + strings.TrimSpace(fmt.Sprint(answer.Status, " ", http.StatusText(answer.Status)))
		c.Accepted = w.accepts(answer)
		if class == attack.Honest {
			w.closes = strings.EqualFold(answer.Headers.Get("Connection"), "close") || answer.Proto == "HTTP/1.0"
		}
	}
	return c, token, nil
}

// calm tries an honest control again for a while: what has just been flooded, by this load
// or by the one before it, may still shed.
func (w *Witness) calm(ctx context.Context, when string) (c reports.Control, err error) {
	for until := time.Now().Add(2 * w.receiver.Settle); ; {
		c, _, err = w.control(ctx, when, attack.Honest)
		if err != nil || c.Accepted || time.Now().After(until) || !pause(ctx, w.receiver.Settle/5) {
			return c, err
		}
	}
}

func (w *Witness) accepts(r wire.Response) bool {
	matches := func(p wire.Predicate) bool { return p.Matches(r.Status, r.Body) }
	if slices.ContainsFunc(w.receiver.Reject, matches) {
		return false
	}
	if len(w.receiver.Accept) > 0 {
		return slices.ContainsFunc(w.receiver.Accept, matches)
	}
	return w.receiver.Profile.Succeeds(r.Status)
}

// Unready is why a load would say nothing of the receiver, before any was sent.
type Unready struct{ Reason, Advice string }

func (u Unready) Error() string {
	return fmt.Sprintf("put a load on the target: %s, so that a load would say nothing; %s", u.Reason, u.Advice)
}

// Begin sends an honest and a forged delivery before a load. The error is an Unready where
// the honest one was not accepted, or the probe shows no effect of it.
func (w *Witness) Begin(ctx context.Context) error {
	if err := w.count(ctx, 0); err != nil {
		return cmp.Or(ctx.Err(), blind(err))
	}
	honest, token, err := w.control(ctx, "before", attack.Honest)
	if err = cmp.Or(ctx.Err(), err); err != nil {
		return err
	}
	if !honest.Accepted {
		return Unready{"an honest delivery before it was not accepted: " + honest.Got, "check --target, --profile and --secret, and see hookanvil send"}
	}
	if err := w.shows(ctx, token); err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	forged, _, err := w.control(ctx, "before", attack.Forged)
	w.controls = append(w.controls, honest, forged)
	return cmp.Or(ctx.Err(), err)
}

// Closes tells that the target closed the connection of an honest delivery.
func (w *Witness) Closes() bool { return w.closes }

// End sends an honest and a forged delivery after a load, and has the measurement tell of
// all that was seen.
func (w *Witness) End(ctx context.Context, m *reports.Measurement) error {
	if ctx.Err() == nil {
		honest, err := w.calm(ctx, "after")
		if err != nil {
			return err
		}
		forged, _, err := w.control(ctx, "after", attack.Forged)
		if err != nil {
			return err
		}
		if ctx.Err() == nil {
			w.controls = append(w.controls, honest, forged)
		}
	}
	m.Controls = w.controls
	return nil
}

// kept is how many exchanges the evidence of a case has.
const kept = 12

// record keeps an exchange as evidence and hands it to the journal, before anything is
// concluded from it.
func (t *trial) record(label string, x wire.Exchange) error {
	e := evidence.Of(label, x, t.started)
	if err := t.records.observe(t.c.Name(), e); err != nil {
		t.broken = err
		return err
	}
	if len(t.result.Evidence) < kept {
		t.result.Evidence = append(t.result.Evidence, e)
	}
	return nil
}
