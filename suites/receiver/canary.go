package receiver

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
)

// canary listens on loopback under a path that nobody can guess. Its URL stands in
// requests that must not lead to it.
type canary struct {
	address string // what follows http:// in its URL
	secured string // what follows https://; empty where it speaks no TLS
	servers []*wire.Server
	served  sync.WaitGroup
	seen    atomic.Int64
	first   chan struct{}          // closed at the first visit
	shows   atomic.Pointer[[]byte] // to whoever visits; nil is nothing
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

// newCanary lets one listen until it is closed: with a certificate, for TLS as well.
func newCanary(path string, shown *tls.Certificate) (*canary, error) {
	c := &canary{first: make(chan struct{})}
	at, err := c.listen(path, nil)
	if err != nil {
		return nil, err
	}
	c.address = at
	if shown == nil {
		return c, nil
	}
	// Who trusts the certificate or not, and asks for it, is on the way to our path: he has
	// been led to a port that was made for this case.
	c.secured, err = c.listen(path, func(*tls.ClientHelloInfo, int) (*tls.Config, error) {
		c.visited()
		return &tls.Config{Certificates: []tls.Certificate{*shown}, MinVersion: tls.VersionTLS12}, nil
	})
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// listen serves on a port of its own, and returns where.
func (c *canary) listen(path string, secure func(*tls.ClientHelloInfo, int) (*tls.Config, error)) (string, error) {
	l, err := net.Listen("tcp", ours+":0")
	if err != nil {
		return "", fmt.Errorf("listen for whoever fetches a URL of ours: %w", err)
	}
	server := &wire.Server{Secure: secure, Handle: func(in *wire.Received) wire.Reply {
		if in.Path != path && !strings.HasPrefix(in.Path, path+"/") {
			return wire.Reply{Status: 404}
		}
		c.visited()
		if shows := c.shows.Load(); shows != nil {
			return wire.Reply{Status: 200, Headers: wire.Headers{{Name: "Content-Type", Value: "application/x-pem-file"}}, Body: *shows}
		}
		return wire.Reply{Status: 200}
	}}
	c.servers = append(c.servers, server)
	c.served.Go(func() {
		_ = server.Serve(l) // what ends it early is nobody's visit
	})
	return l.Addr().String() + path, nil
}

func (c *canary) visited() {
	if c.seen.Add(1) == 1 {
		close(c.first)
	}
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
	if c == nil {
		return false
	}
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
	for _, server := range c.servers {
		_ = server.Shutdown(ctx) // whoever is still there is nobody that was asked for
	}
	c.served.Wait()
}

// callback is the URL that the case's handshakes name: our canary's, where the target can
// reach one.
func (t *trial) callback() (string, error) {
	if !hasCanary(&t.subject) {
		return nowhere, nil
	}
	if err := t.openCanary(nil); err != nil {
		return "", err
	}
	return "http://" + t.canary.address, nil
}

// openCanary has one listen for the rest of the case.
func (t *trial) openCanary(shown *tls.Certificate) (err error) {
	if t.canary == nil {
		t.canary, err = newCanary(fmt.Sprintf("/%016x%016x", t.rand.Uint64(), t.rand.Uint64()), shown)
	}
	return err
}

// keyCanary is the capability without which no delivery can name a place of ours for its
// key.
const keyCanary = "key-canary"

// keyPlace is where a delivery says that the key of whoever has signed it is to be had,
// and that it is.
type keyPlace struct {
	keys            profile.Keys
	address, secure string // of our canary, which shows the certificate
}

// luring has our canary show a certificate that a stranger has made for himself. Where the
// target trusts an authority of ours, it trusts the canary's own.
func (t *trial) luring() (*keyPlace, error) {
	if t.canary == nil {
		authority := t.subject.Authority
		if authority == nil {
			var err error
			if authority, err = pki.New(); err != nil {
				return nil, err
			}
		}
		shown, err := authority.Good(pki.Server, pki.DefaultServer)
		if err != nil {
			return nil, err
		}
		if err := t.openCanary(shown); err != nil {
			return nil, err
		}
	}
	p := t.subject.Profile
	keys := p.Forged(t.rand, t.subject.Keys)
	certificate, err := p.Certificate(keys[p.Signature.Name][0])
	if err != nil {
		return nil, err
	}
	t.canary.shows.Store(&certificate)
	return &keyPlace{keys: keys, address: t.canary.address, secure: t.canary.secured}, nil
}

// keyAt has a stranger sign, and say where his key is to be had. In the text {http} and
// {https} are where our canary listens, and {host} the host that the provider's key comes
// from.
func keyAt(d *delivery, arg any) {
	place, from := d.subject.keyPlace, d.subject.Profile.KeyFrom
	d.signWith(place.keys)
	d.later = func() {
		d.request.Headers, d.request.Body = from.Moved(d.request.Headers, d.request.Body, func(host string) string {
			return strings.NewReplacer("{http}", place.address, "{https}", place.secure, "{host}", host).Replace(arg.(string))
		})
	}
}

// hasCanary tells of a handshake that names a URL, and a target that can reach ours.
func hasCanary(s *Subject) bool {
	c := s.Profile.Challenge
	return c != nil && c.CallsBack() && reachesUs(s)
}

// reachesUs tells of a target on this machine.
func reachesUs(s *Subject) bool { return s.Endpoint.Address.Addr().Unmap().IsLoopback() }

// hasKeyCanary tells of a certificate that a delivery says the place of, and a target that
// can reach ours.
func hasKeyCanary(s *Subject) bool {
	return s.Profile.KeyFrom != nil && s.Profile.Key.Encoding == "pem" && reachesUs(s)
}

const outOfReach = "the target is not on this machine, and could not reach a URL of ours"

func lacksCanary(s *Subject) string {
	if c := s.Profile.Challenge; c == nil || !c.CallsBack() || s.Profile.Signed() {
		return profileLacks("names no URL in a handshake that anybody could have sent")(s)
	}
	return outOfReach
}

func lacksKeyCanary(s *Subject) string {
	if s.Profile.KeyFrom == nil || s.Profile.Key.Encoding != "pem" {
		return profileLacks("does not say where its certificate is to be had")(s)
	}
	return outOfReach
}

// confirms tells of a handshake that is confirmed at a URL, and a target that can reach
// ours.
func confirms(s *Subject) bool { return hasCanary(s) && s.Profile.Challenge.Confirm != nil }

func lacksConfirmation(s *Subject) string {
	if c := s.Profile.Challenge; c == nil || c.Confirm == nil {
		return profileLacks("has no handshake that is confirmed at a URL")(s)
	}
	return outOfReach
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
