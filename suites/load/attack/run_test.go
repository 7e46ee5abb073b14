package attack_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites/load/attack"
)

// verifier is a receiver that refuses what its profile refuses, and takes every id
// once.
type verifier struct {
	profile *profile.Profile
	keys    profile.Keys
	url     *url.URL

	mu      sync.Mutex
	effects map[string]int
	reasons map[profile.Reason]int
	longest int
	broken  int // bodies that are no JSON
}

func (v *verifier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	in := profile.Incoming{Method: r.Method, URL: v.url.String(), Body: body}
	for name, values := range r.Header {
		for _, value := range values {
			in.Headers.Add(name, value)
		}
	}
	got, err := v.profile.Verify(in, v.keys, time.Now())
	v.mu.Lock()
	defer v.mu.Unlock()
	v.longest = max(v.longest, len(body))
	if end := bytes.TrimSpace(body); !bytes.HasSuffix(end, []byte("}")) && !bytes.HasSuffix(end, []byte("}]")) {
		v.broken++
	}
	if err != nil {
		var refusal *profile.Refusal
		if errors.As(err, &refusal) {
			v.reasons[refusal.Reason]++
		}
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	v.effects[got.ID]++
}

func verify(t testing.TB, name string) (*verifier, attack.Target) {
	v := &verifier{effects: map[string]int{}, reasons: map[profile.Reason]int{}}
	s := httptest.NewServer(v)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL + "/hook?a=b")
	if err != nil {
		t.Fatal(err)
	}
	target := at(t, u, name)
	v.profile, v.keys, v.url = target.Profile, target.Keys, u
	return v, target
}

func classOf(t testing.TB, m reports.Measurement, c attack.Class) reports.Traffic {
	t.Helper()
	for _, tr := range m.Classes {
		if tr.Class == string(c) {
			return tr
		}
	}
	t.Fatalf("no hit of class %s was sent", c)
	return reports.Traffic{}
}

// Under every profile, each class is what it says: a receiver that verifies takes what
// is honest and refuses the rest, for the right reason.
func TestClasses(t *testing.T) {
	for _, name := range profiles.Sample() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, target := verify(t, name)
			if !target.Profile.Signed() {
				t.Skip("nothing of it can be forged")
			}
			mix := attack.Mix{}
			for _, c := range attack.Classes {
				mix[c] = 1
				if c == attack.Stale && !target.Profile.Ages() || c == attack.Tampered && !target.Profile.BodySigned() || c == attack.Duplicate && target.Profile.ID == nil {
					delete(mix, c)
				}
			}
			stage := attack.Constant(800, 500*time.Millisecond)
			stage.Mix = mix
			p := stages(stage)
			p.Bodies = attack.Bodies{Oversize: 100_000}
			var sampled []attack.Delivery
			m := run(t, target, p, attack.Options{Sample: 20, Sampled: func(d []attack.Delivery) { sampled = d }})
			if m.Total.Planned != 400 || m.Total.Sent != 400 {
				t.Errorf("%d hits were planned and %d sent, want 400", m.Total.Planned, m.Total.Sent)
			}
			for c := range mix {
				got := classOf(t, m, c)
				good := c == attack.Honest || c == attack.Oversized || c == attack.Replayed || c == attack.Duplicate
				if n := map[bool]int64{true: got.Accepted, false: got.Refused}[good]; n != got.Planned || n == 0 {
					t.Errorf("%s: %+v", c, got)
				}
			}
			if v.reasons[profile.Missing] == 0 || v.reasons[profile.Mismatch] == 0 || (v.reasons[profile.Stale] > 0) != (mix[attack.Stale] > 0) {
				t.Errorf("refused for %v", v.reasons)
			}
			if v.longest != 100_000 || v.broken > 0 {
				t.Errorf("the largest body had %d bytes, and %d were broken", v.longest, v.broken)
			}
			honest := classOf(t, m, attack.Honest).Accepted + classOf(t, m, attack.Oversized).Accepted
			if target.Profile.ID != nil && int64(len(v.effects)) != honest {
				t.Errorf("%d ids were accepted of %d deliveries", len(v.effects), honest)
			}
			seen := map[attack.Class]int{}
			for _, d := range sampled {
				seen[d.Class]++
				if target.Profile.ID != nil && d.Outcome == "accepted" && v.effects[d.Token] == 0 {
					t.Errorf("%s delivery %s of the sample had no effect", d.Class, d.Token)
				}
			}
			for c, n := range seen {
				if n == 0 || n > 20 || n < 20 && int64(n) != classOf(t, m, c).Planned {
					t.Errorf("%d of class %s are in the sample", n, c)
				}
			}
		})
	}
}

// The same seed plans the same deliveries, whoever sends them and when.
func TestSameSeedSameDeliveries(t *testing.T) {
	ids := func() map[string]int {
		v, target := verify(t, "svix")
		stage := attack.Constant(300, 500*time.Millisecond)
		stage.Mix = attack.Mix{attack.Honest: 1, attack.Forged: 1}
		run(t, target, stages(stage), attack.Options{})
		return v.effects
	}
	first, second := ids(), ids()
	if len(first) != len(second) || len(first) < 40 {
		t.Fatalf("%d and %d deliveries", len(first), len(second))
	}
	for id := range first {
		if second[id] != 1 {
			t.Errorf("the second run has not sent %s", id)
		}
	}
}

// A schedule is kept, and the whole of it is.
func TestPacing(t *testing.T) {
	for _, c := range []struct {
		stage attack.Stage
		hits  int64
	}{
		{attack.Constant(2000, time.Second), 2000},
		{attack.Constant(0.5, 2*time.Second), 1},
		{attack.Ramp(0, 1000, time.Second), 500},
		{attack.Ramp(1000, 0, time.Second), 500},
		{attack.Steps(100, 500, 4, time.Second), 350},
		{attack.Sine(500, 300, time.Second, time.Second), 500},
	} {
		t.Run(c.stage.Words, func(t *testing.T) {
			t.Parallel()
			u := server(t, func(conn net.Conn) { answerAll(conn, func(int) []byte { return ok }) })
			var due []time.Time
			m := run(t, at(t, u, "github"), stages(c.stage), attack.Options{Results: func(r *vegeta.Result) { due = append(due, r.Timestamp) }})
			if (m.Total.Planned-c.hits)*(m.Total.Planned-c.hits) > 1 || m.Total.Accepted != m.Total.Planned || int64(len(due)) != m.Total.Planned {
				t.Errorf("%d hits were due, %d accepted and %d told of; want %d", m.Total.Planned, m.Total.Accepted, len(due), c.hits)
			}
			for _, d := range due {
				if at := d.Sub(m.Started); at < 0 || at > c.stage.For {
					t.Errorf("a hit was due after %s", at)
				}
			}
			if took := m.Ended.Sub(m.Started); took < c.stage.For {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// stallOnce is a server that answers nobody for some time, once.
func stallOnce(t *testing.T, after, stall time.Duration) *url.URL {
	begun := time.Now()
	return server(t, func(c net.Conn) {
		answerAll(c, func(int) []byte {
			if since := time.Since(begun); since > after && since < after+stall {
				time.Sleep(after + stall - since)
			}
			return ok
		})
	})
}

// Who stalls is slow for all that should have been sent meanwhile: of n hits that were
// due in a stall of length s the latencies are even from s down to nothing.
func TestKnownStall(t *testing.T) {
	t.Parallel()
	const rate, stall = 500, 400 * time.Millisecond
	for try := 0; ; try++ {
		u := stallOnce(t, 500*time.Millisecond, stall)
		p := stages(attack.Constant(rate, 3*time.Second))
		p.Connections = 16 // far fewer than are due meanwhile
		m := run(t, at(t, u, "github"), p, attack.Options{})
		got := m.Total.Latency["accepted"]
		// A latency above x has the share (stall-x)/3s.
		want := map[string][2]float64{
			"p99":   {got.P99, 400 - 0.01*3000},
			"p99.9": {got.P999, 400 - 0.001*3000},
			"p95":   {got.P95, 400 - 0.05*3000},
			"max":   {got.Max, 400},
		}
		off := ""
		for name, v := range want {
			if math.Abs(v[0]-v[1]) > 0.05*v[1] {
				off += fmt.Sprintf("%s is %.1f ms, want %.1f; ", name, v[0], v[1])
			}
		}
		if m.Generator.Waited < 100 {
			off += fmt.Sprintf("%d hits waited", m.Generator.Waited)
		}
		if service := m.Total.Service["accepted"]; service.P95 > 100 {
			off += fmt.Sprintf("the service time hides no stall: %+v", service)
		}
		if off == "" {
			return
		}
		if try == 3 {
			t.Fatal(off)
		}
		t.Logf("again: %s", off)
	}
}

// One short stall shows in p99.9 as it must.
func TestShortStall(t *testing.T) {
	t.Parallel()
	for try := 0; ; try++ {
		u := stallOnce(t, 300*time.Millisecond, 200*time.Millisecond)
		m := run(t, at(t, u, "github"), stages(attack.Constant(500, 2*time.Second)), attack.Options{})
		got := m.Total.Latency["accepted"].P999
		if want := 200 - 0.001*2000; math.Abs(got-want) < 0.05*want {
			return
		}
		if try == 3 {
			t.Fatalf("p99.9 is %.1f ms", got)
		}
	}
}

// Connections that are reset are errors, and are fast; the latency of what is accepted
// is not.
func TestResetsDoNotFlatter(t *testing.T) {
	t.Parallel()
	u := server(t, func(c net.Conn) {
		var n atomic.Int64
		r := bufio.NewReader(c)
		defer c.Close()
		for {
			if _, err := readRequest(r); err != nil {
				return
			}
			if n.Add(1)%2 == 0 {
				c.(*net.TCPConn).SetLinger(0)
				return
			}
			time.Sleep(20 * time.Millisecond)
			c.Write(ok)
		}
	})
	m := run(t, at(t, u, "github"), stages(attack.Constant(300, time.Second)), attack.Options{})
	if n := m.Total.Errors["reset"]; n < 50 || m.Total.Accepted < 50 || n+m.Total.Accepted != m.Total.Planned {
		t.Errorf("%+v", m.Total)
	}
	if got := m.Total.Latency["accepted"]; got.P50 < 20 || got.Min < 20 {
		t.Errorf("the latency of what was accepted is flattered: %+v", got)
	}
}

// Every way in which a hit can fail has its kind.
func TestErrorKinds(t *testing.T) {
	answers := func(text string, then func(net.Conn)) func(net.Conn) {
		return func(c net.Conn) {
			defer c.Close()
			if _, err := readRequest(bufio.NewReader(c)); err != nil {
				return
			}
			io.WriteString(c, text)
			if then != nil {
				then(c)
			}
		}
	}
	wait := func(c net.Conn) { io.Copy(io.Discard, c) }
	for _, c := range []struct {
		name, kind string
		serve      func(net.Conn)
	}{
		{"reset", "reset", answers("", func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) })},
		{"reset in the answer", "reset", answers("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", func(c net.Conn) {
			time.Sleep(20 * time.Millisecond)
			c.(*net.TCPConn).SetLinger(0)
		})},
		{"no answer", "timeout", answers("", wait)},
		{"half an answer", "timeout", answers("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", wait)},
		{"closed", "short-read", answers("", nil)},
		{"closed in the head", "short-read", answers("HTTP/1.1 200 OK\r\n", nil)},
		{"closed in the body", "short-read", answers("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", nil)},
		{"closed in a chunk", "short-read", answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", nil)},
		{"another protocol", "bad-answer", answers("220 smtp.example.com ESMTP\r\n", wait)},
		{"no length", "bad-answer", answers("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", wait)},
		{"no chunk", "bad-answer", answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", wait)},
		{"switching", "bad-answer", answers("HTTP/1.1 101 Switching\r\n\r\n", wait)},
		{"an endless head", "bad-answer", answers("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 70_000)+"\r\n\r\n", wait)},
		{"an endless interim", "bad-answer", answers(strings.Repeat("HTTP/1.1 103 Early\r\n\r\n", 20), wait)},
		{"no TLS", "tls", nil},
		{"nobody", "refused", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			serve := c.serve
			if serve == nil {
				serve = answers("HTTP/1.1 400 Bad\r\n\r\n", nil)
			}
			target := at(t, server(t, serve), "github")
			switch c.kind {
			case "tls":
				target.URL.Scheme = "https"
				target = at(t, target.URL, "github")
			case "refused":
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				l.Close()
				target = at(t, &url.URL{Scheme: "http", Host: l.Addr().String()}, "github")
			}
			p := stages(attack.Constant(20, 250*time.Millisecond))
			p.Timeout = 300 * time.Millisecond
			m := run(t, target, p, attack.Options{})
			if m.Total.Planned != 5 || m.Total.Errors[c.kind] != 5 {
				t.Errorf("%+v; %v", m.Total, m.Notes)
			}
			if !strings.Contains(strings.Join(m.Notes, "\n"), fmt.Sprintf("the first of 5 hits that ended in %q: ", c.kind)) {
				t.Errorf("the notes do not say why: %q", m.Notes)
			}
		})
	}
}

// A target that leaves every connection waiting is slow; the run is none the worse for
// it.
func TestSlowTargetIsNotInvalid(t *testing.T) {
	u := server(t, func(c net.Conn) {
		answerAll(c, func(int) []byte {
			time.Sleep(300 * time.Millisecond)
			return ok
		})
	})
	p := stages(attack.Constant(200, time.Second))
	p.Connections, p.Timeout = 4, 400*time.Millisecond
	for try := 0; ; try++ {
		m := run(t, at(t, u, "github"), p, attack.Options{})
		if m.Total.Errors["unsent"] < 100 || m.Generator.Dropped != m.Total.Errors["unsent"] || m.Total.Latency["error"].Min < 400 {
			t.Fatalf("%+v", m.Total)
		}
		if len(m.Invalid) == 0 {
			return
		}
		if try == 3 {
			t.Fatalf("%q", m.Invalid)
		}
	}
}

// The latency of a second is that of all its classes together.
func TestSecondsOfSeveralClasses(t *testing.T) {
	t.Parallel()
	u := server(t, func(c net.Conn) { answerAll(c, func(int) []byte { return ok }) })
	p := stages(attack.Constant(200, time.Second))
	p.Stages[0].Mix = attack.Mix{attack.Honest: 1, attack.Forged: 1}
	m := run(t, at(t, u, "github"), p, attack.Options{})
	s := m.Series[0]
	honest, forged := s.Classes["honest"], s.Classes["forged"]
	if honest.Accepted < 20 || forged.Accepted < 20 || s.P50 <= 0 || s.P99 < min(honest.P99, forged.P99) || s.P99 > max(honest.P99, forged.P99) || s.Max < s.P99 {
		t.Errorf("%+v", s)
	}
}

func TestClosedModel(t *testing.T) {
	t.Parallel()
	u := server(t, func(c net.Conn) {
		answerAll(c, func(int) []byte {
			time.Sleep(5 * time.Millisecond)
			return ok
		})
	})
	p := attack.Plan{Closed: true, Connections: 4, Stages: []attack.Stage{attack.Closed(500 * time.Millisecond), attack.Closed(500 * time.Millisecond)}}
	m := run(t, at(t, u, "github"), p, attack.Options{})
	if m.Model != "closed" || m.Total.Accepted != m.Total.Planned || m.Total.Planned < 100 || m.Total.Planned > 800 || m.Generator.Dials != 4 {
		t.Errorf("%s: %+v, %d dials", m.Model, m.Total, m.Generator.Dials)
	}
	// A hit is due when it is begun.
	if got, want := m.Total.Service["accepted"], m.Total.Latency["accepted"]; got != want || got.Count != m.Total.Accepted || got.P50 < 5 {
		t.Errorf("service %+v, latency %+v", got, want)
	}
	for _, s := range m.Stages {
		if s.Total.Accepted < 50 {
			t.Errorf("stage %s: %+v", s.Name, s.Total)
		}
	}
}

// A connection that the peer closes between two requests is opened anew, and nothing
// is sent twice.
func TestStaleConnections(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	u := server(t, func(c net.Conn) {
		answerAll(c, func(n int) []byte {
			requests.Add(1)
			time.AfterFunc(2*time.Millisecond, func() { c.Close() })
			return ok
		})
	})
	p := stages(attack.Constant(50, time.Second))
	m := run(t, at(t, u, "github"), p, attack.Options{})
	// On a busy machine a connection may be closed while a request is on its way.
	if m.Total.Accepted < 45 || requests.Load() > 50 || m.Generator.Dials < 45 {
		t.Errorf("%+v, %d requests, %d dials", m.Total, requests.Load(), m.Generator.Dials)
	}
}

// One that closes each connection behind its answer and does not say so is found out: as
// fast as is answered, few hits meet a connection that is about to be closed.
func TestSilentlyClosedConnections(t *testing.T) {
	t.Parallel()
	u := server(t, func(c net.Conn) {
		defer c.Close()
		if _, err := readRequest(bufio.NewReader(c)); err == nil {
			_, _ = c.Write(ok)
		}
	})
	p := attack.Plan{Closed: true, Connections: 4, Timeout: 5 * time.Second, Stages: []attack.Stage{attack.Closed(500 * time.Millisecond)}}
	m := run(t, at(t, u, "github"), p, attack.Options{})
	if m.Total.Accepted < 20 || m.Total.Accepted*10 < m.Total.Planned*7 {
		t.Errorf("%d of %d accepted: %v", m.Total.Accepted, m.Total.Planned, m.Total.Errors)
	}
	t.Logf("%d of %d accepted: %v", m.Total.Accepted, m.Total.Planned, m.Total.Errors)
}

// A peer that has closed its half of a connection and goes on reading, as servers do
// lest their answer is lost, is not waited for.
func TestHalfClosedConnections(t *testing.T) {
	t.Parallel()
	for answers, want := range map[int]func(reports.Traffic) int64{
		0: func(t reports.Traffic) int64 { return t.Errors["short-read"] },
		1: func(t reports.Traffic) int64 { return t.Accepted },
	} {
		u := server(t, func(c net.Conn) {
			defer c.Close()
			r := bufio.NewReader(c)
			for range answers {
				if _, err := readRequest(r); err != nil {
					return
				}
				_, _ = c.Write(ok)
			}
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		})
		p := stages(attack.Constant(50, time.Second))
		p.Timeout = 5 * time.Second
		m := run(t, at(t, u, "github"), p, attack.Options{})
		// On a busy machine the half may be closed while a request is on its way.
		if want(m.Total) < 45 || m.Total.Errors["timeout"] > 0 || m.Generator.Dials < 45 {
			t.Errorf("after %d answers: %+v", answers, m.Total)
		}
	}
}

// Every hit has its own time to be answered, whatever those before it have used of
// theirs.
func TestTimeoutOfEachHit(t *testing.T) {
	t.Parallel()
	const slow, timeout = 300 * time.Millisecond, 800 * time.Millisecond
	for try := 0; ; try++ {
		u := server(t, func(c net.Conn) {
			answerAll(c, func(n int) []byte {
				if n == 4 {
					_, _ = io.Copy(io.Discard, c)
				}
				time.Sleep(slow)
				return ok
			})
		})
		// The second to the fourth are under way when it is over for the first.
		p := attack.Plan{Closed: true, Connections: 1, Timeout: timeout, Stages: []attack.Stage{attack.Closed(4*slow + timeout/2)}}
		m := run(t, at(t, u, "github"), p, attack.Options{})
		got := m.Total.Service["error"]
		if m.Total.Accepted == 4 && m.Total.Errors["timeout"] == 1 && got.Min >= 800 && got.Max < 1000 && m.Generator.Dials == 1 {
			return
		}
		if try == 3 {
			t.Fatalf("%+v; %+v", m.Total, got)
		}
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	u := server(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(300*time.Millisecond, cancel)
	begun := time.Now()
	m, err := attack.Run(ctx, at(t, u, "github"), stages(attack.Constant(1000, time.Minute)), attack.Options{})
	if took := time.Since(begun); err != nil || took > 1300*time.Millisecond || m.State != reports.Interrupted {
		t.Errorf("%s after %s, %v", m.State, took, err)
	}
	if len(m.Total.Errors) > 0 {
		t.Errorf("what was interrupted is held against the target: %+v", m.Total)
	}
}

func TestWatchAndAbort(t *testing.T) {
	t.Parallel()
	u := server(t, func(c net.Conn) {
		answerAll(c, func(int) []byte { return []byte("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n") })
	})
	shown := 0
	m := run(t, at(t, u, "github"), stages(attack.Constant(200, 10*time.Second)), attack.Options{
		Watch: func(s attack.Snapshot) { shown++ },
		Abort: func(s attack.Snapshot) string {
			if whole := s.Measurement(); whole.Total.Unavailable > 50 && s.Total.Unavailable > 0 && s.Left > 0 {
				return "it is overloaded"
			}
			return ""
		},
	})
	if m.State != reports.Aborted || shown == 0 || m.Ended.Sub(m.Started) > 5*time.Second || !strings.Contains(strings.Join(m.Notes, ""), "it is overloaded") {
		t.Errorf("%s, %v, shown %d times", m.State, m.Notes, shown)
	}
}

// What an answer amounts to can be said by status and body.
func TestPredicates(t *testing.T) {
	t.Parallel()
	u := server(t, func(c net.Conn) {
		answerAll(c, func(n int) []byte {
			return []byte(map[bool]string{true: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"}[n%2 == 0])
		})
	})
	target := at(t, u, "github")
	target.Reject = []wire.Predicate{{From: 200, To: 200, Body: "no"}}
	p := stages(attack.Constant(100, time.Second))
	p.Connections = 1
	m := run(t, target, p, attack.Options{})
	if m.Total.Accepted != 50 || m.Total.Refused != 50 {
		t.Errorf("%+v", m.Total)
	}
}
