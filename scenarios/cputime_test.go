//go:build unix

package scenarios_test

import (
	"syscall"
	"time"
)

func init() { now = cpuTime }

// cpuTime is what the process has used so far. Unlike a clock it does not see
// what else the machine has to do.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
