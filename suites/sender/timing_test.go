package sender_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites/sender"
)

// TestWindow retries what has succeeded just within the window in which it is looked
// for, and just behind it: the first is found, and the second is no part of the claim.
func TestWindow(t *testing.T) {
	// The schedule says 10 s; the window is that, a tenth of it, and two slacks.
	const window = 12 * time.Second
	after := func(gap time.Duration) func(*stage) {
		return with(never, gaps(gap), declared(func(r *profile.Retry) { r.Schedule = []time.Duration{10 * time.Second} }))
	}
	judgeAll(t, []verdict{
		{"a second before it ends", onceYAML + "expect: {attempts: 1}", after(window - time.Second), fail, "attempt 2 came 11s"},
		{"a second behind it", onceYAML + "expect: {attempts: 1}", after(window + time.Second), pass, ""},
		{"a second behind it, in a budget that ends before", onceYAML + "expect: {attempts: 1}", with(after(window+time.Second), budget(window-time.Second)), open, "as late as 12s"},
		{"with jitter", onceYAML + "expect: {attempts: 1}", with(after(16*time.Second), declared(func(r *profile.Retry) { r.Jitter = "50%" })), fail, "attempt 2 came 16s"},
		{"after the last declared attempt", failingYAML + "expect: exhausted", with(gaps(10*time.Second, window-time.Second), declared(func(r *profile.Retry) { r.Schedule = []time.Duration{10 * time.Second} })), fail, "attempt 3 came 11s"},
	})
}

func TestRetryAfter(t *testing.T) {
	const seconds = `trigger: once
respond: [{status: 503, headers: {Retry-After: "3"}}, 200]
expect: {gap: {after: 1, at-least: 3s}}`
	const date = `trigger: once
respond: [{status: 503, headers: {Retry-After: "{date+4s}"}}, 200]
expect: {gap: {after: 1, at-least: 4s}}`
	const minutes = `trigger: once
respond: [{status: 503, headers: {Retry-After: "50"}}, 200]
expect: [delivered, {gap: {after: 1, at-least: 50s}}]`
	exact := func(gap time.Duration) func(*stage) {
		return with(gaps(gap), func(s *stage) { s.sender.honours = false })
	}
	judgeAll(t, []verdict{
		{"honoured", seconds, nil, pass, ""},
		{"ignored", seconds, func(s *stage) { s.sender.honours = false }, fail, "attempt 2 came 1s"},
		{"to the second", seconds, exact(3 * time.Second), pass, ""},
		{"a second early", seconds, exact(2 * time.Second), fail, "attempt 2 came 2s"},
		{"a little early", seconds, exact(2900 * time.Millisecond), fail, "3s is the least"},
		{"never again", seconds, gaps(), fail, "1 attempt was made"},
		{"a date", date, nil, pass, ""},
		{"a date ignored", date, func(s *stage) { s.sender.honours = false }, fail, "attempt 2 came 1s"},
		{"a minute", minutes, budget(3 * time.Minute), pass, ""},
		{"a minute, in a short budget", minutes, budget(30 * time.Second), open, "budget"},
		{"a minute, and never", minutes, with(budget(3*time.Minute), gaps()), fail, "never delivered"},
	})
}

// TestScaled judges a schedule of days at a sender that runs a thousand times faster.
func TestScaled(t *testing.T) {
	days := []time.Duration{5 * time.Second, 5 * time.Minute, 2 * time.Hour, 24 * time.Hour}
	scale := func(s *stage) {
		s.profile.Retry = (&profile.Retry{Schedule: days}).Scaled(0.001)
		s.subject.Limits.Budget = 5 * time.Minute
		s.sender.gaps = s.profile.Retry.Schedule
	}
	judgeAll(t, []verdict{
		{"in time", failingYAML + "expect: [exhausted, schedule]", scale, pass, ""},
		{"not scaled", failingYAML + "expect: schedule", with(scale, gaps(days...)), fail, "1 attempt was made"},
		{"three times too slow", failingYAML + "expect: schedule", with(scale, gaps(15*time.Millisecond, 900*time.Millisecond, 21600*time.Millisecond, 259200*time.Millisecond)), fail, "it declares"},
		{"an attempt short", failingYAML + "expect: exhausted", with(scale, func(s *stage) { s.sender.gaps = s.sender.gaps[:3] }), fail, "4 attempts were made"},
		{"not scaled in the profile", failingYAML + "expect: [exhausted, schedule]", with(scale, func(s *stage) { s.profile.Retry = &profile.Retry{Schedule: days} }), fail, "it declares"},
	})
}

// TestLearnt judges senders that declare nothing of when they try again.
func TestLearnt(t *testing.T) {
	judgeAll(t, []verdict{
		{"one attempt", onceYAML + "expect: {attempts: 1}", undeclared, pass, ""},
		{"retries what succeeded", onceYAML + "expect: {attempts: 1}", with(undeclared, retriesSuccessOnceLearnt), fail, "attempt 2 came"},
		{"retries the second success, much later", "trigger: once\nrespond: [503, 200]\nexpect: {attempts: 2}",
			with(undeclared, gaps(time.Second, 20*time.Second, 40*time.Second), retriesSuccessOnceLearnt), fail, "attempt 3 came 20s"},
		{"a third gap that nobody has seen", "trigger: once\nrespond: [503, 503, 200]\nexpect: {attempts: 3}",
			with(undeclared, gaps(time.Second, 2*time.Second, time.Hour), retriesSuccessOnceLearnt), open, "not known when"},
		{"many attempts", "trigger: once\nrespond: [503, 503, 503, 200]\nexpect: [{attempts-at-least: 4}, delivered]", with(undeclared, gaps(time.Second, 5*time.Second, 25*time.Second)), pass, ""},
		{"grows fast", failingYAML + "expect: growing", with(undeclared, gaps(time.Second, 5*time.Second, 25*time.Second)), pass, ""},
		{"grows too fast for the budget", failingYAML + "expect: growing", with(undeclared, gaps(50*time.Second, 10*time.Minute)), open, ""},
		{"says how many and not when", onceYAML + "expect: {attempts: 1}", declared(func(r *profile.Retry) { *r = profile.Retry{Attempts: 4, Over: 72 * time.Hour} }), pass, ""},
	})
}

// retriesSuccessOnceLearnt takes nothing for a success, except of the first two events:
// those of the preflight and of the learning.
func retriesSuccessOnceLearnt(s *stage) {
	seen := 0
	s.sender.success = func(status int) bool {
		s.sender.mu.Lock()
		defer s.sender.mu.Unlock()
		if status == 200 {
			seen++
		}
		return status == 200 && seen <= 2
	}
}

// TestWaiting judges a sender whose events somebody else fires, when he is told to.
func TestWaiting(t *testing.T) {
	waits := func(fire func(s *stage, prompt string)) func(*stage) {
		return func(s *stage) {
			s.subject.Trigger = nil
			s.subject.Register = action{words: []string{"url"}, do: func(_ context.Context, v sender.Values) (sender.Outcome, error) {
				s.sender.known = append(s.sender.known, v.URL)
				return sender.Outcome{Status: 201}, nil
			}}
			s.subject.Prompt = func(text string) { fire(s, text) }
		}
	}
	person := func(takes time.Duration) func(*stage) {
		return waits(func(s *stage, prompt string) {
			to := s.sender.known[len(s.sender.known)-1]
			if !strings.Contains(prompt, to) {
				s.Errorf("the prompt does not say where to: %s", prompt)
			}
			s.sender.busy.Go(func() {
				if s.sender.sleep(takes) {
					s.sender.fire(to, "", "invoice.paid")
				}
			})
		})
	}
	judgeAll(t, []verdict{
		{"delivered", onceYAML + "expect: delivered", person(40 * time.Second), pass, ""},
		{"retried", retriedYAML + "expect: [{attempts: 3}, {same: [id, body]}]", person(20 * time.Second), pass, ""},
		{"retried too often", retriedYAML + "expect: {attempts: 3}", with(person(20*time.Second), never), fail, "attempt 4"},
		{"never fired", onceYAML + "expect: delivered", with(func(s *stage) { s.blind = true }, person(2*time.Minute)), open, "nothing arrived"},
		{"silence", goneYAML, person(time.Second), skip, "--trigger"},
		{"in time", onceYAML + "expect: {delivered-within: 2s}", person(time.Second), skip, "--trigger"},
		{"held back", heldYAML, person(time.Second), skip, "--trigger"},
	})
}

// TestInterrupted ends runs in the middle: nothing that was cut short is a failure, or
// a pass.
func TestInterrupted(t *testing.T) {
	for _, yaml := range []string{
		onceYAML + "expect: delivered", onceYAML + "expect: {attempts: 1}", retriedYAML + "expect: delivered", retriedYAML + "expect: {attempts-at-least: 3}",
		failingYAML + "expect: exhausted", failingYAML + "expect: schedule", hangYAML + "expect: ended", "trigger: once\nrespond: {status: 200, delay: 80%}\nexpect: patient",
		canaryYAML + "expect: canary-silent", goneYAML, "trigger: {times: 20}\nexpect: {unique: [id]}", onceYAML + "expect: {method: POST}", retriedYAML + "expect: {same: [id]}",
		"trigger: once\nrespond: 302\nexpect: not-taken-for-success", heldYAML, onceYAML + "expect: {delivered-within: 1s}", "measure: schedule-shape",
		"trigger: once\nrespond: {way: {huge-body: 4}}\nexpect: {reads-at-most: 1048576}", onceYAML + "expect: {quiet-for: 5s}",
	} {
		for _, after := range []time.Duration{0, time.Millisecond, 300 * time.Millisecond, 700 * time.Millisecond} {
			t.Run(fmt.Sprint(after, " ", yaml), func(t *testing.T) {
				onStage(t, func(s *stage) {
					s.sender.delay = 200 * time.Millisecond
					j := s.judge()
					ctx, cancel := context.WithTimeout(s.Context(), after)
					defer cancel()
					start := time.Now()
					r := j.Run(ctx, parseCase(s.T, yaml))
					if r.Verdict != open && time.Since(start) >= after || r.Verdict == fail {
						s.Errorf("after %s: %s (%s)", after, r.Verdict, r.Reason)
					}
					if took := time.Since(start); took > after+10*time.Second {
						s.Errorf("it went on for %s", took)
					}
				})
			})
		}
	}
}

// TestUntil asks until when a case runs, as the terminal does.
func TestUntil(t *testing.T) {
	onStage(t, func(s *stage) {
		c := parseCase(s.T, failingYAML+"expect: exhausted")
		j := s.judge()
		if at := j.Until(c.Name()); !at.IsZero() {
			s.Errorf("before it runs, it ends at %s", at)
		}
		start := time.Now()
		done := make(chan reports.Result, 1)
		go func() { done <- j.Run(s.Context(), c) }()
		s.sender.sleep(time.Second)
		if until := j.Until(c.Name()).Sub(start); until != time.Minute {
			s.Errorf("it runs for %s at most, want the budget of a minute", until)
		}
		r := <-done
		want(s.T, r, pass, "")
		if r.Duration > time.Minute {
			s.Errorf("it took %s", r.Duration)
		}
		if at := j.Until(c.Name()); !at.IsZero() {
			s.Errorf("after it ran, it ends at %s", at)
		}
	})
}

// TestBudget bounds every case, whatever the sender does.
func TestBudget(t *testing.T) {
	for name, spoil := range map[string]func(*stage){
		"hangs":          func(s *stage) { s.sender.deadline = 0 },
		"never comes":    dead,
		"never ends":     with(never, gaps(repeated(time.Second, 1000)...)),
		"comes at once":  with(never, gaps(repeated(time.Millisecond, 500)...)),
		"reads for ever": sips,
	} {
		t.Run(name, func(t *testing.T) {
			onStage(t, func(s *stage) {
				budget(10 * time.Second)(s)
				spoil(s)
				j := s.judge()
				for _, yaml := range []string{retriedYAML + "expect: delivered", "trigger: once\nrespond: {way: {drip-body: 100}}\nexpect: ended", hangYAML + "expect: not-taken-for-success", failingYAML + "expect: schedule", goneYAML} {
					start := time.Now()
					r := j.Run(s.Context(), parseCase(s.T, yaml))
					if took := time.Since(start); took > 31*time.Second { // learning, the case, and its control
						s.Errorf("%s took %s (%s: %s)", yaml, took, r.Verdict, r.Reason)
					}
				}
			})
		})
	}
}
