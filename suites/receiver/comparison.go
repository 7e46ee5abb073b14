package receiver

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// A comparison that stops at the first difference takes the longer, the later that
// is: whoever can measure it finds a signature byte by byte. So two kinds of wrong
// signatures are sent in turn, one that differs early and one that differs late, and
// their times compared by Welch's t, as in dudect (Reparaz, Balasch and Verbauwhede,
// 2017). What a machine does besides is told from a leak in three ways: each triple is
// sent in random order on one connection; the slowest answers are cropped; and a third
// signature, which differs early as well, must not differ from the first.
const (
	triplesAtOnce = 40 // on one connection: many servers close it after a hundred requests
	mostTriples   = 20_000
	leastTriples  = 1_000
	comparingTime = 6 * time.Second

	// significant is dudect's bound. It must be met by both halves of the sample.
	significant = 4.5
	// plain is far enough below it for the sample to be large enough.
	plain = 2
)

// crops are the shares of the fastest answers that are looked at: a leak of a little
// work hides in the slow ones, and one of much work shows anywhere.
var crops = []float64{0.5, 0.75, 0.9, 0.99}

// The kinds of a triple.
const (
	early = iota // differs in its first byte
	tardy        // in its last
	again        // in its first, as a control
	kinds
)

// wrongSignatures make the kinds.
var wrongSignatures = [kinds]string{early: "first-byte-flipped", tardy: "last-byte-flipped", again: "first-byte-flipped"}

// durations are the times to the answer, in nanoseconds, of each kind.
type durations [kinds][]float64

// comparison finds out whether a refusal takes the longer, the later a signature differs.
func (t *trial) comparison(ctx context.Context) finding {
	to, err := t.endpointFor(scenarios.Step{})
	if err != nil {
		return inconclusive("%s", err)
	}
	if f := t.control(ctx, scenarios.Step{}, "control before"); f.verdict != reports.Pass {
		return inconclusive("the honest delivery before it was not accepted: %s", f.reason)
	}
	var times durations
	var found leak
	for began := time.Now(); ; {
		if f := t.compareSome(ctx, to, &times); f.verdict != reports.Pass {
			return f
		}
		n := len(times[early])
		if n < leastTriples && time.Since(began) < comparingTime {
			continue
		}
		found = times.leak()
		if found.certain() || n >= mostTriples || time.Since(began) > comparingTime || n >= leastTriples && found.t < plain {
			break
		}
	}
	return t.judgeLeak(found, len(times[early]))
}

func (t *trial) judgeLeak(found leak, n int) finding {
	t.figure("late minus early", found.difference/1e3, "us", fmt.Sprintf("Welch's t %.1f over %d triples; early minus early: %.2f us, t %.1f", found.t, n, found.noise/1e3, found.control))
	t.figure("effect size", found.effect, "deviations", "Cohen's d of the fastest answers that show it best")
	switch {
	case n < 100:
		return inconclusive("only %d triples were answered in %s: too few to compare", n, comparingTime)
	case found.certain():
		return failed("a signature that is wrong in its last byte is refused %.2f us later than one that is wrong in its first (Welch's t %.1f, effect size %.2f): the comparison stops at the first difference",
			found.difference/1e3, found.t, found.effect)
	case math.Abs(found.control) > significant:
		return inconclusive("the same kind of signature was refused %.2f us apart (Welch's t %.1f): the machine, or the way to the target, is too restless to measure this", found.noise/1e3, found.control)
	}
	return passed()
}

// compareSome sends triples on one connection, and notes the times of those that were
// answered whole.
func (t *trial) compareSome(ctx context.Context, to wire.Endpoint, times *durations) finding {
	var order []int
	var requests []wire.Request
	for range triplesAtOnce {
		base, err := t.subject.compose(scenarios.Step{}, nil, t.rand, false)
		if err != nil {
			return inconclusive("%s", err)
		}
		for _, kind := range t.rand.Perm(kinds) {
			request, err := t.misigned(base, wrongSignatures[kind])
			if err != nil {
				return inconclusive("%s", err)
			}
			order, requests = append(order, kind), append(requests, request)
		}
	}
	x := t.send(ctx, to, wire.KeepAlive(requests...), t.subject.Limits.Answer)
	if len(times[early]) == 0 {
		if err := t.record("wrong signatures, in turn", x); err != nil {
			return inconclusive("%s", err)
		}
	}
	return t.noteTimes(x, order, times)
}

func (t *trial) noteTimes(x wire.Exchange, order []int, times *durations) finding {
	whole := len(x.Responses) - len(x.Responses)%kinds
	if x.Outcome != wire.Answered && whole > 0 {
		whole -= kinds // the last one may be a part of an answer
	}
	if whole == 0 {
		return inconclusive("three requests on one connection were not answered: %s", describe(x))
	}
	for i, r := range x.Responses[:whole] {
		if t.subject.classify(r, x, t.c.Reject) != refused {
			return inconclusive("a wrong signature was not refused: answered %s", statusText(r.Status))
		}
		times[order[i]] = append(times[order[i]], float64(r.Took))
	}
	return passed()
}

// misigned is a delivery with its signature made wrong, to be kept alive. It has the
// first one only: another algorithm takes times of its own, and an Ed25519 signature
// that is wrong in its last byte is refused at once.
func (t *trial) misigned(base *delivery, how string) (wire.Request, error) {
	d := *base
	d.signings = slices.Clone(base.signings[:1])
	mutations.find("signature", how).apply(&d, nil)
	err := d.finish()
	d.request.KeepAlive = true
	return d.request, err
}

// leak is the difference between the times of the kinds where it shows best.
type leak struct {
	difference, t, effect float64 // late against early; ns, Welch's t, Cohen's d
	halves                float64 // the lesser t of both halves of the sample
	noise, control        float64 // again against early; ns, Welch's t
}

// certain tells whether the difference is neither chance nor noise.
func (l leak) certain() bool {
	return l.t > significant && l.halves > significant && l.difference > 3*math.Abs(l.noise) && math.Abs(l.control) < significant
}

func (d *durations) leak() leak {
	best := leak{t: math.Inf(-1)}
	half := len(d[early]) / 2
	for _, crop := range crops {
		limit := d.quantile(crop)
		one, other := d.part(0, half).below(limit), d.part(half, len(d[early])).below(limit)
		whole := d.below(limit)
		l := leak{halves: min(welch(one[tardy], one[early]).t, welch(other[tardy], other[early]).t)}
		w, c := welch(whole[tardy], whole[early]), welch(whole[again], whole[early])
		l.difference, l.t, l.effect, l.noise, l.control = w.difference, w.t, w.effect, c.difference, c.t
		if l.t > best.t {
			best = l
		}
	}
	return best
}

// quantile is of all kinds together, so that none is cropped more than its share.
func (d *durations) quantile(share float64) float64 {
	all := slices.Sorted(slices.Values(slices.Concat(d[:]...)))
	return all[min(int(share*float64(len(all))), len(all)-1)]
}

func (d *durations) part(from, to int) *durations {
	var p durations
	for k := range d {
		p[k] = d[k][from:to]
	}
	return &p
}

func (d *durations) below(limit float64) *durations {
	var p durations
	for k := range d {
		for _, took := range d[k] {
			if took <= limit {
				p[k] = append(p[k], took)
			}
		}
	}
	return &p
}

// comparedMeans is what tells two samples apart.
type comparedMeans struct{ difference, t, effect float64 }

// welch compares the means of two samples whose variances may differ.
func welch(a, b []float64) comparedMeans {
	meanA, varianceA := moments(a)
	meanB, varianceB := moments(b)
	c := comparedMeans{difference: meanA - meanB}
	if e := math.Sqrt(varianceA/float64(len(a)) + varianceB/float64(len(b))); e > 0 {
		c.t, c.effect = c.difference/e, c.difference/math.Sqrt((varianceA+varianceB)/2)
	}
	return c
}

// moments are the mean and the variance; nothing of fewer than two.
func moments(x []float64) (mean, variance float64) {
	if len(x) < 2 {
		return 0, 0
	}
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	for _, v := range x {
		variance += (v - mean) * (v - mean)
	}
	return mean, variance / float64(len(x)-1)
}
