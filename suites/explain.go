package suites

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/fixtures/reference"
	"github.com/hookanvil/hookanvil/scenarios"
)

// Explain tells all about a case: what is sent, what is expected and why, what it
// needs, which defects it catches, and how to run it.
func Explain(c scenarios.Case) string {
	e := explanation{role: roleOf(c)}
	shelf, _, _ := strings.Cut(c.Suite, "/")
	e.words = wordsOf(shelf)
	e.line("%s (%s)", c.Name(), c.Level)
	e.line("%s.", c.Title)
	if c.Why != "" {
		e.section("Why")
		e.line("  %s", c.Why)
	}
	if c.Fix != "" {
		e.section("What to do where it fails")
		e.line("  %s", c.Fix)
	}
	e.section("What is done")
	for i, s := range c.Send {
		e.step(i, len(c.Send), s)
	}
	if c.Load != nil {
		e.load(c)
	}
	if c.Fire != nil {
		e.fire(c)
	}
	if e.role == senderRole && c.Load == nil && c.Measure == "" {
		e.sender(c)
	}
	if c.Measure != "" {
		e.line("  It is measured: %s.", doc(e.words.Measures, "", c.Measure))
	}
	if c.Load != nil {
		e.measured(c)
	} else if len(c.Expect) > 0 {
		e.section("What must be observed")
		e.expect("  ", c.Expect)
		if len(c.Reject) > 0 {
			e.line("  Statuses that count as a refusal here: %s.", join(c.Reject))
		}
	}
	e.needs(c)
	e.defects(c)
	e.section("Source")
	e.line("  %s", c.Source)
	e.section("Run it")
	rate := ""
	if isLoad(c) {
		rate = " --rate 200/s --duration 30s"
	}
	e.line("  hookanvil run %s %s --profile NAME --secret env:NAME%s", c.Name(), reachedBy[e.role], rate)
	return e.String()
}

// reachedBy are the flags that say where a subject is.
var reachedBy = map[string]string{receiverRole: "--target URL", senderRole: "--trigger 'POST URL {\"token\":\"{token}\"}'"}

// wordsOf is the vocabulary of a role, or of load.
func wordsOf(role string) scenarios.Vocabulary {
	all := Vocabularies()
	return all[max(slices.IndexFunc(all, func(v scenarios.Vocabulary) bool { return v.Role == role }), 0)]
}

type explanation struct {
	strings.Builder
	role  string
	words scenarios.Vocabulary
}

func (e *explanation) line(format string, args ...any) { fmt.Fprintf(e, format+"\n", args...) }

func (e *explanation) section(title string) { e.line("\n%s", title) }

func (e *explanation) step(i, of int, s scenarios.Step) {
	number := ""
	if of > 1 {
		number = fmt.Sprintf("%d. ", i+1)
	}
	e.line("  %s%s", number, e.what(s))
	e.expect("     of it: ", s.Expect)
}

// what tells in a sentence what a step sends.
func (e *explanation) what(s scenarios.Step) string {
	subject := "A delivery"
	switch {
	case s.Replay != "":
		subject = fmt.Sprintf("A byte-for-byte copy of the delivery %q", s.Replay)
	case s.Retry != "":
		subject = fmt.Sprintf("A retry of the delivery %q (same id and body, freshly signed)", s.Retry)
	case s.SameID != "":
		subject = fmt.Sprintf("A delivery under the id of %q", s.SameID)
	}
	var more []string
	add := func(given bool, format string, args ...any) {
		if given {
			more = append(more, fmt.Sprintf(format, args...))
		}
	}
	add(s.As != "", "called %q", s.As)
	add(s.Payload != "", "with the payload %s (%s)", s.Payload, doc(e.words.Payloads, "", s.Payload))
	if s.Body != nil {
		add(true, "with the body %q", *s.Body)
	}
	add(s.Size > 0, "padded to %d bytes", s.Size)
	add(s.Event != "", "of the event type %s", s.Event)
	add(s.After > 0, "%s after the one before", s.After)
	add(s.Query != "", "with the query %s", s.Query)
	add(len(s.Headers) > 0, "with headers of its own")
	add(s.Key != "", "signed with the %s key", s.Key)
	add(s.At != "", "signed at %s", s.At)
	add(s.Times > 1, "sent %d times", s.Times)
	add(s.Concurrent, "all at once")
	add(s.Fresh, "each with its own id")
	if s.Wire != nil {
		add(true, "which %s%s", doc(e.words.Wires, "", s.Wire.Name), argument(*s.Wire))
	}
	if s.Mutate != nil {
		add(true, "that %s%s", doc(e.words.Mutations, s.Mutate.Part, s.Mutate.Name), argument(s.Mutate.Word))
	}
	if subject == "A delivery" && s.Mutate == nil {
		subject = "An honest, freshly signed delivery"
	}
	return strings.TrimSpace(subject+" "+strings.Join(more, ", ")) + "."
}

// argument shows the argument of a word, where it has one.
func argument(w scenarios.Word) string {
	switch arg := w.Arg.(type) {
	case nil:
		return ""
	case string:
		return fmt.Sprintf(" (%q)", arg)
	case []int:
		return fmt.Sprintf(" (%s)", join(arg))
	case []string:
		return fmt.Sprintf(" (%s)", strings.Join(arg, ", "))
	case scenarios.Gap:
		return fmt.Sprintf(" (%s)", gapText(arg))
	default:
		return fmt.Sprintf(" (%v)", arg)
	}
}

func (e *explanation) expect(indent string, expect scenarios.Expect) {
	for _, w := range expect {
		e.line("%sthe %s %s%s.", indent, e.role, doc(e.words.Expectations, "", w.Name), argument(w))
	}
}

func (e *explanation) needs(c scenarios.Case) {
	if len(c.Needs) == 0 {
		return
	}
	e.section("Where it applies")
	for _, need := range c.Needs {
		e.line("  The profile or the run %s.", doc(e.words.Capabilities, "", need))
	}
}

func (e *explanation) defects(c scenarios.Case) {
	if c.Unproven != "" {
		e.section("Unproven")
		e.line("  %s", c.Unproven)
	}
	if len(c.Kills) == 0 {
		return
	}
	e.section("What it catches")
	for _, name := range c.Kills {
		if d, err := reference.Find(name); err == nil {
			e.line("  %s: a %s that %s", name, d.Role, d.Sentence)
		}
	}
}

// doc is the sentence of a word, or the word where it has none.
func doc(entries []scenarios.Entry, part, name string) string {
	i := slices.IndexFunc(entries, func(e scenarios.Entry) bool { return e.Part == part && e.Name == name })
	if i < 0 || entries[i].Doc == "" {
		return name
	}
	return entries[i].Doc
}

func join(statuses []int) string {
	texts := make([]string, len(statuses))
	for i, s := range statuses {
		texts[i] = fmt.Sprint(s)
	}
	return strings.Join(texts, ", ")
}
