package suites

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/reference"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// Demonstration is what the catalogue finds in a correct subject of each role, and
// in one with a defect.
type Demonstration struct {
	Profile  string
	Exhibits []Exhibit // the receiver, then the sender
}

// Exhibit is what the catalogue finds in the reference of one role.
type Exhibit struct {
	Role    string
	Correct reports.Run // of all the role's cases
	Defect  reference.Defect
	Faulty  reports.Run // of the suites that have something to say about the defect
}

// Demonstrate judges the reference receiver and the reference sender, which are
// correct, and then each with a defect; or only those of whose role a defect is
// named, where any is. Watch is told of all of it together.
func Demonstrate(ctx context.Context, profile string, defects []string, watch func(Progress)) (Demonstration, error) {
	d := Demonstration{Profile: profile}
	cases, err := Select(nil)
	if err != nil {
		return d, err
	}
	if len(defects) == 0 {
		if defects, err = telltale(profile); err != nil {
			return d, err
		}
	}
	for _, name := range defects {
		defect, err := reference.Find(name)
		if err != nil {
			return d, err
		}
		d.Exhibits = append(d.Exhibits, Exhibit{Role: defect.Role, Defect: defect})
	}
	// Judging a receiver takes work, and judging a sender takes patience: both go on
	// at the same time.
	all := &together{watch: watch}
	errs := make([]error, len(d.Exhibits))
	var running sync.WaitGroup
	for i := range d.Exhibits {
		running.Go(func() { errs[i] = d.Exhibits[i].judge(ctx, profile, cases, all) })
	}
	running.Wait()
	return d, errors.Join(errs...)
}

// telltale are a defect of a receiver and one of a sender that tell a story under
// the profile.
func telltale(profile string) ([]string, error) {
	p, err := profiles.Get(profile)
	if err != nil {
		return nil, err
	}
	if p.Retry.Total() == 1 {
		return []string{"compares-prefix-only", "follows-307"}, nil
	}
	return []string{"compares-prefix-only", "retries-unsigned"}, nil
}

func (x *Exhibit) judge(ctx context.Context, profile string, cases []scenarios.Case, all *together) (err error) {
	cases = slices.DeleteFunc(slices.Clone(cases), func(c scenarios.Case) bool { return roleOf(c) != x.Role || isLoad(c) })
	if x.Correct, err = x.exhibit(ctx, profile, "", cases, all.one()); err != nil {
		return err
	}
	x.Faulty, err = x.exhibit(ctx, profile, x.Defect.Name, concerned(cases, x.Defect.Name), all.one())
	return err
}

// demonstratedSecure tells whether a receiver is reached by mutual TLS: the correct
// one, so that every suite has something to judge, and one whose defect is there.
func demonstratedSecure(defect string) bool {
	d, err := reference.Find(defect)
	return defect == "" || err == nil && isSecure(d)
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

func (x *Exhibit) exhibit(ctx context.Context, profile, defect string, cases []scenarios.Case, watch func(Progress)) (run reports.Run, err error) {
	subject, end, err := exemplar(x.Role, profile, defect, demonstratedSecure(defect), Settings{}.SeedOrRandom())
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, end()) }()
	session, err := Start(ctx, Config{
		Subject: subject, Cases: cases, Seed: Settings{}.SeedOrRandom(), Parallel: matrixParallel[x.Role], ample: true, Watch: watch, Tool: Tool(),
		Reproduce: func(c scenarios.Case) string { return again(c, subject, profile, defect) },
	})
	if err != nil {
		return run, err
	}
	return session.Wait()
}

// again is the command that judges a subject like the one that was shown, which is
// no more.
func again(c scenarios.Case, s Subject, profile, defect string) string {
	if s.About.Role == senderRole {
		if defect != "" {
			defect = " --defect " + defect
		}
		return fmt.Sprintf("hookanvil run %s  # while this runs: hookanvil reference sender --profile %s%s --write-config hookanvil.yaml", c.Name(), profile, defect)
	}
	return fmt.Sprintf("hookanvil run %s --target %s --profile %s --secret env:WEBHOOK_SECRET", c.Name(), s.About.Target, profile)
}

// together adds up the progress of several sessions.
type together struct {
	watch func(Progress)

	mu   sync.Mutex
	each []Progress
}

// one returns what is to watch one of the sessions.
func (t *together) one() func(Progress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := len(t.each)
	t.each = append(t.each, Progress{})
	return func(p Progress) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.each[i] = p
		var sum Progress
		for _, p := range t.each {
			sum.Done, sum.Total, sum.Failed = sum.Done+p.Done, sum.Total+p.Total, sum.Failed+p.Failed
			sum.Running = append(sum.Running, p.Running...)
			if p.Until.After(sum.Until) {
				sum.Until = p.Until
			}
		}
		if t.watch != nil {
			t.watch(sum)
		}
	}
}

// AsItShould tells whether the correct subjects passed everything, and the defects
// were caught.
func (d Demonstration) AsItShould() bool {
	return !slices.ContainsFunc(d.Exhibits, func(x Exhibit) bool {
		return x.Correct.ExitCode() != reports.ExitPassed || x.Faulty.ExitCode() != reports.ExitFailed
	})
}
