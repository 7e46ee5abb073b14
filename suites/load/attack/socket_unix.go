//go:build unix

package attack

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// socket asks of a connection only the system calls that it takes: net.Conn would read
// as soon as a request is written, be told that there is nothing yet, and only then
// wait.
type socket struct {
	conn *net.TCPConn
	raw  syscall.RawConn

	// These are made once: a function that knows a socket is allocated.
	looks, tells func(fd uintptr)
	asks, takes  func(fd uintptr) bool

	request  []byte // to be written; nil when that was tried
	used     bool   // something was answered before
	look     bool   // whether the peer has left, before anything is written
	into     []byte // to be read into
	receiver receiver
	left     int // what the last read has left to be read, the end of the connection included
	n        int // how much was written, or read
	err      error
	peer     peer
	b        [1]byte
}

func (s *socket) watch(conn *net.TCPConn) {
	s.conn = conn
	s.raw, _ = conn.SyscallConn() // of a connection that is open it is no error
	if s.asks == nil {
		s.looks, s.tells, s.asks, s.takes = s.peek, s.receiver.watch, s.ask, s.take
	}
	s.left = unknown
	_ = s.raw.Control(s.tells)
}

// state looks whether anything has arrived, without waiting.
func (s *socket) state() peer {
	if s.raw.Control(s.looks) != nil {
		return peerGone
	}
	return s.peer
}

// unread is how much the last read has left to be read, or unknown; a connection that
// has ended has something left.
func (s *socket) unread() int { return s.left }

func (s *socket) peek(fd uintptr) {
	n, err := peekAt(fd, s.b[:])
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		s.peer = peerQuiet
	case err == nil && n > 0:
		s.peer = peerTalks
	default:
		s.peer = peerGone
	}
}

// send writes as much of a request as can be written at once. Where it is told to, it
// looks first whether the peer has left; where the connection was used before, it waits
// afterwards until there is something to read. An error says that nothing was written; what ends the waiting is
// told to whoever reads next.
func (s *socket) send(request []byte, used, look bool) (int, error) {
	s.request, s.used, s.look, s.n, s.err = request, used, look, 0, nil
	err := s.raw.Read(s.asks)
	if s.request != nil {
		s.request, s.err = nil, err // the poller has not even begun
	}
	return s.n, s.err
}

// ask is called by the poller, and again when there is something to read if it has
// returned false. Before the first call the poller has forgotten what arrived earlier,
// so that a look is due, unless the read
// of the last answer has just said that nothing was left: what arrives from then on it
// will tell. A connection that was
// not used before is not looked at, for some servers speak first, and not waited for.
func (s *socket) ask(fd uintptr) (over bool) {
	if s.request == nil {
		return true
	}
	request := s.request
	s.request = nil
	if s.look {
		if s.peek(fd); s.peer != peerQuiet {
			s.err = errLeft
			return true
		}
	}
	var err error
	s.n, err = writeTo(fd, request)
	for errors.Is(err, syscall.EINTR) {
		s.n, err = writeTo(fd, request)
	}
	if err != nil && !errors.Is(err, syscall.EAGAIN) {
		s.err = s.failure("write", os.NewSyscallError("write", err))
	}
	return !s.used || s.n < len(request)
}

// Read reads as the connection's own does.
func (s *socket) Read(p []byte) (int, error) {
	s.into, s.n, s.err = p, 0, nil
	if err := s.raw.Read(s.takes); err != nil {
		return 0, s.failure("read", errors.Unwrap(err))
	}
	return s.n, s.err
}

func (s *socket) take(fd uintptr) (over bool) {
	n, left, err := s.receiver.read(fd, s.into)
	s.left = left
	switch {
	case errors.Is(err, syscall.EINTR):
		return s.take(fd)
	case errors.Is(err, syscall.EAGAIN):
		return false
	case err != nil:
		err = s.failure("read", os.NewSyscallError("read", err))
	case n == 0:
		err = io.EOF
	}
	s.n, s.err = n, err
	return true
}

// failure is an error as the connection's own functions tell it.
func (s *socket) failure(what string, err error) error {
	return &net.OpError{Op: what, Net: "tcp", Source: s.conn.LocalAddr(), Addr: s.conn.RemoteAddr(), Err: err}
}
