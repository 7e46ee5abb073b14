package reports_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

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
