package scenarios

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// The bounds of a sender's case, beside those in the tags of its types.
const (
	maxAnswers   = 50
	maxEndpoints = 20
	maxTriggers  = 50
	maxEvents    = 2000 // of all triggers together
)

// urlPath is a path as it stands in a request: printable ASCII without '"', '#' and
// '?'.
var urlPath = regexp.MustCompile(`^/[!$->@-~]*$`)

var onlyDigits = regexp.MustCompile(`^[0-9]{1,9}$`)

// places are the endpoints of a case by name, and whether each is a canary.
type places map[string]bool

// told are the endpoints that the sender is told of, in the order of the alphabet.
func (p places) told() []string {
	var list []string
	for name, canary := range p {
		if !canary {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

func (p places) all() []string {
	var list []string
	for name := range p {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// exchange checks what is done to a sender, and how it is answered.
func (c *checker) exchange(n *strictyaml.Node, one *Case) {
	known := places{Main: false}
	if list := n.Get("endpoints"); list != nil {
		known = c.endpoints(list, one.Endpoints)
	}
	c.answers(n.Get("respond"), one.Respond, known)
	for i, endpoint := range items(n.Get("endpoints")) {
		c.answers(endpoint.Get("respond"), one.Endpoints[i].Respond, known)
	}
	c.triggers(n.Get("trigger"), one.Trigger, known)
}

func someTriggerExpects(one *Case) bool {
	return slices.ContainsFunc(one.Trigger, func(t Trigger) bool { return len(t.Expect) > 0 })
}

func (c *checker) endpoints(list *strictyaml.Node, endpoints []Endpoint) places {
	known, lines := places{}, map[string]int{}
	nodes := items(list)
	c.count(list, len(nodes), maxEndpoints)
	for i, n := range nodes {
		name := n.Get("name")
		c.naming(name, "endpoint", lines)
		if _, err := parseDate(name.Value); err == nil {
			c.problem(name, "choose another name; {date} stands for an HTTP-date in headers", "an endpoint cannot be called date")
		}
		known[name.Value] = endpoints[i].Canary
		c.endpoint(n, &endpoints[i])
	}
	if len(nodes) > 0 && len(known.told()) == 0 {
		c.problem(list, "add {name: main}, or leave endpoints out for one called main", "every endpoint is a canary, so the sender is told of none")
	}
	return known
}

// count bounds a list, which must not be empty.
func (c *checker) count(n *strictyaml.Node, length, most int) {
	switch {
	case length == 0:
		c.problem(n, "fill it, or remove the key", "%s is an empty list", n.Name())
	case length > most:
		c.problem(n, "", "%s has %d entries; the limit is %d", n.Name(), length, most)
	}
}

// unregistered are the keys that a canary cannot have, with the reason.
var unregistered = map[string]string{
	"headers": "a canary is never registered, so no headers can be asked for",
	"events":  "a canary is never registered, so no events can be asked for",
	"dark":    "a canary must see whoever comes",
	"lease":   "a canary is never registered, for no time",
	"later":   "a canary is never registered, and nobody is moved there",
	"respond": "whoever comes to a canary has failed already, whatever the answer",
}

func (c *checker) endpoint(n *strictyaml.Node, e *Endpoint) {
	for _, key := range n.Keys {
		if why := unregistered[key.Value]; why != "" && e.Canary {
			c.problem(key, why, "%s cannot stand beside canary", key.Value)
		}
	}
	if address := n.Get("address"); address != nil {
		c.known(address, "form of address", names(c.vocabulary.Addresses))
	}
	if handshake := n.Get("handshake"); handshake != nil {
		c.known(handshake, "way of answering a handshake", names(c.vocabulary.Handshakes))
	}
	if p := n.Get("path"); p != nil && !urlPath.MatchString(p.Value) {
		c.problem(p, "write it from its slash on as it is requested, percent-encoded, without a query: /a%20b", "%s cannot be added to a URL's path", strictyaml.Quote(p.Value))
	}
	c.query(n.Get("query"))
	c.secureEndpoint(n.Get("tls"), n)
	if events := n.Get("events"); events != nil {
		c.distinct(items(events))
		for _, event := range items(events) {
			c.eventType(event)
		}
		if len(items(events)) == 0 {
			c.problem(events, "remove the key: an endpoint is registered for all events", "events is an empty list")
		}
	}
	c.bounded(n.Get("dark"), e.Dark)
	c.bounded(n.Get("lease"), e.Lease)
	if headers := n.Get("headers"); headers != nil {
		c.asked(headers)
	}
}

// asked checks custom headers, which the sender is asked for: that it refuses a
// line break or a header of its own may be the very point.
func (c *checker) asked(n *strictyaml.Node) {
	for _, key := range n.Keys {
		if key.Value == "" {
			c.problem(key, "a header's name is a token, such as X-Request-Id", "a header has no name")
		}
	}
}

func (c *checker) eventType(n *strictyaml.Node) {
	if n == nil {
		return
	}
	const hint = "write it as the sender's documents do: invoice.paid"
	if strings.TrimSpace(n.Value) == "" {
		c.problem(n, hint, "%s must not be empty", n.Name())
	}
	if strings.ContainsAny(n.Value, "\r\n\x00") {
		c.problem(n, hint, "%s must not hold a line break or a NUL", n.Name())
	}
}

// bounded checks a time of waiting, which is not 0 where it is given.
func (c *checker) bounded(n *strictyaml.Node, d time.Duration) {
	if n != nil && (d == 0 || d > maxAfter) {
		c.problem(n, "", "%s must be more than 0 and at most %s, got %s", n.Name(), "1m", strictyaml.Quote(n.Value))
	}
}

func (c *checker) triggers(list *strictyaml.Node, triggers Triggers, known places) {
	nodes, lines, events := items(list), map[string]int{}, 0
	if len(nodes) > maxTriggers {
		c.count(list, len(nodes), maxTriggers)
	}
	for i, n := range nodes {
		t := &triggers[i]
		if t.Fires() {
			events += max(t.Times, 1)
		}
		if i == 0 && t.Meanwhile {
			c.problem(n.Key("meanwhile"), "remove it, or move the trigger behind another", "meanwhile means nothing for the first trigger")
		}
		c.naming(n.Get("as"), "trigger", lines)
		c.trigger(n, t, known)
	}
	switch {
	case events == 0 && len(nodes) > 0:
		c.problem(list, "add an event, such as {}; without one nothing is delivered whatever else is done", "the case fires no event")
	case events > maxEvents:
		c.problem(list, "", "the triggers fire %d events; the limit is %d", events, maxEvents)
	}
}

// eventful are the keys of a trigger that speak of its events.
var eventful = []string{"times", "event", "payload", "respond", "expect"}

func (c *checker) trigger(n *strictyaml.Node, t *Trigger, known places) {
	for _, key := range n.Keys {
		switch {
		case !t.Fires() && slices.Contains(eventful, key.Value):
			c.problem(key, key.Value+" speaks of events; write another trigger for them", "%s cannot stand beside do: %s", key.Value, t.Do)
		case t.Do == "restart" && key.Value == "to":
			c.problem(key, "the whole sender is restarted, not one endpoint", "to cannot stand beside do: restart")
		}
	}
	c.destination(n, t, known)
	c.bounded(n.Get("after"), t.After)
	c.eventType(n.Get("event"))
	if p := n.Get("payload"); p != nil {
		c.known(p, "payload", names(c.vocabulary.Payloads))
	}
	c.answers(n.Get("respond"), t.Respond, known)
	c.expectations(n.Get("expect"), t.Expect)
}

// destination checks the endpoint that a trigger concerns.
func (c *checker) destination(n *strictyaml.Node, t *Trigger, known places) {
	to := n.Get("to")
	canary, there := known[Main]
	if to != nil {
		canary, there = known[to.Value]
	}
	switch {
	case t.Do == "restart" && to == nil, len(known.told()) == 0: // which has been said
	case to != nil && !there:
		c.problem(to, strictyaml.DidYouMean(to.Value, known.told()), "to names the endpoint %s, which is not there", strictyaml.Quote(to.Value))
	case to == nil && !there:
		c.problem(n, "write to: with one of "+strings.Join(known.told(), ", "), "the trigger names no endpoint, and none is called main")
	case canary && to != nil:
		c.problem(to, strictyaml.DidYouMean("", known.told()), "to names the canary %s, which the sender is never told of", strictyaml.Quote(to.Value))
	case canary:
		c.problem(n, "write to: with the name of another endpoint", "the trigger names no endpoint, and main is a canary")
	}
}

func (c *checker) answers(list *strictyaml.Node, answers Answers, known places) {
	if list == nil {
		return
	}
	nodes := items(list)
	c.count(list, len(nodes), maxAnswers)
	for i, n := range nodes {
		c.answer(n, &answers[i], known)
	}
}

func (c *checker) answer(n *strictyaml.Node, a *Answer, known places) {
	way, status := n, n
	if n.Kind == strictyaml.Map {
		way, status = n.Get("way"), n.Get("status")
	}
	if a.Way != nil {
		c.way(way, a.Way)
	}
	if status != nil && status.Kind == strictyaml.Number {
		c.status(status)
		if a.Status >= 100 && a.Status < 200 {
			c.problem(status, "use way for interim answers, such as early-hints, interim-flood or switching-protocols", "%d is not the end of an answer", a.Status)
		}
	}
	if delay := n.Get("delay"); delay != nil {
		if _, _, err := parseDelay(delay.Value); err != nil || delay.Value == "" {
			c.problem(delay, hintOf(err, "write a time such as 500ms, or leave delay out"), "%s is not a delay: %s", delay.Name(), strictyaml.Quote(delay.Value))
		}
	}
	if headers := n.Get("headers"); headers != nil {
		c.headers(headers)
		for _, value := range headers.Items {
			c.headerWords(value, known)
		}
	}
	if n.Kind == strictyaml.Map && len(n.Keys) == 0 {
		c.problem(n, "write 200, or what else is answered", "the answer says nothing")
	}
}

// way checks a way of answering. One that needs an argument cannot stand alone.
func (c *checker) way(n *strictyaml.Node, w *Word) {
	i := slices.IndexFunc(c.vocabulary.Answers, func(e Entry) bool { return e.Name == n.Value })
	switch {
	case n.Kind == strictyaml.Text && onlyDigits.MatchString(n.Value):
		c.problem(n, "a status stands without quotes: "+n.Value, "unknown way of answering %s", strictyaml.Quote(n.Value))
	case n.Kind == strictyaml.Text && i >= 0 && c.vocabulary.Answers[i].Arg != None && !c.vocabulary.Answers[i].Optional:
		c.problem(n, "write {way: {"+n.Value+": "+example(c.vocabulary.Answers[i])+"}}", "%s needs an argument", n.Value)
	default:
		c.word(n, w, "way of answering", c.vocabulary.Answers)
	}
}

// headerWords checks the words in a header: see Fill.
func (c *checker) headerWords(n *strictyaml.Node, known places) {
	for _, braced := range headerWord.FindAllString(n.Value, -1) {
		word := braced[1 : len(braced)-1]
		if _, there := known[word]; there {
			continue
		}
		_, err := parseDate(word)
		switch {
		case err == nil:
		case strings.HasPrefix(word, "date"):
			c.problem(n, err.Error(), "%s is not a date: %s", n.Name(), strictyaml.Quote(braced))
		default:
			c.problem(n, strictyaml.DidYouMean(word, append(known.all(), "date+3s")), "%s names the endpoint %s, which is not there", n.Name(), strictyaml.Quote(word))
		}
	}
}
