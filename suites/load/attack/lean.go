package attack

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/wire"
)

// client sends requests one after the other. It serves one goroutine; only stop may
// be called from another.
type client interface {
	// do sends a request and reads its answer. Soon says that the answer before it has only
	// just come, written tells whether anything of it was sent.
	do(request []byte, body int, soon bool, deadline time.Time) (a answer, written bool, err error)
	// stop ends the request under way, and every later one.
	stop()
	close()
}

var (
	// errStopped ends requests of a run that is over.
	errStopped = errors.New("the run is over")
	// errLeft is a peer that had left before anything was written.
	errLeft = errors.New("the peer has closed the connection")
)

// large is the size of a request from which on the answer is read while it is
// written: a target may refuse it without reading it all.
const large = 64 << 10

// lean is our own client: one connection with keep-alive, no goroutine besides, no
// allocation for a request.
type lean struct {
	ctx      context.Context
	endpoint wire.Endpoint
	dials    *atomic.Int64
	open     *atomic.Int64
	// wary is set once the target has closed a connection without having said so.
	wary *atomic.Bool

	in       reader
	conn     net.Conn
	raw      *net.TCPConn
	socket   socket
	source   io.Reader // of what arrives: conn, or the socket where it is the same
	reused   bool      // an answer came over this connection already
	soon     bool      // and has only just come
	deadline time.Time // of the request under way
	armed    time.Time // when the connection gives up, never later than that

	stopped atomic.Bool
	mu      sync.Mutex // guards what stop needs of conn
}

func (c *lean) stop() {
	c.stopped.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.SetDeadline(time.Unix(1, 0))
	}
}

func (c *lean) close() {
	if c.conn == nil {
		return
	}
	c.open.Add(-1)
	// Without TLS's farewell, which could block.
	_ = c.raw.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn, c.raw = nil, nil
}

func (c *lean) dial(limit time.Duration) error {
	c.dials.Add(1)
	conn, raw, err := wire.Dial(c.ctx, c.endpoint, limit)
	if err != nil {
		return err
	}
	c.open.Add(1)
	c.mu.Lock()
	c.conn, c.raw = conn, raw
	c.mu.Unlock()
	c.in.reset(c)
	c.socket.watch(raw)
	if c.source = conn; c.endpoint.TLS == nil {
		c.source = &c.socket
	}
	c.reused, c.armed = false, time.Time{}
	return nil
}

func (c *lean) do(request []byte, _ int, soon bool, deadline time.Time) (answer, bool, error) {
	c.deadline, c.soon = deadline, soon
	for {
		if c.conn == nil {
			if err := c.dial(time.Until(deadline)); err != nil {
				return answer{}, false, err
			}
		}
		a, n, err := c.exchange(request)
		if err != nil && c.reused || err == nil && !a.last && c.socket.unread() > 0 {
			c.wary.Store(true)
		}
		if err != nil || a.last {
			// A connection that was closed before it took a single byte has seen nothing of
			// the request, and may be replaced. Nothing else is ever sent again.
			again := errors.Is(err, errLeft) || err != nil && n == 0 && c.reused && c.endpoint.TLS == nil && isReset(err)
			c.close()
			if again {
				continue
			}
		}
		c.reused = true
		return a, n > 0, err
	}
}

// exchange writes a request and reads its answer. N is how much of it was written.
func (c *lean) exchange(request []byte) (a answer, n int, err error) {
	if c.endpoint.TLS == nil && len(request) < large {
		if n, err = c.send(request); err != nil {
			return answer{}, 0, err
		}
	}
	switch {
	case n == len(request):
		a, err = c.in.read()
		return a, n, err
	case n == 0 && c.reused && c.gone():
		return answer{}, 0, errLeft
	case !c.arm():
		return answer{}, n, errStopped
	case len(request) >= large:
		return c.exchangeLarge(request)
	}
	more, err := c.conn.Write(request[n:])
	if n += more; err != nil {
		if n > 0 || c.endpoint.TLS != nil {
			n = max(n, 1)
			// It may have been answered all the same, and closed.
			if a, readErr := c.in.read(); readErr == nil {
				a.last = true
				return a, n, nil
			}
		}
		return answer{}, n, err
	}
	a, err = c.in.read()
	return a, n, err
}

// send writes as much of a request as can be written at once. A deadline that was set
// for an earlier request is left as it is: to set one costs more than to find out, once
// in many requests, that it has passed too early.
func (c *lean) send(request []byte) (n int, err error) {
	if c.armed.IsZero() || c.armed.After(c.deadline) {
		if !c.arm() {
			return 0, errStopped
		}
	}
	look := c.reused && c.mayHaveLeft()
	n, err = c.socket.send(request, c.reused, look)
	if c.extend(err) {
		n, err = c.socket.send(request, c.reused, look)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, nil
	}
	return n, err
}

// mayHaveLeft tells whether the peer may have closed the connection since the last answer.
// It has not where nothing was left to be read behind that a moment ago; unless it is one
// that closes connections without a word, which may do so in that very moment.
func (c *lean) mayHaveLeft() bool {
	return !c.soon || c.socket.unread() != 0 || c.wary.Load()
}

// arm has the connection give up when the request must be answered. It is false where
// the run is over: what stop has set is then lost.
func (c *lean) arm() bool {
	c.armed = c.deadline
	_ = c.conn.SetDeadline(c.deadline)
	return !c.stopped.Load()
}

// extend tells whether a connection has given up too early, and goes on.
func (c *lean) extend(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(c.deadline) && !c.stopped.Load() && c.arm()
}

// Read reads from the connection until the request must be answered.
func (c *lean) Read(p []byte) (n int, err error) {
	for {
		if n, err = c.source.Read(p); n > 0 || !c.extend(err) {
			return n, err
		}
	}
}

// exchangeLarge reads while it writes. An answer that is complete ends the writing.
func (c *lean) exchangeLarge(request []byte) (answer, int, error) {
	type result struct {
		answer
		err error
	}
	conn, over := c.conn, make(chan result, 1)
	go func() {
		a, err := c.in.read()
		_ = conn.SetWriteDeadline(time.Unix(1, 0))
		over <- result{a, err}
	}()
	n, err := conn.Write(request)
	r := <-over
	if r.err == nil {
		r.last = true // its deadline has passed
		return r.answer, max(n, 1), nil
	}
	if err != nil && isReset(err) {
		return r.answer, max(n, 1), err
	}
	return r.answer, max(n, 1), r.err
}

// gone tells whether the peer has closed the connection since the last answer, or has
// sent what nobody asked for, as servers do that tell of a timeout.
func (c *lean) gone() bool {
	switch c.socket.state() {
	case peerQuiet:
		return false
	case peerTalks:
		return c.endpoint.TLS == nil || c.talksOverTLS()
	}
	return true
}

// talksOverTLS tells whether what arrived is more than a ticket for another session.
func (c *lean) talksOverTLS() bool {
	_ = c.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	var b [1]byte
	n, err := c.conn.Read(b[:])
	return n > 0 || !errors.Is(err, os.ErrDeadlineExceeded)
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED)
}

// kindOf is the kind of an error: one of reports.ErrorKinds.
func kindOf(err error) kind {
	var timeout net.Error
	switch wire.OutcomeOf(err) {
	case wire.HarnessError:
		return kindHarness
	case wire.DialTimeout:
		return kindTimeout
	case wire.NoDial:
		return kindRefused
	case wire.TLSFailed, wire.TLSClosed, wire.Alerted:
		return kindTLS
	}
	switch {
	case wire.IsOurs(err):
		return kindHarness
	case errors.Is(err, errBadAnswer), errors.Is(err, io.ErrNoProgress):
		return kindBad
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return kindTimeout
	case isReset(err):
		return kindReset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return kindShort
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return kindRefused
	case isTLS(err):
		return kindTLS
	}
	return kindReset
}

// isTLS tells of an alert, which the peer of TLS 1.3 sends after a handshake that
// seemed to succeed, and of records that cannot be read.
func isTLS(err error) bool {
	var op *net.OpError
	return errors.Is(err, errTLS) || errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error")
}
