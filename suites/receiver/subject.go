// Package receiver judges webhook receivers: it plays the sender. It builds an
// honest delivery, departs from it in the one way a scenario names, writes it to
// the socket and judges the answer, and the effect, between two honest
// deliveries that must be accepted.
package receiver

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/fixtures/probe"
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
)

// Subject is the receiver under test and what is known of it.
type Subject struct {
	URL      *url.URL
	OtherURL *url.URL      // another endpoint of the same receiver, on the same address; may be nil
	Endpoint wire.Endpoint // where URL leads; resolved once, so that a run judges one address
	Profile  *profile.Profile

	// Keys sign. Second, where there is one, is an equally valid key of a rotation;
	// Retired is valid no more; Other belongs to another endpoint.
	Keys, Second, Retired, Other profile.Keys

	// Authority is one that the receiver trusts for its clients, so that it can be shown
	// what is wrong with a certificate and nothing else; nil where there is none.
	Authority *pki.Authority
	// Client is whom the receiver admits; pki.DefaultClient where it is empty.
	Client pki.Subject

	Headers wire.Headers // added to every request: a tunnel's or a gateway's own
	Probe   probe.Probe  // counts effects; nil where the subject offers none
	Answers Answers
	Limits  Limits

	callback string    // the URL that requests name, where they do
	keyPlace *keyPlace // where a delivery says that its key is to be had, where that is ours

	Notes []string // what is odd about the above, and prevents nothing
}

// Answers says which answers count as accepted and which as refused. The zero
// value takes the profile's successes, and the statuses by which a receiver
// refuses on purpose: 400, 401, 403 and 422.
type Answers struct {
	Accept, Reject []wire.Predicate
}

// Limits are the bounds within which the subject must act.
type Limits struct {
	Answer time.Duration // to acknowledge; the profile's deadline where it is 0
	Slow   time.Duration // to end a request that does not get on; 10 s where it is 0
	Settle time.Duration // for an effect to show after the answer; 2 s where it is 0
	Quiet  time.Duration // that is waited to see that no effect follows; 50 ms where it is 0
}

// Defaults for what neither the user nor the profile says. 15 s is the least that
// Standard Webhooks tells senders to wait.
const (
	defaultAnswer = 15 * time.Second
	defaultSlow   = 10 * time.Second
	defaultSettle = 2 * time.Second
	defaultQuiet  = 50 * time.Millisecond
)

func (l Limits) filled(p *profile.Profile) Limits {
	l.Answer = firstOf(l.Answer, p.Delivery.Deadline, defaultAnswer)
	l.Slow = firstOf(l.Slow, defaultSlow)
	l.Settle = firstOf(l.Settle, defaultSettle)
	l.Quiet = firstOf(l.Quiet, defaultQuiet)
	return l
}

func firstOf(ds ...time.Duration) time.Duration {
	i := slices.IndexFunc(ds, func(d time.Duration) bool { return d > 0 })
	return ds[i]
}

// answer is what an exchange amounts to, before any expectation is asked.
type answer int

const (
	accepted    answer = iota // acknowledged in time
	late                      // acknowledged after the deadline
	refused                   // by a status that says so
	serverError               // 5xx
	otherStatus               // a status that says nothing about the delivery: 404, 429, 302, ...
	unanswered                // no complete answer
)

// reading is an exchange with what it amounts to, and a phrase for the reports.
type reading struct {
	wire.Exchange
	answer answer
	phrase string // "answered 401 Unauthorized"
}

// read classifies an exchange. A status is judged only from a complete answer to
// a request that was completely written: everything else says nothing about the
// delivery.
func (s *Subject) read(x wire.Exchange, reject []int) []reading {
	if len(x.Responses) == 0 || x.Outcome != wire.Answered {
		return []reading{{x, unanswered, describe(x)}}
	}
	readings := make([]reading, len(x.Responses))
	for i, r := range x.Responses {
		readings[i] = reading{x, s.classify(r, x, reject), "answered " + statusText(r.Status)}
		if readings[i].answer == late {
			readings[i].phrase += fmt.Sprintf(" after %s, later than the %s allowed", round(x.Done), round(s.Limits.Answer))
		}
	}
	return readings
}

func (s *Subject) classify(r wire.Response, x wire.Exchange, reject []int) answer {
	matches := func(p wire.Predicate) bool { return p.Matches(r.Status, r.Body) }
	switch {
	case slices.ContainsFunc(s.Answers.Reject, matches), slices.Contains(reject, r.Status):
		return refused
	case slices.ContainsFunc(s.Answers.Accept, matches), len(s.Answers.Accept) == 0 && s.Profile.Succeeds(r.Status):
		if len(x.Responses) == 1 && x.FirstByte-x.Wrote > s.Limits.Answer {
			return late
		}
		return accepted
	case len(s.Answers.Reject) == 0 && len(reject) == 0 && slices.Contains(onPurpose, r.Status):
		return refused
	case r.Status >= 500:
		return serverError
	}
	return otherStatus
}

// onPurpose are the statuses by which a receiver refuses a delivery on purpose.
// 404, 405, 413, 415, 429 and the like may mean that the delivery was never
// looked at.
var onPurpose = []int{400, 401, 403, 422}

// statusText names a status in our own words: the reason phrase is the peer's.
func statusText(status int) string {
	return strings.TrimSpace(fmt.Sprint(status, " ", http.StatusText(status)))
}

// describe says how an exchange without a complete answer ended.
func describe(x wire.Exchange) string {
	what := strings.ReplaceAll(string(x.Outcome), "-", " ")
	if len(x.Responses) > 0 {
		what = fmt.Sprintf("status %d, then %s", x.Responses[0].Status, what)
	}
	if x.Detail != "" {
		what += ": " + x.Detail
	}
	return what
}

func round(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(100 * time.Microsecond)
}
