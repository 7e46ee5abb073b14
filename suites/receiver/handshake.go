package receiver

import (
	"context"
	"fmt"
	"mime"
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
)

// asking says how a handshake departs from the one that the provider would send. In its
// texts {random} is invented, and {known} what the endpoint must know.
type asking struct {
	challenge, known string
	forged           bool // signed with a stranger's key
	unasked          bool // about what nobody has asked for
	elsewhere        bool // to be confirmed at a host that is not the provider's
}

var honestly = asking{challenge: "{random}", known: "{known}"}

// handshake has the request be the profile's handshake, signed with our keys or a
// stranger's where it is signed at all.
func handshake(how asking) func(*delivery, any) {
	return func(d *delivery, _ any) {
		p := d.subject.Profile
		d.asked = d.asks(how)
		d.known()
		d.secret = ""
		c := *p.Challenge
		if how.unasked {
			c.With = c.Unasked
		}
		m, headers := p.Requested(d.Message, d.asked)
		if c.Signed {
			keys := d.keys
			if how.forged {
				keys = p.Forged(d.rand, d.keys)
			}
			sealed := sealed(p.Signings(m, keys), m.Body)
			headers, d.secret, m.Body = append(headers, sealed.Headers...), sealed.Query, sealed.Body
		}
		for _, h := range d.subject.Headers {
			headers.Set(h.Name, h.Value)
		}
		d.query = strings.Trim(d.query+"&"+c.Parameters(d.asked), "&")
		d.request = wire.Request{Method: m.Method, Target: d.target(), Host: d.subject.URL.Host, Headers: headers, Body: m.Body}
	}
}

// sealed is a handshake with its signatures; what cannot be signed has none, and so it is
// refused.
func sealed(signings []profile.Signing, body []byte) profile.Sealed {
	s, err := profile.Seal(signings, body)
	if err != nil {
		return profile.Sealed{Body: body}
	}
	return s
}

// asks is what a handshake asks.
func (d *delivery) asks(how asking) profile.Asked {
	p := d.subject.Profile
	random := fmt.Sprintf("challenge%016x", d.rand.Uint64())
	a := profile.Asked{Challenge: strings.ReplaceAll(how.challenge, "{random}", random), Callback: d.subject.callback}
	if how.elsewhere {
		a.Callback = strings.Replace(a.Callback, "//"+ours, "//"+foreign(p.Challenge.Confirm), 1)
	}
	if texts := p.Knows(d.keys); len(texts) > 0 {
		a.Known = strings.NewReplacer("{random}", d.strange(random), "{known}", texts[0]).Replace(how.known)
	}
	if !p.Challenge.Invents() {
		a.Challenge = a.Known
	}
	return a
}

// known has the probe know the handshake by what is invented for it: of what else it says
// an honest delivery may say the same.
func (d *delivery) known() {
	d.tokens = []string{d.ID}
	if d.subject.Profile.Challenge.Invents() {
		d.tokens = []string{d.asked.Challenge, d.ID}
	}
}

// strange is of the form of what the endpoint must know, and nobody's.
func (d *delivery) strange(random string) string {
	p := d.subject.Profile
	k := p.Challenge.Known
	switch {
	case k.Secret != "":
		return p.NewKeys(d.rand)[k.Secret][0].Reveal()
	case k.JSON != "":
		return another(p.Knows(nil)[0], d.rand)
	case strings.Contains(k.Value, "://"):
		return "https://" + random + ".invalid/feed"
	}
	return random + ".invalid"
}

// naming has the handshake name something else than what is known.
func naming(d *delivery, arg any) {
	handshake(asking{challenge: "{random}", known: arg.(string)})(d, nil)
}

// handshakeInDelivery has an ordinary delivery say what the handshake says.
func handshakeInDelivery(d *delivery, _ any) {
	d.asked = d.asks(honestly)
	m, _ := d.subject.Profile.Requested(d.Message, d.asked)
	d.Body = m.Body
}

// keyHandedOver signs with the secret that a handshake of the case has handed over.
func keyHandedOver(d *delivery, _ any) {
	name := d.subject.Profile.Challenge.Known.Secret
	keys := d.subject.Profile.NewKeys(d.rand)
	for _, before := range d.before {
		if before.asked.Known != "" {
			keys[name] = []profile.Secret{profile.NewSecret(before.asked.Known)}
		}
	}
	d.signWith(keys)
}

// lacksHandshake says why the handshake cannot be asked for.
func lacksHandshake(s *Subject) string {
	if s.Profile.Challenge == nil {
		return profileLacks("has no handshake that is known")(s)
	}
	return fmt.Sprintf("the run does not know what the handshake must name: --secret %s=env:NAME", s.Profile.Challenge.Known.Secret)
}

// hasHandshake tells of a handshake that can be asked for.
func hasHandshake(s *Subject) bool {
	c := s.Profile.Challenge
	return c != nil && (c.Known == nil || len(s.Profile.Knows(s.Keys)) > 0)
}

// ofHandshake is a capability of a profile's handshake.
func ofHandshake(has func(*profile.Profile) bool) func(*Subject) bool {
	return func(s *Subject) bool { return s.Profile.Challenge != nil && has(s.Profile) }
}

func judgeChallengeAnswered(t *trial, s []seen, _ any) finding {
	p, asked := t.subject.Profile, s[0].deliveries[0].asked
	due := p.Challenge.Answer
	for _, r := range s[0].readings {
		if r.answer == unanswered {
			return silence(r)
		}
		got := r.Responses[0]
		if !due.Will(got.Status) {
			return failed("%s to the handshake, where %s is due", r.phrase, due.Status)
		}
		if took := r.FirstByte - r.Wrote; took > t.subject.Limits.Answer {
			return failed("%s to the handshake after %s, later than the %s allowed", r.phrase, round(took), round(t.subject.Limits.Answer))
		}
		// To visit the URL that it was given is an answer, too.
		if why := p.Challenge.Departs(asked, t.proofKeys(), got.Headers, got.Body); why != "" && !t.canary.called(t.subject.Limits.Settle) {
			return failed("%s", why)
		}
	}
	if p.IsDelivery() {
		return passed() // of nothing: whatever is made of it
	}
	return noEffect(s[0], "it is a handshake")
}

// judgeChallengeRefused demands that the endpoint agrees to nothing: neither by what it
// says, nor at the URL that it was given.
func judgeChallengeRefused(t *trial, s []seen, _ any) finding {
	c := t.subject.Profile.Challenge
	for i, r := range s[0].readings {
		if r.answer == unanswered {
			return silence(r)
		}
		got := r.Responses[0]
		asked := s[0].deliveries[min(i, len(s[0].deliveries)-1)].asked
		departs := c.Departs(asked, t.proofKeys(), got.Headers, got.Body)
		switch {
		case got.Status >= 500:
			return failed("%s to a handshake that it is to refuse", r.phrase)
		case c.Answer.Any != "" && got.Headers.Get(c.Answer.Header) == c.Answer.Any: // declared to be open to all
		case c.Confirm == nil && c.Answer.Will(got.Status) && departs == "":
			return failed("%s, with the answer that is due to the right handshake", r.phrase)
		case c.Invents() && strings.Contains(string(got.Body), asked.Challenge):
			return failed("%s, and shows the challenge: whoever reads the body alone takes that for consent", r.phrase)
		case c.Answer.Refusal != "" && !c.Answer.MustRefuseBy(got.Status):
			return failed("%s to the handshake, where %s is due", r.phrase, c.Answer.Refusal)
		}
	}
	return worst(t.uncalled(), noEffect(s[0], "it is to be refused"))
}

// judgeCalled demands that somebody visits our canary, in the time in which an effect
// would show.
func judgeCalled(t *trial, s []seen, _ any) finding {
	for _, r := range s[0].readings {
		if r.answer == unanswered {
			return silence(r)
		}
	}
	if !t.canary.called(t.subject.Limits.Settle) {
		return failed("it has not fetched the URL that confirms the subscription, and so nothing would be delivered")
	}
	return passed()
}

func judgeUncalled(t *trial, s []seen, _ any) finding {
	for _, r := range s[0].readings {
		if r.answer == unanswered {
			return silence(r)
		}
	}
	return t.uncalled()
}

// uncalled demands that nobody visits our canary, after a time in which an effect would
// have shown.
func (t *trial) uncalled() finding {
	if t.canary == nil {
		return passed() // there was nowhere to go
	}
	pause(context.Background(), t.subject.Limits.Settle)
	if t.canary.visits() > 0 {
		return failed("it has gone to the URL that the request named: whoever sends one has it fetch what he likes")
	}
	return passed()
}

// proofKeys are those of ours that the proof in an answer may be made with.
func (t *trial) proofKeys() [][]byte {
	p, main := t.subject.Profile, t.subject.Profile.Signature.Name
	return p.ProofKeys(slices.Concat(t.subject.Keys[main], t.subject.Second[main]))
}

// judgeChallengeInert demands that a browser which is led to the endpoint would run
// nothing.
func judgeChallengeInert(_ *trial, s []seen, _ any) finding {
	for _, r := range s[0].readings {
		if r.answer == unanswered {
			return silence(r)
		}
		got := r.Responses[0]
		media, _, err := mime.ParseMediaType(got.Headers.Get("Content-Type"))
		harmless := err == nil && (media == "text/plain" || media == "application/json" || media == "application/octet-stream")
		if !harmless && strings.Contains(string(got.Body), s[0].deliveries[0].asked.Challenge) {
			return failed("it shows the challenge as it stood, under the content type %q: a browser runs what stands in it", clip(got.Headers.Get("Content-Type"), 60))
		}
	}
	return passed()
}
