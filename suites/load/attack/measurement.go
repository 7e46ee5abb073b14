package attack

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/hookanvil/hookanvil/reports"
)

// elapsed is the time in which hits were due until now.
func (r *run) elapsed(now time.Duration) time.Duration {
	return max(min(now, r.plan.duration()), time.Millisecond)
}

// sum adds up cells.
func (c *collector) sum(of func(stage, class int) bool, distributions bool) *cell {
	total := &cell{}
	for stage := range c.cells {
		for class := range c.cells[stage] {
			if of(stage, class) {
				total.merge(&c.cells[stage][class], distributions)
			}
		}
	}
	if c.plan.Closed {
		total.service = total.latency
	}
	return total
}

func (l *cell) merge(from *cell, distributions bool) {
	l.planned += from.planned
	l.sent += from.sent
	l.out += from.out
	l.in += from.in
	for k, n := range from.kinds {
		l.kinds[k] += n
	}
	for status, n := range from.statuses {
		l.statuses[status] += n
	}
	for o := range from.outcomes {
		l.outcomes[o] += from.outcomes[o]
		if distributions {
			l.latency[o].merge(&from.latency[o])
			l.service[o].merge(&from.service[o])
		}
	}
}

// traffic is a cell as it is reported.
func (l *cell) traffic(class string, over time.Duration, withHDR bool) reports.Traffic {
	t := reports.Traffic{
		Class: class, Planned: l.planned, Sent: l.sent,
		Accepted: l.outcomes[accepted], Refused: l.outcomes[refused], Unavailable: l.outcomes[unavailable], Other: l.outcomes[other],
		Sending: l.out, Reading: l.in,
		Rate: float64(l.sent) / over.Seconds(), Throughput: float64(l.outcomes[accepted]) / over.Seconds(),
	}
	for k, n := range l.kinds {
		if n > 0 {
			if t.Errors == nil {
				t.Errors = map[string]int64{}
			}
			t.Errors[kind(k).String()] = n
		}
	}
	for status, n := range l.statuses {
		if n == 0 {
			continue
		}
		if t.Statuses == nil {
			t.Statuses = map[int]int64{}
		}
		t.Statuses[status] = n
	}
	t.Latency, t.Service = distributionsOf(&l.latency, withHDR), distributionsOf(&l.service, withHDR)
	return t
}

func distributionsOf(spreads *[outcomes]spread, withHDR bool) map[string]reports.Distribution {
	all := map[string]reports.Distribution{}
	for o := range spreads {
		if spreads[o].count > 0 {
			all[outcomeNames[o]] = spreads[o].distribution(withHDR)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// measurement is everything that was measured until now.
func (r *run) measurement(ctx context.Context) reports.Measurement {
	c := r.collector
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Since(r.start)
	over := r.elapsed(now)
	m := reports.Measurement{
		Schema: reports.MeasurementSchema, Profile: r.target.Profile.Name, Plan: r.plan.String(), Model: "open", Seed: r.plan.Seed,
		Started: r.start, Ended: r.start.Add(now), State: reports.Complete,
	}
	if r.plan.Closed {
		m.Model = "closed"
	}
	m.Total = c.sum(func(int, int) bool { return true }, true).traffic("", over, true)
	for class, name := range Classes {
		if l := c.sum(func(_, of int) bool { return of == class }, true); l.planned > 0 {
			m.Classes = append(m.Classes, l.traffic(string(name), over, true))
		}
	}
	from := time.Duration(0)
	for stage, s := range r.plan.Stages {
		m.Stages = append(m.Stages, r.stageOf(stage, s, from, now))
		from += s.For
	}
	for _, s := range c.seconds {
		m.Series = append(m.Series, s.reported())
	}
	switch {
	case c.aborted != "":
		m.State = reports.Aborted
		m.Notes = append(m.Notes, "the run was ended early: "+c.aborted)
	case ctx.Err() != nil:
		m.State = reports.Interrupted
	}
	m.Notes = append(m.Notes, r.notes(&m)...)
	m.Generator = r.health.generator(&m, over)
	m.Invalid = r.health.invalid(&m)
	return m
}

func (r *run) stageOf(stage int, s Stage, from, now time.Duration) reports.Stage {
	c := r.collector
	to := max(from, min(from+s.For, now))
	over := max(to-from, time.Millisecond)
	out := reports.Stage{Name: cmp.Or(s.Name, fmt.Sprint(stage+1)), Plan: s.Words, FromS: from.Seconds(), ToS: to.Seconds(), Classes: []reports.Traffic{}}
	out.Total = c.sum(func(of, _ int) bool { return of == stage }, true).traffic("", over, false)
	for class, name := range Classes {
		if l := &c.cells[stage][class]; l.planned > 0 {
			out.Classes = append(out.Classes, l.traffic(string(name), over, false))
		}
	}
	return out
}

// notes are what should be known of a run, and makes it no less valid.
func (r *run) notes(m *reports.Measurement) []string {
	notes := append([]string(nil), r.health.preflight...)
	if r.target.HTTP2 {
		notes = append(notes, "over HTTP/2 hits share connections: what is said of connections is said of streams")
	}
	if n := r.collector.waited; n > 0 && m.Total.Planned > 0 {
		notes = append(notes, fmt.Sprintf("%s found all %d connections waiting for answers, and waited for one: their latency includes the wait",
			plural(n, "hit"), r.plan.Connections))
	}
	for k := range kinds {
		if text := r.errors[k].Load(); text != nil && m.Total.Errors[k.String()] > 0 {
			notes = append(notes, fmt.Sprintf("the first of %s that ended in %q: %s", plural(m.Total.Errors[k.String()], "hit"), k, *text))
		}
	}
	if perMinute := float64(r.dials.Load()) / m.Ended.Sub(m.Started).Minutes(); r.health.ports > 0 && perMinute > float64(r.health.ports) {
		notes = append(notes, fmt.Sprintf("connections were opened at a rate of %.0f a minute, and this machine has %d local ports, which rest for a minute each "+
			"where the target is not local: have the target keep connections open", perMinute, r.health.ports))
	}
	return notes
}
