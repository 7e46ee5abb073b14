package reports

import (
	"io"
	"slices"
)

// OpenMetrics writes the run as OpenMetrics 1.0, for whoever keeps verdicts as series. There
// are no timestamps: whoever reads the file knows when. Times are in seconds.
func OpenMetrics(w io.Writer, run Run) error {
	p := exposition{printer{w: w}}
	p.family("hookanvil_run", "info", "What was judged, and how the run ended.")
	p.sample("hookanvil_run_info", 1, "tool", run.Tool, "role", run.Subject.Role, "target", run.Subject.Target, "profile", run.Profile, "state", run.State)
	p.family("hookanvil_run_exit_code", "gauge", "0 passed, 1 failed, 3 inconclusive, 130 interrupted.")
	p.sample("hookanvil_run_exit_code", float64(run.ExitCode()))
	p.family("hookanvil_run_success", "gauge", "Whether the run passed.")
	p.sample("hookanvil_run_success", truth(run.ExitCode() == ExitPassed))
	if took := run.took(); took > 0 {
		p.inUnit("hookanvil_run_duration_seconds", "seconds", "From the first case to the last.")
		p.sample("hookanvil_run_duration_seconds", took.Seconds())
	}
	p.cases(run.Results)
	p.figures(run.Results)
	p.loads(run.Results)
	p.linef("# EOF")
	return p.err
}

// inUnit begins a family of gauges whose name ends with their unit.
func (p *exposition) inUnit(name, unit, help string) {
	p.family(name, "gauge", help)
	p.linef("# UNIT %s %s", name, unit)
}

// verdictsInOrder are the states that a case can be in.
var verdictsInOrder = []Verdict{Pass, Fail, Warn, Skip, Inconclusive}

func (p *exposition) cases(results []Result) {
	p.family("hookanvil_cases", "gauge", "Cases by verdict.")
	suites := bySuite(results)
	for _, s := range suites {
		for _, level := range s.levels {
			for _, c := range columns {
				p.sample("hookanvil_cases", float64(c.count(s.byLevel[level])), "suite", s.suite, "level", level, "verdict", c.name)
			}
		}
	}
	p.family("hookanvil_known_failures", "gauge", "Of the failures, those that somebody has accepted.")
	for _, s := range suites {
		for _, level := range s.levels {
			p.sample("hookanvil_known_failures", float64(s.byLevel[level].Known), "suite", s.suite, "level", level)
		}
	}
	p.family("hookanvil_case_verdict", "stateset", "The verdict of a case.")
	for _, r := range results {
		for _, v := range verdictsInOrder {
			p.sample("hookanvil_case_verdict", truth(r.verdict() == v), "case", r.ID, "level", r.Level, "hookanvil_case_verdict", string(v))
		}
	}
	p.inUnit("hookanvil_case_duration_seconds", "seconds", "How long a case took.")
	for _, r := range results {
		if r.verdict() != Skip {
			p.sample("hookanvil_case_duration_seconds", float64(r.Duration.Microseconds())/1e6, "case", r.ID)
		}
	}
}

// figures are what measuring cases measured, each in its own unit. Of figures of one name
// the last counts: two samples of one name would be an error.
func (p *exposition) figures(results []Result) {
	p.family("hookanvil_case_figure", "gauge", "What a case measured, in the unit that it says.")
	for _, r := range results {
		for i, f := range r.Figures {
			if !slices.ContainsFunc(r.Figures[i+1:], func(later Figure) bool { return later.Name == f.Name && later.Unit == f.Unit }) {
				p.sample("hookanvil_case_figure", f.Value, "case", r.ID, "figure", f.Name, "unit", f.Unit)
			}
		}
	}
}

// loads are what cases of load measured: hits by what became of them, and how soon.
func (p *exposition) loads(results []Result) {
	p.family("hookanvil_case_load_hits", "gauge", "Hits of a case of load, by what became of them.")
	for _, r := range results {
		if r.Load == nil {
			continue
		}
		for _, t := range r.Load.Classes {
			for _, o := range t.tallied() {
				p.sample("hookanvil_case_load_hits", float64(o.n), "case", r.ID, "class", t.Class, "outcome", o.name)
			}
		}
	}
	p.family("hookanvil_case_load_latency_seconds", "summary", "From when a hit was due to its answer.")
	p.linef("# UNIT hookanvil_case_load_latency_seconds seconds")
	for _, r := range results {
		if r.Load != nil {
			p.quantiles("hookanvil_case_load_latency_seconds", r.Load.Classes, func(t Traffic) map[string]Distribution { return t.Latency }, "case", r.ID)
		}
	}
	p.family("hookanvil_case_absorbed", "gauge", "Deliveries that a sender under load made, by what they were.")
	for _, r := range results {
		a := r.Absorbed
		if a == nil {
			continue
		}
		for _, one := range []struct {
			what string
			n    int64
		}{{"verified", a.Verified}, {"refused", a.Refused}, {"duplicate", a.Duplicates}, {"distinct", a.Deliveries}} {
			p.sample("hookanvil_case_absorbed", float64(one.n), "case", r.ID, "kind", one.what)
		}
		if a.Lost != nil {
			p.sample("hookanvil_case_absorbed", float64(*a.Lost), "case", r.ID, "kind", "lost")
		}
	}
}
