package scenarios

import (
	"maps"
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

func (c *checker) deliveries(n *strictyaml.Node, one *Case) {
	c.steps(items(n.Get("send")), one.Send)
}

func eachStepExpects(one *Case) bool {
	return len(one.Send) > 0 && !slices.ContainsFunc(one.Send, func(s Step) bool { return len(s.Expect) == 0 })
}

func (c *checker) steps(nodes []*strictyaml.Node, steps Steps) {
	lines := map[string]int{}
	for i, n := range nodes {
		step := &steps[i]
		step.Line, step.Column = n.Line, n.Column
		for _, key := range references {
			c.reference(n.Get(key), key, lines, steps)
		}
		c.secured(n.Get("tls"), lines, steps)
		c.step(n, step)
		c.naming(n.Get("as"), "step", lines)
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
var replayed = []string{"as", "replay", "mutate", "wire", "tls", "times", "concurrent", "after", "expect"}

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
	c.query(n.Get("query"))
	if e := n.Get("event"); e != nil {
		c.fieldValue(e)
	}
	if h := n.Get("headers"); h != nil {
		c.headers(h)
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
