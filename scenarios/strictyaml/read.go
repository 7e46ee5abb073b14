package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// read fills in the document's tree. The parser sees only what passed the bounds
// on bytes and on tokens, and a panic within it is a refusal like any other.
func (d *Document) read() (refusal *Error) {
	defer func() {
		if p := recover(); p != nil {
			refusal = d.errorAt(1, 1, "the file cannot be read as YAML: %s", Quote(fmt.Sprint(p)))
		}
	}()
	if err := d.checkBytes(); err != nil {
		return err
	}
	tokens, err := d.scan()
	if err != nil {
		return err
	}
	file, syntax := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if syntax != nil {
		return d.syntaxError(syntax)
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return d.errorAt(1, 1, "the file is empty").Hintf("a file holds at least one key; blanks and comments are not enough")
	}
	d.Root, err = d.build(file.Docs[0].Body, nil, 0, 0)
	return err
}

// checkBytes refuses what is not short, plain text.
func (d *Document) checkBytes() *Error {
	if len(d.src) > MaxBytes {
		size := len(d.src)
		d.src = d.src[:MaxLine]
		return d.errorAt(1, 1, "the file has %d bytes; the limit is %d", size, MaxBytes).Hintf("split it into several files")
	}
	if bytes.HasPrefix(d.src, []byte("\xff\xfe")) || bytes.HasPrefix(d.src, []byte("\xfe\xff")) || bytes.HasPrefix(d.src, []byte("\xef\xbb\xbf")) {
		return d.errorAt(1, 1, "the file begins with a byte order mark").Hintf("save it as UTF-8 without one")
	}
	blank := 0
	number := 0
	for line := range bytes.Lines(d.src) {
		number++
		if err := d.checkLine(number, line); err != nil {
			return err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			blank = 0
		} else if blank++; blank > maxBlankLines {
			return d.errorAt(number, 1, "more than %d blank lines in a row", maxBlankLines).Hintf("remove them")
		}
	}
	return nil
}

func (d *Document) checkLine(number int, line []byte) *Error {
	if len(line) > MaxLine {
		return d.errorAt(number, 1, "the line has %d bytes; the limit is %d", len(line), MaxLine).Hintf("write long text as a block: |")
	}
	column := 0
	for i := 0; i < len(line); {
		column++
		r, size := utf8.DecodeRune(line[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return d.errorAt(number, column, "byte 0x%02x is not valid UTF-8", line[i]).Hintf("save the file as UTF-8")
		case r == '\r' && i+1 < len(line) && line[i+1] == '\n':
		case r != '\t' && r != '\n' && unicode.IsControl(r), r == '\uFEFF', unicode.Is(unicode.Bidi_Control, r):
			return d.errorAt(number, column, "the character U+%04X must not stand in a file as it is: it would hide what the file says", r).
				Hintf(`write it as the escape "\u%04x" between double quotes`, r)
		}
		i += size
	}
	return nil
}

func (d *Document) invalid(tk *token.Token) *Error {
	err := d.malformed(tk, tk.Error)
	if at := []rune(err.Source); err.Column <= len(at) && at[err.Column-1] == '\t' {
		err.Message, err.Hint = "a tab stands where the line is indented", "indent with spaces"
	}
	return err
}

func (d *Document) syntaxError(err error) *Error {
	var at interface {
		GetMessage() string
		GetToken() *token.Token
	}
	if errors.As(err, &at) && at.GetToken() != nil {
		return d.malformed(at.GetToken(), at.GetMessage())
	}
	return d.errorAt(1, 1, "not valid YAML: %s", printable(clip(err.Error(), 200)))
}

func (d *Document) malformed(tk *token.Token, message string) *Error {
	err := d.errorAt(tk.Position.Line, tk.Position.Column, "not valid YAML: %s", printable(clip(message, 100)))
	if strings.HasPrefix(message, "mapping value is not allowed") {
		return err.Hintf("quote a text that holds a colon with a blank behind it")
	}
	return err
}

// build turns a syntax tree into nodes.
func (d *Document) build(from ast.Node, parent *Node, index, depth int) (*Node, *Error) {
	n := &Node{doc: d, parent: parent, index: index}
	n.Line, n.Column = position(from)
	if d.nodes++; d.nodes > MaxNodes {
		return nil, n.Errorf("the file has more than %d values", MaxNodes).Hintf("split it into several files")
	}
	if depth > MaxDepth {
		return nil, n.Errorf("collections are nested more than %d deep", MaxDepth)
	}
	if index >= MaxItems {
		return nil, n.Errorf("a collection has more than %d entries", MaxItems).Hintf("split it")
	}
	switch from := from.(type) {
	case *ast.MappingNode:
		n.Kind = Map
		return n, d.entries(n, from.Values, from.IsFlowStyle, depth)
	case *ast.MappingValueNode:
		n.Kind = Map
		return n, d.entries(n, []*ast.MappingValueNode{from}, from.IsFlowStyle, depth)
	case *ast.SequenceNode:
		n.Kind = List
		return n, d.items(n, from.Values, from.IsFlowStyle, depth)
	case *ast.LiteralNode:
		n.Kind, n.Value, n.quoted = Text, from.Value.Value, true
	case *ast.StringNode:
		n.Kind, n.Value, n.quoted = Text, from.Value, from.Token.Type != token.StringType
		if !n.quoted {
			n.Kind = kindOf(n.Value)
		}
	default:
		scalar, ok := from.(ast.ScalarNode)
		if !ok {
			return nil, n.Errorf("%s is not allowed here", strings.ToLower(from.Type().YAMLName()))
		}
		n.Value = scalar.GetToken().Value
		n.Kind = kindOf(n.Value)
	}
	return n, nil
}

func (d *Document) entries(n *Node, values []*ast.MappingValueNode, flow bool, depth int) *Error {
	lines := map[string]int{}
	for i, entry := range values {
		key, err := d.build(entry.Key, n, i, depth)
		if err != nil {
			return err
		}
		if first, twice := lines[key.Value]; twice {
			return key.Errorf("the key %s stands here a second time", Quote(key.Value)).Hintf("it is on line %d already", first)
		}
		lines[key.Value] = key.Line
		n.Keys = append(n.Keys, key)
		value, err := d.build(entry.Value, n, i, depth+1)
		if err != nil {
			return err
		}
		if !flow && value.Kind != List && value.Line > key.Line && value.Column <= key.Column {
			return outdented(value)
		}
		if value.Kind == Null {
			value.Line, value.Column = key.Line, key.Column // nothing is nowhere
		}
		n.Items = append(n.Items, value)
	}
	return nil
}

func (d *Document) items(n *Node, values []ast.Node, flow bool, depth int) *Error {
	for i, value := range values {
		item, err := d.build(value, n, i, depth+1)
		if err != nil {
			return err
		}
		if !flow && item.Column <= n.Column {
			return outdented(item)
		}
		n.Items = append(n.Items, item)
	}
	return nil
}

func outdented(n *Node) *Error {
	return n.Errorf("not valid YAML: a value stands no further right than what it belongs to").Hintf("indent it")
}

// position is where a node begins. The parser's own token of a mapping is its
// first colon.
func position(n ast.Node) (line, column int) {
	switch n := n.(type) {
	case *ast.MappingValueNode:
		return position(n.Key)
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return position(n.Values[0].Key)
		}
	case *ast.LiteralNode:
		return n.Start.Position.Line, n.Start.Position.Column
	}
	at := n.GetToken().Position
	return at.Line, at.Column
}
