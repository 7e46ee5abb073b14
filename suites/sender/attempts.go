package sender

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// attemptExpectations look at the attempts of a delivery: how many, when, and what
// they have in common.
var attemptExpectations = expectationTable{
	{Entry: wordWith("attempts", scenarios.Number, "makes exactly so many attempts"), demand: exactly, judge: eachDelivery(judgeAttempts)},
	{Entry: wordWith("attempts-at-least", scenarios.Number, "makes at least so many attempts"), needs: []string{"retries"},
		demand: func(_ *trial, arg any) demand { return demand{attempts: arg.(int)} }, judge: eachDelivery(judgeAtLeast)},
	{Entry: wordWith("attempts-at-most", scenarios.Number, "makes no more attempts than that"),
		demand: func(_ *trial, arg any) demand { return demand{window: true, most: arg.(int)} }, judge: eachDelivery(judgeAtMost)},
	{Entry: word("quiet", "makes no further attempt once the answers are given, for as long as another would take"), demand: windowed, judge: eachDelivery(judgeQuiet)},
	{Entry: wordWith("quiet-for", scenarios.Span, "makes no further attempt for so long"),
		demand: func(_ *trial, arg any) demand { return demand{quiet: arg.(time.Duration)} }, judge: eachDelivery(judgeQuietFor)},
	{Entry: namesOf("same", []string{"id", "body", "event", "target", "content-type"}, "keeps these over the attempts of a delivery"), judge: eachDelivery(judgeSame)},
	{Entry: namesOf("fresh", []string{"timestamp", "signature"}, "makes these anew for every attempt"), judge: eachDelivery(judgeFresh)},
	{Entry: word("timestamps-as-declared", "stamps every attempt anew, or keeps the first one's timestamp, as the profile says"), needs: []string{"timestamp"}, judge: eachDelivery(judgeStamps)},
	{Entry: wordWith("gap", scenarios.GapKind, "leaves a gap between two attempts within these bounds"), judge: eachDelivery(judgeGap)},
	{Entry: word("schedule", "leaves the gaps between its attempts that it declares"), needs: []string{"schedule"}, demand: asMany, judge: eachDelivery(judgeSchedule)},
	{Entry: word("growing", "waits longer after every attempt, or at least no less"), needs: []string{"retries"}, demand: asMany, judge: eachDelivery(judgeGrowing)},
	{Entry: word("no-burst", "does not make three attempts in a burst, with less than a tenth of a second between them"),
		demand: func(*trial, any) demand { return demand{attempts: 3} }, judge: eachDelivery(judgeBurst)},
	{Entry: word("exhausted", "makes as many attempts as it declares, and then none"), needs: []string{"attempts"}, demand: asMany, judge: eachDelivery(judgeExhausted)},
	{Entry: word("delivered", "delivers until it is told that the delivery has arrived"), arrival: true, judge: judgeDelivered},
	{Entry: wordWith("delivered-within", scenarios.Span, "delivers an event within so much of its being fired"), needs: []string{"trigger"}, arrival: true, judge: judgeDeliveredWithin},
	{Entry: word("handled-as-declared", "tries again after such an answer, or gives up, as it declares"), needs: []string{"retries"},
		demand: func(*trial, any) demand { return demand{window: true, again: true} }, judge: eachDelivery(judgeDeclared)},
	{Entry: word("not-taken-for-success", "does not take the answer for a success: it tries again, or gives up as it declares"), needs: []string{"retries"},
		demand: func(*trial, any) demand { return demand{attempts: 2} }, judge: eachDelivery(judgeFailureSeen)},
	{Entry: wordWith("held-back", scenarios.Span, "makes the first attempt no sooner than so long after the last answer before it"), needs: []string{"trigger"}, judge: judgeHeldBack},
	{Entry: word("ended", "ends an attempt that is not answered to the end within its own deadline"), judge: each(judgeEnded)},
	{Entry: wordWith("ended-within", scenarios.Span, "ends an attempt that is not answered to the end within so much"), judge: each(judgeEndedWithin)},
	{Entry: word("patient", "waits for the answer to the end"), judge: each(judgePatient)},
	{Entry: wordWith("reads-at-most", scenarios.Number, "reads no more bytes of an answer than that"), judge: each(judgeReads)},
}

// The demands of claims that something does not happen, or not again.
func windowed(*trial, any) demand { return demand{window: true} }
func asMany(*trial, any) demand   { return demand{all: true} }

func exactly(_ *trial, arg any) demand {
	return demand{attempts: arg.(int), most: arg.(int), window: true}
}

func judgeAttempts(t *trial, d *delivery, arg any) finding {
	if n := arg.(int); len(d.attempts) < n {
		return t.tooFew(d, n)
	}
	return judgeAtMost(t, d, arg)
}

func judgeAtLeast(t *trial, d *delivery, arg any) finding {
	if n := arg.(int); len(d.attempts) < n {
		return t.tooFew(d, n)
	}
	return passed()
}

// tooFew is the finding of attempts that did not come: a failure only where they
// were due while they were waited for.
func (t *trial) tooFew(d *delivery, n int) finding {
	made := len(d.attempts)
	last := d.last()
	gap, high := t.gapAfter(made)
	retries, declared := t.subject.Profile.Retry.Retries(statusOf(last.answer))
	switch {
	case declared && !retries && last.answer.Way == nil:
		return skipped("it declares to give up after %d", statusOf(last.answer))
	case !declared && final(last.answer) && !last.succeeded():
		f := inconclusive("%s made, and whether it took %s for a success or gave up cannot be told: declare gives-up-on in the profile's retry section", attempts(made), last.outcome())
		f.late = true
		return f
	case !last.done:
		return inconclusive("%s made, and the last was still under way when the budget (--budget) ended", attempts(made))
	case last.succeeded():
		return failed("%s made, and %d are due; the last was answered %d", attempts(made), n, statusOf(last.answer))
	case t.total() > 0 && made >= t.total():
		return inconclusive("%s made and %d are due, while it declares to make %d and no more", attempts(made), n, t.total())
	case !t.declares() && t.total() != made:
		return inconclusive("%s made and no more came within %s, and nobody has said when the next is due: declare it in the profile's retry section, or with --retry-schedule",
			attempts(made), show(t.seen.Sub(last.ended())))
	case t.seen.Before(last.ended().Add(high + askedFor(last) + t.subject.Limits.Slack)):
		return inconclusive("%s made when the budget (--budget) ended; the next was due %s after the last", attempts(made), show(gap))
	}
	f := failed("%s made and no more came within %s, while %d are due", attempts(made), show(t.seen.Sub(last.ended())), n)
	f.late = true
	return f
}

func attempts(n int) string {
	if n == 1 {
		return "1 attempt was"
	}
	return fmt.Sprintf("%d attempts were", n)
}

func judgeAtMost(t *trial, d *delivery, arg any) finding {
	if n := arg.(int); len(d.attempts) > n {
		extra := d.attempts[n]
		return failed("attempt %d came %s after the answer %s; %d at most are due", n+1, show(extra.arrived.Sub(d.attempts[n-1].ended())), d.attempts[n-1].outcome(), n)
	}
	if reason := t.watched(d.last()); reason != "" {
		return inconclusive("%s came, and whether more follow could not be seen: %s", count(len(d.attempts), "attempt"), reason)
	}
	return passed()
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func judgeQuiet(t *trial, d *delivery, _ any) finding {
	return judgeAtMost(t, d, t.scripted(d))
}

// scripted is the number of answers that a delivery is to be given: up to the first
// that is a success.
func (t *trial) scripted(d *delivery) int {
	script := t.scriptOf(d)
	for i, a := range script {
		if t.succeeds(a) {
			return i + 1
		}
	}
	return len(script)
}

func judgeQuietFor(t *trial, d *delivery, arg any) finding {
	n := t.scripted(d)
	if len(d.attempts) < n {
		return t.tooFew(d, n)
	}
	quiet := arg.(time.Duration)
	end := d.attempts[n-1].ended()
	if len(d.attempts) > n {
		if gap := d.attempts[n].arrived.Sub(end); gap < quiet {
			return failed("attempt %d came %s after the last answer", n+1, show(gap))
		}
		return passed()
	}
	if t.seen.Before(end.Add(quiet)) {
		return inconclusive("it could be watched for %s only", show(t.seen.Sub(end)))
	}
	return passed()
}

// trait reads what the attempts of a delivery have in common, or not.
var traits = map[string]func(t *trial, a *attempt) string{
	"id": func(_ *trial, a *attempt) string { return a.id },
	// A timestamp or a signature that stands in the body is no part of what must stay the same.
	"body": func(t *trial, a *attempt) string {
		p := t.subject.Profile
		return string(p.Unsealed(p.Restamp(a.request.Body, "0")))
	},
	"target":    func(_ *trial, a *attempt) string { return a.request.Target },
	"timestamp": func(_ *trial, a *attempt) string { return a.stamp },
	"event": func(t *trial, a *attempt) string {
		return t.subject.Profile.EventType(a.request.Headers, a.request.Body)
	},
	"content-type": func(_ *trial, a *attempt) string { return a.request.Headers.Get("Content-Type") },
	"signature": func(t *trial, a *attempt) string {
		return t.subject.Profile.Signature.Written(a.request.Headers, a.request.Body)
	},
}

func judgeSame(t *trial, d *delivery, arg any) finding {
	if len(d.attempts) < 2 {
		return inconclusive("there was one attempt only, and so nothing to compare")
	}
	first := d.attempts[0]
	for _, name := range arg.([]string) {
		if name == "id" && t.subject.Profile.ID == nil || name == "event" && t.subject.Profile.Event == nil {
			continue // the profile has none
		}
		if (name == "id" || name == "event") && traits[name](t, first) == "" {
			return failed("the first attempt has no %s", name)
		}
		for _, a := range d.attempts[1:] {
			was, is := traits[name](t, first), traits[name](t, a)
			switch {
			case was == is:
			case name == "body":
				return failed("the body of attempt %d differs from that of the first: %s", a.n, differs(was, is))
			default:
				return failed("the %s of attempt %d is %s, and that of the first was %s", name, a.n, quote(is), quote(was))
			}
		}
	}
	return passed()
}

// differs tells where two bodies part.
func differs(a, b string) string {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	cut := func(b string) string { return quote(b[max(i-10, 0):min(i+30, len(b))]) }
	return fmt.Sprintf("at byte %d, %s became %s", i, cut(a), cut(b))
}

// judgeFresh compares attempts that are far enough apart for their timestamps to
// differ.
func judgeFresh(t *trial, d *delivery, arg any) finding {
	unit := time.Second
	if ts := t.subject.Profile.Timestamp; ts != nil && ts.Unit == "ms" {
		unit = 10 * time.Millisecond
	}
	compared := false
	for i, a := range d.attempts {
		for _, before := range d.attempts[:i] {
			// A second may lie between two stamps that are cut off, and they may be made
			// well before they arrive.
			apart := a.arrived.Sub(before.arrived)
			if apart < unit+t.subject.Limits.Slack {
				continue
			}
			compared = true
			for _, name := range arg.([]string) {
				if !t.lacksTrait(name) && traits[name](t, a) == traits[name](t, before) {
					return failed("the %s of attempt %d, %s after attempt %d, is the same", name, a.n, show(apart), before.n)
				}
			}
		}
	}
	if !compared {
		return inconclusive("no two attempts were far enough apart to compare: %s", attempts(len(d.attempts))+" made")
	}
	return passed()
}

// lacksTrait tells of what the profile does not have, or cannot be fresh: a signature
// over the body alone is always the same.
func (t *trial) lacksTrait(name string) bool {
	p := t.subject.Profile
	switch name {
	case "timestamp":
		return p.Timestamp == nil
	case "signature":
		return !p.Signed() || p.Timestamp == nil
	}
	return false
}

func judgeStamps(t *trial, d *delivery, _ any) finding {
	if r := t.subject.Profile.Retry; r == nil || r.Timestamp != "kept" {
		return judgeFresh(t, d, []string{"timestamp"})
	}
	switch {
	case d.attempts[0].stamp == "":
		return failed("the first attempt has no timestamp")
	case len(d.attempts) < 2:
		return inconclusive("there was one attempt only, and so nothing to compare")
	}
	for _, a := range d.attempts[1:] {
		if a.stamp != d.attempts[0].stamp {
			return failed("the timestamp of attempt %d is %s; the profile says that the first one's is kept, %s", a.n, quote(a.stamp), quote(d.attempts[0].stamp))
		}
	}
	return passed()
}

func judgeGap(t *trial, d *delivery, arg any) finding {
	bounds := arg.(scenarios.Gap)
	gaps := d.gaps()
	if len(gaps) == 0 || bounds.After > len(gaps) {
		return t.tooFew(d, max(bounds.After, 1)+1)
	}
	for i, gap := range gaps {
		if bounds.After != 0 && bounds.After != i+1 {
			continue
		}
		// What is asked for is asked for to the instant; clocks and answers on their way
		// take a little.
		switch {
		case gap < bounds.AtLeast-clockError:
			return failed("attempt %d came %s after the answer to attempt %d, and %s is the least", i+2, show(gap), i+1, show(bounds.AtLeast))
		case bounds.AtMost > 0 && gap > bounds.AtMost+t.subject.Limits.Slack:
			return failed("attempt %d came %s after the answer to attempt %d, and %s is the most", i+2, show(gap), i+1, show(bounds.AtMost))
		}
	}
	return passed()
}

// clockError is what two clocks may make of one span, with an answer on its way.
const clockError = 20 * time.Millisecond

func judgeSchedule(t *trial, d *delivery, _ any) finding {
	gaps := d.gaps()
	if len(gaps) == 0 {
		return t.tooFew(d, 2)
	}
	low, high := t.subject.Profile.Retry.Spread()
	for i, gap := range gaps {
		declared, ok := t.subject.Profile.Retry.Gap(i + 1)
		if !ok {
			break
		}
		slack := max(t.subject.Limits.Slack, declared/10)
		least, most := float64(declared)*low-float64(min(slack, declared/4)), float64(declared)*high+float64(slack+t.busy(d))
		if float64(gap) < least || float64(gap) > most {
			return failed("attempt %d came %s after the answer to attempt %d; it declares %s", i+2, show(gap), i+1, show(declared))
		}
	}
	return t.asFarAsSeen(d)
}

// asFarAsSeen is a pass where every declared attempt was seen, or as many as the
// budget allows and at least three; what could not be seen is no failure.
func (t *trial) asFarAsSeen(d *delivery) finding {
	total := t.total()
	if n := len(d.attempts); n >= 3 || total > 0 && n >= total {
		return passed()
	}
	if f := t.tooFew(d, max(total, 3)); f.verdict == reports.Fail && total == 0 {
		return inconclusive("%s", f.reason)
	}
	return t.tooFew(d, max(total, 3))
}

func judgeGrowing(t *trial, d *delivery, _ any) finding {
	gaps := d.gaps()
	if len(gaps) < 2 {
		return t.asFarAsSeen(d)
	}
	// Nobody has said how much the gaps vary: half to either side is common.
	low, high, growth := 0.5, 1.5, 1.3
	if r := t.subject.Profile.Retry; r != nil && (r.Jitter != "" || len(r.Schedule) > 0) {
		low, high = r.Spread()
		growth = min(high/max(low, 0.1), 1.5) // more than jitter makes of gaps that are all the same
	}
	for i := 1; i < len(gaps); i++ {
		// With jitter a gap may be shorter than the one before by as much as it varies.
		least := float64(gaps[i-1])*low/high - float64(t.subject.Limits.Slack/4+t.busy(d))
		if float64(gaps[i]) < least {
			return failed("it waited %s after attempt %d, and %s after attempt %d", show(gaps[i-1]), i, show(gaps[i]), i+1)
		}
	}
	if f := FitGaps(gaps); f.Shape == ShapeConstant && f.Rival == "" && len(gaps) >= 3 {
		return failed("it always waits %s: the gaps do not grow", show(f.First))
	}
	if half := len(gaps) / 2; half > 1 {
		if early, late := mean(gaps[:half]), mean(gaps[len(gaps)-half:]); float64(late) <= growth*float64(early) {
			return failed("it waited %s on average at first, and %s at last", show(early), show(late))
		}
	}
	return passed()
}

// judgeBurst looks for three attempts with next to nothing between the end of one and
// the beginning of the next: less than a tenth of a second in all, or than a quarter
// of what is declared where that is not much.
func judgeBurst(t *trial, d *delivery, _ any) finding {
	const few, shortest, longest = 3, 100 * time.Millisecond, time.Second
	gaps := d.gaps()
	for i := 1; i < len(gaps); i++ {
		first, _ := t.subject.Profile.Retry.Gap(i)
		second, _ := t.subject.Profile.Retry.Gap(i + 1)
		if pause := gaps[i-1] + gaps[i]; pause < max(shortest, min((first+second)/4, longest)) {
			return failed("attempts %d to %d came with %s between them", i, i+2, show(pause))
		}
	}
	if len(d.attempts) < few {
		return t.tooFew(d, few)
	}
	return passed()
}

func judgeExhausted(t *trial, d *delivery, _ any) finding {
	return judgeAttempts(t, d, t.total())
}

// judgeDelivered demands that every event was told about until it was acknowledged.
func judgeDelivered(t *trial, s scope, _ any) finding {
	for _, ev := range s.events {
		d := t.main(ev)
		if f := t.strayed(d); f.reason != "" {
			return f
		}
		if !slices.ContainsFunc(d.attempts, (*attempt).succeeded) {
			if f := t.tooFew(d, len(d.attempts)+1); f.verdict != reports.Fail {
				return f
			}
			f := failed("%s was never delivered: %s, the last answered %s", d.name(), count(len(d.attempts), "attempt"), d.last().outcome())
			f.late = true
			return f
		}
	}
	return passed()
}

// strayed finds a delivery that no receiver would have taken for one: by another
// method than POST, or beside the path of the endpoint.
func (t *trial) strayed(d *delivery) finding {
	for _, a := range d.attempts {
		switch {
		case a.request.Method != "POST":
			return failed("%s is a %s: a receiver awaits a POST", a.name(), a.request.Method)
		case !strings.HasPrefix(strings.TrimPrefix(a.request.Path, strings.TrimSuffix(t.house.base.EscapedPath(), "/")), "/"+a.delivery.to.token) && !t.subject.fixed():
			return failed("%s went to %s, which is not where the endpoint is", a.name(), quote(a.request.Target))
		}
	}
	return passed()
}

func judgeDeliveredWithin(t *trial, s scope, arg any) finding {
	for _, ev := range s.events {
		d := t.main(ev)
		if took := d.attempts[0].whole.Sub(ev.fired); took > arg.(time.Duration)+t.latency() {
			return failed("%s took %s to arrive", d.name(), show(took))
		}
	}
	return judgeDelivered(t, s, nil)
}

// judgeDeclared compares what the sender does after the last answer with what it
// declares.
func judgeDeclared(t *trial, d *delivery, _ any) finding {
	n := t.scripted(d)
	if len(d.attempts) < n {
		return t.tooFew(d, n)
	}
	status := statusOf(d.attempts[n-1].answer)
	retries, declared := true, false
	if r := t.subject.Profile.Retry; r != nil {
		retries, declared = r.Retries(status)
	}
	switch more := len(d.attempts) > n; {
	case !declared && more:
		return passed() // it tries again: nothing is lost
	case !declared:
		return inconclusive("it made no further attempt after %d, and does not declare whether it gives up then: gives-up-on in the profile's retry section", status)
	case retries && !more:
		return t.tooFew(d, n+1)
	case !retries && more:
		return failed("it declares to give up after %d, and tried again after %s", status, show(d.attempts[n].arrived.Sub(d.attempts[n-1].ended())))
	case !retries:
		return judgeAtMost(t, d, n)
	}
	return passed()
}

func judgeFailureSeen(t *trial, d *delivery, _ any) finding {
	if len(d.attempts) > 1 {
		return passed()
	}
	a := d.attempts[0]
	retries, declared := t.subject.Profile.Retry.Retries(statusOf(a.answer))
	if to := t.ledTo(d); to != nil {
		f := failed("it was led to %s, sent %s there, and took the %d that it got for a success: no more came within %s",
			to.delivery.to.url, to.request.Method, statusOf(to.answer), show(t.seen.Sub(to.ended())))
		f.late = true
		return f
	}
	if a.answer.Way == nil && declared && !retries {
		return passed()
	}
	return t.tooFew(d, 2)
}

// ledTo is a request that a delivery's answer led to a canary, and that was answered
// there as a success; nil where there is none.
func (t *trial) ledTo(d *delivery) *attempt {
	for _, other := range t.deliveries {
		if !other.to.canary() || other.event != nil && other.event != d.event {
			continue
		}
		if i := slices.IndexFunc(other.attempts, (*attempt).succeeded); i >= 0 {
			return other.attempts[i]
		}
	}
	return nil
}

// final tells of answers after which a sender may give up at once: the receiver has
// said no, or something that means nothing. Some statuses below 500 ask to be tried
// again.
func final(a scenarios.Answer) bool {
	if a.Way != nil {
		return strings.HasPrefix(a.Way.Name, "status-")
	}
	again := []int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests}
	return statusOf(a) < 500 && !slices.Contains(again, statusOf(a))
}

// judgeHeldBack compares the first attempts of the events with the last answer that
// was given before they were fired.
func judgeHeldBack(t *trial, s scope, arg any) finding {
	for _, ev := range s.events {
		var last time.Time
		for _, d := range t.deliveries {
			for _, a := range d.attempts {
				if a.done && a.ended().Before(ev.fired) && a.ended().After(last) && !slices.Contains(s.deliveries, d) {
					last = a.ended()
				}
			}
		}
		if last.IsZero() {
			return inconclusive("no answer was given before %s", t.main(ev).name())
		}
		if gap := t.main(ev).attempts[0].arrived.Sub(last); gap < arg.(time.Duration)-clockError {
			return failed("%s came %s after the answer that asked for more time", t.main(ev).name(), show(gap))
		}
	}
	return passed()
}

// judgeEnded demands that the sender itself ends what does not end, near its
// deadline.
func judgeEnded(t *trial, a *attempt, _ any) finding {
	limit := t.subject.deadline()
	if limit == 0 {
		limit = longestDeadline
	}
	return t.endedBy(a, limit+limit/5+t.subject.Limits.Slack)
}

// longestDeadline is the most that Standard Webhooks recommends.
const longestDeadline = 30 * time.Second

func judgeEndedWithin(t *trial, a *attempt, arg any) finding {
	return t.endedBy(a, arg.(time.Duration)+t.subject.Limits.Slack)
}

func (t *trial) endedBy(a *attempt, limit time.Duration) finding {
	if a.answer.Way == nil && a.answer.Delay == "" {
		return passed() // it was answered at once
	}
	took := a.ended().Sub(a.whole)
	switch {
	case !a.done:
		return inconclusive("it was still under way when the budget (--budget) ended")
	case took > limit:
		return failed("it went on for %s without an end of the answer; %s is the most", show(took), show(limit))
	case a.how.PeerClosed == "" && !a.how.Whole:
		return inconclusive("the answer went on for %s only", show(took))
	}
	return passed()
}

func judgePatient(_ *trial, a *attempt, _ any) finding {
	switch {
	case !a.done:
		return inconclusive("it was still under way when the budget (--budget) ended")
	case !a.how.Whole:
		return failed("it did not wait for the answer: the connection was closed (%s) after %s", orNobody(a.how.PeerClosed), show(a.ended().Sub(a.whole)))
	}
	return passed()
}

func orNobody(closed string) string {
	if closed == "" {
		return "by nobody"
	}
	return closed
}

func judgeReads(_ *trial, a *attempt, arg any) finding {
	switch {
	case a.how.Sent > int64(arg.(int)):
		return failed("it took %.1f MiB of the answer", float64(a.how.Sent)/(1<<20))
	case !a.done:
		return inconclusive("it was still under way when the budget (--budget) ended")
	case !a.how.Whole && a.how.PeerClosed == "":
		return inconclusive("the answer went on for %s only, of which it took %.1f MiB", show(a.ended().Sub(a.whole)), float64(a.how.Sent)/(1<<20))
	}
	return passed()
}
