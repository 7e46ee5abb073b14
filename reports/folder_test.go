package reports_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	must(t, reports.BeginFolder(dir, want))
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
	if err := reports.BeginFolder(dir, want); err == nil || !strings.Contains(err.Error(), "never overwritten") {
		t.Errorf("begun twice: %v", err)
	}
	if err := reports.BeginFolder(filepath.Join(dir, "no", "where"), want); err == nil || !strings.Contains(err.Error(), "make it first") {
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

func FuzzReadManifest(f *testing.F) {
	f.Add([]byte(`{"schema":"hookanvil.results/1","inputs":[{"path":"profile.yaml","sha256":""}]}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		m, err := reports.ReadManifest(src)
		if err == nil && m.Schema != "hookanvil.results/1" {
			t.Errorf("a manifest of the schema %q is read", m.Schema)
		}
	})
}
