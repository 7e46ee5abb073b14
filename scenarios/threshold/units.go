package threshold

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"

	"github.com/hookanvil/hookanvil/reports"
)

// unit is the type of a value. In messages it completes "it is ...".
type unit string

const (
	truth  unit = "a condition"
	span   unit = "a time"
	share  unit = "a share"
	count  unit = "a count"
	rate   unit = "a rate"
	number unit = "a plain number"
)

// literals are how a value of a unit is written, for hints.
var literals = map[unit]string{span: "250ms", share: "0.1%", count: "0", rate: "1900/s", number: "2"}

// problem is an error at a column, which is counted from 0 here and nowhere else.
func problem(column int, format string, args ...any) *Error {
	return &Error{Column: column + 1, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) hint(text string) *Error {
	e.Hint = text
	return e
}

// check reads the masked expression, and makes sure that it is a condition in which
// units fit.
func (t *Threshold) check(masked string) *Error {
	tree, err := parser.Parse(masked)
	if err != nil {
		return t.unreadable(masked, err)
	}
	is, wrong := t.unitOf(tree.Node)
	switch {
	case wrong != nil:
		return wrong
	case is != truth:
		return problem(0, "it is %s, and a threshold is a condition", is).hint("compare it: " + example)
	case len(t.Names()) == 0:
		return problem(0, "it asks for nothing that is measured").hint(example)
	}
	t.certain = t.bounds(tree.Node)
	return nil
}

// bounds tells whether a node sets an upper bound to a count of what the target alone
// decides, or several.
func (t *Threshold) bounds(n ast.Node) bool {
	b, ok := n.(*ast.BinaryNode)
	if !ok {
		return false
	}
	if b.Operator == "and" || b.Operator == "&&" {
		return t.bounds(b.Left) && t.bounds(b.Right)
	}
	left, right := t.termAt(b.Left), t.termAt(b.Right)
	literal := isZero(b.Right) || right != nil && right.quantity == nil
	if _, plain := b.Right.(*ast.IntegerNode); plain {
		literal = true
	}
	return literal && left != nil && left.quantity != nil && left.quantity.decided() && slices.Contains([]string{"==", "<", "<="}, b.Operator)
}

// decided tells of counts that the target alone decides: complete answers other than an
// acknowledgement, forgeries that were acknowledged, and effects that were repeated or
// should not be.
func (q *quantity) decided() bool {
	refused := reports.MustBeRefused(q.class)
	switch q.field.name {
	case "other", "effects.repeated", "effects.taken":
		return true
	case "accepted":
		return refused
	case "refused":
		return !refused && q.class != ""
	}
	return false
}

// unreadable says in our own words where expr stumbled: it would name the variables
// that stand for what was written.
func (t *Threshold) unreadable(masked string, err error) *Error {
	var at *file.Error
	if !errors.As(err, &at) {
		return problem(0, "it cannot be read").hint(example)
	}
	if at.Column >= len(masked) || strings.Contains(at.Message, "EOF") {
		return problem(len(masked), "something is missing at its end").hint(example)
	}
	what := masked[at.Column : at.Column+1]
	if i := slices.IndexFunc(t.terms, func(one *term) bool { return one.column == at.Column }); i >= 0 {
		what = t.terms[i].text
	}
	return problem(at.Column, "%s cannot stand here", what).hint(example)
}

var (
	comparisons = []string{"<", "<=", "==", "!=", ">=", ">"}
	connectives = []string{"and", "or", "&&", "||"}
	sums        = []string{"+", "-"}
)

// unitOf is the unit of what a node amounts to.
func (t *Threshold) unitOf(n ast.Node) (unit, *Error) {
	at := n.Location().From
	switch n := n.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		return number, nil
	case *ast.IdentifierNode:
		if one := t.termAt(n); one != nil {
			return one.unit, nil
		}
	case *ast.UnaryNode:
		return t.unary(n)
	case *ast.BinaryNode:
		return t.binary(n)
	}
	return "", problem(at, "this has no meaning in a threshold").hint(example)
}

// termAt is the term that a variable stands for.
func (t *Threshold) termAt(n ast.Node) *term {
	id, ok := n.(*ast.IdentifierNode)
	if !ok {
		return nil
	}
	i := slices.IndexFunc(t.terms, func(one *term) bool { return one.mask == id.Value })
	if i < 0 {
		return nil
	}
	return t.terms[i]
}

func (t *Threshold) unary(n *ast.UnaryNode) (unit, *Error) {
	is, err := t.unitOf(n.Node)
	if err != nil {
		return "", err
	}
	negates := n.Operator == "not" || n.Operator == "!"
	if negates != (is == truth) {
		return "", problem(n.Location().From, "%s cannot stand before %s", n.Operator, is)
	}
	return is, nil
}

func (t *Threshold) binary(n *ast.BinaryNode) (unit, *Error) {
	left, err := t.unitOf(n.Left)
	if err != nil {
		return "", err
	}
	right, err := t.unitOf(n.Right)
	if err != nil {
		return "", err
	}
	at := n.Location().From
	switch op := n.Operator; {
	case slices.Contains(connectives, op):
		if left != truth || right != truth {
			return "", problem(at, "%s joins conditions, and here stands %s", op, other(left, right))
		}
		return truth, nil
	case left == truth || right == truth:
		return "", problem(at, "%s cannot be applied to a condition", op)
	case slices.Contains(comparisons, op):
		return truth, t.compared(n, left, right)
	case slices.Contains(sums, op):
		return t.sum(n, left, right)
	case op == "*" || op == "/":
		return product(n, left, right)
	default:
		return "", problem(at, "%s is no operator of thresholds", op).hint("there are < <= == != >= > + - * / and or not")
	}
}

// other is the one that is no condition.
func other(left, right unit) unit {
	if left == truth {
		return right
	}
	return left
}

// compared makes sure that two values can be compared. A count that is compared with a
// share is wanted as one.
func (t *Threshold) compared(n *ast.BinaryNode, left, right unit) *Error {
	switch {
	case left == right:
		return nil
	case left == count && right == share:
		return t.share(n.Left, n)
	case left == share && right == count:
		return t.share(n.Right, n)
	case countable(left, right), isZero(n.Left), isZero(n.Right):
		return nil
	}
	return t.mismatch(n, "%s is compared with %s", left, right)
}

// countable tells of counts that meet plain numbers.
func countable(left, right unit) bool {
	return left == count && right == number || left == number && right == count
}

// isZero tells of a plain 0, which is one in every unit.
func isZero(n ast.Node) bool {
	i, ok := n.(*ast.IntegerNode)
	return ok && i.Value == 0
}

// mismatch says what does not fit, and how the value is written that is measured in the
// other's unit.
func (t *Threshold) mismatch(n *ast.BinaryNode, format string, left, right unit) *Error {
	wants := left
	if one := t.termAt(n.Left); one == nil || one.quantity == nil {
		wants = right
	}
	return problem(n.Location().From, format, left, right).hint("write " + string(wants) + " like " + literals[wants])
}

// share has the counts of an expression be shares. Of several only those of the same
// hits can be added up.
func (t *Threshold) share(n ast.Node, whole *ast.BinaryNode) *Error {
	var counts []*term
	add := func(n ast.Node) bool {
		if one := t.termAt(n); one != nil && one.unit == count {
			counts = append(counts, one)
			return true
		}
		return false
	}
	var walk func(n ast.Node) bool
	walk = func(n ast.Node) bool {
		if b, ok := n.(*ast.BinaryNode); ok {
			return slices.Contains(sums, b.Operator) && walk(b.Left) && walk(b.Right)
		}
		return add(n)
	}
	if !walk(n) {
		return problem(whole.Location().From, "this count is no share of anything").hint("compare it with a number, or divide it by another count")
	}
	for _, one := range counts {
		if one.quantity.hits() != counts[0].quantity.hits() {
			return problem(one.column, "%s and %s are shares of different hits", counts[0].text, one.text).hint("write two thresholds")
		}
		one.shared = true
	}
	return nil
}

func (t *Threshold) sum(n *ast.BinaryNode, left, right unit) (unit, *Error) {
	switch {
	case left == right:
		return left, nil
	case countable(left, right):
		return count, nil
	}
	return "", t.mismatch(n, "%s and %s do not add up", left, right)
}

// product is the unit of a multiple, a part or a ratio.
func product(n *ast.BinaryNode, left, right unit) (unit, *Error) {
	switch {
	case right == number:
		return left, nil
	case left == number && n.Operator == "*":
		return right, nil
	case left == right && n.Operator == "/" && left == count:
		return share, nil
	case left == right && n.Operator == "/":
		return number, nil
	}
	verb := "multiplied by"
	if n.Operator == "/" {
		verb = "divided by"
	}
	return "", problem(n.Location().From, "%s cannot be %s %s", left, verb, right).hint("multiply by a plain number, or divide by the same unit")
}
