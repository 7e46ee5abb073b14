package reports

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"io"
	"strconv"
	"strings"
)

// MostMarkdown bounds the markdown report, in bytes. A comment on GitHub holds 65,536
// characters and a job summary 1 MiB; the rest is for what a workflow writes around it.
const MostMarkdown = 60_000

// Markdown writes the run for a pull request's comment or a job's summary: the verdict, a
// table of the suites, and what failed, each with its details folded. What does not fit in
// MostMarkdown is left out, details before names, and it says so.
func Markdown(w io.Writer, run Run) error {
	p := newPage(run)
	suspicions := run.suspicions()
	p.causes(suspicions)
	for _, part := range parts {
		p.part(part, run.Results, suspicions)
	}
	p.skipped(run.Results)
	p.notes(run)
	p.end()
	if _, err := w.Write(p.b.Bytes()); err != nil {
		return fmt.Errorf("write the markdown report: %w", err)
	}
	return nil
}

// page is the report as far as it is written. Room for its last lines is kept.
type page struct {
	b                      bytes.Buffer
	left, briefly, ofTable int // results, results without details and suites that did not fit
}

const (
	lastLines = 500
	// Beyond these parts of the page there are no more suites in the table, and no more
	// details: what comes after them is to have room.
	mostTable   = MostMarkdown / 4
	mostDetails = MostMarkdown * 2 / 3
)

// add adds a block where it fits.
func (p *page) add(format string, args ...any) bool {
	block := fmt.Sprintf(format, args...)
	if p.b.Len()+len(block) > MostMarkdown-lastLines {
		return false
	}
	p.b.WriteString(block)
	return true
}

func newPage(run Run) *page {
	p := &page{}
	word, rest := run.headline()
	p.add("### %s Hookanvil: %s\n\n", styles[outcomes[run.ExitCode()].verdict].glyph, strings.ToLower(word))
	took := run.lasted()
	if took != "" {
		took = ", in " + took
	}
	p.add("**%s**: %s%s\n\n", word, asProse(rest), took)
	p.add("%s\n\n", judged(run))
	p.table(run.Results)
	return p
}

// judged says what was judged, by what.
func judged(run Run) string {
	text := fmt.Sprintf("The %s %s", cmp.Or(asProse(run.Subject.Role), "subject"), asCode(run.Subject.Target))
	text += fmt.Sprintf(", profile %s, seed %s, judged by %s.", asCode(run.Profile), strconv.FormatUint(run.Seed, 10), asCode(run.Tool))
	switch {
	case run.Subject.Role == senderRole: // everything that it does is seen
	case run.Subject.Probe == "":
		text += " Effects were not counted: verdicts rest on statuses alone."
	default:
		text += " Effects were counted by " + asCode(run.Subject.Probe) + "."
	}
	return text
}

// table has a row for each suite, and a column for each level: must, should, may.
func (p *page) table(results []Result) {
	suites := bySuite(results)
	if len(suites) == 0 {
		return
	}
	p.add("| suite | %s |\n| --- |%s\n", strings.Join(levels, " | "), strings.Repeat(" --- |", len(levels)))
	for _, s := range suites {
		cells := make([]string, len(levels))
		for i, level := range levels {
			cells[i] = verdictCell(s.byLevel[level])
		}
		if p.b.Len() > mostTable || !p.add("| %s | %s |\n", asCode(s.suite), strings.Join(cells, " | ")) {
			p.ofTable++
		}
	}
	if p.ofTable > 0 {
		p.add("\nThe table lacks %s.\n", plural(p.ofTable, "suite"))
	}
	p.add("\n")
}

// verdictCell is what became of the cases of one suite and level: 7 pass, **1 fail**.
func verdictCell(t Totals) string {
	var all []string
	for _, c := range columns {
		n := c.count(t)
		if n == 0 {
			continue
		}
		text := fmt.Sprintf("%d %s", n, c.name)
		if c.v == Fail && t.Fail > t.Known {
			text = "**" + text + "**"
		}
		if c.v == Fail && t.Known > 0 {
			text += fmt.Sprintf(" (%d known)", t.Known)
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// part tells one part of the results, as the report for terminals has them: those that have
// one reason together, where that is said of the part.
func (p *page) part(part part, results []Result, suspicions []suspicion) {
	groups, n := part.groups(results, suspicions)
	if n == 0 || !p.add("#### %s (%d)\n\n", part.title, n) {
		p.left += n
		return
	}
	for _, group := range groups {
		p.group(group, part.brief)
	}
	p.add("\n")
}

// causes says first what many of the findings may have in common.
func (p *page) causes(suspicions []suspicion) {
	for _, s := range suspicions {
		p.add("#### %s\n\n%s\n\n- **Found**, for instance: %s\n- **Repair**: %s\n\n", s.title(), asProse(s.sentence()), asProse(clip(s.like().Reason, mostText)), asProse(s.repair))
	}
}

// group tells results that have one reason, or one cause.
func (p *page) group(g group, brief bool) {
	group := g.results
	r := group[0]
	title := fmt.Sprintf("%s <code>%s</code> (%s)", styles[r.verdict()].glyph, html.EscapeString(inert(r.ID)), html.EscapeString(inert(r.Level)))
	if more := len(group) - 1; more > 0 {
		title += fmt.Sprintf(" and %d more", more)
	}
	if !brief && p.b.Len() < mostDetails &&
		p.add("<details><summary>%s: %s</summary>\n\n%s\n</details>\n\n", title, asHTML(cmp.Or(r.Title, r.Reason)), details(r, others(g))) {
		return
	}
	if !p.add("- %s: %s\n", title, asProse(clip(r.found(), mostText/4))) {
		p.left += len(group)
	} else if !brief {
		p.briefly++
	}
}

// others are the names of those that are told with the first of a group.
func others(g group) string {
	rest := g.results[1:]
	if len(rest) == 0 {
		return ""
	}
	if !g.listed {
		return asProse(names(rest, false))
	}
	var list []string
	for _, r := range rest {
		list = append(list, asProse(r.ID))
	}
	return strings.Join(list, ", ")
}

// details are what was found, required and advised, the exchanges that show it and the
// command that shows it again.
func details(r Result, others string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "- **Found**: %s\n", asProse(r.found()))
	for _, a := range r.advice() {
		fmt.Fprintf(&b, "- **%s**: %s\n", a.label, a.markdown())
	}
	if others != "" {
		fmt.Fprintf(&b, "- **And so**: %s\n", others)
	}
	for _, line := range r.measuredLines() {
		fmt.Fprintf(&b, "- **Measured**: %s\n", asProse(line))
	}
	shown := shownInFull(r, false)
	for i, x := range r.Evidence {
		what, took := r.cameTo(x)
		fmt.Fprintf(&b, "- %s: %s\n", asCode(x.Label), asProse(what+", "+took))
		if shown[i] {
			for _, note := range append([]string{x.Detail}, r.remarks(x)...) {
				if note != "" {
					fmt.Fprintf(&b, "  - %s\n", asProse(note))
				}
			}
		}
	}
	for i, x := range r.Evidence {
		if shown[i] {
			b.WriteString(traffic(r, x))
		}
	}
	if r.Reproduce != "" {
		fmt.Fprintf(&b, "\n```console\n$ %s\n```\n", inert(r.Reproduce))
	}
	return b.String()
}

// traffic is what crossed the wire, in a fenced block that no line of it can end: each
// begins with the direction.
func traffic(r Result, x Exchange) string {
	ways := [][2]string{{"> ", x.Sent}, {"< ", x.Received}}
	if r.ofSender() {
		ways = [][2]string{{"< ", x.Received}, {"> ", x.Sent}}
	}
	var b strings.Builder
	for _, way := range ways {
		lines := wireLines(way[1])
		for i, line := range lines {
			if i == mostLines {
				fmt.Fprintf(&b, "%s… (%s more)\n", way[0], plural(len(lines)-i, "line"))
				break
			}
			b.WriteString(way[0] + clip(line, mostText/4) + "\n")
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "\n```http\n" + b.String() + "```\n"
}

func (p *page) skipped(results []Result) {
	those := with(Skip, results)
	if len(those) == 0 || !p.add("#### Skipped (%d)\n\n", len(those)) {
		return
	}
	groups := byReason(those)
	for i, group := range groups {
		if !p.add("- %d: %s\n", len(group), asProse(cmp.Or(group[0].Reason, "no reason was given"))) {
			p.left += len(groups) - i
			break
		}
	}
	p.add("\n")
}

func (p *page) notes(run Run) {
	for _, note := range run.Notes {
		if !p.add("> Note: %s\n>\n", asProse(note)) {
			p.left++
		}
	}
}

// end says what is missing. Its room was kept.
func (p *page) end() {
	if p.left == 0 && p.briefly == 0 {
		return
	}
	fmt.Fprintf(&p.b, "\n**This report was cut at %s bytes**: %s stand here without details, and %s not at all. The other reports have everything.\n",
		thousands(MostMarkdown), plural(p.briefly, "result"), thousands(int64(p.left)))
}
