package reports

import (
	"fmt"
	"io"
	"strings"
)

// CTRF writes the run in the Common Test Report Format, https://ctrf.io:
//
//	pass           passed
//	warn           passed, with a message: a "should" does not break a build
//	fail           failed
//	known failure  skipped, with the reason it was accepted for
//	skip           skipped
//	inconclusive   other
//
// rawStatus has the verdict. Where the run as a whole is no success for a reason that no
// case shows, a test "run/outcome" says so, and is other.
func CTRF(w io.Writer, run Run) error {
	if err := WriteJSON(w, ctrfOf(run)); err != nil {
		return fmt.Errorf("write the CTRF report: %w", err)
	}
	return nil
}

type ctrfReport struct {
	Format      string      `json:"reportFormat"`
	SpecVersion string      `json:"specVersion"`
	Timestamp   string      `json:"timestamp,omitempty"`
	GeneratedBy string      `json:"generatedBy"`
	Results     ctrfResults `json:"results"`
}

type ctrfResults struct {
	Tool        map[string]string `json:"tool"`
	Summary     ctrfSummary       `json:"summary"`
	Tests       []ctrfTest        `json:"tests"`
	Environment map[string]any    `json:"environment"`
}

type ctrfSummary struct {
	Tests    int            `json:"tests"`
	Passed   int            `json:"passed"`
	Failed   int            `json:"failed"`
	Skipped  int            `json:"skipped"`
	Pending  int            `json:"pending"`
	Other    int            `json:"other"`
	Suites   int            `json:"suites"`
	Start    int64          `json:"start"`
	Stop     int64          `json:"stop"`
	Duration int64          `json:"duration"`
	Extra    map[string]any `json:"extra"`
}

type ctrfTest struct {
	TestID    string            `json:"testId"`
	Name      string            `json:"name"`
	Suite     []string          `json:"suite,omitempty"`
	Status    string            `json:"status"`
	RawStatus string            `json:"rawStatus"`
	Duration  int64             `json:"duration"`
	Message   string            `json:"message,omitempty"`
	Trace     string            `json:"trace,omitempty"`
	Tags      []string          `json:"tags,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Type      string            `json:"type"`
	FilePath  string            `json:"filePath,omitempty"`
	Line      int               `json:"line,omitempty"`
	Extra     map[string]any    `json:"extra,omitempty"`
}

func ctrfOf(run Run) ctrfReport {
	name, version, _ := strings.Cut(inert(run.Tool), " ")
	out := ctrfResults{
		Tool: map[string]string{"name": "hookanvil", "version": version}, Tests: []ctrfTest{},
		Environment: map[string]any{
			"appName": inert(run.Subject.Target),
			"extra":   map[string]any{"role": inert(run.Subject.Role), "profile": inert(run.Profile), "seed": fmt.Sprint(run.Seed), "probe": inert(run.Subject.Probe)},
		},
	}
	if name != "" {
		out.Tool["name"] = name
	}
	for _, r := range run.Results {
		out.Tests = append(out.Tests, ctrfTestOf(r))
	}
	if why := run.shortfall(); why != "" {
		out.Tests = append(out.Tests, ctrfTest{TestID: "run/outcome", Name: "outcome", Suite: []string{"run"}, Status: "other", RawStatus: string(Inconclusive), Message: inert(why), Type: "conformance"})
	}
	out.Summary = ctrfSummaryOf(run, out.Tests)
	report := ctrfReport{Format: "CTRF", SpecVersion: "0.0.0", GeneratedBy: inert(run.Tool), Results: out}
	if !run.Ended.IsZero() {
		report.Timestamp = run.Ended.UTC().Format("2006-01-02T15:04:05Z")
	}
	return report
}

func ctrfSummaryOf(run Run, tests []ctrfTest) ctrfSummary {
	s := ctrfSummary{Tests: len(tests), Suites: len(bySuite(run.Results)), Extra: map[string]any{
		"exitCode": run.ExitCode(), "outcome": outcomes[run.ExitCode()].word, "state": inert(run.State),
	}}
	if !run.Started.IsZero() {
		s.Start, s.Stop = run.Started.UnixMilli(), run.Started.UnixMilli()
	}
	if run.Ended.After(run.Started) {
		s.Stop = run.Ended.UnixMilli()
		s.Duration = s.Stop - s.Start
	}
	for _, t := range tests {
		switch t.Status {
		case "passed":
			s.Passed++
		case "failed":
			s.Failed++
		case "skipped":
			s.Skipped++
		default:
			s.Other++
		}
	}
	return s
}

func ctrfTestOf(r Result) ctrfTest {
	suite, name := splitID(r.ID)
	file, line := r.place()
	t := ctrfTest{
		TestID: inert(r.ID), Name: inert(name), Status: ctrfStatus(r), RawStatus: string(r.verdict()), Duration: r.Duration.Milliseconds(),
		Message: inert(r.Reason), Labels: map[string]string{"level": inert(r.Level)}, Type: "conformance", FilePath: inert(file), Line: line,
		Extra: map[string]any{},
	}
	for part := range strings.SplitSeq(inert(suite), "/") {
		t.Suite = append(t.Suite, part)
		t.Tags = append(t.Tags, part)
	}
	if v := r.verdict(); v != Pass && v != Skip {
		t.Trace = story(r)
	}
	if r.Known != "" {
		t.Message = inert(r.found())
	}
	for name, text := range map[string]string{"title": r.Title, "why": r.Why, "fix": r.Fix, "source": r.Source, "known": r.Known, "reproduce": r.Reproduce} {
		if text != "" {
			t.Extra[name] = inert(text)
		}
	}
	if lines := r.measuredLines(); len(lines) > 0 {
		t.Extra["measured"] = lines
	}
	if len(r.Figures) > 0 {
		t.Extra["figures"] = r.Figures
	}
	return t
}

func ctrfStatus(r Result) string {
	switch v := r.verdict(); {
	case r.accepted() || v == Skip:
		return "skipped"
	case v == Pass || v == Warn:
		return "passed"
	case v == Fail:
		return "failed"
	}
	return "other"
}
