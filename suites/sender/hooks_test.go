package sender

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookanvil/hookanvil/fixtures/wire"
)

// nasty holds what would do harm where it is not written as its place wants it.
const nasty = `a"b\c/../?x=1&y=2#f` + "\r\nX-Evil: 1\n" + `{token} $(id) 'q' é`

func hook(t *testing.T, text string, headers ...wire.Header) *Hook {
	t.Helper()
	h, err := ParseHook(text, headers)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// told is a request as the sender got it.
type told struct {
	Method, Target, Body string
	Headers              http.Header
}

// api is the sender's own, which answers what it is given.
func api(t *testing.T, answer http.HandlerFunc) (base string, got *told) {
	t.Helper()
	got = &told{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		*got = told{r.Method, r.RequestURI, string(b), r.Header}
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

func TestRequestHook(t *testing.T) {
	registration := []byte(` {"id": "ep/1", "n": 7, "a/b": [null, {"~": "tilde"}], "o": {"x": "<y>"}} `)
	v := Values{
		URL: "http://127.0.0.1:1/hook/abc?q=1", Token: nasty, Event: "order.paid", Secret: "whsec_1+2/3=", Endpoint: "main",
		Headers: map[string]string{"X-B": "2", "X-A": `"1"`}, Events: []string{"a", "b<"}, Data: []byte(`{"n": 1.50}`), Registration: registration,
	}
	quoted, err := json.Marshal(nasty)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ hook, target, body, media string }{
		{"POST BASE/events", "/events", "", ""},
		{"DELETE BASE/endpoints/{register:/id}/x", "/endpoints/ep%2F1/x", "", ""},
		{"GET BASE/{token}", "/" + strings.ReplaceAll(url.PathEscape(nasty), "#", "%23"), "", ""},
		{"GET BASE/e?u={url}&t={token}&k=1", "/e?u=" + url.QueryEscape(v.URL) + "&t=" + url.QueryEscape(nasty) + "&k=1", "", ""},
		{`POST BASE/e {"token": "<{token}>", "event": {event}}`, "/e", `{"token": "<` + string(quoted[1:len(quoted)-1]) + `>", "event": "order.paid"}`, "application/json"},
		{"PUT BASE/e  \n [ {register:/n}, {register:/o}, \"{register:/n}\", \"{register:/a~1b/1/~0}\" ]", "/e", `[ 7, {"x": "<y>"}, "7", "tilde" ]`, "application/json"},
		{`POST BASE/e {"d":{data},"h":{headers},"e":{events},"text":"{data}"}`, "/e", `{"d":{"n": 1.50},"h":{"X-A":"\"1\"","X-B":"2"},"e":["a","b<"],"text":"{\"n\": 1.50}"}`, "application/json"},
		{"POST BASE/e {data}", "/e", `{"n": 1.50}`, "application/json"},
		{"POST BASE/e {{{event}", "", "", ""}, // never closed
		{`POST BASE/e {"literal": "{{token} {}"}`, "/e", `{"literal": "{token} {}"}`, "application/json"},
		{"POST BASE/e token={token}&secret={secret}", "/e", "token=" + url.QueryEscape(nasty) + "&secret=whsec_1%2B2%2F3%3D", "application/x-www-form-urlencoded"},
	} {
		base, got := api(t, nil)
		h, err := ParseHook(strings.ReplaceAll(c.hook, "BASE", base), nil)
		if c.target == "" {
			if err == nil {
				t.Errorf("%s is taken for a hook", c.hook)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.hook, err)
			continue
		}
		if o, err := h.Do(t.Context(), v); err != nil || !o.OK() {
			t.Errorf("%s: %+v, %v", c.hook, o, err)
		}
		method, _, _ := strings.Cut(c.hook, " ")
		want := told{Method: method, Target: c.target, Body: unescaped(c.body)}
		have := told{Method: got.Method, Target: got.Target, Body: unescaped(got.Body)}
		if diff := cmp.Diff(want, have); diff != "" || got.Headers.Get("Content-Type") != c.media {
			t.Errorf("%s: Content-Type %q\n%s", c.hook, got.Headers.Get("Content-Type"), diff)
		}
		if got.Headers.Get("X-Evil") != "" {
			t.Errorf("%s: a value became a header", c.hook)
		}
	}
}

// unescaped evens out in which of two ways < and & are written in JSON.
func unescaped(s string) string {
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(s)
}

func TestHookHeaders(t *testing.T) {
	base, got := api(t, nil)
	h := hook(t, "POST "+base+"/ <x/>",
		wire.Header{Name: "Authorization", Value: "Bearer {register:/token}"}, wire.Header{Name: "X-Odd", Value: "{{odd} {thing}"},
		wire.Header{Name: "Content-Type", Value: "application/xml"}, wire.Header{Name: "x-two", Value: "1"}, wire.Header{Name: "X-Two", Value: "2"})
	if _, err := h.Do(t.Context(), Values{Registration: []byte(`{"token":"t0"}`)}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"Authorization": {"Bearer t0"}, "X-Odd": {"{{odd} {thing}"}, "Content-Type": {"application/xml"}, "X-Two": {"1", "2"}, "User-Agent": {"hookanvil"},
	} {
		if diff := cmp.Diff(want, got.Headers.Values(name)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if !h.Has("register") || h.Has("token") {
		t.Error("it is not seen which words the headers say")
	}
	_, err := h.Do(t.Context(), Values{Registration: []byte(`{"token":"t\r\nX-Evil: 1"}`)})
	if err == nil || !strings.Contains(err.Error(), "control character") || strings.Contains(err.Error(), "Evil") {
		t.Errorf("a value with a line break: %v", err)
	}
}

// What the answer is, and what no answer is.
func TestHookOutcomes(t *testing.T) {
	base, _ := api(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/ok", http.StatusFound)
		case "/no":
			http.Error(w, "no", http.StatusUnprocessableEntity)
		case "/broken":
			w.WriteHeader(http.StatusBadGateway)
		case "/long":
			w.Write(bytes.Repeat([]byte("x"), 1<<20))
		case "/json":
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, `{"secret": {"key": "s3"}}`)
		case "/cut":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "x")
		}
	})
	for _, c := range []struct {
		path        string
		status      int
		ok, refused bool
		length      int
	}{
		{"/moved", 302, false, false, 0}, {"/no", 422, false, true, 3}, {"/broken", 502, false, false, 0}, {"/long", 200, true, false, 64 << 10},
	} {
		o, err := hook(t, "POST "+base+c.path).Do(t.Context(), Values{})
		if err != nil || o.Status != c.status || o.OK() != c.ok || o.Refused() != c.refused || len(o.Body) != c.length {
			t.Errorf("%s: status %d, ok %v, refused %v, %d bytes, %v", c.path, o.Status, o.OK(), o.Refused(), len(o.Body), err)
		}
	}
	o, err := hook(t, "POST "+base+"/json").Do(t.Context(), Values{})
	if secret, lookup := o.At("/secret/key"); err != nil || lookup != nil || secret != "s3" {
		t.Errorf("secret %q, %v, %v", secret, err, lookup)
	}
	if _, err := o.At("/secret"); err == nil {
		t.Error("an object is taken for a text")
	}
	const hidden = "a-hidden-value"
	for _, text := range []string{"POST " + base + "/cut?t={token}", "POST http://127.0.0.1:1/?t={token}"} {
		_, err := hook(t, text).Do(t.Context(), Values{Token: hidden})
		if err == nil || strings.Contains(err.Error(), hidden) || !strings.Contains(err.Error(), "POST http://127.0.0.1:") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestHookEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	base, _ := api(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := hook(t, "POST "+base+"/").Do(ctx, Values{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that it was cancelled", err)
	}
}

func TestValuesThatDoNotFit(t *testing.T) {
	for _, c := range []struct {
		hook string
		v    Values
		want string
	}{
		{"GET http://127.0.0.1:1/{token}/x", Values{Token: ".."}, "lead elsewhere"},
		{"GET http://127.0.0.1:1/{token}", Values{}, "empty"},
		{"GET http://127.0.0.1:1/{register:/id}", Values{}, "nothing is registered yet"},
		{"GET http://127.0.0.1:1/{register:/id}", Values{Registration: []byte("<html>")}, "no JSON"},
		{"GET http://127.0.0.1:1/{register:/id/x}", Values{Registration: []byte(`{"id":1}`)}, "nothing stands at"},
		{"GET http://127.0.0.1:1/{register:/01}", Values{Registration: []byte(`[1,2]`)}, "nothing stands at"},
		{"GET http://127.0.0.1:1/{register:/id}", Values{Registration: []byte(`{"id":[1]}`)}, "an object or a list"},
		{`POST http://127.0.0.1:1/ {"d":{data}}`, Values{Data: []byte(`{"a":`)}, "no JSON"},
		{`POST http://127.0.0.1:1/ {"d":"{token}"}`, Values{Token: "\xff"}, "not UTF-8"},
		{"exec true {token}", Values{Token: "a\x00b"}, "NUL"},
		{"exec true {token}", Values{Token: "--force"}, "take it for an option"},
	} {
		_, err := hook(t, c.hook).Do(t.Context(), c.v)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one that says %q", c.hook, err, c.want)
		}
	}
}

func TestMistakesInHooks(t *testing.T) {
	for text, want := range map[string]string{
		"":                                                "it is empty",
		"post http://127.0.0.1/":                          "did you mean POST?",
		"http://127.0.0.1/":                               "put the method before it",
		"./fire":                                          "exec ./fire {token}",
		"POST":                                            "no URL",
		"POST 127.0.0.1:80/":                              "no URL",
		"POST ftp://127.0.0.1/":                           "no URL",
		"POST http:///x":                                  "no URL",
		"POST http://u:p@127.0.0.1/":                      "Authorization",
		"POST http://127.0.0.1/#x":                        "fragment",
		"POST http://127.0.0.1/../x":                      "where it leads",
		"POST http://{token}/":                            "URL's host",
		"POST http://127.0.0.1:{token}/":                  "URL's host",
		"POST http://127.0.0.1/{tokn}":                    "did you mean {token}?",
		"POST http://127.0.0.1/{Token}":                   "did you mean {token}?",
		"POST http://127.0.0.1/{{token}}":                 "write {token}",
		"POST http://127.0.0.1/{nonsense}":                "there is no word",
		"POST http://127.0.0.1/{token:1}":                 "nothing behind a colon",
		"POST http://127.0.0.1/{register}":                "{register:/id}",
		"POST http://127.0.0.1/{register:id}":             "does not begin with /",
		"POST http://127.0.0.1/{register:/~2}":            "~0 nor ~1",
		`POST http://127.0.0.1/ {"a": "{token}"`:          "is no JSON",
		`POST http://127.0.0.1/ {"a": x{token}}`:          "is no JSON",
		"exec":                                            "no command",
		"exec no-such-command-anywhere":                   "cannot be run",
		"exec {token}":                                    "for you alone",
		"exec true 'x":                                    "not closed",
		`exec true "x`:                                    "not closed",
		`exec true \`:                                     "backslash",
		"exec true | cat":                                 "there is none",
		"exec true $HOME":                                 "there is none",
		"exec true > out":                                 "there is none",
		"exec true http://{url}/":                         "URL's host",
		"exec sh -c 'echo {token}'":                       `"$HOOK_TOKEN"`,
		"exec env A=1 bash -ec 'echo {token}'":            `"$HOOK_TOKEN"`,
		"exec ssh localhost fire {token}":                 "the other machine",
		"exec python3 -c'print(\"{token}\")'":             "within a script",
		"exec /usr/bin/perl -we 'print \"{token}\"'":      "within a script",
		"exec sh -c 'echo ${token}'":                      `"$HOOK_TOKEN"`,
		"exec sh -c 'echo {register:/id}'":                "as an argument",
		"exec true " + strings.Repeat("x", 64<<10):        "64 KiB",
		"exec true \xff":                                  "UTF-8",
		"POST http://127.0.0.1/ " + "{\"a\":\"{token\x00": "UTF-8",
	} {
		_, err := ParseHook(text, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: error %v, want one that says %q", text, err, want)
		}
	}
	for _, bad := range []wire.Header{{Name: "a b", Value: "x"}, {Name: "Content-Length", Value: "1"}, {Name: "X", Value: "a\r\nb: c"}} {
		if _, err := ParseHook("POST http://127.0.0.1/", wire.Headers{bad}); err == nil {
			t.Errorf("header %+v is taken", bad)
		}
	}
	if _, err := ParseHook("POST http://127.0.0.1/ <x>{token}</x>", wire.Headers{{Name: "Content-Type", Value: "text/xml"}}); err == nil {
		t.Error("a value would be written into XML")
	}
}

// asArguments makes this test binary a command that prints its arguments, so that
// commands can be tested on every system.
const asArguments = "HOOKS_TEST_AS_ARGUMENTS"

func init() {
	if os.Getenv(asArguments) == "" {
		return
	}
	json.NewEncoder(os.Stdout).Encode(os.Args[1:])
	fmt.Fprint(os.Stderr, strings.Repeat("e", 10<<10))
	if len(os.Args) > 1 && os.Args[1] == "fail" {
		os.Exit(3)
	}
	os.Exit(0)
}

func TestCommandHook(t *testing.T) {
	t.Setenv(asArguments, "1")
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	program := "exec '" + os.Args[0] + "' "
	v := Values{URL: "http://127.0.0.1:1/h?a=1&b=2", Token: nasty, Event: "a b", Events: []string{"x y"}, Registration: []byte(`{"id":"-1"}`)}
	for text, want := range map[string][]string{
		`a  'b c' "d \"e\" \x" f\ g '' h"i"'j'`:  {"a", "b c", `d "e" \x`, "f g", "", "hij"},
		`{token} x{event}y {url}`:                {nasty, "xa by", v.URL},
		`'{"t": "{event}"}' {events} {headers}`:  {`{"t": "a b"}`, `["x y"]`, "{}"},
		`--data='{"t": "{token}"}'`:              {`--data={"t": "` + strings.Trim(jsonOf(nasty), `"`) + `"}`},
		`http://127.0.0.1:1/{event}?u={url}&x=1`: {"http://127.0.0.1:1/a%20b?u=" + url.QueryEscape(v.URL) + "&x=1"},
		`--url=http://127.0.0.1:1/?e={event}`:    {"--url=http://127.0.0.1:1/?e=a+b"},
		`-- {register:/id} a={register:/id}`:     {"--", "-1", "a=-1"},
		`'{{token}' '{print $1}'`:                {"{token}", "{print $1}"},
	} {
		h := hook(t, program+text)
		o, err := h.Do(t.Context(), v)
		var got []string
		if err != nil || !o.OK() || json.Unmarshal(o.Body, &got) != nil {
			t.Errorf("%s: %+v, %v", text, o, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
		if len(o.Stderr) != hookStderr {
			t.Errorf("%s: %d bytes of standard error are kept", text, len(o.Stderr))
		}
		if h.String() != program+text {
			t.Errorf("it shows itself as %s", h)
		}
	}
	o, err := hook(t, program+"fail").Do(t.Context(), v)
	if err != nil || o.Exit != 3 || o.OK() || !o.Refused() {
		t.Errorf("a command that fails: %+v, %v", o, err)
	}
}

func shell(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there is no sh")
	}
}

// A script gets its values in variables, where the shell leaves them alone.
func TestScriptHook(t *testing.T) {
	shell(t)
	h := hook(t, `exec sh -c 'printf %s "${HOOK_TOKEN}${NOT_SET}"; test -z "$HOOK_SECRET"; yes | head -c 1000000'`)
	o, err := h.Do(t.Context(), Values{Token: nasty})
	if err != nil || !bytes.HasPrefix(o.Body, []byte(nasty)) || len(o.Body) != hookBody {
		t.Errorf("%.80q, %d bytes, %v", o.Body, len(o.Body), err)
	}
	for word, has := range map[string]bool{"token": true, "secret": true, "url": false} {
		if h.Has(word) != has {
			t.Errorf("Has(%q) is %v", word, !has)
		}
	}
}

// Where a command is ended, so is what it has started.
func TestCommandIsEnded(t *testing.T) {
	shell(t)
	pipe := filepath.Join(t.TempDir(), "pipe")
	if _, err := hook(t, "exec mkfifo '"+pipe+"'").Do(t.Context(), Values{}); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := hook(t, `exec sh -c 'exec 3>"$1"; sleep 1000 & echo started >&3; wait' fire '`+pipe+`'`).Do(ctx, Values{})
		ended <- err
	}()
	f, err := os.Open(pipe) // until the script has opened it too
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	started := make([]byte, 8)
	if _, err := io.ReadFull(f, started); err != nil {
		t.Fatal(err)
	}
	cancel()
	if rest, err := io.ReadAll(f); err != nil || len(rest) != 0 { // it ends when nobody holds the other end
		t.Errorf("%q, %v", rest, err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// FuzzHook parses hooks and fills them in. No value changes the shape of what it
// is put into.
func FuzzHook(f *testing.F) {
	for _, text := range []string{
		`POST http://127.0.0.1:9000/events {"token":"{token}","d":{data},"e":{events},"r":{register:/v}}`,
		"GET http://127.0.0.1/a/{token}/b?x={token}&y={url}", "PUT http://127.0.0.1/ a={token}&b={register:/v}", `POST http://127.0.0.1/ "{token}"`,
		`exec true {token} '{"a":"{token}\\"}' http://127.0.0.1/{token}?{token}`, `exec sh -c 'x "$HOOK_TOKEN"' "a\"{url}"`, `POST http://a/ {"\"{token}":1}`,
		"{{", "exec {", "POST http://127.0.0.1/{register:/~1~0}", "POST http://[::1]/{{x", `POST http://a/{headers} ["\\{token}"]`,
	} {
		f.Add(text, nasty)
		f.Add(text, "..")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		h, err := ParseHook(text, nil)
		if err != nil {
			return
		}
		registration, err := json.Marshal(map[string]string{"v": value})
		if err != nil {
			t.Fatal(err)
		}
		v := Values{URL: value, Token: value, Event: value, Secret: value, Endpoint: value, Registration: registration}
		for _, w := range h.command {
			if filled, err := w.fill(v); err == nil && !w.hasWords() && filled != w.sample() {
				t.Fatalf("%q: word %q became %q", text, w.source(), filled)
			}
		}
		if h.command != nil {
			return
		}
		req, err := h.newRequest(t.Context(), v)
		if err != nil {
			return
		}
		plain, err := http.NewRequest(h.method, h.address.sample(), nil)
		if err != nil {
			t.Fatal(err)
		}
		sameURL(t, plain.URL, req.URL)
		if body, err := h.body.fill(v); err == nil && req.Header.Get("Content-Type") == "application/json" {
			if diff := cmp.Diff(shape(t, h.body.sample()), shape(t, body)); diff != "" {
				t.Fatalf("%q: the body %q has another shape: %s", text, body, diff)
			}
		} else if err == nil && strings.Count(body, "&") != strings.Count(h.body.sample(), "&") {
			t.Fatalf("%q: the form %q has another shape", text, body)
		}
	})
}

func sameURL(t *testing.T, want, got *url.URL) {
	t.Helper()
	if got.Host != want.Host || got.Scheme != want.Scheme || got.Fragment != want.Fragment || got.User != nil ||
		strings.Count(got.EscapedPath(), "/") != strings.Count(want.EscapedPath(), "/") ||
		strings.Count(got.RawQuery, "&") != strings.Count(want.RawQuery, "&") || got.ForceQuery != want.ForceQuery {
		t.Fatalf("%s became %s", want, got)
	}
}

// shape is what kinds of token a JSON text consists of.
func shape(t *testing.T, text string) (kinds []string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return kinds
		}
		if err != nil {
			t.Fatalf("%q is no JSON: %v", text, err)
		}
		if delim, ok := token.(json.Delim); ok {
			kinds = append(kinds, delim.String())
		} else {
			kinds = append(kinds, fmt.Sprintf("%T", token))
		}
	}
}
