//go:build unix

package sender

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// reserve takes a port of an IPv4 host without listening on it: connections to it are
// refused, and nobody else can have it.
func (p *port) reserve(host string) error {
	ip := net.ParseIP(host).To4()
	if ip == nil {
		return fmt.Errorf("reserve a port on %s: it is no IPv4 address", host)
	}
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return fmt.Errorf("reserve a port: %w", err)
	}
	socket := os.NewFile(uintptr(fd), "reserved port")
	p.hold = socket.Close
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte(ip)}); err != nil {
		return fmt.Errorf("reserve a port: %w", err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		return fmt.Errorf("reserve a port: %w", err)
	}
	p.number = strconv.Itoa(at.(*syscall.SockaddrInet4).Port)
	p.lighten = func() (net.Listener, error) {
		if err := syscall.Listen(fd, syscall.SOMAXCONN); err != nil {
			return nil, err
		}
		return net.FileListener(socket)
	}
	return nil
}
