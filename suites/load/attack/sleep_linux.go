package attack

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// sleeper waits to the tenth of a millisecond: the runtime's own timers are a
// millisecond late when everything else is idle.
type sleeper struct {
	timer *os.File
	fd    int
	b     [8]byte
}

func newSleeper() *sleeper {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return &sleeper{}
	}
	return &sleeper{timer: os.NewFile(uintptr(fd), "timer"), fd: fd}
}

func (s *sleeper) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	if s.timer != nil {
		at := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}
		if unix.TimerfdSettime(s.fd, 0, &at, nil) == nil {
			if _, err := s.timer.Read(s.b[:]); err == nil {
				return
			}
		}
	}
	time.Sleep(d)
}

func (s *sleeper) close() {
	if s.timer != nil {
		_ = s.timer.Close()
	}
}
