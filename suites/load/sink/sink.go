// Package sink absorbs what a sender sends under load: a lean HTTP/1.1 server that
// verifies every signature, answers from prepared buffers, and counts. Its memory is
// bounded: see Limits.
package sink

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
)

// Options say what a sink takes and how it answers. Profile and Keys are needed.
type Options struct {
	Profile *profile.Profile
	Keys    profile.Keys
	// URL stands before the request target where the profile signs the URL; http://, or
	// https:// with TLS, and the Host where it is empty.
	URL string
	// Sequence is where deliveries are numbered: a JSON pointer such as /n, or the name
	// of a header. Every path has a sequence of its own.
	Sequence string
	// Mark begins a token of MarkLength bytes in bodies, which then tells deliveries
	// apart instead of their ids.
	Mark       string
	MarkLength int
	// Arrived is told when a triggered delivery comes for the first time: its id or token,
	// which is not to be kept, and how long after the trigger. It may be nil, and is called
	// for several at once.
	Arrived func(id []byte, after time.Duration)
	// Expect is how many deliveries are to come; 0 where nobody says.
	Expect  int64
	Outages []Outage
	Slow    []Slow
	Limits  Limits
	// TLS is spoken on every connection; nil speaks none.
	TLS *tls.Config
}

// Limits bound what peers can make a sink hold or wait for. Zero fields take the value
// of DefaultLimits.
type Limits struct {
	Head, Line, Fields, Body int
	Bodies                   int64         // bytes of heads and bodies beyond 8 KiB a connection
	FirstByte, HeadTime      time.Duration // of TLS, FirstByte bounds the handshake
	BodyTime, Idle           time.Duration
	WriteTime                time.Duration
	Connections              int // one more is answered 503 and closed
	Requests                 int // on one connection
	IDs                      int // deliveries that are told apart, at 9 to 17 bytes each
	Pending                  int // triggered deliveries that are awaited at once
	Endpoints                int // paths that are told apart
}

// DefaultLimits are those of a sink for ten million deliveries and more.
var DefaultLimits = Limits{
	Head: 64 << 10, Line: 32 << 10, Fields: 200, Body: 2 << 20, Bodies: 64 << 20,
	FirstByte: 5 * time.Second, HeadTime: 2 * time.Second, BodyTime: 5 * time.Second, Idle: 30 * time.Second, WriteTime: 5 * time.Second,
	Connections: 4096, Requests: 1 << 40, IDs: 16_000_000, Pending: 1_000_000, Endpoints: 1024,
}

func (l Limits) filled() Limits {
	d := DefaultLimits
	return Limits{
		cmp.Or(l.Head, d.Head), cmp.Or(l.Line, d.Line), cmp.Or(l.Fields, d.Fields), cmp.Or(l.Body, d.Body), cmp.Or(l.Bodies, d.Bodies),
		cmp.Or(l.FirstByte, d.FirstByte), cmp.Or(l.HeadTime, d.HeadTime), cmp.Or(l.BodyTime, d.BodyTime), cmp.Or(l.Idle, d.Idle),
		cmp.Or(l.WriteTime, d.WriteTime), cmp.Or(l.Connections, d.Connections), cmp.Or(l.Requests, d.Requests),
		cmp.Or(l.IDs, d.IDs), cmp.Or(l.Pending, d.Pending), cmp.Or(l.Endpoints, d.Endpoints),
	}
}

// Sink absorbs deliveries. New makes one.
type Sink struct {
	o              Options
	limits         Limits
	sequenceHeader []byte
	sequenceAt     *profile.Pointer
	signsURL       bool
	books

	mu       sync.Mutex
	conns    map[*conn]struct{}
	listener map[net.Listener]struct{}
	stopped  chan struct{}
	running  sync.WaitGroup
	parting  atomic.Int32
	extra    atomic.Int64 // bytes of large buffers
	answers  atomic.Pointer[answers]
}

// New makes a sink. The error says which option is missing or unusable.
func New(o Options) (*Sink, error) {
	switch {
	case o.Profile == nil:
		return nil, errors.New("make a sink: no profile is given")
	case !o.Profile.Signed():
		return nil, fmt.Errorf("make a sink: deliveries of profile %s are not signed, so none could be verified", o.Profile.Name)
	case (o.Mark == "") != (o.MarkLength == 0) || o.MarkLength < len(o.Mark):
		return nil, errors.New("make a sink: a mark needs the length of the tokens that it begins")
	}
	if err := o.Profile.CheckKeys(o.Keys); err != nil {
		return nil, fmt.Errorf("make a sink: %w", err)
	}
	s := &Sink{o: o, limits: o.Limits.filled(), conns: map[*conn]struct{}{}, listener: map[net.Listener]struct{}{}, stopped: make(chan struct{})}
	if strings.HasPrefix(o.Sequence, "/") {
		s.sequenceAt = profile.NewPointer(o.Sequence)
	} else if o.Sequence != "" {
		s.sequenceHeader = []byte(o.Sequence)
	}
	for _, scheme := range o.Profile.Schemes() {
		s.signsURL = s.signsURL || scheme.SignsURL()
	}
	s.open(&s.limits, o)
	s.answers.Store(newAnswers(time.Now(), s.success()))
	return s, nil
}

// success is the status of an accepted delivery.
func (s *Sink) success() int {
	for _, status := range []int{200, 204, 202, 201} {
		if s.o.Profile.Succeeds(status) {
			return status
		}
	}
	return 200
}

// Serve accepts connections from l until Shutdown, and then returns nil.
func (s *Sink) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.isStopped() {
		s.mu.Unlock()
		return l.Close()
	}
	s.listener[l] = struct{}{}
	s.running.Add(1)
	s.mu.Unlock()
	defer s.running.Done()
	clock := make(chan struct{})
	defer close(clock)
	s.running.Go(func() { s.tick(clock) })
	for {
		c, err := l.Accept()
		var timeout net.Error
		switch {
		case err == nil:
			s.admit(c)
		case s.isStopped():
			return nil
		case errors.Is(err, net.ErrClosed), !errors.As(err, &timeout):
			return fmt.Errorf("serve %s: %w", l.Addr(), err)
		default: // out of file descriptors: others will end
			s.pause(5 * time.Millisecond)
		}
	}
}

// tick keeps the Date of the answers.
func (s *Sink) tick(end chan struct{}) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			s.answers.Store(newAnswers(now, s.success()))
		case <-end:
			return
		}
	}
}

func (s *Sink) isStopped() bool {
	select {
	case <-s.stopped:
		return true
	default:
		return false
	}
}

// pause waits, and tells whether it could wait to the end.
func (s *Sink) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.stopped:
		return false
	}
}

// Shutdown closes listeners and connections and waits until nothing of the sink runs, or
// the context ends.
func (s *Sink) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.isStopped() {
		close(s.stopped)
	}
	for l := range s.listener {
		l.Close()
	}
	for c := range s.conns {
		c.socket.Close()
	}
	s.mu.Unlock()
	if err := wire.Ended(ctx, &s.running); err != nil {
		return fmt.Errorf("shut down the sink: %w", err)
	}
	return nil
}

// partings bounds how many refused connections are parted with gently at once.
const partings = 64

// admit takes a connection in, or refuses it at once: never a queue.
func (s *Sink) admit(socket net.Conn) {
	c := &conn{s: s, c: socket, socket: socket, verifier: profile.NewVerifier(s.o.Profile, s.o.Keys)}
	if s.o.TLS != nil {
		c.c = tls.Server(socket, s.o.TLS)
	}
	if o := s.outage(time.Now(), nil); o != nil && o.Refuse {
		s.broke(c, "refused-in-outage")
		c.reset()
		return
	}
	c.raw, c.tally = c.verifier.Raw(), s.nextTally()
	s.mu.Lock()
	switch {
	case s.isStopped():
		s.mu.Unlock()
		socket.Close()
		return
	case len(s.conns) >= s.limits.Connections:
		s.mu.Unlock()
		s.turnAway(c)
		return
	}
	s.conns[c] = struct{}{}
	raise(&s.mostConns, int64(len(s.conns)))
	s.running.Go(c.serve)
	s.mu.Unlock()
}

func (s *Sink) turnAway(c *conn) {
	s.turned.Add(1)
	s.broke(c, wire.Crowded)
	if s.o.TLS != nil { // an answer would take a handshake
		c.socket.Close()
		return
	}
	c.c.SetWriteDeadline(time.Now().Add(time.Second))
	if s.parting.Add(1) > partings {
		s.parting.Add(-1)
		c.c.Close()
		return
	}
	c.buf = make([]byte, 512)
	s.running.Go(func() {
		defer s.parting.Add(-1)
		defer c.c.Close()
		if _, err := c.c.Write(plainAnswer(503)); err == nil {
			c.part()
		}
	})
}

// release ends a connection.
func (s *Sink) release(c *conn) {
	c.c.Close()
	s.unclaim(c)
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// claim tells whether so many bytes more may be held.
func (s *Sink) claim(c *conn, n int64) bool {
	if s.extra.Add(n) > s.limits.Bodies {
		s.extra.Add(-n)
		return false
	}
	c.claimed += n
	return true
}

func (s *Sink) unclaim(c *conn) {
	s.extra.Add(-c.claimed)
	c.claimed = 0
}

// answers are the prepared answers of one second; the second of each closes.
type answers struct{ success, unauthorised, method [2][]byte }

func newAnswers(now time.Time, success int) *answers {
	of := func(status int, more string) (a [2][]byte) {
		for i, end := range []string{"\r\n", "Connection: close\r\n\r\n"} {
			if status != http.StatusNoContent {
				end = "Content-Length: 0\r\n" + end
			}
			a[i] = fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nDate: %s\r\n%s%s", status, http.StatusText(status), now.UTC().Format(http.TimeFormat), more, end)
		}
		return a
	}
	return &answers{of(success, ""), of(401, ""), of(405, "Allow: POST\r\n")}
}

// plainAnswer is one that closes.
func plainAnswer(status int) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status, http.StatusText(status))
}

func (c *conn) answer(a [2][]byte) {
	if c.last {
		c.out = append(c.out, a[1]...)
	} else {
		c.out = append(c.out, a[0]...)
	}
	if len(c.out) > 64<<10 {
		c.flush() // what goes wrong shows in what is read next
	}
}

// reset is no fault of the peer's: the connection is reset by schedule.
var reset = &fault{}

// handle judges a whole request and answers it.
func (c *conn) handle() *fault {
	s := c.s
	arrived := c.readAt
	path := c.of(c.req.path)
	outage := s.outage(arrived, path)
	if outage != nil && outage.Refuse {
		return reset
	}
	prepared := s.answers.Load()
	if string(c.of(c.req.method)) != http.MethodPost {
		s.broke(c, "not-a-post")
		c.answer(prepared.method)
		return nil
	}
	raise(&s.mostInFlight, s.inFlight.Add(1))
	defer s.inFlight.Add(-1)
	if s.signsURL {
		c.raw.URL = c.whole()
	}
	v := c.verifier.Verify(c.raw, arrived)
	if v.Reason != "" {
		s.bookRefusal(c, v.Reason, arrived, path)
		c.answer(prepared.unauthorised)
		return nil
	}
	e := s.endpoint(c, path)
	raise(&e.most, e.inFlight.Add(1))
	defer e.inFlight.Add(-1)
	c.book(v, arrived, e, outage != nil)
	if outage != nil {
		c.unavailable(outage, outage.left(s.sinceFirst(arrived)))
		return nil
	}
	if delay := s.delay(arrived, path); delay > 0 {
		if !c.flush() || !s.pause(delay) {
			return broken
		}
		c.readAt = time.Now()
	}
	c.answer(prepared.success)
	return nil
}

// unavailable answers 503, and says for how long unless the outage is silent.
func (c *conn) unavailable(o *Outage, left time.Duration) {
	c.out = append(c.out, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0"...)
	if !o.Silent {
		seconds := int64((left + time.Second - 1) / time.Second)
		c.out = append(c.out, "\r\nRetry-After: "...)
		c.out = strconv.AppendInt(c.out, max(seconds, 1), 10)
	}
	if c.last {
		c.out = append(c.out, "\r\nConnection: close"...)
	}
	c.out = append(c.out, "\r\n\r\n"...)
}

func (c *conn) scheme() string {
	if c.s.o.TLS != nil {
		return "https://"
	}
	return "http://"
}

// whole is the URL that the request was sent to.
func (c *conn) whole() []byte {
	target := c.of(c.req.target)
	if bytes.Contains(target, []byte("://")) && target[0] != '/' {
		return target
	}
	if c.url = append(c.url[:0], c.s.o.URL...); len(c.url) == 0 {
		c.url = append(append(c.url, c.scheme()...), c.req.host...)
	}
	c.url = append(c.url, target...)
	return c.url
}
