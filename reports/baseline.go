package reports

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Baseline is a run that another one is held against, so that only what is worse in that
// one counts.
type Baseline struct {
	From    string    `json:"from"` // where it was read from
	Tool    string    `json:"tool"` // name and version of the program that made it
	Started time.Time `json:"started"`
	// Unjudged are the cases that it judged and this run did not, Mended those that failed
	// there and pass now.
	Unjudged []string `json:"unjudged,omitempty"`
	Mended   []string `json:"mended,omitempty"`
}

// BaselineFile is the file of a results folder with the verdicts of the baseline.
const BaselineFile = "baseline.json"

// Verdicts is a run as a JSON report without its evidence.
func (r *Run) Verdicts() ([]byte, error) {
	bare := *r
	bare.Results = slices.Clone(r.Results)
	for i := range bare.Results {
		bare.Results[i].Evidence, bare.Results[i].Load, bare.Results[i].Absorbed = nil, nil, nil
	}
	var b bytes.Buffer
	err := JSON(&b, bare)
	return b.Bytes(), err
}

func (b *Baseline) lost() bool { return b != nil && len(b.Unjudged) > 0 }

// CheckBaseline tells why a run cannot be held against a baseline: what is damaged, cut
// short or of another subject would excuse what it knows nothing of. Of the run, only what
// is known before it begins is asked, and the ids of its cases.
func CheckBaseline(base *Run, subject Subject, profile string, ids []string) error {
	shared := false
	for _, id := range ids {
		shared = shared || base.result(id) != nil
	}
	switch why := base.Unfinished(); {
	case why != "":
		return fmt.Errorf("the run in it is not whole: %s; name one that came to its end", Printable([]byte(why), 300))
	case base.Subject.Role != subject.Role:
		return fmt.Errorf("it is of a %s, and this run judges a %s", base.Subject.Role, subject.Role)
	case base.Profile != profile:
		return fmt.Errorf("it was made under the profile %s, and this run is under %s", Printable([]byte(base.Profile), 100), profile)
	case !SameTarget(base.Subject.Target, subject.Target):
		return fmt.Errorf("it is of another subject, %s, and this run judges %s; make a baseline of that one with --out",
			Printable([]byte(base.Subject.Target), 300), Printable([]byte(subject.Target), 300))
	case !shared:
		return fmt.Errorf("it has none of the cases of this run")
	}
	return nil
}

// HoldAgainst marks the failures of run that base has as well, so that they do not count for its exit code; their verdict stays. A case that could
// not be judged, and could not there either, does not count. A case that was judged there
// and is not now does, and so does one that base does not have. What fails there and passes
// now is noted. It comes before Apply: an entry in the list of known failures whose time is
// over is not excused by a baseline.
func HoldAgainst(run *Run, base *Record) {
	b := &Baseline{From: base.Path, Tool: base.Tool, Started: base.Started}
	before := base.byID()
	var worse, missing []string
	for i := range run.Results {
		now := &run.Results[i]
		was := before[now.ID]
		if was == nil {
			missing = append(missing, now.ID)
			continue
		}
		now.Baseline, now.Known = was.Verdict, excuse(was, now)
		switch _, change := changed(was, now); {
		case change == Lost:
			b.Unjudged = append(b.Unjudged, now.ID)
		case was.Verdict == Fail && now.Verdict == Pass:
			b.Mended = append(b.Mended, now.ID)
		case change == Regression:
			worse = append(worse, now.ID)
		}
	}
	run.Baseline = b
	run.Notes = append(run.Notes, fmt.Sprintf("held against the run of %s in %s", moment(base.Started), base.Path))
	if base.Tool != run.Tool {
		run.Notes = append(run.Notes, fmt.Sprintf("that run was made by another version: %s", base.Tool))
	}
	for _, told := range []struct {
		ids  []string
		what string
	}{
		{worse, "worse than in the baseline"},
		{b.Unjudged, "judged in the baseline, and not now"},
		{missing, "not in the baseline"},
		{b.Mended, "failed in the baseline and passes now (renew the baseline, so that the next failure counts)"},
	} {
		if len(told.ids) > 0 {
			run.Notes = append(run.Notes, told.what+": "+fewIDs(told.ids))
		}
	}
	run.Totals = run.Count()
}

// excuse is why a result does not count, in words; empty where it does.
func excuse(was, now *Result) string {
	switch {
	case was.Verdict != now.Verdict:
		return ""
	case now.Verdict == Inconclusive:
		return "it could not be judged in the baseline either"
	case now.Verdict != Fail && now.Verdict != Warn:
		return ""
	case !sameReason(was.Reason, now.Reason):
		return fmt.Sprintf("%sed in the baseline too, for another reason: %s", now.Verdict, was.Reason)
	}
	return fmt.Sprintf("%sed in the baseline too", now.Verdict)
}

// Excuse says why a result of a run that is held against this one does not count; it is
// empty where it does.
func (r *Run) Excuse(now Result) string {
	was := r.result(now.ID)
	if was == nil {
		return ""
	}
	return excuse(was, &now)
}

// fewIDs names cases, and says how many more there are.
func fewIDs(ids []string) string {
	const most = 6
	if len(ids) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(ids[:most], ", "), len(ids)-most)
	}
	return strings.Join(ids, ", ")
}
