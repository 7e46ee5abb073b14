package reports_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hookanvil/hookanvil/reports"
)

func manifest() reports.Manifest {
	return reports.Manifest{
		Tool: "hookanvil v0", Go: "go1.26", Platform: "linux/amd64", Role: "receiver", Profile: "github", Seed: 7,
		Selected: []string{"receiver/signature"}, Settings: []reports.Setting{{Name: "profile", Values: []string{"github"}}},
		Inputs: []reports.Input{
			reports.NewInput(reports.SuiteFile("receiver/signature"), "receiver/signature.yaml", []byte("suite: receiver/signature\n")),
			reports.NewInput(reports.ProfileFile, "github", []byte("profile: github\n")),
		},
	}
}

func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	want := manifest()
	folder, err := reports.BeginFolder(dir, want)
	must(t, err)
	defer folder.Close()
	src, err := os.ReadFile(filepath.Join(dir, reports.ManifestFile))
	must(t, err)
	got, err := reports.ReadManifest(src)
	must(t, err)
	want.Schema = got.Schema
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(reports.Input{})); diff != "" {
		t.Errorf("the manifest (-want +got):\n%s", diff)
	}
	for _, in := range got.Inputs {
		content, err := os.ReadFile(filepath.Join(dir, in.Path))
		must(t, err)
		if reports.Digest(content) != in.SHA256 {
			t.Errorf("%s is not what the manifest says", in.Path)
		}
	}
	if suite, ok := reports.SuiteOf(got.Inputs[0].Path); !ok || suite != "receiver/signature" {
		t.Errorf("the suite of %s: %q", got.Inputs[0].Path, suite)
	}
	if _, ok := reports.SuiteOf(reports.ProfileFile); ok {
		t.Error("the profile is taken for a suite")
	}
	if values := got.Setting("profile"); len(values) != 1 || got.Setting("target") != nil {
		t.Errorf("settings: %q", values)
	}
	if _, err := reports.BeginFolder(dir, want); err == nil || !strings.Contains(err.Error(), "another run is under way") {
		t.Errorf("begun twice: %v", err)
	}
	if _, err := reports.BeginFolder(filepath.Join(dir, "no", "where"), want); err == nil || !strings.Contains(err.Error(), "make it first") {
		t.Errorf("begun in no directory: %v", err)
	}
}

func TestReadManifestRefuses(t *testing.T) {
	for name, src := range map[string]string{
		"another schema": `{"schema":"hookanvil.results/2"}`,
		"an unknown key": `{"schema":"hookanvil.results/1","more":1}`,
		"a second one":   `{"schema":"hookanvil.results/1"}{}`,
		"a part":         `{"schema":"hookanvil.re`,
		"nothing":        ``,
	} {
		if _, err := reports.ReadManifest([]byte(src)); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}

// Digests that are accepted name every file as it is, the journal last.
func FuzzCheckSums(f *testing.F) {
	sum := reports.Digest([]byte("x"))
	f.Add(sum + "  report.json\n" + sum + "  run.journal\n")
	f.Add(sum + "  ../run.journal\n")
	f.Add(sum + " *run.journal\r\n")
	f.Fuzz(func(t *testing.T, src string) {
		asked := ""
		lacks := reports.CheckSums([]byte(src), func(name string) (string, error) {
			if !filepath.IsLocal(name) {
				t.Errorf("%q is asked for", name)
			}
			asked += sum + "  " + name + "\n"
			return sum, nil
		})
		if len(lacks) == 0 && (asked != strings.ReplaceAll(src, "\r\n", "\n") || !strings.HasSuffix(src, "  run.journal\n") && !strings.HasSuffix(src, "  run.journal\r\n")) {
			t.Errorf("%q is accepted", src)
		}
	})
}

func FuzzReadManifest(f *testing.F) {
	f.Add([]byte(`{"schema":"hookanvil.results/1","inputs":[{"path":"profile.yaml","sha256":""}]}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		m, err := reports.ReadManifest(src)
		if err == nil && m.Schema != "hookanvil.results/1" {
			t.Errorf("a manifest of the schema %q is read", m.Schema)
		}
	})
}

// folderOf is a results folder of a run that has ended.
func folderOf(t *testing.T, run reports.Run) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "results")
	folder, err := reports.BeginFolder(dir, manifest())
	must(t, err)
	j, err := folder.Journal(run, plan(run.Results))
	must(t, err)
	for _, r := range run.Results {
		must(t, j.Record(r))
	}
	must(t, j.Close(run.State, run.Ended, nil))
	must(t, folder.End(run))
	return dir
}

func TestFolderHoldsEveryReport(t *testing.T) {
	run := sampleRun()
	dir := folderOf(t, run)
	for name, format := range map[string]reports.Format{"report.json": reports.JSON, "report.xml": reports.JUnit, "report.har": reports.HAR} {
		var want bytes.Buffer
		must(t, format(&want, run))
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s: %d bytes, want %d: %v", name, len(got), want.Len(), err)
		}
	}
	files, err := os.ReadDir(dir)
	must(t, err)
	written := 0
	for _, f := range files {
		if strings.HasPrefix(f.Name(), "report.") {
			written++
		}
		if strings.HasSuffix(f.Name(), ".lock") || strings.HasSuffix(f.Name(), ".tmp") {
			t.Errorf("%s is left behind", f.Name())
		}
	}
	for _, f := range reports.Formats {
		if f.Name == "github" { // for the job that the run is a part of
			written++
		}
	}
	if written != len(reports.Formats) {
		t.Errorf("%d reports of %d formats", written, len(reports.Formats))
	}
	if sha256sum, err := exec.LookPath("sha256sum"); err == nil {
		check := exec.Command(sha256sum, "--check", "--strict", reports.SumsFile)
		check.Dir = dir
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("sha256sum: %v\n%s", err, out)
		}
	}
	got, err := reports.ReadFolder(dir)
	must(t, err)
	if diff := cmp.Diff(run, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

// Whatever becomes of its files, a folder is never taken for that of a complete run.
func TestDamagedFolderIsNeverComplete(t *testing.T) {
	run := sampleRun()
	run.Results = run.Results[24:]
	dir := folderOf(t, run)
	files := []string{reports.JournalFile, reports.ReportFile, reports.SumsFile}
	check := func(t *testing.T, name, what string, n int) {
		got, err := reports.ReadFolder(dir)
		if err == nil && (got.State != reports.Incomplete || got.ExitCode() == reports.ExitPassed) {
			t.Fatalf("%s, %s at %d: accepted as %s, exit code %d", name, what, n, got.State, got.ExitCode())
		}
	}
	damaged := 0
	for _, name := range files {
		path := filepath.Join(dir, name)
		whole, err := os.ReadFile(path)
		must(t, err)
		step := max(1, len(whole)/100)
		if thorough() {
			step = 1
		}
		changed := bytes.Clone(whole)
		for n := 0; n < len(whole); n += step {
			must(t, os.WriteFile(path, whole[:n], 0o600))
			check(t, name, "cut", n)
			changed[n] ^= 1 << (n % 8)
			must(t, os.WriteFile(path, changed, 0o600))
			check(t, name, "changed", n)
			changed[n] = whole[n]
			damaged += 2
		}
		must(t, os.WriteFile(path, whole[:len(whole)-1], 0o600))
		check(t, name, "without its last byte", len(whole)-1)
		must(t, os.WriteFile(path, whole, 0o600))
	}
	if got, err := reports.ReadFolder(dir); err != nil || got.State != reports.Complete {
		t.Errorf("put right again: %s, %v", got.State, err)
	}
	t.Logf("accepted as complete 0 of %d", damaged)
}

// What a folder lacks is said, and what there is of its run is read.
func TestReadFolderSaysWhatItLacks(t *testing.T) {
	write := func(name, text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)) }
	}
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, name))) }
	}
	for _, tt := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   string
		read   bool // the results
	}{
		{"no digests", remove(reports.SumsFile), "not finished", true},
		{"another report", write(reports.ReportFile, "{}"), "report.json was changed", true},
		{"no report", remove(reports.ReportFile), "report.json is missing", true},
		{"a suite changed", write(reports.SuiteFile("receiver/signature"), "suite: receiver/other\n"), "scenarios/receiver/signature.yaml was changed", true},
		{"the manifest gone", remove(reports.ManifestFile), "run.json is missing", true},
		{"digests of elsewhere", write(reports.SumsFile, "00  ../../etc/passwd\n"), "a line of it is no digest", true},
		{"a report that is a directory", func(t *testing.T, dir string) {
			remove(reports.ReportFile)(t, dir)
			must(t, os.Mkdir(filepath.Join(dir, reports.ReportFile), 0o700))
		}, "no regular file", true},
		{"no journal", remove(reports.JournalFile), "it has no journal", false},
		{"an empty journal", write(reports.JournalFile, ""), "its journal is empty", false},
		{"a journal without a beginning", write(reports.JournalFile, "{}\n"), "not a valid header", false},
		{"a journal without a beginning, and no manifest to be read", func(t *testing.T, dir string) {
			write(reports.JournalFile, "{}\n")(t, dir)
			write(reports.ManifestFile, "{")(t, dir)
		}, "read the manifest", false},
	} {
		dir := folderOf(t, sampleRun())
		tt.damage(t, dir)
		run, err := reports.ReadFolder(dir)
		must(t, err)
		if run.State != reports.Incomplete || !strings.Contains(strings.Join(run.Notes, "\n"), tt.want) {
			t.Errorf("%s: %s, %q", tt.name, run.State, run.Notes)
		}
		if (run.Count() == sampleRun().Totals) != tt.read {
			t.Errorf("%s: %+v", tt.name, run.Count())
		}
		if !tt.read && run.ExitCode() != reports.ExitInconclusive {
			t.Errorf("%s: exit code %d", tt.name, run.ExitCode())
		}
	}
	if _, err := reports.ReadFolder(t.TempDir()); err == nil || !strings.Contains(err.Error(), "it is none") {
		t.Errorf("an empty directory: %v", err)
	}
	if _, err := reports.ReadFolder(filepath.Join(t.TempDir(), "no")); err == nil {
		t.Error("no directory is read")
	}
}

// While a run goes, its folder says so, and no other begins in it.
func TestFolderWhoseRunIsUnderWay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	folder, err := reports.BeginFolder(dir, manifest())
	must(t, err)
	for range 2 {
		if run, err := reports.ReadFolder(dir); err != nil || run.State != reports.Incomplete || !strings.Contains(strings.Join(run.Notes, "\n"), fmt.Sprintf("still under way: process %d", os.Getpid())) {
			t.Errorf("%s, %q, %v", run.State, run.Notes, err)
		}
	}
	must(t, folder.Close())
	run, err := reports.ReadFolder(dir)
	if err != nil || strings.Contains(strings.Join(run.Notes, "\n"), "under way") || run.Profile != "github" || run.Seed != 7 {
		t.Errorf("given up: %+v, %v", run, err)
	}
	if _, err := reports.BeginFolder(dir, manifest()); err == nil || !strings.Contains(err.Error(), "never overwritten") {
		t.Errorf("begun where another was given up: %v", err)
	}
}

// Of many that begin in one place at the same time one does, and its folder is its own.
func TestFolderIsOfOneRun(t *testing.T) {
	for range 8 {
		dir := filepath.Join(t.TempDir(), "results")
		var began atomic.Int64
		var all sync.WaitGroup
		for seed := range uint64(50) {
			all.Go(func() {
				m := manifest()
				m.Seed = seed
				folder, err := reports.BeginFolder(dir, m)
				if err != nil {
					if !strings.Contains(err.Error(), "begin the results folder") {
						t.Error(err)
					}
					return
				}
				began.Add(1)
				j, err := folder.Journal(reports.Run{Seed: seed}, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if err := errors.Join(j.Close(reports.Complete, time.Time{}, nil), folder.End(reports.Run{Seed: seed, State: reports.Complete})); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		run, err := reports.ReadFolder(dir)
		must(t, err)
		src, err := os.ReadFile(filepath.Join(dir, reports.ManifestFile))
		must(t, err)
		m, err := reports.ReadManifest(src)
		must(t, err)
		if began.Load() != 1 || run.State != reports.Complete || m.Seed != run.Seed {
			t.Errorf("%d began; the run is %s, of the seeds %d and %d; %q", began.Load(), run.State, run.Seed, m.Seed, run.Notes)
		}
	}
}

// A format that panics, or fails, costs itself alone, and the folder is not finished.
func TestFolderWithAWriterThatPanics(t *testing.T) {
	formats := reports.Formats
	defer func() { reports.Formats = formats }()
	reports.Formats = slices.Insert(slices.Clone(formats), 0, formats[0])
	reports.Formats[0].Name = "faulty"
	reports.Formats[0].Write = func(io.Writer, reports.Run) error { panic("a bug") }
	dir := filepath.Join(t.TempDir(), "results")
	folder, err := reports.BeginFolder(dir, manifest())
	must(t, err)
	run := sampleRun()
	j, err := folder.Journal(run, plan(run.Results))
	must(t, err)
	for _, r := range run.Results {
		must(t, j.Record(r))
	}
	must(t, j.Close(run.State, run.Ended, nil))
	if err := folder.End(run); err == nil || !strings.Contains(err.Error(), "panic: a bug") {
		t.Errorf("the error is %v", err)
	}
	for name, there := range map[string]bool{"report.json": true, "report.xml": true, "report.faulty": false, reports.SumsFile: false} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := reports.ReadFolder(dir); err != nil || got.State != reports.Incomplete || got.Count() != run.Totals {
		t.Errorf("%s, %+v, %v", got.State, got.Count(), err)
	}
}
