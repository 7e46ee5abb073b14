package sender_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/suites/sender"
)

const (
	failingYAML = "trigger: once\nrespond: 500\n"
	burstYAML   = "trigger: once\nrespond: {status: 500, times: 3}\n"
	hangYAML    = "trigger: once\nrespond: hang\n"
)

func with(changes ...func(*stage)) func(*stage) {
	return func(s *stage) {
		for _, change := range changes {
			change(s)
		}
	}
}

// gaps has the sender wait otherwise between its attempts than it declares.
func gaps(all ...time.Duration) func(*stage) {
	return func(s *stage) { s.sender.gaps = all }
}

func repeated(gap time.Duration, n int) []time.Duration {
	all := make([]time.Duration, n)
	for i := range all {
		all[i] = gap
	}
	return all
}

// undeclared takes away what the profile says of retries.
func undeclared(s *stage) { s.profile.Retry = nil }

func declared(change func(r *profile.Retry)) func(*stage) {
	return func(s *stage) { change(s.profile.Retry) }
}

func budget(d time.Duration) func(*stage) {
	return func(s *stage) { s.subject.Limits.Budget = d }
}

// never takes no status for a success.
func never(s *stage) { s.sender.success = func(int) bool { return false } }

// always takes every answer for one, and none at all too.
func always(s *stage) { s.sender.success = func(int) bool { return true } }

// twice delivers each event twice, under two ids.
func twice(s *stage) { s.sender.copies = 2 }

// tokenless fires events whose token is nowhere in the delivery.
func tokenless(s *stage) {
	trigger := s.sender.trigger()
	s.subject.Trigger = action{words: []string{"url", "event"}, do: func(ctx context.Context, v sender.Values) (sender.Outcome, error) {
		v.Token = ""
		return trigger.Do(ctx, v)
	}}
}

func TestAttemptExpectations(t *testing.T) { judgeAll(t, attemptRows()) }

func attemptRows() []verdict {
	return []verdict{
		{"one attempt", onceYAML + "expect: {attempts: 1}", nil, pass, ""},
		{"three attempts", retriedYAML + "expect: {attempts: 3}", nil, pass, ""},
		{"one too few", retriedYAML + "expect: {attempts: 3}", gaps(time.Second), fail, "2 attempts were made"},
		{"retries what succeeded", onceYAML + "expect: {attempts: 1}", never, fail, "attempt 2 came"},
		{"delivers twice", onceYAML + "expect: {attempts: 1}", twice, fail, "attempt 2 came"},
		{"delivers twice, without tokens", onceYAML + "expect: {attempts: 1}", with(tokenless, twice), fail, "attempt 2 came"},
		{"delivers many twice, without tokens", "trigger: {times: 5}\nexpect: {attempts: 1}", with(tokenless, twice), open, "no event explains"},
		{"delivers many once, without tokens", "trigger: {times: 5}\nexpect: {attempts: 1}", tokenless, pass, ""},
		{"attempts in a short budget", retriedYAML + "expect: {attempts: 3}", budget(2 * time.Second), open, "budget"},
		{"a window that the budget cuts", onceYAML + "expect: {attempts: 1}", with(budget(2*time.Second), declared(func(r *profile.Retry) { r.Schedule[0] = time.Hour })), open, "budget"},
		{"attempts of nothing", onceYAML + "expect: {attempts: 1}", dead, open, "nothing arrived"},
		{"attempts of a sender that says nothing of its schedule", onceYAML + "expect: {attempts: 1}", undeclared, pass, ""},
		{"attempts of one that never tries again, and says nothing", onceYAML + "expect: {attempts: 1}", with(undeclared, gaps()), open, "not known when"},

		{"at least", retriedYAML + "expect: {attempts-at-least: 2}", nil, pass, ""},
		{"not so many", retriedYAML + "expect: {attempts-at-least: 2}", gaps(), fail, "1 attempt was made"},
		{"at least, and late by half", retriedYAML + "expect: {attempts-at-least: 2}", gaps(1500 * time.Millisecond), pass, ""},
		{"at least, and nobody knows when", retriedYAML + "expect: {attempts-at-least: 2}", with(undeclared, gaps()), open, "nobody has said when"},
		{"more than it declares to make", failingYAML + "expect: {attempts-at-least: 5}", nil, open, "declares to make 4"},
		{"at least, of one that never tries again", retriedYAML + "expect: {attempts-at-least: 2}", declared(func(r *profile.Retry) { *r = profile.Retry{Attempts: 1} }), skip, "never tries again"},

		{"at most", failingYAML + "expect: {attempts-at-most: 4}", nil, pass, ""},
		{"more than that", failingYAML + "expect: {attempts-at-most: 3}", nil, fail, "attempt 4 came"},
		{"at most, in a short budget", failingYAML + "expect: {attempts-at-most: 4}", budget(5 * time.Second), open, "budget"},

		{"quiet", retriedYAML + "expect: quiet", nil, pass, ""},
		{"not quiet", retriedYAML + "expect: quiet", never, fail, "attempt 4 came"},
		{"quiet while it hangs", hangYAML + "expect: quiet", with(budget(4*time.Second), gaps(), func(s *stage) { s.sender.deadline = 0 }), open, "budget"},
		{"quiet, and nobody knows how long", retriedYAML + "expect: quiet", with(undeclared, gaps()), open, "not known when"},

		{"quiet for a time", onceYAML + "expect: {quiet-for: 5s}", nil, pass, ""},
		{"not quiet for a time", onceYAML + "expect: {quiet-for: 5s}", never, fail, "attempt 2 came 1s"},
		{"not quiet for that long", onceYAML + "expect: {quiet-for: 5s}", budget(3 * time.Second), open, "only"},

		{"same", retriedYAML + "expect: {same: [id, body, event, target, content-type]}", nil, pass, ""},
		{"another id", retriedYAML + "expect: {same: [id]}", moulds(func(a *try) { a.message.ID += fmt.Sprint(a.n) }), fail, "the id of attempt 2"},
		{"another id at the third attempt", retriedYAML + "expect: {same: [id]}", moulds(func(a *try) {
			if a.n == 3 {
				a.message.ID += "b"
			}
		}), fail, "the id of attempt 3"},
		{"no id at all", retriedYAML + "expect: {same: [id]}", edits(func(a *try) { a.request.Headers.Del("webhook-id") }), fail, "no id"},
		{"another body", retriedYAML + "expect: {same: [body]}", moulds(func(a *try) { a.message.Body = append(a.message.Body, fmt.Sprint(a.n)...) }), fail, "body of attempt 2 differs"},
		{"another type", retriedYAML + "expect: {same: [event]}", moulds(func(a *try) {
			a.message.Body = []byte(fmt.Sprintf(`{"type":"t%d","token":%q}`, a.n, a.token))
		}), fail, "event of attempt 2"},
		{"another target", retriedYAML + "expect: {same: [target]}", edits(func(a *try) { a.request.Target += fmt.Sprint("?n=", a.n) }), fail, "target of attempt 2"},
		{"the same, of one attempt", retriedYAML + "expect: {same: [id]}", gaps(), open, "one attempt only"},
		{"the same, of nothing", retriedYAML + "expect: {same: [id]}", dead, open, "nothing arrived"},

		{"fresh", retriedYAML + "expect: {fresh: [timestamp, signature]}", gaps(2*time.Second, 4*time.Second), pass, ""},
		{"not fresh", retriedYAML + "expect: {fresh: [timestamp]}", frozen(1), fail, "timestamp of attempt 3"},
		{"fresh once, and then no more", retriedYAML + "expect: {fresh: [timestamp]}", frozen(2), fail, "timestamp of attempt 3"},
		{"fresh, and too near", "trigger: once\nrespond: [503, 200]\nexpect: {fresh: [timestamp]}", nil, open, "far enough apart"},
		{"fresh, of one attempt", retriedYAML + "expect: {fresh: [timestamp]}", gaps(), open, "far enough apart"},
		{"a signature that is not fresh", retriedYAML + "expect: {fresh: [signature]}", frozen(1), fail, "signature of attempt 3"},

		{"stamped as declared", retriedYAML + "expect: timestamps-as-declared", nil, pass, ""},
		{"kept as declared", retriedYAML + "expect: timestamps-as-declared", with(keeps, frozen(1)), pass, ""},
		{"not kept as declared", retriedYAML + "expect: timestamps-as-declared", keeps, fail, "is kept"},
		{"not fresh as declared", retriedYAML + "expect: timestamps-as-declared", frozen(1), fail, "is the same"},
		{"kept, of one attempt", retriedYAML + "expect: timestamps-as-declared", with(keeps, gaps()), open, "one attempt only"},
		{"kept, and there is none", retriedYAML + "expect: timestamps-as-declared", with(keeps, edits(func(a *try) { a.request.Headers.Del("webhook-timestamp") })), fail, "no timestamp"},

		{"a gap", retriedYAML + "expect: {gap: {after: 1, at-least: 1s, at-most: 2s}}", nil, pass, ""},
		{"every gap", retriedYAML + "expect: {gap: {at-least: 1s, at-most: 2s}}", nil, pass, ""},
		{"a gap too short", retriedYAML + "expect: {gap: {after: 2, at-least: 3s}}", nil, fail, "3s is the least"},
		{"a gap too long", retriedYAML + "expect: {gap: {at-most: 1s}}", nil, fail, "1s is the most"},
		{"a gap that does not come", retriedYAML + "expect: {gap: {after: 2, at-least: 1s}}", gaps(time.Second), fail, "2 attempts were made"},
		{"a gap beyond the budget", retriedYAML + "expect: {gap: {after: 2, at-least: 1s}}", budget(2 * time.Second), open, "budget"},

		{"the schedule", failingYAML + "expect: schedule", nil, pass, ""},
		{"a schedule that is not the declared one", failingYAML + "expect: schedule", gaps(repeated(time.Second, 3)...), fail, "it declares 2s"},
		{"a schedule that is three times too slow", failingYAML + "expect: schedule", gaps(3*time.Second, 6*time.Second, 12*time.Second), fail, "it declares 1s"},
		{"a schedule that ends early", failingYAML + "expect: schedule", gaps(time.Second), fail, "2 attempts were made"},
		{"a schedule that jitters beyond what it declares", failingYAML + "expect: schedule", with(gaps(1900*time.Millisecond, 2*time.Second, 4*time.Second), declared(func(r *profile.Retry) { r.Jitter = "20%" })), fail, "it declares 1s"},
		{"a schedule that jitters as it declares", failingYAML + "expect: schedule", with(gaps(1100*time.Millisecond, 1600*time.Millisecond, 4800*time.Millisecond), declared(func(r *profile.Retry) { r.Jitter = "20%" })), pass, ""},
		{"a schedule of days", failingYAML + "expect: schedule", with(budget(10*time.Second), gaps(time.Second, 24*time.Hour), declared(func(r *profile.Retry) { r.Schedule = []time.Duration{time.Second, 24 * time.Hour, 24 * time.Hour} })), open, "budget"},
		{"a schedule that is not declared", failingYAML + "expect: schedule", undeclared, skip, "--retry-schedule"},

		{"growing", failingYAML + "expect: growing", nil, pass, ""},
		{"shrinking", failingYAML + "expect: growing", gaps(4*time.Second, 2*time.Second, time.Second), fail, "it waited 4s"},
		{"not growing", failingYAML + "expect: growing", with(gaps(repeated(time.Second, 5)...), declared(func(r *profile.Retry) { r.Attempts = 6 })), fail, "do not grow"},
		{"growing, and one gap is all that fits", failingYAML + "expect: growing", budget(2500 * time.Millisecond), open, "budget"},

		{"no burst", burstYAML + "expect: no-burst", nil, pass, ""},
		{"a burst", burstYAML + "expect: no-burst", gaps(repeated(10*time.Millisecond, 3)...), fail, "20ms between"},
		{"a late burst", "trigger: once\nrespond: {status: 500, times: 5}\nexpect: no-burst", with(gaps(time.Second, time.Second, 10*time.Millisecond, 10*time.Millisecond), declared(func(r *profile.Retry) { r.Attempts = 5 })), fail, "attempts 3 to 5"},
		{"no burst of one", burstYAML + "expect: no-burst", gaps(), fail, "1 attempt was made"},
		{"no burst of a sender that makes two attempts", burstYAML + "expect: [no-burst]", with(gaps(time.Second), declared(func(r *profile.Retry) { r.Schedule = r.Schedule[:1] })), open, "declares to make 2"},

		{"exhausted", failingYAML + "expect: exhausted", nil, pass, ""},
		{"one attempt more", failingYAML + "expect: exhausted", gaps(time.Second, 2*time.Second, 4*time.Second, 4*time.Second), fail, "attempt 5 came"},
		{"one attempt less", failingYAML + "expect: exhausted", gaps(time.Second, 2*time.Second), fail, "3 attempts were made"},
		{"exhausted beyond the budget", failingYAML + "expect: exhausted", budget(5 * time.Second), open, "budget"},
		{"exhausted, and nobody knows how many", failingYAML + "expect: exhausted", undeclared, skip, "--retry-attempts"},

		{"delivered", retriedYAML + "expect: delivered", nil, pass, ""},
		{"never delivered", retriedYAML + "expect: delivered", gaps(time.Second), fail, "never delivered"},
		{"given up", "trigger: once\nrespond: [400, 200]\nexpect: delivered", nil, skip, "declares to give up after 400"},
		{"given up, and it declares nothing of it", "trigger: once\nrespond: [400, 200]\nexpect: delivered", declared(func(r *profile.Retry) { r.GivesUpOn, r.Stops = nil, nil }), open, "gives-up-on"},
		{"given up, against what it declares", "trigger: once\nrespond: [500, 200]\nexpect: delivered", gaps(), fail, "never delivered"},
		{"nothing to be delivered", onceYAML + "expect: delivered", dead, fail, "nothing arrived"},
		{"one of many", "trigger: {times: 10}\nexpect: delivered", func(s *stage) { s.sender.loses = func(n int) bool { return n == 7 } }, fail, "1 of 10"},
		{"delivered by another method", onceYAML + "expect: delivered", moulds(func(a *try) { a.message.Method = "GET" }), fail, "GET"},
		{"delivered elsewhere", onceYAML + "expect: delivered", strays(func(target string) string { return "/elsewhere" + target }), fail, "nothing arrived"},
		{"delivered below", onceYAML + "expect: delivered", strays(func(target string) string { return target + "/below" }), fail, "nothing arrived"},
		{"delivered to a longer token", onceYAML + "expect: delivered", strays(func(target string) string { return target + "0" }), fail, "nothing arrived"},
		{"delivered to a name in capitals", onceYAML + "expect: delivered", strays(strings.ToUpper), fail, "nothing arrived"},
		{"delivered to nowhere", onceYAML + "expect: delivered", strays(func(string) string { return "/hook" }), fail, "nothing arrived"},
		{"delivered beyond the budget", retriedYAML + "expect: delivered", budget(2 * time.Second), open, "budget"},
		{"delivered after all the attempts that it declares", "trigger: once\nrespond: [500, 500, 500, 500, 200]\nexpect: delivered", nil, open, "declares to make 4"},
		{"delivered to a sender that hung up", "trigger: once\nrespond: {status: 200, delay: 7s}\nexpect: delivered", gaps(), fail, "never delivered"},

		{"delivered in time", onceYAML + "expect: {delivered-within: 2s}", nil, pass, ""},
		{"delivered late", "trigger: [{as: first}, {as: second, expect: {delivered-within: 2s}}]", func(s *stage) {
			s.sender.mould = func(a *try) {
				if a.event == 3 {
					s.sender.sleep(5 * time.Second)
				}
			}
		}, fail, "took 5s"},
		{"delivered in time, and by a person", onceYAML + "expect: {delivered-within: 2s}", with(func(s *stage) { s.blind = true; s.subject.Trigger = nil }), skip, "--trigger"},
		{"delivered in time, and not at all", onceYAML + "expect: {delivered-within: 2s}", dead, fail, "nothing arrived"},

		{"retried as declared", "trigger: once\nrespond: 404\nexpect: handled-as-declared", nil, pass, ""},
		{"given up as declared", "trigger: once\nrespond: 400\nexpect: handled-as-declared", nil, pass, ""},
		{"retried against what it declares", "trigger: once\nrespond: 400\nexpect: handled-as-declared", func(s *stage) { s.sender.quits = nil }, fail, "declares to give up after 400"},
		{"given up against what it declares", "trigger: once\nrespond: 404\nexpect: handled-as-declared", func(s *stage) { s.sender.quits = []int{404} }, fail, "1 attempt was made"},
		{"given up, and it declares nothing", "trigger: once\nrespond: 400\nexpect: handled-as-declared", declared(func(r *profile.Retry) { r.GivesUpOn = nil }), open, "does not declare"},
		{"retried beyond the budget", "trigger: once\nrespond: 404\nexpect: handled-as-declared", with(budget(time.Second), gaps(time.Hour)), open, "budget"},

		{"no success", "trigger: once\nrespond: 302\nexpect: not-taken-for-success", nil, pass, ""},
		{"a failure that is given up as declared", "trigger: once\nrespond: 400\nexpect: not-taken-for-success", nil, pass, ""},
		{"taken for a success", "trigger: once\nrespond: 302\nexpect: not-taken-for-success", always, fail, "1 attempt was made"},
		{"followed, and taken for a success", canaryYAML + "expect: not-taken-for-success", func(s *stage) { s.sender.follows = "same" }, fail, "it was led to"},
		{"followed as a GET, and given up as declared", canaryYAML + "expect: not-taken-for-success", func(s *stage) {
			s.sender.follows, s.profile.Retry.GivesUpOn = "get", []int{307}
		}, fail, "sent GET there"},
		{"followed, and tried again", canaryYAML + "expect: not-taken-for-success", func(s *stage) {
			s.sender.follows, s.sender.success = "same", func(int) bool { return false }
		}, pass, ""},
		{"taken for a success, in a short budget", "trigger: once\nrespond: 302\nexpect: not-taken-for-success", with(always, budget(time.Second)), open, "budget"},
		{"a timeout taken for success", hangYAML + "expect: not-taken-for-success", always, fail, "1 attempt was made"},
		{"half a body taken for success", "trigger: once\nrespond: close-in-body\nexpect: not-taken-for-success", always, fail, "1 attempt was made"},
		{"an answer that the budget cuts", "trigger: once\nrespond: {status: 500, delay: 8s}\nexpect: not-taken-for-success", with(budget(4*time.Second), func(s *stage) { s.sender.deadline = 0 }), open, "under way"},

		{"held back", heldYAML, nil, pass, ""},
		{"not held back", heldYAML, func(s *stage) { s.sender.holds = false }, fail, "after the answer that asked"},
		{"held back by nothing", "trigger: {times: 2}\nexpect: {held-back: 2s}", nil, open, "no answer"},
		{"slow anyway", heldYAML, func(s *stage) { s.sender.holds, s.sender.delay = false, 3*time.Second }, open, "no answer"},

		{"ended", hangYAML + "expect: ended", nil, pass, ""},
		{"ended before the body did", "trigger: once\nrespond: {way: {drip-body: 100}}\nexpect: ended", nil, pass, ""},
		{"not ended", hangYAML + "expect: ended", func(s *stage) { s.sender.deadline = 0 }, fail, "is the most"},
		{"ended late", hangYAML + "expect: ended", func(s *stage) { s.sender.deadline = 8 * time.Second }, fail, "8s"},
		{"not ended in the budget", hangYAML + "expect: ended", with(budget(4*time.Second), func(s *stage) { s.sender.deadline = 0 }), open, "2s only"},
		{"ended by the budget", "trigger: once\nrespond: {status: 200, delay: 8s}\nexpect: ended", with(budget(4*time.Second), func(s *stage) { s.sender.deadline = 0 }), open, "under way"},
		{"ended, of nothing", hangYAML + "expect: ended", dead, open, "nothing arrived"},
		{"ended within", hangYAML + "expect: {ended-within: 6s}", nil, pass, ""},
		{"ended within, of nothing", hangYAML + "expect: {ended-within: 6s}", dead, open, "nothing arrived"},
		{"ended, and not within", hangYAML + "expect: {ended-within: 2s}", nil, fail, "2.5s is the most"},

		{"patient", "trigger: once\nrespond: {status: 200, delay: 80%}\nexpect: patient", nil, pass, ""},
		{"impatient", "trigger: once\nrespond: {status: 200, delay: 80%}\nexpect: patient", func(s *stage) { s.sender.deadline = time.Second }, fail, "did not wait"},
		{"patient beyond the budget", "trigger: once\nrespond: {status: 200, delay: 80%}\nexpect: patient", budget(2 * time.Second), open, "under way"},

		{"reads little", "trigger: once\nrespond: {way: {huge-body: 4}}\nexpect: {reads-at-most: 1048576}", nil, pass, ""},
		{"reads much", "trigger: once\nrespond: {way: {huge-body: 4}}\nexpect: {reads-at-most: 1048576}", func(s *stage) { s.sender.reads = 8 << 20 }, fail, "4.0 MiB"},
		{"reads slowly, and would go on", "trigger: once\nrespond: endless-body\nexpect: {reads-at-most: 1048576}", sips, open, "went on for"},
		{"reads until the budget ends", "trigger: once\nrespond: endless-body\nexpect: {reads-at-most: 1048576}", with(sips, budget(3*time.Second)), open, "went on for"},
		{"reads what the budget cuts", "trigger: once\nrespond: {way: {huge-body: 4}, delay: 8s}\nexpect: {reads-at-most: 1048576}", with(sips, budget(3*time.Second)), open, "under way"},
	}
}

const heldYAML = `trigger:
  - {as: limited, respond: [{status: 429, headers: {Retry-After: "2"}}, 200]}
  - {as: other, meanwhile: true, after: 300ms, respond: 200, expect: {held-back: 2s}}`

// frozen makes the timestamp anew up to the n-th attempt, and keeps it from then on.
func frozen(n int) func(*stage) {
	return func(s *stage) {
		stamps := map[string]string{}
		s.sender.mould = func(a *try) {
			key := a.message.ID
			if a.n <= n {
				stamps[key] = a.message.Timestamp
			}
			a.message.Timestamp = stamps[key]
		}
	}
}

// keeps declares that the first attempt's timestamp is kept.
func keeps(s *stage) { s.profile.Retry.Timestamp = "kept" }

// strays has the sender deliver elsewhere.
func strays(to func(target string) string) func(*stage) {
	return func(s *stage) {
		s.blind = true
		s.sender.edit = func(a *try) { a.request.Target = to(a.request.Target) }
	}
}

// sips reads an answer a little at a time, without end.
func sips(s *stage) {
	s.sender.deadline, s.sender.reads, s.sender.pace = 0, 1<<40, time.Second
}
