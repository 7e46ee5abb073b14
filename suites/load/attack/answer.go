package attack

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// The bounds of an answer.
const (
	maxHead  = 64 << 10 // bytes of its head, or of what follows its last chunk
	maxKept  = 1 << 20  // bytes of its body that are looked at
	maxDrain = 8 << 20  // bytes of its body that are read
	maxEarly = 8        // answers of 1xx before it
)

// answer is what a hit was answered. Status is 0 where the answer is not complete.
type answer struct {
	status   int
	received int64  // bytes of it
	body     []byte // what was kept of it, until the next answer is read
	last     bool   // nothing more can be sent on this connection
}

// errBadAnswer is an answer that is no HTTP.
var errBadAnswer = errors.New("the answer is no HTTP")

func bad(what string) error { return &badAnswer{what} }

type badAnswer struct{ what string }

func (b *badAnswer) Error() string { return "the answer is no HTTP: " + b.what }
func (b *badAnswer) Unwrap() error { return errBadAnswer }

// The ways in which an answer is bad are made beforehand, so that a storm of them
// costs nothing.
var (
	errHeadLong   = bad("its head is larger than 64 KiB")
	errStatusLine = bad("it does not begin with a line such as HTTP/1.1 200 OK")
	errField      = bad("a header line has no name, or none that can be read")
	errFold       = bad("a header line that says how long it is goes on in the next line")
	errLength     = bad("its Content-Length is no number, or two different ones")
	errCoding     = bad("its Transfer-Encoding is not chunked, or stands beside a Content-Length")
	errChunk      = bad("a chunk does not begin with its length, or does not end where it says")
	errSwitched   = bad("it switches to another protocol, which nobody asked for")
	errInterim    = bad("more than 8 interim answers (1xx) come before it")
)

// reader reads answers from a connection.
type reader struct {
	src      io.Reader
	buf      []byte
	from, to int // what of buf was read and not yet used
	total    int64
	keep     bool // whether bodies are looked at
	kept     []byte
}

func (r *reader) reset(src io.Reader) {
	r.src, r.from, r.to = src, 0, 0
	if r.buf == nil {
		r.buf = make([]byte, 4<<10)
	}
}

// fill reads more. What was not used moves to the front, and the buffer grows where
// it is full.
func (r *reader) fill() error {
	if r.from > 0 {
		r.to = copy(r.buf, r.buf[r.from:r.to])
		r.from = 0
	}
	if r.to == len(r.buf) {
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	n, err := r.src.Read(r.buf[r.to:])
	r.to += n
	r.total += int64(n)
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// line is the next line without its end. It is good until the next call.
func (r *reader) line(room *int) ([]byte, error) {
	seen := 0
	for {
		if i := bytes.IndexByte(r.buf[r.from+seen:r.to], '\n'); i >= 0 {
			l := r.buf[r.from : r.from+seen+i]
			r.from += seen + i + 1
			if *room -= len(l) + 1; *room < 0 {
				return nil, errHeadLong
			}
			return bytes.TrimSuffix(l, []byte{'\r'}), nil
		}
		if seen = r.to - r.from; seen > *room {
			return nil, errHeadLong
		}
		if err := r.fill(); err != nil {
			return nil, ended(err)
		}
	}
}

// ended is the end of a connection where more was due.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// read reads one final answer.
func (r *reader) read() (answer, error) {
	r.total, r.kept = int64(r.to-r.from), r.kept[:0]
	for range maxEarly + 1 {
		h, err := r.head()
		switch {
		case err != nil:
			return answer{received: r.total}, err
		case h.status == 101:
			return answer{received: r.total}, errSwitched
		case h.status < 200:
			continue
		}
		last, err := r.body(h)
		if err != nil {
			return answer{received: r.total}, err
		}
		return answer{status: h.status, received: r.total, body: r.kept, last: last || r.from < r.to}, nil
	}
	return answer{received: r.total}, errInterim
}

// head is what the head of an answer says.
type head struct {
	status  int
	length  int64 // -1 where it is not said
	chunked bool
	old     bool // HTTP/1.0
	close   bool
	keep    bool
}

func (r *reader) head() (head, error) {
	room := maxHead
	h := head{length: -1}
	// What is no HTTP may never send the end of a line.
	for n := 1; n <= len("HTTP/1."); n++ {
		for r.to-r.from < n {
			if err := r.fill(); err != nil {
				return h, ended(err)
			}
		}
		if r.buf[r.from+n-1] != "HTTP/1."[n-1] {
			return h, errStatusLine
		}
	}
	l, err := r.line(&room)
	if err != nil {
		return h, err
	}
	if err := h.statusLine(l); err != nil {
		return h, err
	}
	framing := false
	for {
		l, err := r.line(&room)
		if err != nil || len(l) == 0 {
			return h, err
		}
		if l[0] == ' ' || l[0] == '\t' {
			if framing {
				return h, errFold
			}
			continue
		}
		if framing, err = h.field(l); err != nil {
			return h, err
		}
	}
}

// statusLine reads "HTTP/1.1 200 OK".
func (h *head) statusLine(l []byte) error {
	if len(l) < len("HTTP/1.1 200") || l[7] != '0' && l[7] != '1' || l[8] != ' ' || len(l) > 12 && l[12] != ' ' {
		return errStatusLine
	}
	for _, digit := range l[9:12] {
		if digit < '0' || digit > '9' {
			return errStatusLine
		}
		h.status = h.status*10 + int(digit-'0')
	}
	if h.status < 100 || h.status > 599 {
		return errStatusLine
	}
	h.old = l[7] == '0'
	return nil
}

// field reads a header line, and tells whether it says how long the answer is.
func (h *head) field(l []byte) (framing bool, err error) {
	colon := bytes.IndexByte(l, ':')
	if colon < 1 || !isToken(l[:colon]) {
		return false, errField
	}
	name, value := l[:colon], trim(l[colon+1:])
	switch {
	case is(name, "content-length"):
		return true, h.contentLength(value)
	case is(name, "transfer-encoding"):
		if h.chunked || h.old || h.length >= 0 || !is(value, "chunked") {
			return true, errCoding
		}
		h.chunked = true
		return true, nil
	case is(name, "connection"):
		for len(value) > 0 {
			var token []byte
			token, value, _ = bytes.Cut(value, []byte{','})
			token = trim(token)
			h.close = h.close || is(token, "close")
			h.keep = h.keep || is(token, "keep-alive")
		}
	}
	return false, nil
}

// contentLength reads a length, which may be repeated.
func (h *head) contentLength(value []byte) error {
	if h.chunked {
		return errCoding
	}
	for more := true; more; {
		var text []byte
		text, value, more = bytes.Cut(value, []byte{','})
		n, ok := number(trim(text), 10)
		if !ok || h.length >= 0 && h.length != n {
			return errLength
		}
		h.length = n
	}
	return nil
}

// number reads a number without a sign.
func number(text []byte, base int64) (int64, bool) {
	if len(text) == 0 || len(text) > 15 {
		return 0, false
	}
	var n int64
	for _, c := range text {
		digit := int64(99)
		switch {
		case '0' <= c && c <= '9':
			digit = int64(c - '0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			digit = int64(c|0x20-'a') + 10
		}
		if digit >= base {
			return 0, false
		}
		n = n*base + digit
	}
	return n, true
}

// body reads the body and tells whether the connection is over behind it.
func (r *reader) body(h head) (last bool, err error) {
	last = h.close || h.old && !h.keep
	switch {
	case h.status == 204 || h.status == 304:
		return last, nil
	case h.chunked:
		whole, err := r.chunks()
		return last || !whole, err
	case h.length >= 0:
		n := min(h.length, maxDrain)
		return last || n < h.length, r.take(n)
	}
	return true, r.takeAll()
}

// take uses n bytes of the body.
func (r *reader) take(n int64) error {
	for {
		some := int(min(n, int64(r.to-r.from)))
		if r.keep && len(r.kept) < maxKept {
			r.kept = append(r.kept, r.buf[r.from:r.from+min(some, maxKept-len(r.kept))]...)
		}
		r.from += some
		if n -= int64(some); n == 0 {
			return nil
		}
		if err := r.fill(); err != nil {
			return ended(err)
		}
	}
}

// takeAll uses everything until the connection ends.
func (r *reader) takeAll() error {
	for n := 0; n < maxDrain; {
		some := r.to - r.from
		if err := r.take(int64(some)); err != nil {
			return err
		}
		n += some
		if err := r.fill(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
	return nil
}

// chunks reads a chunked body, and tells whether it was read to its end.
func (r *reader) chunks() (whole bool, err error) {
	var total int64
	for {
		room := 4 << 10
		l, err := r.line(&room)
		if err != nil {
			return false, tooLong(err)
		}
		text, _, _ := bytes.Cut(l, []byte{';'})
		n, ok := number(bytes.TrimRight(text, " \t"), 16)
		if !ok {
			return false, errChunk
		}
		if n == 0 {
			return true, r.trailer()
		}
		if total += n; total > maxDrain {
			return false, r.take(n - (total - maxDrain))
		}
		if err := r.take(n); err != nil {
			return false, err
		}
		room = 2
		if l, err = r.line(&room); err != nil {
			return false, tooLong(err)
		} else if len(l) > 0 {
			return false, errChunk
		}
	}
}

func tooLong(err error) error {
	if errors.Is(err, errHeadLong) {
		return errChunk
	}
	return err
}

// trailer reads the fields behind the last chunk.
func (r *reader) trailer() error {
	for room := maxHead; ; {
		l, err := r.line(&room)
		if err != nil || len(l) == 0 {
			return err
		}
	}
}

// is compares without regard to case. Name is in lower case.
func is(text []byte, name string) bool {
	if len(text) != len(name) {
		return false
	}
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

// trim takes off blanks and tabs, in less time than bytes.Trim, which makes a set of
// them first.
func trim(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t') {
		text = text[1:]
	}
	for n := len(text); n > 0 && (text[n-1] == ' ' || text[n-1] == '\t'); n-- {
		text = text[:n-1]
	}
	return text
}

func isToken(text []byte) bool {
	for _, c := range text {
		if !tokenBytes[c] {
			return false
		}
	}
	return true
}

// tokenBytes are the bytes that a name may consist of.
var tokenBytes = func() (all [256]bool) {
	for c := byte('!'); c < 0x7f; c++ {
		all[c] = !strings.ContainsRune("(),/:;<=>?@[\\]{}\"", rune(c))
	}
	return all
}()
