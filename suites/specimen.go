package suites

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/reference"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/suites/receiver"
)

// Specimen is a running reference receiver, with everything that a judge can be
// told of a subject: each kind of key, another endpoint and a probe.
type Specimen struct {
	Subject receiver.Subject
	*reference.Receiver
}

// NewSpecimen starts the reference receiver under a profile, with one defect or,
// where its name is empty, none. The keys are invented from the seed.
func NewSpecimen(p *profile.Profile, defect string, seed uint64, limits receiver.Limits) (*Specimen, error) {
	r := rand.New(rand.NewPCG(seed, seed))
	s := receiver.Subject{
		Profile: p, Limits: limits,
		Keys: p.NewKeys(r), Second: p.NewKeys(r), Retired: p.NewKeys(r), Other: p.NewKeys(r),
	}
	target, err := reference.New(reference.Options{
		Profile: p, Keys: rotation(s.Keys, s.Second), Retired: s.Retired, Other: s.Other, Defect: defect,
		Deadline: limits.Answer,
		Limits:   wire.ServerLimits{FirstByte: limits.Slow / 3, HeadTime: limits.Slow / 3, BodyTime: limits.Slow * 2 / 3},
	})
	if err != nil {
		return nil, err
	}
	if err := locate(&s, target); err != nil {
		return nil, errors.Join(err, target.Close())
	}
	return &Specimen{s, target}, nil
}

// locate lets the receiver listen, and tells the subject where.
func locate(s *receiver.Subject, target *reference.Receiver) error {
	base, err := target.Listen("")
	if err != nil {
		return err
	}
	u, err := url.Parse(base)
	if err != nil {
		return fmt.Errorf("judge the reference receiver: %w", err)
	}
	s.URL, s.OtherURL = u.JoinPath(reference.HookPath), u.JoinPath(reference.OtherPath)
	s.Probe = effects(target.Effects)
	s.Endpoint, err = wire.Resolve(context.Background(), s.URL)
	return err
}

// effects is a probe that asks a function of the same process.
type effects func(token string) int

func (effects) Keyed() bool    { return true }
func (effects) String() string { return "function" }

func (f effects) Count(_ context.Context, token string) (int, error) { return f(token), nil }

// rotation are the keys of both, all of them active.
func rotation(a, b profile.Keys) profile.Keys {
	both := profile.Keys{}
	for name := range a {
		both[name] = slices.Concat(a[name], b[name])
	}
	return both
}
