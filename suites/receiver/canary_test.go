package receiver_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"testing"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/reports"
)

// fetch gets what stands at a URL, and trusts every host.
func fetch(t *testing.T, url string) []byte {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	got, err := client.Get(url)
	if err != nil {
		return nil
	}
	defer got.Body.Close()
	found, err := io.ReadAll(got.Body)
	if err != nil {
		t.Error(err)
	}
	return found
}

// A receiver that gets the key from wherever it is told really has it, and so accepts
// what a stranger has signed; one that only goes there is found out as well.
func TestKeyFromOurHost(t *testing.T) {
	const honest = "https://api.paypal.com/"
	for name, c := range map[string]struct {
		to      string
		accepts func(s *stage, r *http.Request, body []byte) bool
		verdict reports.Verdict
		reason  string
	}{
		"it goes nowhere": {"https://{https}", (*stage).authentic, reports.Pass, ""},
		"it verifies with what is there": {"https://{host}@{https}", func(s *stage, r *http.Request, body []byte) bool {
			if s.authentic(r, body) {
				return true
			}
			found := fetch(s.t, r.Header.Get("PAYPAL-CERT-URL"))
			r.Header.Set("PAYPAL-CERT-URL", honest)
			stranger := &stage{t: s.t, profile: s.profile, url: s.url, keys: profile.Keys{s.profile.Signature.Name: {profile.NewSecret(string(found))}}}
			return len(found) > 0 && stranger.authentic(r, body)
		}, reports.Fail, "it was accepted"},
		"it goes there and refuses": {"http://{http}/{host}", func(s *stage, r *http.Request, body []byte) bool {
			if s.authentic(r, body) {
				return true // the real one's host is not asked in a test
			}
			fetch(s.t, r.Header.Get("PAYPAL-CERT-URL"))
			return false
		}, reports.Fail, "has gone to the URL"},
		"it does not trust our host": {"https://{https}", func(s *stage, r *http.Request, body []byte) bool {
			if s.authentic(r, body) {
				return true
			}
			if got, err := http.Get(r.Header.Get("PAYPAL-CERT-URL")); err == nil {
				got.Body.Close()
				s.t.Error("a certificate that nobody trusts is trusted")
			}
			return false
		}, reports.Fail, "has gone to the URL"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, "paypal")
			s.handle(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				status := http.StatusUnauthorized
				if c.accepts(s, r, body) {
					status = http.StatusOK
				}
				w.WriteHeader(status)
			})
			want(t, s.run("send: {mutate: {signature: {key-at: '"+c.to+"'}}}\nexpect: [rejected, uncalled]"), c.verdict, c.reason)
		})
	}
}

// What the canary shows is a certificate for the key that has signed.
func TestStrangersCertificate(t *testing.T) {
	s := newStage(t, "aws-sns")
	seen := 0
	s.handle(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if s.authentic(r, body) {
			return
		}
		from := s.profile.KeyFrom.URL(nil, body)
		_, moved := s.profile.KeyFrom.Moved(nil, body, func(string) string { return "https://sns.us-east-1.amazonaws.com/" })
		keys := profile.Keys{s.profile.Signature.Name: {profile.NewSecret(string(fetch(t, from)))}}
		stranger := *s
		stranger.keys = keys
		if stranger.authentic(r, moved) {
			seen++
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	s.run("send: [{mutate: {signature: {key-at: 'http://{http}'}}}, {mutate: {signature: {key-at: 'https://{https}/x'}}}]\nexpect: rejected")
	if seen != 2 {
		t.Errorf("of two strange deliveries %d verify with the certificate that they name", seen)
	}
}
