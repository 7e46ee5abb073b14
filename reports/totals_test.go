package reports_test

import (
	"testing"

	"github.com/hookanvil/hookanvil/reports"
)

func results(verdicts ...reports.Verdict) []reports.Result {
	list := make([]reports.Result, len(verdicts))
	for i, v := range verdicts {
		list[i] = reports.Result{ID: "receiver/x/" + string(rune('a'+i)), Verdict: v}
	}
	return list
}

func TestExitCode(t *testing.T) {
	const (
		pass, fail, warn, skip, inconclusive = reports.Pass, reports.Fail, reports.Warn, reports.Skip, reports.Inconclusive
	)
	for _, test := range []struct {
		name    string
		state   string
		results []reports.Result
		want    int
	}{
		{"all passed", reports.Complete, results(pass, pass), 0},
		{"a should not met", reports.Complete, results(pass, warn), 0},
		{"only a should, not met", reports.Complete, results(warn), 0},
		{"some did not apply", reports.Complete, results(pass, skip, skip), 0},
		{"a failure", reports.Complete, results(pass, fail), 1},
		{"a failure outweighs what could not be judged", reports.Complete, results(inconclusive, fail), 1},
		{"a failure in a run that was cut short", reports.Incomplete, results(fail), 1},
		{"something could not be judged", reports.Complete, results(pass, inconclusive), 3},
		{"nothing was run", reports.Complete, nil, 3},
		{"nothing applied", reports.Complete, results(skip, skip), 3},
		{"cut short though all passed", reports.Incomplete, results(pass), 3},
		{"of no known state", "", results(pass), 3},
		{"a case without verdict", reports.Complete, results(pass, ""), 3},
		{"a case with a verdict that does not exist", reports.Complete, results(pass, "passed"), 3},
		{"interrupted", reports.Interrupted, results(pass, pass), 130},
		{"interrupted after a failure", reports.Interrupted, results(fail), 130},
	} {
		run := reports.Run{State: test.state, Results: test.results}
		if got := run.ExitCode(); got != test.want {
			t.Errorf("%s: exit code %d, want %d", test.name, got, test.want)
		}
	}
}

func TestCount(t *testing.T) {
	run := reports.Run{Results: results(reports.Pass, reports.Pass, reports.Fail, reports.Fail, reports.Warn, reports.Skip, reports.Inconclusive, "?")}
	run.Results[2].Known = "accepted"
	want := reports.Totals{Pass: 2, Fail: 2, Known: 1, Warn: 1, Skip: 1, Inconclusive: 2}
	if got := run.Count(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
