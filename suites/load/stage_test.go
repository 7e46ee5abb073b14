package load_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites/load"
	"github.com/hookanvil/hookanvil/suites/load/attack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a receiver under test, correct but for what a test changes about it.
type stage struct {
	profile string
	// answer may answer in the receiver's stead, by a status; 0 goes on.
	answer  func(n int, genuine bool) int
	probed  bool
	blind   bool // the probe cannot be read
	keyed   bool
	lag     time.Duration
	records load.Recorder
	effect  func(n int) int // how often delivery n takes effect; once where it is nil

	mu      sync.Mutex
	n       int
	effects map[string]int
	total   int
}

// judge judges a case, written as it stands in a file, against the stage.
func (s *stage) judge(ctx context.Context, t *testing.T, text string) reports.Result {
	t.Helper()
	s.n, s.total = 0, 0
	c := parse(t, text)
	name := s.profile
	if name == "" {
		name = "standard-webhooks"
	}
	p, err := profiles.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	keys := p.NewKeys(rand.New(rand.NewPCG(1, 2)))
	server := httptest.NewServer(s.handler(p, keys))
	defer server.Close()
	subject := load.Subject{Target: attack.Target{Profile: p, Keys: keys}, Rate: 200, Time: 300 * time.Millisecond, Timeout: 2 * time.Second, Settle: 100 * time.Millisecond, MaxLag: s.lag}
	if subject.URL, err = url.Parse(server.URL + "/hook"); err != nil {
		t.Fatal(err)
	}
	if subject.Endpoint, err = wire.Resolve(ctx, subject.URL); err != nil {
		t.Fatal(err)
	}
	if s.probed {
		subject.Probe = s
	}
	return load.NewJudge(subject, 1, s.records).Run(ctx, c)
}

// together calls do for 0 to n-1, a few at the same time: what waits most of the time
// takes little longer together than alone.
func together(n int, do func(i int)) {
	var wait sync.WaitGroup
	few := make(chan struct{}, 8)
	for i := range n {
		few <- struct{}{}
		wait.Go(func() {
			defer func() { <-few }()
			do(i)
		})
	}
	wait.Wait()
}

// again is how often is tried once more what a busy machine has not let be judged.
const again = 4

func parse(t *testing.T, text string) scenarios.Case {
	t.Helper()
	src := "suite: load/test\nsource: none\ncases:\n- id: a\n  title: A\n  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ") + "\n"
	suite, err := scenarios.Parse("test.yaml", []byte(src), load.Vocabulary())
	if err != nil {
		t.Fatal(err)
	}
	return suite.Cases[0]
}

func (s *stage) handler(p *profile.Profile, keys profile.Keys) http.Handler {
	s.effects = map[string]int{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var headers wire.Headers
		for name, values := range r.Header {
			headers = append(headers, wire.Header{Name: name, Value: values[0]})
		}
		_, err := p.Verify(profile.Incoming{Method: r.Method, URL: "http://" + r.Host + r.URL.RequestURI(), Headers: headers, Body: body}, keys, time.Now())
		genuine := err == nil
		s.mu.Lock()
		s.n++
		n := s.n
		s.mu.Unlock()
		status := 0
		if s.answer != nil {
			status = s.answer(n, genuine)
		}
		switch {
		case status == aborted:
			panic(http.ErrAbortHandler)
		case status == 0 && !genuine:
			status = 401
		case status == 0:
			status = 200
		}
		if status == 200 {
			s.act(p.DeliveryID(headers, body), n)
		}
		w.WriteHeader(status)
	})
}

// aborted has the connection closed without an answer.
const aborted = -1

func (s *stage) act(id string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	times := 1
	if s.effect != nil {
		times = s.effect(n)
	} else if s.effects[id] > 0 {
		times = 0
	}
	s.effects[id] += times
	s.total += times
}

// The stage is its own probe.
func (s *stage) Keyed() bool    { return s.keyed }
func (s *stage) String() string { return "stage" }

func (s *stage) Count(_ context.Context, token string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blind {
		return 0, errors.New("nobody answers")
	}
	if token == "" {
		return s.total, nil
	}
	return s.effects[token], nil
}
