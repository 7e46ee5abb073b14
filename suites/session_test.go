package suites_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites"
)

// specimen starts the reference receiver for one test.
func specimen(t *testing.T, profile, defect string) *suites.Specimen {
	t.Helper()
	p, err := profiles.Get(profile)
	if err != nil {
		t.Fatal(err)
	}
	s, err := suites.NewSpecimen(p, defect, 1, suites.Quick)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// choose selects cases; those of receivers without names.
func choose(t *testing.T, names ...string) []scenarios.Case {
	t.Helper()
	if len(names) == 0 {
		names = []string{"receiver"}
	}
	cases, err := suites.Select(names)
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// complete runs a session to its end and demands a result for every case, in order, which
// tells what the case says of itself, whoever has judged it and whatever came of that.
func complete(t *testing.T, ctx context.Context, c suites.Config) (reports.Run, error) {
	t.Helper()
	session, err := suites.Start(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	run, err := session.Wait()
	var want, got []string
	for i, k := range c.Cases {
		want, got = append(want, k.Name()), append(got, run.Results[i].ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results in another order than the cases (-want +got):\n%s", diff)
		return run, err
	}
	for i, k := range c.Cases {
		want := [...]string{k.Title, string(k.Level), k.Source, k.Why, k.Fix}
		if r := run.Results[i]; want != [...]string{r.Title, r.Level, r.Source, r.Why, r.Fix} {
			t.Errorf("the result does not tell of %s what it says of itself: %+v", k.Name(), r)
		}
	}
	return run, err
}

// Targets that are broken as a whole never pass a case that they cannot have
// earned, nor the run.
func TestBrokenTargets(t *testing.T) {
	for _, defect := range []string{"down", "not-found-all", "reject-all", "accept-all"} {
		t.Run(defect, func(t *testing.T) {
			t.Parallel()
			named := defect
			if defect == "down" {
				named = ""
			}
			s := specimen(t, "github", named)
			if defect == "down" {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			cases := choose(t)
			run, err := complete(t, t.Context(), suites.Config{Subject: suites.Receiver(s.Subject), Cases: cases, Seed: 1, Parallel: 16})
			if err != nil {
				t.Fatal(err)
			}
			totals := run.Count()
			t.Logf("%+v, notes %q", totals, run.Notes)
			switch code := run.ExitCode(); {
			case defect == "accept-all" && (code != reports.ExitFailed || totals.Fail < 50):
				t.Errorf("exit code %d with %d failures, want %d with many", code, totals.Fail, reports.ExitFailed)
			case defect == "down" && (code != reports.ExitInconclusive || totals.Pass+totals.Fail+totals.Warn > 0):
				t.Errorf("exit code %d, want %d and nothing decided", code, reports.ExitInconclusive)
			case defect != "accept-all" && totals.Pass > 0:
				t.Errorf("%d cases pass: %q", totals.Pass, withVerdict(run, reports.Pass))
			case code == reports.ExitPassed:
				t.Error("the run passes")
			}
			if defect != "accept-all" && len(run.Notes) == 0 {
				t.Error("no note says what is wrong with the target")
			}
			for i, c := range cases {
				if expects(c, "rejected") && run.Results[i].Verdict == reports.Pass {
					t.Errorf("%s: the forgery counts as rejected", c.Name())
				}
			}
		})
	}
}

func expects(c scenarios.Case, word string) bool {
	return slices.ContainsFunc(c.Expect, func(w scenarios.Word) bool { return w.Name == word })
}

func withVerdict(run reports.Run, v reports.Verdict) (ids []string) {
	for _, r := range run.Results {
		if r.Verdict == v {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

func TestInterrupted(t *testing.T) {
	s := specimen(t, "standard-webhooks", "")
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	cases := choose(t, "receiver/signature", "receiver/http")
	begin := time.Now()
	run, err := complete(t, ctx, suites.Config{
		Subject: suites.Receiver(s.Subject), Cases: cases, Parallel: 4,
		Watch: func(p suites.Progress) {
			if p.Done == 10 {
				interrupt()
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if run.State != reports.Interrupted || run.ExitCode() != reports.ExitInterrupted {
		t.Errorf("state %s, exit code %d", run.State, run.ExitCode())
	}
	unjudged := 0
	for _, r := range run.Results {
		if strings.HasSuffix(r.Reason, "interrupted") && r.Verdict == reports.Inconclusive {
			unjudged++
		}
	}
	if totals := run.Count(); unjudged < len(cases)-20 || totals.Fail > 0 || totals.Pass == 0 {
		t.Errorf("%d of %d cases were left unjudged; totals %+v", unjudged, len(cases), totals)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the session took %s to end", took)
	}
}

func TestFailFast(t *testing.T) {
	t.Parallel()
	s := specimen(t, "standard-webhooks", "compares-prefix-only")
	cases := choose(t, "receiver/signature")
	c := suites.Config{Subject: suites.Receiver(s.Subject), Cases: cases, Parallel: 1, FailFast: true, Seed: 1}
	run, err := complete(t, t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	totals := run.Count()
	if run.ExitCode() != reports.ExitFailed || totals.Fail != 1 || totals.Inconclusive == 0 {
		t.Errorf("exit code %d, totals %+v", run.ExitCode(), totals)
	}
	last := run.Results[len(run.Results)-1]
	if last.Verdict != reports.Inconclusive || !strings.Contains(last.Reason, "--fail-fast") {
		t.Errorf("the last case: %s, %s", last.Verdict, last.Reason)
	}

	failed := withVerdict(run, reports.Fail)
	for _, id := range []string{"truncated-to-1-byte", "truncated-to-8-bytes", "truncated-to-16-bytes", "truncated-by-1-byte"} {
		c.Known = append(c.Known, reports.Known{ID: "receiver/signature/" + id, Reason: "is being repaired", Until: time.Now()})
	}
	c.Seed = 2 // other deliveries: the receiver remembers the first ones
	run, err = complete(t, t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if totals := run.Count(); totals.Fail != 4 || totals.Known != 4 || run.ExitCode() != reports.ExitPassed {
		t.Errorf("known failures such as %q stop the run: exit code %d, totals %+v", failed, run.ExitCode(), totals)
	}

	for i := range c.Known {
		c.Known[i].Until = time.Now().AddDate(0, 0, -2)
	}
	c.Seed = 3
	run, err = complete(t, t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if totals := run.Count(); totals.Fail != 1 || totals.Known != 0 || run.ExitCode() != reports.ExitFailed {
		t.Errorf("failures that were known do not stop the run: exit code %d, totals %+v", run.ExitCode(), totals)
	}
}

func TestTimeout(t *testing.T) {
	s := specimen(t, "standard-webhooks", "")
	run, err := complete(t, t.Context(), suites.Config{Subject: suites.Receiver(s.Subject), Cases: choose(t, "receiver/http/silent-connection", "receiver/http/slow-body"), Timeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if run.ExitCode() != reports.ExitInconclusive {
		t.Errorf("exit code %d", run.ExitCode())
	}
	for _, r := range run.Results {
		if r.Verdict != reports.Inconclusive || !strings.Contains(r.Reason, "--timeout") {
			t.Errorf("%s: %s, %s", r.ID, r.Verdict, r.Reason)
		}
	}
}

// faultyProbe panics at one delivery, as a bug of our own would.
type faultyProbe struct{ calls int }

func (*faultyProbe) Keyed() bool    { return false }
func (*faultyProbe) String() string { return "faulty" }
func (p *faultyProbe) Count(context.Context, string) (int, error) {
	if p.calls++; p.calls == 8 {
		panic("a bug")
	}
	return 0, errors.New("no count")
}

func TestPanicCostsOneCase(t *testing.T) {
	t.Parallel()
	s := specimen(t, "standard-webhooks", "")
	s.Subject.Probe = &faultyProbe{}
	run, err := complete(t, t.Context(), suites.Config{Subject: suites.Receiver(s.Subject), Cases: choose(t, "receiver/replay")})
	if err == nil || !strings.Contains(err.Error(), "panic: a bug") {
		t.Errorf("error %v", err)
	}
	panicked := 0
	for _, r := range run.Results {
		if strings.Contains(r.Reason, "the harness failed") {
			panicked++
		}
	}
	if panicked != 1 {
		t.Errorf("%d cases fell to one panic", panicked)
	}
}

func TestScheduling(t *testing.T) {
	t.Parallel()
	s := specimen(t, "standard-webhooks", "")
	serial := map[string]bool{}
	cases := choose(t, "receiver/http/acknowledgement", "receiver/signature")
	for _, c := range cases {
		serial[c.Name()] = c.Serial
	}
	most, alone := 0, 0
	_, err := complete(t, t.Context(), suites.Config{
		Subject: suites.Receiver(s.Subject), Cases: cases, Parallel: 3,
		Watch: func(p suites.Progress) {
			most = max(most, len(p.Running))
			if slices.ContainsFunc(p.Running, func(name string) bool { return serial[name] }) {
				alone++
				if len(p.Running) > 1 {
					t.Errorf("a serial case runs beside others: %q", p.Running)
				}
			}
			if p.Total != len(cases) {
				t.Errorf("%d cases in all, want %d", p.Total, len(cases))
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if most != 3 || alone < 2 {
		t.Errorf("%d cases at the same time, want 3; %d serial cases ran", most, alone)
	}
}

// What the journal says is what the run says.
func TestJournal(t *testing.T) {
	s := specimen(t, "standard-webhooks", "compares-prefix-only")
	path := filepath.Join(t.TempDir(), "run.journal")
	c := suites.Config{Subject: suites.Receiver(s.Subject), Cases: choose(t, "receiver/signature"), Journal: path, Tool: suites.Tool()}
	run, err := complete(t, t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	read, err := reports.ReadJournal(f)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(asJSON(t, run), asJSON(t, read)); diff != "" {
		t.Errorf("run and journal differ (-run +journal):\n%s", diff)
	}
	if _, err := suites.Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("a journal is overwritten: %v", err)
	}
}

func asJSON(t *testing.T, run reports.Run) (v map[string]any) {
	t.Helper()
	var b strings.Builder
	if err := reports.JSON(&b, run); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(b.String()), &v); err != nil {
		t.Fatal(err)
	}
	delete(v, "ended") // taken apart from the journal's by a moment
	return v
}

// A journal that cannot be written stops the run: nothing is judged by what is not
// recorded.
func TestJournalCannotBeWritten(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full")
	}
	s := specimen(t, "standard-webhooks", "")
	link := filepath.Join(t.TempDir(), "full.journal")
	if err := os.Symlink("/dev/full", link); err != nil {
		t.Fatal(err)
	}
	if _, err := suites.Start(t.Context(), suites.Config{Subject: suites.Receiver(s.Subject), Cases: choose(t), Journal: link}); err == nil {
		t.Fatal("a session began with a journal that cannot be written")
	}
}
