package suites_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

func recorded(t *testing.T, path string) (all []suites.Recorded) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = suites.ReadRecording(path, f, func(d suites.Recorded) error {
		all = append(all, d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func delivery(body string) suites.Recorded {
	return suites.Recorded{
		Schema: suites.RecordingSchema, ReceivedAt: time.Date(2026, 1, 31, 12, 0, 0, 1, time.UTC), Method: "POST", Target: "/h?x=1",
		Headers: []suites.RecordedHeader{{"Content-Type", "application/json"}, {"X-Id", "4111111111111111"}}, Body: &body,
		Profile: "github", ID: "4111111111111111", Event: "push", Verdict: suites.Authentic, Reason: "signature sha256",
	}
}

func record(t *testing.T, d suites.Recorded, redactor *reports.Redactor, pointers ...string) (suites.Recorded, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "r.jsonl")
	r, err := suites.NewRecorder(path, redactor, pointers)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Record(d), r.Close()); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return recorded(t, path)[0], string(raw)
}

func TestRecordingIsReadBack(t *testing.T) {
	for _, body := range []string{"", `{"a":"é<&>"}`, "plain \x00 text\r\n", "\xff\xfe binary"} {
		d := delivery("")
		if strings.HasPrefix(body, "\xff") {
			text := base64.StdEncoding.EncodeToString([]byte(body))
			d.Body, d.BodyBase64 = nil, &text
		} else {
			d.Body = &body
		}
		got, _ := record(t, d, nil)
		if diff := cmp.Diff(d, got); diff != "" {
			t.Errorf("%q: %s", body, diff)
		}
		if string(got.BodyBytes()) != body || got.Altered() {
			t.Errorf("%q is read back as %q, altered %v", body, got.BodyBytes(), got.Altered())
		}
	}
}

// What is not to be kept is kept in no form.
func TestRecordingIsRedacted(t *testing.T) {
	const hidden = "a-secret/of+this~test"
	b := []byte(hidden)
	forms := []string{hidden, hex.EncodeToString(b), base64.StdEncoding.EncodeToString(b), "a-secret%2Fof%2Bthis~test"}
	body, err := json.Marshal(map[string]any{"forms": forms, "card": "4111111111111111", "list": []any{1, map[string]any{"~/": true}}})
	if err != nil {
		t.Fatal(err)
	}
	d := delivery(string(body) + "\n")
	d.Target = "/h?key=" + forms[3]
	d.Headers = append(d.Headers, suites.RecordedHeader{"Cookie", "session=1"}, suites.RecordedHeader{"X-Told", hidden})
	got, raw := record(t, d, reports.NewRedactor(hidden), "/card", "/list/1/~0~1", "/nothing/here")
	for _, form := range append(forms, "4111111111111111", "session=1") {
		if strings.Contains(raw, form) {
			t.Errorf("%s is kept in %s", form, raw)
		}
	}
	want := `{"card":"[redacted]","forms":["[secret]","[secret]","[secret]","[secret]"],"list":[1,{"~/":"[redacted]"}]}` + "\n"
	if diff := cmp.Diff(want, string(got.BodyBytes())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/card", "/list/1/~0~1", "secrets", "header:X-Id", "header:Cookie", "header:X-Told", "target"}, got.Redacted); diff != "" || !got.Altered() {
		t.Errorf("altered %v: %s", got.Altered(), diff)
	}
}

// Members that stand there twice are both taken out, and bytes elsewhere stay.
func TestRedactedPlaces(t *testing.T) {
	for _, c := range []struct{ body, pointer, want string }{
		{` {"a" : 1 , "a":[2], "b":"a"} `, "/a", ` {"a" : "[redacted]" , "a":"[redacted]", "b":"a"} `},
		{`[ {"x":"}{"} , {"x":{"y":[]}} ]`, "/1/x", `[ {"x":"}{"} , {"x":"[redacted]"} ]`},
		{`{"":{"":0}}`, "//", `{"":{"":"[redacted]"}}`},
		{`{"a":[1,2]}`, "/a/01", `{"a":[1,2]}`},
		{`{"\u0061":1}`, "/a", `{"\u0061":"[redacted]"}`},
		{`{"a":"[redacted]"}`, "/a", `{"a":"[redacted]"}`},
		{``, "/a", ``}, {`7`, "/a", `7`},
	} {
		got, _ := record(t, delivery(c.body), nil, c.pointer)
		if string(got.BodyBytes()) != c.want || got.Altered() != (c.body != c.want) {
			t.Errorf("%s at %s is kept as %s, altered %v", c.body, c.pointer, got.BodyBytes(), got.Altered())
		}
	}
	for _, body := range []string{"card=4111", `{"a":`, `{} {}`, `{"a":1}x`} {
		got, raw := record(t, delivery(body), nil, "/b")
		if !got.Withheld() || strings.Contains(raw, `"body":`) {
			t.Errorf("%s, in which nothing can be looked up, is kept: %s", body, raw)
		}
	}
}

func TestRecordingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	r, err := suites.NewRecorder(path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := suites.NewRecorder(path, nil, nil); err == nil || !strings.Contains(err.Error(), "written over") {
		t.Errorf("a recording would be written over: %v", err)
	}
	if err := r.Record(delivery("")); err == nil {
		t.Error("what cannot be written is taken for kept")
	}
}

func line(t testing.TB, change func(map[string]any)) string {
	t.Helper()
	b, err := json.Marshal(delivery("{}"))
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]any{}
	if err := json.Unmarshal(b, &members); err != nil {
		t.Fatal(err)
	}
	change(members)
	if b, err = json.Marshal(members); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestBadRecordings(t *testing.T) {
	set := func(name string, value any) string {
		return line(t, func(m map[string]any) {
			if m[name] = value; value == nil {
				delete(m, name)
			}
		})
	}
	good := set("id", "a")
	for text, want := range map[string]string{
		"":                                "no delivery",
		"{":                               "line 1: it is no JSON",
		"[]":                              "line 1: it is no JSON",
		"\xff":                            "line 1: it is not UTF-8",
		good + "\n" + "{}":                "line 2: its schema is",
		good + "\n\n":                     "line 2",
		set("schema", "x/2"):              "hookanvil.recording/1 is understood",
		set("extra", 1):                   "extra",
		set("method", "PO ST"):            "the method",
		set("method", nil):                "the method",
		set("target", "/a b"):             "the target",
		set("target", "/\r\nX: y"):        "the target",
		set("headers", nil):               "must have headers",
		set("headers", [][]string{{"a"}}): "header",
		set("headers", [][]string{{"A", "b\r\nc: d"}}): "no header can have",
		set("headers", [][]string{{"A:", "b"}}):        "no header can have",
		set("verdict", "perhaps"):                      "the verdict",
		set("received_at", nil):                        "received_at",
		set("received_at", "yesterday"):                "parsing time",
		set("body", nil):                               "one of body",
		set("body_base64", "e30="):                     "one of body",
		set("redacted", []string{"body"}):              "one of body",
		line(t, func(m map[string]any) { delete(m, "body"); m["body_base64"] = "e30" }): "body_base64",
		good + good: "no JSON",
		strings.Replace(good, `"method"`, `"method":"GET","method"`, 1): "twice",
		strings.Replace(good, `"method"`, `"Method"`, 1):                `no member "Method"`,
		set("body", strings.Repeat("x", 17<<20)):                        "16 MiB",
	} {
		err := suites.ReadRecording("r.jsonl", strings.NewReader(text), func(suites.Recorded) error { return nil })
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "r.jsonl") {
			t.Errorf("%.100q: error %v, want one that says %q", text, err, want)
		}
	}
}

// FuzzRecording reads recordings. What is read can be sent: nothing in it would
// become another header or another request; and it is written back as it was.
func FuzzRecording(f *testing.F) {
	f.Add(line(f, func(map[string]any) {}))
	f.Add(line(f, func(m map[string]any) { delete(m, "body"); m["body_base64"] = "/w==" }))
	f.Add(line(f, func(m map[string]any) { delete(m, "body"); m["redacted"] = []string{"body"} }))
	f.Add(`{"schema":"hookanvil.recording/1","Schema":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		suites.ReadRecording("fuzz", strings.NewReader(text), func(d suites.Recorded) error {
			for _, h := range d.WireHeaders() {
				if strings.ContainsAny(h.Name+h.Value, "\r\n\x00") {
					t.Fatalf("header %q", h)
				}
			}
			if strings.ContainsAny(d.Method+d.Target, "\r\n \x00") || d.Method == "" || d.Target == "" {
				t.Fatalf("%q %q", d.Method, d.Target)
			}
			again, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			err = suites.ReadRecording("again", bytes.NewReader(again), func(other suites.Recorded) error {
				if diff := cmp.Diff(d, other); diff != "" {
					t.Fatal(diff)
				}
				return nil
			})
			if err != nil {
				t.Fatalf("%s: %v", again, err)
			}
			return nil
		})
	})
}

// --- replay

func recording(t *testing.T, deliveries ...suites.Recorded) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "r.jsonl")
	var lines []byte
	for _, d := range deliveries {
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, b...), '\n')
	}
	if err := os.WriteFile(path, lines, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func signedDelivery(id, body string) suites.Recorded {
	d := delivery(body)
	d.ID = id
	d.Headers = []suites.RecordedHeader{
		{"Host", "elsewhere"}, {"X-GitHub-Delivery", id}, {"x-b", "1"}, {"X-Hub-Signature-256", "sha256=" + hex.EncodeToString(mac(secret, body))},
		{"X-b", "2"}, {"Transfer-Encoding", "chunked"}, {"X-Hub-Signature", "sha1=old"},
	}
	return d
}

func replay(t *testing.T, s suites.Settings, how suites.ReplaySettings, path string) ([]suites.Replayed, int, error) {
	t.Helper()
	r, err := s.Replay(t.Context(), how)
	if err != nil {
		t.Fatal(err)
	}
	var done []suites.Replayed
	sent, _, err := r.File(t.Context(), path, func(d suites.Replayed) { done = append(done, d) })
	return done, sent, err
}

func TestReplay(t *testing.T) {
	t.Setenv("LISTEN_SECRET", secret)
	x := listen(t, suites.Settings{Profile: "github", Secret: []string{"env:LISTEN_SECRET"}}, suites.ListenSettings{})
	altered, gone := signedDelivery("c", `{"a":"card"}`), signedDelivery("d", "")
	body := `{"a":"[redacted]"}`
	altered.Body = &body
	altered.Redacted, gone.Redacted, gone.Body = []string{"/a"}, []string{"body"}, nil
	path := recording(t, signedDelivery("a", "{}"), signedDelivery("b", "\x00é\n"), altered, gone)
	signed := suites.Settings{Target: x.url, Profile: "github", Secret: []string{"env:LISTEN_SECRET"}}
	for name, c := range map[string]struct {
		how      suites.ReplaySettings
		verdicts []suites.SignatureVerdict
		sameID   bool
	}{
		"as it was":      {suites.ReplaySettings{}, []suites.SignatureVerdict{suites.Authentic, suites.Authentic, suites.NotAuthentic}, true},
		"only one":       {suites.ReplaySettings{Only: []string{"b"}, Speed: suites.SpeedOriginal}, []suites.SignatureVerdict{suites.Authentic}, true},
		"signed anew":    {suites.ReplaySettings{Resign: true}, []suites.SignatureVerdict{suites.Authentic, suites.Authentic, suites.Authentic}, true},
		"under new ids":  {suites.ReplaySettings{Resign: true, NewIDs: true}, []suites.SignatureVerdict{suites.Authentic, suites.Authentic, suites.Authentic}, false},
		"another target": {suites.ReplaySettings{Only: []string{"nonesuch"}}, nil, true},
	} {
		done, sent, err := replay(t, signed, c.how, path)
		if (err != nil) != (c.verdicts == nil) || sent != len(c.verdicts) {
			t.Errorf("%s: %d sent, %v", name, sent, err)
		}
		for i, want := range c.verdicts {
			a := <-x.arrivals
			if a.Finding.Verdict != want || a.Delivery.URL != "/h?x=1" || (a.ID == done[i].ID) != true || (len(a.ID) == 1) != c.sameID {
				t.Errorf("%s: delivery %d (%s) is %+v of %s", name, i+1, a.ID, a.Finding, a.Delivery.URL)
			}
			if diff := cmp.Diff([]string{"1", "2"}, a.Delivery.Headers.Values("x-b")); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			if old := a.Delivery.Headers.Get("X-Hub-Signature"); c.how.Resign && old == "sha1=old" {
				t.Errorf("%s: an old signature is sent along", name)
			}
			if note := done[i].Note; (note != "") != (want == suites.NotAuthentic) {
				t.Errorf("%s: note %q on a delivery that is %s", name, note, want)
			}
		}
		if n := len(c.verdicts); n == 3 && (len(done) != 4 || done[3].Answered || !strings.Contains(done[3].String(), "was not kept")) {
			t.Errorf("%s: what was not kept: %+v", name, done)
		}
	}
}

// Ids that stand in the body are put into it, and the rest of it stays.
func TestReplayUnderNewIDInBody(t *testing.T) {
	t.Setenv("LISTEN_SECRET", secret)
	settings := suites.Settings{Profile: "stripe", Secret: []string{"env:LISTEN_SECRET"}}
	x := listen(t, settings, suites.ListenSettings{})
	settings.Target = x.url + "elsewhere"
	d := delivery(`{ "type":"t", "id" : "evt_1", "n": 1.0 }`)
	d.ID = "evt_1"
	done, _, err := replay(t, settings, suites.ReplaySettings{Resign: true, NewIDs: true}, recording(t, d))
	if err != nil {
		t.Fatal(err)
	}
	a := <-x.arrivals
	want := `{ "type":"t", "id" : "` + done[0].ID + `", "n": 1.0 }`
	if a.Finding.Verdict != suites.Authentic || string(a.Delivery.Body) != want || done[0].ID == "evt_1" || a.Delivery.URL != "/elsewhere" {
		t.Errorf("%+v: %s %s", a.Finding, a.Delivery.URL, a.Delivery.Body)
	}
}

// A recording that is sent to the receiver which is making it has an end.
func TestReplayIntoItsOwnRecording(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	x := listen(t, suites.Settings{}, suites.ListenSettings{Record: path})
	post(t, x.url, "{}")
	for want := 1; want <= 4; want *= 2 {
		if _, sent, err := replay(t, suites.Settings{Target: x.url}, suites.ReplaySettings{}, path); err != nil || sent != want {
			t.Errorf("%d sent of %d, %v", sent, want, err)
		}
	}
}

func TestReplayUnanswered(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(s.Close)
	done, sent, err := replay(t, suites.Settings{Target: s.URL}, suites.ReplaySettings{}, recording(t, signedDelivery("a", "{}")))
	if err != nil || sent != 0 || len(done) != 1 || !strings.Contains(done[0].Outcome, "closed before response") {
		t.Errorf("%+v, %d, %v", done, sent, err)
	}
}

func TestMistakesInReplaying(t *testing.T) {
	for want, c := range map[string]struct {
		s   suites.Settings
		how suites.ReplaySettings
	}{
		"--target":   {suites.Settings{}, suites.ReplaySettings{}},
		"--profile":  {suites.Settings{Target: "http://127.0.0.1:1"}, suites.ReplaySettings{Resign: true}},
		"--secret":   {suites.Settings{Target: "http://127.0.0.1:1", Profile: "github"}, suites.ReplaySettings{Resign: true}},
		"--new-ids":  {suites.Settings{Target: "http://127.0.0.1:1"}, suites.ReplaySettings{NewIDs: true}},
		"--speed":    {suites.Settings{Target: "http://127.0.0.1:1"}, suites.ReplaySettings{Speed: "slow"}},
		"no header;": {suites.Settings{Target: "http://127.0.0.1:1", Header: []string{"x"}}, suites.ReplaySettings{}},
	} {
		if _, err := c.s.Replay(t.Context(), c.how); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
}
