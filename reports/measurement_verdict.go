package reports

import (
	"fmt"
	"slices"
	"strings"
)

// ExitCode is what a command that measured ends with: 0 where the thresholds hold, 1
// where one does not, 3 where nothing can be said, 130 where the run was interrupted.
func (m *Measurement) ExitCode() int {
	code, _ := m.Outcome()
	return code
}

// Outcome is the exit code, and the reason in words. An invalid run fails only by what
// no generator can be blamed for.
func (m *Measurement) Outcome() (code int, reason string) {
	var broken, certain, unmeasured int
	for _, t := range m.Thresholds {
		switch {
		case t.Unmeasured:
			unmeasured++
		case !t.Holds:
			broken++
			if t.Certain {
				certain++
			}
		}
	}
	of := plural(len(m.Thresholds), "threshold")
	switch {
	case m.State == Interrupted && certain == 0:
		return ExitInterrupted, "the run was interrupted; what was measured until then is shown"
	case len(m.Invalid) > 0 && certain == 0:
		return ExitInconclusive, "the run is invalid: its figures tell of the generator, and not of the target"
	case broken > 0:
		return ExitFailed, fmt.Sprintf("%d of %s %s not hold", broken, of, verb(broken, "does", "do"))
	case m.State == Aborted:
		return ExitInconclusive, "the run was ended early, so that the thresholds were not held against all of it"
	case unmeasured > 0:
		return ExitInconclusive, fmt.Sprintf("%d of %s %s for what was not measured", unmeasured, of, verb(unmeasured, "asks", "ask"))
	case m.Total.Planned == 0:
		return ExitInconclusive, "nothing was sent"
	case len(m.Thresholds) == 0:
		return ExitInconclusive, "there was no threshold to hold the figures against"
	}
	if doubt := m.Doubt(); doubt != "" {
		return ExitInconclusive, "the thresholds hold, yet " + doubt
	}
	return ExitPassed, fmt.Sprintf("%s %s", of, verb(len(m.Thresholds), "holds", "hold"))
}

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// MustBeRefused tells of the classes of hits that a correct receiver refuses.
func MustBeRefused(class string) bool {
	return slices.Contains([]string{"forged", "tampered", "stale", "unsigned", "malformed"}, class)
}

// meaningful is the share of a class's hits that must have been answered on purpose: a
// dead receiver accepts no forgeries.
const meaningful = 0.9

// served is the share of honest deliveries that must have been accepted for anything to
// be said: a receiver may shed a flood, but one that serves next to nothing proves nothing.
const served = 0.1

// Doubt is why thresholds that all hold say little; empty where they do say something.
func (m *Measurement) Doubt() string {
	for _, t := range m.Classes {
		spoken := t.Accepted + t.Refused
		switch {
		case MustBeRefused(t.Class) && float64(spoken) < meaningful*float64(t.Planned):
			return fmt.Sprintf("only %d of %d deliveries that were %s were answered in a way that tells whether they were refused", spoken, t.Planned, t.Class)
		case t.Class == "honest" && float64(t.Accepted) < served*float64(t.Planned):
			return fmt.Sprintf("of %d honest deliveries only %d were accepted", t.Planned, t.Accepted)
		}
	}
	return ""
}

// took is how long the run lasted.
func (m *Measurement) took() string {
	if d := m.Ended.Sub(m.Started); d > 0 {
		return fmt.Sprintf(" in %.1f s", d.Seconds())
	}
	return ""
}

// kinds lists the errors by kind, and the statuses of answers that were neither accepted
// nor refused on purpose.
func (t *Traffic) kinds() string {
	var parts []string
	for _, kind := range ErrorKinds {
		if n := t.Errors[kind]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", kind, n))
		}
	}
	return strings.Join(parts, ", ")
}
