package suites_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
	"github.com/hookanvil/hookanvil/suites"
)

const canary = "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5"

func set(t *testing.T, fields []*suites.Field, name, value string) error {
	t.Helper()
	for _, f := range fields {
		if f.Name == name {
			return f.Set(value)
		}
	}
	t.Fatalf("no setting is called %s", name)
	return nil
}

// Flags win over the environment, and the environment over the file.
func TestSettingsPrecedence(t *testing.T) {
	path := write(t, "settings.yaml", "target: http://file/\nprofile: stripe\nparallel: 3\nslow-limit: 4s\nfail-fast: true\nsecret: file:of-the-file\naccept: [200-204, '299:ok']\n")
	t.Setenv("HOOKANVIL_TARGET", "http://environment/")
	t.Setenv("HOOKANVIL_SECRET", canary)
	t.Setenv("HOOKANVIL_PROFILE", "slack")
	var s suites.Settings
	fields := s.Fields()
	for _, err := range []error{
		set(t, fields, "target", "http://flag/"),
		set(t, fields, "report", "json=a"), set(t, fields, "report", "junit=b"),
		suites.FromEnvironment(fields), suites.FromFile(path, fields),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := suites.Settings{
		Target: "http://flag/", Profile: "slack", Secret: []string{"env:HOOKANVIL_SECRET"}, Parallel: 3, SlowLimit: 4 * time.Second,
		FailFast: true, Accept: []string{"200-204", "299:ok"}, Report: []string{"json=a", "junit=b"},
	}
	if diff := cmp.Diff(want, s, cmpopts.IgnoreUnexported(suites.Settings{})); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestSettingsFileMistakes(t *testing.T) {
	for src, want := range map[string]string{
		"targett: http://x/\n":           `did you mean "target"?`,
		"target: http://x/\nurl: x\n":    ":2:1: unknown key",
		"parallel: many\n":               ":1:11:",
		"parallel: 0\n":                  "from 1 to 256",
		"slow-limit: 5\n":                "no unit",
		"level: sometimes\n":             "must be one of must, should, may",
		"fail-fast: yes\n":               "must be true or false",
		"target: [a, b]\n":               "must be text",
		"target: http://x/\ntarget: y\n": ":2:1:",
		"":                               "empty",
	} {
		path := write(t, "settings.yaml", src)
		var s suites.Settings
		err := suites.FromFile(path, s.Fields())
		var positioned *strictyaml.Error
		if !errors.As(err, &positioned) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with its place that contains %q", src, err, want)
		}
	}
	var s suites.Settings
	if err := suites.FromFile("missing.yaml", s.Fields()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a named file that is missing: %v", err)
	}
	if err := suites.FromFile("", s.Fields()); err != nil {
		t.Errorf("no file in the working directory: %v", err)
	}
}

func TestFlagMistakes(t *testing.T) {
	for _, test := range []struct{ name, value string }{
		{"parallel", "0"}, {"parallel", "-1"}, {"parallel", "1e3"}, {"seed", "-5"}, {"seed", "x"},
		{"slow-limit", "5"}, {"slow-limit", "-5s"}, {"level", "sometimes"}, {"fail-fast", "perhaps"},
	} {
		var s suites.Settings
		if err := set(t, s.Fields(), test.name, test.value); err == nil {
			t.Errorf("--%s %s is taken", test.name, test.value)
		}
	}
}

// What is wrong with a subject is found before anything is sent, and the message
// says what to do, and nothing of a secret.
// A fact that is told takes the place of the profile's, in that run alone.
func TestFacts(t *testing.T) {
	told, err := suites.Settings{Profile: "paypal", Fact: []string{"webhook-id=8PT597110X687430L"}}.FoundProfile()
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := suites.FindProfile("paypal")
	if err != nil {
		t.Fatal(err)
	}
	if told.Facts[0].Value != "8PT597110X687430L" || shipped.Facts[0].Value == told.Facts[0].Value {
		t.Errorf("told %v, shipped %v", told.Facts, shipped.Facts)
	}
}

func TestPlanMistakes(t *testing.T) {
	t.Setenv("CANARY", canary)
	t.Setenv("EMPTY", "")
	good := suites.Settings{Target: "http://127.0.0.1:1/", Profile: "standard-webhooks", Secret: []string{"env:CANARY"}}
	if _, err := good.Plan(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	noProfile := write(t, "no-profile", "a text\n")
	for _, test := range []struct {
		change func(*suites.Settings)
		want   string
	}{
		{func(s *suites.Settings) { s.Target = "" }, "--target"},
		{func(s *suites.Settings) { s.Target = "127.0.0.1:8080" }, "http://"},
		{func(s *suites.Settings) { s.Target = "ftp://127.0.0.1/" }, "http://"},
		{func(s *suites.Settings) { s.Target = "http://user:pass@127.0.0.1/" }, "user name or password"},
		{func(s *suites.Settings) { s.Target = "http://127.0.0.1/#x" }, "fragment"},
		{func(s *suites.Settings) { s.Target = "http://no-such-host.invalid/" }, "no-such-host.invalid"},
		{func(s *suites.Settings) { s.Profile = "" }, "--profile"},
		{func(s *suites.Settings) { s.Profile = "gihub" }, "github"},
		{func(s *suites.Settings) { s.Profile = "missing.yaml" }, "missing.yaml"},
		{func(s *suites.Settings) { s.Profile = noProfile }, "no-profile:1:1"},
		{func(s *suites.Settings) { s.Fact = []string{"webhook-id=1"} }, "has no facts"},
		{func(s *suites.Settings) { s.Profile, s.Fact = "paypal", []string{"webhook=1"} }, "it has webhook-id"},
		{func(s *suites.Settings) { s.Profile, s.Fact = "paypal", []string{"webhook-id"} }, "NAME=VALUE"},
		{func(s *suites.Settings) { s.Secret = nil }, "--secret"},
		{func(s *suites.Settings) { s.Secret = []string{canary} }, "cannot be given by value"},
		{func(s *suites.Settings) { s.Secret = []string{"v1=" + canary} }, "cannot be given by value"},
		{func(s *suites.Settings) { s.Secret = []string{"env:NO_SUCH_VARIABLE"} }, "not set"},
		{func(s *suites.Settings) { s.Secret = []string{"env:EMPTY"} }, "not set or empty"},
		{func(s *suites.Settings) { s.Secret = []string{"env:" + canary + "=="} }, "no name of an environment variable"},
		{func(s *suites.Settings) { s.Secret = []string{"file:missing"} }, "missing"},
		{func(s *suites.Settings) { s.Secret = []string{"v9=env:CANARY"} }, "no signature called"},
		{func(s *suites.Settings) { s.Secret = []string{"v1a=env:CANARY"} }, "v1a"},
		{func(s *suites.Settings) { s.SecondSecret = []string{canary} }, "--second-secret"},
		{func(s *suites.Settings) { s.OtherPath = "other" }, "begin with /"},
		{func(s *suites.Settings) { s.OtherPath = "//elsewhere/x" }, "--other-path"},
		{func(s *suites.Settings) { s.Header = []string{"no colon"} }, "Name: value"},
		{func(s *suites.Settings) { s.Header = []string{"Content-Length: 5"} }, "framing"},
		{func(s *suites.Settings) { s.Header = []string{"X-Key: env:NO_SUCH_VARIABLE"} }, "not set"},
		{func(s *suites.Settings) { s.Accept = []string{"ok"} }, "--accept"},
		{func(s *suites.Settings) { s.Reject = []string{"700"} }, "--reject"},
		{func(s *suites.Settings) { s.Reject = []string{"299-200"} }, "--reject"},
		{func(s *suites.Settings) { s.ProbeURL = "not a url" }, "probe"},
		{func(s *suites.Settings) { s.ProbeExec, s.ProbeFile = "true", "x" }, "one of"},
		{func(s *suites.Settings) { s.Report = []string{"pdf=x"} }, "no format is called"},
		{func(s *suites.Settings) { s.Report = []string{"json"} }, "FORMAT=PATH"},
		{func(s *suites.Settings) { s.Report = []string{"json=/no/such/directory/x"} }, "no directory"},
		{func(s *suites.Settings) { s.Filter = "stripe" }, "none of"},
		{func(s *suites.Settings) { s.KnownFailures = "missing.yaml" }, "known failures"},
	} {
		s := good
		test.change(&s)
		_, err := s.Plan(t.Context(), nil)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want one that contains %q", err, test.want)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("the message shows a secret: %v", err)
		}
	}
}

func TestKnownFailures(t *testing.T) {
	t.Setenv("CANARY", canary)
	s := suites.Settings{Target: "http://127.0.0.1:1/", Profile: "standard-webhooks", Secret: []string{"env:CANARY"}}
	s.KnownFailures = write(t, "known.yaml", `
- {id: receiver/fidelity/valid, reason: is being repaired, until: 2027-01-31}
- {id: receiver/signature/missing, reason: is not selected here, until: 2027-01-31}
- {id: receiver/signature/no-such-case, reason: is stale, until: "2027-01-31"}
`)
	plan, err := s.Plan(t.Context(), []string{"receiver/fidelity"})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, k := range plan.Known {
		ids = append(ids, k.ID+" "+k.Until.Format(time.DateOnly))
	}
	want := []string{"receiver/fidelity/valid 2027-01-31", "receiver/signature/no-such-case 2027-01-31"}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("known failures (-want +got):\n%s", diff)
	}
	for src, want := range map[string]string{
		"- {id: a, reason: b, until: tomorrow}\n": "1:29",
		"- {id: a, until: 2027-01-31}\n":          "reason",
		"- {id: a, reason: b}\n":                  "until",
		"- {id: a, raison: b}\n":                  `did you mean "reason"?`,
	} {
		s.KnownFailures = write(t, "known.yaml", src)
		if _, err := s.Plan(t.Context(), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one that contains %q", src, err, want)
		}
	}
}

// A reproduction command can be copied, and holds no secret.
func TestReproduce(t *testing.T) {
	t.Setenv("CANARY", canary)
	mine := write(t, "it's mine.yaml", own)
	s := suites.Settings{
		Target: "http://127.0.0.1:1/hook?a=1&b=2", Profile: "standard-webhooks", Secret: []string{"env:CANARY", "v1=file:" + write(t, "secret", canary)},
		Header: []string{"X-Tunnel: env:CANARY"}, SlowLimit: 3 * time.Second, Filter: "must", Parallel: 2, Seed: 7,
	}
	plan, err := s.Plan(t.Context(), []string{"receiver/fidelity/valid", mine})
	if err != nil {
		t.Fatal(err)
	}
	quoted := "'" + strings.ReplaceAll(mine, "'", `'\''`) + ":one'"
	const how = " --target 'http://127.0.0.1:1/hook?a=1&b=2' --profile standard-webhooks --secret env:CANARY --secret "
	for i, want := range []string{"hookanvil run receiver/fidelity/valid" + how, "hookanvil run " + quoted + how} {
		got := plan.Reproduce(plan.Cases[i])
		if !strings.HasPrefix(got, want) || strings.Contains(got, canary) || strings.Contains(got, "--seed") {
			t.Errorf("reproduction command %s, want one that begins with %s", got, want)
		}
		if !strings.Contains(got, "--header 'X-Tunnel: env:CANARY'") || !strings.Contains(got, "--slow-limit 3s") {
			t.Errorf("reproduction command %s lacks a setting", got)
		}
	}
}

func TestWriteReports(t *testing.T) {
	dir := t.TempDir()
	s := specimen(t, "github", "")
	run, err := complete(t, t.Context(), suites.Config{Subject: suites.Receiver(s.Subject), Cases: choose(t, "receiver/fidelity/valid")})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	settings := suites.Settings{Report: []string{"json=-", "junit=" + filepath.Join(dir, "a.xml"), "terminal=" + filepath.Join(dir, "a.txt")}}
	toStdout, err := settings.WriteReports(&out, run)
	if err != nil || !toStdout || !strings.HasPrefix(out.String(), "{") {
		t.Errorf("standard output %q, error %v", out.String(), err)
	}
	for _, name := range []string{"a.xml", "a.txt"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || len(b) == 0 {
			t.Errorf("%s: %d bytes, error %v", name, len(b), err)
		}
	}
	settings.Report = []string{"json=/dev/full", "junit=" + filepath.Join(dir, "b.xml")}
	if _, err := settings.WriteReports(&out, run); err == nil {
		t.Error("a report on a full device is no error")
	}
	if _, err := os.Stat(filepath.Join(dir, "b.xml")); err != nil {
		t.Errorf("one report's failure cost another: %v", err)
	}
}

// A workflow's commands go to standard output, are not for who reads it, and have a summary
// beside them.
func TestWriteReportsOfAWorkflow(t *testing.T) {
	s := specimen(t, "github", "")
	mine := write(t, "mine.yaml", own)
	run, err := complete(t, t.Context(), suites.Config{Subject: suites.Receiver(s.Subject), Cases: choose(t, mine+":one")})
	if err != nil {
		t.Fatal(err)
	}
	if r := run.Results[0]; r.File != "mine.yaml" || r.Line == 0 {
		t.Errorf("a file elsewhere is called %q, line %d", r.File, r.Line)
	}
	t.Setenv("GITHUB_WORKSPACE", filepath.Dir(filepath.Dir(mine)))
	run, err = complete(t, t.Context(), suites.Config{Subject: suites.Receiver(s.Subject), Cases: choose(t, mine+":one", "receiver/fidelity/valid")})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := run.Results[0].File, filepath.Base(filepath.Dir(mine))+"/mine.yaml"; got != want || run.Results[1].File != "" {
		t.Errorf("the files are called %q and %q, want %q and none", got, run.Results[1].File, want)
	}
	summary := filepath.Join(t.TempDir(), "summary")
	t.Setenv("GITHUB_STEP_SUMMARY", summary)
	for report, want := range map[string]bool{"github": false, "github=-": true} {
		var out strings.Builder
		toStdout, err := suites.Settings{Report: []string{report}}.WriteReports(&out, run)
		if err != nil || toStdout != want || !strings.HasPrefix(out.String(), "::") {
			t.Errorf("%s: standard output %q is for people: %v, error %v", report, out.String(), !toStdout, err)
		}
	}
	if b, err := os.ReadFile(summary); err != nil || strings.Count(string(b), "### ") != 2 {
		t.Errorf("the summary is %q, error %v", b, err)
	}
	t.Setenv("GITHUB_STEP_SUMMARY", t.TempDir())
	if _, err := (suites.Settings{Report: []string{"github"}}).WriteReports(new(strings.Builder), run); err == nil {
		t.Error("a summary that cannot be written is no error")
	}
}
