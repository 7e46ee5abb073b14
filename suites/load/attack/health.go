package attack

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hookanvil/hookanvil/reports"
)

// health is how this process itself fared during a run.
type health struct {
	*run
	clock     func() time.Time // that deliveries are stamped by
	preflight []string
	ports     int // local ports for connections to one address; 0 where it is not known

	mu          sync.Mutex
	first, last usage
	gcs         debug.GCStats
	gcBefore    int64
	pauseMax    time.Duration
	stallMax    time.Duration
	stalls      time.Duration // in all
	jump        time.Duration
	rss         int64
	goroutines  int
	files       int
	sampled     time.Duration
}

// usage is what the process has used so far.
type usage struct {
	at  time.Duration // since the run began
	cpu time.Duration
	// delay is how long its threads were ready to run and had no processor; 0 where the
	// system does not say.
	delay time.Duration
}

// The bounds beyond which a run tells of the generator: hazard P2.
const (
	maxLag     = time.Millisecond
	maxLagPart = 0.1 // of the 99th percentile of latency
	minReached = 0.99
	maxCPU     = 0.8
	maxDropped = 0.001
	maxDelay   = 0.25 // of the time in which it wanted to run, without a processor
	minWanted  = 0.5  // of its processors, before a lack of them matters
	stallFrom  = 20 * time.Millisecond
	maxStall   = 250 * time.Millisecond
	maxStalls  = 0.005 // of the run
	maxJump    = 100 * time.Millisecond
	beatEvery  = 5 * time.Millisecond
)

func newHealth(r *run) *health {
	h := &health{run: r, clock: r.options.Now, ports: localPorts()}
	if h.clock == nil {
		h.clock = time.Now
	}
	if limit, need := fileLimit(), r.plan.Connections+64; limit > 0 && limit < need {
		h.preflight = append(h.preflight, fmt.Sprintf("this process may open %d files, and the plan may need %d: raise the limit (ulimit -n %d) or use fewer connections",
			limit, need, need))
	}
	return h
}

func (h *health) begin() {
	debug.ReadGCStats(&h.gcs)
	h.gcBefore = h.gcs.NumGC
	h.first = usageNow(0)
	h.last = h.first
}

// beat measures, by a beat that should be even, for how long this process did not run,
// and whether the wall clock went as the monotonic one did.
func (h *health) beat(over <-chan struct{}) {
	tick := time.NewTimer(beatEvery)
	defer tick.Stop()
	last := time.Now()
	offset := last.Round(0).Sub(h.start.Round(0)) - last.Sub(h.start)
	wall := h.clock().Round(0).Sub(last.Round(0))
	for {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		now := time.Now()
		stall := now.Sub(last) - beatEvery
		jump := now.Round(0).Sub(h.start.Round(0)) - now.Sub(h.start) - offset
		own := h.clock().Round(0).Sub(now.Round(0)) - wall
		h.mu.Lock()
		if stall > stallFrom {
			h.stalls += stall
			h.stallMax = max(h.stallMax, stall)
		}
		// Between the two readings of an own clock this process may have been stopped.
		h.jump = max(h.jump, jump.Abs(), own.Abs()-time.Since(now))
		h.mu.Unlock()
		last = now
		tick.Reset(beatEvery)
	}
}

// sample looks once a second at what the process holds.
func (h *health) sample() {
	now := time.Since(h.start)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sampled > 0 && now-h.sampled < time.Second {
		return
	}
	h.sampled = now
	h.look(now)
}

func (h *health) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.look(time.Since(h.start))
}

func (h *health) look(now time.Duration) {
	h.last = usageNow(now)
	debug.ReadGCStats(&h.gcs)
	for i := range min(int(h.gcs.NumGC-h.gcBefore), len(h.gcs.Pause)) {
		h.pauseMax = max(h.pauseMax, h.gcs.Pause[i])
	}
	h.rss = max(h.rss, residentBytes())
	h.goroutines = max(h.goroutines, runtime.NumGoroutine())
	h.files = max(h.files, openFiles())
}

// generator is what the load cost, and how well time was kept. The collector is
// locked.
func (h *health) generator(m *reports.Measurement, over time.Duration) reports.Generator {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.collector
	cpu, ran := h.last.cpu-h.first.cpu, h.last.at-h.first.at
	g := reports.Generator{
		Target: float64(m.Total.Planned) / over.Seconds(), Achieved: float64(c.begun) / over.Seconds(),
		Lag: c.lag.distribution(true), Waited: c.waited, Dropped: m.Total.Errors[kindUnsent.String()],
		Connections: int(h.opened()), Dials: h.dials.Load(),
		GCPauseMax: millis(h.pauseMax), GCs: uint32(h.gcs.NumGC - h.gcBefore),
		StallMax: millis(h.stallMax), StallShare: float64(h.stalls) / float64(max(ran, time.Millisecond)),
		RSSMax: h.rss, Goroutines: h.goroutines, Files: h.files, Clock: millis(h.jump),
	}
	if ran > 0 {
		g.CPU = float64(cpu) / float64(ran) / float64(runtime.GOMAXPROCS(0))
	}
	if c.begun > 0 {
		g.CPUPerHit = float64(cpu.Microseconds()) / float64(c.begun)
	}
	return g
}

// opened is how many connections were used.
func (h *health) opened() int64 {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	return int64(len(h.workers))
}

// starved is the share of the time in which this process wanted to run and had no
// processor. A process that hardly wanted to run was not kept from anything.
func (h *health) starved() float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	wanted := h.last.cpu - h.first.cpu + h.last.delay - h.first.delay
	if have := (h.last.at - h.first.at) * time.Duration(runtime.GOMAXPROCS(0)); wanted <= 0 || float64(wanted) < minWanted*float64(have) {
		return 0
	}
	return float64(h.last.delay-h.first.delay) / float64(wanted)
}

// invalid says why the figures tell of the generator. A target that keeps every
// connection waiting, while we have processors to spare, is no reason: it is slow.
// The collector is locked.
func (h *health) invalid(m *reports.Measurement) []string {
	g, c := m.Generator, h.collector
	var why []string
	say := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	if g.CPU > maxCPU {
		say("the generator used %.0f %% of its processors, more than %.0f %%: lower the rate, or give it more processors (GOMAXPROCS is %d)",
			100*g.CPU, 100*maxCPU, runtime.GOMAXPROCS(0))
	}
	if g.StallMax > millis(max(maxStall, h.plan.MaxLag)) || g.StallShare > maxStalls && h.plan.MaxLag == 0 {
		say("the generator did not run for %.0f ms at once, and for %.1f %% of the time in all, more than %.0f ms or %.1f %%: it was stopped, or the machine is busy; "+
			"run it where nothing else runs", g.StallMax, 100*g.StallShare, millis(maxStall), 100*maxStalls)
	}
	if g.Clock > millis(maxJump) {
		say("the wall clock jumped by %.0f ms, more than %.0f ms: timestamps were wrong meanwhile; run it again when the clock is steady", g.Clock, millis(maxJump))
	}
	if n := m.Total.Errors[kindHarness.String()]; n > 0 {
		say("%s failed because this machine ran out of file descriptors, ports or memory: raise the limit (ulimit -n), or use fewer connections", plural(n, "hit"))
	}
	if h.plan.Closed {
		return why
	}
	p99 := m.Total.Latency[outcomeNames[accepted]].P99
	bound := max(millis(maxLag), maxLagPart*p99, millis(h.plan.MaxLag))
	if late := c.lag.exceeding(); late > bound {
		say("one hit in a hundred was begun more than %.2f ms after it was due, and a connection was free; more than %.2f ms is too late for a p99 of %.2f ms: "+
			"the machine is busy; lower the rate, run it where nothing else runs, or allow for more (--max-lag)", late, bound, p99)
	}
	planned := float64(max(m.Total.Planned, 1))
	reached, dropped, waited := float64(c.begun)/planned, float64(g.Dropped)/planned, float64(g.Waited)/planned
	if starved := h.starved(); starved > maxDelay && (reached < minReached || dropped > maxDropped || waited > 1-minReached) {
		say("%.1f %% of the hits that were due were begun, %.1f %% waited for a connection, and this process had no processor in %.0f %% of the time in which it wanted to run, "+
			"more than %.0f %%: run it apart from the target, or lower the rate", 100*reached, 100*waited, 100*starved, 100*maxDelay)
	}
	return why
}

// exceeding is what one value in a hundred exceeds, or of few values the fifth from
// above: a single late hit of a short run says nothing.
func (s *spread) exceeding() float64 {
	const few = 5
	if s.count <= few {
		return 0
	}
	return s.quantile(min(99, 100*float64(s.count-few)/float64(s.count)))
}
