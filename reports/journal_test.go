package reports_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookanvil/hookanvil/reports"
)

const childEnv = "HOOKANVIL_TEST_JOURNAL"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		writeUntilKilled(path)
	}
	os.Exit(m.Run())
}

func plan(results []reports.Result) []reports.Planned {
	var planned []reports.Planned
	for _, r := range results {
		planned = append(planned, reports.Planned{ID: r.ID, Title: r.Title, Level: r.Level})
	}
	return planned
}

// journalOf records run as a runner would.
func journalOf(t *testing.T, run reports.Run) []byte {
	t.Helper()
	var b bytes.Buffer
	j, err := reports.NewJournal(&b, run, plan(run.Results))
	must(t, err)
	for _, r := range run.Results {
		for _, x := range r.Evidence {
			must(t, j.Observe(r.ID, x))
		}
		must(t, j.Record(r))
	}
	must(t, j.Close(run.State, run.Ended, nil))
	return b.Bytes()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestJournalGivesTheRunBack(t *testing.T) {
	for _, state := range []string{reports.Complete, reports.Interrupted} {
		want := sampleRun()
		want.State = state
		got, err := reports.ReadJournal(bytes.NewReader(journalOf(t, want)))
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", state, diff)
		}
	}
}

// Every cut and every changed byte of a journal must leave a run that is not
// complete, and whose results are a beginning of those that were recorded.
func TestDamagedJournalIsNeverComplete(t *testing.T) {
	run := sampleRun()
	run.Results = run.Results[12:]
	whole := journalOf(t, run)
	if len(whole) < 16<<10 || len(whole) > 24<<10 {
		t.Fatalf("the journal has %d bytes, where about 20 KiB was meant", len(whole))
	}
	step := 1
	if !thorough() {
		step = 17
	}
	check := func(t *testing.T, what string, journal []byte) {
		got, err := reports.ReadJournal(bytes.NewReader(journal))
		if err != nil {
			return // not even the header is left
		}
		if got.State != reports.Incomplete || got.ExitCode() == reports.ExitPassed {
			t.Fatalf("%s: accepted as %q, exit code %d", what, got.State, got.ExitCode())
		}
		checkPrefix(t, run, got)
	}
	t.Run("cut", func(t *testing.T) {
		t.Parallel()
		for n := 0; n < len(whole); n += step {
			check(t, fmt.Sprintf("cut at %d", n), whole[:n])
		}
		check(t, "without its last byte", whole[:len(whole)-1])
	})
	t.Run("changed", func(t *testing.T) {
		t.Parallel()
		changed := bytes.Clone(whole)
		for n := 0; n < len(whole); n += step {
			changed[n] ^= 1 << (n % 8)
			check(t, fmt.Sprintf("byte %d changed", n), changed)
			changed[n] = whole[n]
		}
	})
}

// thorough tells whether every byte is tried, which takes a minute.
func thorough() bool {
	return os.Getenv("HOOKANVIL_TESTS") == "whole" && !testing.Short() && !underRaceDetector()
}

// underRaceDetector tells whether everything takes ten times as long.
func underRaceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// checkPrefix makes sure that got says of every case what was recorded, or that
// it was not judged.
func checkPrefix(t *testing.T, recorded, got reports.Run) {
	t.Helper()
	if len(got.Results) != len(recorded.Results) {
		t.Fatalf("%d results for %d planned cases", len(got.Results), len(recorded.Results))
	}
	cut := false
	for i, r := range got.Results {
		if unjudged := r.Verdict == reports.Inconclusive && strings.Contains(r.Reason, "cut short"); unjudged || cut {
			if !unjudged {
				t.Fatalf("%s has a result although one before it was lost", r.ID)
			}
			cut = true
		} else if !reflect.DeepEqual(recorded.Results[i], r) {
			t.Fatalf("%s is not what was recorded", r.ID)
		}
	}
}

// linesOf are the lines of a journal, with their ends.
func linesOf(journal []byte) []string {
	lines := strings.SplitAfter(string(journal), "\n")
	return lines[:len(lines)-1]
}

// altered are the ways in which somebody, or something, may alter a journal line by
// line. Each takes a complete one.
var altered = map[string]func(lines []string) []string{
	"a line lost":          func(l []string) []string { return slices.Delete(l, 14, 15) },
	"the end lost":         func(l []string) []string { return l[:len(l)-1] },
	"a line repeated":      func(l []string) []string { return slices.Insert(l, 14, l[13]) },
	"lines swapped":        func(l []string) []string { l[13], l[14] = l[14], l[13]; return l },
	"something after":      func(l []string) []string { return append(l, "\n") },
	"an observation more":  func(l []string) []string { return append(l, l[len(l)-3]) },
	"a second end":         func(l []string) []string { return append(l, l[len(l)-1]) },
	"the end brought near": func(l []string) []string { return append(l[:14], l[len(l)-1]) },
	"a second header":      func(l []string) []string { return slices.Insert(l, 14, l[0]) },
	"a case of its own": func(l []string) []string {
		return slices.Insert(l, 14, strings.Replace(l[1], "receiver/fidelity/case-1", "receiver/fidelity/case-0", 1))
	},
	"another end": func(l []string) []string {
		l[len(l)-1] = strings.Replace(l[len(l)-1], `"state":"complete"`, `"state":"passed"`, 1)
		return l
	},
}

func TestAlteredJournalIsNotComplete(t *testing.T) {
	recorded := sampleRun()
	for name, alter := range altered {
		lines := alter(linesOf(journalOf(t, recorded)))
		run, err := reports.ReadJournal(strings.NewReader(strings.Join(lines, "")))
		must(t, err)
		if run.State != reports.Incomplete {
			t.Errorf("%s: the run is %s", name, run.State)
		}
		checkPrefix(t, recorded, run)
	}
}

// Who alters a journal and makes its checksums anew must still not get a complete
// run: the end tells the number and the digest of the lines before it, and each case
// has one result.
func TestForgedJournalIsNotComplete(t *testing.T) {
	whole := linesOf(journalOf(t, sampleRun()))
	if run, err := reports.ReadJournal(strings.NewReader(checksummed(whole))); err != nil || run.State != reports.Complete {
		t.Fatalf("checksums made anew of what was not altered: %s, %v", run.State, err)
	}
	for name, alter := range altered {
		run, err := reports.ReadJournal(strings.NewReader(checksummed(alter(slices.Clone(whole)))))
		must(t, err)
		if run.State != reports.Incomplete {
			t.Errorf("%s: the run is %s", name, run.State)
		}
	}
	for name, alter := range altered {
		if name == "a line lost" || name == "lines swapped" {
			continue // with the end made anew as well, this is a run like any other
		}
		run, err := reports.ReadJournal(strings.NewReader(checksummed(ended(alter(slices.Clone(whole))))))
		must(t, err)
		if run.State != reports.Incomplete {
			t.Errorf("%s, and the end made anew: the run is %s", name, run.State)
		}
	}
}

// checksummed makes the checksums of the lines anew, as the format is documented.
func checksummed(lines []string) string {
	var out strings.Builder
	crc := uint32(0)
	for _, line := range lines {
		_, record, framed := strings.Cut(strings.TrimSuffix(line, "}\n"), `"record":`)
		if !framed {
			out.WriteString(line)
			continue
		}
		crc = crc32.Update(crc, crc32.MakeTable(crc32.Castagnoli), []byte(record))
		fmt.Fprintf(&out, `{"crc":"%08x","record":%s}`+"\n", crc, record)
	}
	return out.String()
}

// ended makes the number and the digest in each end anew.
func ended(lines []string) []string {
	count, digest := regexp.MustCompile(`"lines":[0-9]+`), regexp.MustCompile(`"digest":"[0-9a-f]+"`)
	for i, line := range lines {
		if !strings.Contains(line, `"kind":"end"`) {
			continue
		}
		sum := sha256.Sum256([]byte(checksummed(lines[:i])))
		line = count.ReplaceAllString(line, fmt.Sprintf(`"lines":%d`, i))
		lines[i] = digest.ReplaceAllString(line, fmt.Sprintf(`"digest":"%x"`, sum))
	}
	return lines
}

func TestNoJournal(t *testing.T) {
	lines := linesOf(journalOf(t, sampleRun()))
	for name, text := range map[string]string{
		"empty": "", "no header": strings.Join(lines[1:], ""), "noise": "no journal\n", "one long line": strings.Repeat("x", 1<<20),
		"of another version": checksummed([]string{strings.Replace(lines[0], "hookanvil.journal/1", "hookanvil.journal/9", 1)}),
	} {
		if run, err := reports.ReadJournal(strings.NewReader(text)); err == nil {
			t.Errorf("%s: was read as %v", name, run)
		}
	}
}

func TestCompleteNeedsAResultOfEveryCase(t *testing.T) {
	var b bytes.Buffer
	planned := []reports.Planned{{ID: "a/done"}, {ID: "a/begun"}, {ID: "a/never", Title: "Never", Level: "must"}}
	for _, test := range []struct{ close, state, reason string }{
		{reports.Complete, reports.Incomplete, "the run was cut short"},
		{reports.Interrupted, reports.Interrupted, "the run was interrupted"},
		{"whatever", reports.Incomplete, "the run was cut short"},
	} {
		b.Reset()
		j, err := reports.NewJournal(&b, reports.Run{}, planned)
		must(t, err)
		must(t, j.Record(reports.Result{ID: "a/done", Verdict: reports.Pass}))
		must(t, j.Observe("a/begun", exchange("control before", 200, 1, 0)))
		must(t, j.Close(test.close, began, nil))
		run, err := reports.ReadJournal(&b)
		must(t, err)
		if run.State != test.state || run.ExitCode() == reports.ExitPassed {
			t.Errorf("closed as %s: state %s, exit code %d", test.close, run.State, run.ExitCode())
		}
		begun, never := run.Results[1], run.Results[2]
		if begun.Reason != "not judged: "+test.reason || len(begun.Evidence) != 1 {
			t.Errorf("a case that had begun: %q with %d exchanges", begun.Reason, len(begun.Evidence))
		}
		want := reports.Result{ID: "a/never", Title: "Never", Level: "must", Verdict: reports.Inconclusive, Reason: "did not run: " + test.reason}
		if diff := cmp.Diff(want, never); diff != "" {
			t.Errorf("a case that never began (-want +got):\n%s", diff)
		}
	}
}

func TestJournalRefusesWhatItCannotMean(t *testing.T) {
	run := reports.Run{}
	if _, err := reports.NewJournal(io.Discard, run, []reports.Planned{{ID: "a/b"}, {ID: "a/b"}}); err == nil {
		t.Error("a case was planned twice")
	}
	j, err := reports.NewJournal(io.Discard, run, []reports.Planned{{ID: "a/b"}, {ID: "a/c"}})
	must(t, err)
	must(t, j.Record(reports.Result{ID: "a/b", Verdict: reports.Pass}))
	for want, r := range map[string]reports.Result{
		"has one already": {ID: "a/b", Verdict: reports.Pass},
		"is not planned":  {ID: "a/d", Verdict: reports.Pass},
		"has no verdict":  {ID: "a/c"},
	} {
		if err := j.Record(r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Record(%v): %v, want %q", r, err, want)
		}
	}
	must(t, j.Record(reports.Result{ID: "a/c", Verdict: reports.Pass}))
	must(t, j.Close(reports.Complete, began, nil))
	for name, err := range map[string]error{
		"Observe": j.Observe("a/b", reports.Exchange{}), "Close": j.Close(reports.Complete, began, nil),
	} {
		if err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
}

func TestJournalNeverOverwrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.journal")
	j, err := reports.CreateJournal(path, reports.Run{}, nil)
	must(t, err)
	must(t, j.Close(reports.Complete, began, nil))
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	if _, err := reports.CreateJournal(path, reports.Run{}, nil); err == nil || !strings.Contains(err.Error(), "never overwritten") {
		t.Errorf("second journal: %v", err)
	}
}

// A journal whose file is taken away must not look as if it had been kept.
func TestJournalThatIsTakenAway(t *testing.T) {
	for name, take := range map[string]func(path string) error{
		"removed":  os.Remove,
		"replaced": func(path string) error { return errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o600)) },
		"moved":    func(path string) error { return os.Rename(path, path+".old") },
	} {
		path := filepath.Join(t.TempDir(), "run.journal")
		j, err := reports.CreateJournal(path, reports.Run{}, nil)
		must(t, err)
		must(t, take(path))
		if err := j.Close(reports.Complete, began, nil); err == nil || !strings.Contains(err.Error(), "while the run went") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestJournalOnAFullDisk(t *testing.T) {
	full, err := os.OpenFile(fullDisk(t), os.O_WRONLY, 0)
	must(t, err)
	defer full.Close()
	if _, err := reports.NewJournal(full, reports.Run{}, nil); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("header: %v", err)
	}
}

// failingAfter is a disk that fills up: it takes n writes, then half of one.
type failingAfter struct {
	bytes.Buffer
	n int
}

func (w *failingAfter) Write(p []byte) (int, error) {
	if w.n--; w.n < 0 {
		w.Buffer.Write(p[:len(p)/2])
		return len(p) / 2, nil
	}
	return w.Buffer.Write(p)
}

func TestJournalErrorIsKept(t *testing.T) {
	w := &failingAfter{n: 2}
	j, err := reports.NewJournal(w, reports.Run{}, []reports.Planned{{ID: "a/b"}, {ID: "a/c"}})
	must(t, err)
	must(t, j.Record(reports.Result{ID: "a/b", Verdict: reports.Pass}))
	w.n = 0
	if err := j.Observe("a/c", reports.Exchange{}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Observe: %v", err)
	}
	w.n = 100
	if err := j.Record(reports.Result{ID: "a/c", Verdict: reports.Pass}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Record: %v", err)
	}
	if err := j.Close(reports.Complete, began, nil); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Close: %v", err)
	}
	run, err := reports.ReadJournal(w)
	must(t, err)
	if run.State != reports.Incomplete || run.Results[0].Verdict != reports.Pass || run.Results[1].Verdict != reports.Inconclusive {
		t.Errorf("read back: %+v", run)
	}
}

func TestReadJournalKeepsWhatItHasRead(t *testing.T) {
	whole := journalOf(t, sampleRun())
	broken := errors.New("the disk is gone")
	run, err := reports.ReadJournal(io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), failingReader{broken}))
	if !errors.Is(err, broken) || run.State != reports.Incomplete || run.Count().Pass == 0 {
		t.Errorf("state %s, totals %+v, error %v", run.State, run.Count(), err)
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

func TestJournalTakesRecordsFromManyAtOnce(t *testing.T) {
	var b bytes.Buffer
	results := passes("receiver/http", 64)
	j, err := reports.NewJournal(&b, reports.Run{}, plan(results))
	must(t, err)
	var wait sync.WaitGroup
	for _, r := range results {
		wait.Go(func() {
			for range 5 {
				if err := j.Observe(r.ID, exchange("delivery", 200, 1, 0)); err != nil {
					t.Error(err)
				}
			}
			if err := j.Record(r); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	must(t, j.Close(reports.Complete, began, nil))
	run, err := reports.ReadJournal(&b)
	must(t, err)
	if diff := cmp.Diff(results, run.Results); diff != "" || run.State != reports.Complete {
		t.Errorf("%s (-want +got):\n%s", run.State, diff)
	}
}

const childCases = 400

func childPlan() []reports.Result { return passes("receiver/http", childCases) }

// writeUntilKilled is what the child of TestJournalSurvivesKill does: it records as
// fast as it can, and tells of each result once the journal has taken it.
func writeUntilKilled(path string) {
	results := childPlan()
	j, err := reports.CreateJournal(path, reports.Run{Tool: "child"}, plan(results))
	for i := 0; err == nil; i++ {
		for range 20 {
			err = errors.Join(err, j.Observe(results[i%childCases].ID, exchange("delivery", 200, 1, 0)))
		}
		if i < childCases && err == nil {
			err = j.Record(results[i])
			fmt.Println(i)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// A process that is killed must leave everything that it had been told was taken,
// and never a run that looks complete.
func TestJournalSurvivesKill(t *testing.T) {
	kills := 200
	if testing.Short() {
		kills = 8
	}
	recorded := reports.Run{Results: childPlan()}
	lost := 0
	for n := range kills {
		path := filepath.Join(t.TempDir(), "run.journal")
		told := killChild(t, path)
		f, err := os.Open(path)
		must(t, err)
		run, err := reports.ReadJournal(f)
		f.Close()
		must(t, err)
		if run.State != reports.Incomplete || run.ExitCode() != reports.ExitInconclusive {
			t.Fatalf("kill %d: state %s, exit code %d", n, run.State, run.ExitCode())
		}
		checkPrefix(t, recorded, run)
		if kept := run.Count().Pass; kept < told {
			lost += told - kept
			t.Errorf("kill %d: %d results were taken, %d are left", n, told, kept)
		}
	}
	t.Logf("kill -9 recovered %d/%d, results lost %d", kills, kills, lost)
}

// killChild starts a child, kills it at a random instant after its first result, and
// returns how many results it told of.
func killChild(t *testing.T, path string) int {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+path)
	out, err := child.StdoutPipe()
	must(t, err)
	var stderr bytes.Buffer
	child.Stderr = &stderr
	must(t, child.Start())
	lines := bufio.NewScanner(out)
	told := 0
	for ; lines.Scan(); told++ {
		if told == 0 {
			time.AfterFunc(rand.N(20*time.Millisecond), func() { child.Process.Kill() })
		}
	}
	err = child.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the child was not killed: %v: %s", err, &stderr)
	}
	return told
}
