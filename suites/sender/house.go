package sender

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/wire"
)

// house is where the endpoints of a run are: those that share one port, told apart
// by an unguessable part of their path, and those with ports of their own.
type house struct {
	subject *Subject
	server  wire.Server
	base    *url.URL     // of the shared port, as the sender is told of it
	host    string       // on which endpoints listen that have a port of their own
	public  *http.Server // of what the authority says of revocation; nil without an authority

	mu     sync.Mutex
	rooms  map[string]*endpoint // by their token in the path; also those that are closed
	guests map[*endpoint]bool   // those of trials under way, for a sender that has one endpoint only
	owners map[string]*trial    // whose a delivery was when it was first seen there, by its id or its body
	spent  []*port              // of trials that are over
	events map[string]*event    // by token
	strays []string             // the first requests that belong to no endpoint
	taken  map[*wire.Received]*attempt
	lost   []wire.Incident                             // on the shared port, of no endpoint
	shown  map[string]func() (*tls.Certificate, error) // by endpoints, by fault and host
	given  map[string]*endpoint                        // to the sender for an endpoint: client certificates, as they are encoded
}

// limits of what a sender can make an endpoint hold. A sender may be slow, yet not
// for ever.
var limits = wire.ServerLimits{
	Body: 8 << 20, FirstByte: 10 * time.Second, HeadTime: 5 * time.Second, BodyTime: 10 * time.Second,
	WriteTime: 30 * time.Second, Idle: 30 * time.Second, Connections: 2048,
}

// keptIncidents bounds what is remembered of requests that never became one.
const keptIncidents = 100

func newHouse(s *Subject) (*house, error) {
	h := &house{subject: s, rooms: map[string]*endpoint{}, events: map[string]*event{}, taken: map[*wire.Received]*attempt{},
		guests: map[*endpoint]bool{}, owners: map[string]*trial{}, shown: map[string]func() (*tls.Certificate, error){}, given: map[string]*endpoint{}}
	h.server = wire.Server{Limits: limits, Handle: h.handle, Early: h.early, Observe: h.observe, Answered: h.answered}
	l, err := s.open(cmp.Or(s.Listen, "127.0.0.1:0"))
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("%w%s", err, holder(s.Listen))
	}
	if err != nil {
		return nil, fmt.Errorf("listen for deliveries: %w; choose another address with --listen, or 127.0.0.1:0 for a port that is free", err)
	}
	h.base, h.host = s.PublicURL, "127.0.0.1"
	if at, _, err := net.SplitHostPort(l.Addr().String()); err == nil && !net.ParseIP(at).IsUnspecified() {
		h.host = at
	}
	if h.base == nil {
		h.base = &url.URL{Scheme: "http", Host: l.Addr().String()}
	}
	go h.server.Serve(l) //nolint:errcheck // it ends with the listener; that it ended early shows as silence, and Preflight says so
	if err := h.publish(); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

func (s *Subject) open(addr string) (net.Listener, error) {
	if s.Open != nil {
		return s.Open(addr)
	}
	return net.Listen("tcp", addr)
}

func (h *house) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := h.server.Shutdown(ctx)
	if h.public != nil {
		err = errors.Join(err, h.public.Close())
	}
	h.mu.Lock()
	spent := h.spent
	h.spent = nil
	h.mu.Unlock()
	for _, p := range spent {
		err = errors.Join(err, p.close())
	}
	return err
}

// retire keeps the port of a trial that is over until the end of the run: what still
// comes there must not come to the endpoint that the system would give the port to.
func (h *house) retire(p *port) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.spent = append(h.spent, p)
}

// newToken invents a word that nobody can guess and that any sender can carry.
func newToken() string {
	var b [12]byte
	rand.Read(b[:])
	return tokenMark + hex.EncodeToString(b[:])
}

const tokenMark = "hk"

var tokens = regexp.MustCompile(tokenMark + `[0-9a-f]{24}`)

// enter makes an endpoint known.
func (h *house) enter(e *endpoint) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rooms[e.token] = e
	if h.subject.fixed() && !e.canary() {
		h.guests[e] = true
	}
}

// leave ends an endpoint's part in the run. What still comes there is acknowledged,
// so that the sender has done with it, and counts no more.
func (h *house) leave(e *endpoint) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.guests, e)
}

// only is the endpoint of the only trial under way. The caller holds mu.
func (h *house) only() *endpoint {
	if len(h.guests) != 1 {
		return nil
	}
	for e := range h.guests {
		return e
	}
	return nil
}

// claim tells whether a delivery without a token is a trial's own. At the only
// endpoint of a sender it may be a late attempt at one of an earlier trial.
func (h *house) claim(t *trial, id string, body []byte) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.subject.fixed() {
		return true
	}
	key := "id " + id
	if id == "" {
		key = fmt.Sprintf("body %x", sha256.Sum256(body))
	}
	owner := h.owners[key]
	if owner == nil && len(h.owners) < keptIDs {
		h.owners[key] = t
	}
	return owner == nil || owner == t
}

func (h *house) expect(e *event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events[e.token] = e
}

// find returns the endpoint that a request on the shared port is for, and the event
// that it carries the token of; either may be nil.
func (h *house) find(r *wire.Received) (*endpoint, *event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	carried := h.carried(r)
	if e := h.rooms[tokens.FindString(r.Path)]; e != nil && h.leadsTo(e, r.Path) {
		return e, carried
	}
	if !h.subject.fixed() || r.Path != h.path() {
		return nil, carried
	}
	if carried != nil {
		return carried.to, carried
	}
	return h.only(), nil
}

// leadsTo tells whether a path is that of an endpoint, and not one that only holds
// its token. Where the endpoint's URL has a path of its own, how the sender writes it
// is what is judged, so any path below the token will do.
func (h *house) leadsTo(e *endpoint, path string) bool {
	before, after, _ := strings.Cut(path, "/"+e.token)
	if before != "" && before != strings.TrimSuffix(h.base.Path, "/") {
		return false // a proxy may leave out its own path, or not
	}
	return after == e.spec.Path || e.spec.Path != "" && strings.HasPrefix(after, "/")
}

// carried is the event whose token stands in a request, the first where a sender tells
// of several at once: the others are marked as such. The caller holds mu.
func (h *house) carried(r *wire.Received) (first *event) {
	for _, text := range []string{string(h.subject.Profile.Document(r.Body)), r.Query, string(r.Head)} {
		for _, token := range tokens.FindAllString(text, mostTokens) {
			switch e := h.events[token]; {
			case e == nil || e == first:
			case first == nil:
				first = e
			default:
				e.batched.Store(true)
			}
		}
	}
	return first
}

// mostTokens bounds the tokens that are read of one part of a request.
const mostTokens = 64

func (h *house) path() string { return cmp.Or(h.subject.Path, "/hook") }

// urlOf is the URL of an endpoint on the shared port.
func (h *house) urlOf(e *endpoint) string {
	if h.subject.fixed() && !e.canary() {
		return strings.TrimSuffix(h.base.String(), "/") + h.path()
	}
	return strings.TrimSuffix(h.base.String(), "/") + e.requestPath()
}

func (h *house) handle(r *wire.Received) wire.Reply {
	e, carried := h.find(r)
	if e == nil {
		h.stray(r)
		return wire.Reply{Status: 404, Body: []byte("no endpoint of this run\n")}
	}
	return h.serve(e, carried, r)
}

// keptStrays bounds what is remembered of requests to no endpoint.
const keptStrays = 3

func (h *house) stray(r *wire.Received) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.strays) < keptStrays {
		h.strays = append(h.strays, r.Method+" "+quote(r.Target))
	}
}

func (h *house) serve(e *endpoint, carried *event, r *wire.Received) wire.Reply {
	a, reply := e.trial.arrive(e, carried, r)
	if a != nil {
		h.mu.Lock()
		h.taken[r] = a
		h.mu.Unlock()
	}
	return reply
}

// early answers before the body is there, where that is the scenario.
func (h *house) early(r *wire.Received) *wire.Reply {
	e, carried := h.find(r)
	if e == nil || !e.trial.answersEarly(e) {
		return nil
	}
	reply := h.serve(e, carried, r)
	return &reply
}

func (h *house) answered(r *wire.Received, how wire.Fate) {
	if r == nil {
		return // a connection that was never a request: counted when it was made
	}
	h.mu.Lock()
	a := h.taken[r]
	delete(h.taken, r)
	h.mu.Unlock()
	if a != nil {
		a.delivery.trial().answered(a, how)
	}
}

// observe puts what never became a request down to the endpoint it was meant for,
// as far as its head tells.
func (h *house) observe(x wire.Incident) {
	h.mu.Lock()
	e := h.rooms[tokens.FindString(string(requestLine(x.Head)))]
	if e == nil && len(h.lost) < keptIncidents {
		h.lost = append(h.lost, x)
	}
	h.mu.Unlock()
	if e != nil {
		e.trial.incident(e, x)
	}
}

// incidents are all that was observed in the run.
func (h *house) incidents() []wire.Incident {
	h.mu.Lock()
	all := slices.Clone(h.lost)
	rooms := slices.Collect(maps.Values(h.rooms))
	h.mu.Unlock()
	for _, e := range rooms {
		e.trial.mu.Lock()
		all = append(all, e.incidents...)
		e.trial.mu.Unlock()
	}
	return all
}

func requestLine(head []byte) []byte {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	return line
}

// port is a port of its own, for an endpoint whose connections are scripted too.
type port struct {
	server wire.Server
	number string
	// A port on which nothing listens yet: lighten begins to, and hold gives it up.
	lighten func() (net.Listener, error)
	hold    func() error
}

// openPort has an endpoint listen on the same port of every host.
func (h *house) openPort(e *endpoint, hosts []string) (*port, error) {
	p := &port{number: "0"}
	p.server = wire.Server{
		Limits: e.limits(), Observe: func(x wire.Incident) { e.trial.incident(e, x) }, Answered: h.answered, Secure: e.secure(),
		Connected: func(_ netip.AddrPort, id int) *wire.Reply { return e.trial.connected(e, id) },
		Handle: func(r *wire.Received) wire.Reply {
			h.mu.Lock()
			carried := h.carried(r)
			h.mu.Unlock()
			if e.tls != nil && !h.leadsTo(e, r.Path) {
				h.stray(r)
				return wire.Reply{Status: 404, Body: []byte("no endpoint of this run\n")}
			}
			e.trial.requested(e, r)
			return h.serve(e, carried, r)
		},
		Early: func(r *wire.Received) *wire.Reply {
			if !e.trial.answersEarly(e) {
				return nil
			}
			e.trial.requested(e, r)
			reply := h.serve(e, nil, r)
			return &reply
		},
	}
	if e.spec.Dark > 0 {
		return p, p.darken(h.subject, hosts[0])
	}
	return p, p.listen(h.subject, hosts)
}

// darken finds a port on which nothing listens until it is lit. Where the sockets are
// not the system's, there is nothing to hold one by.
func (p *port) darken(s *Subject, host string) error {
	if s.Open == nil {
		return p.reserve(host)
	}
	l, err := s.Open(net.JoinHostPort(host, "0"))
	if err != nil {
		return err
	}
	addr := l.Addr().String()
	_, p.number, err = net.SplitHostPort(addr)
	p.lighten = func() (net.Listener, error) { return s.Open(addr) }
	return errors.Join(err, l.Close())
}

// ports is how often another port is tried where one is not free on every host.
const ports = 20

func (p *port) listen(s *Subject, hosts []string) error {
	var problem error
	for range ports {
		listeners, number, err := listenAll(s, hosts, p.number)
		if err == nil {
			p.number = number
			for _, l := range listeners {
				go p.server.Serve(l) //nolint:errcheck // it ends with the listener
			}
			return nil
		}
		problem = err
	}
	return fmt.Errorf("open a port of its own for an endpoint: %w", problem)
}

// listenAll listens on every host, on the same port.
func listenAll(s *Subject, hosts []string, number string) (all []net.Listener, _ string, err error) {
	for _, host := range hosts {
		l, err := s.open(net.JoinHostPort(host, number))
		if err != nil {
			for _, open := range all {
				err = errors.Join(err, open.Close())
			}
			return nil, "", err
		}
		all = append(all, l)
		if _, number, err = net.SplitHostPort(l.Addr().String()); err != nil {
			return nil, "", err
		}
	}
	return all, number, nil
}

// open ends the darkness of a reserved port.
func (p *port) open() error {
	l, err := p.lighten()
	if err != nil {
		return fmt.Errorf("end the darkness of an endpoint: %w", err)
	}
	go p.server.Serve(l) //nolint:errcheck // it ends with the listener
	return nil
}

func (p *port) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := p.server.Shutdown(ctx)
	if p.hold != nil {
		err = errors.Join(err, p.hold())
	}
	return err
}
