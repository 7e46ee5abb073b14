package suites

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/hookanvil/hookanvil/fixtures/profile"
)

// --- what may have been signed

// texts are what the sender may have signed: what is due first.
func (d doubt) texts() []variant {
	list := []variant{{bytes: d.scheme.Content(d.message)}}
	add := func(v variant, m profile.Message, signs string) {
		s := d.scheme
		s.Signs = signs
		v.bytes = s.Content(m)
		if !slices.ContainsFunc(list, func(other variant) bool { return bytes.Equal(other.bytes, v.bytes) }) {
			list = append(list, v)
		}
	}
	for _, b := range bodyVariants {
		if body := b.change(d.message.Body); body != nil {
			m := d.message
			m.Body = body
			add(b.variant, m, d.scheme.Signs)
		}
	}
	for _, v := range d.stamps() {
		m := d.message
		m.Timestamp = string(v.bytes)
		add(v, m, d.scheme.Signs)
	}
	for _, signs := range otherContents {
		if d.has(signs) {
			add(variant{says: fmt.Sprintf("over %s, where %s is signed", signs, d.scheme.Signs)}, d.message, signs)
		}
	}
	return list
}

// otherContents are what other providers sign, and what is left when something is
// forgotten.
var otherContents = []string{
	"{body}", "{timestamp}.{body}", "{id}.{body}", "{id}.{timestamp}.{body}", "{timestamp}{body}", "{id}{timestamp}{body}",
	"{timestamp}:{body}", "{body}.{timestamp}", "{body}{timestamp}", "{timestamp}.{id}.{body}", "v0:{timestamp}:{body}", "{id}:{timestamp}:{body}",
	"{timestamp}", "{id}", "{url}{body}", "{method}.{url}.{body}", "{id}.{timestamp}.", "{timestamp}.",
}

// has tells whether the delivery has what a content is made of.
func (d doubt) has(signs string) bool {
	return (d.message.ID != "" || !strings.Contains(signs, "{id}")) && (d.message.Timestamp != "" || !strings.Contains(signs, "{timestamp}"))
}

// stamps are the timestamp in other units than the one that was sent.
func (d doubt) stamps() []variant {
	at, known := timeOf(d.Profile, d.message.Timestamp)
	if !known || d.Timestamp == nil || !strings.Contains(d.scheme.Signs, "{timestamp}") {
		return nil
	}
	const says = "over the timestamp in %s, which is not the text that was sent"
	return []variant{
		{says: fmt.Sprintf(says, "seconds"), bytes: strconv.AppendInt(nil, at.Unix(), 10)},
		{says: fmt.Sprintf(says, "milliseconds"), bytes: strconv.AppendInt(nil, at.UnixMilli(), 10)},
		{says: fmt.Sprintf(says, "RFC 3339"), bytes: at.UTC().AppendFormat(nil, time.RFC3339)},
	}
}

// bodyVariant makes another body of the one that was sent; nil where it does not
// apply.
type bodyVariant struct {
	variant
	change func([]byte) []byte
}

const (
	addedAfter  = "something between signing and sending changed the body, or the sender signs before it is complete"
	serialised  = "the sender serialises the payload twice, once to sign and once to send; it must sign the bytes that it sends"
	maxReserial = 256 << 10 // bytes of a body that is serialised anew
)

var bodyVariants = []bodyVariant{
	{variant{says: "for the body without its trailing newline", advice: addedAfter}, func(b []byte) []byte { return cutOr(bytes.TrimRight(b, "\r\n"), b) }},
	{variant{says: "for the body with a newline at its end", advice: addedAfter}, func(b []byte) []byte { return slices.Concat(b, []byte("\n")) }},
	{variant{says: "for the body without the white space around it", advice: addedAfter}, func(b []byte) []byte { return cutOr(bytes.TrimSpace(b), b) }},
	{variant{says: "for the body without its byte order mark", advice: addedAfter}, func(b []byte) []byte { return cutOr(bytes.TrimPrefix(b, []byte(byteOrderMark)), b) }},
	{variant{says: "for the body with a byte order mark", advice: addedAfter}, func(b []byte) []byte { return slices.Concat([]byte(byteOrderMark), b) }},
	{variant{says: "for the body with LF in place of CRLF", advice: addedAfter}, func(b []byte) []byte { return cutOr(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), b) }},
	{variant{says: "for the body with CRLF in place of LF", advice: addedAfter}, func(b []byte) []byte { return cutOr(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")), b) }},
	{variant{says: "for an empty body", advice: "the sender signs before it has a body, or has read it already"}, func([]byte) []byte { return []byte{} }},
	{variant{says: "over the body re-serialised as compact JSON", advice: serialised}, reserialised(jsonStyle{})},
	{variant{says: "over the body re-serialised as JSON with blanks after commas and colons", advice: serialised}, reserialised(jsonStyle{comma: ", ", colon: ": "})},
	{variant{says: "over the body re-serialised as compact JSON in ASCII alone", advice: serialised}, reserialised(jsonStyle{ascii: true})},
	{variant{says: "over the body re-serialised as JSON in ASCII alone, with blanks after commas and colons", advice: serialised}, reserialised(jsonStyle{comma: ", ", colon: ": ", ascii: true})},
	{variant{says: `over the body re-serialised as compact JSON in ASCII alone, with \/ for slashes`, advice: serialised}, reserialised(jsonStyle{ascii: true, slash: true})},
	{variant{says: `over the body re-serialised as compact JSON with <, > and & escaped`, advice: serialised}, reserialised(jsonStyle{html: true})},
	{variant{says: "over the body re-serialised as compact JSON with its members sorted", advice: serialised}, withSortedMembers},
	{variant{says: "over the body re-serialised as JSON indented by two blanks", advice: serialised}, indented("  ")},
	{variant{says: "over the body re-serialised as JSON indented by four blanks", advice: serialised}, indented("    ")},
	{variant{says: "over the body in base64"}, func(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) }},
	{variant{says: "over the hexadecimal SHA-256 of the body"}, func(b []byte) []byte { return []byte(hex.EncodeToString(sum(hashes["sha256"], b))) }},
	{variant{says: "over the body read as Latin-1 and written as UTF-8", advice: "the sender takes the bytes of the body for a text in another encoding"}, fromLatin1},
}

const byteOrderMark = "\ufeff"

// cutOr is the changed body, nil where nothing was changed.
func cutOr(changed, b []byte) []byte {
	if bytes.Equal(changed, b) {
		return nil
	}
	return slices.Clip(changed)
}

func fromLatin1(b []byte) []byte {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return cutOr([]byte(string(runes)), b)
}

// --- JSON, written in other ways

// jsonStyle is how a library writes JSON.
type jsonStyle struct {
	comma, colon       string
	ascii, slash, html bool
}

// reserialised writes a JSON document in another style, its members in their order.
func reserialised(s jsonStyle) func([]byte) []byte {
	if s.comma == "" {
		s.comma, s.colon = ",", ":"
	}
	return func(b []byte) []byte {
		if len(b) > maxReserial || !json.Valid(b) {
			return nil
		}
		out, err := s.rewrite(b)
		if err != nil {
			return nil
		}
		return cutOr(out, b)
	}
}

// rewrite writes the tokens of a document anew.
func (s jsonStyle) rewrite(b []byte) ([]byte, error) {
	var out bytes.Buffer
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	type level struct {
		object bool
		n      int // tokens in it
	}
	var open []level
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out.Bytes(), nil
		}
		if err != nil {
			return nil, err
		}
		delim, isDelim := t.(json.Delim)
		if isDelim && (delim == '}' || delim == ']') {
			out.WriteByte(byte(delim))
			open = open[:len(open)-1]
			continue
		}
		if len(open) > 0 {
			l := &open[len(open)-1]
			switch {
			case l.object && l.n%2 == 1:
				out.WriteString(s.colon)
			case l.n > 0:
				out.WriteString(s.comma)
			}
			l.n++
		}
		if isDelim {
			out.WriteByte(byte(delim))
			open = append(open, level{object: delim == '{'})
			continue
		}
		out.WriteString(s.scalar(t))
	}
}

func (s jsonStyle) scalar(t json.Token) string {
	text, isText := t.(string)
	if !isText {
		b, err := json.Marshal(t)
		if err != nil {
			return ""
		}
		return string(b)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(s.html)
	if err := e.Encode(text); err != nil {
		return ""
	}
	// Unlike other libraries, ours always escapes these two.
	quoted := strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029").Replace(strings.TrimSuffix(b.String(), "\n"))
	if s.slash {
		quoted = strings.ReplaceAll(quoted, "/", `\/`)
	}
	if s.ascii {
		quoted = inASCII(quoted)
	}
	return quoted
}

func inASCII(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case c < 0x80:
			b.WriteRune(c)
		case c > 0xffff:
			high, low := utf16.EncodeRune(c)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return b.String()
}

// withSortedMembers writes a document with the members of its objects in order.
func withSortedMembers(b []byte) []byte {
	if len(b) > maxReserial {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return nil
	}
	return cutOr(bytes.TrimSuffix(out.Bytes(), []byte("\n")), b)
}

func indented(by string) func([]byte) []byte {
	return func(b []byte) []byte {
		if len(b) > maxReserial || depthOf(b) > maxPrettyDepth {
			return nil
		}
		var out bytes.Buffer
		if json.Indent(&out, bytes.TrimSpace(b), "", by) != nil {
			return nil
		}
		return cutOr(out.Bytes(), b)
	}
}

// maxPrettyDepth bounds what indenting can make of a document: as much again for
// each level.
const maxPrettyDepth = 24

// depthOf is how deep a JSON document is nested.
func depthOf(b []byte) int {
	deepest, depth, quoted, escaped := 0, 0, false, false
	for _, c := range b {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// --- by which key

// keyVariants are the keys that the sender may have signed with: the due ones
// first.
func (d doubt) keyVariants() []variant {
	var list []variant
	add := func(v variant) {
		if !slices.ContainsFunc(list, func(other variant) bool { return bytes.Equal(other.bytes, v.bytes) }) {
			list = append(list, v)
		}
	}
	for _, key := range d.decoded(d.keys) {
		add(variant{bytes: key})
	}
	if len(list) == 0 {
		return nil
	}
	for _, wrong := range d.wrong {
		for _, key := range d.decoded(wrong.keys) {
			add(variant{says: "with " + wrong.name, advice: "the sender has not been told which secret is this endpoint's now", bytes: key})
		}
	}
	if d.scheme.Algorithm == "ed25519" {
		return list
	}
	for _, secret := range d.KeysOf(d.scheme, d.keys) {
		for _, v := range d.misread(secret.Reveal()) {
			add(v)
		}
	}
	for _, known := range []string{"", "secret", "changeme", "password", "test", "null", "undefined", "None"} {
		add(variant{says: fmt.Sprintf("with the key %q, which everybody knows", known), advice: "the sender signs without having been given its secret", bytes: []byte(known)})
	}
	return list
}

func (d doubt) decoded(keys profile.Keys) [][]byte {
	var list [][]byte
	for _, secret := range d.KeysOf(d.scheme, keys) {
		if key, err := d.scheme.Key.Decode(secret); err == nil {
			list = append(list, key)
		}
	}
	return list
}

// misread are the keys that a sender may take a secret for.
func (d doubt) misread(text string) []variant {
	bare := strings.TrimPrefix(text, d.scheme.Key.Prefix)
	if d.scheme.Key.Prefix == "" {
		bare = text[strings.LastIndexByte(text, '_')+1:]
	}
	const undecoded = "the sender uses the text of the secret for the key that it stands for"
	const decoded = "the secret's text itself is the key; the sender must not decode it"
	list := []variant{
		{"with the secret undecoded" + kept(d.scheme.Key.Prefix), undecoded, []byte(text)},
		{"with the secret undecoded, its prefix taken off", undecoded, []byte(bare)},
		{"with a newline behind the secret", "the sender reads its secret from a file, and takes the line end for a part of it", []byte(text + "\n")},
		{"with quotes around the secret", "the sender's configuration keeps the quotes", []byte(`"` + text + `"`)},
	}
	for _, source := range []string{text, bare} {
		if key, err := hex.DecodeString(source); err == nil && len(key) > 0 {
			list = append(list, variant{"with the secret decoded as hexadecimal", decoded, key})
		}
		if key, err := base64.StdEncoding.DecodeString(source); err == nil && len(key) > 0 {
			list = append(list, variant{"with the secret decoded as base64", decoded, key})
		}
	}
	return list
}

func kept(prefix string) string {
	if prefix == "" {
		return ""
	}
	return " (" + prefix + " kept)"
}
