package suites_test

import (
	"os"
	"testing"

	"github.com/hookanvil/hookanvil/suites"
)

// TestSubject judges the receiver or sender that the settings name or, where they
// name none, the embedded reference receiver, which passes everything. TestChild
// does the same for the sender: Ginkgo runs specs once in a process.
func TestSubject(t *testing.T) {
	c, err := plan(t)
	if err != nil {
		t.Fatal(err)
	}
	run, err := suites.RunSpecs(t.Context(), t, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := settings.WriteReports(os.Stdout, run); err != nil {
		t.Error(err)
	}
	t.Logf("%+v, seed %d", run.Totals, run.Seed)
	if len(run.Results) != len(c.Cases) && !named() {
		t.Errorf("%d of %d cases have results", len(run.Results), len(c.Cases))
	}
}

func plan(t *testing.T) (suites.Config, error) {
	if named() {
		return settings.Plan(t.Context(), nil)
	}
	s := specimen(t, "standard-webhooks", "")
	return suites.Config{Subject: suites.Receiver(s.Subject), Cases: choose(t), Seed: 1, Parallel: 16}, nil
}
