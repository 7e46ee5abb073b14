package suites_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

// loaded is a receiver that is loaded by hand: correct but for what a test changes.
type loaded struct {
	// answer may answer in its stead to delivery n, by a status; 0 goes on.
	answer func(n int, genuine bool) int
	// effects is how often delivery n takes effect; where it is nil once if it is accepted,
	// and was not seen before.
	effects func(n int, genuine bool) int
	closes  bool // ends each connection after its answer

	mu     sync.Mutex
	n      int
	acted  map[string]int
	total  int
	server *httptest.Server
	secret string // the file
}

// start serves /hook and, as a probe, /count and /count?of=TOKEN.
func (l *loaded) start(t *testing.T) *loaded {
	t.Helper()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	l.secret = filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(l.secret, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := profiles.Get("svix")
	if err != nil {
		t.Fatal(err)
	}
	keys := profile.Keys{p.Signature.Name: {profile.NewSecret(secret)}}
	l.acted = map[string]int{}
	mux := http.NewServeMux()
	mux.HandleFunc("/hook", func(w http.ResponseWriter, r *http.Request) { l.take(p, keys, w, r) })
	mux.HandleFunc("/count", func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		count := l.total
		if of := r.FormValue("of"); of != "" {
			count = l.acted[of]
		}
		fmt.Fprint(w, count)
	})
	l.server = httptest.NewServer(mux)
	t.Cleanup(l.server.Close)
	return l
}

func (l *loaded) take(p *profile.Profile, keys profile.Keys, w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var headers wire.Headers
	for name, values := range r.Header {
		headers = append(headers, wire.Header{Name: name, Value: values[0]})
	}
	_, err := p.Verify(profile.Incoming{Method: r.Method, URL: "http://" + r.Host + r.URL.RequestURI(), Headers: headers, Body: body}, keys, time.Now())
	genuine := err == nil
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	status := 200
	if !genuine {
		status = 401
	}
	if l.answer != nil {
		if other := l.answer(l.n, genuine); other != 0 {
			status = other
		}
	}
	id, times := p.DeliveryID(headers, body), 0
	switch {
	case l.effects != nil:
		times = l.effects(l.n, genuine)
	case status == 200 && l.acted[id] == 0:
		times = 1
	}
	l.acted[id] += times
	l.total += times
	if l.closes {
		w.Header().Set("Connection", "close")
	}
	w.WriteHeader(status)
}

// probe is what a user gives to have effects looked up.
func (l *loaded) probe() string { return l.server.URL + "/count?of={token}" }

// brief is a load of 40 deliveries, half of them forged, whose times nobody minds.
func (l *loaded) brief(probe string) (suites.Settings, suites.AttackSettings) {
	s := suites.Settings{
		Target: l.server.URL + "/hook", Profile: "svix", Secret: []string{"file:" + l.secret}, Seed: 7,
		Rate: "200/s", Duration: 200 * time.Millisecond, ProbeURL: probe,
	}
	return s, suites.AttackSettings{Mix: []string{"honest=1", "forged=1"}, MaxLag: time.Minute}
}

// send sends a load and keeps the lines that were said meanwhile.
func send(ctx context.Context, t *testing.T, s suites.Settings, o suites.AttackSettings) (m reports.Measurement, said string, err error) {
	t.Helper()
	a, err := s.Attack(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	m, err = a.Run(ctx, io.Discard, suites.Screen{Say: func(line string) { lines = append(lines, line) }})
	return m, strings.Join(lines, "\n"), err
}

// A load by hand sees what becomes of its target, and of its deliveries.
func TestAttackSeesTheTarget(t *testing.T) {
	t.Parallel()
	after := func(deliveries, status int) func(int, bool) int { // the controls before it are two
		return func(n int, genuine bool) int {
			if n > deliveries {
				return status
			}
			return 0
		}
	}
	for _, tt := range []struct {
		name   string
		target *loaded
		keyed  bool
		total  bool
		code   int
		says   string
	}{
		{"correct", &loaded{}, false, false, reports.ExitPassed, "hold"},
		{"correct, with a probe", &loaded{}, true, false, reports.ExitPassed, "hold"},
		{"correct, with a total", &loaded{}, false, true, reports.ExitPassed, "hold"},
		{"refuses everything afterwards", &loaded{answer: after(42, 401)}, false, false, reports.ExitInconclusive, "the honest delivery after it was not accepted: answered 401 Unauthorized"},
		{"accepts everything afterwards", &loaded{answer: after(42, 200)}, false, false, reports.ExitFailed, "a forged delivery was accepted when the load was over, and not before: it was answered 401 Unauthorized"},
		{"loses every third", &loaded{effects: func(n int, genuine bool) int {
			if genuine && n%3 != 0 {
				return 1
			}
			return 0
		}}, true, false, reports.ExitFailed, "effects.lost == 0 does not hold: effects.lost = "},
		{"loses every third, of a total", &loaded{effects: func(n int, genuine bool) int {
			if genuine && n%3 != 0 {
				return 1
			}
			return 0
		}}, false, true, reports.ExitFailed, "effects.lost == 0 does not hold: effects.lost = "},
		{"acts twice", &loaded{effects: func(_ int, genuine bool) int {
			if genuine {
				return 2
			}
			return 0
		}}, true, false, reports.ExitFailed, "effects.repeated == 0 does not hold"},
		{"refuses forgeries and acts on them", &loaded{effects: func(int, bool) int { return 1 }}, true, false, reports.ExitFailed, "forged.effects.taken == 0 does not hold: forged.effects.taken = "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := tt.target.start(t)
			probe := ""
			switch {
			case tt.keyed:
				probe = l.probe()
			case tt.total:
				probe = l.server.URL + "/count"
			}
			s, o := l.brief(probe)
			m, _, err := send(t.Context(), t, s, o)
			if err != nil {
				t.Fatal(err)
			}
			if code, why := m.Outcome(); code != tt.code || !strings.Contains(why, tt.says) {
				t.Errorf("%d: %s; want %d: %s", code, why, tt.code, tt.says)
			}
			if len(m.Controls) != 4 || (m.Subject.Probe != "") != (probe != "") {
				t.Errorf("controls %+v, probe %q", m.Controls, m.Subject.Probe)
			}
		})
	}
}

// A target that dies under a load has stopped serving, however well it began.
func TestAttackSeesATargetDie(t *testing.T) {
	t.Parallel()
	l := (&loaded{}).start(t)
	l.answer = func(n int, _ bool) int {
		if n == 42 { // the last of the load
			go l.server.Listener.Close()
		}
		return 0
	}
	s, o := l.brief("")
	m, _, err := send(t.Context(), t, s, o)
	if err != nil {
		t.Fatal(err)
	}
	if code, why := m.Outcome(); code != reports.ExitFailed || !strings.Contains(why, "the target stopped serving: when the load was over, nothing listens") {
		t.Errorf("%d: %s", code, why)
	}
}

// A load that would say nothing is not sent.
func TestAttackIsNotSent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		target *loaded
		probe  func(l *loaded) string
		says   string
	}{
		{"refuses", &loaded{answer: func(int, bool) int { return 401 }}, nil, "an honest delivery before it was not accepted: answered 401"},
		{"a probe that is not there", &loaded{}, func(l *loaded) string { return l.server.URL + "/nothing?of={token}" }, "its effects cannot be looked up"},
		{"a probe of something else", &loaded{}, func(l *loaded) string { return l.server.URL + "/count?of=x{token}" }, "showed no effect of it"},
		{"a total of something else", &loaded{effects: func(int, bool) int { return 0 }}, func(l *loaded) string { return l.server.URL + "/count" }, "showed no effect of it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := tt.target.start(t)
			s, o := l.brief("")
			if tt.probe != nil {
				s.ProbeURL = tt.probe(l)
			}
			_, _, err := send(t.Context(), t, s, o)
			var unready suites.Unready
			if !errors.As(err, &unready) || !strings.Contains(unready.Reason, tt.says) || unready.Advice == "" {
				t.Errorf("error %v, want %q", err, tt.says)
			}
			if l.n > 2 {
				t.Errorf("%d deliveries were sent", l.n)
			}
		})
	}
}

// What is demanded where nothing is said stands beside what is: a condition on latency
// alone would pass a target that lets forgeries in, or serves a tenth.
func TestAttackDemands(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		given []string
		probe bool
		want  string
	}{
		{nil, false, "errors.rate < 1%; honest.accepted >= 99%; honest.refused == 0; forged.accepted == 0; forged.refused >= 99%"},
		{[]string{"honest.latency.p99 <= 9s"}, false, "honest.latency.p99 <= 9s; errors.rate < 1%; honest.accepted >= 99%; honest.refused == 0; forged.accepted == 0; forged.refused >= 99%"},
		{[]string{"honest.accepted >= 50%"}, false, "honest.accepted >= 50%; honest.refused == 0; forged.accepted == 0; forged.refused >= 99%"},
		{[]string{"total.errors.rate < 50%"}, false, "total.errors.rate < 50%; honest.refused == 0; forged.accepted == 0; forged.refused >= 99%"},
		{[]string{"errors.timeout == 0"}, false, "errors.timeout == 0; errors.rate < 1%; honest.accepted >= 99%; honest.refused == 0; forged.accepted == 0; forged.refused >= 99%"},
		{[]string{"forged.accepted <= 1%"}, false, "forged.accepted <= 1%; errors.rate < 1%; honest.accepted >= 99%; honest.refused == 0"},
		{nil, true, "errors.rate < 1%; honest.accepted >= 99%; honest.refused == 0; forged.accepted == 0; forged.refused >= 99%; effects.lost == 0; effects.repeated == 0; forged.effects.taken == 0"},
		{[]string{"honest.effects.lost <= 1%"}, true, "honest.effects.lost <= 1%; errors.rate < 1%; honest.accepted >= 99%; honest.refused == 0; forged.accepted == 0; forged.refused >= 99%; effects.repeated == 0; forged.effects.taken == 0"},
	} {
		l := (&loaded{}).start(t)
		probe := ""
		if tt.probe {
			probe = l.probe()
		}
		s, o := l.brief(probe)
		o.Thresholds = tt.given
		m, _, err := send(t.Context(), t, s, o)
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, threshold := range m.Thresholds {
			texts = append(texts, threshold.Text)
			if threshold.Unmeasured {
				t.Errorf("%s: %s", threshold.Text, threshold.Got)
			}
		}
		if got := strings.Join(texts, "; "); got != tt.want {
			t.Errorf("with %q: %s; want %s", tt.given, got, tt.want)
		}
	}
}

// A search is by the effects of each trial too, and tells of the target afterwards.
func TestAttackSearchesByEffects(t *testing.T) {
	t.Parallel()
	l := (&loaded{effects: func(n int, genuine bool) int {
		if genuine && n < 20 {
			return 1
		}
		return 0
	}}).start(t)
	s, o := l.brief(l.probe())
	o.Mix, o.FindCapacity, o.MaxRate, o.Within = nil, true, "200/s", 4*time.Second
	o.Thresholds = []string{"honest.latency.p99 <= 5s"}
	m, _, err := send(t.Context(), t, s, o)
	if err != nil {
		t.Fatal(err)
	}
	if code, why := m.Outcome(); code != reports.ExitFailed || !strings.Contains(why, "effects.lost == 0") || m.Capacity == nil || m.Capacity.Rate != 0 || len(m.Controls) != 4 {
		t.Errorf("%d: %s: %+v, %+v", code, why, m.Capacity, m.Controls)
	}
}
