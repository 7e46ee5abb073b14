package attack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
)

// hit is one request that is due.
type hit struct {
	n      uint64 // counted from 0
	stage  int
	due    time.Duration // since the run began
	waited bool          // no connection was free when it was due
}

// The purposes for which a hit draws a lot.
const (
	lotClass = iota + 1
	lotBody
	lotRing
	lotSample
)

// order is what every maker makes deliveries from. It is shared and does not change.
type order struct {
	target  Target
	seed    uint64
	classes [][]float64 // of each stage, the weights of the classes, cumulated
	bodies  []bodyForm
	weights []float64 // of the bodies, cumulated
	over    bodyForm
	url     string // that is signed
	host    string // its line
	garbage string // the lines of signatures that cannot be read
	late    time.Duration
	ring    *ring // nil where nothing is sent again
}

// bodyForm is a body that is filled in for each delivery.
type bodyForm struct {
	body *profile.Body
	// stray is where, counted from the end, a byte can be changed so that the body is
	// still what it was by form: a target must see by the signature that it was changed.
	stray int
}

func newOrder(t Target, p Plan) (*order, error) {
	o := &order{target: t, seed: p.Seed}
	o.url = t.Profile.Addressed(t.URL.String())
	if len(t.Other) == 0 && t.Profile.Signed() {
		o.target.Other = t.Profile.Forged(rand.New(rand.NewPCG(p.Seed, 0xf0)), t.Keys)
	}
	again, oversized := false, false
	for _, s := range p.Stages {
		var weights []float64
		sum := 0.0
		for _, c := range Classes {
			sum += s.Mix[c]
			weights = append(weights, sum)
		}
		o.classes = append(o.classes, weights)
		again = again || s.Mix[Replayed] > 0 || s.Mix[Duplicate] > 0
		oversized = oversized || s.Mix[Oversized] > 0
	}
	if err := o.makeBodies(p.Bodies, oversized); err != nil {
		return nil, err
	}
	if again {
		o.ring = newRing(t.Profile, o.largest(), p.Connections)
	}
	if ts := t.Profile.Timestamp; ts != nil {
		o.late = ts.Tolerance + time.Minute
	}
	o.host = "Host: " + t.URL.Host + "\r\n"
	for _, name := range signatureHeaders(t.Profile) {
		o.garbage += name + ": !not a signature!\r\n"
	}
	return o, nil
}

func signatureHeaders(p *profile.Profile) []string {
	var names []string
	for _, s := range p.Schemes() {
		if s.Header != "" && !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, s.Header) }) {
			names = append(names, s.Header)
		}
	}
	return names
}

// signer signs what is sent with one set of keys, and begins the request of it.
type signer struct {
	*profile.Stamper
	line string // the request line, with the secret where that stands in the query
}

// line is a request line, with parameters that carry a secret.
func (o *order) line(query string) string {
	return "POST " + profile.WithQuery(o.target.Profile.Addressed(wire.OriginForm(o.target.URL)), query) + " HTTP/1.1\r\n"
}

func (o *order) signer(keys profile.Keys) (signer, error) {
	s, err := o.stamper(keys)
	if err != nil {
		return signer{}, err
	}
	return signer{s, o.line(s.Query())}, nil
}

// stamper signs what is sent with the given keys.
func (o *order) stamper(keys profile.Keys) (*profile.Stamper, error) {
	return o.target.Profile.Stamper(profile.Message{Method: "POST", URL: o.url}, keys, o.target.Headers)
}

func (o *order) makeBodies(b Bodies, oversized bool) error {
	s, err := o.stamper(o.target.Keys)
	if err != nil {
		return err
	}
	payload := o.target.Profile.Payload
	templates, weights := []string{payload}, []float64{1}
	if len(b.Files) > 0 {
		templates, weights = nil, nil
		for _, f := range b.Files {
			templates, weights = append(templates, string(f)), append(weights, 1)
		}
	}
	if len(b.Sizes) > 0 {
		templates, weights = nil, nil
		for _, size := range b.Sizes {
			padded, err := o.padded(s, payload, size.Bytes)
			if err != nil {
				return err
			}
			templates, weights = append(templates, padded), append(weights, size.Weight)
		}
	}
	sum := 0.0
	for i, template := range templates {
		sum += weights[i]
		o.weights = append(o.weights, sum)
		o.bodies = append(o.bodies, o.form(s, template))
	}
	if oversized {
		padded, err := o.padded(s, payload, b.Oversize)
		if err != nil {
			return err
		}
		o.over = bodyForm{body: s.Body(padded)}
	}
	return nil
}

// sample is a body as it will be sent, with the id and the time of nobody.
func (o *order) sample(s *profile.Stamper, template string) []byte {
	id := s.AppendID(nil, rand.New(rand.NewPCG(1, 1)))
	return s.AppendBody(nil, s.Body(template), id, time.Now())
}

// padded makes a JSON object larger without changing what it says, by a last member
// that means nothing. Its size is counted when its words are filled in.
func (o *order) padded(s *profile.Stamper, template string, size int) (string, error) {
	const frame = `,"padding":""`
	end, now := strings.LastIndexByte(template, '}'), len(o.sample(s, template))
	switch {
	case now == size:
		return template, nil
	case end < 0 || size < now+len(frame):
		return "", fmt.Errorf("pad the payload of profile %s to %d bytes: it has %d, and must be a JSON object that is at least %d bytes smaller",
			o.target.Profile.Name, size, now, len(frame))
	}
	return template[:end] + frame[:len(frame)-1] + strings.Repeat("x", size-now-len(frame)) + `"` + template[end:], nil
}

// form finds where a body can be tampered with: the last letter or digit that can be
// another without the JSON being broken, or of another body, without more.
func (o *order) form(s *profile.Stamper, template string) bodyForm {
	f := bodyForm{body: s.Body(template), stray: 1}
	body := o.sample(s, template)
	wasJSON := json.Valid(body)
	for i, tries := len(body)-1, 0; i >= 0 && tries < 100; i-- {
		if !isAlnum(body[i]) {
			continue
		}
		tries++
		was := body[i]
		body[i] = another(was)
		ok := json.Valid(body) == wasJSON
		body[i] = was
		if ok {
			f.stray = len(body) - i
			break
		}
	}
	return f
}

func isAlnum(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

// another is a different character of the same kind. No digit becomes a nought.
func another(b byte) byte {
	switch {
	case b == '9' || b == 'z' || b == 'Z':
		return b - 1
	case isAlnum(b):
		return b + 1
	}
	return b ^ 1
}

// largest is about the size of the largest body that can be sent again.
func (o *order) largest() int {
	s, err := o.stamper(o.target.Keys)
	if err != nil {
		return 0
	}
	n := 0
	for _, b := range o.bodies {
		n = max(n, len(s.AppendBody(nil, b.body, nil, time.Now())))
	}
	return n
}

// maker makes the deliveries of one connection.
type maker struct {
	*order
	now   func() time.Time // the clock that deliveries are stamped by, where there is an own one
	ours  signer
	other signer
	bare  string // the request line of what carries no signature
	pcg   *rand.PCG
	rand  *rand.Rand

	id, stamp, body, request []byte
	slot                     slotRef // where the delivery can be found for others to repeat it
}

func (o *order) maker(now func() time.Time) (*maker, error) {
	m := &maker{order: o, now: now, pcg: rand.NewPCG(0, 0)}
	m.rand = rand.New(m.pcg)
	var err error
	m.bare = o.line("")
	if m.ours, err = o.signer(o.target.Keys); err != nil {
		return nil, err
	}
	if o.target.Profile.Signed() {
		m.other, err = o.signer(o.target.Other)
	}
	return m, err
}

// make makes the request of a hit, to be stamped with a time where there is no own
// clock, and returns the class it has. What repeats an earlier delivery is honest as
// long as there is none.
func (m *maker) make(h hit, at time.Time) (class int) {
	if m.now != nil {
		at = m.now()
	}
	m.pcg.Seed(m.seed, h.n)
	class = pick(m.classes[h.stage], lot(m.seed, h.n, lotClass))
	m.slot = slotRef{}
	switch Classes[class] {
	case Replayed:
		if m.ring.replay(m, lot(m.seed, h.n, lotRing)) {
			return class
		}
		class = 0
	case Duplicate:
		if m.ring.repeat(m, lot(m.seed, h.n, lotRing)) {
			m.stamp = m.ours.AppendTimestamp(m.stamp[:0], at)
			m.render(m.ours, Honest, at)
			return class
		}
		class = 0
	}
	m.fresh(Classes[class], h, at)
	if class == 0 && m.ring != nil {
		m.slot = m.ring.begin(m)
	}
	return class
}

// fresh makes a delivery that was not sent before.
func (m *maker) fresh(c Class, h hit, at time.Time) {
	s := m.ours
	if c == Stale {
		at = at.Add(-m.late)
	}
	if c == Forged {
		s = m.other
	}
	form := &m.over
	if c != Oversized {
		form = &m.bodies[0]
		if len(m.bodies) > 1 {
			form = &m.bodies[pick(m.weights, lot(m.seed, h.n, lotBody))]
		}
	}
	m.id = s.AppendID(m.id[:0], m.rand)
	m.stamp = s.AppendTimestamp(m.stamp[:0], at)
	m.body = s.AppendBody(m.body[:0], form.body, m.id, at)
	m.render(s, c, at)
	if c == Tampered {
		end := len(m.request)
		i := end - min(form.stray, len(m.body))
		m.request[i] = another(m.request[i])
	}
}

// render writes the request.
func (m *maker) render(s signer, c Class, at time.Time) {
	line, signed := s.line, c != Unsigned && c != Malformed
	if !signed {
		line = m.bare
	}
	b := append(m.request[:0], line...)
	b = append(b, m.host...)
	b = s.AppendPlain(b, m.id, m.stamp, at)
	if c == Malformed {
		b = append(b, m.garbage...)
	}
	if signed {
		b = s.AppendSignatures(b, m.id, m.stamp, m.body)
		m.body = s.Seal(m.id, m.stamp, m.body)
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(m.body)), 10)
	b = append(b, "\r\n\r\n"...)
	m.request = append(b, m.body...)
}

// headersOf are the header lines of a request that a maker has made, but those that
// frame it.
func headersOf(request []byte) wire.Headers {
	head, _, _ := bytes.Cut(request, []byte("\r\n\r\n"))
	var all wire.Headers
	for i, line := range strings.Split(string(head), "\r\n") {
		name, value, _ := strings.Cut(line, ": ")
		if i > 1 && name != "Content-Length" {
			all.Add(name, value)
		}
	}
	return all
}
