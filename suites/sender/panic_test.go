package sender_test

import (
	"strings"
	"testing"

	"github.com/hookanvil/hookanvil/reports"
)

// A panic on a connection costs the case that it came about in: it is told to whoever
// runs the case, and the next one is judged as if nothing had been.
func TestPanicOnAConnection(t *testing.T) {
	onStage(t, func(s *stage) {
		first := true
		s.observe = func(name string, _ reports.Exchange) error {
			if first && strings.HasPrefix(name, "sender/test/") {
				first = false
				panic("out of order")
			}
			return nil
		}
		if got := panicked(func() { s.run("trigger: once\nexpect: delivered") }); !strings.Contains(got, "out of order") {
			s.Errorf("the case panicked with %.80q, want out of order", got)
		}
		if r := s.run("trigger: once\nexpect: delivered"); r.Verdict != reports.Pass {
			s.Errorf("the next case: %s %s", r.Verdict, r.Reason)
		}
	})
}

// panicked is what a function panics with, "" where it does not.
func panicked(f func()) (with string) {
	defer func() {
		if r := recover(); r != nil {
			with, _ = r.(string)
		}
	}()
	f()
	return ""
}
