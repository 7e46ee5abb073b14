package reports

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// difference is that of the means of two series, with bounds.
type difference struct{ estimate, low, high float64 }

// differenceOf compares the means of two series whose neighbouring values resemble each
// other: Welch's t interval with the number of values that would say as much if they were
// independent.
func differenceOf(a, b []float64, confidence float64) difference {
	x, y := knownOf(a), knownOf(b)
	d := difference{estimate: mean(b) - mean(a)}
	vx, vy := x.variance/x.n, y.variance/y.n
	spread := math.Sqrt(vx + vy)
	if spread == 0 {
		d.low, d.high = d.estimate, d.estimate
		return d
	}
	freedom := (vx + vy) * (vx + vy) / (vx*vx/(x.n-1) + vy*vy/(y.n-1))
	wide := studentT(1-(1-confidence)/2, freedom) * spread
	d.low, d.high = d.estimate-wide, d.estimate+wide
	return d
}

// known is what a series tells of its mean: its variance, and the number of independent
// values that would tell as much.
type known struct{ n, variance float64 }

// fewest is the least that is left of a series, however much its values resemble each
// other.
const fewest = 3

// knownOf takes the values for a first-order autoregressive series, of which (1-r)/(1+r)
// of the values count, r being the correlation of neighbours. Values that alternate are
// not counted for more than they are.
func knownOf(values []float64) known {
	m, n := mean(values), float64(len(values))
	var squares, products float64
	for i, v := range values {
		squares += (v - m) * (v - m)
		if i > 0 {
			products += (v - m) * (values[i-1] - m)
		}
	}
	if squares == 0 {
		return known{n: n}
	}
	r := products / squares
	r += (1 + 3*r) / n // the estimate is too low by about that
	if doubt := math.Sqrt(max(1-r*r, 0) / n); r > 1.5*doubt {
		r += 1.5 * doubt // memory that is seen may be longer than it seems
	}
	r = min(max(r, 0), 0.95)
	return known{n: max(n*(1-r)/(1+r), fewest), variance: squares / (n - 1)}
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// studentT is a quantile, above the median, of Student's t distribution.
func studentT(p, freedom float64) float64 {
	x := mathext.InvRegIncBeta(freedom/2, 0.5, 2*(1-p))
	return math.Sqrt(freedom * (1 - x) / x)
}
