package threshold

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

var (
	aName    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*`)
	aLiteral = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?)(/s\b|%|[A-Za-z][A-Za-z0-9.]*)?`)
	signs    = " ()<>=!+-*/&|"
	operator = []string{"and", "or", "not"}
)

// scan finds the names and the literals that have a unit, and returns the expression
// with a variable of the same length in the place of each: what expr says of a column
// holds for both. What is neither, nor an operator, means nothing.
func (t *Threshold) scan(stages []string) (masked string, err *Error) {
	if len(t.text) > MaxLength {
		return "", &Error{Column: 1, Message: "it has " + strconv.Itoa(len(t.text)) + " bytes; the limit is " + strconv.Itoa(MaxLength), Hint: "write several thresholds"}
	}
	var b strings.Builder
	for at := 0; at < len(t.text); {
		rest := t.text[at:]
		word := aName.FindString(rest)
		number := aLiteral.FindStringSubmatch(rest)
		switch {
		case slices.Contains(operator, word):
			b.WriteString(word)
			at += len(word)
			continue
		case word != "":
			err = t.name(word, at, stages)
		case number != nil:
			word = number[0]
			err = t.number(number, at)
		case !strings.Contains(signs, rest[:1]):
			r, _ := utf8.DecodeRuneInString(rest)
			err = problem(utf8.RuneCountInString(t.text[:at]), "%s means nothing in a threshold", strictyaml.Quote(string(r))).hint(example)
		case strings.HasPrefix(rest, "//") || strings.HasPrefix(rest, "/*"):
			err = problem(at, "a threshold has no comments, which would hide a part of it").hint(example)
		default:
			b.WriteByte(rest[0])
			at++
			continue
		}
		if err != nil {
			return "", err
		}
		b.WriteString(t.masked(word, at))
		at += len(word)
	}
	return b.String(), nil
}

// masked is what stands for a word: the variable of its term, or the word where it is
// a plain number.
func (t *Threshold) masked(word string, at int) string {
	if n := len(t.terms); n > 0 && t.terms[n-1].column == at {
		return t.terms[n-1].mask
	}
	return word
}

func (t *Threshold) add(one *term) {
	one.mask = mask(len(t.terms), len(one.text))
	t.terms = append(t.terms, one)
}

func (t *Threshold) name(word string, at int, stages []string) *Error {
	q, err := find(word, stages)
	if err != nil {
		err.Column += at
		return err
	}
	t.add(&term{text: word, column: at, unit: q.unit, quantity: q})
	return nil
}

// number reads a literal: its digits, and its unit.
func (t *Threshold) number(parts []string, at int) *Error {
	one := &term{text: parts[0], column: at}
	value, err := strconv.ParseFloat(parts[1], 64)
	if err != nil || value > 1e12 {
		return problem(at, "the number %s is too large", strictyaml.Quote(parts[1]))
	}
	switch unit := parts[3]; unit {
	case "":
		return t.plain(parts[0], at)
	case "/s":
		one.unit, one.literal = rate, value
	case "%":
		one.unit, one.literal = share, value/100
	default:
		d, err := strictyaml.ParseDuration(parts[0])
		if err != nil {
			return problem(at, "%s has no unit that is known here", strictyaml.Quote(parts[0])).hint("write 250ms, 1.5s, 0.1%, 1900/s or a plain number")
		}
		one.unit, one.literal = span, float64(d)/float64(time.Millisecond)
	}
	t.add(one)
	return nil
}

// plain refuses numbers that expr would read in another way than they look.
func (t *Threshold) plain(digits string, at int) *Error {
	rest := t.text[at+len(digits):]
	octal := len(digits) > 1 && digits[0] == '0' && digits[1] != '.'
	if octal || strings.HasPrefix(rest, "_") || strings.HasPrefix(rest, ".") {
		return problem(at, "%s is no number in plain decimal digits", strictyaml.Quote(digits+rest[:min(len(rest), 3)])).hint("write 1000, or 0.5")
	}
	return nil
}
