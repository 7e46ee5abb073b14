package receiver

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites/evidence"
)

// seen is what a step led to.
type seen struct {
	step       scenarios.Step
	deliveries []*delivery
	readings   []reading
	counts     map[string]int // effects by the first token of a delivery; nil where unknown
	exhibit    int            // where its first exchange stands in the evidence
}

// effects of the step's deliveries together; unknown where it is negative.
func (s seen) effects() int {
	if s.counts == nil {
		return unknown
	}
	sum := 0
	for _, n := range s.counts {
		sum += n
	}
	return sum
}

// unknown effects: there is no probe, or it could not be read.
const unknown = -1

// tokens identify the step's deliveries to the probe.
func (s seen) tokens() [][]string {
	var all [][]string
	known := map[string]bool{}
	for _, d := range s.deliveries {
		if !known[d.tokens[0]] {
			known[d.tokens[0]] = true
			all = append(all, d.tokens)
		}
	}
	return all
}

// performAll performs the steps of the case in order.
func (t *trial) performAll(ctx context.Context) ([]seen, error) {
	steps := make([]seen, 0, len(t.c.Send))
	for i, step := range t.c.Send {
		s, err := t.perform(ctx, step, stepLabel(i, t.c.Send), true)
		if err != nil {
			return nil, fmt.Errorf("step %d: %w", i+1, err)
		}
		steps = append(steps, s)
	}
	t.recount(ctx, steps)
	return steps, nil
}

// stepLabel names a step in the evidence.
func stepLabel(i int, steps scenarios.Steps) string {
	s, name := steps[i], "delivery"
	if len(steps) > 1 {
		name = fmt.Sprintf("delivery %d of %d", i+1, len(steps))
	}
	switch {
	case s.Mutate != nil:
		name += fmt.Sprintf(": %s %s", s.Mutate.Part, s.Mutate.Name)
	case s.Replay != "":
		name += ": replay"
	case s.Retry != "":
		name += ": retry"
	case s.TLS != nil:
		name += ": " + connectionLabel(s.TLS)
	case s.Wire != nil:
		name += ": " + s.Wire.Name
	}
	return name
}

// perform sends what a step describes and reads the answers.
func (t *trial) perform(ctx context.Context, step scenarios.Step, label string, mutated bool) (seen, error) {
	s := seen{step: step, exhibit: len(t.evidence)}
	deliveries, err := t.prepare(step, mutated)
	if err != nil {
		return s, err
	}
	s.deliveries = deliveries
	if step.As != "" {
		t.named[step.As] = deliveries[0]
	}
	if step.After > 0 && mutated {
		pause(ctx, step.After)
	}
	t.effects.prime(ctx)
	to, err := t.endpointFor(step)
	if err != nil {
		return s, err
	}
	to.From = deliveries[0].from
	for i, x := range t.sendAll(ctx, to, step, deliveries) {
		shown := evidence.Of(labelled(label, i, max(step.Times, 1)), x, t.started)
		shown.Honest = deliveries[i%len(deliveries)].unaltered(step)
		if err := t.keep(shown); err != nil {
			return s, err
		}
		s.readings = append(s.readings, t.subject.read(x, t.c.Reject)...)
	}
	t.effects.absorb(ctx, t, s)
	return s, nil
}

func labelled(label string, i, of int) string {
	if of == 1 {
		return label
	}
	return fmt.Sprintf("%s, %d of %d", label, i+1, of)
}

// prepare composes the step's deliveries: one, or as many as it says where each
// is to be a delivery of its own.
func (t *trial) prepare(step scenarios.Step, mutated bool) ([]*delivery, error) {
	n := 1
	if step.Fresh {
		n = max(step.Times, 1)
	}
	deliveries := make([]*delivery, n)
	subject, err := t.naming(step)
	if err != nil {
		return nil, err
	}
	for i := range deliveries {
		d, err := subject.compose(step, t.named, t.rand, mutated)
		if err != nil {
			return nil, err
		}
		if mutated && step.Mutate != nil {
			if err := t.changed(step, d); err != nil {
				return nil, err
			}
		}
		deliveries[i] = d
	}
	return deliveries, nil
}

// naming is the subject, and where a request may name a URL of ours the one that it names.
func (t *trial) naming(step scenarios.Step) (*Subject, error) {
	s := t.subject
	var err error
	switch {
	case step.Mutate == nil:
		return &t.subject, nil
	case step.Mutate.Part == "handshake":
		s.callback, err = t.callback()
	case slices.Contains(mutations.find(step.Mutate.Part, step.Mutate.Name).needs, keyCanary):
		s.keyPlace, err = t.luring()
	default:
		return &t.subject, nil
	}
	return &s, err
}

// changed makes sure that a mutation did what it says: that a signature which
// should be wrong is wrong. A forgery that our own verifier takes for honest must
// never be held against a receiver.
func (t *trial) changed(step scenarios.Step, d *delivery) error {
	if !t.expectsRefusal(step) || !forges[step.Mutate.Part] || !t.verifies(d) {
		return nil
	}
	return fmt.Errorf("the mutation {%s: %s} changes nothing that profile %s looks at: the delivery still verifies",
		step.Mutate.Part, step.Mutate.Name, t.subject.Profile.Name)
}

// verifies tells whether a delivery would pass as honest.
func (t *trial) verifies(d *delivery) bool {
	in := profile.Incoming{Method: d.request.Method, URL: d.sentTo(), Headers: d.request.Headers, Body: d.request.Body}
	_, err := t.subject.Profile.Verify(in, t.subject.Keys, d.now)
	return err == nil
}

// forges are the parts whose mutations leave no valid signature.
var forges = map[string]bool{"body": true, "key": true, "signature": true, "asymmetric": true, "credential": true, "unsigned": true, "forged": true, "timestamp": true, "fact": true}

// refusals are the expectations that nothing authentic meets.
var refusals = []string{"rejected", "refused-by-due-status", "refused-in-due-form"}

func (t *trial) expectsRefusal(step scenarios.Step) bool {
	expect := t.c.Expect
	if len(step.Expect) > 0 {
		expect = step.Expect
	}
	return slices.ContainsFunc(expect, func(w scenarios.Word) bool { return slices.Contains(refusals, w.Name) })
}

// sendAll writes the deliveries: each on a connection of its own, or all on one
// where the way of writing says so.
func (t *trial) sendAll(ctx context.Context, to wire.Endpoint, step scenarios.Step, deliveries []*delivery) []wire.Exchange {
	n := max(step.Times, 1)
	if together, ok := onOneConnection[wireName(step)]; ok {
		requests := make([]wire.Request, n)
		for i := range requests {
			requests[i] = deliveries[i%len(deliveries)].request
		}
		return []wire.Exchange{t.send(ctx, to, together(requests...), time.Duration(min(n, 10))*t.subject.Limits.Answer)}
	}
	exchanges := make([]wire.Exchange, n)
	each := func(i int) {
		script, patience := t.script(step, deliveries[i%len(deliveries)].request)
		exchanges[i] = t.send(ctx, to, script, patience)
	}
	if step.Concurrent {
		concurrently(n, each)
		return exchanges
	}
	for i := range exchanges {
		each(i)
	}
	return exchanges
}

// onOneConnection are the ways that write all deliveries of a step on one connection.
var onOneConnection = map[string]func(...wire.Request) wire.Script{
	"keep-alive": wire.KeepAlive,
	"pipelined":  wire.Pipelined,
}

func wireName(step scenarios.Step) string {
	if step.Wire == nil {
		return ""
	}
	return step.Wire.Name
}

// script decides how a request is written, and for how long its end is awaited:
// what is proper HTTP must be answered in time, what is not must be ended.
func (t *trial) script(step scenarios.Step, r wire.Request) (wire.Script, time.Duration) {
	way, ok := wire.FindWay(wireName(step))
	if !ok {
		return r.Script(), t.subject.Limits.Answer
	}
	n, given := step.Wire.Arg.(int)
	if !given {
		n = way.Default
	}
	if way.Lawful {
		return way.Write(r, n), t.subject.Limits.Answer
	}
	return way.Write(r, n), t.subject.Limits.Slow
}

// atOnce bounds how many connections a step opens at the same time.
const atOnce = 64

// concurrently calls f for 0 to n-1, at most atOnce of them at a time, and waits.
func concurrently(n int, f func(int)) {
	var wait sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range n {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wait.Wait()
}

// send writes one script. The total time leaves room beyond the patience that is
// judged, so that an answer which comes late is seen to come late.
func (t *trial) send(ctx context.Context, to wire.Endpoint, script wire.Script, patience time.Duration) wire.Exchange {
	limits := wire.DefaultLimits
	limits.Total = patience + min(patience/2, 2*time.Second) + timeToSend(script)
	return wire.Do(ctx, to, script, limits)
}

// timeToSend allows a slow line a second for every 4 MiB.
func timeToSend(s wire.Script) time.Duration {
	size := 0
	for _, w := range s.Writes {
		size += len(w.Bytes) * max(w.Repeat, 1)
	}
	return time.Duration(size) * time.Second / (4 << 20)
}

// keptExchanges bounds the evidence of one case.
const keptExchanges = 12

// record keeps an exchange as evidence and hands it to the journal, before
// anything is concluded from it.
func (t *trial) record(label string, x wire.Exchange) error {
	return t.keep(evidence.Of(label, x, t.started))
}

func (t *trial) keep(shown reports.Exchange) error {
	if err := t.observe(t.c.Name(), shown); err != nil {
		t.broken = err
		return err
	}
	if len(t.evidence) < keptExchanges {
		t.evidence = append(t.evidence, shown)
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
