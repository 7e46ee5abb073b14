package suites_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/hookanvil/hookanvil/fixtures/probe"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites"
)

// The cause that is told before the cases is that which the subject has, in the words that
// the judges use today; and a narrow defect has none.
func TestCauseThatIsTold(t *testing.T) {
	needsMinutes(t)
	for defect, want := range map[string]string{
		"accept-all":                    "accepts deliveries whoever has signed them",
		"accepts-any-signature":         "accepts deliveries whoever has signed them",
		"acts-before-verifying":         "acts on what it refuses",
		"says-ok-with-error-text":       "answers 2xx to forgeries on which it does not act",
		"acknowledges-before-verifying": "answers 2xx to forgeries on which it does not act",
		"server-error-on-bad-signature": "breaks down over deliveries that it is to refuse",
		"ignores-timestamp":             "does not look at when a delivery was signed",
		"reject-all":                    "refuses honest deliveries as well",
		"not-found-all":                 "has no endpoint for deliveries at this address",
		"redirects":                     "answers honest deliveries with a redirect",
		"error-all":                     "breaks down over honest deliveries",
		"crashes-after-refusal":         "stopped answering while the run went on",
		"doubles-tolerance":             "",
		"compares-prefix-only":          "",
		"leaks-secret":                  "",
		"":                              "",
	} {
		t.Run(defect, func(t *testing.T) {
			s := specimen(t, "standard-webhooks", defect)
			checkCause(t, suites.Receiver(s.Subject), choose(t, "receiver/fidelity", "receiver/signature", "receiver/timestamp"), want)
		})
	}
	t.Run("late", func(t *testing.T) {
		t.Parallel()
		s := specimen(t, "standard-webhooks", "slow-acknowledgement")
		checkCause(t, suites.Receiver(s.Subject), choose(t, "receiver/fidelity"), "does its work before it answers")
	})
	t.Run("no effect", func(t *testing.T) {
		t.Parallel()
		s := specimen(t, "standard-webhooks", "")
		s.Subject.Probe = blind{s.Subject.Probe}
		checkCause(t, suites.Receiver(s.Subject), choose(t, "receiver/fidelity"), "nothing comes of them that the probe counts")
	})
	t.Run("not there", func(t *testing.T) {
		s := specimen(t, "standard-webhooks", "")
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		checkCause(t, suites.Receiver(s.Subject), choose(t, "receiver/fidelity"), "could not be reached")
	})
	for defect, test := range map[string]struct{ suite, want string }{
		"unsigned":                 {"sender/signature", "signs nothing"},
		"signs-other-bytes":        {"sender/signature", "signs another body than it sends"},
		"clock-ahead":              {"sender/signature", "signs with a time that is not now"},
		"signs-with-undecoded-key": {"sender/signature", "signs, and a receiver cannot verify it"},
		"wrong-method":             {"sender/isolation", "delivers by another method than POST"},
		"retries-unsigned":         {"sender/signature", ""},
	} {
		t.Run("sender "+defect, func(t *testing.T) {
			t.Parallel()
			s := senderSpecimen(t, "standard-webhooks", defect)
			checkCause(t, suites.Sender(s.Subject), choose(t, test.suite), test.want)
		})
	}
}

// blind is a probe that sees no effect.
type blind struct{ probe.Probe }

func (blind) Count(context.Context, string) (int, error) { return 0, nil }

// checkCause makes sure that the report of a subject tells of a cause, or of none.
func checkCause(t *testing.T, subject suites.Subject, cases []scenarios.Case, want string) {
	t.Helper()
	var run reports.Run
	heldUp := true
	for seed := uint64(1); heldUp && seed <= 3; seed++ { // a busy machine judges little
		session, err := suites.Start(t.Context(), suites.Config{Subject: subject, Cases: cases, Parallel: 64, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		if run, err = session.Wait(); err != nil {
			t.Fatal(err)
		}
		heldUp = slices.ContainsFunc(run.Results, func(r reports.Result) bool { return strings.HasPrefix(r.Reason, "this process did not run") })
	}
	var b strings.Builder
	if err := (reports.Terminal{Width: 1000}).Write(&b, run); err != nil {
		t.Fatal(err)
	}
	out := b.String()
	told := strings.Contains(out, "One cause may be behind ")
	if told != (want != "") || !strings.Contains(out, want) {
		t.Errorf("want a cause %q, and the report begins\n%.2000s", want, out)
	}
	if i := strings.Index(out, "\nFailed ("); want != "" && i >= 0 && i < strings.Index(out, want) {
		t.Errorf("the cause comes behind the cases:\n%.2000s", out)
	}
}
