package reports

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// JUnit writes the run as JUnit XML: one <testsuite> for each suite and one
// <testcase> for each case.
//
//	fail           <failure type="must">
//	known failure  <skipped>, with the reason it was accepted for
//	warn           passed, with a <system-out>: a "should" does not break a build
//	inconclusive   <error type="inconclusive">; <skipped> where the baseline has it so as well
//	skip           <skipped>
//
// Where the run as a whole is no success for a reason that no case shows (it did not
// end, it judged nothing, its list of known failures is stale), a suite "run" says so
// in an <error>. Everything a peer sent is escaped as Printable does it, so that no
// character is left that XML forbids.
func JUnit(w io.Writer, run Run) error {
	b, err := xml.MarshalIndent(junitOf(run), "", "  ")
	if err != nil {
		return fmt.Errorf("encode the JUnit report: %w", err)
	}
	// No text of a peer has a line end: those that are left are ours, to be read.
	b = bytes.ReplaceAll(b, []byte("&#xA;"), []byte("\n"))
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, b)
	return err
}

type junitRun struct {
	XMLName xml.Name `xml:"testsuites"`
	Name    string   `xml:"name,attr"`
	junitCounts
	Suites []*junitSuite `xml:"testsuite"`
}

type junitCounts struct {
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     junitLength `xml:"time,attr"`
}

// junitLength is a time in seconds.
type junitLength time.Duration

func (l junitLength) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", time.Duration(l).Seconds()), nil
}

type junitSuite struct {
	Name string `xml:"name,attr"`
	junitCounts
	Timestamp  string          `xml:"timestamp,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Class   string      `xml:"classname,attr"`
	Name    string      `xml:"name,attr"`
	Time    junitLength `xml:"time,attr"`
	Failure *junitWhy   `xml:"failure"`
	Error   *junitWhy   `xml:"error"`
	Skipped *junitWhy   `xml:"skipped"`
	Output  string      `xml:"system-out,omitempty"`
}

type junitWhy struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

func junitOf(run Run) junitRun {
	all := junitRun{Name: "hookanvil"}
	byName := map[string]*junitSuite{}
	for _, r := range run.Results {
		name, _ := splitID(r.ID)
		if byName[name] == nil {
			byName[name] = newJunitSuite(run, name)
			all.Suites = append(all.Suites, byName[name])
		}
		byName[name].add(junitCaseOf(r))
	}
	if why := run.shortfall(); why != "" {
		suite := newJunitSuite(run, "run")
		suite.add(junitCase{Class: "run", Name: "outcome", Error: &junitWhy{Message: inert(why), Type: "inconclusive"}})
		all.Suites = append(all.Suites, suite)
	}
	for _, s := range all.Suites {
		all.junitCounts.add(s.junitCounts)
	}
	return all
}

func newJunitSuite(run Run, name string) *junitSuite {
	return &junitSuite{
		Name: inert(name), Timestamp: run.Started.UTC().Format("2006-01-02T15:04:05"),
		Properties: []junitProperty{
			{"tool", inert(run.Tool)}, {"target", inert(run.Subject.Target)}, {"profile", inert(run.Profile)},
			{"seed", fmt.Sprint(run.Seed)}, {"state", inert(run.State)},
		},
	}
}

func junitCaseOf(r Result) junitCase {
	suite, name := splitID(r.ID)
	c := junitCase{Class: strings.ReplaceAll(inert(suite), "/", "."), Name: inert(name), Time: junitLength(r.Duration)}
	why := &junitWhy{Message: inert(r.Reason), Type: inert(r.Level)}
	switch {
	case r.accepted():
		why.Message = inert(r.found())
		c.Skipped = why
	case r.Verdict == Fail:
		why.Text = story(r)
		c.Failure = why
	case r.Verdict == Skip:
		c.Skipped = &junitWhy{Message: why.Message}
	case r.Verdict == Warn:
		c.Output = story(r)
	case r.Verdict != Pass:
		why.Type, why.Text = string(Inconclusive), story(r)
		c.Error = why
	}
	return c
}

func (s *junitSuite) add(c junitCase) {
	counts := junitCounts{Tests: 1, Time: c.Time}
	switch {
	case c.Failure != nil:
		counts.Failures = 1
	case c.Error != nil:
		counts.Errors = 1
	case c.Skipped != nil:
		counts.Skipped = 1
	}
	s.junitCounts.add(counts)
	s.Cases = append(s.Cases, c)
}

func (n *junitCounts) add(m junitCounts) {
	n.Tests += m.Tests
	n.Failures += m.Failures
	n.Errors += m.Errors
	n.Skipped += m.Skipped
	n.Time += m.Time
}
