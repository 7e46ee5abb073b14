package reports

import (
	"fmt"
	"slices"
	"strings"
)

// Compact returns a copy as a result carries it: without histograms and without the
// series.
func (m *Measurement) Compact() *Measurement {
	c := *m
	c.Series = nil
	c.Total = compactTraffic(m.Total)
	c.Classes = compactAll(m.Classes)
	c.Generator.Lag.HDR = ""
	c.Stages = slices.Clone(m.Stages)
	for i := range c.Stages {
		c.Stages[i].Total, c.Stages[i].Classes = compactTraffic(c.Stages[i].Total), compactAll(c.Stages[i].Classes)
	}
	return &c
}

// with returns a copy of m that has the series and the histograms of the same measurement
// as it was observed. The figures stay those that were judged.
func (m *Measurement) with(whole *Measurement) *Measurement {
	c := *m
	c.Series = whole.Series
	c.Classes = slices.Clone(m.Classes)
	for i, t := range c.Classes {
		j := slices.IndexFunc(whole.Classes, func(o Traffic) bool { return o.Class == t.Class })
		if j >= 0 {
			c.Classes[i].Latency = withHistograms(t.Latency, whole.Classes[j].Latency)
		}
	}
	return &c
}

func withHistograms(times, whole map[string]Distribution) map[string]Distribution {
	all := make(map[string]Distribution, len(times))
	for outcome, d := range times {
		if o := whole[outcome]; o.Count == d.Count {
			d.HDR = o.HDR
		}
		all[outcome] = d
	}
	return all
}

func compactAll(all []Traffic) []Traffic {
	all = slices.Clone(all)
	for i := range all {
		all[i] = compactTraffic(all[i])
	}
	return all
}

func compactTraffic(t Traffic) Traffic {
	for _, times := range []*map[string]Distribution{&t.Latency, &t.Service} {
		without := make(map[string]Distribution, len(*times))
		for outcome, d := range *times {
			d.HDR = ""
			without[outcome] = d
		}
		*times = without
	}
	return t
}

// brief is a measurement in a few lines: the plan, what became of each class, and the
// thresholds.
func (m *Measurement) brief() []string {
	lines := []string{m.Plan}
	for _, t := range m.Classes {
		lines = append(lines, fmt.Sprintf("%s: %s", t.Class, t.brief()))
	}
	for _, t := range m.Thresholds {
		lines = append(lines, fmt.Sprintf("%s: %s (%s)", t.word(), t.Text, t.Got))
	}
	return append(lines, fmt.Sprintf("generator: %.4g of %.4g hits/s, lag p99 %s, %.0f%% CPU", m.Generator.Achieved, m.Generator.Target, milliseconds(m.Generator.Lag.P99), 100*m.Generator.CPU))
}

func (t Traffic) brief() string {
	parts := []string{fmt.Sprintf("%d planned", t.Planned)}
	for _, one := range []struct {
		n    int64
		what string
	}{{t.Accepted, "accepted"}, {t.Refused, "refused"}, {t.Unavailable, "unavailable"}, {t.Other, "other"}} {
		if one.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", one.n, one.what))
		}
	}
	for _, kind := range ErrorKinds {
		if n := t.Errors[kind]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, kind))
		}
	}
	for _, outcome := range []string{"accepted", "refused"} {
		if d, ok := t.Latency[outcome]; ok && d.Count > 0 {
			parts = append(parts, fmt.Sprintf("%s in p50 %s, p99 %s", outcome, milliseconds(d.P50), milliseconds(d.P99)))
		}
	}
	return strings.Join(parts, ", ")
}

// CleanMeasurement returns a copy of m without secrets.
func (r *Redactor) CleanMeasurement(m *Measurement) *Measurement {
	if m == nil {
		return nil
	}
	c := *m
	c.Subject.Target, c.Subject.Probe, c.Plan = r.Clean(m.Subject.Target), r.Clean(m.Subject.Probe), r.Clean(m.Plan)
	c.Notes, c.Invalid = r.cleanAll(m.Notes), r.cleanAll(m.Invalid)
	c.Controls = slices.Clone(m.Controls)
	for i := range c.Controls {
		c.Controls[i].Got = r.Clean(c.Controls[i].Got)
	}
	return &c
}
