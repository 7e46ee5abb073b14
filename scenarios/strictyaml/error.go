package strictyaml

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error is one problem with a file, and its place.
type Error struct {
	File         string
	Line, Column int // counted from 1, in characters
	Message      string
	Source       string // the offending line, as it is in the file
	Hint         string // what to do, if it can be said
}

// Error is the position and message, the line with a caret below the place, and
// the hint. What comes from the file is shown with control characters escaped.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s", printable(e.File), e.Line, e.Column, e.Message)
	if text, caret := window(e.Source, e.Column); text != "" {
		number := strconv.Itoa(e.Line)
		margin := strings.Repeat(" ", len(number))
		fmt.Fprintf(&b, "\n  %s | %s\n  %s | %s^", number, text, margin, strings.Repeat(" ", caret))
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, "\n  hint: %s", e.Hint)
	}
	return b.String()
}

// Hintf sets the hint and returns e.
func (e *Error) Hintf(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Errors are the problems of a file, in the order in which they were found, at
// most MaxErrors of them.
type Errors []*Error

func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "\n")
}

// Unwrap lets errors.As find an *Error.
func (e Errors) Unwrap() []error {
	list := make([]error, len(e))
	for i, err := range e {
		list[i] = err
	}
	return list
}

// Err is nil where there are no errors.
func (e Errors) Err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// Add appends err, an *Error or Errors, unless there are MaxErrors already. What
// is neither is reported at node n.
func (e *Errors) Add(n *Node, err error) {
	var many Errors
	var one *Error
	switch {
	case err == nil:
	case errors.As(err, &many):
		*e = append(*e, many...)
	case errors.As(err, &one):
		*e = append(*e, one)
	default:
		*e = append(*e, n.Errorf("%v", err))
	}
	if len(*e) > MaxErrors {
		*e = (*e)[:MaxErrors]
	}
}

// Errorf is an error at the node. The text of the arguments is shown as it is:
// use Quote for what comes from the file.
func (n *Node) Errorf(format string, args ...any) *Error {
	return n.doc.errorAt(n.Line, n.Column, format, args...)
}

// ErrorWithin is an error at a column of a scalar's text, counted from 1: of one that
// stands on one line as it is, and at the node itself where it does not.
func (n *Node) ErrorWithin(column int, format string, args ...any) *Error {
	at := n.Column
	for _, quote := range []string{"", `"`, "'"} {
		if line := []rune(n.doc.line(n.Line)); n.Column <= len(line) && strings.HasPrefix(string(line[n.Column-1:]), quote+n.Value) {
			at = n.Column + len(quote) + column - 1
			break
		}
	}
	return n.doc.errorAt(n.Line, at, format, args...)
}

func (d *Document) errorAt(line, column int, format string, args ...any) *Error {
	return &Error{
		File: d.File, Line: max(line, 1), Column: max(column, 1),
		Message: fmt.Sprintf(format, args...),
		Source:  d.line(line),
	}
}

// line is the text of a line, counted from 1.
func (d *Document) line(number int) string {
	if d.lines == nil {
		d.lines = strings.Split(string(d.src), "\n")
	}
	if number < 1 || number > len(d.lines) {
		return ""
	}
	return strings.TrimSuffix(d.lines[number-1], "\r")
}

// Quote shows text from a file in quotes, escaped and clipped.
func Quote(s string) string { return `"` + printable(clip(s, 60)) + `"` }

func clip(s string, limit int) string {
	count := 0
	for i := range s {
		if count++; count > limit {
			return s[:i] + "..."
		}
	}
	return s
}

// The part of a long line that is shown: so much before the place, and after it.
const before, after = 60, 40

// window is the part of a line around a column, printable, and the number of
// cells before that column.
func window(line string, column int) (text string, caret int) {
	runes := []rune(strings.ToValidUTF8(line, "\uFFFD"))
	at := min(max(column-1, 0), len(runes))
	from, to := max(0, at-before), min(len(runes), at+after)
	head, tail := printable(string(runes[from:at])), printable(string(runes[at:to]))
	if from > 0 {
		head = "..." + head
	}
	if to < len(runes) {
		tail += "..."
	}
	return head + tail, utf8.RuneCountInString(head)
}

// printable escapes what a terminal would act upon or not show: control and
// format characters (bidirectional overrides among them) and invalid UTF-8.
func printable(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == ' ' || unicode.IsGraphic(r) && !unicode.Is(unicode.Zs, r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}
