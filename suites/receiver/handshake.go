package receiver

import (
	"encoding/json"
	"fmt"
	"mime"
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
)

// handshake has the request be the profile's handshake, signed with our keys or a
// stranger's where it is signed at all. The challenge is invented unless one is given.
func handshake(forged bool, given *string) func(*delivery, any) {
	return func(d *delivery, _ any) {
		p := d.subject.Profile
		c := p.Challenge
		d.asked = fmt.Sprintf("challenge%016x", d.rand.Uint64())
		if given != nil {
			d.asked = strings.ReplaceAll(*given, "{random}", d.asked)
		}
		d.tokens = []string{d.asked, d.ID} // what it would be known by, if it took effect
		m, headers := p.Requested(d.Message, d.asked)
		if c.Signed {
			keys := d.keys
			if forged {
				keys = p.Forged(d.rand, d.keys)
			}
			signatures, err := profile.RenderSignatures(p.Signings(m, keys))
			if err == nil {
				headers = append(headers, signatures...)
			}
		}
		for _, h := range d.subject.Headers {
			headers.Set(h.Name, h.Value)
		}
		d.query, d.secret = strings.Trim(d.query+"&"+c.Parameters(d.asked), "&"), ""
		d.request = wire.Request{Method: m.Method, Target: d.target(), Host: d.subject.URL.Host, Headers: headers, Body: m.Body}
	}
}

func judgeChallengeAnswered(t *trial, s []seen, _ any) finding {
	due := t.subject.Profile.Challenge.Answer
	for _, r := range s[0].readings {
		if r.answer == unanswered {
			return silence(r)
		}
		got := r.Responses[0]
		if !due.Will(got.Status) {
			return failed("%s to the handshake, where %s is due", r.phrase, due.Status)
		}
		if why := t.departs(due, s[0].deliveries[0], got); why != "" {
			return failed("%s", why)
		}
	}
	return noEffect(s[0], "it is a handshake")
}

// departs says what an answer to the handshake lacks, "" where it is what is due. Any of
// our keys will do.
func (t *trial) departs(due profile.Reply, d *delivery, got wire.Response) string {
	if due.Header != "" {
		said := got.Headers.Get(due.Header)
		if said != d.asked && (due.Any == "" || said != due.Any) {
			return fmt.Sprintf("its answer does not say the challenge in the header %s", due.Header)
		}
	}
	if due.Body == "" {
		return ""
	}
	for _, template := range []string{due.Body, due.Or} {
		for _, secret := range t.rawKeys() {
			want := due.Text(template, d.asked, secret)
			if template != "" && (profile.IsJSON(template) && holds(got.Body, want) || string(got.Body) == want) {
				return ""
			}
		}
	}
	return "the body of its answer is not what is due to the challenge"
}

// rawKeys are the main signature's keys, and none where nothing is signed.
func (t *trial) rawKeys() [][]byte {
	keys := [][]byte{nil}
	p := t.subject.Profile
	if !p.Signed() {
		return keys
	}
	for _, secret := range slices.Concat(t.subject.Keys[p.Signature.Name], t.subject.Second[p.Signature.Name]) {
		if key, err := p.Signature.Key.Decode(secret); err == nil {
			keys = append(keys, key)
		}
	}
	return keys[1:]
}

// holds tells whether a JSON object has all members of another, with the same texts.
func holds(body []byte, want string) bool {
	var has, due map[string]any
	if json.Unmarshal(body, &has) != nil || json.Unmarshal([]byte(want), &due) != nil {
		return false
	}
	for name, value := range due {
		if has[name] != value {
			return false
		}
	}
	return true
}

// judgeChallengeInert demands that a browser which is led to the endpoint would run
// nothing.
func judgeChallengeInert(_ *trial, s []seen, _ any) finding {
	for _, r := range s[0].readings {
		if r.answer == unanswered {
			return silence(r)
		}
		got := r.Responses[0]
		media, _, err := mime.ParseMediaType(got.Headers.Get("Content-Type"))
		harmless := err == nil && (media == "text/plain" || media == "application/json" || media == "application/octet-stream")
		if !harmless && strings.Contains(string(got.Body), s[0].deliveries[0].asked) {
			return failed("it shows the challenge as it stood, under the content type %q: a browser runs what stands in it", clip(got.Headers.Get("Content-Type"), 60))
		}
	}
	return passed()
}
