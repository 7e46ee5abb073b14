package sender

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// goodCertificate is the word for a certificate without a fault.
const goodCertificate = "good"

// secured is the TLS of an endpoint. Nil speaks none.
type secured struct {
	spec   *scenarios.EndpointTLS
	host   string                      // that its URL names
	shows  map[string]*tls.Certificate // by the words of spec
	shakes []*shake

	// What the sender was given to show here, in PEM and as it is encoded; empty where
	// that is nothing.
	certificate, key string
	leaf             string
}

// shake is a connection on which the sender has said hello.
type shake struct {
	connID      int
	n           int // of those since the case's first event, from 1; 0 before
	certificate string
	weak        bool // it can come to a version, or to cipher suites, that nobody should speak
	at          time.Time
	hello       offer
	requests    int
	over        bool // without a request
	end         wire.Incident
}

// offer is what a hello said.
type offer struct {
	name      string
	versions  []uint16
	protocols []string
}

// cipherSuites is a word for some that an endpoint speaks and no others.
type cipherSuites struct {
	scenarios.Entry
	ids []uint16
}

// suitesOfCiphers are the sets. Certificates have ECDSA keys, which bounds the choice.
var suitesOfCiphers = []cipherSuites{
	{word("rc4", "encrypt by RC4, which RFC 7465 forbids"), []uint16{tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA}},
	{word("aead", "encrypt and authenticate at once, as RFC 9325 recommends"), []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	}},
}

// unsafeSuites are the words for those that a sender must not speak.
var unsafeSuites = []string{"rc4"}

// isFault tells of the words for certificates that a sender should refuse.
func isFault(word string) bool {
	f, err := pki.FindFault(word)
	return err == nil && !f.Harmless
}

// secureNeeds is what an endpoint that speaks TLS asks of the run.
func secureNeeds(spec *scenarios.EndpointTLS) []string {
	needs := []string{"pki"}
	if spec.Host == "name" {
		needs = append(needs, "names")
	}
	if spec.Identity != "" {
		needs = append(needs, "endpoint-certificates")
	}
	if spec.Identity == "none" && spec.Client == "required" {
		needs = append(needs, "no-own-certificate")
	}
	return needs
}

// endpointCertificates tells whether the sender can be given a client certificate for
// each endpoint.
func (j *Judge) endpointCertificates() bool {
	r := j.subject.Register
	return j.subject.Authority != nil && r != nil && r.Has(wordCertificate) && r.Has(wordKey)
}

// publish serves what the authority says of revocation.
func (h *house) publish() error {
	if h.subject.Authority == nil {
		return nil
	}
	l, err := h.subject.open(net.JoinHostPort(h.host, "0"))
	if err != nil {
		return fmt.Errorf("serve the authority's revocation lists: %w", err)
	}
	h.public = &http.Server{Handler: h.subject.Authority.Handler(), ReadTimeout: limits.BodyTime, WriteTimeout: limits.BodyTime, MaxHeaderBytes: 64 << 10}
	h.subject.Authority.At("http://" + l.Addr().String())
	go h.public.Serve(l) //nolint:errcheck // it ends with the listener
	return nil
}

// shows is a certificate for a host, issued once, and in nobody's way: some take long.
func (h *house) shows(word, host string) (*tls.Certificate, error) {
	h.mu.Lock()
	key := word + " " + host
	if h.shown[key] == nil {
		h.shown[key] = sync.OnceValues(func() (*tls.Certificate, error) { return issue(h.subject.Authority, word, host) })
	}
	issued := h.shown[key]
	h.mu.Unlock()
	return issued()
}

func issue(a *pki.Authority, word, host string) (*tls.Certificate, error) {
	of := pki.Subject{Hosts: []string{host}}
	if word == goodCertificate {
		return a.Good(pki.Server, of)
	}
	c, err := a.Faulty(word, pki.Server, of)
	if err == nil && (word == "revoked-by-crl" || word == "revoked-by-ocsp") {
		c.OCSPStaple = nil // one from before the revocation would vouch for it
	}
	return c, err
}

// secureHost prepares the TLS of an endpoint and returns the host of its URL.
func (t *trial) secureHost(e *endpoint) (host string, err error) {
	spec := e.spec.TLS
	host = t.house.host
	if spec.Host == "name" {
		host = t.nameOf(e)
	}
	e.tls = &secured{spec: spec, host: host, shows: map[string]*tls.Certificate{}}
	for _, word := range e.tls.words() {
		if e.tls.shows[word], err = t.house.shows(word, host); err != nil {
			return "", fmt.Errorf("open an endpoint with TLS: %w", err)
		}
	}
	if spec.Client == "" || spec.Identity == "none" || !t.endpointCertificates() {
		return host, nil
	}
	return host, t.give(e)
}

// nameOf is a name that leads to an endpoint: one of the resolver's, or the machine's
// own. It has a label to spare above its own, which a wildcard may reach over.
func (t *trial) nameOf(e *endpoint) string {
	at, err := netip.ParseAddr(t.house.host)
	if t.subject.Resolver == nil || err != nil {
		return "localhost"
	}
	name := "receiver." + e.token + domain
	t.subject.Resolver.Set(name, []netip.Addr{at})
	return name
}

// give makes the client certificate that the sender is to show to an endpoint.
func (t *trial) give(e *endpoint) error {
	of, a := pki.Subject{Name: e.token}, t.subject.Authority
	made, err := (*tls.Certificate)(nil), error(nil)
	if fault := e.spec.TLS.Identity; fault != "" {
		made, err = a.Faulty(fault, pki.Client, of)
	} else {
		made, err = a.Good(pki.Client, of)
	}
	if err != nil {
		return fmt.Errorf("make a client certificate for the sender: %w", err)
	}
	chain, key, err := pki.PEM(made)
	if err != nil {
		return fmt.Errorf("make a client certificate for the sender: %w", err)
	}
	e.tls.certificate, e.tls.key, e.tls.leaf = string(chain), string(key), string(made.Certificate[0])
	t.house.mu.Lock()
	defer t.house.mu.Unlock()
	t.house.given[e.tls.leaf] = e
	return nil
}

// scheme is that of an endpoint's URL.
func (e *endpoint) scheme() string {
	if e.tls != nil {
		return "https"
	}
	return "http"
}

// limits are those of an endpoint with a port of its own. With TLS every request takes
// a handshake, so that a certificate is looked at each time.
func (e *endpoint) limits() wire.ServerLimits {
	l := limits
	if e.tls != nil {
		l.Requests = 1
	}
	return l
}

// secure gives the TLS of each connection to an endpoint.
func (e *endpoint) secure() func(*tls.ClientHelloInfo, int) (*tls.Config, error) {
	if e.tls == nil {
		return nil
	}
	return func(hello *tls.ClientHelloInfo, connID int) (*tls.Config, error) {
		certificate := e.trial.greeted(e, hello, connID)
		return e.tls.config(certificate), nil
	}
}

// words are the certificates that an endpoint shows, in order.
func (s *secured) words() []string {
	if len(s.spec.Certificate) == 0 {
		return []string{goodCertificate}
	}
	return s.spec.Certificate
}

// config is the TLS of a connection. No session can be resumed: the certificate would
// not be looked at.
func (s *secured) config(certificate *tls.Certificate) *tls.Config {
	c := &tls.Config{
		Certificates: []tls.Certificate{*certificate}, SessionTicketsDisabled: true, NextProtos: []string{"http/1.1"},
		MinVersion: tls.VersionTLS10, MaxVersion: cmp.Or(scenarios.TLSVersion(s.spec.Version), tls.VersionTLS13),
	}
	if i := slices.IndexFunc(suitesOfCiphers, func(set cipherSuites) bool { return set.Name == s.spec.Ciphers }); i >= 0 {
		c.CipherSuites = suitesOfCiphers[i].ids
		c.MaxVersion = min(c.MaxVersion, tls.VersionTLS12) // those of later versions cannot be chosen
	}
	switch s.spec.Client {
	case "asked":
		c.ClientAuth = tls.RequestClientCert
	case "required":
		c.ClientAuth = tls.RequireAnyClientCert
	}
	return c
}

// weak tells whether the endpoint speaks nothing but what a sender must not speak.
func (s *secured) weak() bool {
	version := scenarios.TLSVersion(s.spec.Version)
	return version != 0 && version < tls.VersionTLS12 || slices.Contains(unsafeSuites, s.spec.Ciphers)
}

// unfit is how many connections a sender should refuse before one that it need not.
func (s *secured) unfit() (n int) {
	if s == nil {
		return 0
	}
	for _, word := range s.words() {
		if isFault(word) {
			n++
		}
	}
	return n
}

// hopeless tells whether no correct sender ever gets to deliver.
func (s *secured) hopeless() bool {
	if s == nil {
		return false
	}
	words := s.words()
	return s.weak() || isFault(words[len(words)-1]) || s.spec.Client == "required" && s.spec.Identity != ""
}

// mayBeRefused tells whether it may be right that nothing is delivered at once, or at all.
func (s *secured) mayBeRefused() bool { return s.hopeless() || s.unfit() > 0 }

func (s *secured) shakeOf(connID int) *shake {
	if s == nil {
		return nil
	}
	i := slices.IndexFunc(s.shakes, func(k *shake) bool { return k.connID == connID })
	if i < 0 {
		return nil
	}
	return s.shakes[i]
}

// open are the connections on which nothing has come yet.
func (s *secured) open() []*shake {
	if s == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.shakes), func(k *shake) bool { return k.over || k.requests > 0 })
}

// greeted notes a hello, and returns the certificate that is shown. What comes before
// the first event, such as a look at a new endpoint, uses up none.
func (t *trial) greeted(e *endpoint, hello *tls.ClientHelloInfo, connID int) *tls.Certificate {
	t.mu.Lock()
	defer t.mu.Unlock()
	words := e.tls.words()
	if t.over {
		if good, err := t.house.shows(goodCertificate, e.tls.host); err == nil {
			return good // what still comes is to have done with it
		}
	}
	s := &shake{connID: connID, at: time.Now(), weak: e.tls.weak(), hello: offerOf(hello)}
	if len(t.events) > 0 {
		s.n = 1
		for _, before := range e.tls.shakes {
			s.n = max(s.n, before.n+1)
		}
	}
	s.certificate = words[min(max(s.n, 1), len(words))-1]
	if len(e.tls.shakes) < keptIncidents {
		e.tls.shakes = append(e.tls.shakes, s)
	}
	t.signal()
	return e.tls.shows[s.certificate]
}

// most that is kept of a hello's lists.
const keptOffers = 20

func offerOf(hello *tls.ClientHelloInfo) offer {
	o := offer{name: hello.ServerName, versions: slices.Clone(hello.SupportedVersions), protocols: slices.Clone(hello.SupportedProtos)}
	o.versions = o.versions[:min(len(o.versions), keptOffers)]
	o.protocols = o.protocols[:min(len(o.protocols), keptOffers)]
	return o
}

// requested notes that a request came over a connection.
func (t *trial) requested(e *endpoint, r *wire.Received) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := e.tls.shakeOf(r.ConnID); s != nil {
		s.requests++
	}
}

// unmade notes what became of a connection to an endpoint with TLS, of which no
// request came. The caller holds mu.
func (t *trial) unmade(e *endpoint, x wire.Incident) {
	if e.tls == nil || t.over || x.Kind == wire.Unanswered || x.Kind == wire.Crowded {
		return
	}
	s := e.tls.shakeOf(x.ConnID)
	switch unsent := x.Kind == wire.NoTLS || x.Kind == wire.Silent; {
	case s == nil:
	case !unsent && bytes.Contains(x.Head, []byte(e.token)):
		s.requests++ // that it was no proper one is another matter
	default:
		s.over, s.end = s.requests == 0, x
	}
	t.exhibitConnection(e, s, x)
}

// --- what is told of connections

// name tells which connection it is, and what the endpoint showed on it.
func (s *shake) name() string {
	if s.n == 0 {
		return "a connection from before the first event, on which the certificate was " + s.certificate
	}
	return fmt.Sprintf("connection %d, on which the certificate was %s", s.n, s.certificate)
}

// label names a connection among the evidence.
func (s *shake) label(e *endpoint) string {
	if len(e.trial.endpoints) > 1 {
		return fmt.Sprintf("connection %d to %s (%s)", s.n, e.spec.Name, s.certificate)
	}
	return fmt.Sprintf("connection %d (%s)", s.n, s.certificate)
}

// sinceFired says when a connection came.
func (t *trial) sinceFired(e *endpoint, at time.Time) string {
	var last time.Time
	for _, ev := range t.eventsTo(e) {
		if ev.fired.After(last) && ev.fired.Before(at) {
			last = ev.fired
		}
	}
	if last.IsZero() {
		return "before the first event"
	}
	return show(at.Sub(last)) + " after the event was fired"
}

// outcome tells how a connection ended.
func (s *shake) outcome() string {
	switch {
	case s.requests > 0:
		return "a request came"
	case !s.over:
		return "still open"
	case s.end.TLS != nil && s.end.TLS.Alert != 0:
		return "the sender refused it by the alert " + wire.AlertName(s.end.TLS.Alert)
	case s.end.EndedBy == wire.ByPeer && s.end.Kind == wire.Silent:
		return "the sender closed it behind the handshake, without a request"
	case s.end.EndedBy == wire.ByPeer:
		return "the sender closed it in the middle of the handshake"
	case s.end.EndedBy == wire.ByTime:
		return "the sender did not go on, and did not close it"
	}
	return "there was no handshake to be had with it: " + s.end.Detail
}

// exhibitConnection makes evidence of a connection without a request.
func (t *trial) exhibitConnection(e *endpoint, s *shake, x wire.Incident) {
	label, outcome := "a connection to "+e.spec.Name, x.Detail
	started := time.Now()
	if s != nil {
		label, outcome, started = s.label(e), s.outcome(), s.at
	}
	notes := []string{t.sinceFired(e, started)}
	if s != nil {
		notes = append(notes, "it offered "+s.hello.String())
	}
	t.keepExchange(reports.Exchange{
		Label: label, Outcome: outcome, Notes: notes, TLS: tlsEvidence(x.TLS), Remote: x.Remote.String(),
		Received: reports.Printable(x.Head, shown), ReceivedBytes: int64(len(x.Head)), StartedMS: milliseconds(started.Sub(t.started)),
		DurationMS: milliseconds(time.Since(started)),
	})
}

// String lists what a hello said.
func (o offer) String() string {
	text := ""
	for i, v := range o.versions {
		if i > 0 {
			text += ", "
		}
		text += tls.VersionName(v)
	}
	if len(o.protocols) > 0 {
		text += fmt.Sprintf("; by ALPN %q", o.protocols)
	}
	if o.name != "" {
		return text + "; for " + quote(o.name)
	}
	return text + "; for no name"
}

func tlsEvidence(state *wire.TLS) *reports.TLS {
	if state == nil {
		return nil
	}
	return reports.NewTLS(state.ConnectionState, state.Ours, state.Asked, wire.AlertName(state.Alert))
}
