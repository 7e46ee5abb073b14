package suites

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// RecordingSchema is the version of a recording's lines.
const RecordingSchema = "hookanvil.recording/1"

// Recorded is one delivery of a recording: one line of JSON.
type Recorded struct {
	Schema     string           `json:"schema"`
	ReceivedAt time.Time        `json:"received_at"`
	Method     string           `json:"method"`
	Target     string           `json:"target"`  // as it was requested: /hook?x=1
	Headers    []RecordedHeader `json:"headers"` // in order
	Body       *string          `json:"body,omitempty"`
	BodyBase64 *string          `json:"body_base64,omitempty"` // where the body is no text
	Profile    string           `json:"profile,omitempty"`     // by which it was read
	ID         string           `json:"id,omitempty"`
	Event      string           `json:"event,omitempty"`
	Verdict    SignatureVerdict `json:"verdict"`
	Reason     string           `json:"reason,omitempty"`
	// Redacted says what was taken out before it was kept; where that was a part of
	// what is signed, the signature fits no more.
	Redacted []string `json:"redacted,omitempty"`
}

// RecordedHeader is a name and a value.
type RecordedHeader [2]string

// UnmarshalJSON reads a list of exactly two texts.
func (h *RecordedHeader) UnmarshalJSON(b []byte) error {
	var list []string
	if err := json.Unmarshal(b, &list); err != nil || len(list) != len(h) {
		return errors.New(`a header is not of the form ["Name","value"]`)
	}
	*h = RecordedHeader(list)
	return nil
}

// What may have been taken out of a recorded delivery, besides JSON pointers.
const (
	redactedSecrets  = "secrets" // in the body
	redactedWithheld = "body"    // all of it: the pointers could not be looked up in it
	redactedHeader   = "header:" // and its name
	redactedTarget   = "target"
)

// Bounds of recordings. A body of 2 MiB grows, at worst, to six times its size.
const (
	maxRecordedLine  = 16 << 20
	maxRecordingSize = 512 << 20
	maxRecorded      = 1_000_000
	maxRecordedHead  = 1000 // headers
)

// BodyBytes is the body as it was sent, but for what was taken out.
func (r Recorded) BodyBytes() []byte {
	switch {
	case r.Body != nil:
		return []byte(*r.Body)
	case r.BodyBase64 != nil:
		b, _ := base64.StdEncoding.DecodeString(*r.BodyBase64) // the parser has seen to it
		return b
	}
	return nil
}

// Withheld tells that the body was not kept.
func (r Recorded) Withheld() bool { return slices.Contains(r.Redacted, redactedWithheld) }

// Altered tells that what was taken out may have been signed, so that no signature
// fits any more.
func (r Recorded) Altered() bool {
	return slices.ContainsFunc(r.Redacted, func(what string) bool {
		return what != redactedTarget && !strings.HasPrefix(what, redactedHeader)
	})
}

// WireHeaders are the headers in their order.
func (r Recorded) WireHeaders() wire.Headers {
	var headers wire.Headers
	for _, f := range r.Headers {
		headers.Add(f[0], f[1])
	}
	return headers
}

func (r *Recorded) setBody(b []byte) {
	r.Body, r.BodyBase64 = nil, nil
	if utf8.Valid(b) {
		text := string(b)
		r.Body = &text
		return
	}
	text := base64.StdEncoding.EncodeToString(b)
	r.BodyBase64 = &text
}

// recordOf is an arrival as it is to be kept, before anything is taken out.
func recordOf(a Arrival, p *profile.Profile) Recorded {
	r := Recorded{
		Schema: RecordingSchema, ReceivedAt: a.At.UTC().Round(0), Method: a.Delivery.Method, Target: a.Delivery.URL,
		Headers: []RecordedHeader{}, ID: a.ID, Event: a.Event, Verdict: a.Finding.Verdict, Reason: a.Finding.Reason,
	}
	if p != nil {
		r.Profile = p.Name
	}
	for _, f := range a.Delivery.Headers {
		r.Headers = append(r.Headers, RecordedHeader{f.Name, f.Value})
	}
	r.setBody(a.Delivery.Body)
	return r
}

// Recorder keeps deliveries in a file.
type Recorder struct {
	mu       sync.Mutex
	file     *os.File
	redactor *reports.Redactor
	pointers []string
	size     int64
}

// NewRecorder makes the file, which must not exist yet and is for its owner alone.
// Every secret that the redactor knows is taken out of what is kept, and what
// stands in the bodies at the JSON pointers.
func NewRecorder(path string, redactor *reports.Redactor, pointers []string) (*Recorder, error) {
	if err := checkPointers(pointers); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("record into %s: it is there already, and nothing is written over; name another file", strictyaml.Quote(path))
	}
	if err != nil {
		return nil, fmt.Errorf("record deliveries: %w", err)
	}
	return &Recorder{file: f, redactor: redactor, pointers: pointers}, nil
}

// Record keeps a delivery without its secrets.
func (r *Recorder) Record(d Recorded) error {
	line, err := json.Marshal(redact(d, r.redactor, r.pointers))
	if err != nil {
		return fmt.Errorf("record a delivery: %w", err)
	}
	line = append(line, '\n')
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.size += int64(len(line)); r.size > maxRecordingSize {
		return fmt.Errorf("record a delivery: the recording has reached %d MiB; begin another", maxRecordingSize>>20)
	}
	if _, err := r.file.Write(line); err != nil {
		return fmt.Errorf("record a delivery: %w", err)
	}
	return nil
}

// Close closes the file.
func (r *Recorder) Close() error {
	if err := r.file.Close(); err != nil {
		return fmt.Errorf("record deliveries: %w", err)
	}
	return nil
}

// --- reading

// ReadRecording reads a recording line by line and hands on each delivery. The
// error of each ends the reading. What is not exactly of the form is an error
// that names its line.
func ReadRecording(name string, from io.Reader, each func(Recorded) error) error {
	lines := bufio.NewScanner(io.LimitReader(from, maxRecordingSize+1))
	lines.Buffer(make([]byte, 0, 64<<10), maxRecordedLine)
	n, size := 0, 0
	for lines.Scan() {
		n++
		if size += len(lines.Bytes()) + 1; size > maxRecordingSize || n > maxRecorded {
			return fmt.Errorf("read the recording %s: it has more than %d MiB or %d deliveries", strictyaml.Quote(name), maxRecordingSize>>20, maxRecorded)
		}
		d, err := parseRecorded(lines.Bytes())
		if err != nil {
			return fmt.Errorf("read the recording %s, line %d: %w", strictyaml.Quote(name), n, err)
		}
		if err := each(d); err != nil {
			return err
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("read the recording %s, line %d: it has more than %d MiB", strictyaml.Quote(name), n+1, maxRecordedLine>>20)
	case err != nil:
		return fmt.Errorf("read the recording %s: %w", strictyaml.Quote(name), err)
	case n == 0:
		return fmt.Errorf("read the recording %s: it holds no delivery", strictyaml.Quote(name))
	}
	return nil
}

func parseRecorded(line []byte) (d Recorded, err error) {
	if !utf8.Valid(line) {
		return d, errors.New("it is not UTF-8")
	}
	var version struct{ Schema string }
	if err := json.Unmarshal(line, &version); err != nil {
		return d, fmt.Errorf("it is no JSON object: %w", err)
	}
	if version.Schema != RecordingSchema {
		return d, fmt.Errorf("its schema is %s, and %s is understood", strictyaml.Quote(version.Schema), RecordingSchema)
	}
	if err := checkMembers(line); err != nil {
		return d, err
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return d, err
	}
	return d, d.check()
}

// checkMembers finds members that stand there twice, or under a name that differs
// in its case: Go's parser would take the last of them.
func checkMembers(line []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(line))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for decoder.More() {
		t, err := decoder.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string)
		switch {
		case seen[name]:
			return fmt.Errorf("member %s stands there twice", strictyaml.Quote(name))
		case name != strings.ToLower(name):
			return fmt.Errorf("there is no member %s", strictyaml.Quote(name))
		}
		seen[name] = true
		var skipped json.RawMessage
		if err := decoder.Decode(&skipped); err != nil {
			return err
		}
	}
	return nil
}

var (
	recordedMethod = token
	recordedTarget = regexp.MustCompile(`^[!-"$-~]+$`) // no blanks, no controls, no fragment
	headerBreak    = regexp.MustCompile(`[\x00-\x08\x0a-\x1f\x7f]`)
)

func (r Recorded) check() error {
	switch {
	case r.ReceivedAt.IsZero():
		return errors.New("it has no received_at")
	case !recordedMethod.MatchString(r.Method):
		return fmt.Errorf("the method %s is none", strictyaml.Quote(r.Method))
	case !recordedTarget.MatchString(r.Target):
		return fmt.Errorf("the target %s is none", strictyaml.Quote(r.Target))
	case r.Headers == nil || len(r.Headers) > maxRecordedHead:
		return fmt.Errorf("it must have headers, at most %d", maxRecordedHead)
	case !slices.Contains(signatureVerdicts, r.Verdict):
		return fmt.Errorf("the verdict %s is none: authentic, not-authentic, unverified or unsigned", strictyaml.Quote(string(r.Verdict)))
	}
	for _, f := range r.Headers {
		if !token.MatchString(f[0]) || headerBreak.MatchString(f[1]) {
			return fmt.Errorf("the header %s has a name or a value that no header can have", strictyaml.Quote(f[0]))
		}
	}
	return r.checkBody()
}

func (r Recorded) checkBody() error {
	bodies := 0
	if r.Body != nil {
		bodies++
	}
	if r.BodyBase64 != nil {
		bodies++
		if b, err := base64.StdEncoding.DecodeString(*r.BodyBase64); err != nil || base64.StdEncoding.EncodeToString(b) != *r.BodyBase64 {
			return errors.New("body_base64 is not in base64 with padding")
		}
	}
	if r.Withheld() != (bodies == 0) || bodies > 1 {
		return errors.New(`it must have one of body and body_base64, and none where "body" is redacted`)
	}
	return nil
}
