package reports_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookanvil/hookanvil/reports"
)

func absorbed() reports.Absorption {
	expected, lost := int64(12), int64(2)
	drain := 1500.0
	return reports.Absorption{
		Verified: 10, Refused: 1, Received: 11, Deliveries: 10, Reasons: map[string]int64{"mismatch": 1}, Broken: map[string]int64{"too-slow": 3},
		Expected: &expected, Lost: &lost, Age: reports.Distribution{Count: 10, P50: 1, P95: 2, P99: 3, Max: 4, Mean: 1.5},
		Endpoints: []reports.AbsorbedEndpoint{{Path: "/a\x1b[31m", Verified: 9}, {Path: "/b\n::set-output", Verified: 1}},
		Outages:   []reports.AbsorbedOutage{{Plan: "1s@2s", Drain: &drain, Mean: 5, Peak: 20}},
	}
}

func TestAbsorptionForPeople(t *testing.T) {
	var b bytes.Buffer
	if err := (reports.Terminal{ASCII: true, Width: 100}).WriteAbsorption(&b, absorbed()); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{"+           10  verified", "x            1  refused: mismatch 1", "x            2  lost of 12 expected", "drained in 1.5s", "too-slow 3", `/a\x1b[31m`} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	for _, r := range text {
		if r > '~' || r < ' ' && r != '\n' {
			t.Errorf("it holds %q", r)
		}
	}
}

func TestAbsorptionForPrograms(t *testing.T) {
	var b bytes.Buffer
	if err := reports.AbsorptionJSON(&b, absorbed()); err != nil {
		t.Fatal(err)
	}
	var back reports.Absorption
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if back.Schema != reports.AbsorptionSchema || *back.Lost != 2 || back.Endpoints[0].Path != "/a\x1b[31m" || bytes.ContainsRune(b.Bytes(), '\x1b') {
		t.Errorf("read back as %+v", back)
	}
	b.Reset()
	if err := reports.AbsorptionPrometheus(&b, absorbed()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# TYPE hookanvil_sink_verified_total counter\nhookanvil_sink_verified_total 10\n", "hookanvil_sink_lost_total 2\n",
		`hookanvil_sink_refused_total{reason="mismatch"} 1`, `hookanvil_sink_age_seconds{quantile="0.99"} 0.003`, "hookanvil_sink_age_seconds_count 10\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, b.String())
		}
	}
}

func TestExitCodeOfAnAbsorption(t *testing.T) {
	none, one := int64(0), int64(1)
	for _, c := range []struct {
		a    reports.Absorption
		want int
	}{
		{reports.Absorption{Verified: 1}, reports.ExitPassed},
		{reports.Absorption{}, reports.ExitInconclusive},
		{reports.Absorption{Refused: 1}, reports.ExitFailed},
		{reports.Absorption{Verified: 1, Broken: map[string]int64{"malformed": 1}}, reports.ExitFailed},
		{reports.Absorption{Verified: 1, Broken: map[string]int64{"silent": 1}}, reports.ExitPassed},
		{reports.Absorption{Verified: 1, Broken: map[string]int64{reports.NoCertificate: 1}}, reports.ExitFailed},
		{reports.Absorption{Broken: map[string]int64{reports.StrangeCertificate: 1}}, reports.ExitFailed},
		{reports.Absorption{Verified: 3, Duplicates: 1}, reports.ExitPassed},
		{reports.Absorption{Verified: 3, Duplicates: 2}, reports.ExitFailed},
		{reports.Absorption{Verified: 1, Expected: &one, Lost: &none}, reports.ExitPassed},
		{reports.Absorption{Verified: 1, Expected: &one}, reports.ExitInconclusive},
		{reports.Absorption{Expected: &one, Lost: &one}, reports.ExitFailed},
		{reports.Absorption{Verified: 1, Missing: &one}, reports.ExitFailed},
		{reports.Absorption{Verified: 1, Untracked: 1}, reports.ExitInconclusive},
	} {
		if got := c.a.ExitCode(1); got != c.want {
			t.Errorf("%+v: %d, want %d", c.a, got, c.want)
		}
	}
}

func withAbsorption() reports.Result {
	a := absorbed()
	a.Schema, a.State, a.Attempts, a.Profile = reports.AbsorptionSchema, reports.Complete, map[int]int64{1: 9, 2: 1}, "github"
	a.Age.HDR, a.Latency = "HISTFAAA", reports.Distribution{Count: 10, P50: 12, P95: 20, P99: 31, Max: 44, HDR: "HISTFAAA"}
	a.Endpoints[0].Latency.HDR = "HISTFAAA"
	a.Series = []reports.AbsorbedSecond{{Verified: 10}}
	a.Capacity = &reports.Capacity{Rate: 120, Low: 110, High: 130, Trials: []reports.Trial{{Rate: 100, Held: true}, {Rate: 200, Broken: []string{"the backlog grew"}}}}
	a.Notes = []string{"told sesame-open-sesame"}
	return reports.Result{ID: "load/sender/throughput", Title: "It keeps up", Level: "should", Verdict: reports.Warn, Reason: "it does not", Absorbed: &a}
}

// What was absorbed is in the journal before the result is, with its histograms: a run
// that is cut short in between has lost nothing but its verdict.
func TestAbsorptionsAreJournalled(t *testing.T) {
	result := withAbsorption()
	full := *result.Absorbed
	result.Absorbed = full.Compact()
	var lines bytes.Buffer
	j, err := reports.NewJournal(&lines, reports.Run{Schema: reports.Schema}, []reports.Planned{{ID: result.ID, Title: result.Title, Level: result.Level}})
	if err != nil {
		t.Fatal(err)
	}
	must(t, j.Absorb(result.ID, full))
	if text := lines.String(); strings.Count(text, "HISTFAAA") != 3 || !strings.Contains(text, `"kind":"observation"`) {
		t.Errorf("journalled as %s", text)
	}
	cut, err := reports.ReadJournal(strings.NewReader(lines.String()))
	if err != nil {
		t.Fatal(err)
	}
	got := cut.Results[0]
	if a := got.Absorbed; len(a.Series) != 1 || a.Latency.HDR != full.Latency.HDR || a.Age.HDR != full.Age.HDR {
		t.Errorf("cut short: what is drawn is lost: %+v", a)
	}
	if diff := cmp.Diff(result.Absorbed, got.Absorbed.Compact()); diff != "" || got.Verdict != reports.Inconclusive || !strings.HasPrefix(got.Reason, "not judged") {
		t.Errorf("cut short: %s: %s (-want +got):\n%s", got.Verdict, got.Reason, diff)
	}
	must(t, j.Record(result))
	must(t, j.Close(reports.Complete, began, nil))
	whole, err := reports.ReadJournal(&lines)
	if err != nil {
		t.Fatal(err)
	}
	if a := whole.Results[0].Absorbed; len(a.Series) != 1 || a.Latency.HDR != full.Latency.HDR {
		t.Errorf("what is drawn is lost: %+v", a)
	}
	whole.Results[0].Absorbed = whole.Results[0].Absorbed.Compact()
	if diff := cmp.Diff([]reports.Result{result}, whole.Results); diff != "" || whole.State != reports.Complete {
		t.Errorf("%s (-want +got):\n%s", whole.State, diff)
	}
}

// So is what was measured of a load, of which the last counts: effects are looked up later.
func TestMeasurementsAreJournalled(t *testing.T) {
	m := sampleMeasurement()
	first := m
	first.Total.Effects, first.Total.Accepted = nil, 1
	result := reports.Result{ID: "load/latency/p99", Title: "It answers in time", Level: "should", Verdict: reports.Pass, Load: m.Compact()}
	var lines bytes.Buffer
	j, err := reports.NewJournal(&lines, reports.Run{Schema: reports.Schema}, []reports.Planned{{ID: result.ID, Title: result.Title, Level: result.Level}})
	must(t, err)
	must(t, j.Measure(result.ID, first))
	must(t, j.Measure(result.ID, m))
	if text := lines.String(); !strings.Contains(text, m.Total.Latency["accepted"].HDR) || !strings.Contains(text, `"at_s":1`) {
		t.Errorf("journalled without histograms or series: %s", text)
	}
	cut, err := reports.ReadJournal(strings.NewReader(lines.String()))
	must(t, err)
	got := cut.Results[0]
	if diff := cmp.Diff(m.Series, got.Load.Series); diff != "" || got.Load.Classes[0].Latency["accepted"].HDR == "" {
		t.Errorf("cut short: what is drawn is lost (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(result.Load, got.Load.Compact()); diff != "" || got.Verdict != reports.Inconclusive || !strings.HasPrefix(got.Reason, "not judged") {
		t.Errorf("cut short: %s: %s (-want +got):\n%s", got.Verdict, got.Reason, diff)
	}
	must(t, j.Record(result))
	must(t, j.Close(reports.Complete, began, nil))
	whole, err := reports.ReadJournal(&lines)
	must(t, err)
	if diff := cmp.Diff(m.Series, whole.Results[0].Load.Series); diff != "" || whole.Results[0].Load.Classes[0].Latency["accepted"].HDR == "" {
		t.Errorf("what is drawn is lost (-want +got):\n%s", diff)
	}
	whole.Results[0].Load = whole.Results[0].Load.Compact()
	if diff := cmp.Diff([]reports.Result{result}, whole.Results); diff != "" || whole.State != reports.Complete {
		t.Errorf("%s (-want +got):\n%s", whole.State, diff)
	}
}

// Whatever tells of a run tells what was absorbed in it, and no secret.
func TestReportsOfAnAbsorption(t *testing.T) {
	result := reports.NewRedactor("sesame-open-sesame").CleanResult(withAbsorption())
	result.Absorbed = result.Absorbed.Compact()
	run := reports.Run{Schema: reports.Schema, State: reports.Complete, Started: began, Ended: began, Results: []reports.Result{result}}
	run.Totals = run.Count()
	for _, f := range reports.Formats {
		var b bytes.Buffer
		if err := f.Write(&b, run); err != nil {
			t.Fatal(err)
		}
		want := []string{"10 verified, 1 refused: mismatch 1, 0 duplicates of 10 deliveries, 2 lost of 12 expected", "drained in 1.5s", "capacity: 120/s"}
		switch f.Name {
		case "json":
			want = []string{`"absorbed": {`, `"verified": 10`, `"broken": [`}
		case "openmetrics":
			want = []string{`kind="verified"} 10`, `kind="refused"} 1`, `kind="lost"} 2`}
		case "badge", "har": // the verdict alone, and the exchanges alone
			want = nil
		}
		for _, words := range want {
			if !strings.Contains(b.String(), words) {
				t.Errorf("%s does not say %q:\n%s", f.Name, words, b.String())
			}
		}
		for _, never := range []string{"sesame", "HISTFAAA", `"series": [`} {
			if strings.Contains(b.String(), never) {
				t.Errorf("%s tells %q:\n%s", f.Name, never, b.String())
			}
		}
		if f.Name == "json" {
			back, err := reports.ReadJSON(&b)
			if diff := cmp.Diff(run, back); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		}
	}
}

func TestAbsorptionForPullRequests(t *testing.T) {
	var b bytes.Buffer
	a := withAbsorption().Absorbed
	a.Endpoints[0].Path = "/a|`<b>"
	if err := reports.AbsorptionMarkdown(&b, *a); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"### Absorbed: 10 of 11, profile `github`", "| trigger to arrival | 12.0ms |", "| `/a\\|'<b>` | 9 |", "capacity: 120/s"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("does not say %q:\n%s", want, b.String())
		}
	}
}
