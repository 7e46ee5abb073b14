package suites_test

import (
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

// underLoad judges the reference receiver, with a defect or none, and once more where a
// busy machine has not let the load be sent as it should.
func underLoad(t *testing.T, defect, profile string, names ...string) reports.Run {
	t.Helper()
	p, err := profiles.Get(profile)
	if err != nil {
		t.Fatal(err)
	}
	for try := 1; ; try++ {
		s, err := suites.NewSpecimen(p, defect, 1, suites.Quick)
		if err != nil {
			t.Fatal(err)
		}
		var alone sync.Once
		run, err := complete(t, t.Context(), suites.Config{
			Subject: suites.Receiver(s.Subject), Cases: choose(t, names...), Seed: 1, Load: suites.QuickLoad,
			Watch: func(p suites.Progress) {
				if slices.ContainsFunc(p.Running, func(name string) bool { return strings.HasPrefix(name, "load/") }) && len(p.Running) > 1 {
					alone.Do(func() { t.Errorf("a load is sent beside other cases: %q", p.Running) })
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if run.Totals = run.Count(); run.Totals.Inconclusive == 0 || try == 6 {
			return run
		}
	}
}

// Load stands beside other cases in one run, and takes the machine to itself.
func TestLoadBesideOtherCases(t *testing.T) {
	run := underLoad(t, "", "standard-webhooks", "receiver/fidelity", "load/adversarial/no-false-accept", "load/integrity/acknowledged-is-done")
	if run.ExitCode() != reports.ExitPassed {
		t.Errorf("exit code %d: %+v", run.ExitCode(), run.Totals)
	}
	for _, r := range run.Results {
		if (r.Load != nil) != strings.HasPrefix(r.ID, "load/") {
			t.Errorf("%s has the measurement %v", r.ID, r.Load)
		}
		if r.Verdict != reports.Pass && r.Verdict != reports.Skip {
			t.Errorf("%s: %s: %s", r.ID, r.Verdict, r.Reason)
		}
	}
}

// A run that is killed after a load and before its verdict has lost nothing but that: the
// journal, in whole lines up to then, has the figures.
func TestALoadThatWasNotJudgedIsInTheJournal(t *testing.T) {
	const name = "load/integrity/acknowledged-is-done"
	p, err := profiles.Get("standard-webhooks")
	if err != nil {
		t.Fatal(err)
	}
	s, err := suites.NewSpecimen(p, "", 1, suites.Quick)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	journal := filepath.Join(t.TempDir(), "run.journal")
	run, err := complete(t, t.Context(), suites.Config{Subject: suites.Receiver(s.Subject), Cases: choose(t, name), Seed: 1, Load: suites.QuickLoad, Journal: journal})
	if err != nil {
		t.Fatal(err)
	}
	before, _, judged := strings.Cut(read(t, journal), `"kind":"result"`)
	if !judged {
		t.Fatal("the journal has no result")
	}
	killed, err := reports.ReadJournal(strings.NewReader(before[:strings.LastIndex(before, "\n")+1]))
	if err != nil {
		t.Fatal(err)
	}
	got, want := killed.Results[0], run.Results[0]
	if got.Verdict != reports.Inconclusive || !strings.HasPrefix(got.Reason, "not judged") || got.Load == nil {
		t.Fatalf("%s: %s, measured %+v", got.Verdict, got.Reason, got.Load)
	}
	if diff := cmp.Diff(want.Load.Total, got.Load.Total); diff != "" || got.Load.Total.Accepted == 0 || got.Load.Total.Effects == nil {
		t.Errorf("the journal tells of another load than the result (-result +journal):\n%s", diff)
	}
}

func TestLoadFindsADefect(t *testing.T) {
	if testing.Short() {
		t.Skip("the kill matrix has more of the kind")
	}
	run := underLoad(t, "skips-verification-when-busy", "standard-webhooks", "load/adversarial/no-false-accept", "load/adversarial/no-false-reject")
	if r := run.Results[0]; r.Verdict != reports.Fail || !strings.Contains(r.Reason, "forged.accepted == 0 does not hold: forged.accepted = ") {
		t.Errorf("%s: %s: %s", r.ID, r.Verdict, r.Reason)
	}
	if r := run.Results[1]; r.Verdict != reports.Pass {
		t.Errorf("%s: %s: %s", r.ID, r.Verdict, r.Reason)
	}
}

// What a profile does not have is skipped, and the rest is judged.
func TestLoadUnderAnotherProfile(t *testing.T) {
	if testing.Short() {
		t.Skip("the kill matrix has more of the kind")
	}
	run := underLoad(t, "", "github", "load/adversarial/no-stale-accept", "load/adversarial/no-false-accept", "load/integrity/concurrent-duplicates")
	for i, want := range []reports.Verdict{reports.Skip, reports.Pass, reports.Pass} {
		if r := run.Results[i]; r.Verdict != want {
			t.Errorf("%s: %s: %s; want %s", r.ID, r.Verdict, r.Reason, want)
		}
	}
}

func TestSettingsOfLoad(t *testing.T) {
	t.Setenv("WEBHOOK_SECRET", "a secret of no consequence")
	for _, tt := range []struct {
		names []string
		set   map[string]string
		says  string
	}{
		{[]string{"load"}, nil, ""},
		{[]string{"load/latency"}, map[string]string{"rate": "200/s", "duration": "30s", "connections": "64"}, ""},
		{[]string{"receiver", "load"}, map[string]string{"rate": "0.5/s"}, ""},
		{[]string{"load"}, map[string]string{"target": "http://localhost:1/"}, ""},
		{[]string{"load"}, map[string]string{"target": "http://[::1]:1/"}, ""},
		{[]string{"load"}, map[string]string{"target": "http://192.0.2.1/", "allow-remote-load": "true"}, ""},
		{[]string{"load"}, map[string]string{"target": "http://192.0.2.1/"}, "say --allow-remote-load on the command line"},
		{[]string{"receiver", "load/soak"}, map[string]string{"target": "http://192.0.2.1/"}, "say --allow-remote-load on the command line"},
		{[]string{"receiver"}, map[string]string{"target": "http://192.0.2.1/"}, ""},
		{[]string{"receiver"}, map[string]string{"rate": "200/s"}, "use --rate: it is for the suites of load"},
		{nil, map[string]string{"allow-remote-load": "true"}, "use --allow-remote-load: it is for the suites of load"},
		{[]string{"load"}, map[string]string{"rate": "200"}, "a rate is written with its unit"},
		{[]string{"load"}, map[string]string{"rate": "100%"}, "a share of what?"},
		{[]string{"load"}, map[string]string{"rate": "100001/s"}, "at most 100000/s"},
		{[]string{"load"}, map[string]string{"duration": "61m"}, "a load lasts at most 1h"},
	} {
		s := suites.Settings{}
		set := map[string]string{"target": "http://127.0.0.1:1/hook", "profile": "github", "secret": "env:WEBHOOK_SECRET"}
		for name, value := range tt.set {
			set[name] = value
		}
		for _, f := range s.Fields() {
			if value, given := set[f.Name]; given {
				if err := f.Set(value); err != nil {
					t.Fatal(err)
				}
			}
		}
		c, err := s.Plan(t.Context(), tt.names)
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q with %v: error %v, want %q", tt.names, tt.set, err, tt.says)
			continue
		}
		if err != nil {
			continue
		}
		for _, k := range c.Cases {
			again := c.Reproduce(k)
			if rate := tt.set["rate"]; rate != "" && strings.Contains(again, "--rate "+rate) != strings.HasPrefix(k.Name(), "load/") {
				t.Errorf("%s is run again by %s", k.Name(), again)
			}
		}
	}

	// A file cannot say it: it may have been copied.
	s := suites.Settings{Target: "http://192.0.2.1/", Profile: "github", Secret: []string{"env:WEBHOOK_SECRET"}, AllowRemoteLoad: true}
	if _, err := s.Plan(t.Context(), []string{"load"}); err == nil || !strings.Contains(err.Error(), "--allow-remote-load") {
		t.Errorf("a target elsewhere is loaded without having been named on the command line: %v", err)
	}
}
