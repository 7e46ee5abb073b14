package suites

import (
	"fmt"
	"sync"
	"time"

	"github.com/hookanvil/hookanvil/reports"
)

// pulse remembers when this process did not run, and when the wall clock was set: a
// verdict that rests on time is worth nothing then, whatever it says. An answer that
// waited for us is no late answer, and two attempts that a stop has moved apart need
// not have kept their distance.
type pulse struct {
	mu         sync.Mutex
	mono, wall time.Time // of the last beat, as the one clock and the other measure it
	gaps       []gap
}

// gap is a time that did not pass as it should have.
type gap struct {
	until time.Time
	what  string
}

const (
	pulseEvery = 100 * time.Millisecond
	// maxGap is more than a busy machine makes anyone wait, and less than the limits
	// that are set to subjects.
	maxGap = time.Second
)

// startPulse beats until the returned function is called.
func startPulse() (p *pulse, stop func()) {
	now := time.Now()
	p = &pulse{mono: now, wall: now}
	return p, every(pulseEvery, func() { p.beat(time.Now()) })
}

// every calls do again and again, until the returned function is called.
func every(d time.Duration, do func()) (stop func()) {
	ticker, stopped := time.NewTicker(d), make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-ticker.C:
				do()
			case <-stopped:
				return
			}
		}
	})
	return func() {
		ticker.Stop()
		close(stopped)
		running.Wait()
	}
}

// beat remembers the time since the last beat, if that was too long.
func (p *pulse) beat(now time.Time) { p.read(now, now) }

// read is a beat of which both clocks are known: the monotonic one of mono and the
// wall clock of wall.
func (p *pulse) read(mono, wall time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ran := mono.Sub(p.mono)
	jump := wall.Round(0).Sub(p.wall.Round(0)) - ran
	p.mono, p.wall = mono, wall
	switch {
	case ran > maxGap:
		p.gaps = append(p.gaps, gap{mono, fmt.Sprintf("this process did not run for %s: it was stopped, or found no processor", ran.Round(10*time.Millisecond))})
	case jump.Abs() > maxGap:
		p.gaps = append(p.gaps, gap{mono, fmt.Sprintf("the clock of this machine jumped by %s: it was set, or the machine slept", jump.Round(10*time.Millisecond))})
	}
}

// weigh takes a verdict back whose case was under way when time did not pass as it
// should have.
func (p *pulse) weigh(r *reports.Result, since time.Time) {
	if r.Verdict == reports.Skip || r.Verdict == reports.Inconclusive {
		return
	}
	p.beat(time.Now()) // we may be ahead of the one that is due after a stop
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.gaps {
		if g.until.After(since) {
			r.Verdict, r.Reason = reports.Inconclusive, fmt.Sprintf("%s. That was while the case was under way: run it again", g.what)
			return
		}
	}
}
