package suites

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/reference"
	"github.com/hookanvil/hookanvil/fixtures/resolver"
	"github.com/hookanvil/hookanvil/suites/sender"
)

// QuickSender are limits for senders of our own on loopback: tests, the
// demonstration and the matrix.
var QuickSender = sender.Limits{Budget: 20 * time.Second, Arrival: 4 * time.Second, Slack: 500 * time.Millisecond}

// quickDeadline is the time that it gives an attempt.
const quickDeadline = time.Second

// quickMinute is what an allowed rate counts in.
const quickMinute = 3 * time.Second

// quick is a profile as the reference sender keeps to it in tests. One that tries
// nothing again, or keeps a timestamp, still does.
func quick(p *profile.Profile) *profile.Profile {
	faster := *p
	faster.Retry, faster.Delivery.Deadline = reference.QuickRetry(), quickDeadline
	faster.Retry.Attempts, faster.Retry.GivesUpOn = len(faster.Retry.Schedule)+1, profile.Statuses{400, 422}
	if p.Retry != nil {
		faster.Retry.Timestamp = p.Retry.Timestamp
		if p.Retry.Total() == 1 {
			faster.Retry.Schedule, faster.Retry.Jitter, faster.Retry.Attempts = nil, "", 1
		}
	}
	return &faster
}

// SenderSpecimen is a running reference sender, with everything that a judge can
// be told of a subject: each kind of hook, the secret after a rotation, a resolver,
// and an authority that it trusts.
type SenderSpecimen struct {
	Subject sender.Subject
	*reference.Sender
	resolver *resolver.Server
}

// NewSenderSpecimen starts the reference sender under a profile, with one defect
// or, where its name is empty, none. It invents the secrets of its endpoints; those
// after a rotation are invented from the seed. The retry terms are such that a test
// need not wait.
func NewSenderSpecimen(p *profile.Profile, defect string, seed uint64, limits sender.Limits) (*SenderSpecimen, error) {
	p = quick(p)
	r := rand.New(rand.NewPCG(seed, seed))
	authority, err := pki.New()
	if err != nil {
		return nil, err
	}
	s := &SenderSpecimen{Subject: sender.Subject{Profile: p, Limits: limits, Untrusted: true, Authority: authority}, resolver: resolver.New()}
	switch {
	case p.Signed() && p.Challenge != nil: // the handshake may take the secret before it is answered
		s.Subject.Keys, s.Subject.Next = p.NewKeys(r), p.NewKeys(r)
	case p.Signed():
		s.Subject.SecretAt, s.Subject.Next = "/secret", p.NewKeys(r)
	}
	s.Subject.Limits.Minute, s.Subject.Limits.Hasten = quickMinute, float64(quickMinute)/float64(time.Minute)
	if err := s.resolver.Listen("127.0.0.1:0"); err != nil {
		return nil, err
	}
	s.Subject.Resolver = s.resolver
	s.Sender, err = reference.NewSender(reference.SenderOptions{
		Profile: p, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Resolver: s.resolver.Addr(), Defect: defect,
		Roots: []*x509.Certificate{authority.Root()}, Handshake: true, Minute: quickMinute,
	})
	if err != nil {
		return nil, errors.Join(err, s.resolver.Close())
	}
	if err := s.hook(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// hook lets the sender listen, and tells the subject what can be done to it.
func (s *SenderSpecimen) hook() error {
	api, err := s.Sender.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	for _, h := range []struct {
		text   string
		action *sender.Action
	}{
		{`POST %s/events {"endpoint":"{register:/id}","type":"{event}","token":"{token}","data":{data}}`, &s.Subject.Trigger},
		{`POST %s/endpoints {"url":"{url}","secret":"{secret}","events":{events},"headers":{headers},"client_certificate":"{client_certificate}","client_key":"{client_key}","lease_seconds":"{lease}"}`, &s.Subject.Register},
		{`PATCH %s/endpoints/{register:/id} {"url":"{url}"}`, &s.Subject.Move},
		{`DELETE %s/endpoints/{register:/id}`, &s.Subject.Remove},
		{`POST %s/endpoints/{register:/id}/rotate {"secret":"{secret}"}`, &s.Subject.Rotate},
		{`POST %s/restart`, &s.Subject.Restart},
	} {
		hook, err := sender.ParseHook(fmt.Sprintf(h.text, api), nil)
		if err != nil {
			return fmt.Errorf("judge the reference sender: %w", err)
		}
		*h.action = hook
	}
	return nil
}

// Close ends the sender and its resolver.
func (s *SenderSpecimen) Close() error { return errors.Join(s.Sender.Close(), s.resolver.Close()) }
