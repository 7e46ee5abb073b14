package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/hookanvil/hookanvil/fixtures/pki"
)

// serving starts a command that serves until ^C, and returns it with what it said
// about itself.
func serving(t *testing.T, dir string, args ...string) (cmd *exec.Cmd, welcome string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGINT to send")
	}
	cmd = command(t, args...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_, _ = io.Copy(io.Discard, out)
		if code := exitCodeOf(t, cmd.Wait()); code != 0 {
			t.Errorf("exit code %d after ^C", code)
		}
	})
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "^C ends it") {
			return cmd, said.String()
		}
	}
	t.Fatalf("it did not begin to serve:\n%s", said.String())
	return nil, ""
}

// The file that it writes is all that a run needs.
func TestReferenceSenderWritesSettings(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"standard-webhooks", "github"} {
		dir := t.TempDir()
		_, welcome := serving(t, dir, "reference", "sender", "--profile", name, "--write-config", "hookanvil.yaml")
		if !strings.Contains(welcome, "A correct sender, under profile "+name) || !strings.Contains(welcome, "\n  hookanvil run sender\n") {
			t.Errorf("it says\n%s", welcome)
		}
		for _, file := range []string{"hookanvil.yaml", "hookanvil.secret", "hookanvil.next-secret"} {
			info, err := os.Stat(filepath.Join(dir, file))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v %v", file, info, err)
			}
		}
		run := command(t, "run", "sender/retry/2xx-success-200", "sender/signature/signed", "sender/signature/rotation-new-secret", "sender/ssrf/dns-private")
		run.Dir = dir
		if out, err := run.CombinedOutput(); exitCodeOf(t, err) != 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// With an authority it speaks TLS, and shows a client certificate.
func TestReferenceSenderSpeaksTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, err := pki.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Write(filepath.Join(dir, "pki")); err != nil {
		t.Fatal(err)
	}
	serving(t, dir, "reference", "sender", "--pki", "pki", "--write-config", "hookanvil.yaml")
	run := command(t, "run", "sender/tls/delivered", "sender/tls/expired", "sender/tls/other-name-by-name", "sender/mtls/shown-when-demanded", "sender/mtls/one-for-each-endpoint")
	run.Dir = dir
	out, err := run.CombinedOutput()
	if exitCodeOf(t, err) != 0 || !strings.Contains(string(out), "5 passed") || strings.Contains(string(out), "skipped") {
		t.Errorf("%v\n%s", err, out)
	}
}

// So is the command that it prints, in a shell that has its exports.
func TestReferenceSenderPrintsTheRun(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no shell")
	}
	dir := t.TempDir()
	_, welcome := serving(t, dir, "reference", "sender", "--profile", "stripe", "--defect", "retries-unsigned")
	if !strings.Contains(welcome, "A sender that signs the first attempt alone, under profile stripe") {
		t.Errorf("it says\n%s", welcome)
	}
	var script strings.Builder
	for line := range strings.Lines(welcome) {
		switch line = strings.TrimPrefix(line, "  "); {
		case strings.HasPrefix(line, "export "), strings.HasPrefix(line, "  --"):
			script.WriteString(line)
		case strings.HasPrefix(line, "hookanvil run sender"):
			script.WriteString(strings.Replace(line, "hookanvil run sender", "hookanvil run sender/signature/signed sender/signature/retry-signed", 1))
		}
	}
	run := command(t)
	run.Path, run.Args = shell, []string{"sh", "-c", "hookanvil() { '" + os.Args[0] + "' \"$@\"; }\n" + script.String()}
	out, err := run.CombinedOutput()
	if code := exitCodeOf(t, err); code != 1 || !strings.Contains(string(out), "1 passed") || !strings.Contains(string(out), "sender/signature/retry-signed") {
		t.Errorf("exit code %d, want 1 for the case that notices the defect\n%s\n%s", code, script.String(), out)
	}
}
