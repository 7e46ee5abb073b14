package sender

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"

	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// Bounds of the evidence.
const (
	keptExchanges = 40
	shown         = 4 << 10 // of a request, and of an answer
)

// keep records an attempt that is over. The caller holds mu.
func (t *trial) keep(a *attempt) {
	t.keepExchange(t.exhibit(a))
	t.sights.see(t, a)
}

// keepExchange records something that was observed. The caller holds mu.
func (t *trial) keepExchange(x reports.Exchange) {
	if err := t.observe(t.c.Name(), x); err != nil && t.broken == nil {
		t.broken = fmt.Errorf("the observation could not be recorded: %w", err)
	}
	if len(t.evidence) < keptExchanges {
		t.evidence = append(t.evidence, x)
	}
}

// keepUnfinished records the attempts, and the connections, that are not over when the
// case ends.
func (t *trial) keepUnfinished() {
	for _, d := range t.deliveries {
		for _, a := range d.attempts {
			if !a.done {
				t.keep(a)
			}
		}
	}
	for _, e := range t.endpoints {
		for _, s := range e.tls.open() {
			t.exhibitConnection(e, s, wire.Incident{})
		}
	}
}

// exhibit makes evidence of an attempt: printable and bounded. Secrets are taken out
// when the evidence is recorded.
func (t *trial) exhibit(a *attempt) reports.Exchange {
	request := append(bytes.Clone(a.request.Head), a.request.Body...)
	x := reports.Exchange{
		Label: a.name(), Delivery: a.delivery.name(), Attempt: a.n, Outcome: a.outcome(), Status: a.reply.Status, Notes: t.notesOn(a),
		Received: reports.Printable(request, shown), ReceivedBytes: int64(len(request)),
		Sent: reports.Printable(answerText(a), shown), SentBytes: a.how.Sent, Remote: a.request.Remote.String(),
		TLS: tlsEvidence(a.request.TLS), StartedMS: milliseconds(a.arrived.Sub(t.started)), FirstByteMS: milliseconds(a.whole.Sub(a.arrived)),
	}
	if a.done {
		x.DurationMS = milliseconds(a.ended().Sub(a.arrived))
	}
	return x
}

// mark says of an attempt among the evidence what is wrong with it.
func (t *trial) mark(a *attempt, reason string) {
	name := a.name()
	i := slices.IndexFunc(t.evidence, func(x reports.Exchange) bool { return x.Label == name })
	if i < 0 || t.evidence[i].Detail != "" {
		return
	}
	x := &t.evidence[i]
	x.Detail, x.Notes = reason, slices.DeleteFunc(slices.Clone(x.Notes), func(note string) bool { return note == reason })
}

// answerText is the answer as the scenario meant it: what a way of answering made of
// it crosses the wire, and is named in the outcome.
func answerText(a *attempt) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", a.reply.Status, http.StatusText(a.reply.Status))
	for _, h := range a.reply.Headers {
		b.WriteString(h.Name + ": " + h.Value + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(a.reply.Body)
	return b.Bytes()
}

// notesOn says when an attempt came, and what became of its signature.
func (t *trial) notesOn(a *attempt) (notes []string) {
	if a.n > 1 {
		before := a.delivery.attempts[a.n-2]
		notes = append(notes, fmt.Sprintf("%s after the end of attempt %d", show(a.arrived.Sub(before.ended())), a.n-1))
	} else if ev := a.delivery.event; ev != nil {
		notes = append(notes, fmt.Sprintf("%s after the event was fired", show(a.arrived.Sub(ev.fired))))
	}
	if s := a.delivery.to.tls.shakeOf(a.request.ConnID); s != nil {
		notes = append(notes, "over "+s.name())
	}
	switch {
	case !t.subject.Profile.Signed():
	case a.active == nil:
		notes = append(notes, "its signature verifies")
	case t.subject.Next != nil && a.next == nil:
		notes = append(notes, "its signature verifies with the next secret")
	default:
		notes = append(notes, "its signature does not verify: "+a.active.Error())
	}
	return notes
}

// name tells which attempt it is.
func (a *attempt) name() string {
	return fmt.Sprintf("attempt %d of %s", a.n, a.delivery.name())
}

// name tells whose delivery it is.
func (d *delivery) name() string {
	t := d.trial()
	if d.event == nil {
		return "a delivery that no event explains"
	}
	name := "the event"
	if len(t.events) > 1 {
		for i, ev := range t.events {
			if ev == d.event {
				name = fmt.Sprintf("event %d", i+1)
			}
		}
		if as := t.c.Trigger[d.event.step].As; as != "" {
			name += fmt.Sprintf(" (%s)", as)
		}
	}
	if len(t.endpoints) > 1 {
		name += " at " + d.to.spec.Name
	}
	return name
}

// outcome tells how an attempt was answered, and how it ended.
func (a *attempt) outcome() string {
	text := fmt.Sprint(statusOf(a.answer))
	if a.answer.Way != nil {
		text += " (" + a.answer.Way.Name + argument(*a.answer.Way) + ")"
	}
	switch {
	case !a.done:
		return text + ", still under way"
	case a.how.PeerClosed != "" && !a.how.Whole:
		return fmt.Sprintf("%s, given up by the sender (%s) after %s", text, a.how.PeerClosed, show(a.ended().Sub(a.whole)))
	}
	return text
}

func argument(w scenarios.Word) string {
	if w.Arg == nil {
		return ""
	}
	return fmt.Sprintf(": %v", w.Arg)
}

func milliseconds[D interface{ Microseconds() int64 }](d D) float64 {
	return float64(d.Microseconds()) / 1000
}

func (t *trial) figure(name string, value float64, unit, note string) {
	t.figures = append(t.figures, reports.Figure{Name: name, Value: value, Unit: unit, Note: note})
}

// phrase says what an action came to.
func (o Outcome) phrase() string {
	if o.Status == http.StatusUnauthorized || o.Status == http.StatusForbidden {
		return fmt.Sprintf("it was answered %d %s: what the sender's API asks for is given with --hook-header 'Authorization: env:NAME'", o.Status, http.StatusText(o.Status))
	}
	if o.Status != 0 {
		return fmt.Sprintf("it was answered %d %s", o.Status, http.StatusText(o.Status))
	}
	return fmt.Sprintf("the command ended with exit code %d", o.Exit)
}
