package attack

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sleeper waits to the tenth of a millisecond: the runtime's own timers are a
// millisecond late when everything else is idle.
type sleeper struct {
	timer *os.File
	raw   syscall.RawConn
	wait  func(fd uintptr) bool // made once
	at    unix.ItimerSpec
	set   bool
	err   error
}

func newSleeper() *sleeper {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return &sleeper{}
	}
	s := &sleeper{timer: os.NewFile(uintptr(fd), "timer")}
	s.raw, s.err = s.timer.SyscallConn()
	s.wait = s.ring
	return s
}

func (s *sleeper) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	if s.timer != nil && s.err == nil {
		s.at, s.set = unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}, false
		if s.raw.Read(s.wait) == nil && s.err == nil {
			return
		}
	}
	time.Sleep(d)
}

// ring is called by the poller, to set the timer, and again when it has rung. To read
// how often is not needed: whoever sets it anew makes that nothing.
func (s *sleeper) ring(fd uintptr) (over bool) {
	if s.set {
		return true
	}
	s.set = true
	s.err = unix.TimerfdSettime(int(fd), 0, &s.at, nil)
	return s.err != nil
}

func (s *sleeper) close() {
	if s.timer != nil {
		_ = s.timer.Close()
	}
}
