package sender

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Shape is how the gaps between attempts grow.
type Shape string

// The shapes, from the simplest on.
const (
	ShapeUnknown     Shape = "unknown"
	ShapeConstant    Shape = "constant"    // First, every time
	ShapeLinear      Shape = "linear"      // First, and Step more every time
	ShapeExponential Shape = "exponential" // First, and Factor times as much every time
)

// Fit is the simplest shape that explains gaps as well as any other does.
type Fit struct {
	Shape  Shape
	First  time.Duration
	Step   time.Duration // of linear growth
	Factor float64       // of exponential growth
	Cap    time.Duration // no gap was longer; 0 where none was reached
	// Jitter is the share of a gap by which it varies to either side, if every
	// value in between is as likely; 0 where it is no more than the clock's noise.
	Jitter float64
	// Error is the root of the mean squared relative residual: how far a gap is off
	// what the shape says. Of an unknown shape it is that of the best guess.
	Error float64
	// Rival is another shape that explains the gaps as well; "" where there is none.
	Rival Shape
	Gaps  int // how many the fit was made from

	why string // the shape is unknown
}

const (
	// maxGaps bounds the work. A shape that has not shown by then has none.
	maxGaps = 100
	// clockNoise and clockShare are by how much timing is off although nobody meant
	// it: so much at least, and such a share of a long gap.
	clockNoise = 3 * time.Millisecond
	clockShare = 0.02
	// vague is the relative error above which the shape of many gaps is a guess.
	// Jitter of 30 % to either side is an error of 0.17, full jitter one of 0.58.
	vague = 0.27
	// many gaps can be told from chance. Of fewer, less error is taken.
	many = 7
	// decisive is by how much the score of a shape must be better to exclude another.
	decisive = 2.0
)

// FitGaps finds the shape of the gaps between the attempts of one delivery, in
// their order. One gap has no shape; two have one only if they are equal.
func FitGaps(gaps []time.Duration) Fit {
	gaps = gaps[:min(len(gaps), maxGaps)]
	unknown := Fit{Shape: ShapeUnknown, Gaps: len(gaps)}
	if len(gaps) > 0 {
		unknown.First = gaps[0]
	}
	switch {
	case len(gaps) == 0:
		unknown.why = "no gap was seen"
	case slices.Min(gaps) < 0:
		unknown.why = "a gap is less than nothing"
	case slices.Max(gaps) <= clockNoise:
		return Fit{Shape: ShapeConstant, First: mean(gaps), Gaps: len(gaps)}
	case len(gaps) == 1:
		unknown.why = "one gap, of " + brief(gaps[0]) + ", has no shape"
	case slices.Min(gaps) <= clockNoise:
		unknown.why = "some attempts came at once, others later"
	default:
		return choose(gaps)
	}
	return unknown
}

// choose takes the simplest of the shapes whose scores are nearly the best.
func choose(gaps []time.Duration) Fit {
	all := candidates(gaps)
	best := slices.MinFunc(all, func(a, b candidate) int { return cmp.Compare(a.score, b.score) })
	limit := vague * float64(min(len(gaps), many)-1) / (many - 1)
	if len(gaps) == 2 {
		return pair(gaps, best)
	}
	if best.err > limit {
		why := fmt.Sprintf("no simple shape fits; the best, %s, is off by %s", best.shape, percent(best.err))
		return Fit{Shape: ShapeUnknown, First: gaps[0], Error: best.err, Gaps: len(gaps), why: why}
	}
	var alike []candidate // in the order of simplicity
	for _, c := range all {
		if c.score <= best.score+decisive && c.err <= limit {
			alike = append(alike, c)
		}
	}
	fit := alike[0].fit(len(gaps))
	for _, c := range alike[1:] {
		if c.shape != fit.Shape {
			fit.Rival = c.shape
			break
		}
	}
	return fit
}

// pair is the fit of two gaps. Every shape fits them; if they are equal, so does
// the simplest.
func pair(gaps []time.Duration, constant candidate) Fit {
	if constant.err <= 2*clockShare {
		return constant.fit(2)
	}
	why := fmt.Sprintf("any shape fits two gaps, of %s and %s", brief(gaps[0]), brief(gaps[1]))
	return Fit{Shape: ShapeUnknown, First: gaps[0], Error: constant.err, Gaps: 2, why: why}
}

// candidate is a shape with its parameters, held against the gaps.
type candidate struct {
	shape       Shape
	first, rate float64 // rate is the step or the factor
	ceiling     float64 // 0 where there is none
	parameters  int     // that were free to choose
	err         float64 // corrected for their number
	score       float64 // less is better
}

func (c candidate) at(i int) float64 {
	value := c.first
	switch c.shape {
	case ShapeLinear:
		value += c.rate * float64(i)
	case ShapeExponential:
		value *= math.Pow(c.rate, float64(i))
	}
	if c.ceiling > 0 {
		value = min(value, c.ceiling)
	}
	return value
}

// candidates are the shapes that can explain the gaps at all, the simplest first.
func candidates(gaps []time.Duration) []candidate {
	y := make([]float64, len(gaps))
	for i, gap := range gaps {
		y[i] = float64(gap)
	}
	all := []candidate{judge(candidate{shape: ShapeConstant, first: average(y), parameters: 1}, y)}
	if len(gaps) < 3 {
		return all
	}
	for _, fit := range []func([]float64) (candidate, bool){fitLinear, fitExponential} {
		if c, ok := fit(y); ok {
			all = append(all, judge(c, y))
		}
	}
	for _, fit := range []func([]float64) (candidate, bool){fitLinear, fitExponential} {
		if c, ok := fitCapped(fit, y); ok {
			all = append(all, c)
		}
	}
	return all
}

// judge holds a candidate against the gaps. Its score is the Bayesian information
// criterion, with a floor below which errors are noise.
func judge(c candidate, y []float64) candidate {
	var squares, noise float64
	for i, gap := range y {
		residual := gap/c.at(i) - 1
		squares += residual * residual
		floor := max(clockShare, float64(clockNoise)/gap)
		noise += floor * floor
	}
	n, k := float64(len(y)), float64(c.parameters)
	c.err = math.Sqrt(squares / max(n-k, 1))
	c.score = n*math.Log((squares+noise)/n) + penalty*k*math.Log(n)
	return c
}

// penalty is for each parameter. The criterion's own, 1, is for many points, and
// here are few.
const penalty = 1.5

// fitLinear minimises the relative residuals of a line that rises.
func fitLinear(y []float64) (candidate, bool) {
	model := slices.Clone(y)
	c := candidate{shape: ShapeLinear, parameters: 2}
	for range 4 { // each round with the weights that the last one found
		var w, wx, wy, wxx, wxy float64
		for i, gap := range y {
			x, weight := float64(i), 1/(model[i]*model[i])
			w, wx, wy, wxx, wxy = w+weight, wx+weight*x, wy+weight*gap, wxx+weight*x*x, wxy+weight*x*gap
		}
		c.rate = (w*wxy - wx*wy) / (w*wxx - wx*wx)
		c.first = (wy - c.rate*wx) / w
		for i := range model {
			if model[i] = c.at(i); !(model[i] > 0) {
				return c, false
			}
		}
	}
	return c, c.rate > 0 && !math.IsInf(c.rate, 0)
}

// fitExponential is a straight line through the logarithms.
func fitExponential(y []float64) (candidate, bool) {
	var sum, product, squares float64
	middle := float64(len(y)-1) / 2
	for i, gap := range y {
		x := float64(i) - middle
		sum, product, squares = sum+math.Log(gap), product+x*math.Log(gap), squares+x*x
	}
	slope := product / squares
	c := candidate{shape: ShapeExponential, parameters: 2, rate: math.Exp(slope)}
	c.first = math.Exp(sum/float64(len(y)) - slope*middle)
	var ratio float64 // the mean of logarithms is less than the logarithm of the mean
	for i, gap := range y {
		ratio += gap / c.at(i)
	}
	c.first *= ratio / float64(len(y))
	return c, c.rate > 1
}

// fitCapped is the best of growth that ends at a cap. Three gaps must grow, so
// that their growth can be told, and two stand at the cap.
func fitCapped(fit func([]float64) (candidate, bool), y []float64) (best candidate, found bool) {
	for growing := 3; growing <= len(y)-2; growing++ {
		c, ok := fit(y[:growing])
		if !ok {
			continue
		}
		ceiling := average(y[growing:])
		if ceiling < 0.9*c.at(growing-1) || ceiling > 1.1*c.at(growing) {
			continue // it falls, or jumps
		}
		c.ceiling, c.parameters = ceiling, 3
		if c = judge(c, y); !found || c.score < best.score {
			best, found = c, true
		}
	}
	return best, found
}

func (c candidate) fit(gaps int) Fit {
	f := Fit{Shape: c.shape, First: duration(c.first), Cap: duration(c.ceiling), Error: c.err, Gaps: gaps}
	switch c.shape {
	case ShapeLinear:
		f.Step = duration(c.rate)
	case ShapeExponential:
		f.Factor = c.rate
	}
	if noise := max(clockShare, float64(clockNoise)/c.first); c.err > noise {
		f.Jitter = min(c.err*math.Sqrt(3), 1) // the deviation of what is evenly spread
	}
	return f
}

func mean(gaps []time.Duration) time.Duration {
	var sum float64
	for _, gap := range gaps {
		sum += float64(gap)
	}
	return duration(sum / float64(len(gaps)))
}

func average(y []float64) float64 {
	var sum float64
	for _, v := range y {
		sum += v / float64(len(y))
	}
	return sum
}

func duration(f float64) time.Duration {
	if f >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(math.Round(f))
}

// String says the fit in a line, with its error: "exponential: 200ms, factor 2.0,
// capped at 1.6s, jitter 10 %, error 6 %".
func (f Fit) String() string {
	if f.Shape == ShapeUnknown || f.Shape == "" {
		return strings.TrimSuffix("unknown: "+f.why, ": ")
	}
	parts := []string{string(f.Shape) + ": " + brief(f.First)}
	switch f.Shape {
	case ShapeLinear:
		parts = append(parts, brief(f.Step)+" more each time")
	case ShapeExponential:
		parts = append(parts, "factor "+factor(f.Factor))
	}
	if f.Cap > 0 {
		parts = append(parts, "capped at "+brief(f.Cap))
	}
	if f.Jitter > 0 {
		parts = append(parts, "jitter "+percent(f.Jitter))
	}
	parts = append(parts, "error "+percent(f.Error))
	if f.Gaps <= 3 {
		parts = append(parts, fmt.Sprintf("from %d gaps only", f.Gaps))
	}
	if f.Rival != "" {
		parts = append(parts, string(f.Rival)+" would fit as well")
	}
	return strings.Join(parts, ", ")
}

func factor(f float64) string {
	text := strconv.FormatFloat(f, 'f', 2, 64)
	return strings.TrimSuffix(text, "0")
}

func percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 0, 64) + " %" }

// brief is a time to three digits, which is more than a fit knows.
func brief(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	text := d.Round(unit).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
