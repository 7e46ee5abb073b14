package threshold

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// Class is one class of a mix.
type Class struct {
	Name string
	Doc  string // completes "a delivery ..."
}

// Refused tells that a correct receiver refuses it, so that its latency is that of
// refusals.
func (c Class) Refused() bool { return reports.MustBeRefused(c.Name) }

// Classes are the classes of a mix.
var Classes = []Class{
	{"honest", "that is what it says: a fresh id, a fresh time, the right key"},
	{"forged", "that another key of the same form has signed"},
	{"tampered", "whose body was changed after signing"},
	{"stale", "that was signed before the tolerance"},
	{"replayed", "that is the same bytes as one which was accepted before"},
	{"duplicate", "under the id of one that was sent before, signed anew: a retry"},
	{"unsigned", "without its signature"},
	{"malformed", "whose signature header cannot be read"},
	{"oversized", "larger than a receiver need take, rightly signed"},
}

// quantity is what a name stands for.
type quantity struct {
	stage, class string
	field        field
	unit         unit
}

// hits are those of which a count is a share.
func (q *quantity) hits() string {
	kind := "planned"
	if strings.HasPrefix(q.field.name, "effects.") {
		kind = "examined"
	}
	return q.stage + "/" + q.class + "/" + kind
}

// field is one figure of the hits of a class, a stage or the whole run.
type field struct {
	name string
	unit unit
	doc  string
	of   func(t *reports.Traffic, class Class) (float64, bool)
}

func countOf(of func(*reports.Traffic) int64) func(*reports.Traffic, Class) (float64, bool) {
	return func(t *reports.Traffic, _ Class) (float64, bool) { return float64(of(t)), true }
}

// fields are the figures of hits, but for latencies and kinds of errors, of which there
// are several.
var fields = append([]field{
	{"planned", count, "hits that were due", countOf(func(t *reports.Traffic) int64 { return t.Planned })},
	{"sent", count, "of which anything was written", countOf(func(t *reports.Traffic) int64 { return t.Sent })},
	{"accepted", count, "answered as accepted", countOf(func(t *reports.Traffic) int64 { return t.Accepted })},
	{"refused", count, "answered as refused on purpose", countOf(func(t *reports.Traffic) int64 { return t.Refused })},
	{"unavailable", count, "answered 429 or 503", countOf(func(t *reports.Traffic) int64 { return t.Unavailable })},
	{"other", count, "answered in any other way", countOf(func(t *reports.Traffic) int64 { return t.Other })},
	{"errors", count, "without a complete answer", countOf(unanswered)},
	{"errors.rate", share, "share that was neither accepted nor refused: errors, unavailable and other",
		func(t *reports.Traffic, _ Class) (float64, bool) {
			return float64(unanswered(t)+t.Unavailable+t.Other) / float64(t.Planned), t.Planned > 0
		}},
	{"rate", rate, "hits sent a second", func(t *reports.Traffic, _ Class) (float64, bool) { return t.Rate, t.Planned > 0 }},
	{"throughput", rate, "hits accepted a second", func(t *reports.Traffic, _ Class) (float64, bool) { return t.Throughput, t.Planned > 0 }},
	{"effects.lost", count, "accepted, and without effect", effect(func(e *reports.Effects) int64 { return e.Lost })},
	{"effects.repeated", count, "accepted, with more than one effect", effect(func(e *reports.Effects) int64 { return e.Repeated })},
	{"effects.taken", count, "with an effect, of a class that must be refused", effect(func(e *reports.Effects) int64 { return e.Taken })},
}, manyFields()...)

// unanswered are the hits without a complete answer, but for those that failed on this
// machine.
func unanswered(t *reports.Traffic) (n int64) {
	for kind, hits := range t.Errors {
		if kind != "harness" {
			n += hits
		}
	}
	return n
}

func effect(of func(*reports.Effects) int64) func(*reports.Traffic, Class) (float64, bool) {
	return func(t *reports.Traffic, _ Class) (float64, bool) {
		if t.Effects == nil || t.Effects.Examined == 0 {
			return 0, false
		}
		return float64(of(t.Effects)), true
	}
}

// manyFields are those that there are several of.
func manyFields() (all []field) {
	for _, kind := range reports.ErrorKinds {
		all = append(all, field{"errors." + strings.ReplaceAll(kind, "-", "_"), count, "errors of this kind",
			countOf(func(t *reports.Traffic) int64 { return t.Errors[kind] })})
	}
	for _, q := range quantiles {
		all = append(all,
			field{"latency." + q.name, span, "time from when a hit was due to its answer", distributed(func(t *reports.Traffic) map[string]reports.Distribution { return t.Latency }, q.of)},
			field{"service." + q.name, span, "time from when it was begun", distributed(func(t *reports.Traffic) map[string]reports.Distribution { return t.Service }, q.of)})
	}
	return all
}

type quantile struct {
	name string
	of   func(*reports.Distribution) float64
}

var quantiles = []quantile{
	{"min", func(d *reports.Distribution) float64 { return d.Min }},
	{"mean", func(d *reports.Distribution) float64 { return d.Mean }},
	{"p50", func(d *reports.Distribution) float64 { return d.P50 }},
	{"p90", func(d *reports.Distribution) float64 { return d.P90 }},
	{"p95", func(d *reports.Distribution) float64 { return d.P95 }},
	{"p99", func(d *reports.Distribution) float64 { return d.P99 }},
	{"p99_9", func(d *reports.Distribution) float64 { return d.P999 }},
	{"max", func(d *reports.Distribution) float64 { return d.Max }},
}

// distributed is a figure of the times of accepted hits or, of a class that must be
// refused, of refused ones.
func distributed(times func(*reports.Traffic) map[string]reports.Distribution, of func(*reports.Distribution) float64) func(*reports.Traffic, Class) (float64, bool) {
	return func(t *reports.Traffic, class Class) (float64, bool) {
		outcome := "accepted"
		if class.Refused() {
			outcome = "refused"
		}
		d := times(t)[outcome]
		return of(&d), d.Count > 0
	}
}

// Doc tells of a name, or of several alike.
type Doc struct{ Name, Unit, Doc string }

// Names are all that can be asked for, for the documentation.
func Names() []Doc {
	var all []Doc
	for _, f := range fields {
		all = append(all, Doc{"CLASS." + f.name, string(f.unit), f.doc})
	}
	return append(all,
		Doc{"total.…", "", "the same of all hits; total may be left out before errors, rate, throughput and effects"},
		Doc{"stages.NAME.CLASS.…", "", "the same of one stage"},
		Doc{"lag.p99", string(span), "how late the hits were begun that found a connection free; and other quantiles"},
	)
}

// short are the names before which total may be left out.
var short = []string{"errors", "rate", "throughput", "effects"}

// find looks a name up. The column of the error is that within the name.
func find(name string, stages []string) (*quantity, *Error) {
	q := &quantity{}
	parts := strings.Split(name, ".")
	at := 0 // column of what is left
	if parts[0] == "stages" {
		if len(parts) < 2 || !slices.Contains(stages, parts[1]) {
			return nil, noStage(parts, stages)
		}
		q.stage, at, parts = parts[1], len("stages.")+len(parts[1])+1, parts[2:]
	}
	if len(parts) == 0 {
		return nil, problem(0, "%s does not say of which class, or of total", name).hint(example)
	}
	if q.stage == "" && parts[0] == "lag" {
		return lag(q, parts)
	}
	i := slices.IndexFunc(Classes, func(c Class) bool { return c.Name == parts[0] })
	switch {
	case i >= 0:
		q.class = parts[0]
	case q.stage == "" && slices.Contains(short, parts[0]):
		parts = append([]string{""}, parts...)
		at--
	case parts[0] != "total":
		return nil, problem(at, "nothing is called %s", strictyaml.Quote(parts[0])).hint(strictyaml.DidYouMean(parts[0], firsts(q.stage == "")))
	}
	at += len(parts[0]) + 1
	rest := strings.Join(parts[1:], ".")
	if rest == "" {
		return nil, problem(at-len(parts[0])-1, "%s is no figure by itself", name).hint("write " + name + ".accepted, or what else is measured")
	}
	f := slices.IndexFunc(fields, func(f field) bool { return f.name == rest })
	if f < 0 {
		return nil, problem(at, "%s has no %s", cmp.Or(q.class, "total"), strictyaml.Quote(rest)).hint(strictyaml.DidYouMean(rest, fieldNames()))
	}
	q.field, q.unit = fields[f], fields[f].unit
	if strings.HasPrefix(rest, "effects.") && (rest == "effects.taken") != reports.MustBeRefused(q.class) {
		return nil, problem(at, "%s has no %s", cmp.Or(q.class, "total"), rest).hint("deliveries that must be refused have forged.effects.taken; others honest.effects.lost and honest.effects.repeated")
	}
	return q, nil
}

func noStage(parts, stages []string) *Error {
	if len(stages) == 0 {
		return problem(0, "there is no stage with a name").hint("give one of the stages a name: {name: spike, ...}")
	}
	if len(parts) < 2 {
		return problem(0, "stages does not say which").hint(strictyaml.DidYouMean("", stages))
	}
	return problem(len("stages."), "no stage is called %s", strictyaml.Quote(parts[1])).hint(strictyaml.DidYouMean(parts[1], stages))
}

func lag(q *quantity, parts []string) (*quantity, *Error) {
	rest := strings.Join(parts[1:], ".")
	for _, each := range quantiles {
		if each.name == rest {
			q.unit = span
			q.field = field{name: "lag." + rest, unit: span}
			return q, nil
		}
	}
	if rest == "" {
		return nil, problem(0, "lag is no figure by itself").hint("write lag.p99")
	}
	return nil, problem(len("lag."), "lag has no %s", strictyaml.Quote(rest)).hint("write lag.p99")
}

// firsts are the words with which a name can begin.
func firsts(whole bool) []string {
	var all []string
	for _, c := range Classes {
		all = append(all, c.Name)
	}
	all = append(all, "total")
	if whole {
		all = append(append(all, short...), "stages", "lag")
	}
	return all
}

func fieldNames() []string {
	var all []string
	for _, f := range fields {
		all = append(all, f.name)
	}
	return all
}

// value is what was measured, or why nothing was.
type value struct {
	value          float64
	shown, missing string
}

// of looks a quantity up in what was measured.
func (q *quantity) of(m *reports.Measurement, shared bool) value {
	if q.field.of == nil {
		return q.lag(m)
	}
	t, missing := q.traffic(m)
	if missing != "" {
		return value{missing: missing}
	}
	class := Class{}
	if i := slices.IndexFunc(Classes, func(c Class) bool { return c.Name == q.class }); i >= 0 {
		class = Classes[i]
	}
	v, measured := q.field.of(t, class)
	switch {
	case t.Planned == 0:
		return value{missing: "nothing of it was sent"}
	case !measured && strings.HasPrefix(q.field.name, "effects."):
		return value{missing: "no effect was looked up"}
	case !measured && class.Refused():
		return value{missing: "nothing of it was refused"}
	case !measured:
		return value{missing: "nothing of it was accepted"}
	case !shared:
		return value{value: v, shown: figure(v, q.unit)}
	}
	of := t.Planned
	if strings.HasPrefix(q.field.name, "effects.") {
		of = t.Effects.Examined
	}
	part := v / float64(of)
	return value{value: part, shown: fmt.Sprintf("%s (%s of %d)", figure(part, share), digits(v), of)}
}

func (q *quantity) lag(m *reports.Measurement) value {
	d := m.Generator.Lag
	for _, each := range quantiles {
		if "lag."+each.name == q.field.name && d.Count > 0 {
			v := each.of(&d)
			return value{value: v, shown: figure(v, span)}
		}
	}
	return value{missing: "nothing was sent"}
}

// traffic is what became of the hits that the name is about.
func (q *quantity) traffic(m *reports.Measurement) (t *reports.Traffic, missing string) {
	total, classes := &m.Total, m.Classes
	if q.stage != "" {
		i := slices.IndexFunc(m.Stages, func(s reports.Stage) bool { return s.Name == q.stage })
		if i < 0 {
			return nil, "the run did not get to the stage"
		}
		total, classes = &m.Stages[i].Total, m.Stages[i].Classes
	}
	if q.class == "" {
		return total, ""
	}
	i := slices.IndexFunc(classes, func(t reports.Traffic) bool { return t.Class == q.class })
	if i < 0 {
		return nil, "nothing of it was sent"
	}
	return &classes[i], ""
}
