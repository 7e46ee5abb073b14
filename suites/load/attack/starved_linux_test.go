//go:build linux

package attack_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites/load/attack"
)

// playStarved runs an attack against a server of its own, under circumstances in which
// it cannot keep time, and prints what was measured.
func playStarved() {
	t := &testing.T{}
	serve := func(c net.Conn) { answerAll(c, func(int) []byte { return ok }) }
	stage := attack.Constant(300, 1500*time.Millisecond)
	switch os.Getenv("ATTACK_TEST_TROUBLE") {
	case "hog":
		go func() {
			for i := 0; ; i++ { // until the process ends
				_ = i
			}
		}()
	case "impossible":
		stage = attack.Constant(attack.MaxRate, time.Second)
	case "files":
		var limit syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			panic(err)
		}
		limit.Cur = 24
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			panic(err)
		}
		serve = func(net.Conn) { select {} } // so that every hit needs a connection
	}
	fmt.Println("ready")
	p := stages(stage)
	p.Timeout = time.Second
	m := run(t, at(t, server(t, serve), "github"), p, attack.Options{})
	_ = json.NewEncoder(os.Stdout).Encode(m)
}

// A generator that cannot keep time says so.
func TestTroubleIsSeen(t *testing.T) {
	for _, c := range []struct {
		trouble, want string
		env           string
	}{
		{"hog", "", "GOMAXPROCS=1"},
		{"impossible", "", ""},
		{"stopped", "did not run for", ""},
		{"files", "ran out of file descriptors", ""},
	} {
		t.Run(c.trouble, func(t *testing.T) {
			t.Parallel()
			out, cmd := spawnReading(t, "starved", "ATTACK_TEST_TROUBLE="+c.trouble, c.env)
			if c.trouble == "stopped" {
				time.Sleep(300 * time.Millisecond) // into the run
				if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
				time.Sleep(500 * time.Millisecond)
				if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
			}
			var m reports.Measurement
			if err := json.NewDecoder(out).Decode(&m); err != nil {
				t.Fatal(err)
			}
			if len(m.Invalid) == 0 || !strings.Contains(strings.Join(m.Invalid, "\n"), c.want) {
				t.Errorf("%q; %+v", m.Invalid, m.Generator)
			}
			if c.trouble == "files" && len(m.Total.Errors) > 0 {
				for kind := range m.Total.Errors {
					if kind != "harness" && kind != "timeout" {
						t.Errorf("our own lack of files is held against the target: %v", m.Total.Errors)
					}
				}
			}
		})
	}
}

// A quiet run is not doubted. Where others keep the machine busy there is none.
func TestQuietRunIsValid(t *testing.T) {
	address, _ := spawn(t, "sink")
	target := at(t, &url.URL{Scheme: "http", Host: address, Path: "/hook"}, "standard-webhooks")
	for range 6 {
		busy := watchMachine()
		m := run(t, target, stages(attack.Constant(300, time.Second)), attack.Options{})
		late := busy()
		if len(m.Invalid) == 0 {
			return
		}
		if late < 250*time.Microsecond { // a machine of its own is late by 100 us or less
			t.Fatalf("%q, and the machine was not busy: a timer was late by %s", m.Invalid, late)
		}
	}
	t.Skip("others keep this machine busy: no run of six had it to itself")
}

// watchMachine measures, until it is asked for, how late a thread of its own wakes up,
// one time in a hundred.
func watchMachine() func() time.Duration {
	stop, result := make(chan struct{}), make(chan time.Duration)
	go func() {
		runtime.LockOSThread()
		var late []time.Duration
		for {
			select {
			case <-stop:
				slices.Sort(late)
				result <- late[len(late)*99/100]
				return
			default:
			}
			begun, nap := time.Now(), syscall.NsecToTimespec(int64(2*time.Millisecond))
			_ = syscall.Nanosleep(&nap, nil)
			late = append(late, time.Since(begun)-2*time.Millisecond)
		}
	}()
	return func() time.Duration {
		close(stop)
		return <-result
	}
}

// A clock that jumps makes stale what was honest.
func TestClockJump(t *testing.T) {
	t.Parallel()
	u := server(t, func(c net.Conn) { answerAll(c, func(int) []byte { return ok }) })
	begun := time.Now()
	m := run(t, at(t, u, "svix"), stages(attack.Constant(50, 500*time.Millisecond)), attack.Options{Now: func() time.Time {
		if time.Since(begun) > 250*time.Millisecond {
			return time.Now().Add(-time.Hour)
		}
		return time.Now()
	}})
	if !strings.Contains(strings.Join(m.Invalid, "\n"), "the wall clock jumped") || m.Total.Latency["accepted"].Min < 0 {
		t.Errorf("%q", m.Invalid)
	}
}

func init() { roles["starved"] = playStarved }
