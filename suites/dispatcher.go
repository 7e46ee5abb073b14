package suites

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites/sender"
)

// Event is something that a Go program's own sender is to tell a receiver of.
type Event struct {
	URL    string // of the receiver
	Secret string // to sign with
	Type   string
	Token  string // is to stand anywhere in the payload
	Data   []byte // JSON that the payload is to carry, if the sender's payloads carry any
}

// SenderOptions say how a Go program's own sender is judged.
type SenderOptions struct {
	Profile string // name of a shipped profile, or a YAML file
	Secret  string // that the sender signs with, as the provider writes it
	// Retry says when the sender tries again in the test, and Deadline what it gives
	// an attempt; the profile's where they are nil and 0. Time is real: a sender that
	// is to be judged in seconds must retry in fractions of them.
	Retry    *profile.Retry
	Deadline time.Duration
	// Select names suites or cases; Filter is a label expression; Level leaves out
	// what is required less strongly. All cases run where they are empty.
	Select        []string
	Filter, Level string
	// KnownFailures is the YAML file of failures that are accepted for a time, in the form
	// that hookanvil run takes.
	KnownFailures string
	// Limits default to those of QuickSender.
	Limits sender.Limits
}

// JudgeSender judges a sender with a subtest for each case. Fire has it tell of one
// event, and may return before the event is delivered; several events are fired at
// once:
//
//	func TestDispatcher(t *testing.T) {
//		suites.JudgeSender(t, func(ctx context.Context, e suites.Event) error {
//			return dispatcher.Enqueue(e.URL, e.Secret, map[string]string{"token": e.Token})
//		}, suites.SenderOptions{Profile: "github", Secret: secret})
//	}
//
// Endpoints listen on a loopback address. A case that fails, or that could not be
// judged, is an error; a recommendation that is not met is logged. A known failure is
// skipped, until its time is over.
func JudgeSender(t *testing.T, fire func(ctx context.Context, e Event) error, o SenderOptions) {
	t.Helper()
	c, err := o.config(fire)
	if err != nil {
		t.Fatal(err)
	}
	judgeInTest(t, c)
}

// config is the session's configuration.
func (o SenderOptions) config(fire func(context.Context, Event) error) (Config, error) {
	found, keys, err := signedBy(o.Profile, o.Secret)
	if err != nil {
		return Config{}, err
	}
	cases, err := choose(senderRole, o.Select, o.Filter, o.Level, found.Name, func(scenarios.Case) bool { return false })
	if err != nil {
		return Config{}, err
	}
	known, err := knownFor(o.KnownFailures, namesOf(cases))
	if err != nil {
		return Config{}, err
	}
	p := *found
	if o.Retry != nil {
		p.Retry = o.Retry
	}
	if o.Deadline > 0 {
		p.Delivery.Deadline = o.Deadline
	}
	if o.Limits == (sender.Limits{}) {
		o.Limits = QuickSender
	}
	subject := sender.Subject{Profile: &p, Keys: keys, Trigger: function(fire), Limits: o.Limits}
	return Config{Subject: Sender(subject), Cases: cases, Known: known, Seed: Settings{}.SeedOrRandom(), Redactor: reports.NewRedactor(o.Secret), Tool: Tool()}, nil
}

// function is a trigger that calls a function of the same process.
type function func(ctx context.Context, e Event) error

func (function) String() string { return "function" }

// Has tells which words the function is given.
func (function) Has(word string) bool {
	return slices.Contains([]string{"url", "secret", "event", "token", "data"}, word)
}

// Do fires an event. That the sender would not take it is its answer, and no
// failure of ours.
func (f function) Do(ctx context.Context, v sender.Values) (sender.Outcome, error) {
	if err := f(ctx, Event{URL: v.URL, Secret: v.Secret, Type: v.Event, Token: v.Token, Data: v.Data}); err != nil {
		return sender.Outcome{Status: http.StatusBadRequest, Body: []byte(err.Error())}, nil
	}
	return sender.Outcome{Status: http.StatusAccepted}, nil
}
