package load

import (
	"context"
	"fmt"
	"time"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// search raises the rate of events, as FindCapacity does, and returns the run at the
// highest at which the sender kept up, or the first where there was none, with what the
// search came to.
func (j *SenderJudge) search(ctx context.Context, c scenarios.Case, s Sender) (SenderRun, error) {
	// What a trial has left behind is gone before the next begins, or the trial has failed.
	s.Quiet, s.Settle = s.Time/8, max(drained*s.Time, 2*c.Within.Latency)
	// Events that are late by more were fired at another rate.
	s.MaxLag = s.Time / 10
	if c.Within.Latency > 0 {
		s.MaxLag = min(s.MaxLag, c.Within.Latency/10)
	}
	how := Search{
		From: s.Rate, Most: c.Fire.UpTo.Of(j.subject.Rate), Each: s.Time,
		// The last trial may take as long as it is waited for.
		Within: max(c.Fire.Search.Of(j.subject.Time)-s.Settle, s.Time),
	}
	var best SenderRun
	held := 0.0
	found, err := find(ctx, how, func(ctx context.Context, rate float64, _ time.Duration) (t reports.Trial, over bool, err error) {
		s.Rate = rate
		run, err := s.Run(ctx)
		if err != nil {
			return t, false, err
		}
		if err := j.record.absorbed(c.Name(), &run); err != nil {
			return t, false, fmt.Errorf("the observation could not be recorded: %w", err)
		}
		t = run.trial(j.bounds(c))
		if best.Fired == 0 || t.Held && rate > held {
			best = run
		}
		if t.Held {
			held = max(held, rate)
		}
		return t, true, nil
	})
	best.Absorption.Capacity = &found
	return best, err
}

// trial is what a run says of its rate.
func (r SenderRun) trial(b SenderBounds) reports.Trial {
	a := r.Absorption
	t := reports.Trial{Rate: r.Sender.Rate, Throughput: r.Arrived, P50: a.Latency.P50, P99: a.Latency.P99, Invalid: r.Invalid != ""}
	if a.Lost != nil && r.Fired > r.Failed {
		t.Errors = float64(*a.Lost) / float64(r.Fired-r.Failed)
	}
	for _, one := range []struct {
		broken bool
		what   string
	}{
		{r.Failed*100 > r.Fired, fmt.Sprintf("%d of %d triggers failed, the first with: %s", r.Failed, r.Fired, r.Failure)},
		{a.Refused > 0, fmt.Sprintf("%d attempts do not verify", a.Refused)},
		{a.Lost == nil || *a.Lost > 0, fmt.Sprintf("not all events arrived within %s of the last", r.Sender.Settle)},
		{b.Latency > 0 && a.Latency.P99 > milliseconds(b.Latency), fmt.Sprintf("99 of 100 events arrived within %.0f ms only", a.Latency.P99)},
		{r.fallsBehind(), fmt.Sprintf("events waited ever longer: %.0f ms at least in the second quarter of the time, %.0f ms in the last", milliseconds(r.Soonest[1]), milliseconds(r.Soonest[3]))},
	} {
		if one.broken {
			t.Broken = append(t.Broken, one.what)
		}
	}
	t.Held = !t.Invalid && len(t.Broken) == 0
	return t
}

// Bounds of a latency that stands still: what is less may be a moment's.
const (
	leastGrowth = 20 * time.Millisecond
	growth      = 0.05 // of the time that has gone by
)

// fallsBehind tells of a queue that grows: even the event that waited least waited longer
// in the last quarter of the time than in the second. That a delivery takes its time, that a
// queue is emptied now and then only, or a short stall, is not taken for it.
func (r SenderRun) fallsBehind() bool {
	first, last := r.Soonest[1], r.Soonest[3]
	return first > 0 && last-first > max(leastGrowth, time.Duration(growth*float64(r.Sender.Time/2)))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func judgeThroughput(r SenderRun, _ *SenderRun, b SenderBounds) (v SenderVerdict) {
	c := r.Absorption.Capacity
	if c == nil {
		return v.as(reports.Inconclusive, "the case does not say up to which rate events are to be fired: up-to")
	}
	least := b.Rate
	if least == 0 && len(c.Trials) > 0 {
		least = c.Trials[0].Rate
	}
	v.Figures = append(v.Figures, reports.Figure{Name: "highest rate at which the sender keeps up", Value: round(c.Rate), Unit: "/s", Note: c.Words()})
	v.figure("trials", float64(len(c.Trials)), "count")
	switch {
	case len(c.Trials) == 0:
		return v.as(reports.Inconclusive, "no rate was tried")
	case c.Low >= least && heldAt(c, least) >= proof:
		return v.as(reports.Pass, "")
	case c.Low >= least:
		return v.as(reports.Inconclusive, "events at %.0f/s and more were kept up with in a single trial, which may be luck", least)
	case c.High > 0 && c.High < least:
		return v.as(reports.Fail, "events are kept up with at %s, and %.0f/s are asked for: %s", within(c), least, brokenAt(c))
	case c.Unlimited:
		return v.as(reports.Inconclusive, "higher rates than %.0f/s could not be fired as they should be, and %.0f/s are asked for: %s", c.Rate, least, r.Invalid)
	}
	return v.as(reports.Inconclusive, "events are kept up with at %s: whether at %.0f/s could not be told in the time for the search", within(c), least)
}

// proof is how many trials at what is asked for, or more, must have held.
const proof = 2

func heldAt(c *reports.Capacity, least float64) (n int) {
	for _, t := range c.Trials {
		if t.Held && t.Rate >= least {
			n++
		}
	}
	return n
}

func within(c *reports.Capacity) string {
	if c.Rate == 0 {
		return fmt.Sprintf("less than %.0f/s", c.High)
	}
	return fmt.Sprintf("%.0f/s, from %.0f/s to %.0f/s", c.Rate, c.Low, c.High)
}

// brokenAt is what was wrong at the lowest rate at which something was.
func brokenAt(c *reports.Capacity) string {
	lowest := reports.Trial{}
	for _, t := range c.Trials {
		if len(t.Broken) > 0 && (lowest.Rate == 0 || t.Rate < lowest.Rate) {
			lowest = t
		}
	}
	if lowest.Rate == 0 {
		return "no trial says why"
	}
	return fmt.Sprintf("at %.0f/s %s", lowest.Rate, lowest.Broken[0])
}
