package reports

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// changeParts are the parts in which changes are told, in the order of what they ask of the
// reader.
var changeParts = []struct {
	title string
	of    Difference
}{
	{"Worse", Regression}, {"Not judged as before", Lost}, {"Better", Improvement}, {"Otherwise", Same},
}

func (c *Changes) onScreen(s screen) {
	s.line("%s", s.paint(bold, "Two runs"))
	s.line("")
	for _, run := range []struct {
		name string
		r    *Run
	}{{"A", &c.A.Run}, {"B", &c.B.Run}} {
		s.paragraph(fmt.Sprintf("  %-10s", run.name), run.r.oneLine())
	}
	for _, part := range changeParts {
		those := c.having(part.of)
		if len(those) == 0 {
			continue
		}
		s.title(part.title, len(those))
		for i, x := range those {
			if s.line(""); i == mostChanges {
				s.paragraph("  and ", changedIDs(those[i:]))
				break
			}
			s.change(x)
		}
	}
	if len(c.Loads) > 0 {
		s.title("Load", len(c.Loads))
		for _, l := range c.Loads {
			s.line("")
			s.load(&l)
		}
	}
	for _, list := range []struct {
		title string
		texts []string
	}{{"Not comparable", c.Incomparable}, {"Not whole", c.Unfinished}} {
		if len(list.texts) > 0 {
			s.title(list.title, 0)
			for _, why := range list.texts {
				s.paragraph("  - ", why)
			}
		}
	}
	s.notes(Run{Notes: c.Notes})
	s.concluded(c.Verdict(), c.Words())
}

// mostChanges is how many cases of one part are told one by one: a run of one suite lacks all
// of the others'.
const mostChanges = 25

func changedIDs(those []Change) string {
	var ids []string
	for _, x := range those {
		ids = append(ids, x.ID)
	}
	return fewIDs(ids)
}

// oneLine tells which run it is, and what it came to.
func (r *Run) oneLine() string {
	t := r.Count()
	return fmt.Sprintf("%s, %s, %s, %s: %d passed, %d failed, %s, %d skipped, %d inconclusive", moment(r.Started),
		r.Subject.Target, r.Profile, r.Tool, t.Pass, t.Fail, plural(t.Warn, "warning"), t.Skip, t.Inconclusive)
}

func (c *Changes) having(d Difference) []Change {
	var those []Change
	for _, x := range c.Cases {
		if x.Verdict == d {
			those = append(those, x)
		}
	}
	return those
}

func (s screen) change(x Change) {
	glyph := differenceStyles[x.Verdict]
	if x.Verdict == Same {
		glyph = Skip
	}
	s.line("  %s %s  %s", s.glyph(glyph), s.paint(bold, inert(x.ID)), x.What)
	s.paragraph("    ", x.Title)
	s.paragraph("    A      ", x.A.inWords())
	s.paragraph("    B      ", x.B.inWords())
	for _, f := range x.Figures {
		s.paragraph("    # ", f.inWords())
	}
	if x.B != nil && x.Verdict == Regression && x.B.Reproduce != "" {
		s.line("    %s %s", s.paint(dim, "$"), inert(x.B.Reproduce))
	}
}

// inWords is a verdict with its reason.
func (r *Result) inWords() string {
	if r == nil {
		return "not in this run"
	}
	text := fmt.Sprintf("%s (%s)", r.outcome(), r.Level)
	if r.StatusOnly {
		text += ", by statuses alone"
	}
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	return text
}

func (f FigureChange) inWords() string {
	note := ""
	if f.B != nil && f.B.Note != "" {
		note = " (" + f.B.Note + ")"
	}
	return fmt.Sprintf("%s: %s, now %s%s", f.Name, orUnmeasured(f.A), orUnmeasured(f.B), note)
}

func orUnmeasured(f *Figure) string {
	if f == nil {
		return "not measured"
	}
	return f.value()
}

// load tells of one case of load: in full where it is not the same.
func (s screen) load(l *LoadChange) {
	v := l.Verdict()
	s.line("  %s %s", s.glyph(differenceStyles[v]), s.paint(bold, inert(l.ID)))
	s.paragraph("    ", l.Words())
	for _, why := range l.Incomparable {
		s.paragraph("    - ", why)
	}
	if v != Same && v != Incomparable {
		s.comparedRows(&l.Comparison)
	}
}

func (c *Changes) markdown(p *printer) {
	p.linef("### Webhooks, before and after: %s", c.Verdict())
	p.linef("")
	p.linef("%s.", c.Words())
	if len(c.Cases) > 0 {
		p.linef("")
		p.linef("| case | A | B | | |")
		p.linef("| --- | --- | --- | --- | --- |")
	}
	for _, x := range c.Cases {
		verdict, reason := string(x.Verdict), ""
		if x.Verdict == Same {
			verdict = ""
		}
		if x.B != nil && x.B.Reason != "" {
			reason = ": " + asCode(x.B.Reason)
		}
		p.linef("| %s | %s | %s | %s%s | %s |", asCode(x.ID), x.A.outcome(), x.B.outcome(), x.What, reason, verdict)
	}
	for _, x := range c.Cases {
		for _, f := range x.Figures {
			p.linef("")
			p.linef("Measured in %s: %s", asCode(x.ID), asCode(f.inWords()))
		}
	}
	for _, l := range c.Loads {
		p.linef("")
		p.linef("%s: %s.", asCode(l.ID), l.Words())
		p.linef("")
		l.markdownRows(p)
		p.texts(l.Incomparable)
	}
	p.texts(c.Incomparable, c.Unfinished, c.Notes)
}

func (r *Result) outcome() string {
	switch {
	case r == nil:
		return ""
	case !r.Verdict.valid():
		return string(Inconclusive)
	}
	return string(r.Verdict)
}

// ChangesSchema is the version of the JSON of two runs of cases.
const ChangesSchema = "hookanvil.changes/1"

// plainRun is what is told of a run, plainResult of a result, in JSON.
type plainRun struct {
	Tool    string    `json:"tool"`
	Subject Subject   `json:"subject"`
	Profile string    `json:"profile"`
	Started time.Time `json:"started"`
	State   string    `json:"state"`
	Totals  Totals    `json:"totals"`
}

type plainResult struct {
	Verdict    Verdict `json:"verdict"`
	Level      string  `json:"level"`
	Reason     string  `json:"reason,omitempty"`
	StatusOnly bool    `json:"status_only,omitempty"`
}

type plainFigure struct {
	Name string  `json:"name"`
	A    *Figure `json:"a"`
	B    *Figure `json:"b"`
}

type plainChange struct {
	ID      string        `json:"id"`
	Title   string        `json:"title"`
	What    string        `json:"what"`
	Verdict Difference    `json:"verdict"`
	A       *plainResult  `json:"a"`
	B       *plainResult  `json:"b"`
	Figures []plainFigure `json:"figures,omitempty"`
}

type plainLoad struct {
	ID   string `json:"id"`
	Load any    `json:"load"`
}

func (c *Changes) plain() any {
	out := struct {
		Schema  string        `json:"schema"`
		Verdict Difference    `json:"verdict"`
		A       plainRun      `json:"a"`
		B       plainRun      `json:"b"`
		Reasons []string      `json:"reasons,omitempty"`
		Notes   []string      `json:"notes,omitempty"`
		Alike   int           `json:"alike"`
		Cases   []plainChange `json:"cases"`
		Loads   []plainLoad   `json:"loads,omitempty"`
	}{
		Schema: ChangesSchema, Verdict: c.Verdict(), A: c.A.briefly(), B: c.B.briefly(),
		Reasons: slices.Concat(c.Incomparable, c.Unfinished), Notes: c.Notes, Alike: c.Alike, Cases: []plainChange{},
	}
	for _, x := range c.Cases {
		change := plainChange{ID: x.ID, Title: x.Title, What: x.What, Verdict: x.Verdict, A: x.A.briefly(), B: x.B.briefly()}
		for _, f := range x.Figures {
			change.Figures = append(change.Figures, plainFigure(f))
		}
		out.Cases = append(out.Cases, change)
	}
	for _, l := range c.Loads {
		out.Loads = append(out.Loads, plainLoad{l.ID, l.Comparison.plain()})
	}
	return out
}

func (r *Run) briefly() plainRun {
	return plainRun{r.Tool, r.Subject, r.Profile, r.Started, cmp.Or(r.State, Incomplete), r.Count()}
}

func (r *Result) briefly() *plainResult {
	if r == nil {
		return nil
	}
	return &plainResult{r.Verdict, r.Level, r.Reason, r.StatusOnly}
}
