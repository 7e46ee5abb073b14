package suites

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// Config says what a session judges and how.
type Config struct {
	Subject Subject
	Cases   []scenarios.Case // in the order in which they are reported
	Seed    uint64
	// Parallel bounds the cases that run at the same time; DefaultParallel, or
	// DefaultParallelSender, where it is 0.
	Parallel int
	// FailFast begins no more cases after the first failure that is not known.
	FailFast bool
	Timeout  time.Duration   // for all cases; none where it is 0
	Known    []reports.Known // failures that are accepted for a time
	// Baseline is the run that this one is held against; nil where there is none.
	Baseline *reports.Record
	// Journal is the file that records the run as it goes; none where it is empty.
	Journal string
	// Folder is kept as the run goes, the journal in it; none where it is nil.
	Folder *Folder
	// Redactor takes secrets out of everything that is kept; it may be nil.
	Redactor *reports.Redactor
	// Reproduce returns the command that runs a case again; it may be nil.
	Reproduce func(scenarios.Case) string
	// Watch is told of every beginning and end of a case, and every second between,
	// one call at a time; it may be nil.
	Watch func(Progress)
	// Prompt tells a person what to do, where no trigger has a sender deliver; it may
	// be nil.
	Prompt func(text string)
	// Resolver is the address on which the names of sender/ssrf are served; none where
	// it is empty.
	Resolver string
	// Load is what the cases of load take for the declared rate and time.
	Load Declared
	// Observe is the file to which a sender's observed profile is written when the
	// run has ended; none where it is empty.
	Observe string
	Notes   []string // that the run begins with
	Tool    string   // name and version, for the reports

	verdictsOnly bool  // evidence is of no interest
	ample        bool  // the sender has as many workers as it needs, as ours has
	gate         *gate // through which the cases of several sessions pass; may be nil
}

// Progress is how far a session has got.
type Progress struct {
	Done, Total, Failed int
	Running             []string  // names of the cases that run, in the order in which they began
	Until               time.Time // when the last of those ends at the latest; zero where that is unknown
}

// stopped is why a session itself begins no more cases. Any other cause is an
// interruption from outside.
type stopped string

func (s stopped) Error() string { return string(s) }

const (
	outOfTime   stopped = "the time for the whole run (--timeout) was over"
	failedFast  stopped = "an earlier case failed (--fail-fast)"
	unrecorded  stopped = "the journal could not be written"
	interrupted         = "interrupted"
)

// Session judges cases, several at the same time. A case that panics, a journal
// that cannot be written and an interruption cost what they concern and nothing
// else: every case has a result in the end.
type Session struct {
	config  Config
	judge   Judge
	journal *reports.Journal
	folder  *reports.Folder
	pulse   *pulse
	started time.Time
	over    time.Time // when it had ended
	slots   map[string]*slot
	ended   chan struct{}

	ctx  context.Context // of the cases; its cause tells why it was cancelled
	stop context.CancelCauseFunc

	mu       sync.Mutex
	progress Progress
	notes    []string
	broken   error // of our own making: a panic, the journal
	cut      bool  // whether a case was not judged because the session was stopped
	state    string
}

// slot is where the result of one case will be.
type slot struct {
	done   chan struct{}
	result reports.Result
}

// Start begins a session. Cancelling ctx interrupts it: no new cases begin, running
// ones give up. The error, if any, is of the journal or of the address to listen
// on, and nothing has been sent.
func Start(ctx context.Context, c Config) (*Session, error) {
	s := &Session{config: c, started: time.Now(), slots: map[string]*slot{}, ended: make(chan struct{})}
	for _, kase := range c.Cases {
		s.slots[kase.Name()] = &slot{done: make(chan struct{})}
	}
	s.progress.Total = len(c.Cases)
	s.note(c.Notes...)
	var err error
	if s.judge, err = c.Subject.judge(c, witness{s.observe, s.absorb, s.measure}); err != nil {
		return nil, err
	}
	if err := s.openRecords(); err != nil {
		return nil, errors.Join(err, s.dismiss())
	}
	s.begin(ctx)
	return s, nil
}

// openRecords begins the results folder and the journal, where they are wanted.
func (s *Session) openRecords() (err error) {
	f := s.config.Folder
	switch {
	case f != nil:
		if s.folder, err = reports.BeginFolder(f.Dir, f.Manifest); err != nil {
			return err
		}
		if s.journal, err = s.folder.Journal(s.header(), s.planned()); err != nil {
			return errors.Join(err, s.folder.Close())
		}
	case s.config.Journal != "":
		s.journal, err = reports.CreateJournal(s.config.Journal, s.header(), s.planned())
	}
	return err
}

// begin starts judging.
func (s *Session) begin(ctx context.Context) {
	ctx, release := context.WithCancelCause(ctx)
	disarm := func() {}
	if s.config.Timeout > 0 {
		ctx, disarm = context.WithTimeoutCause(ctx, s.config.Timeout, outOfTime)
	}
	s.ctx, s.stop = ctx, release
	go func() {
		defer close(s.ended)
		unwatch := s.everySecond()
		s.run()
		unwatch()
		disarm()
		release(nil)
	}()
}

// Await returns the result of a case, once it is there. Where ctx ends before,
// the result says that the case was not awaited.
func (s *Session) Await(ctx context.Context, name string) reports.Result {
	slot := s.slots[name]
	if slot == nil {
		return reports.Result{ID: name, Verdict: reports.Inconclusive, Reason: "the case is not among those of this run"}
	}
	select {
	case <-slot.done:
		return slot.result
	case <-ctx.Done():
		return reports.Result{ID: name, Verdict: reports.Inconclusive, Reason: "the case was not awaited: " + context.Cause(ctx).Error()}
	}
}

// Wait returns what the run found, when it has ended. The error means that the
// harness itself failed; the run then says what it still could.
func (s *Session) Wait() (reports.Run, error) {
	<-s.ended
	return s.found(), s.broken
}

// found is the run, with everything that is known of it when it has ended.
func (s *Session) found() reports.Run {
	run := s.header()
	run.Ended, run.State, run.Notes, run.ClockOffset = s.over, s.state, s.notes, s.clock()
	for _, c := range s.config.Cases {
		run.Results = append(run.Results, s.slots[c.Name()].result)
	}
	excuse(&run, s.config.Baseline, s.config.Known, s.over)
	return run
}

// header is the run as it is known before it begins.
func (s *Session) header() reports.Run {
	subject := s.config.Subject.About
	subject.Target = s.config.Redactor.Clean(subject.Target)
	return reports.Run{
		Schema: reports.Schema, Tool: s.config.Tool, Subject: subject,
		Profile: s.config.Subject.Profile.Name, Seed: s.config.Seed, Started: s.started,
	}
}

func (s *Session) planned() []reports.Planned {
	var all []reports.Planned
	for _, c := range s.config.Cases {
		all = append(all, reports.Planned{ID: c.Name(), Title: c.Title, Level: string(c.Level)})
	}
	return all
}

// run judges every case: those that can stand company together, the others one by
// one afterwards.
func (s *Session) run() {
	var still func()
	s.pulse, still = startPulse()
	defer still()
	s.note(s.judge.Preflight(s.ctx)...)
	alone := s.together()
	for _, c := range alone {
		s.runCase(c)
	}
	s.state = reports.Complete
	if s.cut && s.whyStopped() == interrupted {
		s.state = reports.Interrupted
	}
	s.writeObserved()
	s.fail(s.dismiss())
	s.over = time.Now()
	if s.journal != nil {
		s.journal.Clock(s.clock())
		s.fail(s.journal.Close(s.state, s.over, s.notes))
	}
	if s.folder != nil {
		s.fail(s.folder.End(s.found()))
	}
}

// clock is the subject's clock less ours in milliseconds; nil where it is not known.
func (s *Session) clock() *float64 {
	j, ok := s.judge.(clocked)
	if !ok {
		return nil
	}
	offset, known := j.Clock()
	if !known {
		return nil
	}
	ms := float64(offset.Milliseconds())
	return &ms
}

// together runs the cases that may run at the same time, and returns the others.
// Those that hold the subject up come behind those that do not, and few at a time.
func (s *Session) together() (alone []scenarios.Case) {
	var first, later []scenarios.Case
	j, _ := s.judge.(considerate)
	for _, c := range s.config.Cases {
		switch {
		case s.judge.Exclusive(c):
			alone = append(alone, c)
		case j != nil && !s.config.ample && j.Later(c):
			later = append(later, c)
		default:
			first = append(first, c)
		}
	}
	s.atOnce(first, cmp.Or(s.config.Parallel, s.config.Subject.parallel))
	s.atOnce(later, cmp.Or(s.config.Parallel, fewer))
	return alone
}

// fewer is how many cases that hold the subject up run at the same time, unless the
// user says otherwise: less than a sender has workers, if it is not a small one.
const fewer = 8

// atOnce runs cases, so many of them at the same time.
func (s *Session) atOnce(cases []scenarios.Case, parallel int) {
	var running sync.WaitGroup
	defer running.Wait()
	places := make(chan struct{}, parallel)
	for _, c := range cases {
		places <- struct{}{}
		s.config.gate.enter()
		running.Go(func() {
			defer func() { <-places; s.config.gate.leave() }()
			s.runCase(c)
		})
	}
}

// runCase judges one case, if it is still to be judged.
func (s *Session) runCase(c scenarios.Case) {
	if s.ctx.Err() != nil {
		s.keep(c, s.unjudged(c, "did not run: "+s.whyStopped()))
		return
	}
	s.update(func(p *Progress) { p.Running = append(slices.Clip(p.Running), c.Name()) })
	began := time.Now()
	result := s.judged(c)
	s.pulse.weigh(&result, began)
	if s.ctx.Err() != nil && result.Verdict == reports.Inconclusive {
		result.Reason = "was given up: " + s.whyStopped()
	}
	s.keep(c, result)
}

// judged judges one case. A panic is our own fault, and costs this case alone.
func (s *Session) judged(c scenarios.Case) (result reports.Result) {
	defer func() {
		if r := recover(); r != nil {
			s.fail(fmt.Errorf("judge %s: panic: %v\n%s", c.Name(), r, debug.Stack()))
			result = s.unjudged(c, fmt.Sprintf("the harness failed: panic: %v", r))
		}
	}()
	return s.judge.Run(s.ctx, c)
}

func (s *Session) unjudged(c scenarios.Case, reason string) reports.Result {
	return reports.Result{
		ID: c.Name(), Title: c.Title, Level: string(c.Level), Source: c.Source, Why: c.Why, Fix: c.Fix,
		Verdict: reports.Inconclusive, Reason: reason,
	}
}

// keep records a result, free of secrets.
func (s *Session) keep(c scenarios.Case, result reports.Result) {
	if s.config.Reproduce != nil && result.Verdict != reports.Skip {
		result.Reproduce = s.config.Reproduce(c)
	}
	if s.config.verdictsOnly {
		result.Evidence = nil
	}
	result.File, result.Line = placeOf(c)
	result.Duration = result.Duration.Truncate(time.Microsecond) // as it is kept: reports of it sum up alike
	result = s.config.Redactor.CleanResult(result)
	if s.journal != nil {
		_ = s.recorded(s.journal.Record(result))
	}
	slot := s.slots[c.Name()]
	slot.result = result
	close(slot.done)
	failed := result.Verdict == reports.Fail && s.config.standing(result, time.Now()).excuse == ""
	cut := s.ctx.Err() != nil && result.Verdict == reports.Inconclusive
	s.update(func(p *Progress) {
		s.cut = s.cut || cut
		p.Done++
		p.Running = slices.DeleteFunc(slices.Clone(p.Running), func(name string) bool { return name == c.Name() })
		if failed {
			p.Failed++
		}
	})
	if failed && s.config.FailFast {
		s.stop(failedFast)
	}
}

// observe journals an exchange before it influences a verdict.
func (s *Session) observe(caseName string, x reports.Exchange) error {
	if s.slots[caseName] == nil || s.journal == nil {
		return nil
	}
	return s.recorded(s.journal.Observe(caseName, s.config.Redactor.CleanExchange(x)))
}

// absorb journals what came of events at a rate, before it influences a verdict.
func (s *Session) absorb(caseName string, a reports.Absorption) error {
	if s.slots[caseName] == nil || s.journal == nil {
		return nil
	}
	return s.recorded(s.journal.Absorb(caseName, *s.config.Redactor.CleanAbsorption(&a)))
}

// measure journals what was measured of a load, before it influences a verdict.
func (s *Session) measure(caseName string, m reports.Measurement) error {
	if s.slots[caseName] == nil || s.journal == nil {
		return nil
	}
	return s.recorded(s.journal.Measure(caseName, *s.config.Redactor.CleanMeasurement(&m)))
}

// recorded stops the session where the journal cannot be written: what is not
// recorded must not be judged by.
func (s *Session) recorded(err error) error {
	if err != nil {
		s.fail(err)
		s.stop(unrecorded)
	}
	return err
}

// whyStopped says why no more cases begin.
func (s *Session) whyStopped() string {
	var own stopped
	if errors.As(context.Cause(s.ctx), &own) {
		return own.Error()
	}
	return interrupted
}

func (s *Session) update(change func(*Progress)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.progress)
	if s.config.Watch != nil {
		s.progress.Until = s.until(s.progress.Running)
		s.config.Watch(s.progress)
	}
}

// until is when the last of the cases ends at the latest; zero where the judge
// knows of none.
func (s *Session) until(running []string) (latest time.Time) {
	j, ok := s.judge.(foresighted)
	if !ok {
		return latest
	}
	for _, name := range running {
		if until := j.Until(name); until.After(latest) {
			latest = until
		}
	}
	return latest
}

// everySecond tells Watch how far the session is, so that who waits sees the time
// go by, until the returned function is called.
func (s *Session) everySecond() (stop func()) {
	if s.config.Watch == nil {
		return func() {}
	}
	return every(time.Second, func() { s.update(func(*Progress) {}) })
}

// dismiss lets the judge go: it listens no more.
func (s *Session) dismiss() error {
	if j, ok := s.judge.(closer); ok {
		return j.Close()
	}
	return nil
}

// writeObserved writes what the subject was seen to do.
func (s *Session) writeObserved() {
	j, ok := s.judge.(observant)
	if s.config.Observe == "" || !ok {
		return
	}
	observed := j.Observed()
	if observed == nil {
		s.note("no profile was observed: nothing was delivered")
		return
	}
	s.fail(writeProfile(s.config.Observe, observed))
}

func (s *Session) note(notes ...string) {
	for _, n := range notes {
		s.notes = append(s.notes, s.config.Redactor.Clean(n))
	}
}

// fail remembers the first failure of our own making.
func (s *Session) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil && err != nil {
		s.broken = err
	}
}
