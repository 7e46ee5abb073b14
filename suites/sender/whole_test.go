package sender_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/suites/sender"
)

const (
	canaryYAML = `endpoints: [{name: main}, {name: canary, canary: true}]
trigger: once
respond: {status: 307, headers: {Location: "{canary}"}}
`
	silentYAML = "trigger: [{as: before, expect: delivered}, {do: remove}, {as: after, expect: silent}]\n"
	goneYAML   = "trigger: [{as: gone, respond: 410}, {as: next, respond: 200, expect: silent}]\n"
	insideYAML = "endpoints: [{name: main, address: loopback}]\ntrigger: once\nexpect: refused-or-silent\n"
)

// registers has endpoints registered, and answers with what is given for each URL.
func registers(answer func(url string) int) func(*stage) {
	return func(s *stage) {
		s.subject.Register = action{words: []string{"url", "headers"}, do: func(_ context.Context, v sender.Values) (sender.Outcome, error) {
			return sender.Outcome{Status: answer(v.URL), Body: []byte("{}")}, nil
		}}
		s.subject.Remove = action{do: func(_ context.Context, v sender.Values) (sender.Outcome, error) {
			s.sender.mu.Lock()
			defer s.sender.mu.Unlock()
			s.sender.gone[v.URL] = true
			return sender.Outcome{Status: 204}, nil
		}}
	}
}

func created(string) int { return 201 }

// afterFirst answers so from the second registration on: the first is the preflight's.
func afterFirst(status int) func(string) int {
	n := 0
	return func(string) int {
		if n++; n > 1 {
			return status
		}
		return 201
	}
}

// onlyOutside refuses to register what is not on 127.0.0.1.
func onlyOutside(status int) func(string) int {
	return func(text string) int {
		if mustURL(text).Hostname() != "127.0.0.1" {
			return status
		}
		return 201
	}
}

// onlyPlain answers so where custom headers are asked for.
func onlyPlain(status int) func(string) int {
	n := 0
	return func(string) int {
		if n++; n == 2 { // the case's own, between the preflight's and the control's
			return status
		}
		return 201
	}
}

// dies has the sender lose every event from the n-th on.
func dies(from int) func(*stage) {
	return func(s *stage) { s.sender.loses = func(n int) bool { return n >= from } }
}

func losesOnly(n int) func(*stage) {
	return func(s *stage) { s.sender.loses = func(nth int) bool { return nth == n } }
}

func forgetful(s *stage) { s.sender.disables = false }

func TestWholeExpectations(t *testing.T) { judgeAll(t, wholeRows()) }

func wholeRows() []verdict {
	return []verdict{
		{"unique", "trigger: {times: 20}\nexpect: {unique: [id]}", nil, pass, ""},
		{"not unique", "trigger: {times: 20}\nexpect: {unique: [id]}", moulds(func(a *try) { a.message.ID = fmt.Sprint("msg_", a.event/2) }), fail, "the same id"},
		{"unique, and there are none", "trigger: {times: 20}\nexpect: {unique: [id]}", edits(func(a *try) { a.request.Headers.Del("webhook-id") }), fail, "id"},
		{"unique, of one", onceYAML + "expect: {unique: [id]}", nil, open, "nothing to compare"},
		{"unique, of some", "trigger: {times: 20}\nexpect: {unique: [id]}", losesOnly(7), open, "1 of 20"},

		{"spread", spreadYAML, with(declares20, jitters(400*time.Millisecond)), pass, ""},
		{"not spread", spreadYAML, nil, fail, "came back together"},
		{"spread by chance", spreadYAML, with(gaps(50*time.Millisecond), jitters(5*time.Millisecond)), fail, "came back together"},
		{"spread of too few", spreadYAML, func(s *stage) { s.sender.success = func(status int) bool { return true } }, open, "too few"},

		{"canary", canaryYAML + "expect: canary-silent", nil, pass, ""},
		{"canary led to", canaryYAML + "expect: canary-silent", func(s *stage) { s.sender.follows = "same" }, fail, "it was led to"},
		{"canary led to by a GET", canaryYAML + "expect: canary-silent", func(s *stage) { s.sender.follows = "get" }, fail, "it was led to"},
		{"canary led to a little later", canaryYAML + "expect: canary-silent", func(s *stage) { s.sender.follows, s.sender.muses = "same", 300*time.Millisecond }, fail, "it was led to"},
		{"canary connected to", "endpoints: [{name: main}, {name: canary, canary: true, address: loopback}]\ntrigger: once\nrespond: {status: 307, headers: {Location: \"{canary}\"}}\n" + "expect: canary-silent", func(s *stage) { s.sender.follows = "knock" }, fail, "connected there"},
		{"canary in a short budget", canaryYAML + "expect: canary-silent", budget(500 * time.Millisecond), open, "budget"},
		{"canary of nothing", canaryYAML + "expect: canary-silent", dead, open, "nothing arrived"},
		{"no canary", onceYAML + "expect: canary-silent", nil, open, "no canary"},
		{"a canary's answer is a success to who follows", canaryYAML + "expect: not-taken-for-success", func(s *stage) { s.sender.follows = "same" }, fail, "took the 200"},
		{"tries again without end, and follows nothing", canaryYAML + "expect: canary-silent", gaps(slices.Repeat([]time.Duration{100 * time.Millisecond}, 5000)...), pass, ""},

		{"refused", insideRefusedYAML, registers(onlyOutside(422)), pass, ""},
		{"registered", insideRefusedYAML, registers(created), fail, "it registered"},
		{"not found", insideRefusedYAML, registers(onlyOutside(404)), open, "404"},
		{"too many", insideRefusedYAML, registers(onlyOutside(429)), open, "429"},
		{"not allowed in", insideRefusedYAML, registers(onlyOutside(401)), open, "401"},
		{"broken", insideRefusedYAML, registers(onlyOutside(500)), open, "500"},
		{"refuses everything by now", insideRefusedYAML, registers(afterFirst(422)), open, "control"},
		{"refused, and nobody can register", insideRefusedYAML, nil, skip, "--register"},

		{"silent inside", insideYAML, with(registers(created), losesInside), pass, ""},
		{"connects inside", insideYAML, registers(created), fail, "127.0.0.2"},
		{"refuses inside", insideYAML, registers(onlyOutside(422)), pass, ""},
		{"silent inside, and everywhere", insideYAML, with(registers(created), dies(2)), open, "control"},
		{"refuses inside, and everywhere", insideYAML, registers(afterFirst(422)), open, "control"},
		{"where nothing can listen", "endpoints: [{name: main, address: private-10}]\ntrigger: once\nexpect: refused-or-silent\n", with(registers(created), losesInside), open, "cannot be seen"},

		{"custom headers refused", customYAML, registers(onlyPlain(422)), pass, ""},
		{"custom headers that change nothing", customYAML, registers(created), pass, ""},
		{"custom headers as they are", customYAML, with(registers(created), header("X-Injected", "1")), fail, "X-Injected"},
		{"custom headers that break the request", customYAML, with(registers(created), breaks(func(_ *try, b []byte) []byte {
			return bytes.Replace(b, []byte("Host:"), []byte("X-Note: a\r\nX Injected: 1\r\nHost:"), 1)
		})), fail, "no request"},
		{"custom headers not let through for another reason", customYAML, registers(onlyPlain(429)), open, "429"},
		{"custom headers, and then nothing comes", customYAML, with(registers(created), dies(2)), open, "nothing arrived"},

		{"silent", silentYAML, registers(created), pass, ""},
		{"not silent", silentYAML, with(registers(created), unremoved), fail, "came"},
		{"not silent, and slow", silentYAML, with(registers(created), unremoved, func(s *stage) { s.sender.delay = 2 * time.Second }), fail, "came"},
		{"silent, and dead by now", silentYAML, with(registers(created), dies(3)), open, "control"},
		{"silent in a short budget", silentYAML, with(registers(created), budget(700*time.Millisecond)), open, "only"},
		{"silent after a 410", goneYAML, nil, pass, ""},
		{"refused after a 410", goneYAML, with(registers(created), refusesTheGone), pass, ""},
		{"refused after a 200", strings.Replace(goneYAML, "410", "200", 1), with(registers(created), refusesAfter(2)), open, "could not be fired"},
		{"not silent after a 410", goneYAML, forgetful, fail, "came"},
		{"silent, since it was before", goneYAML, losesOnly(2), open, "nothing arrived"},
		{"silent, and a person fires", goneYAML, with(func(s *stage) { s.blind, s.subject.Trigger = true, nil }), skip, "--trigger"},

		{"in order", orderYAML, nil, pass, ""},
		{"out of order", orderYAML, func(s *stage) {
			s.sender.mould = func(a *try) {
				if a.event == 2 {
					s.sender.sleep(time.Second)
				}
			}
		}, fail, "arrived before"},
		{"in order, all at once", "trigger: {times: 20}\nexpect: in-order", nil, pass, ""},
		{"in order, of some", orderYAML, losesOnly(3), open, "nothing arrived"},

		{"well-formed", onceYAML + "expect: well-formed", nil, pass, ""},
		{"well-formed, of nothing", onceYAML + "expect: well-formed", dead, open, "nothing arrived"},
		{"half a request first", onceYAML + "expect: [delivered, well-formed]", breaks(func(a *try, b []byte) []byte { return b[:len(b)-5] }), fail, "no request"},
		{"a header of blanks first", onceYAML + "expect: [delivered, well-formed]", breaks(func(_ *try, b []byte) []byte {
			return bytes.Replace(b, []byte("Host:"), []byte("Host :"), 1)
		}), fail, "no request"},
		{"nothing but half a request", onceYAML + "expect: delivered", with(func(s *stage) { s.blind = true }, func(s *stage) {
			s.sender.rewrite = func(_ *try, b []byte) []byte { return b[:len(b)-5] }
		}), fail, "what came instead was no request"},

		{"a step that nobody asks about did not come", "trigger: [{as: stuck, respond: hang}, {as: next, meanwhile: true, respond: 200, expect: delivered}]", losesOnly(2), open, "nothing arrived"},
	}
}

const (
	spreadYAML        = "trigger: {times: 20}\nrespond: [503, 200]\nexpect: {spread: 5}"
	orderYAML         = "trigger: [{as: first}, {as: second, meanwhile: true, after: 100ms}]\nexpect: in-order"
	customYAML        = "endpoints: [{name: main, headers: {X-Note: \"a\\r\\nX-Injected: 1\"}}]\ntrigger: once\nexpect: refused-or-inert\n"
	insideRefusedYAML = "endpoints: [{name: main, address: loopback}]\ntrigger: once\nexpect: refused\n"
)

func declares20(s *stage) { s.profile.Retry.Jitter = "20%" }

// jitters spreads gaps evenly over so much.
func jitters(over time.Duration) func(*stage) {
	return func(s *stage) {
		n := 0
		s.sender.vary = func(gap time.Duration) time.Duration {
			s.sender.mu.Lock()
			defer s.sender.mu.Unlock()
			n++
			return gap + over*time.Duration(n%20)/20 - over/2
		}
	}
}

// losesInside drops events for what is not on 127.0.0.1.
func losesInside(s *stage) {
	trigger := s.sender.trigger()
	s.subject.Trigger = action{words: trigger.words, do: func(ctx context.Context, v sender.Values) (sender.Outcome, error) {
		if mustURL(v.URL).Hostname() != "127.0.0.1" {
			return sender.Outcome{Status: 202}, nil
		}
		return trigger.do(ctx, v)
	}}
}

// refusesTheGone has its API take no event for an endpoint that has answered 410.
func refusesTheGone(s *stage) {
	trigger := s.sender.trigger()
	s.subject.Trigger = action{words: trigger.words, do: func(ctx context.Context, v sender.Values) (sender.Outcome, error) {
		s.sender.mu.Lock()
		gone := s.sender.gone[v.URL]
		s.sender.mu.Unlock()
		if gone {
			return sender.Outcome{Status: 404}, nil
		}
		return trigger.do(ctx, v)
	}}
}

// refusesAfter has it take no more than so many events, that of the preflight among
// them.
func refusesAfter(most int) func(*stage) {
	return func(s *stage) {
		trigger := s.sender.trigger()
		s.subject.Trigger = action{words: trigger.words, do: func(ctx context.Context, v sender.Values) (sender.Outcome, error) {
			if most--; most < 0 {
				return sender.Outcome{Status: 404}, nil
			}
			return trigger.do(ctx, v)
		}}
	}
}

// unremoved does not forget an endpoint when it is told to.
func unremoved(s *stage) {
	s.subject.Remove = action{do: func(context.Context, sender.Values) (sender.Outcome, error) {
		return sender.Outcome{Status: 204}, nil
	}}
}

// breaks spoils the bytes of each first attempt.
func breaks(how func(a *try, b []byte) []byte) func(*stage) {
	return func(s *stage) {
		s.sender.rewrite = func(a *try, b []byte) []byte {
			if a.n > 1 || a.event == 1 {
				return b
			}
			return how(a, b)
		}
	}
}
