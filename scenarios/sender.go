package scenarios

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// Main is the endpoint that a case has which names none, and the one that an event
// is delivered to which does not say.
const Main = "main"

// Endpoint is an address at which the harness poses as a receiver. A case that
// names none has one, called main.
type Endpoint struct {
	Name string `yaml:"name" required:"true" doc:"the name by which the case refers to it"`
	// Address is the form in which the sender is told of it, one word of the
	// vocabulary: decimal, userinfo, dns-rebind. A scenario cannot write a URL.
	Address string            `yaml:"address" words:"addresses" doc:"the form of the URL under which it is registered; an ordinary one unless said otherwise"`
	Path    string            `yaml:"path" doc:"path added to the endpoint's own, as it is to be requested"`
	Query   string            `yaml:"query" doc:"query of the endpoint's URL"`
	Headers map[string]string `yaml:"headers" doc:"custom headers that the sender is asked for when the endpoint is registered"`
	Events  []string          `yaml:"events" doc:"event types that the endpoint is registered for; all unless said otherwise"`
	Canary  bool              `yaml:"canary" doc:"it is never registered: whoever comes there was led there by an answer or by an address"`
	// Handshake is how it answers the profile's handshake, one word of the vocabulary.
	Handshake string `yaml:"handshake" words:"handshakes" doc:"how it answers the handshake of the profile; as is due unless said otherwise"`
	// Lease is for how long the sender is asked to deliver, where it can be asked.
	Lease   time.Duration `yaml:"lease" doc:"it is registered for so long alone"`
	Later   bool          `yaml:"later" doc:"it is not registered: another one is moved there"`
	TLS     *EndpointTLS  `yaml:"tls" doc:"it speaks TLS, on a port of its own"`
	Dark    time.Duration `yaml:"dark" doc:"nothing listens there for so long after the case's first event"`
	Respond Answers       `yaml:"respond" doc:"what it answers, where that is not what the case says"`
}

// Triggers are what is done to the sender, in order. In YAML: once, one trigger,
// or a list.
type Triggers []Trigger

// Trigger is one thing done to the sender. An empty one has it send one event to
// the endpoint main. The next trigger waits until the deliveries of the one
// before have settled.
type Trigger struct {
	As    string `yaml:"as" doc:"name of the trigger, for messages"`
	Do    string `yaml:"do" enum:"event,rotate,restart,remove,move" doc:"event (unless said otherwise), or rotate the secret, restart the sender, remove the endpoint, move the endpoint main to another URL"`
	To    string `yaml:"to" doc:"the endpoint that it concerns, or whose URL main is moved to; main unless said otherwise"`
	Times int    `yaml:"times" range:"1..1000" doc:"that many events at once"`
	Event string `yaml:"event" doc:"event type, where it is not the profile's ordinary one"`
	// Payload is data that the event is to carry.
	Payload string        `yaml:"payload" words:"payloads" doc:"data that the event carries: the name of a payload"`
	After   time.Duration `yaml:"after" doc:"wait that long before"`
	// Meanwhile does not wait for the deliveries of earlier triggers to settle.
	Meanwhile bool `yaml:"meanwhile" doc:"do not wait until the deliveries before have settled"`
	// Respond is what the deliveries of this trigger are answered.
	Respond Answers `yaml:"respond" doc:"what its deliveries are answered, where that is not what the endpoint answers"`
	Expect  Expect  `yaml:"expect" doc:"what must be observed of its deliveries alone"`

	Line, Column int `yaml:"-"`
}

// Fires tells that the trigger has the sender send events.
func (t Trigger) Fires() bool { return t.Do == "" || t.Do == "event" }

// Answers are what the attempts of a delivery are answered, in order; the last one
// goes on for all further attempts. In YAML: one answer, or a list.
type Answers []Answer

// Answer is one answer. In YAML: a status (503), a way of answering (hang), or a
// mapping.
type Answer struct {
	Status int `yaml:"status" range:"100..599" doc:"the status; 200 unless said otherwise, which is what the profile counts as delivered"`
	// Headers may hold the words {main} or any other endpoint's name, for its URL,
	// and {date+3s} for an HTTP-date: see Fill.
	Headers map[string]string `yaml:"headers" doc:"headers; {NAME} is the URL of an endpoint, {date+3s} an HTTP-date"`
	Body    *string           `yaml:"body" doc:"the body"`
	// Delay is a time, or a share of the time that the sender gives an attempt: see
	// Wait.
	Delay string `yaml:"delay" words:"delays" doc:"wait before it is answered: a time such as 500ms, or a share of the sender's deadline such as 80%"`
	Way   *Word  `yaml:"way" doc:"how it is answered: hang, reset-in-body, endless-body"`
	Times int    `yaml:"times" range:"1..1000" doc:"the answer to that many attempts"`

	Line, Column int `yaml:"-"`
}

// Wait is the delay of the answer to a sender that gives an attempt so much time.
func (a Answer) Wait(deadline time.Duration) time.Duration {
	delay, share, _ := parseDelay(a.Delay)
	return delay + deadline*time.Duration(share)/100
}

// The bounds of a delay.
const (
	maxDelay = 10 * time.Minute
	maxShare = 1000
)

// delayShare is the spelling of a share in percent.
const delayShare = `^[1-9][0-9]{0,3}%$`

var share = regexp.MustCompile(delayShare)

// parseDelay reads a time, or a share of a deadline in percent.
func parseDelay(text string) (delay time.Duration, percent int, err error) {
	switch {
	case text == "":
		return 0, 0, nil
	case !strings.Contains(text, "%"):
		delay, err = strictyaml.ParseDuration(text)
		if err == nil && (delay <= 0 || delay > maxDelay) {
			return 0, 0, fmt.Errorf("a delay is more than 0 and at most 10m")
		}
		return delay, 0, err
	}
	percent, err = strconv.Atoi(strings.TrimSuffix(text, "%"))
	if err != nil || !share.MatchString(text) || percent > maxShare {
		return 0, 0, fmt.Errorf("a share of the sender's deadline is written in whole percents, from 1%% to %d%%", maxShare)
	}
	return 0, percent, nil
}

// Gap bounds the time between the answer to one attempt and the attempt after it.
// After is the number of the earlier one, from 1; 0 means every one.
type Gap struct {
	After   int           `yaml:"after" range:"0..100" doc:"number of the attempt before the gap; every one unless given"`
	AtLeast time.Duration `yaml:"at-least" doc:"it is no shorter"`
	AtMost  time.Duration `yaml:"at-most" doc:"it is no longer"`
}

// httpDate is the form of dates in headers: RFC 9110, section 5.6.7.
const httpDate = "Mon, 02 Jan 2006 15:04:05 GMT"

var (
	headerWord = regexp.MustCompile(`\{[\w+. -]+\}`)
	dateWord   = regexp.MustCompile(`^date([-+][0-9][0-9a-z.]*)?$`)
)

// Fill writes out the words of an answer's header: url gives the URL of an
// endpoint by its name, and dates are relative to now. A date has whole seconds; it
// is rounded up, lest it ask for less.
func Fill(text string, now time.Time, url func(endpoint string) string) string {
	return headerWord.ReplaceAllStringFunc(text, func(braced string) string {
		word := braced[1 : len(braced)-1]
		if shift, err := parseDate(word); err == nil {
			return now.Add(shift + time.Second - 1).Truncate(time.Second).UTC().Format(httpDate)
		}
		return url(word)
	})
}

// parseDate reads date, date+3s, date-1h.
func parseDate(word string) (time.Duration, error) {
	shift := dateWord.FindStringSubmatch(word)
	if shift == nil {
		return 0, fmt.Errorf("a date is written as {date}, with a time added or subtracted: {date+3s}")
	}
	if shift[1] == "" {
		return 0, nil
	}
	return strictyaml.ParseDuration(strings.TrimPrefix(shift[1], "+"))
}
