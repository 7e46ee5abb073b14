package receiver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// Judge judges one receiver. Its methods may be called concurrently.
type Judge struct {
	subject Subject
	seed    uint64
	observe func(caseName string, x reports.Exchange) error
	started time.Time

	down         string        // why the target could not be reached at all
	skew         time.Duration // the target's clock less ours, as its Date headers show it
	hasClock     bool          // whether skew is known
	papers       papers
	explanations atomic.Int64 // cases of which it was looked for what is accepted instead
	slowEffect   atomic.Int64 // the longest that an honest effect took to show, in nanoseconds
}

// NewJudge returns a judge of s. The same seed plans the same deliveries. Observe
// is given each exchange before it influences a verdict; it may be nil.
func NewJudge(s Subject, seed uint64, observe func(caseName string, x reports.Exchange) error) *Judge {
	s.Limits = s.Limits.filled(s.Profile)
	if observe == nil {
		observe = func(string, reports.Exchange) error { return nil }
	}
	return &Judge{subject: s, seed: seed, observe: observe, started: time.Now()}
}

// Preflight sends one honest delivery and returns what the user should know
// before any verdict: that nothing listens there, that even an honest delivery is
// refused, or that the target's clock is off.
func (j *Judge) Preflight(ctx context.Context) []string {
	t := j.newTrial(scenarios.Case{Suite: "preflight", ID: "honest"})
	seen, err := t.perform(ctx, scenarios.Step{}, "preflight", false)
	if err != nil {
		return []string{err.Error()}
	}
	if ctx.Err() != nil {
		return nil // what an interrupted delivery met is not the target's doing
	}
	first := seen.readings[0]
	j.readClock(first.Exchange)
	var notes []string
	switch {
	case first.Outcome == wire.NoDial || first.Outcome == wire.DialTimeout || first.Outcome == wire.TLSFailed:
		j.down = first.phrase
		notes = append(notes, fmt.Sprintf("the target could not be reached: %s%s", first.phrase, j.mend(first)))
	case first.Outcome == wire.Alerted || first.Outcome == wire.TLSClosed:
		notes = append(notes, fmt.Sprintf("the target did not take the connection (%s)%s", first.phrase, j.mend(first)))
	case first.answer != accepted:
		notes = append(notes, fmt.Sprintf("an honestly signed delivery was not accepted (%s): check --target, --profile and --secret first%s", first.phrase, t.accepts(ctx, scenarios.Step{})))
	}
	if j.hasClock && j.skew.Abs() > 2*time.Second {
		notes = append(notes, fmt.Sprintf("the target's clock differs from ours by %s", j.skew))
	}
	return notes
}

// readClock compares the Date of an answer, which has whole seconds, with our clock.
func (j *Judge) readClock(x wire.Exchange) {
	if len(x.Responses) == 0 {
		return
	}
	date, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", x.Responses[0].Headers.Get("Date"))
	if err != nil {
		return
	}
	ours := x.Start.Add(x.FirstByte).Truncate(time.Second)
	j.skew, j.hasClock = date.Sub(ours), true
}

// Exclusive tells whether the case must run while no other case does: because it
// says so itself, or because the probe cannot tell one delivery's effects from
// another's.
func (j *Judge) Exclusive(c scenarios.Case) bool {
	return c.Serial || j.subject.Probe != nil && !j.subject.Probe.Keyed()
}

// Lacks says why a case does not apply to the subject; it is empty where it does.
func (j *Judge) Lacks(c scenarios.Case) string {
	_, reason := j.lacks(c)
	return reason
}

// lacks names the first capability that a case needs and the subject lacks, and says it
// in words.
func (j *Judge) lacks(c scenarios.Case) (need, reason string) {
	for _, need := range needsOf(c) {
		if have := capabilities.find(need); !have.has(&j.subject) {
			return need, have.lack(&j.subject)
		}
	}
	return "", ""
}

// Needs are the capabilities without which a case does not apply.
func Needs(c scenarios.Case) []string { return needsOf(c) }

// Lacking tells whether there is such a capability and a profile does not have it by
// itself, without anything that a run brings.
func Lacking(p *profile.Profile, need string) bool {
	return slices.ContainsFunc(capabilities, func(c capability) bool { return c.Name == need && !c.has(&Subject{Profile: p}) })
}

// Clock is the target's clock less ours, as its first answer dated it; it is not known
// where that had no date.
func (j *Judge) Clock() (offset time.Duration, known bool) { return j.skew, j.hasClock }

// needsOf gathers what a case asks of the profile and of the run: by itself, by
// its mutations and by its expectations.
func needsOf(c scenarios.Case) []string {
	needs := slices.Clone(c.Needs)
	expect := slices.Clone(c.Expect)
	for _, step := range c.Send {
		expect = append(expect, step.Expect...)
		if step.Mutate != nil {
			needs = append(needs, partNeeds[step.Mutate.Part]...)
			needs = append(needs, mutations.find(step.Mutate.Part, step.Mutate.Name).needs...)
		}
		needs = append(needs, keyNeeds[step.Key]...)
		if step.Body != nil || step.Payload != "" || step.Size > 0 {
			needs = append(needs, "json-body")
		}
		if step.At != "" {
			needs = append(needs, "bounded-age")
		}
		if step.SameID != "" {
			needs = append(needs, "id")
		}
		needs = append(needs, tlsNeeds(step.TLS)...)
	}
	for _, e := range expect {
		needs = append(needs, expectations.find(e.Name).needs...)
	}
	if c.Measure != "" {
		needs = append(needs, measures.find(c.Measure).needs...)
	}
	return needs
}

// partNeeds are what all mutations of a part have in common.
var partNeeds = map[string][]string{
	"key": {"signature"}, "signature": {"signature"}, "asymmetric": {"signature"},
	"unsigned": {"secret"}, "forged": {"secret"}, "credential": {"credential"}, "token": {"token"}, "message": {"message-signature"}, "address": {"addresses"}, "handshake": {"handshake"},
}

var keyNeeds = map[string][]string{"second": {"second-key"}, "retired": {"retired-key"}, "other": {"other-key"}}

// Run judges one case.
func (j *Judge) Run(ctx context.Context, c scenarios.Case) reports.Result {
	start := time.Now()
	result := reports.Result{
		ID: c.Name(), Title: c.Title, Level: string(c.Level), Source: c.Source, Why: c.Why, Fix: c.Fix,
		StatusOnly: j.subject.Probe == nil,
	}
	if need, reason := j.lacks(c); reason != "" {
		result.Verdict, result.Reason, result.Lacks, result.StatusOnly = reports.Skip, reason, need, false
		return result
	}
	ctx, cancel := context.WithTimeout(ctx, firstOf(c.Timeout, time.Minute))
	defer cancel()
	t := j.newTrial(c)
	defer func() { t.canary.close() }()
	f := t.explained(ctx, t.judge(ctx))
	result.Verdict, result.Reason = f.verdict, f.reason
	if result.Verdict == reports.Fail && c.Level != scenarios.Must {
		result.Verdict = reports.Warn
	}
	result.Evidence, result.Figures = t.evidence, t.figures
	result.Duration = time.Since(start)
	return result
}

// trial is the judging of one case.
type trial struct {
	*Judge
	c        scenarios.Case
	rand     *rand.Rand
	named    earlier
	sessions map[string]*session // by the name of the step
	effects  *ledger
	canary   *canary // nil where no request has named one
	evidence []reports.Exchange
	figures  []reports.Figure
	broken   error // the journal could not be written
}

func (j *Judge) newTrial(c scenarios.Case) *trial {
	h := fnv.New64a()
	h.Write([]byte(c.Name()))
	return &trial{
		Judge: j, c: c, named: earlier{}, sessions: map[string]*session{}, effects: newLedger(j.subject.Probe),
		rand: rand.New(rand.NewPCG(j.seed, h.Sum64())),
	}
}

// finding is what an expectation found. The zero verdict becomes pass.
type finding struct {
	verdict reports.Verdict
	reason  string
	// silent marks a finding that rests on the lack of an answer, which two
	// accepted controls may turn into more.
	silent bool
	// closed marks a silence that may be a refusal: the connection was closed.
	closed bool
	// gone marks a target to which no connection can be made.
	gone bool
}

func passed() finding { return finding{verdict: reports.Pass} }

func failed(format string, args ...any) finding {
	return finding{verdict: reports.Fail, reason: fmt.Sprintf(format, args...)}
}

func inconclusive(format string, args ...any) finding {
	return finding{verdict: reports.Inconclusive, reason: fmt.Sprintf(format, args...)}
}

// worst joins findings: a failure outweighs what could not be judged, which
// outweighs a pass.
func worst(findings ...finding) finding {
	weight := map[reports.Verdict]int{reports.Pass: 0, reports.Inconclusive: 1, reports.Fail: 2}
	sum := passed()
	for _, f := range findings {
		if weight[f.verdict] > weight[sum.verdict] || f.verdict == sum.verdict && sum.reason == "" {
			sum = f
		}
	}
	return sum
}

// judge performs the case between its controls.
func (t *trial) judge(ctx context.Context) finding {
	if t.down != "" && !t.aboutShown() {
		return inconclusive("the target could not be reached when the run began: %s", t.down)
	}
	if reason := t.clockProblem(); reason != "" {
		return inconclusive("%s", reason)
	}
	if t.c.Measure != "" {
		return t.guarded(ctx, measures.find(t.c.Measure).measure(t, ctx))
	}
	twins := twinsOf(t.c)
	for _, twin := range twins {
		switch f := t.control(ctx, twin, "control before"); f.verdict {
		case reports.Pass:
		case reports.Skip:
			return t.guarded(ctx, f)
		default:
			return t.guarded(ctx, inconclusive("the honest delivery before it was not accepted: %s", f.reason))
		}
	}
	steps, err := t.performAll(ctx)
	if err != nil {
		return t.guarded(ctx, inconclusive("%s", err))
	}
	f := t.findings(steps)
	if len(twins) > 0 && (f.silent || t.negative() || f.verdict != reports.Pass) {
		f = t.afterwards(ctx, f, twins, steps)
	}
	return t.guarded(ctx, f)
}

// guarded lets no verdict stand that an interruption, or a journal that cannot be
// written, may have influenced.
func (t *trial) guarded(ctx context.Context, f finding) finding {
	switch {
	case t.broken != nil:
		return inconclusive("the observation could not be recorded: %s", t.broken)
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded) && f.verdict != reports.Fail:
		return inconclusive("the case did not end within %s", firstOf(t.c.Timeout, time.Minute))
	case ctx.Err() != nil && f.verdict != reports.Fail:
		return inconclusive("the run was interrupted")
	}
	return f
}

// ofTime are the capabilities that a case asks for which depends on the target's clock.
var ofTime = []string{"timestamp", "timestamp-beside-body", "unix-timestamp", "bounded-age", "bounded-future"}

// clockProblem says why a case that depends on the target's clock cannot be judged.
func (t *trial) clockProblem() string {
	if ts := t.subject.Profile.Timestamp; ts == nil || !t.hasClock || t.skew.Abs() <= max(ts.Tolerance/4, 2*time.Second) {
		return ""
	}
	if !slices.ContainsFunc(needsOf(t.c), func(need string) bool { return slices.Contains(ofTime, need) }) {
		return ""
	}
	return fmt.Sprintf("the target's clock differs from ours by %s: set it right, then run this case again", t.skew)
}

// twinsOf returns the honest twins of a case's steps: the step without what makes
// it special. A case that only sends an ordinary delivery has none: it is the
// control of all others.
func twinsOf(c scenarios.Case) []scenarios.Step {
	var twins []scenarios.Step
	for _, s := range c.Send {
		twin, special := twinOf(s)
		known := slices.ContainsFunc(twins, func(t scenarios.Step) bool { return sameTwin(t, twin) })
		if special && !known {
			twins = append(twins, twin)
		}
	}
	return twins
}

// twinOf keeps what a mutated step has in common with an honest one: its body and
// its headers. Where nothing is mutated, what is special is the step itself, and
// its twin is an ordinary delivery.
func twinOf(s scenarios.Step) (twin scenarios.Step, special bool) {
	if (s.Mutate != nil || s.TLS != nil) && s.Replay == "" {
		return scenarios.Step{Payload: s.Payload, Body: s.Body, Size: s.Size, Event: s.Event, Headers: s.Headers, Query: s.Query, TLS: honestTLS(s.TLS)}, true
	}
	special = s.TLS != nil || s.Mutate != nil || s.Payload != "" || s.Body != nil || s.Size > 0 || s.Event != "" || len(s.Headers) > 0 ||
		s.Query != "" || s.Key != "" || s.At != "" || s.Wire != nil || s.Times > 1
	return scenarios.Step{}, special
}

func sameTwin(a, b scenarios.Step) bool {
	return a.Payload == b.Payload && a.Body == b.Body && a.Size == b.Size && a.Event == b.Event && a.Query == b.Query &&
		fmt.Sprint(a.Headers) == fmt.Sprint(b.Headers) && reflect.DeepEqual(a.TLS, b.TLS)
}

// control sends an honest delivery, which must be accepted.
func (t *trial) control(ctx context.Context, twin scenarios.Step, label string) finding {
	seen, err := t.perform(ctx, twin, label, false)
	if err != nil {
		return inconclusive("%s", err)
	}
	t.recountOne(ctx, &seen)
	f := judgeAccepted(t, seen)
	f.gone = seen.readings[0].Outcome == wire.NoDial
	if twin.TLS != nil && unspoken(seen.readings[0]) {
		f = finding{verdict: reports.Skip, reason: "the target does not speak " + tls.VersionName(scenarios.TLSVersion(twin.TLS.Version))}
	}
	return f
}

// negative tells whether any expectation of the case is one that a dead or
// unwilling target would meet.
func (t *trial) negative() bool {
	is := func(w scenarios.Word) bool { return expectations.find(w.Name).negative }
	return slices.ContainsFunc(t.c.Expect, is) ||
		slices.ContainsFunc(t.c.Send, func(s scenarios.Step) bool { return slices.ContainsFunc(s.Expect, is) })
}

// repeats is how often a silence must repeat itself between accepted controls
// before it is held against the subject.
const repeats = 3

// afterwards weighs a finding by the honest deliveries that follow it.
func (t *trial) afterwards(ctx context.Context, f finding, twins []scenarios.Step, steps []seen) finding {
	for i := 0; ; i++ {
		twins := twins
		if t.negative() && i == 0 || f.closed && i == 1 {
			// What refuses every second delivery, or closes every second connection, as one
			// of two servers behind a balancer does, would seem to refuse this one alone.
			twins = slices.Concat(twins, twins[:1])
		}
		for _, twin := range twins {
			control := t.control(ctx, twin, "control after")
			if control.silent && !control.gone {
				// A target that is dying may still take a connection that it never serves.
				if again := t.control(ctx, twin, "control after, again"); again.gone || !f.closed {
					control = again
				}
			}
			if control.verdict != reports.Pass {
				return afterBadControl(f, control)
			}
		}
		t.recount(ctx, steps)
		again := t.findings(steps)
		if !f.silent {
			return worst(f, again)
		}
		if t.negative() && !f.closed || again.verdict == reports.Fail || ctx.Err() != nil {
			return worst(f, again)
		}
		if i == repeats-1 && f.closed {
			return finding{verdict: reports.Pass, reason: unattributed}
		}
		if i == repeats-1 {
			return failed("%s, %d times out of %d, while the honest deliveries between were accepted", f.reason, repeats, repeats)
		}
		var err error
		if steps, err = t.performAll(ctx); err != nil {
			return inconclusive("%s", err)
		}
		wasClosed := f.closed
		f = t.findings(steps)
		if wasClosed && (f.closed || f.verdict != reports.Inconclusive) {
			continue // closed again; or refused by an alert, for once, which no reset has overtaken; or worse
		}
		if !f.silent {
			return inconclusive("it was answered in one attempt and not in another: %s", f.reason)
		}
	}
}

// afterBadControl judges by a target that no longer accepts honest deliveries.
func afterBadControl(f, control finding) finding {
	switch {
	case control.gone:
		return failed("the target stopped serving: nothing listened any more when the honest delivery after this one was sent (%s). "+
			"Where other cases were running, run this one alone to be sure which delivery it was", control.reason)
	case f.verdict == reports.Fail:
		return f
	}
	return inconclusive("the honest delivery after it was not accepted: %s", control.reason)
}

// findings asks every expectation of the case.
func (t *trial) findings(steps []seen) finding {
	var all []finding
	var common []seen
	for _, s := range steps {
		if len(s.step.Expect) == 0 {
			common = append(common, s)
		}
		for _, w := range s.step.Expect {
			all = append(all, expectations.find(w.Name).ask(t, []seen{s}, w.Arg))
		}
	}
	for _, w := range t.c.Expect {
		e := expectations.find(w.Name)
		about := common
		if e.whole {
			about = steps
			if unfit := t.ordinary(common); unfit.verdict != reports.Pass {
				all = append(all, unfit)
				continue
			}
		}
		all = append(all, e.ask(t, about, w.Arg))
	}
	return worst(all...)
}

// ordinary demands that the deliveries which a case only builds upon were
// accepted: where they were not, what follows says nothing.
func (t *trial) ordinary(steps []seen) finding {
	for _, s := range steps {
		if _, special := twinOf(s.step); special || s.step.Replay != "" || s.step.SameID != "" || s.step.Retry != "" {
			continue
		}
		if f := judgeAccepted(t, s); f.verdict != reports.Pass {
			return inconclusive("the delivery it builds on was not accepted: %s", f.reason)
		}
	}
	return passed()
}
