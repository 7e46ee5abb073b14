package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// JSON writes the run as one indented JSON object, whose schema is Schema:
//
//	schema    "hookanvil.report/1"; a change that an old reader would misread raises the number
//	tool      name and version of the program that judged
//	subject   {role, target, probe, schedule_ms[]}: what was judged, how its effects were counted,
//	          and the waits between attempts that a sender declares.
//	          A receiver's target is its URL, a sender's what has it deliver
//	profile   the provider whose deliveries were sent, or were to come
//	seed      the same seed plans the same deliveries
//	started, ended  RFC 3339
//	state     "complete", "interrupted" or "incomplete"
//	notes[]   findings about the run as a whole
//	clock_offset_ms  the subject's clock less ours, to the second, where its answers have a date
//	stale[]   known failures that excuse nothing any more
//	baseline  {from, tool, started, unjudged[], mended[]}: the run that this one was held against,
//	          the cases that it judged and this run did not, and those that failed there and pass now
//	totals    {pass, fail, known, warn, skip, inconclusive, excused}; known counts some of fail, and
//	          excused some of inconclusive: those that the baseline could not judge either
//	results[] {id, title, level, source, file, line, why, fix, verdict, reason, lacks, status_only, known,
//	          baseline, figures[], reproduce, evidence[], load, absorbed, duration_ms}, in the order of the catalogue
//	file, line  where a case of the user's own is written down
//	lacks     the capability for want of which a case is skipped
//	load      a Measurement, without histograms and series: what a case of load measured
//	absorbed  an Absorption, without histograms and series: what arrived of a sender under load
//	figures[] {name, value, unit, within, note}: what a measuring case measured, and how exactly
//	evidence[] {label, outcome, detail, status, effects, sent, received, sent_bytes, received_bytes,
//	          marks[], delivery, attempt, remote, notes[], started_ms, first_byte_ms, duration_ms}
//	marks[]   [from, to): the bytes of sent that depart from an honest delivery
//
// What crossed the wire stands in sent, what we sent, and received, what the peer
// did, as Printable shows it: of a receiver the request is in sent, of a sender it is
// in received. Empty fields are left out. The same run gives the same bytes.
func JSON(w io.Writer, run Run) error {
	run.Schema, run.Totals = Schema, run.Count()
	if run.Results == nil {
		run.Results = []Result{}
	}
	if err := WriteJSON(w, run); err != nil {
		return fmt.Errorf("write the JSON report: %w", err)
	}
	return nil
}

// WriteJSON writes a value as indented JSON that is harmless wherever it is shown.
func WriteJSON(w io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(inertJSON(b), '\n'))
	return err
}

// inertJSON escapes, within the strings of a JSON text, what a terminal or a
// continuous-integration service would act upon, should it be shown there.
func inertJSON(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte("##"), []byte(`#\u0023`))
	var out bytes.Buffer
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case unicode.IsPrint(r) || r == '\n':
			out.Write(b[:n])
		case r > 0xffff:
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
		b = b[n:]
	}
	return out.Bytes()
}

// ReadJSON reads what JSON wrote. A report of another schema, one that is cut off
// and one whose totals are not those of its results are errors.
func ReadJSON(r io.Reader) (Run, error) {
	var run Run
	d := json.NewDecoder(r)
	if err := d.Decode(&run); err != nil {
		return Run{}, fmt.Errorf("read JSON report: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Run{}, fmt.Errorf("read JSON report: something follows the report")
	}
	return run, run.check()
}

func (r *Run) check() error {
	seen := map[string]bool{}
	for _, result := range r.Results {
		if !result.Verdict.valid() || seen[result.ID] {
			return fmt.Errorf("read JSON report: result %q has verdict %q, or stands there twice", result.ID, result.Verdict)
		}
		seen[result.ID] = true
	}
	switch states := []string{Complete, Interrupted, Incomplete}; {
	case r.Schema != Schema:
		return fmt.Errorf("read JSON report: its schema is %q, and this version reads %q", r.Schema, Schema)
	case !slices.Contains(states, r.State):
		return fmt.Errorf("read JSON report: its state is %q; it should be one of %s", r.State, strings.Join(states, ", "))
	case r.Totals != r.Count():
		return fmt.Errorf("read JSON report: its totals are not those of its results: it was edited or damaged")
	}
	return nil
}
