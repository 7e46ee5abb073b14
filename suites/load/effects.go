package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites/load/attack"
)

// mostExamined is how many deliveries of a class are looked up at most: of more, a
// random sample.
const mostExamined = 2000

// lookups are how many are looked up at the same time.
const lookups = 8

// countEffects looks up what the accepted deliveries have led to. Before is the total
// that a probe which is not keyed had counted.
func (t *trial) countEffects(ctx context.Context, m *reports.Measurement, sample []attack.Delivery, before int) error {
	if !t.subject.Probe.Keyed() {
		return t.countTotal(ctx, m, before)
	}
	byClass := map[string][]string{} // tokens
	var all []string
	for _, d := range sample {
		if d.Outcome == "accepted" && takesEffect(d.Class) {
			byClass[string(d.Class)] = append(byClass[string(d.Class)], d.Token)
			all = append(all, d.Token)
		}
	}
	all = distinct(all)
	counts, err := t.settled(ctx, all)
	if err != nil || len(all) == 0 {
		return err
	}
	m.Total.Effects = effectsOf(all, counts)
	for i := range m.Classes {
		if tokens := distinct(byClass[m.Classes[i].Class]); len(tokens) > 0 {
			m.Classes[i].Effects = effectsOf(tokens, counts)
		}
	}
	t.tellSample(m, len(all))
	return nil
}

// takesEffect tells of classes whose deliveries, once accepted, must have had an effect.
func takesEffect(class attack.Class) bool {
	return slices.Contains([]attack.Class{attack.Honest, attack.Duplicate, attack.Replayed, attack.Oversized}, class)
}

func distinct(tokens []string) []string {
	slices.Sort(tokens)
	return slices.Compact(tokens)
}

// total is what a probe that is not keyed counts, once it has stopped growing.
func (t *trial) total(ctx context.Context, least int) (int, error) {
	until := time.Now().Add(t.subject.Settle)
	for last := -1; ; {
		n, err := t.subject.Probe.Count(ctx, "")
		if err != nil || n == last && n >= least || time.Now().After(until) {
			return n, err
		}
		if last = n; !pause(ctx, quiet(t.subject.Settle)) {
			return n, ctx.Err()
		}
	}
}

// countTotal compares what a total has grown by with the deliveries that were accepted.
// One that was sent and not accepted may have taken effect all the same: it is not held
// against the target.
func (t *trial) countTotal(ctx context.Context, m *reports.Measurement, before int) error {
	var accepted, possible int64
	for _, one := range m.Classes {
		if class := attack.Class(one.Class); class == attack.Honest || class == attack.Oversized {
			accepted, possible = accepted+one.Accepted, possible+one.Sent
		}
	}
	after, err := t.total(ctx, before+int(accepted))
	if err != nil || accepted == 0 {
		return err
	}
	grown := int64(after - before)
	effects := &reports.Effects{Examined: accepted, Lost: max(0, accepted-grown), Repeated: max(0, grown-possible)}
	m.Total.Effects = effects
	for i := range m.Classes {
		if takesEffect(attack.Class(m.Classes[i].Class)) {
			m.Classes[i].Effects = effects
		}
	}
	t.figure("effects", float64(grown), "count", fmt.Sprintf("in all, of %d deliveries that were accepted: the probe cannot tell them apart, so that a loss and a repetition may cancel each other out", accepted))
	return nil
}

// tellSample says how much was looked up, and what may have been missed.
func (t *trial) tellSample(m *reports.Measurement, examined int) {
	note := "every accepted delivery was looked up"
	if accepted := m.Total.Accepted; examined > 0 && int64(examined) < accepted {
		// Where none of n is wrong, more than 3/n are with a probability of 5 % at most.
		note = fmt.Sprintf("distinct ones of %d that were accepted, at random where there are more than %d of a class: what befalls more than %.2g%% of them is found with 95%% confidence",
			accepted, mostExamined, 300/float64(examined))
	}
	t.figure("effects examined", float64(examined), "count", note)
}

// settled reads the counts of tokens until each has an effect, or the time for effects to
// show is over; and once more after a quiet time, to see that none has a second one.
func (t *trial) settled(ctx context.Context, tokens []string) (map[string]int, error) {
	counts := make(map[string]int, len(tokens))
	until := time.Now().Add(t.subject.Settle)
	for missing := tokens; len(missing) > 0; {
		if err := t.lookUp(ctx, missing, counts); err != nil {
			return nil, err
		}
		missing = slices.DeleteFunc(slices.Clone(missing), func(token string) bool { return counts[token] > 0 })
		if time.Now().After(until) || len(missing) > 0 && !pause(ctx, 50*time.Millisecond) {
			break
		}
	}
	pause(ctx, quiet(t.subject.Settle))
	return counts, t.lookUp(ctx, tokens, counts)
}

// quiet is how long is waited to see that nothing more follows.
func quiet(settle time.Duration) time.Duration { return min(settle/4, 500*time.Millisecond) }

// lookUp reads the counts of tokens, several at the same time.
func (t *trial) lookUp(ctx context.Context, tokens []string, counts map[string]int) error {
	var mu sync.Mutex
	var failed error
	var running sync.WaitGroup
	places := make(chan struct{}, lookups)
	for _, token := range tokens {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			n, err := t.subject.Probe.Count(ctx, token)
			mu.Lock()
			defer mu.Unlock()
			counts[token] = n
			if failed == nil {
				failed = err
			}
		})
	}
	running.Wait()
	return failed
}

func effectsOf(tokens []string, counts map[string]int) *reports.Effects {
	e := &reports.Effects{Examined: int64(len(tokens))}
	for _, token := range tokens {
		switch n := counts[token]; {
		case n == 0:
			e.Lost++
		case n > 1:
			e.Repeated++
		}
	}
	return e
}
