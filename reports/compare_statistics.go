package reports

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// difference is that of the means of two series, with bounds.
type difference struct{ estimate, low, high float64 }

// differenceOf compares the means of two series whose neighbouring values resemble each
// other: Welch's t interval over the means of batches.
func differenceOf(a, b []float64, confidence float64) difference {
	x, y := batched(a), batched(b)
	d := difference{estimate: mean(b) - mean(a)}
	vx, vy := x.variance/x.n, y.variance/y.n
	error := math.Sqrt(vx + vy)
	if error == 0 {
		d.low, d.high = d.estimate, d.estimate
		return d
	}
	freedom := (vx + vy) * (vx + vy) / (vx*vx/(x.n-1) + vy*vy/(y.n-1))
	wide := studentT(1-(1-confidence)/2, freedom) * error
	d.low, d.high = d.estimate-wide, d.estimate+wide
	return d
}

// batches are means of neighbouring values: how many, and their variance.
type batches struct{ n, variance float64 }

// batched averages neighbours. A batch is half the square root of all values long: long
// enough to swallow most of their correlation, and few enough values to leave many
// batches. What correlation is left between batches widens the variance as that of a
// first-order autoregressive series.
func batched(values []float64) batches {
	length := max(int(math.Sqrt(float64(len(values)))/2), 1)
	var means []float64
	for i := 0; i+length <= len(values); i += length {
		means = append(means, mean(values[i:i+length]))
	}
	m := mean(means)
	var squares, products float64
	for i, v := range means {
		squares += (v - m) * (v - m)
		if i > 0 {
			products += (v - m) * (means[i-1] - m)
		}
	}
	n := float64(len(means))
	b := batches{n: n, variance: squares / (n - 1)}
	if squares > 0 {
		// The estimate of a correlation is too low by about (1+4r)/n.
		r := products / squares
		r = min(max(r+(1+4*r)/n, 0), 0.9)
		b.variance *= (1 + r) / (1 - r)
	}
	return b
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
