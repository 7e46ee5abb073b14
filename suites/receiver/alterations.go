package receiver

// The functions behind the table of mutations.

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"hash"
	"math/big"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
)

// Bodies.

// body changes what a body says. Of a token these are the claims: its signature stays, and
// a change to the text of a token may be none to what is verified.
func body(change func([]byte) []byte) func(*delivery, any) {
	return func(d *delivery, _ any) {
		d.request.Body = d.subject.Profile.Redocumented(d.request.Body, change)
	}
}

// raw changes the bytes that are sent, whatever they are.
func raw(change func([]byte) []byte) func(*delivery, any) {
	return func(d *delivery, _ any) { d.request.Body = change(d.request.Body) }
}

// flipBit changes one bit of the last letter or digit, so that JSON stays JSON
// and only what it says is changed.
func flipBit(b []byte) []byte {
	b = bytes.Clone(b)
	for i := len(b) - 1; i >= 0; i-- {
		if flipped := b[i] ^ 1; isAlphanumeric(b[i]) && isAlphanumeric(flipped) && b[i] > '1' {
			b[i] = flipped
			return b
		}
	}
	return append(b, 'x')
}

func isAlphanumeric(c byte) bool {
	return c < unicode.MaxASCII && (unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c)))
}

// reserialise writes the same JSON in other bytes: what a receiver does that
// parses first and verifies what it has parsed.
func reserialise(b []byte) []byte {
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return append(bytes.Clone(b), ' ')
	}
	return out.Bytes()
}

func changeTail(b []byte) []byte {
	b = bytes.Clone(b)
	tail := b[max(0, len(b)-1024):]
	for i, c := range tail {
		if c == 'x' {
			tail[i] = 'y'
		}
	}
	return b
}

func compress(d *delivery, _ any) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	mustWrite(w, d.Body)
	d.Body = out.Bytes()
	d.extra.Set("Content-Encoding", "gzip")
}

// compressBomb sends the body as three members of one gzip stream, the middle
// one being the bomb, which is made once.
func compressBomb(d *delivery, _ any) {
	end := bytes.LastIndexByte(d.Body, '}')
	var out bytes.Buffer
	mustWrite(gzip.NewWriter(&out), append(bytes.Clone(d.Body[:max(end, 0)]), `,"padding":"`...))
	out.Write(bomb())
	mustWrite(gzip.NewWriter(&out), []byte(`"}`))
	d.Body = out.Bytes()
	d.extra.Set("Content-Encoding", "gzip")
}

var bomb = sync.OnceValue(func() []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		panic(err)
	}
	mustWrite(w, bytes.Repeat([]byte{'x'}, 128<<20))
	return out.Bytes()
})

// mustWrite writes and closes a compressor that writes to memory, which cannot fail.
func mustWrite(w *gzip.Writer, b []byte) {
	_, err := w.Write(b)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err)
	}
}

// Keys.

func (d *delivery) signWith(keys profile.Keys) {
	d.signings = d.subject.Profile.Signings(d.Message, keys)
}

func strangersKeys(d *delivery, _ any) { d.signWith(d.subject.Profile.Forged(d.rand, d.keys)) }

func eachSigning(change func(*profile.Signing)) func(*delivery, any) {
	return func(d *delivery, _ any) {
		for i := range d.signings {
			change(&d.signings[i])
		}
	}
}

// publicAsSecret is the confusion of algorithms known from JSON Web Tokens: the
// receiver is made to use a public key, which everybody has, as an HMAC secret.
func publicAsSecret(d *delivery, _ any) {
	public := d.ed25519Key().Public().(ed25519.PublicKey)
	hmacWith(func(profile.Signing) []byte { return public })(d, nil)
}

// hmacWith signs with another key. Only HMACs are left: they have no public half
// that could still be right.
func hmacWith(key func(profile.Signing) []byte) func(*delivery, any) {
	return func(d *delivery, _ any) {
		d.signings = slices.DeleteFunc(d.signings, isPair)
		eachSigning(func(s *profile.Signing) { s.Key = key(*s) })(d, nil)
	}
}

// isPair tells of signatures whose keys have two halves.
func isPair(s profile.Signing) bool { return !isHMAC(s) && s.Scheme.Signs != "" }

func isHMAC(s profile.Signing) bool { return s.Scheme.HMAC() }

func isEd25519(s profile.Signing) bool { return s.Scheme.Algorithm == "ed25519" }

// ed25519Key is the signing half of the subject's own key pair. The judge asks
// for it only where the capability ed25519 is there.
func (d *delivery) ed25519Key() ed25519.PrivateKey {
	for _, s := range d.signings {
		if isEd25519(s) {
			if key, err := s.Scheme.Key.Decode(s.Secret); err == nil {
				return ed25519.NewKeyFromSeed(key[:ed25519.SeedSize])
			}
		}
	}
	return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
}

// keySentAlong signs with a key of our own and names it in every header from
// which a careless receiver might take one.
func keySentAlong(d *delivery, _ any) {
	const key = "hookanvil-key-of-a-stranger-0123456789"
	hmacWith(func(profile.Signing) []byte { return []byte(key) })(d, nil)
	if d.finish() != nil {
		return
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(key))
	for _, name := range []string{"X-Webhook-Key", "X-Webhook-Secret", "Webhook-Secret", "X-Signing-Key"} {
		d.request.Headers.Add(name, encoded)
	}
	d.request.Headers.Add("X-Webhook-Key-Text", key)
}

// Signatures.

// eachCode changes the raw bytes of each signature and encodes them again. Of a text a
// letter is changed into another.
func (d *delivery) eachCode(change func([]byte) []byte) {
	for i, s := range d.signings {
		text, err := s.Recoded(func(code []byte) []byte {
			changed := change(code)
			if d.isText() {
				changed = printable(code, changed)
			}
			return changed
		})
		if err == nil {
			d.signings[i].Literal = &text
		}
	}
}

// printable is the changed text with each character that a header cannot hold, or that
// would be trimmed, replaced by one that differs from what was there.
func printable(was, changed []byte) []byte {
	changed = bytes.Clone(changed)
	for i, c := range changed {
		if c > ' ' && c <= '~' {
			continue
		}
		if changed[i] = 'x'; i < len(was) && was[i] == 'x' {
			changed[i] = 'y'
		}
	}
	return changed
}

// eachText changes the encoded text of each signature.
func eachText(change func(string) string) func(*delivery, any) {
	return func(d *delivery, _ any) {
		for i, s := range d.signings {
			if text, err := s.Text(); err == nil && text != "" {
				text = change(text)
				d.signings[i].Literal = &text
			}
		}
	}
}

// signature changes the whole value of each signature header.
func signature(change func(string) string) func(*delivery, any) {
	return func(d *delivery, _ any) { d.eachSignature(change) }
}

// flipAt changes one bit of a byte; -1 is the last one.
func flipAt(i int) func([]byte) []byte {
	return func(code []byte) []byte {
		code = bytes.Clone(code)
		code[(i+len(code))%len(code)] ^= 0x10
		return code
	}
}

// isText tells of a secret that is sent as it is: of its characters only such can be sent
// that a header may hold.
func (d *delivery) isText() bool {
	s := d.subject.Profile.Signature
	return s.Encoding == "text" && s.Query == ""
}

// more are bytes that follow upon a signature.
func (d *delivery) more() []byte {
	if d.isText() {
		return []byte("0123")
	}
	return []byte{0, 1, 2, 3}
}

// nothing is a code of zeros.
func (d *delivery) nothing(n int) []byte {
	if d.isText() {
		return bytes.Repeat([]byte("0"), n)
	}
	return make([]byte, n)
}

func flipCode(i int) func(*delivery, any) {
	return func(d *delivery, _ any) { d.eachCode(flipAt(i)) }
}

func (d *delivery) dropSignatures() {
	for _, s := range d.subject.Profile.Schemes() {
		d.request.Headers.Del(s.Header)
		if s.InBody() {
			d.request.Body = s.Rewrite(d.request.Body, func(string) *string { return nil })
		}
	}
	if d.secret != "" {
		d.secret = ""
		d.retarget()
	}
}

// label is what stands before {signature} in the part of a value that holds it:
// "v1," of "v1,{signature}", "v1=" of "t={timestamp},v1={signature}".
func label(value string) string {
	before, _, _ := strings.Cut(value, "{signature}")
	if i := strings.LastIndex(before, "}"); i >= 0 {
		before = strings.TrimLeft(before[i+1:], ",; ")
	}
	return before
}

func relabel(value, with string) string {
	return strings.Replace(value, label(value)+"{signature}", with+"{signature}", 1)
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}

var hashes = map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha512": sha512.New}

func otherHash(d *delivery, arg any) {
	for i, s := range d.signings {
		key, err := s.Scheme.Key.Decode(s.Secret)
		if err != nil || isEd25519(s) {
			continue
		}
		mac := hmac.New(hashes[arg.(string)], key)
		mac.Write(s.Content())
		text := s.Scheme.Encode(mac.Sum(nil))
		d.signings[i].Literal = &text
	}
	d.signings = slices.DeleteFunc(d.signings, isEd25519)
}

func plainHash(d *delivery, _ any) {
	for i, s := range d.signings {
		sum := sha256.Sum256(s.Content())
		text := s.Scheme.Encode(sum[:])
		d.signings[i].Literal = &text
	}
}

func signedOver(d *delivery, arg any) {
	eachSigning(func(s *profile.Signing) { s.Scheme.Signs = arg.(string) })(d, nil)
}

// overNoTimestamp signs without the timestamp, be it a word of the text or a header.
func overNoTimestamp(d *delivery, _ any) {
	eachSigning(func(s *profile.Signing) {
		s.Scheme.Signs, s.Headers = without(s.Scheme.Signs, "{timestamp}"), s.Headers.Clone()
		s.Headers.Del(d.subject.Profile.Timestamp.Header)
	})(d, nil)
}

// without takes a word and the separator behind it out of a template.
func without(template, word string) string {
	before, after, found := strings.Cut(template, word)
	if !found {
		return template
	}
	if next := strings.Index(after, "{"); next >= 0 {
		after = after[next:]
	}
	return before + after
}

// spoilStrong makes every signature wrong but the legacy ones.
func spoilStrong(d *delivery, _ any) {
	for i, s := range d.signings {
		if text, err := s.Recoded(flipAt(-1)); err == nil && !s.Scheme.Weak {
			d.signings[i].Literal = &text
		}
	}
}

// among puts wrong signatures of the same kind before and behind the right one.
func among(before, behind int) func(*delivery, any) {
	return func(d *delivery, _ any) {
		right := d.signings[:1:1]
		wrong := slices.Clone(right)
		if text, err := wrong[0].Recoded(flipAt(0)); err == nil {
			wrong[0].Literal = &text
		}
		d.signings = slices.Concat(repeated(wrong, before), right, repeated(wrong, behind))
	}
}

func repeated(signings []profile.Signing, n int) []profile.Signing {
	return slices.Repeat(signings[:1], n)
}

// besideUnknown adds a part to the list that no receiver can know.
func besideUnknown(d *delivery, arg any) {
	s := d.subject.Profile.Signature
	d.eachSignature(func(v string) string { return arg.(string) + s.JoinedBy + v })
}

func reverseParts(d *delivery, _ any) {
	s := d.subject.Profile.Signature
	parts := strings.Split(d.request.Headers.Get(s.Header), s.JoinedBy)
	slices.Reverse(parts)
	d.setHeader(s.Header, strings.Join(parts, s.JoinedBy))
}

// secondSignature adds a signature header line that is wrong in one bit.
func secondSignature(first bool) func(*delivery, any) {
	return func(d *delivery, _ any) {
		wrong := *d
		wrong.signings = slices.Clone(d.signings)
		wrong.eachCode(flipAt(0))
		lines, err := profile.RenderSignatures(wrong.signings)
		if err == nil {
			d.secondLine(d.signatureHeader(), lines.Get(d.signatureHeader()), first)
		}
	}
}

// secondLine adds another line of the same header, before the first or at the end.
func (d *delivery) secondLine(name, value string, first bool) {
	line := wire.Header{Name: name, Value: value}
	if first {
		d.request.Headers = append(wire.Headers{line}, d.request.Headers...)
		return
	}
	d.request.Headers = append(d.request.Headers, line)
}

func (d *delivery) rename(from, to string) {
	for i, h := range d.request.Headers {
		if strings.EqualFold(h.Name, from) {
			d.request.Headers[i].Name = to
		}
	}
}

func signatureInQuery(d *delivery, _ any) {
	name := d.signatureHeader()
	q := url.Values{strings.ToLower(name): {d.request.Headers.Get(name)}}
	d.dropSignatures()
	d.query = strings.Trim(d.query+"&"+q.Encode(), "&")
	d.retarget()
}

// onlyEd25519 leaves the Ed25519 signature alone, changed where change is not nil.
func onlyEd25519(change func([]byte) []byte) func(*delivery, any) {
	return func(d *delivery, _ any) {
		d.signings = slices.DeleteFunc(d.signings, func(s profile.Signing) bool { return !isEd25519(s) })
		if change != nil {
			d.eachCode(change)
		}
	}
}

func onlyStrangersEd25519(d *delivery, _ any) {
	strangersKeys(d, nil)
	onlyEd25519(nil)(d, nil)
}

// addOrder adds the order of the group to S: the same signature to a verifier
// that does not reduce it, which RFC 8032, section 5.1.7, forbids.
func addOrder(code []byte) []byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	code = bytes.Clone(code)
	s := slices.Clone(code[32:])
	slices.Reverse(s)
	sum := new(big.Int).Add(new(big.Int).SetBytes(s), order)
	sum.FillBytes(s)
	slices.Reverse(s)
	copy(code[32:], s)
	return code
}

// Ids.

func alterID(d *delivery, _ any) {
	altered := d.subject.Profile.NewID(d.rand)
	d.setHeader(d.subject.Profile.ID.Header, altered)
	d.tokens = append(d.tokens, altered)
}

func secondID(first bool) func(*delivery, any) {
	return func(d *delivery, _ any) {
		other := d.subject.Profile.NewID(d.rand)
		d.tokens = append(d.tokens, other)
		d.secondLine(d.subject.Profile.ID.Header, other, first)
	}
}

// shiftDelimiter moves the border between id, timestamp and body without
// changing the bytes that were signed: id "a", timestamp "1", body "2.{...}"
// becomes id "a.1", timestamp "2", body "{...}". It signs anew, over a body that
// begins with a second timestamp.
func shiftDelimiter(d *delivery, _ any) {
	p, inner := d.subject.Profile, d.Body
	first := d.Timestamp
	d.Body = append([]byte(d.Timestamp+"."), inner...)
	d.signings = p.Signings(d.Message, d.keys)
	if d.finish() != nil {
		return
	}
	d.request.Body = inner
	d.setHeader(p.ID.Header, d.ID+"."+first)
	d.tokens = append(d.tokens, d.ID+"."+first)
}

// Timestamps.

func (d *delivery) tolerance() time.Duration { return d.subject.Profile.Timestamp.Tolerance }

func (d *delivery) stampAt(offset time.Duration) {
	d.Timestamp = d.subject.Profile.Stamp(d.now.Add(offset))
}

// fillTimestamp puts the right number, or a part of it, into a text.
func (d *delivery) fillTimestamp(text string) string {
	n, err := strconv.ParseInt(d.Timestamp, 10, 64)
	if err != nil {
		return text
	}
	return strings.NewReplacer(
		"{unix}", d.Timestamp,
		"{hex}", strconv.FormatInt(n, 16),
		"{exponent}", strconv.FormatFloat(float64(n), 'e', -1, 64),
		"{grouped}", d.Timestamp[:1]+"_"+d.Timestamp[1:],
		"{arabic}", arabicIndic(d.Timestamp),
		"{nines}", strings.Repeat("9", 400),
	).Replace(unescape(text))
}

// arabicIndic writes digits as Arabic-Indic ones, which some parsers of numbers read.
func arabicIndic(digits string) string {
	return strings.Map(func(r rune) rune { return r - '0' + '\u0660' }, digits)
}

// replaceTimestamp changes the timestamp where it stands and leaves the signature
// as it is; an empty text takes it away.
func (d *delivery) replaceTimestamp(text string) {
	p := d.subject.Profile
	if name := p.Timestamp.Header; name != "" {
		if text == "" {
			d.request.Headers.Del(name)
			return
		}
		d.setHeader(name, text)
		return
	}
	d.changeTimestampParts(func(part string) []string {
		if text == "" {
			return nil
		}
		return []string{part + text}
	})
}

// changeTimestampParts changes, in a signature header that is a list, the parts
// that hold the timestamp: change is given the label and returns the new parts.
func (d *delivery) changeTimestampParts(change func(label string) []string) {
	s := d.subject.Profile.Signature
	label := ""
	for _, part := range strings.Split(s.Value, s.JoinedBy) {
		if before, _, found := strings.Cut(part, "{timestamp}"); found {
			label = before
		}
	}
	d.eachSignature(func(value string) string {
		var parts []string
		for _, part := range strings.Split(value, s.JoinedBy) {
			if strings.HasPrefix(part, label) {
				parts = append(parts, change(label)...)
			} else {
				parts = append(parts, part)
			}
		}
		return strings.Join(parts, s.JoinedBy)
	})
}

// staleBesideFresh signs when stale and adds fresh times in headers that are
// covered by no signature.
func staleBesideFresh(d *delivery, _ any) {
	fresh := d.Timestamp
	d.stampAt(-d.tolerance() - edge)
	for _, name := range []string{"X-Timestamp", "X-Webhook-Timestamp", "X-Request-Timestamp"} {
		d.extra.Add(name, fresh)
	}
	d.extra.Add("Date", d.now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
}

// staleWithFresh signs when stale and adds a second, fresh timestamp in the place
// where a timestamp stands.
func staleWithFresh(first bool) func(*delivery, any) {
	return func(d *delivery, _ any) {
		fresh, p := d.Timestamp, d.subject.Profile
		d.stampAt(-d.tolerance() - edge)
		stale := d.Timestamp
		d.signWith(d.keys)
		d.later = func() {
			if name := p.Timestamp.Header; name != "" {
				d.secondLine(name, fresh, first)
				return
			}
			d.changeTimestampParts(func(label string) []string {
				if first {
					return []string{label + fresh, label + stale}
				}
				return []string{label + stale, label + fresh}
			})
		}
	}
}

// Unsigned deliveries.

// bare leaves nothing of the provider's but the body.
func (d *delivery) bare() {
	p := d.subject.Profile
	d.dropSignatures()
	if p.Timestamp != nil {
		d.request.Headers.Del(p.Timestamp.Header)
	}
	if p.ID != nil {
		d.request.Headers.Del(p.ID.Header)
	}
}

func (d *delivery) retarget() { d.request.Target = d.target() }

func (d *delivery) repath(pattern string) {
	d.path = strings.NewReplacer("{path}", d.path, "{PATH}", strings.ToUpper(d.path)).Replace(pattern)
	d.retarget()
}

// unescape reads \xff and the like in a scenario's text as single bytes, which
// YAML itself cannot say.
func unescape(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	if u, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`); err == nil {
		return u
	}
	return s
}
