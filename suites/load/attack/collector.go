package attack

import (
	"cmp"
	"math"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/hookanvil/hookanvil/reports"
)

// collector gathers the records of all workers. Its memory does not grow with the
// number of hits: by a second's counts for every second, and by a histogram where a
// class meets an outcome for the first time.
type collector struct {
	*run
	total   time.Duration // of the plan
	mu      sync.Mutex
	cells   [][]cell // by stage and class
	lag     spread
	waited  int64
	begun   int64
	seconds []second
	open    map[int]*gathering // that answers may still come for
	free    []*gathering
	result  vegeta.Result
	aborted string
}

// cell is one class in one stage.
type cell struct {
	planned, sent int64
	outcomes      [outcomes]int64
	kinds         [kinds]int64
	statuses      [600]int64
	out, in       int64
	latency       [outcomes]spread
	service       [outcomes]spread
}

// second is one second of the run.
type second struct {
	reports.Second
	classes [classCount]reports.Instant
}

// gathering is the latency of accepted hits of a second, while they come.
type gathering struct {
	classes [classCount]spread
	mixed   spread // of several classes
}

const (
	sweepEvery = 50 * time.Millisecond
	watchEvery = 100 * time.Millisecond
	// lateness is how long after its end a second's answers are waited for. What comes
	// later is counted, but its latency is not in that second's percentiles.
	lateness = 2
)

func newCollector(r *run) *collector {
	c := &collector{run: r, total: r.plan.duration(), open: map[int]*gathering{}}
	for range r.plan.Stages {
		c.cells = append(c.cells, make([]cell, len(Classes)))
	}
	return c
}

// watch sweeps, and shows the run to those who watch it, until it is over.
func (c *collector) watch(over <-chan struct{}) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	last := time.Duration(0)
	for {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		c.sweep()
		c.health.sample()
		if now := time.Since(c.start); now-last >= watchEvery {
			last = now
			c.show(now)
		}
	}
}

func (c *collector) show(now time.Duration) {
	if c.options.Watch == nil && c.options.Abort == nil {
		return
	}
	s := c.snapshot(now)
	if c.options.Watch != nil {
		c.options.Watch(s)
	}
	if c.options.Abort == nil || c.aborted != "" || c.stopped.Load() {
		return
	}
	if reason := c.options.Abort(s); reason != "" {
		c.mu.Lock()
		c.aborted = reason
		c.mu.Unlock()
		c.cancel()
	}
}

// sweep takes in what the workers have recorded.
func (c *collector) sweep() {
	c.run.mu.Lock()
	workers := c.workers
	c.run.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range workers {
		batch := w.swap()
		for i := range batch {
			c.take(&batch[i])
		}
	}
	c.settle(int(time.Since(c.start)/time.Second) - lateness)
}

// take takes in one record.
func (c *collector) take(r *record) {
	l := &c.cells[r.stage][r.class]
	l.planned++
	if r.written {
		l.sent++
	}
	l.outcomes[r.outcome]++
	l.out += r.sent
	l.in += r.received
	if r.outcome == failed {
		l.kinds[r.kind]++
	} else {
		l.statuses[r.status]++
	}
	l.latency[r.outcome].add(r.end - r.due)
	if unsent := r.outcome == failed && r.kind == kindUnsent; !unsent {
		c.begun++
		if !c.plan.Closed { // where a hit is begun when it is due: see sum
			l.service[r.outcome].add(r.end - r.begun)
		}
	}
	if r.waited {
		c.waited++
	} else if !c.plan.Closed {
		c.lag.add(r.begun - r.due)
	}
	c.takeSeries(r)
	if c.options.Results != nil {
		c.tell(r)
	}
}

// takeSeries counts a record in the seconds in which it was due, begun and answered.
func (c *collector) takeSeries(r *record) {
	// The last hit of all is due as the last second ends.
	c.at(min(r.due, c.total-1)).Planned++
	if r.written {
		s := c.at(r.begun)
		s.Sent++
		s.classes[r.class].Sent++
	}
	s := c.at(r.end)
	switch r.outcome {
	case accepted:
		s.Accepted++
		s.classes[r.class].Accepted++
		if g := c.gathering(int(r.end / time.Second)); g != nil {
			g.classes[r.class].add(r.end - r.due)
		}
	case refused:
		s.Refused++
		s.classes[r.class].Refused++
	case failed:
		s.Errors++
	default:
		s.Other++
	}
}

// at is the second of a time.
func (c *collector) at(t time.Duration) *second {
	n := int(max(t, 0) / time.Second)
	for len(c.seconds) <= n {
		c.seconds = append(c.seconds, second{Second: reports.Second{At: float64(len(c.seconds))}})
	}
	return &c.seconds[n]
}

// gathering are the histograms of a second, nil where it is settled.
func (c *collector) gathering(n int) *gathering {
	if g := c.open[n]; g != nil {
		return g
	}
	if n <= int(time.Since(c.start)/time.Second)-lateness-1 {
		return nil
	}
	g := &gathering{}
	if last := len(c.free) - 1; last >= 0 {
		g, c.free = c.free[last], c.free[:last]
	}
	c.open[n] = g
	return g
}

// settle writes down the percentiles of the seconds up to n.
func (c *collector) settle(n int) {
	for at, g := range c.open {
		if at > n {
			continue
		}
		g.write(&c.seconds[at])
		for class := range g.classes {
			g.classes[class].reset()
		}
		delete(c.open, at)
		c.free = append(c.free, g)
	}
}

func (g *gathering) write(s *second) {
	all := g.all()
	s.P50, s.P99, s.Max = all.quantile(50), all.quantile(99), millis(all.max)
	for class := range g.classes {
		s.classes[class].P99 = g.classes[class].quantile(99)
	}
}

// all is the latency whatever the class: that of the only class, or of all of them together.
func (g *gathering) all() *spread {
	g.mixed.reset()
	last, met := &g.mixed, 0
	for class := range g.classes {
		if one := &g.classes[class]; one.count > 0 {
			last = one
			met++
		}
	}
	if met < 2 {
		return last
	}
	for class := range g.classes {
		g.mixed.merge(&g.classes[class])
	}
	return &g.mixed
}

// reported is a second as it is reported.
func (s second) reported() reports.Second {
	for class, i := range s.classes {
		if i == (reports.Instant{}) {
			continue
		}
		if s.Classes == nil {
			s.Classes = map[string]reports.Instant{}
		}
		s.Classes[string(Classes[class])] = i
	}
	return s.Second
}

// finish settles every second.
func (c *collector) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle(math.MaxInt)
}

// tell gives a hit to who asked for every one of them.
func (c *collector) tell(r *record) {
	c.result = vegeta.Result{
		Attack: string(Classes[r.class]), Seq: r.n, Code: r.status, Timestamp: c.start.Add(r.due), Latency: r.end - r.due,
		BytesOut: uint64(r.sent), BytesIn: uint64(r.received), Method: "POST", URL: c.url,
	}
	if r.outcome == failed {
		c.result.Error = r.kind.String()
	}
	c.options.Results(&c.result)
}

// snapshot is the run as it is now.
func (c *collector) snapshot(now time.Duration) Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Snapshot{At: now, Left: max(0, c.plan.duration()-now), Open: int(c.connected.Load())}
	if stage, on := c.stageAt(now); on {
		s.Stage = cmp.Or(c.plan.Stages[stage].Name, c.plan.Stages[stage].Words)
	}
	c.run.mu.Lock()
	s.Waiting = int64(c.waiting)
	c.run.mu.Unlock()
	sum := c.sum(func(int, int) bool { return true }, false)
	s.Total = sum.traffic("", c.elapsed(now), false)
	if last := int(now/time.Second) - 1; last >= 0 && last < len(c.seconds) {
		if g := c.open[last]; g != nil {
			g.write(&c.seconds[last])
		}
		s.Last = c.seconds[last].reported()
	}
	s.measure = func() reports.Measurement { return c.measurement(c.ctx) }
	return s
}

// spread is a distribution of times: a histogram of microseconds, made when it is
// needed, and what a histogram rounds.
type spread struct {
	h        *hdrhistogram.Histogram
	count    int64
	sum      time.Duration
	min, max time.Duration
}

// longest is the longest time that a histogram tells from longer ones.
const longest = 2 * maxTimeout

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, longest.Microseconds(), 3)
}

func (s *spread) add(d time.Duration) {
	d = max(d, 0)
	if s.h == nil {
		s.h = newHistogram()
	}
	if s.count == 0 || d < s.min {
		s.min = d
	}
	s.max = max(s.max, d)
	s.count++
	s.sum += d
	// It cannot fail: the value is within the bounds.
	_ = s.h.RecordValue(min(int64(d+500)/1000, longest.Microseconds()))
}

func (s *spread) merge(from *spread) {
	if from.count == 0 {
		return
	}
	if s.h == nil {
		s.h = newHistogram()
	}
	if s.count == 0 || from.min < s.min {
		s.min = from.min
	}
	s.max = max(s.max, from.max)
	s.count += from.count
	s.sum += from.sum
	s.h.Merge(from.h)
}

func (s *spread) reset() {
	if s.count > 0 {
		s.h.Reset()
		*s = spread{h: s.h}
	}
}

// quantile is a percentile in milliseconds. A histogram's own may lie a little above
// the greatest value.
func (s *spread) quantile(percent float64) float64 {
	if s.count == 0 {
		return 0
	}
	return min(float64(s.h.ValueAtPercentile(percent))/1000, millis(s.max))
}

func (s *spread) distribution(withHDR bool) reports.Distribution {
	if s.count == 0 {
		return reports.Distribution{}
	}
	d := reports.Distribution{
		Count: s.count, Min: millis(s.min), Mean: millis(s.sum) / float64(s.count), Max: millis(s.max),
		P50: s.quantile(50), P90: s.quantile(90), P95: s.quantile(95), P99: s.quantile(99), P999: s.quantile(99.9),
	}
	if withHDR {
		if text, err := s.h.Encode(hdrhistogram.V2CompressedEncodingCookieBase); err == nil {
			d.HDR = string(text)
		}
	}
	return d
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
