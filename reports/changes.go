package reports

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Changes are two runs of cases side by side. A is the one before, B the one after.
type Changes struct {
	A, B  Record
	Cases []Change // what is worse first, then what is not judged any more, what is better, the rest
	Loads []LoadChange
	// Alike is how many cases came out in both runs as they did in the other.
	Alike int
	// Incomparable says why nothing can be concluded, Unfinished why what is not found to be
	// worse may be so.
	Incomparable, Unfinished []string
	Notes                    []string
}

// Change is a case that came out otherwise, or that one of the runs does not have.
type Change struct {
	ID, Title string
	A, B      *Result // nil where the run does not have the case
	What      string  // in words: newly failing, gone, ...
	Verdict   Difference
	Figures   []FigureChange
}

// FigureChange is a figure that is another by more than how exactly it was measured; nil
// where it was not measured.
type FigureChange struct {
	Name string
	A, B *Figure
}

// LoadChange is what a case of load measured in both runs.
type LoadChange struct {
	ID string
	Comparison
}

// Lost is what a comparison amounts to where something was judged before and is not now:
// it may be worse, and nobody can tell.
const Lost Difference = "not judged"

// CompareRuns holds two runs of the same cases against each other. What fails or warns, and
// did neither before, is a regression, be it known or not, and whether the case was there
// before or not. What was judged before and is not now is neither worse nor the same.
// Figures are told where they changed by more than how exactly they were measured; of
// themselves they are no regression. What cases of load measured is compared as Compare
// does, with the tolerance.
//
// Only runs of one role under one profile can be compared. That they judged other targets,
// were made by other versions of this program or of other scenarios, is told.
func CompareRuns(a, b Record, tolerance float64) Changes {
	c := Changes{A: a, B: b}
	for _, f := range []struct{ what, a, b string }{{"roles", a.Subject.Role, b.Subject.Role}, {"profiles", a.Profile, b.Profile}} {
		if f.a != f.b {
			c.Incomparable = append(c.Incomparable, fmt.Sprintf("their %s differ: %q and %q", f.what, f.a, f.b))
		}
	}
	for _, run := range []struct {
		name string
		*Run
	}{{"first", &a.Run}, {"second", &b.Run}} {
		if why := run.Unfinished(); why != "" {
			c.Unfinished = append(c.Unfinished, fmt.Sprintf("the %s run cannot stand for all of its cases: %s", run.name, why))
		}
	}
	c.Notes = a.unlike(b)
	c.compareCases()
	c.compareLoads(tolerance)
	return c
}

func (c *Changes) compareCases() {
	before := c.A.byID()
	for i := range c.B.Results {
		r := &c.B.Results[i]
		c.add(before[r.ID], r)
		delete(before, r.ID)
	}
	for i := range c.A.Results {
		if r := &c.A.Results[i]; before[r.ID] != nil {
			c.add(r, nil)
		}
	}
	order := []Difference{Regression, Lost, Improvement, Same}
	slices.SortStableFunc(c.Cases, func(x, y Change) int {
		return slices.Index(order, x.Verdict) - slices.Index(order, y.Verdict)
	})
}

func (c *Changes) add(a, b *Result) {
	change := Change{A: a, B: b, Verdict: Same}
	change.What, change.Verdict = changed(a, b)
	if a != nil && b != nil {
		if a.Verdict.judged() && b.Verdict.judged() {
			change.Figures = changedFigures(a.Figures, b.Figures, c.B.Started.Sub(c.A.Started).Hours()/24)
		}
		if change.What == "" && len(change.Figures) > 0 {
			change.What = "measured otherwise"
		}
	}
	if change.What == "" {
		c.Alike++
		return
	}
	of := b
	if of == nil {
		of = a
	}
	change.ID, change.Title = of.ID, of.Title
	c.Cases = append(c.Cases, change)
}

// judged tells whether a case was decided one way or the other.
func (v Verdict) judged() bool { return v == Pass || v == Fail || v == Warn }

// changed tells what became of a case, in words; none where nothing did. Of two runs in
// the order in which they were made, the second is the one of which is spoken.
func changed(a, b *Result) (what string, d Difference) {
	switch {
	case a == nil:
		return added(b)
	case b == nil && a.Verdict.judged():
		return "gone: it is not in the second run", Lost
	case b == nil:
		return "gone; it was not judged before", Same
	case a.Verdict == b.Verdict:
		return changedWithin(a, b)
	case b.Verdict == Fail:
		return "newly failing", Regression
	case b.Verdict == Warn && a.Verdict == Fail:
		return "warns instead of failing: it is required less strongly", Same
	case b.Verdict == Warn:
		return "newly warning", Regression
	case b.Verdict == Pass && a.Verdict.judged():
		return "newly passing", Improvement
	case b.Verdict == Pass:
		return "judged now, and passes", Improvement
	case a.Verdict.judged():
		return "not judged any more", Lost
	case b.Verdict == Skip:
		return "skipped; it could not be judged before", Same
	}
	return "could not be judged; it was skipped before", Lost
}

// added tells of a case that the first run does not have.
func added(b *Result) (what string, d Difference) {
	switch b.Verdict {
	case Fail:
		return "new, and fails", Regression
	case Warn:
		return "new, and warns", Regression
	case Pass:
		return "new, and passes", Same
	case Skip:
		return "new, and skipped", Same
	}
	return "new, and could not be judged", Lost
}

// changedWithin tells of a case with the same verdict.
func changedWithin(a, b *Result) (what string, d Difference) {
	switch {
	case a.Verdict == Pass && b.StatusOnly && !a.StatusOnly:
		return "passes by its statuses alone: effects are not counted any more", Lost
	case a.Verdict == Pass && a.StatusOnly && !b.StatusOnly:
		return "passes with its effects counted", Improvement
	case a.Level != b.Level:
		return "required by another level", Same
	case !sameReason(a.Reason, b.Reason):
		return "for another reason", Same
	}
	return "", Same
}

// sameReason tells whether two reasons say the same, whatever the numbers, times and ids in
// them are.
func sameReason(a, b string) bool { return slices.Equal(spoken(a), spoken(b)) }

// spoken are the words of a text, without those that have a digit.
func spoken(text string) []string {
	return slices.DeleteFunc(strings.Fields(text), func(word string) bool { return strings.ContainsFunc(word, unicode.IsDigit) })
}

// exactness is by how much a figure may be another without anything having changed: a
// share of it, and no less than the floor.
type exactness struct{ share, floor float64 }

// exactnesses are those of figures that do not say it themselves, by their units. Times and
// rates of a single run tell of the machine as well.
var exactnesses = map[string]exactness{
	"s": {0.05, 2}, "ms": {0.5, 50}, "us": {1, 100}, "/s": {0.2, 1}, "count": {0.1, 0}, "percent": {0.5, 5}, "days": {0, 2}, "deviations": {1, 1},
}

// changedFigures are the figures that are others; days are how many lie between the runs.
func changedFigures(a, b []Figure, days float64) []FigureChange {
	var all []FigureChange
	find := func(figures []Figure, name string) *Figure {
		if i := slices.IndexFunc(figures, func(f Figure) bool { return f.Name == name }); i >= 0 {
			return &figures[i]
		}
		return nil
	}
	for i := range b {
		before := find(a, b[i].Name)
		if before == nil || before.Unit != b[i].Unit || !before.like(b[i], days) {
			all = append(all, FigureChange{b[i].Name, before, &b[i]})
		}
	}
	for i := range a {
		if find(b, a[i].Name) == nil {
			all = append(all, FigureChange{a[i].Name, &a[i], nil})
		}
	}
	return all
}

// like tells whether two figures may be of the same.
func (f *Figure) like(g Figure, days float64) bool {
	e, ok := exactnesses[f.Unit]
	if !ok {
		e = exactness{share: 0.1}
	}
	was := f.Value
	if f.Unit == "days" { // that are left: they go by
		was -= days
	}
	bound := max(e.share*max(math.Abs(was), math.Abs(g.Value)), e.floor)
	if f.Within > 0 || g.Within > 0 {
		bound = f.Within + g.Within
	}
	return math.Abs(g.Value-was) <= bound
}

func (c *Changes) compareLoads(tolerance float64) {
	if len(c.Incomparable) > 0 {
		return
	}
	before := c.A.byID()
	for _, r := range c.B.Results {
		id, was := r.ID, before[r.ID]
		if was == nil || was.Load == nil || r.Load == nil {
			continue
		}
		switch a, b := was.Load, r.Load; {
		case len(a.Series) == 0 || len(b.Series) == 0:
			c.Notes = append(c.Notes, fmt.Sprintf("%s: what was measured cannot be compared: a JSON report has no seconds; compare results folders or journals", id))
		default:
			c.Loads = append(c.Loads, LoadChange{id, Compare(*a, *b, tolerance)})
		}
	}
}

// unlike says in what two runs differ besides what they found.
func (r *Record) unlike(s Record) []string {
	var notes []string
	differ := func(what, a, b string) {
		if a != b {
			notes = append(notes, fmt.Sprintf("%s differ: %q and %q", what, a, b))
		}
	}
	if !SameTarget(r.Subject.Target, s.Subject.Target) {
		differ("the targets", r.Subject.Target, s.Subject.Target)
	}
	differ("the versions that made the runs", r.Tool, s.Tool)
	if (r.Subject.Probe == "") != (s.Subject.Probe == "") {
		differ("the ways of counting effects", r.Subject.Probe, s.Subject.Probe)
	}
	if r.Manifest == nil || s.Manifest == nil {
		return notes
	}
	return append(notes, r.Manifest.unlike(*s.Manifest)...)
}

// unlike says in what two runs differ by what they were made of.
func (m Manifest) unlike(n Manifest) []string {
	var notes []string
	for _, in := range m.Inputs {
		i := slices.IndexFunc(n.Inputs, func(other Input) bool { return other.Path == in.Path })
		switch suite, ok := SuiteOf(in.Path); {
		case i < 0 || n.Inputs[i].SHA256 == in.SHA256:
		case ok:
			notes = append(notes, fmt.Sprintf("the scenarios of %s were changed between the runs", suite))
		case in.Path == ProfileFile:
			notes = append(notes, fmt.Sprintf("the profile %s was changed between the runs", m.Profile))
		}
	}
	var names []string
	for _, s := range slices.Concat(m.Settings, n.Settings) {
		if !slices.Contains(names, s.Name) && !slices.Contains(placesOnly, s.Name) && !slices.Equal(m.Setting(s.Name), n.Setting(s.Name)) {
			names = append(names, s.Name)
		}
	}
	if len(names) > 0 {
		slices.Sort(names)
		notes = append(notes, "the runs had other settings: "+strings.Join(names, ", "))
	}
	return notes
}

// placesOnly are settings that say where something is or goes, and not how is judged.
var placesOnly = []string{"target", "out", "journal", "report", "seed", "baseline", "known-failures", "trigger", "register", "remove", "probe-url", "observe", "parallel"}

// own is an address of this machine with its port, which may be another in each run.
var own = regexp.MustCompile(`(?i)\b(?:localhost|127(?:\.\d{1,3}){3})(?::\d+)?|\[::1\](?::\d+)?`)

// SameTarget tells whether two targets are of one subject: they are the same text, or are
// but for the port on this machine, which may be another in each run.
func SameTarget(a, b string) bool {
	return own.ReplaceAllString(a, "(here)") == own.ReplaceAllString(b, "(here)")
}

// Verdict joins what was found.
func (c *Changes) Verdict() Difference {
	is := func(d Difference) bool {
		return slices.ContainsFunc(c.Cases, func(x Change) bool { return x.Verdict == d }) ||
			slices.ContainsFunc(c.Loads, func(l LoadChange) bool { return l.Verdict() == d })
	}
	switch {
	case len(c.Incomparable) > 0:
		return Incomparable
	case is(Regression):
		return Regression
	case len(c.Unfinished) > 0:
		return Incomparable
	case is(Lost):
		return Lost
	case is(Improvement):
		return Improvement
	}
	return Same
}

// ExitCode is 1 for a regression, and 3 where something is not judged any more or nothing
// can be concluded.
func (c *Changes) ExitCode() int {
	switch c.Verdict() {
	case Regression:
		return ExitFailed
	case Lost, Incomparable:
		return ExitInconclusive
	}
	return ExitPassed
}

// Words tell what the comparison amounts to.
func (c *Changes) Words() string {
	count := map[Difference]int{}
	for _, x := range c.Cases {
		count[x.Verdict]++
	}
	loads := map[Difference]int{}
	for _, l := range c.Loads {
		loads[l.Verdict()]++
	}
	lost := ""
	if n := count[Lost]; n > 0 {
		lost = fmt.Sprintf("%s %s not judged as before", plural(n, "case"), verb(n, "is", "are"))
	}
	switch c.Verdict() {
	case Incomparable:
		return "Not comparable: that nothing is worse cannot be concluded"
	case Regression:
		var parts []string
		if n := count[Regression]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s or %s, and did not before", plural(n, "case"), verb(n, "fails", "fail"), verb(n, "warns", "warn")))
		}
		if n := loads[Regression]; n > 0 {
			parts = append(parts, plural(n, "load")+" measured worse")
		}
		if lost != "" {
			parts = append(parts, lost)
		}
		return "Regression: " + strings.Join(parts, "; ")
	case Lost:
		return "Not to be told: nothing is worse that was judged, and " + lost
	case Improvement:
		n := count[Improvement] + loads[Improvement]
		return fmt.Sprintf("Improvement: %s %s better, and none worse", plural(n, "case"), verb(n, "is", "are"))
	}
	words := fmt.Sprintf("No regression: %s came out as before", plural(c.Alike, "case"))
	if n := c.B.Count().Inconclusive; n > 0 {
		words += fmt.Sprintf("; %d could be judged in neither run", n)
	}
	return words
}
