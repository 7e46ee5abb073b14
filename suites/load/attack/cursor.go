package attack

import "time"

// cursor goes through the hits of an open plan in the order in which they are due.
// It asks the pacers from when the last hit was due, and not from when it was sent:
// the schedule does not depend on how well it is kept. A copy goes on from where it
// was made.
type cursor struct {
	stages []Stage
	limits []uint64 // hits of each stage at most, lest a pacer has no end
	stage  int
	began  time.Duration // the stage
	at     time.Duration // the last hit, since the stage began
	hits   uint64        // of the stage
	n      uint64
}

func newCursor(stages []Stage) cursor {
	c := cursor{stages: stages}
	for _, s := range stages {
		c.limits = append(c.limits, uint64(s.hits()*1.01)+10)
	}
	return c
}

// next is the next hit; it is false behind the last.
func (c *cursor) next() (hit, bool) {
	for c.stage < len(c.stages) {
		s := &c.stages[c.stage]
		wait, stop := s.Pacer.Pace(c.at, c.hits)
		if wait = max(wait, 0); !stop && wait <= s.For-c.at && c.hits < c.limits[c.stage] {
			c.at += wait
			c.hits++
			c.n++
			return hit{n: c.n - 1, stage: c.stage, due: c.began + c.at}, true
		}
		c.began += s.For
		c.stage++
		c.at, c.hits = 0, 0
	}
	return hit{}, false
}
