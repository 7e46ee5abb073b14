package suites_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The stock vegeta command, built from the module that go.mod names, reads a load's results
// hit by hit, and reports and plots them.
func TestVegetaReadsAttack(t *testing.T) {
	if testing.Short() {
		t.Skip("vegeta takes a while to build")
	}
	dir := t.TempDir()
	vegeta := filepath.Join(dir, "vegeta.exe")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", vegeta, "github.com/tsenart/vegeta/v12").CombinedOutput(); err != nil {
		t.Fatalf("build vegeta: %v\n%s", err, out)
	}
	l := (&loaded{}).start(t)
	s, o := l.brief("")
	files := map[string]string{"vegeta": filepath.Join(dir, "hits.gob"), "vegeta-json": filepath.Join(dir, "hits.json")}
	for format, path := range files {
		s.Report = append(s.Report, format+"="+path)
	}
	m, _, err := send(t.Context(), t, s, o)
	if err != nil {
		t.Fatal(err)
	}
	forged := m.Classes[1]
	if m.Total.Planned != 40 || forged.Class != "forged" || forged.Refused == 0 {
		t.Fatalf("%+v", m.Total)
	}
	for format, path := range files {
		report := run(t, vegeta, "report", path)
		for _, want := range []string{
			"Requests      [total, rate, throughput]", "40, ",
			fmt.Sprintf("200:%d  401:%d", m.Total.Accepted, forged.Refused),
			fmt.Sprintf("%.2f%%", 100*float64(m.Total.Accepted)/40),
		} {
			if !strings.Contains(report, want) {
				t.Errorf("vegeta report of %s does not say %q:\n%s", format, want, report)
			}
		}
		plot := run(t, vegeta, "plot", path)
		for _, want := range []string{"<html", "honest: OK", "forged: ERROR"} {
			if !strings.Contains(plot, want) {
				t.Errorf("vegeta plot of %s does not show %q (%d bytes)", format, want, len(plot))
			}
		}
		// The latencies are ours, from when a hit was due.
		var read struct {
			Requests  int64 `json:"requests"`
			Latencies struct {
				Max float64 `json:"max"`
			} `json:"latencies"`
		}
		if err := json.Unmarshal([]byte(run(t, vegeta, "report", "-type", "json", path)), &read); err != nil {
			t.Fatal(err)
		}
		longest := max(m.Total.Latency["accepted"].Max, m.Total.Latency["refused"].Max)
		if got := read.Latencies.Max / 1e6; read.Requests != 40 || math.Abs(got-longest) > 0.01*longest+0.01 {
			t.Errorf("vegeta reads %d hits of %s, the slowest of %.3f ms; it was of %.3f ms", read.Requests, format, got, longest)
		}
	}
}

// run runs a program and returns what it wrote to standard output.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	var errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stderr, cmd.Dir = &errs, os.TempDir()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, &errs)
	}
	return string(out)
}
