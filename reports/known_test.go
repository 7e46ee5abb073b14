package reports_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/reports"
)

// Each way in which what is expected and what is found may meet.
func TestApply(t *testing.T) {
	const id = "receiver/signature/replayed"
	listed := []reports.Known{{ID: id, Reason: "see HOOK-7", Until: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)}}
	before := time.Date(2027, 1, 31, 23, 59, 59, 0, time.UTC)
	after := before.Add(time.Second)
	for _, test := range []struct {
		name    string
		known   []reports.Known
		verdict reports.Verdict // of the case; none where it is not in the run
		now     time.Time
		marked  bool
		stale   bool
		note    string
		exit    int
	}{
		{"not listed, fails", nil, reports.Fail, before, false, false, "", 1},
		{"not listed, passes", nil, reports.Pass, before, false, false, "", 0},
		{"listed, fails", listed, reports.Fail, before, true, false, "", 0},
		{"listed, fails after its last day", listed, reports.Fail, after, false, false, "was excused until 2027-01-31", 1},
		{"listed, passes", listed, reports.Pass, before, false, true, "passes now", 1},
		{"listed, passes after its last day", listed, reports.Pass, after, false, true, "passes now", 1},
		{"listed, not in the run", listed, "", before, false, true, "names no case", 1},
		{"listed, warns", listed, reports.Warn, before, true, false, "", 0},
		{"listed, could not be judged", listed, reports.Inconclusive, before, false, false, "", 3},
		{"listed, does not apply", listed, reports.Skip, before, false, false, "", 0},
		{"listed without a reason, fails", []reports.Known{{ID: id, Until: before}}, reports.Fail, before, false, false, "", 1},
		{"listed without a last day, fails", []reports.Known{{ID: id, Reason: "see HOOK-7"}}, reports.Fail, before, false, false, "was excused until", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			run := reports.Run{State: reports.Complete, Results: results(reports.Pass)}
			if test.verdict != "" {
				run.Results = append(run.Results, reports.Result{ID: id, Verdict: test.verdict})
			}
			reports.Apply(&run, test.known, test.now)
			if got := run.ExitCode(); got != test.exit {
				t.Errorf("exit code %d, want %d", got, test.exit)
			}
			if got := slices.Contains(run.Stale, id); got != test.stale {
				t.Errorf("stale: %v, want %v", got, test.stale)
			}
			if notes := strings.Join(run.Notes, "\n"); !strings.Contains(notes, test.note) || (test.note == "") != (notes == "") {
				t.Errorf("notes %q, want %q", notes, test.note)
			}
			if test.verdict == "" {
				return
			}
			result := run.Results[1]
			if (result.Known != "") != test.marked || result.Verdict != test.verdict {
				t.Errorf("known %q, verdict %s; want marked %v, verdict %s", result.Known, result.Verdict, test.marked, test.verdict)
			}
			if run.Totals != run.Count() {
				t.Errorf("totals %+v, results %+v", run.Totals, run.Count())
			}
		})
	}
}
