package suites

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites/receiver"
)

// Options say how a Go program's own http.Handler is judged.
type Options struct {
	Profile string // name of a shipped profile, or a YAML file
	Secret  string // that the handler verifies with, as the provider writes it
	Path    string // under which the handler expects deliveries; "/" where it is empty
	// Effects tells how often the handler acted on the delivery that a token
	// identifies: by its id, or by a text in its body. Without it, verdicts rest on
	// statuses alone and replays are not judged.
	Effects func(token string) int
	// Select names suites or cases; Filter is a label expression; Level leaves out
	// what is required less strongly. All cases run where they are empty.
	Select        []string
	Filter, Level string
	// KnownFailures is the YAML file of failures that are accepted for a time, in the form
	// that hookanvil run takes.
	KnownFailures string
	// Limits default to 2 s for an answer and 1 s for an effect.
	Limits receiver.Limits
}

// JudgeHandler judges a handler with a subtest for each case:
//
//	func TestWebhook(t *testing.T) {
//		suites.JudgeHandler(t, handler, suites.Options{Profile: "github", Secret: secret})
//	}
//
// The handler is served on a loopback address. Left out are the cases that send
// what is no proper HTTP: they judge a server, and this one is not the handler's.
// A case that fails, or that could not be judged, is an error; a recommendation
// that is not met is logged. A known failure is skipped, until its time is over.
func JudgeHandler(t *testing.T, h http.Handler, o Options) {
	t.Helper()
	c, subject, err := o.config()
	if err != nil {
		t.Fatal(err)
	}
	stop, err := serve(h, &subject)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	c.Subject = Receiver(subject)
	judgeInTest(t, c)
}

// judgeInTest judges with a subtest for each case.
func judgeInTest(t *testing.T, c Config) {
	t.Helper()
	session, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range c.Cases {
		t.Run(strings.TrimPrefix(k.Name(), roleOf(k)+"/"), func(t *testing.T) {
			r := session.Await(t.Context(), k.Name())
			tell(t, r, c.standing(r, time.Now()))
		})
	}
	if _, err := session.Wait(); err != nil {
		t.Error(err)
	}
}

func tell(t *testing.T, r reports.Result, s standing) {
	switch {
	case r.Verdict == reports.Skip:
		t.Skip(r.Reason)
	case r.Verdict == reports.Warn:
		t.Log(account(r, s))
	case s.excuse != "":
		t.Skip(s.excuse + "; found: " + r.Reason)
	case r.Verdict != reports.Pass || s.stale != "":
		t.Error(account(r, s))
	}
}

// Describe declares the same cases as specs of the caller's own Ginkgo suite. The
// handler is asked for when a spec runs, after the caller's BeforeEach; each spec
// serves it afresh, so that specs may run in parallel.
//
//	var _ = suites.Describe(func() http.Handler { return handler }, suites.Options{Profile: "github", Secret: secret})
//
// It panics where the options make no sense, since Ginkgo builds its tree before
// anything can fail.
func Describe(handler func() http.Handler, o Options) bool {
	c, subject, err := o.config()
	if err != nil {
		panic(err)
	}
	declare(c, subject.Profile.Name, func(ctx context.Context, k scenarios.Case) reports.Result {
		subject := subject
		stop, err := serve(handler(), &subject)
		if err != nil {
			ginkgo.Fail(err.Error())
		}
		defer stop()
		return c.Redactor.CleanResult(newReceiving(subject, c, witness{}).Run(ctx, k))
	})
	return true
}

// config is the session's configuration, and the subject of which only the address
// is missing.
func (o Options) config() (Config, receiver.Subject, error) {
	p, keys, err := signedBy(o.Profile, o.Secret)
	if err != nil {
		return Config{}, receiver.Subject{}, fmt.Errorf("judge a handler: %w", err)
	}
	cases, err := choose(receiverRole, o.Select, o.Filter, o.Level, p.Name, improper)
	if err != nil {
		return Config{}, receiver.Subject{}, err
	}
	known, err := knownFor(o.KnownFailures, namesOf(cases))
	if err != nil {
		return Config{}, receiver.Subject{}, err
	}
	subject := receiver.Subject{Profile: p, Keys: keys, Limits: o.Limits, URL: &url.URL{Path: cmp.Or(o.Path, "/")}}
	subject.Limits.Answer = cmp.Or(o.Limits.Answer, 2*time.Second)
	subject.Limits.Settle = cmp.Or(o.Limits.Settle, time.Second)
	if o.Effects != nil {
		subject.Probe = effects(o.Effects)
	}
	return Config{Cases: cases, Known: known, Seed: Settings{}.SeedOrRandom(), Redactor: reports.NewRedactor(o.Secret), Tool: Tool()}, subject, nil
}

// signedBy is a profile with a secret for its main signature.
func signedBy(name, secret string) (*profile.Profile, profile.Keys, error) {
	p, err := FindProfile(name)
	if err != nil {
		return nil, nil, err
	}
	if !p.Signed() {
		return p, nil, nil
	}
	keys := profile.Keys{p.Signature.Name: {profile.NewSecret(secret)}}
	return p, keys, p.CheckKeys(keys)
}

// choose selects cases of one role, all of them where there are no names, without
// those that are of no use.
func choose(role string, names []string, filter, level, profile string, useless func(scenarios.Case) bool) ([]scenarios.Case, error) {
	if len(names) == 0 {
		names = []string{role}
	}
	cases, err := Select(names)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(cases, func(c scenarios.Case) bool { return roleOf(c) != role }); i >= 0 {
		return nil, fmt.Errorf("select the cases to run: %s does not judge a %s", cases[i].Name(), role)
	}
	return Filter(slices.DeleteFunc(cases, useless), filter, level, profile)
}

// improper tells whether a case sends what is no proper HTTP, or keeps a server
// waiting.
func improper(c scenarios.Case) bool {
	return c.Measure == "slow-clients" || slices.ContainsFunc(c.Send, func(s scenarios.Step) bool {
		if s.Wire == nil {
			return false
		}
		way, ok := wire.FindWay(s.Wire.Name)
		return !ok || !way.Lawful
	})
}

// serve serves a handler on a loopback address and completes the subject with it.
func serve(h http.Handler, s *receiver.Subject) (stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serve the handler: %w", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Second, ReadTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // it ends with stop
	}()
	stop = func() {
		_ = server.Close()
		<-done
	}
	s.URL = &url.URL{Scheme: "http", Host: l.Addr().String(), Path: s.URL.Path}
	if s.Endpoint, err = wire.Resolve(context.Background(), s.URL); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}
