package reports

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
)

// Pair is two runs held against each other: of a load a *Comparison, of cases *Changes.
type Pair interface {
	ExitCode() int
	onScreen(s screen)
	markdown(p *printer)
	plain() any // what the JSON is made of
}

// ComparisonFormats are the forms in which a comparison can be written.
var ComparisonFormats = []struct {
	Name, Doc string
	Write     func(w io.Writer, c Pair) error
}{
	{"terminal", "text for people", Terminal{Width: 100}.WriteComparison},
	{"markdown", "a table for a pull request", ComparisonMarkdown},
	{"json", "everything, for programs", ComparisonJSON},
}

// WriteComparison writes two runs side by side, for people.
func (t Terminal) WriteComparison(w io.Writer, c Pair) error {
	var b bytes.Buffer
	c.onScreen(t.screen(&b))
	_, err := w.Write(b.Bytes())
	return err
}

// ComparisonMarkdown writes tables for a pull request.
func ComparisonMarkdown(w io.Writer, c Pair) error {
	p := printer{w: w}
	c.markdown(&p)
	return p.err
}

// ComparisonJSON writes the comparison as one JSON object. Of two load runs:
//
//	schema      "hookanvil.compare/1"
//	verdict     "regression", "improvement", "no difference" or "not comparable"
//	tolerance   a share
//	reasons[]   why the runs are not comparable; notes[] besides
//	figures[]   {class, figure, unit, a, b, change, tested, delta, ratio, low, high, verdict}
//
// Of two runs of cases:
//
//	schema      "hookanvil.changes/1"
//	verdict     as above, or "not judged"
//	a, b        {tool, subject, profile, started, state, totals}
//	reasons[]   why the runs are not comparable, or not whole; notes[] besides
//	alike       how many cases came out alike
//	cases[]     {id, title, what, verdict, a, b, figures[]}, where a and b are {verdict, level,
//	            reason, status_only}, or null, and figures[] {name, a, b}
//	loads[]     {id, load}, where load is a comparison of two load runs
func ComparisonJSON(w io.Writer, c Pair) error {
	if err := WriteJSON(w, c.plain()); err != nil {
		return fmt.Errorf("write the comparison: %w", err)
	}
	return nil
}

var differenceStyles = map[Difference]Verdict{
	Same: Pass, Improvement: Pass, Regression: Fail, Unsupported: Warn, Incomparable: Inconclusive, Lost: Inconclusive,
}

func (c *Comparison) onScreen(s screen) {
	s.line("%s", s.paint(bold, "Two load runs"))
	s.line("")
	for _, run := range []struct {
		name string
		m    Measurement
	}{{"A", c.A}, {"B", c.B}} {
		s.paragraph(fmt.Sprintf("  %-10s", run.name), fmt.Sprintf("%s, %s, %s", moment(run.m.Started), run.m.Subject.Target, run.m.Plan))
	}
	s.line("")
	s.comparedRows(c)
	s.paragraph("  ", fmt.Sprintf("Effect is Cliff's delta of the seconds of both runs; the bounds of the change, second by second, hold together with a probability of %.0f %%. "+
		"Figures without are shown, and not tested.", 100*confidence))
	if len(c.Incomparable) > 0 {
		s.title("Not comparable", 0)
		for _, why := range c.Incomparable {
			s.paragraph("  - ", why)
		}
	}
	s.notes(Run{Notes: c.Notes})
	s.concluded(c.Verdict(), c.Words())
}

// comparedRows are the figures of two load runs.
func (s screen) comparedRows(c *Comparison) {
	const width, first = 11, 30
	s.row(bold, "Figure", first, []string{"A", "B", "change", "effect", "at least", "at most"}, width, dimmed)
	for _, class := range c.order() {
		for _, r := range c.Rows {
			if r.Class == class {
				s.compared(r, first, width)
			}
		}
	}
}

// concluded is the last line of a comparison.
func (s screen) concluded(v Difference, words string) {
	s.line("")
	for i, line := range wrap(inert(words), s.Width-2) {
		if i == 0 {
			s.line("%s %s", s.glyph(differenceStyles[v]), s.paint(bold+";"+styles[differenceStyles[v]].color, line))
		} else {
			s.line("  %s", line)
		}
	}
}

func (s screen) compared(r Compared, first, width int) {
	v := differenceStyles[r.Verdict]
	mark := " "
	if r.Verdict != Same {
		mark = asciiOr(s.ASCII, styles[v])
	}
	name := fmt.Sprintf("%s %s %s", mark, cmp.Or(r.Class, "all"), r.Figure)
	color := ""
	if r.Verdict != Same {
		color = styles[v].color
	}
	s.row(color, clip(inert(name), first-1), first, r.cells(), width, nil)
}

func (r Compared) cells() []string {
	cells := []string{r.value(r.A), r.value(r.B), r.changed(r.Change)}
	if r.Tested {
		cells = append(cells, fmt.Sprintf("%+.2f", r.Delta), r.changed(r.Low), r.changed(r.High))
	}
	return cells
}

func (r Compared) value(v float64) string {
	switch r.Unit {
	case "ms":
		return brieflyMS(v)
	case "%":
		return fmt.Sprintf("%.2f %%", v)
	case "/s":
		return fmt.Sprintf("%.1f/s", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func (r Compared) changed(v float64) string {
	switch {
	case math.IsInf(v, 0):
		return "new"
	case r.Unit == "%":
		return fmt.Sprintf("%+.2f pt", v)
	case r.Unit == "count":
		return fmt.Sprintf("%+.0f", v)
	}
	return fmt.Sprintf("%+.1f %%", 100*v)
}

// Words tell what the comparison amounts to.
func (c *Comparison) Words() string {
	count := map[Difference]int{}
	for _, r := range c.Rows {
		count[r.Verdict]++
	}
	tolerance := fmt.Sprintf("%g %%", math.Round(1000*c.Tolerance)/10)
	switch c.Verdict() {
	case Regression:
		return fmt.Sprintf("Regression: %s worse by more than %s, and not by chance", plural(count[Regression], "figure")+" "+verb(count[Regression], "is", "are"), tolerance)
	case Improvement:
		return fmt.Sprintf("Improvement: %s better by more than %s, and none worse", plural(count[Improvement], "figure")+" "+verb(count[Improvement], "is", "are"), tolerance)
	case Incomparable:
		return "Not comparable: nothing can be concluded"
	}
	if n := count[Unsupported]; n > 0 {
		return fmt.Sprintf("No difference that chance does not explain; %s by more than %s: compare longer runs", plural(n, "figure")+" "+verb(n, "differs", "differ"), tolerance)
	}
	return "No difference beyond " + tolerance
}

func (c *Comparison) markdown(p *printer) {
	p.linef("### Load, before and after: %s", c.Verdict())
	p.linef("")
	p.linef("%s.", c.Words())
	p.linef("")
	c.markdownRows(p)
	p.texts(c.Incomparable, c.Notes)
}

func (c *Comparison) markdownRows(p *printer) {
	p.linef("| figure | A | B | change | effect | at least | at most | |")
	p.linef("| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
	for _, class := range c.order() {
		for _, r := range c.Rows {
			if r.Class != class {
				continue
			}
			line := "| " + asCode(cmp.Or(r.Class, "all")) + " " + r.Figure
			for _, text := range append(r.cells(), "", "", "")[:6] {
				line += " | " + text
			}
			verdict := ""
			if r.Verdict != Same {
				verdict = string(r.Verdict)
			}
			p.linef("%s | %s |", line, verdict)
		}
	}
}

func (p *printer) texts(lists ...[]string) {
	for _, list := range lists {
		for _, text := range list {
			p.linef("")
			p.linef("Note: %s", asCode(text))
		}
	}
}

// ComparisonSchema is the version of the JSON of two load runs.
const ComparisonSchema = "hookanvil.compare/1"

func (c *Comparison) plain() any {
	type figure struct {
		Class   string     `json:"class,omitempty"`
		Figure  string     `json:"figure"`
		Unit    string     `json:"unit"`
		A       float64    `json:"a"`
		B       float64    `json:"b"`
		Change  *float64   `json:"change"` // null where there was nothing before
		Tested  bool       `json:"tested"`
		Delta   float64    `json:"delta"`
		Ratio   float64    `json:"ratio"`
		Low     float64    `json:"low"`
		High    float64    `json:"high"`
		Verdict Difference `json:"verdict"`
	}
	out := struct {
		Schema    string     `json:"schema"`
		Verdict   Difference `json:"verdict"`
		Tolerance float64    `json:"tolerance"`
		Reasons   []string   `json:"reasons,omitempty"`
		Notes     []string   `json:"notes,omitempty"`
		Figures   []figure   `json:"figures"`
	}{ComparisonSchema, c.Verdict(), c.Tolerance, c.Incomparable, c.Notes, []figure{}}
	for _, r := range c.Rows {
		f := figure{r.Class, r.Figure, r.Unit, r.A, r.B, &r.Change, r.Tested, r.Delta, r.Ratio, r.Low, r.High, r.Verdict}
		if math.IsInf(r.Change, 0) {
			f.Change = nil
		}
		out.Figures = append(out.Figures, f)
	}
	return out
}
