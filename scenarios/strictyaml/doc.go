// Package strictyaml reads one small YAML document, strictly.
//
// Files written by people are read to be understood in one way only. So the
// reader takes the plain part of YAML 1.2 (mappings, lists, scalars, block and
// flow style) and refuses the rest: anchors, aliases, merge keys, tags,
// directives, further documents, texts that go on over several lines without
// being a block. A key that is unknown or stands twice, a value of the wrong
// type, a number that YAML 1.1 and 1.2 read differently: each is an Error that
// shows the place, the line and, where there is one, the way out.
//
// Everything is bounded (see the Max constants) before a parser sees it, so that
// no input takes more than a tenth of a second or 64 MiB.
//
// Values are decoded into Go types by reflection: structs, slices, maps with text
// keys, pointers, text, bool, integers and time.Duration. Where a list is due,
// one item stands for a list of one. A type that implements Unmarshaler decodes
// itself. The tags of a struct's fields say the rest:
//
//	yaml:"times"            the key; a field without one is not read
//	doc:"how often to send" what it means, for messages and for the schema
//	required:"true"         the key must be there
//	enum:"must,should,may"  the words that the text may be
//	range:"1..20000"        the bounds of an integer
//	words:"payloads"        for the schema: see Special
package strictyaml

import "time"

// The bounds of a document.
const (
	MaxBytes  = 256 << 10 // of the file
	MaxLine   = 16 << 10  // bytes of one line
	MaxScalar = 64 << 10  // bytes of one value
	MaxKey    = 128       // bytes of one key
	MaxDepth  = 32        // collections within collections
	MaxItems  = 1000      // entries of one collection
	MaxNodes  = 10_000    // keys, values and collections together
	MaxErrors = 20        // problems reported at once

	maxTokens     = 30_000 // comments and punctuation included
	maxBlankLines = 20     // in a row: the scanner is quadratic in them
)

// MaxDuration is the greatest time that can be written, either way.
const MaxDuration = 400 * 24 * time.Hour

// Unmarshaler is a type that decodes itself. An *Error or Errors that it returns
// is reported as it is, any other error at the node's position.
type Unmarshaler interface {
	UnmarshalNode(n *Node) error
}

// KeyExplainer is a struct that knows more about some keys it does not have than
// that they are unknown. ExplainKey returns a hint, or "".
type KeyExplainer interface {
	ExplainKey(key string) string
}

// Decode reads src into v, a pointer. The file's name is used in messages only.
// The error is an Errors. The document is returned even then, unless it could
// not be read at all, so that a caller can point at further problems.
func Decode(file string, src []byte, v any) (*Document, error) {
	doc, err := Read(file, src)
	if err != nil {
		return nil, err
	}
	d := decoder{}
	d.decode(doc.Root, elem(v))
	return doc, d.errs.Err()
}

// Read reads src without decoding it. The error is an Errors.
func Read(file string, src []byte) (*Document, error) {
	doc := &Document{File: file, src: src}
	if err := doc.read(); err != nil {
		return nil, Errors{err}
	}
	return doc, nil
}
