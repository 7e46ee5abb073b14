//go:build unix

package attack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/wire"
)

// narrow is a client whose connection takes a few KiB at once, and the peer's end.
func narrow(t *testing.T) (*lean, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := &lean{ctx: context.Background(), dials: new(atomic.Int64), open: new(atomic.Int64), wary: new(atomic.Bool)}
	c.endpoint = wire.Endpoint{Address: l.Addr().(*net.TCPAddr).AddrPort()}
	if err := c.dial(time.Second); err != nil {
		t.Fatal(err)
	}
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.close(); peer.Close() })
	if err := errors.Join(c.raw.SetWriteBuffer(4<<10), peer.(*net.TCPConn).SetReadBuffer(4<<10)); err != nil {
		t.Fatal(err)
	}
	return c, peer
}

// A request that the connection does not take at once is written as a whole, and one
// that it never takes ends in time.
func TestRequestInParts(t *testing.T) {
	request := bytes.Repeat([]byte("0123456789abcdef"), (large-16)/16)
	c, peer := narrow(t)
	got := make(chan []byte)
	go func() {
		defer close(got)
		for range 3 {
			b := make([]byte, len(request))
			if _, err := io.ReadFull(peer, b); err != nil {
				return
			}
			got <- b
			_, _ = io.WriteString(peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	}()
	parts := false
	for range 3 {
		done := make(chan error, 1)
		go func() {
			_, written, err := c.do(request, 0, false, time.Now().Add(10*time.Second))
			if err == nil && !written {
				err = errors.New("nothing is said to be written")
			}
			done <- err
		}()
		if b := <-got; !bytes.Equal(b, request) {
			t.Error("something else arrived than was sent")
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		parts = parts || c.socket.n < len(request)
	}
	if !parts {
		t.Error("every request was taken at once: this test tests nothing")
	}

	c, _ = narrow(t)
	begun := time.Now()
	_, written, err := c.do(request, 0, false, begun.Add(200*time.Millisecond))
	if !errors.Is(err, os.ErrDeadlineExceeded) || !written || time.Since(begun) < 200*time.Millisecond || !strings.HasPrefix(err.Error(), "write tcp 127.0.0.1:") {
		t.Errorf("a peer that reads nothing: %v, written %t after %s", err, written, time.Since(begun))
	}
}

// What the read of an answer says of the time behind it: nothing, or that the peer has left.
// Where the system does not say, that is not taken for nothing.
func TestWhatIsLeftBehindAnAnswer(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	c, peer := narrow(t)
	answer := func(text string, leaves bool) int {
		t.Helper()
		if _, err := io.WriteString(peer, text); err != nil {
			t.Fatal(err)
		}
		if leaves {
			peer.Close()
		}
		if err := c.raw.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if a, err := c.in.read(); err != nil || a.status != 200 {
			t.Fatalf("%+v, %v", a, err)
		}
		return c.socket.unread()
	}
	c.soon = true
	for range 2 {
		if left := answer(ok, false); left != 0 && left != unknown || c.mayHaveLeft() != (left == unknown) {
			t.Errorf("%d bytes are left behind an answer; may the peer have left: %v", left, c.mayHaveLeft())
		}
	}
	if c.wary.Store(true); !c.mayHaveLeft() {
		t.Error("a target that has left without a word is trusted")
	}
	c.wary.Store(false)
	if c.soon = false; !c.mayHaveLeft() {
		t.Error("a peer is trusted that had the time to leave")
	}
	c.soon = true
	if left := answer(ok, true); left <= 0 && left != unknown || !c.mayHaveLeft() {
		t.Errorf("%d bytes are left behind the last answer; may the peer have left: %v", left, c.mayHaveLeft())
	}
}
