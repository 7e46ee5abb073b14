package sender_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hookanvil/hookanvil/suites/sender"
)

// times reads gaps as people write them: "5s 5m 30m".
func times(t testing.TB, text string) []time.Duration {
	t.Helper()
	var list []time.Duration
	for _, word := range strings.Fields(text) {
		d, err := time.ParseDuration(word)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, d)
	}
	return list
}

// Schedules that are published, and what can honestly be said of them.
func TestFitOfKnownSchedules(t *testing.T) {
	for _, c := range []struct{ name, gaps, want string }{
		{"Sanity", "30s 30s", "constant: 30s, error 0 %, from 2 gaps only"},
		{"Amazon SNS", "20s 20s 20s", "constant: 20s, error 0 %, from 3 gaps only"},
		{"Adyen's first attempts", "9s 18s 27s", "linear: 9s, 9s more each time, error 0 %, from 3 gaps only"},
		{"Trello", "30s 60s 120s", "exponential: 30s, factor 2.0, error 0 %, from 3 gaps only"},
		{"Telegram", "1s 2s 4s 8s 16s 32s 60s 60s 60s", "exponential: 1s, factor 2.0, capped at 1m, error 0 %"},
		{"BoldSign", "1m 15m 45m 1h 8h 24h", "unknown: no simple shape fits; the best, exponential, is off by"},
		{"Standard Webhooks", "5s 5m 30m 2h 5h 10h 14h 20h 24h", "unknown: no simple shape fits; "},
		{"Svix", "5s 5m 30m 2h 5h 10h 10h", "unknown: no simple shape fits; "},
		{"Slack", "0s 1m 5m", "unknown: some attempts came at once, others later"},
		{"one gap", "200ms", "unknown: one gap, of 200ms, has no shape"},
		{"two gaps", "1s 2s", "unknown: any shape fits two gaps, of 1s and 2s"},
		{"no gap", "", "unknown: no gap was seen"},
		{"at once", "0s 0s 0s", "constant: 0s, error 0 %, from 3 gaps only"},
		{"measured on a clock", "201ms 398ms 803ms 1600ms 1602ms 1599ms", "exponential: 200ms, factor 2.0, capped at 1.6s, error 0 %"},
		{"with jitter", "1.08s 1.87s 4.31s 7.52s 16.9s 30.1s", "exponential: 1.04s, factor 1.97, jitter 13 %, error 8 %"},
		{"falling", "8s 4s 2s 1s 500ms", "unknown: no simple shape fits; the best, constant, is off by"},
		{"negative", "1s -1s 1s", "unknown: a gap is less than nothing"},
	} {
		got := sender.FitGaps(times(t, c.gaps)).String()
		if got != c.want && !(strings.HasPrefix(c.want, "unknown") && strings.HasPrefix(got, c.want)) {
			t.Errorf("%s (%s): %s\nwant %s", c.name, c.gaps, got, c.want)
		}
	}
}

// curve makes gaps of a shape, with jitter to either side.
type curve struct {
	shape       sender.Shape
	first, rate float64 // nanoseconds; a step, or a factor
	capAfter    int     // gaps that grow; 0 for all
}

func (c curve) at(i int) float64 {
	if c.capAfter > 0 {
		i = min(i, c.capAfter)
	}
	switch c.shape {
	case sender.ShapeLinear:
		return c.first + c.rate*float64(i)
	case sender.ShapeExponential:
		return c.first * math.Pow(c.rate, float64(i))
	}
	return c.first
}

func (c curve) gaps(n int, vary func() float64) []time.Duration {
	var list []time.Duration
	for i := range n {
		list = append(list, time.Duration(math.Round(c.at(i)*vary())))
	}
	return list
}

// anyCurve is one of a shape as senders have them: from 50 ms to 5 s at first,
// steps of 0.4 to 2 times that, factors from 1.4 to 4.
func anyCurve(r *rand.Rand, shape sender.Shape, capAfter int) curve {
	c := curve{shape: shape, capAfter: capAfter, first: 5e7 * math.Pow(100, r.Float64())}
	c.rate = 1.4 + 2.6*r.Float64()
	if shape == sender.ShapeLinear {
		c.rate = c.first * (0.4 + 1.6*r.Float64())
	}
	return c
}

// The accuracy: how often the shape is the right one. Full jitter is the other way
// round: how often any shape is claimed.
func TestAccuracyOfFits(t *testing.T) {
	const trials = 500
	r := rand.New(rand.NewPCG(3, 4))
	upTo := func(j float64) func() float64 { return func() float64 { return 1 + j*(2*r.Float64()-1) } }
	for _, c := range []struct {
		shape    sender.Shape
		capAfter int
		jitter   float64
		gaps     int
		least    int // of trials
	}{
		{sender.ShapeConstant, 0, 0, 3, 500}, {sender.ShapeConstant, 0, 0.1, 3, 425}, {sender.ShapeConstant, 0, 0.1, 6, 470},
		{sender.ShapeConstant, 0, 0.2, 6, 460}, {sender.ShapeConstant, 0, 0.3, 8, 460},
		{sender.ShapeLinear, 0, 0, 4, 500}, {sender.ShapeLinear, 0, 0.1, 4, 465}, {sender.ShapeLinear, 0, 0.1, 6, 480},
		{sender.ShapeLinear, 0, 0.2, 8, 450}, {sender.ShapeLinear, 0, 0.3, 10, 440},
		{sender.ShapeExponential, 0, 0, 4, 500}, {sender.ShapeExponential, 0, 0.1, 3, 390}, {sender.ShapeExponential, 0, 0.1, 4, 475},
		{sender.ShapeExponential, 0, 0.1, 6, 495}, {sender.ShapeExponential, 0, 0.2, 6, 475}, {sender.ShapeExponential, 0, 0.3, 8, 485},
		{sender.ShapeExponential, 4, 0, 8, 500}, {sender.ShapeExponential, 4, 0.1, 8, 490}, {sender.ShapeExponential, 4, 0.2, 10, 465},
	} {
		right := 0
		for range trials {
			fit := sender.FitGaps(anyCurve(r, c.shape, c.capAfter).gaps(c.gaps, upTo(c.jitter)))
			if fit.Shape == c.shape && (c.capAfter == 0 || fit.Cap > 0) {
				right++
			}
		}
		result := fmt.Sprintf("%s, capped after %d: shape recovered %d/%d at jitter %.0f %%, %d gaps", c.shape, c.capAfter, right, trials, 100*c.jitter, c.gaps)
		if t.Log(result); right < c.least {
			t.Errorf("%s; at least %d are due", result, c.least)
		}
	}
	for _, c := range []struct{ gaps, most int }{{3, 85}, {4, 40}, {6, 40}, {8, 30}, {10, 20}} {
		claimed := 0
		for i := range trials {
			shape := []sender.Shape{sender.ShapeConstant, sender.ShapeLinear, sender.ShapeExponential}[i%3]
			if sender.FitGaps(anyCurve(r, shape, 0).gaps(c.gaps, r.Float64)).Shape != sender.ShapeUnknown {
				claimed++
			}
		}
		result := fmt.Sprintf("full jitter: a shape is claimed %d/%d times, %d gaps", claimed, trials, c.gaps)
		if t.Log(result); claimed > c.most {
			t.Errorf("%s; that is too often", result)
		}
	}
}

// Without jitter the parameters are found as well as the shape.
func TestParametersOfAnExactShape(t *testing.T) {
	exact := func() float64 { return 1 }
	rapid.Check(t, func(t *rapid.T) {
		shape := rapid.SampledFrom([]sender.Shape{sender.ShapeConstant, sender.ShapeLinear, sender.ShapeExponential}).Draw(t, "shape")
		c := curve{shape: shape, first: float64(rapid.Int64Range(1e8, 1e10).Draw(t, "first"))}
		n := rapid.IntRange(4, 12).Draw(t, "gaps")
		c.rate = rapid.Float64Range(1.4, 5).Draw(t, "factor")
		if shape == sender.ShapeLinear {
			c.rate = c.first * rapid.Float64Range(0.5, 5).Draw(t, "step")
		}
		if n >= 6 && shape == sender.ShapeExponential && rapid.Bool().Draw(t, "capped") {
			c.capAfter = n - 3
		}
		fit := sender.FitGaps(c.gaps(n, exact))
		near := func(what string, got, want float64) {
			if math.Abs(got-want) > 0.01*want {
				t.Fatalf("%s is %v, want %v: %s", what, got, want, fit)
			}
		}
		if fit.Shape != shape || fit.Error > 0.001 || fit.Jitter != 0 || fit.Gaps != n {
			t.Fatalf("%s of %v is fitted as %s", shape, c.gaps(n, exact), fit)
		}
		near("the first gap", float64(fit.First), c.first)
		switch shape {
		case sender.ShapeLinear:
			near("the step", float64(fit.Step), c.rate)
		case sender.ShapeExponential:
			near("the factor", fit.Factor, c.rate)
		}
		if c.capAfter > 0 {
			near("the cap", float64(fit.Cap), c.at(n))
		} else if fit.Cap != 0 {
			t.Fatalf("there is no cap: %s", fit)
		}
	})
}

// The jitter that is reported is about the one that there was.
func TestJitterIsMeasured(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, jitter := range []float64{0.1, 0.2, 0.3} {
		var sum float64
		const trials = 200
		for range trials {
			c := curve{shape: sender.ShapeExponential, first: 1e9, rate: 2}
			sum += sender.FitGaps(c.gaps(10, func() float64 { return 1 + jitter*(2*r.Float64()-1) })).Jitter / trials
		}
		if sum < 0.85*jitter || sum > 1.15*jitter {
			t.Errorf("jitter of %.0f %% is measured as %.1f %%", 100*jitter, 100*sum)
		}
	}
}

// Where two shapes explain the gaps, the simpler is named and the other too.
func TestRivalShapes(t *testing.T) {
	fit := sender.FitGaps(times(t, "1s 1.3s 1.62s"))
	if fit.Shape != sender.ShapeLinear || fit.Rival != sender.ShapeExponential || !strings.HasSuffix(fit.String(), "exponential would fit as well") {
		t.Errorf("%s, and its rival is %q", fit, fit.Rival)
	}
	if fit := sender.FitGaps(times(t, "1s 2s 4s 8s 16s")); fit.Rival != "" {
		t.Errorf("%s has the rival %s", fit, fit.Rival)
	}
}

// sane reports what no fit may say, whatever it was made from.
func sane(t interface{ Fatalf(string, ...any) }, gaps []time.Duration) {
	before := slices.Clone(gaps)
	f := sender.FitGaps(gaps)
	wrong := ""
	switch {
	case !slices.Equal(gaps, before):
		wrong = "the gaps were changed"
	case math.IsNaN(f.Error) || math.IsInf(f.Error, 0) || f.Error < 0:
		wrong = "the error is no number"
	case f.Jitter < 0 || f.Jitter > 1 || f.Jitter != f.Jitter:
		wrong = "the jitter is no share"
	case f.Step < 0 || f.Cap < 0 || f.Gaps > len(gaps):
		wrong = "a parameter is negative, or there are more gaps than were given"
	case f.Shape == sender.ShapeExponential && !(f.Factor > 1 && !math.IsInf(f.Factor, 0)):
		wrong = "exponential growth does not grow"
	case f.Shape != sender.ShapeExponential && f.Factor != 0, f.Shape != sender.ShapeLinear && f.Step != 0:
		wrong = "there is a parameter of another shape"
	case f.Shape != sender.ShapeUnknown && len(gaps) < 2 && (len(gaps) == 0 || gaps[0] > 3*time.Millisecond):
		wrong = "one gap has a shape"
	case f.Shape != sender.ShapeUnknown && slices.Min(gaps[:f.Gaps]) < 0:
		wrong = "a negative gap has a shape"
	case f.String() == "" || strings.Contains(f.String(), "%!") || strings.Contains(f.String(), "\n"):
		wrong = "the sentence is broken"
	}
	if wrong != "" {
		t.Fatalf("%v: %s: %+v (%s)", gaps[:min(len(gaps), 20)], wrong, f, f)
	}
}

func TestHostileGaps(t *testing.T) {
	sane(t, nil)
	sane(t, make([]time.Duration, 1_000_000))
	sane(t, slices.Repeat([]time.Duration{math.MaxInt64}, 500))
	sane(t, slices.Repeat([]time.Duration{math.MaxInt64, 1}, 500))
	sane(t, slices.Repeat([]time.Duration{math.MinInt64}, 5))
	sane(t, []time.Duration{1, math.MaxInt64})
	sane(t, []time.Duration{4e6, 4e6, math.MaxInt64, math.MaxInt64, math.MaxInt64})
	rapid.Check(t, func(t *rapid.T) {
		sane(t, rapid.SliceOfN(rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.OneOf(rapid.Int64(), rapid.Int64Range(0, 1e9), rapid.Int64Range(4e6, 4e18),
				rapid.SampledFrom([]int64{0, 1, -1, 3e6, 3e6 + 1, 1e9, 2e9, 4e9, math.MaxInt64, math.MinInt64})).Draw(t, "gap"))
		}), 0, 20).Draw(t, "gaps"))
	})
}

func FuzzFitGaps(f *testing.F) {
	for _, text := range []string{"", "1s", "1s 1s", "1s 2s 4s 8s 8s 8s", "0s 1s", "-1s 1s 1s", "1s 2s 3s 4s", "2540400h 1ns 2540400h"} {
		var b []byte
		for _, d := range times(f, text) {
			b = binary.LittleEndian.AppendUint64(b, uint64(d))
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var gaps []time.Duration
		for ; len(b) >= 8 && len(gaps) < 200; b = b[8:] {
			gaps = append(gaps, time.Duration(binary.LittleEndian.Uint64(b)))
		}
		sane(t, gaps)
	})
}
