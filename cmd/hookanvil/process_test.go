package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

const canary = "canary/secret+of~this test"

// command is hookanvil in a process of its own.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), asCommand+"=1", "CANARY="+canary)
	return cmd
}

func exitCodeOf(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	t.Fatal(err)
	return 0
}

// acceptor accepts everything; reached is closed when it has seen n requests.
func acceptor(t *testing.T, n int64) (target string, reached chan struct{}) {
	t.Helper()
	reached = make(chan struct{})
	var seen atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a body that is cut short is as good as any
		if seen.Add(1) == n {
			close(reached)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, reached
}

func runArgs(target string, more ...string) []string {
	return append([]string{"run", "--target", target, "--profile", "github", "--secret", "env:CANARY"}, more...)
}

// An interrupted run leaves whole reports, which say so.
func TestInterruptedRun(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGINT to send")
	}
	instants := []int64{1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233}
	if os.Getenv("HOOKANVIL_TESTS") == "whole" && !testing.Short() {
		for n := int64(10); len(instants) < 50; n += 7 {
			instants = append(instants, n)
		}
	}
	for _, n := range instants {
		t.Run(fmt.Sprintf("after %d requests", n), func(t *testing.T) {
			t.Parallel()
			target, reached := acceptor(t, n)
			cmd := command(t, runArgs(target, "--report", "json=a.json", "--report", "junit=a.xml", "--journal", "a.journal", "--slow-limit", "3s")...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-reached
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			if code := exitCodeOf(t, cmd.Wait()); code != reports.ExitInterrupted {
				t.Errorf("exit code %d, want %d\n%s", code, reports.ExitInterrupted, out.String())
			}
			run := readJSON(t, filepath.Join(cmd.Dir, "a.json"))
			if run.State != reports.Interrupted {
				t.Errorf("state %q", run.State)
			}
			wellFormed(t, filepath.Join(cmd.Dir, "a.xml"))
			journal, err := os.Open(filepath.Join(cmd.Dir, "a.journal"))
			if err != nil {
				t.Fatal(err)
			}
			defer journal.Close()
			if again, err := reports.ReadJournal(journal); err != nil || again.State != reports.Interrupted || len(again.Results) != len(run.Results) {
				t.Errorf("the journal says %s with %d results, error %v", again.State, len(again.Results), err)
			}
		})
	}
}

func readJSON(t *testing.T, path string) reports.Run {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	run, err := reports.ReadJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func wellFormed(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for d := xml.NewDecoder(f); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
}

// What cannot be written is never taken for success.
func TestFullDevice(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	target, _ := acceptor(t, -1)
	for name, cmd := range map[string]*exec.Cmd{
		"console": command(t, runArgs(target, "receiver/fidelity/valid")...),
		"list":    command(t, "list"),
		"schema":  command(t, "schema"),
		"report":  command(t, runArgs(target, "receiver/fidelity/valid", "--report", "json=-")...),
	} {
		cmd.Stdout = full
		if code := exitCodeOf(t, cmd.Run()); code != exitHarness {
			t.Errorf("%s: exit code %d, want %d", name, code, exitHarness)
		}
	}
	cmd := command(t, runArgs(target, "receiver/fidelity/valid", "--report", "json=/dev/full", "--report", "junit=a.xml")...)
	if out, err := cmd.CombinedOutput(); exitCodeOf(t, err) != exitHarness || !strings.Contains(string(out), "/dev/full") {
		t.Errorf("a report on a full device: %v\n%s", err, out)
	}
	wellFormed(t, filepath.Join(cmd.Dir, "a.xml"))
}

// A reader that goes away costs no report, and not the exit code.
func TestClosedPipe(t *testing.T) {
	target, _ := acceptor(t, -1)
	cmd := command(t, runArgs(target, "receiver/fidelity/valid", "--report", "json=a.json")...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if code := exitCodeOf(t, cmd.Wait()); code != reports.ExitPassed {
		t.Errorf("exit code %d", code)
	}
	if run := readJSON(t, filepath.Join(cmd.Dir, "a.json")); run.Totals.Pass != 1 {
		t.Errorf("totals %+v", run.Totals)
	}
}

// keptRun is the results folder of a run.
func keptRun(t *testing.T) string {
	t.Helper()
	target, _ := acceptor(t, -1)
	cmd := command(t, runArgs(target, "receiver/fidelity", "--out", "results")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(cmd.Dir, "results")
}

// Wherever the reader of a long output goes away, the reports are written.
func TestClosedPipeAnywhere(t *testing.T) {
	dir := keptRun(t)
	whole, err := command(t, "report", dir, "--report", "json=-").Output()
	if err != nil || len(whole) < 128<<10 { // more than a pipe holds
		t.Fatalf("%d bytes, %v", len(whole), err)
	}
	const points = 20
	for n := range points {
		cmd := command(t, "report", dir, "--report", "json=-", "--report", "json=a.json", "--report", "junit=a.xml")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_, copied := io.CopyN(io.Discard, out, int64(n*len(whole)/points))
		if err := errors.Join(copied, out.Close()); err != nil {
			t.Error(err)
		}
		if code := exitCodeOf(t, cmd.Wait()); code != reports.ExitPassed {
			t.Errorf("closed at %d of %d: exit code %d", n, points, code)
		}
		if run := readJSON(t, filepath.Join(cmd.Dir, "a.json")); run.State != reports.Complete {
			t.Errorf("closed at %d of %d: the run is %s", n, points, run.State)
		}
		wellFormed(t, filepath.Join(cmd.Dir, "a.xml"))
	}
	for _, args := range [][]string{{"list"}, {"schema"}, {"profiles"}, {"explain", "receiver/signature/missing"}} {
		cmd := command(t, args...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(out.Close(), cmd.Run()); err != nil {
			t.Errorf("%s, which nobody reads: %v", args, err)
		}
	}
}

// No format is taken for written where the disk is full.
func TestFullDeviceInEveryFormat(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full")
	}
	dir := keptRun(t)
	noticed := 0
	for _, f := range reports.Formats {
		cmd := command(t, "report", dir, "--report", f.Name+"=/dev/full", "--report", "json=a.json")
		if out, err := cmd.CombinedOutput(); exitCodeOf(t, err) != exitHarness || !strings.Contains(string(out), "no space left") {
			t.Errorf("%s: %v\n%.500s", f.Name, err, out)
			continue
		}
		noticed++
		if run := readJSON(t, filepath.Join(cmd.Dir, "a.json")); run.State != reports.Complete {
			t.Errorf("%s: the other report is of a run that is %s", f.Name, run.State)
		}
	}
	t.Logf("full disks noticed %d of %d", noticed, len(reports.Formats))
}

// A target that tells the secret in every form, in all it says, gets it into no
// output.
func TestSecretsAreNotTold(t *testing.T) {
	forms := []string{
		canary, base64.StdEncoding.EncodeToString([]byte(canary)), base64.RawURLEncoding.EncodeToString([]byte(canary)),
		hex.EncodeToString([]byte(canary)), strings.ToUpper(hex.EncodeToString([]byte(canary))), url.QueryEscape(canary), url.PathEscape(canary),
	}
	var seen atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i, form := range forms {
			w.Header().Set(fmt.Sprintf("X-Told-%d", i), form)
		}
		if seen.Add(1)%3 == 0 {
			w.WriteHeader(http.StatusUnauthorized)
		}
		fmt.Fprintf(w, "%s\n%q\n%s", strings.Join(forms, "\n"), canary, r.Header.Get("Authorization"))
	}))
	t.Cleanup(s.Close)
	places := []string{
		"--header", "Authorization: env:CANARY", "--header", "X-Tunnel: env:CANARY", "--slow-limit", "500ms", "--ack-deadline", "2s",
	}
	cmd := command(t, runArgs(s.URL, append(places, "receiver/signature", "receiver/fidelity",
		"--report", "json=a.json", "--report", "junit=a.xml", "--report", "terminal=a.txt", "--journal", "a.journal", "-v")...)...)
	out, err := cmd.CombinedOutput()
	if code := exitCodeOf(t, err); code != reports.ExitFailed {
		t.Errorf("exit code %d\n%s", code, out)
	}
	outputs := map[string][]byte{"console": out}
	for _, name := range []string{"a.json", "a.xml", "a.txt", "a.journal"} {
		b, err := os.ReadFile(filepath.Join(cmd.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		outputs[name] = b
	}
	send := command(t, append([]string{"send", "--target", s.URL, "--profile", "github", "--secret", "env:CANARY"}, places...)...)
	if outputs["send"], err = send.CombinedOutput(); err != nil {
		t.Errorf("send: %v\n%s", err, outputs["send"])
	}
	for name, b := range outputs {
		if !bytes.Contains(b, []byte("[secret]")) {
			t.Errorf("%s: the target's answers are not shown at all", name)
		}
		i := slices.IndexFunc(forms, func(form string) bool { return bytes.Contains(b, []byte(form)) })
		if i >= 0 {
			at := bytes.Index(b, []byte(forms[i]))
			t.Errorf("%s shows the secret as %q: ...%q...", name, forms[i], b[max(0, at-80):min(len(b), at+80)])
		}
	}
}

// The progress line stays one line of the terminal, and goes when it is done with.
func TestProgressLine(t *testing.T) {
	var b strings.Builder
	p := progress{&b, 30}
	p.show(suites.Progress{Done: 3, Total: 12, Failed: 1, Running: []string{"receiver/signature/body-bit-flipped", "receiver/http/x"}})
	p.clear()
	if got, want := b.String(), eraseLine+"3 of 12, 1 failed  signature/"+eraseLine; got != want {
		t.Errorf("progress line %q, want %q", got, want)
	}
	b.Reset()
	p.width = 80
	p.show(suites.Progress{
		Done: 34, Total: 92, Running: append([]string{"sender/retry/backoff-grows"}, make([]string, 12)...),
		Until: time.Now().Add(47*time.Second + 500*time.Millisecond),
	})
	if got, want := b.String(), eraseLine+"34 of 92  retry/backoff-grows and 12 more, at most 48s left"; got != want {
		t.Errorf("progress line %q, want %q", got, want)
	}
	p.prompt(&b)("do this")
	if !strings.HasSuffix(b.String(), eraseLine+"do this\n") {
		t.Errorf("the prompt does not stand on a line of its own: %q", b.String())
	}
	progress{}.show(suites.Progress{}) // no terminal: nothing is written
}
