package sender

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// Judge judges one sender. Its methods may be called concurrently.
type Judge struct {
	subject Subject
	observe func(caseName string, x reports.Exchange) error
	started time.Time
	house   *house

	underWay atomic.Int64  // attempts that have not been answered to the end
	down     string        // why nothing can be judged
	carried  bool          // the payload carries the token
	near     bool          // the sender is on this machine, so that its loopback is ours
	took     time.Duration // that the first delivery took to arrive
	learning sync.Once
	learned  [2]atomic.Int64 // the gaps after the first two attempts, as they were seen; in nanoseconds

	doubting sync.Mutex // one signature is diagnosed at a time
	doubted  int        // how many were

	mu     sync.Mutex
	ends   map[string]time.Time // when running cases end at the latest
	sights sights
}

// NewJudge returns a judge of s that listens for its deliveries; Close ends it.
// Observe is given each exchange before it influences a verdict; it may be nil. The
// seed is of no use yet: a sender's deliveries are its own.
func NewJudge(s Subject, _ uint64, observe func(caseName string, x reports.Exchange) error) (*Judge, error) {
	s.Limits = s.Limits.filled()
	if observe == nil {
		observe = func(string, reports.Exchange) error { return nil }
	}
	j := &Judge{subject: s, observe: observe, started: time.Now(), ends: map[string]time.Time{}, sights: newSights()}
	var err error
	if j.house, err = newHouse(&j.subject); err != nil {
		return nil, err
	}
	return j, nil
}

// URL is the base of the endpoints' URLs.
func (j *Judge) URL() string { return j.house.base.String() }

// Close stops listening.
func (j *Judge) Close() error { return j.house.close() }

// Preflight has one event delivered and returns what the user should know before any
// verdict: that nothing arrives, or that nothing verifies.
func (j *Judge) Preflight(ctx context.Context) []string {
	t := j.newTrial(scenarios.Case{Suite: "preflight", ID: "honest", Trigger: scenarios.Triggers{{}}})
	defer t.close()
	f := t.open(ctx)
	if f.reason == "" {
		t.perform(ctx)
		f = t.arrivals()
	}
	if ctx.Err() != nil {
		return nil // what an interruption cut short is not the sender's doing
	}
	if f.reason != "" {
		j.down = f.reason
		return []string{"no event could be delivered: " + f.reason}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	first := t.deliveries[0].attempts[0]
	j.took = first.whole.Sub(t.events[0].fired)
	j.carried = tokenIn(first, t.events[0].token)
	j.near = j.subject.PublicURL == nil && first.request.Remote.Addr().IsLoopback()
	var notes []string
	if j.subject.Profile.Signed() && first.active != nil {
		notes = append(notes, fmt.Sprintf("the first delivery's signature does not verify (%s): check --profile and --secret%s", first.active, t.diagnosis(first, first.active)))
	}
	if !j.carried {
		notes = append(notes, "deliveries do not carry the token of their event ({token} in --trigger): they are told apart by endpoint, id and body")
	}
	return notes
}

// latency is the time that a delivery takes to arrive.
func (j *Judge) latency() time.Duration { return j.took }

// Exclusive tells whether the case must run while no other case does: because it
// says so itself, restarts the sender, looks back on the whole run, asks the only
// endpoint's sender to wait, or because deliveries of several cases could not be told
// apart.
func (j *Judge) Exclusive(c scenarios.Case) bool {
	restarts := slices.ContainsFunc(c.Trigger, func(t scenarios.Trigger) bool { return t.Do == "restart" })
	mixed := !j.carried && !j.subject.addressed() // deliveries cannot be told apart
	disturbs := j.subject.fixed() && holdsBack(c) // the endpoint of all the others
	return c.Serial || restarts || c.Measure != "" || j.subject.waiting() || mixed || disturbs
}

// Later tells whether the case must not begin before the others have ended: it holds
// the sender up, and one with few workers would be late with everything else.
func (j *Judge) Later(c scenarios.Case) bool {
	return slices.ContainsFunc(answersOf(c), func(a scenarios.Answer) bool {
		return a.Delay != "" || a.Way != nil && slices.Contains(lasting, a.Way.Name)
	})
}

// lasting are the ways of answering that go on until the sender ends them.
var lasting = []string{
	"hang", "silent-at-connect", "slow-close", "drip-head", "drip-body", "endless-head", "endless-body", "endless-chunk-extension",
	"huge-body", "interim-flood", "length-too-long", "switching-protocols",
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
		if have := capabilities.find(need); !have.has(j) {
			return need, have.lack(j)
		}
	}
	return "", ""
}

// Needs are the capabilities without which a case does not apply.
func Needs(c scenarios.Case) []string { return needsOf(c) }

// Lacking tells whether there is such a capability and a profile does not have it by
// itself, without anything that a run brings.
func Lacking(p *profile.Profile, need string) bool {
	bare := &Judge{subject: Subject{Profile: p}}
	return slices.ContainsFunc(capabilities, func(c capability) bool { return c.Name == need && !c.has(bare) })
}

// needsOf gathers what a case asks of the profile and of the run: by itself, by its
// endpoints, its triggers and its expectations.
func needsOf(c scenarios.Case) []string {
	needs := slices.Clone(c.Needs)
	if slices.ContainsFunc(answersOf(c), func(a scenarios.Answer) bool { return a.Status == http.StatusGone }) {
		needs = append(needs, "own-urls") // the only endpoint would be disabled for good
	}
	if len(c.Endpoints) > 1 && slices.ContainsFunc(c.Endpoints[1:], func(e scenarios.Endpoint) bool { return !e.Canary }) {
		needs = append(needs, "several-endpoints")
	}
	endpoints := c.Endpoints
	if len(endpoints) == 0 {
		endpoints = []scenarios.Endpoint{{Name: scenarios.Main}}
	}
	for _, e := range endpoints {
		needs = append(needs, endpointNeeds(c, e)...)
	}
	words := slices.Clone(c.Expect)
	for _, trigger := range c.Trigger {
		words = append(words, trigger.Expect...)
		needs = append(needs, actionNeeds[trigger.Do]...)
		if trigger.Payload != "" {
			needs = append(needs, "payload")
		}
	}
	for _, w := range words {
		needs = append(needs, expectations.find(w.Name).needs...)
	}
	if c.Measure != "" {
		needs = append(needs, measures.find(c.Measure).needs...)
	}
	return needs
}

// answersOf are all answers that a case gives.
func answersOf(c scenarios.Case) []scenarios.Answer {
	all := slices.Clone(c.Respond)
	for _, e := range c.Endpoints {
		all = append(all, e.Respond...)
	}
	for _, t := range c.Trigger {
		all = append(all, t.Respond...)
	}
	return all
}

// holdsBack tells whether a case asks the sender to leave an endpoint alone for a time.
func holdsBack(c scenarios.Case) bool {
	return slices.ContainsFunc(answersOf(c), func(a scenarios.Answer) bool {
		_, asks := a.Headers["Retry-After"]
		return asks || a.Status == http.StatusTooManyRequests
	})
}

var actionNeeds = map[string][]string{"rotate": {"rotation"}, "restart": {"restart"}, "remove": {"removal"}, "move": {"move"}}

func endpointNeeds(c scenarios.Case, e scenarios.Endpoint) (needs []string) {
	if len(e.Headers) > 0 {
		needs = append(needs, "custom-headers")
	}
	if len(e.Events) > 0 {
		needs = append(needs, "event-filter")
	}
	if way, ok := findConsent(e.Handshake); ok {
		needs = append(needs, "handshake")
		needs = append(needs, way.needs...)
	}
	if e.Path != "" || e.Query != "" {
		needs = append(needs, "own-urls")
	}
	if form, ok := addresses.find(e.Address); ok {
		needs = append(needs, form.needs...)
		if len(form.listen) > 0 {
			needs = append(needs, "same-machine")
		}
		if !e.Canary {
			needs = append(needs, "registration")
		}
	}
	if e.TLS != nil {
		needs = append(needs, secureNeeds(e.TLS)...)
	}
	if ownPort(c, e) {
		needs = append(needs, "own-ports")
	}
	return needs
}

// Until is when a running case ends at the latest; zero where it does not run.
func (j *Judge) Until(caseName string) time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.ends[caseName]
}

// Run judges one case.
func (j *Judge) Run(ctx context.Context, c scenarios.Case) reports.Result {
	start := time.Now()
	result := reports.Result{ID: c.Name(), Title: c.Title, Level: string(c.Level), Source: c.Source, Why: c.Why, Fix: c.Fix}
	if need, reason := j.lacks(c); reason != "" {
		result.Verdict, result.Reason, result.Lacks = reports.Skip, reason, need
		return result
	}
	if j.down != "" {
		result.Verdict, result.Reason = reports.Inconclusive, "no event could be delivered when the run began: "+j.down
		return result
	}
	if t := (&trial{Judge: j, c: c}); t.wantsWindow() {
		j.learnGap(ctx)
	}
	t := j.newTrial(c)
	j.runs(c, t.limit)
	f := t.judge(ctx)
	t.close()
	if t.panicked != "" {
		panic(t.panicked) // whoever runs the cases knows what to do
	}
	if f.verdict == reports.Pass && t.restsOnAbsence() || f.silent {
		if control := j.control(ctx, t); control.reason != "" || !f.silent {
			f = control
		}
	}
	result.Verdict, result.Reason = f.verdict, f.reason
	if result.Verdict == reports.Fail && c.Level != scenarios.Must {
		result.Verdict = reports.Warn
	}
	j.runs(c, time.Time{})
	result.Evidence, result.Figures = t.evidence, t.figures
	result.Duration = time.Since(start)
	return result
}

// restsOnAbsence tells whether the case can be met although nothing arrives.
func (t *trial) restsOnAbsence() bool {
	absent := func(w scenarios.Word) bool { return expectations.find(w.Name).absent }
	return t.c.Measure != "" || slices.ContainsFunc(t.c.Expect, absent) ||
		slices.ContainsFunc(t.c.Trigger, func(trigger scenarios.Trigger) bool { return slices.ContainsFunc(trigger.Expect, absent) })
}

// control has an honest event delivered behind a case in which nothing came, or
// nothing was registered: a sender that does nothing any more has kept no promise by
// that.
func (j *Judge) control(ctx context.Context, after *trial) finding {
	t := j.newTrial(scenarios.Case{Suite: after.c.Suite, ID: after.c.ID, Endpoints: after.trusted(), Trigger: scenarios.Triggers{{As: "control"}}})
	defer t.close()
	f := t.open(ctx)
	if f.reason == "" {
		t.perform(ctx)
		f = t.arrivals()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	after.evidence = append(after.evidence, t.evidence...)
	switch {
	case f.reason != "" && after.trusted() != nil:
		f = inconclusive("the control, an honest event to an endpoint with a good certificate, was not delivered either: %s%s", f.reason, t.distrust())
	case f.reason != "":
		f = inconclusive("the control, an honest event behind it, was not delivered either: %s", f.reason)
	}
	return t.guarded(ctx, f)
}

func (j *Judge) runs(c scenarios.Case, until time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if until.IsZero() {
		delete(j.ends, c.Name())
		return
	}
	j.ends[c.Name()] = until
}

// wantsWindow tells whether the case claims that something does not happen.
func (t *trial) wantsWindow() bool {
	for i := range max(len(t.c.Trigger), 1) {
		if d := t.demandOf(i); d.window || d.all {
			return true
		}
	}
	return false
}

// judge performs the case and asks its expectations.
func (t *trial) judge(ctx context.Context) finding {
	if t.c.Measure != "" {
		return t.guarded(ctx, measures.find(t.c.Measure).measure(ctx, t))
	}
	if f := t.open(ctx); f.reason != "" {
		return t.guarded(ctx, f)
	}
	if t.refusal == nil && !t.outOfSight() {
		t.perform(ctx)
	}
	f := t.found()
	for f.late && t.reproves() && ctx.Err() == nil {
		prompt, told := t.timely(ctx)
		t.settle(ctx) // what was late may have come meanwhile, and more be due
		f = t.found()
		switch {
		case !f.late || prompt:
		case told == "" && time.Now().Before(t.limit):
			continue
		default:
			f = inconclusive("%s; %s", f.reason, cmp.Or(told, "yet the sender had no time: it was as late with an honest event behind it, when the budget (--budget) ended"))
		}
		break
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.keepUnfinished()
	t.conclude()
	return t.guarded(ctx, f)
}

func (t *trial) found() finding {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.findings()
}

// reproves tells whether an event can be fired behind what is late without coming
// in its way.
func (t *trial) reproves() bool {
	return !t.subject.waiting() && (t.carried || t.subject.addressed())
}

// timely has an honest event delivered behind one that is late: a sender whose
// workers are all held up, by the answers of other cases or by their number, has
// not given anything up. It tells whether the event arrived as soon as others do,
// or why that cannot be told.
func (t *trial) timely(ctx context.Context) (prompt bool, told string) {
	control := t.newTrial(scenarios.Case{Suite: t.c.Suite, ID: t.c.ID, Trigger: scenarios.Triggers{{As: "control"}}})
	defer control.close()
	f := control.open(ctx)
	if f.reason == "" {
		control.perform(ctx)
		control.mu.Lock()
		defer control.mu.Unlock()
		f = control.unfired()
	}
	if f.reason != "" {
		return false, "the control, an honest event behind it, could not be fired either: " + f.reason
	}
	if len(control.deliveries) == 0 {
		return t.underWay.Load() == 0, "" // nobody is in its way
	}
	took := control.deliveries[0].attempts[0].whole.Sub(control.events[0].fired)
	return took <= 4*t.latency()+2*t.subject.Limits.Slack, ""
}

// guarded lets no verdict stand that an interruption, or a failure of our own, may
// have influenced.
func (t *trial) guarded(ctx context.Context, f finding) finding {
	switch {
	case t.broken != nil:
		return inconclusive("%s", t.broken)
	case ctx.Err() != nil:
		return inconclusive("the run was interrupted")
	}
	return f
}

// findings asks every expectation of the case. The caller holds mu.
func (t *trial) findings() finding {
	if f := worst(t.unfired(), t.unprepared()); f.reason != "" {
		return f
	}
	var all []finding
	for i, trigger := range t.c.Trigger {
		for _, w := range trigger.Expect {
			all = append(all, expectations.find(w.Name).ask(t, t.scopeOf(i), w.Arg))
		}
	}
	scope := t.scopeOf(everything)
	for _, w := range t.c.Expect {
		all = append(all, expectations.find(w.Name).ask(t, scope, w.Arg))
	}
	return worst(all...)
}

// unprepared finds a trigger that was to bring about the situation of the case, of
// which nothing arrived. Where an expectation asks about the arrival itself, it is to
// say what it makes of that. What is refused at first may never arrive.
func (t *trial) unprepared() finding {
	for i, trigger := range t.c.Trigger {
		words := slices.Concat(t.c.Expect, trigger.Expect)
		if slices.ContainsFunc(words, func(w scenarios.Word) bool { e := expectations.find(w.Name); return e.absent || e.arrival }) {
			continue
		}
		s := t.scopeOf(i)
		e := t.named(trigger.To)
		late := e.tls.mayBeRefused() || e.spec.Dark > 0 || e.spec.Address != "" || slices.ContainsFunc(t.script(e, trigger), atConnect)
		if len(s.events) > 0 && len(s.deliveries) == 0 && !late {
			f := t.arrived(s)
			f.late = t.waited(s) && !t.batched(s)
			return f
		}
	}
	return passed()
}

// finding is what an expectation found.
type finding struct {
	verdict reports.Verdict
	reason  string
	// silent marks a failure that rests on silence, and stands only where the sender
	// still delivers.
	silent bool
	// late marks what rests on an attempt that did not come in time, and stands only
	// where the sender has time for what is fired now.
	late bool
}

func passed() finding { return finding{verdict: reports.Pass} }

func failed(format string, args ...any) finding {
	return finding{verdict: reports.Fail, reason: fmt.Sprintf(format, args...)}
}

func inconclusive(format string, args ...any) finding {
	return finding{verdict: reports.Inconclusive, reason: fmt.Sprintf(format, args...)}
}

func skipped(format string, args ...any) finding {
	return finding{verdict: reports.Skip, reason: fmt.Sprintf(format, args...)}
}

// worst joins findings: a failure outweighs what could not be judged, which
// outweighs what does not apply, which outweighs a pass.
func worst(findings ...finding) finding {
	weight := map[reports.Verdict]int{reports.Pass: 0, reports.Skip: 1, reports.Inconclusive: 2, reports.Fail: 3}
	sum := passed()
	for _, f := range findings {
		if weight[f.verdict] > weight[sum.verdict] {
			sum = f
		}
	}
	return sum
}
