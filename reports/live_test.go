package reports_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hookanvil/hookanvil/reports"
)

// pulses are a run of ten seconds, looked at ten times a second.
func pulses(stage string) []reports.Pulse {
	var all []reports.Pulse
	for i := range 101 {
		at := time.Duration(i) * time.Second / 10
		all = append(all, reports.Pulse{
			At: at, Left: 10*time.Second - at, Stage: stage, Open: 12, Waiting: int64(i % 3), Lag: func() float64 { return 0.25 },
			Total: reports.Traffic{Planned: int64(i * 100), Accepted: int64(i * 90), Refused: int64(i * 9), Errors: map[string]int64{"reset": int64(i)}},
			Last:  reports.Second{At: float64(max(0, i/10-1)), Sent: 1000, Accepted: 900, Refused: 90, Errors: 10, P50: 1.25, P99: 4 + float64(i/10), Max: 90},
		})
	}
	return all
}

func shown(l reports.Live, all []reports.Pulse) string {
	var b bytes.Buffer
	l.Out = &b
	for _, p := range all {
		l.Show(p)
	}
	l.Clear()
	return b.String()
}

// In a pipe there is a line every five seconds, without colour, and nothing that goes back.
func TestLiveInAPipe(t *testing.T) {
	out := shown(reports.Live{Screen: reports.Terminal{Width: 100, ASCII: true}}, pulses("1000/s for 10s"))
	checkGolden(t, "live.txt", out)
	if n := strings.Count(out, "\n"); n != 2 || strings.ContainsAny(out, "\r\x1b") {
		t.Errorf("%d lines: %q", n, out)
	}
}

// On a terminal the panel is drawn over, five times a second at most, and taken away in
// the end.
func TestLiveOnATerminal(t *testing.T) {
	out := shown(reports.Live{Screen: reports.Terminal{Width: 80, Color: true}, Overwrite: true}, pulses("spike"))
	checkGolden(t, "live.terminal", out)
	if n := strings.Count(out, "spike"); n > 52 || n < 45 {
		t.Errorf("drawn %d times in 10 s", n)
	}
	if !strings.HasSuffix(out, "\x1b[J") {
		t.Errorf("the panel is left behind: %q", out[len(out)-20:])
	}
}

// A search is one run after another: each is shown as the first was.
func TestLiveOfSeveralRuns(t *testing.T) {
	for _, overwrite := range []bool{false, true} {
		once := pulses("first")
		l := reports.Live{Screen: reports.Terminal{Width: 100, ASCII: true}, Overwrite: overwrite}
		one := strings.Count(shown(l, once), "first")
		both := shown(l, append(once, pulses("second")...))
		if n := strings.Count(both, "second"); n != one || one == 0 {
			t.Errorf("the first is shown %d times, the second %d times", one, n)
		}
	}
}

// What is said stands above the panel, inert.
func TestLiveSays(t *testing.T) {
	var b bytes.Buffer
	l := reports.Live{Screen: reports.Terminal{Width: 80, ASCII: true}, Overwrite: true, Out: &b}
	l.Show(pulses("run")[0])
	before := b.Len()
	l.Say("tried \x1b[2J it")
	if got := b.String()[before:]; got != "\r\x1b[3A\x1b[Jtried \\x1b[2J it\n" {
		t.Errorf("%q", got)
	}
}

var escapes = regexp.MustCompile(`\x1b\[[0-9]*[A-Za-z]|\r`)

// A line that wraps would leave its beginning behind when it is drawn over.
func TestLiveIsNoWiderThanItsTerminal(t *testing.T) {
	for _, width := range []int{20, 40, 79, 200} {
		for _, ascii := range []bool{false, true} {
			out := shown(reports.Live{Screen: reports.Terminal{Width: width, ASCII: ascii}, Overwrite: true}, pulses("é漢 "+strings.Repeat("long ", 50)))
			for line := range strings.SplitSeq(escapes.ReplaceAllString(out, ""), "\n") {
				if n := utf8.RuneCountInString(line); n >= width {
					t.Fatalf("at %d: %d columns: %s", width, n, line)
				}
				if i := strings.IndexFunc(line, func(r rune) bool { return r > '~' }); ascii && i >= 0 {
					t.Fatalf("not ASCII: %s", line)
				}
			}
		}
	}
}

func TestLiveInjection(t *testing.T) {
	for name, payload := range payloads {
		out := escapes.ReplaceAllString(shown(reports.Live{Screen: reports.Terminal{Width: 80}, Overwrite: true}, pulses(payload)), "")
		out += shown(reports.Live{}, pulses(payload))
		checkOneLine(t, name, out)
	}
}

// A run that has not begun draws nothing, and needs no clearing.
func TestLiveBefore(t *testing.T) {
	if out := shown(reports.Live{Overwrite: true}, nil); out != "" {
		t.Errorf("%q", out)
	}
}
