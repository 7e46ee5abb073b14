package sender_test

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
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
	asked     atomic.Int64

	lease     func(asked int) int // that it names; 0 is none
	perpetual bool                // it delivers when the lease is over
	heedless  bool                // it does not ask whether deliveries are to end
	later     bool                // it asks behind its answer
	leased    int
	until     time.Time        // when the lease of the last endpoint is over
	left      atomic.Bool      // the last endpoint gets no more
	denies    func(n int) bool // the n-th time it says that there will be no deliveries
	revokes   bool             // it says so to whoever has agreed

	callback string      // at which consent may be given later
	deaf     bool        // it takes no consent there
	taken    atomic.Bool // the last endpoint has agreed
}

const (
	callbackHost = "127.0.0.1:9000"
	callbackURL  = "http://" + callbackHost + "/consent/7f3a"
)

// serveCallback takes consent at the callback, until the test is over.
func (h *host) serveCallback(s *stage) {
	l, err := s.net.open(callbackHost)
	if err != nil {
		s.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.deaf || !strings.HasSuffix(callbackURL, r.URL.Path) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		h.taken.Store(true)
	})}
	go func() { _ = server.Serve(l) }()
	s.Cleanup(func() { _ = server.Close() })
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
		if h.callback != "" {
			h.serveCallback(s)
			s.sender.loses = func(int) bool { return !h.taken.Load() }
		}
		s.subject.Limits.Minute = 10 * time.Second
		s.subject.Register = action{words: []string{"url", "secret"}, do: func(ctx context.Context, v sender.Values) (sender.Outcome, error) {
			return h.register(ctx, s, v)
		}}
		s.subject.Move = s.subject.Register
		if p.Challenge.Lease == "" {
			return
		}
		s.subject.Register = action{words: []string{"url", "secret", "lease"}, do: s.subject.Register.(action).do}
		s.subject.Remove = action{words: []string{"url"}, do: func(ctx context.Context, v sender.Values) (sender.Outcome, error) {
			return h.remove(ctx, s, v.URL)
		}}
		if s.sender.loses == nil {
			s.sender.loses = func(int) bool { return h.left.Load() || !h.perpetual && !h.until.IsZero() && time.Now().After(h.until) }
		}
	}
}

// remove ends deliveries, if the endpoint says so.
func (h *host) remove(ctx context.Context, s *stage, target string) (sender.Outcome, error) {
	ask := func(ctx context.Context) (bool, error) {
		if h.heedless {
			return true, nil
		}
		ends, err := h.question(ctx, s, target, s.keys, profile.Asked{Leaving: true})
		return ends || h.trusts, err
	}
	if h.later {
		s.sender.busy.Go(func() {
			time.Sleep(100 * time.Millisecond)
			left, _ := ask(context.Background())
			h.left.Store(left)
		})
		return sender.Outcome{Status: http.StatusAccepted}, nil
	}
	left, err := ask(ctx)
	h.left.Store(left)
	if err != nil || left {
		return sender.Outcome{Status: http.StatusNoContent}, err
	}
	return sender.Outcome{Status: http.StatusUnprocessableEntity}, nil
}

func (h *host) register(ctx context.Context, s *stage, v sender.Values) (sender.Outcome, error) {
	registered, target := sender.Outcome{Status: http.StatusCreated}, v.URL
	h.left.Store(false)
	h.until, h.leased = time.Time{}, v.Lease
	if h.lease != nil {
		h.leased = h.lease(v.Lease)
	}
	if h.leased > 0 {
		h.until = time.Now().Add(time.Duration(float64(h.leased) * cmp.Or(s.subject.Limits.Hasten, 1) * float64(time.Second)))
	}
	if h.never {
		return registered, nil
	}
	agrees, err := h.ask(ctx, s, target, s.keys)
	if err == nil && agrees && h.forges {
		var careless bool
		careless, err = h.ask(ctx, s, target, s.profile.NewKeys(rand.New(rand.NewPCG(5, 6))))
		agrees = !careless
	}
	if err == nil && agrees && h.revokes {
		_, err = h.ask(ctx, s, target, s.keys)
	}
	h.taken.Store(agrees)
	switch {
	case err != nil:
		return registered, err
	case agrees || h.trusts || h.callback != "":
	case h.mute:
		s.sender.loses = func(nth int) bool { return nth == 2 } // the first is the preflight's
	default:
		registered.Status = h.refusal
	}
	return registered, nil
}

// ask performs one handshake, and tells whether the endpoint agrees.
func (h *host) ask(ctx context.Context, s *stage, target string, keys profile.Keys) (agrees bool, err error) {
	return h.question(ctx, s, target, keys, profile.Asked{Lease: h.leased, Callback: h.callback})
}

// question is one that is asked of an endpoint.
func (h *host) question(ctx context.Context, s *stage, target string, keys profile.Keys, a profile.Asked) (agrees bool, err error) {
	p, c := s.profile, s.profile.Challenge
	nth := int(h.asked.Add(1))
	a.Challenge = h.challenge(nth)
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
	if c.Lease != "" && a.Lease == 0 {
		u.RawQuery = strings.Replace(u.RawQuery, c.Lease, "x", 1)
	}
	if h.denies != nil && h.denies(nth) {
		u.RawQuery = c.Refusing(a)
	}
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

const leaseYAML = "endpoints: [{name: main, lease: 3s}]\ntrigger: [{as: within}, {as: behind, after: 4s, expect: within-lease}]"

// leavingYAML is a case whose endpoint is removed, and what must come of it.
func leavingYAML(how, expect string) string {
	if how != "" {
		how = "endpoints: [{name: main, handshake: " + how + "}]\n"
	}
	return how + "trigger: [{as: before}, {do: remove}, {as: after, expect: " + expect + "}]"
}

// hastened has leases be a tenth of what they say.
func hastened(s *stage) { s.subject.Limits.Hasten = 0.1 }

// answeredSo is a case with an endpoint that answers its handshake so.
func answeredSo(how, expect string) string {
	return "endpoints: [{name: main, handshake: " + how + "}]\n" + onceYAML + "expect: " + expect
}

func handshakeRows() []verdict {
	// The preflight asks once when it comes, and once when it goes.
	second := func(n int) bool { return n == 3 }
	afterEach := func(n int) bool { return n%3 == 2 }
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

		{"agreed later", answeredSo("by-callback", "granted-by-callback"), asks("cloudevents", func(h *host) { h.callback = callbackURL }), pass, ""},
		{"agreed later in vain", answeredSo("by-callback", "granted-by-callback"), asks("cloudevents", func(h *host) { h.callback, h.deaf = callbackURL, true }), fail, "takes no consent at the callback"},
		{"agreed later, elsewhere", answeredSo("by-callback", "granted-by-callback"), asks("cloudevents", func(h *host) { h.callback = "http://192.0.2.1/" }), open, "is not this machine"},
		{"never agreed later", answeredSo("by-callback", "granted-by-callback"), asks("cloudevents", nil), skip, "names no callback"},
		{"agreed by a guess", answeredSo("by-wrong-callback", "unconsented"), asks("cloudevents", func(h *host) { h.callback = callbackURL }), pass, ""},

		{"lease named", asksYAML + "lease-named", asks("websub", nil), pass, ""},
		{"no lease named", asksYAML + "lease-named", asks("websub", func(h *host) { h.lease = func(int) int { return 0 } }), fail, "hub.lease_seconds"},
		{"no lease of one that never asks", asksYAML + "lease-named", asks("websub", never), fail, "never asked"},
		{"lease named by others", asksYAML + "lease-named", asks("slack", nil), skip, "no time for which"},
		{"lease over", leaseYAML, asks("websub", nil), pass, ""},
		{"lease over, and delivered", leaseYAML, asks("websub", func(h *host) { h.perpetual = true }), fail, "after the lease was over, which was of 3 s"},
		{"longer lease than asked for", leaseYAML, asks("websub", func(h *host) { h.lease = func(int) int { return 60 } }), open, "a lease of 60 s"},
		{"a longer lease, and hastened", leaseYAML, with(asks("websub", nil), hastened), pass, ""},
		{"a longer lease, hastened, and delivered", leaseYAML, with(asks("websub", func(h *host) { h.perpetual = true }), hastened), fail, "after 0.1 of that"},
		{"lease over, and nothing before", leaseYAML, with(asks("websub", nil), dead), open, "nothing arrived"},
		{"lease over, and nothing at all", strings.Replace(leaseYAML, ", expect: within-lease}]", "}]\nexpect: within-lease", 1), with(asks("websub", nil), dead), open, "before the lease was over"},
		{"lease of nobody", leaseYAML, asks("websub", never), open, "had not agreed"},
		{"lease of others", leaseYAML, asks("slack", nil), skip, "no time for which"},

		{"asked to leave", leavingYAML("", "[silent, asked-to-leave]"), asks("websub", nil), pass, ""},
		{"asked to leave later", leavingYAML("", "[silent, asked-to-leave]"), asks("websub", func(h *host) { h.later = true }), pass, ""},
		{"not asked to leave", leavingYAML("", "[silent, asked-to-leave]"), asks("websub", func(h *host) { h.heedless = true }), fail, "never asked whether its deliveries are to end"},
		{"others are asked to leave", leavingYAML("", "[silent, asked-to-leave]"), asks("slack", nil), skip, "--remove"},
		{"stays", leavingYAML("stays", "delivered"), asks("websub", nil), pass, ""},
		{"stays, and asked later", leavingYAML("stays", "delivered"), asks("websub", func(h *host) { h.later = true }), pass, ""},
		{"stays by a wrong echo", leavingYAML("stays-by-wrong-echo", "delivered"), asks("websub", nil), pass, ""},
		{"stays in vain", leavingYAML("stays", "delivered"), asks("websub", trusts), fail, "nothing arrived"},
		{"stays, and is not asked", leavingYAML("stays", "delivered"), asks("websub", func(h *host) { h.heedless = true }), fail, "nothing arrived"},
		{"leaving of others", leavingYAML("stays", "delivered"), asks("slack", nil), skip, "does not ask whether"},

		{"denied, and delivered", asksYAML + "consented-first", asks("websub", func(h *host) { h.denies, h.trusts = second, true }), fail, "never asked"},
		{"denied afterwards", "trigger: [{}, {after: 2s}]\nexpect: consented-first", asks("websub", func(h *host) { h.revokes, h.denies = true, afterEach }), fail, "after it had ceased to"},
		{"denied, and silent", asksYAML + "unconsented", asks("websub", func(h *host) { h.denies = second }), pass, ""},

		{"origin", asksYAML + "origin-named", asks("cloudevents", nil), pass, ""},
		{"no origin", asksYAML + "origin-named", with(asks("cloudevents", nil), unnamed), fail, "has no header"},
		{"another origin", asksYAML + "origin-named", with(asks("cloudevents", nil), otherwise), fail, "another origin"},
		{"origin of nothing", asksYAML + "origin-named", with(asks("cloudevents", nil), dead), open, "nothing arrived"},

		{"within the rate", "endpoints: [{name: main, handshake: two-a-minute}]\ntrigger: [{times: 2}, {}]\nexpect: within-rate", asks("cloudevents", nil), pass, ""},
		{"beyond the rate", "endpoints: [{name: main, handshake: two-a-minute}]\ntrigger: {times: 4}\nexpect: within-rate", asks("cloudevents", nil), fail, "3 attempts came within"},
		{"no rate of nothing", "endpoints: [{name: main, handshake: two-a-minute}]\ntrigger: {times: 4}\nexpect: within-rate", with(asks("cloudevents", nil), dead), open, "there is no rate"},
	}
}
