package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hookanvil/hookanvil/fixtures/pki"
)

// With an authority it speaks TLS, demands a client certificate, and says where its
// probe is.
func TestReferenceReceiverSpeaksTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, err := pki.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Write(filepath.Join(dir, "pki")); err != nil {
		t.Fatal(err)
	}
	_, welcome := serving(t, dir, "reference", "receiver", "--profile", "github", "--pki", "pki")
	said := regexp.MustCompile(`export WEBHOOK_SECRET='(\S+)'\n(?s:.*)\n` +
		`  hookanvil run receiver --target (https://\S+/hook) --profile github --pki pki --secret \S+ --probe-url '(http://\S+)'\n`).FindStringSubmatch(welcome)
	if said == nil {
		t.Fatalf("it says\n%s", welcome)
	}
	for _, test := range []struct {
		shown []string
		code  int
		says  string
	}{
		{[]string{"--cert", "pki/client.pem", "--key", "pki/client.key"}, 0, "2 passed"},
		{nil, 3, "certificate_required"},
	} {
		run := command(t, append([]string{
			"run", "receiver/fidelity/valid", "receiver/replay/replayed", "--target", said[2], "--ca", "pki/ca.pem",
			"--secret", "env:WEBHOOK_SECRET", "--profile", "github", "--probe-url", said[3],
		}, test.shown...)...)
		run.Dir = dir
		run.Env = append(run.Env, "WEBHOOK_SECRET="+said[1])
		out, err := run.CombinedOutput()
		if code := exitCodeOf(t, err); code != test.code || !strings.Contains(string(out), test.says) {
			t.Errorf("with %q: exit code %d, want %d, and %q\n%s", test.shown, code, test.code, test.says, out)
		}
	}
}
