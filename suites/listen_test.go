package suites_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

// live is a live receiver under test. Arrivals are handed over one by one.
type live struct {
	url      string
	arrivals chan suites.Arrival
	end      context.CancelFunc
	ended    chan error
}

func listen(t *testing.T, s suites.Settings, l suites.ListenSettings) *live {
	t.Helper()
	if l.Listen == "" {
		l.Listen = "127.0.0.1:0"
	}
	r, err := s.Listener(l)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	x := &live{r.URL(), make(chan suites.Arrival, 100), cancel, make(chan error, 1)}
	go func() { x.ended <- r.Serve(ctx, func(a suites.Arrival) { x.arrivals <- a }) }()
	t.Cleanup(func() { x.stop() })
	return x
}

// stop ends the receiver, and tells how it ended.
func (x *live) stop() error {
	x.end()
	err := <-x.ended
	x.ended <- err
	return err
}

// post sends one request on a connection of its own, and returns the status; 0
// where there was no answer.
func post(t *testing.T, address, body string, headers ...string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0
	}
	return resp.StatusCode
}

func mac(key, text string) []byte {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(text))
	return m.Sum(nil)
}

const (
	secret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	retired = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
)

func keyOf(secret string) string {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		panic(err)
	}
	return string(key)
}

// What senders do wrong is told from what they send.
func TestDiagnosis(t *testing.T) {
	t.Setenv("LISTEN_SECRET", secret)
	t.Setenv("LISTEN_RETIRED", retired)
	standard := listen(t, suites.Settings{Profile: "standard-webhooks", Secret: []string{"env:LISTEN_SECRET"}, RetiredSecret: []string{"env:LISTEN_RETIRED"}}, suites.ListenSettings{})
	github := listen(t, suites.Settings{Profile: "github", Secret: []string{"env:LISTEN_SECRET"}}, suites.ListenSettings{})
	const body = "{\"a\":  1.0, \"b\": \"é/<\", \"b2\": null}\n"
	key, now := keyOf(secret), strconv.FormatInt(time.Now().Unix(), 10)
	b64 := base64.StdEncoding.EncodeToString
	type sent struct{ id, stamp, signature string }
	signed := func(key, text string) sent { return sent{"msg_1", now, "v1," + b64(mac(key, "msg_1."+now+"."+text))} }
	over := func(text string) sent { return sent{"msg_1", now, "v1," + b64(mac(key, text))} }
	at := func(d time.Duration) sent {
		stamp := strconv.FormatInt(time.Now().Add(d).Unix(), 10)
		return sent{"msg_1", stamp, "v1," + b64(mac(key, "msg_1."+stamp+"."+body))}
	}
	sha := hmac.New(sha1.New, []byte(key))
	sha.Write([]byte("msg_1." + now + "." + body))
	compact := `{"a":1.0,"b":"é/<","b2":null}`
	for want, s := range map[string]sent{
		"signature v1": signed(key, body),
		"for the body without its trailing newline":      signed(key, strings.TrimSuffix(body, "\n")),
		"for an empty body":                              signed(key, ""),
		"re-serialised as compact JSON: ":                signed(key, compact),
		"re-serialised as JSON with blanks":              signed(key, `{"a": 1.0, "b": "é/<", "b2": null}`+""),
		"as JSON in ASCII alone, with blanks":            signed(key, `{"a": 1.0, "b": "\u00e9/<", "b2": null}`),
		`with \/ for slashes`:                            signed(key, `{"a":1.0,"b":"\u00e9\/<","b2":null}`),
		"with <, > and & escaped":                        signed(key, `{"a":1.0,"b":"é/\u003c","b2":null}`),
		"indented by two blanks":                         signed(key, "{\n  \"a\": 1.0,\n  \"b\": \"é/<\",\n  \"b2\": null\n}"),
		"over the body alone, where {id}.{timestamp}.":   over(body),
		"with the id left out of {id}.{timestamp}.{":     over(now + "." + body),
		"over the timestamp in milliseconds":             over("msg_1." + now + "000." + body),
		"with the secret undecoded (whsec_ kept)":        signed(secret, body),
		"with the secret undecoded, its prefix":          signed(strings.TrimPrefix(secret, "whsec_"), body),
		"with a newline behind the secret":               signed(secret+"\n", body),
		"with the retired secret":                        signed(keyOf(retired), body),
		"which everybody knows":                          signed("changeme", body),
		"by hmac-sha1, where hmac-sha256 is due":         {"msg_1", now, "v1," + b64(sha.Sum(nil))},
		"in hex, where base64 is due":                    {"msg_1", now, "v1," + hex.EncodeToString(mac(key, "msg_1."+now+"."+body))},
		"one encoding too many":                          {"msg_1", now, "v1," + b64([]byte(hex.EncodeToString(mac(key, "msg_1."+now+"."+body))))},
		"without its padding":                            {"msg_1", now, "v1," + strings.TrimRight(b64(mac(key, "msg_1."+now+"."+body)), "=")},
		"SIGNATURE alone, where v1,SIGNATURE is":         {"msg_1", now, b64(mac(key, "msg_1."+now+"."+body))},
		"cut to 10 of its 32 bytes":                      {"msg_1", now, "v1," + b64(mac(key, "msg_1."+now+"."+body)[:10])},
		"undecoded (whsec_ kept) and in hex":             {"msg_1", now, "v1," + hex.EncodeToString(mac(secret, "msg_1."+now+"."+body))},
		"compact JSON and with the secret undecoded":     signed(secret, compact),
		"s old, of which 300 s are allowed: is the send": at(-312 * time.Second),
		"that is 2h0m0s: has the sender taken local":     at(-2 * time.Hour),
		"s ahead, of which 300 s are allowed":            at(400 * time.Second),
		"nor does any usual mistake explain them":        {"msg_1", now, "v1," + b64(mac("?", "?"))},
		"there is no signature in a header":              {"msg_1", now, ""},
	} {
		headers := []string{"webhook-id", s.id, "webhook-timestamp", s.stamp}
		if s.signature != "" {
			headers = append(headers, "webhook-signature", s.signature)
		}
		found := arrive(t, standard, body, headers...)
		if !strings.Contains(found.Reason, want) || (found.Verdict == suites.Authentic) != (want == "signature v1") {
			t.Errorf("%s: %q, want a reason that says %q", found.Verdict, found.Reason, want)
		}
	}
	for want, headers := range map[string][]string{
		"signature sha256":                         {"X-Hub-Signature-256", "sha256=" + hex.EncodeToString(mac(secret, body))},
		"in base64, where hex is due":              {"X-Hub-Signature-256", "sha256=" + b64(mac(secret, body))},
		"in capital letters":                       {"X-Hub-Signature-256", "sha256=" + strings.ToUpper(hex.EncodeToString(mac(secret, body)))},
		"SIGNATURE alone, where sha256=SIGNATURE":  {"X-Hub-Signature-256", hex.EncodeToString(mac(secret, body))},
		"with the secret decoded as base64":        {"X-Hub-Signature-256", "sha256=" + hex.EncodeToString(mac(key, body))},
		"whose key and content have changed place": {"X-Hub-Signature-256", "sha256=" + hex.EncodeToString(mac(body, secret))},
		"is --profile standard-webhooks meant?":    {"webhook-id", "msg_1", "webhook-timestamp", now, "webhook-signature", "v1,x"},
	} {
		if found := arrive(t, github, body, headers...); !strings.Contains(found.Reason, want) {
			t.Errorf("%s: %q, want a reason that says %q", found.Verdict, found.Reason, want)
		}
	}
}

// arrive sends a delivery and returns what was found.
func arrive(t *testing.T, x *live, body string, headers ...string) suites.Finding {
	t.Helper()
	if status := post(t, x.url, body, headers...); status != 200 {
		t.Fatalf("status %d", status)
	}
	return (<-x.arrivals).Finding
}

// Without a profile, the headers tell.
func TestGuessedProfile(t *testing.T) {
	t.Setenv("LISTEN_SECRET", secret)
	x := listen(t, suites.Settings{Secret: []string{"env:LISTEN_SECRET"}}, suites.ListenSettings{})
	y := listen(t, suites.Settings{}, suites.ListenSettings{})
	sign := []string{"X-Hub-Signature-256", "sha256=" + hex.EncodeToString(mac(secret, "{}")), "X-GitHub-Delivery", "d1", "X-GitHub-Event", "issues"}
	for _, c := range []struct {
		at      *live
		headers []string
		verdict suites.SignatureVerdict
		says    string
	}{
		{x, sign, suites.Authentic, "signature sha256"},
		{y, sign, suites.Unverified, "the headers are those of github"},
		{y, []string{"webhook-id", "msg_1", "webhook-timestamp", "1", "webhook-signature", "v1,x"}, suites.Unverified, "the headers are those of standard-webhooks or "},
		{y, nil, suites.Unverified, "those of none"},
	} {
		found := arrive(t, c.at, "{}", c.headers...)
		if found.Verdict != c.verdict || !strings.Contains(found.Reason, c.says) {
			t.Errorf("%v: %s: %s", c.headers, found.Verdict, found.Reason)
		}
	}
}

func TestUnsignedProfile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plain.yaml")
	if err := os.WriteFile(path, []byte("profile: plain\ntitle: Plain\nsource: [its documents]\nsignature: {algorithm: none}\nid: {json: /id}\npayload: '{\"id\":\"{id}\"}'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	x := listen(t, suites.Settings{Profile: path}, suites.ListenSettings{})
	post(t, x.url, `{"id":7}`)
	if a := <-x.arrivals; a.Finding.Verdict != suites.Unsigned || a.ID != "7" {
		t.Errorf("%+v", a)
	}
}

// The attempts of each delivery are answered in order; the last answer goes on.
func TestScriptedAnswers(t *testing.T) {
	x := listen(t, suites.Settings{Profile: "github"}, suites.ListenSettings{Answer: "500,close,200"})
	type seen struct {
		Status, Attempt int
		Answer          string
	}
	for _, c := range []struct {
		id   string
		want []seen
	}{
		{"a", []seen{{500, 1, "500"}, {0, 2, "close"}, {200, 3, "200"}, {200, 4, "200"}}},
		{"b", []seen{{500, 1, "500"}}},
		{"a", []seen{{200, 5, "200"}}},
	} {
		for _, want := range c.want {
			status := post(t, x.url, "{}", "X-GitHub-Delivery", c.id)
			a := <-x.arrivals
			if diff := cmp.Diff(want, seen{status, a.Attempt, a.Answer}); diff != "" {
				t.Errorf("%s: %s", c.id, diff)
			}
		}
	}
}

// A flood of ids does not fill the memory: the oldest are forgotten.
func TestFloodOfIDs(t *testing.T) {
	r, err := suites.Settings{Profile: "github"}.Listener(suites.ListenSettings{Listen: "127.0.0.1:0", Answer: "500,200"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended, told := make(chan error, 1), 0
	go func() { ended <- r.Serve(ctx, func(suites.Arrival) { told++ }) }()
	transport := &http.Transport{}
	client := &http.Client{Transport: transport}
	send := func(id string) int {
		req, err := http.NewRequestWithContext(t.Context(), "POST", r.URL(), strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-GitHub-Delivery", id)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	const flood = 4096
	got := []int{send("first"), send("first")}
	for i := range flood {
		send(strconv.Itoa(i))
	}
	got = append(got, send("first"), send(strconv.Itoa(flood-1)))
	if diff := cmp.Diff([]int{500, 200, 500, 200}, got); diff != "" {
		t.Error(diff)
	}
	transport.CloseIdleConnections()
	cancel()
	if err := <-ended; err != nil || told != flood+4 {
		t.Errorf("%d arrivals, %v", told, err)
	}
}

func TestAnswersBeforeTheBody(t *testing.T) {
	x := listen(t, suites.Settings{Profile: "github"}, suites.ListenSettings{Answer: "reset-at-connect,early,204"})
	if status := post(t, x.url, "{}", "X-GitHub-Delivery", "a"); status != 0 {
		t.Errorf("a connection that was to be reset is answered %d", status)
	}
	if a := <-x.arrivals; !strings.Contains(a.Note, "before anything was read") {
		t.Errorf("arrival %+v", a)
	}
	if status := post(t, x.url, "{}", "X-GitHub-Delivery", "a"); status != 200 {
		t.Errorf("an early answer has status %d", status)
	}
	if a := <-x.arrivals; !a.Headless || a.Finding.Verdict != suites.Unverified {
		t.Errorf("arrival %+v", a)
	}
	if status := post(t, x.url, "{}", "X-GitHub-Delivery", "a"); status != 204 {
		t.Errorf("the last answer has status %d", status)
	}
}

// A sender that gives up is told of, since that is how its deadline shows.
func TestSenderGivesUp(t *testing.T) {
	x := listen(t, suites.Settings{}, suites.ListenSettings{Answer: "hang"})
	c, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(x.url, "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /\x1b HTTP/1.1\r\n")
	fmt.Fprintf(c, "\r\n")
	if a := <-x.arrivals; !strings.Contains(a.Note, "no delivery (malformed)") || strings.Contains(a.Note, "\x1b") {
		t.Errorf("arrival %+v", a)
	}
	c.Close()
	if c, err = net.Dial("tcp", strings.Trim(strings.TrimPrefix(x.url, "http://"), "/")); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /h HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
	<-x.arrivals
	c.Close()
	if a := <-x.arrivals; !strings.Contains(a.Note, "the sender closed the connection") || !strings.Contains(a.Note, "POST /h") {
		t.Errorf("arrival %+v", a)
	}
}

// The count ends it, once the last answer is written.
func TestCount(t *testing.T) {
	x := listen(t, suites.Settings{}, suites.ListenSettings{Count: 2})
	for range 2 {
		if status := post(t, x.url, "x"); status != 200 {
			t.Errorf("status %d", status)
		}
	}
	if err := <-x.ended; err != nil {
		t.Error(err)
	}
	x.ended <- nil
	if n := len(x.arrivals); n != 2 {
		t.Errorf("%d arrivals", n)
	}
}

func TestMistakesInListening(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	taken := filepath.Join(t.TempDir(), "taken")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, l := range map[string]suites.ListenSettings{
		"choose another address":    {Listen: busy.Addr().String()},
		`did you mean "drip-body"?`: {Answer: "500,drip-bdy"},
		"no status that ends":       {Answer: "100"},
		"takes no number":           {Answer: "hang:3"},
		"must be from 1 to":         {Answer: "drip-body:0"},
		"put it first":              {Answer: "500,reset-at-connect"},
		"the last one goes on":      {Answer: strings.Repeat("500,", 2000)},
		"read --delay":              {Delay: time.Hour},
		"read --count":              {Count: -1},
		"begins with /":             {RedactPointer: []string{"card"}},
		"nothing is written over":   {Record: taken},
	} {
		if l.Listen == "" {
			l.Listen = "127.0.0.1:0"
		}
		_, err := suites.Settings{}.Listener(l)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one that says %q", l, err, want)
		}
	}
	if _, err := (suites.Settings{Secret: []string{"env:NOT_SET_ANYWHERE"}}).Listener(suites.ListenSettings{Listen: "127.0.0.1:0"}); err == nil {
		t.Error("a secret that is not there is no mistake")
	}
}

// What a sender sends is shown as text, whatever it is.
func TestDisplay(t *testing.T) {
	nasty := "\x1b[2J\r\n::error::x ##vso[task] \u202e " + secret + "\x00"
	a := suites.Arrival{Number: 3, At: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), ID: nasty, Event: nasty, Attempt: 2, Answer: "500 after 1s"}
	a.Delivery.Method, a.Delivery.URL, a.Delivery.Body = "POST", "/h", []byte(`{"a":[1,2],"b":"`+strings.Repeat("x", 400)+`"}`)
	a.Delivery.Headers.Add("Authorization", "Bearer abcdefgh")
	a.Delivery.Headers.Add("X-Nasty", nasty)
	a.Finding = suites.Finding{Verdict: suites.NotAuthentic, Reason: "because " + nasty}
	d := suites.Display{Redactor: reports.NewRedactor(secret)}
	for _, d := range []suites.Display{d, {Redactor: d.Redactor, Whole: true}, {Redactor: d.Redactor, Quiet: true}, {Redactor: d.Redactor, Terminal: reports.Terminal{ASCII: true}}} {
		text := d.Show(a)
		for _, bad := range []string{"\x1b", "\r", "\x00", "\u202e", "::error", "##vso", secret, "abcdefgh", strings.Repeat("\n", 2)} {
			if strings.Contains(text, bad) {
				t.Errorf("%q is shown in\n%s", bad, text)
			}
		}
		for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
			if i > 0 && !strings.HasPrefix(line, "  ") {
				t.Errorf("a line begins with what was sent: %s", line)
			}
		}
		if d.Terminal.ASCII && strings.ContainsFunc(text, func(c rune) bool { return c > 0x7e }) {
			t.Errorf("it is not ASCII: %s", text)
		}
	}
	if text := d.Show(a); !strings.Contains(text, "\n  |     1,\n") || strings.Contains(text, strings.Repeat("x", 200)) || !strings.Contains(text, "attempt 2") {
		t.Errorf("it is shown as\n%s", text)
	}
	if text := (suites.Display{Terminal: reports.Terminal{Color: true}}).Show(a); !strings.Contains(text, "\x1b[31m✗ not authentic\x1b[0m") {
		t.Errorf("without colour:\n%s", text)
	}
	a.Delivery.Body = []byte(strings.Repeat("[", 5000) + strings.Repeat("]", 5000))
	if text := (suites.Display{Whole: true}).Show(a); len(text) > 20_000 {
		t.Errorf("%d bytes are shown of a nest", len(text))
	}
	if n := strings.Count(suites.Display{}.Show(suites.Arrival{Note: "x"}), "\n"); n != 1 {
		t.Errorf("a note has %d lines", n)
	}
	if bytes.Contains([]byte(suites.Display{}.Show(a)), []byte{0x1b}) {
		t.Error("there is colour on what is no terminal")
	}
}
