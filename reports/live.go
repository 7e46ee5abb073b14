package reports

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Pulse is a load run under way.
type Pulse struct {
	At, Left time.Duration
	Stage    string  // its name, or its plan in words
	Total    Traffic // counts so far
	Last     Second  // the last whole second
	Waiting  int64   // hits that are due, and have no connection yet
	Open     int     // connections
	// Lag is the p99 of how late hits were begun, in milliseconds. It is asked for when it
	// is shown, once for each second; it may be nil.
	Lag func() float64
}

// How often the panel is drawn, and how often a line is written where there is no
// terminal.
const (
	redrawEvery = time.Second / 5
	lineEvery   = 5 * time.Second
)

// Live shows a load run as it goes: on a terminal a panel that is drawn over, elsewhere a
// line now and then.
type Live struct {
	// Screen is what suits the output.
	Screen Terminal
	// Overwrite tells that the output is a terminal on which one can go back.
	Overwrite bool
	Out       io.Writer

	drawn   bool          // whether the panel is on the screen
	last    time.Duration // when it was drawn
	p99s    []float64     // of the last seconds
	second  float64       // the beginning of the last of those
	lag     float64
	started bool
}

// seen is how many seconds the panel draws.
const seen = 30

// Show shows a pulse, unless the last one was shown just now.
func (l *Live) Show(p Pulse) {
	every := lineEvery
	if l.Overwrite {
		every = redrawEvery
	}
	if p.At < l.last { // another run, as in a search
		l.started, l.last, l.p99s, l.second = false, 0, nil, 0
	}
	l.note(p)
	if l.started && p.At-l.last < every || !l.Overwrite && p.At < every {
		return
	}
	l.started, l.last = true, p.At
	if l.Overwrite {
		l.redraw(p)
		return
	}
	l.askLag(p)
	s := l.screen()
	text := fmt.Sprintf("load: %s of %s", short(p.At), short(p.At+p.Left))
	for _, part := range []string{p.Stage, strings.Join(l.ratesOf(p), ", "), strings.Join(l.countsOf(p), ", ")} {
		if part != "" {
			text += "; " + part
		}
	}
	s.Width = longestPlain // nobody's screen
	fmt.Fprintln(l.Out, s.plain(text))
}

// note remembers a second that is over.
func (l *Live) note(p Pulse) {
	if p.At < time.Second || len(l.p99s) > 0 && p.Last.At <= l.second {
		return
	}
	l.second = p.Last.At
	if l.p99s = append(l.p99s, p.Last.P99); len(l.p99s) > seen {
		l.p99s = l.p99s[1:]
	}
	if l.Overwrite {
		l.askLag(p)
	}
}

func (l *Live) askLag(p Pulse) {
	if p.Lag != nil {
		l.lag = p.Lag()
	}
}

// Clear takes the panel off the screen.
func (l *Live) Clear() {
	if !l.drawn {
		return
	}
	fmt.Fprintf(l.Out, "\r\x1b[%dA\x1b[J", panelLines)
	l.drawn = false
}

// Say writes a line above what is shown next.
func (l *Live) Say(text string) {
	l.Clear()
	s := l.screen()
	s.Width = longestPlain
	fmt.Fprintln(l.Out, s.plain(text))
}

const (
	panelLines   = 3
	longestPlain = 400
)

func (l *Live) redraw(p Pulse) {
	s := l.screen()
	var b bytes.Buffer
	if l.drawn {
		fmt.Fprintf(&b, "\r\x1b[%dA", panelLines)
	}
	l.drawn = true
	bar := fmt.Sprintf("%s %s %s left", short(p.At), s.bar(p.At, p.At+p.Left, min(24, s.Width/4)), short(p.Left))
	for _, line := range []string{
		bar + "   " + inert(p.Stage),
		strings.Join(l.ratesOf(p), "   ") + "   " + s.sparks(l.p99s),
		strings.Join(l.countsOf(p), "   "),
	} {
		text := s.plain(line)
		if unserved(p, line) {
			text = s.paint(styles[Warn].color, text)
		}
		fmt.Fprintf(&b, "\x1b[2K%s\n", text)
	}
	_, _ = l.Out.Write(b.Bytes()) // a panel that cannot be drawn is nobody's loss
}

// unserved tells of the line of counts where something was not served.
func unserved(p Pulse, line string) bool {
	return p.Total.Failed()+p.Total.Other > 0 && strings.HasPrefix(line, "accepted ")
}

func (l *Live) screen() screen {
	t := l.Screen
	t.Width = max(cmp.Or(t.Width, 80), 20)
	return screen{t, l.Out}
}

// plain makes one line of a text that fits.
func (s screen) plain(text string) string {
	text = strings.TrimRight(inert(text), " ")
	if s.ASCII {
		text = asciiOnly(text)
	}
	if utf8.RuneCountInString(text) >= s.Width {
		text = string([]rune(text)[:s.Width-1])
	}
	return text
}

func (s screen) sparks(values []float64) string {
	if len(values) < 2 {
		return ""
	}
	return s.spark(values, len(values))
}

func (s screen) bar(done, of time.Duration, width int) string {
	full, empty := "█", "░"
	if s.ASCII {
		full, empty = "#", "."
	}
	n := 0
	if of > 0 {
		n = min(int(int64(width)*int64(done)/int64(of)), width)
	}
	return strings.Repeat(full, n) + strings.Repeat(empty, width-n)
}

func (l *Live) ratesOf(p Pulse) []string {
	parts := []string{
		thousands(p.Last.Sent) + "/s sent", thousands(p.Last.Accepted) + "/s accepted",
		"p50 " + brieflyMS(p.Last.P50), "p99 " + brieflyMS(p.Last.P99),
	}
	if p.At < time.Second {
		parts = []string{"starting"}
	}
	if l.lag > 0 {
		parts = append(parts, "lag "+brieflyMS(l.lag))
	}
	return parts
}

func (l *Live) countsOf(p Pulse) []string {
	t := p.Total
	parts := []string{"accepted " + thousands(t.Accepted)}
	for _, c := range []struct {
		name string
		n    int64
	}{{"refused", t.Refused}, {"unavailable", t.Unavailable}, {"other", t.Other}, {"errors", t.Failed()}} {
		if c.n > 0 {
			parts = append(parts, c.name+" "+thousands(c.n))
		}
	}
	if kinds := t.kinds(); kinds != "" {
		parts[len(parts)-1] += " (" + kinds + ")"
	}
	parts = append(parts, fmt.Sprintf("open %d", p.Open))
	if p.Waiting > 0 {
		parts = append(parts, "waiting "+thousands(p.Waiting))
	}
	return parts
}

// short is a time in whole seconds.
func short(d time.Duration) string { return d.Round(time.Second).String() }
