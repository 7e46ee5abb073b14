package suites

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/fixtures/profile"
)

// A signature that is wrong is right for something: another text, another key,
// another algorithm, another way to write it down. What a sender may have done is
// listed in tables; here the entries are tried, first by themselves and then two
// together, until one yields what the sender sent.

// doubt is a delivery whose signature does not fit.
type doubt struct {
	keyring
	scheme  profile.Scheme
	message profile.Message
}

// variant is one thing that the sender may have done, and the outcome: a text that
// it signed, or a key by which.
type variant struct {
	says   string // completes "the signature is right ..."; empty for what is due
	advice string // what that means; may be empty
	bytes  []byte
}

// written is a signature that was sent, in one reading.
type written struct {
	says string // empty for the reading that is due
	code []byte
}

// Bounds of a diagnosis.
const (
	diagnosisWork   = 32 << 20 // bytes to be signed
	diagnosisTokens = 24       // readings of a header's parts
	shortestCode    = 8        // bytes by which a signature that was cut short is known
)

// diagnose says what the sender probably does, "" where nothing fits.
func (k keyring) diagnose(in profile.Incoming) string {
	m := k.messageOf(in)
	for _, s := range k.Schemes() {
		d := doubt{k, s, m}
		if found := d.search(d.writtenIn(in)); found != "" {
			return found
		}
	}
	return ""
}

// messageOf is what was to be signed, as far as it is there.
func (k keyring) messageOf(in profile.Incoming) profile.Message {
	m := profile.Message{ID: k.DeliveryID(in.Headers, in.Body), Method: in.Method, URL: in.URL, Body: in.Body}
	if claim, err := k.Read(in); err == nil {
		m.ID, m.Timestamp = claim.ID, claim.Timestamp
	} else if k.Timestamp != nil {
		m.Timestamp = in.Headers.Get(k.Timestamp.Header)
	}
	return m
}

// search finds the fewest departures that explain one of the signatures.
func (d doubt) search(sent []written) string {
	if len(sent) == 0 {
		return ""
	}
	texts, keys, algorithms := d.texts(), d.keyVariants(), d.algorithms()
	work := 0
	for departures := range 3 {
		for _, algorithm := range algorithms {
			for _, key := range keys {
				for _, text := range texts {
					if departuresIn(algorithm.variant, key, text) != departures {
						continue
					}
					if work += len(text.bytes) + 200; work > diagnosisWork {
						return ""
					}
					if how, ok := algorithm.made(key.bytes, text.bytes, sent); ok {
						return diagnosisOf(text, key, algorithm.variant, how)
					}
				}
			}
		}
	}
	return ""
}

func departuresIn(variants ...variant) int {
	n := 0
	for _, v := range variants {
		if v.says != "" {
			n++
		}
	}
	return n
}

func diagnosisOf(text, key, algorithm variant, how written) string {
	var says []string
	advice := ""
	for _, v := range []variant{text, key, algorithm, {says: how.says, advice: "the sender writes it down in another way than is due"}} {
		if v.says == "" {
			continue
		}
		says = append(says, v.says)
		if advice == "" && v.advice != "" {
			advice = ": " + v.advice
		}
	}
	if len(says) == 0 {
		return "" // it is right: whatever is wrong, it is not the signature
	}
	return "the signature is right " + strings.Join(says, " and ") + advice
}

// --- what was written

// writtenIn are the signatures in the headers, in all readings.
func (d doubt) writtenIn(in profile.Incoming) []written {
	name := d.scheme.Header
	for _, a := range d.Aliases {
		if strings.EqualFold(a.Header, name) && !in.Headers.Has(name) {
			name = a.Also
		}
	}
	var all []written
	if claim, err := d.Read(in); err == nil {
		for _, o := range claim.Offers {
			if o.Scheme.Name == d.scheme.Name {
				all = append(all, d.readings(o.Text, "")...)
			}
		}
	}
	for _, value := range in.Headers.Values(name) {
		for _, token := range tokensOf(value) {
			all = append(all, d.readings(token, d.misformed())...)
		}
	}
	return all[:min(len(all), diagnosisTokens)]
}

// tokensOf are the parts of a header's value that may be a signature: those between
// separators, with and without a name before.
func tokensOf(value string) []string {
	var tokens []string
	for _, part := range strings.FieldsFunc(value, func(c rune) bool { return strings.ContainsRune(" \t,;\"", c) }) {
		tokens = append(tokens, part)
		if i := strings.IndexAny(part, "=:"); i >= 0 && strings.Trim(part[i:], "=") != "" {
			tokens = append(tokens, part[i+1:])
		}
	}
	return tokens
}

func (d doubt) misformed() string {
	return "in another form than " + strings.ReplaceAll(d.scheme.Value, "{signature}", "SIGNATURE")
}

// readings are the bytes that a text may stand for, the due ones first.
func (d doubt) readings(text, form string) []written {
	var all []written
	add := func(encoding, says string, code []byte) {
		switch {
		case form != "":
			says = form
		case says == "" && encoding != d.scheme.Encoding:
			says = fmt.Sprintf("in %s, where %s is due", encoding, d.scheme.Encoding)
		}
		all = append(all, written{says, code})
	}
	if code, err := hex.DecodeString(text); err == nil {
		says := ""
		if text != strings.ToLower(text) && d.scheme.Encoding == "hex" {
			says = "in capital letters, where small ones are due"
		}
		add("hex", says, code)
	}
	for _, e := range base64Readings {
		code, err := e.decode(text)
		if err != nil {
			continue
		}
		says := e.says
		if d.scheme.Encoding == e.name && d.scheme.Encode(code) == text {
			says = ""
		}
		add(e.name, says, code)
		if inner, err := hex.DecodeString(string(code)); err == nil {
			add("base64", "in base64 of its hexadecimal text, which is one encoding too many", inner)
		}
	}
	return all
}

var base64Readings = []struct {
	name, says string
	decode     func(string) ([]byte, error)
}{
	{"base64", "", base64.StdEncoding.DecodeString},
	{"base64", "in base64 without its padding", base64.RawStdEncoding.DecodeString},
	{"base64url", "", base64.RawURLEncoding.DecodeString},
	{"base64url", "in base64url with padding", base64.URLEncoding.DecodeString},
}

// --- how it was made

// maker is a way of making signatures.
type maker struct {
	variant
	made func(key, text []byte, sent []written) (written, bool)
}

func (d doubt) algorithms() []maker {
	if d.scheme.Algorithm == "ed25519" {
		return []maker{{made: madeByEd25519}}
	}
	due := hashes[strings.TrimPrefix(d.scheme.Algorithm, "hmac-")]
	if due == nil {
		return nil
	}
	list := []maker{{made: madeBy(hmacOf(due))}}
	for _, name := range []string{"sha256", "sha1", "sha512"} {
		if h := hashes[name]; "hmac-"+name != d.scheme.Algorithm {
			list = append(list, maker{variant{says: fmt.Sprintf("by hmac-%s, where %s is due", name, d.scheme.Algorithm)}, madeBy(hmacOf(h))})
		}
	}
	const noMAC = "the sender must use an HMAC, since a plain hash can be lengthened by others"
	return append(list,
		maker{variant{"by a plain hash of the secret and then the text", noMAC, nil}, madeBy(func(key, text []byte) []byte { return sum(due, key, text) })},
		maker{variant{"by a plain hash of the text and then the secret", noMAC, nil}, madeBy(func(key, text []byte) []byte { return sum(due, text, key) })},
		maker{variant{"by a plain hash of the text, without any secret", noMAC, nil}, madeBy(func(_, text []byte) []byte { return sum(due, text) })},
		maker{variant{"by an HMAC whose key and text have changed places", "see the order of arguments in the sender's code", nil}, madeBy(func(key, text []byte) []byte { return hmacOf(due)(text, key) })},
	)
}

var hashes = map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}

func hmacOf(h func() hash.Hash) func(key, text []byte) []byte {
	return func(key, text []byte) []byte {
		mac := hmac.New(h, key)
		mac.Write(text)
		return mac.Sum(nil)
	}
}

func sum(h func() hash.Hash, parts ...[]byte) []byte {
	s := h()
	for _, p := range parts {
		s.Write(p)
	}
	return s.Sum(nil)
}

func madeBy(sign func(key, text []byte) []byte) func(key, text []byte, sent []written) (written, bool) {
	return func(key, text []byte, sent []written) (written, bool) {
		code := sign(key, text)
		for _, w := range sent {
			if bytes.Equal(code, w.code) {
				return w, true
			}
			if len(w.code) >= shortestCode && bytes.HasPrefix(code, w.code) {
				return written{says: fmt.Sprintf("but cut to %d of its %d bytes", len(w.code), len(code))}, true
			}
		}
		return written{}, false
	}
}

func madeByEd25519(key, text []byte, sent []written) (written, bool) {
	public := ed25519.PublicKey(key)
	if len(key) == ed25519.PrivateKeySize {
		public = ed25519.PublicKey(key[ed25519.SeedSize:])
	}
	if len(public) != ed25519.PublicKeySize {
		return written{}, false
	}
	i := slices.IndexFunc(sent, func(w written) bool { return ed25519.Verify(public, text, w.code) })
	if i < 0 {
		return written{}, false
	}
	return sent[i], true
}
