package sender

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/scenarios"
)

// sights is what has been seen of the sender over the whole run.
type sights struct {
	mu            sync.Mutex
	attempts      int
	unsigned      int // attempts that verify by no secret
	firstUnsigned string
	ids           map[string]*event // by the event they were first seen on
	taken         string            // an id that two events had
	headers       map[string]int    // attempts that had a header, by its name in lower case
	contentType   string
	userAgent     string

	gaps     [][]time.Duration // of deliveries that were asked for no other time
	retried  map[int]bool      // statuses after which another attempt came
	givenUp  map[int]bool      // statuses after which none came while it was watched for
	most     int               // attempts of a delivery that was watched to its end
	deadline time.Duration     // after which it gave an attempt up
	led      map[bool]bool     // whether redirects were followed
	fresh    map[bool]bool     // whether timestamps were made anew for each attempt
	kept     map[bool]bool     // whether Retry-After was kept
}

// keptIDs bounds the ids that are remembered.
const keptIDs = 100_000

func newSights() sights {
	return sights{
		ids: map[string]*event{}, headers: map[string]int{}, retried: map[int]bool{}, givenUp: map[int]bool{},
		led: map[bool]bool{}, fresh: map[bool]bool{}, kept: map[bool]bool{},
	}
}

// see notes an attempt that is over.
func (s *sights) see(t *trial, a *attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.delivery.to.canary() {
		return // where nobody should be, nobody need sign
	}
	s.attempts++
	for _, h := range a.request.Headers {
		s.headers[strings.ToLower(h.Name)]++
	}
	s.contentType, s.userAgent = a.request.Headers.Get("Content-Type"), a.request.Headers.Get("User-Agent")
	read := !wayOf(a.answer).AtHead // else its body was not, and nothing verifies without it
	if t.subject.Profile.Signed() && read && a.active != nil && a.next != nil {
		if s.unsigned++; s.unsigned == 1 {
			s.firstUnsigned = a.name() + " in " + t.c.Name() + ": " + a.active.Error()
		}
	}
	if ev := a.delivery.event; a.id != "" && ev != nil && len(s.ids) < keptIDs {
		if other := s.ids[a.id]; other != nil && other != ev {
			s.taken = a.id
		}
		s.ids[a.id] = ev
	}
	if wayOf(a.answer).Name == "hang" && a.how.PeerClosed != "" {
		s.deadline = max(s.deadline, a.ended().Sub(a.whole))
	}
}

// conclude notes what can be said of a case when it is over. The caller holds mu.
func (t *trial) conclude() {
	s := &t.sights
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range t.deliveries {
		s.delivery(t, d)
	}
	for _, e := range t.endpoints {
		if e.spec.Canary {
			s.led[untouched(t, e).reason != ""] = true
		}
	}
}

func (s *sights) delivery(t *trial, d *delivery) {
	gaps := d.gaps()
	plain := true
	for i, gap := range gaps {
		before, after := d.attempts[i], d.attempts[i+1]
		if asked := retryAfter(before); asked > 0 && asked < time.Minute { // more need not be granted
			_, high := t.gapAfter(before.n)
			switch {
			case gap < asked-clockError:
				s.kept[false] = true
			case high < asked: // else it would have waited as long without
				s.kept[true] = true
			}
		}
		if before.answer.Way == nil {
			s.retried[statusOf(before.answer)] = true
		}
		if after.arrived.Sub(before.arrived) > 2*time.Second && t.subject.Profile.Timestamp != nil {
			s.fresh[after.stamp != before.stamp] = true
		}
		plain = plain && before.answer.Way == nil && !before.reply.Headers.Has("Retry-After")
	}
	if plain && len(gaps) > 0 {
		s.gaps = append(s.gaps, gaps)
	}
	last := d.last()
	if last.done && last.answer.Way == nil && !t.succeeds(last.answer) && t.watched(last) == "" {
		s.givenUp[statusOf(last.answer)] = true
		if plain && statusOf(last.answer) >= 500 && !removes(t.c) {
			s.most = max(s.most, len(d.attempts))
		}
	}
}

// removes tells whether a case takes an endpoint away, which ends what is under way.
func removes(c scenarios.Case) bool {
	return slices.ContainsFunc(c.Trigger, func(t scenarios.Trigger) bool { return t.Do == "remove" })
}

// Observed is the profile of what the sender was seen to do: the declared one, with
// what was seen in place of what was said. It is of use once the run has ended.
func (j *Judge) Observed() *profile.Profile {
	s := &j.sights
	s.mu.Lock()
	defer s.mu.Unlock()
	p := *j.subject.Profile
	p.Source = []string{"observed by hookanvil"}
	if s.attempts == 0 {
		return &p
	}
	p.Delivery.ContentType, p.Delivery.UserAgent = s.contentType, s.userAgent
	if s.deadline > 0 {
		p.Delivery.Deadline = rounded(s.deadline)
	}
	if word := said(s.led, "follow", "failure"); word != "" {
		p.Delivery.Redirects = word
	}
	s.headersOf(&p)
	p.Retry = s.retry(j.subject.Profile.Retry)
	return &p
}

// headersOf takes from a profile what no attempt had.
func (s *sights) headersOf(p *profile.Profile) {
	absent := func(name string) bool { return name != "" && s.headers[strings.ToLower(name)] == 0 }
	p.Also = slices.DeleteFunc(slices.Clone(p.Also), func(also profile.Scheme) bool { return absent(also.Header) })
	if p.Signed() && absent(p.Signature.Header) {
		p.Signature, p.Also, p.Key = profile.Scheme{Algorithm: "none"}, nil, profile.Key{}
	}
	if p.ID != nil && absent(p.ID.Header) {
		p.ID = nil
	}
	if p.Timestamp != nil && absent(p.Timestamp.Header) {
		p.Timestamp = nil
	}
	if p.Event != nil && absent(p.Event.Header) {
		p.Event = nil
	}
	p.Headers = slices.DeleteFunc(slices.Clone(p.Headers), func(h profile.Header) bool { return absent(h.Name) })
}

// retry is what was seen of the attempts, and of the gaps after each the median.
func (s *sights) retry(declared *profile.Retry) *profile.Retry {
	r := &profile.Retry{RetryAfter: said(s.kept, "honoured", "ignored"), Timestamp: said(s.fresh, "fresh", "kept"), Attempts: s.most}
	if declared != nil {
		r.Stops = declared.Stops
	}
	for i := 0; ; i++ {
		nth := s.nth(i)
		if len(nth) == 0 {
			break
		}
		r.Schedule = append(r.Schedule, rounded(nth[len(nth)/2]))
		if i == 0 {
			r.Jitter = jitter(nth)
		}
	}
	if r.Attempts > 0 { // a delivery that was given up sooner says nothing of the others
		r.Attempts = max(r.Attempts, len(r.Schedule)+1)
	}
	for _, status := range slices.Sorted(maps.Keys(s.givenUp)) {
		if !s.retried[status] && !slices.Contains(r.Stops, status) {
			r.GivesUpOn = append(r.GivesUpOn, status)
		}
	}
	return r
}

// nth are the gaps after the attempts of that number, the shortest first.
func (s *sights) nth(i int) (all []time.Duration) {
	for _, gaps := range s.gaps {
		if i < len(gaps) {
			all = append(all, gaps[i])
		}
	}
	slices.Sort(all)
	return all
}

// jitter tells by how much sorted gaps vary to either side, where there are enough to
// say so.
func jitter(gaps []time.Duration) string {
	if len(gaps) < 10 {
		return ""
	}
	low, middle, high := gaps[len(gaps)/10], gaps[len(gaps)/2], gaps[len(gaps)-1-len(gaps)/10]
	percent := int(50 * float64(high-low) / float64(max(middle, 1)))
	// A tenth at either end was left out.
	percent = percent * 10 / 8
	if percent < 1 {
		return ""
	}
	return fmt.Sprintf("%d%%", min(percent, 100))
}

// said is the word for what was always so, or never; empty where it was now one and
// now the other, or not seen at all.
func said(seen map[bool]bool, always, never string) string {
	switch {
	case seen[true] && !seen[false]:
		return always
	case seen[false] && !seen[true]:
		return never
	}
	return ""
}

// rounded keeps two digits, since no two runs measure the same.
func rounded(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 100 {
		unit *= 10
	}
	return max(d.Round(max(unit, time.Millisecond)), time.Millisecond)
}
