//go:build !linux

package attack

import "time"

// sleeper waits as well as the runtime's timers do.
type sleeper struct{}

func newSleeper() *sleeper             { return &sleeper{} }
func (*sleeper) sleep(d time.Duration) { time.Sleep(d) }
func (*sleeper) close()                {}
