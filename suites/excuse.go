package suites

import (
	"fmt"
	"slices"
	"time"

	"github.com/hookanvil/hookanvil/reports"
)

// Excuse marks what does not count in a run that is read back: what its baseline has as
// well, and the known failures, of which those are over that were when it ended. It comes
// to what it would have come to had the run been given them.
func (s Settings) Excuse(run *reports.Run) error {
	var ids []string
	for _, r := range run.Results {
		ids = append(ids, r.ID)
	}
	known, err := readKnown(s.KnownFailures, ids)
	if err != nil {
		return err
	}
	base, err := s.baselineOf(run.Subject, run.Profile, ids)
	if err != nil {
		return err
	}
	over := run.Ended
	if over.IsZero() {
		over = time.Now() // nobody knows when a run that was cut short ended
	}
	excuse(run, base, known, over)
	return nil
}

// excuse marks what does not count in a run, which the baseline, if there is one, and the
// known failures say. An entry whose time is over is not excused by a baseline.
func excuse(run *reports.Run, base *reports.Record, known []reports.Known, now time.Time) {
	if base != nil {
		reports.HoldAgainst(run, base)
	}
	reports.Apply(run, known, now)
}

// standing is how a result counts by the known failures and the baseline.
type standing struct {
	excuse string // why it does not count; empty where it does
	stale  string // what is wrong with its entry: the case passes, or the time is over
}

// standing is that of a result as long as the run is not over.
func (c Config) standing(r reports.Result, now time.Time) standing {
	i := slices.IndexFunc(c.Known, func(k reports.Known) bool { return k.ID == r.ID })
	failed := r.Verdict == reports.Fail || r.Verdict == reports.Warn
	switch {
	case i >= 0 && r.Verdict == reports.Pass:
		return standing{stale: fmt.Sprintf("known failure %s passes now: take it off the list", r.ID)}
	case i >= 0 && failed && c.Known[i].Over(now):
		return standing{stale: "it " + c.Known[i].Expired()}
	case i >= 0 && failed && c.Known[i].Reason != "":
		return standing{excuse: fmt.Sprintf("known failure, until %s: %s", c.Known[i].Until.Format(time.DateOnly), c.Known[i].Reason)}
	case c.Baseline != nil:
		return standing{excuse: c.Baseline.Excuse(r)}
	}
	return standing{}
}

// knownFor reads the known failures for a test, in which an entry that names no case is a
// mistake: nobody would read the note on it.
func knownFor(path string, selected []string) ([]reports.Known, error) {
	known, err := readKnown(path, selected)
	for _, k := range known {
		if err == nil && !slices.Contains(selected, k.ID) {
			err = fmt.Errorf("read the known failures %s: %s names no case: correct it, or take it off the list", path, k.ID)
		}
	}
	return known, err
}
