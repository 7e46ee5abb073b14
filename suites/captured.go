package suites

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// Captured is a delivery as something has kept it.
type Captured struct {
	profile.Incoming
	At    time.Time // when it was received; zero where nobody knows
	Notes []string  // what may have been changed since
}

// maxCaptured bounds the deliveries of one capture.
const maxCaptured = 500

// ReadCaptured reads the deliveries in a raw request, a HAR, a recording of hookanvil
// listen, a run's journal or JSON report, or one exchange of such a report. Name is for
// messages.
func ReadCaptured(name string, raw []byte) ([]Captured, error) {
	list, err := readCaptured(raw)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the deliveries in %s: %w", name, err)
	case len(list) == 0:
		return nil, fmt.Errorf("read the deliveries in %s: there is none", name)
	case len(list) > maxCaptured:
		return nil, fmt.Errorf("read the deliveries in %s: there are %d, and at most %d are looked at; cut it, or choose by --only", name, len(list), maxCaptured)
	}
	return list, nil
}

func readCaptured(raw []byte) ([]Captured, error) {
	text := bytes.TrimLeft(raw, " \t\r\n")
	switch {
	case len(text) == 0:
		return nil, errors.New("it is empty; give a request: header lines, an empty line, and the body")
	case text[0] != '{':
		return capturedRequest(raw)
	}
	var kind struct {
		Schema string          `json:"schema"`
		Log    json.RawMessage `json:"log"`    // a HAR
		Record json.RawMessage `json:"record"` // a line of a journal
		Label  string          `json:"label"`  // an exchange
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&kind); err != nil {
		return nil, fmt.Errorf("it begins as JSON does, and is none: %w", err)
	}
	switch {
	case kind.Log != nil:
		return capturedHAR(text)
	case kind.Schema == RecordingSchema:
		return capturedRecording(text)
	case kind.Record != nil:
		run, err := reports.ReadJournal(bytes.NewReader(text))
		return capturedRun(run), err
	case kind.Schema == reports.Schema:
		run, err := reports.ReadJSON(bytes.NewReader(text))
		return capturedRun(run), err
	case kind.Label != "":
		return capturedExchange(text)
	}
	return nil, fmt.Errorf("it is JSON, and neither a HAR nor a recording, journal or report of hookanvil (its schema is %s); "+
		"give the whole request: header lines, an empty line, and the body", strictyaml.Quote(kind.Schema))
}

// capturedRequest reads a request that was written down or cut from a wire. A body that
// is not as long as it should be is read all the same: how it differs is of interest.
func capturedRequest(raw []byte) ([]Captured, error) {
	in, rest, err := readHead(raw)
	if err != nil {
		return nil, err
	}
	c := Captured{Incoming: in}
	c.Body = rest
	length, err := strconv.Atoi(in.Headers.Get("Content-Length"))
	switch {
	case in.Headers.Has("Transfer-Encoding"):
		whole, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(rest)))
		if err != nil {
			c.Notes = append(c.Notes, "it says that its body is in chunks, and it is not: it was taken as it stands there")
			break
		}
		c.Body = whole
	case err != nil || length < 0:
		c.Notes = append(c.Notes, "it has no Content-Length: whatever wrote it down may have changed the line end at its end")
	case length > len(rest):
		c.Notes = append(c.Notes, fmt.Sprintf("its Content-Length is %d, and its body has %d bytes here: some were lost in capturing it, or before", length, len(rest)))
	default:
		c.Body = rest[:length]
	}
	return []Captured{c}, nil
}

func capturedRecording(raw []byte) (list []Captured, err error) {
	err = ReadRecording("", bytes.NewReader(raw), func(r Recorded) error {
		c := Captured{At: r.ReceivedAt, Incoming: profile.Incoming{Method: r.Method, URL: r.Target, Headers: r.WireHeaders(), Body: r.BodyBytes()}}
		if len(r.Redacted) > 0 {
			c.Notes = append(c.Notes, "something was taken out when it was recorded ("+strings.Join(r.Redacted, ", ")+"): where that was signed, nothing can be found")
		}
		list = append(list, c)
		return nil
	})
	return list, err
}

// capturedRun reads the evidence of a run: what we sent to a receiver, or what a sender
// sent to us. What was cut short is left out, unless there is nothing else.
func capturedRun(run reports.Run) (list []Captured) {
	for _, result := range run.Results {
		for _, x := range result.Evidence {
			text := x.Received
			if run.Subject.Role == "receiver" {
				text = x.Sent
			}
			c, err := capturedText(text)
			if err != nil {
				continue
			}
			c.At = run.Started.Add(time.Duration(x.StartedMS * float64(time.Millisecond)))
			c.Notes = append(c.Notes, "evidence of "+result.ID+", "+x.Label)
			list = append(list, c)
		}
	}
	return list
}

// capturedExchange reads one exchange: whichever of its halves is a request.
func capturedExchange(raw []byte) ([]Captured, error) {
	var x reports.Exchange
	if err := json.Unmarshal(raw, &x); err != nil {
		return nil, fmt.Errorf("it is no exchange: %w", err)
	}
	text := x.Received
	if text == "" || strings.HasPrefix(text, "HTTP/") {
		text = x.Sent
	}
	c, err := capturedText(text)
	return []Captured{c}, err
}

// capturedText reads a request that evidence shows.
func capturedText(text string) (Captured, error) {
	raw, err := reports.FromPrintable(text)
	if err != nil {
		return Captured{}, fmt.Errorf("the request cannot be had from its evidence: %w", err)
	}
	list, err := capturedRequest(raw)
	if err != nil {
		return Captured{}, err
	}
	c := list[0]
	if strings.Contains(text, "[secret]") {
		c.Notes = append(c.Notes, "a secret was taken out of it: where that was signed, nothing can be found")
	}
	return c, nil
}

// --- HAR

// har is what is read of an HTTP archive, version 1.2.
type har struct {
	Log struct {
		Entries []struct {
			Started time.Time  `json:"startedDateTime"`
			Request harRequest `json:"request"`
		} `json:"entries"`
	} `json:"log"`
}

type harRequest struct {
	Method  string `json:"method"`
	URL     string `json:"url"`
	Headers []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"headers"`
	BodySize int `json:"bodySize"`
	PostData *struct {
		Text     string `json:"text"`
		Encoding string `json:"encoding"` // base64: not of the standard, and in use
		Params   []any  `json:"params"`
	} `json:"postData"`
}

func capturedHAR(raw []byte) (list []Captured, err error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("the HAR is not UTF-8")
	}
	var h har
	if err := json.Unmarshal(raw, &h); err != nil {
		return nil, fmt.Errorf("it is no HAR: %w", err)
	}
	for i, e := range h.Log.Entries {
		c, err := e.Request.captured()
		if err != nil {
			return nil, fmt.Errorf("entry %d of the HAR: %w", i+1, err)
		}
		c.At = e.Started
		list = append(list, c)
	}
	return list, nil
}

func (r harRequest) captured() (c Captured, err error) {
	if !token.MatchString(r.Method) {
		return c, fmt.Errorf("its method %s is none", strictyaml.Quote(r.Method))
	}
	c.Method, c.URL = r.Method, r.URL
	for _, f := range r.Headers {
		if strings.HasPrefix(f.Name, ":") {
			continue // HTTP/2 says its request line so
		}
		if !token.MatchString(f.Name) || headerBreak.MatchString(f.Value) {
			return c, fmt.Errorf("the header %s has a name or a value that no header can have", strictyaml.Quote(f.Name))
		}
		c.Headers.Add(f.Name, f.Value)
	}
	switch p := r.PostData; {
	case p == nil:
	case p.Encoding == "base64":
		if c.Body, err = base64.StdEncoding.DecodeString(p.Text); err != nil {
			return c, errors.New("its body is to be in base64, and is not")
		}
	case p.Encoding != "":
		return c, fmt.Errorf("its body is encoded as %s, and base64 is understood", strictyaml.Quote(p.Encoding))
	case p.Text == "" && len(p.Params) > 0:
		return c, errors.New("it has the parameters of a form, and not the body that was signed; have it captured with postData.text")
	default:
		c.Body = []byte(p.Text)
	}
	if r.BodySize > 0 && r.BodySize != len(c.Body) {
		c.Notes = append(c.Notes, fmt.Sprintf("the HAR says that the body had %d bytes, and holds %d: it was decoded or cut", r.BodySize, len(c.Body)))
	}
	return c, nil
}
