//go:build !linux

package attack

import (
	"runtime"
	"time"
)

func runDelay() time.Duration { return 0 }

// residentBytes is what the runtime has of the system, for want of a better figure.
func residentBytes() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys)
}

func openFiles() int  { return 0 }
func localPorts() int { return 0 }
