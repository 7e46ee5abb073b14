package attack

import (
	"slices"
	"sync"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
)

// outcome is what became of a hit.
type outcome uint8

const (
	accepted outcome = iota
	refused
	unavailable
	other
	failed
	outcomes // how many there are
)

var outcomeNames = [outcomes]string{"accepted", "refused", "unavailable", "other", "error"}

// kind is an error's: an index into reports.ErrorKinds.
type kind uint8

const (
	kindRefused kind = iota
	kindReset
	kindTimeout
	kindTLS
	kindShort
	kindBad
	kindUnsent
	kindHarness
	kinds
)

func (k kind) String() string { return reports.ErrorKinds[k] }

// record is what is known of a hit when it is over.
type record struct {
	n               uint64
	due, begun, end time.Duration // since the run began
	sent, received  int64         // bytes
	status          uint16
	stage           uint8
	class           uint8
	outcome         outcome
	kind            kind
	written, waited bool
}

// worker sends hits one at a time, over a connection of its own.
type worker struct {
	*run
	maker  *maker
	client client
	wake   chan hit
	ended  time.Duration // the hit before, since the run began

	mu    sync.Mutex
	batch []record // not yet swept
	spare []record
}

// maxBatch is how many records a worker holds before it has them swept itself.
const maxBatch = 16 << 10

// momentary is the time within which a hit follows another at once.
const momentary = 20 * time.Microsecond

// open serves an open plan, beginning with a hit.
func (w *worker) open(h hit) {
	defer w.done()
	for ok := true; ok; h, ok = w.take(w) {
		w.send(h, time.Now())
	}
}

// shut serves a closed plan.
func (w *worker) shut() {
	defer w.done()
	for {
		at := time.Now()
		now := at.Sub(w.start)
		stage, on := w.stageAt(now)
		if !on || w.stopped.Load() {
			return
		}
		n := w.counter.Add(1) - 1
		if n >= MaxHits {
			return
		}
		if !w.send(hit{n: n, stage: stage, due: now}, at) {
			// Nothing listens, or we have run out of something: to try again at once is of
			// use to nobody.
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func (w *worker) done() {
	w.client.close()
	w.working.Done()
}

// send sends a hit at a time, which is now, and records what became of it. It tells
// whether anything was written.
func (w *worker) send(h hit, at time.Time) bool {
	r := record{n: h.n, stage: uint8(h.stage), due: h.due, waited: h.waited, begun: at.Sub(w.start)}
	if h.waited && r.begun-h.due > w.plan.Timeout {
		r.class = uint8(pick(w.order.classes[h.stage], lot(w.plan.Seed, h.n, lotClass)))
		r.outcome, r.kind, r.end = failed, kindUnsent, r.begun
		w.add(r)
		return true
	}
	r.class = uint8(w.maker.make(h, at))
	soon := r.begun-w.ended < momentary
	a, written, err := w.client.do(w.maker.request, len(w.maker.body), soon, at.Add(w.plan.Timeout))
	r.end = time.Since(w.start)
	w.ended = r.end
	if err != nil && (w.stopped.Load() || w.ctx.Err() != nil) {
		return written // neither the target nor we have had the time
	}
	r.written, r.received = written, a.received
	if written {
		r.sent = int64(len(w.maker.request))
	}
	if err != nil {
		r.outcome, r.kind = failed, kindOf(err)
		w.firstError(r.kind, err)
	} else {
		r.status, r.outcome = uint16(a.status), w.judged.outcome(a)
	}
	if w.order.ring != nil {
		w.order.ring.end(w.maker.slot, r.outcome == accepted)
	}
	if w.sample != nil {
		w.sample.offer(int(r.class), w.maker.id, r.outcome, h.n)
	}
	w.add(r)
	return written
}

func (w *worker) add(r record) {
	w.mu.Lock()
	w.batch = append(w.batch, r)
	full := len(w.batch) >= maxBatch
	w.mu.Unlock()
	if full {
		w.collector.sweep()
	}
}

// swap takes the records away.
func (w *worker) swap() []record {
	w.mu.Lock()
	defer w.mu.Unlock()
	full := w.batch
	w.batch, w.spare = w.spare[:0], full
	return full
}

// judging says what an answer amounts to.
type judging struct {
	byStatus       [600]outcome
	accept, reject []wire.Predicate
	bodies         bool // matter
}

// onPurpose are the statuses by which a receiver refuses a delivery on purpose.
var onPurpose = []int{400, 401, 403, 422}

func newJudging(t Target) *judging {
	j := &judging{accept: t.Accept, reject: t.Reject}
	hasBody := func(p wire.Predicate) bool { return p.Body != "" }
	j.bodies = slices.ContainsFunc(t.Accept, hasBody) || slices.ContainsFunc(t.Reject, hasBody)
	for status := range j.byStatus {
		matches := func(p wire.Predicate) bool { return p.Matches(status, nil) }
		switch {
		case slices.ContainsFunc(t.Reject, matches):
			j.byStatus[status] = refused
		case slices.ContainsFunc(t.Accept, matches), len(t.Accept) == 0 && t.Profile.Succeeds(status):
			j.byStatus[status] = accepted
		case len(t.Reject) == 0 && slices.Contains(onPurpose, status):
			j.byStatus[status] = refused
		case status == 429 || status == 503:
			j.byStatus[status] = unavailable
		default:
			j.byStatus[status] = other
		}
	}
	return j
}

func (j *judging) outcome(a answer) outcome {
	if j.bodies {
		for _, p := range j.reject {
			if p.Matches(a.status, a.body) {
				return refused
			}
		}
		for _, p := range j.accept {
			if p.Matches(a.status, a.body) {
				return accepted
			}
		}
	}
	return j.byStatus[a.status]
}
