package suites_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

// What a run was made of is there before anything is sent, and the journal tells of it
// whatever becomes of the run; the report comes last.
func TestFolder(t *testing.T) {
	s := specimen(t, "github", "")
	dir := filepath.Join(t.TempDir(), "results")
	t.Setenv("HOOKANVIL_TEST_FOLDER_SECRET", s.Subject.Keys[s.Subject.Profile.Signature.Name][0].Reveal())
	settings := suites.Settings{
		Target: s.Subject.URL.String(), Profile: "github", Secret: []string{"env:HOOKANVIL_TEST_FOLDER_SECRET"}, Seed: 9, Out: dir,
		Header: []string{"Authorization: Bearer canary-canary-canary"},
	}
	plan, err := settings.Plan(t.Context(), []string{"receiver/fidelity/valid", "receiver/signature/missing"})
	if err != nil {
		t.Fatal(err)
	}
	inputs := []string{reports.ManifestFile, reports.ProfileFile, "scenarios/receiver/fidelity.yaml", "scenarios/receiver/signature.yaml", reports.JournalFile}
	seen := false
	plan.Watch = func(p suites.Progress) {
		if seen || p.Done > 0 {
			return
		}
		seen = true
		for _, name := range inputs {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				t.Errorf("when the first case began: %v", err)
			}
		}
		cut, err := reports.ReadJournal(bytes.NewReader(content(t, dir, reports.JournalFile)))
		if err != nil || cut.State != reports.Incomplete || len(cut.Results) != 2 {
			t.Errorf("a run that was cut short then: state %s, %d results, %v", cut.State, len(cut.Results), err)
		}
		if _, err := os.Stat(filepath.Join(dir, reports.ReportFile)); err == nil {
			t.Error("the report is there before the run")
		}
	}
	run, err := complete(t, t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	reported, err := reports.ReadJSON(bytes.NewReader(content(t, dir, reports.ReportFile)))
	if err != nil || reported.Totals != run.Count() || reported.ClockOffset == nil {
		t.Errorf("the report: %+v, want %+v; clock %v; %v", reported.Totals, run.Count(), reported.ClockOffset, err)
	}
	m, err := reports.ReadManifest(content(t, dir, reports.ManifestFile))
	if err != nil || m.Seed != 9 || m.Role != "receiver" || !seen {
		t.Errorf("the manifest: %+v, %v; watched: %t", m, err, seen)
	}
	for _, in := range m.Inputs {
		if reports.Digest(content(t, dir, in.Path)) != in.SHA256 {
			t.Errorf("%s is not what the manifest says", in.Path)
		}
	}
	for _, name := range append(inputs, reports.ReportFile) {
		if strings.Contains(string(content(t, dir, name)), "canary") {
			t.Errorf("%s holds a secret", name)
		}
	}
}

func content(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
