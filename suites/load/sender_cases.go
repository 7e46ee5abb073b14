package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites/load/sink"
)

// SenderSubject is a sender under load, and what the run declares.
type SenderSubject struct {
	// Sender has no rate, no time and nothing else that a case says.
	Sender
	// Unfit says why no case can be judged; empty where they can.
	Unfit string

	// Rate, in events per second, and Time are what the shares in scenarios are shares of.
	Rate float64
	Time time.Duration
	// Concurrency is how many attempts at one endpoint the sender declares to have under
	// way at most; 0 where it does not.
	Concurrency int
	Arrival     time.Duration // from an event to its first attempt, at most; 30 s where it is 0
}

// SenderJudge judges one sender under load. Cases that are done in the same way are
// judged by one run: what is measured differs, and what is done does not.
type SenderJudge struct {
	subject SenderSubject
	record  Recorder

	mu   sync.Mutex // held while a run is made: one takes the whole machine
	runs map[string]*SenderRun
}

// NewSenderJudge returns a judge of s.
func NewSenderJudge(s SenderSubject, record Recorder) *SenderJudge {
	if s.Rate <= 0 {
		s.Rate = DefaultRate
	}
	s.Time, s.Arrival = firstOf(s.Time, DefaultTime), firstOf(s.Arrival, 30*time.Second)
	return &SenderJudge{subject: s, record: record, runs: map[string]*SenderRun{}}
}

// Run judges one case.
func (j *SenderJudge) Run(ctx context.Context, c scenarios.Case) reports.Result {
	start := time.Now()
	result := reports.Result{ID: c.Name(), Title: c.Title, Level: string(c.Level), Source: c.Source, Why: c.Why, Fix: c.Fix}
	if reason := j.Lacks(c); reason != "" {
		result.Verdict, result.Reason = reports.Skip, reason
		return result
	}
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	v, run := j.judge(ctx, c)
	result.Verdict, result.Reason, result.Figures = v.Verdict, v.Reason, v.Figures
	if run != nil {
		whole := run.Absorption
		result.Absorbed, result.Evidence = &whole, run.Samples
	}
	if result.Verdict == reports.Fail && c.Level != scenarios.Must {
		result.Verdict = reports.Warn
	}
	result.Duration = time.Since(start)
	return result
}

// Lacks says why a case does not apply to the subject; it is empty where it does.
func (j *SenderJudge) Lacks(c scenarios.Case) string {
	s := j.subject
	switch {
	case s.Unfit != "":
		return s.Unfit
	case c.Measure == "tx-load-fairness" && s.Path != "":
		return "the sender cannot be told of a second endpoint: {url} in --register or --trigger"
	case c.Measure == "tx-load-concurrency-cap" && s.Concurrency == 0:
		return "it is not declared how many attempts at one endpoint are made at once: --concurrency"
	case c.Measure == "tx-load-freshness" && s.Profile.Timestamp == nil:
		return fmt.Sprintf("profile %s sends no timestamp", s.Profile.Name)
	case c.Measure == "tx-load-freshness" && s.Profile.Timestamp.Tolerance == 0:
		return fmt.Sprintf("profile %s declares no tolerance of its timestamp", s.Profile.Name)
	case c.Fire.UpTo != scenarios.Rate{} && c.Fire.UpTo.Of(s.Rate) < c.Fire.Rate.Of(s.Rate):
		return fmt.Sprintf("the rate would be raised from %g/s to %s", c.Fire.Rate.Of(s.Rate), c.Fire.UpTo)
	case c.Fire.Outage != nil:
		return j.lacksRetries(c.Fire.Outage.For.Of(s.Time), j.plan(c.Fire).Settle)
	}
	return ""
}

// lacksRetries says why what an outage held up cannot be waited for: a sender that keeps
// to its schedule may come long after it.
func (j *SenderJudge) lacksRetries(outage, settle time.Duration) string {
	r := j.subject.Profile.Retry
	if r == nil {
		return fmt.Sprintf("profile %s declares no retries: --retry-schedule", j.subject.Profile.Name)
	}
	short, long := r.Spread()
	var passed, latest time.Duration
	for n := 1; ; n++ {
		gap, known := r.Gap(n)
		switch {
		case !known && n == 1:
			return "no schedule of retries is declared: the profile's retry section, or --retry-schedule"
		case !known:
			return fmt.Sprintf("by its schedule the sender has given up before an outage of %s is over", outage)
		}
		// What was fired when the outage began is tried for the last time within it, and then
		// after this gap. Where a gap may be nothing at all, half of it is what to expect.
		latest = time.Duration(float64(gap) * long)
		if passed += time.Duration(float64(gap) * max(short, 0.5)); passed > outage {
			break
		}
	}
	if latest > settle {
		return fmt.Sprintf("by its schedule the sender comes again up to %s after an outage of %s, and %s are watched: --time-scale where it retries faster in test, or --arrival", latest, outage, settle)
	}
	return ""
}

// plan is what a case does to the subject.
func (j *SenderJudge) plan(f *scenarios.Firing) Sender {
	s := j.subject.Sender
	s.Rate, s.Time, s.Endpoints, s.SlowBy = f.Rate.Of(j.subject.Rate), f.For.Of(j.subject.Time), max(f.Endpoints, 1), f.SlowBy
	if s.Path != "" {
		s.Endpoints = 1
	}
	s.Quiet = min(time.Second, j.subject.Time/2)
	// Cases that are done in the same way wait equally long, or could not share a run.
	s.Settle = max(j.subject.Arrival, drained*j.subject.Time)
	if f.SlowBy > 0 {
		// What an endpoint that is slow has not taken until then says nothing of the others.
		s.Settle = 2*j.subject.Time + 2*time.Second
	}
	if o := f.Outage; o != nil {
		s.Outages = []sink.Outage{{From: o.From.Of(j.subject.Time), For: o.For.Of(j.subject.Time), Silent: true}}
	}
	return s
}

// drained is the time, in those that the run declares, for which deliveries are waited
// for at least.
const drained = 4

// judge judges a case by a run of it, which is nil where there was none.
func (j *SenderJudge) judge(ctx context.Context, c scenarios.Case) (SenderVerdict, *SenderRun) {
	run, err := j.fired(ctx, c, c.Fire)
	var before *SenderRun
	if err == nil && c.Measure == "tx-load-fairness" {
		plain := *c.Fire
		plain.SlowBy = 0
		before, err = j.fired(ctx, c, &plain)
	}
	switch {
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return SenderVerdict{}.as(reports.Inconclusive, "the case did not end in time"), nil
	case ctx.Err() != nil:
		return SenderVerdict{}.as(reports.Inconclusive, "the run was interrupted"), nil
	case err != nil:
		return SenderVerdict{}.as(reports.Inconclusive, "%s", err), nil
	}
	i := slices.IndexFunc(SenderMeasures, func(m senderMeasure) bool { return m.ID == c.Measure })
	return SenderMeasures[i].Judge(*run, before, j.bounds(c)), run
}

func (j *SenderJudge) bounds(c scenarios.Case) SenderBounds {
	return SenderBounds{
		Latency: c.Within.Latency, Drain: c.Within.Drain.Of(j.subject.Time), Herd: float64(c.Within.Herd), Fair: float64(c.Within.Fair),
		Rate: c.Within.Rate.Of(j.subject.Rate), Concurrency: j.subject.Concurrency,
	}
}

// fired is the run of what a case does: the one that there was, or a new one. A run
// that failed is nobody's. It is recorded for each case that is judged by it.
func (j *SenderJudge) fired(ctx context.Context, c scenarios.Case, f *scenarios.Firing) (*SenderRun, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.plan(f)
	key := fmt.Sprint(s.Rate, s.Time, s.Endpoints, s.SlowBy, s.Settle, s.Outages)
	if f.UpTo != (scenarios.Rate{}) {
		key += fmt.Sprint(f.UpTo, f.Search, c.Within.Latency)
	}
	run := j.runs[key]
	if run == nil {
		var made SenderRun
		var err error
		if f.UpTo != (scenarios.Rate{}) {
			made, err = j.search(ctx, c, s)
		} else {
			made, err = s.Run(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("the sender could not be loaded: %w", err)
		}
		run = &made
		j.runs[key] = run
	}
	if err := j.record.absorbed(c.Name(), run); err != nil {
		return nil, fmt.Errorf("the observation could not be recorded: %w", err)
	}
	return run, nil
}
