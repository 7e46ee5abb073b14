package reports_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/hookanvil/hookanvil/reports"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestGolden(t *testing.T) {
	type golden struct {
		name  string
		write reports.Format
		run   reports.Run
	}
	files := []golden{
		{"verbose.terminal", reports.Terminal{Width: 80, Verbose: true, ASCII: true}.Write, sampleRun()},
		{"colour.terminal", reports.Terminal{Width: 80, Color: true}.Write, sampleRun()},
	}
	for _, f := range reports.Formats {
		files = append(files, golden{"run." + f.Name, f.Write, sampleRun()}, golden{"sender." + f.Name, f.Write, sampleSenderRun()})
	}
	for _, f := range files {
		var b bytes.Buffer
		must(t, f.write(&b, f.run))
		path := filepath.Join("testdata", f.name)
		if *update {
			must(t, os.WriteFile(path, b.Bytes(), 0o644))
		}
		want, err := os.ReadFile(path)
		must(t, err)
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Errorf("%s, should it be so, run the test with -update (-want +got):\n%s", path, diff)
		}
	}
}

// payloads are what a peer may answer to have its words taken for ours. REMOTE
// marks text that must never begin a line.
var payloads = map[string]string{
	"R01 script":             "<script>alert(1)</script>",
	"R02 image":              `"><img src=x onerror=alert(1)>`,
	"R03 link":               "javascript:alert(1)",
	"R04 closing tag":        "</script></failure></testcase>",
	"R05 SVG":                `<svg onload="alert(1)">`,
	"R06 template":           "{{constructor.constructor('alert(1)')()}}",
	"R07 markdown":           "[a](http://evil) ![](http://evil/x.png) | a | b | ``` @everyone",
	"R08 formula":            "=cmd|'/c calc'!A0",
	"R09 plus":               "+1+1",
	"R10 minus and sum":      "-1\n@SUM(A1)\n\tREMOTE tab",
	"R11 clear screen":       "\x1b[2J\x1b[1;1HREMOTE",
	"R12 title, clipboard":   "\x1b]0;pwned\x07\x1b]8;;http://evil\x1b\\link\x1b]52;c;ZXZpbA==\x07\u009b2J",
	"R13 overwrite":          "REMOTE failed\rPASS\b\b\b\a",
	"R14 bidi, zero width":   "\u202eSSAP\u202c \u2066x\u2069 a\u200bb\ufeff",
	"R15 bytes":              "\x00\x1b\ufffe\xed\xa0\x80\xff\U000e0041",
	"R16 CDATA":              "]]><evil/><![CDATA[",
	"R17 entity":             `<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;&amp;&#0;</a>`,
	"R18 GitHub commands":    "::set-output name=a::b\n::add-mask::REMOTE\n  ::stop-commands::x\r\n::error::REMOTE\n##[error]REMOTE",
	"R19 Azure, TeamCity":    "##vso[task.complete result=Succeeded]REMOTE\nx ##vso[a]b\n##teamcity[testFinished name='a']",
	"R20 GitLab sections":    "\x1b[0Ksection_start:1:REMOTE\r\x1b[0Ksection_end:1:a\nsection_start:1:a",
	"R21 JSON line":          "\n{\"fake\":\"REMOTE\"}\n\"},{\"id\":\"x\",\"verdict\":\"pass\"}",
	"R22 test output":        "\n--- PASS: TestREMOTE (0.00s)\nPASS REMOTE\nok  \tREMOTE\t0.01s\nREMOTE",
	"R23 format, lookup":     "%n%s%!d(MISSING)${jndi:ldap://evil/a}`id`$(id) __proto__",
	"R24 one very long line": strings.Repeat("REMOTE ", 500),
}

func TestInjection(t *testing.T) {
	if len(payloads) != 24 {
		t.Fatalf("%d payloads, where 24 were meant", len(payloads))
	}
	want := everywhere("harmless")
	names := xmlNames(t, want)
	shapes := map[string]string{}
	for format, shape := range shapeOf {
		shapes[format] = shape(t, rendered(t, want)[format])
	}
	neutralised := 0
	for name, payload := range payloads {
		run := everywhere(payload)
		for i := range run.Results {
			run.Results[i].ID += payload[:1]
		}
		for _, f := range reports.Formats {
			var b bytes.Buffer
			must(t, f.Write(&b, run))
			if f.Name == "html" {
				checkReportPage(t, name, b.String(), want)
			} else {
				checkInertAs(t, name+" as "+f.Name, f.Name, b.String())
			}
			if shape := shapeOf[f.Name]; shape != nil {
				if diff := cmp.Diff(shapes[f.Name], shape(t, b.String())); diff != "" {
					t.Errorf("%s as %s says something else (-want +got):\n%s", name, f.Name, diff)
				}
			}
			neutralised++
		}
		if got := xmlNames(t, run); got != names {
			t.Errorf("%s: the XML has other elements:\n%s", name, cmp.Diff(names, got))
		}
		back, err := reports.ReadJSON(strings.NewReader(rendered(t, run)["json"]))
		must(t, err)
		if back.Totals != want.Totals || len(back.Results) != len(want.Results) || back.Results[9].Reason != string([]rune(run.Results[9].Reason)) {
			t.Errorf("%s: the JSON says something else: %+v", name, back.Results[9].Reason)
		}
	}
	t.Logf("injection payloads neutralised %d, in %d formats", neutralised, len(reports.Formats))
}

// A line of a megabyte is cut for people, and kept for programs.
func TestOneVeryLongLine(t *testing.T) {
	r := bodyBitFlipped()
	r.Reason = strings.Repeat("REMOTE ", 150_000)
	r.Evidence[1].Received = r.Reason
	for format, out := range rendered(t, reports.Run{State: reports.Complete, Results: []reports.Result{r}}) {
		if people := format == "terminal"; people && len(out) > 8<<10 {
			t.Errorf("%s: %d bytes", format, len(out))
		} else if format == "json" && !strings.Contains(out, r.Reason) {
			t.Errorf("%s: the line is cut", format)
		}
	}
}

var ciCommand = regexp.MustCompile(`(?m)^\s*::|##[a-z]*\[`)

// checkInert makes sure that a report shows nothing that a terminal, or a service
// that reads a job's output, would act upon.
func checkInert(t *testing.T, what, out string) {
	t.Helper()
	if !utf8.ValidString(out) {
		t.Errorf("%s: not UTF-8", what)
	}
	if i := strings.IndexFunc(out, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("%s: %q at %d", what, out[i:min(i+12, len(out))], i)
	}
	if command := ciCommand.FindString(out); command != "" {
		t.Errorf("%s: a command of a CI service is left: %q", what, command)
	}
	for line := range strings.SplitSeq(out, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "--- ") || strings.HasPrefix(line, "PASS") || strings.HasPrefix(line, `{"`) ||
			!strings.HasPrefix(line, " ") && strings.Contains(line, "REMOTE") {
			t.Errorf("%s: a line begins with a peer's text: %.80q", what, line)
		}
	}
}

// xmlNames are the elements of the run's JUnit report, in order.
func xmlNames(t *testing.T, run reports.Run) string {
	t.Helper()
	var b bytes.Buffer
	must(t, reports.JUnit(&b, run))
	xmlText(t, b.String())
	if lint, err := exec.LookPath("xmllint"); err == nil {
		cmd := exec.Command(lint, "--noout", "--nonet", "-")
		cmd.Stdin = bytes.NewReader(b.Bytes())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("xmllint: %v: %.500s", err, out)
		}
	}
	return strings.Join(regexp.MustCompile(`<[a-z-]+`).FindAllString(b.String(), -1), "\n")
}

// What no single case shows must still be no success where only JUnit is read.
func TestJUnitOfARunThatIsNoSuccess(t *testing.T) {
	passed := results(reports.Pass)
	for _, test := range []struct {
		run  reports.Run
		want string
	}{
		{reports.Run{State: reports.Complete, Results: passed}, ""},
		{reports.Run{State: reports.Complete}, "nothing was judged"},
		{reports.Run{State: reports.Complete, Results: results(reports.Skip)}, "nothing was judged"},
		{reports.Run{State: reports.Interrupted, Results: passed}, "the run was interrupted"},
		{reports.Run{State: reports.Incomplete, Results: passed}, "the run was cut short"},
		{reports.Run{State: reports.Complete, Results: passed, Stale: []string{"receiver/a/b"}}, "receiver/a/b"},
	} {
		var b bytes.Buffer
		must(t, reports.JUnit(&b, test.run))
		red := strings.Contains(b.String(), "<error")
		if red != (test.run.ExitCode() != reports.ExitPassed) || !strings.Contains(b.String(), test.want) {
			t.Errorf("exit code %d, want %q in:\n%s", test.run.ExitCode(), test.want, &b)
		}
	}
}

func TestJSONRoundTrip(t *testing.T) {
	for _, want := range []reports.Run{sampleRun(), sampleSenderRun()} {
		var first, second bytes.Buffer
		must(t, reports.JSON(&first, want))
		run, err := reports.ReadJSON(bytes.NewReader(first.Bytes()))
		must(t, err)
		if diff := cmp.Diff(want, run); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		must(t, reports.JSON(&second, run))
		if first.String() != second.String() {
			t.Error("the same run gives other bytes")
		}
	}
}

func TestReadJSONRefuses(t *testing.T) {
	var b bytes.Buffer
	must(t, reports.JSON(&b, sampleRun()))
	whole := b.String()
	replaced := func(old, by string) string {
		if !strings.Contains(whole, old) {
			t.Fatalf("the report has no %s", old)
		}
		return strings.Replace(whole, old, by, 1)
	}
	for name, test := range map[string]struct{ report, want string }{
		"nothing":                 {"", "EOF"},
		"cut off":                 {whole[:len(whole)-3], "unexpected EOF"},
		"something after":         {whole + "{}", "something follows"},
		"another schema":          {replaced("hookanvil.report/1", "hookanvil.report/9999"), "its schema is"},
		"a failure made a pass":   {replaced(`"verdict": "fail"`, `"verdict": "pass"`), "totals"},
		"totals improved":         {replaced(`"fail": 2`, `"fail": 0`), "totals"},
		"a verdict of its own":    {replaced(`"verdict": "pass"`, `"verdict": "passed"`), "verdict"},
		"a result twice":          {replaced("fidelity/case-2", "fidelity/case-1"), "twice"},
		"a state that is unknown": {replaced(`"state": "complete"`, `"state": "done"`), "its state is"},
	} {
		if _, err := reports.ReadJSON(strings.NewReader(test.report)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report.json")
	must(t, os.WriteFile(path, []byte("old"), 0o600))
	broken := errors.New("no more")
	half := func(w io.Writer, _ reports.Run) error {
		fmt.Fprint(w, strings.Repeat("half a report", 1000))
		return broken
	}
	if err := reports.WriteFile(path, sampled(half)); !errors.Is(err, broken) || !strings.Contains(err.Error(), path) {
		t.Errorf("a format that fails: %v", err)
	}
	checkDir(t, dir, "old")
	must(t, reports.WriteFile(path, sampled(reports.JSON)))
	var want bytes.Buffer
	must(t, reports.JSON(&want, sampleRun()))
	checkDir(t, dir, want.String())
}

// checkDir makes sure that dir holds one file of that content, and nothing else.
func checkDir(t *testing.T, dir, content string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	must(t, err)
	if len(files) != 1 {
		t.Fatalf("left behind: %v", files)
	}
	got, err := os.ReadFile(filepath.Join(dir, files[0].Name()))
	must(t, err)
	if string(got) != content {
		t.Errorf("the file says %.60q, want %.60q", got, content)
	}
}

func TestWriteFileFails(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/dev/full and /proc are Linux's")
	}
	for _, f := range reports.Formats {
		for path, want := range map[string]error{
			fullDisk(t):                           syscall.ENOSPC,
			"/proc/report":                        os.ErrNotExist, // a directory in which nothing can be made
			filepath.Join(t.TempDir(), "no", "r"): os.ErrNotExist,
			t.TempDir():                           syscall.EISDIR,
			"/dev/null/report":                    syscall.ENOTDIR,
		} {
			if err := reports.WriteFile(path, sampled(f.Write)); !errors.Is(err, want) {
				t.Errorf("%s to %s: %v, want %v", f.Name, path, err, want)
			}
		}
	}
}

// fullDisk is a link to /dev/full: should a fault replace what it was to write to,
// root loses the link and not the device.
func fullDisk(t *testing.T) string {
	t.Helper()
	info, err := os.Stat("/dev/full")
	if err != nil {
		t.Skip(err)
	}
	if info.Mode()&os.ModeCharDevice == 0 {
		t.Fatal("/dev/full is not a device: restore it with mknod -m 666 /dev/full c 1 7")
	}
	link := filepath.Join(t.TempDir(), "full")
	must(t, os.Symlink("/dev/full", link))
	return link
}

func TestWriteFileInAReadOnlyDirectory(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("nothing is read-only for root")
	}
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o500))
	if err := reports.WriteFile(filepath.Join(dir, "r"), sampled(reports.JSON)); !errors.Is(err, os.ErrPermission) {
		t.Error(err)
	}
}

// sampled writes the sample in a format.
func sampled(format reports.Format) func(io.Writer) error {
	return func(w io.Writer) error { return format(w, sampleRun()) }
}
