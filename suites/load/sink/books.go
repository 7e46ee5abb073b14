package sink

import (
	"bytes"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
)

// books are what a sink has counted.
type books struct {
	began     time.Time
	ids       *ids
	tallies   []*tally
	next      atomic.Uint32
	first     atomic.Int64 // when the first request came, in ns since began
	latest    atomic.Int64 // arrival, likewise
	drains    []drain      // by outage
	deferred  atomic.Int64 // deliveries that were refused in an outage and not accepted since
	inFlight  atomic.Int64
	turned    atomic.Int64
	untracked atomic.Int64
	anonymous atomic.Int64

	mostInFlight, mostConns atomic.Int64

	pending  [shardCount]awaited
	expected atomic.Int64
	beyond   atomic.Int64 // expectations that there was no room for
	waiting  atomic.Int64

	places    sync.RWMutex
	endpoints map[string]*endpoint
	others    endpoint

	samples samples
}

// drain is what is watched of an outage.
type drain struct {
	last   atomic.Int64 // when the last delivery of before its end was accepted, ns since began
	before atomic.Int64 // deliveries accepted before it
	after  [drainWatch / drainStep]atomic.Int32
}

// For a minute after an outage is watched in what steps deliveries come, and what came
// within a fifth of a second.
const (
	drainWatch = time.Minute
	drainStep  = 10 * time.Millisecond
	burst      = 200 * time.Millisecond
)

// watch notes an accepted delivery before or after an outage.
func (s *Sink) watch(at int64) {
	since := time.Duration(at - s.first.Load())
	for i := range s.o.Outages {
		o, d := &s.o.Outages[i], &s.drains[i]
		switch after := since - o.From - o.For; {
		case since < o.From:
			d.before.Add(1)
		case after >= 0 && after < drainWatch:
			d.after[after/drainStep].Add(1)
		}
	}
}

// burst is the most per second that came within a fifth of a second after the outage.
func (d *drain) burst() float64 {
	var most, now int32
	const wide = int(burst / drainStep)
	for i := range d.after {
		now += d.after[i].Load()
		if i >= wide {
			now -= d.after[i-wide].Load()
		}
		most = max(most, now)
	}
	return float64(most) / burst.Seconds()
}

// awaited are triggered deliveries.
type awaited struct {
	sync.Mutex
	at map[uint64]trigger
}

type trigger struct {
	at      int64 // ns since began
	arrived bool
}

// tally is a share of the counts, so that connections seldom wait for one another.
type tally struct {
	sync.Mutex
	verified, refused, duplicates, deliveries, unavailable, future int64
	reasons                                                        map[profile.Reason]int64
	broken                                                         map[wire.Kind]int64
	attempts                                                       [mostAttempts + 1]int64
	latency, age, gap                                              *hdrhistogram.Histogram
	seconds                                                        []second
	firstAt, lastAt                                                int64
}

type second struct{ verified, refused, duplicates, unavailable int64 }

// mostSeconds bounds the series: what comes later is counted in its last second.
const mostSeconds = 24 * 3600

// endpoint is one path.
type endpoint struct {
	path              string
	inFlight, most    atomic.Int64
	verified, refused atomic.Int64

	mu      sync.Mutex
	numbers sequence
	latency *hdrhistogram.Histogram
}

// Histograms hold microseconds up to a day.
func newHistogram(digits int) *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(24*time.Hour/time.Microsecond), digits)
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	// A value within the bounds is always taken.
	_ = h.RecordValue(min(max(int64(d/time.Microsecond), 0), h.HighestTrackableValue()))
}

func (b *books) open(l *Limits, o Options) {
	b.began = time.Now()
	b.ids = newIDs(l.IDs)
	b.endpoints = map[string]*endpoint{}
	b.drains = make([]drain, len(o.Outages))
	for i := range b.pending {
		b.pending[i].at = map[uint64]trigger{}
	}
	for range 2 * runtime.GOMAXPROCS(0) {
		b.tallies = append(b.tallies, &tally{
			reasons: map[profile.Reason]int64{}, broken: map[wire.Kind]int64{},
			latency: newHistogram(3), age: newHistogram(3), gap: newHistogram(3),
		})
	}
}

func (b *books) nextTally() *tally { return b.tallies[int(b.next.Add(1))%len(b.tallies)] }

// raise makes the most of a count that has grown to n.
func raise(most *atomic.Int64, n int64) {
	for {
		before := most.Load()
		if n <= before || most.CompareAndSwap(before, n) {
			return
		}
	}
}

func (t *tally) second(at int64) *second {
	i := int(min(at/int64(time.Second), mostSeconds-1))
	for len(t.seconds) <= i {
		t.seconds = append(t.seconds, second{})
	}
	return &t.seconds[i]
}

// broke counts what never became a delivery.
func (s *Sink) broke(c *conn, kind wire.Kind) {
	if s.isStopped() {
		return
	}
	if kind == wire.BadRequest || kind == wire.TooLarge || kind == wire.Unfit {
		s.samples.take(c, string(kind), "", 0, [2][]byte{c.buf[c.r:c.w]})
	}
	t := c.tally
	if t == nil {
		t = s.tallies[0]
	}
	t.Lock()
	t.broken[kind]++
	t.Unlock()
}

func (s *Sink) bookRefusal(c *conn, why profile.Reason, arrived time.Time, path []byte) {
	s.sinceFirst(arrived)
	s.places.RLock()
	e := s.endpoints[string(path)] // a forger makes no endpoints
	s.places.RUnlock()
	if e == nil {
		e = &s.others
	}
	e.refused.Add(1)
	s.samples.take(c, "refused: "+string(why), "", 401, c.requested())
	t := c.tally
	t.Lock()
	t.refused++
	t.reasons[why]++
	t.second(int64(arrived.Sub(s.began))).refused++
	t.Unlock()
}

// endpoint is that of a verified delivery, nil beyond the most.
func (s *Sink) endpoint(c *conn, path []byte) *endpoint {
	if c.at != nil && string(path) == c.at.path {
		return c.at
	}
	s.places.RLock()
	e := s.endpoints[string(path)]
	s.places.RUnlock()
	if e == nil {
		s.places.Lock()
		if e = s.endpoints[string(path)]; e == nil && len(s.endpoints) < s.limits.Endpoints {
			e = &endpoint{path: string(path)}
			s.endpoints[e.path] = e
		}
		s.places.Unlock()
	}
	if e == nil {
		return &s.others
	}
	c.at = e
	return e
}

// identity is what tells a delivery apart.
func (c *conn) identity(v profile.Verified) []byte {
	if mark := c.s.o.Mark; mark != "" {
		if i := bytes.Index(c.raw.Body, []byte(mark)); i >= 0 && i+c.s.o.MarkLength <= len(c.raw.Body) {
			return c.raw.Body[i : i+c.s.o.MarkLength]
		}
	}
	return v.ID
}

// book enters a verified delivery.
func (c *conn) book(v profile.Verified, arrived time.Time, e *endpoint, outage bool) {
	s, t := c.s, c.tally
	at := int64(arrived.Sub(s.began))
	s.sinceFirst(arrived)
	if !outage {
		s.watch(at)
	}
	gap := at - s.latest.Swap(at)
	id := c.identity(v)
	before, after, known := s.enter(id, at, outage)
	e.verified.Add(1)
	var latency time.Duration
	triggered := false
	if known.fresh {
		latency, triggered = time.Duration(at-known.trigger), true
		if s.o.Arrived != nil {
			s.o.Arrived(id, latency)
		}
	}
	c.number(e, latency, triggered)

	t.Lock()
	defer t.Unlock()
	t.verified++
	if t.firstAt == 0 {
		t.firstAt = max(at, 1)
	}
	t.lastAt = max(t.lastAt, at)
	now := t.second(at)
	now.verified++
	if gap != at && gap >= 0 {
		record(t.gap, time.Duration(gap))
	}
	if !v.Timestamp.IsZero() {
		age := arrived.Sub(v.Timestamp)
		record(t.age, age)
		if age < -time.Second {
			t.future++
		}
	}
	if triggered {
		record(t.latency, latency)
	}
	switch {
	case outage:
		t.unavailable++
		now.unavailable++
	case before&accepted != 0:
		s.samples.take(c, "repeated", "it had been accepted before", s.success(), c.requested())
		t.duplicates++
		now.duplicates++
	default:
		t.deliveries++
	}
	if after != 0 {
		if n := before & mostAttempts; n > 0 {
			t.attempts[n]--
		}
		t.attempts[after&mostAttempts]++
	}
}

// number enters a delivery's number in its sequence, and its latency.
func (c *conn) number(e *endpoint, latency time.Duration, triggered bool) {
	text := c.req.sequence
	if c.s.sequenceAt != nil {
		text = c.s.sequenceAt.Find(c.raw.Body)
	}
	n, numbered := number(text)
	if !numbered && !triggered {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if numbered {
		e.numbers.note(n)
	}
	if triggered {
		if e.latency == nil {
			e.latency = newHistogram(2)
		}
		record(e.latency, latency)
	}
}

// number reads up to 18 digits.
func number(text []byte) (n uint64, ok bool) {
	if len(text) == 0 || len(text) > 18 {
		return 0, false
	}
	for _, c := range text {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

// acquaintance is what is known of a delivery from its trigger.
type acquaintance struct {
	fresh   bool // this is its first attempt
	trigger int64
}

// enter enters a delivery in the set, and returns its note before and after: 0 where it
// cannot be tracked.
func (s *Sink) enter(id []byte, at int64, outage bool) (before, after uint8, known acquaintance) {
	if len(id) == 0 {
		s.anonymous.Add(1)
		return 0, 0, known
	}
	key := s.ids.fingerprint(id)
	if !s.ids.change(key, func(note uint8) uint8 {
		before = note
		after = note&^mostAttempts | min(note&mostAttempts+1, mostAttempts)
		switch {
		case !outage:
			after = after&^deferred | accepted
		case note&accepted == 0:
			after |= deferred
		}
		return after
	}) {
		s.untracked.Add(1)
	}
	switch made := after&deferred != 0; {
	case made && before&deferred == 0:
		s.deferred.Add(1)
	case !made && before&deferred != 0:
		s.deferred.Add(-1)
		s.madeGood(at, -1)
	}
	if s.waiting.Load() > 0 {
		known = s.await(key, at, outage)
	}
	return before, after, known
}

// madeGood notes that a delivery of before the end of an outage was accepted; triggered
// is -1 where it is not known when it was.
func (s *Sink) madeGood(at, triggered int64) {
	first := s.first.Load()
	for i := range s.o.Outages {
		o := &s.o.Outages[i]
		from, to := first+int64(o.From), first+int64(o.From+o.For)
		late := triggered >= 0 && triggered <= to && at >= to
		held := triggered < 0 && at >= from && (i+1 == len(s.o.Outages) || at < first+int64(s.o.Outages[i+1].From))
		if late || held {
			raise(&s.drains[i].last, at)
		}
	}
}

func (s *Sink) await(key uint64, at int64, outage bool) (known acquaintance) {
	p := &s.pending[key>>56]
	p.Lock()
	defer p.Unlock()
	t, is := p.at[key]
	if !is {
		return known
	}
	known = acquaintance{!t.arrived, t.at}
	if outage {
		t.arrived = true
		p.at[key] = t
		return known
	}
	delete(p.at, key)
	s.waiting.Add(-1)
	s.madeGood(at, t.at)
	return known
}

// Expect says that a delivery was triggered. It is best said before the trigger: what
// arrives sooner has no latency.
func (s *Sink) Expect(id string, at time.Time) {
	key := s.ids.fingerprint([]byte(id))
	p := &s.pending[key>>56]
	p.Lock()
	defer p.Unlock()
	if _, is := p.at[key]; is {
		return
	}
	s.expected.Add(1)
	if int(s.waiting.Load()) >= s.limits.Pending {
		s.beyond.Add(1)
		return
	}
	note := s.ids.note(key)
	if note&accepted != 0 {
		return
	}
	p.at[key] = trigger{int64(at.Sub(s.began)), note != 0}
	s.waiting.Add(1)
}

// note is the note of a delivery, 0 where it has none.
func (s *ids) note(key uint64) uint8 {
	sh := &s.shards[key>>56]
	sh.Lock()
	defer sh.Unlock()
	if at, found := sh.find(key); found {
		return sh.notes[at]
	}
	return 0
}

// Awaits tells whether a triggered delivery has not been accepted yet.
func (s *Sink) Awaits(id string) bool {
	key := s.ids.fingerprint([]byte(id))
	p := &s.pending[key>>56]
	p.Lock()
	defer p.Unlock()
	_, is := p.at[key]
	return is
}

// Awaited is how many triggered deliveries have not been accepted yet.
func (s *Sink) Awaited() int64 { return s.waiting.Load() }

// Snapshot is what a live line shows.
type Snapshot struct {
	Verified, Refused, Duplicates, Deliveries, InFlight, Connections int64
}

// Snapshot is how things stand.
func (s *Sink) Snapshot() Snapshot {
	var now Snapshot
	for _, t := range s.tallies {
		t.Lock()
		now.Verified += t.verified
		now.Refused += t.refused
		now.Duplicates += t.duplicates
		now.Deliveries += t.deliveries
		t.Unlock()
	}
	now.InFlight = s.inFlight.Load()
	s.mu.Lock()
	now.Connections = int64(len(s.conns))
	s.mu.Unlock()
	return now
}

// Report is what has been counted so far.
func (s *Sink) Report() reports.Absorption {
	a := reports.Absorption{
		Schema: reports.AbsorptionSchema, Profile: s.o.Profile.Name, Started: s.began, Ended: time.Now(), State: reports.Complete,
		Plan: s.plan(), Reasons: map[string]int64{}, Broken: map[string]int64{}, Attempts: map[int]int64{},
		Turned: s.turned.Load(), Anonymous: s.anonymous.Load(), Untracked: s.untracked.Load(),
		InFlight: s.mostInFlight.Load(), Connections: s.mostConns.Load(), MemoryForIDs: s.ids.bytes(),
	}
	seconds, first, last := s.add(&a)
	for i, x := range seconds {
		a.Series = append(a.Series, reports.AbsorbedSecond{At: float64(i), Verified: x.verified, Refused: x.refused, Duplicates: x.duplicates, Unavailable: x.unavailable})
		a.Peak = max(a.Peak, float64(x.verified))
	}
	a.Received = a.Verified + a.Refused
	if a.Verified > 0 {
		// Of what came within a second it cannot be said how much a second would bring.
		a.Rate = float64(a.Verified) / max(time.Duration(last-first).Seconds(), 1)
	}
	s.paths(&a)
	s.losses(&a)
	for i := range s.o.Outages {
		a.Outages = append(a.Outages, s.aftermath(i, seconds))
	}
	return a
}

func (s *Sink) plan() string {
	var words []string
	for _, o := range s.o.Outages {
		words = append(words, "outage "+o.String())
	}
	for _, w := range s.o.Slow {
		words = append(words, "slow "+w.String())
	}
	return strings.Join(words, "; ")
}

// add adds the tallies up.
func (s *Sink) add(a *reports.Absorption) (seconds []second, first, last int64) {
	latency, age, gap := newHistogram(3), newHistogram(3), newHistogram(3)
	for _, t := range s.tallies {
		t.Lock()
		a.Verified += t.verified
		a.Refused += t.refused
		a.Duplicates += t.duplicates
		a.Deliveries += t.deliveries
		a.Unavailable += t.unavailable
		a.Future += t.future
		for why, n := range t.reasons {
			a.Reasons[string(why)] += n
		}
		for kind, n := range t.broken {
			a.Broken[string(kind)] += n
		}
		for n, count := range t.attempts {
			if a.Attempts[n] += count; a.Attempts[n] == 0 {
				delete(a.Attempts, n)
			}
		}
		latency.Merge(t.latency)
		age.Merge(t.age)
		gap.Merge(t.gap)
		if t.firstAt > 0 && (first == 0 || t.firstAt < first) {
			first = t.firstAt
		}
		last = max(last, t.lastAt)
		for len(seconds) < len(t.seconds) {
			seconds = append(seconds, second{})
		}
		for i, x := range t.seconds {
			seconds[i].verified += x.verified
			seconds[i].refused += x.refused
			seconds[i].duplicates += x.duplicates
			seconds[i].unavailable += x.unavailable
		}
		t.Unlock()
	}
	a.Latency, a.Age, a.Gap = distribution(latency), distribution(age), distribution(gap)
	return seconds, first, last
}

func distribution(h *hdrhistogram.Histogram) reports.Distribution {
	if h == nil || h.TotalCount() == 0 {
		return reports.Distribution{}
	}
	at := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
	d := reports.Distribution{
		Count: h.TotalCount(), Min: float64(h.Min()) / 1000, Mean: h.Mean() / 1000, Max: float64(h.Max()) / 1000,
		P50: at(50), P90: at(90), P95: at(95), P99: at(99), P999: at(99.9),
	}
	if h.SignificantFigures() >= 3 { // others are too coarse to be read back
		if text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase); err == nil {
			d.HDR = string(text)
		}
	}
	return d
}

// paths tells of the endpoints.
func (s *Sink) paths(a *reports.Absorption) {
	s.places.RLock()
	list := slices.Collect(maps.Values(s.endpoints))
	s.places.RUnlock()
	slices.SortFunc(list, func(x, y *endpoint) int { return strings.Compare(x.path, y.path) })
	if s.others.verified.Load()+s.others.refused.Load() > 0 {
		list = append(list, &s.others)
	}
	var missing, backwards int64
	beyond := false
	for _, e := range list {
		e.mu.Lock()
		shown := reports.AbsorbedEndpoint{
			Path: e.path, Verified: e.verified.Load(), Refused: e.refused.Load(), InFlight: e.most.Load(),
			Missing: e.numbers.missing(), Backwards: e.numbers.backwards, Latency: distribution(e.latency),
		}
		beyond = beyond || e.numbers.beyond
		e.mu.Unlock()
		missing += shown.Missing
		backwards += shown.Backwards
		a.Endpoints = append(a.Endpoints, shown)
	}
	if s.o.Sequence == "" {
		return
	}
	a.Backwards = &backwards
	if beyond {
		a.Notes = append(a.Notes, "the numbers of a sequence lie further apart than can be kept: what is missing is not told")
	} else {
		a.Missing = &missing
	}
}

// losses tells what should have come and has not.
func (s *Sink) losses(a *reports.Absorption) {
	if a.Untracked > 0 {
		a.Notes = append(a.Notes, fmt.Sprintf("%d deliveries came beyond the %d that can be told apart: duplicates among them are not seen", a.Untracked, s.limits.IDs))
	}
	expected := s.expected.Load()
	switch {
	case expected > 0:
		a.Expected = &expected
		waiting := s.waiting.Load()
		a.Unexpected = max(a.Deliveries-(expected-waiting), 0)
		if n := s.beyond.Load(); n > 0 {
			a.Notes = append(a.Notes, fmt.Sprintf("%d triggers found %d deliveries awaited already, which is the most: losses are not told", n, s.limits.Pending))
			return
		}
		a.Lost = &waiting
	case s.o.Expect > 0:
		expected = s.o.Expect
		a.Expected = &expected
		lost := expected - a.Deliveries
		if lost <= 0 && a.Anonymous+a.Untracked > 0 {
			a.Notes = append(a.Notes, "deliveries that could not be told apart may stand for one another: losses are not told")
			return
		}
		a.Unexpected = max(-lost, 0)
		lost = max(lost, 0)
		a.Lost = &lost
	}
}

// aftermath is what came of an outage.
func (s *Sink) aftermath(i int, seconds []second) reports.AbsorbedOutage {
	o, first := s.o.Outages[i], s.first.Load()
	from, to := first+int64(o.From), first+int64(o.From+o.For)
	a := reports.AbsorbedOutage{Plan: o.String(), From: time.Duration(from).Seconds(), To: time.Duration(to).Seconds()}
	if i == len(s.o.Outages)-1 {
		a.Left = s.deferred.Load()
	}
	a.Left = max(a.Left, s.overdue(to))
	if last := s.drains[i].last.Load(); last > 0 && a.Left == 0 {
		ms := max(0, time.Duration(last-to).Seconds()*1000)
		a.Drain = &ms
	}
	// Whole seconds only: the first and those in which the outage begins or ends are not.
	var before, n int64
	begin, end := first/int64(time.Second)+1, from/int64(time.Second)
	for j, x := range seconds {
		switch {
		case int64(j) >= begin && int64(j) < end:
			before += x.verified
			n++
		case int64(j) >= to/int64(time.Second):
			a.Peak = max(a.Peak, float64(x.verified-x.unavailable))
		}
	}
	if n > 0 {
		a.Mean = float64(before) / float64(n)
	} else if o.From >= shortest {
		a.Mean = float64(s.drains[i].before.Load()) / o.From.Seconds()
	}
	a.Burst = s.drains[i].burst()
	return a
}

// shortest is the time before an outage of which a rate can be told.
const shortest = time.Second / 2

// overdue are triggered deliveries of before a time that have not been accepted.
func (s *Sink) overdue(to int64) (n int64) {
	for i := range s.pending {
		p := &s.pending[i]
		p.Lock()
		for _, t := range p.at {
			if t.at <= to {
				n++
			}
		}
		p.Unlock()
	}
	return n
}

// Forget takes an expectation back: the trigger has failed.
func (s *Sink) Forget(id string) {
	key := s.ids.fingerprint([]byte(id))
	p := &s.pending[key>>56]
	p.Lock()
	defer p.Unlock()
	if _, is := p.at[key]; is {
		delete(p.at, key)
		s.waiting.Add(-1)
		s.expected.Add(-1)
	}
}
