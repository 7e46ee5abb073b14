package suites_test

import (
	"crypto/tls"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/reference"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

// caught are cases that a front end must fail in a mode in which it lets the wrong
// clients in. In every other mode it must fail none.
var caught = map[string][]string{
	modeOff:      {"none-tls12", "none-tls13", "expired", "expired-tls13", "unknown-authority-tls13", "same-name-authority-tls13", "other-key-tls13", "spoofed-verify"},
	modeOptional: {"none-tls12", "none-tls13", "spoofed-verify", "spoofed-client-cert"},
	modeAny:      {"self-signed", "self-signed-tls13", "unknown-authority", "unknown-authority-tls13"},
	modeTrusting: {"spoofed-verify"},
}

// Front ends that verify client certificates pass, and those that do not, or not
// all, are caught.
func TestFrontEnds(t *testing.T) {
	needsMinutes(t)
	// Verdicts follow from refusals, which are compared for every version.
	golden := readObservations(t, "testdata/frontends.verdicts", func([]string) []string { return nil })
	for _, f := range frontEnds {
		t.Run(f.name, func(t *testing.T) {
			versions := f.versions(t)
			lines := map[string]string{} // by case
			for _, mode := range f.modes {
				t.Run(mode, func(t *testing.T) {
					run := f.judge(t, mode)
					for _, r := range run.Results {
						lines[r.ID] += " | " + string(r.Verdict)
					}
					mustCatch(t, run, caught[mode])
				})
			}
			got := []string{f.name + " | " + strings.Join(f.modes, " | ")}
			for _, c := range choose(t, "receiver/tls", "receiver/mtls") {
				got = append(got, f.name+" "+c.Name()+lines[c.Name()])
			}
			golden.compare(t, f.name, versions, got)
		})
	}
	golden.update(t)
}

// judge has the reference receiver judged through a front end.
func (f frontEnd) judge(t *testing.T, mode string) reports.Run {
	t.Helper()
	a := newAuthority(t)
	p, err := profiles.Get("standard-webhooks")
	if err != nil {
		t.Fatal(err)
	}
	s, err := suites.NewSpecimen(p, "", 1, suites.Quick)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	to := f.start(t, mode, a, s.Subject.URL.Host)
	subject := s.Subject
	subject.URL = &url.URL{Scheme: "https", Host: fmt.Sprintf("localhost:%d", to.Port()), Path: reference.HookPath}
	subject.OtherURL = nil
	subject.Endpoint = wire.Endpoint{Address: to, TLS: &tls.Config{RootCAs: a.Pool(), ServerName: "localhost", MinVersion: tls.VersionTLS12}}
	subject.Authority = a.Authority
	run, err := complete(t, t.Context(), suites.Config{Subject: suites.Receiver(subject), Cases: choose(t, "receiver/tls", "receiver/mtls"), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// mustCatch demands that a run fails those cases or, where there are none, that it
// fails none, and that it leaves none open.
func mustCatch(t *testing.T, run reports.Run, fail []string) {
	t.Helper()
	for _, r := range run.Results {
		if r.Verdict != reports.Pass && testing.Verbose() {
			t.Logf("%s %s: %s", r.Verdict, r.ID, r.Reason)
		}
	}
	failed := withVerdict(run, reports.Fail)
	for _, c := range fail {
		if !slices.Contains(failed, "receiver/mtls/"+c) {
			t.Errorf("%s does not fail", c)
		}
	}
	if left := withVerdict(run, reports.Inconclusive); len(left) > 0 {
		t.Errorf("inconclusive: %q", left)
	}
	want := reports.ExitPassed
	if len(fail) > 0 {
		want = reports.ExitFailed
	}
	if code := run.ExitCode(); code != want {
		t.Errorf("exit code %d, want %d; failed: %q", code, want, failed)
	}
}

// observations are what was seen of the front ends, in a file.
type observations struct {
	file     string
	portable func(lines []string) []string // what is expected of versions that were never observed
	lines    map[string][]string           // by front end
	versions map[string]string             // that were observed
}

func readObservations(t *testing.T, file string, portable func([]string) []string) *observations {
	t.Helper()
	r := &observations{file, portable, map[string][]string{}, map[string]string{}}
	data, err := os.ReadFile(file)
	if err != nil && os.Getenv("UPDATE") == "" {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		text, isVersions := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "# ")
		name, _, _ := strings.Cut(text, " ")
		if isVersions {
			r.versions[name] = text
		} else {
			r.lines[name] = append(r.lines[name], text)
		}
	}
	return r
}

// compare holds what a front end did against what it did when it was observed.
func (r *observations) compare(t *testing.T, name, versions string, got []string) {
	t.Helper()
	if testing.Verbose() {
		t.Logf("%s\n%s", versions, strings.Join(got, "\n"))
	}
	if os.Getenv("UPDATE") != "" {
		r.lines[name], r.versions[name] = got, versions
		return
	}
	want := r.lines[name]
	if versions != r.versions[name] {
		t.Logf("observed of %s: only what every version does alike is compared", r.versions[name])
		want, got = r.portable(want), r.portable(got)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-observed before +now):\n%s", diff)
	}
}

func (r *observations) update(t *testing.T) {
	t.Helper()
	if os.Getenv("UPDATE") == "" {
		return
	}
	var b strings.Builder
	for _, f := range frontEnds {
		fmt.Fprintf(&b, "# %s\n%s\n", r.versions[f.name], strings.Join(r.lines[f.name], "\n"))
	}
	if err := os.WriteFile(r.file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
