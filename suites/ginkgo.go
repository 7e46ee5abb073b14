package suites

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/formatter"
	"github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// RunSpecs judges the cases as Ginkgo specs. Ginkgo runs specs one at a time, and
// the cases mostly wait: so the specs are previewed first, the cases of those that
// Ginkgo selects are started together, and each spec awaits its own. Ginkgo's
// flags apply. It can be called once in a process, as Ginkgo's own. What c.Known and
// c.Baseline excuse is skipped, with the reason; an entry that is stale, or over, fails.
func RunSpecs(ctx context.Context, t ginkgo.GinkgoTestingT, c Config) (reports.Run, error) {
	suiteConfig, reporterConfig := ginkgo.GinkgoConfiguration()
	return runSpecs(ctx, t, c, suiteConfig, reporterConfig)
}

// Run is RunSpecs without Ginkgo's own output and flags.
func Run(ctx context.Context, c Config) (reports.Run, error) {
	formatter.ColorableStdOut, formatter.ColorableStdErr = io.Discard, io.Discard
	suiteConfig, reporterConfig := ginkgo.GinkgoConfiguration()
	suiteConfig.Timeout = unlimited
	return runSpecs(ctx, new(deaf), c, suiteConfig, reporterConfig)
}

// unlimited is a time that no run takes: the session has limits of its own.
const unlimited = 365 * 24 * time.Hour

// deaf takes no notice of failures: the session's results tell of them.
type deaf struct{}

func (*deaf) Fail() {}

func runSpecs(ctx context.Context, t ginkgo.GinkgoTestingT, c Config, how ...any) (reports.Run, error) {
	var session *Session
	declare(c, c.Subject.Profile.Name, func(ctx context.Context, k scenarios.Case) reports.Result {
		return session.Await(ctx, k.Name())
	})
	const title = "hookanvil"
	c.Cases = selected(ginkgo.PreviewSpecs(title, how...), c.Cases)
	if len(c.Cases) == 0 {
		return reports.Run{}, errors.New("select the cases to run: Ginkgo's flags leave none")
	}
	var err error
	if session, err = Start(ctx, c); err != nil {
		return reports.Run{}, err
	}
	ginkgo.RunSpecs(t, title, how...)
	return session.Wait()
}

// declare makes a spec of each case, in a container for each suite.
func declare(c Config, profile string, judge func(context.Context, scenarios.Case) reports.Result) {
	for cases := c.Cases; len(cases) > 0; {
		end := slices.IndexFunc(cases, func(c scenarios.Case) bool { return c.Suite != cases[0].Suite })
		if end < 0 {
			end = len(cases)
		}
		suite := cases[:end]
		cases = cases[end:]
		ginkgo.Describe(suite[0].Suite, func() {
			for _, k := range suite {
				ginkgo.It(sentence(k), ginkgo.Label(Labels(k, profile)...), func(ctx ginkgo.SpecContext) {
					r := judge(ctx, k)
					assert(r, c.standing(r, time.Now()))
				})
			}
		})
	}
}

// sentence is the text of a case's spec; no two of a suite are alike.
func sentence(c scenarios.Case) string { return c.ID + ": " + c.Title }

// selected leaves the cases whose specs a preview did not skip.
func selected(preview types.Report, cases []scenarios.Case) []scenarios.Case {
	chosen := map[string]bool{}
	for _, spec := range preview.SpecReports.WithLeafNodeType(types.NodeTypeIt) {
		chosen[spec.FullText()] = spec.State != types.SpecStateSkipped && spec.State != types.SpecStatePending
	}
	var left []scenarios.Case
	for _, c := range cases {
		if chosen[c.Suite+" "+sentence(c)] {
			left = append(left, c)
		}
	}
	return left
}

// assert turns a verdict into the outcome of the spec that is running.
func assert(r reports.Result, s standing) {
	switch {
	case r.Verdict == reports.Skip:
		ginkgo.Skip(r.Reason)
	case r.Verdict == reports.Warn:
		ginkgo.AddReportEntry("warning", r.Reason+repair(r))
	case s.excuse != "":
		ginkgo.Skip(s.excuse + "; found: " + r.Reason)
	case r.Verdict == reports.Pass && s.stale != "":
		ginkgo.Fail(s.stale)
	}
	g := gomega.NewGomega(ginkgo.Fail)
	g.Expect(r.Verdict).To(gomega.BeElementOf(reports.Pass, reports.Warn), func() string { return account(r, s) })
}

// account says in a few lines what a case found, and how to see it again.
func account(r reports.Result, s standing) string {
	text := fmt.Sprintf("%s: %s: %s", r.ID, r.Verdict, r.Reason)
	if s.stale != "" {
		text += "\n" + s.stale
	}
	if r.Why != "" {
		text += "\nwhy it matters: " + r.Why
	}
	text += repair(r)
	for _, x := range r.Evidence {
		text += "\n  " + told(r, x)
	}
	if r.Reproduce != "" {
		text += "\nrun it again: " + r.Reproduce
	}
	return text
}

// repair is the line that says what to do about a case that is not met; what could not
// be judged may need none.
func repair(r reports.Result) string {
	if r.Fix == "" || r.Verdict != reports.Fail && r.Verdict != reports.Warn {
		return ""
	}
	return "\nhow to repair it: " + r.Fix
}

// told is an exchange in one line: how a receiver answered or, of a sender, when the
// attempt came, what became of its signature, and how it was answered.
func told(r reports.Result, x reports.Exchange) string {
	if strings.HasPrefix(r.ID, senderRole+"/") {
		return fmt.Sprintf("%s: %s; answered %s", x.Label, strings.Join(x.Notes, ", "), x.Outcome)
	}
	text := fmt.Sprintf("%s: %s", x.Label, x.Outcome)
	if x.Status != 0 {
		text += fmt.Sprintf(" %d", x.Status)
	}
	return text
}
