package reports

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
)

// MeasurementHTML writes one page with the figures and charts of the run second by
// second and, after a search for capacity, of the knee. It loads nothing, and runs no
// script: the charts are drawn here.
func MeasurementHTML(w io.Writer, m Measurement) error {
	code, reason := m.Outcome()
	page := struct {
		Measurement
		Word, Reason, Took, Style, Policy string
		Rows                              []htmlRow
		Effects, Beside                   []string
		Thresholds                        []htmlThreshold
		Charts                            []chart
		Generator                         string
	}{
		Measurement: inertMeasurement(m), Word: outcomes[code].word, Reason: inert(reason), Took: m.took(),
		Policy: policy, Charts: chartsOf(m),
	}
	for _, t := range append(append([]Traffic{}, m.Classes...), m.Total) {
		page.Rows = append(page.Rows, htmlRowOf(t))
	}
	for _, t := range m.Classes {
		if t.Effects != nil {
			page.Effects = append(page.Effects, inert(t.Class+": "+t.Effects.words(t.Class)))
		}
	}
	for _, c := range m.Controls {
		page.Beside = append(page.Beside, inert(c.words()))
	}
	for _, t := range m.Thresholds {
		page.Thresholds = append(page.Thresholds, htmlThreshold{inert(t.Text), t.word(), inert(t.Got), string(m.verdictOf(t))})
	}
	g := m.Generator
	page.Generator = fmt.Sprintf("%.1f of %.1f hits/s, lag p99 %s, %s dropped, CPU %.0f %%, longest stall %s",
		g.Achieved, g.Target, brieflyMS(g.Lag.P99), thousands(g.Dropped), 100*g.CPU, brieflyMS(g.StallMax))
	if err := htmlPage.Execute(w, page); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// inertMeasurement is m with texts that show as they are: no control characters, and
// nothing that turns the direction of writing.
func inertMeasurement(m Measurement) Measurement {
	m.Tool, m.Profile, m.Plan, m.Subject.Target = inert(m.Tool), inert(m.Profile), inert(m.Plan), inert(m.Subject.Target)
	for _, list := range []*[]string{&m.Notes, &m.Invalid} {
		shown := make([]string, len(*list))
		for i, text := range *list {
			shown[i] = inert(text)
		}
		*list = shown
	}
	return m
}

type htmlThreshold struct{ Text, Word, Got, Verdict string }

type htmlRow struct {
	Class, Timed string // of which the times are those of one outcome
	Counts       []htmlCount
	Times        []string
}

type htmlCount struct{ Text, Verdict string }

func htmlRowOf(t Traffic) htmlRow {
	row := htmlRow{Class: cmp.Or(inert(t.Class), "all")}
	row.Timed = row.Class + ", " + expected(t.Class)
	for i, n := range t.outcomes() {
		row.Counts = append(row.Counts, htmlCount{thousands(n), string(t.amiss(i))})
	}
	if d := t.Latency[expected(t.Class)]; d.Count > 0 {
		row.Times = quantiles(d)[:6]
	} else {
		row.Times = make([]string, 6)
	}
	return row
}

// chart is lines over one axis, in the coordinates of the picture.
type chart struct {
	Title, Axis string
	Lines       []chartLine
	Dots        []chartDot
	Ticks       []chartTick // of the vertical axis
	Below       []chartTick // of the horizontal one
	Key         []chartKey
}

type chartKey struct{ Class, Name string }

type chartLine struct{ Class, Points string }

type chartDot struct {
	X, Y        float64
	Class, Text string
}

type chartTick struct {
	At   float64
	Text string
}

// The picture of a chart, and the part of it that is plotted on.
const (
	chartWidth, chartHeight = 860.0, 240.0
	chartLeft, chartRight   = 64.0, 850.0
	chartTop, chartBottom   = 12.0, 210.0
)

func chartsOf(m Measurement) []chart {
	var charts []chart
	if c := m.Capacity; c != nil && len(c.Trials) > 0 {
		charts = append(charts, kneeOf(c))
	}
	series := m.drawn()
	if len(series) < 2 {
		return charts
	}
	at := func(i int) float64 { return series[i].At }
	times := []curve{
		{"max", "c", func(i int) float64 { return series[i].Max }},
		{"p99", "b", func(i int) float64 { return series[i].P99 }},
		{"p50", "a", func(i int) float64 { return series[i].P50 }},
	}
	rates := []curve{
		{"due", "d", func(i int) float64 { return float64(series[i].Planned) }},
		{"accepted", "a", func(i int) float64 { return float64(series[i].Accepted) }},
		{"refused", "b", func(i int) float64 { return float64(series[i].Refused) }},
		{"not served", "c", func(i int) float64 { return float64(series[i].Other + m.Series[i].Errors) }},
	}
	return append(charts,
		chartOf("Latency of accepted hits, by the second", "s", len(series), at, times, brieflyMS),
		chartOf("Hits, by the second", "s", len(series), at, rates, func(v float64) string { return fmt.Sprintf("%.4g/s", v) }))
}

type curve struct {
	name, class string
	value       func(int) float64
}

func chartOf(title, axis string, n int, at func(int) float64, curves []curve, unit func(float64) string) chart {
	c := chart{Title: title, Axis: axis}
	most := 0.0
	for _, line := range curves {
		for i := range n {
			most = max(most, line.value(i))
		}
	}
	most = roundUp(most)
	from, to := at(0), at(n-1)
	for _, line := range curves {
		var points strings.Builder
		for i := range n {
			fmt.Fprintf(&points, "%.1f,%.1f ", across(at(i), from, to), upward(line.value(i), most))
		}
		c.Key = append(c.Key, chartKey{line.class, line.name})
		c.Lines = append(c.Lines, chartLine{line.class, strings.TrimSpace(points.String())})
	}
	for i := range 5 {
		v := most * float64(i) / 4
		c.Ticks = append(c.Ticks, chartTick{upward(v, most), unit(v)})
	}
	for _, v := range ticksOf(from, to) {
		c.Below = append(c.Below, chartTick{across(v, from, to), fmt.Sprintf("%.4g %s", v, axis)})
	}
	return c
}

// kneeOf shows the trials of a search: the latency at each rate, and whether the
// thresholds held.
func kneeOf(c *Capacity) chart {
	k := chart{Title: "Latency (p99) by rate: " + c.Words(), Axis: "/s"}
	k.Key = []chartKey{{"held", "the thresholds held"}, {"broken", "they did not"}, {"invalid", "the generator did not keep up"}, {"knee", "the limit, and its bounds"}}
	most, to := 0.0, 0.0
	for _, t := range c.Trials {
		most, to = max(most, t.P99), max(to, t.Rate)
	}
	most, to = roundUp(most), max(to, c.High)*1.08 // room for the last number
	for _, t := range c.Trials {
		class, word := "held", "held"
		switch {
		case t.Invalid:
			class, word = "invalid", "invalid: the generator did not keep up"
		case !t.Held:
			class, word = "broken", "did not hold"
		}
		k.Dots = append(k.Dots, chartDot{across(t.Rate, 0, to), upward(t.P99, most), class, fmt.Sprintf("%.0f/s: p99 %s, %s", t.Rate, brieflyMS(t.P99), word)})
	}
	for _, bound := range []struct {
		class string
		rate  float64
	}{{"bound", c.Low}, {"knee", c.Rate}, {"bound", c.High}} {
		if bound.rate > 0 {
			x := across(bound.rate, 0, to)
			k.Lines = append(k.Lines, chartLine{bound.class, fmt.Sprintf("%.1f,%.1f %.1f,%.1f", x, chartTop, x, chartBottom)})
		}
	}
	for i := range 5 {
		v := most * float64(i) / 4
		k.Ticks = append(k.Ticks, chartTick{upward(v, most), brieflyMS(v)})
	}
	for _, v := range ticksOf(0, to) {
		k.Below = append(k.Below, chartTick{across(v, 0, to), fmt.Sprintf("%.4g/s", v)})
	}
	return k
}

// ticksOf are round numbers between two, six of them at most.
func ticksOf(from, to float64) (ticks []float64) {
	step := roundUp((to - from) / 5)
	for v := math.Ceil(from/step) * step; v <= to; v += step {
		ticks = append(ticks, v)
	}
	return ticks
}

func across(v, from, to float64) float64 {
	if to <= from {
		return chartLeft
	}
	return chartLeft + (chartRight-chartLeft)*(v-from)/(to-from)
}

func upward(v, most float64) float64 {
	return chartBottom - (chartBottom-chartTop)*v/most
}

// roundUp is the next number above that reads well: one, two or five with zeroes.
func roundUp(v float64) float64 {
	if v <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{1, 2, 5} {
		if v <= step*unit {
			return step * unit
		}
	}
	return 10 * unit
}

const htmlStyle = `
body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:60em;padding:0 1em;color:#1c2530;background:#fff}
h1{font-size:1.4em}h2{font-size:1.05em;margin:2em 0 .4em}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1em 1.2em;margin:0}dt{color:#667}dd{margin:0;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.25em .6em;text-align:right;border-bottom:1px solid #dde}th{color:#667;font-weight:500}
td:first-child,th:first-child,.words td,.words th{text-align:left;overflow-wrap:anywhere}
td.pass{color:#1b7a34}td.fail{color:#b3261e;font-weight:600}td.warn{color:#9a5b00}td.inconclusive{color:#8a6d00}
.banner{padding:.6em 1em;border-radius:6px;background:#eef}.Passed{background:#e3f6e5}.Failed{background:#fde6e4}.Inconclusive,.Interrupted,.invalid-run{background:#fdf3d8}
svg{width:100%;height:auto;display:block}svg text{font-size:11px;fill:#667}
polyline{fill:none;stroke-width:1.5}.a{stroke:#1769c8}.b{stroke:#d9822b}.c{stroke:#c23b3b}.d{stroke:#9aa5b1;stroke-dasharray:4 3}
.knee{stroke:#1c2530}.bound{stroke:#9aa5b1;stroke-dasharray:4 3}.grid{stroke:#e6e9ee}
.held{fill:#2c9a47}.broken{fill:#c23b3b}.invalid{fill:#b9a13a}
.key{margin-right:1.2em}.key i{display:inline-block;width:1.4em;border-top:3px solid;vertical-align:middle;margin-right:.4em}
i.held,i.broken,i.invalid{width:.7em;height:.7em;border:0;border-radius:50%}i.held{background:#2c9a47}i.broken{background:#c23b3b}i.invalid{background:#b9a13a}
i.a{border-color:#1769c8}i.b{border-color:#d9822b}i.c{border-color:#c23b3b}i.d{border-color:#9aa5b1}
@media (prefers-color-scheme:dark){body{background:#14181d;color:#dde3ea}th,td{border-color:#2b323a}.grid{stroke:#2b323a}.knee{stroke:#dde3ea}
.banner{background:#22304a}.Passed{background:#173d22}.Failed{background:#4a1d1b}.Inconclusive,.Interrupted,.invalid-run{background:#463a12}
td.pass{color:#7fd893}td.fail{color:#ff8a80}td.warn{color:#f0b357}td.inconclusive{color:#e3c95b}}
`

// policy lets the page use its own style, and nothing else.
var policy = func() string {
	sum := sha256.Sum256([]byte(htmlStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}()

var htmlPage = template.Must(template.New("load").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{.Policy}}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Load: {{.Word}}</title>
<style>` + htmlStyle + `</style>
</head>
<body>
<h1>Load of {{.Subject.Target}}</h1>
<p class="banner {{.Word}}"><strong>{{.Word}}{{.Took}}</strong>: {{.Reason}}</p>
{{range .Invalid}}<p class="banner invalid-run"><strong>Invalid</strong>: {{.}}</p>
{{end}}<dl>
<dt>load</dt><dd>{{.Plan}} ({{.Model}} model)</dd>
<dt>profile</dt><dd>{{.Profile}}</dd>
<dt>seed</dt><dd>{{.Seed}}</dd>
<dt>began</dt><dd>{{.Started.UTC.Format "2006-01-02 15:04:05 UTC"}}</dd>
<dt>generator</dt><dd>{{.Generator}}</dd>
<dt>by</dt><dd>{{.Tool}}</dd>
</dl>
{{if .Thresholds}}<h2>Thresholds</h2>
<table class="words">
<tr><th>threshold</th><th>holds</th><th>measured</th></tr>
{{range .Thresholds}}<tr><td>{{.Text}}</td><td class="{{.Verdict}}">{{.Word}}</td><td>{{.Got}}</td></tr>
{{end}}</table>
{{end}}<h2>Hits</h2>
<table>
<tr><th>class</th><th>planned</th><th>accepted</th><th>refused</th><th>unavailable</th><th>other</th><th>errors</th></tr>
{{range .Rows}}<tr><td>{{.Class}}</td>{{range .Counts}}<td{{with .Verdict}} class="{{.}}"{{end}}>{{.Text}}</td>{{end}}</tr>
{{end}}</table>
{{range .Effects}}<p>{{.}}</p>
{{end}}{{if .Beside}}<h2>Beside the load</h2>
<ul>
{{range .Beside}}<li>{{.}}</li>
{{end}}</ul>
{{end}}<h2>Latency, from when a hit was due</h2>
<table>
<tr><th>class</th><th>p50</th><th>p90</th><th>p95</th><th>p99</th><th>p99.9</th><th>max</th></tr>
{{range .Rows}}<tr><td>{{.Timed}}</td>{{range .Times}}<td>{{.}}</td>{{end}}</tr>
{{end}}</table>
{{range .Charts}}<h2>{{.Title}}</h2>
<svg viewBox="0 0 860 240" role="img" aria-label="{{.Title}}">
{{range .Ticks}}<line class="grid" x1="64" x2="850" y1="{{.At}}" y2="{{.At}}"/><text x="58" y="{{.At}}" dy="4" text-anchor="end">{{.Text}}</text>
{{end}}{{range .Below}}<text x="{{.At}}" y="228" text-anchor="middle">{{.Text}}</text>
{{end}}{{range .Lines}}<polyline class="{{.Class}}" points="{{.Points}}"/>
{{end}}{{range .Dots}}<circle class="{{.Class}}" cx="{{.X}}" cy="{{.Y}}" r="4"><title>{{.Text}}</title></circle>
{{end}}</svg>
<p>{{range .Key}}<span class="key"><i class="{{.Class}}"></i>{{.Name}}</span>{{end}}</p>
{{end}}{{if .Notes}}<h2>Notes</h2>
<ul>
{{range .Notes}}<li>{{.}}</li>
{{end}}</ul>
{{end}}</body>
</html>
`))
