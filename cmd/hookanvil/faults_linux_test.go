package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/reference"
	"github.com/hookanvil/hookanvil/fixtures/resolver"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

// The faults that a process finds in itself: the value of childFault, and what follows it.
const childFault = "HOOKANVIL_TEST_FAULT"

func init() {
	brokenBy = func() (ended bool, code int) {
		name, value, _ := strings.Cut(os.Getenv(childFault), "=")
		fault, ok := childFaults[name]
		if !ok {
			return false, 0
		}
		return fault(value)
	}
}

// childFaults break the process from within. One that runs the command itself returns true
// and the exit code.
var childFaults = map[string]func(value string) (ended bool, code int){
	"file size": func(value string) (bool, int) { return limited(syscall.RLIMIT_FSIZE, value) },
	"files":     func(value string) (bool, int) { return limited(syscall.RLIMIT_NOFILE, value) },
	"names": func(value string) (bool, int) {
		net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, value)
		}}
		return false, 0
	},
	"memory": func(string) (bool, int) {
		return onSignal(func() {
			_, _ = limited(syscall.RLIMIT_AS, "1")
			for kept := [][]byte{}; ; {
				kept = append(kept, make([]byte, 64<<20))
			}
		})
	},
	"panic": func(string) (bool, int) { return onSignal(func() { panic("a bug of our own") }) },
	"writer": func(string) (bool, int) {
		reports.Formats[1].Write = func(io.Writer, reports.Run) error { panic("a bug") }
		return false, 0
	},
	"check": func(string) (bool, int) {
		settings := suites.Settings{Target: os.Args[2], Profile: "github", Secret: []string{"env:WEBHOOK_SECRET"}, Out: "results"}
		plan, err := settings.Plan(context.Background(), []string{faultSuite})
		if err != nil {
			complain(err)
			return true, exitUsage
		}
		subject, _, err := settings.Receiver(context.Background())
		subject.Probe = &panicking{}
		plan.Subject = suites.Receiver(subject)
		if err == nil {
			_, err = suites.Run(context.Background(), plan)
		}
		if err != nil {
			complain(err)
			return true, exitHarness
		}
		return true, 0
	},
}

// panicking is a probe that panics once, in the middle of a check.
type panicking struct{ calls int }

func (*panicking) Keyed() bool    { return false }
func (*panicking) String() string { return "panicking" }
func (p *panicking) Count(context.Context, string) (int, error) {
	if p.calls++; p.calls == 12 {
		panic("a bug")
	}
	return 0, errors.New("no count")
}

func limited(resource int, value string) (bool, int) {
	var n uint64
	if _, err := fmt.Sscan(value, &n); err != nil {
		panic(err)
	}
	if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
		panic(err)
	}
	return false, 0
}

func onSignal(do func()) (bool, int) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGUSR1)
	go func() { <-told; do() }()
	return false, 0
}

// gate stands in front of a correct receiver, and counts the connections to it.
type gate struct {
	addr string

	mu       sync.Mutex
	listener net.Listener
	to       string
	open     map[net.Conn]bool
	seen     int
	strikeAt int
	strike   func()
}

// newGate starts a correct receiver behind a gate. At the n-th connection, before it is
// served, its strike is called, where it has one.
func newGate(t *testing.T, n int) (g *gate, secret string) {
	t.Helper()
	p, err := profiles.Get("github")
	if err != nil {
		t.Fatal(err)
	}
	s, err := suites.NewSpecimen(p, "", 1, suites.Quick)
	if err != nil {
		t.Fatal(err)
	}
	g = &gate{to: s.Subject.URL.Host, open: map[net.Conn]bool{}, strikeAt: n}
	if err := g.listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.shut()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return g, s.Subject.Keys[p.Signature.Name][0].Reveal()
}

func (g *gate) listen(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.listener, g.addr = l, l.Addr().String()
	g.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go g.serve(c)
		}
	}()
	return nil
}

func (g *gate) serve(c net.Conn) {
	g.mu.Lock()
	g.open[c] = true
	g.seen++
	strike := g.strike
	if g.seen != g.strikeAt {
		strike = nil
	}
	g.mu.Unlock()
	defer func() {
		c.Close()
		g.mu.Lock()
		delete(g.open, c)
		g.mu.Unlock()
	}()
	if strike != nil {
		strike()
	}
	up, err := net.Dial("tcp", g.to)
	if err != nil {
		return
	}
	defer up.Close()
	go func() {
		_, _ = io.Copy(up, c) // whichever side ends it
		_ = up.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(c, up)
}

// shut closes the gate and every connection through it.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.listener.Close()
	for c := range g.open {
		c.Close()
	}
}

func (g *gate) connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen
}

const faultSuite = "receiver/fidelity"

// fault is one that a run must survive: without a lost result, without a failure that is
// not the subject's, and without a success that was not had.
type fault struct {
	name   string
	suite  string   // faultSuite where it is empty
	args   []string // of the run, besides
	env    []string
	within string // a child's own fault
	// strike is called at a connection in the middle of the run.
	strike func(r *struck)
	before func(r *struck)
	exits  []int
	states []string // of the results folder; none where there may be none
	says   string   // on standard error or output
	fails  string   // how the reason of a failure begins that is the subject's
	long   bool     // it takes long: not by default
	cannot string   // why it cannot be made here
}

// struck is a run that a fault strikes.
type struck struct {
	t    *testing.T
	cmd  *exec.Cmd
	gate *gate
	out  bytes.Buffer
	dir  string // the results folder
}

func (r *struck) signal(s os.Signal) {
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Error(err)
	}
}

func signalled(s os.Signal) func(*struck) { return func(r *struck) { r.signal(s) } }

func stopped(d time.Duration) func(*struck) {
	return func(r *struck) {
		r.signal(syscall.SIGSTOP)
		time.AfterFunc(d, func() { r.signal(syscall.SIGCONT) })
	}
}

const killed = -1 // the exit code of a process that a signal ended

var (
	unfinished = []string{reports.Incomplete}
	whole      = []string{reports.Complete}
	anyState   = []string{reports.Complete, reports.Incomplete, reports.Interrupted}
)

var faults = []fault{
	{name: "SIGINT", strike: signalled(os.Interrupt), exits: []int{130}, states: []string{reports.Interrupted}},
	{name: "SIGINT, twice", strike: func(r *struck) { r.signal(os.Interrupt); r.signal(syscall.SIGTERM) }, exits: []int{130}, states: []string{reports.Interrupted, reports.Incomplete}},
	{name: "SIGTERM", strike: signalled(syscall.SIGTERM), exits: []int{130}, states: []string{reports.Interrupted}},
	{name: "SIGHUP", strike: signalled(syscall.SIGHUP), exits: []int{130}, states: []string{reports.Interrupted}},
	{name: "SIGQUIT", strike: signalled(syscall.SIGQUIT), exits: []int{2}, states: unfinished, says: "goroutine "},
	{name: "SIGPIPE", before: closedPipe, exits: []int{0}, states: whole},
	{name: "SIGSTOP for half a second", strike: stopped(500 * time.Millisecond), exits: []int{0, 3}, states: whole},
	{name: "SIGSTOP for half a minute", strike: stopped(30 * time.Second), exits: []int{3}, states: whole, long: true, says: "this process did not run for 30"},
	{name: "SIGKILL", strike: signalled(os.Kill), exits: []int{killed}, states: unfinished},
	{name: "a panic in a check", within: "check", exits: []int{4}, states: whole, says: "panic: a bug"},
	{name: "a panic elsewhere", within: "panic", strike: signalled(syscall.SIGUSR1), exits: []int{2}, states: unfinished, says: "a bug of our own"},
	{name: "a panic in a writer", within: "writer", exits: []int{4}, states: unfinished, says: "panic: a bug"},
	{name: "no memory", within: "memory", env: []string{"GOMEMLIMIT=64MiB"}, strike: signalled(syscall.SIGUSR1), exits: []int{2}, states: unfinished, says: "out of memory"},
	{name: "/dev/full", args: []string{"--report", "junit=/dev/full"}, exits: []int{4}, states: whole, says: "no space left"},
	{name: "a file that is too large", within: "file size=60000", exits: []int{4}, states: unfinished, says: "file too large"},
	{name: "a full disk", before: smallDisk, exits: []int{4}, states: unfinished, says: "no space left"},
	{name: "a directory that is read-only", before: readOnly, exits: []int{4}, says: "read-only"},
	{name: "the folder removed", strike: removed, exits: []int{4}, says: "results"},
	{name: "no file descriptors", within: "files=11", exits: []int{3, 4}, states: anyState, says: "too many open files"},
	{name: "EADDRINUSE", before: portTaken, exits: []int{4}, says: fmt.Sprintf("process %d", os.Getpid())},
	{name: "EADDRNOTAVAIL", before: func(r *struck) { r.asSender("192.0.2.1:8080") }, exits: []int{4}, says: "cannot assign requested address"},
	{name: "a clock that jumps by an hour", cannot: "a process has no clock of its own, and that of the machine is not ours to set"},
	{name: "no names from the middle on", before: namesGone, exits: []int{0, 3}, states: whole},
	{name: "a target that is started anew", strike: restarted, exits: []int{0, 1, 3}, states: whole, fails: "the target stopped serving"},
	{name: "the secret's file removed", before: secretGone, exits: []int{0}, states: whole},
	{name: "a second run in the same folder", strike: secondRun, exits: []int{0}, states: whole},
}

func closedPipe(r *struck) {
	read, write, err := os.Pipe()
	if err != nil {
		r.t.Fatal(err)
	}
	read.Close()
	r.cmd.Stdout = write
	r.t.Cleanup(func() { write.Close() })
}

// asSender has the run judge a sender, for which it listens.
func (r *struck) asSender(listen string) {
	r.cmd.Args = append(r.cmd.Args[:1], "run", "sender/request", "--profile", "github", "--secret", "env:WEBHOOK_SECRET",
		"--trigger", "exec true", "--listen", listen, "--out", "results")
}

func portTaken(r *struck) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { l.Close() })
	r.asSender(l.Addr().String())
}

// mount puts a file system of its own where the results go.
func (r *struck) mount(flags uintptr, options string) {
	at := filepath.Join(r.cmd.Dir, "mounted")
	if err := os.Mkdir(at, 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := syscall.Mount("none", at, "tmpfs", flags, options); err != nil {
		r.t.Skipf("no file system can be mounted here: %v", err)
	}
	r.t.Cleanup(func() {
		if err := syscall.Unmount(at, 0); err != nil {
			r.t.Error(err)
		}
	})
	r.dir = filepath.Join(at, "results")
	r.cmd.Args = append(r.cmd.Args, "--out", r.dir)
}

func smallDisk(r *struck) { r.mount(0, "size=200k") }
func readOnly(r *struck)  { r.mount(syscall.MS_RDONLY, "") }

func removed(r *struck) {
	if err := os.RemoveAll(r.dir); err != nil {
		r.t.Error(err)
	}
}

func namesGone(r *struck) {
	names := resolver.New()
	names.Set("hooks.hookanvil.test", []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	if err := names.Listen("127.0.0.1:0"); err != nil {
		r.t.Fatal(err)
	}
	close := sync.OnceFunc(func() {
		if err := names.Close(); err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(close)
	_, port, err := net.SplitHostPort(r.gate.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	host := "http://hooks.hookanvil.test:" + port
	r.cmd.Args = append(r.cmd.Args, "--target", host+reference.HookPath, "--probe-url", host+reference.EffectsPath+"?token={token}#/effects")
	r.cmd.Env = append(r.cmd.Env, childFault+"=names="+names.Addr().String())
	r.gate.strike = close
}

func restarted(r *struck) {
	addr := r.gate.addr
	r.gate.shut()
	time.AfterFunc(200*time.Millisecond, func() {
		if err := r.gate.listen(addr); err != nil {
			r.t.Error(err)
		}
	})
}

func secretGone(r *struck) {
	path := filepath.Join(r.cmd.Dir, "secret")
	i := slices.IndexFunc(r.cmd.Env, func(s string) bool { return strings.HasPrefix(s, "WEBHOOK_SECRET=") })
	if err := os.WriteFile(path, []byte(strings.TrimPrefix(r.cmd.Env[i], "WEBHOOK_SECRET=")), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.cmd.Args[slices.Index(r.cmd.Args, "env:WEBHOOK_SECRET")] = "file:" + path
	r.gate.strike = func() {
		if err := os.Remove(path); err != nil {
			r.t.Error(err)
		}
	}
}

func secondRun(r *struck) {
	second := exec.Command(os.Args[0], r.cmd.Args[1:]...)
	second.Dir, second.Env = r.cmd.Dir, r.cmd.Env
	out, err := second.CombinedOutput()
	if code := exitCodeOf(r.t, err); code != exitUsage || !strings.Contains(string(out), fmt.Sprintf("under way there (process %d,", r.cmd.Process.Pid)) {
		r.t.Errorf("the second run: exit code %d: %s", code, out)
	}
}

// begin makes the run that a fault is to strike; it is not started.
func (f fault) begin(t *testing.T) *struck {
	r := &struck{t: t}
	g, secret := newGate(t, 30)
	r.gate = g
	if f.strike != nil {
		g.strike = func() { f.strike(r) }
	}
	target := "http://" + g.addr + reference.HookPath
	r.cmd = command(t, append([]string{"run", cmp.Or(f.suite, faultSuite), "--target", target, "--profile", "github", "--secret", "env:WEBHOOK_SECRET", "--out", "results"}, f.args...)...)
	if f.within == "check" {
		r.cmd.Args = []string{r.cmd.Args[0], "run", target}
	}
	r.dir = filepath.Join(r.cmd.Dir, "results")
	r.cmd.Env = append(r.cmd.Env, "WEBHOOK_SECRET="+secret, childFault+"="+f.within)
	r.cmd.Env = append(r.cmd.Env, f.env...)
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	if f.before != nil {
		f.before(r)
	}
	return r
}

func TestFaults(t *testing.T) {
	var mu sync.Mutex
	var survived, made int
	var left []string
	t.Run("at once", func(t *testing.T) {
		for _, f := range faults {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				ran := false
				defer func() {
					mu.Lock()
					defer mu.Unlock()
					switch {
					case !ran:
						left = append(left, f.name)
					case !t.Failed():
						survived++
						fallthrough
					default:
						made++
					}
				}()
				switch {
				case f.cannot != "":
					t.Skip(f.cannot)
				case f.long && (os.Getenv("HOOKANVIL_TESTS") != "whole" || testing.Short()):
					t.Skip("left to HOOKANVIL_TESTS=whole")
				}
				r := f.begin(t)
				ran = true
				f.judge(r, exitCodeOf(t, r.cmd.Run()))
			})
		}
	})
	t.Logf("faults survived %d/%d; not made: %s", survived, made, strings.Join(left, "; "))
}

// judge judges what a fault has left.
func (f fault) judge(r *struck, code int) {
	r.t.Helper()
	if !slices.Contains(f.exits, code) {
		r.t.Errorf("exit code %d, want one of %v\n%.2000s", code, f.exits, &r.out)
	}
	if !strings.Contains(r.out.String(), f.says) {
		r.t.Errorf("it does not say %q:\n%.2000s", f.says, &r.out)
	}
	if f.states == nil {
		if _, err := os.Stat(filepath.Join(r.dir, reports.JournalFile)); !errors.Is(err, fs.ErrNotExist) {
			r.t.Errorf("there is a journal: %v", err)
		}
		return
	}
	run, err := reports.ReadFolder(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	if !slices.Contains(f.states, run.State) {
		r.t.Errorf("the run is %s, want one of %q: %q", run.State, f.states, run.Notes)
	}
	if code != 0 && run.ExitCode() == reports.ExitPassed && f.name != "/dev/full" {
		r.t.Errorf("the exit code was %d, and the folder tells of success", code)
	}
	if run.State == reports.Incomplete && run.ExitCode() != reports.ExitInconclusive {
		r.t.Errorf("a run that was cut short has the exit code %d", run.ExitCode())
	}
	for _, result := range run.Results {
		if result.Verdict == reports.Fail && (f.fails == "" || !strings.HasPrefix(result.Reason, f.fails)) {
			r.t.Errorf("%s failed, and the receiver is correct: %s", result.ID, result.Reason)
		}
	}
	if total := run.Count(); total.Pass == 0 && f.strike != nil {
		r.t.Errorf("no result is left of %d connections: %+v", r.gate.connections(), total)
	}
}

// quickRun is a run that is soon over: what is killed two hundred times must not take long.
func quickRun(t *testing.T) *struck {
	const cases = 24
	var suite strings.Builder
	suite.WriteString("suite: receiver/quick\nsource: a test\ncases:\n")
	for n := range cases {
		fmt.Fprintf(&suite, "  - {id: case-%d, title: 'Forgery %d is rejected', level: must, unproven: a test, send: {mutate: {body: flip-bit}}, expect: rejected}\n", n, n)
	}
	return fault{suite: "quick.yaml", before: func(r *struck) {
		if err := os.WriteFile(filepath.Join(r.cmd.Dir, "quick.yaml"), []byte(suite.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}}.begin(t)
}

// A run that is killed at any moment leaves a folder that says what ran, and is told of as
// a run that was cut short.
func TestKilledRun(t *testing.T) {
	kills := 10
	if os.Getenv("HOOKANVIL_TESTS") == "whole" && !testing.Short() {
		kills = 200
	}
	r := quickRun(t)
	if err := r.cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &r.out)
	}
	run, err := reports.ReadFolder(r.dir)
	if err != nil || run.State != reports.Complete {
		t.Fatalf("%s, %v", run.State, err)
	}
	undisturbed := map[string]reports.Verdict{}
	for _, result := range run.Results {
		undisturbed[result.ID] = result.Verdict
	}
	var mu sync.Mutex
	recovered, kept := 0, 0
	t.Run("at once", func(t *testing.T) {
		for n := range kills {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for {
					run, begun := killOne(t, n%10 == 0, r.gate.seen)
					if begun && run.State == reports.Complete {
						continue // it was killed when everything was written; another time
					}
					judged := checkResults(t, run, undisturbed)
					if begun && (run.State != reports.Incomplete || run.ExitCode() != reports.ExitInconclusive) {
						t.Errorf("the run is %s, exit code %d", run.State, run.ExitCode())
					}
					mu.Lock()
					defer mu.Unlock()
					recovered++
					kept += judged
					return
				}
			})
		}
	})
	t.Logf("kill -9 recovered %d/%d, with %d results", recovered, kills, kept)
}

// killOne kills a run: early, before it has sent anything in most cases, or at a random
// moment of its connections. Begun tells that it left a folder, and sent something only if
// it did.
func killOne(t *testing.T, early bool, connections int) (run reports.Run, begun bool) {
	t.Helper()
	r := quickRun(t)
	kill := func() { _ = r.cmd.Process.Kill() } // it may have ended
	if !early {
		r.gate.strikeAt = 1 + rand.N(connections)
		r.gate.strike = func() { time.AfterFunc(rand.N(5*time.Millisecond), kill) }
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if early {
		time.AfterFunc(100*time.Millisecond+rand.N(300*time.Millisecond), kill)
	}
	if code := exitCodeOf(t, r.cmd.Wait()); code != killed && code != 0 {
		t.Errorf("exit code %d: %s", code, &r.out)
	}
	run, err := reports.ReadFolder(r.dir)
	if err != nil && r.gate.connections() > 0 {
		t.Errorf("after %d connections: %v", r.gate.connections(), err)
	}
	return run, err == nil
}

// checkResults makes sure that a run that was cut short says of every case what an
// undisturbed one says, or that it was not judged, and returns how many it has.
func checkResults(t *testing.T, run reports.Run, undisturbed map[string]reports.Verdict) (judged int) {
	t.Helper()
	for _, r := range run.Results {
		switch {
		case r.Verdict == undisturbed[r.ID]:
			judged++
		case r.Verdict != reports.Inconclusive || !strings.Contains(r.Reason, "cut short"):
			t.Errorf("%s: %s (%s), and it was %s undisturbed", r.ID, r.Verdict, r.Reason, undisturbed[r.ID])
		}
	}
	if len(run.Results) != len(undisturbed) && len(run.Results) > 0 {
		t.Errorf("%d results of %d cases", len(run.Results), len(undisturbed))
	}
	return judged
}
