package load

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites/load/attack"
)

// Judge judges one receiver under load. Cases are run one at a time: each takes the
// whole machine.
type Judge struct {
	subject Subject
	seed    uint64
	observe func(caseName string, x reports.Exchange) error
	started time.Time
}

// NewJudge returns a judge of s. The same seed plans the same deliveries. Observe is
// given each control before it influences a verdict; it may be nil.
func NewJudge(s Subject, seed uint64, observe func(caseName string, x reports.Exchange) error) *Judge {
	if observe == nil {
		observe = func(string, reports.Exchange) error { return nil }
	}
	return &Judge{subject: s.filled(), seed: seed, observe: observe, started: time.Now()}
}

// Run judges one case.
func (j *Judge) Run(ctx context.Context, c scenarios.Case) reports.Result {
	start := time.Now()
	result := reports.Result{ID: c.Name(), Title: c.Title, Level: string(c.Level), Source: c.Source, Why: c.Why}
	if reason := j.Lacks(c); reason != "" {
		result.Verdict, result.Reason = reports.Skip, reason
		return result
	}
	result.StatusOnly = j.subject.Probe == nil
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	h := fnv.New64a()
	h.Write([]byte(c.Name()))
	// Two cases must not send the same ids, which the receiver would take for replays.
	seed := j.seed ^ h.Sum64()
	t := &trial{Judge: j, c: c, seed: seed, rand: rand.New(rand.NewPCG(seed, 0)), result: &result}
	f := t.guarded(ctx, t.judge(ctx))
	result.Verdict, result.Reason = f.verdict, f.reason
	if result.Verdict == reports.Fail && c.Level != scenarios.Must {
		result.Verdict = reports.Warn
	}
	result.Duration = time.Since(start)
	return result
}

// trial is the judging of one case.
type trial struct {
	*Judge
	c      scenarios.Case
	seed   uint64
	rand   *rand.Rand
	result *reports.Result
	broken error // the journal could not be written
}

// finding is what a case, or a part of it, found.
type finding struct {
	verdict reports.Verdict
	reason  string
}

func passed() finding { return finding{verdict: reports.Pass} }

func failed(format string, args ...any) finding {
	return finding{reports.Fail, fmt.Sprintf(format, args...)}
}

func inconclusive(format string, args ...any) finding {
	return finding{reports.Inconclusive, fmt.Sprintf(format, args...)}
}

// guarded lets no verdict stand that an interruption, or a journal that cannot be
// written, may have influenced.
func (t *trial) guarded(ctx context.Context, f finding) finding {
	switch {
	case t.broken != nil:
		return inconclusive("the observation could not be recorded: %s", t.broken)
	case f.verdict == reports.Fail:
		return f
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return inconclusive("the case did not end within %s", t.c.Timeout)
	case ctx.Err() != nil:
		return inconclusive("the run was interrupted")
	}
	return f
}

// judge sends the load between two honest deliveries.
func (t *trial) judge(ctx context.Context) finding {
	if f := t.calm(ctx, "control before"); f.verdict != reports.Pass {
		return inconclusive("the honest delivery before it was not accepted: %s", f.reason)
	}
	before, counts := 0, asksForEffects(t.c)
	if counts && !t.subject.Probe.Keyed() {
		var err error
		if before, err = t.total(ctx, 0); err != nil {
			return inconclusive("effects could not be counted: %s", err)
		}
	}
	m, sample, err := t.attack(ctx)
	if err != nil {
		return inconclusive("the load could not be sent: %s", err)
	}
	if counts && ctx.Err() == nil {
		if err := t.countEffects(ctx, &m, sample, before); err != nil {
			return inconclusive("effects could not be counted: %s", err)
		}
	}
	for _, one := range t.c.Expect.Thresholds() {
		m.Thresholds = append(m.Thresholds, one.Of(&m))
	}
	t.tell(&m)
	f := t.weigh(&m)
	if f.verdict == reports.Fail || ctx.Err() != nil {
		return f
	}
	switch after := t.calm(ctx, "control after"); {
	case after.verdict == reports.Fail:
		return failed("the target stopped serving: when the load was over, %s", after.reason)
	case f.verdict == reports.Pass && after.verdict != reports.Pass:
		return inconclusive("the honest delivery after it was not accepted: %s", after.reason)
	}
	return f
}

// attack sends the load, with slow clients beside it where a stage has some.
func (t *trial) attack(ctx context.Context) (m reports.Measurement, sample []attack.Delivery, err error) {
	plan, err := t.planOf(t.c.Load, t.seed)
	if err != nil {
		return m, nil, err
	}
	target := t.subject.Target
	if t.c.Load.Fresh {
		target.Headers = append(target.Headers.Clone(), wire.Header{Name: "Connection", Value: "close"})
	}
	options := attack.Options{Abort: AbortOn(t.c.AbortOn.Thresholds()), Sample: mostExamined, Sampled: func(all []attack.Delivery) { sample = all }}
	during, stop := context.WithCancel(ctx)
	var beside sync.WaitGroup
	t.slowClients(during, &beside)
	m, err = attack.Run(ctx, target, plan, options)
	stop()
	beside.Wait()
	return m, sample, err
}

// slowness is the time between two bytes of a slow client, in milliseconds.
const slowness = 100

// slowClients has connections send a head a byte at a time, from the first quarter of a
// stage to its end.
func (t *trial) slowClients(ctx context.Context, beside *sync.WaitGroup) {
	way, _ := wire.FindWay("slow-head")
	from := time.Duration(0)
	for _, s := range t.c.Load.Stages {
		d := s.For.Of(t.subject.Time)
		for i := range s.Slow {
			request, err := t.request()
			if err != nil {
				return // the control has failed for the same reason
			}
			script := way.Write(request, slowness)
			// They come one after the other: all at once would cost us a moment ourselves.
			late := d / 4 * time.Duration(i) / time.Duration(s.Slow)
			wait, stay := from+late, d-late
			beside.Go(func() { t.slowClient(ctx, script, wait, stay) })
		}
		from += d
	}
}

// slowClient comes again when it was turned away.
func (t *trial) slowClient(ctx context.Context, script wire.Script, from, d time.Duration) {
	if !pause(ctx, from) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for ctx.Err() == nil {
		wire.Do(ctx, t.subject.Endpoint, script, wire.Limits{Total: d})
		pause(ctx, 20*time.Millisecond)
	}
}

// pause waits, and tells whether it was not interrupted.
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

// weigh joins what became of the thresholds. Where we did not keep time, it excuses what
// is slow, lost or missing, but no forgery that was accepted; and that no time was kept
// is no matter where none is asked for, every hit was begun and nothing is broken.
func (t *trial) weigh(m *reports.Measurement) finding {
	var broken, certain, unmeasured []string
	timeless := true
	for i, result := range m.Thresholds {
		asked := t.c.Expect.Thresholds()[i]
		timeless = timeless && asked.Timeless()
		text := fmt.Sprintf("%s does not hold: %s", result.Text, result.Got)
		switch {
		case result.Unmeasured:
			unmeasured = append(unmeasured, fmt.Sprintf("%s: %s", result.Text, result.Got))
		case result.Holds:
		case asked.Certain():
			certain = append(certain, text)
			fallthrough
		default:
			broken = append(broken, text)
		}
	}
	excused := timeless && len(broken) == 0 && delivered(m)
	switch {
	case len(m.Invalid) > 0 && len(certain) > 0:
		return failed("%s", strings.Join(certain, "; "))
	case len(m.Invalid) > 0 && !excused:
		return inconclusive("the load was not sent as it should be, so that nothing can be said of the target: %s", strings.Join(m.Invalid, "; "))
	case len(broken) > 0:
		return failed("%s", strings.Join(broken, "; "))
	case m.State == reports.Aborted:
		return inconclusive("the load was ended early: %s", strings.Join(m.Notes, "; "))
	case len(unmeasured) > 0:
		return inconclusive("%s", strings.Join(unmeasured, "; "))
	}
	if doubt := m.Doubt(); doubt != "" {
		return inconclusive("%s", doubt)
	}
	return passed()
}

// delivered tells that the load was sent, however evenly: nearly all hits were begun, and
// none failed on this machine.
func delivered(m *reports.Measurement) bool {
	g := m.Generator
	return g.Achieved >= 0.99*g.Target && float64(g.Dropped) <= 0.001*float64(m.Total.Planned) && m.Total.Errors["harness"] == 0
}
