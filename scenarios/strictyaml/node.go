package strictyaml

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Document is one file that was read.
type Document struct {
	File string
	Root *Node

	src   []byte
	lines []string // of src, once one is asked for
	nodes int
}

// Kind is what a node is, by its spelling alone.
type Kind string

const (
	Text   Kind = "text"
	Number Kind = "a number"
	Bool   Kind = "true or false"
	Null   Kind = "nothing"
	List   Kind = "a list"
	Map    Kind = "a mapping"
)

// Node is a value of the document with its position, counted from 1 in
// characters.
type Node struct {
	Kind Kind
	// Value is the text of a scalar: without its quotes, unescaped.
	Value string
	// Items are the values of a list or a mapping, Keys those of a mapping.
	Items []*Node
	Keys  []*Node

	Line, Column int

	quoted bool // the scalar does not stand plain
	doc    *Document
	parent *Node
	index  int // in parent.Items
}

// Get returns the value under a key of a mapping, or nil.
func (n *Node) Get(key string) *Node {
	if n == nil || n.Kind != Map {
		return nil
	}
	for i, k := range n.Keys {
		if k.Value == key {
			return n.Items[i]
		}
	}
	return nil
}

// Key returns the key node of that name of a mapping, and the mapping itself
// where it has no such key: the place to point at.
func (n *Node) Key(key string) *Node {
	for _, k := range n.Keys {
		if k.Value == key {
			return k
		}
	}
	return n
}

// At follows keys (strings) and indices (ints) from the root, as far as they
// exist: At("cases", 3, "expect").
func (d *Document) At(path ...any) *Node {
	n := d.Root
	for _, step := range path {
		next := n.child(step)
		if next == nil {
			break
		}
		n = next
	}
	return n
}

func (n *Node) child(step any) *Node {
	switch s := step.(type) {
	case string:
		return n.Get(s)
	case int:
		if n.Kind == List && s >= 0 && s < len(n.Items) {
			return n.Items[s]
		}
	}
	return nil
}

// Name is what the node is called in messages: the key it stands under, with the
// place in a list, counted from 1.
func (n *Node) Name() string {
	switch p := n.parent; {
	case p == nil:
		return "the document"
	case p.Kind == Map:
		return Quote(p.Keys[n.index].Value)
	default:
		return fmt.Sprintf("item %d of %s", n.index+1, p.Name())
	}
}

// Decode decodes the node into v, a pointer. The error is an Errors.
func (n *Node) Decode(v any) error {
	d := decoder{}
	d.decode(n, elem(v))
	return d.errs.Err()
}

// Text is the value of a node that must be text.
func (n *Node) Text() (string, error) {
	if n.Kind != Text {
		return "", n.mismatch(Text)
	}
	if word11[n.Value] && !n.quoted {
		return "", n.Errorf("%s says %s, which some YAML readers take for a boolean", n.Name(), n.Value).Hintf("quote it: %q", n.Value)
	}
	return n.Value, nil
}

// Bool is the value of a node that must be true or false.
func (n *Node) Bool() (bool, error) {
	if n.Kind != Bool {
		return false, n.mismatch(Bool)
	}
	return n.Value == "true", nil
}

// Int is the value of a node that must be an integer: decimal digits, with a
// minus sign if need be, and nothing else.
func (n *Node) Int() (int, error) {
	if n.Kind != Number {
		return 0, n.mismatch("a whole number")
	}
	if !decimal.MatchString(n.Value) {
		return 0, n.Errorf("%s must be a whole number in decimal digits, got %s", n.Name(), Quote(n.Value)).
			Hintf("YAML readers disagree about leading zeros, underscores, exponents and other bases: write plain digits, such as 1000")
	}
	i, err := strconv.Atoi(n.Value)
	if err != nil || i > maxInt || i < -maxInt {
		return 0, n.Errorf("%s is out of range: %s", n.Name(), Quote(n.Value)).Hintf("the greatest number is %d", maxInt)
	}
	return i, nil
}

// maxInt holds on every platform.
const maxInt = 1<<31 - 1

// Duration is the value of a node that must be a time with its unit: 5s, 1m30s,
// 250ms or, where the caller allows it, -24h.
func (n *Node) Duration() (time.Duration, error) {
	if n.Kind == Number && decimal.MatchString(n.Value) {
		return 0, n.Errorf("%s has no unit: %s", n.Name(), Quote(n.Value)).Hintf("write %s for seconds; the units are ms, s, m and h", Quote(n.Value+"s"))
	}
	if n.Kind != Text && n.Kind != Number {
		return 0, n.mismatch("a time such as 30s")
	}
	d, err := ParseDuration(n.Value)
	if err != nil {
		return 0, n.Errorf("%s must be a time such as 30s, got %s", n.Name(), Quote(n.Value)).Hintf("%v", err)
	}
	return d, nil
}

// DurationPattern is the spelling of a time, as a regular expression.
const DurationPattern = `^-?([0-9]{1,9}(\.[0-9]{1,9})?(ms|us|s|m|h))+$`

// ParseDuration reads a time: digits with a unit (ms, s, m, h), and several of
// them in a row, with a minus sign if need be. It is at most MaxDuration.
func ParseDuration(s string) (time.Duration, error) {
	if !span.MatchString(s) {
		return 0, fmt.Errorf("a time is written with its unit, such as 250ms, 30s, 1m30s or 24h")
	}
	d, err := time.ParseDuration(s)
	if err != nil || d > MaxDuration || d < -MaxDuration {
		return 0, fmt.Errorf("a time is at most %dh", int(MaxDuration.Hours()))
	}
	return d, nil
}

var (
	decimal = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)
	span    = regexp.MustCompile(DurationPattern)

	// numeric is what any reader of YAML 1.1 or 1.2 would take for a number.
	numeric = regexp.MustCompile(`^[-+]?(0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]+|0[bB][01_]+|\.?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
)

// word11 are the plain words that YAML 1.1 took for booleans.
var word11 = words("yes no on off y n True False TRUE FALSE Yes No On Off YES NO ON OFF Y N")

// null are the plain words that mean that there is no value.
var null = words("~ null Null NULL")

func words(list string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}

// kindOf tells what a scalar without quotes is.
func kindOf(text string) Kind {
	switch {
	case text == "" || null[text]:
		return Null
	case text == "true" || text == "false":
		return Bool
	case numeric.MatchString(text):
		return Number
	}
	return Text
}

func (n *Node) mismatch(want Kind) *Error {
	if n.Kind == Null {
		return n.Errorf("%s has no value; it must be %s", n.Name(), want).Hintf("give it one, or remove the key")
	}
	err := n.Errorf("%s must be %s, got %s", n.Name(), want, n.shown())
	switch {
	case want == Text && (n.Kind == Number || n.Kind == Bool):
		return err.Hintf("quote it: %q", clip(n.Value, 40))
	case want == Bool && n.Kind == Text:
		return err.Hintf("write true or false")
	}
	return err
}

// shown is the node in a message: its kind, with the text of a scalar.
func (n *Node) shown() string {
	switch n.Kind {
	case List, Map, Null:
		return string(n.Kind)
	case Text:
		return "the text " + Quote(n.Value)
	case Number:
		return "the number " + Quote(n.Value)
	}
	return n.Value
}
