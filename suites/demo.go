package suites

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/reference"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// Demonstration is what the catalogue finds in a correct receiver, and in one with
// a defect.
type Demonstration struct {
	Profile string
	Correct reports.Run // of the whole catalogue
	Defect  reference.Defect
	Faulty  reports.Run // of the suites that have something to say about the defect
}

// Demonstrate judges the reference receiver, which is correct, and then the same
// receiver with the defect. Either is told of to watch.
func Demonstrate(ctx context.Context, profile, defect string, watch func(Progress)) (Demonstration, error) {
	d := Demonstration{Profile: profile}
	cases, err := Select(nil)
	if err != nil {
		return d, err
	}
	if d.Defect, err = reference.Find(defect); err != nil {
		return d, err
	}
	if d.Correct, err = exhibit(ctx, profile, "", cases, watch); err != nil {
		return d, err
	}
	d.Faulty, err = exhibit(ctx, profile, defect, concerned(cases, defect), watch)
	return d, err
}

// concerned leaves the suites that name a defect.
func concerned(cases []scenarios.Case, defect string) []scenarios.Case {
	var names []string
	for _, c := range cases {
		if slices.Contains(c.Kills, defect) {
			names = append(names, c.Suite)
		}
	}
	return slices.DeleteFunc(slices.Clone(cases), func(c scenarios.Case) bool { return !slices.Contains(names, c.Suite) })
}

func exhibit(ctx context.Context, profile, defect string, cases []scenarios.Case, watch func(Progress)) (run reports.Run, err error) {
	p, err := profiles.Get(profile)
	if err != nil {
		return run, err
	}
	specimen, err := NewSpecimen(p, defect, Settings{}.SeedOrRandom(), Quick)
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, specimen.Close()) }()
	session, err := Start(ctx, Config{
		Subject: specimen.Subject, Cases: cases, Seed: Settings{}.SeedOrRandom(), Parallel: 2 * DefaultParallel, Watch: watch, Tool: Tool(),
		Reproduce: func(c scenarios.Case) string {
			return fmt.Sprintf("hookanvil run %s --target %s --profile %s --secret env:WEBHOOK_SECRET", c.Name(), specimen.Subject.URL, profile)
		},
	})
	if err != nil {
		return run, err
	}
	return session.Wait()
}

// AsItShould tells whether the correct receiver passed everything, and the defect
// was caught.
func (d Demonstration) AsItShould() bool {
	return d.Correct.ExitCode() == reports.ExitPassed && d.Faulty.ExitCode() == reports.ExitFailed
}
