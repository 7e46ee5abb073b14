package suites

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// replacement stands in a body in the place of what a JSON pointer leads to.
const replacement = `"[redacted]"`

// redact takes secrets, and what stands at the pointers, out of a delivery, and
// says so in it.
func redact(d Recorded, redactor *reports.Redactor, pointers []string) Recorded {
	body, values := d.BodyBytes(), []string(nil)
	for _, pointer := range pointers {
		changed, taken, err := replaceAt(body, pointer, replacement)
		if err != nil {
			// What cannot be found cannot be taken out either.
			d.Redacted = append(d.Redacted, redactedWithheld)
			break
		}
		if !bytes.Equal(changed, body) {
			d.Redacted = append(d.Redacted, pointer)
		}
		body, values = changed, append(values, taken...)
	}
	// What was taken out may stand elsewhere as well: an id in a header.
	repeated := reports.NewRedactor(values...)
	clean := func(s string) string { return redactor.Clean(repeated.Clean(s)) }
	if cleaned := []byte(clean(string(body))); !d.Withheld() {
		if !bytes.Equal(cleaned, body) {
			d.Redacted = append(d.Redacted, redactedSecrets)
		}
		d.setBody(cleaned)
	} else {
		d.Body, d.BodyBase64 = nil, nil
	}
	d.cleanHead(clean)
	return d
}

// cleanHead takes secrets out of everything but the body.
func (r *Recorded) cleanHead(clean func(string) string) {
	r.Headers = slices.Clone(r.Headers)
	for i, f := range r.Headers {
		if value := cleanHeader(clean, f[0], f[1]); value != f[1] {
			r.Headers[i][1] = value
			r.Redacted = append(r.Redacted, redactedHeader+f[0])
		}
	}
	if target := clean(r.Target); target != r.Target {
		r.Target = target
		r.Redacted = append(r.Redacted, redactedTarget)
	}
	for _, text := range []*string{&r.ID, &r.Event, &r.Reason} {
		*text = clean(*text)
	}
}

// cleanHeader takes secrets out of a header's value, and all of it where headers of
// that name carry credentials.
func cleanHeader(clean func(string) string, name, value string) string {
	cleaned, ours := strings.CutPrefix(clean(name+": "+value), name+": ")
	if !ours {
		return clean(value)
	}
	return cleaned
}

// --- JSON pointers (RFC 6901) into the bytes of a document

func checkPointers(pointers []string) error {
	for _, p := range pointers {
		rest := strings.NewReplacer("~0", "", "~1", "").Replace(p)
		if !strings.HasPrefix(p, "/") || strings.Contains(rest, "~") {
			return fmt.Errorf("read the JSON pointer %s: it begins with /, and ~ is followed by 0 or 1, such as /data/card", strictyaml.Quote(p))
		}
	}
	return nil
}

var unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")

// span is where a value stands in a document.
type span struct{ from, to int64 }

// replaceAt puts other text in the place of every value that a pointer leads to: of
// members that stand there twice, all. Everything else stays as it is, to the byte.
// Taken are the texts that stood there.
func replaceAt(doc []byte, pointer, by string) (out []byte, taken []string, err error) {
	if len(bytes.TrimSpace(doc)) == 0 {
		return doc, nil, nil
	}
	f := finder{decoder: json.NewDecoder(bytes.NewReader(doc)), doc: doc}
	f.decoder.UseNumber()
	var names []string
	for _, name := range strings.Split(pointer, "/")[1:] {
		names = append(names, unescapePointer.Replace(name))
	}
	if err := f.value(names); err != nil {
		return nil, nil, fmt.Errorf("look up %s: %w", strictyaml.Quote(pointer), err)
	}
	if _, err := f.decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("look up %s: there is more than one JSON document", strictyaml.Quote(pointer))
	}
	at := int64(0)
	for _, s := range f.found {
		var text string
		stood := doc[s.from:s.to]
		if json.Unmarshal(stood, &text) == nil && len(text) >= leastRepeated && string(stood) != by {
			taken = append(taken, text)
		}
		out = append(append(out, doc[at:s.from]...), by...)
		at = s.to
	}
	return append(out, doc[at:]...), taken, nil
}

// leastRepeated is the length from which on a text that was taken out is looked for
// elsewhere: anything shorter stands everywhere.
const leastRepeated = 6

// finder walks through a document and notes where the values are that it looks for.
type finder struct {
	decoder *json.Decoder
	doc     []byte
	found   []span
}

// value walks through one value. Names is the way from here to what is looked for;
// nil where it is not below.
func (f *finder) value(names []string) error {
	if names != nil && len(names) == 0 {
		return f.take()
	}
	if names == nil {
		var skipped json.RawMessage
		return f.decoder.Decode(&skipped)
	}
	t, err := f.decoder.Token()
	if err != nil {
		return err
	}
	delim, isDelim := t.(json.Delim)
	if !isDelim {
		return nil
	}
	for i := 0; f.decoder.More(); i++ {
		name := strconv.Itoa(i)
		if delim == '{' {
			key, err := f.decoder.Token()
			if err != nil {
				return err
			}
			name, _ = key.(string)
		}
		below := names[1:]
		if name != names[0] {
			below = nil
		}
		if err := f.value(below); err != nil {
			return err
		}
	}
	_, err = f.decoder.Token()
	return err
}

// take notes where the next value stands. The decoder's offset is behind the token
// before it: a colon, a comma and blanks may come between.
func (f *finder) take() error {
	from := f.decoder.InputOffset()
	for from < int64(len(f.doc)) && strings.IndexByte(" \t\r\n:,", f.doc[from]) >= 0 {
		from++
	}
	var value json.RawMessage
	if err := f.decoder.Decode(&value); err != nil {
		return err
	}
	f.found = append(f.found, span{from, f.decoder.InputOffset()})
	return nil
}
