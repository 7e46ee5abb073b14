package scenarios

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// The bounds of a case, beside those in the tags of its types.
const (
	maxName    = 64
	maxTimeout = 10 * time.Minute
	maxNumber  = 1_000_000 // a word's argument
	maxSent    = 1 << 30   // bytes: times by size
	maxAfter   = time.Minute
)

var (
	name  = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	token = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]{1,64}$") // RFC 9110, section 5.6.2
	query = regexp.MustCompile(`^[!$-~]*$`)                          // printable ASCII without '"' and '#'
)

// roles are the first parts of suite names.
var roles = []string{"receiver"}

// checker collects what is wrong with a suite whose shape is right. Nodes and
// values are walked side by side: the values say what, the nodes say where.
type checker struct {
	vocabulary Vocabulary
	parts      []string // of mutations
	errs       strictyaml.Errors
}

func newChecker(v Vocabulary) *checker {
	c := &checker{vocabulary: v}
	for _, m := range v.Mutations {
		if !slices.Contains(c.parts, m.Part) {
			c.parts = append(c.parts, m.Part)
		}
	}
	return c
}

func names(entries []Entry) []string {
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = e.Name
	}
	return list
}

// problem notes an error at n; the hint may be empty.
func (c *checker) problem(n *strictyaml.Node, hint, format string, args ...any) {
	c.errs.Add(n, n.Errorf(format, args...).Hintf("%s", hint))
}

// known looks a word up, and notes what is wrong if it is not there.
func (c *checker) known(n *strictyaml.Node, what string, words []string) bool {
	if slices.Contains(words, n.Value) {
		return true
	}
	c.problem(n, strictyaml.DidYouMean(n.Value, words), "unknown %s %s", what, strictyaml.Quote(n.Value))
	return false
}

// items are the nodes of a list, where one item may stand for a list of one.
func items(n *strictyaml.Node) []*strictyaml.Node {
	switch {
	case n == nil:
		return nil
	case n.Kind == strictyaml.List:
		return n.Items
	}
	return []*strictyaml.Node{n}
}

func (c *checker) suite(n *strictyaml.Node, s *Suite) {
	c.suiteName(n.Get("suite"))
	cases := items(n.Get("cases"))
	if len(cases) == 0 {
		c.problem(n.Get("cases"), "a suite that checks nothing would always pass", "cases is empty")
	}
	lines := map[string]int{}
	for i := range s.Cases {
		one := &s.Cases[i]
		one.Suite, one.File, one.Line = s.Name, s.File, cases[i].Line
		one.Source = cmp.Or(one.Source, s.Source)
		if first, twice := lines[one.ID]; twice {
			c.problem(cases[i].Get("id"), "", "the id %s is taken by the case on line %d", strictyaml.Quote(one.ID), first)
		}
		lines[one.ID] = one.Line
		c.one(cases[i], one)
	}
	slices.SortStableFunc(c.errs, func(a, b *strictyaml.Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

func (c *checker) suiteName(n *strictyaml.Node) {
	role, topic, _ := strings.Cut(n.Value, "/")
	switch {
	case !slices.Contains(roles, role):
		c.problem(n, strictyaml.DidYouMean(role, roles), "a suite is named after a role and a topic, such as receiver/signature; there is no role %s", strictyaml.Quote(role))
	case !isName(topic):
		c.problem(n, "use lower case, digits and single hyphens, such as receiver/signature", "%s is not the name of a suite", strictyaml.Quote(n.Value))
	}
}

func isName(s string) bool { return len(s) <= maxName && name.MatchString(s) }

func (c *checker) named(n *strictyaml.Node, what string) {
	if n != nil && !isName(n.Value) {
		c.problem(n, "use at most 64 characters: lower case, digits and single hyphens", "%s is not a valid %s", strictyaml.Quote(n.Value), what)
	}
}

// one checks a case.
func (c *checker) one(n *strictyaml.Node, one *Case) {
	c.named(n.Get("id"), "id")
	c.sentence(n.Get("title"), "say in one line what a correct subject does: A body changed by one bit is rejected")
	if reason := n.Get("unproven"); reason != nil {
		c.sentence(reason, "say in one line why no defect can be built that the case would catch")
	}
	for _, need := range items(n.Get("needs")) {
		c.known(need, "capability", names(c.vocabulary.Capabilities))
	}
	for _, defect := range items(n.Get("kills")) {
		c.named(defect, "name of a defect")
	}
	for _, key := range []string{"needs", "kills", "reject"} {
		c.distinct(items(n.Get(key)))
	}
	c.conflicts(n, caseConflicts)
	if t := n.Get("timeout"); t != nil && (one.Timeout == 0 || one.Timeout > maxTimeout) {
		c.problem(t, "", "timeout must be more than 0 and at most %s, got %s", "10m", strictyaml.Quote(t.Value))
	}
	c.refusals(n.Get("reject"))
	c.what(n, one)
	c.expectations(n.Get("expect"), one.Expect)
}

func (c *checker) sentence(n *strictyaml.Node, hint string) {
	if strings.TrimSpace(n.Value) == "" || strings.ContainsAny(n.Value, "\r\n") {
		c.problem(n, hint, "%s must be one sentence", n.Name())
	}
}

func (c *checker) distinct(list []*strictyaml.Node) {
	seen := map[string]bool{}
	for _, n := range list {
		if seen[n.Value] {
			c.problem(n, "", "%s says %s again", n.Name(), strictyaml.Quote(n.Value))
		}
		seen[n.Value] = true
	}
}

// refusals checks the statuses that are to count as a refusal.
func (c *checker) refusals(n *strictyaml.Node) {
	for _, status := range items(n) {
		c.status(status)
		if strings.HasPrefix(status.Value, "2") {
			c.problem(status, "a 2xx acknowledges the delivery: it can never be a refusal", "reject holds the status %s", status.Value)
		}
	}
}

func (c *checker) status(n *strictyaml.Node) {
	if i, err := n.Int(); err == nil && (i < 100 || i > 599) {
		c.problem(n, "", "%d is not an HTTP status: they go from 100 to 599", i)
	}
}

// what checks the deliveries or the measurement.
func (c *checker) what(n *strictyaml.Node, one *Case) {
	send, measure := n.Get("send"), n.Get("measure")
	switch {
	case send == nil && measure == nil:
		c.problem(n, "add send: {} for an honest delivery, or measure: NAME", "the case does nothing")
		return
	case send == nil:
		c.known(measure, "measurement", names(c.vocabulary.Measures))
	case measure == nil && len(items(send)) == 0:
		c.problem(send, "write send: {} for an honest delivery", "send is an empty list")
	case measure == nil:
		c.steps(items(send), one.Send)
	}
	if measure == nil && n.Get("expect") == nil && (send == nil || !eachExpects(one.Send)) {
		c.problem(n, "add expect: accepted, or whatever must be observed; a check that expects nothing would always pass", "the case expects nothing")
	}
}

func eachExpects(steps Steps) bool {
	return !slices.ContainsFunc(steps, func(s Step) bool { return len(s.Expect) == 0 })
}

func (c *checker) steps(nodes []*strictyaml.Node, steps Steps) {
	lines := map[string]int{}
	for i, n := range nodes {
		step := &steps[i]
		step.Line, step.Column = n.Line, n.Column
		for _, key := range references {
			c.reference(n.Get(key), key, lines, steps)
		}
		c.step(n, step)
		if as := n.Get("as"); as != nil {
			c.named(as, "name of a step")
			if first, twice := lines[as.Value]; twice {
				c.problem(as, "", "the name %s is taken by the step on line %d", strictyaml.Quote(as.Value), first)
			}
			lines[as.Value] = n.Line
		}
	}
}

// references are the keys that name an earlier step.
var references = []string{"replay", "retry", "same-id"}

// reference checks that a step that is referred to stands before; lines holds the
// names so far.
func (c *checker) reference(n *strictyaml.Node, key string, lines map[string]int, steps Steps) {
	if n == nil {
		return
	}
	if _, ok := lines[n.Value]; ok {
		return
	}
	if slices.ContainsFunc(steps, func(s Step) bool { return s.As == n.Value }) {
		c.problem(n, "a step can refer to those before it only", "%s names the step %s, which is not sent before this one", key, strictyaml.Quote(n.Value))
		return
	}
	hint := "give the earlier step a name: {as: first}"
	if near := strictyaml.Suggest(n.Value, slices.Sorted(maps.Keys(lines))); near != "" {
		hint = "did you mean " + strictyaml.Quote(near) + "?"
	}
	c.problem(n, hint, "%s names the step %s, which is not there", key, strictyaml.Quote(n.Value))
}

// conflict is two keys that cannot stand together.
type conflict struct{ a, b, why string }

var caseConflicts = []conflict{
	{"send", "measure", "a measurement sends its own deliveries; write two cases"},
	{"measure", "expect", "a measurement judges its figure itself"},
	{"kills", "unproven", "a case that catches a defect is proven; remove unproven"},
}

var stepConflicts = []conflict{
	{"body", "payload", "both say what the body is"},
	{"replay", "retry", "a replay is the same bytes, a retry is signed anew"},
	{"replay", "same-id", "a replay is the same bytes, so it has the same id already"},
	{"retry", "same-id", "a retry has the same id already"},
	{"retry", "body", "a retry has the body of the step it repeats; use same-id for another body"},
	{"retry", "payload", "a retry has the body of the step it repeats; use same-id for another body"},
	{"retry", "size", "a retry has the body of the step it repeats"},
	{"retry", "event", "a retry has the event of the step it repeats"},
	{"retry", "fresh", "a retry has the id of the step it repeats"},
	{"same-id", "fresh", "deliveries under one id are not fresh"},
}

// replayed are the keys that may stand beside replay: nothing else can be changed
// about bytes that are there already.
var replayed = []string{"as", "replay", "mutate", "wire", "times", "concurrent", "after", "expect"}

func (c *checker) conflicts(n *strictyaml.Node, table []conflict) {
	for _, x := range table {
		if n.Get(x.a) != nil && n.Get(x.b) != nil {
			c.problem(n.Key(x.b), x.why, "%s cannot stand beside %s", x.b, x.a)
		}
	}
}

func (c *checker) step(n *strictyaml.Node, step *Step) {
	c.conflicts(n, stepConflicts)
	if step.Replay != "" {
		for _, key := range n.Keys {
			if !slices.Contains(replayed, key.Value) && !slices.Contains(references, key.Value) {
				c.problem(key, "the bytes are sent again as they are; beside replay there can be "+strings.Join(replayed, ", "), "%s cannot stand beside replay", key.Value)
			}
		}
	}
	c.repetition(n, step)
	if step.After > maxAfter {
		c.problem(n.Get("after"), "", "after is %s; the limit is %s", step.After, maxAfter)
	}
	c.request(n)
	if at := n.Get("at"); at != nil {
		if _, err := ParseInstant(at.Value); err != nil || at.Value == "" {
			c.problem(at, hintOf(err, "write now, or leave at out"), "at is not a time: %s", strictyaml.Quote(at.Value))
		}
	}
	if wire := n.Get("wire"); wire != nil {
		c.word(wire, step.Wire, "way of writing", c.vocabulary.Wires)
	}
	if mutate := n.Get("mutate"); mutate != nil {
		c.mutation(mutate, step)
	}
	c.expectations(n.Get("expect"), step.Expect)
}

func hintOf(err error, otherwise string) string {
	if err == nil {
		return otherwise
	}
	return err.Error()
}

// repetition checks how often a step is sent.
func (c *checker) repetition(n *strictyaml.Node, step *Step) {
	for _, key := range []string{"concurrent", "fresh"} {
		if on := n.Get(key); on != nil && on.Value == "true" && step.Times < 2 {
			c.problem(n.Key(key), "add times: 20, or remove "+key, "%s means nothing for a step that is sent once", key)
		}
	}
	if sent := int64(step.Times) * int64(step.Size); sent > maxSent {
		c.problem(n.Key("times"), "", "times by size is %d bytes; the limit is %d", sent, maxSent)
	}
}

// request checks what becomes part of the request as it is written.
func (c *checker) request(n *strictyaml.Node) {
	if p := n.Get("payload"); p != nil {
		c.known(p, "payload", names(c.vocabulary.Payloads))
	}
	if q := n.Get("query"); q != nil && !query.MatchString(q.Value) {
		c.problem(q, "write it as it stands behind the question mark, percent-encoded", "%s cannot stand in a URL's query", strictyaml.Quote(q.Value))
	}
	if e := n.Get("event"); e != nil {
		c.fieldValue(e)
	}
	if h := n.Get("headers"); h != nil {
		c.headers(h)
	}
}

// framing are the headers that say how a request is framed and routed.
var framing = []string{"content-length", "transfer-encoding", "host"}

func (c *checker) headers(n *strictyaml.Node) {
	lines := map[string]int{}
	for i, key := range n.Keys {
		folded := strings.ToLower(key.Value)
		first, twice := lines[folded]
		switch {
		case !token.MatchString(key.Value):
			c.problem(key, "a header's name is a token, such as X-Request-Id", "%s is not the name of a header", strictyaml.Quote(key.Value))
		case slices.Contains(framing, folded):
			c.problem(key, "use wire for requests that lie about their length or their host", "the header %s cannot be set: it belongs to the connection", key.Value)
		case twice:
			c.problem(key, "the names of headers have no case; use mutate or wire to send a header twice", "the header %s is on line %d already", key.Value, first)
		}
		lines[folded] = key.Line
		c.fieldValue(n.Items[i])
	}
}

// fieldValue refuses what would end a header line: a scenario cannot smuggle
// headers in.
func (c *checker) fieldValue(n *strictyaml.Node) {
	if strings.ContainsAny(n.Value, "\r\n\x00") {
		c.problem(n, "use wire or mutate to send malformed headers", "%s must not hold a line break or a NUL", n.Name())
	}
}

// mutation checks a departure and reads its argument.
func (c *checker) mutation(n *strictyaml.Node, step *Step) {
	part, err := oneSpelling(n)
	if err != nil || !c.known(part.name, "part of a delivery", c.parts) {
		return
	}
	var ways []Entry
	for _, m := range c.vocabulary.Mutations {
		if m.Part == part.name.Value {
			ways = append(ways, m)
		}
	}
	e, ok := c.word(part.arg, &step.Mutate.Word, "mutation of "+part.name.Value, ways)
	if ok && e.Presigned && step.Replay != "" {
		c.problem(n, "mutate the first delivery, or sign a fresh one with retry", "a replay cannot have the mutation %s of %s: it changes what is signed", e.Name, e.Part)
	}
}

// word checks one word and reads its argument.
func (c *checker) word(n *strictyaml.Node, w *Word, what string, entries []Entry) (Entry, bool) {
	s, err := oneSpelling(n)
	if err != nil {
		return Entry{}, false
	}
	return c.spelled(s, w, what, entries)
}

func (c *checker) spelled(s spelling, w *Word, what string, entries []Entry) (Entry, bool) {
	if !c.known(s.name, what, names(entries)) {
		return Entry{}, false
	}
	e := entries[slices.IndexFunc(entries, func(e Entry) bool { return e.Name == s.name.Value })]
	w.Arg = c.argument(s, e)
	return e, true
}

// examples are arguments, for hints.
var examples = map[Kind]string{Text: `"text"`, Number: "3", Span: "10m", Statuses: "[401, 403]"}

func (c *checker) argument(s spelling, e Entry) any {
	switch {
	case s.arg == nil && (e.Arg == None || e.Optional):
		return nil
	case s.arg == nil:
		c.problem(s.name, "write {"+e.Name+": "+examples[e.Arg]+"}", "%s needs an argument", e.Name)
		return nil
	case e.Arg == None:
		c.problem(s.arg, "write "+e.Name+" alone", "%s takes no argument", e.Name)
		return nil
	}
	value, err := c.read(s.arg, e.Arg)
	c.errs.Add(s.arg, err)
	return value
}

func (c *checker) read(n *strictyaml.Node, kind Kind) (any, error) {
	switch kind {
	case Number:
		i, err := n.Int()
		if err == nil && (i < 0 || i > maxNumber) {
			err = n.Errorf("%s must be from 0 to %d, got %d", n.Name(), maxNumber, i)
		}
		return i, err
	case Span:
		return n.Duration()
	case Statuses:
		var list []int
		err := n.Decode(&list)
		for _, status := range items(n) {
			c.status(status)
		}
		if err == nil && len(list) == 0 {
			err = n.Errorf("%s is empty", n.Name()).Hintf("name at least one status")
		}
		return list, err
	}
	return n.Text()
}

// expectations checks what must be observed and reads its arguments.
func (c *checker) expectations(n *strictyaml.Node, expect Expect) {
	if n == nil {
		return
	}
	words, err := expected(n)
	if err != nil {
		return
	}
	seen := map[string]bool{}
	for i, s := range words {
		c.spelled(s, &expect[i], "expectation", c.vocabulary.Expectations)
		if seen[s.name.Value] {
			c.problem(s.name, "", "%s is expected twice", s.name.Value)
		}
		seen[s.name.Value] = true
	}
	if seen["accepted"] && seen["rejected"] {
		c.problem(n, "a delivery is one or the other; expectations of single steps stand in the steps", "accepted and rejected cannot both be expected")
	}
}
