package reports_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hookanvil/hookanvil/reports"
)

// specimens are runs as they come, and as they should not: what every consumer must read.
func specimens() map[string]reports.Run {
	all := map[string]reports.Run{
		"run": sampleRun(), "sender": sampleSenderRun(),
		"nothing":     {State: reports.Complete},
		"interrupted": {State: reports.Interrupted, Tool: "hookanvil (devel)", Results: results(reports.Pass, reports.Inconclusive)},
		"passed":      {State: reports.Complete, Started: began, Ended: began.Add(1), Results: results(reports.Pass, reports.Skip)},
		"load":        {State: reports.Complete, Tool: "hookanvil v1.2.3-rc.1 (abc)", Started: began, Ended: began, Results: []reports.Result{loaded(), withAbsorption()}},
		"own file":    {State: reports.Complete, Results: []reports.Result{ownFile()}},
		"strange":     {State: "lost", Stale: []string{"receiver/a/b"}, Results: []reports.Result{{ID: "Lonely", Verdict: "perhaps"}}},
	}
	for name, payload := range payloads {
		all[name] = everywhere(payload)
	}
	return all
}

func ownFile() reports.Result {
	return reports.Result{
		ID: "receiver/our-rules/one", Title: "It holds", Level: "must", Verdict: reports.Fail, Reason: "it does not", Fix: "Mend it.",
		Source: "CWE-294", File: "my suites/a,b:c%.yaml", Line: 7,
	}
}

// oasisSchema is the schema of SARIF 2.1.0, which go-sarif has as a constant of its own. (Its
// Validate is of no use here: it looks at what go-sarif would write.)
func oasisSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif").Output()
	must(t, err)
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "schema.go"), nil, 0)
	must(t, err)
	spec := file.Scope.Lookup("schema").Decl.(*ast.ValueSpec)
	text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
	must(t, err)
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	must(t, err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	must(t, c.AddResource("sarif.json", v))
	schema, err := c.Compile("sarif.json")
	must(t, err)
	return schema
}

func TestSARIFIsRead(t *testing.T) {
	schema := oasisSchema(t)
	for name, run := range specimens() {
		var b bytes.Buffer
		must(t, reports.SARIF(&b, run))
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b.Bytes()))
		must(t, err)
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		log, err := sarif.FromBytes(b.Bytes())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := 0
		for _, r := range run.Results {
			if r.Verdict != reports.Pass && r.Verdict != reports.Skip {
				want++
			}
		}
		one := log.Runs[0]
		if len(one.Results) != want || len(one.Tool.Driver.Rules) != want {
			t.Errorf("%s: %d results and %d rules, want %d", name, len(one.Results), len(one.Tool.Driver.Rules), want)
		}
		for _, r := range one.Results {
			checkAlert(t, name, one, r)
		}
	}
}

// checkAlert makes sure that code scanning accepts a result: it demands a location with a
// relative URI, and help for the rule.
func checkAlert(t *testing.T, name string, run *sarif.Run, r *sarif.Result) {
	t.Helper()
	rule := run.Tool.Driver.Rules[r.RuleIndex]
	if *rule.ID != *r.RuleID || *rule.Help.Text == "" || *rule.ShortDescription.Text == "" || *r.Message.Text == "" {
		t.Errorf("%s: %s: its rule is %s, or there is nothing to read", name, *r.RuleID, *rule.ID)
	}
	at := r.Locations[0].PhysicalLocation
	if uri := *at.ArtifactLocation.URI; uri == "" || strings.HasPrefix(uri, "/") || strings.Contains(uri, "..") || *at.Region.StartLine < 1 {
		t.Errorf("%s: %s is at %s:%d", name, *r.RuleID, uri, *at.Region.StartLine)
	}
	if hash := r.PartialFingerprints["primaryLocationLineHash"]; !regexp.MustCompile(`^[0-9a-f]{16}:1$`).MatchString(hash) {
		t.Errorf("%s: %s has the fingerprint %q", name, *r.RuleID, hash)
	}
	if link := regexp.MustCompile(`(^|[^\\])(\\\\)*\[`).FindString(*r.Message.Text); link != "" {
		t.Errorf("%s: a message has a link: %s", name, *r.Message.Text)
	}
}

// What is found of a case is found again: by the case and the profile alone.
func TestSARIFFingerprints(t *testing.T) {
	print := func(run reports.Run) string {
		var b bytes.Buffer
		must(t, reports.SARIF(&b, run))
		log, err := sarif.FromBytes(b.Bytes())
		must(t, err)
		return fmt.Sprint(log.Runs[0].Results[0].PartialFingerprints)
	}
	first := sampleRun()
	again := sampleRun()
	again.Seed, again.Started, again.Subject.Target, again.Tool = 7, began.Add(1), "http://127.0.0.1:1/", "hookanvil v9.9.9"
	for i := range again.Results {
		again.Results[i].Reason, again.Results[i].Title = "something else", "said otherwise"
	}
	other := sampleRun()
	other.Profile = "github"
	if print(first) != print(again) || print(first) == print(other) {
		t.Errorf("fingerprints %s, %s of another run and %s of another profile", print(first), print(again), print(other))
	}
}

func TestSARIFSays(t *testing.T) {
	run := sampleRun()
	run.Results = append(run.Results, ownFile())
	out := rendered(t, run)["sarif"]
	for _, want := range []string{
		`"uri": "my%20suites/a,b:c%25.yaml"`, `"startLine": 7`, `"uri": "scenarios/receiver/signature.yaml"`, `"external/cwe/cwe-294"`,
		`"helpUri": "https://cwe.mitre.org/data/definitions/294.html"`, `"helpUri": "https://www.rfc-editor.org/rfc/rfc9110#section-5.3"`,
		`"justification": "the gateway caches keys for a day, see HOOK-118"`, `"kind": "open"`, `"level": "none"`, `"exitCode": 1`,
		`"semanticVersion": "0.1.0"`, `**Repair**: Mend it.`, `"id": "hookanvil/receiver/standard-webhooks/"`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is missing in\n%s", want, out)
		}
	}
}

func TestCTRFIsValid(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join("testdata", "ctrf", "schema.json"))
	must(t, err)
	for name, run := range specimens() {
		var b bytes.Buffer
		must(t, reports.CTRF(&b, run))
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b.Bytes()))
		must(t, err)
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var report struct {
			Results struct {
				Summary map[string]any
				Tests   []struct{ Status string }
			}
		}
		must(t, json.Unmarshal(b.Bytes(), &report))
		counts := map[string]float64{}
		for _, test := range report.Results.Tests {
			counts[test.Status]++
		}
		for _, status := range []string{"passed", "failed", "skipped", "pending", "other"} {
			if got := report.Results.Summary[status]; got != counts[status] {
				t.Errorf("%s: %v %s, and %v tests that are", name, got, status, counts[status])
			}
		}
	}
}

// The badge is as shields.io documents it: these members, of these types, and a message
// that is not empty.
func TestBadgeIsValid(t *testing.T) {
	for name, run := range specimens() {
		var b bytes.Buffer
		must(t, reports.Badge(&b, run))
		var badge struct {
			SchemaVersion                        int
			Label, Message, Color, LabelColor    string
			IsError                              bool
			NamedLogo, LogoSVG, LogoColor, Style string
			LogoSize                             string
			CacheSeconds                         int
		}
		d := json.NewDecoder(&b)
		d.DisallowUnknownFields()
		if err := d.Decode(&badge); err != nil || badge.SchemaVersion != 1 || badge.Message == "" || !regexp.MustCompile(`^[a-z]+$`).MatchString(badge.Color) {
			t.Errorf("%s: %+v: %v", name, badge, err)
		}
		if badge.IsError != (run.ExitCode() != reports.ExitPassed) || badge.IsError == strings.Contains(badge.Color, "green") {
			t.Errorf("%s: exit code %d, and the badge is %+v", name, run.ExitCode(), badge)
		}
	}
}

// Whoever reads one format alone must not take a run for a success that is none, or the
// other way round.
func TestNoSuccessInAnyFormat(t *testing.T) {
	red := map[string]*regexp.Regexp{
		"sarif":       regexp.MustCompile(`"exitCode": [1-9]`),
		"ctrf":        regexp.MustCompile(`"(failed|other)": [1-9]`),
		"tap":         regexp.MustCompile(`(?m)^not ok [^#]*$`),
		"markdown":    regexp.MustCompile(`(?i)^### . Hookanvil: (failed|inconclusive|interrupted|incomplete)`),
		"github":      regexp.MustCompile(`(?m)^::(error|warning) title=hookanvil [a-z]*::`),
		"badge":       regexp.MustCompile(`"isError": true`),
		"openmetrics": regexp.MustCompile(`(?m)^hookanvil_run_success 0$`),
	}
	known := results(reports.Pass, reports.Fail)
	known[1].Known = "accepted"
	runs := map[string]reports.Run{
		"passed": {State: reports.Complete, Results: results(reports.Pass, reports.Skip, reports.Warn)}, "known": {State: reports.Complete, Results: known},
		"failed": {State: reports.Complete, Results: results(reports.Pass, reports.Fail)}, "inconclusive": {State: reports.Complete, Results: results(reports.Pass, reports.Inconclusive)},
		"nothing": {State: reports.Complete}, "skipped": {State: reports.Complete, Results: results(reports.Skip)},
		"interrupted": {State: reports.Interrupted, Results: results(reports.Pass)}, "incomplete": {State: reports.Incomplete, Results: results(reports.Pass)},
		"stale": {State: reports.Complete, Results: results(reports.Pass), Stale: []string{"receiver/a/b"}},
	}
	for name, run := range runs {
		run.Subject.Role = "receiver"
		out := rendered(t, run)
		for format, sign := range red {
			if got, want := sign.MatchString(out[format]), run.ExitCode() != reports.ExitPassed; got != want {
				t.Errorf("%s, exit code %d, as %s: no success is %v in\n%s", name, run.ExitCode(), format, got, out[format])
			}
		}
	}
}

// Cases of load and of senders under load say what was measured, wherever there is room.
func TestMeasuredInEveryFormat(t *testing.T) {
	out := rendered(t, specimens()["load"])
	for format, wants := range map[string][]string{
		"sarif": {"200 planned", "10 verified"}, "ctrf": {"200 planned", "10 verified"}, "tap": {"200 planned", "10 verified"}, "markdown": {"200 planned", "10 verified"},
		"openmetrics": {
			`hookanvil_case_load_hits{case="load/latency/declared-rate",class="honest",outcome="accepted"} 180`,
			`hookanvil_case_load_latency_seconds{quantile="0.99",case="load/latency/declared-rate",class="honest"`,
			`hookanvil_case_absorbed{case="load/sender/throughput",kind="verified"} 10`,
		},
	} {
		for _, want := range wants {
			if !strings.Contains(out[format], want) {
				t.Errorf("%s lacks %s:\n%s", format, want, out[format])
			}
		}
	}
}

// The markdown fits where it is posted, and says what it leaves out; the verdict, the table
// and the names of what failed go before details.
func TestMarkdownIsBounded(t *testing.T) {
	run := sampleRun()
	for i := range 3000 {
		r := bodyBitFlipped()
		r.ID = fmt.Sprintf("receiver/suite-%d/case-%d", i, i)
		r.Reason = strings.Repeat("for many reasons ", 100)
		run.Results = append(run.Results, r)
	}
	var b bytes.Buffer
	must(t, reports.Markdown(&b, run))
	out := b.String()
	m := regexp.MustCompile(`cut at 60,000 bytes\*\*: ([\d,]+) results stand here without details, and ([\d,]+) not at all`).FindStringSubmatch(out)
	if m == nil || len(out) > reports.MostMarkdown || !strings.HasPrefix(out, "### ✗ Hookanvil: failed\n") {
		t.Fatalf("%d bytes, %v:\n%.500s\n...\n%s", len(out), m, out, out[len(out)-500:])
	}
	var briefly, left int
	fmt.Sscan(strings.ReplaceAll(m[1], ",", ""), &briefly)
	fmt.Sscan(strings.ReplaceAll(m[2], ",", ""), &left)
	told := strings.Count(out, "<summary>")
	// The two inconclusive ones that share a reason with a third are told with it. Three more
	// may be left out: two reasons to skip cases, and a note.
	failed := 3001 + 2 + 3 + 1 // failures, warnings, inconclusive, known
	if told+briefly+left < failed-2 || told+briefly+left > failed+3 || told < 10 || briefly < 50 {
		t.Errorf("%d told, %d briefly and %d left out, of %d", told, briefly, left, failed)
	}
	markdownShape(t, out)
}

// GitHub shows ten annotations of a kind: what is more must be said by the tenth.
func TestAnnotationsAreBounded(t *testing.T) {
	run := reports.Run{State: reports.Complete}
	for i := range 40 {
		for _, v := range []reports.Verdict{reports.Fail, reports.Warn} {
			run.Results = append(run.Results, reports.Result{ID: fmt.Sprintf("receiver/a/%s-%d", v, i), Level: "must", Verdict: v})
		}
	}
	var b bytes.Buffer
	must(t, reports.GitHub(&b, run))
	if errors, warnings := strings.Count(b.String(), "::error "), strings.Count(b.String(), "::warning "); errors != 10 || warnings != 9 {
		t.Errorf("%d errors, %d warnings:\n%s", errors, warnings, &b)
	}
	if strings.Count(b.String(), "and 32 more") != 2 {
		t.Errorf("what is more is not said:\n%s", &b)
	}
	b.Reset()
	must(t, reports.GitHub(&b, reports.Run{State: reports.Complete, Results: []reports.Result{ownFile()}}))
	if want := "::error file=my suites/a%2Cb%3Ac%25.yaml,line=7,title=receiver/our-rules/one (must)::it does not%0ARequired: It holds%0ARepair: Mend it."; !strings.HasPrefix(b.String(), want) {
		t.Errorf("got %s, want %s", &b, want)
	}
}

func TestAppendSummary(t *testing.T) {
	path := filepath.Join(t.TempDir(), "summary")
	must(t, os.WriteFile(path, []byte("before\n"), 0o600))
	must(t, reports.AppendSummary(path, sampleRun()))
	got, err := os.ReadFile(path)
	must(t, err)
	if want := "before\n" + rendered(t, sampleRun())["markdown"]; !strings.HasPrefix(string(got), want) {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := reports.AppendSummary(t.TempDir(), sampleRun()); err == nil {
		t.Error("a directory for a summary is no error")
	}
	if err := reports.AppendSummary(fullDisk(t), sampleRun()); err == nil {
		t.Error("a full disk is no error")
	}
}
