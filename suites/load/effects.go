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

// Watch has a load tell of deliveries that are to be looked up.
func (w *Witness) Watch(o *attack.Options) {
	if w.receiver.Probe != nil {
		o.Sample, o.Sampled = mostExamined, func(all []attack.Delivery) { w.sample = all }
	}
}

// count reads what a probe that is not keyed has counted before a load.
func (w *Witness) count(ctx context.Context, least int) (err error) {
	if w.receiver.Probe != nil && !w.receiver.Probe.Keyed() {
		w.counted, err = w.total(ctx, least)
	}
	return err
}

// shows makes sure that the probe shows the effect of a delivery that was accepted.
func (w *Witness) shows(ctx context.Context, token string) error {
	if w.receiver.Probe == nil {
		return nil
	}
	before, seen := w.counted, false
	var err error
	if w.receiver.Probe.Keyed() {
		var counts map[string]int
		counts, err = w.settled(ctx, []string{token})
		seen = counts[token] > 0
	} else {
		err = w.count(ctx, before+1)
		seen = w.counted > before
	}
	switch {
	case err != nil:
		return blind(err)
	case !seen:
		return Unready{
			fmt.Sprintf("an honest delivery before it was accepted, and the probe (%s) showed no effect of it within %s", w.receiver.Probe, w.receiver.Settle),
			"check the probe: {token} stands for the delivery's id",
		}
	}
	return nil
}

// blind is what a probe that cannot be read makes of a load.
func blind(err error) error {
	return Unready{"its effects cannot be looked up: " + err.Error(), "check the probe, or leave it out"}
}

// Effects looks up what became of the deliveries of a load that is over. The notes say
// what may have been missed.
func (w *Witness) Effects(ctx context.Context, m *reports.Measurement) (notes []string, err error) {
	switch {
	case w.receiver.Probe == nil:
		return nil, nil
	case !w.receiver.Probe.Keyed():
		return w.countTotal(ctx, m)
	}
	byClass := map[string][]string{} // tokens
	var accepted, refusable []string
	for _, d := range w.sample {
		switch class := string(d.Class); {
		case reports.MustBeRefused(class):
			byClass[class] = append(byClass[class], d.Token)
			refusable = append(refusable, d.Token)
		case d.Outcome == "accepted" && takesEffect(d.Class):
			byClass[class] = append(byClass[class], d.Token)
			accepted = append(accepted, d.Token)
		}
	}
	accepted = distinct(accepted)
	counts, err := w.settled(ctx, accepted)
	if err == nil {
		err = w.lookUp(ctx, refusable, counts)
	}
	if err != nil {
		return nil, err
	}
	if len(accepted) > 0 {
		m.Total.Effects = effectsOf("", accepted, counts)
	}
	for i := range m.Classes {
		class := m.Classes[i].Class
		if tokens := distinct(byClass[class]); len(tokens) > 0 {
			m.Classes[i].Effects = effectsOf(class, tokens, counts)
		}
	}
	return missed(m, len(accepted)), nil
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
func (w *Witness) total(ctx context.Context, least int) (int, error) {
	wait := w.patience()
	for last := -1; ; {
		n, err := w.receiver.Probe.Count(ctx, "")
		if err != nil || n == last && n >= least || wait.over(n > last) {
			return n, err
		}
		if last = n; !pause(ctx, quiet(w.receiver.Settle)) {
			return n, ctx.Err()
		}
	}
}

// countTotal compares what a total has grown by with the deliveries that were accepted.
// One that was sent and not accepted may have taken effect all the same: it is not held
// against the target.
func (w *Witness) countTotal(ctx context.Context, m *reports.Measurement) (notes []string, err error) {
	var accepted, possible int64
	for _, one := range m.Classes {
		if class := attack.Class(one.Class); class == attack.Honest || class == attack.Oversized {
			accepted, possible = accepted+one.Accepted, possible+one.Sent
		}
	}
	before := w.counted
	if err := w.count(ctx, before+int(accepted)); err != nil || accepted == 0 {
		return nil, err
	}
	grown := int64(w.counted - before)
	effects := &reports.Effects{Examined: accepted, Lost: max(0, accepted-grown), Repeated: max(0, grown-possible)}
	m.Total.Effects = effects
	for i := range m.Classes {
		if takesEffect(attack.Class(m.Classes[i].Class)) {
			m.Classes[i].Effects = effects
		}
	}
	return []string{fmt.Sprintf("the probe counted %d effects of %d deliveries that were accepted: it cannot tell them apart, so that a loss and a repetition may cancel each other out", grown, accepted)}, nil
}

// missed says what may not have been seen where a class had more deliveries than are
// looked up.
func missed(m *reports.Measurement, examined int) []string {
	sampled := slices.ContainsFunc(m.Classes, func(t reports.Traffic) bool { return t.Planned > mostExamined && takesEffect(attack.Class(t.Class)) })
	if examined == 0 || !sampled {
		return nil
	}
	// Where none of n is wrong, more than 3/n are with a probability of 5 % at most.
	return []string{fmt.Sprintf("of %d deliveries that were accepted the effects of %d were looked up, at random where a class has more than %d: what befalls more than %.2g%% of them is found with 95%% confidence",
		m.Total.Accepted, examined, mostExamined, 300/float64(examined))}
}

// patience is how long is waited for effects: as long as they go on showing, since what is
// acknowledged at once may be done later, and then for the time to settle.
type patience struct {
	settle      time.Duration
	until, last time.Time
}

// mostPatience is how many times the time to settle is waited at most.
const mostPatience = 30

func (w *Witness) patience() *patience {
	now := time.Now()
	return &patience{w.receiver.Settle, now.Add(w.receiver.Settle), now.Add(mostPatience * w.receiver.Settle)}
}

// over tells that the time is over, given whether more has shown since it was last asked.
func (p *patience) over(progress bool) bool {
	now := time.Now()
	if progress {
		p.until = now.Add(p.settle)
	}
	return now.After(p.until) || now.After(p.last)
}

// settled reads the counts of tokens until each has an effect, or the time for effects to
// show is over; and once more after a quiet time, to see that none has a second one.
func (w *Witness) settled(ctx context.Context, tokens []string) (map[string]int, error) {
	counts := make(map[string]int, len(tokens))
	wait := w.patience()
	for missing := tokens; len(missing) > 0; {
		if err := w.lookUp(ctx, missing, counts); err != nil {
			return nil, err
		}
		before := len(missing)
		missing = slices.DeleteFunc(slices.Clone(missing), func(token string) bool { return counts[token] > 0 })
		if wait.over(len(missing) < before) || len(missing) > 0 && !pause(ctx, 50*time.Millisecond) {
			break
		}
	}
	pause(ctx, quiet(w.receiver.Settle))
	return counts, w.lookUp(ctx, tokens, counts)
}

// quiet is how long is waited to see that nothing more follows.
func quiet(settle time.Duration) time.Duration { return min(settle/4, 500*time.Millisecond) }

// lookUp reads the counts of tokens, several at the same time.
func (w *Witness) lookUp(ctx context.Context, tokens []string, counts map[string]int) error {
	var mu sync.Mutex
	var failed error
	var running sync.WaitGroup
	places := make(chan struct{}, lookups)
	for _, token := range tokens {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			n, err := w.receiver.Probe.Count(ctx, token)
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

func effectsOf(class string, tokens []string, counts map[string]int) *reports.Effects {
	e := &reports.Effects{Examined: int64(len(tokens))}
	for _, token := range tokens {
		switch n := counts[token]; {
		case reports.MustBeRefused(class) && n > 0:
			e.Taken++
		case reports.MustBeRefused(class):
		case n == 0:
			e.Lost++
		case n > 1:
			e.Repeated++
		}
	}
	return e
}
