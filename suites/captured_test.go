package suites_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile/diagnosis"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

// capturedBody is one that escaping, line ends and charsets would show in.
const capturedBody = "{\"a\": \"é \\\\ \\\"<\"}\r\n\x00\x1b"

func rawRequest(body string, more ...string) string {
	head := "POST /hook?x=1 HTTP/1.1\r\nHost: a.example\r\nX-GitHub-Delivery: d1\r\nX-Hub-Signature-256: sha256=" + hex.EncodeToString(mac(secret, capturedBody)) + "\r\n"
	for _, line := range more {
		head += line + "\r\n"
	}
	return head + "\r\n" + body
}

// captures are one delivery, as everything that we read keeps it.
func captures(t testing.TB) map[string]string {
	har := func(post map[string]any) string {
		entry := map[string]any{"startedDateTime": "2026-01-31T12:00:00.000Z", "request": map[string]any{
			"method": "POST", "url": "http://a.example/hook?x=1", "bodySize": len(capturedBody), "postData": post,
			"headers": []map[string]string{{"name": ":method", "value": "POST"}, {"name": "Host", "value": "a.example"}, {"name": "X-GitHub-Delivery", "value": "d1"},
				{"name": "X-Hub-Signature-256", "value": "sha256=" + hex.EncodeToString(mac(secret, capturedBody))}},
		}}
		return inJSON(t, map[string]any{"log": map[string]any{"version": "1.2", "entries": []any{entry}}})
	}
	exchange := reports.Exchange{Label: "attempt 1", Received: reports.Printable([]byte(rawRequest(capturedBody)), 4096), Sent: "HTTP/1.1 401 Unauthorized"}
	run := reports.Run{Schema: reports.Schema, Subject: reports.Subject{Role: "sender"}, State: reports.Complete,
		Results: []reports.Result{{ID: "sender/signature/signed", Level: "must", Verdict: reports.Fail, Evidence: []reports.Exchange{exchange}}}}
	run.Totals = run.Count()
	var journal bytes.Buffer
	j, err := reports.NewJournal(&journal, run, []reports.Planned{{ID: "sender/signature/signed", Level: "must"}})
	if err == nil {
		err = j.Record(run.Results[0])
	}
	if err == nil {
		err = j.Close(reports.Complete, time.Unix(2, 0), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	text := capturedBody
	recorded := suites.Recorded{Schema: suites.RecordingSchema, ReceivedAt: time.Unix(1, 0), Method: "POST", Target: "/hook?x=1", Body: &text, Verdict: suites.Unverified,
		Headers: []suites.RecordedHeader{{"Host", "a.example"}, {"X-GitHub-Delivery", "d1"}, {"X-Hub-Signature-256", "sha256=" + hex.EncodeToString(mac(secret, capturedBody))}}}
	return map[string]string{
		"request":    rawRequest(capturedBody),
		"measured":   rawRequest(capturedBody+"\n", fmt.Sprintf("Content-Length: %d", len(capturedBody))),
		"chunked":    rawRequest(fmt.Sprintf("3\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", capturedBody[:3], len(capturedBody)-3, capturedBody[3:]), "Transfer-Encoding: chunked"),
		"HAR":        har(map[string]any{"text": capturedBody}),
		"binary HAR": har(map[string]any{"text": base64.StdEncoding.EncodeToString([]byte(capturedBody)), "encoding": "base64"}),
		"exchange":   inJSON(t, exchange),
		"report":     inJSON(t, run),
		"journal":    journal.String(),
		"recording":  inJSON(t, recorded) + "\n",
	}
}

func inJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// However a delivery was kept, its bytes are those that were signed.
func TestCaptured(t *testing.T) {
	t.Setenv("LISTEN_SECRET", secret)
	s := suites.Settings{Profile: "github", Secret: []string{"env:LISTEN_SECRET"}}
	for name, text := range captures(t) {
		list, err := suites.ReadCaptured(name, []byte(text))
		if err != nil || len(list) != 1 {
			t.Errorf("%s: %d deliveries: %v", name, len(list), err)
			continue
		}
		found, err := s.Diagnose(suites.DiagnoseSettings{}, list)
		if err != nil || found.Deliveries[0].Verdict != diagnosis.Valid || found.ExitCode() != 0 {
			t.Errorf("%s: %s: %v", name, found, err)
		}
	}
}

// What has lost bytes is read, and what is known of that is told.
func TestCapturedWithLoss(t *testing.T) {
	t.Setenv("LISTEN_SECRET", secret)
	s := suites.Settings{Profile: "github", Secret: []string{"env:LISTEN_SECRET"}}
	for says, text := range map[string]string{
		"some were lost in capturing it": rawRequest("x", "Content-Length: 70"),
		"in chunks, and it is not":       rawRequest("x", "Transfer-Encoding: chunked"),
		"may have changed the line end":  rawRequest("x"),
		"it was decoded or cut":          strings.Replace(captures(t)["HAR"], fmt.Sprintf(`"bodySize":%d`, len(capturedBody)), `"bodySize":9`, 1),
		"a secret was taken out":         inJSON(t, reports.Exchange{Label: "x", Received: "POST /[secret] HTTP/1.1\\r\\n\\r\\n{}"}),
	} {
		list, err := suites.ReadCaptured("it", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", says, err)
			continue
		}
		found, err := s.Diagnose(suites.DiagnoseSettings{}, list)
		if err != nil || !strings.Contains(found.String(), says) {
			t.Errorf("want %q: %s: %v", says, found, err)
		}
	}
}

func TestMistakesInCaptures(t *testing.T) {
	for want, text := range map[string]string{
		"it is empty":                       "",
		"is no header":                      "hello\n",
		"and is none":                       `{"log": `,
		"neither a HAR nor":                 `{"a":1}`,
		"there is none":                     `{"log":{"entries":[]}}`,
		"its method \"\" is none":           `{"log":{"entries":[{"startedDateTime":"2026-01-31T12:00:00Z","request":{}}]}}`,
		"no header can have":                `{"log":{"entries":[{"request":{"method":"POST","headers":[{"name":"a b","value":""}]}}]}}`,
		"parameters of a form":              `{"log":{"entries":[{"request":{"method":"POST","postData":{"params":[{"name":"a"}]}}}]}}`,
		"is to be in base64":                `{"log":{"entries":[{"request":{"method":"POST","postData":{"text":"!","encoding":"base64"}}}]}}`,
		"and base64 is understood":          `{"log":{"entries":[{"request":{"method":"POST","postData":{"text":"!","encoding":"rot13"}}}]}}`,
		"it is no HAR":                      `{"log":{"entries":{}}}`,
		"it is not UTF-8":                   "{\"schema\":\"hookanvil.recording/1\",\"method\":\"\xff\"}",
		"the HAR is not UTF-8":              "{\"log\":{\"version\":\"\xff\"}}",
		"its state is":                      `{"schema":"hookanvil.report/1"}`,
		"first line is not a valid header":  `{"record":{}}`,
		"it was cut short":                  inJSON(t, reports.Exchange{Label: "x", Received: reports.Printable([]byte(rawRequest("x")), 40)}),
		"not text with its control charact": inJSON(t, reports.Exchange{Label: "x", Received: `a\q`}),
		"at most 500 are looked at":         `{"log":{"entries":[` + strings.TrimSuffix(strings.Repeat(`{"request":{"method":"POST"}},`, 501), ",") + `]}}`,
	} {
		if list, err := suites.ReadCaptured("it", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %d deliveries, error %v, want one that says %q", text, len(list), err, want)
		}
	}
	list, err := suites.ReadCaptured("it", []byte(rawRequest("x")))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("LISTEN_SECRET", secret)
	set := []string{"env:LISTEN_SECRET"}
	for want, s := range map[string]suites.Settings{
		"its headers are those of github":    {Secret: set},
		"did you mean":                       {Profile: "gihub", Secret: set},
		"no secret is given":                 {Profile: "github"},
		"cannot be given by value":           {Profile: "github", Secret: []string{"canary"}},
		"there is none with that id":         {Profile: "github", Secret: set},
		"read the profile":                   {Profile: filepath.Join(t.TempDir(), "no.yaml"), Secret: set},
		"use --retired-secret: secret 1 of ": {Profile: "standard-webhooks", Secret: set, RetiredSecret: []string{"env:LISTEN_RETIRED"}},
	} {
		t.Setenv("LISTEN_RETIRED", "whsec_short")
		if _, err := s.Diagnose(suites.DiagnoseSettings{Only: []string{"nobody"}}, list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
}

// Of several deliveries each is told of, and one may carry the signature of another.
func TestDiagnosisOfSeveral(t *testing.T) {
	t.Setenv("LISTEN_SECRET", secret)
	entry := func(id, body, signed string) string {
		return fmt.Sprintf(`{"request":{"method":"POST","url":"http://a/\u001b[2J","headers":[{"name":"X-GitHub-Delivery","value":%q},{"name":"X-Hub-Signature-256","value":"sha256=%s"}],"postData":{"text":%q}}}`,
			id, hex.EncodeToString(mac(secret, signed)), body)
	}
	text := `{"log":{"entries":[` + strings.Join([]string{entry("1", "one", "one"), entry("2", "two", "one"), entry("3", "three", "nothing like it")}, ",") + `]}}`
	list, err := suites.ReadCaptured("it", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	s := suites.Settings{Profile: "github", Secret: []string{"env:LISTEN_SECRET"}}
	for only, want := range map[string]struct {
		code int
		says []string
	}{
		"":  {1, []string{"#1", "valid: ", "#2", "for another delivery that was captured with it", "#3", "unexplained: ", "check: "}},
		"1": {0, []string{"#1", "valid: "}},
		"2": {1, []string{"#2", "explained: "}},
		"3": {3, []string{"#3", "unexplained: "}},
	} {
		how := suites.DiagnoseSettings{}
		if only != "" {
			how.Only = []string{only}
		}
		found, err := s.Diagnose(how, list)
		if err != nil || found.ExitCode() != want.code {
			t.Errorf("%q: exit code %d, %v", only, found.ExitCode(), err)
		}
		asJSON, err := found.JSON()
		if err != nil || !json.Valid([]byte(asJSON)) || !strings.Contains(asJSON, `"schema": "hookanvil.diagnosis/1"`) {
			t.Errorf("as JSON: %s: %v", asJSON, err)
		}
		for _, said := range want.says {
			if !strings.Contains(found.String(), said) {
				t.Errorf("%q is not said in\n%s", said, found)
			}
		}
		if text := found.String() + asJSON; strings.Contains(text, secret) || strings.Contains(text, "\x1b") {
			t.Errorf("what should not be shown is, in\n%s", text)
		}
	}
}

func FuzzCaptured(f *testing.F) {
	for _, text := range captures(f) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		list, err := suites.ReadCaptured("it", raw)
		if (err == nil) != (len(list) > 0) {
			t.Errorf("%d deliveries: %v", len(list), err)
		}
		for _, c := range list {
			if len(c.Body) > len(raw) {
				t.Errorf("%d bytes have a body of %d", len(raw), len(c.Body))
			}
		}
	})
}
