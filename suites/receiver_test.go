package suites_test

import (
	"os"
	"testing"

	"github.com/hookanvil/hookanvil/suites"
)

// TestReceiver judges the receiver that the settings name or, where they name
// none, the embedded reference, which passes everything.
func TestReceiver(t *testing.T) {
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
	if len(run.Results) != len(c.Cases) && settings.Target == "" {
		t.Errorf("%d of %d cases have results", len(run.Results), len(c.Cases))
	}
}

func plan(t *testing.T) (suites.Config, error) {
	if settings.Target != "" {
		return settings.Plan(t.Context(), nil)
	}
	s := specimen(t, "standard-webhooks", "")
	cases, err := suites.Select(nil)
	return suites.Config{Subject: s.Subject, Cases: cases, Seed: 1, Parallel: 16}, err
}
