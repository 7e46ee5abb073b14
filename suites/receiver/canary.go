package receiver

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/wire"
)

// canary listens on loopback under a path that nobody can guess. Its URL stands in
// requests that must not lead to it.
type canary struct {
	url    string
	server *wire.Server
	served chan struct{}
	seen   atomic.Int64
}

// nowhere is the URL that stands in a request where the target could not reach a canary.
const nowhere = "https://callback.invalid/"

// newCanary lets one listen until it is closed.
func newCanary(path string) (*canary, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for whoever fetches a URL of ours: %w", err)
	}
	c := &canary{url: "http://" + l.Addr().String() + path, served: make(chan struct{})}
	c.server = &wire.Server{Handle: func(in *wire.Received) wire.Reply {
		if in.Path != path {
			return wire.Reply{Status: 404}
		}
		c.seen.Add(1)
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
