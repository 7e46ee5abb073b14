package receiver_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/hookanvil/hookanvil/reports"
)

// handle serves what the handler answers.
func (s *stage) handle(answer http.HandlerFunc) *stage {
	s.t.Helper()
	server := httptest.NewServer(answer)
	s.t.Cleanup(server.Close)
	return s.at(server.URL + "/hook")
}

const (
	answeredYAML = "send: {mutate: {handshake: honest}}\nexpect: challenge-answered"
	strangerYAML = "send: {mutate: {handshake: {naming: '{random}'}}}\nexpect: challenge-refused"
)

var namedURL = regexp.MustCompile(`"validationUrl":"(http://[^"]*)"`)

// Event Grid takes a visit to the URL that it names for consent.
func TestAVisitIsAnAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		visit   func(t *testing.T, url string)
		verdict reports.Verdict
		reason  string
	}{
		"it visits": {func(t *testing.T, url string) {
			got, err := http.Get(url)
			if err != nil {
				t.Error(err)
				return
			}
			got.Body.Close()
		}, reports.Pass, ""},
		"it does nothing": {func(*testing.T, string) {}, reports.Fail, "not what is due"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, "azure-event-grid").handle(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if m := namedURL.FindSubmatch(body); m != nil {
					c.visit(t, string(m[1]))
				}
				w.WriteHeader(http.StatusOK)
			})
			want(t, s.run(answeredYAML), c.verdict, c.reason)
		})
	}
}

// A receiver that takes events from everybody says so by a star, and has nothing to refuse.
func TestAnyOrigin(t *testing.T) {
	for said, verdict := range map[string]reports.Verdict{"*": reports.Pass, "": reports.Pass, "echo": reports.Fail} {
		s := newStage(t, "cloudevents").handle(func(w http.ResponseWriter, r *http.Request) {
			if origin := said; r.Method == http.MethodOptions && origin != "" {
				if origin == "echo" {
					origin = r.Header.Get("WebHook-Request-Origin")
				}
				w.Header().Set("WebHook-Allowed-Origin", origin)
				w.Header().Set("WebHook-Allowed-Rate", "60")
			}
		})
		want(t, s.run(strangerYAML), verdict, "")
	}
}

func TestHandshakesThatAreToBeRefused(t *testing.T) {
	for name, c := range map[string]struct {
		status  int
		shown   bool
		verdict reports.Verdict
		reason  string
	}{
		"refused":                 {403, false, reports.Pass, ""},
		"refused with a 404":      {404, false, reports.Fail, "where 403 is due"},
		"refused and shown":       {403, true, reports.Fail, "shows the challenge"},
		"shown":                   {200, true, reports.Fail, "the answer that is due"},
		"neither shown nor no":    {200, false, reports.Fail, "where 403 is due"},
		"an error, and not shown": {500, false, reports.Fail, "500"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, "meta").handle(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet {
					return
				}
				w.WriteHeader(c.status)
				if c.shown {
					_, _ = io.WriteString(w, r.URL.Query().Get("hub.challenge"))
				}
			})
			want(t, s.run(strangerYAML), c.verdict, c.reason)
		})
	}
}

// What the endpoint must know is a secret of its own; without it nothing can be asked.
func TestHandshakeWithoutItsToken(t *testing.T) {
	s := newStage(t, "meta").handle(func(http.ResponseWriter, *http.Request) {})
	delete(s.keys, "verify-token")
	want(t, s.run(answeredYAML), reports.Skip, "--secret verify-token=env:NAME")
}
