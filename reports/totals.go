package reports

import (
	"fmt"
	"strings"
)

// The states a run can be in.
const (
	Complete    = "complete"
	Interrupted = "interrupted" // ended by the user before every case had run
	Incomplete  = "incomplete"  // read back from a journal that has no valid end
)

// Exit codes of a run. 2 (usage) and 4 (the harness failed) are the command line's.
const (
	ExitPassed       = 0
	ExitFailed       = 1
	ExitInconclusive = 3
	ExitInterrupted  = 130
)

// Count counts the verdicts. A verdict that is none of the five counts as
// inconclusive: what cannot be read was not judged.
func (r *Run) Count() Totals {
	var t Totals
	for _, result := range r.Results {
		t.add(result)
	}
	return t
}

func (t *Totals) add(r Result) {
	switch r.Verdict {
	case Pass:
		t.Pass++
	case Fail:
		t.Fail++
		if r.Known != "" {
			t.Known++
		}
	case Warn:
		t.Warn++
	case Skip:
		t.Skip++
	default:
		t.Inconclusive++
		if r.Known != "" {
			t.Excused++
		}
	}
}

// judged counts the cases that were decided one way or the other.
func (t Totals) judged() int { return t.Pass + t.Fail + t.Warn }

// ExitCode is what the run amounts to: ExitPassed only where every planned case
// was decided or did not apply, at least one was decided, and no failure is left
// that nobody has accepted. Against a baseline, what could not be judged there either is no
// obstacle, and what was judged there and is not now is one.
func (r Run) ExitCode() int {
	t := r.Count()
	switch {
	case r.State == Interrupted:
		return ExitInterrupted
	case t.Fail > t.Known || len(r.Stale) > 0:
		return ExitFailed
	case r.State != Complete || t.Inconclusive > t.Excused || t.judged() == 0 || r.Baseline.lost():
		return ExitInconclusive
	}
	return ExitPassed
}

// shortfall says why the run is no success although no case of it need show that;
// it is empty where there is no such reason.
func (r *Run) shortfall() string {
	t := r.Count()
	switch {
	case r.State == Interrupted:
		return "the run was interrupted"
	case r.State != Complete:
		return "the run was cut short"
	case len(r.Stale) > 0:
		return "entries of the known failures are stale: " + strings.Join(r.Stale, ", ")
	case t.judged()+t.Inconclusive == 0, t.judged()+t.Inconclusive == t.Excused:
		return "nothing was judged"
	case r.Baseline.lost():
		return "the baseline judged what this run did not: " + strings.Join(r.Baseline.Unjudged, ", ")
	}
	return ""
}

// words are the counts as people read them.
func (t Totals) words() string {
	counts := []string{fmt.Sprintf("%d passed", t.Pass)}
	failed := fmt.Sprintf("%d failed", t.Fail)
	if t.Known > 0 {
		failed += fmt.Sprintf(" (%d known)", t.Known)
	}
	unjudged := fmt.Sprintf("%d inconclusive", t.Inconclusive)
	if t.Excused > 0 {
		unjudged += fmt.Sprintf(" (%d in the baseline too)", t.Excused)
	}
	for _, c := range []struct {
		n    int
		text string
	}{
		{t.Fail, failed}, {t.Warn, plural(t.Warn, "warning")}, {t.Skip, fmt.Sprintf("%d skipped", t.Skip)},
		{t.Inconclusive, unjudged},
	} {
		if c.n > 0 {
			counts = append(counts, c.text)
		}
	}
	return strings.Join(counts, ", ")
}

// sentence is what the run amounts to, and how long it took.
func (r *Run) sentence() string {
	word, rest := r.headline()
	if lasted := r.lasted(); lasted != "" {
		word += " in " + lasted
	}
	return word + ": " + rest
}
