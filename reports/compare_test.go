package reports_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/reports"
)

// weather is how the seconds of a simulated run differ: by an autoregressive noise of
// the logarithm, and single seconds that are bad.
type weather struct {
	seconds     int
	noise       float64 // standard deviation of the logarithm of a second's p99
	correlation float64 // of a second with the next
	bad         float64 // share of seconds that are
	worse       float64 // by which factor
}

// simulatedRun is a run at 100/s whose latencies are slow times as long.
func simulatedRun(r *rand.Rand, w weather, slow float64) reports.Measurement {
	m := reports.Measurement{
		Schema: reports.MeasurementSchema, Tool: "hookanvil v0.1.0", Profile: "svix", Plan: "100/s; honest", Model: "open",
		Subject: reports.Subject{Role: "receiver", Target: "http://127.0.0.1:8080/hooks"}, Started: began, Ended: began.Add(time.Minute), State: reports.Complete,
	}
	const rate = 100
	var all []float64
	state := w.noise * r.NormFloat64()
	for i := range w.seconds {
		state = w.correlation*state + w.noise*math.Sqrt(1-w.correlation*w.correlation)*r.NormFloat64()
		factor := slow * math.Exp(state)
		if r.Float64() < w.bad {
			factor *= w.worse
		}
		second := make([]float64, rate)
		for i := range second {
			second[i] = 2 * factor * math.Exp(0.5*r.NormFloat64())
		}
		all = append(all, second...)
		d := quantilesOf(second)
		m.Series = append(m.Series, reports.Second{
			At: float64(i), Planned: rate, Sent: rate, Accepted: rate, P50: d.P50, P99: d.P99, Max: d.Max,
			Classes: map[string]reports.Instant{"honest": {Sent: rate, Accepted: rate, P99: d.P99}},
		})
	}
	n := int64(len(all))
	m.Total = reports.Traffic{Planned: n, Sent: n, Accepted: n, Rate: rate, Throughput: rate, Latency: times("accepted", quantilesOf(all))}
	honest := m.Total
	honest.Class = "honest"
	m.Classes = []reports.Traffic{honest}
	return m
}

// quantilesOf sorts the values.
func quantilesOf(values []float64) reports.Distribution {
	slices.Sort(values)
	at := func(q float64) float64 { return values[min(int(q*float64(len(values))), len(values)-1)] }
	return reports.Distribution{
		Count: int64(len(values)), Min: values[0], Mean: at(0.5), P50: at(0.5), P90: at(0.9), P95: at(0.95), P99: at(0.99), P999: at(0.999), Max: at(1),
	}
}

// A target is accused of being slower than itself in one pair of a hundred at most,
// whatever the weather.
func TestCompareRaisesNoFalseAlarm(t *testing.T) {
	pairs := 300
	if testing.Short() {
		pairs = 100
	}
	for name, w := range map[string]weather{
		"calm":           {60, 0.1, 0, 0, 1},
		"noisy":          {60, 0.3, 0, 0, 1},
		"slow changes":   {60, 0.25, 0.6, 0, 1},
		"slower changes": {60, 0.2, 0.8, 0, 1},
		"bad seconds":    {60, 0.15, 0.3, 0.08, 6},
		"short":          {12, 0.25, 0.3, 0, 1},
		"short and wild": {12, 0.5, 0.5, 0.1, 5},
	} {
		alarms := 0
		for seed := range pairs {
			r := rand.New(rand.NewPCG(uint64(seed), 7))
			c := reports.Compare(simulatedRun(r, w, 1), simulatedRun(r, w, 1), 0.1)
			if c.Verdict() == reports.Regression {
				alarms++
			}
		}
		t.Logf("%s: in %d of %d pairs the same target is accused", name, alarms, pairs)
		if alarms > pairs/100 {
			t.Errorf("%s: in %d of %d pairs the same target is accused", name, alarms, pairs)
		}
	}
}

// A target that is 30 % slower is found out in 95 of 100 runs of a minute, and one that is
// as much faster is praised.
func TestCompareFindsASlowdown(t *testing.T) {
	pairs := 100
	if testing.Short() {
		pairs = 60
	}
	for name, w := range map[string]weather{
		"calm":         {60, 0.1, 0, 0, 1},
		"usual":        {60, 0.15, 0.3, 0, 1},
		"slow changes": {60, 0.12, 0.5, 0, 1},
		"bad seconds":  {60, 0.1, 0, 0.03, 3},
	} {
		found, praised := 0, 0
		for seed := range pairs {
			r := rand.New(rand.NewPCG(uint64(seed), 8))
			before, after := simulatedRun(r, w, 1), simulatedRun(r, w, 1.3)
			if c := reports.Compare(before, after, 0.1); c.Verdict() == reports.Regression && c.ExitCode() == reports.ExitFailed {
				found++
			}
			if c := reports.Compare(after, before, 0.1); c.Verdict() == reports.Improvement && c.ExitCode() == reports.ExitPassed {
				praised++
			}
		}
		t.Logf("%s: found %d of %d, praised %d", name, found, pairs, praised)
		if found < pairs*95/100 || praised < pairs*95/100 {
			t.Errorf("%s: a slow-down is found in %d of %d pairs, its opposite in %d", name, found, pairs, praised)
		}
	}
}

func TestCompareVerdicts(t *testing.T) {
	w := weather{30, 0.1, 0.2, 0, 1}
	steady := func() reports.Measurement { return simulatedRun(rand.New(rand.NewPCG(1, 9)), w, 1) }
	mixed := func(accepted int64) reports.Measurement {
		m := steady()
		m.Classes = append(m.Classes, reports.Traffic{Class: "forged", Planned: 600, Sent: 600, Accepted: accepted, Refused: 600 - accepted})
		m.Total.Planned, m.Total.Accepted, m.Total.Refused = m.Total.Planned+600, m.Total.Accepted+accepted, 600-accepted
		return m
	}
	failing := func(perSecond int64) reports.Measurement {
		m := steady()
		for i := range m.Series {
			m.Series[i].Accepted, m.Series[i].Errors = m.Series[i].Accepted-perSecond, perSecond
			m.Series[i].Classes = map[string]reports.Instant{"honest": {Sent: 100, Accepted: 100 - perSecond, P99: m.Series[i].P99}}
		}
		n := perSecond * int64(len(m.Series))
		for _, one := range []*reports.Traffic{&m.Total, &m.Classes[0]} {
			one.Accepted, one.Errors, one.Throughput = one.Accepted-n, map[string]int64{"reset": n}, float64(100-perSecond)
		}
		return m
	}
	change := func(change func(m *reports.Measurement)) reports.Measurement {
		m := steady()
		change(&m)
		return m
	}
	for name, test := range map[string]struct {
		a, b reports.Measurement
		want reports.Difference
		code int
	}{
		"the same":                        {steady(), steady(), reports.Same, reports.ExitPassed},
		"a forgery is accepted":           {mixed(0), mixed(1), reports.Regression, reports.ExitFailed},
		"forgeries are refused now":       {mixed(9), mixed(0), reports.Improvement, reports.ExitPassed},
		"one hit in fifty fails":          {steady(), failing(2), reports.Regression, reports.ExitFailed},
		"nothing fails any more":          {failing(2), steady(), reports.Improvement, reports.ExitPassed},
		"a third is served no more":       {steady(), failing(30), reports.Regression, reports.ExitFailed},
		"another plan":                    {steady(), change(func(m *reports.Measurement) { m.Plan = "9/s" }), reports.Incomparable, reports.ExitInconclusive},
		"another profile":                 {steady(), change(func(m *reports.Measurement) { m.Profile = "github" }), reports.Incomparable, reports.ExitInconclusive},
		"an invalid run":                  {change(func(m *reports.Measurement) { m.Invalid = []string{"lag"} }), steady(), reports.Incomparable, reports.ExitInconclusive},
		"an interrupted run":              {steady(), change(func(m *reports.Measurement) { m.State = reports.Interrupted }), reports.Incomparable, reports.ExitInconclusive},
		"a run too short to tell":         {steady(), change(func(m *reports.Measurement) { m.Series = m.Series[:9] }), reports.Incomparable, reports.ExitInconclusive},
		"a forgery, after another plan":   {mixed(0), func() reports.Measurement { m := mixed(1); m.Plan = "9/s"; return m }(), reports.Incomparable, reports.ExitInconclusive},
		"another target is a note":        {steady(), change(func(m *reports.Measurement) { m.Subject.Target = "http://b" }), reports.Same, reports.ExitPassed},
		"a deterministic target, as fast": {flat(2), flat(2.1), reports.Same, reports.ExitPassed},
		"a deterministic target, slower":  {flat(2), flat(2.5), reports.Regression, reports.ExitFailed},
	} {
		c := reports.Compare(test.a, test.b, 0.1)
		if got := c.Verdict(); got != test.want || c.ExitCode() != test.code {
			t.Errorf("%s: %s (exit code %d), want %s\n%+v\n%q", name, got, c.ExitCode(), test.want, c.Rows, c.Incomparable)
		}
	}
}

// flat is a run in which each hit takes the same time.
func flat(ms float64) reports.Measurement {
	m := simulatedRun(rand.New(rand.NewPCG(1, 1)), weather{seconds: 20}, 1)
	d := reports.Distribution{Count: m.Total.Accepted, Min: ms, Mean: ms, P50: ms, P90: ms, P95: ms, P99: ms, P999: ms, Max: ms}
	m.Total.Latency, m.Classes[0].Latency = times("accepted", d), times("accepted", d)
	for i := range m.Series {
		m.Series[i].P50, m.Series[i].P99, m.Series[i].Max = ms, ms, ms
		m.Series[i].Classes = map[string]reports.Instant{"honest": {Sent: 100, Accepted: 100, P99: ms}}
	}
	return m
}

// Single seconds that are ten times as slow are seen, and not held against the target.
func TestCompareSaysWhatIsNotSupported(t *testing.T) {
	a := flat(2)
	b := flat(2)
	for _, i := range []int{5, 11} {
		b.Series[i].P99 = 40
		b.Series[i].Classes = map[string]reports.Instant{"honest": {Sent: 100, Accepted: 100, P99: 40}}
	}
	d := b.Classes[0].Latency["accepted"]
	d.P99, d.P999, d.Max = 40, 40, 40
	b.Total.Latency, b.Classes[0].Latency = times("accepted", d), times("accepted", d)
	c := reports.Compare(a, b, 0.1)
	if c.Verdict() != reports.Same || !strings.Contains(c.Words(), "1 figure differs by more than 10 %") {
		t.Errorf("%s: %s", c.Verdict(), c.Words())
	}
}

func TestComparisonGolden(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	w := weather{30, 0.1, 0.2, 0, 1}
	slower := reports.Compare(simulatedRun(r, w, 1), simulatedRun(r, w, 1.5), 0.1)
	a, b := sampleMeasurement(), sampleSearch()
	b.Plan = "2000/s for 10s; honest"
	other := reports.Compare(a, b, 0.05)
	for _, f := range reports.ComparisonFormats {
		for name, c := range map[string]reports.Comparison{"compare.": slower, "incomparable.": other} {
			var out bytes.Buffer
			must(t, f.Write(&out, &c))
			checkGolden(t, name+f.Name, out.String())
		}
	}
	var out bytes.Buffer
	must(t, reports.Terminal{Width: 60, ASCII: true, Color: true}.WriteComparison(&out, &slower))
	checkGolden(t, "compare-narrow.terminal", out.String())
}

func TestComparisonInjection(t *testing.T) {
	for name, payload := range payloads {
		a, b := loadEverywhere("harmless"), loadEverywhere(payload)
		c := reports.Compare(a, b, 0.1)
		for _, f := range reports.ComparisonFormats {
			var out bytes.Buffer
			must(t, f.Write(&out, &c))
			switch f.Name {
			case "markdown":
				for line := range strings.SplitSeq(out.String(), "\n") {
					bare := codeSpan.ReplaceAllString(line, "")
					if strings.ContainsAny(bare, "`<[@{$") || strings.Contains(bare, "REMOTE") {
						t.Errorf("%s: markup outside of code: %.200q", name, line)
					}
				}
			case "json":
				if !json.Valid(out.Bytes()) {
					t.Errorf("%s: no JSON", name)
				}
				checkInert(t, name, out.String())
			default:
				checkInert(t, name, out.String())
			}
		}
	}
}
