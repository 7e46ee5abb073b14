package reports

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Comparison is two load runs side by side. A is the one before, B the one after.
type Comparison struct {
	A, B      Measurement
	Tolerance float64 // share by which a figure may be worse
	Rows      []Compared
	// Incomparable says why nothing can be concluded.
	Incomparable []string
	Notes        []string
}

// Compared is one figure of both runs.
type Compared struct {
	Class  string // empty for all
	Figure string // p50, p90, p99, throughput, unserved, accepted, effects lost, ...
	Unit   string // ms, /s, %, count
	A, B   float64
	// Change is by how much B is more than A, as a share of A; of a percentage, in points.
	Change float64
	// Of a tested figure: Delta is Cliff's delta of the seconds of both runs, from -1,
	// where each second of B is below each of A, to 1; Ratio is the second-by-second change
	// with its bounds Low and High.
	Tested           bool
	Delta            float64
	Ratio, Low, High float64
	Verdict          Difference
}

// Difference is what a comparison amounts to.
type Difference string

const (
	Same         Difference = "no difference" // none beyond the tolerance
	Regression   Difference = "regression"
	Improvement  Difference = "improvement"
	Unsupported  Difference = "unsupported" // beyond the tolerance, and it may be chance
	Incomparable Difference = "not comparable"
)

// confidence is that of all bounds of a comparison together: with a probability of 99 %
// each of them holds the true change. It is shared out evenly among the tested figures.
const confidence = 0.99

// least is how many whole seconds a figure needs in both runs to be tested.
const least = 8

// Compare holds two runs against each other. A figure is a regression where it is worse
// by more than the tolerance, in the run as a whole and second by second, and where that
// is not to be explained by how much the seconds of either run differ among themselves.
//
// The observations are the values of single seconds, without the first, in which
// connections are made, and the last, which may be cut short. Neighbouring seconds
// resemble each other, so that they are no independent observations: by how much they do
// is estimated, and Welch's t test is told of as many observations as would say the same
// if they were independent. Latencies and throughputs are compared by their logarithms: what matters is a factor, and single bad seconds weigh
// less. The effect size is Cliff's delta: the probability that a second of B is above
// one of A, less the opposite. It needs no assumption about how values are distributed,
// which those of latencies are not normally.
//
// What was accepted that must be refused, and what was lost or took effect twice, is a
// regression whenever there was none before: that is no matter of chance.
//
// What none of this can see: that the machine, and not the target, was another between
// the two runs.
func Compare(a, b Measurement, tolerance float64) Comparison {
	c := Comparison{A: a, B: b, Tolerance: tolerance}
	c.Incomparable = incomparable(&a, &b)
	if a.Subject.Target != b.Subject.Target {
		c.Notes = append(c.Notes, fmt.Sprintf("the targets differ: %s and %s", a.Subject.Target, b.Subject.Target))
	}
	if a.Tool != b.Tool {
		c.Notes = append(c.Notes, fmt.Sprintf("the runs were made by different versions: %s and %s", a.Tool, b.Tool))
	}
	tests := c.tests()
	tested := 0
	for _, t := range tests {
		if t.series != nil {
			tested++
		}
	}
	for _, t := range tests {
		c.Rows = append(c.Rows, c.row(t, 1-(1-confidence)/float64(max(tested, 1))))
	}
	c.Rows = append(c.Rows, c.correctness()...)
	if !slices.ContainsFunc(c.Rows, func(r Compared) bool { return r.Tested }) && len(c.Incomparable) == 0 {
		c.Incomparable = append(c.Incomparable, fmt.Sprintf("the runs are too short to tell chance from change: %d whole seconds are needed in both, and two more; give --duration 30s", least))
	}
	return c
}

func incomparable(a, b *Measurement) []string {
	var why []string
	for _, f := range []struct{ what, a, b string }{{"plans", a.Plan, b.Plan}, {"profiles", a.Profile, b.Profile}, {"models", a.Model, b.Model}} {
		if f.a != f.b {
			why = append(why, fmt.Sprintf("their %s differ: %q and %q", f.what, f.a, f.b))
		}
	}
	for _, m := range []struct {
		name string
		*Measurement
	}{{"first", a}, {"second", b}} {
		if m.State != Complete {
			why = append(why, fmt.Sprintf("the %s run is not complete: it was %s", m.name, m.State))
		}
		for _, reason := range m.Invalid {
			why = append(why, fmt.Sprintf("the %s run is invalid: %s", m.name, reason))
		}
		if m.Total.Planned == 0 {
			why = append(why, fmt.Sprintf("the %s run sent nothing", m.name))
		}
	}
	return why
}

// figureTest is one figure to compare.
type figureTest struct {
	class, figure, unit string
	a, b                float64 // of the whole runs
	series              func(Second) (float64, bool)
	lessIsBetter        bool
	logarithms          bool
	floor               float64 // a change of less, absolutely, is none
}

// tests are the figures that both runs have.
func (c *Comparison) tests() []figureTest {
	var all []figureTest
	for _, ta := range append(slices.Clone(c.A.Classes), c.A.Total) {
		i := slices.IndexFunc(c.B.Classes, func(t Traffic) bool { return t.Class == ta.Class })
		tb := c.B.Total
		if ta.Class != "" && i < 0 {
			continue
		}
		if ta.Class != "" {
			tb = c.B.Classes[i]
		}
		all = append(all, c.testsOf(ta, tb)...)
	}
	return all
}

// Changes that nobody would notice: a tenth of a millisecond, a tenth of a point.
const (
	floorMS     = 0.1
	floorPoints = 0.1
)

func (c *Comparison) testsOf(a, b Traffic) []figureTest {
	var all []figureTest
	da, db := a.Latency[expected(a.Class)], b.Latency[expected(b.Class)]
	if da.Count > 0 && db.Count > 0 && (a.Class != "" || len(c.A.Classes) > 1) {
		for _, q := range []struct {
			name string
			a, b float64
		}{{"p50", da.P50, db.P50}, {"p90", da.P90, db.P90}, {"p99", da.P99, db.P99}} {
			all = append(all, figureTest{a.Class, q.name, "ms", q.a, q.b, c.latencyOf(a.Class, q.name), true, true, floorMS})
		}
	}
	if expected(a.Class) == "accepted" && a.Class != "" {
		all = append(all, figureTest{a.Class, "throughput", "/s", a.Throughput, b.Throughput, c.throughputOf(a.Class), false, true, 0})
	}
	var unserved func(Second) (float64, bool)
	if a.Class == "" {
		unserved = func(s Second) (float64, bool) {
			n := s.Accepted + s.Refused + s.Other + s.Errors
			return 100 * float64(s.Other+s.Errors) / float64(max(n, 1)), n > 0
		}
	}
	return append(all, figureTest{a.Class, "unserved", "%", 100 * a.Unserved(), 100 * b.Unserved(), unserved, true, false, floorPoints})
}

// latencyOf is the latency of single seconds; nil where it was not kept.
func (c *Comparison) latencyOf(class, quantile string) func(Second) (float64, bool) {
	alone := len(c.A.Classes) == 1
	switch {
	case quantile == "p50" && (class == "" || alone):
		return func(s Second) (float64, bool) { return s.P50, s.Accepted > 0 }
	case quantile == "p99" && class == "":
		return func(s Second) (float64, bool) { return s.P99, s.Accepted > 0 }
	case quantile == "p99" && expected(class) == "accepted":
		return func(s Second) (float64, bool) { return s.Classes[class].P99, s.Classes[class].Accepted > 0 }
	}
	return nil
}

func (c *Comparison) throughputOf(class string) func(Second) (float64, bool) {
	return func(s Second) (float64, bool) { return float64(s.Classes[class].Accepted), true }
}

// row compares one figure.
func (c *Comparison) row(t figureTest, confidence float64) Compared {
	r := Compared{Class: t.class, Figure: t.figure, Unit: t.unit, A: t.a, B: t.b, Change: t.change(t.a, t.b), Verdict: Same}
	if t.series == nil {
		return r
	}
	a, b := secondsOf(c.A.Series, t), secondsOf(c.B.Series, t)
	if len(a) < least || len(b) < least {
		return r
	}
	r.Tested = true
	r.Delta = cliff(a, b)
	shift := func(v float64) float64 { return v }
	if t.logarithms {
		a, b = logarithms(a), logarithms(b)
		shift = math.Expm1
	}
	d := differenceOf(a, b, confidence)
	r.Ratio, r.Low, r.High = shift(d.estimate), shift(d.low), shift(d.high)
	r.Verdict = t.judge(r, c.Tolerance)
	return r
}

// change is from a to b: a share of a or, of percentages, points.
func (t figureTest) change(a, b float64) float64 {
	switch {
	case !t.logarithms || a == b:
		return b - a
	case a == 0:
		return math.Inf(1)
	}
	return b/a - 1
}

// judge tells what a tested change amounts to.
func (t figureTest) judge(r Compared, tolerance float64) Difference {
	bound := tolerance
	if !t.logarithms { // points: a share of what there was, and no less than the floor
		bound = max(tolerance*r.A, t.floor)
	}
	sign := 1.0
	if !t.lessIsBetter {
		sign = -1
	}
	beyond := func(v float64) bool { return math.Abs(v) > bound }
	switch {
	case math.Abs(r.B-r.A) < t.floor, !beyond(r.Change) && !beyond(r.Ratio):
		return Same
	case r.Change*r.Ratio <= 0 || !beyond(r.Change) || !beyond(r.Ratio), r.Low <= 0 && r.High >= 0:
		return Unsupported
	case sign*r.Change > 0:
		return Regression
	}
	return Improvement
}

// correctness are the counts of what must not be at all.
func (c *Comparison) correctness() []Compared {
	var rows []Compared
	for _, a := range c.A.Classes {
		i := slices.IndexFunc(c.B.Classes, func(t Traffic) bool { return t.Class == a.Class })
		if i < 0 {
			continue
		}
		b := c.B.Classes[i]
		if MustBeRefused(a.Class) {
			rows = append(rows, wrongs(a.Class, "accepted", a.Accepted, b.Accepted))
		}
		switch {
		case a.Effects == nil || b.Effects == nil:
		case MustBeRefused(a.Class):
			rows = append(rows, wrongs(a.Class, "effects taken", a.Effects.Taken, b.Effects.Taken))
		default:
			rows = append(rows, wrongs(a.Class, "effects lost", a.Effects.Lost, b.Effects.Lost), wrongs(a.Class, "effects repeated", a.Effects.Repeated, b.Effects.Repeated))
		}
	}
	return rows
}

func wrongs(class, figure string, a, b int64) Compared {
	r := Compared{Class: class, Figure: figure, Unit: "count", A: float64(a), B: float64(b), Change: float64(b - a), Verdict: Same}
	switch {
	case a == 0 && b > 0:
		r.Verdict = Regression
	case a > 0 && b == 0:
		r.Verdict = Improvement
	}
	return r
}

// Verdict joins the rows.
func (c *Comparison) Verdict() Difference {
	if len(c.Incomparable) > 0 {
		return Incomparable
	}
	for _, v := range []Difference{Regression, Improvement} {
		if slices.ContainsFunc(c.Rows, func(r Compared) bool { return r.Verdict == v }) {
			return v
		}
	}
	return Same
}

// ExitCode is 1 for a regression, and 3 where nothing can be concluded.
func (c *Comparison) ExitCode() int {
	switch c.Verdict() {
	case Regression:
		return ExitFailed
	case Incomparable:
		return ExitInconclusive
	}
	return ExitPassed
}

// secondsOf are the values of the whole seconds but the first.
func secondsOf(series []Second, t figureTest) []float64 {
	var values []float64
	for _, s := range series[min(1, len(series)):max(len(series)-1, min(1, len(series)))] {
		if v, ok := t.series(s); ok {
			values = append(values, v)
		}
	}
	return values
}

// logarithms of values, of which none is taken for less than a thousandth.
func logarithms(values []float64) []float64 {
	logs := make([]float64, len(values))
	for i, v := range values {
		logs[i] = math.Log(max(v, 0.001))
	}
	return logs
}

// cliff is Cliff's delta.
func cliff(a, b []float64) float64 {
	sorted := slices.Sorted(slices.Values(a))
	sum := 0
	for _, v := range b {
		below, _ := slices.BinarySearch(sorted, v)
		upTo, _ := slices.BinarySearchFunc(sorted, v, func(have, want float64) int {
			if have <= want {
				return -1
			}
			return 1
		})
		sum += below - (len(sorted) - upTo)
	}
	return float64(sum) / float64(len(a)*len(b))
}

// order sorts classes as they were sent.
func (c *Comparison) order() []string {
	seen := map[string]bool{}
	for _, r := range c.Rows {
		seen[r.Class] = true
	}
	names := slices.Collect(maps.Keys(seen))
	at := func(class string) int {
		if i := slices.IndexFunc(c.A.Classes, func(t Traffic) bool { return t.Class == class }); i >= 0 {
			return i
		}
		return len(c.A.Classes)
	}
	slices.SortFunc(names, func(x, y string) int { return cmp.Or(cmp.Compare(at(x), at(y)), cmp.Compare(x, y)) })
	return names
}
