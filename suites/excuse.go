package suites

import (
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
