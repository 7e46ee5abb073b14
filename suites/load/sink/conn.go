package sink

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
)

// fault is why a request is none.
type fault struct {
	kind   wire.Kind
	status int // 0 where there is nobody to answer
}

var (
	malformed = &fault{wire.BadRequest, 400}
	longHead  = &fault{wire.TooLarge, 431}
	longLine  = &fault{wire.TooLarge, 414}
	longBody  = &fault{wire.TooLarge, 413}
	version   = &fault{wire.Unfit, 505}
	coding    = &fault{wire.Unfit, 501}
	expects   = &fault{wire.Unfit, 417}
	noRoom    = &fault{wire.Crowded, 503}
	tooSlow   = &fault{wire.TooSlow, 408}
	cutShort  = &fault{wire.CutShort, 400}
	broken    = &fault{wire.CutShort, 0}
)

// conn is one connection. Offsets of the request under way count from r, since its bytes
// move when more are read.
type conn struct {
	s        *Sink
	c        net.Conn
	socket   net.Conn // c below TLS
	tally    *tally
	verifier *profile.Verifier
	raw      *profile.Raw
	buf      []byte
	r, w     int
	out      []byte // answers that have not been written
	body     []byte // of a chunked request
	url      []byte
	at       *endpoint // where the last delivery went
	claimed  int64
	reads    int

	readAt, readUntil, writeUntil time.Time
	req                           request
	last                          bool
}

// request is what is known of the request under way: offsets, and what its head says.
type request struct {
	head                 int // bytes of it
	method, target, path span
	host, sequence       []byte
	old                  bool // HTTP/1.0
	hosts, lengths       int
	codings              int
	length               int
	expected, chunked    bool
}

type span struct{ from, to int }

func (c *conn) of(x span) []byte { return c.buf[c.r+x.from : c.r+x.to] }

// serve answers the requests of a connection in order.
func (c *conn) serve() {
	defer c.s.release(c)
	if !c.shake() {
		return
	}
	for n := 0; c.await(n == 0); n++ {
		c.last = n+1 >= c.s.limits.Requests
		if f := c.one(); f != nil {
			c.refuse(f)
			return
		}
		if c.last {
			if c.flush() {
				c.part()
			}
			return
		}
	}
}

// shake does the TLS handshake, where TLS is spoken.
func (c *conn) shake() bool {
	secure, ok := c.c.(*tls.Conn)
	if !ok {
		return true
	}
	secure.SetDeadline(time.Now().Add(c.s.limits.FirstByte))
	err := secure.Handshake()
	if err == nil {
		secure.SetWriteDeadline(time.Time{})
		return true
	}
	c.c = c.socket
	kind := whyNoTLS(err)
	c.s.broke(c, kind)
	c.s.samples.take(c, string(kind), err.Error(), 0, [2][]byte{})
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.Conn != nil && isWord(record.RecordHeader[:3]) { // plain HTTP: say so
		c.buf = make([]byte, 512)
		c.out = append(c.out, plainAnswer(400)...)
		c.flush()
		c.part()
	}
	return false
}

// What is the matter with a client certificate where one is demanded.
const (
	NoCertificate      wire.Kind = reports.NoCertificate
	StrangeCertificate wire.Kind = reports.StrangeCertificate
)

// whyNoTLS tells a client that is refused for its certificate from other handshakes that
// fail. That there is none crypto/tls says in words alone.
func whyNoTLS(err error) wire.Kind {
	switch {
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return StrangeCertificate
	case strings.Contains(err.Error(), "client didn't provide a certificate"):
		return NoCertificate
	}
	return wire.NoTLS
}

func isWord(b []byte) bool {
	for _, x := range b {
		if !isToken[x] {
			return false
		}
	}
	return true
}

// await waits for the first byte of a request.
func (c *conn) await(first bool) bool {
	if c.r < c.w {
		return true
	}
	c.r, c.w = 0, 0
	limit := c.s.limits.Idle
	if first {
		limit = c.s.limits.FirstByte
		c.readAt = time.Now()
	}
	// A deadline is moved only when half of it has gone by: that is a lock and a timer.
	if left := c.readUntil.Sub(c.readAt); left < limit/2 || left > limit {
		c.until(c.readAt.Add(limit))
	}
	err := c.read()
	if err != nil && first {
		c.s.broke(c, wire.Silent)
	}
	return err == nil
}

func (c *conn) until(t time.Time) {
	c.readUntil = t
	c.c.SetReadDeadline(t)
}

// read reads what there is, once what has been answered is on its way.
func (c *conn) read() error {
	if !c.flush() {
		return io.ErrClosedPipe
	}
	if c.w == len(c.buf) {
		if !c.makeRoom() {
			return errNoRoom
		}
	}
	n, err := c.c.Read(c.buf[c.w:])
	c.w += n
	c.reads++
	c.readAt = time.Now()
	if n > 0 {
		return nil
	}
	return err
}

var errNoRoom = errors.New("no room for a body")

const firstBuffer = 8 << 10

func (c *conn) makeRoom() bool {
	if c.r > 0 {
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
		return true
	}
	more := max(len(c.buf), firstBuffer)
	if len(c.buf) > 0 && !c.s.claim(c, int64(more)) {
		return false
	}
	c.buf = append(c.buf, make([]byte, more)...)
	return true
}

// more reads more of the request under way.
func (c *conn) more(by time.Time, first bool) *fault {
	if first {
		c.until(by)
	}
	err := c.read()
	var timeout net.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNoRoom):
		return noRoom
	case errors.As(err, &timeout) && timeout.Timeout():
		return tooSlow
	case errors.Is(err, io.EOF):
		return cutShort
	}
	return broken
}

// one reads and answers one request.
func (c *conn) one() *fault {
	began := c.readAt
	c.req = request{}
	c.raw.Reset()
	head, f := c.head(began)
	if f != nil {
		return f
	}
	if f := c.fields(head); f != nil {
		return f
	}
	c.req.head = head
	read, body := c.reads, span{head, head + c.req.length}
	end := body.to
	switch {
	case c.req.length > c.s.limits.Body:
		return longBody
	case c.req.chunked:
		c.body = c.body[:0]
		if end, f = c.chunks(head); f != nil {
			return f
		}
	default:
		if f := c.await100(head, end); f != nil {
			return f
		}
	}
	// The header values lie in the buffer, which may have moved.
	if c.reads != read {
		c.raw.Reset()
		c.req = request{}
		if _, f := c.head(began); f != nil {
			return f
		}
		if f := c.fields(head); f != nil {
			return f
		}
		c.req.head = head
	}
	c.raw.Method, c.raw.Body = c.of(c.req.method), c.body
	if !c.req.chunked {
		c.raw.Body = c.of(body)
	}
	f = c.handle()
	c.r += end
	if c.r == c.w && len(c.buf) > 32*firstBuffer {
		c.buf, c.r, c.w = make([]byte, firstBuffer), 0, 0
		c.s.unclaim(c)
	}
	if cap(c.body) > 32*firstBuffer {
		c.body = nil
		c.s.unclaim(c)
	}
	return f
}

// await100 reads a body of a known length.
func (c *conn) await100(head, end int) *fault {
	if c.w-c.r >= end {
		return nil
	}
	if f := c.goOn(head); f != nil {
		return f
	}
	by := c.readAt.Add(c.s.limits.BodyTime)
	for first := true; c.w-c.r < end; first = false {
		if f := c.more(by, first); f != nil {
			return f
		}
	}
	return nil
}

// goOn answers a peer that waits to be told so.
func (c *conn) goOn(head int) *fault {
	if c.req.expected && c.w-c.r == head {
		c.out = append(c.out, "HTTP/1.1 100 Continue\r\n\r\n"...)
		if !c.flush() {
			return broken
		}
	}
	return nil
}

// head finds the end of the head and parses the request line.
func (c *conn) head(began time.Time) (length int, f *fault) {
	limits := &c.s.limits
	by, waited := began.Add(limits.HeadTime), false
	if b := c.buf[c.r]; b != '\r' && b != '\n' && !isToken[b] {
		return 0, malformed
	}
	line, scan, lines, skipped := 0, 0, 0, false
	for {
		i := bytes.IndexByte(c.buf[c.r+scan:c.w], '\n')
		end := c.w - c.r
		if i >= 0 {
			end = scan + i + 1
		}
		switch {
		case lines == 0 && end > limits.Line:
			return 0, longLine
		case end-line > limits.Line, end > limits.Head, lines > limits.Fields:
			return 0, longHead
		case i < 0:
			scan = end
			if f := c.more(by, !waited); f != nil {
				return 0, f
			}
			waited = true
			continue
		}
		text := c.buf[c.r+line : c.r+end]
		switch {
		case len(text) < 2 || text[len(text)-2] != '\r':
			return 0, malformed
		case len(text) == 2 && lines > 0:
			return end, nil
		case len(text) == 2 && skipped:
			return 0, malformed
		case len(text) == 2: // one empty line may stand before a request: RFC 9112 section 2.2
			skipped = true
			c.r += 2
			line, scan = 0, 0
			continue
		case lines == 0:
			if f := c.requestLine(text[:len(text)-2]); f != nil {
				return 0, f
			}
		}
		lines++
		line, scan = end, end
	}
}

// requestLine parses "POST /hook HTTP/1.1".
func (c *conn) requestLine(line []byte) *fault {
	one := bytes.IndexByte(line, ' ')
	two := bytes.LastIndexByte(line, ' ')
	if one < 1 || two <= one+1 {
		return malformed
	}
	if !isWord(line[:one]) {
		return malformed
	}
	target, proto := line[one+1:two], line[two+1:]
	for _, b := range target {
		if b <= ' ' || b >= 0x7f || b == '#' {
			return malformed
		}
	}
	switch {
	case string(proto) == "HTTP/1.1":
	case string(proto) == "HTTP/1.0":
		c.req.old, c.last = true, true
	case len(proto) == 8 && string(proto[:5]) == "HTTP/" && isDigit(proto[5]) && proto[6] == '.' && isDigit(proto[7]) && string(line[:one]) != "PRI":
		return version
	default:
		return malformed
	}
	c.req.method, c.req.target = span{0, one}, span{one + 1, two}
	path := target
	if i := bytes.Index(target, []byte("://")); i > 0 && target[0] != '/' {
		if !bytes.EqualFold(target[:i], []byte("http")) && !bytes.EqualFold(target[:i], []byte("https")) {
			return malformed
		}
		authority := target[i+3:]
		if n := bytes.IndexAny(authority, "/?"); n >= 0 {
			authority = authority[:n]
		}
		if len(authority) == 0 || !isHost(authority) {
			return malformed
		}
		path = target[i+3+len(authority):]
	} else if target[0] != '/' && !(string(target) == "*" && string(line[:one]) == "OPTIONS") {
		return malformed
	}
	from := two - len(path)
	if n := bytes.IndexByte(path, '?'); n >= 0 {
		path = path[:n]
	}
	c.req.path = span{from, from + len(path)}
	return nil
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func isHost(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || bytes.IndexByte([]byte("\"#/<>?@\\^{|}`"), c) >= 0 {
			return false
		}
	}
	return true
}

// isToken are the bytes of a token, isControl those that no field value may hold.
var isToken, isControl = func() (token, control [256]bool) {
	for c := range 256 {
		b := byte(c)
		token[c] = '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'z' && b < 0x80 || bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), b) >= 0
		control[c] = b < ' ' && b != '\t' || b == 0x7f
	}
	return token, control
}()

// fields parses the header section: RFC 9112 sections 5 and 6.
func (c *conn) fields(head int) *fault {
	text := c.buf[c.r : c.r+head-2]
	text = text[bytes.IndexByte(text, '\n')+1:]
	for len(text) > 0 {
		end := bytes.IndexByte(text, '\n')
		name, value, ok := field(text[:end-1])
		if !ok {
			return malformed
		}
		if f := c.field(name, value); f != nil {
			return f
		}
		c.verifier.Note(c.raw, name, value)
		text = text[end+1:]
	}
	r := &c.req
	switch {
	case r.hosts > 1 || r.hosts == 0 && !r.old || !isHost(r.host):
		return malformed
	case r.codings > 0 && (r.lengths > 0 || r.old || r.codings > 1), r.lengths > 1:
		return malformed
	case r.codings == 1 && !r.chunked:
		return coding
	}
	return nil
}

// field cuts one header line.
func field(line []byte) (name, value []byte, ok bool) {
	colon := bytes.IndexByte(line, ':')
	if colon < 1 {
		return nil, nil, false
	}
	if !isWord(line[:colon]) {
		return nil, nil, false
	}
	value = line[colon+1:]
	for _, b := range value {
		if isControl[b] {
			return nil, nil, false
		}
	}
	return line[:colon], bytes.Trim(value, " \t"), true
}

// field notes what the framing goes by.
func (c *conn) field(name, value []byte) *fault {
	r := &c.req
	switch {
	case len(name) == 4 && bytes.EqualFold(name, []byte("Host")):
		r.hosts++
		r.host = value
	case len(name) == 14 && bytes.EqualFold(name, []byte("Content-Length")):
		r.lengths++
		if len(value) == 0 {
			return malformed
		}
		r.length = 0
		for _, b := range value {
			if !isDigit(b) || r.length > 1<<58 {
				return malformed
			}
			r.length = r.length*10 + int(b-'0')
		}
	case len(name) == 17 && bytes.EqualFold(name, []byte("Transfer-Encoding")):
		r.codings++
		r.chunked = bytes.EqualFold(value, []byte("chunked"))
	case len(name) == 6 && bytes.EqualFold(name, []byte("Expect")) && !r.old:
		if !bytes.EqualFold(value, []byte("100-continue")) {
			return expects
		}
		r.expected = true
	case len(name) == 10 && bytes.EqualFold(name, []byte("Connection")):
		for rest, more := value, true; more; {
			var word []byte
			word, rest, more = bytes.Cut(rest, []byte{','})
			if bytes.EqualFold(bytes.Trim(word, " \t"), []byte("close")) {
				c.last = true
			}
		}
	case c.s.sequenceHeader != nil && bytes.EqualFold(name, c.s.sequenceHeader):
		r.sequence = value
	}
	return nil
}

// Bounds of the framing of chunks, as those of wire.Server.
const (
	chunkLine = 4 << 10
	chunkSlop = 64 << 10
)

// chunks decodes a chunked body, strictly: RFC 9112 section 7.1. It returns where the
// request ends.
func (c *conn) chunks(head int) (end int, f *fault) {
	if f := c.goOn(head); f != nil {
		return 0, f
	}
	d := chunkReader{conn: c, head: head, at: head, by: c.readAt.Add(c.s.limits.BodyTime), first: true}
	extensions := 0
	for {
		line, f := d.line(chunkLine)
		if f != nil {
			return 0, f
		}
		size, extension, ok := chunkSize(line)
		extensions += extension
		switch {
		case !ok || extensions > chunkSlop+16*len(c.body):
			return 0, malformed
		case size == 0:
			return d.trailer()
		case size > c.s.limits.Body-len(c.body):
			// What of it is announced beyond the limit need not come.
			return 0, longBody
		}
		if f := d.data(size); f != nil {
			return 0, f
		}
		if line, f = d.line(2); f != nil {
			return 0, f
		}
		if len(line) > 0 {
			return 0, malformed
		}
	}
}

type chunkReader struct {
	*conn
	head, at int
	by       time.Time
	first    bool
}

// fill reads more, in the place of what has been decoded.
func (d *chunkReader) fill() *fault {
	if d.at > d.head {
		n := copy(d.buf[d.r+d.head:], d.buf[d.r+d.at:d.w])
		d.w = d.r + d.head + n
		d.at = d.head
	}
	f := d.more(d.by, d.first)
	d.first = false
	return f
}

// line takes a line, without its CRLF.
func (d *chunkReader) line(limit int) ([]byte, *fault) {
	for {
		text := d.buf[d.r+d.at : d.w]
		i := bytes.IndexByte(text, '\n')
		if i < 0 && len(text) < limit {
			if f := d.fill(); f != nil {
				return nil, f
			}
			continue
		}
		if i < 1 || i >= limit || text[i-1] != '\r' {
			return nil, malformed
		}
		d.at += i + 1
		return text[:i-1], nil
	}
}

func (d *chunkReader) data(size int) *fault {
	for size > 0 {
		n := min(size, d.w-d.r-d.at)
		if n == 0 {
			if f := d.fill(); f != nil {
				return f
			}
			continue
		}
		if len(d.body)+n > cap(d.body) && cap(d.body) > 0 && !d.s.claim(d.conn, int64(cap(d.body))) {
			return noRoom
		}
		d.body = append(d.body, d.buf[d.r+d.at:d.r+d.at+n]...)
		d.at += n
		size -= n
	}
	return nil
}

// trailer checks the trailer section and drops it.
func (d *chunkReader) trailer() (end int, f *fault) {
	for length := 0; ; {
		line, f := d.line(d.s.limits.Line)
		if f != nil {
			return 0, f
		}
		if length += len(line) + 2; length > d.s.limits.Head {
			return 0, malformed
		}
		if len(line) == 0 {
			return d.at, nil
		}
		if _, _, ok := field(line); !ok {
			return 0, malformed
		}
	}
}

// chunkSize parses the line that opens a chunk.
func chunkSize(line []byte) (size, extension int, ok bool) {
	digits := 0
	for ; digits < len(line); digits++ {
		d := bytes.IndexByte([]byte("0123456789abcdef"), line[digits]|0x20)
		if d < 0 || line[digits] < '0' {
			break
		}
		if size > 1<<48 {
			return 0, 0, false
		}
		size = size<<4 | d
	}
	rest := line[digits:]
	for _, b := range rest {
		if isControl[b] {
			return 0, 0, false
		}
	}
	opens := bytes.Trim(rest, " \t")
	return size, len(rest), digits > 0 && (len(rest) == 0 || len(opens) > 0 && opens[0] == ';')
}

// flush writes what has been answered.
func (c *conn) flush() bool {
	if len(c.out) == 0 {
		return true
	}
	if c.writeUntil.Sub(c.readAt) < c.s.limits.WriteTime {
		c.writeUntil = time.Now().Add(2 * c.s.limits.WriteTime)
		c.c.SetWriteDeadline(c.writeUntil)
	}
	_, err := c.c.Write(c.out)
	c.out = c.out[:0]
	if err != nil {
		c.s.broke(c, wire.Unanswered)
	}
	return err == nil
}

// refuse answers what is no request, and ends the connection.
func (c *conn) refuse(f *fault) {
	if f == reset {
		c.reset()
		return
	}
	c.s.broke(c, f.kind)
	if f.status == 0 {
		return
	}
	c.out = append(c.out, plainAnswer(f.status)...)
	c.flush()
	c.part()
}

const (
	partTime  = 500 * time.Millisecond
	partBytes = 8 << 20
)

// part ends a connection so that the answer survives: bytes that are still unread at the
// close would have the kernel send a reset, which can overtake the answer.
func (c *conn) part() {
	half, ok := c.c.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.c.SetReadDeadline(time.Now().Add(partTime))
	for left := partBytes; left > 0; {
		n, err := c.c.Read(c.buf)
		if err != nil {
			return
		}
		left -= n
	}
}

func (c *conn) reset() {
	if tcp, ok := c.socket.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.socket.Close()
}
