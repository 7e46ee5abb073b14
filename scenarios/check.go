package scenarios

import (
	"cmp"
	"reflect"
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
	maxNumber  = 1_000_000     // a word's argument
	maxFigure  = 1_000_000_000 // an expectation's
	maxSent    = 1 << 30       // bytes: times by size
	maxAfter   = time.Minute   // time that is waited before a step or a trigger, or in the dark
)

var (
	name  = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	token = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]{1,64}$") // RFC 9110, section 5.6.2
	query = regexp.MustCompile(`^[!$-~]*$`)                          // printable ASCII without '"' and '#'
)

// roles are the first parts of suite names. The words of a suite are those of its
// role's vocabulary.
func roles(vocabularies []Vocabulary) []string {
	var list []string
	for _, v := range vocabularies {
		list = append(list, v.Role)
	}
	return list
}

// check finds what is wrong with a suite whose shape is right.
func check(n *strictyaml.Node, s *Suite, vocabularies []Vocabulary) error {
	role, _, _ := strings.Cut(s.Name, "/")
	i := slices.Index(roles(vocabularies), role)
	if i < 0 {
		c := newChecker(Vocabulary{})
		c.noRole(n.Get("suite"), role, roles(vocabularies))
		return c.errs.Err()
	}
	c := newChecker(vocabularies[i])
	c.suite(n, s)
	return c.errs.Err()
}

// checker collects what is wrong with a suite whose shape is right. Nodes and
// values are walked side by side: the values say what, the nodes say where.
type checker struct {
	vocabulary Vocabulary
	parts      []string // of mutations
	errs       strictyaml.Errors
}

func newChecker(v Vocabulary) *checker {
	v.Expectations = compared(v.Expectations)
	c := &checker{vocabulary: v}
	for _, m := range v.Mutations {
		if !slices.Contains(c.parts, m.Part) {
			c.parts = append(c.parts, m.Part)
		}
	}
	return c
}

// compared are expectations with the bounds of their numbers.
func compared(entries []Entry) []Entry {
	entries = slices.Clone(entries)
	for i := range entries {
		entries[i].Most = cmp.Or(entries[i].Most, maxFigure)
	}
	return entries
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

func (c *checker) noRole(n *strictyaml.Node, role string, known []string) {
	c.problem(n, strictyaml.DidYouMean(role, known), "a suite is named after a role and a topic, such as receiver/signature; there is no role %s", strictyaml.Quote(role))
}

func (c *checker) suiteName(n *strictyaml.Node) {
	if _, topic, _ := strings.Cut(n.Value, "/"); !isName(topic) {
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
	if c.vocabulary.Role != "load" { // which has thresholds
		c.expectations(n.Get("expect"), one.Expect)
	}
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

// deed is what is done in the cases of a role, if they do not measure.
type deed struct {
	key, ordinary string // ordinary completes "write ..."
	expected      string // an example
	check         func(c *checker, n *strictyaml.Node, one *Case)
	expects       func(one *Case) bool // without an expectation of the whole case
}

var deeds = map[string]deed{
	"receiver": {"send", "send: {} for an honest delivery", "accepted", (*checker).deliveries, eachStepExpects},
	"sender":   {"trigger", "trigger: once for one event", "delivered", (*checker).exchange, someTriggerExpects},
	"load":     {"load", "load: {stages: [{rate: 100%, for: 100%}]}", "honest.accepted >= 99.9%", (*checker).loads, func(*Case) bool { return false }},
}

// what checks what is done, or the measurement.
func (c *checker) what(n *strictyaml.Node, one *Case) {
	d := deeds[c.vocabulary.Role]
	does, measure := n.Get(d.key), n.Get("measure")
	switch {
	case c.foreign(n):
		return
	case n.Get("fire") != nil && measure == nil && does == nil:
		c.problem(n.Key("fire"), "add measure: NAME, for what is judged of the sender", "fire stands beside a measurement")
		return
	case does == nil && measure == nil:
		c.problem(n, "add "+d.ordinary+", or measure: NAME", "the case does nothing")
		return
	case measure != nil && does == nil:
		c.known(measure, "measurement", names(c.vocabulary.Measures))
		if c.vocabulary.Role == "load" {
			c.fires(n, one)
		}
	case measure == nil && len(items(does)) == 0:
		c.problem(does, "write "+d.ordinary, "%s is an empty list", d.key)
	case measure == nil:
		d.check(c, n, one)
	}
	if measure == nil && n.Get("expect") == nil && !d.expects(one) {
		c.problem(n, "add expect: "+d.expected+", or whatever must be observed; a check that expects nothing would always pass", "the case expects nothing")
	}
}

// instead says, of the keys of one role's cases, what the other role's have.
var instead = map[string]string{
	"send":      "a sender is triggered: write trigger: once",
	"reject":    "what a sender takes for a refusal shows in what it does next; say that under expect",
	"endpoints": "a receiver has no endpoints to deliver to; deliveries to it stand under send",
	"trigger":   "a receiver is sent deliveries: write send: {}",
	"respond":   "a receiver answers by itself; what it must answer stands under expect",
	"load":      "traffic at a rate stands in a suite called load/NAME",
	"abort-on":  "traffic at a rate stands in a suite called load/NAME",
	"fire":      "events at a rate stand in a suite called load/NAME",
	"within":    "what is measured at a rate stands in a suite called load/NAME",
}

// underLoad says, of the keys of the other roles' cases, what those of load have.
const underLoad = "what is sent at a rate stands under load, and what must be measured of it under expect"

// foreign notes the keys that belong to another role's cases.
func (c *checker) foreign(n *strictyaml.Node) (found bool) {
	keys, index := strictyaml.Fields(reflect.TypeFor[Case]())
	for _, key := range keys {
		role := reflect.TypeFor[Case]().Field(index[key]).Tag.Get("role")
		if role != "" && role != c.vocabulary.Role && n.Get(key) != nil {
			hint := instead[key]
			if c.vocabulary.Role == "load" {
				hint = underLoad
			}
			c.problem(n.Key(key), hint, "%s belongs to %s suites", key, role)
			found = true
		}
	}
	return found
}

// naming checks the name of one of several; lines holds those so far.
func (c *checker) naming(n *strictyaml.Node, what string, lines map[string]int) {
	if n == nil {
		return
	}
	c.named(n, "name of "+article(what))
	if first, twice := lines[n.Value]; twice {
		c.problem(n, "", "the name %s is taken by the %s on line %d", strictyaml.Quote(n.Value), what, first)
	}
	lines[n.Value] = n.Line
}

func article(what string) string {
	if strings.ContainsRune("aeiou", rune(what[0])) {
		return "an " + what
	}
	return "a " + what
}

// conflict is two keys that cannot stand together.
type conflict struct{ a, b, why string }

var caseConflicts = []conflict{
	{"send", "measure", "a measurement sends its own deliveries; write two cases"},
	{"trigger", "measure", "a measurement judges the run, or triggers by itself; write two cases"},
	{"load", "measure", "what is measured of a load stands under expect; write two cases"},
	{"measure", "respond", "a measurement answers by itself"},
	{"measure", "endpoints", "a measurement has an endpoint of its own"},
	{"measure", "expect", "a measurement judges its figure itself"},
	{"measure", "abort-on", "a measurement judges the whole of it"},
	{"load", "fire", "the one is for receivers, the other for senders; write two cases"},
	{"load", "within", "what is measured of a receiver is bounded under expect"},
	{"kills", "unproven", "a case that catches a defect is proven; remove unproven"},
}

func (c *checker) conflicts(n *strictyaml.Node, table []conflict) {
	for _, x := range table {
		if n.Get(x.a) != nil && n.Get(x.b) != nil {
			c.problem(n.Key(x.b), x.why, "%s cannot stand beside %s", x.b, x.a)
		}
	}
}

func hintOf(err error, otherwise string) string {
	if err == nil {
		return otherwise
	}
	return err.Error()
}
