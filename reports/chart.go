package reports

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// chart is lines over one axis, in the coordinates of the picture. Lines differ by how they
// are dashed, and dots by their shape, and not by colour alone.
type chart struct {
	Title string
	Says  string // for who cannot see it
	Lines []chartLine
	Dots  []chartDot
	Bands []chartBand
	Ticks []chartTick // of the vertical axis
	Below []chartTick // of the horizontal one
	Key   []chartKey
}

type chartKey struct{ Class, Name string }

type chartLine struct{ Class, Points string }

type chartDot struct {
	X, Y        float64
	Class, Text string
}

// Left and Top are where a square is drawn that stands for a dot.
func (d chartDot) Left() float64 { return d.X - 4 }
func (d chartDot) Top() float64  { return d.Y - 4 }

type chartBand struct {
	X, Width float64
	Text     string
}

type chartTick struct {
	At   float64
	Text string
}

// The part of the picture, of 860 by 240, that is plotted on.
const (
	chartLeft, chartRight = 64.0, 850.0
	chartTop, chartBottom = 12.0, 210.0
)

// curve is one line: a value for each of some places on the horizontal axis.
type curve struct {
	name, class string
	value       func(int) float64
}

// axis is the horizontal axis: how many places it has, where they are, and how a place is
// called.
type axis struct {
	n    int
	at   func(int) float64
	name string
}

func chartOf(title string, x axis, curves []curve, unit func(float64) string) chart {
	c := chart{Title: title}
	most := 0.0
	says := []string{}
	for _, line := range curves {
		top := 0.0
		for i := range x.n {
			top = max(top, line.value(i))
		}
		most = max(most, top)
		says = append(says, fmt.Sprintf("%s up to %s", line.name, unit(top)))
	}
	c.Says = title + ": " + strings.Join(says, ", ")
	most = roundUp(most)
	from, to := x.at(0), x.at(x.n-1)
	for _, line := range curves {
		var points strings.Builder
		for i := range x.n {
			fmt.Fprintf(&points, "%.1f,%.1f ", across(x.at(i), from, to), upward(line.value(i), most))
		}
		c.Key = append(c.Key, chartKey{line.class, line.name})
		c.Lines = append(c.Lines, chartLine{line.class, strings.TrimSpace(points.String())})
	}
	c.scale(most, unit)
	for _, v := range ticksOf(from, to) {
		c.Below = append(c.Below, chartTick{across(v, from, to), fmt.Sprintf("%.4g %s", v, x.name)})
	}
	return c
}

// scale draws the vertical axis.
func (c *chart) scale(most float64, unit func(float64) string) {
	for i := range 5 {
		v := most * float64(i) / 4
		c.Ticks = append(c.Ticks, chartTick{upward(v, most), unit(v)})
	}
}

// charts are those of a load: the knee that a search found, the run second by second, and
// how times are distributed.
func (m *Measurement) charts() []chart {
	var all []chart
	if c := m.Capacity; c != nil && len(c.Trials) > 0 {
		all = append(all, kneeOf(c))
	}
	if series := m.drawn(); len(series) > 1 {
		all = append(all, courseOf(series)...)
	}
	var spreads []named
	for _, t := range m.Classes {
		if d := t.Latency[expected(t.Class)]; d.Count > 0 {
			spreads = append(spreads, named{inert(t.Class) + ", " + expected(t.Class), d})
		}
	}
	return append(all, percentilesOf("Latency by percentile, from when a hit was due", spreads)...)
}

// courseOf draws the seconds of a load: how soon hits were answered, and at what rates they
// were due, begun and answered.
func courseOf(series []Second) []chart {
	seconds := axis{len(series), func(i int) float64 { return series[i].At }, "s"}
	times := []curve{
		{"max", "c", func(i int) float64 { return series[i].Max }},
		{"p99", "b", func(i int) float64 { return series[i].P99 }},
		{"p50", "a", func(i int) float64 { return series[i].P50 }},
	}
	rates := []curve{
		{"due", "d", func(i int) float64 { return float64(series[i].Planned) }},
		{"begun", "e", func(i int) float64 { return float64(series[i].Sent) }},
		{"accepted", "a", func(i int) float64 { return float64(series[i].Accepted) }},
		{"refused", "b", func(i int) float64 { return float64(series[i].Refused) }},
		{"not served", "c", func(i int) float64 { return float64(series[i].Other + series[i].Errors) }},
	}
	all := []chart{chartOf("Latency of accepted hits, by the second", seconds, times, brieflyMS)}
	if classes := classCurves(series); len(classes) > 1 {
		all = append(all, chartOf("Latency (p99) of accepted hits by class, by the second", seconds, classes, brieflyMS))
	}
	all = append(all, chartOf("Hits asked for and achieved, by the second", seconds, rates, perSecond))
	if slices.ContainsFunc(series, func(s Second) bool { return s.Errors > 0 }) {
		errors := []curve{{"without an answer", "c", func(i int) float64 { return float64(series[i].Errors) }}}
		all = append(all, chartOf("Errors, by the second", seconds, errors, perSecond))
	}
	return all
}

func perSecond(v float64) string { return fmt.Sprintf("%.4g/s", v) }

// strokes are the classes of lines that stand for one thing each.
var strokes = []string{"a", "b", "e", "f", "c", "d"}

// classCurves are the latencies of the classes of which anything was accepted.
func classCurves(series []Second) (curves []curve) {
	var names []string
	for _, s := range series {
		for name, of := range s.Classes {
			if of.Accepted > 0 && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	for i, name := range names[:min(len(names), len(strokes))] {
		curves = append(curves, curve{inert(name), strokes[i], func(i int) float64 { return series[i].Classes[name].P99 }})
	}
	return curves
}

// charts are those of what a sender delivered: the seconds, with outages behind them, and
// how times are distributed.
func (a *Absorption) charts() []chart {
	var all []chart
	if c := a.Capacity; c != nil && len(c.Trials) > 0 {
		all = append(all, kneeOf(c))
	}
	if series := a.Series; len(series) > 1 {
		seconds := axis{len(series), func(i int) float64 { return series[i].At }, "s"}
		c := chartOf("Deliveries that arrived, by the second", seconds, []curve{
			{"verified", "a", func(i int) float64 { return float64(series[i].Verified) }},
			{"refused", "c", func(i int) float64 { return float64(series[i].Refused) }},
			{"duplicates", "b", func(i int) float64 { return float64(series[i].Duplicates) }},
			{"answered 503", "d", func(i int) float64 { return float64(series[i].Unavailable) }},
		}, perSecond)
		c.shade(a.Outages, series[0].At, series[len(series)-1].At)
		all = append(all, c)
	}
	var spreads []named
	for _, d := range a.times() {
		spreads = append(spreads, named{d.name, d.Distribution})
	}
	return append(all, percentilesOf("Times by percentile", spreads)...)
}

// shade draws outages behind the lines.
func (c *chart) shade(outages []AbsorbedOutage, first, last float64) {
	for _, o := range outages {
		from, to := max(o.From, first), min(o.To, last)
		if from < to {
			x := across(from, first, last)
			c.Bands = append(c.Bands, chartBand{x, across(to, first, last) - x, fmt.Sprintf("outage from %.4g s to %.4g s", o.From, o.To)})
		}
	}
	if len(c.Bands) > 0 {
		c.Key = append(c.Key, chartKey{"outage", "outage"})
	}
}

// percentilesOf draws distributions over percentiles, whose distance from 100 grows tenfold
// from mark to mark: how the worst of a hundred, a thousand and ten thousand fared.
func percentilesOf(title string, spreads []named) []chart {
	if len(spreads) == 0 {
		return nil
	}
	c := chart{Title: title}
	curves := make([][][2]float64, 0, len(spreads))
	most, nines, says := 0.0, 1.0, []string{}
	for _, s := range spreads[:min(len(spreads), len(strokes))] {
		points := s.curve()
		last := points[len(points)-1]
		most, nines = max(most, last[1]), max(nines, last[0])
		curves = append(curves, points)
		says = append(says, fmt.Sprintf("%s: p50 %s, p99 %s, max %s", s.name, brieflyMS(s.P50), brieflyMS(s.P99), brieflyMS(s.Max)))
	}
	c.Says = title + ": " + strings.Join(says, "; ")
	most = roundUp(most)
	for i, points := range curves {
		var b strings.Builder
		for _, p := range points {
			fmt.Fprintf(&b, "%.1f,%.1f ", across(p[0], 0, nines), upward(p[1], most))
		}
		c.Lines = append(c.Lines, chartLine{strokes[i], strings.TrimSpace(b.String())})
		c.Key = append(c.Key, chartKey{strokes[i], spreads[i].name})
	}
	c.scale(most, brieflyMS)
	for _, percent := range []float64{0, 50, 90, 99, 99.9, 99.99, 99.999, 99.9999} {
		if n := ninesOf(percent); n <= nines {
			c.Below = append(c.Below, chartTick{across(n, 0, nines), fmt.Sprintf("p%g", percent)})
		}
	}
	return []chart{c}
}

// ninesOf is how many nines a percentile has: 1 of p90, 2 of p99.
func ninesOf(percent float64) float64 { return -math.Log10(1 - percent/100) }

// curve is the distribution as nines and times: of its histogram, or of the percentiles
// that are kept where there is none.
func (d Distribution) curve() (points [][2]float64) {
	end := max(math.Log10(float64(max(d.Count, 1))), 1)
	if h, err := d.histogram(); err == nil && h != nil && h.TotalCount() > 0 {
		const steps = 120
		for i := range steps {
			nines := end * float64(i) / steps
			percent := 100 * (1 - math.Pow(10, -nines))
			points = append(points, [2]float64{nines, float64(h.ValueAtQuantile(percent)) / 1000})
		}
		return append(points, [2]float64{end, d.Max})
	}
	for _, q := range []struct{ percent, ms float64 }{{0, d.Min}, {50, d.P50}, {90, d.P90}, {95, d.P95}, {99, d.P99}, {99.9, d.P999}} {
		if n := ninesOf(q.percent); n < end {
			points = append(points, [2]float64{n, q.ms})
		}
	}
	return append(points, [2]float64{end, d.Max})
}

// kneeOf shows the trials of a search: the latency at each rate, and whether the
// thresholds held.
func kneeOf(c *Capacity) chart {
	k := chart{Title: "Latency (p99) by rate: " + c.Words()}
	k.Says = k.Title
	k.Key = []chartKey{{"held", "the thresholds held"}, {"broken", "they did not"}, {"invalid", "the generator did not keep up"}, {"knee", "the limit"}, {"bound", "its bounds"}}
	most, to := 0.0, 0.0
	for _, t := range c.Trials {
		most, to = max(most, t.P99), max(to, t.Rate)
	}
	most, to = roundUp(most), max(to, c.High)*1.08 // room for the last number
	trials := slices.SortedStableFunc(slices.Values(c.Trials), func(a, b Trial) int { return cmp.Compare(a.Rate, b.Rate) })
	for _, t := range trials {
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
	k.scale(most, brieflyMS)
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
	return tenth(chartLeft + (chartRight-chartLeft)*(v-from)/(to-from))
}

func upward(v, most float64) float64 {
	return tenth(chartBottom - (chartBottom-chartTop)*v/most)
}

// tenth rounds a coordinate: more digits show nothing.
func tenth(v float64) float64 { return math.Round(10*v) / 10 }

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
