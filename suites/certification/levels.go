package certification

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites/load"
	"github.com/hookanvil/hookanvil/suites/receiver"
	"github.com/hookanvil/hookanvil/suites/sender"
)

// Standing is what became of one level.
type Standing struct {
	Level string `json:"level"`
	Title string `json:"title"`
	Met   bool   `json:"met"`
	// Missing says what keeps the level from being met, one demand each; it is empty where
	// the level is met.
	Missing []string `json:"missing,omitempty"`
}

// evidence is what a level is worked out of: the cases, which come from the catalogue and
// never from a bundle, and the results of the run.
type evidence struct {
	cases   []scenarios.Case
	results map[string]reports.Result
	profile *profile.Profile
	probed  bool // effects were counted
	// usual tells that answers were read as usual: no setting says otherwise what accepts a
	// delivery and what refuses one.
	usual bool
}

func newEvidence(run reports.Run, cases []scenarios.Case, p *profile.Profile, m reports.Manifest) evidence {
	e := evidence{
		cases: cases, results: map[string]reports.Result{}, profile: p,
		// A sender's effects are its deliveries, which we see ourselves.
		probed: run.Subject.Probe != "" || run.Subject.Role == "sender",
		usual:  m.Setting("accept") == nil && m.Setting("reject") == nil,
	}
	for _, r := range run.Results {
		e.results[r.ID] = r
	}
	return e
}

// standings are what became of all levels. A level is met only where those before it are.
func (e evidence) standings(p *scenarios.Programme) []Standing {
	var all []Standing
	below := ""
	for _, level := range p.Levels {
		s := Standing{Level: level.Level, Title: level.Title, Missing: e.missing(p, level)}
		if below != "" {
			s.Missing = append(s.Missing, fmt.Sprintf("the level %s, which comes before it, is not met", below))
		}
		s.Met = len(s.Missing) == 0
		if !s.Met && below == "" {
			below = level.Level
		}
		all = append(all, s)
	}
	return all
}

// highest is the highest level that is met; empty where none is.
func highest(all []Standing) (level string) {
	for _, s := range all {
		if s.Met {
			level = s.Level
		}
	}
	return level
}

// missing says what keeps a level from being met.
func (e evidence) missing(p *scenarios.Programme, level scenarios.Standard) []string {
	if len(level.Suites) == 0 {
		return []string{"the level demands nothing"}
	}
	excuses := slices.Concat(p.Excuses, level.Excuses)
	var all []string
	for _, d := range level.Suites {
		all = append(all, e.missingOf(d, level, excuses)...)
	}
	return all
}

// missingOf says what a suite lacks: a case that counts must have passed, or be excused,
// and enough of them must have passed.
func (e evidence) missingOf(d scenarios.Demand, level scenarios.Standard, excuses []string) (all []string) {
	passed, counted := 0, 0
	for _, c := range e.cases {
		if c.Suite != d.Suite || c.Level != scenarios.Must && !level.NoWarnings {
			continue
		}
		counted++
		r, there := e.results[c.Name()]
		switch {
		case !there:
			all = append(all, c.Name()+" was not run")
		case r.Verdict == reports.Pass:
			if why := e.unfounded(c, r, level); why != "" {
				all = append(all, fmt.Sprintf("%s passed, yet %s", c.Name(), why))
			} else if c.Level == scenarios.Must {
				passed++
			}
		case r.Verdict == reports.Skip && e.excused(c, r, excuses):
		default:
			all = append(all, notPassed(c, r))
		}
	}
	switch waived := d.Where != "" && lacking(e.profile, d.Suite, d.Where); {
	case counted == 0:
		all = append(all, d.Suite+" has no case in this run")
	case passed < d.Passed && !waived:
		all = append(all, fmt.Sprintf("%s: %d of its musts passed, and %d have to", d.Suite, passed, d.Passed))
	}
	return all
}

func notPassed(c scenarios.Case, r reports.Result) string {
	what := string(r.Verdict)
	switch r.Verdict {
	case reports.Skip:
		what = "was skipped, for which there is no excuse"
	case reports.Fail:
		what = "failed"
	case reports.Warn:
		what = "had a warning"
	case reports.Inconclusive:
		what = "could not be judged"
	}
	text := fmt.Sprintf("%s (%s) %s", c.Name(), c.Level, what)
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	return text
}

// unfounded says why a verdict of pass counts for nothing. What rests on the measured is
// worked out again.
func (e evidence) unfounded(c scenarios.Case, r reports.Result, level scenarios.Standard) string {
	switch {
	case len(r.Evidence) == 0 && r.Load == nil && r.Absorbed == nil:
		return "there is no evidence of it"
	case (r.StatusOnly || !e.probed) && !level.StatusOnly:
		return "its verdict rests on statuses alone: no probe told of effects"
	case c.Load != nil:
		return brokenThreshold(c, r.Load)
	case e.usual && isOne(c, "rejected"):
		return notRefused(r.Evidence)
	case e.usual && isOne(c, "accepted"):
		return notAccepted(r.Evidence)
	}
	return ""
}

// brokenThreshold holds the figures of a load against the thresholds of the catalogue.
func brokenThreshold(c scenarios.Case, m *reports.Measurement) string {
	if m == nil {
		return "nothing was measured"
	}
	again := *m
	again.Thresholds = nil
	for _, t := range c.Expect.Thresholds() {
		again.Thresholds = append(again.Thresholds, t.Of(m))
	}
	if verdict, reason := again.Weigh(); verdict != reports.Pass {
		return "its figures say otherwise: " + reason
	}
	return ""
}

// isOne tells whether a case is one delivery to a receiver of which a word is expected.
func isOne(c scenarios.Case, word string) bool {
	if !strings.HasPrefix(c.Suite, "receiver/") || len(c.Send) != 1 || c.Send[0].Times > 1 || len(c.Reject) > 0 {
		return false
	}
	return slices.ContainsFunc(slices.Concat(c.Expect, c.Send[0].Expect), func(w scenarios.Word) bool { return w.Name == word })
}

// notAccepted says why exchanges do not show that a delivery was accepted.
func notAccepted(exchanges []reports.Exchange) string {
	for _, x := range exchanges {
		if !strings.HasPrefix(x.Label, "control") && x.Status/100 == 2 {
			return ""
		}
	}
	return "its evidence shows no delivery that was accepted"
}

// notRefused says why exchanges do not show that one delivery was refused while honest ones
// were accepted.
func notRefused(exchanges []reports.Exchange) string {
	accepted, refused := 0, 0
	for _, x := range exchanges {
		success := x.Status/100 == 2
		switch control := strings.HasPrefix(x.Label, "control"); {
		case control && success:
			accepted++
		case control:
		case success || x.Effects != nil && *x.Effects > 0:
			return fmt.Sprintf("its evidence shows that the delivery was accepted: %s, answered %d", x.Label, x.Status)
		case x.Status/100 == 4:
			refused++
		}
	}
	switch {
	case accepted == 0:
		return "its evidence shows no honest delivery that was accepted beside it"
	case refused == 0:
		return "its evidence shows no delivery that was refused"
	}
	return ""
}

// excused tells whether a case may be skipped: the programme lets the capability be
// wanting, the case needs it, and the profile does not have it by itself.
func (e evidence) excused(c scenarios.Case, r reports.Result, excuses []string) bool {
	return r.Lacks != "" && slices.Contains(excuses, r.Lacks) && slices.Contains(needs(c), r.Lacks) && lacking(e.profile, c.Suite, r.Lacks)
}

// needs are the capabilities without which a case does not apply.
func needs(c scenarios.Case) []string {
	switch role, _, _ := strings.Cut(c.Suite, "/"); role {
	case "receiver":
		return receiver.Needs(c)
	case "sender":
		return sender.Needs(c)
	}
	return load.Needs(c)
}

// lacking tells whether a profile by itself lacks a capability, in the words of a suite's
// role.
func lacking(p *profile.Profile, suite, need string) bool {
	switch role, _, _ := strings.Cut(suite, "/"); role {
	case "receiver":
		return receiver.Lacking(p, need)
	case "sender":
		return sender.Lacking(p, need)
	}
	return load.Lacking(p, need)
}
