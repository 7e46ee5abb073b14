package suites

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/resolver"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites/load"
	"github.com/hookanvil/hookanvil/suites/receiver"
	"github.com/hookanvil/hookanvil/suites/sender"
)

// The roles that a subject can have.
const (
	receiverRole = "receiver"
	senderRole   = "sender"
)

// roles are all of them, in the order of the catalogue.
var roles = []string{receiverRole, senderRole}

// Judge judges the cases of one role. Its methods may be called concurrently.
type Judge interface {
	// Preflight returns what the user should know before any verdict.
	Preflight(ctx context.Context) []string
	// Exclusive tells whether the case must run while no other case does.
	Exclusive(c scenarios.Case) bool
	Run(ctx context.Context, c scenarios.Case) reports.Result
}

// A judge may offer more: which cases hold the subject up, when a running case ends at
// the latest, what the subject was seen to do, how its clock goes, and an end.
type (
	considerate interface{ Later(c scenarios.Case) bool }
	foresighted interface {
		Until(caseName string) time.Time
	}
	observant interface{ Observed() *profile.Profile }
	clocked   interface {
		Clock() (offset time.Duration, known bool)
	}
	closer interface{ Close() error }
)

// Subject is what a session judges. Receiver and Sender make one.
type Subject struct {
	Profile *profile.Profile
	About   reports.Subject // role and target, for the reports

	parallel int // cases at the same time, unless the user says otherwise
	judge    func(c Config, w witness) (Judge, error)
}

// witness is given what was observed before it influences a verdict.
type witness struct {
	observe observer
	absorb  func(caseName string, a reports.Absorption) error
	measure func(caseName string, m reports.Measurement) error
}

// recorder is a witness as the judges of load know it.
func (w witness) recorder() load.Recorder {
	return load.Recorder{Observe: w.observe, Absorb: w.absorb, Measure: w.measure}
}

// observer is given each exchange.
type observer func(caseName string, x reports.Exchange) error

// Receiver makes a session's subject of a receiver.
func Receiver(s receiver.Subject) Subject {
	about := reports.Subject{Role: receiverRole}
	if s.URL != nil {
		about.Target = s.URL.String()
	}
	if s.Probe != nil {
		about.Probe = s.Probe.String()
	}
	return Subject{s.Profile, about, DefaultParallel, func(c Config, w witness) (Judge, error) {
		if s.Authority == nil {
			return newReceiving(s, c, w), nil
		}
		return judgeWithAuthority(s, c, w)
	}}
}

// receiving judges a receiver by single deliveries, and under load.
type receiving struct {
	*receiver.Judge
	load *load.Judge
}

func newReceiving(s receiver.Subject, c Config, w witness) receiving {
	return receiving{receiver.NewJudge(s, c.Seed, w.observe), load.NewJudge(underLoad(s, c.Load), c.Seed, w.recorder())}
}

// Exclusive tells that a load takes the whole machine.
func (r receiving) Exclusive(c scenarios.Case) bool { return isLoad(c) || r.Judge.Exclusive(c) }

func (r receiving) Run(ctx context.Context, c scenarios.Case) reports.Result {
	if isLoad(c) {
		return r.load.Run(ctx, c)
	}
	return r.Judge.Run(ctx, c)
}

// certifying is a judge of a receiver whose client certificates come from an authority
// that can be asked about them.
type certifying struct {
	receiving
	stop func() error
}

func judgeWithAuthority(s receiver.Subject, c Config, w witness) (Judge, error) {
	stop, err := s.Authority.Serve()
	if err != nil {
		return nil, err
	}
	return certifying{newReceiving(s, c, w), stop}, nil
}

func (c certifying) Close() error { return c.stop() }

// Sender makes a session's subject of a sender. What a person must do to have it
// deliver is told to Config.Prompt.
func Sender(s sender.Subject) Subject {
	about := reports.Subject{Role: senderRole, Target: whereFired(s), Schedule: declaredGaps(s.Profile)}
	return Subject{s.Profile, about, DefaultParallelSender, func(c Config, w witness) (Judge, error) {
		if s.Prompt == nil {
			s.Prompt = c.Prompt
		}
		if s.SecretAt != "" && s.Register != nil {
			s.Register = issuing{s.Register, s.SecretAt, c.Redactor}
		}
		return underEitherLoad(s, c, w, func() (wholeSender, error) {
			if s.Resolver != nil || c.Resolver == "" {
				return sender.NewJudge(s, c.Seed, w.observe)
			}
			return judgeWithResolver(s, c, w.observe)
		})
	}}
}

// declaredGaps are the first of the gaps that a sender declares between its attempts, in
// milliseconds: more are not seen in a run.
func declaredGaps(p *profile.Profile) (all []float64) {
	const most = 50
	for n := 1; n <= most; n++ {
		gap, ok := p.Retry.Gap(n)
		if !ok {
			break
		}
		all = append(all, float64(gap.Microseconds())/1000)
	}
	return all
}

// resolving is a judge of a sender that looks names up where the session serves
// them.
type resolving struct {
	*sender.Judge
	resolver *resolver.Server
}

func judgeWithResolver(s sender.Subject, c Config, observe observer) (wholeSender, error) {
	s.Resolver = resolver.New()
	if err := s.Resolver.Listen(c.Resolver); err != nil {
		return nil, fmt.Errorf("answer look-ups on %s: %w", c.Resolver, err)
	}
	j, err := sender.NewJudge(s, c.Seed, observe)
	if err != nil {
		return nil, errors.Join(err, s.Resolver.Close())
	}
	return resolving{j, s.Resolver}, nil
}

func (r resolving) Close() error { return errors.Join(r.Judge.Close(), r.resolver.Close()) }

// whereFired names a sender in reports: by what has it deliver or, where a person
// does, by where it is to deliver to.
func whereFired(s sender.Subject) string {
	switch {
	case s.Trigger != nil:
		return s.Trigger.String()
	case s.PublicURL != nil:
		return "whoever delivers to " + s.PublicURL.String()
	}
	return "whoever delivers to " + s.Listen
}

// issuing is a registration that the sender answers with a secret which it has
// invented, and which no report may show from then on.
type issuing struct {
	sender.Action
	at       string // JSON pointer
	redactor *reports.Redactor
}

func (i issuing) Do(ctx context.Context, v sender.Values) (sender.Outcome, error) {
	out, err := i.Action.Do(ctx, v)
	if secret, missing := out.At(i.at); err == nil && missing == nil {
		i.redactor.Learn(secret)
	}
	return out, err
}
