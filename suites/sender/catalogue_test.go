package sender_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/resolver"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites/sender"
)

// catalogue runs every built-in case for a sender, as a run does: at the same time,
// but for those that must be alone.
func (s *stage) catalogue() map[string]reports.Result {
	s.Helper()
	j := s.judge()
	var mu sync.Mutex
	results := map[string]reports.Result{}
	run := func(c scenarios.Case) {
		r := j.Run(s.Context(), c)
		mu.Lock()
		defer mu.Unlock()
		results[c.Name()] = r
	}
	var alone []scenarios.Case
	var running sync.WaitGroup
	for _, c := range catalogue(s.T) {
		if j.Exclusive(c) {
			alone = append(alone, c)
			continue
		}
		running.Go(func() { run(c) })
	}
	running.Wait()
	for _, c := range alone {
		run(c)
	}
	return results
}

// obliging is a sender with an API for everything, of which each call succeeds, and
// which does what it is told, as far as a dispatcher can.
func obliging(s *stage) {
	n := 0
	var mu sync.Mutex
	speaksTLS(s)
	s.subject.SecretAt, s.subject.Untrusted, s.subject.Resolver, s.subject.Next = "/secret", true, resolver.New(), nextKeys
	secrets := map[string]profile.Secret{}
	s.subject.Register = action{words: []string{"url", "headers", "events", "client_certificate", "client_key"}, do: func(_ context.Context, v sender.Values) (sender.Outcome, error) {
		if !s.sender.tls.takes(v) {
			return sender.Outcome{Status: 422}, nil
		}
		mu.Lock()
		defer mu.Unlock()
		n++
		secret := fmt.Sprintf("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBka%04dHh8=", n)
		secrets[v.URL] = profile.NewSecret(secret)
		return sender.Outcome{Status: 201, Body: []byte(fmt.Sprintf(`{"secret":%q}`, secret))}, nil
	}}
	does := action{do: func(context.Context, sender.Values) (sender.Outcome, error) { return sender.Outcome{Status: 200}, nil }}
	s.subject.Remove, s.subject.Rotate, s.subject.Restart = does, does, does
	s.sender.mould = func(a *try) {
		mu.Lock()
		defer mu.Unlock()
		a.keys = profile.Keys{"v1": {secrets[a.message.URL]}}
	}
	s.profile.Retry.Jitter, s.sender.gaps = "20%", s.profile.Retry.Schedule
}

func passesOf(results map[string]reports.Result) (passes []string) {
	for _, name := range slices.Sorted(maps.Keys(results)) {
		if results[name].Verdict == reports.Pass {
			passes = append(passes, name)
		}
	}
	return passes
}

// TestDeadSenders runs the catalogue for senders that deliver nothing, whatever their
// API says: nothing may pass.
func TestDeadSenders(t *testing.T) {
	nothing := func(int) bool { return true }
	for name, spoil := range map[string]func(s *stage){
		"delivers nothing":                              func(s *stage) { s.sender.loses = nothing },
		"delivers nothing, and nobody looked before":    func(s *stage) { s.sender.loses, s.blind = nothing, true },
		"has died behind its first delivery":            dies(2),
		"answers the trigger 500":                       func(s *stage) { s.sender.answers.Status = 500 },
		"answers the trigger 500, and nobody looked":    func(s *stage) { s.sender.answers.Status, s.blind = 500, true },
		"refuses every registration":                    registers(func(string) int { return 422 }),
		"refuses every registration, and nobody looked": with(registers(func(string) int { return 422 }), func(s *stage) { s.blind = true }),
		"refuses every registration but the first":      registers(afterFirst(422)),
		"cannot be reached": func(s *stage) {
			s.subject.Register = action{words: []string{"url"}, do: func(context.Context, sender.Values) (sender.Outcome, error) { return sender.Outcome{}, errRefused }}
			s.blind = true
		},
		"delivers to another path": func(s *stage) {
			s.blind = true
			s.sender.edit = func(a *try) { a.request.Target = "/hook" }
		},
		"delivers garbage": func(s *stage) {
			s.blind = true
			s.sender.rewrite = func(_ *try, b []byte) []byte { return append([]byte("\x16\x03\x01"), b...) }
		},
		"delivers heads without bodies": func(s *stage) {
			s.blind = true
			s.sender.rewrite = func(_ *try, b []byte) []byte { return b[:len(b)-20] }
		},
	} {
		t.Run(name, func(t *testing.T) {
			onStage(t, func(s *stage) {
				obliging(s)
				budget(20 * time.Second)(s)
				spoil(s)
				results := s.catalogue()
				passes := passesOf(results)
				t.Logf("false passes %d of %d", len(passes), len(results))
				for _, name := range passes {
					t.Errorf("%s passes: %s", name, exchanges(results[name]))
				}
			})
		})
	}
}

// TestCarelessSenders runs the catalogue for senders that do the least that there is:
// what they pass, they have to have deserved. A case that is about further attempts is
// not passed without any, but for those in which none is right as well.
func TestCarelessSenders(t *testing.T) {
	t.Run("delivers once, and never looks at an answer", func(t *testing.T) {
		onStage(t, func(s *stage) {
			obliging(s)
			s.sender.gaps, s.sender.holds, s.sender.disables = nil, false, false
			always(s)
			s.passesOnly("retries", map[string]string{
				"sender/isolation/failing":                   "the failing endpoint is none of the other's concern, however often it is tried",
				"sender/isolation/dark":                      "the other endpoint is served",
				"sender/tls/silent-handshake-does-not-block": "the other endpoint is served",
				"sender/isolation/retry-does-not-block":      "what is not tried again delays nothing",
				"sender/retry/declared-400":                  "it declares to give up then",
				"sender/retry/non2xx-failure-400":            "it declares to give up then",
				"sender/retry/declared-410":                  "it declares to give up then",
				"sender/retry/410-stops-delivery":            "to stop is what is asked for",
				"sender/retry/removed-endpoint-retries-stop": "nothing comes after the removal",
			})
		})
	})
	t.Run("registers and removes whatever it is told, and does nothing about it", func(t *testing.T) {
		onStage(t, func(s *stage) {
			obliging(s)
			s.passesOnly("registration", map[string]string{
				"sender/isolation/removal":                      "the other endpoint goes on",
				"sender/request/event-filter":                   "what was asked for comes",
				"sender/request/path-verbatim":                  "the path is as it was registered",
				"sender/request/path-unicode":                   "the path is as it was registered",
				"sender/request/query-verbatim":                 "the query is as it was registered",
				"sender/request/target-on-retry":                "the target is as it was registered",
				"sender/signature/secret-strength":              "it invents such secrets",
				"sender/signature/secrets-differ":               "it invents such secrets",
				"sender/signature/issued-secret-signs":          "it signs with them",
				"sender/ssrf/redirect-inside-302":               "it follows no redirect",
				"sender/ssrf/redirect-inside-307":               "it follows no redirect",
				"sender/ssrf/delivered":                         "it delivers",
				"sender/request/custom-header-framing":          "it sends no custom headers at all",
				"sender/request/custom-header-host":             "it sends no custom headers at all",
				"sender/request/custom-header-line-break":       "it sends no custom headers at all",
				"sender/request/custom-header-request-smuggled": "it sends no custom headers at all",
				"sender/request/custom-header-signature":        "it sends no custom headers at all",
			}, "sender/ssrf/dns-", "sender/ssrf/numeric-", "sender/ssrf/unspecified", "sender/ssrf/localhost", "sender/ssrf/mapped", "sender/ssrf/fullwidth", "sender/ssrf/enclosed", "sender/ssrf/userinfo-backslash")
		})
	})
}

// passesOnly runs the catalogue: no case that needs the given capability may pass but
// those that are listed, and those whose names begin so: the stage's network knows
// neither names nor odd forms of addresses, so that nothing is ever connected to.
func (s *stage) passesOnly(need string, deserved map[string]string, unreachable ...string) {
	s.Helper()
	needs := map[string]bool{}
	for _, c := range catalogue(s.T) {
		needs[c.Name()] = slices.Contains(c.Needs, need)
	}
	results := s.catalogue()
	passes := passesOf(results)
	s.Logf("%d of %d pass", len(passes), len(results))
	for _, name := range passes {
		odd := slices.ContainsFunc(unreachable, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		if needs[name] && deserved[name] == "" && !odd {
			s.Errorf("%s passes\n%s", name, exchanges(results[name]))
		}
	}
	for name := range deserved {
		if r, known := results[name]; known && r.Verdict != pass {
			s.Errorf("%s does not pass: %s (%s)", name, r.Verdict, r.Reason)
		}
	}
}

// catalogue is every built-in case.
func catalogue(t testing.TB) (all []scenarios.Case) {
	t.Helper()
	suites, err := scenarios.Load(scenarios.Catalogue, "sender", sender.Vocabulary())
	if err != nil {
		t.Fatal(err)
	}
	for _, suite := range suites {
		all = append(all, suite.Cases...)
	}
	return all
}
