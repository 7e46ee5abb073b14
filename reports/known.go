package reports

import (
	"fmt"
	"time"
)

// Known is a failure that somebody has accepted, for a time.
type Known struct {
	ID     string    // of the case: receiver/signature/replayed
	Reason string    // why it is accepted; without one it is not
	Until  time.Time // the last day on which it is
}

// Apply marks the failures of run that are known, so that they do not count for
// its exit code; their verdict stays. An entry whose last day is over excuses
// nothing. An entry whose case passes, or is not in the run, is stale: it is noted
// and fails the run, since a list that nobody weeds hides the next failure. Where
// only some cases were selected, give the entries of those and the entries that
// name no case at all.
func Apply(run *Run, known []Known, now time.Time) {
	at := run.byID()
	for _, k := range known {
		result := at[k.ID]
		switch {
		case result == nil:
			run.stale(k, "names no case of this run")
		case result.Verdict == Pass:
			run.stale(k, "passes now")
		case result.Verdict != Fail && result.Verdict != Warn:
			// Not judged: whether the failure is still there cannot be told.
		case k.Over(now):
			result.Known = ""
			run.Notes = append(run.Notes, fmt.Sprintf("known failure %s %s", k.ID, k.Expired()))
		default:
			result.Known = k.Reason
		}
	}
	run.Totals = run.Count()
}

func (r *Run) stale(k Known, why string) {
	r.Stale = append(r.Stale, k.ID)
	r.Notes = append(r.Notes, fmt.Sprintf("known failure %s %s: take it off the list", k.ID, why))
}

// Expired completes what is said of a failure whose entry is over.
func (k Known) Expired() string {
	return fmt.Sprintf("was excused until %s: repair it, or decide anew (%s)", k.Until.Format(time.DateOnly), k.Reason)
}

// Over tells whether the last day on which the failure is accepted is past.
func (k Known) Over(now time.Time) bool { return !now.Before(k.Until.AddDate(0, 0, 1)) }
