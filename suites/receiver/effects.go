package receiver

import (
	"context"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/probe"
)

// ledger counts the effects of a case's deliveries.
type ledger struct {
	probe probe.Probe
	// total and ofToken serve a probe that knows only a total: what it grew by
	// after each step is put down to that step.
	total   int
	primed  bool
	ofToken map[string]int
	err     error
}

func newLedger(p probe.Probe) *ledger { return &ledger{probe: p, ofToken: map[string]int{}} }

// prime reads an unkeyed probe before the first delivery of a case.
func (l *ledger) prime(ctx context.Context) {
	if l.probe == nil || l.probe.Keyed() || l.primed {
		return
	}
	l.total, l.err = l.probe.Count(ctx, "")
	l.primed = true
}

// absorb reads an unkeyed probe after a step.
func (l *ledger) absorb(ctx context.Context, t *trial, s seen) {
	if l.probe == nil || l.probe.Keyed() || l.err != nil {
		return
	}
	least := 0
	if s.allAnswered(accepted) {
		least = 1
	}
	grown, err := t.await(ctx, func() (int, error) {
		n, err := l.probe.Count(ctx, "")
		return n - l.total, err
	}, least, t.subject.Limits.Settle)
	if err != nil {
		l.err = err
		return
	}
	l.ofToken[s.deliveries[0].tokens[0]] += grown
	l.total += grown
}

// of returns the effects of one delivery known by any of the tokens.
func (l *ledger) of(ctx context.Context, tokens []string) (int, error) {
	if !l.probe.Keyed() {
		return l.ofToken[tokens[0]], l.err
	}
	most := 0
	for _, token := range tokens {
		n, err := l.probe.Count(ctx, token)
		if err != nil {
			return 0, err
		}
		most = max(most, n)
	}
	return most, nil
}

// allAnswered tells whether every reading is the given answer.
func (s seen) allAnswered(a answer) bool {
	for _, r := range s.readings {
		if r.answer != a {
			return false
		}
	}
	return len(s.readings) > 0
}

// recount counts the effects of every step.
func (t *trial) recount(ctx context.Context, steps []seen) {
	for i := range steps {
		t.recountOne(ctx, &steps[i])
	}
}

// recountOne counts the effects of one step, and shows them in the evidence.
func (t *trial) recountOne(ctx context.Context, s *seen) {
	s.counts = t.count(ctx, *s)
	if effects := s.effects(); effects != unknown && s.exhibit < len(t.evidence) {
		t.evidence[s.exhibit].Effects = &effects
	}
}

// count counts the effects of a step's deliveries. Where the answers promise one
// of each it waits for them; where they do not, it waits long enough to have
// seen one. It returns nil where there is no probe, or it cannot be read.
func (t *trial) count(ctx context.Context, s seen) map[string]int {
	if t.effects.probe == nil {
		return nil
	}
	least := 0
	if s.allAnswered(accepted) {
		least = len(s.tokens())
	}
	counts := map[string]int{}
	_, err := t.await(ctx, func() (sum int, err error) {
		for _, tokens := range s.tokens() {
			n, err := t.effects.of(ctx, tokens)
			if err != nil {
				return 0, err
			}
			counts[tokens[0]] = n
			sum += n
		}
		return sum, nil
	}, least, t.subject.Limits.Settle)
	if err != nil {
		t.effects.err = err
		return nil
	}
	return counts
}

// await reads a count until it has reached at least the given number, for at
// most the given time; then once more after a quiet time, to see that it grows
// no further. The quiet time is four times what the slowest honest effect took.
func (t *trial) await(ctx context.Context, count func() (int, error), least int, within time.Duration) (int, error) {
	start := time.Now()
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		began := time.Since(start)
		n, err := count()
		if err != nil {
			return 0, err
		}
		if n >= least {
			// What the first look found was there before it; how long the look itself
			// took says nothing about the receiver.
			t.learn(began)
			break
		}
		if time.Since(start) > within || !pause(ctx, wait) {
			return n, nil
		}
	}
	pause(ctx, t.quiet())
	return count()
}

// learn remembers the longest time that an honest effect took to show.
func (j *Judge) learn(d time.Duration) {
	for {
		known := j.slowEffect.Load()
		if int64(d) <= known || j.slowEffect.CompareAndSwap(known, int64(d)) {
			return
		}
	}
}

func (j *Judge) quiet() time.Duration {
	return min(max(j.subject.Limits.Quiet, 4*time.Duration(j.slowEffect.Load())), j.subject.Limits.Settle)
}

// pause waits, and tells whether it was not interrupted.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
