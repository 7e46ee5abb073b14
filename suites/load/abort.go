package load

import (
	"fmt"
	"time"

	"github.com/hookanvil/hookanvil/scenarios/threshold"
	"github.com/hookanvil/hookanvil/suites/load/attack"
)

// AbortOn ends a load, as attack.Options.Abort, once one of the conditions has come true;
// nil where there is none.
func AbortOn(conditions []*threshold.Threshold) func(attack.Snapshot) string {
	if len(conditions) == 0 {
		return nil
	}
	return TwiceASecond(func(s attack.Snapshot) string {
		m := s.Measurement()
		for _, c := range conditions {
			if got := c.Of(&m); got.Holds {
				return fmt.Sprintf("%s (%s)", got.Text, got.Got)
			}
		}
		return ""
	})
}

// TwiceASecond looks at some of the snapshots only: to measure all of them takes time.
func TwiceASecond(look func(attack.Snapshot) string) func(attack.Snapshot) string {
	next := time.Duration(0)
	return func(s attack.Snapshot) string {
		if s.At < next {
			return ""
		}
		next = s.At + time.Second/2
		return look(s)
	}
}
