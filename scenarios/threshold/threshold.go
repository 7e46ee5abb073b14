// Package threshold reads conditions on what a load run measured and tells whether
// they hold:
//
//	honest.latency.p99 <= 250ms
//	honest.accepted >= 99.9% and forged.accepted == 0
//	stages.flood.honest.latency.p99 <= 4 * stages.clean.honest.latency.p99 + 50ms
//
// They are expressions of github.com/expr-lang/expr over the names that Names lists,
// with the operators < <= == != >= > + - * / and or not && || ! and parentheses.
// Literals carry their unit, and units are types: a time is not compared with a rate.
// A count that is compared with a percentage is the share of the hits that were
// planned. All that can be wrong with an expression is found when it is read.
package threshold

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// MaxLength is the length of an expression, in bytes.
const MaxLength = 300

// Threshold is a condition that was read. It can be used concurrently.
type Threshold struct {
	text    string
	terms   []*term // in the order in which they stand there
	program *vm.Program
	certain bool
}

// Name is a measured quantity that a threshold asks for.
type Name struct {
	Text   string // honest.latency.p99
	Column int    // counted from 1
	Stage  string // of the plan; empty for the whole run
	Class  string // of the mix; empty for all
}

// Error is what is wrong with an expression, and where.
type Error struct {
	Text          string
	Column        int // counted from 1, in characters
	Message, Hint string
}

func (e *Error) Error() string {
	text := fmt.Sprintf("read the threshold %s: column %d: %s", strictyaml.Quote(e.Text), e.Column, e.Message)
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// Parse reads an expression. Stages are the names of the plan's stages that it may
// ask for. The error is an *Error.
func Parse(text string, stages ...string) (*Threshold, error) {
	t := &Threshold{text: text}
	masked, err := t.scan(stages)
	if err == nil {
		err = t.check(masked)
	}
	if err != nil {
		err.Text = text
		return nil, err
	}
	env := map[string]any{}
	for _, term := range t.terms {
		env[term.mask] = 0.0
	}
	var failed error
	t.program, failed = expr.Compile(masked, expr.Env(env), expr.AsBool(), expr.DisableAllBuiltins())
	if failed != nil { // check has refused what expr refuses
		return nil, &Error{text, 1, "it is no condition that can be evaluated", example}
	}
	return t, nil
}

const example = "write it like honest.latency.p99 <= 250ms"

// String is the expression as it was written.
func (t *Threshold) String() string { return t.text }

// Equal tells whether two thresholds say the same.
func (t *Threshold) Equal(other *Threshold) bool {
	if t == nil || other == nil {
		return t == other
	}
	return t.text == other.text
}

// Names are the quantities that the threshold asks for.
func (t *Threshold) Names() []Name {
	var all []Name
	for _, term := range t.terms {
		if term.quantity != nil {
			all = append(all, Name{term.text, term.column + 1, term.quantity.stage, term.quantity.class})
		}
	}
	return all
}

// Certain tells that nothing a busy generator does can break the threshold: it sets a
// bound to how many deliveries the target has answered in a way of its own choosing, or
// acted on twice.
func (t *Threshold) Certain() bool { return t.certain }

// dated tells that the threshold asks for what a receiver decides by the time at which a
// delivery was signed.
func (t *Threshold) dated() bool {
	return slices.ContainsFunc(t.terms, func(one *term) bool {
		q := one.quantity
		return q != nil && (q.field.name == "refused" || q.class == "stale")
	})
}

// untimely tells that deliveries may have been sent at another time than the one that
// they were stamped with.
func untimely(m *reports.Measurement) bool {
	const second = 1000 // milliseconds
	return max(m.Generator.Clock, m.Generator.StallMax) > second
}

// Timeless tells that the threshold asks for counts and shares alone, and for no time or
// rate.
func (t *Threshold) Timeless() bool {
	return !slices.ContainsFunc(t.terms, func(one *term) bool { return one.unit == span || one.unit == rate })
}

// Of tells what became of the threshold. One that asks for what was not measured, such
// as the latency of accepted deliveries where none was accepted, does not hold, and is
// marked as unmeasured.
func (t *Threshold) Of(m *reports.Measurement) reports.Threshold {
	result := reports.Threshold{Text: t.text, Timeless: t.Timeless(), Certain: t.certain && !(t.dated() && untimely(m))}
	env := map[string]any{}
	var got, missing []string
	for _, term := range t.terms {
		value := term.literal
		if term.quantity != nil {
			v := term.quantity.of(m, term.shared)
			value = v.value
			if text := term.text + " = " + v.shown; v.missing == "" && !slices.Contains(got, text) {
				got = append(got, text)
			}
			if text := term.text + " was not measured: " + v.missing; v.missing != "" && !slices.Contains(missing, text) {
				missing = append(missing, text)
			}
		}
		env[term.mask] = value
	}
	result.Got = strings.Join(append(got, missing...), ", ")
	if result.Unmeasured = len(missing) > 0; result.Unmeasured {
		return result
	}
	out, err := expr.Run(t.program, env)
	result.Holds, _ = out.(bool)
	result.Unmeasured = err != nil
	return result
}

// term is a literal with a unit, or a name, in the place where it stands.
type term struct {
	text     string
	column   int    // counted from 0
	mask     string // the variable of the same length that expr sees in its place
	unit     unit
	literal  float64
	quantity *quantity // nil for a literal
	shared   bool      // a count that is wanted as a share
}

// mask is a variable of a given length. Names have no capital letters, so that the two
// are never confused.
func mask(index, length int) string {
	const letters = "0123456789abcdefghijklmnopqrstuvwxyz"
	name := string(rune('A'+index%26)) + string(letters[index/26%len(letters)])
	return name + strings.Repeat("_", max(length-len(name), 0))
}

// figure shows a value in its unit.
func figure(v float64, u unit) string {
	switch u {
	case span:
		return milliseconds(v)
	case share:
		return digits(v*100) + "%"
	case rate:
		return digits(v) + "/s"
	}
	return digits(v)
}

func milliseconds(ms float64) string {
	switch {
	case ms >= 10_000:
		return digits(ms/1000) + "s"
	case ms >= 1:
		return digits(ms) + "ms"
	}
	return digits(ms*1000) + "us"
}

// digits shows a number with four digits that count, and whole numbers as they are.
func digits(v float64) string {
	if math.Abs(v) >= 1000 || v == math.Trunc(v) {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.4g", v)
}
