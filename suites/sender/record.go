package sender

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/scenarios"
)

// endpoint is where the sender delivers to in one case.
type endpoint struct {
	spec  scenarios.Endpoint
	trial *trial
	token string
	url   string // under which it is registered
	port  *port  // of its own; nil where it shares one

	keys         profile.Keys // that sign for it
	registration []byte       // what the sender answered when it was registered
	registered   bool

	greetings []greeting  // by the profile's handshake
	denials   []time.Time // when it was said that there would be no deliveries

	tls         *secured // nil where it speaks none
	connections int      // on a port of its own
	incidents   []wire.Incident
}

// canary tells whether nobody should ever come here.
func (e *endpoint) canary() bool { return e.spec.Canary || e.spec.Address != "" }

// requestPath is the path and the query that a request for it must have.
func (e *endpoint) requestPath() string {
	path := "/" + e.token + e.spec.Path
	if e.spec.Query != "" {
		path += "?" + e.spec.Query
	}
	return path
}

// event is something that the sender was made to tell us.
type event struct {
	trial   *trial
	step    int // number of the trigger, from 0
	nth     int // of those that the trigger fired, from 1
	to      *endpoint
	token   string
	script  []scenarios.Answer
	fired   time.Time
	problem string // why it could not be fired
	// declined tells that the sender would not take it, since the endpoint had been
	// removed before, or had said that it was gone.
	declined bool
	// batched tells that its token came in a request beside that of another event.
	batched atomic.Bool
	// deliveries are one for each endpoint that it was delivered to.
	deliveries []*delivery
}

// delivery is an event on its way to one endpoint.
type delivery struct {
	to       *endpoint
	event    *event // nil where nobody knows what brought it about
	attempts []*attempt
}

func (d *delivery) trial() *trial { return d.to.trial }

func (d *delivery) last() *attempt {
	if len(d.attempts) == 0 {
		return nil
	}
	return d.attempts[len(d.attempts)-1]
}

// attempt is one request of a delivery, and its answer.
type attempt struct {
	delivery *delivery
	n        int // from 1
	request  *wire.Received
	arrived  time.Time // its first byte
	whole    time.Time // its last byte
	id       string
	stamp    string           // its timestamp as it was sent
	active   error            // why the secret of the endpoint has not signed it; nil where it has
	next     error            // the same of the secret after a rotation
	doubts   map[error]string // what was found of each, for people
	answer   scenarios.Answer
	reply    wire.Reply
	how      wire.Fate
	done     bool // it has been answered, or given up by the sender
}

// ended is when the attempt was over for the sender.
func (a *attempt) ended() time.Time {
	if a.how.Ended.IsZero() {
		return a.whole
	}
	return a.how.Ended
}

// succeeded tells whether it was answered as a delivery that has arrived.
func (a *attempt) succeeded() bool {
	return a.done && a.how.Whole && a.delivery.trial().succeeds(a.answer)
}

// succeeds tells whether a sender must take an answer for a success.
func (t *trial) succeeds(a scenarios.Answer) bool {
	return wayOf(a).Outcome == wire.Valid && t.subject.Profile.Succeeds(statusOf(a))
}

// wayOf is how an answer is given: plainly, unless it says otherwise.
func wayOf(a scenarios.Answer) wire.AnswerWay {
	if a.Way != nil {
		way, _ := wire.FindAnswerWay(a.Way.Name) // the vocabulary knows no other names
		return way
	}
	return wire.AnswerWay{Outcome: wire.Valid, Apply: func(base wire.Reply, _ int) wire.Reply { return base }}
}

func (a *attempt) incoming() profile.Incoming {
	return profile.Incoming{Method: a.request.Method, URL: a.delivery.to.requested(a.request), Headers: a.request.Headers, Body: a.request.Body}
}

// requested is the URL of a request for it: as it is registered, with the query that was sent
// where the provider adds to it.
func (e *endpoint) requested(r *wire.Received) string {
	if len(e.trial.subject.Profile.Query) == 0 {
		return e.url
	}
	before, _, _ := strings.Cut(e.url, "?")
	return before + "?" + r.Query
}

// document is what the body says.
func (a *attempt) document() []byte {
	return a.delivery.trial().subject.Profile.Document(a.request.Body)
}

// acknowledgement is the answer to what is of no interest to the case.
func (t *trial) acknowledgement() wire.Reply {
	p := t.subject.Profile
	return p.Answered(p.Acknowledges())
}

// arrive takes a request for an endpoint: finds the delivery that it is an attempt
// of, and says what to answer. It is no attempt where the case is over, or where it
// carries the token of another case.
func (t *trial) arrive(e *endpoint, carried *event, r *wire.Received) (*attempt, wire.Reply) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.catch()
	foreign := carried != nil && carried.trial != t
	if !foreign {
		if reply := t.greet(e, r); reply != nil {
			return nil, *reply
		}
	}
	// A greeting that some senders send to a new endpoint is no event of the case.
	greeting := len(t.events) == 0 && !e.canary()
	if t.over || foreign || greeting {
		return nil, t.acknowledgement()
	}
	if t.taken >= mostAttempts || t.bytes+len(r.Body) > mostBytes {
		return nil, wire.Reply{Status: 503} // there is enough to judge by
	}
	t.taken, t.bytes = t.taken+1, t.bytes+len(r.Body)
	a := &attempt{request: r, arrived: r.Start, whole: time.Now()}
	p := t.subject.Profile
	a.id, a.stamp = p.DeliveryID(r.Headers, r.Body), stampOf(p, e, r)
	if carried == nil && !t.house.claim(t, a.id, r.Body) {
		return nil, t.acknowledgement()
	}
	d := t.deliveryOf(e, carried, a)
	a.delivery, a.n = d, len(d.attempts)+1
	d.attempts = append(d.attempts, a)
	t.underWay.Add(1)
	a.answer = answerTo(t.scriptOf(d), a.n)
	t.verify(a)
	a.reply = t.replyOf(a.answer)
	t.signal()
	return a, a.reply
}

// Bounds of what is kept of one case, whatever a sender does.
const (
	mostAttempts = 20_000
	mostBytes    = 128 << 20 // of bodies
)

// stampOf is the timestamp as it was sent.
func stampOf(p *profile.Profile, e *endpoint, r *wire.Received) string {
	if p.Timestamp != nil && p.Timestamp.Header != "" {
		return r.Headers.Get(p.Timestamp.Header)
	}
	claim, err := p.Read(profile.Incoming{Method: r.Method, URL: e.requested(r), Headers: r.Headers, Body: r.Body})
	if err != nil {
		return ""
	}
	return claim.Timestamp
}

// verify finds out whose secret has signed an attempt.
func (t *trial) verify(a *attempt) {
	p := t.subject.Profile
	if !p.Signed() || wayOf(a.answer).AtHead { // there is no body to verify yet
		return
	}
	_, a.active = p.Verify(a.incoming(), a.delivery.to.keys, a.whole)
	_, a.next = p.Verify(a.incoming(), t.subject.Next, a.whole)
}

// deliveryOf finds the delivery that an attempt belongs to: by the token that it
// carries, by its id, by its body, or as the first attempt of the event that has
// waited longest for one.
func (t *trial) deliveryOf(e *endpoint, carried *event, a *attempt) *delivery {
	if carried != nil {
		return t.deliveryTo(e, carried)
	}
	at := slices.DeleteFunc(slices.Clone(t.deliveries), func(d *delivery) bool { return d.to != e })
	for _, same := range []func(*attempt) bool{
		func(b *attempt) bool { return a.id != "" && a.id == b.id },
		func(b *attempt) bool { return len(a.request.Body) > 0 && bytes.Equal(a.request.Body, b.request.Body) },
	} {
		if i := slices.IndexFunc(at, func(d *delivery) bool { return slices.ContainsFunc(d.attempts, same) }); i >= 0 {
			return at[i]
		}
	}
	events := t.eventsTo(e)
	if t.carried && !unread(a.request) {
		// What carries no token where events do is none of them, unless it is led here by
		// an answer: a redirect that is followed by a GET has no body to carry it.
		if len(events) == 1 && t.main(events[0]) != nil && len(a.request.Body) == 0 {
			return t.deliveryTo(e, events[0])
		}
		return t.newDelivery(e, nil)
	}
	for _, ev := range events {
		if !slices.ContainsFunc(ev.deliveries, func(d *delivery) bool { return d.to == e }) {
			return t.deliveryTo(e, ev)
		}
	}
	if len(events) == 1 {
		return t.deliveryTo(e, events[0]) // another try at the only thing there is to deliver
	}
	return t.newDelivery(e, nil)
}

// unread tells of a request whose body was not waited for.
func unread(r *wire.Received) bool {
	length := r.Headers.Get("Content-Length")
	return r.Body == nil && (r.Headers.Has("Transfer-Encoding") || length != "" && length != "0")
}

// eventsTo are the events that were fired for an endpoint, in their order.
func (t *trial) eventsTo(e *endpoint) []*event {
	return slices.DeleteFunc(slices.Clone(t.events), func(ev *event) bool { return ev.to != e || ev.fired.IsZero() })
}

func (t *trial) deliveryTo(e *endpoint, ev *event) *delivery {
	if i := slices.IndexFunc(ev.deliveries, func(d *delivery) bool { return d.to == e }); i >= 0 {
		return ev.deliveries[i]
	}
	return t.newDelivery(e, ev)
}

func (t *trial) newDelivery(e *endpoint, ev *event) *delivery {
	d := &delivery{to: e, event: ev}
	t.deliveries = append(t.deliveries, d)
	if ev != nil {
		ev.deliveries = append(ev.deliveries, d)
	}
	return d
}

// scriptOf are the answers to a delivery: those of its trigger where it goes to the
// endpoint that the trigger is for, else those of the endpoint.
func (t *trial) scriptOf(d *delivery) []scenarios.Answer {
	if d.event != nil && d.event.to == d.to {
		return d.event.script
	}
	return t.attemptsOf(d.to, scenarios.Trigger{})
}

// script are the answers to the deliveries of a trigger, one for each attempt.
func (t *trial) script(e *endpoint, trigger scenarios.Trigger) []scenarios.Answer {
	answers := t.c.Respond
	switch {
	case len(trigger.Respond) > 0:
		answers = trigger.Respond
	case len(e.spec.Respond) > 0:
		answers = e.spec.Respond
	case e.spec.Canary:
		answers = nil // whoever was led there is to take it for a success
	}
	var all []scenarios.Answer
	for _, a := range answers {
		a = t.acknowledging(a)
		all = append(all, slices.Repeat([]scenarios.Answer{a}, max(a.Times, 1))...)
	}
	if len(all) == 0 {
		all = []scenarios.Answer{{Status: t.subject.Profile.Acknowledges()}}
	}
	return all
}

// acknowledging is an answer as the profile has it: a 200 is what counts as delivered.
func (t *trial) acknowledging(a scenarios.Answer) scenarios.Answer {
	if statusOf(a) == 200 {
		a.Status = t.subject.Profile.Acknowledges()
	}
	return a
}

// answerTo is what the n-th attempt is answered; the last answer goes on.
func answerTo(script []scenarios.Answer, n int) scenarios.Answer {
	return script[min(n, len(script))-1]
}

// answered notes what became of an answer, and keeps it as evidence.
func (t *trial) answered(a *attempt, how wire.Fate) {
	t.underWay.Add(-1)
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.catch()
	if t.over {
		return
	}
	a.how, a.done = how, true
	t.keep(a)
	t.signal()
}

// connected notes a connection to a port of its own, before anything has been read
// from it, and answers it if that is the scenario.
func (t *trial) connected(e *endpoint, _ int) *wire.Reply {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return nil
	}
	if t.subject.Profile.Challenge != nil && len(t.events) == 0 && !e.canary() {
		return nil // for the handshake, which is none of the script's
	}
	e.connections++
	t.signal()
	script := t.script(e, t.triggerOf(e))
	answer := answerTo(script, e.connections)
	if !wayOf(answer).AtConnect {
		return nil
	}
	reply := t.replyOf(answer)
	return &reply
}

// triggerOf is the first trigger for an endpoint: connections come before there is
// anything by which to tell deliveries apart.
func (t *trial) triggerOf(e *endpoint) scenarios.Trigger {
	for _, trigger := range t.c.Trigger {
		if t.named(trigger.To) == e {
			return trigger
		}
	}
	return scenarios.Trigger{}
}

func (t *trial) incident(e *endpoint, x wire.Incident) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(e.incidents) < keptIncidents {
		e.incidents = append(e.incidents, x)
	}
	t.unmade(e, x)
	t.signal()
}

// answersEarly tells whether the next request for an endpoint is answered before its
// body is read.
func (t *trial) answersEarly(e *endpoint) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || t.subject.Profile.Challenge != nil && len(t.events) == 0 {
		return false
	}
	n := 1
	for _, d := range t.deliveries {
		if d.to == e {
			n += len(d.attempts)
		}
	}
	return wayOf(answerTo(t.script(e, t.triggerOf(e)), n)).AtHead
}

// signal wakes whoever waits for something to happen. The caller holds mu.
func (t *trial) signal() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// until waits, with mu held, until look says that it has seen enough, or ctx ends.
// Look says at which time it wants to look again even if nothing happens.
func (t *trial) until(ctx context.Context, look func(now time.Time) (enough bool, again time.Time)) {
	for ctx.Err() == nil {
		enough, again := look(time.Now())
		if enough {
			return
		}
		changed := t.changed
		t.mu.Unlock()
		timer := time.NewTimer(time.Until(again))
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		t.mu.Lock()
	}
}

// tokenIn tells whether an attempt carries a token.
func tokenIn(a *attempt, token string) bool {
	return bytes.Contains(a.document(), []byte(token)) || strings.Contains(string(a.request.Head), token)
}
