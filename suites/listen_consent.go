package suites

import "github.com/hookanvil/hookanvil/fixtures/wire"

// consent answers the handshake of the profile that was named as is due, whatever the
// script says of deliveries; nil is for what is none.
func (l *Listener) consent(a *Arrival) *wire.Reply {
	p := l.judge.named
	if p == nil || p.Challenge == nil {
		return nil
	}
	in := a.Delivery
	in.URL = absolute(in)
	asked, is := p.Challenge.Find(in)
	if !is {
		return nil
	}
	status, headers, body := p.Challenge.Due(asked, p.ProofKey(l.judge.profiles[0].keys[p.Signature.Name]))
	a.Answer = "as the handshake is due"
	if !p.Challenge.Signed {
		a.Finding = Finding{Verdict: Unverified, Reason: "it is the handshake, which nobody signs", Profile: p.Name}
	}
	return &wire.Reply{Status: status, Headers: headers, Body: body}
}
