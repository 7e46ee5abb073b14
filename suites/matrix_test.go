package suites_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookanvil/hookanvil/suites"
)

// TestMatrix proves the catalogue: the correct receiver and the correct sender pass
// under every profile, and each defect is caught by the cases that name it and by none
// of a sample of the others. hookanvil matrix tries the others too, which takes minutes.
func TestMatrix(t *testing.T) {
	needsMinutes(t)
	m, err := suites.RunMatrix(t.Context(), suites.MatrixScope{Brief: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(m.Summary())
	if !m.Sound() {
		t.Errorf("the catalogue is not what it claims to be:\n%s", faults(m))
	}
}

// faults leaves the lines of the report that tell of what is wrong.
func faults(m suites.Matrix) string {
	var b strings.Builder
	for line := range strings.Lines(m.Report()) {
		if !strings.HasPrefix(line, "✓") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// A few rows are proven even when there is little time.
func TestMatrixOfAFew(t *testing.T) {
	t.Parallel()
	few := []string{"compares-prefix-only", "wrong-method", "reject-all", "accepts-weak-sha1", "retries-2xx"}
	const want = "receiver: mutants killed 3/3, misattributed 0\nsender: mutants killed 2/2, misattributed 0"
	m, err := suites.RunMatrix(t.Context(), suites.MatrixScope{Names: few}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !m.Sound() || m.Summary() != want {
		t.Errorf("%s\nwant %s", m.Report(), want)
	}
	if _, err := suites.RunMatrix(t.Context(), suites.MatrixScope{Names: []string{"compares-prefix-onyl"}}, nil); err == nil {
		t.Error("a defect that there is not was judged")
	}
}

func TestMatrixFile(t *testing.T) {
	want, err := suites.MatrixMarkdown()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../fixtures/reference/MATRIX.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("fixtures/reference/MATRIX.md is not what the catalogue says; make it anew with\n"+
			"  hookanvil matrix --markdown > fixtures/reference/MATRIX.md\n(-want +got):\n%s", diff)
	}
}
