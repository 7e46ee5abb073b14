package sink_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/suites/load/sink"
)

const benchConns = 16

// BenchmarkAbsorb compares the sink with a plain net/http handler that verifies, under
// the same client: presigned deliveries of 512 bytes, one at a time on each of 16
// connections. The client runs in this process and its CPU time is in every figure, so the
// ratio of two figures is less than that of the servers alone; a server that answers
// without reading shows what no server can fall below.
func BenchmarkAbsorb(b *testing.B) {
	h := open(b, "standard-webhooks", sink.Options{})
	var requests [][]byte
	body := `{"type":"x","data":"` + string(bytes.Repeat([]byte{'x'}, 490)) + `"}`
	for i := range 4096 {
		requests = append(requests, h.delivery(b, "/hook", "msg_"+strconv.Itoa(i), body, time.Now()))
	}
	answer := []byte("HTTP/1.1 200 OK\r\nDate: Sat, 31 Jan 2026 12:00:00 GMT\r\nContent-Length: 0\r\n\r\n")
	for _, c := range []struct {
		name  string
		serve func() (addr string, stop func())
	}{
		{"echo", func() (string, func()) { return serveEcho(b, len(requests[4095]), answer) }},
		{"sink", func() (string, func()) { return h.addr, func() {} }},
		{"net-http", func() (string, func()) { return servePlain(b, h.p, h.keys) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			addr, stop := c.serve()
			defer stop()
			cpu := usage()
			b.ResetTimer()
			drive(b, addr, requests, b.N)
			b.StopTimer()
			b.ReportMetric(float64((usage()-cpu).Nanoseconds())/float64(b.N), "cpu-ns/delivery")
		})
	}
}

func drive(b *testing.B, addr string, requests [][]byte, n int) {
	var wait sync.WaitGroup
	for w := range benchConns {
		wait.Go(func() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			br := bufio.NewReader(c)
			for i := w; i < n; i += benchConns {
				c.Write(requests[1000+i%(len(requests)-1000)]) // those of one length
				for first := true; ; first = false {
					line, err := br.ReadSlice('\n')
					if err != nil || first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
						b.Errorf("answered %q, %v", line, err)
						return
					}
					if len(line) == 2 {
						break
					}
				}
			}
		})
	}
	wait.Wait()
}

func usage() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// serveEcho answers whatever has the length of a delivery.
func serveEcho(b *testing.B, length int, answer []byte) (string, func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wait.Go(func() {
				defer c.Close()
				buf := make([]byte, length)
				for {
					if _, err := io.ReadFull(c, buf); err != nil {
						return
					}
					c.Write(answer)
				}
			})
		}
	})
	return l.Addr().String(), func() { l.Close(); wait.Wait() }
}

func servePlain(b *testing.B, p *profile.Profile, keys profile.Keys) (string, func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		in := profile.Incoming{Method: r.Method, URL: r.URL.String(), Body: body}
		for name, values := range r.Header {
			for _, v := range values {
				in.Headers = append(in.Headers, wire.Header{Name: name, Value: v})
			}
		}
		if _, err := p.Verify(in, keys, time.Now()); err != nil {
			w.WriteHeader(401)
		}
	})}
	done := make(chan struct{})
	go func() { server.Serve(l); close(done) }()
	return l.Addr().String(), func() { server.Shutdown(context.Background()); <-done }
}

// memoryOf is how much the heap grows by while f runs.
func memoryOf(f func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// TestMemoryOfIDs holds the slope over 300,000 deliveries, or over as many as
// SINK_TEST_IDS says: ten million take under 200 MB.
func TestMemoryOfIDs(t *testing.T) {
	n := 300_000
	if text := os.Getenv("SINK_TEST_IDS"); text != "" {
		n, _ = strconv.Atoi(text)
	}
	h := open(t, "github", sink.Options{})
	grown := memoryOf(func() { absorbMany(t, h, n) })
	a := h.Report()
	if a.Deliveries != int64(n) || a.Duplicates != 0 || a.Untracked != 0 {
		t.Fatalf("%d deliveries, %d duplicates, %d untracked, want %d", a.Deliveries, a.Duplicates, a.Untracked, n)
	}
	each := float64(a.MemoryForIDs) / float64(n)
	t.Logf("%d deliveries: %d MB of ids (%.1f bytes each), heap +%d MB", n, a.MemoryForIDs/1e6, each, grown/1e6)
	if each > 17.5 || grown > int64(n)*20+10e6 {
		t.Errorf("%.1f bytes for each id, and the heap has grown by %d bytes", each, grown)
	}
}

// absorbMany sends deliveries whose ids differ, and no signature covers: pipelined on
// four connections.
func absorbMany(t testing.TB, h *house, n int) {
	whole := h.delivery(t, "/", "00000000", `{}`, time.Now())
	at := bytes.Index(whole, []byte("00000000"))
	const workers, batch = 4, 500
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			c, err := net.Dial("tcp", h.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			br := bufio.NewReaderSize(c, 64<<10)
			many := bytes.Repeat(whole, batch)
			for i := w * batch; i < n; i += workers * batch {
				k := min(batch, n-i)
				for j := range k {
					copy(many[j*len(whole)+at:], fmt.Sprintf("%08d", i+j))
				}
				c.Write(many[:k*len(whole)])
				for left := k; left > 0; {
					line, err := br.ReadSlice('\n')
					if err != nil {
						t.Error(err)
						return
					}
					if len(line) == 2 {
						left--
					}
				}
			}
		})
	}
	wait.Wait()
}
