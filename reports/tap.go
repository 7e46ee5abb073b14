package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// TAP writes the run in the Test Anything Protocol, version 14:
//
//	pass           ok
//	warn           ok, with a diagnostic of severity warn
//	fail           not ok
//	known failure  not ok # TODO, with the reason it was accepted for
//	skip           ok # SKIP, with the reason
//	inconclusive   not ok, with a diagnostic of severity inconclusive
//
// Where the run as a whole is no success for a reason that no case shows, a last test
// "run/outcome" is not ok. Diagnostics are YAML, whose texts are strings of JSON.
func TAP(w io.Writer, run Run) error {
	p := printer{w: w}
	why, tests := run.shortfall(), len(run.Results)
	if why != "" {
		tests++
	}
	p.linef("TAP version 14")
	p.linef("# %s", inert(run.Tool))
	p.linef("# %s %s, profile %s, seed %d", inert(run.Subject.Role), inert(run.Subject.Target), inert(run.Profile), run.Seed)
	p.linef("1..%d", tests)
	for i, r := range run.Results {
		p.testPoint(i+1, r)
	}
	if why != "" {
		p.linef("not ok %d - run/outcome", tests)
		p.diagnostic(map[string]any{"message": inert(why), "severity": string(Inconclusive)}, []string{"message", "severity"})
	}
	for _, note := range run.Notes {
		p.linef("# note: %s", inert(note))
	}
	if p.err != nil {
		return fmt.Errorf("write the TAP report: %w", p.err)
	}
	return nil
}

// tapEscapes are those of a description, in which # would begin a directive.
var tapEscapes = strings.NewReplacer(`\`, `\\`, `#`, `\#`)

func (p *printer) testPoint(n int, r Result) {
	ok, directive := "ok", ""
	switch v := r.verdict(); {
	case r.accepted():
		ok, directive = "not ok", " # TODO "+tapEscapes.Replace(inert(r.Known))
	case v == Fail || v == Inconclusive:
		ok = "not ok"
	case v == Skip:
		directive = " # SKIP " + tapEscapes.Replace(inert(r.Reason))
	}
	p.linef("%s", strings.TrimRight(fmt.Sprintf("%s %d - %s%s", ok, n, tapEscapes.Replace(inert(r.ID)), directive), " "))
	if v := r.verdict(); v == Skip || v == Pass && len(r.Figures) == 0 && len(r.measuredLines()) == 0 {
		return
	}
	p.diagnostic(tapDiagnostic(r), []string{"message", "severity", "level", "required", "why", "repair", "source", "duration_ms", "measured", "exchanges", "reproduce"})
}

func tapDiagnostic(r Result) map[string]any {
	d := map[string]any{"severity": string(r.verdict()), "level": inert(r.Level), "duration_ms": float64(r.Duration.Microseconds()) / 1000}
	if r.verdict() != Pass {
		d["message"] = inert(r.found())
	}
	for _, a := range r.advice() {
		d[strings.ToLower(a.label)] = inert(a.text)
	}
	measured := r.measuredLines()
	for _, f := range r.Figures {
		measured = append(measured, f.words())
	}
	d["measured"] = inertAll(measured)
	var exchanges []string
	for _, x := range r.Evidence {
		what, took := r.cameTo(x)
		exchanges = append(exchanges, x.Label+": "+what+", "+took)
	}
	d["exchanges"] = inertAll(exchanges)
	if r.Reproduce != "" {
		d["reproduce"] = inert(r.Reproduce)
	}
	return d
}

func inertAll(texts []string) []string {
	for i, text := range texts {
		texts[i] = inert(text)
	}
	return texts
}

// diagnostic writes a block of YAML, of which every line is indented.
func (p *printer) diagnostic(of map[string]any, order []string) {
	p.linef("  ---")
	for _, key := range order {
		switch value := of[key].(type) {
		case nil:
		case []string:
			if len(value) > 0 {
				p.linef("  %s:", key)
			}
			for _, text := range value {
				p.linef("    - %s", quotedYAML(text))
			}
		default:
			p.linef("  %s: %s", key, quotedYAML(value))
		}
	}
	p.linef("  ...")
}

// quotedYAML is a text or a number as JSON, which YAML includes.
func quotedYAML(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "null" // a number that is none
	}
	return string(bytes.TrimSpace(inertJSON(b)))
}
