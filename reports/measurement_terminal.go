package reports

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// WriteMeasurement writes what a load run measured, for people.
func (t Terminal) WriteMeasurement(w io.Writer, m Measurement) error {
	var b bytes.Buffer
	s := t.screen(&b)
	s.loadHeading(m)
	s.invalid(m)
	s.hits(m)
	s.latencies(m)
	s.errors(m)
	s.stages(m)
	s.course(m)
	s.controls(m)
	s.generator(m)
	s.capacity(m)
	s.thresholds(m)
	s.notes(Run{Notes: m.Notes})
	s.loadVerdict(m)
	_, err := w.Write(b.Bytes())
	return err
}

func (s screen) loadHeading(m Measurement) {
	s.line("%s", s.paint(bold, inert(m.Tool)))
	s.line("")
	load := fmt.Sprintf("%s (%s model)", m.Plan, m.Model)
	for _, fact := range [][2]string{
		{cmp.Or(m.Subject.Role, "target"), m.Subject.Target}, {"profile", m.Profile}, {"load", load},
		{"effects", cmp.Or(m.Subject.Probe, "not looked up: no probe is given")}, {"seed", strconv.FormatUint(m.Seed, 10)},
	} {
		s.paragraph(fmt.Sprintf("  %-10s", fact[0]), fact[1])
	}
}

func (s screen) invalid(m Measurement) {
	if len(m.Invalid) == 0 {
		return
	}
	s.line("")
	s.line("%s", s.paint("7;"+styles[Inconclusive].color, " INVALID: these figures tell of the generator "))
	for _, why := range m.Invalid {
		s.paragraph("  - ", why)
	}
}

// row writes the cells of a table's line, right-aligned behind the first one. Columns
// that the screen has no room for are left out, the last ones first.
func (s screen) row(style, first string, firstWidth int, cells []string, width int, colour func(int) string) {
	line := first
	if style != "" {
		line = s.paint(style, first)
	}
	line += strings.Repeat(" ", max(firstWidth-utf8.RuneCountInString(first), 0))
	for i, c := range cells[:min(len(cells), s.room(firstWidth, width))] {
		text := strings.Repeat(" ", max(width-utf8.RuneCountInString(c), 1)) + c
		if colour != nil && colour(i) != "" {
			text = s.paint(colour(i), text)
		}
		line += text
	}
	s.line("%s", line)
}

func (s screen) room(first, width int) int { return max((s.Width-first)/width, 1) }

// dimmed is the colour of what is not looked at first.
func dimmed(int) string { return dim }

const classWidth = 20

// hits is the table of what became of the hits.
func (s screen) hits(m Measurement) {
	s.line("")
	const width = 11
	s.row(bold, "Hits", classWidth, []string{"planned", "accepted", "refused", "unavail.", "other", "errors"}, width, dimmed)
	rows := m.Classes
	if len(rows) != 1 {
		rows = append(slices.Clone(rows), m.Total)
	}
	for _, t := range rows {
		counts := t.outcomes()
		cells := make([]string, len(counts))
		for i, n := range counts {
			cells[i] = s.zero(n)
		}
		s.row("", "  "+clip(inert(cmp.Or(t.Class, "all")), classWidth-2), classWidth, cells, width, func(i int) string {
			if counts[i] == 0 {
				return dim
			}
			return styles[t.amiss(i)].color
		})
		if t.Planned > 0 {
			shares := []string{share(t.Planned, m.Total.Planned)}
			for _, n := range counts[1:] {
				shares = append(shares, share(n, t.Planned))
			}
			s.row("", "", classWidth, shares, width, dimmed)
		}
	}
	s.effects(m)
}

func (s screen) effects(m Measurement) {
	for _, t := range m.Classes {
		if t.Effects != nil {
			s.paragraph("  ", t.Class+": "+t.Effects.words(t.Class))
		}
	}
}

// words say what a probe told of the deliveries of a class.
func (e *Effects) words(class string) string {
	if MustBeRefused(class) {
		return fmt.Sprintf("the effects of %s were looked up, however they were answered: %d took effect", deliveries(e.Examined), e.Taken)
	}
	return fmt.Sprintf("the effects of %s that were accepted were looked up: %d lost, %d repeated", deliveries(e.Examined), e.Lost, e.Repeated)
}

func deliveries(n int64) string {
	if n == 1 {
		return "1 delivery"
	}
	return thousands(n) + " deliveries"
}

// controls tells of the deliveries before the load and after it.
func (s screen) controls(m Measurement) {
	if len(m.Controls) == 0 {
		return
	}
	s.title("Beside the load", 0)
	for _, c := range m.Controls {
		v := Pass
		switch {
		case c.Gone, c.Class == "forged" && c.Accepted && c.When == "after":
			v = Fail
		case c.Accepted == (c.Class == "forged"):
			v = Warn
		}
		s.marked(v, c.words())
	}
}

// words say what became of a control.
func (c Control) words() string {
	article := "a "
	if c.Class == "honest" {
		article = "an "
	}
	outcome := "not accepted"
	if c.Accepted {
		outcome = "accepted"
	}
	return fmt.Sprintf("%s it, %s%s delivery was %s: %s", c.When, article, c.Class, outcome, c.Got)
}

// outcomes are the columns of the table of hits.
func (t Traffic) outcomes() []int64 {
	return []int64{t.Planned, t.Accepted, t.Refused, t.Unavailable, t.Other, t.Failed()}
}

// amiss marks a column of the table that should be empty: by Fail what is wrong, and by
// Warn what was not served.
func (t Traffic) amiss(i int) Verdict {
	const accepted, refused = 1, 2
	switch {
	case t.outcomes()[i] == 0:
		return ""
	case i == accepted && MustBeRefused(t.Class), i == refused && t.Class == "honest":
		return Fail
	case i > refused && t.Class != "oversized":
		return Warn
	}
	return ""
}

func (s screen) zero(n int64) string {
	if n == 0 {
		return "·"
	}
	return thousands(n)
}

// thousands groups the digits of a number, as nobody counts seven of them.
func thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// share is a part of a whole. What is not nothing is never shown as nothing, and what
// is not all never as all.
func share(part, whole int64) string {
	if part == 0 || whole == 0 {
		return ""
	}
	v := 100 * float64(part) / float64(whole)
	if part != whole {
		v = min(max(v, 0.01), 99.99)
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 2, 64), ".00") + " %"
}

// latencies is the table of times: of each class, those that were answered as a class
// should be.
func (s screen) latencies(m Measurement) {
	s.line("")
	const width, first = 9, 34
	s.row(bold, "Latency", first, []string{"p50", "p90", "p95", "p99", "p99.9", "max", "mean"}, width, dimmed)
	shown := 0
	for _, t := range m.Classes {
		for _, outcome := range outcomesOfHits {
			d := t.Latency[outcome]
			if d.Count == 0 || outcome != expected(t.Class) && t.Latency[expected(t.Class)].Count > 0 {
				continue
			}
			shown++
			s.row("", "  "+clip(inert(t.Class+" "+outcome), first-3), first, quantiles(d), width, nil)
			if service := t.Service[outcome]; service.Count > 0 {
				s.row(dim, "    from when it was begun", first, quantiles(service), width, dimmed)
			}
		}
	}
	if shown == 0 {
		s.line("  no hit was answered")
		return
	}
	s.paragraph("  ", "Counted from when a hit was due: a target that stalls is slow for all that was to be sent meanwhile.")
}

// expected is the outcome that hits of a class should come to.
func expected(class string) string {
	if MustBeRefused(class) {
		return "refused"
	}
	return "accepted"
}

func quantiles(d Distribution) []string {
	var cells []string
	for _, ms := range []float64{d.P50, d.P90, d.P95, d.P99, d.P999, d.Max, d.Mean} {
		cells = append(cells, brieflyMS(ms))
	}
	return cells
}

// brieflyMS shows a time with three digits.
func brieflyMS(ms float64) string {
	switch {
	case ms >= 10_000:
		return fmt.Sprintf("%.1fs", ms/1000)
	case ms >= 1000:
		return fmt.Sprintf("%.2fs", ms/1000)
	case ms >= 100:
		return fmt.Sprintf("%.0fms", ms)
	case ms >= 10:
		return fmt.Sprintf("%.1fms", ms)
	case ms >= 1:
		return fmt.Sprintf("%.2fms", ms)
	}
	return fmt.Sprintf("%.0fus", ms*1000)
}

func (s screen) errors(m Measurement) {
	titled := false
	for _, t := range m.Classes {
		kinds := t.kinds()
		var odd []string
		for _, status := range slices.Sorted(maps.Keys(t.Statuses)) {
			if t.Unavailable+t.Other > 0 && (status >= 500 || status == 429 || status == 404 || status == 405 || status == 413 || status/100 == 3) {
				odd = append(odd, fmt.Sprintf("status %d %d times", status, t.Statuses[status]))
			}
		}
		if kinds != "" {
			odd = append([]string{kinds}, odd...)
		}
		if len(odd) == 0 {
			continue
		}
		if !titled {
			s.title("Errors", 0)
			titled = true
		}
		s.paragraph(fmt.Sprintf("  %-*s", classWidth-2, clip(inert(t.Class), classWidth-3)), strings.Join(odd, ", "))
	}
}

// stages tells of each stage, where there are several.
func (s screen) stages(m Measurement) {
	if len(m.Stages) < 2 {
		return
	}
	s.line("")
	const width, first = 11, 34
	s.row(bold, "Stage", first, []string{"accepted/s", "unserved", "p50", "p99", "max"}, width, dimmed)
	for i, stage := range m.Stages {
		d := stage.Total.Latency["accepted"]
		unserved := "·"
		if v := stage.Total.Unserved(); v > 0 {
			unserved = fmt.Sprintf("%.2f %%", max(100*v, 0.01))
		}
		name := cmp.Or(stage.Name, strconv.Itoa(i+1)) + ": " + stage.Plan
		s.row("", "  "+clip(inert(name), first-3), first, []string{fmt.Sprintf("%.1f", stage.Total.Throughput), unserved, brieflyMS(d.P50), brieflyMS(d.P99), brieflyMS(d.Max)}, width, nil)
	}
}

// drawn are the seconds up to the last in which a hit was due. What is answered behind
// it is a rest, and would look like a collapse.
func (m Measurement) drawn() []Second {
	series := m.Series
	for n := len(series); n > 0 && series[n-1].Planned == 0; n-- {
		series = series[:n-1]
	}
	return series
}

// course draws the run second by second.
func (s screen) course(m Measurement) {
	series := m.drawn()
	if len(series) < 3 {
		return
	}
	s.title("Over time", 0)
	width := min(s.Width-34, 72)
	var accepted, unserved, p99 []float64
	for _, second := range series {
		accepted = append(accepted, float64(second.Accepted))
		unserved = append(unserved, float64(second.Other+second.Errors))
		p99 = append(p99, second.P99)
	}
	top := slices.Max(accepted)
	s.line("  %-12s%s  %s", "accepted/s", s.spark(accepted, width), s.paint(dim, fmt.Sprintf("up to %s", thousands(int64(top)))))
	if most := slices.Max(unserved); most > 0 {
		s.line("  %-12s%s  %s", "unserved/s", s.paint(styles[Warn].color, s.spark(unserved, width)), s.paint(dim, fmt.Sprintf("up to %s", thousands(int64(most)))))
	}
	s.line("  %-12s%s  %s", "p99", s.spark(p99, width), s.paint(dim, "up to "+brieflyMS(slices.Max(p99))))
}

// sparks are the heights of a line that is drawn of characters.
var sparks = map[bool][]rune{false: []rune("▁▂▃▄▅▆▇█"), true: []rune("_.-=oO#@")}

// spark draws values as a line of characters. Where there are more values than columns,
// a column is the greatest of several: a peak is never lost.
func (s screen) spark(values []float64, width int) string {
	width = max(min(width, len(values)), 1)
	most := slices.Max(values)
	if most == 0 {
		most = 1
	}
	glyphs := sparks[s.ASCII]
	var b strings.Builder
	for i := range width {
		of := values[i*len(values)/width : (i+1)*len(values)/width]
		b.WriteRune(glyphs[int(math.Round(slices.Max(of)/most*float64(len(glyphs)-1)))])
	}
	return b.String()
}

func (s screen) generator(m Measurement) {
	g := m.Generator
	s.title("Generator", 0)
	kept, verdict := "kept time", Pass
	if len(m.Invalid) > 0 {
		kept, verdict = "did not keep up", Inconclusive
	}
	rate := fmt.Sprintf("%.1f of %.1f hits/s", g.Achieved, g.Target)
	if m.Model == "closed" {
		rate = fmt.Sprintf("%.1f hits/s, as fast as answered", g.Achieved)
	}
	first := fmt.Sprintf("%s: %s; lag p99 %s, max %s; %s dropped, %s waited for a connection",
		kept, rate, brieflyMS(g.Lag.P99), brieflyMS(g.Lag.Max), thousands(g.Dropped), thousands(g.Waited))
	second := fmt.Sprintf("CPU %.0f %% (%.1f us a hit); %s, the longest pause %s; the longest stall %s; %s made, %d at a time; memory %.0f MiB",
		100*g.CPU, g.CPUPerHit, plural(int(g.GCs), "collection"), brieflyMS(g.GCPauseMax), brieflyMS(g.StallMax), plural(int(g.Dials), "connection"), g.Connections, float64(g.RSSMax)/(1<<20))
	s.marked(verdict, first)
	s.paragraph("    ", second)
}

// marked writes a paragraph behind the sign of a verdict.
func (s screen) marked(v Verdict, text string) {
	for i, line := range wrap(inert(head(text, 4*mostText)), s.Width-4) {
		if i == 0 {
			s.line("  %s %s", s.glyph(v), line)
		} else {
			s.line("    %s", line)
		}
	}
}

func (s screen) capacity(m Measurement) {
	c := m.Capacity
	if c == nil {
		return
	}
	s.title("Capacity", 0)
	s.paragraph("  ", c.Words())
	if slices.ContainsFunc(c.Trials, func(t Trial) bool { return t.Invalid }) {
		s.paragraph("  ", "Of trials marked "+asciiOr(s.ASCII, styles[Inconclusive])+" nothing was concluded: the generator did not keep up.")
	}
	const width, first = 11, 16
	s.row("", "            rate", first, []string{"accepted/s", "p50", "p99", "unserved"}, width, dimmed)
	trials := slices.Clone(c.Trials)
	slices.SortStableFunc(trials, func(a, b Trial) int { return cmp.Compare(a.Rate, b.Rate) })
	for _, t := range trials {
		v := Pass
		switch {
		case t.Invalid:
			v = Inconclusive
		case !t.Held:
			v = Fail
		}
		row := fmt.Sprintf("%12s", fmt.Sprintf("%.0f/s", t.Rate))
		for _, c := range []string{fmt.Sprintf("%.1f", t.Throughput), brieflyMS(t.P50), brieflyMS(t.P99), fmt.Sprintf("%.2f %%", 100*t.Errors)} {
			row += fmt.Sprintf("%*s", width, c)
		}
		s.line("  %s %s", s.glyph(v), row)
	}
}

func asciiOr(ascii bool, of style) string {
	if ascii {
		return of.ascii
	}
	return of.glyph
}

// Words tell what was found.
func (c *Capacity) Words() string {
	bounds := fmt.Sprintf("%.0f/s; with a probability of 95 %% from %.0f/s to %.0f/s, of %s", c.Rate, c.Low, c.High, plural(len(c.Trials), "trial"))
	switch {
	case c.Rate == 0 && c.High == 0:
		return "none was found: " + c.unfinished()
	case c.Rate == 0:
		return fmt.Sprintf("below %.0f/s: the thresholds did not hold at the lowest rate that was tried", c.High)
	case !c.Unlimited && c.Ended == EndedGenerator:
		return bounds + "; " + c.unfinished()
	case !c.Unlimited:
		return bounds
	case c.Ended == EndedHighest:
		return fmt.Sprintf("at least %.0f/s: the thresholds held at the highest rate that was to be tried", c.Rate)
	}
	return fmt.Sprintf("at least %.0f/s: %s", c.Rate, c.unfinished())
}

// unfinished is why a search did not get to the limit; empty where it did.
func (c *Capacity) unfinished() string {
	switch {
	case c == nil:
		return ""
	case c.Ended == EndedGenerator && c.Rate == 0:
		return "the generator did not even keep up at the rate that was tried first"
	case c.Ended == EndedGenerator:
		return "beyond it the generator did not keep up, so that the target's limit was not found"
	case c.Ended == EndedTime && c.Rate == 0 && c.High == 0:
		return "the time was over before a trial was; allow for more (--within)"
	case c.Ended == EndedTime && c.High == 0:
		return "the time was over before a rate was found at which the thresholds do not hold; allow for more (--within), or begin with a higher --rate"
	}
	return ""
}

func (s screen) thresholds(m Measurement) {
	if len(m.Thresholds) == 0 {
		return
	}
	s.title("Thresholds", 0)
	for _, t := range m.Thresholds {
		s.marked(m.verdictOf(t), fmt.Sprintf("%s: %s (%s)", t.Text, t.word(), t.Got))
	}
}

func (s screen) loadVerdict(m Measurement) {
	code, reason := m.Outcome()
	o := outcomes[code]
	s.line("")
	for i, line := range wrap(inert(o.word+m.took()+": "+reason), s.Width-2) {
		if i == 0 {
			s.line("%s %s", s.glyph(o.verdict), s.paint(bold+";"+styles[o.verdict].color, line))
		} else {
			s.line("  %s", line)
		}
	}
}
