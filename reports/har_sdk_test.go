//go:build sdk

package reports_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hookanvil/hookanvil/reports"
)

const harValidator = "har-validator@5.1.5"

// harJudge reads HARs, one a line, and says what is wrong with each by its schema.
const harJudge = `
const { har } = require('har-validator/lib/promise')
const lines = require('node:fs').readFileSync(0, 'utf8').trim().split('\n')
Promise.all(lines.map((line, i) => har(JSON.parse(line)).then(() => 1, e => { console.log(i, JSON.stringify(e.errors)); return 0 })))
  .then(all => console.log(all.filter(x => x).length + ' of ' + all.length))
`

// The schema of HAR 1.2 that others hold archives against takes ours, whatever a peer sent.
func TestSDKOfHAR(t *testing.T) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("there is no npm: install node.js and npm to have archives validated")
	}
	caches, err := os.UserCacheDir()
	must(t, err)
	dir := filepath.Join(caches, "hookanvil", harValidator)
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "har-validator")); err != nil {
		must(t, os.MkdirAll(dir, 0o755))
		install := exec.CommandContext(t.Context(), npm, "install", "--prefix", dir, "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", harValidator)
		if out, err := install.CombinedOutput(); err != nil {
			t.Fatalf("install %s: %v\n%s", harValidator, err, out)
		}
	}
	runs := []reports.Run{sampleRun(), sampleSenderRun(), {State: reports.Incomplete}}
	for _, payload := range payloads {
		hostile := bodyBitFlipped()
		hostile.Evidence = []reports.Exchange{
			wired("POST /"+payload+" HTTP/1.1\r\nX: "+payload+"\r\n\r\n"+payload, "HTTP/1.1 200 "+payload+"\r\nContent-Type: "+payload+"\r\n\r\n"+payload),
			wired("POST /a?"+escapedLine(payload)+" HTTP/1.1\r\nHost: "+payload+"\r\n\r\n"+payload, payload),
		}
		runs = append(runs, everywhere(payload), reports.Run{Results: []reports.Result{hostile}})
	}
	var lines bytes.Buffer
	for _, run := range runs {
		var b bytes.Buffer
		must(t, reports.HAR(&b, run))
		lines.Write(bytes.ReplaceAll(b.Bytes(), []byte("\n"), []byte(" ")))
		lines.WriteByte('\n')
	}
	judge := exec.CommandContext(t.Context(), "node", "-e", harJudge)
	judge.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules"))
	judge.Stdin = &lines
	out, err := judge.CombinedOutput()
	if want := fmt.Sprintf("%d of %d\n", len(runs), len(runs)); err != nil || string(out) != want {
		t.Errorf("%v: %.2000s, want %s", err, out, want)
	}
}

// escapedLine has no blanks, so that it can stand in a request line.
func escapedLine(s string) string {
	return string(bytes.ReplaceAll([]byte(s), []byte(" "), []byte("+")))
}
