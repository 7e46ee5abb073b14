package sender_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites/sender"
)

// verdict is one row: a case, a sender, and what must be said of it.
type verdict struct {
	name   string
	yaml   string
	spoil  func(s *stage) // what makes the sender other than correct, or the situation other than ordinary
	want   reports.Verdict
	reason string
}

const (
	pass = reports.Pass
	fail = reports.Fail
	open = reports.Inconclusive
	skip = reports.Skip
)

func judgeAll(t *testing.T, rows []verdict) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			onStage(t, func(s *stage) {
				if row.spoil != nil {
					row.spoil(s)
				}
				want(t, s.run(row.yaml), row.want, row.reason)
			})
		})
	}
}

// Cases that many rows share.
const (
	onceYAML    = "trigger: once\n"
	retriedYAML = "trigger: once\nrespond: [503, 503, 200]\n"
)

// edits has the sender change each request before it is written.
func edits(change func(a *try)) func(*stage) {
	return func(s *stage) { s.sender.edit = change }
}

// moulds has it change each message before it is signed.
func moulds(change func(a *try)) func(*stage) {
	return func(s *stage) { s.sender.mould = change }
}

func body(text string) func(*stage) {
	return moulds(func(a *try) { a.message.Body = []byte(text) })
}

// bodyWith is a body in which the token stands, so that attempts are matched.
func bodyWith(format string) func(*stage) {
	return moulds(func(a *try) { a.message.Body = []byte(fmt.Sprintf(format, a.token)) })
}

func header(name, value string) func(*stage) {
	return edits(func(a *try) { a.request.Headers.Set(name, value) })
}

// dead is a sender of which nothing ever comes. The judge is not told before.
func dead(s *stage) {
	s.blind = true
	s.sender.loses = func(int) bool { return true }
}

// unsigned declares a profile that signs nothing.
func unsigned(s *stage) { of(s, "github", func(p *profile.Profile) { p.Signature.Algorithm = "none" }) }

// of judges by another profile.
func of(s *stage, name string, change func(p *profile.Profile)) {
	p, err := profiles.Get(name)
	if err != nil {
		s.Fatal(err)
	}
	change(p)
	*s.profile = *p
	s.keys = profile.Keys{}
	s.subject.Keys = nil
}

func TestFormExpectations(t *testing.T) { judgeAll(t, formRows()) }

func formRows() []verdict {
	return []verdict{
		{"method", onceYAML + "expect: {method: POST}", nil, pass, ""},
		{"method is another", onceYAML + "expect: {method: POST}", moulds(func(a *try) { a.message.Method = "PUT" }), fail, "the method is PUT"},
		{"method on the second attempt only", retriedYAML + "expect: {method: POST}", edits(func(a *try) {
			if a.n == 2 {
				a.request.Method = "GET"
			}
		}), fail, "attempt 2"},
		{"method of nothing", onceYAML + "expect: {method: POST}", dead, open, "nothing arrived"},

		{"content type", onceYAML + "expect: content-type", nil, pass, ""},
		{"content type with a parameter", onceYAML + "expect: content-type", header("Content-Type", "application/json; charset=UTF-8"), pass, ""},
		{"content type of a form", onceYAML + "expect: content-type", header("Content-Type", "application/x-www-form-urlencoded"), fail, "the body is JSON"},
		{"content type missing", onceYAML + "expect: content-type", edits(func(a *try) { a.request.Headers.Del("Content-Type") }), fail, "0 Content-Type"},
		{"content type twice", onceYAML + "expect: content-type", edits(func(a *try) { a.request.Headers.Add("Content-Type", "application/json") }), fail, "2 Content-Type"},
		{"content type nonsense", onceYAML + "expect: content-type", header("Content-Type", "json"), fail, "json"},
		{"content type of JSON with another body", onceYAML + "expect: content-type", body("a=b"), fail, "no JSON"},
		{"content type of JSON with nothing", onceYAML + "expect: content-type", body(""), fail, "no JSON"},
		{"content type of text with a list", onceYAML + "expect: content-type", func(s *stage) {
			bodyWith(`[{"token":%q}]`)(s)
			header("Content-Type", "text/plain")(s)
		}, fail, "the body is JSON"},
		{"content type in another character set", onceYAML + "expect: content-type", header("Content-Type", "application/json; charset=latin1"), fail, "character set"},
		{"content type of nothing", onceYAML + "expect: content-type", dead, open, "nothing arrived"},

		{"JSON", onceYAML + "expect: body-json", nil, pass, ""},
		{"JSON empty", onceYAML + "expect: body-json", body(""), fail, "empty"},
		{"JSON with a mark", onceYAML + "expect: body-json", bodyWith("\ufeff{\"token\":%q}"), fail, "byte order mark"},
		{"JSON not UTF-8", onceYAML + "expect: body-json", bodyWith("{\"token\":%q,\"a\":\"\xff\"}"), fail, "UTF-8"},
		{"JSON twice", onceYAML + "expect: body-json", bodyWith("{\"token\":%q}\n{}"), fail, "one JSON text"},
		{"JSON cut", onceYAML + "expect: body-json", bodyWith("{\"token\":%q"), fail, "one JSON text"},
		{"JSON of nothing", onceYAML + "expect: body-json", dead, open, "nothing arrived"},

		{"members once", onceYAML + "expect: no-duplicate-members", nil, pass, ""},
		{"members twice", onceYAML + "expect: no-duplicate-members", bodyWith(`{"token":%q,"a":1,"a":2}`), fail, `"a"`},
		{"members twice, one of them escaped", onceYAML + "expect: no-duplicate-members", bodyWith(`{"token":%q,"a":1,"\u0061":2}`), fail, `"a"`},
		{"members twice, deep", onceYAML + "expect: no-duplicate-members", bodyWith(`{"token":%q,"a":[{"x":{"b":1,"c":[],"b":[]}}]}`), fail, `"b"`},
		{"members the same in two objects", onceYAML + "expect: no-duplicate-members", bodyWith(`{"token":%q,"a":[{"b":"b"},{"b":"a"}],"b":{"a":1}}`), pass, ""},
		{"members of no body", onceYAML + "expect: no-duplicate-members", body(""), open, "no JSON"},
		{"members of half a body", onceYAML + "expect: no-duplicate-members", bodyWith(`{"token":%q`), open, "no JSON"},

		{"small", onceYAML + "expect: {body-at-most: 20480}", nil, pass, ""},
		{"large", onceYAML + "expect: {body-at-most: 20480}", moulds(func(a *try) {
			a.message.Body = append(a.message.Body, strings.Repeat(" ", 20480)...)
		}), fail, "bytes"},
		{"size of nothing", onceYAML + "expect: {body-at-most: 20480}", dead, open, "nothing arrived"},

		{"envelope", onceYAML + "expect: envelope", nil, pass, ""},
		{"envelope without data", onceYAML + "expect: envelope", bodyWith(`{"type":"a.b","timestamp":"2026-01-31T12:00:00Z","x":%q}`), fail, "no data"},
		{"envelope without a time", onceYAML + "expect: envelope", bodyWith(`{"type":"a.b","data":%q}`), fail, "no timestamp"},
		{"envelope with a time of another form", onceYAML + "expect: envelope", bodyWith(`{"type":"a.b","timestamp":"yesterday","data":%q}`), fail, "not of the form"},
		{"envelope without a type", onceYAML + "expect: envelope", bodyWith(`{"timestamp":"2026-01-31T12:00:00Z","data":%q}`), fail, "no type"},
		{"envelope that is a list", onceYAML + "expect: envelope", bodyWith(`[%q]`), fail, "no object"},
		{"envelope of nothing", onceYAML + "expect: envelope", dead, open, "nothing arrived"},

		{"headers once", onceYAML + "expect: headers-once", nil, pass, ""},
		{"id twice", onceYAML + "expect: headers-once", edits(func(a *try) { a.request.Headers.Add("Webhook-Id", a.message.ID) }), fail, "2 times"},
		{"timestamp missing", onceYAML + "expect: headers-once", edits(func(a *try) { a.request.Headers.Del("webhook-timestamp") }), fail, "0 times"},
		{"headers of nothing", onceYAML + "expect: headers-once", dead, open, "nothing arrived"},

		{"id", onceYAML + "expect: id-form", nil, pass, ""},
		{"id with a dot", onceYAML + "expect: id-form", moulds(func(a *try) { a.message.ID = "msg.1" }), fail, "dot"},
		{"id with a blank", onceYAML + "expect: id-form", moulds(func(a *try) { a.message.ID = "msg 1" }), fail, "blanks"},
		{"id too long", onceYAML + "expect: id-form", moulds(func(a *try) { a.message.ID = strings.Repeat("x", 256) }), fail, "256"},
		{"id missing", onceYAML + "expect: id-form", edits(func(a *try) { a.request.Headers.Del("webhook-id") }), fail, "no id"},
		{"id that no profile has", onceYAML + "expect: id-form", func(s *stage) { s.profile.ID = nil }, skip, "no delivery id"},

		{"timestamp", onceYAML + "expect: timestamp-form", nil, pass, ""},
		{"timestamp in milliseconds", onceYAML + "expect: timestamp-form", moulds(func(a *try) { a.message.Timestamp = fmt.Sprint(time.Now().UnixMilli()) }), fail, "another unit"},
		{"timestamp as a date", onceYAML + "expect: timestamp-form", moulds(func(a *try) { a.message.Timestamp = time.Now().Format(time.RFC3339) }), fail, "decimal"},
		{"timestamp missing from the request", onceYAML + "expect: timestamp-form", edits(func(a *try) { a.request.Headers.Del("webhook-timestamp") }), fail, "decimal"},
		{"timestamp that no profile has", onceYAML + "expect: timestamp-form", func(s *stage) { s.profile.Timestamp = nil }, skip, "no timestamp"},

		{"timestamp near", onceYAML + "expect: {timestamp-near: 5s}", nil, pass, ""},
		{"timestamp ahead", onceYAML + "expect: {timestamp-near: 5s}", stamped(6 * time.Second), fail, "off the time"},
		{"timestamp behind", onceYAML + "expect: {timestamp-near: 5s}", stamped(-7 * time.Second), fail, "off the time"},
		{"timestamp that cannot be read", onceYAML + "expect: {timestamp-near: 5s}", moulds(func(a *try) { a.message.Timestamp = "now" }), open, "decimal"},

		{"host", onceYAML + "expect: host", nil, pass, ""},
		{"host is another", onceYAML + "expect: host", edits(func(a *try) { a.request.Host = "example.com" }), fail, "example.com"},
		{"host without the port", onceYAML + "expect: host", edits(func(a *try) { a.request.Host = "127.0.0.1" }), fail, "127.0.0.1"},
		{"host behind a proxy", onceYAML + "expect: host", proxied, open, "proxy"},

		{"target", "endpoints: [{name: main, path: /a%2Fb//c/, query: x=1&x=2}]\n" + onceYAML + "expect: target", nil, pass, ""},
		{"target without the query", "endpoints: [{name: main, query: x=1}]\n" + onceYAML + "expect: target", edits(func(a *try) { a.request.Target, _, _ = strings.Cut(a.request.Target, "?") }), fail, "x=1"},
		{"target unescaped", "endpoints: [{name: main, path: /a%2Fb}]\n" + onceYAML + "expect: target", edits(func(a *try) { a.request.Target = strings.ReplaceAll(a.request.Target, "%2F", "/") }), fail, "/a/b"},
		{"target with a question mark only", onceYAML + "expect: target", edits(func(a *try) { a.request.Target += "?" }), fail, "?"},
		{"target behind a proxy that keeps its path", onceYAML + "expect: target", func(s *stage) {
			proxied(s)
			s.subject.PublicURL = mustURL("http://hooks.test/prefix")
		}, pass, ""},
		{"target of nothing", onceYAML + "expect: target", dead, open, "nothing arrived"},

		{"agent", onceYAML + "expect: user-agent", nil, pass, ""},
		{"agent missing", onceYAML + "expect: user-agent", edits(func(a *try) { a.request.Headers.Del("User-Agent") }), fail, "who it is"},
		{"agent of nothing", onceYAML + "expect: user-agent", dead, open, "nothing arrived"},
		{"agent blank", onceYAML + "expect: user-agent", header("User-Agent", " "), fail, "who it is"},

		{"no header", onceYAML + "expect: {no-header: Cookie}", nil, pass, ""},
		{"a header", onceYAML + "expect: {no-header: Cookie}", header("cookie", "a=b"), fail, "a=b"},
		{"a header of nothing", onceYAML + "expect: {no-header: Cookie}", dead, open, "nothing arrived"},

		{"no secret", onceYAML + "expect: no-secret", nil, pass, ""},
		{"secret in a header", onceYAML + "expect: no-secret", edits(func(a *try) { a.request.Headers.Set("X-Key", a.keys["v1"][0].Reveal()) }), fail, "X-Key"},
		{"secret without its prefix in the body", onceYAML + "expect: no-secret", moulds(func(a *try) {
			a.message.Body = append(a.message.Body, strings.TrimPrefix(a.keys["v1"][0].Reveal(), "whsec_")...)
		}), fail, "in the body"},
		{"secret in the body as a serialiser escapes it", onceYAML + "expect: no-secret", func(s *stage) {
			s.keys["v1"] = []profile.Secret{profile.NewSecret("whsec_//////////////////////////////////8=")}
			moulds(func(a *try) {
				a.message.Body = append(a.message.Body, strings.ReplaceAll(a.keys["v1"][0].Reveal(), "/", `\/`)...)
			})(s)
		}, fail, "in the body"},
		{"secret as a password", onceYAML + "expect: no-secret", edits(func(a *try) { a.request.Headers.Set("Authorization", "Basic "+basic("user:"+a.keys["v1"][0].Reveal())) }), fail, "Authorization"},
		{"secret in the query", onceYAML + "expect: no-secret", edits(func(a *try) {
			a.request.Target += "?key=" + strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(a.keys["v1"][0].Reveal())
		}), fail, "target"},
		{"secret that nobody has given", onceYAML + "expect: no-secret", func(s *stage) { s.subject.Keys = nil }, skip, "no secret is given"},
	}
}

func stamped(off time.Duration) func(*stage) {
	return moulds(func(a *try) { a.message.Timestamp = fmt.Sprint(time.Now().Add(off).Unix()) })
}

// proxied stands a proxy in front of the endpoints, which hands on what it gets.
func proxied(s *stage) {
	s.subject.PublicURL = mustURL("http://hooks.test")
	s.sender.edit = nil
	dial := s.net.alias
	dial["hooks.test"] = "127.0.0.1:20001"
}

func otherKey(a *try) {
	a.keys = profile.Keys{"v1": {profile.NewSecret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")}}
}

func wild(a *try) { a.headers = a.wildHeaders() }

func TestSignatureExpectations(t *testing.T) { judgeAll(t, signatureRows()) }

func signatureRows() []verdict {
	return []verdict{
		{"signed", onceYAML + "expect: signed", nil, pass, ""},
		{"signed with another key", onceYAML + "expect: signed", moulds(otherKey), fail, "of the usual mistakes"},
		{"signed with the text of the key", onceYAML + "expect: signed", moulds(func(a *try) { a.headers = a.signWith([]byte(a.keys["v1"][0].Reveal())) }), fail, "; the signature is right with the secret undecoded (whsec_ kept): "},
		{"signed at first only", retriedYAML + "expect: signed", moulds(func(a *try) {
			if a.n > 1 {
				wild(a)
			}
		}), fail, "attempt 2"},
		{"signed, and sent otherwise", onceYAML + "expect: signed", edits(func(a *try) { a.request.Body = append(a.request.Body, '\n') }), fail, "over these bytes; the signature is right for the body without its trailing newline: "},
		{"signed long ago", onceYAML + "expect: signed", stamped(-10 * time.Minute), fail, "; the signature is right, and its timestamp is 60"},
		{"not signed", onceYAML + "expect: signed", moulds(wild), fail, "does not verify"},
		{"signed, and nothing comes", onceYAML + "expect: signed", dead, open, "nothing arrived"},
		{"signed, and nobody has the secret", onceYAML + "expect: signed", func(s *stage) { s.subject.Keys = nil }, skip, "no secret is given"},
		{"signed, and the profile is not", onceYAML + "expect: signed", unsigned, skip, "signs nothing"},

		{"no default key", onceYAML + "expect: not-default-key", nil, pass, ""},
		{"an empty key", onceYAML + "expect: not-default-key", moulds(func(a *try) { a.headers = a.signWith([]byte{}) }), fail, "empty key"},
		{"a common key", onceYAML + "expect: not-default-key", moulds(func(a *try) { a.headers = a.signWith([]byte("secret")) }), fail, `"secret"`},
		{"the text of the key", onceYAML + "expect: not-default-key", moulds(func(a *try) { a.headers = a.signWith([]byte(a.keys["v1"][0].Reveal())) }), fail, "to be decoded"},
		{"no key at all", onceYAML + "expect: not-default-key", moulds(wild), fail, "cannot be read"},
		{"a default key of nothing", onceYAML + "expect: not-default-key", dead, open, "nothing arrived"},

		{"covers", onceYAML + "expect: {covers: [id, timestamp, body]}", nil, pass, ""},
		{"covers, and does not verify", onceYAML + "expect: {covers: [id]}", moulds(func(a *try) { a.headers = a.signWith([]byte("other")) }), fail, "does not verify"},
		{"covers what the profile does not", onceYAML + "expect: {covers: [id]}", withoutID, fail, "id was changed"},
		{"covers nothing", onceYAML + "expect: {covers: [body]}", dead, open, "nothing arrived"},

		{"no weak one of nothing", onceYAML + "expect: no-weak-signature", dead, open, "nothing arrived"},
		{"no weak one", onceYAML + "expect: no-weak-signature", nil, pass, ""},
		{"a weak one", onceYAML + "expect: no-weak-signature", func(s *stage) {
			s.profile.Also = append(s.profile.Also, profile.Scheme{Name: "old", Header: "X-Old", Algorithm: "hmac-sha1", Weak: true})
			header("X-Old", "aa")(s)
		}, fail, "X-Old"},

		{"the next secret", rotatedYAML + "expect: signed-by-next}]", rotates("new"), pass, ""},
		{"the old one after the rotation", rotatedYAML + "expect: signed-by-next}]", rotates("old"), fail, "; the signature is right with the secret from before the rotation: "},
		{"both", rotatedYAML + "expect: signed-by-both}]", rotates("both"), pass, ""},
		{"both, and it is the new one", rotatedYAML + "expect: signed-by-both}]", rotates("new"), fail, "old secret has not signed"},
		{"both, and it is the old one", rotatedYAML + "expect: signed-by-both}]", rotates("old"), fail, "does not verify"},
		{"either", rotatedYAML + "expect: signed-by-either}]", rotates("old"), pass, ""},
		{"either, and it is none", rotatedYAML + "expect: signed-by-either}]", rotates("none"), fail, "neither"},
		{"either, of nothing", rotatedYAML + "expect: signed-by-either}]", with(rotates("both"), losesOnly(3)), open, "nothing arrived"},
		{"both, of nothing", rotatedYAML + "expect: signed-by-both}]", with(rotates("both"), losesOnly(3)), open, "nothing arrived"},
		{"no longer the old one", rotatedYAML + "expect: not-signed-by-old}]", rotates("new"), pass, ""},
		{"still the old one", rotatedYAML + "expect: not-signed-by-old}]", rotates("both"), fail, "still signs"},
		{"no longer any", rotatedYAML + "expect: not-signed-by-old}]", rotates("none"), open, "neither"},
		{"a rotation that fails", rotatedYAML + "expect: signed-by-next}]", rotates("500"), open, "rotate"},
		{"a rotation that cannot be", rotatedYAML + "expect: signed-by-next}]", nil, skip, "cannot be rotated"},

		{"a strong secret", onceYAML + "expect: secret-strength", issues("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), pass, ""},
		{"a short secret", onceYAML + "expect: secret-strength", issues("whsec_AAECAwQFBgc="), fail, "8 bytes"},
		{"a secret that repeats itself", onceYAML + "expect: secret-strength", issues("whsec_" + strings.Repeat("AAEC", 10)), fail, "repeats"},
		{"no secret in the answer", onceYAML + "expect: secret-strength", issues(""), open, "secret"},
		{"a secret that nobody issues", onceYAML + "expect: secret-strength", nil, skip, "--issued-secret"},
		{"the same secret", twoYAML + "expect: secrets-differ", issues("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), fail, "same secret"},
		{"a secret for each", twoYAML + "expect: secrets-differ", issuesMany, pass, ""},
		{"one secret", onceYAML + "expect: secrets-differ", issuesMany, open, "compared"},
	}
}

const (
	rotatedYAML = "trigger: [{as: before, expect: [delivered, signed]}, {do: rotate}, {as: after, "
	twoYAML     = "endpoints: [{name: main}, {name: other}]\ntrigger: [{to: main}, {to: other, meanwhile: true}]\n"
)

// withoutID judges by a profile that signs no id.
func TestTokenExpectations(t *testing.T) { judgeAll(t, tokenRows()) }

func tokenRows() []verdict {
	var rows []verdict
	for expect, spoil := range map[string]func(profile.JWT){
		"token-claims": func(t profile.JWT) { delete(t.Claims, "sha256") },
		"token-header": func(t profile.JWT) { t.Header["jwk"] = map[string]any{"kty": "oct"} },
		"token-life":   func(t profile.JWT) { t.Claims["exp"] = json.Number("99999999999") },
	} {
		rows = append(rows,
			verdict{expect + " of an honest token", onceYAML + "expect: " + expect, livekit, pass, ""},
			verdict{expect + " of another", onceYAML + "expect: " + expect, with(livekit, edits(func(a *try) {
				value := a.request.Headers.Get("Authorization")
				a.request.Headers.Set("Authorization", profile.Altered(value, spoil))
			})), fail, ""},
			verdict{expect + " of nothing", onceYAML + "expect: " + expect, with(livekit, dead), open, "nothing arrived"},
			verdict{expect + " of no token", onceYAML + "expect: " + expect, nil, skip, "token"},
		)
	}
	return rows
}

// livekit signs with tokens.
func livekit(s *stage) {
	of(s, "livekit", func(*profile.Profile) {})
	s.keys = s.profile.NewKeys(rand.New(rand.NewPCG(1, 2)))
	s.subject.Keys = s.keys
}

func withoutID(s *stage) { s.profile.Signature.Signs = "{timestamp}.{body}" }

var nextKeys = profile.Keys{"v1": {profile.NewSecret("whsec_" + strings.Repeat("bmV4dCBrZXkg", 3))}}

// rotates has the sender sign with other keys once it has been told to.
func rotates(to string) func(*stage) {
	return func(s *stage) {
		rotated := false
		s.subject.Next = nextKeys
		s.subject.Rotate = action{do: func(_ context.Context, v sender.Values) (sender.Outcome, error) {
			if to == "500" || v.Secret != nextKeys["v1"][0].Reveal() {
				return sender.Outcome{Status: 500}, nil
			}
			rotated = true
			return sender.Outcome{Status: 200}, nil
		}}
		old := s.keys["v1"][0]
		s.sender.mould = func(a *try) {
			if !rotated {
				return
			}
			switch to {
			case "new":
				a.keys = nextKeys
			case "both":
				a.keys = profile.Keys{"v1": {nextKeys["v1"][0], old}}
			case "none":
				a.headers = a.wildHeaders()
			}
		}
	}
}

// issues has the sender invent a secret when an endpoint is registered.
func issues(secret string) func(*stage) {
	return func(s *stage) {
		s.subject.SecretAt = "/secret"
		s.subject.Register = action{words: []string{"url"}, do: func(context.Context, sender.Values) (sender.Outcome, error) {
			if secret == "" {
				return sender.Outcome{Status: 201, Body: []byte(`{}`)}, nil
			}
			return sender.Outcome{Status: 201, Body: []byte(fmt.Sprintf(`{"secret":%q}`, secret))}, nil
		}}
		if secret == "" {
			s.blind = true
		}
	}
}

func issuesMany(s *stage) {
	n := 0
	s.subject.SecretAt = "/secret"
	s.subject.Register = action{words: []string{"url"}, do: func(context.Context, sender.Values) (sender.Outcome, error) {
		n++
		return sender.Outcome{Status: 201, Body: []byte(fmt.Sprintf(`{"secret":"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH%c8="}`, 'a'+n))}, nil
	}}
}

// signWith are honest headers, but for the key of the signature.
func (a *try) signWith(key []byte) wire.Headers {
	p := a.profile
	headers, err := profile.RenderSignatures([]profile.Signing{{Scheme: p.Signature, Key: key, Message: a.message}})
	if err != nil {
		panic(err)
	}
	return append(p.Plain(a.message), headers...)
}

// wildHeaders are honest headers without any signature.
func (a *try) wildHeaders() wire.Headers { return a.profile.Plain(a.message) }

// TestEveryExpectation demands of the tables above that each word of the vocabulary
// is met by one sender, not met by another, and cannot be judged of a third.
func TestEveryExpectation(t *testing.T) {
	shown := map[string]map[reports.Verdict]bool{}
	for _, row := range slices.Concat(formRows(), signatureRows(), tokenRows(), attemptRows(), wholeRows(), tlsRows(), handshakeRows()) {
		c := parseCase(t, row.yaml)
		words := slices.Clone(c.Expect)
		for _, trigger := range c.Trigger {
			words = append(words, trigger.Expect...)
		}
		verdict := row.want
		if verdict == skip {
			verdict = open
		}
		for _, w := range words {
			if shown[w.Name] == nil {
				shown[w.Name] = map[reports.Verdict]bool{}
			}
			shown[w.Name][verdict] = true
		}
	}
	for _, e := range sender.Vocabulary().Expectations {
		for _, verdict := range []reports.Verdict{pass, fail, open} {
			if !shown[e.Name][verdict] {
				t.Errorf("no row shows a sender of which %s is %s", e.Name, verdict)
			}
		}
	}
}
