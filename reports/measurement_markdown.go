package reports

import (
	"cmp"
	"io"
	"strings"
)

// MeasurementMarkdown writes tables for a pull request. What a peer or a file said stands
// in code, where nothing is a link, a mention or markup.
func MeasurementMarkdown(w io.Writer, m Measurement) error {
	p := printer{w: w}
	code, reason := m.Outcome()
	p.linef("### Load: %s", strings.ToLower(outcomes[code].word))
	p.linef("")
	p.linef("Sent %s to %s, profile %s, by %s: %s", asCode(m.Plan), asCode(m.Subject.Target), asCode(m.Profile), asCode(m.Tool), asCode(reason))
	for _, why := range m.Invalid {
		p.linef("")
		p.linef("> **Invalid**: %s", asCode(why))
	}
	p.linef("")
	p.linef("| class | planned | accepted | refused | unavailable | other | errors | p50 | p90 | p99 | p99.9 | max |")
	p.linef("| --- |%s", strings.Repeat(" ---: |", 11))
	for _, t := range append(append([]Traffic{}, m.Classes...), m.Total) {
		row := []string{asCode(cmp.Or(t.Class, "all"))}
		for _, n := range []int64{t.Planned, t.Accepted, t.Refused, t.Unavailable, t.Other, t.Failed()} {
			row = append(row, thousands(n))
		}
		d := t.Latency[expected(t.Class)]
		for _, ms := range []float64{d.P50, d.P90, d.P99, d.P999, d.Max} {
			if d.Count == 0 {
				row = append(row, "")
			} else {
				row = append(row, brieflyMS(ms))
			}
		}
		p.linef("| %s |", strings.Join(row, " | "))
	}
	for _, t := range m.Classes {
		if t.Effects != nil {
			p.linef("")
			p.linef("%s: %s.", asCode(t.Class), t.Effects.words(t.Class))
		}
	}
	for _, c := range m.Controls {
		p.linef("")
		p.linef("Beside the load: %s", asCode(c.words()))
	}
	p.thresholds(m)
	p.capacity(m.Capacity)
	g := m.Generator
	p.linef("")
	p.linef("Generator: %.1f of %.1f hits/s, lag p99 %s, %s dropped, CPU %.0f %%.", g.Achieved, g.Target, brieflyMS(g.Lag.P99), thousands(g.Dropped), 100*g.CPU)
	for _, note := range m.Notes {
		p.linef("")
		p.linef("Note: %s", asCode(note))
	}
	return p.err
}

func (p *printer) thresholds(m Measurement) {
	if len(m.Thresholds) == 0 {
		return
	}
	p.linef("")
	p.linef("| threshold | | measured |")
	p.linef("| --- | --- | --- |")
	for _, t := range m.Thresholds {
		p.linef("| %s | %s | %s |", asCode(t.Text), t.word(), asCode(t.Got))
	}
}

func (p *printer) capacity(c *Capacity) {
	if c == nil {
		return
	}
	p.linef("")
	p.linef("Capacity: %s.", c.Words())
}
