package receiver_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/fixtures/wire/hostile"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites/receiver"
)

// catalogue is every built-in case.
func catalogue(t *testing.T) []scenarios.Case {
	t.Helper()
	suites, err := scenarios.Load(scenarios.Catalogue, "receiver", receiver.Vocabulary())
	if err != nil {
		t.Fatal(err)
	}
	var cases []scenarios.Case
	for _, s := range suites {
		cases = append(cases, s.Cases...)
	}
	return cases
}

// demands tells whether a case, or a step of it, has the expectation.
func demands(c scenarios.Case, expectation string) bool {
	is := func(w scenarios.Word) bool { return w.Name == expectation }
	return slices.ContainsFunc(c.Expect, is) ||
		slices.ContainsFunc(c.Send, func(s scenarios.Step) bool { return slices.ContainsFunc(s.Expect, is) })
}

// sampled says of how many cases one is tried on a target where there is no time for
// all: another on the next.
const sampled = 8

// No case passes against a target that misbehaves, unless what it demands is an
// acceptance and the target really answered 2xx to everything.
func TestHostileTargetsPassNothing(t *testing.T) {
	t.Parallel()
	cases := catalogue(t)
	targets := hostile.Targets()
	var mu sync.Mutex
	var wait sync.WaitGroup
	judged, falsely := 0, 0
	places := make(chan struct{}, 48)
	for n, target := range targets {
		running, err := target.Start()
		if err != nil {
			t.Fatal(err)
		}
		var mine sync.WaitGroup
		for i, c := range cases {
			if c.Serial || c.Measure != "" || !whole() && i%sampled != n%sampled {
				continue
			}
			places <- struct{}{}
			judge := func() {
				defer func() { <-places }()
				r := againstHostile(t, target, running, c)
				mu.Lock()
				defer mu.Unlock()
				judged++
				if r.Verdict == reports.Pass && !mayPass(target, c, r) {
					falsely++
					t.Errorf("%s, a target that %s, passes %s\n%s", target.ID, target.Sentence, c.Name(), exchanges(r))
				}
			}
			mine.Go(judge)
		}
		wait.Go(func() { mine.Wait(); running.Stop() })
	}
	wait.Wait()
	t.Logf("hostile targets survived: %d/%d; false passes: %d of %d", len(targets), len(targets), falsely, judged)
}

// againstHostile judges one case by a subject whose limits are short, so that
// what never answers costs little.
func againstHostile(t *testing.T, target hostile.Target, running hostile.Running, c scenarios.Case) reports.Result {
	s := newStage(t, "standard-webhooks")
	scheme := "http"
	if target.TLS {
		scheme = "https"
	}
	s.at(fmt.Sprintf("%s://%s/hook", scheme, running.Endpoint.Address))
	limits := receiver.Limits{Answer: 60 * time.Millisecond, Slow: 60 * time.Millisecond, Settle: 10 * time.Millisecond, Quiet: time.Millisecond}
	j := receiver.NewJudge(receiver.Subject{
		URL: s.url, Endpoint: running.Endpoint, Profile: s.profile, Keys: s.keys, Limits: limits,
	}, 1, nil)
	return j.Run(t.Context(), c)
}

// mayPass tells of cases that an answer of 2xx to everything rightly passes; of those
// that close a connection on a request which is too large to be read; and of those
// that ask of TLS what a target has whose TLS is sound, if slow: that it denies a
// connection, and did, or that it speaks what it agreed to.
func mayPass(target hostile.Target, c scenarios.Case, r reports.Result) bool {
	answered := slices.Contains(target.Outcomes, wire.Answered) && target.Status/100 == 2
	closed := slices.ContainsFunc(r.Evidence, func(x reports.Exchange) bool {
		return x.Outcome == string(wire.WriteFailed) || x.Outcome == string(wire.WasReset) || x.Outcome == string(wire.Closed)
	})
	denied := target.TLS && slices.ContainsFunc(r.Evidence, func(x reports.Exchange) bool {
		return strings.HasPrefix(x.Label, "delivery") && (x.Outcome == string(wire.Alerted) || x.Outcome == string(wire.Closed))
	})
	return answered && (demands(c, "refused") && closed ||
		(demands(c, "denied") || demands(c, "not-in-clear")) && denied ||
		demands(c, "agreed-protocol") && target.TLS ||
		demands(c, "accepted") || demands(c, "accepted-or") || demands(c, "no-server-error") ||
		demands(c, "same-answer") || demands(c, "no-leak") || demands(c, "no-cookie"))
}

// What a target sends is held only in part.
func TestHostileTargetsCostLittleMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c := parseCase(t, valid)
	large := []string{"T10", "T11", "T12", "T15", "T22", "T23", "T25", "T49a", "T49b"} // endless, huge or a bomb
	for _, target := range hostile.Targets() {
		i := slices.Index(large, target.ID)
		if i < 0 {
			continue
		}
		large = slices.Delete(large, i, i+1)
		running, err := target.Start()
		if err != nil {
			t.Fatal(err)
		}
		againstHostile(t, target, running, c)
		running.Stop()
	}
	if len(large) > 0 {
		t.Errorf("there are no targets %q", large)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 256<<20 {
		t.Errorf("%d MiB were allocated, want at most 256", grown>>20)
	}
}
