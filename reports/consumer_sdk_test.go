//go:build sdk

package reports_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hookanvil/hookanvil/fixtures/foreign"
	"github.com/hookanvil/hookanvil/reports"
)

const consumers = "testdata/consumers"

// sorted are the specimens, in order, and what each is in every format.
func sorted(t *testing.T) (names []string, runs map[string]reports.Run, out map[string]map[string]string) {
	t.Helper()
	runs, out = specimens(), map[string]map[string]string{}
	for name, run := range runs {
		names = append(names, name)
		out[name] = map[string]string{}
		for _, f := range reports.Formats {
			var b bytes.Buffer
			must(t, f.Write(&b, run))
			out[name][f.Name] = b.String()
		}
	}
	slices.Sort(names)
	return names, runs, out
}

// point is a test point as tap-parser reads it. Skip and Todo are a reason or false.
type point struct {
	OK         bool
	Name       string
	Skip, Todo any
	Severity   string
}

// TAP, CTRF and badges, as the libraries of those who define or use them read them.
func TestSDKReads(t *testing.T) {
	dir := foreign.Installed(t, consumers)
	names, runs, out := sorted(t)
	var jobs []map[string]string
	for _, name := range names {
		jobs = append(jobs, map[string]string{"tap": out[name]["tap"], "ctrf": out[name]["ctrf"], "badge": out[name]["badge"]})
	}
	in, err := json.Marshal(jobs)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join(consumers, "read.mjs"), dir)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.Bytes())
	}
	var read []struct {
		TAP struct {
			OK     bool
			Points []point
			Odd    []string
		}
		CTRF  []any
		Badge string
	}
	must(t, json.Unmarshal(text, &read))
	for i, name := range names {
		run := runs[name]
		if len(read[i].CTRF) > 0 {
			t.Errorf("%s: CTRF: %v", name, read[i].CTRF)
		}
		checkSVG(t, name, read[i].Badge)
		if len(read[i].TAP.Odd) > 0 || read[i].TAP.OK != (run.ExitCode() == reports.ExitPassed) {
			t.Errorf("%s: exit code %d, TAP is ok: %v, with lines that are no TAP: %q", name, run.ExitCode(), read[i].TAP.OK, read[i].TAP.Odd)
		}
		for n, r := range run.Results {
			if n >= len(read[i].TAP.Points) {
				t.Errorf("%s: %d test points for %d results", name, len(read[i].TAP.Points), len(run.Results))
				break
			}
			checkPoint(t, name, r, read[i].TAP.Points[n])
		}
	}
}

func checkPoint(t *testing.T, name string, r reports.Result, p point) {
	t.Helper()
	failed := r.Verdict != reports.Pass && r.Verdict != reports.Warn && r.Verdict != reports.Skip
	if p.OK == failed || (p.Skip != false) != (r.Verdict == reports.Skip) || (p.Todo != false) != (failed && r.Known != "") {
		t.Errorf("%s: %s, %s, known %q, is read as %+v", name, r.ID, r.Verdict, r.Known, p)
	}
	if (failed || r.Verdict == reports.Warn) && r.Verdict != "perhaps" && p.Severity != string(r.Verdict) {
		t.Errorf("%s: %s: the diagnostic says %q", name, r.ID, p.Severity)
	}
}

// checkSVG makes sure that the badge that shields.io paints is XML without scripts.
func checkSVG(t *testing.T, name, svg string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Errorf("%s: the badge is no XML: %v: %s", name, err, svg)
			return
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "script" {
			t.Errorf("%s: the badge has a script: %s", name, svg)
		}
	}
}

// SARIF, by the validator of those who wrote the standard, with the rules of GitHub's code
// scanning. What it warns of is an error here.
func TestSDKValidatesSARIF(t *testing.T) {
	dir := foreign.Installed(t, consumers)
	tool := filepath.Join(dir, "node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool")
	if _, err := os.Stat(tool); err != nil {
		t.Skip("the SARIF multitool is there for Linux on x86-64 alone")
	}
	must(t, os.Chmod(tool, 0o755)) // by a script of the package, which does not run
	names, _, out := sorted(t)
	folder := t.TempDir()
	for i, name := range names {
		must(t, os.WriteFile(filepath.Join(folder, fmt.Sprintf("%02d.sarif", i)), []byte(out[name]["sarif"]), 0o600))
	}
	verdict := filepath.Join(t.TempDir(), "verdict.sarif")
	cmd := exec.CommandContext(t.Context(), tool, "validate", filepath.Join(folder, "*.sarif"), "--rule-kind", "Sarif;Ghas", "--output", verdict, "--log", "ForceOverwrite")
	cmd.Env = append(os.Environ(), "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1")
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%.5000s", err, said)
	}
	b, err := os.ReadFile(verdict)
	must(t, err)
	var found struct {
		Runs []struct {
			Results   []struct{ RuleID, Level string }
			Artifacts []any
		}
	}
	must(t, json.Unmarshal(bytes.TrimPrefix(b, []byte("\ufeff")), &found))
	for _, r := range found.Runs[0].Results {
		if r.Level != "note" {
			t.Errorf("%s:\n%.5000s", r.RuleID, said)
			break
		}
	}
	if !strings.Contains(string(said), fmt.Sprintf("%d files scanned", len(names))) {
		t.Errorf("want %d files scanned:\n%.2000s", len(names), said)
	}
}

// OpenMetrics, as Prometheus reads it.
func TestSDKReadsOpenMetrics(t *testing.T) {
	program := foreign.Built(t, consumers)
	names, runs, out := sorted(t)
	for _, name := range names {
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Stdin = strings.NewReader(out[name]["openmetrics"])
		text, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", name, err, text)
			continue
		}
		if got, want := strings.Count(string(text), "stateset "), 5*len(runs[name].Results); got != want {
			t.Errorf("%s: %d states of cases, want %d:\n%.2000s", name, got, want, text)
		}
		if got, want := strings.Count(string(text), "\n"), strings.Count(out[name]["openmetrics"], "\nhookanvil_"); got != want {
			t.Errorf("%s: %d samples, want %d", name, got, want)
		}
	}
}
