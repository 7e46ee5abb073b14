package reports

import (
	"cmp"
	"fmt"
	"html/template"
	"io"
)

// MeasurementHTML writes one page with the figures and charts of the run second by
// second and, after a search for capacity, of the knee. It loads nothing, and runs no
// script: the charts are drawn here.
func MeasurementHTML(w io.Writer, m Measurement) error {
	code, reason := m.Outcome()
	o := outcomes[code]
	return writePage(w, "load.html", struct {
		Policy                             string
		Style                              template.CSS
		Glyph, Word, Took, Reason, Verdict string
		Target, Plan, Model, Profile       string
		Began, Generator, Tool             string
		Seed                               uint64
		Invalid, Notes                     []string
		Measured                           measured
	}{
		Policy: stillPolicy, Style: pageStyle,
		Glyph: styles[o.verdict].glyph, Word: o.word, Took: m.took(), Reason: shown(reason), Verdict: string(o.verdict),
		Target: shown(m.Subject.Target), Plan: shown(m.Plan), Model: shown(m.Model), Profile: shown(m.Profile),
		Began: moment(m.Started), Generator: m.Generator.words(), Tool: shown(m.Tool), Seed: m.Seed,
		Invalid: shownAll(m.Invalid), Notes: shownAll(m.Notes), Measured: m.measured(),
	})
}

// words tell how the generator fared.
func (g Generator) words() string {
	return fmt.Sprintf("%.1f of %.1f hits/s, lag p99 %s, %s dropped, CPU %.0f %%, longest stall %s",
		g.Achieved, g.Target, brieflyMS(g.Lag.P99), thousands(g.Dropped), 100*g.CPU, brieflyMS(g.StallMax))
}

// measured is what a page shows of a load: tables, charts, and sentences.
type measured struct {
	Thresholds      []pageThreshold
	Hits            []pageHits
	Effects, Beside []string
	TimesOf         string
	Times           []pageTimes
	Charts          []chart
	Lines           []string
}

type pageThreshold struct{ Text, Word, Got, Verdict string }

type pageHits struct {
	Class  string
	Counts []pageCount
}

type pageCount struct{ Text, Verdict string }

type pageTimes struct {
	Of    string
	Times []string
}

func (m *Measurement) measured() measured {
	view := measured{TimesOf: "Latency, from when a hit was due", Charts: m.charts()}
	for _, t := range m.Thresholds {
		view.Thresholds = append(view.Thresholds, pageThreshold{shown(t.Text), t.word(), shown(t.Got), string(m.verdictOf(t))})
	}
	for _, t := range append(append([]Traffic{}, m.Classes...), m.Total) {
		hits := pageHits{Class: cmp.Or(shown(t.Class), "all")}
		for i, n := range t.outcomes() {
			hits.Counts = append(hits.Counts, pageCount{thousands(n), string(t.amiss(i))})
		}
		view.Hits = append(view.Hits, hits)
		if d := t.Latency[expected(t.Class)]; d.Count > 0 {
			view.Times = append(view.Times, pageTimes{hits.Class + ", " + expected(t.Class), quantiles(d)[:6]})
		}
	}
	for _, t := range m.Classes {
		if t.Effects != nil {
			view.Effects = append(view.Effects, shown(t.Class+": "+t.Effects.words(t.Class)))
		}
	}
	for _, c := range m.Controls {
		view.Beside = append(view.Beside, shown(c.words()))
	}
	return view
}

// measured is what a page shows of what a sender delivered.
func (a *Absorption) measured() measured {
	view := measured{TimesOf: "Times", Charts: a.charts(), Lines: shownAll(a.brief())}
	for _, d := range a.times() {
		view.Times = append(view.Times, pageTimes{d.name, quantiles(d.Distribution)[:6]})
	}
	return view
}
