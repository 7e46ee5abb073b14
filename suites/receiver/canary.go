package receiver

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
)

// canary listens on loopback under a path that nobody can guess. Its URL stands in
// requests that must not lead to it.
type canary struct {
	url    string
	server *wire.Server
	served chan struct{}
	seen   atomic.Int64
	first  chan struct{} // closed at the first visit
}

// ours is the host of its URL.
const ours = "127.0.0.1"

// foreign is a host that leads to us, and may not be asked for a confirmation; "" where
// there is none.
func foreign(c *profile.Confirm) string {
	for _, host := range []string{ours, "localhost"} {
		if !c.Asks(host) {
			return host
		}
	}
	return ""
}

// nowhere is the URL that stands in a request where the target could not reach a canary.
const nowhere = "https://callback.invalid/"

// newCanary lets one listen until it is closed.
func newCanary(path string) (*canary, error) {
	l, err := net.Listen("tcp", ours+":0")
	if err != nil {
		return nil, fmt.Errorf("listen for whoever fetches a URL of ours: %w", err)
	}
	c := &canary{url: "http://" + l.Addr().String() + path, served: make(chan struct{}), first: make(chan struct{})}
	c.server = &wire.Server{Handle: func(in *wire.Received) wire.Reply {
		if in.Path != path {
			return wire.Reply{Status: 404}
		}
		if c.seen.Add(1) == 1 {
			close(c.first)
		}
		return wire.Reply{Status: 200}
	}}
	go func() {
		defer close(c.served)
		_ = c.server.Serve(l) // what ends it early is nobody's visit
	}()
	return c, nil
}

// visits counts those to its path; there are none where there is no canary.
func (c *canary) visits() int64 {
	if c == nil {
		return 0
	}
	return c.seen.Load()
}

// called waits for a visit.
func (c *canary) called(within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-c.first:
		return true
	case <-timer.C:
		return false
	}
}

func (c *canary) close() {
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.server.Shutdown(ctx) // whoever is still there is nobody that was asked for
	<-c.served
}

// callback is the URL that the case's requests name: our canary's, where the target can
// reach one.
func (t *trial) callback() (string, error) {
	if !hasCanary(&t.subject) {
		return nowhere, nil
	}
	if t.canary == nil {
		var err error
		if t.canary, err = newCanary(fmt.Sprintf("/%016x%016x", t.rand.Uint64(), t.rand.Uint64())); err != nil {
			return "", err
		}
	}
	return t.canary.url, nil
}

// hasCanary tells of a handshake that names a URL, and a target that can reach ours.
func hasCanary(s *Subject) bool {
	c := s.Profile.Challenge
	return c != nil && c.CallsBack() && s.Endpoint.Address.Addr().Unmap().IsLoopback()
}

func lacksCanary(s *Subject) string {
	if c := s.Profile.Challenge; c == nil || !c.CallsBack() || s.Profile.Signed() {
		return profileLacks("names no URL in a handshake that anybody could have sent")(s)
	}
	return "the target is not on this machine, and could not reach a URL of ours"
}

// confirms tells of a handshake that is confirmed at a URL, and a target that can reach
// ours.
func confirms(s *Subject) bool { return hasCanary(s) && s.Profile.Challenge.Confirm != nil }

func lacksConfirmation(s *Subject) string {
	if c := s.Profile.Challenge; c == nil || c.Confirm == nil {
		return profileLacks("has no handshake that is confirmed at a URL")(s)
	}
	return "the target is not on this machine, and could not reach a URL of ours"
}

// mayConfirm tells that nothing but an answer is due, or that the receiver may fetch our
// URL.
func mayConfirm(s *Subject) bool {
	c := s.Profile.Challenge
	return c == nil || c.Confirm == nil || hasCanary(s) && c.Confirm.Asks(ours)
}

func lacksHost(s *Subject) string {
	if !hasCanary(s) {
		return lacksConfirmation(s)
	}
	return fmt.Sprintf("profile %s has its handshake confirmed at %s, where we cannot listen: where your receiver can take %s, add it to the hosts of confirm in a copy of the profile",
		s.Profile.Name, strings.Join(s.Profile.Challenge.Confirm.Hosts, " or "), ours)
}
