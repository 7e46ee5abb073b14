//go:build unix

package attack

import (
	"syscall"
	"time"
)

func usageNow(at time.Duration) usage {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return usage{at: at}
	}
	return usage{at: at, cpu: time.Duration(r.Utime.Nano() + r.Stime.Nano()), delay: runDelay()}
}

// fileLimit is how many files this process may open.
func fileLimit() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return int(min(limit.Cur, 1<<30))
}
