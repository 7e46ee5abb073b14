package reports_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookanvil/hookanvil/reports"
)

// everywhere puts text wherever a peer, a user or an error may have put it.
func everywhere(text string) reports.Run {
	run := sampleRun()
	run.Results = run.Results[14:]
	run.Subject = reports.Subject{Role: "receiver", Target: "http://127.0.0.1/" + text, Probe: "GET " + text}
	run.Notes = []string{"a note: " + text, text}
	run.State = reports.Complete
	for i := range run.Results {
		r := &run.Results[i]
		r.Title, r.Source, r.Why, r.Fix, r.Reason = text, text, "why "+text, "repair "+text, "answered "+text+" "+text
		r.Reproduce = "hookanvil send --body '" + text + "'"
		r.Figures = []reports.Figure{{Name: "window", Value: 1, Unit: "s", Note: text}}
		r.Evidence = []reports.Exchange{{
			Label: "delivery " + text, Outcome: "answered", Detail: text, Status: 200, Remote: text, Notes: []string{text},
			Sent:     reports.Printable([]byte("POST /"+text+" HTTP/1.1\r\nX: "+text+"\r\n\r\n"+text), 1<<12),
			Received: reports.Printable([]byte("HTTP/1.1 200 "+text+"\r\n"+text+": "+text+"\r\n\r\n"+text+"\n"+text), 1<<12),
		}}
		if r.Known != "" {
			r.Known = text
		}
	}
	run.Totals = run.Count()
	return run
}

// rendered is the run in every format, as it is written and as it is read.
func rendered(t *testing.T, run reports.Run) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, f := range reports.Formats {
		var b bytes.Buffer
		must(t, f.Write(&b, run))
		out[f.Name] = b.String()
	}
	var verbose bytes.Buffer
	must(t, reports.Terminal{Width: 80, Verbose: true, Color: true}.Write(&verbose, run))
	out["terminal, verbose"] = verbose.String()
	back, err := reports.ReadJSON(strings.NewReader(out["json"]))
	must(t, err)
	out["json, read"] = fmt.Sprintf("%+v", back)
	out["junit, read"] = xmlText(t, out["junit"])
	out["journal"] = string(journalOf(t, run))
	return out
}

// xmlText is all text and all attributes of a document, which must be well formed.
func xmlText(t *testing.T, document string) string {
	t.Helper()
	var text strings.Builder
	d := xml.NewDecoder(strings.NewReader(document))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return text.String()
		}
		must(t, err)
		switch token := token.(type) {
		case xml.StartElement:
			for _, a := range token.Attr {
				fmt.Fprintln(&text, a.Value)
			}
		case xml.CharData:
			text.Write(token)
		}
	}
}

// canaries are secrets of every kind that a profile takes, with the key bytes that
// each stands for.
func canaries() map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	all := map[string][]byte{}
	for i := range 10 {
		key := random(24 + i)
		all["whsec_"+base64.StdEncoding.EncodeToString(key)] = key
		key = random(20 + i)
		all[hex.EncodeToString(key)] = key
		text := strings.Map(func(c rune) rune { return rune("abcdefghijkmnpqrstuvwxyzABCDEFGHJ23456789"[c%41]) }, base64.StdEncoding.EncodeToString(random(18)))
		all["shh_"+text+"!"] = []byte("shh_" + text + "!")
		odd := text[:6] + []string{`"`, `\`, "/", "%", " ", "é", "<&>", "'", "+", "\n"}[i] + text[6:]
		all[odd] = []byte(odd)
	}
	return all
}

func encodings(secret string, key []byte) map[string]string {
	quoted, _ := json.Marshal(secret)
	code := func(e *base64.Encoding, before, after string) string {
		return e.EncodeToString([]byte(before + secret + after))
	}
	return map[string]string{
		"exact": secret, "base64": code(base64.StdEncoding, "", ""), "base64url": code(base64.RawURLEncoding, "", ""),
		"hex": hex.EncodeToString([]byte(secret)), "upper-case hex": strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"query": url.QueryEscape(secret), "path": url.PathEscape(secret), "JSON": string(quoted[1 : len(quoted)-1]),
		"the key in hex": hex.EncodeToString(key), "the key in base64": base64.StdEncoding.EncodeToString(key),
		"the key in base64url": base64.URLEncoding.EncodeToString(key), "the key itself": string(key),
	}
}

func TestSecretsAreInNoReport(t *testing.T) {
	secrets := canaries()
	var list []string
	for secret := range secrets {
		list = append(list, secret)
	}
	redactor := reports.NewRedactor(list...)
	seen, hits := 0, 0
	for secret, key := range secrets {
		forms := encodings(secret, key)
		for encoding, text := range forms {
			if testing.Short() && len(encoding)%3 != 0 {
				continue
			}
			for format, out := range rendered(t, redactor.CleanRun(everywhere(text))) {
				seen++
				for name, form := range forms {
					shown := reports.Printable([]byte(form), len(form))
					if strings.Contains(out, form) || strings.Contains(out, shown) {
						hits++
						t.Errorf("%s: secret %q sent as %s shows as %s", format, secret, encoding, name)
					}
				}
			}
		}
	}
	t.Logf("canary secrets leaked %d, in %d reports of %d secrets", hits, seen, len(secrets))
}

// A secret within a longer base64 text shows at one of three positions.
func TestSecretsWithinBase64(t *testing.T) {
	for secret := range canaries() {
		redactor := reports.NewRedactor(secret)
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			for before := range 3 {
				for after := range 3 {
					text := encoding.EncodeToString([]byte("user:"[:before+1] + secret + "@ho"[:after]))
					clean := redactor.Clean(text)
					left := strings.Replace(clean, "[secret]", "", 1)
					if clean == left || len(left) > 10 {
						t.Errorf("%q, %d bytes before and %d after: %s shows as %s", secret, before+1, after, text, clean)
					}
				}
			}
		}
	}
}

func TestClean(t *testing.T) {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	redactor := reports.NewRedactor(secret, "hunter2", "abc", "", "secret")
	for _, test := range []struct{ name, in, want string }{
		{"nothing to hide", "answered 200 OK", "answered 200 OK"},
		{"exact", "key " + secret + ".", "key [secret]."},
		{"without its prefix", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "[secret]"},
		{"within a word", "xhunter2x", "x[secret]x"},
		{"a short one, as a word", "abc abc (abc) abc", "[secret] [secret] ([secret]) [secret]"},
		{"a short one, within words", "abcd fabc", "abcd fabc"},
		{"cleaned before", "[secret] hunter2", "[secret] [secret]"},
		{"cut off", reports.Printable([]byte("the key is "+secret), 30), "the key is [secret]… (19 more bytes)"},
		{"Authorization", `GET / HTTP/1.1\r\nAuthorization: Bearer t0k\r\nHost: a`, `GET / HTTP/1.1\r\nAuthorization: [secret]\r\nHost: a`},
		{"continued", `\r\nCookie: a=1;\r\n\tb=2\r\nHost: a`, `\r\nCookie: [secret]\r\nHost: a`},
		{"with a backslash", `\r\ncookie: a\\r=1\r\n\r\nbody`, `\r\ncookie: [secret]\r\n\r\nbody`},
		{"bare line ends", `\nset-cookie : a=1\nX: y`, `\nset-cookie : [secret]\nX: y`},
		{"unescaped", "X-Gitlab-Token: t\nX: y", "X-Gitlab-Token: [secret]\nX: y"},
		{"in a command", `--header 'Authorization: Bearer it' --seed 4`, `--header 'Authorization: [secret]' --seed 4`},
		{"signatures stay", `\r\nX-Hub-Signature-256: sha256=0f\r\n`, `\r\nX-Hub-Signature-256: sha256=0f\r\n`},
		{"placeholder", "http://h/a?token={token}#/n", "http://h/a?token={token}#/n"},
		{"query in braces", "http://h/a?token={s3cret}#/n", "http://h/a?token=[secret]#/n"},
		{"query", "http://h/a?token=t0k&x=1&api_key=k", "http://h/a?token=[secret]&x=1&api_key=[secret]"},
		{"user and password", "https://me:pw@h/a", "https://[secret]@h/a"},
		{"an address in a query", "http://h?to=me@h", "http://h?to=me@h"},
	} {
		got := redactor.Clean(test.in)
		if got != test.want {
			t.Errorf("%s: %s\nwant %s", test.name, got, test.want)
		}
		if again := redactor.Clean(got); again != got {
			t.Errorf("%s: cleaned twice: %s, once: %s", test.name, again, got)
		}
	}
}

// Without secrets nothing of an ordinary run is lost, and the run that was given
// stays as it was.
func TestCleanRunKeepsTheRest(t *testing.T) {
	var none *reports.Redactor
	for name, redactor := range map[string]*reports.Redactor{"none": none, "empty": reports.NewRedactor(), "other": reports.NewRedactor("whsec_c2VjcmV0LXRoYXQtaXMtbm90LWhlcmU=")} {
		if diff := cmp.Diff(sampleRun(), redactor.CleanRun(sampleRun())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	run := everywhere("hunter22")
	clean := reports.NewRedactor("hunter22", "receiver").CleanRun(run)
	if diff := cmp.Diff(everywhere("hunter22"), run); diff != "" {
		t.Errorf("the run itself was changed:\n%s", diff)
	}
	for i, r := range clean.Results {
		if r.ID != run.Results[i].ID || r.Verdict != run.Results[i].Verdict {
			t.Errorf("%s became %s, %s", run.Results[i].ID, r.ID, r.Verdict)
		}
	}
}

// The words of a hook are no secrets, wherever they stand.
func TestWordsOfHooksStay(t *testing.T) {
	for _, hook := range []string{"POST http://h/a?secret={secret}&token={token}", `exec ./fire --key={secret} {url}`} {
		if got := reports.NewRedactor("another").Clean(hook); got != hook {
			t.Errorf("%s, want %s", got, hook)
		}
	}
}

// A secret that a peer invents is taken out from the moment that it is known.
func TestLearn(t *testing.T) {
	r := reports.NewRedactor("the first secret")
	const text = "the first secret, the second secret, dGhlIHNlY29uZCBzZWNyZXQ="
	if got := r.Clean(text); got != "[secret], the second secret, dGhlIHNlY29uZCBzZWNyZXQ=" {
		t.Error(got)
	}
	var learning sync.WaitGroup
	for range 4 {
		learning.Go(func() { r.Learn("the second secret"); r.Clean(text) })
	}
	learning.Wait()
	if got := r.Clean(text); got != "[secret], [secret], [secret]" {
		t.Error(got)
	}
	(*reports.Redactor)(nil).Learn("nobody is there to learn")
}
