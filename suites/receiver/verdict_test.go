package receiver_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
)

const (
	valid  = "send: {}\nexpect: accepted"
	forged = "send: {mutate: {key: wrong}}\nexpect: rejected"
	replay = "send: [{as: first}, {replay: first}]\nexpect: {effects: 1}"
)

func status(code int) func(http.ResponseWriter, bool, []byte) {
	return func(w http.ResponseWriter, _ bool, _ []byte) { w.WriteHeader(code) }
}

func honest(w http.ResponseWriter, authentic bool, _ []byte) {
	if !authentic {
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func TestCorrectReceiverPasses(t *testing.T) {
	for _, name := range []string{"standard-webhooks", "svix", "github", "stripe", "slack", "shopify"} {
		s := newStage(t, name).serve(honest)
		want(t, s.run(valid), reports.Pass, "")
		want(t, s.run(forged), reports.Pass, "")
	}
}

// The four targets that a careless judge passes.
func TestTargetsThatNeverPass(t *testing.T) {
	down := httptest.NewServer(nil)
	down.Close()
	cases := []struct {
		name          string
		stage         *stage
		valid, forged reports.Verdict
		why           string // of the forged case
	}{
		{"down", newStage(t, "stripe").at(down.URL), reports.Inconclusive, reports.Inconclusive, "connection failed"},
		{"answers 404", newStage(t, "stripe").serve(status(404)), reports.Fail, reports.Inconclusive, "404"},
		{"rejects everything", newStage(t, "stripe").serve(status(401)), reports.Fail, reports.Inconclusive, "the honest delivery before it was not accepted"},
		{"accepts everything", newStage(t, "stripe").serve(status(200)), reports.Pass, reports.Fail, "it was accepted"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			want(t, c.stage.run(valid), c.valid, "")
			want(t, c.stage.run(forged), c.forged, c.why)
		})
	}
}

func TestDownTargetEndsTheRunAtOnce(t *testing.T) {
	down := httptest.NewServer(nil)
	down.Close()
	j := newStage(t, "stripe").at(down.URL).judge()
	if notes := j.Preflight(t.Context()); len(notes) != 1 {
		t.Fatalf("notes %q, want one that says the target is down", notes)
	}
	r := j.Run(t.Context(), parseCase(t, forged))
	want(t, r, reports.Inconclusive, "could not be reached when the run began")
	if len(r.Evidence) != 0 {
		t.Errorf("%d exchanges with a target known to be down", len(r.Evidence))
	}
}

// A forgery answered with any status at all, between accepted controls.
func TestStatusOfARefusal(t *testing.T) {
	expected := func(code int) reports.Verdict {
		switch {
		case code < 100 || code > 599, code/100 == 1:
			return reports.Inconclusive
		case code/100 == 2, code/100 == 5:
			return reports.Fail
		case code == 400, code == 401, code == 403, code == 422:
			return reports.Pass
		}
		return reports.Inconclusive
	}
	forgeries := []string{
		"key: wrong", "key: empty", "signature: missing", "signature: empty", "signature: {truncated: 8}",
		"signature: prefix-only", "body: flip-bit", "timestamp: stale", "unsigned: entirely", "id: altered",
	}
	s := newStage(t, "standard-webhooks")
	s.limits.Answer = 150 * time.Millisecond
	var code atomic.Int64
	s.serveRaw(func(authentic bool) string {
		if authentic {
			return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
		}
		return fmt.Sprintf("HTTP/1.1 %03d Whatever\r\nContent-Length: 0\r\n\r\n", code.Load())
	})
	j := s.judge()
	judged := 0
	for c := 100; c < 600; c++ {
		for i, mutation := range forgeries {
			if c < 200 && i > 0 {
				break // an interim status is no answer, and waiting for one takes its time
			}
			if c >= 200 && !whole() && i != c%len(forgeries) {
				continue
			}
			code.Store(int64(c))
			r := j.Run(t.Context(), parseCase(t, "send: {mutate: {"+mutation+"}}\nexpect: rejected"))
			if r.Verdict != expected(c) {
				t.Errorf("%s answered %d: verdict %s (%s), want %s", mutation, c, r.Verdict, r.Reason, expected(c))
			}
			judged++
		}
	}
	for _, c := range []int64{0, 600, 999} {
		code.Store(c)
		want(t, j.Run(t.Context(), parseCase(t, forged)), reports.Inconclusive, "")
		judged++
	}
	t.Logf("statuses judged as they should be: %d", judged)
}

// serveRaw writes the answer itself, so that it need not be proper HTTP. An empty
// answer closes the connection.
func (s *stage) serveRaw(answer func(authentic bool) string) *stage {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { l.Close() })
	s.at("http://" + l.Addr().String() + "/hook")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err != nil {
					return
				}
				body := make([]byte, r.ContentLength)
				if _, err := io.ReadFull(r.Body, body); err == nil {
					fmt.Fprint(c, answer(s.authentic(r, body)))
				}
			}()
		}
	}()
	return s
}

func TestNoAnswerIsNoRefusal(t *testing.T) {
	s := newStage(t, "github").serveRaw(func(authentic bool) string {
		if authentic {
			return "HTTP/1.1 204 No Content\r\n\r\n"
		}
		return ""
	})
	want(t, s.run(forged), reports.Inconclusive, "closed before response")
}

// A target that dies of a forgery did not refuse it.
func TestTargetThatDies(t *testing.T) {
	s := newStage(t, "github")
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil || !s.authentic(r, body) {
			server.Listener.Close()
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(server.Close)
	want(t, s.at(server.URL).run(forged), reports.Fail, "stopped serving")
}

// A target that gives up accepting refuses forgeries for the wrong reason.
func TestTargetThatStopsAccepting(t *testing.T) {
	var served atomic.Int64
	s := newStage(t, "github").serve(func(w http.ResponseWriter, authentic bool, _ []byte) {
		if served.Add(1) > 2 || !authentic {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	s.run(valid)
	want(t, s.run(forged), reports.Inconclusive, "the honest delivery after it was not accepted")
}

// One that refuses every second delivery, whatever it is, would refuse each forgery.
func TestTargetThatRefusesEverySecond(t *testing.T) {
	var seen atomic.Int32
	s := newStage(t, "github").serve(func(w http.ResponseWriter, _ bool, _ []byte) {
		if seen.Add(1)%2 == 0 {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	want(t, s.run(forged), reports.Inconclusive, "the honest delivery after it was not accepted")
}

// A positive that is never answered, though honest deliveries are, is a fault;
// one that is answered the second time is not judged.
func TestSilenceBetweenAcceptedControls(t *testing.T) {
	const unicode = "send: {payload: unicode}\nexpect: accepted"
	silentAbout := func(times int64) *stage {
		s := newStage(t, "github")
		var seen atomic.Int64
		return s.serve(func(w http.ResponseWriter, authentic bool, body []byte) {
			for _, c := range body {
				if c >= 0x80 && seen.Add(1) <= times {
					panic(http.ErrAbortHandler)
				} else if c >= 0x80 {
					return
				}
			}
		})
	}
	want(t, silentAbout(1000).run(unicode), reports.Fail, "3 times out of 3")
	want(t, silentAbout(1).run(unicode), reports.Inconclusive, "answered in one attempt and not in another")
}

func TestEffectOutranksStatus(t *testing.T) {
	s := newStage(t, "standard-webhooks")
	m := &memory{keyed: true, counts: map[string]int{}}
	s.probe = m
	actsAnyway := func(w http.ResponseWriter, authentic bool, body []byte) {
		m.counts[string(body)]++
		honest(w, authentic, body)
	}
	s.serve(actsAnyway)
	want(t, s.run(forged), reports.Fail, "yet it took effect once")
	want(t, s.run(replay), reports.Fail, "it took effect 2 times instead of once")
}

func TestUnkeyedProbe(t *testing.T) {
	s := newStage(t, "standard-webhooks")
	m := &memory{}
	s.probe = m
	s.serve(func(w http.ResponseWriter, authentic bool, body []byte) {
		if authentic {
			m.total++
		}
		honest(w, authentic, body)
	})
	if !s.judge().Exclusive(parseCase(t, valid)) {
		t.Error("a probe that knows only a total lets cases run at the same time")
	}
	want(t, s.run(valid), reports.Pass, "")
	want(t, s.run(forged), reports.Pass, "")
	want(t, s.run(replay), reports.Fail, "2 times instead of once")
}

func TestNoEffectIsNotAccepted(t *testing.T) {
	s := newStage(t, "standard-webhooks")
	s.probe = &memory{keyed: true}
	want(t, s.serve(honest).run(valid), reports.Fail, "no effect was seen")
}

func TestWithoutAProbe(t *testing.T) {
	s := newStage(t, "standard-webhooks").serve(honest)
	want(t, s.run(replay), reports.Skip, "--probe-url")
	if r := s.run(valid); !r.StatusOnly {
		t.Error("a verdict without a probe is not marked as resting on statuses alone")
	}
}

func TestLevels(t *testing.T) {
	s := newStage(t, "github").serve(status(200))
	c := parseCase(t, forged)
	c.Level = "should"
	want(t, s.judge().Run(t.Context(), c), reports.Warn, "it was accepted")
}

func TestUsersOwnAnswers(t *testing.T) {
	s := newStage(t, "github").serve(func(w http.ResponseWriter, authentic bool, _ []byte) {
		if !authentic {
			fmt.Fprint(w, "Hook rules were not satisfied.")
		}
	})
	want(t, s.run(forged), reports.Fail, "it was accepted")
	s.answers.Reject = []wire.Predicate{{From: 200, To: 200, Body: "not satisfied"}}
	want(t, s.run(forged), reports.Pass, "")
	want(t, s.run(valid), reports.Pass, "")
}

// A server's error tells a sender to try the forgery again, for days.
func TestServerErrorToAForgery(t *testing.T) {
	s := newStage(t, "github").serve(func(w http.ResponseWriter, authentic bool, _ []byte) {
		if !authentic {
			w.WriteHeader(500)
		}
	})
	want(t, s.run(forged), reports.Fail, "tries the forgery again")
}

func TestClockThatIsOff(t *testing.T) {
	s := newStage(t, "standard-webhooks").serve(func(w http.ResponseWriter, authentic bool, body []byte) {
		w.Header().Set("Date", time.Now().Add(-10*time.Minute).UTC().Format(http.TimeFormat))
		honest(w, authentic, body)
	})
	j := s.judge()
	if notes := j.Preflight(t.Context()); len(notes) != 1 {
		t.Errorf("notes %q, want one about the clock", notes)
	}
	want(t, j.Run(t.Context(), parseCase(t, "send: {mutate: {timestamp: stale}}\nexpect: rejected")), reports.Inconclusive, "clock differs")
	want(t, j.Run(t.Context(), parseCase(t, forged)), reports.Pass, "")
}

// A redirect is an observation: nothing is sent to where it points.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var hops atomic.Int64
	elsewhere := newStage(t, "github").serve(func(http.ResponseWriter, bool, []byte) { hops.Add(1) })
	for _, code := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{elsewhere.url.String(), "/hook", "file:///etc/passwd", "://", ""} {
			s := newStage(t, "github").serve(func(w http.ResponseWriter, _ bool, _ []byte) {
				w.Header().Set("Location", location)
				w.WriteHeader(code)
			})
			want(t, s.run(valid), reports.Fail, fmt.Sprint(code))
		}
	}
	if hops.Load() != 0 {
		t.Errorf("%d redirects were followed", hops.Load())
	}
}

func TestToleranceIsMeasured(t *testing.T) {
	cases := []struct {
		real    time.Duration
		verdict reports.Verdict
		reason  string
	}{
		{5 * time.Minute, reports.Pass, ""},
		{time.Minute, reports.Pass, ""},
		{40 * time.Minute, reports.Fail, "the profile allows 5m"},
		{1000 * time.Hour, reports.Fail, "is still accepted"},
	}
	for _, c := range cases {
		s := newStage(t, "standard-webhooks")
		s.patience = c.real
		s.serve(honest)
		r := s.run("measure: window-past")
		want(t, r, c.verdict, c.reason)
		if len(r.Figures) != 1 {
			t.Fatalf("%d figures, want 1", len(r.Figures))
		}
		if got := r.Figures[0].Value; c.real < time.Hour && (got > c.real.Seconds() || got < c.real.Seconds()-3) {
			t.Errorf("the window was measured as %v s, want %v", got, c.real.Seconds())
		}
	}
}

func TestAcknowledgementIsMeasured(t *testing.T) {
	s := newStage(t, "github").serve(honest)
	if r := s.run("measure: acknowledgement"); r.Verdict != reports.Pass || len(r.Figures) != 2 {
		t.Errorf("verdict %s (%s) with figures %v", r.Verdict, r.Reason, r.Figures)
	}
	stuck := make(chan struct{})
	slow := newStage(t, "github")
	slow.limits.Answer = 50 * time.Millisecond
	slow.serve(func(http.ResponseWriter, bool, []byte) { <-stuck })
	t.Cleanup(func() { close(stuck) })
	want(t, slow.run("measure: acknowledgement"), reports.Fail, "timeout headers")
}
