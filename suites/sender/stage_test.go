package sender_test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites/sender"
)

// stage is a sender written for one test, and what a judge needs to know of it. It
// stands in a bubble of testing/synctest: its network is memory, and its clock moves
// when everybody waits.
type stage struct {
	*testing.T
	net     *network
	profile *profile.Profile
	keys    profile.Keys
	subject sender.Subject
	sender  *dispatcher
	started *sender.Judge // once it has begun to judge
	blind   bool          // no preflight
	observe func(caseName string, x reports.Exchange) error
}

// ordinary are the retry terms that a stage's profile declares.
func ordinary() *profile.Retry {
	return &profile.Retry{Schedule: []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, GivesUpOn: []int{400, 410}, Stops: []int{410}, RetryAfter: "honoured"}
}

// onStage runs a test in a bubble, with a correct sender that the test then spoils.
func onStage(t *testing.T, play func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "standard-webhooks")
		play(s)
		s.end()
	})
}

func newStage(t *testing.T, profileName string) *stage {
	t.Helper()
	p, err := profiles.Get(profileName)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{T: t, net: newNetwork(), profile: p, keys: p.NewKeys(rand.New(rand.NewPCG(1, 2)))}
	p.Retry = ordinary()
	p.Delivery.Deadline = 5 * time.Second
	s.sender = newDispatcher(s)
	s.subject = sender.Subject{
		Profile: p, Keys: s.keys, Trigger: s.sender.trigger(), Open: s.net.open,
		Dial:   func(ctx context.Context, _, addr string) (net.Conn, error) { return s.net.dial(ctx, addr) },
		Limits: sender.Limits{Budget: time.Minute, Arrival: 10 * time.Second, Slack: 500 * time.Millisecond},
	}
	return s
}

// judge begins to judge, once.
func (s *stage) judge() *sender.Judge {
	s.Helper()
	if s.started != nil {
		return s.started
	}
	j, err := sender.NewJudge(s.subject, 1, s.observe)
	if err != nil {
		s.Fatal(err)
	}
	s.started = j
	if !s.blind {
		j.Preflight(s.Context())
	}
	return j
}

// run judges one case, written in YAML as it would stand under `cases:`.
func (s *stage) run(yaml string) reports.Result {
	s.Helper()
	return s.judge().Run(s.Context(), parseCase(s.T, yaml))
}

// end ends the sender and the judge, whatever they still do.
func (s *stage) end() {
	s.Helper()
	s.sender.stop()
	if s.started != nil {
		if err := s.started.Close(); err != nil {
			s.Error(err)
		}
	}
}

// parseCase completes a case of which only what is done and expected is given.
func parseCase(t testing.TB, yaml string) scenarios.Case {
	t.Helper()
	src := "suite: sender/test\nabout: A test.\nsource: the test\ncases:\n  - id: case\n    title: A case\n    level: must\n    unproven: a test of the judge\n"
	for line := range strings.Lines(strings.TrimSpace(yaml)) {
		src += "    " + line
	}
	suite, err := scenarios.Parse("test.yaml", []byte(src+"\n"), sender.Vocabulary())
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return suite.Cases[0]
}

func want(t testing.TB, r reports.Result, verdict reports.Verdict, reason string) {
	t.Helper()
	if r.Verdict != verdict || !strings.Contains(r.Reason, reason) {
		t.Errorf("verdict %s (%s), want %s with a reason that contains %q\n%s", r.Verdict, r.Reason, verdict, reason, exchanges(r))
	}
}

func exchanges(r reports.Result) string {
	var b strings.Builder
	for _, x := range r.Evidence {
		fmt.Fprintf(&b, "  %s: %s %v\n", x.Label, x.Outcome, x.Notes)
	}
	return b.String()
}

// --- the network

// network is memory in the place of a machine's TCP.
type network struct {
	real  bool // it is the machine's after all
	mu    sync.Mutex
	last  int
	ports map[string]*listener
	alias map[string]string // authorities of URLs that lead to ports
}

func newNetwork() *network {
	return &network{last: 20000, ports: map[string]*listener{}, alias: map[string]string{}}
}

var errRefused = errors.New("connection refused")

func (n *network) open(addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	number, _ := strconv.Atoi(port)
	if number == 0 {
		n.last++
		number = n.last
	}
	l := &listener{at: &net.TCPAddr{IP: net.ParseIP(host), Port: number}, queue: make(chan net.Conn), shut: make(chan struct{})}
	if n.ports[l.at.String()] != nil {
		return nil, fmt.Errorf("listen on %s: it is taken", addr)
	}
	n.ports[l.at.String()] = l
	l.leave = func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.ports, l.at.String())
	}
	return l, nil
}

func (n *network) dial(ctx context.Context, addr string) (net.Conn, error) {
	if n.real {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", addr)
	}
	n.mu.Lock()
	l := n.ports[cmp.Or(n.alias[addr], addr)]
	n.mu.Unlock()
	if l == nil {
		return nil, errRefused
	}
	ours, theirs := net.Pipe()
	select {
	case l.queue <- peer{theirs}:
		return ours, nil
	case <-l.shut:
		return nil, errRefused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// peer is a connection that comes from this machine.
type peer struct{ net.Conn }

func (peer) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1024} }

type listener struct {
	at    *net.TCPAddr
	queue chan net.Conn
	shut  chan struct{}
	once  sync.Once
	leave func()
}

func (l *listener) Addr() net.Addr { return l.at }

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.shut:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.shut)
		l.leave()
	})
	return nil
}

// --- the sender

// dispatcher is a sender. As it is made it is a correct one; every field can be
// changed by a test.
type dispatcher struct {
	stage *stage
	ctx   context.Context
	stop  func()
	busy  sync.WaitGroup

	workers  chan struct{}                     // one place for each attempt at the same time; nil is no bound
	delay    time.Duration                     // before the first attempt
	gaps     []time.Duration                   // after each attempt; when they end, so does the delivery
	vary     func(time.Duration) time.Duration // jitter
	deadline time.Duration                     // for one attempt; 0 is none
	success  func(status int) bool             // what is a success to it; 0 is no answer
	quits    []int                             // statuses that it gives up after
	honours  bool                              // Retry-After
	holds    bool                              // 429 with Retry-After holds the endpoint's other deliveries back too
	disables bool                              // 410 disables the endpoint
	follows  string                            // redirects: "", "get", "same", or "knock": connects and writes nothing
	copies   int                               // of each event
	pace     time.Duration                     // between two reads of a body
	reads    int64                             // bytes of an answer's body, at most
	loses    func(nth int) bool                // events of which nothing is ever seen
	answers  sender.Outcome                    // of its API
	mould    func(a *try)                      // the last word on each attempt, before it is signed
	edit     func(a *try)                      // and after
	rewrite  func(a *try, b []byte) []byte     // of the bytes that are written
	muses    time.Duration                     // before it follows a redirect
	after    func(a *try)                      // what else is done after an attempt, meanwhile
	timing   func(took time.Duration)          // is told how long each exchange took
	tls      *secrecy                          // nil speaks none

	mu    sync.Mutex
	known []string // URLs that it was told of
	fired int
	held  map[string]time.Time // until when an endpoint's deliveries wait
	gone  map[string]bool      // endpoints that are disabled
	tries int
}

// try is one attempt of the dispatcher.
type try struct {
	n       int // from 1
	event   int // from 1
	copy    int // from 1
	url     string
	token   string
	message profile.Message
	headers wire.Headers // in place of the profile's own where they are set
	request wire.Request
	keys    profile.Keys
	profile *profile.Profile
}

func newDispatcher(s *stage) *dispatcher {
	d := &dispatcher{
		stage: s, gaps: []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, deadline: 5 * time.Second, copies: 1, reads: 64 << 10,
		success: func(status int) bool { return status/100 == 2 }, quits: []int{400, 410}, honours: true, holds: true, disables: true,
		answers: sender.Outcome{Status: 202}, held: map[string]time.Time{}, gone: map[string]bool{},
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.ctx = ctx
	d.stop = func() {
		cancel()
		d.busy.Wait()
	}
	return d
}

// action is something that can be done to the dispatcher.
type action struct {
	words []string
	do    func(ctx context.Context, v sender.Values) (sender.Outcome, error)
}

func (a action) Do(ctx context.Context, v sender.Values) (sender.Outcome, error) { return a.do(ctx, v) }
func (a action) Has(word string) bool                                            { return slices.Contains(a.words, word) }
func (a action) String() string                                                  { return "an action of the test" }

// at makes an action that always succeeds.
func at(do func(v sender.Values)) func(context.Context, sender.Values) (sender.Outcome, error) {
	return func(_ context.Context, v sender.Values) (sender.Outcome, error) {
		do(v)
		return sender.Outcome{Status: 200}, nil
	}
}

// trigger fires events at the URL that it is told.
func (d *dispatcher) trigger() action {
	return action{words: []string{"url", "token", "event", "data"}, do: func(_ context.Context, v sender.Values) (sender.Outcome, error) {
		d.mu.Lock()
		answer := d.answers
		d.mu.Unlock()
		if answer.OK() {
			d.fire(v.URL, v.Token, v.Event)
		}
		return answer, nil
	}}
}

// fixed fires events that all go to one URL.
func (d *dispatcher) fixed(to func() string, tokens bool) action {
	words := []string{"event"}
	if tokens {
		words = append(words, "token")
	}
	return action{words: words, do: func(_ context.Context, v sender.Values) (sender.Outcome, error) {
		if !tokens {
			v.Token = ""
		}
		d.fire(to(), v.Token, v.Event)
		return d.answers, nil
	}}
}

// fire takes an event.
func (d *dispatcher) fire(to, token, event string) {
	d.mu.Lock()
	d.fired++
	n := d.fired
	d.mu.Unlock()
	if d.loses != nil && d.loses(n) {
		return
	}
	for c := range d.copies {
		message := profile.Message{ID: fmt.Sprintf("msg_%d_%d", n, c), Event: event, Method: "POST", URL: to}
		d.busy.Go(func() { d.deliver(n, c+1, token, message) })
	}
}

// change changes the dispatcher while it works: what its API answers, its gaps,
// whether it honours Retry-After, or what it does after an attempt.
func (d *dispatcher) change(what func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	what()
}

func (d *dispatcher) sleep(span time.Duration) bool {
	if span <= 0 {
		// No timer: the race detector crashes where several of a bubble are due at once.
		return d.ctx.Err() == nil
	}
	t := time.NewTimer(span)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-d.ctx.Done():
		return false
	}
}

// deliver makes the attempts of one event.
func (d *dispatcher) deliver(event, copies int, token string, m profile.Message) {
	m.Timestamp = d.stage.profile.Stamp(time.Now())
	m.Body = []byte(fmt.Sprintf(`{"type":%q,"timestamp":%q,"data":{"token":%q,"n":%d,"copy":%d}}`, m.Event, time.Now().UTC().Format(time.RFC3339), token, event, copies))
	d.mu.Lock()
	gaps := d.gaps
	d.mu.Unlock()
	if !d.sleep(d.delay) {
		return
	}
	for n := 1; ; n++ {
		if !d.await(m.URL) {
			return
		}
		status, wait := d.attempt(&try{n: n, event: event, copy: copies, url: m.URL, token: token, message: m, keys: d.stage.keys, profile: d.stage.profile})
		if d.success(status) || slices.Contains(d.quits, status) || n > len(gaps) {
			return
		}
		gap := gaps[n-1]
		if d.vary != nil {
			gap = d.vary(gap)
		}
		if !d.sleep(max(gap, wait)) {
			return
		}
	}
}

// await waits while the endpoint is held back, and tells whether it still is one.
func (d *dispatcher) await(to string) bool {
	for {
		d.mu.Lock()
		until, gone := d.held[to], d.gone[to]
		d.mu.Unlock()
		switch {
		case gone:
			return false
		case !time.Now().Before(until):
			return true
		case !d.sleep(time.Until(until)):
			return false
		}
	}
}

// attempt makes one attempt and returns its status, 0 for none, and for how long the
// answer asks to wait.
func (d *dispatcher) attempt(a *try) (status int, wait time.Duration) {
	d.mu.Lock()
	d.tries++
	d.mu.Unlock()
	if d.workers != nil {
		d.workers <- struct{}{}
		defer func() { <-d.workers }()
	}
	a.message.Timestamp = d.stage.profile.Stamp(time.Now())
	if d.mould != nil {
		d.mould(a)
	}
	began := time.Now()
	resp, err := d.exchange(a)
	if d.timing != nil {
		d.timing(time.Since(began))
	}
	if err != nil {
		return 0, 0
	}
	if to := resp.Header.Get("Location"); d.follows != "" && resp.StatusCode/100 == 3 && to != "" {
		return d.follow(a, to)
	}
	d.note(a.url, resp)
	d.mu.Lock()
	honours, after := d.honours, d.after
	d.mu.Unlock()
	if after != nil {
		done := *a
		d.busy.Go(func() { after(&done) })
	}
	if honours {
		wait = asked(resp)
	}
	return resp.StatusCode, wait
}

// follow makes the same request, or a GET, elsewhere.
func (d *dispatcher) follow(a *try, to string) (int, time.Duration) {
	d.sleep(d.muses)
	b := *a
	b.url = to
	if d.follows == "knock" {
		if conn, err := d.stage.net.dial(d.ctx, mustURL(to).Host); err == nil {
			conn.Close()
		}
		return 0, 0
	}
	if d.follows == "get" {
		b.message.Method, b.message.Body = "GET", nil
	}
	resp, err := d.exchange(&b)
	if err != nil {
		return 0, 0
	}
	return resp.StatusCode, 0
}

// note does what an answer asks for the endpoint.
func (d *dispatcher) note(to string, resp *http.Response) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.disables && resp.StatusCode == 410 {
		d.gone[to] = true
	}
	if d.holds && resp.StatusCode == 429 {
		d.held[to] = time.Now().Add(asked(resp))
	}
}

// asked is what Retry-After asks for, within reason.
func asked(resp *http.Response) time.Duration {
	text := resp.Header.Get("Retry-After")
	if n, err := strconv.Atoi(text); err == nil {
		return min(max(time.Duration(n), 0), 60) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(time.Until(at), 0), time.Minute)
	}
	return 0
}

// compose writes the request.
func (d *dispatcher) compose(a *try) (host string, request []byte, err error) {
	u, err := url.Parse(a.url)
	if err != nil {
		return "", nil, err
	}
	headers := a.headers
	if headers == nil {
		sealed, err := d.stage.profile.Sign(a.message, a.keys)
		if err != nil {
			return "", nil, err
		}
		headers, a.message.Body = sealed.Headers, sealed.Body
	}
	a.request = wire.Request{Method: cmp.Or(a.message.Method, "POST"), Target: u.RequestURI(), Host: u.Host, Headers: headers, Body: a.message.Body}
	if d.edit != nil {
		d.edit(a)
	}
	request = a.request.Bytes()
	if d.rewrite != nil {
		request = d.rewrite(a, request)
	}
	return u.Host, request, nil
}

// exchange writes the request on a connection of its own and reads the answer.
func (d *dispatcher) exchange(a *try) (*http.Response, error) {
	host, request, err := d.compose(a)
	if err != nil {
		return nil, err
	}
	secure := d.tls != nil && strings.HasPrefix(a.url, "https:")
	if secure {
		host = net.JoinHostPort("127.0.0.1", mustURL(a.url).Port()) // whatever the name, it leads here
	}
	socket, err := d.stage.net.dial(d.ctx, host)
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	defer context.AfterFunc(d.ctx, func() { socket.Close() })()
	if d.deadline > 0 {
		_ = socket.SetDeadline(time.Now().Add(d.deadline))
	}
	conn := socket
	if secure {
		if conn, err = d.tls.shake(d, a, socket); err != nil {
			return nil, err
		}
	}
	// A receiver may answer, and close, before it has read everything.
	go func() { _, _ = conn.Write(request) }()
	if len(request) < len(a.request.Bytes()) {
		d.sleep(time.Millisecond)
		return nil, errRefused // it broke off
	}
	br := bufio.NewReader(io.LimitReader(conn, d.reads+1<<20)) // a head may have no end either
	for {
		resp, err := http.ReadResponse(br, &http.Request{Method: a.request.Method})
		if err != nil {
			return nil, err
		}
		if resp.StatusCode/100 == 1 && resp.StatusCode != 101 {
			continue
		}
		if _, err := io.CopyN(io.Discard, paced{resp.Body, d}, d.reads); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return resp, nil
	}
}

func mustURL(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return u
}

// basic writes what Authorization has behind Basic.
func basic(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// paced reads a body no faster than the dispatcher likes to.
type paced struct {
	io.Reader
	d *dispatcher
}

func (p paced) Read(b []byte) (int, error) {
	if p.d.pace > 0 && !p.d.sleep(p.d.pace) {
		return 0, p.d.ctx.Err()
	}
	return p.Reader.Read(b)
}
