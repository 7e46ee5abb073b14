package scenarios_test

import "time"

// raced tells that the race detector is on, with which figures mean nothing.
var raced bool

// now is a clock, of processor time where there is one.
var now = func() time.Duration { return time.Since(start) }

var start = time.Now()
