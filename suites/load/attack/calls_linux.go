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

// receiver reads, and has the kernel tell at the same time how much more there is to read:
// since Linux 4.18 (TCP_INQ) it does so for the price of a read, and counts the end of the
// connection as a byte.
type receiver struct {
	asked   bool
	into    unix.Iovec
	message unix.Msghdr
	control struct {
		unix.Cmsghdr
		left, _ int32
	}
}

func (r *receiver) watch(fd uintptr) {
	r.asked = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_INQ, 1) == nil
}

// read also returns how much is left to be read, or unknown.
func (r *receiver) read(fd uintptr, b []byte) (n, left int, err error) {
	r.into.Base = unsafe.SliceData(b)
	r.into.SetLen(len(b))
	r.message.Iov, r.message.Control = &r.into, (*byte)(unsafe.Pointer(&r.control))
	r.message.SetIovlen(1)
	r.message.SetControllen(int(unsafe.Sizeof(r.control)))
	r.control.Type = 0
	got, _, e := syscall.RawSyscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&r.message)), unix.MSG_DONTWAIT)
	n, err = result(got, e)
	if left = unknown; r.asked && r.control.Level == unix.SOL_TCP && r.control.Type == unix.TCP_CM_INQ {
		left = int(r.control.left)
	}
	return n, left, err
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
