package reports

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"mime"
	"net"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// HAR writes the exchanges of a run as an HTTP archive, version 1.2, to be looked at with
// what others wrote: one entry for each exchange whose request is one.
//
// Who opens an archive replays it, or makes a command of it: so an entry says nothing that
// did not cross the wire, and no header that would be two. A body is given byte for byte, in
// base64 where it is not UTF-8; a header with characters that no header has stays
// escaped as Printable does it. An answer that was none has the status 0, and what
// became of it in _error, as browsers write it. What is no HTTP request has no entry:
// comment counts these, and _left_out says which they are; the JSON report has them.
//
// Fields that begin with _ are ours: _case, _label, _verdict, _outcome, _effects, _delivery,
// _attempt. Cookies are in the headers, masked, and not told a second time.
func HAR(w io.Writer, run Run) error {
	if err := WriteJSON(w, map[string]any{"log": archiveOf(run)}); err != nil {
		return fmt.Errorf("write the HAR: %w", err)
	}
	return nil
}

type archive struct {
	Version string           `json:"version"`
	Creator archiveCreator   `json:"creator"`
	Entries []archiveEntry   `json:"entries"`
	Comment string           `json:"comment"`
	LeftOut []archiveLeftOut `json:"_left_out,omitempty"`
}

type archiveCreator struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type archiveLeftOut struct {
	Case  string `json:"case"`
	Label string `json:"label"`
	Why   string `json:"why"`
}

type archiveEntry struct {
	Started  time.Time       `json:"startedDateTime"`
	Time     float64         `json:"time"`
	Request  archiveRequest  `json:"request"`
	Response archiveResponse `json:"response"`
	Cache    struct{}        `json:"cache"`
	Timings  archiveTimings  `json:"timings"`
	Server   string          `json:"serverIPAddress,omitempty"`
	Comment  string          `json:"comment,omitempty"`
	Case     string          `json:"_case"`
	Label    string          `json:"_label"`
	Verdict  Verdict         `json:"_verdict"`
	Outcome  string          `json:"_outcome"`
	Effects  *int            `json:"_effects,omitempty"`
	Delivery string          `json:"_delivery,omitempty"`
	Attempt  int             `json:"_attempt,omitempty"`
}

type archiveRequest struct {
	Method   string         `json:"method"`
	URL      string         `json:"url"`
	Version  string         `json:"httpVersion"`
	Cookies  []archivePair  `json:"cookies"`
	Headers  []archivePair  `json:"headers"`
	Query    []archivePair  `json:"queryString"`
	PostData *archivePosted `json:"postData,omitempty"`
	HeadSize int            `json:"headersSize"`
	BodySize int            `json:"bodySize"`
	Comment  string         `json:"comment,omitempty"`
}

type archivePair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type archivePosted struct {
	MimeType string `json:"mimeType"`
	Text     string `json:"text"`
	Encoding string `json:"encoding,omitempty"` // base64; of the standard in answers only, and read by many in requests
}

type archiveResponse struct {
	Status     int            `json:"status"`
	StatusText string         `json:"statusText"`
	Version    string         `json:"httpVersion"`
	Cookies    []archivePair  `json:"cookies"`
	Headers    []archivePair  `json:"headers"`
	Content    archiveContent `json:"content"`
	Redirect   string         `json:"redirectURL"`
	HeadSize   int            `json:"headersSize"`
	BodySize   int            `json:"bodySize"`
	Comment    string         `json:"comment,omitempty"`
	Error      string         `json:"_error,omitempty"`
}

type archiveContent struct {
	Size     int    `json:"size"`
	MimeType string `json:"mimeType"`
	Text     string `json:"text,omitempty"`
	Encoding string `json:"encoding,omitempty"`
}

type archiveTimings struct {
	Send    float64 `json:"send"`
	Wait    float64 `json:"wait"`
	Receive float64 `json:"receive"`
}

func archiveOf(run Run) archive {
	name, version, _ := strings.Cut(run.Tool, " ")
	a := archive{Version: "1.2", Creator: archiveCreator{name, version}, Entries: []archiveEntry{}}
	for _, r := range run.Results {
		for _, x := range r.Evidence {
			entry, why := run.archived(r, x)
			if why != "" {
				a.LeftOut = append(a.LeftOut, archiveLeftOut{r.ID, x.Label, why})
				continue
			}
			a.Entries = append(a.Entries, entry)
		}
	}
	a.Comment = fmt.Sprintf("evidence of a run that is %s: %s, of which %d are shown; secrets are taken out",
		run.State, plural(len(a.Entries)+len(a.LeftOut), "exchange"), len(a.Entries))
	if n := len(a.LeftOut); n > 0 {
		a.Comment += fmt.Sprintf("; %d have no entry, since they are no HTTP requests: see _left_out, and the JSON report", n)
	}
	return a
}

// archived is an exchange as an entry; why says why there is none.
func (r *Run) archived(result Result, x Exchange) (e archiveEntry, why string) {
	asked, answered := x.Sent, x.Received
	askedBytes, answeredBytes := x.SentBytes, x.ReceivedBytes
	if result.ofSender() {
		asked, answered = answered, asked
		askedBytes, answeredBytes = answeredBytes, askedBytes
	}
	request, why := archivedRequest(messageOf(asked, askedBytes), r.address(result, x))
	if why != "" {
		return e, why
	}
	wait := min(x.FirstByteMS, x.DurationMS)
	e = archiveEntry{
		Started: r.Started.Add(time.Duration(x.StartedMS * float64(time.Millisecond))), Time: x.DurationMS,
		Request: request, Response: archivedResponse(messageOf(answered, answeredBytes), x),
		Timings: archiveTimings{0, wait, math.Round((x.DurationMS-wait)*1000) / 1000}, Comment: strings.Join(append([]string{x.Label + ": " + x.Outcome}, x.Notes...), "; "),
		Case: result.ID, Label: x.Label, Verdict: result.Verdict, Outcome: x.Outcome, Effects: x.Effects, Delivery: x.Delivery, Attempt: x.Attempt,
	}
	if host, _, err := net.SplitHostPort(x.Remote); err == nil && net.ParseIP(host) != nil && !result.ofSender() {
		e.Server = host
	}
	return e, ""
}

// address is where the requests of an exchange went: a receiver's URL, or an endpoint of
// ours, whose name is in the request.
func (r *Run) address(result Result, x Exchange) *url.URL {
	if target, err := url.Parse(r.Subject.Target); err == nil && target.Host != "" && !result.ofSender() {
		return &url.URL{Scheme: target.Scheme, Host: target.Host}
	}
	if x.TLS != nil {
		return &url.URL{Scheme: "https", Host: unnamed}
	}
	return &url.URL{Scheme: "http", Host: unnamed}
}

// unnamed is the host of a request that names none.
const unnamed = "unnamed.invalid"

// --- what crossed the wire

// message is a head and a body, as far as the evidence has them.
type message struct {
	first   string        // line
	headers []archivePair // that are some
	broken  int           // lines that are no headers
	head    int           // bytes; -1 where it has no end
	body    []byte
	size    int // bytes of the body that crossed the wire
	more    string
	read    bool // whether the evidence could be read at all
}

// messageOf is what evidence shows, of which so many bytes crossed the wire.
func messageOf(printable string, crossed int64) message {
	more, size := "", 0
	if at := cutOff.FindStringIndex(printable); at != nil {
		more, size = "cut short in the evidence"+strings.TrimPrefix(printable[at[0]:], "…"), int(crossed)
		printable = printable[:at[0]]
	}
	raw, err := FromPrintable(printable)
	if err != nil {
		return message{}
	}
	m := parsed(raw, max(len(raw), size))
	m.more = more
	return m
}

func parsed(raw []byte, crossed int) message {
	m := message{read: true}
	head, body, whole := cutHead(raw)
	lines := strings.Split(strings.TrimSuffix(string(head), "\n"), "\n")
	m.first = strings.TrimSuffix(lines[0], "\r")
	for _, line := range lines[1:] {
		if line = strings.TrimSuffix(line, "\r"); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !fieldName.MatchString(name) {
			m.broken++
			continue
		}
		m.headers = append(m.headers, archivePair{name, fieldText(strings.Trim(value, " \t"))})
	}
	m.head = len(head)
	if !whole {
		m.head = -1
		return m
	}
	m.body, m.size = body, crossed-len(head)
	return m
}

// cutHead cuts a message behind its first empty line.
func cutHead(raw []byte) (head, body []byte, whole bool) {
	for at := 0; ; {
		i := bytes.IndexByte(raw[at:], '\n')
		if i < 0 {
			return raw, nil, false
		}
		if line := raw[at : at+i]; len(bytes.TrimSuffix(line, []byte("\r"))) == 0 && at > 0 {
			return raw[:at+i+1], raw[at+i+1:], true
		}
		at += i + 1
	}
}

var (
	fieldName   = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	requestLine = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^ \\x00-\\x1f\\x7f]+) (HTTP/[0-9]\\.[0-9])$")
	statusLine  = regexp.MustCompile(`^(HTTP/[0-9]\.[0-9]) ([0-9]{3})(?: (.*))?$`)
)

// fieldText is the value of a header: escaped where it has what no header can have, so
// that no reader takes it for two.
func fieldText(value string) string {
	if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f || c == utf8.RuneError }) {
		return Printable([]byte(value), len(value))
	}
	return value
}

// get is the only header of that name; false where there is none, or more than one.
func (m *message) get(name string) (string, bool) {
	found, n := "", 0
	for _, h := range m.headers {
		if strings.EqualFold(h.Name, name) {
			found, n = h.Value, n+1
		}
	}
	return found, n == 1
}

// content is the body with its framing undone, and how it is written in an archive.
func (m *message) content() (text, encoding string, size int, remarks []string) {
	body, size := m.body, m.size
	if coding, ok := m.get("Transfer-Encoding"); ok && strings.EqualFold(coding, "chunked") {
		if whole, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(body))); err == nil && m.more == "" {
			body, size = whole, len(whole)
		} else {
			remarks = append(remarks, "its body is not the chunks that it is said to be, and stands there as it came")
		}
	} else if length, ok := m.get("Content-Length"); ok {
		n, err := strconv.Atoi(length)
		switch {
		case err == nil && n >= 0 && n < m.size:
			remarks = append(remarks, fmt.Sprintf("%s follow what its Content-Length takes in", plural(m.size-n, "byte")))
		case err == nil && n > m.size:
			remarks = append(remarks, fmt.Sprintf("its Content-Length is %d, and %s came", n, plural(m.size, "byte")))
		}
	}
	if m.more != "" {
		remarks = append(remarks, m.more)
	}
	if m.broken > 0 {
		remarks = append(remarks, plural(m.broken, "line")+" of its head are no headers, and left out")
	}
	if !utf8.Valid(body) {
		return base64.StdEncoding.EncodeToString(body), "base64", size, remarks
	}
	return string(body), "", size, remarks
}

func archivedRequest(m message, at *url.URL) (r archiveRequest, why string) {
	line := requestLine.FindStringSubmatch(m.first)
	switch {
	case !m.read:
		return r, "its evidence cannot be read"
	case m.first == "":
		return r, "nothing was asked"
	case line == nil:
		return r, "its first line is no request line: " + Printable([]byte(m.first), 200)
	case m.head < 0:
		return r, "its head has no end"
	}
	text, encoding, size, remarks := m.content()
	r = archiveRequest{
		Method: line[1], Version: line[3], Cookies: []archivePair{}, Headers: m.headers, Query: []archivePair{}, HeadSize: m.head, BodySize: size,
	}
	if r.Headers == nil {
		r.Headers = []archivePair{}
	}
	where, ok := m.address(line[2], at)
	if !ok {
		remarks = append(remarks, "the target of the request is no path: "+Printable([]byte(line[2]), 200))
	}
	r.URL = where
	_, query, _ := strings.Cut(where, "?")
	for pair := range strings.SplitSeq(query, "&") {
		if name, value, _ := strings.Cut(pair, "="); name != "" {
			r.Query = append(r.Query, archivePair{unescaped(name), unescaped(value)})
		}
	}
	if size > 0 {
		kind, _ := m.get("Content-Type")
		r.PostData = &archivePosted{kind, text, encoding}
	}
	r.Comment = strings.Join(remarks, "; ")
	return r, ""
}

func unescaped(s string) string {
	text, err := url.QueryUnescape(s)
	if err != nil || !utf8.ValidString(text) {
		return s
	}
	return text
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9._-]+(:[0-9]+)?$|^\[[0-9A-Fa-f:.]+\](:[0-9]+)?$`)

// address is the URL of a request; false where its target does not say a path.
func (m *message) address(target string, at *url.URL) (string, bool) {
	where := *at
	if host, ok := m.get("Host"); ok && hostName.MatchString(host) && where.Host == unnamed {
		where.Host = host
	}
	u, err := url.Parse(target)
	switch {
	case err == nil && (u.Scheme == "http" || u.Scheme == "https") && hostName.MatchString(u.Host):
		return inURL(target), true
	case strings.HasPrefix(target, "/"):
		return where.String() + inURL(target), true
	}
	return where.String() + "/", false
}

// inURL escapes what no URL can hold, as the mask of a secret.
func inURL(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		escape := c == '%' && (i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]))
		if escape || c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>[\\]^`{|}#", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

func isHex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }

func archivedResponse(m message, x Exchange) archiveResponse {
	r := archiveResponse{Cookies: []archivePair{}, Headers: []archivePair{}, HeadSize: -1, BodySize: -1, Content: archiveContent{MimeType: "x-unknown"}}
	if m.read && m.head >= 0 {
		m = m.final()
	}
	line := statusLine.FindStringSubmatch(m.first)
	if line == nil || m.head < 0 {
		r.Error = strings.TrimSuffix(x.Outcome+": "+x.Detail, ": ")
		if m.first != "" {
			r.Comment = "what came is no answer of HTTP: " + Printable([]byte(m.first), 200)
		}
		return r
	}
	text, encoding, size, remarks := m.content()
	r.Status, _ = strconv.Atoi(line[2])
	r.Version, r.StatusText = line[1], fieldText(line[3])
	if m.headers != nil {
		r.Headers = m.headers
	}
	r.HeadSize, r.BodySize = m.head, m.size
	kind, _ := m.get("Content-Type")
	if _, _, err := mime.ParseMediaType(kind); err != nil {
		kind = "x-unknown"
	}
	r.Content = archiveContent{size, kind, text, encoding}
	if to, ok := m.get("Location"); ok {
		r.Redirect = to
	}
	r.Comment = strings.Join(remarks, "; ")
	return r
}

// final is the answer behind those that only say that one will come.
func (m message) final() message {
	line := statusLine.FindStringSubmatch(m.first)
	for line != nil && line[2][0] == '1' && line[2] != "101" && len(m.body) > 0 {
		more := m.more
		m = parsed(m.body, m.size)
		m.more = more
		line = statusLine.FindStringSubmatch(m.first)
	}
	return m
}
