package receiver_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
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

var subscribeURL = regexp.MustCompile(`"SubscribeURL":"(http://[^"]*)"`)

// Who confirms a subscription shows at the URL that is fetched, and nowhere else.
func TestConfirmations(t *testing.T) {
	const (
		forged    = "send: [{mutate: {handshake: unsigned}}, {mutate: {handshake: forged}}]\nexpect: uncalled"
		elsewhere = "send: {mutate: {handshake: elsewhere}}\nexpect: uncalled"
		honest    = "needs: [confirmation, own-host]\nsend: {mutate: {handshake: honest}}\nexpect: called"
		stranger  = "needs: [named-handshake, own-host]\nsend: {mutate: {handshake: {naming: \"{random}\"}}}\nexpect: challenge-refused"
	)
	never := func(bool, string) bool { return false }
	always := func(bool, string) bool { return true }
	authentic := func(authentic bool, _ string) bool { return authentic }
	admitted := func(authentic bool, url string) bool { return authentic && strings.HasPrefix(url, "http://127.0.0.1:") }
	for name, c := range map[string]struct {
		yaml    string
		own     bool // the profile lets our URL be fetched
		visits  func(authentic bool, url string) bool
		verdict reports.Verdict
		reason  string
	}{
		"forged, and fetched":              {forged, false, always, reports.Fail, "it has gone to the URL"},
		"forged, and left":                 {forged, false, authentic, reports.Pass, ""},
		"at a foreign host":                {elsewhere, false, authentic, reports.Fail, "it has gone to the URL"},
		"at a foreign host, and left":      {elsewhere, false, never, reports.Pass, ""},
		"at another host than ours":        {elsewhere, true, authentic, reports.Fail, "it has gone to the URL"},
		"at another host than ours, left":  {elsewhere, true, admitted, reports.Pass, ""},
		"confirmed":                        {honest, true, admitted, reports.Pass, ""},
		"not confirmed":                    {honest, true, never, reports.Fail, "has not fetched"},
		"of a stranger's topic":            {stranger, true, always, reports.Fail, "it has gone to the URL"},
		"of a stranger's topic, left":      {stranger, true, admitted, reports.Pass, ""},
		"of a stranger's, not to be seen":  {stranger, false, admitted, reports.Skip, "sns.*.amazonaws.com"},
		"where we cannot listen":           {honest, false, always, reports.Skip, "add it to the hosts of confirm"},
		"answered, where we cannot listen": {"needs: [own-host]\n" + answeredYAML, false, never, reports.Skip, "sns.*.amazonaws.com"},
		"answered":                         {"needs: [own-host]\n" + answeredYAML, true, never, reports.Pass, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, "aws-sns")
			if c.own {
				s.profile = s.profile.Confirming("127.0.0.1")
			}
			s.serve(func(w http.ResponseWriter, authentic bool, body []byte) {
				if m := subscribeURL.FindSubmatch(body); m != nil && c.visits(authentic, string(m[1])) {
					if got, err := http.Get(string(m[1])); err == nil {
						got.Body.Close()
					}
				}
				if !authentic {
					w.WriteHeader(http.StatusForbidden)
				}
			})
			want(t, s.run(c.yaml), c.verdict, c.reason)
		})
	}
}
