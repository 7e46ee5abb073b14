package receiver_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/reports"
)

const comparisonCase = "measure: comparison"

// A receiver whose comparison takes the same time for all is not accused of a leak,
// however often it is asked and whatever else the machine has to do.
func TestEvenComparisonIsNotAccused(t *testing.T) {
	runs := 20
	if testing.Short() {
		runs = 2
	}
	s := newStage(t, "github").serve(func(w http.ResponseWriter, authentic bool, _ []byte) {
		if !authentic {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	conclusive := 0
	for range runs {
		switch r := s.run(comparisonCase); r.Verdict {
		case reports.Fail:
			t.Errorf("accused: %s %v", r.Reason, r.Figures)
		case reports.Pass:
			conclusive++
		default:
			t.Log(r.Verdict, r.Reason)
		}
	}
	t.Logf("acquitted %d times of %d", conclusive, runs)
}

// One that stops at the first difference is.
func TestComparisonThatStopsEarly(t *testing.T) {
	s := newStage(t, "github")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		r.Body.Read(body)
		sealed, err := s.profile.Sign(profile.Message{Body: body}, profile.Keys{"sha256": s.keys["sha256"]})
		if err != nil || !equalSlowly(sealed.Headers.Get("X-Hub-Signature-256"), r.Header.Get("X-Hub-Signature-256")) {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(server.Close)
	if r := s.at(server.URL).run(comparisonCase); r.Verdict != reports.Fail {
		t.Errorf("%s %s %v", r.Verdict, r.Reason, r.Figures)
	}
}

func equalSlowly(want, got string) bool {
	for i := range want {
		for began := time.Now(); time.Since(began) < 300*time.Nanosecond; {
		}
		if i >= len(got) || want[i] != got[i] {
			return false
		}
	}
	return len(want) == len(got)
}

// Where forgeries are accepted, or not looked at, there is nothing to measure.
func TestNothingToCompare(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"accepts all":    func(http.ResponseWriter, *http.Request) {},
		"closes at once": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") },
		"sheds load": func() http.HandlerFunc {
			n := 0
			return func(w http.ResponseWriter, _ *http.Request) {
				if n++; n > 1 {
					w.WriteHeader(http.StatusTooManyRequests)
				}
			}
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(handler)
			t.Cleanup(server.Close)
			if r := newStage(t, "github").at(server.URL).run(comparisonCase); r.Verdict != reports.Inconclusive {
				t.Errorf("%s %s", r.Verdict, r.Reason)
			}
		})
	}
}
