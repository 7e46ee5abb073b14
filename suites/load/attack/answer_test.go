package attack

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// read reads one answer out of bytes that come in pieces.
func readAnswer(src io.Reader) (answer, error) {
	r := reader{keep: true}
	r.reset(src)
	return r.read()
}

// Whatever is well formed is read as net/http reads it, however it is cut into pieces.
func TestAnswersAsNetHTTPReadsThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOfN(rapid.Byte(), 0, 20_000).Draw(t, "body")
		status := rapid.SampledFrom([]int{200, 201, 204, 304, 400, 404, 500, 599}).Draw(t, "status")
		var b bytes.Buffer
		for range rapid.IntRange(0, 3).Draw(t, "interim") {
			b.WriteString("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
		}
		fmt.Fprintf(&b, "HTTP/1.%d %03d%s\r\n", 1, status, rapid.SampledFrom([]string{" OK", " ", "", " Not  quite: so"}).Draw(t, "reason"))
		for range rapid.IntRange(0, 3).Draw(t, "fields") {
			b.WriteString(rapid.SampledFrom([]string{"Date: Sat, 28 Nov 2026 10:00:00 GMT", "X-Odd!#$:", "connection: keep-alive", "Server:   a b  "}).Draw(t, "field") + "\r\n")
		}
		form := rapid.SampledFrom([]string{"length", "chunked", "end"}).Draw(t, "form")
		bodiless := status == 204 || status == 304
		switch {
		case bodiless:
			b.WriteString("\r\n")
		case form == "length":
			fmt.Fprintf(&b, "content-Length:%d \r\n\r\n", len(body))
			b.Write(body)
		case form == "chunked":
			b.WriteString("Transfer-Encoding: Chunked\r\n\r\n")
			for rest := body; len(rest) > 0; {
				n := rapid.IntRange(1, len(rest)).Draw(t, "chunk")
				fmt.Fprintf(&b, "%X%s\r\n", n, rapid.SampledFrom([]string{"", ";a=b", " "}).Draw(t, "extension"))
				b.Write(rest[:n])
				b.WriteString("\r\n")
				rest = rest[n:]
			}
			b.WriteString("0\r\n" + rapid.SampledFrom([]string{"", "X-Trailer: 1\r\n"}).Draw(t, "trailer") + "\r\n")
		default:
			b.WriteString("Connection: close\r\n\r\n")
			b.Write(body)
		}
		whole := b.Bytes()
		src := bufio.NewReader(bytes.NewReader(whole))
		var res *http.Response
		var err error
		for res == nil || res.StatusCode < 200 {
			if res, err = http.ReadResponse(src, nil); err != nil {
				t.Fatal(err)
			}
		}
		want, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		in := io.Reader(bytes.NewReader(whole))
		if rapid.Bool().Draw(t, "in pieces") {
			in = iotest.HalfReader(in)
		}
		got, err := readAnswer(in)
		if err != nil || got.status != res.StatusCode || !bytes.Equal(got.body, want) {
			t.Fatalf("read %d and %d bytes, %v; net/http reads %d and %d bytes", got.status, len(got.body), err, res.StatusCode, len(want))
		}
		if int(got.received) != len(whole) {
			t.Fatalf("%d of %d bytes were counted", got.received, len(whole))
		}
		if got.last != res.Close {
			t.Fatalf("the connection is over: %t; net/http says %t", got.last, res.Close)
		}
	})
}

// FuzzAnswer: whatever a peer answers is read, or is no answer, within bounds.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.0 200\n\nrest", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nok\r\n0\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n1HTTP/1.1",
		"HTTP/2 200\r\n\r\n", "\x15\x03\x01\x00\x02\x02\x28", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\n folded\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 12),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := readAnswer(bytes.NewReader(b))
		again, err2 := readAnswer(iotest.OneByteReader(bytes.NewReader(b)))
		if (err == nil) != (err2 == nil) || got.status != again.status || !bytes.Equal(got.body, again.body) {
			t.Fatalf("%d, %v at once, and %d, %v byte by byte", got.status, err, again.status, err2)
		}
		if err != nil {
			if got.status != 0 || !errors.Is(err, errBadAnswer) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%d: %v", got.status, err)
			}
			return
		}
		if got.status < 200 || got.status > 599 || len(got.body) > maxKept {
			t.Fatalf("read %d with %d bytes", got.status, len(got.body))
		}
		// What net/http reads too, it reads in the same way.
		src := bufio.NewReader(bytes.NewReader(b))
		res, err := http.ReadResponse(src, nil)
		for err == nil && res.StatusCode < 200 {
			res, err = http.ReadResponse(src, nil)
		}
		if err != nil {
			return
		}
		want, err := io.ReadAll(res.Body)
		if err == nil && (res.StatusCode != got.status || !bytes.Equal(want, got.body)) {
			t.Fatalf("read %d with %q, net/http %d with %q", got.status, got.body, res.StatusCode, want)
		}
	})
}

// A body without end is read up to a bound, and the connection is not used again.
func TestLongBodies(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("HTTP/1.1 200 OK\r\n\r\n"), zeroes{})
	for _, src := range []io.Reader{
		endless,
		io.MultiReader(strings.NewReader("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"), zeroes{}),
		io.MultiReader(strings.NewReader("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n"), zeroes{}),
	} {
		got, err := readAnswer(src)
		if err != nil || got.status != 200 || !got.last || len(got.body) != maxKept || got.received > 2*maxDrain {
			t.Errorf("%d, %v, %d bytes kept of %d", got.status, err, len(got.body), got.received)
		}
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { return len(p), nil }
