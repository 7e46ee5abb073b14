package suites

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"

	"github.com/hookanvil/hookanvil/fixtures/pki"
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
	return newSpecimen(p, defect, seed, limits, nil)
}

// NewSecureSpecimen starts one that is reached by mutual TLS, under an authority made
// for it.
func NewSecureSpecimen(p *profile.Profile, defect string, seed uint64, limits receiver.Limits) (*Specimen, error) {
	authority, err := pki.New()
	if err != nil {
		return nil, err
	}
	return newSpecimen(p, defect, seed, limits, &reference.TLS{Authority: authority})
}

func newSpecimen(p *profile.Profile, defect string, seed uint64, limits receiver.Limits, secure *reference.TLS) (*Specimen, error) {
	p = p.Confirming("127.0.0.1") // so that it may fetch a URL of the judge's
	r := rand.New(rand.NewPCG(seed, seed))
	s := receiver.Subject{
		Profile: p, Limits: limits,
		Keys: p.NewKeys(r), Second: p.NewKeys(r), Retired: p.NewKeys(r), Other: p.NewKeys(r),
	}
	target, err := reference.New(reference.Options{
		Profile: p, Keys: rotation(s.Keys, s.Second), Retired: s.Retired, Other: s.Other, Defect: defect,
		Deadline: limits.Answer, TLS: secure,
		Limits: wire.ServerLimits{FirstByte: limits.Slow / 3, HeadTime: limits.Slow / 3, BodyTime: limits.Slow * 2 / 3},
	})
	if err != nil {
		return nil, err
	}
	if err := locate(&s, target); err != nil {
		return nil, errors.Join(err, target.Close())
	}
	if secure != nil {
		s.Authority = secure.Authority
		s.Endpoint.TLS.RootCAs = secure.Authority.Pool()
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
	if u.Scheme == "https" {
		// Of an address nobody asks by name, and so a server that needs a name would
		// serve nobody.
		u.Host = net.JoinHostPort("localhost", u.Port())
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
