package threshold_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios/threshold"
)

// measured is a run of a thousand honest hits and a hundred forgeries, in two stages.
func measured() *reports.Measurement {
	honest := reports.Traffic{
		Class: "honest", Planned: 1000, Sent: 998, Accepted: 990, Refused: 3, Unavailable: 2, Other: 1,
		Errors: map[string]int64{"timeout": 3, "harness": 1}, Rate: 199.6, Throughput: 198,
		Latency: map[string]reports.Distribution{
			"accepted": {Count: 990, Min: 0.25, Mean: 4, P50: 2, P90: 8, P95: 9, P99: 120, P999: 312.4, Max: 12_500},
			"refused":  {Count: 3, P99: 1},
		},
		Service: map[string]reports.Distribution{"accepted": {Count: 990, P99: 100}},
		Effects: &reports.Effects{Examined: 500, Lost: 1, Repeated: 5},
	}
	forged := reports.Traffic{
		Class: "forged", Planned: 100, Sent: 100, Accepted: 1, Refused: 99,
		Latency: map[string]reports.Distribution{"accepted": {Count: 1, P99: 900}, "refused": {Count: 99, P99: 7}},
	}
	stale := reports.Traffic{Class: "stale", Planned: 10, Accepted: 10, Latency: map[string]reports.Distribution{"accepted": {Count: 10, P99: 5}}}
	total := reports.Traffic{
		Planned: 1100, Sent: 1098, Accepted: 991, Refused: 102, Unavailable: 2, Other: 1,
		Errors: map[string]int64{"timeout": 3, "harness": 1}, Rate: 219.6, Throughput: 198.2,
	}
	return &reports.Measurement{
		Total: total, Classes: []reports.Traffic{honest, forged, stale},
		Stages: []reports.Stage{
			{Name: "clean", Total: total, Classes: []reports.Traffic{{Class: "honest", Planned: 10, Accepted: 10,
				Latency: map[string]reports.Distribution{"accepted": {Count: 10, P99: 30}}}}},
			{Name: "flood", Classes: []reports.Traffic{honest}},
		},
		Generator: reports.Generator{Lag: reports.Distribution{Count: 1098, P99: 0.4}},
	}
}

var stages = []string{"clean", "flood", "never"}

func TestThresholds(t *testing.T) {
	const (
		holds, broken, unmeasured = "holds", "broken", "unmeasured"
	)
	for _, tt := range []struct{ text, outcome, got string }{
		// Literals and units.
		{"honest.latency.p99 <= 120ms", holds, "honest.latency.p99 = 120ms"},
		{"honest.latency.p99 < 0.12s", broken, "honest.latency.p99 = 120ms"},
		{"honest.latency.p99_9 <= 1m30s", holds, "honest.latency.p99_9 = 312.4ms"},
		{"honest.latency.min >= 250us", holds, "honest.latency.min = 250us"},
		{"honest.latency.max > 12s", holds, "honest.latency.max = 12.5s"},
		{"honest.service.p99 == 100ms", holds, "honest.service.p99 = 100ms"},
		{"honest.accepted == 990", holds, "honest.accepted = 990"},
		{"honest.accepted >= 99%", holds, "honest.accepted = 99% (990 of 1000)"},
		{"99.1% <= honest.accepted", broken, "honest.accepted = 99% (990 of 1000)"},
		{"honest.effects.lost == 0", broken, "honest.effects.lost = 1"},
		{"honest.effects.repeated <= 1%", holds, "honest.effects.repeated = 1% (5 of 500)"},
		{"throughput >= 198/s", holds, "throughput = 198.2/s"},
		{"honest.rate > 199.5/s", holds, "honest.rate = 199.6/s"},
		{"errors.rate < 0.6%", holds, "errors.rate = 0.5455%"},
		{"honest.errors.rate > 0", holds, "honest.errors.rate = 0.6%"},
		{"errors.timeout == 3 and errors.bad_answer == 0", holds, "errors.timeout = 3, errors.bad_answer = 0"},
		{"total.errors == 3", holds, "total.errors = 3"},
		{"lag.p99 <= 1ms", holds, "lag.p99 = 400us"},

		// Of a class that must be refused, the latency is that of refusals.
		{"forged.latency.p99 <= 7ms", holds, "forged.latency.p99 = 7ms"},

		// Operators, and precedence.
		{"forged.accepted == 0 or honest.refused == 3", holds, "forged.accepted = 1, honest.refused = 3"},
		{"not (forged.accepted == 0)", holds, "forged.accepted = 1"},
		{"forged.accepted == 0 && honest.refused == 3 || honest.sent != 998", broken, "forged.accepted = 1, honest.refused = 3, honest.sent = 998"},
		{"honest.accepted + honest.refused == honest.planned - 7", holds, "honest.accepted = 990, honest.refused = 3, honest.planned = 1000"},
		{"honest.accepted + honest.refused >= 99.3%", holds, "honest.accepted = 99% (990 of 1000), honest.refused = 0.3% (3 of 1000)"},
		{"stages.flood.honest.latency.p99 <= 3 * stages.clean.honest.latency.p99 + 30ms", holds, "stages.flood.honest.latency.p99 = 120ms, stages.clean.honest.latency.p99 = 30ms"},
		{"stages.flood.honest.latency.p99 / stages.clean.honest.latency.p99 <= 3.9", broken, "stages.flood.honest.latency.p99 = 120ms, stages.clean.honest.latency.p99 = 30ms"},
		{"stages.clean.total.accepted / total.accepted == 100%", holds, "stages.clean.total.accepted = 991, total.accepted = 991"},

		// What was not measured does not hold, whatever else does.
		{"tampered.accepted == 0", unmeasured, "tampered.accepted was not measured: nothing of it was sent"},
		{"stale.latency.p99 <= 250ms", unmeasured, "stale.latency.p99 was not measured: nothing of it was refused"},
		{"honest.accepted == 990 or forged.effects.taken == 0", unmeasured, "honest.accepted = 990, forged.effects.taken was not measured: no effect was looked up"},
		{"not (tampered.accepted == 0)", unmeasured, "tampered.accepted was not measured: nothing of it was sent"},
		{"stages.never.honest.accepted == 0", unmeasured, "stages.never.honest.accepted was not measured: the run did not get to the stage"},
	} {
		one, err := threshold.Parse(tt.text, stages...)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		want := reports.Threshold{Text: tt.text, Got: tt.got, Holds: tt.outcome == holds, Unmeasured: tt.outcome == unmeasured}
		got := one.Of(measured())
		got.Certain, got.Timeless = false, false // see TestKinds
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.text, diff)
		}
	}
}

// Where nothing was accepted there is no latency to be proud of.
func TestNothingAccepted(t *testing.T) {
	m := measured()
	m.Classes[0].Accepted, m.Classes[0].Latency = 0, map[string]reports.Distribution{"error": {Count: 1000, P99: 1}}
	one, err := threshold.Parse("honest.latency.p99 <= 250ms")
	if err != nil {
		t.Fatal(err)
	}
	if got := one.Of(m); got.Holds || !got.Unmeasured || got.Got != "honest.latency.p99 was not measured: nothing of it was accepted" {
		t.Errorf("got %+v", got)
	}
}

func TestBadThresholds(t *testing.T) {
	for _, tt := range []struct {
		text   string
		column int
		says   string
	}{
		{"", 1, "something is missing at its end"},
		{"honest.latency.p99 <= 100/s", 20, "a time is compared with a rate; write a time like 250ms"},
		{"honest.latency.p99 <= 250", 20, "a time is compared with a plain number; write a time like 250ms"},
		{"250 >= honest.latency.p99", 5, "a plain number is compared with a time; write a time like 250ms"},
		{"throughput >= 1900", 12, "a rate is compared with a plain number; write a rate like 1900/s"},
		{"errors.rate < 0.1", 13, "a share is compared with a plain number; write a share like 0.1%"},
		{"honst.accepted == 0", 1, `nothing is called "honst"; did you mean "honest"?`},
		{"honest.acepted == 0", 8, `honest has no "acepted"; did you mean "accepted"?`},
		{"honest.latency.p98 < 1s", 8, `did you mean "latency.p9`},
		{"1s > honest.latency.p999", 13, `did you mean "latency.p99`},
		{"honest == 0", 1, "honest is no figure by itself"},
		{"errors.timout == 0", 1, `did you mean "errors.timeout"?`},
		{"stages.flod.honest.accepted == 0", 8, `no stage is called "flod"; did you mean "flood"?`},
		{"stages.flood.honst.accepted == 0", 14, `did you mean "honest"?`},
		{"stages.flood.lag.p99 < 1s", 14, `nothing is called "lag"`},
		{"stages == 0", 1, "stages does not say which"},
		{"stages.flood == 0", 1, "does not say of which class"},
		{"lag < 1s", 1, "lag is no figure by itself"},
		{"lag.p98 < 1s", 5, `lag has no "p98"`},
		{"honest.accepted", 1, "it is a count, and a threshold is a condition"},
		{"1 == 1", 1, "it asks for nothing that is measured"},
		{"honest.accepted >", 18, "something is missing at its end"},
		{"honest.accepted == == 0", 20, "= cannot stand here"},
		{"(honest.accepted == 0", 22, "something is missing at its end"},
		{"honest.accepted == 0)", 21, ") cannot stand here"},
		{"honest.accepted honest.refused", 17, "honest.refused cannot stand here"},
		{"honest.accepted == 5x", 20, `"5x" has no unit that is known here`},
		{"honest.latency.p99 < 5sec", 22, "no unit that is known here"},
		{"honest.latency.p99 < 99999999h", 22, "no unit that is known here"},
		{"honest.accepted == 0x10", 20, "no unit that is known here"},
		{"honest.accepted == 1e3", 20, "no unit that is known here"},
		{"honest.accepted == 1_000", 20, "plain decimal digits"},
		{"honest.accepted == 010", 20, "plain decimal digits"},
		{"honest.accepted == 1.2.3", 20, "plain decimal digits"},
		{"honest.accepted == 9999999999999999", 20, "too large"},
		{`honest.accepted == "0"`, 20, "means nothing in a threshold"},
		{"honest.accepted == [0]", 20, "means nothing in a threshold"},
		{"honest.accepted == 0 ? true : false", 22, "means nothing in a threshold"},
		{"let x = 1; x == honest.accepted", 1, `nothing is called "let"`},
		{"max(honest.accepted, 1) == 1", 1, `nothing is called "max"`},
		{"honest.accepted in 5", 17, `nothing is called "in"`},
		{"honest.accepted ** 2 == 4", 17, "** is no operator of thresholds"},
		{"honest.accepted % 2 == 0", 17, "means nothing in a threshold"},
		{"honest.latency.p99 * honest.latency.p99 < 1s", 20, "a time cannot be multiplied by a time"},
		{"2 / honest.latency.p99 < 1s", 3, "a plain number cannot be divided by a time"},
		{"honest.latency.p99 + 5 < 1s", 20, "a time and a plain number do not add up"},
		{"honest.accepted + forged.accepted <= 1%", 19, "shares of different hits"},
		{"honest.accepted * 2 <= 1%", 21, "this count is no share of anything"},
		{"honest.accepted and forged.accepted", 17, "and joins conditions, and here stands a count"},
		{"not honest.accepted", 1, "not cannot stand before a count"},
		{"-(honest.accepted == 0)", 1, "- cannot stand before a condition"},
		{"(honest.accepted == 0) + 1 == 1", 24, "+ cannot be applied to a condition"},
		{"(honest.accepted == 0) == (forged.accepted == 0)", 24, "== cannot be applied to a condition"},
		{"honest.accepted == 0 # none", 22, "means nothing in a threshold"},
		{"honest.accepted == 0 // and forged.accepted == 0", 22, "a threshold has no comments"},
		{"honest.accepted == 0 /* and forged.accepted == 0 */", 22, "a threshold has no comments"},
		{"honest.accepted\n== 0", 16, "means nothing in a threshold"},
		{"honest.accepted ≤ 0", 17, "means nothing in a threshold"},
		{"\x1b[2J", 1, `"\x1b" means nothing in a threshold`},
		{strings.Repeat("(", 400), 1, "it has 400 bytes; the limit is 300"},
	} {
		one, err := threshold.Parse(tt.text, stages...)
		var wrong *threshold.Error
		if !errors.As(err, &wrong) {
			t.Errorf("%q: got %v and error %v, want an error with a column", tt.text, one, err)
			continue
		}
		if wrong.Column != tt.column || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q: column %d: %v; want column %d and %q", tt.text, wrong.Column, err, tt.column, tt.says)
		}
	}
}

func TestNames(t *testing.T) {
	one, err := threshold.Parse("stages.flood.forged.accepted + total.refused > 0 and lag.p99 < 1ms", stages...)
	if err != nil {
		t.Fatal(err)
	}
	want := []threshold.Name{{"stages.flood.forged.accepted", 1, "flood", "forged"}, {"total.refused", 32, "", ""}, {"lag.p99", 54, "", ""}}
	if diff := cmp.Diff(want, one.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	// What is documented can be asked for.
	for _, doc := range threshold.Names() {
		class := "honest"
		if strings.HasSuffix(doc.Name, ".taken") {
			class = "forged"
		}
		name := strings.Replace(doc.Name, "CLASS", class, 1)
		if strings.Contains(name, "…") {
			continue
		}
		literal := map[string]string{"a time": "1s", "a share": "1%", "a count": "1", "a rate": "1/s"}[doc.Unit]
		if _, err := threshold.Parse(name + " <= " + literal); err != nil {
			t.Errorf("%s is documented: %v", doc.Name, err)
		}
	}
}

func TestKinds(t *testing.T) {
	for _, tt := range []struct {
		text              string
		certain, timeless bool
	}{
		{"forged.accepted == 0", true, true},
		{"stages.flood.stale.accepted == 0 and honest.effects.repeated == 0", true, true},
		{"honest.accepted >= 99%", false, true},
		{"forged.accepted == 0 and honest.refused == 0", true, true},
		{"honest.other <= 0.1%", true, true},
		{"honest.other < 5", true, true},
		{"honest.other >= 5", false, true},
		{"forged.refused == 0", false, true},
		{"forged.accepted <= honest.accepted", false, true},
		{"forged.accepted == 0 or honest.refused == 0", false, true},
		{"not (forged.accepted > 0)", false, true},
		{"honest.effects.lost == 0", false, true},
		{"effects.repeated == 0", true, true},
		{"forged.effects.taken == 0", true, true},
		{"forged.other == 0", true, true},
		{"honest.latency.p99 <= 1s", false, false},
		{"forged.accepted == 0 or throughput > 5/s", false, false},
		{"stages.flood.honest.latency.p50 / stages.clean.honest.latency.p50 < 4", false, false},
		{"lag.p99 < 1ms", false, false},
	} {
		one, err := threshold.Parse(tt.text, stages...)
		if err != nil {
			t.Fatal(err)
		}
		if one.Certain() != tt.certain || one.Timeless() != tt.timeless {
			t.Errorf("%s: certain %v, timeless %v", tt.text, one.Certain(), one.Timeless())
		}
		if got := one.Of(measured()); got.Certain != tt.certain || got.Timeless != tt.timeless {
			t.Errorf("%s: it is told otherwise: %+v", tt.text, got)
		}
	}
}

// Where deliveries may have been sent long after they were signed, a refusal is not
// certain to be the receiver's fault; a forgery is one at any time.
func TestCertaintyOfTheTime(t *testing.T) {
	for text, want := range map[string]bool{
		"honest.refused == 0": false, "stale.accepted == 0": false, "forged.accepted == 0 and honest.refused == 0": false,
		"forged.accepted == 0": true, "honest.effects.repeated == 0": true,
	} {
		one, err := threshold.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, disturb := range []func(g *reports.Generator){
			func(g *reports.Generator) { g.Clock = 3_600_000 },
			func(g *reports.Generator) { g.StallMax = 400_000 },
		} {
			m := measured()
			if disturb(&m.Generator); one.Of(m).Certain != want {
				t.Errorf("%s: certain %v", text, !want)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"honest.latency.p99 <= 250ms", "stages.flood.honest.accepted + 1 > 2 * total.refused or not (lag.p99 < 1ms)",
		"errors.rate < 0.1%", "throughput >= 1900/s", "a?.b ?? c | d", "honest.accepted == 0x1F", "-(-1) < honest.sent", "((((", "\xff", "1 < honest.sent < 3",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		one, err := threshold.Parse(text, stages...)
		var wrong *threshold.Error
		if err != nil {
			if !errors.As(err, &wrong) || wrong.Column < 1 || wrong.Column > len(text)+1 || wrong.Message == "" {
				t.Fatalf("%q: the error has no place within it: %#v", text, err)
			}
			return
		}
		if len(one.Names()) == 0 || one.String() != text {
			t.Fatalf("%q asks for nothing", text)
		}
		if got := one.Of(measured()); got.Holds && got.Unmeasured {
			t.Fatalf("%q holds without having been measured", text)
		}
		if got := one.Of(&reports.Measurement{}); got.Holds {
			t.Fatalf("%q holds where nothing was measured: %s", text, got.Got)
		}
	})
}
