package attack

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookanvil/hookanvil/reports"
)

// run is one load run.
type run struct {
	target  Target
	plan    Plan // with its defaults
	options Options
	order   *order
	judged  *judging
	sample  *sample

	url       string
	ctx       context.Context
	cancel    context.CancelFunc
	start     time.Time
	stopped   atomic.Bool // nothing more is sent
	counter   atomic.Uint64
	working   sync.WaitGroup
	collector *collector
	health    *health
	transport *http.Transport // nil where our own client sends

	dials, connected atomic.Int64
	wary             atomic.Bool // see lean

	mu      sync.Mutex
	workers []*worker
	idle    []*worker // the one that was busy last comes last, and is taken first
	waiting int       // hits that are due and that no worker has taken
	behind  cursor    // where the first of them is
	closing bool      // no more hits will be due

	errors [kinds]atomic.Pointer[string] // the first of each kind
}

func newRun(t Target, p Plan, o Options) (*run, error) {
	p = p.filled(t)
	order, err := newOrder(t, p)
	if err != nil {
		return nil, err
	}
	r := &run{target: t, plan: p, options: o, order: order, judged: newJudging(t), url: t.URL.String()}
	if _, err := order.maker(o.Now); err != nil {
		return nil, err
	}
	if o.Sample > 0 && o.Sampled != nil {
		r.sample = newSample(o.Sample, p.Seed)
	}
	if t.HTTP2 || t.Proxy != nil {
		r.transport = newTransport(t, p, &r.dials, &r.connected)
	}
	r.collector = newCollector(r)
	r.health = newHealth(r)
	return r, nil
}

func (r *run) run(ctx context.Context) (reports.Measurement, error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	r.ctx, r.cancel, r.start = inner, cancel, time.Now()
	r.health.begin()
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { r.health.beat(over) })
	watching.Go(func() { r.collector.watch(over) })
	halted := context.AfterFunc(inner, r.halt)
	if r.plan.Closed {
		r.shut()
	} else {
		r.dispatch()
	}
	r.working.Wait()
	halted()
	close(over)
	watching.Wait()
	r.health.end()
	r.collector.sweep()
	r.collector.finish()
	if r.transport != nil {
		r.transport.CloseIdleConnections()
	}
	if r.sample != nil {
		r.options.Sampled(r.sample.deliveries())
	}
	return r.measurement(ctx), nil
}

// halt stops everything that is under way.
func (r *run) halt() {
	r.stopped.Store(true)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.workers {
		w.client.stop()
	}
	r.dismiss()
}

// dismiss lets those workers go that wait for a hit. The lock is held.
func (r *run) dismiss() {
	r.closing = true
	for _, w := range r.idle {
		close(w.wake)
	}
	r.idle = nil
}

// shut has every connection send as fast as it is answered.
func (r *run) shut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range r.plan.Connections {
		if w := r.hire(); w != nil {
			go w.shut()
		}
	}
}

// stageAt is the stage at a time; it is false behind the last.
func (r *run) stageAt(at time.Duration) (int, bool) {
	for i, s := range r.plan.Stages {
		if at -= s.For; at < 0 {
			return i, true
		}
	}
	return 0, false
}

// hire makes a worker. The lock is held.
func (r *run) hire() *worker {
	m, err := r.order.maker(r.options.Now)
	if err != nil || r.stopped.Load() {
		return nil // newRun has made one like it
	}
	w := &worker{run: r, maker: m, wake: make(chan hit, 1), batch: make([]record, 0, 64), spare: make([]record, 0, 64)}
	w.client = r.newClient()
	r.workers = append(r.workers, w)
	r.working.Add(1)
	return w
}

func (r *run) newClient() client {
	if r.transport != nil {
		ctx, cancel := context.WithCancel(r.ctx)
		return &nethttp{ctx: ctx, cancel: cancel, transport: r.transport, url: r.target.URL, keep: r.judged.bodies}
	}
	return &lean{ctx: r.ctx, endpoint: r.target.Endpoint, dials: &r.dials, open: &r.connected, wary: &r.wary, in: reader{keep: r.judged.bodies}}
}

// dispatch releases every hit when it is due.
func (r *run) dispatch() {
	s := newSleeper()
	defer s.close()
	for c := newCursor(r.plan.Stages); ; {
		before := c
		h, ok := c.next()
		if !ok {
			break
		}
		for {
			left := h.due - time.Since(r.start)
			if left <= 0 || r.stopped.Load() {
				break
			}
			s.sleep(min(left, 50*time.Millisecond))
		}
		if r.stopped.Load() {
			break
		}
		r.release(h, before)
	}
	// The stages last as long as they were said to, also behind their last hit.
	for total := r.plan.duration(); !r.stopped.Load(); {
		left := total - time.Since(r.start)
		if left <= 0 {
			break
		}
		s.sleep(min(left, 50*time.Millisecond))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dismiss()
}

// release gives a hit that is due to a worker that is free, to a new one, or lets it
// wait for the first that will be free.
func (r *run) release(h hit, before cursor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.idle); n > 0 {
		w := r.idle[n-1]
		r.idle = r.idle[:n-1]
		w.wake <- h // has room for one
		return
	}
	if len(r.workers) < r.plan.Connections {
		if w := r.hire(); w != nil {
			go w.open(h)
		}
		return
	}
	if r.waiting == 0 {
		r.behind = before
	}
	r.waiting++
}

// take is the next hit for a worker. It is false where there will be none.
func (r *run) take(w *worker) (hit, bool) {
	r.mu.Lock()
	if r.stopped.Load() {
		r.mu.Unlock()
		return hit{}, false
	}
	if r.waiting > 0 {
		r.waiting--
		h, ok := r.behind.next()
		h.waited = true
		r.mu.Unlock()
		return h, ok
	}
	if r.closing {
		r.mu.Unlock()
		return hit{}, false
	}
	r.idle = append(r.idle, w)
	r.mu.Unlock()
	h, ok := <-w.wake
	return h, ok
}

// firstError keeps the first error of each kind, to be told.
func (r *run) firstError(k kind, err error) {
	if r.errors[k].Load() == nil {
		text := err.Error()
		r.errors[k].CompareAndSwap(nil, &text)
	}
}

func (p Plan) duration() (total time.Duration) {
	for _, s := range p.Stages {
		total += s.For
	}
	return total
}

// plural writes a number of things.
func plural(n int64, thing string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", thing)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
