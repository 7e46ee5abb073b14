package receiver_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hookanvil/hookanvil/reports"
)

// mistaken is a receiver of standard-webhooks that verifies by a key and a body of its
// own. It is written without our verifier.
func mistaken(s *stage, key func(secret string) []byte, body func([]byte) []byte) *stage {
	secret := s.keys["v1"][0].Reveal()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mac := hmac.New(sha256.New, key(secret))
		mac.Write([]byte(r.Header.Get("webhook-id") + "." + r.Header.Get("webhook-timestamp") + "."))
		mac.Write(body(b))
		due := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		if !strings.Contains(r.Header.Get("webhook-signature"), due) {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	s.t.Cleanup(server.Close)
	return s.at(server.URL + "/hook")
}

func decoded(secret string) []byte {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		panic(err)
	}
	return key
}

func compact(b []byte) []byte {
	var out bytes.Buffer
	if json.Compact(&out, b) != nil {
		return b
	}
	return out.Bytes()
}

func same(b []byte) []byte { return b }

// Where an honest delivery is refused, it is said which mistaken one is accepted. Of what
// refuses, or accepts, just anything nothing is said.
func TestWhatIsAcceptedInstead(t *testing.T) {
	const pretty = "send: {payload: whitespace}\nexpect: accepted"
	text := func(secret string) []byte { return []byte(secret) }
	standard := func() *stage { return newStage(t, "standard-webhooks") }
	nth := 0
	for name, c := range map[string]struct {
		stage *stage
		yaml  string
		says  string // "" for nothing
	}{
		"undecoded":   {mistaken(standard(), text, same), valid, "; yet it accepts such a delivery when its signature is made with the secret undecoded (whsec_ kept): "},
		"parsed":      {mistaken(standard(), decoded, compact), pretty, "; yet it accepts such a delivery when its signature is made over the body re-serialised as compact JSON: "},
		"another key": {mistaken(standard(), func(string) []byte { return []byte("?") }, same), valid, ""},
		"rejects all": {standard().serve(status(401)), valid, ""},
		"not found":   {standard().serve(status(404)), valid, ""},
		"every second": {standard().serve(func(w http.ResponseWriter, _ bool, _ []byte) {
			if nth++; nth%2 == 1 {
				w.WriteHeader(401)
			}
		}), valid, ""},
	} {
		r := c.stage.run(c.yaml)
		want(t, r, reports.Fail, c.says)
		if c.says == "" && strings.Contains(r.Reason, "accepts") {
			t.Errorf("%s: %s", name, r.Reason)
		}
		if strings.Contains(r.Reason, c.stage.keys["v1"][0].Reveal()) {
			t.Errorf("%s: a secret is told: %s", name, r.Reason)
		}
	}
	notes := strings.Join(mistaken(standard(), text, same).judge().Preflight(t.Context()), " ")
	if !strings.Contains(notes, "it accepts such a delivery when its signature is made with the secret undecoded") {
		t.Errorf("before the run it is said: %s", notes)
	}
}

// A receiver that knows its deliveries by what it is called at the provider refuses those
// that are for another endpoint, and it is said how its own name is told.
func TestWhatIsToBeTold(t *testing.T) {
	const told = "its topic-arn is arn:aws:sns:us-east-1:123456789012:Example: if the receiver's own is another, tell it with --fact topic-arn=..."
	refusing := newStage(t, "aws-sns").serve(status(http.StatusForbidden))
	want(t, refusing.run(valid), reports.Fail, "answered 403 Forbidden; "+told)
	if notes := strings.Join(refusing.judge().Preflight(t.Context()), " "); !strings.Contains(notes, told) {
		t.Errorf("before the run it is said: %s", notes)
	}
	broken := newStage(t, "aws-sns").serve(status(http.StatusInternalServerError))
	if r := broken.run(valid); strings.Contains(r.Reason, "--fact") {
		t.Errorf("of one that fails it is said: %s", r.Reason)
	}
}

// What is accepted instead is looked for a few times in a run, whatever fails.
func TestExplanationsAreBounded(t *testing.T) {
	n := 0
	j := newStage(t, "standard-webhooks").serve(func(w http.ResponseWriter, _ bool, _ []byte) {
		n++
		w.WriteHeader(http.StatusUnauthorized)
	}).judge()
	for range 30 {
		j.Run(t.Context(), parseCase(t, valid))
	}
	if most := 30 + 4*20; n > most {
		t.Errorf("%d deliveries were sent, want at most %d", n, most)
	}
}
