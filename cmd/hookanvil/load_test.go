package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/hookanvil/hookanvil/reports"
)

// ^C ends a load within a second, and what was measured until then is there, whole.
func TestInterruptedLoad(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGINT to send")
	}
	target, reached := acceptor(t, 50)
	cmd := command(t, "load", "--target", target, "--profile", "github", "--secret", "env:CANARY", "--rate", "100/s", "--duration", "10m",
		"--report", "json=load.json", "--report", "vegeta=load.gob")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-reached
	began := time.Now()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	code := exitCodeOf(t, cmd.Wait())
	if took := time.Since(began); code != reports.ExitInterrupted || took > 3*time.Second { // a second, on a machine that is busy
		t.Errorf("exit code %d after %s:\n%s", code, took, &out)
	}
	f, err := os.Open(filepath.Join(cmd.Dir, "load.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := reports.ReadMeasurement(f)
	if err != nil || m.State != reports.Interrupted || m.Total.Accepted < 40 {
		t.Errorf("state %q, %d accepted, error %v", m.State, m.Total.Accepted, err)
	}
	hits, err := os.ReadFile(filepath.Join(cmd.Dir, "load.gob"))
	if err != nil {
		t.Fatal(err)
	}
	read := int64(0)
	for decode := vegeta.NewDecoder(bytes.NewReader(hits)); decode(&vegeta.Result{}) == nil; {
		read++
	}
	if read != m.Total.Planned {
		t.Errorf("%d hits were written, and %d measured", read, m.Total.Planned)
	}
	files, err := os.ReadDir(cmd.Dir)
	if err != nil || len(files) != 2 {
		t.Errorf("left behind: %v, error %v", files, err)
	}
	if bytes.Contains(out.Bytes(), []byte(canary)) {
		t.Error("the secret is shown")
	}
}
