package attack

import (
	"bytes"
	"fmt"
	"os"
	"time"
)

// runDelay is how long the threads of this process were ready and had no processor.
func runDelay() time.Duration {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0
	}
	var total time.Duration
	for _, task := range tasks {
		var ran, waited int64
		b, err := os.ReadFile("/proc/self/task/" + task.Name() + "/schedstat")
		if err != nil {
			continue // it has ended
		}
		if _, err := fmt.Fscan(bytes.NewReader(b), &ran, &waited); err == nil {
			total += time.Duration(waited)
		}
	}
	return total
}

func residentBytes() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Fscan(bytes.NewReader(b), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}

func openFiles() int {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(files)
}

// localPorts is how many connections can be made to one address.
func localPorts() int {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0
	}
	var from, to int
	if _, err := fmt.Fscan(bytes.NewReader(b), &from, &to); err != nil {
		return 0
	}
	return max(0, to-from+1)
}
