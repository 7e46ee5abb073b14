package reports

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A journal is a text file of one JSON object a line:
//
//	{"crc":"1c291ca3","record":{"kind":"header", ...}}       the run, and the cases that are planned
//	{"crc":"9ae0daaf","record":{"kind":"observation", ...}}  an exchange, or what was absorbed or measured, before it influences a verdict
//	{"crc":"5d3a7a0e","record":{"kind":"result", ...}}       the judgement of one case
//	{"crc":"e8b7be43","record":{"kind":"end", ...}}          how the run ended, the count and the SHA-256 of all lines before
//
// The checksum (CRC-32C) of a line goes on from that of the line before, so that a
// line that is changed, lost, repeated or moved ends the valid part of the journal.
const journalSchema = "hookanvil.journal/1"

// Planned is a case that a run is going to judge.
type Planned struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Level string `json:"level"`
}

// record is one line of a journal. Which fields are set depends on the kind.
type record struct {
	Kind     string       `json:"kind"`
	Schema   string       `json:"schema,omitempty"`   // header
	Run      *Run         `json:"run,omitempty"`      // header, without results; end: state, ended, notes, clock
	Planned  []Planned    `json:"planned,omitempty"`  // header
	Case     string       `json:"case,omitempty"`     // observation
	Exchange *Exchange    `json:"exchange,omitempty"` // observation, or
	Absorbed *Absorption  `json:"absorbed,omitempty"` // observation, or
	Measured *Measurement `json:"measured,omitempty"` // observation
	Result   *Result      `json:"result,omitempty"`   // result
	Lines    int          `json:"lines,omitempty"`    // end: lines before this one
	Digest   string       `json:"digest,omitempty"`   // end: SHA-256 of the lines before this one
}

// Journal is the append-only record of a run, from which every report is derived.
// Each record is one write to the file and is checked; after the first that fails,
// every call returns that error. Results and the end are synced to the disk. The
// methods may be called concurrently.
type Journal struct {
	mu      sync.Mutex
	w       io.Writer
	name    string
	err     error
	closed  bool
	offset  *float64        // for the end
	pending map[string]bool // planned cases: true until they have a result
	chain   chain
}

// chain is what the lines so far amount to.
type chain struct {
	crc    uint32
	lines  int
	digest hash.Hash
}

func (c *chain) add(crc uint32, line []byte) {
	c.crc = crc
	c.lines++
	c.digest.Write(line)
}

func newChain() chain { return chain{digest: sha256.New()} }

func (c *chain) sum() string { return hex.EncodeToString(c.digest.Sum(nil)) }

// CreateJournal creates the file path, which must not exist yet, readable by its
// owner only, and writes the header. Of run, everything but how it ended is taken.
func CreateJournal(path string, run Run, planned []Planned) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("create journal %s: the file exists, and a journal is never overwritten; name another file or move this one away", path)
	}
	if err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	j, err := newJournal(f, path, run, planned)
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return j, nil
}

// NewJournal writes a journal to w. Where w is an io.Closer it is closed with the
// journal; where it has a method Sync, that is called after results and at the end.
func NewJournal(w io.Writer, run Run, planned []Planned) (*Journal, error) {
	return newJournal(w, "", run, planned)
}

func newJournal(w io.Writer, name string, run Run, planned []Planned) (*Journal, error) {
	j := &Journal{w: w, name: strings.TrimSpace("journal " + name), pending: pending(planned), chain: newChain()}
	if len(j.pending) < len(planned) {
		return nil, fmt.Errorf("%s: a case is planned twice", j.name)
	}
	run.Results, run.Totals, run.State = nil, Totals{}, ""
	_ = j.write(record{Kind: "header", Schema: journalSchema, Run: &run, Planned: planned}, true)
	return j, j.err
}

func pending(planned []Planned) map[string]bool {
	m := map[string]bool{}
	for _, p := range planned {
		m[p.ID] = true
	}
	return m
}

// Observe records an exchange of a case. It is to be called before the exchange
// influences a verdict, and no verdict may rest on it where it fails.
func (j *Journal) Observe(caseID string, x Exchange) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write(record{Kind: "observation", Case: caseID, Exchange: &x}, false)
}

// Absorb records what came of events that were fired at a rate: the counts, and the
// distributions with their histograms. It is called when Observe is.
func (j *Journal) Absorb(caseID string, a Absorption) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write(record{Kind: "observation", Case: caseID, Absorbed: &a}, false)
}

// Measure records what was measured of a load, with its histograms and series. It is called
// when Observe is; of several measurements of a case the last one counts.
func (j *Journal) Measure(caseID string, m Measurement) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write(record{Kind: "observation", Case: caseID, Measured: &m}, false)
}

// Record records the judgement of a planned case, once.
func (j *Journal) Record(r Result) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	pending, planned := j.pending[r.ID]
	switch {
	case !planned:
		return fmt.Errorf("%s: record result: case %q is not planned", j.name, r.ID)
	case !pending:
		return fmt.Errorf("%s: record result: case %s has one already", j.name, r.ID)
	case !r.Verdict.valid():
		return fmt.Errorf("%s: record result: case %s has no verdict (%q)", j.name, r.ID, r.Verdict)
	}
	if err := j.write(record{Kind: "result", Result: &r}, true); err != nil {
		return err
	}
	j.pending[r.ID] = false
	return nil
}

// Clock has the end record the subject's clock less ours, in milliseconds; nil where it
// is not known.
func (j *Journal) Clock(offset *float64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.offset = offset
}

// Close records how the run ended, Complete or Interrupted, and closes the file. A
// run that is said to be complete while planned cases have no result is read back
// as incomplete.
func (j *Journal) Close(state string, ended time.Time, notes []string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	_ = j.write(record{
		Kind: "end", Run: &Run{State: state, Ended: ended, Notes: notes, ClockOffset: j.offset},
		Lines: j.chain.lines, Digest: j.chain.sum(),
	}, true)
	if err := j.stands(); err != nil && j.err == nil {
		j.err = err
	}
	if c, ok := j.w.(io.Closer); ok && !j.closed {
		if err := c.Close(); err != nil && j.err == nil {
			j.err = fmt.Errorf("close %s: %w", j.name, err)
		}
	}
	err := j.err
	j.closed = true
	if j.err == nil {
		j.err = fmt.Errorf("%s is closed", j.name)
	}
	return err
}

// stands makes sure that the file is still where it was created: one that was removed, or
// replaced, takes writes without a complaint, and is lost.
func (j *Journal) stands() error {
	f, ok := j.w.(*os.File)
	if !ok || j.closed {
		return nil
	}
	ours, err := f.Stat()
	if err != nil {
		return fmt.Errorf("close %s: %w", j.name, err)
	}
	there, err := os.Stat(f.Name())
	if err != nil || !os.SameFile(ours, there) {
		return fmt.Errorf("close %s: it was removed or replaced while the run went, and is lost", j.name)
	}
	return nil
}

// write appends one line with one write, so that a process that is killed leaves
// whole lines. The caller holds the lock.
func (j *Journal) write(r record, sync bool) error {
	if j.err != nil {
		return j.err
	}
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("%s: encode %s: %w", j.name, r.Kind, err)
	}
	crc := checksum(j.chain.crc, body)
	line := frame(crc, body)
	n, err := j.w.Write(line)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	if s, ok := j.w.(interface{ Sync() error }); ok && sync && err == nil {
		err = s.Sync()
	}
	if err != nil {
		j.err = fmt.Errorf("write %s to %s: %w; what was recorded before is intact", r.Kind, j.name, err)
		return j.err
	}
	j.chain.add(crc, line)
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(before uint32, body []byte) uint32 { return crc32.Update(before, castagnoli, body) }

func frame(crc uint32, body []byte) []byte {
	return fmt.Appendf(nil, `{"crc":"%08x","record":%s}`+"\n", crc, body)
}

// frameHead and frameTail are the bytes around a record.
const (
	frameHead = len(`{"crc":"00000000","record":`)
	frameTail = len("}\n")
)

// unframe returns the record of a line and its checksum, which follows the one
// before it. The line must be, byte for byte, what frame makes of its record.
func unframe(line []byte, before uint32) (r record, crc uint32, ok bool) {
	if len(line) < frameHead+frameTail {
		return r, 0, false
	}
	body := line[frameHead : len(line)-frameTail]
	crc = checksum(before, body)
	if !bytes.Equal(line, frame(crc, body)) || json.Unmarshal(body, &r) != nil {
		return r, 0, false
	}
	return r, crc, true
}

// Bounds of what reading a journal holds: bytes of a line, and exchanges of a case
// that was not judged.
const (
	longestLine  = 64 << 20
	mostObserved = 12
)

// ReadJournal reads a journal back as far as it is valid. The run is complete only
// where it ends as Close left it and every planned case has a result. Otherwise its
// state tells what it is, and the cases without a result are inconclusive. Where r
// fails, what was read until then comes with the error; without a valid header there
// is nothing but the error.
func ReadJournal(r io.Reader) (Run, error) {
	j, err := readJournal(r)
	if !j.begun {
		return Run{}, err
	}
	return j.run(), err
}

// readJournal reads a journal as far as it is valid.
func readJournal(r io.Reader) (*reading, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestLine)
	lines.Split(wholeLines)
	reading := &reading{chain: newChain()}
	for lines.Scan() && reading.take(lines.Bytes()) {
	}
	err := lines.Err()
	reading.damaged = reading.damaged || err != nil
	if err != nil && !errors.Is(err, bufio.ErrTooLong) {
		err = fmt.Errorf("read journal: %w", err)
	} else {
		err = nil
	}
	if !reading.begun {
		err = errors.Join(err, fmt.Errorf("read journal: its first line is not a valid header of %s", journalSchema))
	}
	return reading, err
}

// wholeLines splits at line ends, which it keeps.
func wholeLines(data []byte, atEOF bool) (advance int, line []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// reading is a journal that is being read.
type reading struct {
	chain
	begun, ended, damaged bool
	header                Run
	planned               []Planned
	pending               map[string]bool
	results               map[string]Result
	observed              map[string][]Exchange
	absorbed              map[string]Absorption  // the last one
	measured              map[string]Measurement // the last one
}

// take takes the next line, and tells whether it belongs to the valid part.
func (j *reading) take(line []byte) bool {
	r, crc, ok := unframe(line, j.crc)
	if ok = ok && !j.ended && j.apply(r); ok {
		j.chain.add(crc, line)
	}
	j.damaged = !ok
	return ok
}

func (j *reading) apply(r record) bool {
	if j.begun == (r.Kind == "header") {
		return false
	}
	switch {
	case r.Kind == "header" && r.Schema == journalSchema && r.Run != nil:
		j.begun, j.header, j.planned = true, *r.Run, r.Planned
		j.results, j.observed = map[string]Result{}, map[string][]Exchange{}
		j.absorbed, j.measured = map[string]Absorption{}, map[string]Measurement{}
		j.pending = pending(r.Planned)
	case r.Kind == "observation" && r.Exchange != nil:
		if len(j.observed[r.Case]) < mostObserved {
			j.observed[r.Case] = append(j.observed[r.Case], *r.Exchange)
		}
	case r.Kind == "observation" && r.Absorbed != nil:
		j.absorbed[r.Case] = *r.Absorbed
	case r.Kind == "observation" && r.Measured != nil:
		j.measured[r.Case] = *r.Measured
	case r.Kind == "result" && r.Result != nil && r.Result.Verdict.valid() && j.pending[r.Result.ID]:
		j.pending[r.Result.ID] = false
		j.results[r.Result.ID] = *r.Result
	case r.Kind == "end" && r.Run != nil && r.Lines == j.lines && r.Digest == j.sum():
		if r.Run.State != Complete && r.Run.State != Interrupted {
			return false
		}
		j.ended = true
		j.header.State, j.header.Ended = r.Run.State, r.Run.Ended
		j.header.Notes = append(j.header.Notes, r.Run.Notes...)
		j.header.ClockOffset = r.Run.ClockOffset
	default:
		return false
	}
	return true
}

// run is what the valid part of the journal tells.
func (j *reading) run() Run {
	run := j.header
	if !j.ended || j.damaged {
		run.State, run.Ended = Incomplete, time.Time{}
	}
	missing := len(j.planned) - len(j.results)
	if missing > 0 && run.State != Interrupted {
		run.State = Incomplete
	}
	if run.State == Incomplete {
		note := fmt.Sprintf("the run was cut short: %d of %d planned cases have a result", len(j.results), len(j.planned))
		run.Notes = append(slices.Clone(run.Notes), note)
	}
	for _, p := range j.planned {
		result, ok := j.results[p.ID]
		if !ok {
			result = j.unjudged(p, run.State)
		}
		if m, ok := j.measured[p.ID]; ok && result.Load != nil {
			result.Load = result.Load.with(&m)
		}
		if a, ok := j.absorbed[p.ID]; ok && result.Absorbed != nil {
			result.Absorbed = result.Absorbed.with(&a)
		}
		run.Results = append(run.Results, result)
	}
	run.Schema = Schema
	run.Totals = run.Count()
	return run
}

// unjudged is the result of a case that the run did not come to, or did not finish.
func (j *reading) unjudged(p Planned, state string) Result {
	result := Result{ID: p.ID, Title: p.Title, Level: p.Level, Verdict: Inconclusive, Evidence: j.observed[p.ID]}
	what := "the run was cut short"
	if state == Interrupted {
		what = "the run was interrupted"
	}
	result.Reason = "did not run: " + what
	if a, ok := j.absorbed[p.ID]; ok {
		result.Absorbed = &a
	}
	if m, ok := j.measured[p.ID]; ok {
		result.Load = &m
	}
	if len(result.Evidence) > 0 || result.Absorbed != nil || result.Load != nil {
		result.Reason = "not judged: " + what
	}
	return result
}

func (v Verdict) valid() bool {
	return slices.Contains([]Verdict{Pass, Fail, Warn, Skip, Inconclusive}, v)
}
