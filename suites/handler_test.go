package suites_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/onsi/ginkgo/v2"

	"github.com/hookanvil/hookanvil/suites"
)

const githubSecret = "a secret that only GitHub knows"

// handler is a receiver of GitHub's deliveries as one writes it with net/http, and
// careless or not in the comparison of signatures.
type handler struct {
	equal func(a, b []byte) bool

	mu     sync.Mutex
	bodies map[string]string // of the deliveries that took effect, by id
}

func newHandler(equal func(a, b []byte) bool) *handler {
	return &handler{equal: equal, bodies: map[string]string{}}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	switch {
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case err != nil:
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case !h.authentic(r.Header, body):
		w.WriteHeader(http.StatusUnauthorized)
	case !isJSON(r.Header, body):
		w.WriteHeader(http.StatusBadRequest)
	default:
		h.act(r.Header.Get("X-GitHub-Delivery"), string(body))
	}
}

func (h *handler) authentic(header http.Header, body []byte) bool {
	lines := header.Values("X-Hub-Signature-256")
	mac := hmac.New(sha256.New, []byte(githubSecret))
	mac.Write(body)
	want := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	return len(lines) == 1 && h.equal([]byte(lines[0]), []byte(want))
}

func isJSON(header http.Header, body []byte) bool {
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	return err == nil && kind == "application/json" && json.Valid(body) && bytes.HasPrefix(bytes.TrimSpace(body), []byte("{"))
}

func (h *handler) act(id, body string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, known := range h.bodies {
		if known == body {
			return // a copy, be it under another id, which GitHub does not sign
		}
	}
	if h.bodies[id] == "" {
		h.bodies[id] = body
	}
}

func (h *handler) effects(token string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for id, body := range h.bodies {
		if id == token || strings.Contains(body, token) {
			n++
		}
	}
	return n
}

// asLongAsGiven compares what was sent with the beginning of what was expected.
func asLongAsGiven(got, want []byte) bool {
	return len(got) > len("sha256=") && len(got) <= len(want) && hmac.Equal(got, want[:len(got)])
}

// options leave out what a handler written for a test need not care for.
func options(h *handler) suites.Options {
	return suites.Options{
		Profile: "github", Secret: githubSecret, Path: "/webhook", Effects: h.effects, Level: "must",
		Select: []string{"receiver/signature", "receiver/replay", "receiver/fidelity/valid", "receiver/fidelity/unicode-raw"},
	}
}

func TestJudgeHandler(t *testing.T) {
	h := newHandler(hmac.Equal)
	suites.JudgeHandler(t, h, options(h))
}

// The children of these tests are this binary again, told to judge a handler.
const child = "HOOKANVIL_TEST_CHILD"

func TestChild(t *testing.T) {
	h := newHandler(asLongAsGiven)
	switch os.Getenv(child) {
	case "handler":
		suites.JudgeHandler(t, h, options(h))
	case "ginkgo":
		o := options(h)
		o.Select = []string{"receiver/fidelity/valid", "receiver/signature/truncated-to-1-byte", "receiver/signature/missing"}
		suites.Describe(func() http.Handler { return h }, o)
		ginkgo.RunSpecs(t, "a suite of the caller's")
	case "sender":
		d := newDispatcher(t)
		d.unsigned = true
		suites.JudgeSender(t, d.fire, senderOptions())
	case "sender specs":
		s := senderSpecimen(t, "standard-webhooks", "wrong-method")
		run, err := suites.RunSpecs(t.Context(), t, suites.Config{Subject: suites.Sender(s.Subject), Cases: choose(t, "sender/request"), Tool: suites.Tool()})
		if err != nil || len(run.Results) == 0 {
			t.Errorf("%d results, error %v", len(run.Results), err)
		}
	default:
		t.Skip("it is the child of other tests")
	}
}

func TestFaultyHandlerIsCaught(t *testing.T) {
	for how, wants := range map[string][]string{
		"handler":      {"truncated-to-1-byte", "it was accepted: answered 200 OK, and took effect once"},
		"ginkgo":       {"truncated-to-1-byte", "it was accepted: answered 200 OK, and took effect once", "how to repair it: Demand the full length"},
		"sender":       {"TestChild/signature/signed", "its signature does not verify"},
		"sender specs": {"sender/request/method-post: fail", "is a PUT", "how to repair it: Set the HTTP client's method to POST"},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.v", "-ginkgo.no-color")
			cmd.Env = append(os.Environ(), child+"="+how)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("the faulty subject passes:\n%s", out)
			}
			for _, want := range wants {
				if !bytes.Contains(out, []byte(want)) {
					t.Errorf("the output lacks %q:\n%s", want, out)
				}
			}
			if bytes.Contains(out, []byte(githubSecret)) {
				t.Error("the output shows the secret")
			}
		})
	}
}

func ExampleJudgeHandler() {
	webhook := newHandler(hmac.Equal) // your own http.Handler

	// In a file such as webhook_test.go:
	test := func(t *testing.T) {
		suites.JudgeHandler(t, webhook, suites.Options{Profile: "github", Secret: githubSecret, Path: "/webhook", Effects: webhook.effects})
	}
	_ = test // func TestWebhook(t *testing.T)
}
