package suites_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites"
)

// sendingUnderLoad judges the reference sender, with a defect or none. What a busy machine
// has not let be judged is judged again; of the correct one, what it was found wanting in
// is judged once more, as the matrix does.
func sendingUnderLoad(t *testing.T, defect, profile string, d suites.Declared, names ...string) reports.Run {
	t.Helper()
	cases := choose(t, names...)
	run := sendUnderLoad(t, defect, profile, d, cases)
	for try := 1; try < 6; try++ {
		var those []int
		for i, r := range run.Results {
			wanting := defect == "" && try == 1 && (r.Verdict == reports.Fail || r.Verdict == reports.Warn)
			if r.Verdict == reports.Inconclusive || wanting {
				t.Logf("%s once more: %s: %s", r.ID, r.Verdict, r.Reason)
				those = append(those, i)
			}
		}
		if len(those) == 0 {
			break
		}
		var again []scenarios.Case
		for _, i := range those {
			again = append(again, cases[i])
		}
		for n, r := range sendUnderLoad(t, defect, profile, d, again).Results {
			run.Results[those[n]] = r
		}
	}
	run.Totals = run.Count()
	return run
}

func sendUnderLoad(t *testing.T, defect, profile string, d suites.Declared, cases []scenarios.Case) reports.Run {
	t.Helper()
	p, err := profiles.Get(profile)
	if err != nil {
		t.Fatal(err)
	}
	limits := suites.QuickSender
	limits.Arrival = min(limits.Arrival, 4*d.Time)
	s, err := suites.NewSenderSpecimen(p, defect, 1, limits)
	if err != nil {
		t.Fatal(err)
	}
	journal := filepath.Join(t.TempDir(), "run.journal")
	run, err := complete(t, t.Context(), suites.Config{
		Subject: suites.Sender(s.Subject), Cases: cases, Seed: 1, Load: d, Journal: journal,
		Watch: func(p suites.Progress) {
			if len(p.Running) > 1 && slices.ContainsFunc(p.Running, func(name string) bool { return strings.HasPrefix(name, "load/") }) {
				t.Errorf("a load is sent beside other cases: %q", p.Running)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkAbsorbedFirst(t, journal, run)
	return run
}

// checkAbsorbedFirst holds that what a case of load rests on is in the journal before its
// result.
func checkAbsorbedFirst(t *testing.T, journal string, run reports.Run) {
	t.Helper()
	lines := strings.Split(read(t, journal), "\n")
	for _, r := range run.Results {
		if !strings.HasPrefix(r.ID, "load/") || r.Absorbed == nil {
			continue
		}
		at := func(words ...string) int {
			return slices.IndexFunc(lines, func(line string) bool {
				return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
			})
		}
		first, last := at(`"kind":"observation","case":"`+r.ID+`"`, `"absorbed":{`), at(`"kind":"result","result":{"id":"`+r.ID+`"`)
		if first < 0 || last < first {
			t.Errorf("%s: absorbed in line %d of the journal, judged in line %d", r.ID, first, last)
		}
	}
}

// All of load/sender stands beside an ordinary case, and the correct sender passes it.
func TestTheCorrectSenderUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("the kill matrix has more of the kind")
	}
	run := sendingUnderLoad(t, "", "standard-webhooks", suites.QuickSenderLoad, "sender/request/method-post", "load/sender")
	for _, r := range run.Results {
		if r.Verdict == reports.Inconclusive && strings.Contains(r.Reason, "late (p99)") {
			t.Logf("the machine is too busy for %s: %s", r.ID, r.Reason)
			continue
		}
		if r.Verdict != reports.Pass {
			t.Errorf("%s: %s: %s", r.ID, r.Verdict, r.Reason)
		}
		if strings.HasPrefix(r.ID, "load/") && (len(r.Figures) == 0 || r.Absorbed == nil || r.Absorbed.Verified == 0) {
			t.Errorf("%s tells figures %v, and absorbed %+v", r.ID, r.Figures, r.Absorbed)
		}
	}
}

func TestASenderUnderLoadWithADefect(t *testing.T) {
	if testing.Short() {
		t.Skip("the kill matrix has more of the kind")
	}
	brief := suites.QuickSenderLoad
	brief.Time /= 3 // what is refused is waited for four times as long
	run := sendingUnderLoad(t, "mixes-up-signatures-when-busy", "github", brief, "load/sender/signatures", "load/sender/freshness")
	for i, want := range []reports.Verdict{reports.Fail, reports.Skip} {
		if r := run.Results[i]; r.Verdict != want {
			t.Errorf("%s: %s: %s; want %s", r.ID, r.Verdict, r.Reason, want)
		}
	}
	if r := run.Results[0]; !strings.Contains(r.Reason, "do not verify: map[mismatch:") || len(r.Evidence) == 0 || r.Evidence[0].Label != "refused: mismatch" {
		t.Errorf("%s: %s, evidence %+v", r.ID, r.Reason, r.Evidence)
	}
}

// Whose load is meant shows in the settings, and what does not apply is skipped.
func TestSettingsOfASenderUnderLoad(t *testing.T) {
	t.Setenv("WEBHOOK_SECRET", "a secret of no consequence")
	const trigger = `POST http://127.0.0.1:1/events {"url":"{url}","token":"{token}"}`
	for _, tt := range []struct {
		names []string
		set   map[string]string
		want  string // prefix of all cases
		says  string
	}{
		{[]string{"load"}, map[string]string{"trigger": trigger}, "load/sender/", ""},
		{[]string{"load/"}, map[string]string{"trigger": trigger, "rate": "50/s", "concurrency": "4"}, "load/sender/", ""},
		{[]string{"load/sender"}, map[string]string{"trigger": trigger}, "load/sender/", ""},
		{[]string{"load/sender"}, map[string]string{"target": "http://127.0.0.1:1/"}, "", "use --target: it is for judging a receiver"},
		{[]string{"sender"}, map[string]string{"trigger": trigger}, "sender/", ""},
		{nil, map[string]string{"trigger": trigger}, "sender/", ""},
		{[]string{"sender"}, map[string]string{"trigger": trigger, "rate": "50/s"}, "", "use --rate: it is for the suites of load"},
		{[]string{"sender/request"}, map[string]string{"trigger": trigger, "concurrency": "4"}, "", "use --concurrency: it is for the suites of load"},
		{[]string{"load/latency"}, map[string]string{"target": "http://127.0.0.1:1/", "concurrency": "4"}, "", "use --concurrency: it is for judging a sender"},
		{[]string{"load/latency", "load/sender"}, map[string]string{"trigger": trigger}, "", "a run judges one subject"},
		{[]string{"load"}, map[string]string{"target": "http://127.0.0.1:1/", "trigger": trigger}, "", "say which"},
	} {
		s := suites.Settings{}
		set := map[string]string{"profile": "github", "secret": "env:WEBHOOK_SECRET"}
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
		if err == nil && len(c.Cases) == 0 {
			t.Errorf("%q with %v: no cases", tt.names, tt.set)
		}
		for _, k := range c.Cases {
			if !strings.HasPrefix(k.Name(), tt.want) {
				t.Errorf("%q with %v: %s is run", tt.names, tt.set, k.Name())
			}
			if rate := tt.set["rate"]; rate != "" && !strings.Contains(c.Reproduce(k), "--rate "+rate+" --concurrency 4") {
				t.Errorf("%s is run again by %s", k.Name(), c.Reproduce(k))
			}
		}
	}

	// A receiver's load does not take in a sender's.
	s := suites.Settings{Target: "http://127.0.0.1:1/", Profile: "github", Secret: []string{"env:WEBHOOK_SECRET"}}
	c, err := s.Plan(t.Context(), []string{"load"})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range c.Cases {
		if strings.HasPrefix(k.Name(), "load/sender") {
			t.Errorf("%s is run against a receiver", k.Name())
		}
	}
}

// A sender that cannot be judged under load is not: nothing is passed, and it is said why.
func TestSendersThatCannotBeLoaded(t *testing.T) {
	t.Setenv("WEBHOOK_SECRET", "a secret of no consequence")
	for _, tt := range []struct{ trigger, retry, name, want string }{
		{`POST http://127.0.0.1:1/events {"url":"{url}"}`, "200ms", "load/sender/latency", "{token} in --trigger"},
		{`POST http://127.0.0.1:1/events {"token":"{token}"}`, "200ms", "load/sender/fairness", "a second endpoint"},
		{`POST http://127.0.0.1:1/events {"url":"{url}","token":"{token}"}`, "200ms", "load/sender/drain", "has given up before"},
		{`POST http://127.0.0.1:1/events {"url":"{url}","token":"{token}"}`, "1s,30m", "load/sender/drain", "--time-scale"},
		{`POST http://127.0.0.1:1/events {"url":"{url}","token":"{token}"}`, "200ms", "load/sender/concurrency", "--concurrency"},
	} {
		s := suites.Settings{Profile: "github", Trigger: tt.trigger, Secret: []string{"env:WEBHOOK_SECRET"}, RetrySchedule: []string{tt.retry}}
		c, err := s.Plan(t.Context(), []string{tt.name})
		if err != nil {
			t.Fatal(err)
		}
		session, err := suites.Start(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		run, err := session.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if r := run.Results[0]; r.Verdict != reports.Skip || !strings.Contains(r.Reason, tt.want) {
			t.Errorf("%s by %s: %s: %s, want %q", tt.name, tt.trigger, r.Verdict, r.Reason, tt.want)
		}
	}
}
