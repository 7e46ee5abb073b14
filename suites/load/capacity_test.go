package load_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites/load"
)

// simulated is a subject whose thresholds hold below a rate, and about it now and then.
type simulated struct {
	knee, width float64
	limit       float64 // of the generator; none where it is 0
	stumbles    bool    // it keeps time at the rates that are tried first, and at no other
	rand        *rand.Rand
}

func (s simulated) try(_ context.Context, rate float64, d time.Duration) (load.Tried, error) {
	time.Sleep(d)
	m := reports.Measurement{Schema: reports.MeasurementSchema, State: reports.Complete, Total: reports.Traffic{Planned: 100, Accepted: 100, Throughput: min(rate, s.knee)}}
	if s.limit > 0 && rate > s.limit || s.stumbles && math.Mod(rate, 100) != 0 {
		m.Invalid = []string{"achieved 80 % of the rate"}
	}
	held := s.rand.Float64() < 1/(1+math.Exp(math.Log(rate/s.knee)/s.width))
	return load.Tried{Measurement: m, Held: held}, nil
}

var search = load.Search{From: 100, Most: 100_000, Within: 10 * time.Minute, Each: 5 * time.Second, Rest: time.Second}

// The limit is found within 5 % in 95 % of searches, and lies within the stated bounds in
// as many.
func TestCapacityIsFound(t *testing.T) {
	for _, width := range []float64{0.002, 0.01, 0.02} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			const seeds = 120
			near, within, trials := 0, 0, 0
			for seed := range uint64(seeds) {
				r := rand.New(rand.NewPCG(seed, 1))
				knee := 150 * math.Exp(r.Float64()*math.Log(300)) // from 150/s to 45,000/s
				synctest.Test(t, func(t *testing.T) {
					began := time.Now()
					c, _, err := load.FindCapacity(t.Context(), search, simulated{knee: knee, width: width, rand: r}.try)
					if err != nil {
						t.Fatal(err)
					}
					if took := time.Since(began); took > search.Within {
						t.Errorf("a search that may last %s took %s", search.Within, took)
					}
					trials += len(c.Trials)
					if math.Abs(c.Rate/knee-1) <= 0.05 {
						near++
					}
					if c.Low <= knee && knee <= c.High {
						within++
					}
				})
			}
			t.Logf("within 5 %%: %d of %d; within the bounds: %d; %.1f trials on average", near, seeds, within, float64(trials)/seeds)
			if near < seeds*95/100 || within < seeds*93/100 {
				t.Errorf("within 5 %%: %d of %d; within the bounds: %d", near, seeds, within)
			}
		})
	}
}

func TestCapacityWithoutALimit(t *testing.T) {
	for _, test := range []struct {
		name    string
		subject simulated
		search  load.Search
		check   func(c reports.Capacity) bool
	}{
		{"above the highest rate", simulated{knee: 1e9, width: 0.01}, load.Search{From: 100, Most: 1000, Within: time.Hour, Each: time.Second},
			func(c reports.Capacity) bool {
				return c.Unlimited && c.Rate == 1000 && c.High == 0 && c.Ended == reports.EndedHighest
			}},
		{"the generator's limit", simulated{knee: 1e9, width: 0.01, limit: 1000}, load.Search{From: 100, Most: 100_000, Within: time.Hour, Each: time.Second},
			func(c reports.Capacity) bool {
				last := c.Trials[len(c.Trials)-1]
				return c.Unlimited && c.Rate == 800 && last.Invalid && last.Rate == 1600 && !last.Held && c.Ended == reports.EndedGenerator
			}},
		{"below the lowest rate", simulated{knee: 0.1, width: 0.01}, load.Search{From: 100, Most: 1000, Within: time.Hour, Each: time.Second},
			func(c reports.Capacity) bool {
				return !c.Unlimited && c.Rate == 0 && c.High > 0 && c.High < 4 && c.Ended == reports.EndedLowest
			}},
		{"no time", simulated{knee: 5000, width: 0.01}, load.Search{From: 100, Most: 100_000, Within: 4 * time.Second, Each: time.Second},
			func(c reports.Capacity) bool {
				return c.Unlimited && c.Rate <= 1600 && len(c.Trials) <= 4 && c.Ended == reports.EndedTime
			}},
		{"the generator's limit below that of the target", simulated{knee: 1300, width: 0.001, limit: 1200}, load.Search{From: 100, Most: 100_000, Within: time.Hour, Each: time.Second},
			func(c reports.Capacity) bool {
				return c.Unlimited && c.Rate == 800 && c.Ended == reports.EndedGenerator
			}},
		{"a generator that stumbles between", simulated{knee: 1000, width: 0.001, stumbles: true}, load.Search{From: 100, Most: 100_000, Within: time.Hour, Each: time.Second},
			func(c reports.Capacity) bool {
				return !c.Unlimited && c.Rate > 800 && c.Rate < 1600 && c.Low <= 1000 && 1000 <= c.High && c.Ended == reports.EndedGenerator
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.subject.rand = rand.New(rand.NewPCG(1, 1))
				began := time.Now()
				c, _, err := load.FindCapacity(t.Context(), test.search, test.subject.try)
				if err != nil || !test.check(c) {
					t.Errorf("%+v, error %v", c, err)
				}
				if took := time.Since(began); took > test.search.Within {
					t.Errorf("took %s of %s", took, test.search.Within)
				}
			})
		})
	}
}

// A search that is interrupted says so, and one that cannot begin says why.
func TestCapacityIsNotFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := simulated{knee: 5000, width: 0.01, rand: rand.New(rand.NewPCG(1, 1))}
		tries := 0
		_, _, err := load.FindCapacity(ctx, search, func(ctx context.Context, rate float64, d time.Duration) (load.Tried, error) {
			if tries++; tries == 3 {
				cancel()
			}
			return s.try(ctx, rate, d)
		})
		if err != nil || tries != 3 {
			t.Errorf("%d trials, error %v", tries, err)
		}
		broken := errors.New("no more")
		if _, _, err = load.FindCapacity(t.Context(), search, func(context.Context, float64, time.Duration) (load.Tried, error) { return load.Tried{}, broken }); !errors.Is(err, broken) {
			t.Error(err)
		}
		for want, wrong := range map[string]load.Search{
			"the first rate must be": {From: 10, Most: 5, Within: time.Hour, Each: time.Second},
			"a single trial lasts":   {From: 10, Most: 50, Within: time.Second, Each: time.Minute},
		} {
			if _, _, err := load.FindCapacity(t.Context(), wrong, s.try); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		}
	})
}
