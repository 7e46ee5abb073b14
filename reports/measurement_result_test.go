package reports_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookanvil/hookanvil/reports"
)

// loaded is the result of a case of load.
func loaded() reports.Result {
	times := func(ms float64) map[string]reports.Distribution {
		return map[string]reports.Distribution{"accepted": {Count: 180, P50: ms / 4, P99: ms, HDR: "HISTFAAAAA=="}}
	}
	honest := reports.Traffic{
		Class: "honest", Planned: 200, Sent: 200, Accepted: 180, Unavailable: 15, Other: 2, Errors: map[string]int64{"timeout": 3},
		Statuses: map[int]int64{200: 180, 503: 15, 500: 2}, Latency: times(312), Service: times(12),
	}
	m := reports.Measurement{
		Schema: reports.MeasurementSchema, Plan: "200/s for 1s; honest", Model: "open", State: reports.Complete,
		Subject: reports.Subject{Role: "receiver", Target: "http://127.0.0.1/hook?key=sesame-open-sesame"},
		Notes:   []string{"sesame-open-sesame was seen"}, Invalid: []string{"sesame-open-sesame lagged"},
		Generator: reports.Generator{Target: 200, Achieved: 199, CPU: 0.12, Lag: reports.Distribution{Count: 200, P99: 0.4, HDR: "HISTFAAAAA=="}},
		Total:     honest, Classes: []reports.Traffic{honest},
		Stages: []reports.Stage{{Name: "only", Total: honest, Classes: []reports.Traffic{honest}}},
		Series: []reports.Second{{Planned: 200}},
		Thresholds: []reports.Threshold{
			{Text: "honest.accepted >= 99.9%", Got: "honest.accepted = 90% (180 of 200)"},
			{Text: "honest.latency.p99 <= 1s", Got: "honest.latency.p99 = 312ms", Holds: true},
			{Text: "honest.effects.lost == 0", Got: "honest.effects.lost was not measured: no effect was looked up", Unmeasured: true},
		},
	}
	return reports.Result{
		ID: "load/latency/declared-rate", Title: "The declared rate is served", Level: "should", Verdict: reports.Warn,
		Reason: "honest.accepted >= 99.9% does not hold", Load: m.Compact(),
	}
}

// A result carries what was measured, but not the bulk of it, through the journal and
// through JSON.
func TestResultWithLoad(t *testing.T) {
	run := reports.Run{Schema: reports.Schema, State: reports.Complete, Started: began, Ended: began, Results: []reports.Result{loaded()}}
	run.Totals = run.Count()
	var text bytes.Buffer
	if err := reports.JSON(&text, run); err != nil {
		t.Fatal(err)
	}
	for _, bulk := range []string{"HISTF", `"series": [`} {
		if strings.Contains(text.String(), bulk) {
			t.Errorf("the report holds %s:\n%s", bulk, text.String())
		}
	}
	read, err := reports.ReadJSON(&text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(run, read); diff != "" {
		t.Errorf("JSON read back (-want +got):\n%s", diff)
	}

	var lines bytes.Buffer
	j, err := reports.NewJournal(&lines, run, []reports.Planned{{ID: run.Results[0].ID}})
	if err == nil {
		err = j.Record(run.Results[0])
	}
	if err == nil {
		err = j.Close(reports.Complete, began, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if read, err = reports.ReadJournal(&lines); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(run.Results, read.Results); diff != "" {
		t.Errorf("journal read back (-want +got):\n%s", diff)
	}
}

// What was measured is told in a few lines, and holds no secret.
func TestTerminalOfALoad(t *testing.T) {
	result := reports.NewRedactor("sesame-open-sesame").CleanResult(loaded())
	run := reports.Run{Schema: reports.Schema, State: reports.Complete, Started: began, Ended: began, Results: []reports.Result{result}}
	var text, asJSON bytes.Buffer
	if err := (reports.Terminal{Width: 200}).Write(&text, run); err != nil {
		t.Fatal(err)
	}
	if err := reports.JSON(&asJSON, run); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# 200/s for 1s; honest",
		"# honest: 200 planned, 180 accepted, 15 unavailable, 2 other, 3 timeout, accepted in p50 78 ms, p99 312 ms",
		"# broken: honest.accepted >= 99.9% (honest.accepted = 90% (180 of 200))",
		"# holds: honest.latency.p99 <= 1s (honest.latency.p99 = 312ms)",
		"# not measured: honest.effects.lost == 0 (honest.effects.lost was not measured: no effect was looked up)",
		"# generator: 199 of 200 hits/s, lag p99 0.4 ms, 12% CPU",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("does not say %q:\n%s", want, text.String())
		}
	}
	if strings.Contains(asJSON.String(), "sesame") {
		t.Errorf("tells a secret:\n%s", asJSON.String())
	}
}
