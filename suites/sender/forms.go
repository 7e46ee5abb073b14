package sender

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/scenarios"
)

// formExpectations look at the form of each request.
var formExpectations = expectationTable{
	{Entry: wordWith("method", scenarios.Text, "uses this method"), judge: each(judgeMethod)},
	{Entry: word("content-type", "says once what the body is, and it is that"), judge: each(judgeContentType)},
	{Entry: word("body-json", "sends one JSON text as the body: not empty, UTF-8, without a byte order mark"), needs: []string{"json-body"}, judge: each(judgeJSON)},
	{Entry: word("no-duplicate-members", "writes no member of a JSON object twice"), needs: []string{"json-body"}, judge: each(judgeDuplicates)},
	{Entry: wordWith("body-at-most", scenarios.Number, "sends a body of at most so many bytes"), judge: each(judgeBodySize)},
	{Entry: word("envelope", "sends an object with type, timestamp and data, as Standard Webhooks recommends"), needs: []string{"json-body"}, judge: each(judgeEnvelope)},
	{Entry: word("headers-once", "sends id, timestamp and signature once each"), judge: each(judgeHeadersOnce)},
	{Entry: word("id-form", "sends an id of 1 to 255 printable characters without a dot"), needs: []string{"id"}, judge: each(judgeIDForm)},
	{Entry: word("timestamp-form", "sends a timestamp in the unit that the profile says"), needs: []string{"timestamp"}, judge: each(judgeTimestampForm)},
	{Entry: wordWith("timestamp-near", scenarios.Span, "stamps an attempt with the time at which it is sent, to within so much"), needs: []string{"timestamp"}, judge: each(judgeTimestampNear)},
	{Entry: word("host", "names in Host the authority of the endpoint's URL"), judge: each(judgeHost)},
	{Entry: word("target", "requests the path and the query of the endpoint's URL as they are"), judge: each(judgeTarget)},
	{Entry: word("user-agent", "says in User-Agent who it is"), judge: each(judgeUserAgent)},
	{Entry: wordWith("no-header", scenarios.Text, "does not send this header"), judge: each(judgeNoHeader)},
	{Entry: word("no-secret", "does not send its secret along"), needs: []string{"secret"}, judge: each(judgeNoSecret)},
}

func judgeMethod(_ *trial, a *attempt, arg any) finding {
	if a.request.Method != arg.(string) {
		return failed("the method is %s", a.request.Method)
	}
	return passed()
}

func judgeContentType(t *trial, a *attempt, _ any) finding {
	types := a.request.Headers.Values("Content-Type")
	if len(types) != 1 {
		return failed("it has %d Content-Type headers", len(types))
	}
	kind, params, err := mime.ParseMediaType(types[0])
	if err != nil {
		return failed("its Content-Type is no media type: %s", quote(types[0]))
	}
	if p := t.subject.Profile; p.Signature.Body && kind != p.Delivery.ContentType {
		return failed("its Content-Type is %s, and the body a token, which is %s", quote(types[0]), p.Delivery.ContentType)
	}
	isJSON := json.Valid(a.request.Body)
	saysJSON := kind == "application/json" || strings.HasSuffix(kind, "+json") || kind == "text/json"
	switch charset := params["charset"]; {
	case saysJSON && !isJSON:
		return failed("its Content-Type is %s, and the body is no JSON", quote(types[0]))
	case isJSON && !saysJSON && types[0] != t.subject.Profile.Delivery.ContentType && bytes.ContainsAny(bytes.TrimSpace(a.request.Body)[:1], "{["):
		return failed("the body is JSON, and its Content-Type is %s", quote(types[0]))
	case charset != "" && !strings.EqualFold(charset, "utf-8") && saysJSON:
		return failed("its Content-Type says JSON in the character set %s", quote(charset))
	}
	return passed()
}

func judgeJSON(_ *trial, a *attempt, _ any) finding {
	body := a.document()
	switch {
	case len(body) == 0:
		return failed("the body is empty")
	case bytes.HasPrefix(body, []byte("\ufeff")):
		return failed("the body begins with a byte order mark")
	case !utf8.Valid(body):
		return failed("the body is not UTF-8")
	case !json.Valid(body):
		return failed("the body is not one JSON text")
	}
	return passed()
}

func judgeDuplicates(_ *trial, a *attempt, _ any) finding {
	body := a.document()
	name, err := duplicate(json.NewDecoder(bytes.NewReader(body)))
	switch {
	case err != nil || !json.Valid(body): // a decoder takes what is cut short for the end
		return inconclusive("the body is no JSON")
	case name != "":
		return failed("the member %s stands twice in an object", quote(name))
	}
	return passed()
}

// duplicate finds the first member that an object has twice.
func duplicate(d *json.Decoder) (string, error) {
	type level struct {
		names map[string]bool // of an object; nil for a list
		value bool            // a value is due, not a name
	}
	var stack []*level
	for {
		token, err := d.Token()
		if err == io.EOF {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		top := &level{}
		if len(stack) > 0 {
			top = stack[len(stack)-1]
		}
		name, isName := token.(string)
		if isName && top.names != nil && !top.value {
			if top.names[name] {
				return name, nil
			}
			top.names[name], top.value = true, true
			continue
		}
		top.value = false
		switch token {
		case json.Delim('{'):
			stack = append(stack, &level{names: map[string]bool{}})
		case json.Delim('['):
			stack = append(stack, &level{})
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		}
	}
}

func judgeBodySize(_ *trial, a *attempt, arg any) finding {
	if n := len(a.request.Body); n > arg.(int) {
		return failed("the body has %d bytes", n)
	}
	return passed()
}

var eventType = regexp.MustCompile(`^[A-Za-z0-9_]+([./:-][A-Za-z0-9_]+)*$`)

func judgeEnvelope(_ *trial, a *attempt, _ any) finding {
	var envelope struct {
		Type, Timestamp *string
		Data            json.RawMessage
	}
	if err := json.Unmarshal(a.document(), &envelope); err != nil {
		return failed("the body is no object with type, timestamp and data: %s", err)
	}
	switch {
	case envelope.Type == nil || !eventType.MatchString(*envelope.Type):
		return failed("it has no type such as invoice.paid")
	case envelope.Timestamp == nil:
		return failed("it has no timestamp")
	case len(envelope.Data) == 0:
		return failed("it has no data")
	}
	if _, err := time.Parse(time.RFC3339Nano, *envelope.Timestamp); err != nil {
		return failed("its timestamp is not of the form 2026-01-31T12:00:00Z: %s", quote(*envelope.Timestamp))
	}
	return passed()
}

func judgeHeadersOnce(t *trial, a *attempt, _ any) finding {
	p := t.subject.Profile
	var names []string
	if p.ID != nil {
		names = append(names, p.ID.Header)
	}
	if p.Timestamp != nil {
		names = append(names, p.Timestamp.Header)
	}
	if p.Signed() {
		names = append(names, p.Signature.Header)
	}
	for _, name := range names {
		if n := len(a.request.Headers.Values(name)); name != "" && n != 1 {
			return failed("the header %s stands there %d times", name, n)
		}
	}
	return passed()
}

func judgeIDForm(_ *trial, a *attempt, _ any) finding {
	switch {
	case a.id == "":
		return failed("it has no id")
	case len(a.id) > 255:
		return failed("its id has %d characters", len(a.id))
	case strings.ContainsFunc(a.id, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return failed("its id holds blanks or characters that are not printable ASCII: %s", quote(a.id))
	case strings.Contains(a.id, "."):
		return failed("its id holds a dot, which separates the parts of the signed text: %s", quote(a.id))
	}
	return passed()
}

func judgeTimestampForm(t *trial, a *attempt, _ any) finding {
	if _, err := t.subject.Profile.Moment(a.stamp); err != nil {
		return failed("%s", err)
	}
	return passed()
}

func judgeTimestampNear(t *trial, a *attempt, arg any) finding {
	at, err := t.subject.Profile.Moment(a.stamp)
	if err != nil {
		return inconclusive("%s", err)
	}
	// Timestamps in seconds are cut off, so that they are up to a second too early.
	if off := a.arrived.Sub(at); off > arg.(time.Duration)+time.Second || -off > arg.(time.Duration) {
		return failed("its timestamp is %s off the time at which it arrived", show(off.Abs()))
	}
	return passed()
}

func judgeHost(t *trial, a *attempt, _ any) finding {
	u, err := url.Parse(a.delivery.to.url)
	if err != nil {
		return inconclusive("%s", err)
	}
	if t.subject.PublicURL != nil {
		return inconclusive("a proxy stands in front of the endpoint (--public-url), which may change Host")
	}
	if host := a.request.Headers.Get("Host"); !strings.EqualFold(host, u.Host) && !strings.EqualFold(strings.TrimSuffix(host, ":80"), u.Host) {
		return failed("Host is %s, and the endpoint's URL names %s", quote(host), u.Host)
	}
	return passed()
}

func judgeTarget(t *trial, a *attempt, _ any) finding {
	u, err := url.Parse(a.delivery.to.url)
	if err != nil {
		return inconclusive("%s", err)
	}
	want := a.delivery.to.requestPath()
	if t.subject.fixed() {
		want = u.Path
	}
	// A proxy in front of the endpoint may take the path of its own off, or leave it.
	p := t.subject.Profile
	if a.request.Target != p.Addressed(want) && a.request.Target != p.Addressed(u.RequestURI()) {
		return failed("it requests %s, and the endpoint's URL has %s", quote(a.request.Target), quote(want))
	}
	return passed()
}

func judgeUserAgent(_ *trial, a *attempt, _ any) finding {
	agents := a.request.Headers.Values("User-Agent")
	if len(agents) != 1 || strings.TrimSpace(agents[0]) == "" {
		return failed("it does not say who it is")
	}
	return passed()
}

func judgeNoHeader(_ *trial, a *attempt, arg any) finding {
	if a.request.Headers.Has(arg.(string)) {
		return failed("it has the header %s: %s", arg, quote(a.request.Headers.Get(arg.(string))))
	}
	return passed()
}

// judgeNoSecret looks for the secret in every form in which it could be sent.
func judgeNoSecret(t *trial, a *attempt, _ any) finding {
	for _, secret := range secretsOf(a.delivery.to.keys) {
		for _, form := range formsOf(secret) {
			if bytes.Contains(a.document(), []byte(form)) {
				return failed("the secret stands in the body")
			}
			if i := slices.IndexFunc(a.request.Headers, func(h wire.Header) bool { return holds(h.Value, form) }); i >= 0 {
				return failed("the secret stands in the header %s", a.request.Headers[i].Name)
			}
			if strings.Contains(a.request.Target, form) {
				return failed("the secret stands in the request target")
			}
		}
	}
	return passed()
}

// formsOf are the ways in which a secret may have been written.
func formsOf(secret string) []string {
	raw := []byte(secret)
	forms := []string{secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString(raw), hex.EncodeToString(raw)}
	if _, key, ok := strings.Cut(secret, "_"); ok && len(key) >= 8 {
		forms = append(forms, key, url.QueryEscape(key))
	}
	for _, form := range forms {
		if strings.Contains(form, "/") {
			forms = append(forms, strings.ReplaceAll(form, "/", `\/`)) // as some serialisers write it in JSON
		}
	}
	return forms
}

// holds tells whether a text stands in a header's value, or in what a word of it is
// the base64 of, as in a password.
func holds(value, text string) bool {
	return strings.Contains(value, text) || slices.ContainsFunc(strings.Fields(value), func(word string) bool {
		decoded, err := base64.StdEncoding.DecodeString(word)
		return err == nil && bytes.Contains(decoded, []byte(text))
	})
}

func quote(s string) string {
	const most = 120
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strconv.Quote(s)
}
