//go:build unix && (!linux || race)

package attack

import "syscall"

func writeTo(fd uintptr, b []byte) (int, error) {
	n, err := syscall.Write(int(fd), b)
	return max(n, 0), err
}

// receiver reads. How much more there is to read it does not know.
type receiver struct{}

func (receiver) watch(uintptr) {}

func (receiver) read(fd uintptr, b []byte) (n, left int, err error) {
	n, err = syscall.Read(int(fd), b)
	return max(n, 0), unknown, err
}

func peekAt(fd uintptr, b []byte) (int, error) {
	n, _, err := syscall.Recvfrom(int(fd), b, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return max(n, 0), err
}
