package reports

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// timeline is the attempts of a case's deliveries over time, before the waits that the
// sender declares: a row for each delivery.
type timeline struct {
	Says, Scale   string
	Height        float64
	Below         []chartTick
	Rows          []timelineRow
	Scheduled     bool
	Asked         bool // some answer had Retry-After
	More          int  // deliveries for which there is no row
	Table         []timelineEntry
	Bottom, Names float64
}

type timelineRow struct {
	Name     string
	Y, Label float64 // the line, and the text above it
	Waits    []timelineWait
	Asked    []timelineWait // by Retry-After
	Attempts []timelineAttempt
}

// timelineWait is a wait that is declared: an attempt was due at its end.
type timelineWait struct {
	X, Width, Due, Top, Bottom float64
	Text                       string
}

// timelineAttempt is one attempt; its shape tells what it was answered.
type timelineAttempt struct {
	X, End, Y   float64
	Shape       string // circle: 2xx; diamond: 3xx and 4xx; square: 5xx; cross: nothing
	Points      string // of a diamond or a cross
	Verdict     string
	Status      string // shown beside it where there is room
	Text        string
	Left, Above float64
}

// timelineEntry is an attempt in words.
type timelineEntry struct{ Delivery, Attempt, Began, Waited, Declared, Answered, Took string }

// mostRows bounds the deliveries of one picture.
const mostRows = 8

const (
	timelineLeft, timelineRight = 20.0, 840.0
	rowHeight                   = 58.0
)

// timelineOf is nil where no delivery was tried twice.
func timelineOf(evidence []Exchange, schedule []float64) *timeline {
	names, byName, again := []string{}, map[string][]Exchange{}, false
	for _, x := range evidence {
		if x.Delivery == "" || x.Attempt == 0 {
			continue
		}
		if byName[x.Delivery] == nil {
			names = append(names, x.Delivery)
		}
		byName[x.Delivery] = append(byName[x.Delivery], x)
		again = again || len(byName[x.Delivery]) > 1
	}
	if !again {
		return nil
	}
	t := &timeline{More: max(len(names)-mostRows, 0)}
	names = names[:len(names)-t.More]
	scale := scaleOf(names, byName, schedule)
	for i, name := range names {
		t.row(shown(name), byName[name], schedule, scale, float64(i)*rowHeight+38)
	}
	t.Bottom = float64(len(names))*rowHeight + 8
	t.Height, t.Names = t.Bottom+22, t.Bottom+16
	for _, v := range scale.ticks() {
		t.Below = append(t.Below, chartTick{scale.at(v), sooner(v)})
	}
	if scale.log {
		t.Scale = "Time grows tenfold from mark to mark, so that short and long waits are both seen."
	}
	t.Says = fmt.Sprintf("%s of %s over %s; the table below has the same in words", plural(len(t.Table), "attempt"), deliveries(int64(len(names))), sooner(scale.to))
	return t
}

// weight is about how many bytes of a page it takes.
func (t *timeline) weight() int {
	if t == nil {
		return 0
	}
	n := 1300 + 120*len(t.Below)
	for _, row := range t.Rows {
		n += 120 + len(row.Name) + 270*len(row.Waits) + 190*len(row.Asked) + (440+len(row.Name))*len(row.Attempts)
	}
	return n
}

// row adds a delivery.
func (t *timeline) row(name string, attempts []Exchange, schedule []float64, s timeScale, y float64) {
	row := timelineRow{Name: clip(name, 90), Y: y, Label: y - 22}
	room := math.Inf(-1) // where the last text ends
	for i, x := range attempts {
		began, end := x.StartedMS-s.zero, x.StartedMS-s.zero+x.DurationMS
		a := timelineAttempt{X: s.at(began), End: s.at(end), Y: y}
		a.shape(x.Status)
		answered := cmp.Or(visible(clip(x.Outcome, 60)), "nothing")
		if x.Sent == "" {
			a.Shape, a.Points, a.Verdict = "cross", cross(a.X, y), string(Fail)
		}
		if a.X > room {
			a.Status = strconv.Itoa(x.Status)
			if x.Status == 0 {
				a.Status = "none"
			}
			room = a.X + 26
		}
		waited, declared := "", ""
		if wait, ok := askedAfter(x); ok && failed(x) {
			due := s.at(end + wait)
			row.Asked = append(row.Asked, timelineWait{Due: due, Top: y - 14, Bottom: y + 14, Text: "the answer asked to wait " + sooner(wait)})
			t.Asked = true
		}
		if i > 0 {
			before := attempts[i-1]
			waited = sooner(x.StartedMS - before.StartedMS - before.DurationMS)
			if wait, ok := declaredAfter(before, schedule); ok {
				declared = sooner(wait)
			}
			if wait, ok := askedAfter(before); ok {
				declared = strings.TrimPrefix(declared+", "+sooner(wait)+" by Retry-After", ", ")
			}
		}
		a.Text = fmt.Sprintf("attempt %d, %s: %s, took %s", x.Attempt, sooner(began), answered, sooner(x.DurationMS))
		row.Attempts = append(row.Attempts, a)
		if wait, ok := declaredAfter(x, schedule); ok && failed(x) && (i+1 < len(attempts) || comesAgain(x) && s.to >= end+wait) {
			from, due := s.at(end), s.at(end+wait)
			row.Waits = append(row.Waits, timelineWait{from, tenth(due - from), due, y - 14, y + 14, fmt.Sprintf("attempt %d is due %s after the end of attempt %d", x.Attempt+1, sooner(wait), x.Attempt)})
			t.Scheduled = true
		}
		t.Table = append(t.Table, timelineEntry{name, strconv.Itoa(x.Attempt), sooner(began), waited, declared, answered, sooner(x.DurationMS)})
	}
	t.Rows = append(t.Rows, row)
}

// declaredAfter is how long a sender says that it waits after an attempt.
func declaredAfter(x Exchange, schedule []float64) (ms float64, ok bool) {
	if x.Attempt < 1 || x.Attempt > len(schedule) {
		return 0, false
	}
	return schedule[x.Attempt-1], true
}

// retryAfter is that of an answer, as Printable shows it.
var retryAfter = regexp.MustCompile(`(?i)\\r\\nretry-after: *(\d{1,7})\\r\\n`)

// askedAfter is how long the answer to an attempt asks to wait.
func askedAfter(x Exchange) (ms float64, ok bool) {
	found := retryAfter.FindStringSubmatch(x.Sent)
	if found == nil {
		return 0, false
	}
	seconds, err := strconv.Atoi(found[1])
	return float64(seconds) * 1000, err == nil && seconds > 0
}

// failed tells whether an attempt is to be followed by another one.
func failed(x Exchange) bool { return x.Status/100 != 2 }

// comesAgain tells whether an attempt is to be followed by another one, whatever the sender
// makes of redirects and refusals.
func comesAgain(x Exchange) bool { return x.Status == 0 || x.Status >= 500 }

// shape draws an attempt by what it was answered.
func (a *timelineAttempt) shape(status int) {
	a.Left, a.Above = tenth(a.X-6), a.Y-6
	switch status / 100 {
	case 2:
		a.Shape, a.Verdict = "circle", string(Pass)
	case 3, 4:
		a.Shape, a.Verdict = "diamond", string(Warn)
		a.Points = fmt.Sprintf("%.1f,%.1f %.1f,%.1f %.1f,%.1f %.1f,%.1f", a.X, a.Y-8, a.X+8, a.Y, a.X, a.Y+8, a.X-8, a.Y)
	case 5:
		a.Shape, a.Verdict = "square", string(Fail)
	default:
		a.Shape, a.Verdict, a.Points = "cross", string(Fail), cross(a.X, a.Y)
	}
}

func cross(x, y float64) string {
	return fmt.Sprintf("M%.1f %.1fL%.1f %.1fM%.1f %.1fL%.1f %.1f", x-6, y-6, x+6, y+6, x-6, y+6, x+6, y-6)
}

// timeScale lays times out between the edges: evenly, or by their logarithm where the
// shortest wait would not be seen beside the longest.
type timeScale struct {
	zero, to, unit float64 // milliseconds
	log            bool
}

func scaleOf(names []string, byName map[string][]Exchange, schedule []float64) timeScale {
	s := timeScale{zero: math.Inf(1)}
	for _, name := range names {
		s.zero = min(s.zero, byName[name][0].StartedMS)
	}
	shortest := math.Inf(1)
	for _, name := range names {
		for i, x := range byName[name] {
			s.to = max(s.to, x.StartedMS-s.zero+x.DurationMS)
			if i > 0 {
				before := byName[name][i-1]
				if gap := x.StartedMS - before.StartedMS - before.DurationMS; gap > 0 {
					shortest = min(shortest, gap)
				}
				for _, due := range []func() (float64, bool){
					func() (float64, bool) { return declaredAfter(before, schedule) }, func() (float64, bool) { return askedAfter(before) },
				} {
					if wait, ok := due(); ok && failed(before) {
						s.to = max(s.to, before.StartedMS-s.zero+before.DurationMS+wait)
					}
				}
			}
		}
	}
	s.to = max(s.to, 1)
	// An attempt that was due and did not come is to be seen too, unless that is far ahead.
	for _, name := range names {
		last := byName[name][len(byName[name])-1]
		wait, ok := declaredAfter(last, schedule)
		if due := last.StartedMS - s.zero + last.DurationMS + wait; ok && comesAgain(last) && due < 4*s.to {
			s.to = max(s.to, due)
		}
	}
	s.unit = max(min(shortest, s.to)/2, 0.1)
	s.log = s.to/s.unit > 80
	return s
}

func (s timeScale) at(ms float64) float64 {
	ms = max(ms, 0)
	share := ms / s.to
	if s.log {
		share = math.Log1p(ms/s.unit) / math.Log1p(s.to/s.unit)
	}
	return tenth(timelineLeft + (timelineRight-timelineLeft-30)*min(share, 1))
}

func (s timeScale) ticks() []float64 {
	if !s.log {
		return ticksOf(0, s.to)
	}
	ticks := []float64{0}
	for v := math.Pow(10, math.Ceil(math.Log10(s.unit))); v <= s.to; v *= 10 {
		ticks = append(ticks, v)
	}
	return ticks
}

// sooner is a time with the digits that matter.
func sooner(ms float64) string {
	switch {
	case ms >= 3_600_000:
		return fmt.Sprintf("%.3g h", ms/3_600_000)
	case ms >= 120_000:
		return fmt.Sprintf("%.3g min", ms/60_000)
	case ms >= 1000:
		return fmt.Sprintf("%.3g s", ms/1000)
	case ms > 0:
		return fmt.Sprintf("%.3g ms", ms)
	}
	return "0"
}
