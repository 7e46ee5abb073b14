package suites

import (
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
)

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
	status, headers, body := p.Challenge.Due(asked, firstKey(p, l.judge.profiles[0].keys))
	a.Answer = "as the handshake is due"
	if !p.Challenge.Signed {
		a.Finding = Finding{Verdict: Unverified, Reason: "it is the handshake, which nobody signs", Profile: p.Name}
	}
	return &wire.Reply{Status: status, Headers: headers, Body: body}
}

// firstKey is the main signature's first key, nil where there is none.
func firstKey(p *profile.Profile, keys profile.Keys) []byte {
	if !p.Signed() || len(keys[p.Signature.Name]) == 0 {
		return nil
	}
	key, err := p.Signature.Key.Decode(keys[p.Signature.Name][0])
	if err != nil {
		return nil
	}
	return key
}
