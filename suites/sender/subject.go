// Package sender judges webhook senders: it poses as the receiver. Every case has
// endpoints of its own, has the sender deliver events to them, answers each attempt
// as the scenario says, and judges what arrived and when.
package sender

import (
	"cmp"
	"context"
	"crypto/x509"
	"net"
	"net/url"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/resolver"
)

// Subject is the sender under test, and the means by which it is made to do things.
// Profile is needed. Where Trigger is nil, somebody else fires the events and
// Prompt says when.
type Subject struct {
	// Profile says how deliveries are expected to be, and when attempts are repeated.
	Profile *profile.Profile
	// Keys are the secrets that endpoints are registered with, Next those after a
	// rotation.
	Keys, Next profile.Keys

	Trigger, Register, Remove, Rotate, Restart, Move Action
	// SecretAt is a JSON pointer into the answer to Register, where the sender says
	// there which secret it has invented.
	SecretAt string

	// Listen is the address on which endpoints listen, 127.0.0.1:0 where it is empty.
	Listen string
	// PublicURL is where a tunnel or a proxy stands in front of it; nil otherwise.
	PublicURL *url.URL
	// Path is the path of the only endpoint of a sender that cannot be told of
	// another, /hook where it is empty.
	Path string
	// Authority is one that the sender trusts for servers; nil where it trusts none of
	// ours.
	Authority *pki.Authority
	// ClientRoots are whom the certificate that the sender itself has must come from; nil
	// where it has none.
	ClientRoots *x509.CertPool
	// Untrusted tells that strangers may register endpoints, so that the sender must
	// mind where they lead.
	Untrusted bool
	// Resolver is the name server that the sender has been pointed at; nil where it
	// has not.
	Resolver *resolver.Server

	Limits Limits
	// Prompt tells a person what to do; it may be nil.
	Prompt func(text string)
	// Open opens the sockets on which endpoints listen; net.Listen where it is nil.
	Open func(addr string) (net.Listener, error)
	// Dial opens connections to the callbacks that handshakes name; a net.Dialer does where
	// it is nil.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Action is something that can be done to the sender. A Hook is one.
type Action interface {
	// Do does it. The error means that it could not be done at all; what the sender
	// made of it is the outcome.
	Do(ctx context.Context, v Values) (Outcome, error)
	// Has tells whether a word such as url has a place in it.
	Has(word string) bool
	// String describes it without any secret.
	String() string
}

// Limits bound the watching.
type Limits struct {
	Budget  time.Duration // for watching one case
	Arrival time.Duration // from an event to its first attempt
	Slack   time.Duration // by which a time may be missed
	Minute  time.Duration // that an allowed rate counts in; a minute where it is 0
	Hasten  float64       // by which a lease is shorter than it says; 1 where it is 0
}

// DefaultLimits are those of an ordinary run.
var DefaultLimits = Limits{Budget: 2 * time.Minute, Arrival: 30 * time.Second, Slack: 500 * time.Millisecond}

func (l Limits) filled() Limits {
	l.Budget = cmp.Or(l.Budget, DefaultLimits.Budget)
	l.Arrival = min(cmp.Or(l.Arrival, DefaultLimits.Arrival), l.Budget)
	l.Slack = cmp.Or(l.Slack, DefaultLimits.Slack)
	return l
}

// fixed tells whether the sender delivers to one endpoint only, since it can be
// told of no other.
func (s *Subject) fixed() bool {
	return s.Register == nil && (s.Trigger == nil || !s.Trigger.Has("url"))
}

// addressed tells whether an event can be fired for one endpoint and no other. Where
// it cannot, it may come to the endpoints of all cases that run.
func (s *Subject) addressed() bool {
	return s.Trigger != nil && (s.Trigger.Has("url") || s.Trigger.Has("register"))
}

// waiting tells whether somebody else fires the events.
func (s *Subject) waiting() bool { return s.Trigger == nil }

// deadline is the time that the sender gives an attempt, 0 where it is not known.
func (s *Subject) deadline() time.Duration { return s.Profile.Delivery.Deadline }

// Issued are the keys of an endpoint whose secret the sender has invented, as the answer
// to its registration says it: for the main signature, and for HMACs beside it. There are
// none where SecretAt is empty.
func (s Subject) Issued(registration []byte) (profile.Keys, error) {
	if s.SecretAt == "" {
		return nil, nil
	}
	secret, err := Outcome{Body: registration}.At(s.SecretAt)
	if err != nil {
		return nil, err
	}
	keys := profile.Keys{}
	for i, scheme := range s.Profile.Schemes() {
		if i == 0 || scheme.HMAC() {
			keys[scheme.Name] = []profile.Secret{profile.NewSecret(secret)}
		}
	}
	return keys, nil
}
