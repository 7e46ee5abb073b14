//go:build !race

package attack

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// These system calls are of sockets that do not block, and the scheduler is not told of
// them: to tell it costs as much as some of them do, and wakes the runtime's monitor,
// which then looks at this process every 20 us until it is idle. The race detector must
// be told: it learns from reading and writing what happens before what.

func writeTo(fd uintptr, b []byte) (int, error) {
	n, _, e := syscall.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return result(n, e)
}

func readFrom(fd uintptr, b []byte) (int, error) {
	n, _, e := syscall.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return result(n, e)
}

func peekAt(fd uintptr, b []byte) (int, error) {
	n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	return result(n, e)
}

// again is made once: an error that is made of a number is allocated.
var again error = syscall.EAGAIN

func result(n uintptr, e syscall.Errno) (int, error) {
	switch e {
	case 0:
		return int(n), nil
	case syscall.EAGAIN:
		return 0, again
	}
	return 0, e
}
