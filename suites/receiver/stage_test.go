package receiver_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/probe"
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites/receiver"
)

// stage is a receiver written for one test, and what a judge needs to know of it.
type stage struct {
	t       *testing.T
	profile *profile.Profile
	keys    profile.Keys
	url     *url.URL
	probe   probe.Probe
	limits  receiver.Limits
	answers receiver.Answers
	// patience is the age up to which the receiver accepts deliveries, where it is
	// not the profile's tolerance.
	patience time.Duration
}

func newStage(t *testing.T, profileName string) *stage {
	t.Helper()
	p, err := profiles.Get(profileName)
	if err != nil {
		t.Fatal(err)
	}
	return &stage{t: t, profile: p, keys: p.NewKeys(rand.New(rand.NewPCG(1, 2))), limits: quick}
}

// quick are limits for tests on loopback.
var quick = receiver.Limits{Answer: time.Second, Slow: time.Second, Settle: 200 * time.Millisecond, Quiet: 5 * time.Millisecond}

// serve answers every request with what the handler makes of it; the handler is
// told whether the delivery is authentic.
func (s *stage) serve(answer func(w http.ResponseWriter, authentic bool, body []byte)) *stage {
	s.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answer(w, s.authentic(r, body), body)
	}))
	s.t.Cleanup(server.Close)
	return s.at(server.URL + "/hook")
}

func (s *stage) at(rawURL string) *stage {
	s.t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		s.t.Fatal(err)
	}
	s.url = u
	return s
}

func (s *stage) authentic(r *http.Request, body []byte) bool {
	var headers wire.Headers
	for name, values := range r.Header {
		for _, v := range values {
			headers.Add(name, v)
		}
	}
	p := *s.profile
	if s.patience > 0 {
		t := *p.Timestamp
		t.Tolerance = s.patience
		p.Timestamp = &t
	}
	_, err := p.Verify(profile.Incoming{Method: r.Method, URL: s.url.String(), Headers: headers, Body: body}, s.keys, time.Now())
	return err == nil
}

func (s *stage) judge() *receiver.Judge {
	s.t.Helper()
	endpoint, err := wire.Resolve(context.Background(), s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	return receiver.NewJudge(receiver.Subject{
		URL: s.url, Endpoint: endpoint, Profile: s.profile, Keys: s.keys, Probe: s.probe, Limits: s.limits, Answers: s.answers,
	}, rand.Uint64(), nil)
}

// run judges one case, written in YAML as the value of `cases:` would be.
func (s *stage) run(yaml string) reports.Result {
	s.t.Helper()
	return s.judge().Run(context.Background(), parseCase(s.t, yaml))
}

// parseCase completes a case of which only what is sent and expected is given.
func parseCase(t *testing.T, yaml string) scenarios.Case {
	t.Helper()
	src := "suite: receiver/test\nabout: A test.\nsource: the test\ncases:\n  - id: case\n    title: A case\n    level: must\n    unproven: a test of the judge\n"
	for line := range strings.Lines(strings.TrimSpace(yaml)) {
		src += "    " + line
	}
	suite, err := scenarios.Parse("test.yaml", []byte(src+"\n"), receiver.Vocabulary())
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return suite.Cases[0]
}

// memory is a probe that counts what the test's receiver tells it.
type memory struct {
	keyed  bool
	counts map[string]int
	total  int
}

func (m *memory) Keyed() bool    { return m.keyed }
func (m *memory) String() string { return "memory" }
func (m *memory) Count(_ context.Context, token string) (int, error) {
	if !m.keyed {
		return m.total, nil
	}
	n := 0
	for body, count := range m.counts {
		if strings.Contains(body, token) {
			n += count
		}
	}
	return n, nil
}

func want(t *testing.T, r reports.Result, verdict reports.Verdict, reason string) {
	t.Helper()
	if r.Verdict != verdict || !strings.Contains(r.Reason, reason) {
		t.Errorf("verdict %s (%s), want %s with a reason that contains %q\n%s", r.Verdict, r.Reason, verdict, reason, exchanges(r))
	}
}

func exchanges(r reports.Result) string {
	var b strings.Builder
	for _, x := range r.Evidence {
		fmt.Fprintf(&b, "  %s: %s %d %s\n", x.Label, x.Outcome, x.Status, x.Detail)
	}
	return b.String()
}
