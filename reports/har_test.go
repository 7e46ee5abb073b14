package reports_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/chromedp/cdproto/har"

	"github.com/hookanvil/hookanvil/reports"
)

// archiveOf is the HAR of one exchange, as a reader of others has it.
func archiveOf(t *testing.T, role string, x reports.Exchange) har.Log {
	t.Helper()
	run := reports.Run{
		Tool: "hookanvil v0", Started: began, State: reports.Complete, Subject: reports.Subject{Role: role, Target: "https://hooks.example:8443/in?key=1"},
		Results: []reports.Result{{ID: role + "/a/b", Verdict: reports.Pass, Evidence: []reports.Exchange{x}}},
	}
	return readHAR(t, run)
}

func readHAR(t *testing.T, run reports.Run) har.Log {
	t.Helper()
	var b bytes.Buffer
	must(t, reports.HAR(&b, run))
	var h har.HAR
	must(t, json.Unmarshal(b.Bytes(), &h))
	if h.Log == nil || h.Log.Version != "1.2" {
		t.Fatalf("it is no HAR 1.2: %.200s", &b)
	}
	return *h.Log
}

func wired(sent, received string) reports.Exchange {
	return reports.Exchange{
		Label: "delivery", Outcome: "answered", Sent: reports.Printable([]byte(sent), 4096), Received: reports.Printable([]byte(received), 4096),
		SentBytes: int64(len(sent)), ReceivedBytes: int64(len(received)), Remote: "192.0.2.7:8443", StartedMS: 1500, FirstByteMS: 2, DurationMS: 5,
	}
}

const answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"

func TestHAR(t *testing.T) {
	log := archiveOf(t, "receiver", wired("POST /in?a=1&b=x%20y&a=2 HTTP/1.1\r\nHost: other\r\nX-A: 1\r\nX-A: 2\r\nContent-Type: application/json\r\n\r\n{\"a\":1}", answer))
	e := log.Entries[0]
	if e.StartedDateTime != "2026-05-04T09:30:01.5Z" || e.Time != 5 || e.Timings.Wait != 2 || e.Timings.Receive != 3 || e.ServerIPAddress != "192.0.2.7" {
		t.Errorf("when and where: %+v, %+v", e, e.Timings)
	}
	q := e.Request
	if q.Method != "POST" || q.URL != "https://hooks.example:8443/in?a=1&b=x%20y&a=2" || q.HTTPVersion != "HTTP/1.1" || q.PostData.Text != `{"a":1}` || q.BodySize != 7 {
		t.Errorf("the request: %+v, %+v", q, q.PostData)
	}
	if len(q.Headers) != 4 || q.Headers[1].Value+q.Headers[2].Value != "12" || len(q.QueryString) != 3 || q.QueryString[1].Value != "x y" {
		t.Errorf("headers %d, query %+v", len(q.Headers), q.QueryString)
	}
	if a := e.Response; a.Status != 200 || a.StatusText != "OK" || a.Content.Text != "ok" || a.Content.MimeType != "text/plain" {
		t.Errorf("the answer: %+v, %+v", a, a.Content)
	}

	log = archiveOf(t, "sender", wired(answer, "PUT /hook HTTP/1.1\r\nHost: 127.0.0.1:4000\r\n\r\nx"))
	if q := log.Entries[0].Request; q.Method != "PUT" || q.URL != "http://127.0.0.1:4000/hook" || q.PostData.Text != "x" || log.Entries[0].ServerIPAddress != "" {
		t.Errorf("a sender's request: %+v", q)
	}
}

// What a HAR cannot say is said in words, and nothing is said that was not so.
func TestHARSaysWhatItCannotHold(t *testing.T) {
	chunked := func(body string) string {
		var b strings.Builder
		w := httputil.NewChunkedWriter(&b)
		fmt.Fprint(w, body)
		must(t, w.Close())
		return b.String() + "\r\n"
	}
	const head = "POST / HTTP/1.1\r\nHost: a\r\n"
	for _, tt := range []struct {
		name, request, answer string
		see                   func(e *har.Entry) bool
	}{
		{"a body that is not UTF-8", head + "\r\n\xff\x00", answer, func(e *har.Entry) bool { return e.Request.PostData.Text == "/wA=" && e.Request.BodySize == 2 }},
		{"chunks", head + "Transfer-Encoding: chunked\r\n\r\n" + chunked("hello"), answer, func(e *har.Entry) bool { return e.Request.PostData.Text == "hello" && e.Request.BodySize == 5 }},
		{"broken chunks", head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", answer, func(e *har.Entry) bool {
			return e.Request.PostData.Text == "zz\r\n" && strings.Contains(e.Request.Comment, "not the chunks")
		}},
		{"a second request behind", head + "Content-Length: 1\r\n\r\naGET / HTTP/1.1\r\n\r\n", answer, func(e *har.Entry) bool { return strings.Contains(e.Request.Comment, "18 bytes follow") }},
		{"a body cut off", head + "Content-Length: 9\r\n\r\nabc", answer, func(e *har.Entry) bool { return strings.Contains(e.Request.Comment, "is 9, and 3 bytes came") }},
		{"lines that are no headers", head + "no header\r\n bent: x\r\n\r\n", answer, func(e *har.Entry) bool {
			return strings.Contains(e.Request.Comment, "2 lines of its head") && len(e.Request.Headers) == 1
		}},
		{"a header with a line end of its own", head + "X: a\rInjected: b\x00\r\n\r\n", answer, func(e *har.Entry) bool { return e.Request.Headers[1].Value == `a\rInjected: b\x00` }},
		{"a target that is no path", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", answer, func(e *har.Entry) bool {
			return strings.Contains(e.Request.Comment, "no path: *") && e.Request.URL == "https://hooks.example:8443/"
		}},
		{"a masked path", "POST /[secret]%?x=[secret]|\xff HTTP/1.1\r\n\r\n", answer, func(e *har.Entry) bool {
			return e.Request.URL == "https://hooks.example:8443/%5Bsecret%5D%25?x=%5Bsecret%5D%7C%FF"
		}},
		{"no answer", head + "\r\n", "", func(e *har.Entry) bool { return e.Response.Status == 0 && e.Response.Comment == "" }},
		{"an answer that is none", head + "\r\n", "SSH-2.0-x\r\n", func(e *har.Entry) bool {
			return e.Response.Status == 0 && strings.Contains(e.Response.Comment, "SSH-2.0-x")
		}},
		{"half a head", head + "\r\n", "HTTP/1.1 200 OK\r\nX: y\r\n", func(e *har.Entry) bool { return e.Response.Status == 0 }},
		{"an answer that announces another", head + "\r\n", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 401 No\r\n\r\n", func(e *har.Entry) bool { return e.Response.Status == 401 }},
		{"a long body", head + "\r\n" + strings.Repeat("x", 9000), answer, func(e *har.Entry) bool {
			return e.Request.BodySize == 9000 && strings.Contains(e.Request.Comment, "cut short in the evidence (") && strings.HasPrefix(e.Request.PostData.Text, "xxx")
		}},
	} {
		log := archiveOf(t, "receiver", wired(tt.request, tt.answer))
		if len(log.Entries) != 1 || !tt.see(log.Entries[0]) {
			t.Errorf("%s: %s", tt.name, harText(t, log))
		}
	}
	for _, request := range []string{"", "\r\n\r\n", "GET /\r\n\r\n", "PRI * HTTP/2.0\n", "POST  / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x00", "P\x00ST / HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\n"} {
		log := archiveOf(t, "receiver", wired(request, answer))
		if len(log.Entries) != 0 || !strings.Contains(log.Comment, "1 have no entry") {
			t.Errorf("%q is an entry: %s", request, harText(t, log))
		}
	}
}

func harText(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	must(t, err)
	return string(b)
}

// Whatever a peer sends, an archive has one entry or none for each exchange, with a URL
// that is one and no header that is two.
func FuzzHAR(f *testing.F) {
	f.Add("POST / HTTP/1.1\r\nHost: a\r\n\r\n{}", answer, true)
	f.Add("GET http://a/%zz HTTP/1.0\n\n", "HTTP/1.1 100 Continue\r\n\r\n"+answer, false)
	for _, payload := range payloads {
		f.Add(payload, "HTTP/1.1 200 "+payload+"\r\nA: "+payload+"\r\n\r\n"+payload, true)
	}
	f.Fuzz(func(t *testing.T, request, answer string, receiver bool) {
		role := "sender"
		x := wired(answer, request)
		if receiver {
			role, x = "receiver", wired(request, answer)
		}
		var b bytes.Buffer
		run := reports.Run{State: reports.Complete, Results: []reports.Result{{ID: role + "/a/b", Verdict: reports.Pass, Evidence: []reports.Exchange{x}}}}
		must(t, reports.HAR(&b, run))
		checkInert(t, "a HAR", b.String())
		log := readHAR(t, run)
		for _, e := range log.Entries {
			if u, err := url.Parse(e.Request.URL); err != nil || u.Host == "" {
				t.Errorf("the URL is %q: %v", e.Request.URL, err)
			}
			for _, h := range append(e.Request.Headers, e.Response.Headers...) {
				if strings.ContainsAny(h.Name+h.Value, "\r\n\x00") || !utf8.ValidString(h.Value) {
					t.Errorf("a header is %q: %q", h.Name, h.Value)
				}
			}
		}
		if len(log.Entries) > 1 {
			t.Errorf("%d entries of one exchange", len(log.Entries))
		}
	})
}
