package suites

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites/load"
	"github.com/hookanvil/hookanvil/suites/sender"
)

// sendingUnderLoad is a sender as the judge of load sees it.
func sendingUnderLoad(s sender.Subject, d Declared) load.SenderSubject {
	h := &hooked{subject: s}
	subject := load.SenderSubject{
		Sender: load.Sender{Profile: s.Profile, Keys: s.Keys, Fire: h.fire, Listen: s.Listen, MaxLag: d.maxLag},
		Unfit:  unfitForLoad(s), Rate: d.Rate, Time: d.Time, Concurrency: d.Concurrency, Arrival: s.Limits.Arrival,
	}
	if s.Register != nil {
		subject.Register = h.register
	}
	if s.Remove != nil {
		subject.Remove = h.remove
	}
	switch told := s.Register != nil || s.Trigger != nil && s.Trigger.Has("url"); {
	case s.PublicURL != nil:
		subject.Base = s.PublicURL.String() // what stands in front speaks TLS, or does not
	case told:
		subject.Authority, subject.Clients = s.Authority, s.ClientRoots
	}
	if s.Register == nil && s.Trigger != nil && !s.Trigger.Has("url") {
		subject.Path = s.Path
		if subject.Path == "" {
			subject.Path = "/hook"
		}
	}
	return subject
}

// unfitForLoad says why a sender cannot be judged under load.
func unfitForLoad(s sender.Subject) string {
	switch {
	case s.Trigger == nil:
		return "events are not fired by us: --trigger"
	case !s.Trigger.Has("token"):
		return "deliveries do not carry the token of their event: {token} in --trigger"
	case !s.Profile.Signed():
		return fmt.Sprintf("profile %s signs nothing", s.Profile.Name)
	case s.Register != nil && !s.Trigger.Has("url") && !s.Trigger.Has("register"):
		return "an event goes to every endpoint that is registered, and not to one: {url} or {register:/id} in --trigger"
	}
	return ""
}

// hooked has a sender do by its hooks what the judge of load asks for.
type hooked struct {
	subject       sender.Subject
	registrations sync.Map // URL to the body of the answer
}

func (h *hooked) values(url, token string) sender.Values {
	v := sender.Values{URL: url, Token: token, Event: "hookanvil.test", Endpoint: scenarios.Main, Data: []byte("{}")}
	if e := h.subject.Profile.Event; e != nil && e.Value != "" {
		v.Event = e.Value
	}
	if secrets := h.subject.Keys[h.subject.Profile.Schemes()[0].Name]; len(secrets) > 0 {
		v.Secret = secrets[0].Reveal()
	}
	if body, known := h.registrations.Load(url); known {
		v.Registration, _ = body.([]byte)
	}
	return v
}

// do does what a hook is for, and takes for an error what the sender refuses.
func (h *hooked) do(ctx context.Context, a sender.Action, url, token string) (sender.Outcome, error) {
	out, err := a.Do(ctx, h.values(url, token))
	switch {
	case err != nil:
		return out, err
	case out.OK():
		return out, nil
	case out.Status != 0:
		return out, fmt.Errorf("the sender answered %d", out.Status)
	}
	return out, fmt.Errorf("the command ended with exit code %d", out.Exit)
}

func (h *hooked) fire(ctx context.Context, url, token string) error {
	_, err := h.do(ctx, h.subject.Trigger, url, token)
	return err
}

// register returns the secret that the sender has invented, where it does.
func (h *hooked) register(ctx context.Context, url string) (profile.Keys, error) {
	out, err := h.do(ctx, h.subject.Register, url, "")
	if err != nil {
		return nil, err
	}
	h.registrations.Store(url, out.Body)
	keys, err := h.subject.Issued(out.Body)
	if err != nil {
		return nil, fmt.Errorf("read the secret of the endpoint: %w", err)
	}
	return keys, nil
}

// remove is done for the sake of the next run; what still comes after this one finds
// nobody listening.
func (h *hooked) remove(ctx context.Context, url string) {
	_, _ = h.do(ctx, h.subject.Remove, url, "")
}

// wholeSender is what a judge of senders offers.
type wholeSender interface {
	Judge
	considerate
	foresighted
	observant
	closer
}

// sending judges a sender by single events, and under load.
type sending struct {
	wholeSender
	load *load.SenderJudge
}

// Exclusive tells that a load takes the whole machine.
func (s sending) Exclusive(c scenarios.Case) bool { return isLoad(c) || s.wholeSender.Exclusive(c) }

// Later tells that a load comes when the other cases have ended.
func (s sending) Later(c scenarios.Case) bool { return isLoad(c) || s.wholeSender.Later(c) }

func (s sending) Run(ctx context.Context, c scenarios.Case) reports.Result {
	if isLoad(c) {
		return s.load.Run(ctx, c)
	}
	return s.wholeSender.Run(ctx, c)
}

// flooding judges a sender under load alone: nothing else listens.
type flooding struct{ *load.SenderJudge }

func (flooding) Preflight(context.Context) []string { return nil }
func (flooding) Exclusive(scenarios.Case) bool      { return true }

// underEitherLoad makes the judge of a sender that the cases need.
func underEitherLoad(s sender.Subject, c Config, w witness, judge func() (wholeSender, error)) (Judge, error) {
	flood := load.NewSenderJudge(sendingUnderLoad(s, c.Load), w.recorder())
	if len(c.Cases) > 0 && !slices.ContainsFunc(c.Cases, func(one scenarios.Case) bool { return !isLoad(one) }) {
		return flooding{flood}, nil
	}
	whole, err := judge()
	if err != nil {
		return nil, err
	}
	return sending{whole, flood}, nil
}

// ofOneRole leaves out the cases of load that judge the other role, where the shelf was
// named and not they.
func (s Settings) ofOneRole(names []string, cases []scenarios.Case) ([]scenarios.Case, error) {
	others := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return strings.TrimSuffix(name, "/") == loadShelf })
	if len(others) == len(names) {
		return cases, nil
	}
	named := map[string]bool{}
	role := ""
	if len(others) > 0 {
		asked, err := Select(others)
		if err != nil {
			return nil, err
		}
		for _, c := range asked {
			named[c.Name()] = true
		}
		role = roleOf(asked[0])
	}
	if role == "" {
		var err error
		if role, err = s.role(); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(cases, func(c scenarios.Case) bool { return roleOf(c) != role && !named[c.Name()] }), nil
}
