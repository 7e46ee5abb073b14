package load

import (
	"fmt"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/reports"
)

// SenderBounds are what is declared of a sender. What is 0 is not declared.
type SenderBounds struct {
	Latency     time.Duration // from trigger to arrival, p99
	Drain       time.Duration // after an outage
	Herd        float64       // the busiest fifth of a second after an outage against the mean before
	Concurrency int           // attempts at one endpoint at once
	Rate        float64       // at which the sender keeps up, at least
	Fair        float64       // p99 of the others, with one endpoint slow, against that without
}

// SenderVerdict is what a measure says of a run.
type SenderVerdict struct {
	Verdict reports.Verdict
	Reason  string
	Figures []reports.Figure
}

type senderMeasure struct {
	ID, Sentence string
	Judge        func(run SenderRun, before *SenderRun, b SenderBounds) SenderVerdict
}

// SenderMeasures are what is judged of a sender under load, by the ids of checks. Each
// sentence completes "the sender ...". Before is a run with no endpoint slow, for the
// one measure that compares.
var SenderMeasures = []senderMeasure{
	{"tx-load-e2e-latency", "delivers events in time at the rate", judgeLatency},
	{"tx-load-throughput", "keeps up with events at a higher rate: in time, and without a queue that grows", judgeThroughput},
	{"tx-load-no-loss-no-dup", "loses none, and delivers none again that was accepted", judgeLoss},
	{"tx-load-signature-validity", "signs every attempt rightly", judgeSignatures},
	{"tx-load-drain", "makes good after an outage, and stampedes not", judgeDrain},
	{"tx-load-concurrency-cap", "has no more attempts under way at an endpoint than it declares", judgeConcurrency},
	{"tx-load-fairness", "delivers to others as before while one endpoint is slow", judgeFairness},
	{"tx-load-freshness", "signs shortly before it sends: half the tolerance is left", judgeFreshness},
}

func (v SenderVerdict) as(verdict reports.Verdict, format string, args ...any) SenderVerdict {
	v.Verdict, v.Reason = verdict, fmt.Sprintf(format, args...)
	return v
}

func (v *SenderVerdict) figure(name string, value float64, unit string) {
	v.Figures = append(v.Figures, reports.Figure{Name: name, Value: value, Unit: unit})
}

// unjudged says why nothing can be concluded of a run.
func (r SenderRun) unjudged() string {
	switch {
	case r.Fired == 0:
		return "no event was fired"
	case r.Failed*100 > r.Fired:
		return fmt.Sprintf("%d of %d triggers failed, the first with: %s", r.Failed, r.Fired, r.Failure)
	case r.Absorption.Verified == 0 && r.Absorption.Refused == 0:
		return "nothing arrived"
	}
	return ""
}

// untaken says what came instead of deliveries.
func (r SenderRun) untaken() string {
	if len(r.Absorption.Broken) == 0 {
		return ""
	}
	return fmt.Sprintf("; on connections came what is none: %v", r.Absorption.Broken)
}

func judgeLatency(r SenderRun, _ *SenderRun, b SenderBounds) (v SenderVerdict) {
	l := r.Absorption.Latency
	v.figure("trigger to arrival, p50", l.P50, "ms")
	v.figure("trigger to arrival, p95", l.P95, "ms")
	v.figure("trigger to arrival, p99", l.P99, "ms")
	v.figure("lag of the triggers, p99", r.Lag.P99, "ms")
	v.figure("events fired", r.Achieved, "/s")
	limit := milliseconds(b.Latency)
	switch why := r.unjudged(); {
	case why != "":
		return v.as(reports.Inconclusive, "%s", why)
	case b.Latency == 0:
		return v.as(reports.Skip, "no limit of the latency is declared")
	case r.Invalid != "":
		return v.as(reports.Inconclusive, "%s", r.Invalid)
	case r.Absorption.Lost == nil || *r.Absorption.Lost > 0:
		return v.as(reports.Fail, "some events never arrived: their latency has no end")
	case l.Count < r.Fired-r.Failed:
		return v.as(reports.Inconclusive, "the latency of %d of %d events is known", l.Count, r.Fired-r.Failed)
	case l.P99 > limit:
		return v.as(reports.Fail, "99 of 100 events arrived within %.1f ms, and %s is declared", l.P99, b.Latency)
	}
	return v.as(reports.Pass, "")
}

func judgeLoss(r SenderRun, _ *SenderRun, _ SenderBounds) (v SenderVerdict) {
	a := r.Absorption
	v.figure("events", float64(r.Fired-r.Failed), "count")
	v.figure("duplicates", float64(a.Duplicates), "count")
	if a.Lost != nil {
		v.figure("lost", float64(*a.Lost), "count")
	}
	switch why := r.unjudged(); {
	case why == "nothing arrived":
		return v.as(reports.Fail, "none of %d events arrived within %s%s", r.Fired-r.Failed, r.Sender.Settle, r.untaken())
	case why != "":
		return v.as(reports.Inconclusive, "%s", why)
	case a.Lost == nil || a.Untracked > 0:
		return v.as(reports.Inconclusive, "what arrived could not be told apart")
	case *a.Lost > 0:
		return v.as(reports.Fail, "%d of %d events did not arrive within %s, such as %s", *a.Lost, r.Fired-r.Failed, r.Sender.Settle, strings.Join(r.Lost, ", "))
	case a.Duplicates > 0:
		return v.as(reports.Fail, "%d deliveries came again after they were accepted", a.Duplicates)
	case a.Unexpected > r.Failed || a.Anonymous > 0:
		return v.as(reports.Fail, "%d deliveries came that nobody triggered, or carry no token of an event", a.Unexpected+a.Anonymous)
	}
	return v.as(reports.Pass, "")
}

func judgeSignatures(r SenderRun, _ *SenderRun, _ SenderBounds) (v SenderVerdict) {
	a := r.Absorption
	v.figure("attempts that verify", float64(a.Verified), "count")
	v.figure("attempts that do not", float64(a.Refused), "count")
	if r.Sender.Clients != nil && r.Sender.Authority != nil {
		v.figure("connections refused for their client certificate", float64(a.Strangers()), "count")
	}
	switch {
	case a.Refused > 0:
		return v.as(reports.Fail, "%d of %d attempts do not verify: %v", a.Refused, a.Received, a.Reasons)
	case a.Unusable() > 0:
		return v.as(reports.Fail, "%d connections brought what is no request: %v", a.Unusable(), a.Broken)
	case a.Strangers() > 0:
		return v.as(reports.Fail, "%d connections were refused for their client certificate: %v", a.Strangers(), a.Broken)
	case a.Verified == 0:
		return v.as(reports.Inconclusive, "nothing arrived")
	}
	return v.as(reports.Pass, "")
}

func judgeDrain(r SenderRun, _ *SenderRun, b SenderBounds) (v SenderVerdict) {
	if len(r.Absorption.Outages) == 0 {
		return v.as(reports.Inconclusive, "the run had no outage")
	}
	o := r.Absorption.Outages[len(r.Absorption.Outages)-1]
	v.figure("left after the outage", float64(o.Left), "count")
	v.figure("rate before", o.Mean, "/s")
	v.figure("busiest fifth of a second after", o.Burst, "/s")
	if o.Drain != nil {
		v.figure("drained in", *o.Drain, "ms")
	}
	switch why := r.unjudged(); {
	case why != "":
		return v.as(reports.Inconclusive, "%s", why)
	case b.Drain == 0 && b.Herd == 0:
		return v.as(reports.Skip, "neither a time to drain nor a rate after an outage is declared")
	case o.Left > 0 && (b.Drain == 0 || r.Sender.Settle < b.Drain):
		return v.as(reports.Inconclusive, "%d deliveries were not made good within the %s that were watched", o.Left, r.Sender.Settle)
	case o.Left > 0:
		return v.as(reports.Fail, "%d deliveries were not made good within %s", o.Left, r.Sender.Settle)
	case o.Drain == nil || r.Absorption.Unavailable == 0:
		return v.as(reports.Inconclusive, "nothing was sent in the outage that would have to be made good")
	case b.Drain > 0 && *o.Drain > milliseconds(b.Drain):
		return v.as(reports.Fail, "the outage was made good in %.0f ms, and %s is declared", *o.Drain, b.Drain)
	case b.Herd > 0 && o.Mean == 0:
		return v.as(reports.Inconclusive, "the run was no half second under way before the outage")
	case b.Herd > 0 && o.Burst > b.Herd*o.Mean && r.Invalid != "":
		// What stood still here comes at once, whoever has sent it.
		return v.as(reports.Inconclusive, "%s", r.Invalid)
	case b.Herd > 0 && o.Burst > b.Herd*o.Mean:
		return v.as(reports.Fail, "in the busiest fifth of a second after the outage deliveries came at %.0f/s, %.1f times the %.0f/s before", o.Burst, o.Burst/o.Mean, o.Mean)
	case b.Herd > 0 && held(r) < b.Herd*o.Mean*window:
		return v.as(reports.Inconclusive, "the outage held up %.0f deliveries, too few to show whether they come all at once", held(r))
	}
	return v.as(reports.Pass, "")
}

// window is the time of AbsorbedOutage.Burst, in seconds.
const window = 0.2

// held are the deliveries that an outage kept from being accepted, at most.
func held(r SenderRun) float64 {
	last := r.Sender.Outages[len(r.Sender.Outages)-1]
	return min(r.Achieved*last.For.Seconds(), float64(r.Absorption.Unavailable))
}

func judgeConcurrency(r SenderRun, _ *SenderRun, b SenderBounds) (v SenderVerdict) {
	var most int64
	for _, e := range r.Absorption.Endpoints {
		most = max(most, e.InFlight)
	}
	v.figure("attempts at once at one endpoint", float64(most), "count")
	// Only a sender that had cause to have more under way shows that it would not.
	cause := r.Sender.Rate / float64(r.Sender.Endpoints) * r.Sender.SlowBy.Seconds()
	switch why := r.unjudged(); {
	case b.Concurrency == 0:
		return v.as(reports.Skip, "no limit of concurrent attempts is declared")
	case most > int64(b.Concurrency):
		return v.as(reports.Fail, "%d attempts were under way at one endpoint at once, and %d are declared", most, b.Concurrency)
	case why != "":
		return v.as(reports.Inconclusive, "%s", why)
	case cause < 2*float64(b.Concurrency) || r.Achieved < r.Sender.Rate/2:
		return v.as(reports.Inconclusive, "the events gave cause for %.1f attempts at once only, where %d are allowed", cause, b.Concurrency)
	}
	return v.as(reports.Pass, "")
}

// fairFloor is a latency that is never held against a sender: what a busy machine adds.
const fairFloor = 250 // ms

func judgeFairness(r SenderRun, before *SenderRun, b SenderBounds) (v SenderVerdict) {
	if before == nil || r.Sender.SlowBy == 0 || r.Sender.Endpoints < 2 {
		return v.as(reports.Inconclusive, "it takes several endpoints, one of them slow, and a run without it")
	}
	slow, known := r.others()
	without, knownBefore := before.others()
	v.figure("others' trigger to arrival beside a slow endpoint, p99", slow, "ms")
	v.figure("without one", without, "ms")
	factor := b.Fair
	if factor == 0 {
		factor = 3
	}
	switch why := r.unjudged() + before.unjudged(); {
	case why != "":
		return v.as(reports.Inconclusive, "%s", why)
	case !knownBefore:
		return v.as(reports.Inconclusive, "no endpoint but the slow one was delivered to in the run without it")
	case !known:
		return v.as(reports.Fail, "some endpoint but the slow one was not delivered to")
	case r.Invalid != "" || before.Invalid != "":
		return v.as(reports.Inconclusive, "%s", max(r.Invalid, before.Invalid))
	case before.missing() > 0:
		return v.as(reports.Inconclusive, "%d deliveries did not arrive in the run without a slow endpoint", before.missing())
	case r.missing() > 0:
		return v.as(reports.Fail, "with one endpoint slow, %d deliveries to the others had not arrived %s after the last event", r.missing(), r.Sender.Settle)
	case slow > max(factor*without, fairFloor):
		return v.as(reports.Fail, "with one endpoint slow, the others are delivered to within %.0f ms (p99), without within %.0f ms", slow, without)
	}
	return v.as(reports.Pass, "")
}

// others is the worst p99 of the endpoints but the first; known tells that each of them
// has one.
func (r SenderRun) others() (p99 float64, known bool) {
	n := 0
	for _, e := range r.Absorption.Endpoints {
		if len(e.Path) < 2 || e.Path[len(e.Path)-2:] == "/0" || e.Latency.Count == 0 {
			continue
		}
		n++
		p99 = max(p99, e.Latency.P99)
	}
	return p99, n == r.Sender.Endpoints-1
}

// missing are events for the endpoints but the first of which no delivery arrived: they
// have no latency that could be too long. Triggers that failed are not counted.
func (r SenderRun) missing() int64 {
	n := -r.Failed
	for _, due := range r.Due[1:] {
		n += due
	}
	for _, e := range r.Absorption.Endpoints {
		if len(e.Path) > 2 && e.Path[len(e.Path)-2:] != "/0" {
			n -= e.Latency.Count
		}
	}
	return max(n, 0)
}

func judgeFreshness(r SenderRun, _ *SenderRun, _ SenderBounds) (v SenderVerdict) {
	if r.Sender.Profile.Timestamp == nil {
		return v.as(reports.Skip, "profile %s has no timestamp", r.Sender.Profile.Name)
	}
	a := r.Absorption
	v.figure("age at arrival, p99", a.Age.P99, "ms")
	if r.Sender.Profile.Timestamp.Tolerance == 0 {
		return v.as(reports.Skip, "profile %s declares no tolerance of its timestamp", r.Sender.Profile.Name)
	}
	limit := r.Sender.Profile.Timestamp.Tolerance / 2
	switch why := r.unjudged(); {
	case a.Reasons["stale"] > 0:
		return v.as(reports.Fail, "%d attempts were stale when they arrived", a.Reasons["stale"])
	case why != "":
		return v.as(reports.Inconclusive, "%s", why)
	case a.Future > 0:
		return v.as(reports.Inconclusive, "%d attempts were signed later than they arrived: the clocks differ", a.Future)
	case a.Age.P99 > milliseconds(limit):
		return v.as(reports.Fail, "99 of 100 signatures are up to %.0f ms old when they arrive, and half the tolerance is %s", a.Age.P99, limit)
	}
	return v.as(reports.Pass, "")
}
