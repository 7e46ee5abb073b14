package attack_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites/load/attack"
)

// The test binary plays other processes, told by its environment.
const role = "ATTACK_TEST_ROLE"

func TestMain(m *testing.M) {
	if play := roles[os.Getenv(role)]; play != nil {
		play()
		return
	}
	goleak.VerifyTestMain(m)
}

var roles = map[string]func(){"sink": playSink}

// playSink answers 200 to whatever ends like a request with a length, until its
// standard input ends.
func playSink() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answerAll(c, func(int) []byte { return ok })
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// spawn has the test binary play a role, and returns the line that it begins with.
func spawn(t testing.TB, as string, env ...string) (first string, cmd *exec.Cmd) {
	t.Helper()
	_, cmd, first = started(t, as, env)
	return first, cmd
}

// spawnReading has the test binary play a role, and returns what it prints behind its
// first line.
func spawnReading(t testing.TB, as string, env ...string) (io.Reader, *exec.Cmd) {
	t.Helper()
	out, cmd, _ := started(t, as, env)
	return out, cmd
}

func started(t testing.TB, as string, env []string) (*bufio.Reader, *exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), role+"="+as), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	t.Cleanup(func() {
		in.Close()
		_, _ = io.Copy(io.Discard, r)
		_ = cmd.Wait()
	})
	first, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return r, cmd, strings.TrimSpace(first)
}

var ok = []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

// answerAll answers every request on a connection by what answer returns for it; nil
// closes the connection.
func answerAll(c net.Conn, answer func(n int) []byte) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 16<<10)
	for n := 0; ; n++ {
		if _, err := readRequest(r); err != nil {
			return
		}
		b := answer(n)
		if b == nil {
			return
		}
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// readRequest reads a request as this package writes them, and returns its body's
// length.
func readRequest(r *bufio.Reader) (int, error) {
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) == 2 {
			break
		}
		if len(line) > 16 && string(line[:16]) == "Content-Length: " {
			for _, c := range line[16 : len(line)-2] {
				length = length*10 + int(c-'0')
			}
		}
	}
	_, err := r.Discard(length)
	return length, err
}

// server is a listener that gives every connection to a function.
func server(t testing.TB, serve func(c net.Conn)) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			all.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return &url.URL{Scheme: "http", Host: l.Addr().String(), Path: "/hook"}
}

func shipped(t testing.TB, name string) *profile.Profile {
	t.Helper()
	p, err := profiles.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// at is a target at a URL.
func at(t testing.TB, u *url.URL, name string) attack.Target {
	t.Helper()
	p := shipped(t, name)
	e, err := wire.Resolve(context.Background(), u)
	if err != nil {
		t.Fatal(err)
	}
	keys := p.NewKeys(rand.New(rand.NewPCG(1, 2)))
	delete(keys, "v1a")
	return attack.Target{URL: u, Endpoint: e, Profile: p, Keys: keys}
}

// run runs a plan that can be carried out.
func run(t testing.TB, target attack.Target, p attack.Plan, o attack.Options) reports.Measurement {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	m, err := attack.Run(ctx, target, p, o)
	if err != nil {
		t.Fatal(err)
	}
	if m.State == reports.Interrupted {
		t.Fatal("the run took longer than 20 s")
	}
	adds(t, m.Total)
	for _, c := range m.Classes {
		adds(t, c)
	}
	return m
}

// adds up what must add up.
func adds(t testing.TB, tr reports.Traffic) {
	t.Helper()
	sum := tr.Accepted + tr.Refused + tr.Unavailable + tr.Other
	for _, n := range tr.Errors {
		sum += n
	}
	if sum != tr.Planned {
		t.Errorf("of %d hits of class %q that were planned, %d came to something", tr.Planned, tr.Class, sum)
	}
}

func stages(s ...attack.Stage) attack.Plan { return attack.Plan{Stages: s, Seed: 1} }

var discarded = log.New(io.Discard, "", 0)

// runtimeStats are what this process has allocated so far.
type runtimeStats struct{ mallocs, bytes uint64 }

func (s *runtimeStats) read() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.mallocs, s.bytes = m.Mallocs, m.TotalAlloc
}
