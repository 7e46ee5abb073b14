package sender_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire/hostile"
	"github.com/hookanvil/hookanvil/reports"
)

// onLoopback plays on the machine's own network and clock, and so with short gaps.
func onLoopback(t *testing.T) *stage {
	t.Helper()
	s := newStage(t, "standard-webhooks")
	s.net.real, s.subject.Open = true, nil
	s.subject.Limits.Budget, s.subject.Limits.Arrival, s.subject.Limits.Slack = 20*time.Second, 10*time.Second, 300*time.Millisecond
	short := []time.Duration{200 * time.Millisecond, 300 * time.Millisecond, 400 * time.Millisecond}
	s.profile.Retry = &profile.Retry{Schedule: short, GivesUpOn: []int{400, 410}, Stops: []int{410}, RetryAfter: "honoured"}
	s.profile.Delivery.Deadline = time.Second
	s.sender.gaps, s.sender.deadline = short, time.Second
	t.Cleanup(s.end)
	return s
}

func arrival(d time.Duration) func(*stage) {
	return func(s *stage) { s.subject.Limits.Arrival = d }
}

// TestConnections judges what becomes of connections that are refused, reset and
// closed: what the stage's own network cannot show.
func TestConnections(t *testing.T) {
	t.Parallel()
	rows := []verdict{
		{"an outage", "endpoints: [{name: main, dark: 300ms}]\ntrigger: {times: 3}\nexpect: delivered", nil, pass, ""},
		{"an outage that the events do not survive", "endpoints: [{name: main, dark: 300ms}]\ntrigger: {times: 3}\nexpect: delivered", with(arrival(time.Second), gaps()), fail, "did not arrive"},
		{"a reset at the connection", "trigger: once\nrespond: [reset-at-connect, 200]\nexpect: delivered", nil, pass, ""},
		{"a reset at the connection that is the end", "trigger: once\nrespond: [reset-at-connect, 200]\nexpect: delivered", with(arrival(time.Second), gaps()), fail, "nothing arrived"},
		{"a reset", "trigger: once\nrespond: [reset, 200]\nexpect: [{attempts: 2}, {same: [id, body]}]", nil, pass, ""},
		{"a reset that is the end", "trigger: once\nrespond: [reset, 200]\nexpect: {attempts: 2}", gaps(), fail, "1 attempt was made"},
		{"a reset within the body", "trigger: once\nrespond: [reset-in-body, 200]\nexpect: {attempts: 2}", nil, pass, ""},
		{"a reset within the body, taken for success", "trigger: once\nrespond: [reset-in-body, 200]\nexpect: {attempts: 2}", always, fail, "1 attempt was made"},
		{"an answer before the body", "trigger: once\nrespond: early\nexpect: {attempts: 1}", nil, pass, ""},
		{"no answer", hangYAML + "expect: ended", nil, pass, ""},
		{"no answer, and no end", hangYAML + "expect: ended", func(s *stage) { s.sender.deadline = 0 }, fail, "is the most"},
		{"patience", "trigger: once\nrespond: {status: 200, delay: 80%}\nexpect: patient", nil, pass, ""},
		{"little patience", "trigger: once\nrespond: {status: 200, delay: 80%}\nexpect: patient", func(s *stage) { s.sender.deadline = 400 * time.Millisecond }, fail, "did not wait"},
		{"much to read", "trigger: once\nrespond: {way: {huge-body: 40}}\nexpect: {reads-at-most: 33554432}", nil, pass, ""},
		{"much to read, and all of it", "trigger: once\nrespond: {way: {huge-body: 40}}\nexpect: {reads-at-most: 33554432}", func(s *stage) { s.sender.reads, s.sender.deadline = 1<<30, 20*time.Second }, fail, "40.0 MiB"},
		{"a canary", "endpoints: [{name: main}, {name: canary, canary: true, address: loopback}]\ntrigger: once\nrespond: {status: 307, headers: {Location: \"{canary}\"}}\nexpect: canary-silent", nil, pass, ""},
		{"a canary that is knocked at", "endpoints: [{name: main}, {name: canary, canary: true, address: loopback}]\ntrigger: once\nrespond: {status: 307, headers: {Location: \"{canary}\"}}\nexpect: canary-silent",
			func(s *stage) { s.sender.follows = "knock" }, fail, "connected there 4 times"},
	}
	var running sync.WaitGroup
	for _, row := range rows {
		s := onLoopback(t)
		if row.spoil != nil {
			row.spoil(s)
		}
		running.Go(func() {
			r := s.run(row.yaml)
			if r.Verdict != row.want {
				t.Errorf("%s:", row.name)
			}
			want(t, r, row.want, row.reason)
		})
	}
	running.Wait()
}

// TestHostileSenders attacks a judge while it judges: nothing of it is taken for a
// delivery, honest deliveries are served, and verdicts stay as they are.
func TestHostileSenders(t *testing.T) {
	t.Parallel()
	s := onLoopback(t)
	l := &ledger{}
	s.observe = l.note
	var mu sync.Mutex
	var served []time.Duration
	victims := make(chan string, 1000)
	s.sender.mould = func(a *try) {
		if a.n == 1 && a.message.Event == "case.victim" {
			victims <- mustURL(a.url).Path
		}
	}
	s.sender.timing = func(took time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		served = append(served, took)
	}
	j := s.judge()
	address := netip.MustParseAddrPort(mustURL(j.URL()).Host)
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()

	victim := parseCase(t, "trigger: {event: case.victim}\nrespond: [503, {status: 503, headers: {Retry-After: \"3\"}}, 200]\nexpect: [{attempts: 3}, {same: [id, body]}, signed, delivered]")
	victim.ID = "case-victim"
	var running sync.WaitGroup
	var result reports.Result
	running.Go(func() { result = j.Run(context.Background(), victim) })
	path := <-victims // of an endpoint at which a case is under way
	attackers := 0
	var attacks sync.WaitGroup
	for _, h := range hostile.Senders {
		if h.TLS {
			continue // no endpoint of a run speaks it
		}
		attackers++
		h = h.Scaled(200)
		attacks.Go(func() { h.Attack(ctx, address, "/hk0123456789abcdef01234567") })
		if h.Deliveries == 0 {
			attacks.Go(func() { h.Attack(ctx, address, path) })
		}
	}
	cases := 0
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for ctx.Err() == nil {
		<-pace.C
		c := parseCase(t, "trigger: {times: 5}\nrespond: 200\nexpect: [delivered, signed, {unique: [id]}]")
		c.ID = fmt.Sprint("case-honest-", cases)
		c.Trigger[0].Event = typeOf(c.Name())
		want(t, j.Run(context.Background(), c), pass, "")
		cases++
	}
	running.Wait()
	s.end()
	attacks.Wait()
	want(t, result, pass, "")
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(served)
	nearly := served[len(served)*95/100]
	t.Logf("%d hostile senders, %d honest cases: phantom deliveries %d of %d, honest ones served within %s (95 of 100), %s (all)",
		attackers, cases, len(l.misplaced), l.attempts, nearly, served[len(served)-1])
	if len(l.misplaced) > 0 {
		t.Error(l.misplaced[0])
	}
	if l.attempts != 5*cases+3 {
		t.Errorf("%d attempts were recorded, want %d", l.attempts, 5*cases+3)
	}
	// The race detector's time, and so that of the short run that it is used in, says nothing.
	if nearly > 100*time.Millisecond && !testing.Short() {
		t.Errorf("an honest delivery took %s", nearly)
	}
}
