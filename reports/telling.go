package reports

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What several formats tell of a run in the same way stands here.

// story is a result as plain text, for where a format has a field for text.
func story(r Result) string {
	var b strings.Builder
	Terminal{Width: 120}.screen(&b).block(r, true)
	return "\n" + b.String()
}

// accepted tells whether what the case came to is excused: it counts for nothing then.
func (r Result) accepted() bool {
	return r.Known != "" && r.Verdict != Pass && r.Verdict != Warn && r.Verdict != Skip
}

// verdict is the verdict as it counts: what cannot be read was not judged.
func (r Result) verdict() Verdict {
	if !r.Verdict.valid() {
		return Inconclusive
	}
	return r.Verdict
}

// found is what was found, in one sentence.
func (r Result) found() string {
	switch {
	case r.accepted() && r.verdict() == Inconclusive:
		return r.Known + ": " + r.Reason
	case r.accepted():
		return "known failure: " + r.Known + ": " + r.Reason
	case r.verdict() == Inconclusive:
		return "could not be judged: " + cmp.Or(r.Reason, "no reason was given")
	}
	return cmp.Or(r.Reason, "no reason was given")
}

// advice is what a result says of itself besides what was found.
func (r Result) advice() (all []labelled) {
	for _, one := range []labelled{{"Required", r.Title}, {"Why", r.Why}, {"Repair", r.Fix}, {sourceLabel, r.Source}} {
		if one.text != "" {
			all = append(all, one)
		}
	}
	return all
}

type labelled struct{ label, text string }

const sourceLabel = "Source"

// remarks are what is noted of an exchange, without when it came, which cameTo says.
func (r Result) remarks(x Exchange) []string {
	if _, told := r.timing(x); told {
		return x.Notes[1:]
	}
	return x.Notes
}

// measuredLines are what a case has measured, a line each.
func (r Result) measuredLines() []string {
	var lines []string
	if r.Load != nil {
		lines = r.Load.brief()
	}
	if r.Absorbed != nil {
		lines = append(lines, r.Absorbed.brief()...)
	}
	return lines
}

// place is where a case is written down, as a path in a repository. The user's own files
// are in theirs. What is built in is in ours: a platform finds no such file in the user's
// and shows none, but it demands a place, and tells alerts apart by it. So it must be the
// same in every run.
func (r Result) place() (file string, line int) {
	if r.File != "" {
		return path.Clean(r.File), max(r.Line, 1)
	}
	suite, _ := splitID(r.ID)
	return path.Join("scenarios", suite+".yaml"), 1
}

// placeURI is place as a relative reference.
func (r Result) placeURI() (uri string, line int) {
	file, line := r.place()
	u := url.URL{Path: strings.TrimLeft(file, "/")}
	return u.String(), line
}

// sources are the forms of a source that stand for a page. What a page's address may have
// in it is narrow: it becomes a link.
var sources = []struct {
	form *regexp.Regexp
	page string
}{
	{regexp.MustCompile(`^(https://[A-Za-z0-9.-]+(?:/[A-Za-z0-9._/~%#?=&+-]*)?)$`), "$1"},
	{regexp.MustCompile(`^RFC (\d+),? (?:§|section )(\d+(?:\.\d+)*)$`), "https://www.rfc-editor.org/rfc/rfc$1#section-$2"},
	{regexp.MustCompile(`^RFC (\d+)$`), "https://www.rfc-editor.org/rfc/rfc$1"},
	{regexp.MustCompile(`^CWE-(\d+)$`), "https://cwe.mitre.org/data/definitions/$1.html"},
	{regexp.MustCompile(`^standard-webhooks/[0-9.]+(#[a-z-]+)?$`), "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md$1"},
}

// sourcePage is the page that a source names, empty where it names none.
func sourcePage(source string) string {
	for _, s := range sources {
		if s.form.MatchString(source) {
			return s.form.ReplaceAllString(source, s.page)
		}
	}
	return ""
}

// words are a figure as people read it.
func (f Figure) words() string {
	text := f.Name + " " + f.value()
	if f.Note != "" {
		text += ": " + f.Note
	}
	return text
}

// value is the value with its unit.
func (f Figure) value() string {
	return strings.TrimSuffix(strconv.FormatFloat(f.Value, 'f', -1, 64)+" "+f.Unit, " count")
}

// levels in the order of what they ask.
var levels = []string{"must", "should", "may"}

// suiteTally counts the verdicts of one suite, by level.
type suiteTally struct {
	suite   string
	all     Totals
	levels  []string // those that the suite has cases of
	byLevel map[string]Totals
}

// bySuite counts verdicts, the suites in the order in which they come.
func bySuite(results []Result) []*suiteTally {
	var all []*suiteTally
	at := map[string]*suiteTally{}
	for _, r := range results {
		name, _ := splitID(r.ID)
		s := at[name]
		if s == nil {
			s = &suiteTally{suite: name, byLevel: map[string]Totals{}}
			at[name], all = s, append(all, s)
		}
		s.all.add(r)
		t, seen := s.byLevel[r.Level]
		if !seen {
			s.levels = append(s.levels, r.Level)
		}
		t.add(r)
		s.byLevel[r.Level] = t
	}
	for _, s := range all {
		slices.SortStableFunc(s.levels, func(a, b string) int {
			return cmp.Compare(levelRank(a), levelRank(b))
		})
	}
	return all
}

// levelRank has levels that nobody knows come last.
func levelRank(level string) int {
	if i := slices.Index(levels, level); i >= 0 {
		return i
	}
	return len(levels)
}

// took is how long the run lasted by the wall clock, which is what a journal keeps; 0 where
// that is not known.
func (r *Run) took() time.Duration {
	if r.Started.IsZero() || r.Ended.IsZero() {
		return 0
	}
	return max(r.Ended.Round(0).Sub(r.Started.Round(0)), 0).Truncate(time.Millisecond)
}

// lasted is how long the run took, in words; empty where that is not known.
func (r *Run) lasted() string {
	if took := r.took(); took > 0 {
		return fmt.Sprintf("%.1f s", took.Seconds())
	}
	return ""
}

// moment is a time to the second.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// counted is how effects were counted.
func (s Subject) counted() string {
	return cmp.Or(s.Probe, "not counted: verdicts rest on statuses alone")
}

// headline is what a run amounts to in a sentence: the word for it, and what it rests on.
func (r *Run) headline() (word, rest string) {
	t := r.Count()
	rest = t.words()
	if why := r.shortfall(); why != "" {
		rest += "; " + why
	}
	word = outcomes[r.ExitCode()].word
	if r.ExitCode() == ExitInconclusive && r.State == Incomplete {
		word = "Incomplete"
	}
	return word, rest
}

// groupOf is the verdict by which a result is told: a failure that is known stands apart.
func groupOf(r Result) string {
	if r.Verdict == Fail && r.Known != "" {
		return knownFailure
	}
	return string(r.verdict())
}

const knownFailure = "known"

// part is a group of results that are told one by one.
type part struct {
	title string
	of    string // what groupOf says of them
	brief bool   // without the evidence
	join  bool   // those that have one reason are told together
}

// parts come in the order of what they ask of the reader.
var parts = []part{
	{title: "Failed", of: string(Fail)},
	{title: "Warnings", of: string(Warn)},
	{title: "Inconclusive", of: string(Inconclusive), join: true},
	{title: "Known failures", of: knownFailure, brief: true},
}

// group is results that are told together.
type group struct {
	results []Result
	listed  bool // each is to be named, since it is told nowhere else
}

// groups are the results of a part, those that are told together in one: the last are those
// that one cause may be behind.
func (p part) groups(results []Result, suspicions []suspicion) (groups []group, n int) {
	those := having(results, func(r Result) bool { return groupOf(r) == p.of })
	n = len(those)
	var together []group
	for _, s := range suspicions {
		if its := having(those, s.tells); len(its) > 0 {
			its[0].Fix = "" // the cause has another, which was told with it
			together = append(together, group{its, !p.join})
			those = having(those, func(r Result) bool { return !s.tells(r) })
		}
	}
	if p.join {
		for _, alike := range byReason(those) {
			groups = append(groups, group{results: alike})
		}
		return append(groups, together...), n
	}
	for i := range those {
		groups = append(groups, group{results: those[i : i+1]})
	}
	return append(groups, together...), n
}

func having(results []Result, is func(Result) bool) []Result {
	return slices.DeleteFunc(slices.Clone(results), func(r Result) bool { return !is(r) })
}

func with(v Verdict, results []Result) []Result {
	return having(results, func(r Result) bool { return r.Verdict == v })
}

func names(results []Result, all bool) string {
	const most = 6
	var list []string
	for i, r := range results {
		if i == most && !all {
			list = append(list, fmt.Sprintf("and %d more", len(results)-most))
			break
		}
		list = append(list, r.ID)
	}
	return strings.Join(list, ", ")
}

// byReason groups results that have one reason, the largest group first: a target
// that is down has one thing wrong with it, not a hundred.
func byReason(results []Result) [][]Result {
	var groups [][]Result
	at := map[string]int{}
	for _, r := range results {
		i, ok := at[r.Reason]
		if !ok {
			i = len(groups)
			at[r.Reason], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], r)
	}
	slices.SortStableFunc(groups, func(a, b []Result) int { return len(b) - len(a) })
	return groups
}

// shownInFull are the exchanges that a result is about: of a receiver's not the
// controls, unless there is nothing else; of a sender's those that something is said
// of or, where nothing is, the first and the last.
func shownInFull(r Result, all bool) map[int]bool {
	shown := map[int]bool{}
	for i, x := range r.Evidence {
		if all || r.about(x) && len(shown) < mostExchanges {
			shown[i] = true
		}
	}
	if len(shown) == 0 {
		shown[len(r.Evidence)-1] = true
		shown[0] = shown[0] || r.ofSender()
	}
	return shown
}

func (r Result) about(x Exchange) bool {
	if r.ofSender() {
		return x.Detail != ""
	}
	return !strings.HasPrefix(x.Label, "control")
}

// senderRole is the role of a subject that delivers.
const senderRole = "sender"

// ofSender tells whether the result is about a sender.
func (r Result) ofSender() bool { return strings.HasPrefix(r.ID, senderRole+"/") }

// timing is when an attempt of a sender came: the first thing that is noted of it.
func (r Result) timing(x Exchange) (note string, told bool) {
	if !r.ofSender() || len(x.Notes) == 0 {
		return "", false
	}
	return x.Notes[0], true
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// columns of the table, in the order of the final line.
var columns = []struct {
	name  string
	count func(Totals) int
	v     Verdict
}{
	{"pass", func(t Totals) int { return t.Pass }, Pass},
	{"fail", func(t Totals) int { return t.Fail }, Fail},
	{"warn", func(t Totals) int { return t.Warn }, Warn},
	{"skip", func(t Totals) int { return t.Skip }, Skip},
	{"inconclusive", func(t Totals) int { return t.Inconclusive }, Inconclusive},
}

func splitID(id string) (suite, name string) {
	i := strings.LastIndexByte(id, '/')
	if i < 0 {
		return "", id
	}
	return id[:i], id[i+1:]
}

// outcomes are the words for what a run amounts to, by exit code.
var outcomes = map[int]struct {
	word    string
	verdict Verdict
}{
	ExitPassed:       {"Passed", Pass},
	ExitFailed:       {"Failed", Fail},
	ExitInconclusive: {"Inconclusive", Inconclusive},
	ExitInterrupted:  {"Interrupted", Inconclusive},
}

// cameTo is an exchange in a few words: how it ended, what it did, and how long it took. A
// sender's says first when it came, and is named by what it was answered.
func (r Result) cameTo(x Exchange) (what, took string) {
	if note, told := r.timing(x); told {
		what = inert(note) + ": "
	}
	return what + r.ended(x, inert), milliseconds(x.DurationMS)
}

// ended is how an exchange ended and what it did. What the peer may have chosen is made
// harmless by safe.
func (r Result) ended(x Exchange, safe func(string) string) string {
	switch {
	case r.ofSender() && x.Sent == "": // there was nothing to answer
		return safe(x.Outcome)
	case r.ofSender():
		return "answered " + safe(x.Outcome)
	}
	what := strings.ReplaceAll(safe(x.Outcome), "-", " ")
	if x.Status != 0 {
		status := strconv.Itoa(x.Status)
		if x.Outcome != "answered" {
			status += ", " + what
		}
		what = status
	}
	if x.Effects != nil {
		what += ", " + plural(*x.Effects, "effect")
	}
	return what
}
