package strictyaml

import (
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/scanner"
	"github.com/goccy/go-yaml/token"
)

// scan is the document's tokens, without comments. It stops at the first one that
// breaks a rule or a bound.
func (d *Document) scan() (token.Tokens, *Error) {
	var s scanner.Scanner
	s.Init(strings.ReplaceAll(string(d.src), "\r\n", "\n")) // the scanner counts some CRLF twice
	var tokens token.Tokens
	check := tokenCheck{doc: d}
	for {
		found, err := s.Scan()
		if errors.Is(err, io.EOF) {
			return tokens, nil
		}
		for _, tk := range found {
			if err := check.token(tk); err != nil {
				return nil, err
			}
			if tk.Type != token.CommentType {
				tokens.Add(tk)
			}
		}
		if err != nil {
			return nil, d.syntaxError(err)
		}
	}
}

// tokenCheck holds the rules and bounds while tokens go by. The parser trusts its
// tokens more than it should, and needs more than linear time for some.
type tokenCheck struct {
	doc    *Document
	count  int
	at     *token.Token // the one that is being checked
	last   *token.Token // the one before, or nil
	flow   int          // open brackets and braces
	blocks []block      // open block collections

	line, column int // of rest: see source
	rest         string
}

// block is a block collection: how far it is indented, and its entries so far.
type block struct{ indent, entries int }

func (c *tokenCheck) errorf(format string, args ...any) *Error {
	return c.doc.errorAt(c.at.Position.Line, c.at.Position.Column, format, args...)
}

func (c *tokenCheck) token(tk *token.Token) *Error {
	c.at = tk
	if c.count++; c.count > maxTokens {
		return c.errorf("the file has too many parts: more than %d words and signs", maxTokens).Hintf("split it into several files")
	}
	if tk.Type == token.CommentType {
		return nil
	}
	if what, ok := refused[tk.Type]; ok {
		return c.errorf("%s not allowed: a file must say what it means where it stands", what).Hintf("write the value out, or quote it if it is meant as text")
	}
	if rule, ok := rules[tk.Type]; ok {
		if err := rule(c); err != nil {
			return err
		}
	}
	c.last = tk
	return c.bounds()
}

// refused are the tokens that stand for more than they show.
var refused = map[token.Type]string{
	token.AnchorType:      "anchors (&name) are",
	token.AliasType:       "aliases (*name) are",
	token.MergeKeyType:    "merge keys (<<) are",
	token.TagType:         "tags (!name) are",
	token.DirectiveType:   "directives (%name) are",
	token.MappingKeyType:  "explicit keys (? name) are",
	token.DocumentEndType: "document end markers (...) are",
}

// rules are what a token must not be, or not be here.
var rules = map[token.Type]func(*tokenCheck) *Error{
	token.InvalidType:        func(c *tokenCheck) *Error { return c.doc.invalid(c.at) },
	token.DocumentHeaderType: (*tokenCheck).document,
	token.MappingStartType:   (*tokenCheck).opened,
	token.SequenceStartType:  (*tokenCheck).opened,
	token.MappingEndType:     (*tokenCheck).closed,
	token.SequenceEndType:    (*tokenCheck).closed,
	token.CollectEntryType:   (*tokenCheck).comma,
	token.SequenceEntryType:  (*tokenCheck).hyphen,
	token.MappingValueType:   (*tokenCheck).colon,
	token.LiteralType:        (*tokenCheck).blockHeader,
	token.FoldedType:         (*tokenCheck).blockHeader,
	token.StringType:         (*tokenCheck).plain,
	token.SingleQuoteType:    (*tokenCheck).oneLine,
	token.DoubleQuoteType:    (*tokenCheck).doubleQuoted,
}

// follows tells whether the token before is one of these.
func (c *tokenCheck) follows(types ...token.Type) bool {
	return c.last != nil && slices.Contains(types, c.last.Type)
}

func (c *tokenCheck) document() *Error {
	if c.last != nil {
		return c.errorf("a second document begins here; a file holds one").Hintf("move it into a file of its own, or remove the ---")
	}
	return nil
}

func (c *tokenCheck) opened() *Error {
	c.flow++
	return nil
}

func (c *tokenCheck) closed() *Error {
	if c.flow == 0 {
		return c.errorf("not valid YAML: %s closes nothing", Quote(c.at.Value))
	}
	c.flow--
	return nil
}

func (c *tokenCheck) comma() *Error {
	if c.follows(token.CollectEntryType, token.MappingStartType, token.SequenceStartType) {
		return c.errorf("not valid YAML: nothing stands before the comma")
	}
	return nil
}

func (c *tokenCheck) hyphen() *Error {
	if c.flow > 0 {
		return c.errorf("not valid YAML: a list item with a hyphen stands within brackets").Hintf("remove the hyphen, or the brackets")
	}
	c.entry(2*c.at.Position.Column + 1) // a list may stand at the column of its own key
	return nil
}

func (c *tokenCheck) colon() *Error {
	if c.last == nil {
		return nil // the parser says what is missing
	}
	if behind := c.source(); c.follows(token.StringType) && len(behind) > 1 && behind[1] != ' ' {
		return c.errorf("not valid YAML: a blank must stand behind the colon of a key")
	}
	if len(c.last.Value) > MaxKey {
		return c.errorf("a key has %d bytes; the limit is %d", len(c.last.Value), MaxKey)
	}
	if c.flow == 0 {
		c.entry(2 * c.last.Position.Column)
	}
	return nil
}

// header is how a text over several lines begins.
var header = regexp.MustCompile(`^[|>]([-+]?[1-9]?|[1-9][-+])$`)

func (c *tokenCheck) blockHeader() *Error {
	if c.flow > 0 || !header.MatchString(strings.TrimSpace(c.at.Value)) {
		return c.errorf("not valid YAML: %s does not begin a block", Quote(c.at.Value)).Hintf("write | or >, with a - behind it to cut off the last line end")
	}
	return nil
}

// oneLine refuses texts that readers join in different ways. Most of them are
// keys that are indented too far.
func (c *tokenCheck) oneLine() *Error {
	if strings.Contains(c.text(), "\n") {
		return c.errorf("a text goes on over several lines").
			Hintf("write it on one line, or as a block (> joins lines, | keeps them); if a key was meant, indent it like its neighbours")
	}
	return nil
}

func (c *tokenCheck) text() string { return strings.TrimSpace(c.at.Origin) }

// plain refuses a text without quotes that holds signs that mean something where
// they stand.
func (c *tokenCheck) plain() *Error {
	if c.follows(token.LiteralType, token.FoldedType) {
		return nil
	}
	if err := c.oneLine(); err != nil {
		return err
	}
	text := c.text()
	if strings.Contains(text, ": ") || strings.HasSuffix(text, ":") || strings.Contains(text, " #") ||
		strings.ContainsAny(text[:min(1, len(text))], ",[]{}%") || c.flow > 0 && strings.ContainsAny(text, ",[]{}") {
		return c.errorf("%s could be read in several ways", Quote(text)).Hintf("put it in quotes")
	}
	return nil
}

// quoted is a text between double quotes. The scanner skips digits that are
// missing from an escape, and takes the ones behind.
var quoted = regexp.MustCompile(`^"([^"\\]|\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[^xuU]))*"`)

func (c *tokenCheck) doubleQuoted() *Error {
	if err := c.oneLine(); err != nil {
		return err
	}
	if strings.Contains(c.text(), `\`) && !quoted.MatchString(c.source()) {
		return c.errorf("the text holds a malformed escape").Hintf(`an escape is written \n, \x1b, \u202e or \U0001f600, a backslash \\`)
	}
	return nil
}

// source is the rest of the line from the token on. Tokens come in order, so the
// cursor moves forwards only.
func (c *tokenCheck) source() string {
	at := c.at.Position
	if c.line != at.Line || c.column > at.Column {
		c.line, c.column, c.rest = at.Line, 1, c.doc.line(at.Line)
	}
	for ; c.column < at.Column && c.rest != ""; c.column++ {
		_, size := utf8.DecodeRuneInString(c.rest)
		c.rest = c.rest[size:]
	}
	return c.rest
}

// entry notes an entry of a block collection; those indented further have ended.
func (c *tokenCheck) entry(indent int) {
	top := len(c.blocks) - 1
	for top >= 0 && c.blocks[top].indent > indent {
		top--
	}
	c.blocks = c.blocks[:top+1]
	if top < 0 || c.blocks[top].indent < indent {
		c.blocks = append(c.blocks, block{indent: indent})
	}
	c.blocks[len(c.blocks)-1].entries++
}

// bounds keeps the parser from inputs that cost it more than linear time: deep
// nesting, many entries, long keys.
func (c *tokenCheck) bounds() *Error {
	switch {
	case len(c.at.Value) > MaxScalar:
		return c.errorf("a value has %d bytes; the limit is %d", len(c.at.Value), MaxScalar)
	case c.flow+len(c.blocks) > 2*MaxDepth: // some are closed, but not known to be
		return c.errorf("collections are nested more than %d deep", MaxDepth)
	case len(c.blocks) > 0 && c.blocks[len(c.blocks)-1].entries > MaxItems:
		return c.errorf("a collection has more than %d entries", MaxItems).Hintf("split it")
	}
	return nil
}
