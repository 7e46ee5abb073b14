package attack

import (
	"sync"
	"sync/atomic"
)

// sample keeps a random choice of the hits of each class, every one of them with the
// same chance.
type sample struct {
	size    int
	seed    uint64
	classes []sampled
}

type sampled struct {
	seen atomic.Int64
	mu   sync.Mutex
	kept []Delivery
}

func newSample(size int, seed uint64) *sample {
	return &sample{size: size, seed: seed, classes: make([]sampled, len(Classes))}
}

// offer shows a hit to the sample, which may keep it.
func (s *sample) offer(class int, token []byte, o outcome, n uint64) {
	c := &s.classes[class]
	at := c.seen.Add(1) - 1
	place := int64(lot(s.seed, n, lotSample) * float64(at+1))
	if at >= int64(s.size) && place >= int64(s.size) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	d := Delivery{Class: Classes[class], Token: string(token), Outcome: outcomeNames[o]}
	if len(c.kept) < s.size {
		c.kept = append(c.kept, d)
		return
	}
	c.kept[min(place, int64(s.size-1))] = d
}

func (s *sample) deliveries() []Delivery {
	var all []Delivery
	for i := range s.classes {
		all = append(all, s.classes[i].kept...)
	}
	return all
}
