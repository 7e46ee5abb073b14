package reports_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hookanvil/hookanvil/reports"
)

func written(t *testing.T, terminal reports.Terminal, run reports.Run) string {
	t.Helper()
	var b bytes.Buffer
	must(t, terminal.Write(&b, run))
	return b.String()
}

func TestTerminalKeepsToItsWidth(t *testing.T) {
	for _, width := range []int{60, 80, 100, 120} {
		for line := range strings.SplitSeq(written(t, reports.Terminal{Width: width}, sampleRun()), "\n") {
			if command := strings.HasPrefix(line, "    $ "); !command && utf8.RuneCountInString(line) > width {
				t.Errorf("at %d: %d columns: %s", width, utf8.RuneCountInString(line), line)
			}
		}
	}
}

var colours = regexp.MustCompile(`\x1b\[[0-9;]*m`)

func TestTerminalColourAddsNothing(t *testing.T) {
	trimmed := regexp.MustCompile(`(?m) +$`)
	plain := written(t, reports.Terminal{Width: 80}, sampleRun())
	coloured := written(t, reports.Terminal{Width: 80, Color: true}, sampleRun())
	if coloured == plain || trimmed.ReplaceAllString(colours.ReplaceAllString(coloured, ""), "") != plain {
		t.Error("without its colours the report is another")
	}
	checkInert(t, "coloured", colours.ReplaceAllString(written(t, reports.Terminal{Color: true}, everywhere("\x1b[31mred\x1b[0m")), ""))
}

func TestTerminalInASCII(t *testing.T) {
	out := written(t, reports.Terminal{ASCII: true, Verbose: true}, everywhere("é漢🙂"))
	if i := strings.IndexFunc(out, func(r rune) bool { return r > '~' }); i >= 0 {
		t.Errorf("%q", out[i:i+8])
	}
	for _, want := range []string{"x receiver/signature/body-bit-flipped", "? receiver/replay", "! receiver", "+ receiver", `\u00e9`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in the report", want)
		}
	}
}

// However much fails, each failure is named, and the report stays readable.
func TestTerminalOfManyFailures(t *testing.T) {
	run := reports.Run{State: reports.Complete}
	for i := range 300 {
		r := bodyBitFlipped()
		r.ID = fmt.Sprintf("receiver/signature/case-%03d", i)
		run.Results = append(run.Results, r)
	}
	out := written(t, reports.Terminal{}, run)
	for _, r := range run.Results {
		if !strings.Contains(out, r.ID) {
			t.Errorf("%s is not told of", r.ID)
		}
	}
	if lines := strings.Count(out, "\n"); lines > 300*5+12*30+30 {
		t.Errorf("%d lines", lines)
	}
}

// A target that is down is one thing to tell, not a hundred.
func TestTerminalOfATargetThatIsDown(t *testing.T) {
	run := reports.Run{State: reports.Complete}
	for i := range 110 {
		run.Results = append(run.Results, reports.Result{
			ID: fmt.Sprintf("receiver/signature/case-%d", i), Title: "A forgery is refused", Level: "must", Verdict: reports.Inconclusive,
			Reason: "the target could not be reached: connection refused",
		})
	}
	out := written(t, reports.Terminal{}, run)
	if n := strings.Count(out, "could not be reached"); n != 1 {
		t.Errorf("the reason is told %d times", n)
	}
	if !strings.Contains(out, "Inconclusive: 0 passed, 110 inconclusive") || strings.Count(out, "\n") > 30 {
		t.Error(out)
	}
}

// What to do is told where there is something to do: beside the evidence of what failed.
func TestTerminalTellsTheRepair(t *testing.T) {
	const fix = "Verify over the raw bytes, \x1b[31mbefore\x1b[0m any parsing."
	for _, test := range []struct {
		verdict reports.Verdict
		known   string
		told    bool
	}{
		{verdict: reports.Fail, told: true},
		{verdict: reports.Warn, told: true},
		{verdict: reports.Fail, known: "accepted until spring"},
		{verdict: reports.Inconclusive},
		{verdict: reports.Pass},
		{verdict: reports.Skip},
	} {
		run := reports.Run{State: reports.Complete, Results: results(test.verdict)}
		run.Results[0].Fix, run.Results[0].Known = fix, test.known
		out := written(t, reports.Terminal{Width: 100}, run)
		if told := strings.Contains(out, "    repair Verify over the raw bytes, "); told != test.told {
			t.Errorf("%s, known %q: the repair is told: %v, want %v\n%s", test.verdict, test.known, told, test.told, out)
		}
		checkInert(t, string(test.verdict), out)
	}
	run := reports.Run{State: reports.Complete, Results: results(reports.Fail)}
	if out := written(t, reports.Terminal{}, run); strings.Contains(out, "repair") {
		t.Errorf("a repair is told where there is none:\n%s", out)
	}
}

func TestTerminalLastLine(t *testing.T) {
	passed, mixed := results(reports.Pass), results(reports.Pass, reports.Fail, reports.Warn, reports.Warn, reports.Skip)
	known := results(reports.Pass, reports.Fail)
	known[1].Known = "accepted"
	for _, test := range []struct {
		run  reports.Run
		want string
	}{
		{reports.Run{State: reports.Complete, Results: passed}, "✓ Passed: 1 passed"},
		{reports.Run{State: reports.Complete, Results: mixed}, "✗ Failed: 1 passed, 1 failed, 2 warnings, 1 skipped"},
		{reports.Run{State: reports.Complete, Results: known}, "✓ Passed: 1 passed, 1 failed (1 known)"},
		{reports.Run{State: reports.Complete, Results: passed, Stale: []string{"a/b"}}, "✗ Failed: 1 passed; entries of the known failures are stale: a/b"},
		{reports.Run{State: reports.Complete}, "? Inconclusive: 0 passed; nothing was judged"},
		{reports.Run{State: reports.Incomplete, Results: passed}, "? Incomplete: 1 passed; the run was cut short"},
		{reports.Run{State: reports.Interrupted, Results: passed}, "? Interrupted: 1 passed; the run was interrupted"},
		{reports.Run{State: reports.Complete, Results: passed, Started: began, Ended: began.Add(1e9)}, "✓ Passed in 1.0 s: 1 passed"},
	} {
		lines := strings.Split(strings.TrimSuffix(written(t, reports.Terminal{}, test.run), "\n"), "\n")
		if got := lines[len(lines)-1]; got != test.want {
			t.Errorf("%s\nwant %s", got, test.want)
		}
	}
}

// The line ends of a request's head are part of what was sent.
func TestTerminalShowsBareLineEnds(t *testing.T) {
	r := bodyBitFlipped()
	r.Evidence = []reports.Exchange{{Label: "delivery", Outcome: "answered", Sent: reports.Printable([]byte("POST / HTTP/1.1\nA: \\n\r\nB: c\r\n\r\na\nb"), 100)}}
	out := written(t, reports.Terminal{}, reports.Run{State: reports.Complete, Results: []reports.Result{r}})
	want := "      > POST / HTTP/1.1\\n\n      > A: \\\\n\n      > B: c\n      >\n      > a\n      > b\n"
	if !strings.Contains(out, want) {
		t.Errorf("%s\nwant %s", out, want)
	}
}

func TestDetectTerminal(t *testing.T) {
	for _, test := range []struct {
		terminal bool
		env      map[string]string
		want     reports.Terminal
	}{
		{true, nil, reports.Terminal{Color: true}},
		{false, nil, reports.Terminal{}},
		{true, map[string]string{"NO_COLOR": "1"}, reports.Terminal{}},
		{true, map[string]string{"NO_COLOR": ""}, reports.Terminal{Color: true}},
		{true, map[string]string{"TERM": "dumb"}, reports.Terminal{}},
		{true, map[string]string{"LANG": "en_GB.UTF-8"}, reports.Terminal{Color: true}},
		{true, map[string]string{"LANG": "C.utf8"}, reports.Terminal{Color: true}},
		{true, map[string]string{"LANG": "de_DE.ISO-8859-1"}, reports.Terminal{Color: true, ASCII: true}},
		{true, map[string]string{"LANG": "en_GB.UTF-8", "LC_ALL": "C"}, reports.Terminal{Color: true, ASCII: true}},
	} {
		test.want.Width = 90
		if got := reports.DetectTerminal(test.terminal, 90, func(name string) string { return test.env[name] }); got != test.want {
			t.Errorf("%v %v: %+v, want %+v", test.terminal, test.env, got, test.want)
		}
	}
}
