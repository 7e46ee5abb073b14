//go:build unix

package attack

import (
	"errors"
	"net"
	"syscall"
)

// peeker looks whether anything has arrived on a connection, without waiting.
type peeker struct {
	raw   syscall.RawConn
	check func(fd uintptr)
	n     int
	err   error
	b     [1]byte
}

func (p *peeker) watch(conn *net.TCPConn) {
	p.raw, _ = conn.SyscallConn()
	if p.check == nil {
		p.check = func(fd uintptr) {
			p.n, _, p.err = syscall.Recvfrom(int(fd), p.b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		}
	}
}

func (p *peeker) look() peer {
	if p.raw == nil || p.raw.Control(p.check) != nil {
		return peerGone
	}
	switch {
	case errors.Is(p.err, syscall.EAGAIN), errors.Is(p.err, syscall.EINTR):
		return peerQuiet
	case p.err == nil && p.n > 0:
		return peerTalks
	}
	return peerGone
}
