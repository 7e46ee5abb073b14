package receiver_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites/receiver"
)

// gate is a receiver over TLS, as far as it differs from one that asks for a
// certificate and minds none.
type gate struct {
	unasked  bool                                           // it asks for no certificate
	shaking  func(g *gateway, good bool) error              // in the handshake
	answered func(g *gateway, good bool) (wire.Reply, bool) // what a delivery is answered; false goes on to verify it
	agrees   []string                                       // protocols, by ALPN
	clear    *wire.Reply                                    // what is answered without TLS; nothing where it is nil
	acts     bool                                           // on what a bad certificate brings, before it is answered
}

// gateway is a gate that is open.
type gateway struct {
	gate
	profile   *profile.Profile
	keys      profile.Keys
	authority *pki.Authority
	seen      atomic.Int64 // bad certificates so far
	ended     chan struct{}
	effects   memory
}

var errUnwelcome = errors.New("an unwelcome client")

// open serves a gate until the test ends, and returns a judge of it.
func (g *gateway) open(t *testing.T) *receiver.Judge {
	t.Helper()
	s := newStage(t, "standard-webhooks")
	g.profile, g.keys, g.ended = s.profile, s.keys, make(chan struct{})
	g.effects = memory{keyed: true, counts: map[string]int{}}
	var err error
	if g.authority, err = pki.New(); err != nil {
		t.Fatal(err)
	}
	own, err := g.authority.Good(pki.Server, pki.Subject{})
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{*own}, SessionTicketsDisabled: true, NextProtos: g.agrees}
	if !g.unasked {
		config.ClientAuth = tls.RequestClientCert
	}
	if g.shaking != nil {
		config.VerifyConnection = func(c tls.ConnectionState) error { return g.shaking(g, g.isGood(c)) }
	}
	server := &wire.Server{Secure: func(*tls.ClientHelloInfo, int) (*tls.Config, error) { return config, nil }, Handle: g.handle}
	server.Lenient.PlainToo = g.clear != nil
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		close(g.ended)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := errors.Join(server.Shutdown(ctx), <-served); err != nil {
			t.Error(err)
		}
	})
	at := netip.MustParseAddrPort(l.Addr().String())
	return receiver.NewJudge(receiver.Subject{
		URL: &url.URL{Scheme: "https", Host: l.Addr().String(), Path: "/hook"}, Profile: s.profile, Keys: s.keys, Probe: &g.effects,
		Endpoint:  wire.Endpoint{Address: at, TLS: &tls.Config{ServerName: "localhost", RootCAs: g.authority.Pool()}},
		Authority: g.authority, Limits: receiver.Limits{Answer: 400 * time.Millisecond, Settle: 20 * time.Millisecond, Quiet: time.Millisecond},
	}, rand.Uint64(), nil)
}

func (g *gateway) isGood(c tls.ConnectionState) bool {
	if len(c.PeerCertificates) == 0 {
		return false
	}
	o := x509.VerifyOptions{Roots: g.authority.Pool(), Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, between := range c.PeerCertificates[1:] {
		o.Intermediates.AddCert(between)
	}
	_, err := c.PeerCertificates[0].Verify(o)
	return err == nil
}

func (g *gateway) handle(r *wire.Received) wire.Reply {
	if r.TLS == nil {
		if g.acts {
			g.act(r)
		}
		return *g.clear
	}
	if g.acts && !g.isGood(r.TLS.ConnectionState) {
		g.act(r)
	}
	if g.answered != nil {
		if reply, decided := g.answered(g, g.isGood(r.TLS.ConnectionState)); decided {
			return reply
		}
	}
	_, err := g.profile.Verify(profile.Incoming{Method: r.Method, URL: "/hook", Headers: r.Headers, Body: r.Body}, g.keys, time.Now())
	if err != nil {
		return wire.Reply{Status: 401}
	}
	g.act(r)
	return wire.Reply{Status: 204}
}

func (g *gateway) act(r *wire.Received) {
	g.effects.counts[string(r.Body)+g.profile.DeliveryID(r.Headers, r.Body)]++
}

// toBad answers whoever shows a bad certificate in one way.
func toBad(reply wire.Reply) func(*gateway, bool) (wire.Reply, bool) {
	return func(_ *gateway, good bool) (wire.Reply, bool) { return reply, !good }
}

// toAll answers everybody in one way.
func toAll(reply wire.Reply) func(*gateway, bool) (wire.Reply, bool) {
	return func(*gateway, bool) (wire.Reply, bool) { return reply, true }
}

// first answers the first bad certificate in one way, and later ones in another.
func first(reply, later wire.Reply) func(*gateway, bool) (wire.Reply, bool) {
	return func(g *gateway, good bool) (wire.Reply, bool) {
		if good {
			return reply, false
		}
		if g.seen.Add(1) == 1 {
			return reply, true
		}
		return later, later.Status != 0
	}
}

// A refusal of a certificate shows in many ways, and what looks like one may be none.
func TestDenied(t *testing.T) {
	closes, resets := wire.Reply{Raw: []byte{}}, wire.Reply{Reset: true}
	for _, row := range []struct {
		name   string
		gate   gate
		want   reports.Verdict
		reason string
	}{
		{"an alert", gate{shaking: func(_ *gateway, good bool) error {
			return map[bool]error{false: errUnwelcome}[good]
		}}, reports.Pass, "bad_certificate (42)"},
		{"a status", gate{answered: toBad(wire.Reply{Status: 403})}, reports.Pass, "403"},
		{"the status of nginx", gate{answered: toBad(wire.Reply{Status: 400})}, reports.Pass, "400"},
		{"closed", gate{answered: toBad(closes)}, reports.Pass, "unattributed"},
		{"reset", gate{answered: toBad(resets)}, reports.Pass, "unattributed"},
		{"closed once, then refused", gate{answered: first(closes, wire.Reply{Status: 403})}, reports.Pass, "403"},

		{"accepted", gate{}, reports.Fail, "it was accepted"},
		{"never asked for", gate{unasked: true}, reports.Fail, "no client certificate was asked for"},
		{"a server error", gate{answered: toBad(wire.Reply{Status: 502})}, reports.Fail, "502"},
		{"closed once, then accepted", gate{answered: first(closes, wire.Reply{})}, reports.Fail, "it was accepted"},
		{"refused, and acted upon", gate{acts: true, answered: toBad(wire.Reply{Status: 403})}, reports.Fail, "answered 403 Forbidden, yet it took effect once"},
		{"closed, and acted upon", gate{acts: true, answered: toBad(closes)}, reports.Fail, "yet it took effect once"},
		{"not found, and acted upon", gate{acts: true, answered: toBad(wire.Reply{Status: 404})}, reports.Fail, "yet it took effect once"},

		{"every second one closed upon", gate{answered: func(g *gateway, _ bool) (wire.Reply, bool) {
			return closes, g.seen.Add(1)%2 == 0
		}}, reports.Inconclusive, "the honest delivery after it was not accepted"},
		{"every second one closed upon, and nobody asked", gate{unasked: true, answered: func(g *gateway, _ bool) (wire.Reply, bool) {
			return closes, g.seen.Add(1)%2 == 0
		}}, reports.Inconclusive, "no client certificate was asked for"},
		{"every second one refused by an alert, and nobody asked", gate{unasked: true, shaking: func(g *gateway, _ bool) error {
			return map[bool]error{true: errUnwelcome}[g.seen.Add(1)%2 == 0]
		}}, reports.Inconclusive, "no client certificate was asked for"},

		{"not found", gate{answered: toBad(wire.Reply{Status: 404})}, reports.Inconclusive, "404"},
		{"redirected", gate{answered: toBad(wire.Reply{Status: 302})}, reports.Inconclusive, "302"},
		{"silence", gate{answered: toBad(wire.Reply{Hang: true, Hold: 2 * time.Second})}, reports.Inconclusive, "timeout"},
		{"a stall in the handshake", gate{shaking: func(g *gateway, good bool) error {
			if !good {
				<-g.ended
			}
			return nil
		}}, reports.Inconclusive, "not answered"},
		{"everybody refused", gate{answered: toAll(wire.Reply{Status: 403})}, reports.Inconclusive, "the honest delivery before it was not accepted"},
		{"everybody refused by an alert", gate{shaking: func(*gateway, bool) error { return errUnwelcome }}, reports.Inconclusive, "the honest delivery before it was not accepted"},
		{"everybody closed upon", gate{answered: toAll(closes)}, reports.Inconclusive, "the honest delivery before it was not accepted"},
		{"every second one refused, and nobody asked", gate{unasked: true, answered: func(g *gateway, _ bool) (wire.Reply, bool) {
			return wire.Reply{Status: 403}, g.seen.Add(1)%2 == 0
		}}, reports.Inconclusive, "the honest delivery after it was not accepted"},
		{"closed once, then not found", gate{answered: first(closes, wire.Reply{Status: 404})}, reports.Inconclusive, "404"},
	} {
		for _, version := range []string{"tls1.2", "tls1.3"} {
			t.Run(row.name+", "+version, func(t *testing.T) {
				t.Parallel()
				g := &gateway{gate: row.gate}
				j := g.open(t)
				r := j.Run(t.Context(), parseCase(t, "send: {tls: {certificate: unknown-authority, version: "+version+"}}\nexpect: denied"))
				if r.Verdict != row.want || !strings.Contains(r.Reason, row.reason) {
					t.Errorf("%s (%s), want %s (%s)\n%s", r.Verdict, r.Reason, row.want, row.reason, exchanges(r))
				}
			})
		}
	}
}

// What is sent in the clear to a port of TLS may be refused in several ways.
func TestNotInClear(t *testing.T) {
	redirected := func(location string) *wire.Reply {
		return &wire.Reply{Status: 301, Headers: wire.Headers{{Name: "Location", Value: location}}}
	}
	for name, row := range map[string]struct {
		gate   gate
		want   reports.Verdict
		reason string
	}{
		"no plain text":               {gate{}, reports.Pass, ""},
		"a status":                    {gate{clear: &wire.Reply{Status: 400}}, reports.Pass, ""},
		"closed":                      {gate{clear: &wire.Reply{Raw: []byte{}}}, reports.Pass, ""},
		"an alert":                    {gate{clear: &wire.Reply{Raw: []byte{21, 3, 1, 0, 2, 2, 10}}}, reports.Pass, ""},
		"redirected to https":         {gate{clear: redirected("https://localhost/hook")}, reports.Pass, ""},
		"redirected to https, late":   {gate{acts: true, clear: redirected("https://localhost/hook")}, reports.Fail, "yet it took effect once"},
		"redirected in the clear":     {gate{clear: redirected("http://localhost/hook")}, reports.Fail, "301"},
		"redirected nowhere":          {gate{clear: redirected("/hook")}, reports.Fail, "301"},
		"accepted":                    {gate{clear: &wire.Reply{Status: 204}}, reports.Fail, "204"},
		"a server error":              {gate{clear: &wire.Reply{Status: 502}}, reports.Fail, "502"},
		"silence":                     {gate{clear: &wire.Reply{Hang: true, Hold: 2 * time.Second}}, reports.Inconclusive, "timeout"},
		"an alert, and acted upon":    {gate{acts: true, clear: &wire.Reply{Raw: []byte{21, 3, 1, 0, 2, 2, 10}}}, reports.Fail, "yet it took effect once"},
		"what is neither HTTP nor it": {gate{clear: &wire.Reply{Raw: []byte("220 mail\r\n")}}, reports.Inconclusive, "not HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &gateway{gate: row.gate}
			want(t, g.open(t).Run(t.Context(), parseCase(t, "send: {tls: {plain: true}}\nexpect: not-in-clear")), row.want, row.reason)
		})
	}
}

// Who agrees on HTTP/2 must speak it; who agrees on nothing may take what comes.
func TestAgreedProtocol(t *testing.T) {
	settings := wire.Reply{Raw: []byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00")}
	for name, row := range map[string]struct {
		gate   gate
		want   reports.Verdict
		reason string
	}{
		"none":                    {gate{}, reports.Pass, ""},
		"another":                 {gate{agrees: []string{"http/1.1"}}, reports.Pass, ""}, // an alert
		"h2":                      {gate{agrees: []string{"h2"}, answered: toBad(settings)}, reports.Pass, ""},
		"h2, and HTTP/1.1 spoken": {gate{agrees: []string{"h2"}}, reports.Fail, "answered in HTTP/1.1"},
		"h2, and acted upon":      {gate{agrees: []string{"h2"}, acts: true, answered: toBad(settings)}, reports.Fail, "yet it took effect once"},
		"none, and a stall": {gate{shaking: func(g *gateway, good bool) error {
			if !good {
				<-g.ended
			}
			return nil
		}}, reports.Inconclusive, "not answered"},
		"none, and closed":         {gate{answered: toBad(wire.Reply{Raw: []byte{}})}, reports.Pass, "unattributed"},
		"none, and not found":      {gate{answered: toBad(wire.Reply{Status: 404})}, reports.Pass, ""},
		"none, and another tongue": {gate{answered: toBad(settings)}, reports.Inconclusive, "HTTP/2"},
		"h2, and nothing comes":    {gate{agrees: []string{"h2"}, answered: toBad(wire.Reply{Hang: true, Hold: 2 * time.Second})}, reports.Inconclusive, "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &gateway{gate: row.gate}
			// The gate tells it from its controls, which offer nothing, by the certificate.
			yaml := "send: {tls: {protocols: [h2], certificate: none}}\nexpect: agreed-protocol"
			want(t, g.open(t).Run(t.Context(), parseCase(t, yaml)), row.want, row.reason)
		})
	}
}

// A case that demands nothing has found nothing out.
func TestWhateverAlone(t *testing.T) {
	g := &gateway{}
	want(t, g.open(t).Run(t.Context(), parseCase(t, "send: {tls: {certificate: none}}\nexpect: whatever")), reports.Inconclusive, "demands nothing")
}

// A target that dies speaks no version, and yet it is not for its versions.
func TestVersionsOfTheDead(t *testing.T) {
	for name, row := range map[string]struct {
		gate gate
		want reports.Verdict
	}{
		"a stall in every handshake": {gate{shaking: func(g *gateway, _ bool) error { <-g.ended; return nil }}, reports.Pass}, // it has agreed on a version by then
		"an honest one":              {gate{}, reports.Pass},
	} {
		t.Run(name, func(t *testing.T) {
			g := &gateway{gate: row.gate}
			want(t, g.open(t).Run(t.Context(), parseCase(t, "measure: versions")), row.want, "")
		})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(l.Addr().String())
	l.Close()
	s := newStage(t, "github")
	j := receiver.NewJudge(receiver.Subject{
		URL: &url.URL{Scheme: "https", Host: at.String(), Path: "/"}, Profile: s.profile, Keys: s.keys, Limits: quick,
		Endpoint: wire.Endpoint{Address: at, TLS: &tls.Config{ServerName: "localhost"}},
	}, 1, nil)
	want(t, j.Run(t.Context(), parseCase(t, "measure: versions")), reports.Inconclusive, "no handshake was completed")
}

// The evidence shows what was agreed on and both chains, and no session is resumed
// but where a case says so.
func TestTLSIsEvidence(t *testing.T) {
	g := &gateway{}
	r := g.open(t).Run(t.Context(), parseCase(t, "send: {tls: {certificate: expired}}\nexpect: denied"))
	for _, x := range r.Evidence {
		if x.TLS == nil || x.TLS.Version != "TLS 1.3" || !x.TLS.Asked || x.TLS.Resumed || len(x.TLS.Ours) < 2 || len(x.TLS.Theirs) < 2 {
			t.Fatalf("%s: %+v", x.Label, x.TLS)
		}
		if expired := x.TLS.Ours[0].NotAfter.Before(time.Now()); expired != strings.HasPrefix(x.Label, "delivery") {
			t.Errorf("%s: shown was a certificate that is valid until %s", x.Label, x.TLS.Ours[0].NotAfter)
		}
	}
}

// A case that needs TLS, or an authority, does not apply to a target without.
func TestWithoutTLS(t *testing.T) {
	s := newStage(t, "standard-webhooks").serve(honest)
	r := s.run("send: {tls: {certificate: expired}}\nexpect: denied")
	want(t, r, reports.Skip, "without TLS")
	for _, yaml := range []string{"send: {tls: {plain: true}}\nexpect: refused", "measure: served-name"} {
		want(t, s.run(yaml), reports.Skip, "without TLS")
	}
}

// What a target shows of itself is judged though no delivery would be sent to it.
func TestShownChain(t *testing.T) {
	for fault, cases := range map[string]map[string]reports.Verdict{
		"expired":              {"served-validity": reports.Fail, "served-days": reports.Fail, "served-chain": reports.Pass, "served-name": reports.Pass},
		"other-name":           {"served-name": reports.Fail, "served-chain": reports.Pass},
		"missing-intermediate": {"served-chain": reports.Fail, "served-name": reports.Pass},
		"unknown-authority":    {"served-chain": reports.Fail},
		"rsa-1024":             {"served-strength": reports.Fail, "served-name": reports.Pass},
		"sha1":                 {"served-strength": reports.Fail},
		"wrong-usage":          {"served-usage": reports.Fail, "served-chain": reports.Pass},
		"no-usage":             {"served-usage": reports.Pass},
		"":                     {"served-validity": reports.Pass, "served-days": reports.Pass, "served-chain": reports.Pass, "served-name": reports.Pass, "served-strength": reports.Pass, "served-usage": reports.Pass},
	} {
		t.Run(fault, func(t *testing.T) {
			j := showing(t, fault)
			j.Preflight(t.Context())
			for measure, verdict := range cases {
				if r := j.Run(t.Context(), parseCase(t, "measure: "+measure)); r.Verdict != verdict {
					t.Errorf("%s: %s (%s), want %s", measure, r.Verdict, r.Reason, verdict)
				}
			}
		})
	}
}

// showing serves a certificate with a fault, or a good one.
func showing(t *testing.T, fault string) *receiver.Judge {
	t.Helper()
	a, err := pki.New()
	if err != nil {
		t.Fatal(err)
	}
	own, err := a.Good(pki.Server, pki.Subject{})
	if fault != "" {
		own, err = a.Faulty(fault, pki.Server, pki.Subject{})
	}
	if err != nil {
		t.Fatal(err)
	}
	server := &wire.Server{
		Secure: func(*tls.ClientHelloInfo, int) (*tls.Config, error) {
			return &tls.Config{Certificates: []tls.Certificate{*own}}, nil
		},
		Handle: func(*wire.Received) wire.Reply { return wire.Reply{Status: 204} },
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Shutdown(context.Background()), <-served); err != nil {
			t.Error(err)
		}
	})
	s := newStage(t, "github")
	return receiver.NewJudge(receiver.Subject{
		URL: &url.URL{Scheme: "https", Host: l.Addr().String(), Path: "/"}, Profile: s.profile, Keys: s.keys, Limits: quick,
		Endpoint: wire.Endpoint{Address: netip.MustParseAddrPort(l.Addr().String()), TLS: &tls.Config{ServerName: "localhost", RootCAs: a.Pool()}},
	}, 1, nil)
}
