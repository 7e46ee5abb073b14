package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

// listener is hookanvil listen in a process of its own.
type listener struct {
	*exec.Cmd
	url    string
	out    *bufio.Reader
	errors bytes.Buffer
}

func startListening(t *testing.T, args ...string) *listener {
	t.Helper()
	l := &listener{Cmd: command(t, append([]string{"listen", "--listen", "127.0.0.1:0"}, args...)...)}
	out, err := l.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	l.Stderr, l.out = &l.errors, bufio.NewReader(out)
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Process.Kill() })
	first, err := l.out.ReadString('\n')
	if err != nil {
		t.Fatalf("%v\n%s", err, l.errors.String())
	}
	l.url, _, _ = strings.Cut(strings.TrimPrefix(first, "Listening on "), ";")
	return l
}

// end sends ^C, and returns what was said and the exit code.
func (l *listener) end(t *testing.T) (said string, code int) {
	t.Helper()
	if err := l.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(l.out)
	if err != nil {
		t.Fatal(err)
	}
	return string(rest), exitCodeOf(t, l.Wait())
}

func noSIGINT(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGINT to send")
	}
}

// ^C is how it is meant to end: the recording is whole, and whoever is being
// answered is not waited for.
func TestListenUntilInterrupted(t *testing.T) {
	noSIGINT(t)
	l := startListening(t, "--answer", "200,hang", "--record", "r.jsonl", "--secret", "env:CANARY", "--body")
	resp, err := http.Post(l.url+"a", "application/json", strings.NewReader(`{"told":"`+canary+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	hanging, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(l.url, "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	defer hanging.Close()
	io.WriteString(hanging, "POST /b HTTP/1.1\r\nHost: a\r\nCookie: crumbs=1\r\nContent-Length: 0\r\n\r\n")
	for said := ""; !strings.Contains(said, "-> hang"); {
		if said, err = l.out.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(said, canary) {
			t.Errorf("the secret is shown: %s", said)
		}
	}
	if said, code := l.end(t); code != reports.ExitPassed || l.errors.Len() > 0 || strings.Contains(said, "crumbs") {
		t.Errorf("exit code %d\n%s\n%s", code, said, l.errors.String())
	}
	b, err := os.ReadFile(filepath.Join(l.Dir, "r.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = suites.ReadRecording("r.jsonl", bytes.NewReader(b), func(suites.Recorded) error { n++; return nil })
	if err != nil || n != 2 || bytes.Contains(b, []byte(canary)) || bytes.Contains(b, []byte("crumbs")) {
		t.Errorf("%d deliveries are recorded, %v: %s", n, err, b)
	}
}

// Who waits for a number of deliveries learns that they did not all come.
func TestListenInterruptedBeforeCount(t *testing.T) {
	noSIGINT(t)
	l := startListening(t, "--count", "2", "--quiet")
	if _, code := l.end(t); code != reports.ExitInterrupted || !strings.Contains(l.errors.String(), "--count") {
		t.Errorf("exit code %d: %s", code, l.errors.String())
	}
}

// A receiver that does not answer is not waited for when ^C says so.
func TestReplayInterrupted(t *testing.T) {
	noSIGINT(t)
	l := startListening(t, "--answer", "hang", "--quiet")
	cmd := command(t, "replay", "r.jsonl", "--target", l.url)
	line := `{"schema":"hookanvil.recording/1","received_at":"2026-01-31T12:00:00Z","method":"POST","target":"/x","headers":[],"body":"","verdict":"unverified"}`
	if err := os.WriteFile(filepath.Join(cmd.Dir, "r.jsonl"), []byte(line+"\n"+line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for arrived := ""; !strings.Contains(arrived, "#1"); {
		var err error
		if arrived, err = l.out.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := exitCodeOf(t, cmd.Wait()); code != reports.ExitInterrupted || !strings.Contains(said.String(), "interrupted: 0 were") {
		t.Errorf("exit code %d: %s", code, said.String())
	}
	if rest, code := l.end(t); code != reports.ExitPassed || strings.Contains(rest, "#2") {
		t.Errorf("exit code %d: %s", code, rest)
	}
}

// What cannot be shown, or kept, ends it.
func TestListenOnFullDevice(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	cmd := command(t, "listen", "--listen", "127.0.0.1:0")
	cmd.Stdout = full
	if code := exitCodeOf(t, cmd.Run()); code != exitHarness {
		t.Errorf("exit code %d, want %d", code, exitHarness)
	}
}

// Without --listen it is on the usual port or, where that is taken, on one behind.
func TestListenOnTheNextPort(t *testing.T) {
	noSIGINT(t)
	if taken, err := net.Listen("tcp", suites.DefaultListen); err == nil {
		defer taken.Close()
	}
	l := startListening(t, "--listen", "")
	if !strings.HasPrefix(l.url, "http://127.0.0.1:80") || strings.Contains(l.url, suites.DefaultListen) {
		t.Errorf("it listens on %s", l.url)
	}
	if _, code := l.end(t); code != reports.ExitPassed {
		t.Errorf("exit code %d: %s", code, l.errors.String())
	}
}
