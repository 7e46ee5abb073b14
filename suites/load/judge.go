package load

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
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
	records Recorder
	started time.Time
}

// NewJudge returns a judge of s. The same seed plans the same deliveries.
func NewJudge(s Subject, seed uint64, records Recorder) *Judge {
	return &Judge{subject: s.filled(), seed: seed, records: records, started: time.Now()}
}

// Run judges one case.
func (j *Judge) Run(ctx context.Context, c scenarios.Case) reports.Result {
	start := time.Now()
	result := reports.Result{ID: c.Name(), Title: c.Title, Level: string(c.Level), Source: c.Source, Why: c.Why, Fix: c.Fix}
	if need, reason := lacks(c, j.subject); reason != "" {
		result.Verdict, result.Reason, result.Lacks = reports.Skip, reason, need
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
	t := &trial{Judge: j, Witness: NewWitness(j.subject, seed), c: c, seed: seed, result: &result}
	t.Witness.record = t.record
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
	*Witness
	c      scenarios.Case
	seed   uint64
	result *reports.Result
	broken error // the journal could not be written
}

// finding is what a case, or a part of it, found.
type finding struct {
	verdict reports.Verdict
	reason  string
}

func passed() finding { return finding{verdict: reports.Pass} }

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
	before, err := t.calm(ctx, "before")
	switch {
	case err != nil:
		return inconclusive("%s", err)
	case !before.Accepted:
		return inconclusive("the honest delivery before it was not accepted: %s", before.Got)
	}
	counts := asksForEffects(t.c)
	if counts {
		if err := t.count(ctx, 0); err != nil {
			return inconclusive("effects could not be counted: %s", err)
		}
	}
	m, err := t.attack(ctx)
	if err != nil {
		return inconclusive("the load could not be sent: %s", err)
	}
	m.Controls = []reports.Control{before}
	defer t.tell(&m)
	if err := t.measured(m); err != nil {
		return inconclusive("%s", err)
	}
	if counts && ctx.Err() == nil {
		if f := t.examine(ctx, &m); f.verdict != reports.Pass {
			return f
		}
	}
	for _, one := range t.c.Expect.Thresholds() {
		m.Thresholds = append(m.Thresholds, one.Of(&m))
	}
	f := t.weigh(&m)
	if f.verdict == reports.Fail || ctx.Err() != nil {
		return f
	}
	after, err := t.calm(ctx, "after")
	if err != nil {
		return inconclusive("%s", err)
	}
	m.Controls = append(m.Controls, after)
	return t.weigh(&m)
}

// measured hands what was measured to the journal, before anything is concluded from it:
// what is looked up after a load takes a while, in which it must not be lost.
func (t *trial) measured(m reports.Measurement) error {
	err := t.records.measured(t.c.Name(), m)
	if err != nil {
		t.broken = err
	}
	return err
}

// examine looks up the effects of a load that is over.
func (t *trial) examine(ctx context.Context, m *reports.Measurement) finding {
	notes, err := t.Effects(ctx, m)
	if err != nil {
		return inconclusive("effects could not be counted: %s", err)
	}
	t.tellEffects(m, notes)
	if err := t.measured(*m); err != nil {
		return inconclusive("%s", err)
	}
	return passed()
}

// attack sends the load, with slow clients beside it where a stage has some.
func (t *trial) attack(ctx context.Context) (m reports.Measurement, err error) {
	plan, err := t.planOf(t.c.Load, t.seed)
	if err != nil {
		return m, err
	}
	target := t.subject.Target
	if t.c.Load.Fresh {
		target.Headers = append(target.Headers.Clone(), wire.Header{Name: "Connection", Value: "close"})
	}
	options := attack.Options{Abort: AbortOn(t.c.AbortOn.Thresholds())}
	t.Watch(&options)
	during, stop := context.WithCancel(ctx)
	var beside sync.WaitGroup
	t.slowClients(during, &beside)
	m, err = attack.Run(ctx, target, plan, options)
	stop()
	beside.Wait()
	return m, err
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
			request, _, err := t.request(attack.Honest)
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

// weigh is what became of the thresholds.
func (t *trial) weigh(m *reports.Measurement) finding {
	verdict, reason := m.Weigh()
	switch {
	case verdict == reports.Pass:
		return passed()
	case verdict == reports.Inconclusive && len(m.Invalid) > 0:
		reason += ": " + strings.Join(m.Invalid, "; ")
	case verdict == reports.Inconclusive && m.State == reports.Aborted:
		reason += ": " + strings.Join(m.Notes, "; ")
	}
	return finding{verdict, reason}
}
