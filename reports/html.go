package reports

import (
	"cmp"
	"fmt"
	"html/template"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// HTML writes the run as one page for people, which loads nothing: first what it amounts to
// and what failed, then each case with its repair, its evidence and the command that shows
// it again. It reads without the script that filters it.
func HTML(w io.Writer, run Run) error {
	return writePage(w, "report.html", pageOf(&run))
}

// reportPage is what the page shows.
type reportPage struct {
	Policy                string
	Style                 template.CSS
	Script                template.JS
	Glyph, Verdict        string
	Sentence, Word, Rest  string   // the sentence is the word and the rest
	Verdicts              []string // heads of the columns of counts
	Role, Target, Profile string
	Effects               string
	Facts                 []pageFact
	Suites                []pageSuite
	Levels                []string
	Index                 []pageAlike // what asks for something
	Indexed               int         // cases of it
	Causes                []pageCause // what many of them may have in common
	Sections              []pageSection
	Folds                 []pageFold
	Notes, Stale          []string
	Choices               []pageChoice
	Cases                 int
	Tool                  string
}

type pageFact struct{ Name, Text string }

// pageChoice is a verdict to filter by.
type pageChoice struct{ Verdict, Word string }

// pageSuite is a line of the table of suites.
type pageSuite struct {
	Name   string
	Bars   []pageBar
	Levels []string // judged well, of all: by level
	Counts []pageCount
}

type pageBar struct {
	Verdict  string
	X, Width float64
}

// pageSection is cases that are told one by one.
type pageSection struct {
	ID, Title string
	Cases     []pageCase
	Count     int
}

// pageAlike is cases of one suite that failed in the same way: they often have one cause.
type pageAlike struct {
	Suite, Word string
	Cases, More []pageCase
}

// pageCause is a mistake that may be behind many cases.
type pageCause struct {
	Title, Says, Like, Repair string
	First                     pageCase
	Cases                     []pageCase
}

// pageFold is the cases of one suite that ask for nothing.
type pageFold struct {
	Name, Counts string
	Rows         []pageCase
}

// pageCase is one case.
type pageCase struct {
	Anchor, ID, Title, Level, Took string
	Verdict, Glyph, Word           string
	Found, Fix, Known, Why         string
	Source, Link                   string
	Brief                          string // what is said of it in a list
	Lacks                          string
	StatusOnly                     bool
	Figures                        []string
	Timeline                       *timeline
	Undrawn                        bool // there is one, and no room for it
	Exchanges                      []pageExchange
	Measured                       []measured
	Reproduce                      string
	Alike                          []pageCase // that have the same reason
}

// pageExchange is one exchange.
type pageExchange struct {
	Label, Summary  string
	Open            bool
	First, Second   *wireView // in the order in which they crossed the wire
	FirstBy, ThenBy string
	Detail          string
	Facts           []string
	Marked, Gone    bool
	Omitted         bool
}

// Bounds of a page, in bytes: a browser on a phone is to open it.
const (
	mostWire        = 4 << 10 // of a request, or an answer, that a result is about
	mostControl     = 700     // of any other
	mostOfPage      = 880_000 // of the page, about
	bytesOfRow      = 450     // what a case takes in a list
	bytesOfCase     = 1100    // what it takes by itself, besides its texts
	bytesOfExchange = 500     // what an exchange takes, without traffic
	mostOfExchanges = 12      // exchanges of one case
	mostBrief       = 160     // characters of a reason, in a list
)

// words for verdicts, as a page says them beside their signs.
var verdictWords = map[string]string{"pass": "passed", "fail": "failed", knownFailure: "known failure", "warn": "warning", "skip": "skipped", "inconclusive": "inconclusive"}

func pageOf(run *Run) reportPage {
	o := outcomes[run.ExitCode()]
	p := reportPage{
		Policy: pagePolicy, Style: pageStyle, Script: pageScript,
		Glyph: styles[o.verdict].glyph, Verdict: string(o.verdict), Sentence: shown(run.sentence()),
		Role: cmp.Or(shown(run.Subject.Role), "target"), Target: shown(run.Subject.Target), Profile: shown(run.Profile), Tool: shown(run.Tool),
		Notes: shownAll(run.Notes), Stale: shownAll(run.Stale), Cases: len(run.Results),
	}
	p.Word, _ = run.headline()
	p.Rest = strings.TrimPrefix(p.Sentence, p.Word)
	if run.Subject.Role != senderRole {
		p.Effects = shown(run.Subject.counted())
	}
	p.Facts = factsOf(run)
	p.suites(run.Results)
	suspicions := run.suspicions()
	teller := newTeller(run, suspicions)
	p.causes(suspicions)
	for _, part := range parts {
		groups, n := part.groups(run.Results, nil)
		if n == 0 {
			continue
		}
		id, _, _ := strings.Cut(strings.ToLower(part.title), " ")
		section := pageSection{ID: id, Title: part.title, Count: n}
		var besides []pageCase // what is behind them is not known
		for _, group := range groups {
			c := teller.tell(group.results[0])
			for _, r := range group.results[1:] {
				c.Alike = append(c.Alike, caseOf(r))
			}
			section.Cases = append(section.Cases, c)
			if !slices.ContainsFunc(suspicions, func(s suspicion) bool { return s.tells(group.results[0]) }) {
				besides = append(besides, c)
			}
		}
		p.Sections = append(p.Sections, section)
		if part.of != knownFailure {
			p.Index = append(p.Index, alike(besides)...)
			p.Indexed += n
		}
	}
	p.fold(run, teller)
	for _, key := range []string{"fail", "warn", "inconclusive", knownFailure, "pass", "skip"} {
		if slices.ContainsFunc(run.Results, func(r Result) bool { return groupOf(r) == key }) {
			p.Choices = append(p.Choices, pageChoice{key, verdictWords[key]})
		}
	}
	return p
}

func (p *reportPage) causes(suspicions []suspicion) {
	for _, s := range suspicions {
		c := pageCause{Title: s.title(), Says: s.sentence(), Like: shown(s.like().Reason), Repair: s.repair, First: caseOf(s.like())}
		for _, r := range s.results {
			c.Cases = append(c.Cases, caseOf(r))
		}
		p.Causes = append(p.Causes, c)
	}
}

// alike puts cases beside each other that are of one suite and were found to do the same. Of
// many, the first few are listed and the others folded: nobody is to look for twenty causes
// where there is one.
func alike(cases []pageCase) (groups []pageAlike) {
	const few, listed = 5, 3
	at := map[[2]string]int{}
	for _, c := range cases {
		suite, _ := splitID(c.ID)
		key := [2]string{suite, c.Found}
		i, ok := at[key]
		if !ok {
			i = len(groups)
			at[key], groups = i, append(groups, pageAlike{Suite: suite, Word: c.Word})
		}
		groups[i].Cases = append(groups[i].Cases, c)
	}
	for i := range groups {
		if g := &groups[i]; len(g.Cases) > few {
			g.Cases, g.More = g.Cases[:listed], g.Cases[listed:]
		}
	}
	return groups
}

func factsOf(run *Run) []pageFact {
	facts := []pageFact{{"Began", "at a time that is not known"}, {"Seed", strconv.FormatUint(run.Seed, 10)}}
	if !run.Started.IsZero() {
		facts[0].Text = moment(run.Started)
	}
	if lasted := run.lasted(); lasted != "" {
		facts = append(facts, pageFact{"Took", lasted})
	}
	if run.State != Complete {
		facts = append(facts, pageFact{"State", shown(run.State)})
	}
	if run.ClockOffset != nil {
		facts = append(facts, pageFact{"Clock of the subject", clockWords(*run.ClockOffset)})
	}
	return facts
}

func clockWords(ms float64) string {
	d := time.Duration(ms * float64(time.Millisecond)).Round(time.Second)
	switch {
	case d > 0:
		return d.String() + " ahead of ours"
	case d < 0:
		return (-d).String() + " behind ours"
	}
	return "as ours, to the second"
}

// suites counts the cases by suite, and of each level how many are as they should be.
func (p *reportPage) suites(results []Result) {
	suites := bySuite(results)
	var levels []string
	for _, s := range suites {
		for _, level := range s.levels {
			if !slices.Contains(levels, level) {
				levels = append(levels, level)
			}
		}
	}
	slices.SortStableFunc(levels, func(a, b string) int { return cmp.Compare(levelRank(a), levelRank(b)) })
	for _, s := range suites {
		suite := pageSuite{Name: cmp.Or(shown(s.suite), "(none)"), Bars: barsOf(s.all)}
		for _, level := range levels {
			suite.Levels = append(suite.Levels, levelWords(s.byLevel[level]))
		}
		for _, c := range columns[1:] { // what passed stands with the levels
			cell := pageCount{Text: "·", Verdict: "zero"}
			if n := c.count(s.all); n > 0 {
				cell = pageCount{strconv.Itoa(n), string(c.v)}
			}
			suite.Counts = append(suite.Counts, cell)
		}
		p.Suites = append(p.Suites, suite)
	}
	p.Levels = shownAll(levels)
	for _, c := range columns[1:] {
		p.Verdicts = append(p.Verdicts, c.name)
	}
}

// levelWords is how many of a level's cases passed, of those that apply.
func levelWords(t Totals) string {
	if n := t.judged() + t.Inconclusive; n > 0 {
		return fmt.Sprintf("%d/%d", t.Pass, n)
	}
	return "·"
}

// barsOf is the counts as lengths: what went wrong first.
func barsOf(t Totals) (bars []pageBar) {
	all, at := float64(t.judged()+t.Skip+t.Inconclusive), 0.0
	for _, c := range []struct {
		v Verdict
		n int
	}{{Fail, t.Fail}, {Warn, t.Warn}, {Inconclusive, t.Inconclusive}, {Pass, t.Pass}, {Skip, t.Skip}} {
		if c.n > 0 {
			width := 100 * float64(c.n) / all
			bars = append(bars, pageBar{string(c.v), tenth(at), tenth(width)})
			at += width
		}
	}
	return bars
}

// fold gathers what passed and what was skipped, by suite.
func (p *reportPage) fold(run *Run, t *teller) {
	at := map[string]int{}
	counts := []Totals{}
	for _, r := range run.Results {
		if r.Verdict != Pass && r.Verdict != Skip {
			continue
		}
		suite, _ := splitID(r.ID)
		i, ok := at[suite]
		if !ok {
			i = len(p.Folds)
			at[suite] = i
			p.Folds, counts = append(p.Folds, pageFold{Name: cmp.Or(shown(suite), "(none)")}), append(counts, Totals{})
		}
		c := caseOf(r)
		c.Figures = figuresOf(r)
		if r.Verdict == Pass {
			t.draw(r, &c)
		}
		p.Folds[i].Rows = append(p.Folds[i].Rows, c)
		counts[i].add(r)
	}
	for i, t := range counts {
		var words []string
		if t.Pass > 0 {
			words = append(words, fmt.Sprintf("%d passed", t.Pass))
		}
		if t.Skip > 0 {
			words = append(words, fmt.Sprintf("%d skipped", t.Skip))
		}
		p.Folds[i].Counts = strings.Join(words, ", ")
	}
}

// plainID are the ids that can stand in the address of a page, with dots for slashes.
var plainID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9/_-]{0,200}$`)

// caseOf is a case without its evidence.
func caseOf(r Result) pageCase {
	key := groupOf(r)
	glyph := styles[Fail].glyph
	if key != knownFailure {
		glyph = styles[Verdict(key)].glyph
	}
	c := pageCase{
		ID: shown(r.ID), Title: cmp.Or(shown(r.Title), shown(r.ID)), Level: shown(r.Level), Verdict: key, Glyph: glyph, Word: verdictWords[key],
		Found: shown(r.Reason), StatusOnly: r.StatusOnly, Lacks: shown(r.Lacks), Anchor: anchor(r.ID),
	}
	if r.Duration > 0 {
		c.Took = milliseconds(float64(r.Duration) / float64(time.Millisecond))
	}
	return c
}

// anchor is what a link to a case says. It stays the same from run to run.
func anchor(id string) string {
	if plainID.MatchString(id) {
		return strings.ReplaceAll(id, "/", ".")
	}
	return fmt.Sprintf("case-%x", []byte(head(id, 40)))
}

func figuresOf(r Result) (all []string) {
	for _, f := range r.Figures {
		all = append(all, shown(f.words()))
	}
	return all
}

// teller tells cases in full as long as the page has room for what crossed the wire.
type teller struct {
	run  *Run
	left int // bytes
}

// newTeller keeps room for what is said of each case.
func newTeller(run *Run, suspicions []suspicion) *teller {
	t := &teller{run: run, left: mostOfPage}
	for _, s := range suspicions {
		t.left -= bytesOfRow * len(s.results)
	}
	for _, r := range run.Results {
		if r.Verdict == Pass || r.Verdict == Skip {
			t.left -= bytesOfRow
		} else {
			t.left -= bytesOfCase + len(r.Reproduce) + 2*len(r.Fix) + len(r.Why)
		}
	}
	return t
}

func (t *teller) tell(r Result) pageCase {
	c := caseOf(r)
	c.Fix, c.Known, c.Why, c.Reproduce = shown(r.Fix), shown(r.Known), shown(r.Why), visible(head(r.Reproduce, 4*mostText))
	c.Brief, c.Source = clip(c.Found, mostBrief), shown(r.Source)
	c.Link = sourcePage(r.Source)
	c.Figures = figuresOf(r)
	if r.Load != nil {
		c.Measured = append(c.Measured, r.Load.measured())
	}
	if r.Absorbed != nil {
		c.Measured = append(c.Measured, r.Absorbed.measured())
	}
	t.draw(r, &c)
	shownFully := shownInFull(r, false)
	for i, x := range r.Evidence {
		t.left -= bytesOfExchange
		if i == mostOfExchanges || t.left < 0 {
			c.Exchanges = append(c.Exchanges, pageExchange{Label: plural(len(r.Evidence)-i, "more exchange"), Omitted: true})
			break
		}
		c.Exchanges = append(c.Exchanges, t.exchange(r, x, shownFully[i]))
	}
	return c
}

// draw draws the attempts of a sender.
func (t *teller) draw(r Result, c *pageCase) {
	if !r.ofSender() {
		return
	}
	drawn := timelineOf(r.Evidence, t.run.Subject.Schedule)
	weight := drawn.weight()
	if c.Undrawn = weight > max(t.left, 0); c.Undrawn {
		return
	}
	c.Timeline = drawn
	t.left -= weight
}

// exchange is one exchange: open where the result is about it.
func (t *teller) exchange(r Result, x Exchange, open bool) pageExchange {
	most := mostControl
	if open {
		most = mostWire
	}
	sent, received := wireOf(x.Sent, x.Marks, most), wireOf(x.Received, nil, most)
	e := pageExchange{Label: shown(x.Label), Summary: exchangeWords(r, x), Open: open, Detail: shown(x.Detail), Facts: exchangeFacts(r, x)}
	if sent != nil {
		e.Marked, e.Gone = sent.Marked, sent.Gone
	}
	e.First, e.Second, e.FirstBy, e.ThenBy = sent, received, "Sent to the receiver", "Its answer"
	if r.ofSender() {
		e.First, e.Second, e.FirstBy, e.ThenBy = received, sent, "Sent by the sender", "Answered by Hookanvil"
	}
	weight := sent.weight() + received.weight()
	if weight > t.left {
		e.First, e.Second, e.Omitted = nil, nil, true
		return e
	}
	t.left -= weight
	return e
}

// exchangeWords is an exchange in one line.
func exchangeWords(r Result, x Exchange) string {
	what := r.ended(x, shown)
	if !r.ofSender() && x.Status != 0 {
		what = "answered " + what
	}
	return what + ", " + milliseconds(x.DurationMS)
}

// exchangeFacts are what else is known of an exchange.
func exchangeFacts(r Result, x Exchange) []string {
	facts := shownAll(x.Notes)
	times := fmt.Sprintf("began %s into the run", sooner(x.StartedMS))
	if x.FirstByteMS > 0 {
		first := "the first byte of the answer came"
		if r.ofSender() {
			first = "the request was whole"
		}
		times += fmt.Sprintf(", %s after %s", first, milliseconds(x.FirstByteMS))
	}
	facts = append(facts, fmt.Sprintf("%s; %d bytes sent, %d received", times, x.SentBytes, x.ReceivedBytes))
	if x.Remote != "" {
		facts[len(facts)-1] += ", peer " + shown(x.Remote)
	}
	for _, line := range x.TLS.lines() {
		facts = append(facts, shown(line))
	}
	return facts
}
