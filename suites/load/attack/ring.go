package attack

import (
	"math"
	"sync"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
)

// ring keeps the latest honest deliveries, so that they can be sent again. What it
// holds is bounded.
type ring struct {
	mu    sync.Mutex
	slots []slot
	next  uint64
	limit time.Duration // a delivery that is older would be stale
}

type slot struct {
	turn              uint64 // how often the slot was used
	state             slotState
	at                time.Time
	id, body, request []byte
}

type slotState int

const (
	slotEmpty    slotState = iota
	slotRunning            // was sent, and not yet answered
	slotAccepted           // was accepted
)

// slotRef is a delivery in a ring. The zero value is none.
type slotRef struct {
	slot int
	turn uint64
}

const (
	ringBytes = 16 << 20
	ringSlots = 1024
)

func newRing(p *profile.Profile, body, connections int) *ring {
	n := min(ringSlots, max(4*connections, 64), ringBytes/(2*body+4096))
	limit := time.Minute
	if p.Ages() {
		limit = min(limit, p.Timestamp.Tolerance/2)
	}
	return &ring{slots: make([]slot, max(n, 2)), limit: limit}
}

// begin keeps a delivery that is about to be sent.
func (r *ring) begin(m *maker) slotRef {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := int(r.next % uint64(len(r.slots)))
	r.next++
	s := &r.slots[i]
	s.turn++
	s.state, s.at = slotRunning, time.Now()
	s.id = append(s.id[:0], m.id...)
	s.body = append(s.body[:0], m.body...)
	s.request = append(s.request[:0], m.request...)
	return slotRef{i, s.turn}
}

// end says what became of a delivery.
func (r *ring) end(ref slotRef, accepted bool) {
	if ref.turn == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.slots[ref.slot]
	if s.turn != ref.turn {
		return // another has taken its place
	}
	s.state = slotEmpty
	if accepted {
		s.state = slotAccepted
	}
}

// replay makes the request that of a delivery that was accepted. It is false where
// there is none.
func (r *ring) replay(m *maker, lot float64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.accepted(lot)
	if s == nil {
		return false
	}
	m.id = append(m.id[:0], s.id...)
	m.body = append(m.body[:0], s.body...)
	m.request = append(m.request[:0], s.request...)
	return true
}

// repeat takes id and body of another delivery: every second time of the latest, which
// is probably under way, and else of one that was accepted.
func (r *ring) repeat(m *maker, lot float64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	var s *slot
	if lot < 0.5 {
		if latest := &r.slots[(r.next+uint64(len(r.slots))-1)%uint64(len(r.slots))]; r.usable(latest, slotRunning) {
			s = latest
		}
	}
	if s == nil {
		s = r.accepted(2*lot - math.Floor(2*lot)) // which is as even as the lot, whatever its half
	}
	if s == nil {
		return false
	}
	m.id = append(m.id[:0], s.id...)
	m.body = append(m.body[:0], s.body...)
	return true
}

// accepted is one of the deliveries that were accepted, the first from the place that
// the lot points at.
func (r *ring) accepted(lot float64) *slot {
	// The slots that were never used would make the first one the answer to most lots.
	from := int(lot * float64(min(r.next, uint64(len(r.slots)))))
	for i := range r.slots {
		if s := &r.slots[(from+i)%len(r.slots)]; r.usable(s, slotAccepted) {
			return s
		}
	}
	return nil
}

// usable tells of deliveries that have got so far, and are not too old.
func (r *ring) usable(s *slot, least slotState) bool {
	return s.state >= least && time.Since(s.at) < r.limit
}
