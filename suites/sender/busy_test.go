package sender_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookanvil/hookanvil/reports"
)

// A sender with one worker is late with everything while an answer of another case
// holds it up. That is no failure of the case that waits; and one that has given up
// is found all the same, once there is time for it.
func TestBusySender(t *testing.T) {
	const hanging = "trigger: {times: 4}\nrespond: {status: 200, delay: 4s}\nexpect: delivered"
	for _, row := range []verdict{
		{"late", retriedYAML + "expect: [delivered, {attempts-at-least: 3}]", nil, pass, ""},
		{"late with what is a success to nobody", "trigger: once\nrespond: 302\nexpect: not-taken-for-success", nil, pass, ""},
		{"late to begin with", onceYAML + "expect: delivered", func(s *stage) { s.subject.Limits.Arrival = 3 * time.Second }, pass, ""},
		{"given up", retriedYAML + "expect: delivered", gaps(), fail, "never delivered"},
		{"later than the budget", retriedYAML + "expect: delivered", budget(18 * time.Second), open, "budget"},
		{"not yet begun when the budget ends", onceYAML + "expect: delivered", func(s *stage) {
			s.subject.Limits.Arrival, s.subject.Limits.Budget = 3*time.Second, 5*time.Second
		}, open, "the sender had no time"},
	} {
		t.Run(row.name, func(t *testing.T) {
			onStage(t, func(s *stage) {
				s.profile.Retry.GivesUpOn = nil
				s.sender.quits = nil
				if row.spoil != nil {
					row.spoil(s)
				}
				s.judge()
				s.sender.workers = make(chan struct{}, 1)
				var other sync.WaitGroup
				other.Go(func() { s.run(hanging) })
				time.Sleep(100 * time.Millisecond) // of the bubble: the worker is held up now
				want(t, s.run(row.yaml), row.want, row.reason)
				other.Wait()
			})
		})
	}
}

// A sender that has died has not failed the cases that wait for it.
func TestDeadBehind(t *testing.T) {
	onStage(t, func(s *stage) {
		s.sender.gaps = nil
		s.judge()
		synctest.Wait() // until nothing of its preflight is under way
		s.sender.change(func() {
			s.sender.after = func(*try) {
				s.sender.change(func() { s.sender.answers.Status = 503 })
			}
		})
		want(t, s.run(retriedYAML+"expect: delivered"), reports.Inconclusive, "could not be fired either")
	})
}

// What is asked of a sender beyond measure is no proof that it ignores Retry-After,
// and neither is a gap as long as any a proof that it does not.
func TestObservedRetryAfter(t *testing.T) {
	const years = "trigger: once\nrespond: [{status: 503, headers: {Retry-After: \"1000000000\"}}, 200]\nexpect: delivered"
	const seconds = "trigger: once\nrespond: [{status: 503, headers: {Retry-After: \"3\"}}, 200]\nexpect: delivered"
	const one = "trigger: once\nrespond: [{status: 503, headers: {Retry-After: \"1\"}}, 200]\nexpect: delivered"
	for name, want := range map[string]string{"honoured": "honoured", "ignored": "ignored"} {
		t.Run(name, func(t *testing.T) {
			onStage(t, func(s *stage) {
				s.sender.honours = want == "honoured"
				s.run(seconds)
				s.run(one)
				s.sender.change(func() { s.sender.honours = false })
				s.run(years)
				if got := s.started.Observed().Retry.RetryAfter; got != want {
					t.Errorf("observed %q, want %q", got, want)
				}
			})
		})
	}
}

// A delivery that was given up sooner than others leaves a profile that holds
// together.
func TestObservedAttempts(t *testing.T) {
	onStage(t, func(s *stage) {
		s.run(failingYAML + "expect: growing")
		s.sender.change(func() { s.sender.gaps = s.sender.gaps[:1] })
		s.run(failingYAML + "expect: growing")
		if r := s.started.Observed().Retry; r.Attempts != 0 && r.Attempts <= len(r.Schedule) {
			t.Errorf("observed %d attempts and the gaps %v", r.Attempts, r.Schedule)
		}
	})
}

// Events that a sender tells of in one request are lost to nobody, and to be judged by
// nobody.
func TestBatches(t *testing.T) {
	onStage(t, func(s *stage) {
		s.judge()
		var tokens []string
		s.sender.mould = func(a *try) {
			s.sender.mu.Lock()
			defer s.sender.mu.Unlock()
			tokens = append(tokens, a.token)
			a.message.Body = []byte(`{"type":"batch","tokens":["` + strings.Join(tokens, `","`) + `"]}`)
		}
		want(t, s.run("trigger: {times: 3}\nexpect: delivered"), reports.Inconclusive, "in one request with others")
	})
}
