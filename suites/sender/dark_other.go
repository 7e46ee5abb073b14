//go:build !unix

package sender

import (
	"errors"
	"net"
)

// reserve finds a free port. Somebody else may take it before it is listened on:
// there is no way to hold it here.
func (p *port) reserve(host string) error {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return err
	}
	addr := l.Addr().String()
	_, number, err := net.SplitHostPort(addr)
	p.number, p.lighten = number, func() (net.Listener, error) { return net.Listen("tcp", addr) }
	return errors.Join(err, l.Close())
}
