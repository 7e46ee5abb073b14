package sender_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/suites/sender"
)

// host is how a sender of a test asks its endpoints. As it is made it asks as is due.
type host struct {
	challenge func(n int) string // of the n-th handshake
	never     bool               // it does not ask at all
	trusts    bool               // it takes any answer for consent
	unsigned  bool               // it signs no handshake
	forges    bool               // it tries what a stranger has signed, too
	refusal   int                // the status by which its API refuses an endpoint
	mute      bool               // it registers what does not agree, and delivers nothing there
	asked     int
}

// asks has the sender ask by the handshake of a profile.
func asks(name string, change func(h *host)) func(*stage) {
	return func(s *stage) {
		p, err := profiles.Get(name)
		if err != nil {
			s.Fatal(err)
		}
		s.profile.Challenge = p.Challenge
		if o := p.Challenge.Known; o != nil && o.Header != "" {
			s.profile.Headers = append(s.profile.Headers, profile.Header{Name: o.Header, Value: o.Value})
		}
		h := &host{challenge: func(n int) string { return fmt.Sprintf("challenge-%d", n) }, refusal: http.StatusUnprocessableEntity}
		if change != nil {
			change(h)
		}
		s.subject.Limits.Minute = 10 * time.Second
		s.subject.Register = action{words: []string{"url", "secret"}, do: func(ctx context.Context, v sender.Values) (sender.Outcome, error) {
			return h.register(ctx, s, v.URL)
		}}
		s.subject.Move = s.subject.Register
	}
}

func (h *host) register(ctx context.Context, s *stage, target string) (sender.Outcome, error) {
	registered := sender.Outcome{Status: http.StatusCreated}
	if h.never {
		return registered, nil
	}
	agrees, err := h.ask(ctx, s, target, s.keys)
	if err == nil && agrees && h.forges {
		var careless bool
		careless, err = h.ask(ctx, s, target, s.profile.NewKeys(rand.New(rand.NewPCG(5, 6))))
		agrees = !careless
	}
	switch {
	case err != nil:
		return registered, err
	case agrees || h.trusts:
	case h.mute:
		s.sender.loses = func(nth int) bool { return nth == 2 } // the first is the preflight's
	default:
		registered.Status = h.refusal
	}
	return registered, nil
}

// ask performs one handshake, and tells whether the endpoint agrees.
func (h *host) ask(ctx context.Context, s *stage, target string, keys profile.Keys) (agrees bool, err error) {
	p, c := s.profile, s.profile.Challenge
	h.asked++
	a := profile.Asked{Challenge: h.challenge(h.asked)}
	if c.Known != nil {
		a.Known = c.Known.Value
	}
	if !c.Invents() {
		a.Challenge = a.Known
	}
	m, headers := p.Requested(profile.Message{ID: "msg_1", Timestamp: p.Stamp(time.Now()), URL: target}, a)
	if c.Signed && !h.unsigned {
		signatures, err := profile.RenderSignatures(p.Signings(m, keys))
		if err != nil {
			return false, err
		}
		headers = append(headers, signatures...)
	}
	u, err := url.Parse(target)
	if err != nil {
		return false, err
	}
	u.RawQuery = c.Parameters(a)
	conn, err := s.net.dial(ctx, u.Host)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if _, err := conn.Write(wire.Request{Method: m.Method, Target: u.RequestURI(), Host: u.Host, Headers: headers, Body: m.Body}.Bytes()); err != nil {
		return false, err
	}
	got, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: m.Method})
	if err != nil {
		return false, err
	}
	body, err := io.ReadAll(got.Body)
	var said wire.Headers
	for name, values := range got.Header {
		said.Add(name, values[0])
	}
	key, _ := p.Signature.Key.Decode(keys[p.Signature.Name][0])
	return c.Answer.Will(got.StatusCode) && c.Departs(a, [][]byte{key}, said, body) == "", err
}

func TestHandshakeExpectations(t *testing.T) { judgeAll(t, handshakeRows()) }

const (
	asksYAML  = onceYAML + "expect: "
	threeYAML = "endpoints: [{name: main}, {name: b}, {name: c}]\ntrigger: [{}, {to: b}, {to: c}]\nexpect: "
	movedYAML = "endpoints: [{name: main}, {name: b, later: true}]\ntrigger: [{}, {do: move, to: b}, {to: b, expect: "
)

// answeredSo is a case with an endpoint that answers its handshake so.
func answeredSo(how, expect string) string {
	return "endpoints: [{name: main, handshake: " + how + "}]\n" + onceYAML + "expect: " + expect
}

func handshakeRows() []verdict {
	never := func(h *host) { h.never = true }
	trusts := func(h *host) { h.trusts = true }
	unnamed := edits(func(a *try) { a.request.Headers.Del("WebHook-Request-Origin") })
	otherwise := edits(func(a *try) { a.request.Headers.Set("WebHook-Request-Origin", "other.example") })
	return []verdict{
		{"asked first", asksYAML + "consented-first", asks("websub", nil), pass, ""},
		{"never asked", asksYAML + "consented-first", asks("websub", never), fail, "never asked"},
		{"asked, and not minded", answeredSo("no-echo", "consented-first"), asks("websub", trusts), fail, "before the endpoint had agreed"},
		{"asked, and nothing comes", asksYAML + "consented-first", with(asks("websub", nil), dead), open, "nothing arrived"},
		{"asked, and no handshake is known", asksYAML + "consented-first", nil, skip, "no handshake"},
		{"moved and asked", movedYAML + "consented-first}]", asks("websub", nil), pass, ""},
		{"moved and not asked", movedYAML + "consented-first}]", func(s *stage) {
			asks("websub", nil)(s)
			s.subject.Move = action{words: []string{"url"}, do: at(func(sender.Values) {})}
		}, fail, "never asked"},

		{"signed", asksYAML + "handshake-signed", asks("slack", nil), pass, ""},
		{"not signed", asksYAML + "handshake-signed", asks("slack", func(h *host) { h.unsigned = true }), fail, "does not verify"},
		{"signed, and never sent", asksYAML + "handshake-signed", asks("slack", never), fail, "never asked"},
		{"signed, and nothing comes", asksYAML + "handshake-signed", with(asks("slack", nil), dead), open, "nothing arrived"},
		{"a forgery is tried", asksYAML + "handshake-signed", asks("discord", func(h *host) { h.forges = true }), pass, ""},

		{"challenges", threeYAML + "challenges-differ", asks("websub", nil), pass, ""},
		{"one challenge", threeYAML + "challenges-differ", asks("websub", func(h *host) { h.challenge = func(int) string { return "challenge" } }), fail, "the same challenge"},
		{"short challenges", threeYAML + "challenges-differ", asks("websub", func(h *host) { h.challenge = func(n int) string { return fmt.Sprint(n) } }), fail, "can be guessed"},
		{"challenges of one endpoint", asksYAML + "challenges-differ", asks("websub", nil), open, "nothing to compare"},

		{"refused", answeredSo("wrong-echo", "unconsented"), asks("websub", nil), pass, ""},
		{"refused by nothing", answeredSo("no-echo", "unconsented"), asks("websub", nil), pass, ""},
		{"refused by a page", answeredSo("echo-in-page", "unconsented"), asks("websub", nil), pass, ""},
		{"refused by a status", answeredSo("refused", "unconsented"), asks("websub", nil), pass, ""},
		{"refused for its proof", answeredSo("wrong-proof", "unconsented"), asks("zoom", nil), pass, ""},
		{"registered, and silent", answeredSo("wrong-echo", "unconsented"), asks("websub", func(h *host) { h.mute = true }), pass, ""},
		{"taken for consent", answeredSo("wrong-echo", "unconsented"), asks("websub", trusts), fail, "the event came"},
		{"refused by an error", answeredSo("wrong-echo", "unconsented"), asks("websub", func(h *host) { h.refusal = 500 }), open, "not as a refusal"},
		{"an endpoint that verifies nothing", answeredSo("careless", "unconsented"), asks("discord", func(h *host) { h.forges = true }), pass, ""},
		{"an endpoint that nobody tries", answeredSo("careless", "unconsented"), asks("discord", nil), fail, "the event came"},
		{"moved and refused", strings.Replace(movedYAML, "later: true", "later: true, handshake: refused", 1) + "unconsented}]", asks("websub", nil), pass, ""},
		{"moved and taken", strings.Replace(movedYAML, "later: true", "later: true, handshake: refused", 1) + "unconsented}]", asks("websub", trusts), fail, "came"},

		{"origin", asksYAML + "origin-named", asks("cloudevents", nil), pass, ""},
		{"no origin", asksYAML + "origin-named", with(asks("cloudevents", nil), unnamed), fail, "has no header"},
		{"another origin", asksYAML + "origin-named", with(asks("cloudevents", nil), otherwise), fail, "another origin"},
		{"origin of nothing", asksYAML + "origin-named", with(asks("cloudevents", nil), dead), open, "nothing arrived"},

		{"within the rate", "endpoints: [{name: main, handshake: two-a-minute}]\ntrigger: [{times: 2}, {}]\nexpect: within-rate", asks("cloudevents", nil), pass, ""},
		{"beyond the rate", "endpoints: [{name: main, handshake: two-a-minute}]\ntrigger: {times: 4}\nexpect: within-rate", asks("cloudevents", nil), fail, "3 attempts came within"},
		{"no rate of nothing", "endpoints: [{name: main, handshake: two-a-minute}]\ntrigger: {times: 4}\nexpect: within-rate", with(asks("cloudevents", nil), dead), open, "there is no rate"},
	}
}
