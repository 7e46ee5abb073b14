package scenarios

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

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
var examples = map[Kind]string{Text: `"text"`, Number: "3", Span: "10m", Statuses: "[401, 403]", GapKind: "{after: 1, at-least: 2s}"}

// example is an argument of a word.
func example(e Entry) string {
	if e.Arg == Names {
		return "[" + strings.Join(e.Choices, ", ") + "]"
	}
	return examples[e.Arg]
}

func (c *checker) argument(s spelling, e Entry) any {
	switch {
	case s.arg == nil && (e.Arg == None || e.Optional):
		return nil
	case s.arg == nil:
		c.problem(s.name, "write {"+e.Name+": "+example(e)+"}", "%s needs an argument", e.Name)
		return nil
	case e.Arg == None:
		c.problem(s.arg, "write "+e.Name+" alone", "%s takes no argument", e.Name)
		return nil
	}
	value, err := c.read(s.arg, e)
	c.errs.Add(s.arg, err)
	return value
}

func (c *checker) read(n *strictyaml.Node, e Entry) (any, error) {
	switch e.Arg {
	case Number:
		i, err := n.Int()
		if most := cmp.Or(e.Most, maxNumber); err == nil && (i < 0 || i > most) {
			err = n.Errorf("%s must be from 0 to %d, got %d", n.Name(), most, i)
		}
		return i, err
	case Names:
		return c.choices(n, e.Choices)
	case GapKind:
		return c.gap(n)
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

// choices reads one or more of the words.
func (c *checker) choices(n *strictyaml.Node, known []string) (list []string, err error) {
	if err := n.Decode(&list); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, n.Errorf("%s is empty", n.Name()).Hintf("%s", strictyaml.DidYouMean("", known))
	}
	for _, item := range items(n) {
		if len(known) > 0 {
			c.known(item, "word of "+word(n), known)
		}
	}
	c.distinct(items(n))
	return list, nil
}

// word is what an argument belongs to, as it stands in messages.
func word(n *strictyaml.Node) string { return strings.Trim(n.Name(), `"`) }

// gap reads the bounds of a gap.
func (c *checker) gap(n *strictyaml.Node) (Gap, error) {
	var gap Gap
	if n.Kind != strictyaml.Map {
		return gap, n.Errorf("%s must be a mapping of after, at-least and at-most", n.Name()).Hintf("write {gap: %s}", examples[GapKind])
	}
	if err := n.Decode(&gap); err != nil {
		return gap, err
	}
	least, most := n.Get("at-least"), n.Get("at-most")
	switch {
	case least == nil && most == nil:
		return gap, n.Errorf("%s has no bound", n.Name()).Hintf("add at-least or at-most; a gap of any length would always pass")
	case most != nil && gap.AtMost < gap.AtLeast:
		return gap, most.Errorf("at-most is less than at-least")
	case most != nil && gap.AtMost == 0:
		return gap, most.Errorf("at-most must be more than 0")
	}
	return gap, nil
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
	seen := map[string]*Word{}
	for i, s := range words {
		e, ok := c.spelled(s, &expect[i], "expectation", c.vocabulary.Expectations)
		if seen[s.name.Value] != nil && !(ok && differs(e, expect[:i], expect[i])) {
			c.problem(s.name, "", "%s is expected twice", s.name.Value)
		}
		seen[s.name.Value] = &expect[i]
	}
	for _, x := range contradictions {
		if seen[x.a] != nil && seen[x.b] != nil && (x.when == nil || x.when(seen[x.a].Arg, seen[x.b].Arg)) {
			c.problem(n, x.why, "%s and %s cannot both be expected", x.a, x.b)
		}
	}
}

// differs tells that a word may stand beside those of its name before it.
func differs(e Entry, before Expect, w Word) bool {
	return (e.Repeats || e.Arg == GapKind) && !slices.ContainsFunc(before, func(b Word) bool {
		gap, ok := w.Arg.(Gap)
		other, _ := b.Arg.(Gap)
		return b.Name == w.Name && (ok && gap.After == other.After || !ok && reflect.DeepEqual(b.Arg, w.Arg))
	})
}

// contradictions are expectations of which one is wrong whatever is observed. A
// word that a role has not does not matter to it.
var contradictions = []struct {
	a, b string
	when func(a, b any) bool // by their arguments; always where it is nil
	why  string
}{
	{"accepted", "rejected", nil, "a delivery is one or the other; expectations of single steps stand in the steps"},
	{"attempts", "attempts-at-least", less, "no number of attempts is both"},
	{"attempts-at-most", "attempts", less, "no number of attempts is both"},
	{"attempts-at-most", "attempts-at-least", less, "no number of attempts is both"},
	{"silent", "attempts", positive, nothing},
	{"silent", "attempts-at-least", positive, nothing},
	{"silent", "delivered", nil, nothing},
	{"silent", "delivered-within", nil, nothing},
	{"silent", "exhausted", nil, nothing},
	{"silent", "schedule", nil, nothing},
	{"silent", "growing", nil, nothing},
	{"silent", "gap", nil, nothing},
}

const nothing = "silent means that no attempt comes at all; expectations of single triggers stand in the triggers"

func less(a, b any) bool {
	x, known := a.(int)
	y, both := b.(int)
	return known && both && x < y
}

func positive(_, b any) bool { return less(0, b) }
