//go:build unix

package attack

import (
	"errors"
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

	// The functions are made once: what a closure holds is allocated.
	lookAt func(fd uintptr)
	askOf  func(fd uintptr) bool

	request []byte // to be written; nil when that was tried
	used    bool   // something was answered before
	n       int    // how much was written
	err     error
	peer    peer
	b       [1]byte
}

func (s *socket) watch(conn *net.TCPConn) {
	s.conn = conn
	s.raw, _ = conn.SyscallConn()
	if s.askOf == nil {
		s.lookAt, s.askOf = s.look, s.ask
	}
}

// state looks whether anything has arrived, without waiting.
func (s *socket) state() peer {
	if s.raw == nil || s.raw.Control(s.lookAt) != nil {
		return peerGone
	}
	return s.peer
}

func (s *socket) look(fd uintptr) {
	n, _, err := syscall.Recvfrom(int(fd), s.b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		s.peer = peerQuiet
	case err == nil && n > 0:
		s.peer = peerTalks
	default:
		s.peer = peerGone
	}
}

// send writes as much of a request as can be written at once. Where the connection was
// used before, it looks first whether the peer has left, and waits afterwards until there
// is something to read. An error says that nothing was written; what ends the waiting is
// told to whoever reads next.
func (s *socket) send(request []byte, used bool) (int, error) {
	s.request, s.used, s.n, s.err = request, used, 0, nil
	err := s.raw.Read(s.askOf)
	if s.request != nil {
		s.request, s.err = nil, err // the poller has not even begun
	}
	return s.n, s.err
}

// ask is called by the poller, and again when there is something to read if it has
// returned false. Before the first call the poller has forgotten what arrived earlier,
// so that a look is due: what arrives from then on it will tell. A connection that was
// not used before is not looked at, for some servers speak first, and not waited for.
func (s *socket) ask(fd uintptr) (over bool) {
	if s.request == nil {
		return true
	}
	request := s.request
	s.request = nil
	if s.used {
		if s.look(fd); s.peer != peerQuiet {
			s.err = errLeft
			return true
		}
	}
	n, err := syscall.Write(int(fd), request)
	for errors.Is(err, syscall.EINTR) {
		n, err = syscall.Write(int(fd), request)
	}
	if s.n = max(n, 0); err != nil && !errors.Is(err, syscall.EAGAIN) {
		s.err = &net.OpError{Op: "write", Net: "tcp", Source: s.conn.LocalAddr(), Addr: s.conn.RemoteAddr(), Err: os.NewSyscallError("write", err)}
	}
	return !s.used || s.n < len(request)
}
