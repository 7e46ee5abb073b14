package receiver

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/scenarios"
)

// Cases that are composed at the same time have headers of their own, even where
// the subject's have room for more. The race detector sees it where they do not.
func TestHeadersAreNotShared(t *testing.T) {
	s := testSubject(t, "github")
	s.Headers = append(make(wire.Headers, 0, 8), wire.Header{Name: "X-Tunnel", Value: "1"})
	var wait sync.WaitGroup
	for _, mine := range []string{"a", "b", "c", "d"} {
		wait.Go(func() {
			for seed := range uint64(50) {
				step := scenarios.Step{Headers: map[string]string{"X-Mine": mine}}
				d, err := s.compose(step, nil, rand.New(rand.NewPCG(seed, 0)), false)
				if err != nil {
					t.Error(err)
					return
				}
				if got := d.request.Headers.Get("X-Mine"); got != mine {
					t.Errorf("a delivery that should say %s says %s", mine, got)
				}
			}
		})
	}
	wait.Wait()
}
