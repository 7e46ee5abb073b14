package reports_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hookanvil/hookanvil/reports"
)

// expat prints how many test cases each of the files has that it is given.
const expat = `
import sys, xml.etree.ElementTree
for path in sys.argv[1:]:
    print(len(xml.etree.ElementTree.parse(path).findall('.//testcase')))
`

// Whatever a peer sends, each of three parsers reads every JUnit report, and finds as many
// cases as there were.
func TestJUnitIsReadByOthers(t *testing.T) {
	dir := t.TempDir()
	var files []string
	want := ""
	for _, name := range slices.Sorted(maps.Keys(payloads)) {
		run := everywhere(payloads[name])
		run.Tool, run.Profile = payloads[name], payloads[name]
		for i := range run.Results {
			run.Results[i].Title, run.Results[i].Level = payloads[name], payloads[name]
		}
		var b bytes.Buffer
		must(t, reports.JUnit(&b, run))
		path := filepath.Join(dir, name+".xml")
		must(t, os.WriteFile(path, b.Bytes(), 0o600))
		files = append(files, path)
		want += fmt.Sprintln(bytes.Count(b.Bytes(), []byte("<testcase ")))
		for d := xml.NewDecoder(&b); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Errorf("%s: encoding/xml: %v", name, err)
				break
			}
		}
	}
	parsers := []string{"encoding/xml"}
	if python, err := exec.LookPath("python3"); err == nil {
		parsers = append(parsers, "expat")
		if out, err := exec.Command(python, append([]string{"-c", expat}, files...)...).CombinedOutput(); err != nil || string(out) != want {
			t.Errorf("expat: %v: %s", err, out)
		}
	}
	if lint, err := exec.LookPath("xmllint"); err == nil {
		parsers = append(parsers, "libxml2")
		if out, err := exec.Command(lint, append([]string{"--noout", "--nonet"}, files...)...).CombinedOutput(); err != nil {
			t.Errorf("libxml2: %v: %s", err, out)
		}
	}
	t.Logf("JUnit reports read %d of %d, by %q", len(files), len(payloads), parsers)
}
