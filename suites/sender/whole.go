package sender

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// wholeExpectations look at all that a case brought about.
var wholeExpectations = expectationTable{
	{Entry: namesOf("unique", []string{"id"}, "gives every event an id of its own"), needs: []string{"id"}, judge: judgeUnique},
	{Entry: wordWith("spread", scenarios.Number, "spreads the second attempts of many deliveries over at least so many percent of the gap"), needs: []string{"retries"}, judge: judgeSpread},
	{Entry: word("canary-silent", "makes no connection to where it must not be led"),
		demand: func(t *trial, _ any) demand { return demand{quiet: t.silence()} }, judge: judgeCanary},
	{Entry: word("refused", "refuses to register the endpoint"), needs: []string{"registration"}, absent: true, judge: judgeRefused},
	{Entry: word("refused-or-silent", "refuses to register the endpoint, or never connects to it"), needs: []string{"registration"}, absent: true,
		demand: func(*trial, any) demand { return demand{silence: true} }, judge: judgeRefusedOrSilent},
	{Entry: word("refused-or-inert", "refuses to register an endpoint that asks for such headers, or sends requests that they do not change"),
		needs: []string{"registration"}, absent: true, judge: judgeRefusedOrInert},
	{Entry: word("silent", "makes no attempt at all"), needs: []string{"trigger"}, absent: true,
		demand: func(*trial, any) demand { return demand{silence: true} }, judge: judgeSilent},
	{Entry: word("in-order", "delivers events in the order in which they were fired"), judge: judgeOrder},
	{Entry: word("well-formed", "sends nothing but well-formed HTTP requests"), judge: judgeWellFormed},
}

func judgeUnique(_ *trial, s scope, _ any) finding {
	first := map[string]*delivery{}
	for _, d := range s.deliveries {
		for _, a := range d.attempts {
			if other, taken := first[a.id]; taken && other != d {
				return failed("%s and %s have the same id %s", other.name(), d.name(), quote(a.id))
			}
			first[a.id] = d
		}
	}
	if len(s.deliveries) < 2 {
		return inconclusive("there was one delivery only, and so nothing to compare")
	}
	return passed()
}

// judgeSpread looks at when many deliveries that failed together come back: at the
// last gap that all of them have.
func judgeSpread(t *trial, s scope, arg any) finding {
	gaps, n := commonGaps(s.deliveries)
	if len(gaps) < 10 {
		return inconclusive("%d deliveries came back, too few to tell chance from jitter", len(gaps))
	}
	// Without the extremes: one late timer is no jitter.
	low, high := gaps[len(gaps)/10], gaps[len(gaps)-1-len(gaps)/10]
	declared, _ := t.subject.Profile.Retry.Gap(n)
	percent := int(math.Round(100 * float64(high-low) / float64(max(gaps[len(gaps)/2], 1))))
	t.figure("spread of the gaps", float64(percent), "percent", show(low)+" to "+show(high))
	// Of a range that is declared, half at least must be made use of, or a quarter
	// where there are few to fill it.
	least, most := t.subject.Profile.Retry.Spread()
	share := 0.5
	if len(gaps) < 30 {
		share = 0.25
	}
	wanted := max(arg.(int), int(math.Round(100*(most-least)*share)))
	switch {
	case gaps[len(gaps)/2] < time.Duration(float64(declared)*least)/2:
		return failed("%d deliveries that failed together came back together, %s later, where %s is declared", len(gaps), show(gaps[len(gaps)/2]), show(declared))
	case percent < wanted:
		return failed("%d deliveries that failed together came back together: between %s and %s later, %d %% apart; %d %% is the least", len(gaps), show(low), show(high), percent, wanted)
	case high-low < clockError:
		return inconclusive("%d deliveries came back between %s and %s later: too close together to tell chance from jitter", len(gaps), show(low), show(high))
	}
	return passed()
}

// commonGaps are the gaps of many deliveries after the same attempt, the latest that
// all of those have which came back at all; the shortest first.
func commonGaps(deliveries []*delivery) (gaps []time.Duration, n int) {
	for _, d := range deliveries {
		if made := len(d.gaps()); made > 0 && (n == 0 || made < n) {
			n = made
		}
	}
	for _, d := range deliveries {
		if all := d.gaps(); n > 0 && len(all) >= n {
			gaps = append(gaps, all[n-1])
		}
	}
	slices.Sort(gaps)
	return gaps, n
}

func judgeCanary(t *trial, _ scope, _ any) finding {
	canaries := 0
	for _, e := range t.endpoints {
		if !e.canary() {
			continue
		}
		canaries++
		if f := untouched(t, e); f.reason != "" {
			return f
		}
	}
	if canaries == 0 {
		return inconclusive("the case has no canary")
	}
	for _, d := range t.deliveries {
		if a := d.led(); !a.done || t.seen.Before(a.ended().Add(t.silence())) {
			return inconclusive("nobody came to the canary for %s, and then the budget (--budget) ended", show(t.seen.Sub(a.ended())))
		}
	}
	return passed()
}

// led is the first attempt of a delivery that was answered by a redirect, or the last
// where none was.
func (d *delivery) led() *attempt {
	i := slices.IndexFunc(d.attempts, func(a *attempt) bool { return a.done && statusOf(a.answer)/100 == 3 })
	if i < 0 {
		return d.last()
	}
	return d.attempts[i]
}

// untouched demands that nobody has come to an endpoint.
func untouched(t *trial, e *endpoint) finding {
	for _, d := range t.deliveries {
		if d.to == e {
			return failed("it was led to %s and sent %s there", e.url, d.attempts[0].request.Method+" "+quote(d.attempts[0].request.Target))
		}
	}
	if e.connections > 0 {
		return failed("it was led to %s and connected there %s", e.url, times(e.connections))
	}
	return passed()
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return count(n, "time")
}

func judgeRefused(t *trial, _ scope, _ any) finding {
	if t.refusal == nil {
		return failed("it registered the endpoint %s", t.endpoints[0].url)
	}
	if !t.refusal.Refused() || slices.Contains(beside, t.refusal.Status) {
		return inconclusive("it did not register the endpoint, and not as a refusal: %s", t.refusal.phrase())
	}
	return passed()
}

// beside are the statuses of an API that says no to something else than the
// endpoint: to who asks, where, how, or how often.
var beside = []int{401, 404, 405, 406, 407, 408, 411, 413, 414, 415, 417, 421, 425, 426, 428, 429, 431}

func judgeRefusedOrSilent(t *trial, _ scope, _ any) finding {
	if t.refusal != nil {
		return judgeRefused(t, scope{}, nil)
	}
	for _, e := range t.endpoints {
		if !e.canary() {
			continue
		}
		if f := untouched(t, e); f.reason != "" {
			return f
		}
		if form, ok := addresses.find(e.spec.Address); ok && len(form.listen) == 0 {
			return inconclusive("it registered %s; whether it would connect cannot be seen from here, since nothing can listen at that address", e.url)
		} else if ok && form.answers != nil && t.lookups(e) > 0 && t.lookups(e) < len(form.answers()) {
			return inconclusive("it looked the name up %s only, and it leads inside from the %d. time on", times(t.lookups(e)), len(form.answers()))
		}
	}
	return t.watchedSilence()
}

// judgeRefusedOrInert demands that custom headers cannot end their own line, speak for
// the sender's own headers, or frame and route the request.
func judgeRefusedOrInert(t *trial, s scope, _ any) finding {
	if t.refusal != nil {
		return judgeRefused(t, s, nil)
	}
	if f := judgeWellFormed(t, s, nil); f.reason != "" {
		return f
	}
	if f := t.arrived(s); f.reason != "" {
		if t.waited(s) {
			f.verdict, f.silent = reports.Fail, true // without such headers events arrive
		}
		return f
	}
	return each(func(t *trial, a *attempt, _ any) finding {
		sound := []finding{judgeHost(t, a, nil), judgeHeadersOnce(t, a, nil)}
		if hasSecret(t.Judge) {
			sound = append(sound, t.verified(a, a.active))
		}
		for _, name := range smuggled(a.delivery.to.spec.Headers) {
			sound = append(sound, judgeNoHeader(t, a, name))
		}
		return worst(sound...)
	})(t, s, nil)
}

// smuggled are the names of headers that stand behind a line break in the value of
// another.
func smuggled(headers map[string]string) (names []string) {
	for _, value := range headers {
		lines := strings.FieldsFunc(value, func(r rune) bool { return r == '\r' || r == '\n' })
		for _, line := range lines[min(1, len(lines)):] {
			if name, _, ok := strings.Cut(line, ":"); ok {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(names, func(name string) bool {
		return strings.EqualFold(name, "Host") || strings.EqualFold(name, "Content-Length")
	})
}

func judgeSilent(t *trial, s scope, _ any) finding {
	if len(s.deliveries) == 0 {
		return t.watchedSilence()
	}
	d := s.deliveries[0]
	if d.event == nil {
		return failed("%s came", d.name())
	}
	return failed("%s came, %s after the event was fired", d.name(), show(d.attempts[0].whole.Sub(d.event.fired)))
}

// lookups is how often the name of an endpoint has been looked up.
func (t *trial) lookups(e *endpoint) int { return t.subject.Resolver.Lookups(e.token + domain) }

// watchedSilence demands that silence was listened to for long enough.
func (t *trial) watchedSilence() finding {
	if t.subject.waiting() {
		return inconclusive("nothing came, and whether an event was fired is not known: it is not fired by us (--trigger)")
	}
	for _, ev := range t.events {
		if t.main(ev) == nil && t.seen.Before(ev.fired.Add(t.silence())) {
			return inconclusive("nothing came, and it could be watched for %s only", show(t.seen.Sub(ev.fired)))
		}
	}
	return passed()
}

func judgeOrder(_ *trial, s scope, _ any) finding {
	var last *delivery
	for _, d := range s.deliveries {
		if d.event == nil {
			continue
		}
		if last != nil && d.event.step < last.event.step { // those of one trigger are fired at once
			return failed("%s arrived before %s", last.name(), d.name())
		}
		last = d
	}
	return passed()
}

func judgeWellFormed(t *trial, _ scope, _ any) finding {
	for _, e := range t.endpoints {
		for _, x := range e.incidents {
			if malformed(x) {
				return failed("something arrived that is no request: %s", x.Detail)
			}
		}
	}
	return passed()
}

// malformed tells of what a sender did wrong: a connection on which it sent nothing,
// kept for a request that did not come, is its own affair, and so is an answer that it
// did not take.
func malformed(x wire.Incident) bool {
	return x.Kind != wire.NoTLS && x.Kind != wire.Silent && x.Kind != wire.Unanswered && x.Kind != wire.Crowded
}
