// Peers measures what a request costs hookanvil load and what it costs other load
// generators, side by side: the same sink in this process, the same body, the same
// number of connections, each as fast as it is answered. It prints a table in Markdown.
//
//	go run ./suites/load/peers > peers.md
//	go run ./suites/load/peers -only hookanvil,vegeta -runs 3 -for 2s
//
// Generators that are Go modules are installed into a temporary directory, with
// autocannon by npx; wrk and h2load are used where they are installed (Debian: wrk,
// nghttp2-client). What cannot be had is left out, and named.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	runs := flag.Int("runs", 5, "runs of each generator, of which the median is told")
	each := flag.Duration("for", 5*time.Second, "time of a run")
	connections := flag.Int("connections", 32, "connections at the same time")
	size := flag.Int("size", 512, "bytes of the body")
	only := flag.String("only", "", "names of the generators, separated by commas; all where it is empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b := bench{runs: *runs, each: *each, connections: *connections, size: *size}
	if err := b.run(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// bench is one comparison.
type bench struct {
	runs, connections, size int
	each                    time.Duration

	dir  string // of the generators, and of the files that they read
	sink *sink
}

// sample is one run of one generator.
type sample struct {
	cpu  float64 // microseconds per request
	rate float64 // requests per second
}

func (b *bench) run(ctx context.Context, only string) (err error) {
	if b.dir, err = os.MkdirTemp("", "peers"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.sink, err = listen(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.sink.close()) }()
	if err := b.write(); err != nil {
		return err
	}
	contenders := slices.DeleteFunc(slices.Clone(peers), func(p peer) bool {
		return only != "" && !slices.Contains(strings.Split(only, ","), p.name)
	})
	var missing []string
	contenders = slices.DeleteFunc(contenders, func(p peer) bool {
		err := b.provide(ctx, p)
		if err != nil {
			missing = append(missing, fmt.Sprintf("%s (%v)", p.name, err))
		}
		return err != nil
	})
	samples := map[string][]sample{}
	for i := range b.runs {
		// In turn, so that what the machine does meanwhile concerns all alike.
		for _, p := range contenders {
			s, err := b.measure(ctx, p)
			if err != nil {
				return fmt.Errorf("run %s: %w", p.name, err)
			}
			fmt.Fprintf(os.Stderr, "%d/%d %-22s %6.2f us/request %9.0f requests/s\n", i+1, b.runs, p.name, s.cpu, s.rate)
			samples[p.name] = append(samples[p.name], s)
		}
	}
	b.tell(contenders, samples, missing)
	return nil
}

// measure runs a generator once. Its processor time is that of its process and of
// the processes that it has waited for.
func (b *bench) measure(ctx context.Context, p peer) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*b.each+30*time.Second)
	defer cancel()
	args := b.fill(p.args)
	cmd := exec.CommandContext(ctx, b.path(p), args...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "HOOKANVIL_SECRET="+secret)
	before, began := b.sink.answered.Load(), time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	n := float64(b.sink.answered.Load() - before)
	if err != nil && (p.exit == 0 || cmd.ProcessState.ExitCode() != p.exit) {
		return sample{}, fmt.Errorf("%s %s: %w\n%s", p.command, strings.Join(args, " "), err, tail(out))
	}
	if n < 100 {
		return sample{}, fmt.Errorf("%s %s: only %.0f requests arrived\n%s", p.command, strings.Join(args, " "), n, tail(out))
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return sample{float64(cpu.Microseconds()) / n, n / min(took, b.each).Seconds()}, nil
}

// tail is the end of what a program printed.
func tail(out []byte) string { return string(out[max(0, len(out)-1000):]) }

func (b *bench) fill(args []string) []string {
	words := strings.NewReplacer(
		"{url}", b.sink.url(), "{seconds}", fmt.Sprint(int(b.each.Seconds())), "{time}", b.each.String(),
		"{connections}", fmt.Sprint(b.connections), "{size}", fmt.Sprint(b.size), "{dir}", b.dir,
	)
	filled := make([]string, len(args))
	for i, a := range args {
		filled[i] = words.Replace(a)
	}
	return filled
}

func (b *bench) path(p peer) string {
	if own := filepath.Join(b.dir, p.command); p.module != "" || p.pkg != "" {
		return own
	}
	return p.command
}

// provide makes a generator available.
func (b *bench) provide(ctx context.Context, p peer) error {
	var cmd *exec.Cmd
	switch {
	case p.pkg != "":
		cmd = exec.CommandContext(ctx, "go", "build", "-o", b.path(p), p.pkg)
	case p.module != "":
		cmd = exec.CommandContext(ctx, "go", "install", p.module+"@"+p.version)
		cmd.Dir = b.dir // outside this module
		cmd.Env = append(os.Environ(), "GOBIN="+b.dir)
	default:
		_, err := exec.LookPath(p.command)
		return err
	}
	if _, err := os.Stat(b.path(p)); err == nil {
		return nil
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("%w: %s", err, lines[len(lines)-1])
	}
	return nil
}

// tell prints the table.
func (b *bench) tell(contenders []peer, samples map[string][]sample, missing []string) {
	fmt.Printf("Measured on %s, %d processors, %s. %d bytes to a sink on loopback that shares the processors, %d connections,\n"+
		"each as fast as it is answered; medians of %d runs of %s. CPU is of the generator's process.\n\n",
		processor(), runtime.NumCPU(), runtime.Version(), b.size, b.connections, b.runs, b.each)
	fmt.Println("| generator | version | signs | CPU per request | lowest and highest | requests/s | CPU against vegeta's |\n| --- | --- | --- | ---: | ---: | ---: | ---: |")
	base := math.NaN()
	if s := samples["vegeta"]; len(s) > 0 {
		base = median(s, cpuOf)
	}
	slices.SortStableFunc(contenders, func(x, y peer) int {
		return cmp.Compare(median(samples[x.name], cpuOf), median(samples[y.name], cpuOf))
	})
	for _, p := range contenders {
		s := samples[p.name]
		low, high := cpuOf(slices.MinFunc(s, byCPU)), cpuOf(slices.MaxFunc(s, byCPU))
		against := "·"
		if !math.IsNaN(base) {
			against = fmt.Sprintf("%.2fx", median(s, cpuOf)/base)
		}
		fmt.Printf("| %s | %s | %s | %.2f us | %.2f, %.2f us | %.0f | %s |\n",
			p.title, cmp.Or(p.version, "this one"), p.signs, median(s, cpuOf), low, high, median(s, rateOf), against)
	}
	if len(missing) > 0 {
		fmt.Printf("\nNot to be had here: %s.\n", strings.Join(missing, "; "))
	}
}

func cpuOf(s sample) float64  { return s.cpu }
func rateOf(s sample) float64 { return s.rate }

func byCPU(x, y sample) int { return cmp.Compare(x.cpu, y.cpu) }

func median(s []sample, of func(sample) float64) float64 {
	var values []float64
	for _, one := range s {
		values = append(values, of(one))
	}
	slices.Sort(values)
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}

// processor names the machine's, where it can be found out.
func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOOS + "/" + runtime.GOARCH
}
