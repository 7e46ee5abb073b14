package receiver

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/payloads"
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites/evidence"
)

// delivery is one delivery in the making. A mutation changes it at one of three
// moments: before it is signed (the signature is then honest about the change),
// while it is signed, or when it is ready to be sent.
type delivery struct {
	subject *Subject
	rand    *rand.Rand
	now     time.Time

	profile.Message
	extra    wire.Headers      // the step's own headers
	keys     profile.Keys      // that sign
	signings []profile.Signing // one for each signature
	request  wire.Request      // as it will be written
	template string            // of the body
	path     string            // of the request, escaped
	query    string
	secret   string        // of the query, where a parameter carries it
	asked    profile.Asked // of a handshake
	before   earlier       // the named deliveries of its case
	from     netip.Addr    // where it comes from, if not from where everything does

	later  func()        // a change that must wait until the headers are rendered
	honest *wire.Request // what it would be without its mutation; nil where it has none

	// tokens identify the delivery in whatever the probe reads: its id, and the
	// altered one where a mutation changed it.
	tokens []string
}

// earlier are the named deliveries of a case that later steps refer to.
type earlier map[string]*delivery

// compose makes the delivery that a step describes, with its mutation where
// mutated is set, and honest otherwise.
func (s *Subject) compose(step scenarios.Step, before earlier, r *rand.Rand, mutated bool) (*delivery, error) {
	if ref := before[step.Replay]; ref != nil {
		return ref.again(step, mutated)
	}
	d := &delivery{subject: s, rand: r, before: before, now: time.Now(), path: wire.OriginPath(s.URL), query: s.queryOf(s.URL)}
	if err := d.draft(step, before); err != nil {
		return nil, err
	}
	m, arg := honest, any(nil)
	if mutated && step.Mutate != nil {
		m, arg = mutations.find(step.Mutate.Part, step.Mutate.Name), step.Mutate.Arg
	}
	unchanged := *d
	if m.when == beforeSigning {
		stamp := d.Timestamp
		m.apply(d, arg)
		if d.Timestamp != stamp && s.Profile.Timestamp.JSON != "" {
			d.Body = []byte(s.Profile.Fill(d.template, d.Message))
		}
	}
	d.tokens = append(d.tokens, d.ID)
	d.Headers = d.plain()
	d.signings = d.subject.Profile.Signings(d.Message, d.keys)
	if m.when == whileSigning {
		m.apply(d, arg)
	}
	if err := d.finish(); err != nil {
		return nil, err
	}
	if mutated && step.Mutate != nil {
		d.compare(&unchanged, m.when)
	}
	if m.when == afterSigning {
		m.apply(d, arg)
	}
	if d.later != nil {
		d.later()
	}
	return d, nil
}

// compare keeps the request as it would be without the mutation. It bears the signature
// that the delivery has now, unless the mutation is of the signature or shows nowhere else.
func (d *delivery) compare(honest *delivery, when moment) {
	if when == afterSigning {
		honest.request = d.request
		honest.request.Headers, honest.request.Body = d.request.Headers.Clone(), bytes.Clone(d.request.Body)
		d.honest = &honest.request
		return
	}
	for _, signings := range [][]profile.Signing{d.signings, honest.subject.Profile.Signings(honest.Message, honest.keys)} {
		honest.signings = signings
		if honest.finish() != nil {
			return
		}
		d.honest = &honest.request
		if when == beforeSigning && !bytes.Equal(honest.request.Bytes(), d.request.Bytes()) {
			return
		}
	}
}

// unaltered is the request without its mutation as it is shown; "" where it has none, or
// is written in another way than requests are.
func (d *delivery) unaltered(step scenarios.Step) string {
	if d.honest == nil || step.Wire != nil {
		return ""
	}
	return evidence.Shown(d.honest.Bytes())
}

// draft fills in what is said before anything is signed.
func (d *delivery) draft(step scenarios.Step, before earlier) error {
	s, p := d.subject, d.subject.Profile
	d.Method, d.URL, d.Event = "POST", p.Addressed(s.URL.String()), step.Event
	if d.Event == "" && p.Event != nil {
		d.Event = p.Event.Value
	}
	d.ID = p.NewID(d.rand)
	at, err := scenarios.ParseInstant(step.At)
	if err != nil {
		return err
	}
	if p.Timestamp != nil {
		d.Timestamp = p.Stamp(d.now.Add(at.Offset(p.Timestamp.Tolerance)))
	}
	if d.keys, err = s.keysNamed(step.Key); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(step.Headers)) {
		d.extra.Add(name, p.Fill(step.Headers[name], d.Message))
	}
	if step.Query != "" {
		d.query = strings.Trim(d.query+"&"+step.Query, "&")
		signed := *s.URL
		signed.RawQuery = d.query
		d.URL = signed.String()
	}
	if ref := before[step.SameID]; ref != nil {
		d.ID = ref.ID
	}
	if ref := before[step.Retry]; ref != nil {
		d.ID, d.Event, d.Body = ref.ID, ref.Event, ref.Body
		return nil
	}
	return d.fillBody(step)
}

// queryOf is the query of deliveries to an endpoint.
func (s *Subject) queryOf(u *url.URL) string {
	_, query, _ := strings.Cut(s.Profile.Addressed("?"+u.RawQuery), "?")
	return strings.Trim(query, "&")
}

func (d *delivery) fillBody(step scenarios.Step) error {
	p, template := d.subject.Profile, d.subject.Profile.Payload
	switch {
	case step.Body != nil:
		template = *step.Body
	case step.Payload != "":
		var err error
		if template, err = payloads.Get(step.Payload); err != nil {
			return err
		}
	}
	template = p.Carrying(template)
	if step.Size > 0 {
		length, err := d.lengthOf(template)
		if err != nil {
			return err
		}
		more := step.Size - length
		if p.Signature.Body {
			more = more * 3 / 4 // base64url makes four bytes of three
		}
		padding, err := padded([]byte(template), len(template)+more)
		if err != nil {
			return err
		}
		template = string(padding)
	}
	d.template = template
	d.Body = []byte(p.Fill(template, d.Message))
	return nil
}

// lengthOf is how long a body is once it is filled in and sealed.
func (d *delivery) lengthOf(template string) (int, error) {
	p, m := d.subject.Profile, d.Message
	m.Body = []byte(p.Fill(template, m))
	if !p.Signature.InBody() {
		return len(m.Body), nil
	}
	sealed, err := p.Sign(m, d.keys)
	return len(sealed.Body), err
}

// padded makes a JSON object larger without changing what it says, by a last
// member that means nothing.
func padded(body []byte, size int) ([]byte, error) {
	end := bytes.LastIndexByte(body, '}')
	const frame = `,"padding":""`
	if end < 0 || size < len(body)+len(frame) {
		return nil, fmt.Errorf("pad a body of %d bytes to %d: it must be a JSON object and at least %d bytes smaller", len(body), size, len(frame))
	}
	pad := frame[:len(frame)-1] + strings.Repeat("x", size-len(body)-len(frame)) + `"`
	return slices.Concat(body[:end], []byte(pad), body[end:]), nil
}

// plain are the headers beside the signatures.
func (d *delivery) plain() wire.Headers {
	headers := d.subject.Profile.Plain(d.Message)
	// The subject's headers are shared by cases that run at the same time.
	for _, h := range slices.Concat(d.subject.Headers, d.extra) {
		headers.Set(h.Name, h.Value)
	}
	return headers
}

// finish renders the signed delivery into the request that will be written.
func (d *delivery) finish() error {
	headers := d.plain()
	sealed, err := profile.Seal(d.signings, d.Body)
	if err != nil {
		return fmt.Errorf("sign a delivery under profile %s: %w", d.subject.Profile.Name, err)
	}
	d.secret = sealed.Query
	d.request = wire.Request{
		Method: d.Method, Target: d.target(), Host: d.subject.URL.Host,
		Headers: append(headers, sealed.Headers...), Body: sealed.Body,
	}
	return nil
}

func (d *delivery) target() string {
	return d.path + withMark(d.queries())
}

// queries are all parameters of the query.
func (d *delivery) queries() string { return strings.Trim(d.query+"&"+d.secret, "&") }

// withMark puts a question mark before a query, where there is one.
func withMark(query string) string {
	if query == "" {
		return ""
	}
	return "?" + query
}

// sentTo is the URL that the delivery is sent to: where a secret stands in the query, it
// is no part of what a sender was told.
func (d *delivery) sentTo() string {
	if d.subject.Profile.Technique() != profile.SecretInQuery {
		return d.URL
	}
	before, _, _ := strings.Cut(d.URL, "?")
	return before + withMark(d.queries())
}

// again is the same request, byte for byte, but for the step's own departure.
func (d *delivery) again(step scenarios.Step, mutated bool) (*delivery, error) {
	twin := *d
	twin.request.Headers, twin.tokens = d.request.Headers.Clone(), slices.Clone(d.tokens)
	if mutated && step.Mutate != nil {
		m := mutations.find(step.Mutate.Part, step.Mutate.Name)
		if m.when != afterSigning {
			return nil, fmt.Errorf("a replayed delivery is signed already: {%s: %s} changes what is signed", step.Mutate.Part, step.Mutate.Name)
		}
		m.apply(&twin, step.Mutate.Arg)
	}
	return &twin, nil
}

// keysNamed are the keys that a step chooses to sign with.
func (s *Subject) keysNamed(name string) (profile.Keys, error) {
	switch name {
	case "", "active":
		return s.Keys, nil
	case "second":
		return s.Second, nil
	case "retired":
		return s.Retired, nil
	case "other":
		return s.Other, nil
	}
	return nil, fmt.Errorf("no key is called %q: active, second, retired or other", name)
}

// setHeader replaces the value of a header, keeping its place and its case.
func (d *delivery) setHeader(name, value string) { d.request.Headers.Set(name, value) }

// signatureHeader is the header that carries the profile's signature.
func (d *delivery) signatureHeader() string { return d.subject.Profile.Signature.Header }

// eachSignature changes the text of every signature header.
func (d *delivery) eachSignature(change func(string) string) {
	for _, s := range d.subject.Profile.Schemes() {
		for i, h := range d.request.Headers {
			if strings.EqualFold(h.Name, s.Header) {
				d.request.Headers[i].Value = change(h.Value)
			}
		}
		if s.InBody() {
			d.request.Body = s.Rewrite(d.request.Body, func(text string) *string { return new(change(text)) })
		}
	}
}
