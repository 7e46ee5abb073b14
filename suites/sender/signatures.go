package sender

import (
	"bytes"
	"crypto/hmac"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
)

// signatureExpectations look at who has signed what.
var signatureExpectations = expectationTable{
	{Entry: word("signed", "signs the attempt with the endpoint's secret, over the bytes that it sends, and lately"), needs: []string{"secret"},
		judge: each(func(t *trial, a *attempt, _ any) finding { return t.verified(a, a.active) })},
	{Entry: word("signed-by-either", "signs with the endpoint's secret, or with the one it was rotated to"), needs: []string{"rotation"}, judge: each(judgeEither)},
	{Entry: word("signed-by-both", "signs with both secrets while they overlap"), needs: []string{"rotation"}, judge: each(judgeBoth)},
	{Entry: word("signed-by-next", "signs with the secret it was rotated to"), needs: []string{"rotation"},
		judge: each(func(t *trial, a *attempt, _ any) finding { return t.verified(a, a.next) })},
	{Entry: word("not-signed-by-old", "signs no more with the secret from before the rotation"), needs: []string{"rotation"}, judge: each(judgeNotOld)},
	{Entry: word("not-default-key", "signs with no key that anybody could guess: empty, well-known, or the secret's text where it is to be decoded"), needs: []string{"hmac"}, judge: each(judgeDefaultKey)},
	{Entry: namesOf("covers", []string{"id", "timestamp", "body", "data", "beside"}, "covers these parts with its signature"), needs: []string{"secret"}, judge: judgeCovers},
	{Entry: word("no-weak-signature", "sends no signature of a broken algorithm beside the strong one"), needs: []string{"signature"}, judge: each(judgeWeak)},
	{Entry: word("secret-strength", "invents secrets of 24 to 64 bytes that do not repeat themselves"), needs: []string{"issued-secret", "shared-secret"}, absent: true, judge: judgeStrength},
	{Entry: word("secrets-differ", "invents another secret for every endpoint"), needs: []string{"issued-secret", "shared-secret"}, absent: true, judge: judgeSecretsDiffer},
}

// verified is the finding of a signature: err says why it is not good.
func (t *trial) verified(a *attempt, err error) finding {
	if err != nil {
		return failed("its signature does not verify: %s%s", err, t.diagnosis(a, err))
	}
	return passed()
}

func judgeEither(t *trial, a *attempt, _ any) finding {
	if a.active == nil || a.next == nil {
		return passed()
	}
	return failed("neither the old secret nor the new one has signed it: %s%s", a.next, t.diagnosis(a, a.next))
}

func judgeBoth(t *trial, a *attempt, _ any) finding {
	switch p := t.subject.Profile; {
	case p.Signature.JoinedBy == "" && !slices.ContainsFunc(p.Also, func(s profile.Scheme) bool { return !s.Weak && s.JoinedBy != "" }):
		return judgeEither(t, a, nil) // there is room for one signature
	case a.active != nil:
		return failed("the old secret has not signed it while both are valid: %s", a.active)
	}
	return t.verified(a, a.next)
}

func judgeNotOld(_ *trial, a *attempt, _ any) finding {
	switch {
	case a.active == nil:
		return failed("the secret from before the rotation still signs it")
	case a.next != nil:
		return inconclusive("neither secret verifies it, so that nothing is known of the old one: %s", a.next)
	}
	return passed()
}

// guessable are keys that products have shipped with.
var guessable = []string{"", "secret", "changeme", "password", "webhook", "test", "default", "whsec_", "0", "null", "undefined", "your-secret-here"}

func judgeDefaultKey(t *trial, a *attempt, _ any) finding {
	p := t.subject.Profile
	claim, err := p.Read(a.incoming())
	if err != nil {
		return failed("its signature cannot be read: %s", err)
	}
	m := profile.Message{ID: claim.ID, Timestamp: claim.Timestamp, Event: claim.Event, Method: a.request.Method, URL: a.incoming().URL, Headers: a.request.Headers, Body: a.request.Body}
	for _, o := range claim.Offers {
		code, err := o.Scheme.Decode(o.Text)
		if err != nil || !o.Scheme.HMAC() {
			continue
		}
		for _, key := range append(slices.Clone(guessable), undecoded(o.Scheme, a.delivery.to.keys)...) {
			// The verifier of the profile takes no empty key.
			if hmac.Equal(o.Scheme.Maker()([]byte(key), o.Scheme.Content(m)), code) {
				return failed("it is signed with %s, which anybody could guess or which is not the key: %s", keyName(key), o.Scheme.Name)
			}
		}
	}
	return passed()
}

func keyName(key string) string {
	switch {
	case key == "":
		return "an empty key"
	case slices.Contains(guessable, key):
		return "the key " + quote(key)
	}
	return "the text of the secret, which was to be decoded"
}

// undecoded are the texts of secrets that have to be decoded to be keys.
func undecoded(s profile.Scheme, keys profile.Keys) (texts []string) {
	if s.Key == nil || s.Key.Encoding == "utf8" && s.Key.Prefix == "" {
		return nil
	}
	for _, secret := range keys[s.Name] {
		text := secret.Reveal()
		if key, err := s.Key.Decode(secret); err == nil && string(key) == text {
			continue // it is the key
		}
		texts = append(texts, text)
		if s.Key.Encoding != "utf8" {
			texts = append(texts, strings.TrimPrefix(text, s.Key.Prefix))
		}
	}
	return texts
}

// judgeCovers changes each part of what arrived: where the signature still verifies
// then, it does not cover it.
func judgeCovers(t *trial, s scope, arg any) finding {
	for _, a := range s.attempts {
		if a.active != nil {
			return failed("%s: its signature does not verify: %s%s", a.name(), a.active, t.diagnosis(a, a.active))
		}
		for _, part := range arg.([]string) {
			changed := changePart(t.subject.Profile, a, part)
			if len(changed) == 0 {
				return inconclusive("%s: the profile has no %s that a signature could cover", a.name(), part)
			}
			for _, c := range changed {
				if _, err := t.subject.Profile.Verify(c.in, a.delivery.to.keys, a.whole); err == nil {
					return failed("%s: its signature verifies although its %s was changed", a.name(), c.what)
				}
			}
		}
	}
	return passed()
}

// changed is a request that differs in one part.
type changed struct {
	what string
	in   profile.Incoming
}

// changePart returns requests each of which differs in one part. There are none where
// the profile has no such part, or the request does not show it.
func changePart(p *profile.Profile, a *attempt, part string) (all []changed) {
	in := a.incoming()
	in.Headers = in.Headers.Clone()
	alter := func(what, pointer string) {
		altered := false
		body := p.Redocumented(in.Body, func(document []byte) (now []byte) {
			now, altered = profile.Alter(document, pointer)
			return now
		})
		if altered {
			all = append(all, changed{what, profile.Incoming{Method: in.Method, URL: in.URL, Headers: in.Headers, Body: body}})
		}
	}
	switch {
	case part == "body":
		in.Body = p.Redocumented(in.Body, func(document []byte) []byte { return append(document, ' ') })
	case part == "data":
		for _, pointer := range p.Data() {
			alter("datum at "+pointer+" of the body", pointer)
		}
		return all
	case part == "beside":
		for _, b := range p.Beside() {
			all = append(all, changed{b.String(), b.Alter(in)})
		}
		return all
	case part == "id" && p.ID != nil && p.ID.Header != "":
		in.Headers.Set(p.ID.Header, a.id+"x")
	case part == "id" && p.ID != nil:
		alter(part, p.ID.JSON)
		return all
	case part == "timestamp" && p.Timestamp != nil:
		changeStamp(p, a, &in)
	}
	if same(in, a.incoming()) {
		return nil
	}
	return []changed{{part, in}}
}

func same(a, b profile.Incoming) bool {
	return bytes.Equal(a.Body, b.Body) && slices.Equal(a.Headers, b.Headers)
}

// changeStamp moves the timestamp by a second, which keeps it fresh.
func changeStamp(p *profile.Profile, a *attempt, in *profile.Incoming) {
	at, err := p.Moment(a.stamp)
	if err != nil {
		return
	}
	stamp := p.Stamp(at.Add(-time.Second))
	switch header := p.Signature.Header; {
	case p.Timestamp.JSON != "":
		in.Body = p.Restamp(in.Body, stamp)
	case p.Timestamp.Header != "":
		in.Headers.Set(p.Timestamp.Header, stamp)
	case p.Timestamp.Claim == "created":
		in.Headers.Set("Signature-Input", strings.Replace(in.Headers.Get("Signature-Input"), a.stamp, stamp, 1))
	case p.Timestamp.Claim != "":
		value := in.Headers.Get(header)
		before := value[:strings.LastIndexByte(value, ' ')+1] // the name of a scheme
		in.Headers.Set(header, before+profile.Altered(value[len(before):], func(t profile.JWT) { t.Claims[p.Timestamp.Claim] = json.Number(stamp) }))
	default:
		in.Headers.Set(header, strings.Replace(in.Headers.Get(header), a.stamp, stamp, 1))
	}
}

func judgeWeak(t *trial, a *attempt, _ any) finding {
	for _, s := range t.subject.Profile.Schemes() {
		if s.Weak && a.request.Headers.Has(s.Header) {
			return failed("it carries the signature %s, which uses %s, in the header %s", s.Name, s.Algorithm, s.Header)
		}
	}
	return passed()
}

// The bounds that Standard Webhooks sets for secrets.
const leastSecret, mostSecret = 24, 64

func judgeStrength(t *trial, _ scope, _ any) finding {
	s := t.subject.Profile.Schemes()[0]
	if s.Maker() == nil {
		return skipped("what it gives out is the key of a pair, and no secret of so many bytes")
	}
	seen := 0
	for _, e := range t.endpoints {
		for _, secret := range e.keys[s.Name] {
			seen++
			key := []byte(secret.Reveal())
			if decoded, err := s.Key.Decode(secret); err == nil {
				key = decoded
			}
			switch {
			case len(key) < leastSecret:
				return failed("the secret that it invented has %d bytes; %d are the least", len(key), leastSecret)
			case len(key) > mostSecret:
				return failed("the secret that it invented has %d bytes; %d are the most", len(key), mostSecret)
			case repeats(key):
				return failed("the secret that it invented repeats itself")
			}
		}
	}
	if seen == 0 {
		return inconclusive("it invented no secret for the signature %s", s.Name)
	}
	return passed()
}

// repeats tells whether a key is made of a shorter one again and again.
func repeats(key []byte) bool {
	for n := 1; n <= len(key)/2; n++ {
		if len(key)%n == 0 && bytes.Equal(bytes.Repeat(key[:n], len(key)/n), key) {
			return true
		}
	}
	return false
}

func judgeSecretsDiffer(t *trial, _ scope, _ any) finding {
	seen := map[string]string{}
	for _, e := range t.endpoints {
		for _, secret := range secretsOf(e.keys) {
			if first, known := seen[secret]; known {
				return failed("the endpoints %s and %s have the same secret", first, e.spec.Name)
			}
			seen[secret] = e.spec.Name
		}
	}
	if len(seen) < 2 {
		return inconclusive("it did not invent two secrets that could be compared")
	}
	return passed()
}

func secretsOf(keys profile.Keys) (all []string) {
	for _, secrets := range keys {
		for _, s := range secrets {
			if text := s.Reveal(); text != "" && !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
	}
	return all
}
