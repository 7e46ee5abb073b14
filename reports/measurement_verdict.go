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

// Outcome is the exit code, and the reason in words.
func (m *Measurement) Outcome() (code int, reason string) {
	verdict, reason := m.Weigh()
	switch {
	case verdict == Fail:
		return ExitFailed, reason
	case m.State == Interrupted:
		return ExitInterrupted, reason
	case verdict == Inconclusive:
		return ExitInconclusive, reason
	}
	return ExitPassed, reason
}

// Weigh joins what became of the thresholds and of the deliveries beside the load. Where
// the generator did not keep time, that excuses what is slow, lost or missing, but no
// forgery that was accepted; and that no time was kept is no matter where none is asked
// for, every hit was begun and nothing is broken. It passes, fails or is inconclusive.
func (m *Measurement) Weigh() (Verdict, string) {
	var broken, certain, unmeasured []string
	timeless := true
	for _, t := range m.Thresholds {
		timeless = timeless && t.Timeless
		switch {
		case t.Unmeasured:
			unmeasured = append(unmeasured, t.Text+": "+t.Got)
		case t.Holds:
		case t.Certain:
			certain = append(certain, t.Text+" does not hold: "+t.Got)
			fallthrough
		default:
			broken = append(broken, t.Text+" does not hold: "+t.Got)
		}
	}
	unfinished := m.Capacity.unfinished()
	excused := len(m.Invalid) == 0 || timeless && len(broken) == 0 && m.delivered()
	if len(m.Invalid) > 0 || m.State == Interrupted || unfinished != "" {
		broken = certain
	}
	honest, forged := m.control("after", "honest"), m.control("after", "forged")
	if honest.Gone {
		broken = append(broken, "the target stopped serving: when the load was over, "+honest.Got)
	}
	if forged.Accepted {
		broken = append(broken, "a forged delivery was accepted when the load was over"+m.before(forged))
	}
	switch {
	case len(broken) > 0:
		return Fail, few(broken)
	case m.State == Interrupted:
		return Inconclusive, "the run was interrupted; what was measured until then is shown"
	case !excused:
		return Inconclusive, "the run is invalid: its figures tell of the generator, and not of the target"
	case unfinished != "":
		return Inconclusive, "the search for the capacity did not get to its end: " + unfinished
	case m.State == Aborted:
		return Inconclusive, "the run was ended early, so that the thresholds were not held against all of it"
	case len(unmeasured) > 0:
		return Inconclusive, few(unmeasured)
	case m.Total.Planned == 0:
		return Inconclusive, "nothing was sent"
	case len(m.Thresholds) == 0:
		return Inconclusive, "there was no threshold to hold the figures against"
	}
	if doubt := m.Doubt(); doubt != "" {
		return Inconclusive, "the thresholds hold, yet " + doubt
	}
	if honest.Class != "" && !honest.Accepted {
		return Inconclusive, "the honest delivery after it was not accepted: " + honest.Got
	}
	reason := fmt.Sprintf("%s %s", plural(len(m.Thresholds), "threshold"), verb(len(m.Thresholds), "holds", "hold"))
	if len(m.Invalid) > 0 {
		reason += ", by counts alone: the times tell of the generator"
	}
	if m.Capacity != nil {
		reason = "the capacity is " + m.Capacity.Words()
	}
	return Pass, reason
}

// verdictOf is that of a threshold by itself: inconclusive where it was not measured, or
// may be the generator's doing.
func (m *Measurement) verdictOf(t Threshold) Verdict {
	valid := len(m.Invalid) == 0
	switch {
	case t.Unmeasured:
		return Inconclusive
	case t.Holds && (valid || t.Timeless && m.delivered()):
		return Pass
	case !t.Holds && (valid || t.Certain):
		return Fail
	}
	return Inconclusive
}

// control is the delivery by itself of a class; without a class where there was none.
func (m *Measurement) control(when, class string) Control {
	i := slices.IndexFunc(m.Controls, func(c Control) bool { return c.When == when && c.Class == class })
	if i < 0 {
		return Control{}
	}
	return m.Controls[i]
}

// before says what had become of a control before the load.
func (m *Measurement) before(after Control) string {
	switch before := m.control("before", after.Class); {
	case before.Class == "":
		return ""
	case before.Accepted == after.Accepted:
		return ", as it was before"
	default:
		return ", and not before: it was " + before.Got
	}
}

// few lists the first of several sentences: all of them stand with the thresholds.
func few(all []string) string {
	const most = 3
	if more := len(all) - most; more > 0 {
		return fmt.Sprintf("%s; and %d more", strings.Join(all[:most], "; "), more)
	}
	return strings.Join(all, "; ")
}

// delivered tells that the load was sent, however evenly: nearly all hits were begun, none
// failed on this machine, and what was stamped by its clock was not stamped far wrong.
func (m *Measurement) delivered() bool {
	const second = 1000 // milliseconds
	g := m.Generator
	return g.Clock <= second && g.Achieved >= 0.99*g.Target && float64(g.Dropped) <= 0.001*float64(m.Total.Planned) && m.Total.Errors["harness"] == 0
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

// took is how long the run lasted; nothing of a search, of which it is one of many.
func (m *Measurement) took() string {
	if m.Capacity != nil {
		return ""
	}
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
