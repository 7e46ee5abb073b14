package sender

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/hookanvil/hookanvil/scenarios"
)

// demand is what must have been watched before an expectation can be judged.
type demand struct {
	attempts int           // of each delivery, at least
	most     int           // more than that many need not be watched; 0 for no bound
	window   bool          // and then as long as another attempt would take
	quiet    time.Duration // and then so long
	all      bool          // as many attempts as the sender makes
	silence  bool          // no attempt at all is expected
	again    bool          // one attempt more, where the sender declares that it tries again
	refusals int           // so many connections that come to nothing
}

// with joins two demands into one that meets both.
func (d demand) with(o demand) demand {
	most := max(d.most, o.most)
	if d.most == 0 || o.most == 0 {
		most = 0
	}
	return demand{
		attempts: max(d.attempts, o.attempts), most: most, window: d.window || o.window, quiet: max(d.quiet, o.quiet),
		all: d.all || o.all, silence: d.silence || o.silence, again: d.again || o.again, refusals: max(d.refusals, o.refusals),
	}
}

// demandOf is what must be watched of a trigger's deliveries.
func (t *trial) demandOf(step int) demand {
	words := t.c.Expect
	if step < len(t.c.Trigger) {
		words = slices.Concat(words, t.c.Trigger[step].Expect)
	}
	var sum demand
	for i, w := range words {
		d := demand{}
		if e := expectations.find(w.Name); e.demand != nil {
			d = e.demand(t, w.Arg)
		}
		if i == 0 {
			sum = d
			continue
		}
		sum = sum.with(d)
	}
	return sum
}

// settle waits until nothing more is to be seen of the deliveries so far.
func (t *trial) settle(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until(ctx, func(now time.Time) (bool, time.Time) {
		again := t.limit
		waits := false
		for _, ev := range t.events {
			if at := t.settledAt(ev, now); at.After(now) {
				waits = true
				again = earlier(again, at)
			}
		}
		return !waits || !now.Before(t.limit), again
	})
	t.seen = time.Now()
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// settledAt is when everything will have been seen of an event if nothing happens
// until then.
func (t *trial) settledAt(ev *event, now time.Time) time.Time {
	if ev.problem != "" || t.broken != nil {
		return now
	}
	d := t.demandOf(ev.step)
	delivery := t.main(ev)
	if delivery == nil {
		if ev.batched.Load() {
			return now
		}
		if d.silence {
			return ev.fired.Add(t.silence())
		}
		if ev.to.tls.hopeless() {
			return t.refusedAt(ev, max(d.refusals, 1), now)
		}
		return ev.fired.Add(t.arrival())
	}
	if slices.ContainsFunc(delivery.attempts, func(a *attempt) bool { return !a.done }) {
		return now.Add(time.Hour) // an answer is bounded itself, and wakes whoever waits
	}
	last := delivery.last()
	n := len(delivery.attempts)
	switch {
	case d.most > 0 && n > d.most:
		return now
	case n < t.need(ev, d) && !last.succeeded():
		return last.ended().Add(t.patience(last))
	}
	return last.ended().Add(max(d.quiet, t.windowIf(d.window || d.all, last)))
}

// need is the number of attempts that are waited for.
func (t *trial) need(ev *event, d demand) int {
	need := max(len(ev.script), d.attempts)
	if last := ev.script[len(ev.script)-1]; d.again && !t.succeeds(last) {
		if retries, declared := t.subject.Profile.Retry.Retries(statusOf(last)); retries && declared {
			need = max(need, len(ev.script)+1)
		}
	}
	switch total := t.total(); {
	case d.all && total == 0:
		return math.MaxInt
	case d.all:
		return total
	case total > 0:
		return min(need, max(total, d.attempts)) // it makes no more
	}
	return need
}

// main is the delivery of an event to the endpoint it was meant for; nil where
// nothing has arrived there.
func (t *trial) main(ev *event) *delivery {
	i := slices.IndexFunc(ev.deliveries, func(d *delivery) bool { return d.to == ev.to })
	if i < 0 {
		return nil
	}
	return ev.deliveries[i]
}

// arrival is how long an event may take to arrive. People take longer.
func (t *trial) arrival() time.Duration {
	if t.subject.waiting() {
		return t.subject.Limits.Budget
	}
	unseen, dark := t.unseen()
	switch {
	case unseen == 0 && dark == 0:
		return t.subject.Limits.Arrival
	case !t.declares():
		return t.subject.Limits.Budget
	}
	// As long as the attempts take that cannot be seen, and one more.
	least, most := time.Duration(0), t.subject.Limits.Arrival
	for n := 1; n <= unseen+1 || least < dark; n++ {
		gap, high := t.gapAfter(n)
		least += gap / 2
		most += high + t.endDeadline() + t.subject.Limits.Slack
		if most > t.subject.Limits.Budget {
			return t.subject.Limits.Budget
		}
	}
	return most
}

// unseen is how many connections are answered before a request is read, and for how
// long nothing listens.
func (t *trial) unseen() (connections int, dark time.Duration) {
	for _, e := range t.endpoints {
		dark = max(dark, e.spec.Dark)
		n := 0
		for _, a := range t.script(e, t.triggerOf(e)) {
			if atConnect(a) {
				n++
			}
		}
		connections = max(connections, n+e.tls.unfit())
	}
	return connections, dark
}

// silence is how long must be watched to say that nothing comes: several times as
// long as a delivery has taken to arrive in this run.
func (t *trial) silence() time.Duration {
	return max(4*t.latency()+2*t.subject.Limits.Slack, t.subject.Limits.Arrival/4)
}

// total is the number of attempts that the sender declares, 0 where it does not.
func (t *trial) total() int {
	if r := t.subject.Profile.Retry; r != nil {
		return r.Total()
	}
	return 0
}

// declares tells whether the sender declares when it tries again.
func (t *trial) declares() bool {
	_, ok := t.subject.Profile.Retry.Gap(1)
	return ok
}

// gapAfter is the gap after the n-th attempt, as declared or, for want of that, as
// seen in this run; 0 where nothing is known. High is what jitter makes of it.
func (t *trial) gapAfter(n int) (gap, high time.Duration) {
	if r := t.subject.Profile.Retry; r != nil {
		for m := n; m > 0; m-- { // beyond the last one, another would come no later than that did
			if gap, ok := r.Gap(m); ok {
				_, spread := r.Spread()
				return gap, time.Duration(float64(gap) * spread)
			}
		}
	}
	if n > len(t.learned) {
		return 0, 0 // gaps grow, and nobody has said how fast
	}
	gap = time.Duration(t.learned[n-1].Load())
	return gap, 2 * gap
}

// window is how long must be watched after an attempt to say that no other follows;
// 0 where it is not known.
func (t *trial) window(last *attempt) time.Duration {
	_, high := t.gapAfter(last.n)
	switch {
	case t.total() == 1:
		return t.silence() // it never tries again: what comes all the same comes soon
	case high == 0:
		return 0
	case !t.declares():
		// What has been seen after one answer may be otherwise after another.
		return max(high, t.subject.Limits.Budget/2) + askedFor(last)
	}
	return high + high/10 + 2*t.subject.Limits.Slack + askedFor(last) + 2*t.lag(last.delivery)
}

// busy is by how much an attempt may be late because the sender has too much to do,
// as its first one was.
func (t *trial) busy(d *delivery) time.Duration {
	return 2 * max(t.lag(d)-t.subject.Limits.Slack, 0)
}

// lag is how long after an event was fired its first attempt came: what is due now
// may be as late.
func (t *trial) lag(d *delivery) time.Duration {
	switch {
	case t.subject.waiting():
		return 0 // a person's own time
	case d.event == nil:
		return t.latency()
	}
	return max(d.attempts[0].whole.Sub(d.event.fired), t.latency())
}

func (t *trial) windowIf(wanted bool, last *attempt) time.Duration {
	switch {
	case !wanted:
		return 0
	case t.window(last) == 0:
		return t.subject.Limits.Budget // all that there is, and it may not be enough
	}
	return t.window(last)
}

// patience is how long an attempt that must follow is waited for: much longer than
// it should take, so that one which is late is seen to be late.
func (t *trial) patience(last *attempt) time.Duration {
	_, high := t.gapAfter(last.n)
	if high == 0 || t.subject.waiting() {
		return t.subject.Limits.Budget
	}
	for n := range last.delivery.to.tls.unfit() {
		_, more := t.gapAfter(last.n + n + 1)
		high += more
	}
	return 4*high + 4*t.subject.Limits.Slack + askedFor(last)
}

// A Retry-After of more than an hour is no wish that a sender must grant: the attempt
// is awaited for as long as without it, and a little longer.
const (
	mostAsked    = time.Hour
	longestAsked = 10 * time.Second
)

// askedFor is how much longer an attempt is awaited for an answer's Retry-After.
func askedFor(a *attempt) time.Duration {
	asked := retryAfter(a)
	if asked > mostAsked {
		return longestAsked
	}
	return max(asked, 0)
}

// retryAfter is what an answer's Retry-After says, 0 where it says nothing that can
// be understood; more than mostAsked is cut.
func retryAfter(a *attempt) time.Duration {
	text := a.reply.Headers.Get("Retry-After")
	if n, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(n, int(mostAsked/time.Second)+1)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return at.Sub(a.ended())
	}
	return 0
}

// watched tells whether the case was watched long enough after an attempt to say
// that no other follows. The reason says what is missing.
func (t *trial) watched(last *attempt) (reason string) {
	window := t.window(last)
	switch {
	case !last.done:
		return "the last was still under way when the budget (--budget) ended"
	case window == 0:
		return "it is not known when the sender tries again: declare it in the profile's retry section, or with --retry-schedule"
	case t.seen.Before(last.ended().Add(window)):
		return "another attempt might come as late as " + show(window) + " after the one before, and the budget (--budget) ended before"
	}
	return ""
}

// gaps are the times between the end of one attempt and the beginning of the next.
func (d *delivery) gaps() []time.Duration {
	var all []time.Duration
	for i := 1; i < len(d.attempts); i++ {
		all = append(all, d.attempts[i].arrived.Sub(d.attempts[i-1].ended()))
	}
	return all
}

// show writes a duration as people read it.
func show(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// learnGap finds out after how long the sender tries again, where nobody has said,
// by an event that is answered 500 twice and then 200. It is done once in a run.
func (j *Judge) learnGap(ctx context.Context) {
	if gap, _ := (&trial{Judge: j}).gapAfter(1); gap > 0 || j.subject.Profile.Retry != nil && j.subject.Profile.Retry.Total() == 1 {
		return
	}
	j.learning.Do(func() {
		t := j.newTrial(scenarios.Case{
			Suite: "preflight", ID: "first-gap", Trigger: scenarios.Triggers{{}}, Respond: scenarios.Answers{{Status: 500, Times: len(j.learned)}, {Status: 200}},
		})
		defer t.close()
		if f := t.open(ctx); f.reason != "" {
			return
		}
		t.perform(ctx)
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, d := range t.deliveries {
			for i, gap := range d.gaps() {
				if i < len(j.learned) {
					j.learned[i].Store(int64(max(gap, time.Millisecond)))
				}
			}
		}
	})
}
