package sink

import (
	"strings"
	"sync"
	"time"

	"github.com/hookanvil/hookanvil/reports"
)

// samples are some of what was wrong, to look at: the first of each kind.
type samples struct {
	mu    sync.Mutex
	taken map[string]int // by label
	list  []reports.Exchange
}

// Bounds of samples.
const (
	mostSamples = 12 // in all
	mostAlike   = 3  // of what is wrong in the same way
	shownBytes  = 4 << 10
)

// take takes a sample, unless there are enough of its kind. Parts are what was received.
func (s *samples) take(c *conn, label, detail string, status int, parts [2][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[label] >= mostAlike || len(s.list) >= mostSamples {
		return
	}
	if s.taken == nil {
		s.taken = map[string]int{}
	}
	s.taken[label]++
	outcome, _, _ := strings.Cut(label, ":")
	received := append(append([]byte{}, head(parts[0])...), head(parts[1])...)
	s.list = append(s.list, reports.Exchange{
		Label: label, Outcome: outcome, Detail: detail, Status: status,
		Received: reports.Printable(received, shownBytes), ReceivedBytes: int64(len(parts[0]) + len(parts[1])),
		Remote: c.socket.RemoteAddr().String(), StartedMS: float64(time.Since(c.s.began).Microseconds()) / 1000,
	})
}

func head(b []byte) []byte { return b[:min(len(b), shownBytes)] }

// requested are the head and the body of the request under way.
func (c *conn) requested() [2][]byte { return [2][]byte{c.buf[c.r : c.r+c.req.head], c.raw.Body} }

// Samples are the first attempts that were refused, repeated or unusable, three of a kind,
// as evidence.
func (s *Sink) Samples() []reports.Exchange {
	s.samples.mu.Lock()
	defer s.samples.mu.Unlock()
	return append([]reports.Exchange{}, s.samples.list...)
}
