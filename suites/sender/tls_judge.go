package sender

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/scenarios"
)

// --- what must be watched, and the control

// trusted are the endpoints of the control of a case with TLS: one like its own, with a
// good certificate. They are none where the case has no TLS.
func (t *trial) trusted() []scenarios.Endpoint {
	for _, e := range t.c.Endpoints {
		if e.TLS != nil {
			return []scenarios.Endpoint{{Name: scenarios.Main, TLS: &scenarios.EndpointTLS{Host: e.TLS.Host}}}
		}
	}
	return nil
}

// distrust says what a control's failure suggests where the sender was seen to refuse
// a good certificate. The caller holds mu.
func (t *trial) distrust() string {
	for _, e := range t.endpoints {
		if e.tls == nil {
			continue
		}
		for _, s := range e.tls.shakes {
			if s.quit() && s.certificate == goodCertificate {
				return fmt.Sprintf("; the sender does not trust our authority (%s): give it DIR/ca.pem (hookanvil pki init DIR), and say --pki DIR", s.outcome())
			}
		}
	}
	return ""
}

// unforeseen tells whether a delivery may still come, since nobody has said when the
// sender tries again, or not soon enough for the budget.
func (t *trial) unforeseen() bool {
	unfit := 0
	for _, e := range t.endpoints {
		unfit = max(unfit, e.tls.unfit())
	}
	return unfit > 0 && (!t.declares() || t.arrival() >= t.subject.Limits.Budget)
}

// refusedAt is when enough has been seen of an endpoint that no correct sender delivers
// to: so many connections, all of which came to nothing.
func (t *trial) refusedAt(ev *event, wanted int, now time.Time) time.Time {
	var last *shake
	ended := 0
	for _, s := range ev.to.tls.shakes {
		if s.n == 0 {
			continue
		}
		last = s
		if s.over {
			ended++
		}
	}
	if total := t.total(); total > 0 {
		wanted = min(wanted, total)
	}
	switch {
	case ended >= wanted:
		return now
	case last == nil:
		return ev.fired.Add(t.subject.Limits.Arrival)
	}
	_, high := t.gapAfter(last.n)
	if high == 0 {
		high = t.silence()
	}
	return last.at.Add(2*high + t.endDeadline() + 2*t.subject.Limits.Slack)
}

// --- expectations

// tlsExpectations look at connections with TLS.
var tlsExpectations = expectationTable{
	{Entry: word("no-request", "sends no request over a connection whose certificate, version or cipher suite it must refuse"), absent: true,
		demand: refusals(2), judge: judgeNoRequest},
	{Entry: word("no-plaintext", "never goes on in plain text after TLS has failed"), absent: true, demand: refusals(3), judge: judgeNoPlaintext},
	{Entry: word("tries-again", "tries again, as it declares, after no TLS connection was to be had"), absent: true, needs: []string{"retries", "trigger"},
		demand: refusals(2), judge: judgeTriesAgain},
	{Entry: word("shows-certificate", "shows the client certificate that is meant for the endpoint, with all that is needed to verify it"), absent: true,
		needs: []string{"client-certificates"}, judge: judgeShows},
	{Entry: word("shows-none", "shows no client certificate that is meant for another endpoint"), judge: each(judgeShowsNone)},
	{Entry: word("refused-or-unsent", "refuses to register the endpoint, or sends it no request"), needs: []string{"registration"}, absent: true,
		demand: func(*trial, any) demand { return demand{silence: true} }, judge: judgeRefusedOrUnsent},
	{Entry: word("server-name", "asks for the name in the endpoint's URL (SNI), and for no address"), judge: each(judgeServerName)},
	{Entry: wordWith("tls-at-least", scenarios.Text, "speaks this version of TLS or a newer one"), judge: each(judgeVersion)},
}

func refusals(n int) func(*trial, any) demand {
	return func(*trial, any) demand { return demand{refusals: n} }
}

// mustRefuse tells whether no request may come over a connection.
func (s *shake) mustRefuse() bool { return s.weak || isFault(s.certificate) }

// quit tells whether the sender itself ended a connection once it had been shown a
// certificate.
func (s *shake) quit() bool {
	unsent := s.end.Kind == wire.NoTLS || s.end.Kind == wire.Silent
	return s.over && unsent && s.end.EndedBy == wire.ByPeer && s.end.TLS != nil && s.end.TLS.Version != 0
}

// refused tells whether a connection came to nothing for what is wrong with it: the
// sender quit, or nothing was in common with an endpoint that speaks what it must not.
func (s *shake) refused() bool {
	return s.quit() || s.over && s.weak && s.end.Kind == wire.NoTLS && s.end.EndedBy != wire.ByTime
}

// connections are those to all endpoints with TLS. The caller holds mu.
func (t *trial) connections() (all []*shake) {
	for _, e := range t.endpoints {
		if e.tls != nil {
			all = append(all, e.tls.shakes...)
		}
	}
	return all
}

// plain finds a request in plain text on a port that speaks TLS.
func (t *trial) plain() *wire.Incident {
	for _, e := range t.endpoints {
		for i, x := range e.incidents {
			if e.tls != nil && x.Kind == wire.NoTLS && x.Status != 0 {
				return &e.incidents[i]
			}
		}
	}
	return nil
}

func judgeNoRequest(t *trial, _ scope, _ any) finding {
	refused := 0
	for _, s := range t.connections() {
		switch {
		case !s.mustRefuse():
		case s.requests > 0:
			f := failed("it sent a request over %s%s", s.name(), s.blame())
			t.markOver(s, f.reason)
			return f
		case s.refused():
			refused++
		}
	}
	if refused > 0 {
		return passed()
	}
	return t.unrefused()
}

// markOver says of an attempt over a connection what is wrong with it.
func (t *trial) markOver(s *shake, reason string) {
	for _, d := range t.deliveries {
		for _, a := range d.attempts {
			if d.to.tls.shakeOf(a.request.ConnID) == s {
				t.mark(a, reason)
			}
		}
	}
}

// blame says what is wrong with a connection.
func (s *shake) blame() string {
	if f, err := pki.FindFault(s.certificate); err == nil {
		return ": one that " + f.Sentence
	}
	return ", and what is spoken there nobody should speak"
}

// unrefused is the finding of a case in which the sender was not seen to refuse
// anything.
func (t *trial) unrefused() finding {
	all := slices.DeleteFunc(t.connections(), func(s *shake) bool { return !s.mustRefuse() })
	switch x := t.plain(); {
	case x != nil:
		return failed("it sent a request in plain text to an endpoint whose URL begins with https://")
	case len(all) == 0 && t.refusal != nil:
		return inconclusive("the sender did not register the endpoint, and did not connect to it: %s", t.refusal.phrase())
	case len(all) == 0:
		return inconclusive("the sender made no connection that it had to refuse")
	}
	last := all[len(all)-1]
	return inconclusive("the sender was not seen to refuse anything: of %s: %s", last.name(), last.outcome())
}

func judgeNoPlaintext(t *trial, _ scope, _ any) finding {
	if t.plain() != nil {
		return failed("it sent a request in plain text to an endpoint whose URL begins with https://")
	}
	if !slices.ContainsFunc(t.connections(), func(s *shake) bool { return s.mustRefuse() && s.refused() }) {
		return t.unrefused()
	}
	return passed()
}

func judgeTriesAgain(t *trial, s scope, _ any) finding {
	for _, ev := range s.events {
		var last *shake
		for _, k := range ev.to.tls.shakes {
			if k.n > 0 {
				last = k
			}
		}
		switch {
		case last == nil:
			return inconclusive("the sender made no connection%s", t.instead())
		case last.n > 1:
			continue
		case !last.over && last.requests == 0:
			return inconclusive("the first connection was still open when the case ended")
		}
		_, high := t.gapAfter(1)
		if high == 0 || t.total() == 1 {
			return inconclusive("it made one connection, and nobody has said when it tries again: declare it in the profile's retry section, or with --retry-schedule")
		}
		if window := high + t.endDeadline() + t.subject.Limits.Slack; t.seen.Before(last.at.Add(window)) {
			return inconclusive("it made one connection, and could be watched for %s only", show(t.seen.Sub(last.at)))
		}
		f := failed("it made one connection (%s), and no other within %s", last.outcome(), show(t.seen.Sub(last.at)))
		f.silent = true
		return f
	}
	return passed()
}

func judgeShows(t *trial, s scope, _ any) finding {
	if len(s.attempts) > 0 {
		return each(judgeShown)(t, s, nil)
	}
	for _, k := range t.connections() {
		// There was no other reason for us not to go on.
		if k.n > 0 && k.over && k.end.EndedBy == wire.ByUs && k.end.TLS != nil && k.end.TLS.Version != 0 && len(k.end.TLS.PeerCertificates) == 0 {
			f := failed("it showed no client certificate to an endpoint that demands one")
			f.silent = true
			return f
		}
	}
	return t.arrived(s)
}

func judgeShown(t *trial, a *attempt, _ any) finding {
	state, e := a.request.TLS, a.delivery.to
	switch {
	case state == nil || !state.Asked:
		return inconclusive("the endpoint asked for no certificate")
	case len(state.PeerCertificates) == 0:
		return failed("it showed no client certificate to an endpoint that asked for one")
	}
	leaf := state.PeerCertificates[0]
	if e.tls.leaf != "" && string(leaf.Raw) != e.tls.leaf {
		return failed("it showed a client certificate that is not meant for this endpoint%s: %s", t.meantFor(leaf), leaf.Subject)
	}
	roots := t.subject.ClientRoots
	if e.tls.leaf != "" {
		roots = t.subject.Authority.Pool()
	}
	behind := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		behind.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: behind, CurrentTime: a.arrived, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return failed("the client certificate that it showed does not verify: %s%s", err, orphaned(err, len(state.PeerCertificates)))
	}
	return passed()
}

// orphaned says what is most often the matter where no authority is found.
func orphaned(err error, sent int) string {
	if errors.As(err, new(x509.UnknownAuthorityError)) && sent == 1 {
		return "; it sent its own certificate alone, without the intermediate that has signed it"
	}
	return ""
}

// meantFor says for which endpoint the sender was given a certificate.
func (t *trial) meantFor(leaf *x509.Certificate) string {
	t.house.mu.Lock()
	defer t.house.mu.Unlock()
	if other := t.house.given[string(leaf.Raw)]; other != nil {
		return fmt.Sprintf(" but for another one, %s of %s", other.spec.Name, other.trial.c.Name())
	}
	return ""
}

func judgeShowsNone(t *trial, a *attempt, _ any) finding {
	state := a.request.TLS
	switch {
	case a.delivery.to.tls == nil || a.delivery.to.tls.leaf != "":
		return passed() // it is about those that no certificate is meant for
	case state == nil || !state.Asked:
		return inconclusive("the endpoint asked for no certificate")
	case len(state.PeerCertificates) == 0:
		return passed()
	}
	leaf := state.PeerCertificates[0]
	if other := t.meantFor(leaf); other != "" || t.subject.ClientRoots == nil {
		return failed("it showed a client certificate that is not meant for this endpoint%s: %s", other, leaf.Subject)
	}
	return passed() // the one that it has for all
}

func judgeRefusedOrUnsent(t *trial, s scope, _ any) finding {
	if t.refusal != nil {
		return judgeRefused(t, s, nil)
	}
	if len(s.attempts) == 0 {
		return t.watchedSilence()
	}
	a := s.attempts[0]
	if state := a.request.TLS; state != nil && len(state.PeerCertificates) > 0 {
		return failed("%s came, with the client certificate %s, which is not to be used", a.name(), state.PeerCertificates[0].Subject)
	}
	return failed("%s came, without the client certificate that the sender was given and could not use", a.name())
}

func judgeServerName(_ *trial, a *attempt, _ any) finding {
	state := a.request.TLS
	if state == nil {
		return inconclusive("the endpoint speaks no TLS")
	}
	u, err := url.Parse(a.delivery.to.url)
	if err != nil {
		return inconclusive("%s", err)
	}
	want := u.Hostname()
	if net.ParseIP(want) != nil {
		want = ""
	}
	switch {
	case state.ServerName == want:
		return passed()
	case state.ServerName == "":
		return failed("it asked for no name, and the endpoint's URL names %s", want)
	}
	return failed("it asked for the name %s, and the endpoint's URL names %s", quote(state.ServerName), u.Hostname())
}

func judgeVersion(_ *trial, a *attempt, arg any) finding {
	state, least := a.request.TLS, scenarios.TLSVersion(arg.(string))
	switch {
	case state == nil:
		return inconclusive("the endpoint speaks no TLS")
	case state.Version < least:
		return failed("it came over %s, and both could have spoken %s", tls.VersionName(state.Version), tls.VersionName(least))
	}
	return passed()
}
