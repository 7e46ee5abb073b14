package reports_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hookanvil/hookanvil/reports"
)

// Each way in which a case of a run and of its baseline may meet.
func TestHoldAgainst(t *testing.T) {
	const id = "receiver/signature/replayed"
	no := reports.Verdict("")
	for _, test := range []struct {
		was, now reports.Verdict // none where the run lacks the case
		exit     int
		known    string
		note     string
	}{
		{reports.Fail, reports.Fail, 0, "failed in the baseline too", ""},
		{reports.Pass, reports.Fail, 1, "", "worse than in the baseline: " + id},
		{reports.Warn, reports.Fail, 1, "", "worse than in the baseline: " + id},
		{reports.Skip, reports.Fail, 1, "", "worse than in the baseline: " + id},
		{reports.Inconclusive, reports.Fail, 1, "", "worse than in the baseline: " + id},
		{no, reports.Fail, 1, "", "not in the baseline: " + id},
		{reports.Fail, reports.Pass, 0, "", "failed in the baseline and passes now"},
		{reports.Inconclusive, reports.Inconclusive, 0, "could not be judged in the baseline either", ""},
		{reports.Pass, reports.Inconclusive, 3, "", "judged in the baseline, and not now: " + id},
		{reports.Fail, reports.Inconclusive, 3, "", "judged in the baseline, and not now: " + id},
		{reports.Skip, reports.Inconclusive, 3, "", ""},
		{no, reports.Inconclusive, 3, "", "not in the baseline: " + id},
		{reports.Pass, reports.Skip, 3, "", "judged in the baseline, and not now: " + id},
		{reports.Fail, reports.Skip, 3, "", "judged in the baseline, and not now: " + id},
		{reports.Inconclusive, reports.Skip, 0, "", ""},
		{reports.Skip, reports.Skip, 0, "", ""},
		{reports.Pass, reports.Warn, 0, "", "worse than in the baseline: " + id}, // a warning fails no run
		{reports.Warn, reports.Warn, 0, "warned in the baseline too", ""},
		{reports.Pass, no, 0, "", ""}, // not selected
	} {
		with := func(v reports.Verdict) reports.Run {
			run := reports.Run{State: reports.Complete, Results: results(reports.Pass)}
			if v != no {
				run.Results = append(run.Results, reports.Result{ID: id, Verdict: v, Reason: "answered 200"})
			}
			return run
		}
		run := with(test.now)
		reports.HoldAgainst(&run, &reports.Record{Run: with(test.was), Path: "before"})
		notes := strings.Join(run.Notes, "\n")
		if run.ExitCode() != test.exit || !strings.Contains(notes, test.note) || !strings.Contains(notes, "in before") {
			t.Errorf("%q and now %q: exit code %d, want %d; notes %q, want %q", test.was, test.now, run.ExitCode(), test.exit, notes, test.note)
		}
		if len(run.Results) == 2 && (!strings.Contains(run.Results[1].Known, test.known) || (test.known == "") != (run.Results[1].Known == "") || run.Results[1].Baseline != test.was) {
			t.Errorf("%q and now %q: known %q, baseline %q", test.was, test.now, run.Results[1].Known, run.Results[1].Baseline)
		}
		if run.Totals != run.Count() {
			t.Errorf("%q and now %q: totals %+v", test.was, test.now, run.Totals)
		}
		out := rendered(t, run)
		if red := strings.Contains(out["junit"], "<error") || strings.Contains(out["junit"], "<failure"); red != (test.exit != 0) {
			t.Errorf("%q and now %q: exit code %d, and JUnit:\n%s", test.was, test.now, test.exit, out["junit"])
		}
		if _, err := reports.ReadJSON(strings.NewReader(out["json"])); err != nil {
			t.Errorf("%q and now %q: %v", test.was, test.now, err)
		}
	}
}

// A failure for another reason is excused, and the reason is told; the same reason with
// other figures is the same.
func TestAnotherReason(t *testing.T) {
	with := func(reason string) reports.Run {
		return reports.Run{State: reports.Complete, Results: append(results(reports.Pass), reports.Result{ID: "receiver/a/b", Verdict: reports.Fail, Reason: reason})}
	}
	for now, want := range map[string]string{
		"it took 5.1s":  "failed in the baseline too",
		"it let me in!": "failed in the baseline too, for another reason: it took 4s",
	} {
		run := with(now)
		reports.HoldAgainst(&run, &reports.Record{Run: with("it took 4s")})
		if got := run.Results[1].Known; got != want || run.ExitCode() != 0 {
			t.Errorf("%s: %q, exit code %d", now, got, run.ExitCode())
		}
	}
}

// The list of known failures says more than a baseline.
func TestHoldAgainstAndApply(t *testing.T) {
	const id = "receiver/a/b"
	day := time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name     string
		was, now reports.Verdict
		listed   time.Time
		exit     int
		known    string
	}{
		{"listed, and fails there too", reports.Fail, reports.Fail, day, 0, "see HOOK-7"},
		{"listed, and passed there", reports.Pass, reports.Fail, day, 0, "see HOOK-7"},
		{"its time is over, and it fails there too", reports.Fail, reports.Fail, day.AddDate(0, 0, -40), 1, ""},
		{"listed, and passes", reports.Fail, reports.Pass, day, 1, ""},
	} {
		with := func(v reports.Verdict) reports.Run {
			return reports.Run{State: reports.Complete, Results: append(results(reports.Pass), reports.Result{ID: id, Verdict: v})}
		}
		run := with(test.now)
		reports.HoldAgainst(&run, &reports.Record{Run: with(test.was)})
		reports.Apply(&run, []reports.Known{{ID: id, Reason: "see HOOK-7", Until: test.listed}}, day)
		if run.ExitCode() != test.exit || run.Results[1].Known != test.known {
			t.Errorf("%s: exit code %d, known %q", test.name, run.ExitCode(), run.Results[1].Known)
		}
	}
}

// A run that is held against itself has nothing to answer for, unless it judged nothing; and
// no baseline makes more of a run than it is where it has no failures.
func TestHoldAgainstAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := randomRun(t, "a"), randomRun(t, "b")
		self := a.Run
		self.Results = append([]reports.Result(nil), a.Results...)
		reports.HoldAgainst(&self, &a)
		if want := map[bool]int{true: reports.ExitPassed, false: reports.ExitInconclusive}[a.Unfinished() == ""]; self.ExitCode() != want {
			t.Fatalf("exit code %d against itself, want %d", self.ExitCode(), want)
		}
		run := a.Run
		run.Results = append([]reports.Result(nil), a.Results...)
		reports.HoldAgainst(&run, &b)
		for _, r := range run.Results {
			was := ""
			for _, before := range b.Results {
				if before.ID == r.ID {
					was = string(before.Verdict)
				}
			}
			if r.Known != "" && was != string(r.Verdict) {
				t.Fatalf("%s is excused, and was %q", r.ID, was)
			}
			if r.Verdict == reports.Fail && was != "fail" && run.ExitCode() != reports.ExitFailed {
				t.Fatalf("%s fails and was %q: exit code %d", r.ID, was, run.ExitCode())
			}
		}
	})
}

func TestCheckBaseline(t *testing.T) {
	ids := []string{"receiver/signature/case-1"}
	for name, test := range map[string]struct {
		change func(base *reports.Run)
		want   string
	}{
		"nothing":          {func(*reports.Run) {}, ""},
		"another port":     {func(base *reports.Run) { base.Subject.Target = "http://localhost:1234/hooks" }, ""},
		"cut short":        {func(base *reports.Run) { base.State = reports.Incomplete }, "cut short"},
		"interrupted":      {func(base *reports.Run) { base.State = reports.Interrupted }, "interrupted"},
		"nothing judged":   {func(base *reports.Run) { base.Results = results(reports.Skip) }, "judged nothing"},
		"another role":     {func(base *reports.Run) { base.Subject.Role = "sender" }, "of a sender"},
		"another profile":  {func(base *reports.Run) { base.Profile = "svix" }, "under the profile svix"},
		"another path":     {func(base *reports.Run) { base.Subject.Target += "/other" }, "of another subject"},
		"another host":     {func(base *reports.Run) { base.Subject.Target = "https://hooks.example.com/hooks" }, "of another subject"},
		"none of the runs": {func(base *reports.Run) { base.Results = results(reports.Pass) }, "none of the cases"},
	} {
		base := sampleRun()
		test.change(&base)
		err := reports.CheckBaseline(&base, sampleRun().Subject, sampleRun().Profile, ids)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
