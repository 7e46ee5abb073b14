package suites_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// A target that closes its connections uses up local ports.
func TestAttackTellsOfPorts(t *testing.T) {
	reuse, err := os.ReadFile("/proc/sys/net/ipv4/tcp_tw_reuse")
	if err != nil || strings.TrimSpace(string(reuse)) == "1" {
		t.Skip("ports are free again at once, or nobody knows")
	}
	l := (&loaded{closes: true}).start(t)
	s, o := l.brief("")
	s.Rate, s.Duration = "9000/s", 10_000_000 // more than the ports of any machine do for
	_, said, err := send(t.Context(), t, s, o)
	if err != nil || !strings.Contains(said, "the target closes each connection") {
		t.Errorf("%q, error %v", said, err)
	}
	l = (&loaded{}).start(t)
	s.Target, s.Secret = l.server.URL+"/hook", []string{"file:" + l.secret}
	if _, said, err = send(t.Context(), t, s, o); err != nil || said != "" {
		t.Errorf("of a target that keeps them open: %q, error %v", said, err)
	}
}

// A pipe is written to, and not replaced by a file.
func TestAttackWritesToAPipe(t *testing.T) {
	l := (&loaded{}).start(t)
	s, o := l.brief("")
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Report = []string{"vegeta-json=" + path}
	counted := make(chan int)
	go func() {
		n := 0
		defer func() { counted <- n }()
		f, err := os.Open(path)
		if err != nil {
			return
		}
		defer f.Close()
		for decode := vegeta.NewJSONDecoder(f); decode(&vegeta.Result{}) == nil; {
			n++
		}
	}()
	if _, _, err := send(t.Context(), t, s, o); err != nil {
		t.Fatal(err)
	}
	if n := <-counted; n != 40 {
		t.Errorf("%d hits came through the pipe", n)
	}
}
