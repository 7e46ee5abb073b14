package reports

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Terminal is the report for people. It says first what failed, and everything
// that a peer sent is shown inert, never at the beginning of a line.
type Terminal struct {
	Color   bool
	ASCII   bool // for terminals that show nothing else
	Width   int  // in columns; 80 where it is 0
	Verbose bool // lists what passed, and shows all evidence
}

// DetectTerminal returns what suits an output of that width. Colour needs a
// terminal, and neither NO_COLOR nor TERM=dumb; plain ASCII is chosen where the
// locale names another character set than UTF-8.
func DetectTerminal(isTerminal bool, width int, getenv func(string) string) Terminal {
	locale := strings.ToLower(cmp.Or(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG"), "utf-8"))
	return Terminal{
		Color: isTerminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb",
		ASCII: !strings.Contains(locale, "utf-8") && !strings.Contains(locale, "utf8"),
		Width: width,
	}
}

// Write writes the report.
func (t Terminal) Write(w io.Writer, run Run) error {
	var b bytes.Buffer
	s := t.screen(&b)
	s.heading(run)
	suspicions := run.suspicions()
	s.causes(suspicions)
	apart := suspicions
	if t.Verbose {
		apart = nil // all is told in full
	}
	for _, part := range parts {
		s.part(part, run.Results, apart)
	}
	s.figures(run.Results)
	if t.Verbose {
		s.passed(run.Results)
	}
	s.skipped(run.Results)
	s.table(run.Results)
	s.notes(run)
	s.verdict(run, suspicions)
	_, err := w.Write(b.Bytes())
	return err
}

// Bounds of what is shown unless everything is asked for.
const (
	mostBlocks    = 5   // results of one part that are told with their evidence
	mostExchanges = 2   // exchanges of one result that are shown in full
	mostLines     = 16  // lines of a request, and of an answer
	mostText      = 600 // characters of one text
)

type style struct{ glyph, ascii, color string }

var styles = map[Verdict]style{
	Pass:         {"✓", "+", "32"},
	Fail:         {"✗", "x", "31"},
	Warn:         {"!", "!", "33"},
	Skip:         {"–", "-", "2"},
	Inconclusive: {"?", "?", "35"},
}

const (
	bold = "1"
	dim  = "2"
)

// screen is what a report is written on.
type screen struct {
	Terminal
	out io.Writer
}

func (t Terminal) screen(out io.Writer) screen {
	if t.Width <= 0 {
		t.Width = 80
	}
	t.Width = max(t.Width, 40)
	return screen{t, out}
}

// line writes one line, without blanks at its end.
func (s screen) line(format string, args ...any) {
	text := strings.TrimRight(fmt.Sprintf(format, args...), " ")
	if s.ASCII {
		text = asciiOnly(text)
	}
	fmt.Fprintln(s.out, text)
}

var asciiFor = strings.NewReplacer("…", "...", "·", "-", "–", "-", "→", "->")

func asciiOnly(s string) string {
	var b strings.Builder
	for _, r := range asciiFor.Replace(s) {
		if r <= '~' {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func (s screen) paint(color, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

func (s screen) glyph(v Verdict) string {
	style, ok := styles[v]
	if !ok {
		style = styles[Inconclusive]
	}
	if s.ASCII {
		return s.paint(style.color, style.ascii)
	}
	return s.paint(style.color, style.glyph)
}

// paragraph writes text under a first column, wrapped at the width. Continued lines
// are indented as the first.
func (s screen) paragraph(column, text string) {
	text = clip(inert(head(text, 4*mostText)), mostText)
	indent := strings.Repeat(" ", utf8.RuneCountInString(column))
	for i, line := range wrap(text, s.Width-len(indent)) {
		if i == 0 {
			s.line("%s%s", s.paint(dim, column), line)
		} else {
			s.line("%s%s", indent, line)
		}
	}
}

// wrap breaks text at blanks. A word that is longer than a line stays whole.
func wrap(text string, width int) []string {
	var lines []string
	line, length := "", 0
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		if length > 0 && length+1+n > width {
			lines, line, length = append(lines, line), "", 0
		}
		if length > 0 {
			line, length = line+" ", length+1
		}
		line, length = line+word, length+n
	}
	if length > 0 {
		lines = append(lines, line)
	}
	return lines
}

func (s screen) heading(run Run) {
	s.line("%s", s.paint(bold, inert(run.Tool)))
	s.line("")
	facts := [][2]string{{cmp.Or(run.Subject.Role, "target"), run.Subject.Target}, {"profile", run.Profile}}
	if run.Subject.Role != senderRole { // of a sender, everything that it does is seen
		facts = append(facts, [2]string{"effects", run.Subject.counted()})
	}
	for _, fact := range append(facts, [2]string{"seed", strconv.FormatUint(run.Seed, 10)}) {
		s.paragraph(fmt.Sprintf("  %-10s", fact[0]), fact[1])
	}
}

// title begins a part of the report.
func (s screen) title(name string, count int) {
	s.line("")
	if count > 0 {
		name += fmt.Sprintf(" (%d)", count)
	}
	s.line("%s", s.paint(bold, name))
}

// causes says first what many of the findings may have in common.
func (s screen) causes(suspicions []suspicion) {
	for _, one := range suspicions {
		s.title(one.title(), 0)
		s.paragraph("  ", one.sentence())
		s.paragraph("    found  ", one.like().Reason)
		s.paragraph("    repair ", one.repair)
	}
}

func (s screen) part(p part, results []Result, suspicions []suspicion) {
	groups, n := p.groups(results, suspicions)
	if n == 0 {
		return
	}
	s.title(p.title, n)
	for i, group := range groups {
		s.line("")
		s.block(group.results[0], s.Verbose || !p.brief && (i < mostBlocks || group.listed))
		switch others := group.results[1:]; {
		case group.listed:
			s.alike(others)
		case len(others) > 0:
			s.paragraph("    and so ", names(others, s.Verbose))
		}
	}
}

// alike lists the others that one cause may be behind, each on a line.
func (s screen) alike(others []Result) {
	column := "    and so "
	for _, r := range others {
		s.line("%s%s  %s", s.paint(dim, column), inert(r.ID), s.paint(dim, inert(r.Level)))
		column = strings.Repeat(" ", len(column))
	}
}

// block tells one result: what should be so, what was found and, in detail, the
// evidence and the command that shows it again.
func (s screen) block(r Result, detailed bool) {
	s.line("  %s %s  %s", s.glyph(r.Verdict), s.paint(bold, inert(r.ID)), s.paint(dim, inert(r.Level)))
	s.paragraph("    ", r.Title)
	s.paragraph("    found  ", r.Reason)
	if r.Known != "" {
		s.paragraph("    known  ", r.Known)
	}
	if !detailed {
		return
	}
	s.paragraph("    why    ", r.Why)
	if r.Verdict == Fail || r.Verdict == Warn { // what could not be judged may need no repair
		s.paragraph("    repair ", r.Fix)
	}
	s.paragraph("    source ", r.Source)
	s.measured(r)
	s.evidence(r)
	if r.Reproduce != "" {
		s.line("")
		s.line("    %s %s", s.paint(dim, "$"), inert(r.Reproduce))
	}
}

// measured tells in a few lines what a load has measured.
func (s screen) measured(r Result) {
	lines := r.measuredLines()
	if len(lines) > 0 {
		s.line("")
	}
	for _, line := range lines {
		s.paragraph("    # ", line)
	}
}

// evidence lists the exchanges of a result, and shows in full those that it is
// about.
func (s screen) evidence(r Result) {
	if len(r.Evidence) == 0 {
		return
	}
	s.line("")
	shown := shownInFull(r, s.Verbose)
	width := 0
	for _, x := range r.Evidence {
		width = max(width, utf8.RuneCountInString(s.label(x)))
	}
	for i, x := range r.Evidence {
		label := s.label(x)
		s.line("    %s%s  %s", label, strings.Repeat(" ", width-utf8.RuneCountInString(label)), s.summary(r, x))
		if shown[i] {
			s.inFull(r, x)
		}
	}
}

func (s screen) label(x Exchange) string { return clip(inert(x.Label), s.Width/2) }

// inFull shows what crossed the wire, in the order in which it did: a receiver was
// sent something and answered, a sender sent something and was answered.
func (s screen) inFull(r Result, x Exchange) {
	if x.Detail != "" {
		s.paragraph("      # ", x.Detail)
	}
	for _, note := range r.remarks(x) {
		s.paragraph("      # ", note)
	}
	for _, line := range x.TLS.lines() {
		s.paragraph("      # ", line)
	}
	if r.ofSender() {
		s.traffic("      < ", x.Received)
		s.traffic("      > ", x.Sent)
		return
	}
	s.traffic("      > ", x.Sent)
	s.traffic("      < ", x.Received)
}

// summary is an exchange in one line.
func (s screen) summary(r Result, x Exchange) string {
	what, took := r.cameTo(x)
	return what + s.paint(dim, ", "+took)
}

func milliseconds(ms float64) string {
	d := time.Duration(ms * float64(time.Millisecond))
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f ms", ms)
}

// traffic shows what crossed the wire one way, each line behind the prefix.
func (s screen) traffic(prefix, printable string) {
	lines := wireLines(printable)
	most := mostLines
	if s.Verbose {
		most = len(lines)
	}
	for i, line := range lines {
		if i == most {
			s.line("%s%s", s.paint(dim, prefix), s.paint(dim, fmt.Sprintf("… (%s more)", plural(len(lines)-most, "line"))))
			return
		}
		if !s.Verbose {
			line = clip(line, s.Width-len(prefix))
		}
		s.line("%s%s", s.paint(dim, prefix), line)
	}
}

func (s screen) figures(results []Result) {
	width, count := 0, 0
	for _, r := range results {
		if len(r.Figures) > 0 {
			width, count = max(width, len(inert(r.ID))), count+1
		}
	}
	if count == 0 {
		return
	}
	s.title("Measured", 0)
	for _, r := range results {
		id := inert(r.ID)
		for _, f := range r.Figures {
			s.paragraph(fmt.Sprintf("  %-*s  ", width, id), f.words())
			id = "" // once is enough
		}
	}
}

func (s screen) passed(results []Result) {
	those := with(Pass, results)
	if len(those) == 0 {
		return
	}
	s.title("Passed", len(those))
	for _, r := range those {
		s.line("  %s %s  %s", s.glyph(Pass), inert(r.ID), s.paint(dim, milliseconds(float64(r.Duration)/float64(time.Millisecond))))
	}
}

func (s screen) skipped(results []Result) {
	those := with(Skip, results)
	if len(those) == 0 {
		return
	}
	s.title("Skipped", len(those))
	for _, group := range byReason(those) {
		s.paragraph(fmt.Sprintf("  %3d  ", len(group)), cmp.Or(group[0].Reason, "no reason was given"))
		if s.Verbose {
			s.paragraph("       ", names(group, true))
		}
	}
}

const columnWidth = 4

func (s screen) table(results []Result) {
	suites, totals, width := []string{}, map[string]Totals{}, len("Suite")
	for _, r := range results {
		name, _ := splitID(r.ID)
		t, known := totals[name]
		if !known {
			suites = append(suites, name)
			width = max(width, len(inert(name)))
		}
		t.add(r)
		totals[name] = t
	}
	if len(suites) == 0 {
		return
	}
	names := ""
	for _, c := range columns {
		names += fmt.Sprintf("  %*s", columnWidth, c.name)
	}
	s.line("")
	s.line("%s%s", s.paint(bold, fmt.Sprintf("%-*s", width+2, "Suite")), s.paint(dim, names))
	for _, name := range suites {
		row := fmt.Sprintf("  %-*s", width, inert(name))
		for _, c := range columns {
			row += s.cell(c.count(totals[name]), max(columnWidth, len(c.name)), c.v)
		}
		s.line("%s", row)
	}
}

func (s screen) cell(n, width int, v Verdict) string {
	if n == 0 {
		return "  " + strings.Repeat(" ", width-1) + s.paint(dim, "·")
	}
	text := fmt.Sprintf("  %*d", width, n)
	if v == Pass {
		return text
	}
	return s.paint(styles[v].color, text)
}

func (s screen) notes(run Run) {
	if len(run.Notes) == 0 {
		return
	}
	s.title("Notes", 0)
	for _, note := range run.Notes {
		s.paragraph("  - ", note)
	}
}

// verdict is what is read first where the beginning has gone by.
func (s screen) verdict(run Run, suspicions []suspicion) {
	o := outcomes[run.ExitCode()]
	s.line("")
	for _, one := range suspicions {
		s.paragraph("  ", one.title()+" (see above). "+one.sentence())
	}
	for i, line := range wrap(inert(run.sentence()), s.Width-2) {
		if i == 0 {
			s.line("%s %s", s.glyph(o.verdict), s.paint(bold+";"+styles[o.verdict].color, line))
		} else {
			s.line("  %s", line)
		}
	}
}
