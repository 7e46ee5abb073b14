package load

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hookanvil/hookanvil/reports"
)

// Search says how the highest rate is looked for at which the thresholds hold.
type Search struct {
	From, Most float64       // rates: the first that is tried, and the highest
	Within     time.Duration // the search ends in this time
	Each       time.Duration // the length of a trial
	Rest       time.Duration // between trials, so that a backlog is gone
	// Precision is how wide the bounds may be, as a share of the rate; 8 % where it is 0.
	Precision float64
}

// Tried is what a trial came to. It may have been ended early where it could not hold any
// more.
type Tried struct {
	Measurement reports.Measurement
	Held        bool
	Broken      []string // thresholds that did not hold
}

// Bounds of a search.
const (
	mostTrials  = 60
	mostInvalid = 3 // trials in a row in which the generator did not keep up
	finest      = 0.08
)

// FindCapacity tries rates: each twice the one before until the thresholds do not hold
// twice in a row or the highest rate is reached, and then between the highest at which
// they held and the lowest at which they did not.
//
// A trial near the limit comes out now this way and now that. So what is kept is not one
// bracket but how probable each rate is to be the limit, given all trials: the chance to
// hold is taken to fall along a logistic curve about the limit, over a few per cent of
// the rate (how many is unknown, and weighed as well), and one trial in fifty to come out
// wrong whatever its rate. The next rate to be tried is the median of what is probable;
// the bounds are those within which the limit lies with a probability of 95 %. The search
// ends when they are close together, or the time is over.
//
// Where the generator does not keep up, the limit found is its own: the search ends, and
// says of the target's limit only what the trials before have shown.
func FindCapacity(ctx context.Context, s Search, trial func(ctx context.Context, rate float64, d time.Duration) (Tried, error)) (reports.Capacity, reports.Measurement, error) {
	var best reports.Measurement // of the highest rate at which the thresholds held
	held := 0.0                  // that rate
	found, err := find(ctx, s, func(ctx context.Context, rate float64, d time.Duration) (reports.Trial, bool, error) {
		tried, err := trial(ctx, rate, d)
		m := tried.Measurement
		if err != nil || m.State == reports.Interrupted {
			return reports.Trial{}, false, err
		}
		latency := m.Total.Latency["accepted"]
		t := reports.Trial{
			Rate: rate, Throughput: m.Total.Throughput, P50: latency.P50, P99: latency.P99, Errors: m.Total.Unserved(),
			Held: tried.Held && len(m.Invalid) == 0, Broken: tried.Broken, Invalid: len(m.Invalid) > 0,
		}
		if best.Schema == "" || len(best.Invalid) > 0 && !t.Invalid || t.Held && rate > held {
			best = m
		}
		if t.Held {
			held = max(held, rate)
		}
		return t, true, nil
	})
	return found, best, err
}

// trier tries a rate for a time. Over is false where it was interrupted, so that the trial
// says nothing. One that is invalid has not held.
type trier func(ctx context.Context, rate float64, d time.Duration) (t reports.Trial, over bool, err error)

// find is the search of FindCapacity, for whatever can be tried at a rate.
func find(ctx context.Context, s Search, trial trier) (reports.Capacity, error) {
	f := &finder{Search: s, trial: trial, until: time.Now().Add(s.Within)}
	f.Precision = cmp.Or(s.Precision, finest)
	switch {
	case !(s.From > 0 && s.From <= s.Most):
		return f.found, fmt.Errorf("search for the capacity from %g/s to %g/s: the first rate must be more than nothing, and at most the last", s.From, s.Most)
	case s.Each <= 0 || s.Within < s.Each:
		return f.found, fmt.Errorf("search for the capacity within %s: a single trial lasts %s; allow more time, or make trials shorter", s.Within, s.Each)
	}
	low, high, err := f.climb(ctx)
	if err == nil && low > 0 && high > 0 {
		err = f.narrow(ctx, low, high)
	}
	if ctx.Err() != nil {
		f.found.Ended = reports.Interrupted
	}
	return f.found, err
}

// finder is a search under way.
type finder struct {
	Search
	trial   trier
	until   time.Time
	found   reports.Capacity
	held    float64 // the highest rate at which the thresholds held
	invalid int     // trials in a row
}

// over tells that no more trial is to be begun.
func (f *finder) over(ctx context.Context) bool {
	return ctx.Err() != nil || len(f.found.Trials) >= mostTrials || time.Until(f.until) < f.Each
}

// try tries one rate.
func (f *finder) try(ctx context.Context, rate float64) (reports.Trial, error) {
	if len(f.found.Trials) > 0 && f.Rest > 0 {
		pause(ctx, f.Rest)
	}
	t, over, err := f.trial(ctx, rate, f.Each)
	switch {
	case err != nil:
		return t, fmt.Errorf("try %g/s: %w", rate, err)
	case !over:
		return t, ctx.Err()
	}
	f.found.Trials = append(f.found.Trials, t)
	f.invalid++
	if !t.Invalid {
		f.invalid = 0
	}
	if t.Held {
		f.held = max(f.held, rate)
	}
	return t, nil
}

// climb doubles the rate, or halves it where the thresholds do not even hold at the first.
// It returns a rate at which they held and one at which they did not, twice; either is 0
// where there is none.
func (f *finder) climb(ctx context.Context) (low, high float64, err error) {
	for rate := f.From; !f.over(ctx); {
		t, err := f.twice(ctx, rate)
		switch {
		case err != nil:
			return 0, 0, err
		case t.Invalid:
			f.unlimited(reports.EndedGenerator)
			return 0, 0, nil
		case t.Held:
			low = rate
		default:
			high = rate
		}
		switch {
		case low > 0 && high > 0:
			return low, high, nil
		case low >= f.Most:
			f.unlimited(reports.EndedHighest)
			return 0, 0, nil
		case low > 0:
			rate = min(2*rate, f.Most)
		case rate/2 < 1:
			f.found.High, f.found.Ended = high, reports.EndedLowest
			return 0, high, nil
		default:
			rate /= 2
		}
	}
	f.found.Rate, f.found.Low, f.found.High, f.found.Ended = low, low, high, reports.EndedTime
	f.found.Unlimited = high == 0 && low > 0
	return 0, 0, nil
}

// twice tries a rate again at which the thresholds did not hold, or the generator did not
// keep up: that may have been somebody else's doing, and is given a third chance.
func (f *finder) twice(ctx context.Context, rate float64) (t reports.Trial, err error) {
	for tries, broken := 0, 0; tries < mostInvalid && broken < 2 && (tries == 0 || !f.over(ctx)); tries++ {
		if t, err = f.try(ctx, rate); err != nil || t.Held {
			break
		}
		if !t.Invalid {
			broken++
		}
	}
	return t, err
}

// unlimited ends a search without having found a limit.
func (f *finder) unlimited(why string) {
	f.found.Unlimited, f.found.Rate, f.found.Low, f.found.High, f.found.Ended = true, f.held, f.held, 0, why
}

// narrow finds the limit between two rates.
func (f *finder) narrow(ctx context.Context, low, high float64) error {
	// A trial may have come out wrong that set a bound: the limit may lie beyond it.
	b := newBelief(low/4, min(high*4, f.Most*1.25))
	for _, t := range f.found.Trials {
		b.learn(t)
	}
	for {
		f.found.Low, f.found.Rate, f.found.High = b.quantile(0.025), b.quantile(0.5), b.quantile(0.975)
		switch {
		case f.found.High/f.found.Low-1 <= f.Precision:
			f.found.Ended = reports.EndedFound
			return nil
		case f.invalid >= mostInvalid:
			f.found.Ended = reports.EndedGenerator
			return nil
		case f.over(ctx):
			f.found.Ended = reports.EndedTime
			return nil
		}
		t, err := f.try(ctx, min(f.found.Rate, f.Most))
		if err != nil {
			return err
		}
		b.learn(t)
	}
}

// belief is how probable each rate is to be the limit, for each of several widths of the
// range in which trials come out either way.
type belief struct {
	rates   []float64
	widths  []float64
	weights [][]float64 // by width and rate; logarithms
}

const (
	places = 800  // rates that are told apart
	wrong  = 0.02 // chance that a trial comes out wrong, far from the limit
)

func newBelief(low, high float64) *belief {
	b := &belief{widths: []float64{0.003, 0.01, 0.03}}
	for i := range places {
		b.rates = append(b.rates, low*math.Pow(high/low, float64(i)/(places-1)))
	}
	for range b.widths {
		b.weights = append(b.weights, make([]float64, places))
	}
	return b
}

// learn weighs a trial. One in which the generator did not keep up says nothing.
func (b *belief) learn(t reports.Trial) {
	if t.Invalid {
		return
	}
	for w, width := range b.widths {
		for i, limit := range b.rates {
			p := 1 / (1 + math.Exp(math.Log(t.Rate/limit)/width))
			p = wrong + (1-2*wrong)*p
			if !t.Held {
				p = 1 - p
			}
			b.weights[w][i] += math.Log(p)
		}
	}
}

// quantile is the rate below which the limit lies with a probability.
func (b *belief) quantile(q float64) float64 {
	most := math.Inf(-1)
	for _, weights := range b.weights {
		most = max(most, slices.Max(weights))
	}
	sums, total := make([]float64, places), 0.0
	for i := range sums {
		for _, weights := range b.weights {
			total += math.Exp(weights[i] - most)
		}
		sums[i] = total
	}
	i, _ := slices.BinarySearch(sums, q*total)
	return b.rates[min(i, places-1)]
}
