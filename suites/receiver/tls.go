package receiver

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// Words for certificates that are no faults: that a client shows none, and, to
// ourselves, the run's own where we have signed it.
const (
	noCertificate  = "none"
	ownCertificate = "own"
)

// certificateWords are the client certificates that a case can have shown.
func certificateWords() []scenarios.Entry {
	words := []scenarios.Entry{word("", noCertificate, "shows no certificate")}
	for _, f := range pki.Faults {
		if slices.Contains(f.Roles, pki.Client) {
			words = append(words, word("", f.Name, "shows a certificate that "+f.Sentence))
		}
	}
	return words
}

// strangers are certificates that no authority the receiver trusts need have a part
// in: what is wrong with them is that none has.
var strangers = []string{"self-signed", "unknown-authority"}

// cipherSuites is a word for some that a client offers, and no others.
type cipherSuites struct {
	scenarios.Entry
	ids []uint16
}

// setsOfCiphers are offered under TLS 1.2, since those of TLS 1.3 are all good.
var setsOfCiphers = []cipherSuites{
	{word("", "weak", "encrypt by RC4, or by 3DES: RFC 7465, RFC 9325"), []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA, tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA, tls.TLS_RSA_WITH_RC4_128_SHA,
		tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA,
	}},
	{word("", "static-rsa", "have the key encrypted to the server's own, so that whoever gets that one reads what was recorded: RFC 9325"), []uint16{
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_CBC_SHA,
		tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA256,
	}},
	{word("", "cbc", "authenticate before they encrypt, which has been broken again and again"), []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
	}},
}

// tlsNeeds is what a step asks of the run because of how its connection is made.
func tlsNeeds(t *scenarios.TLS) []string {
	if t == nil {
		return nil
	}
	needs := []string{"tls"}
	switch {
	case t.Certificate == "":
	case t.Certificate == noCertificate, slices.Contains(strangers, t.Certificate):
		needs = append(needs, "client-certificate")
	default:
		needs = append(needs, "pki")
	}
	return needs
}

// honestTLS is how the connection of a step's honest twin is made: as the step's own,
// but for what is wrong with it.
func honestTLS(t *scenarios.TLS) *scenarios.TLS {
	if t == nil || t.Certificate == "" && t.Resume == "" || t.Version == "" {
		return nil
	}
	return &scenarios.TLS{Version: t.Version}
}

// papers are the client certificates of a run, each issued once.
type papers struct {
	mu     sync.Mutex
	issued map[string]*tls.Certificate
	stray  *pki.Authority // that nobody trusts; nil until it is needed
}

// certificate is the client certificate that a word stands for; nil for none.
func (j *Judge) certificate(word string) (*tls.Certificate, error) {
	if word == noCertificate {
		return nil, nil
	}
	p := &j.papers
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.issued[word]; c != nil {
		return c, nil
	}
	authority := cmp.Or(j.subject.Authority, p.stray)
	if authority == nil {
		var err error
		if authority, err = pki.New(); err != nil {
			return nil, err
		}
		p.stray = authority
	}
	issue := func() (*tls.Certificate, error) { return authority.Faulty(word, pki.Client, j.subject.Client) }
	if word == ownCertificate {
		issue = func() (*tls.Certificate, error) { return authority.Good(pki.Client, j.subject.Client) }
	}
	c, err := issue()
	if err != nil {
		return nil, fmt.Errorf("the client certificate could not be made: %w", err)
	}
	if p.issued == nil {
		p.issued = map[string]*tls.Certificate{}
	}
	p.issued[word] = c
	return c, nil
}

// endpointFor is where a step's deliveries go, and how the connection is made.
func (t *trial) endpointFor(step scenarios.Step) (wire.Endpoint, error) {
	e, spec := t.subject.Endpoint, step.TLS
	if e.TLS == nil {
		return e, nil
	}
	e.TLS = e.TLS.Clone()
	if t.resumed(step.As) {
		e.TLS.ClientSessionCache = t.sessionOf(step.As)
	}
	shown := ownCertificate
	if spec != nil {
		t.shape(e.TLS, spec)
		shown = cmp.Or(spec.Certificate, shown)
		if spec.Plain {
			e.TLS = nil
		}
	}
	if shown == ownCertificate && (e.Identity != nil || t.subject.Authority == nil) {
		return e, nil
	}
	var err error
	e.Identity, err = t.certificate(shown)
	return e, err
}

// elsewhere is a name that no receiver serves.
const elsewhere = "elsewhere.hookanvil.test"

// shape has a connection made as a case says. What the target shows is verified by
// the ordinary deliveries around it: under another name, or none, it may show another
// certificate.
func (t *trial) shape(c *tls.Config, spec *scenarios.TLS) {
	if v := scenarios.TLSVersion(spec.Version); v != 0 {
		c.MinVersion, c.MaxVersion = v, v
		if v < tls.VersionTLS12 {
			c.CipherSuites = everySuite() // so that only the version can be what is refused
		}
	}
	if i := slices.IndexFunc(setsOfCiphers, func(s cipherSuites) bool { return s.Name == spec.Ciphers }); i >= 0 {
		c.CipherSuites, c.MinVersion, c.MaxVersion = setsOfCiphers[i].ids, tls.VersionTLS12, tls.VersionTLS12
	}
	switch spec.ServerName {
	case "none":
		c.ServerName, c.InsecureSkipVerify = "", true
	case "other":
		c.ServerName, c.InsecureSkipVerify = elsewhere, true
	}
	c.NextProtos = spec.Protocols
	if spec.Resume != "" {
		c.ClientSessionCache, c.InsecureSkipVerify = t.sessionOf(spec.Resume), true
	}
}

func everySuite() (ids []uint16) {
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		ids = append(ids, s.ID)
	}
	return ids
}

// session holds the last session of a step, under whatever name it was made.
type session struct {
	mu    sync.Mutex
	state *tls.ClientSessionState
}

func (s *session) Get(string) (*tls.ClientSessionState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.state != nil
}

func (s *session) Put(_ string, state *tls.ClientSessionState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
}

// sessionOf is where a step's session is kept. Every other connection has a session
// of its own.
func (t *trial) sessionOf(name string) *session {
	if t.sessions[name] == nil {
		t.sessions[name] = &session{}
	}
	return t.sessions[name]
}

// resumed tells whether a later step resumes the session of this one.
func (t *trial) resumed(name string) bool {
	return name != "" && slices.ContainsFunc(t.c.Send, func(s scenarios.Step) bool { return s.TLS != nil && s.TLS.Resume == name })
}

// connectionLabel names what is special about a step's connection.
func connectionLabel(t *scenarios.TLS) string {
	var parts []string
	for _, part := range []struct{ what, value string }{
		{"certificate ", t.Certificate}, {"", t.Version}, {"ciphers ", t.Ciphers}, {"server name ", t.ServerName},
		{"protocols ", strings.Join(t.Protocols, " ")}, {"resuming ", t.Resume},
	} {
		if part.value != "" {
			parts = append(parts, part.what+part.value)
		}
	}
	if t.Plain {
		parts = append(parts, "without TLS")
	}
	return strings.Join(parts, ", ")
}

// denials are the alerts by which a server refuses a client for what is wrong with
// its TLS: RFC 8446, section 6.2. Others, such as internal_error, say that something
// else went wrong.
var denials = map[tls.AlertError]bool{
	40:  true, // handshake_failure: nothing that was offered will do
	42:  true, // bad_certificate
	43:  true, // unsupported_certificate
	44:  true, // certificate_revoked
	45:  true, // certificate_expired
	46:  true, // certificate_unknown: some other reason not to take it
	48:  true, // unknown_ca
	49:  true, // access_denied: it is valid, and not admitted
	51:  true, // decrypt_error: a signature does not fit, of the certificate or of the handshake
	70:  true, // protocol_version
	71:  true, // insufficient_security
	112: true, // unrecognized_name
	116: true, // certificate_required
	120: true, // no_application_protocol
}

// judgeDenied demands that a connection, or the delivery on it, is refused for what
// is wrong with its TLS. In TLS 1.3 a server refuses a certificate only after the
// client's handshake has succeeded, so that nothing but an answer is a success.
func judgeDenied(_ *trial, s []seen, _ any) finding {
	var all []finding
	for _, r := range s[0].readings {
		f := deniedBy(s[0].step, r)
		if f.verdict != reports.Fail {
			f = worst(noEffect(s[0], f.reason), f)
		}
		all = append(all, f)
	}
	return worst(all...)
}

func deniedBy(step scenarios.Step, r reading) finding {
	shows := step.TLS != nil && step.TLS.Certificate != ""
	unasked := shows && r.TLS != nil && !r.TLS.Asked && !r.TLS.DidResume
	// A session may be refused before anything is asked for.
	if unasked && (r.answer == refused || r.answer == unanswered && step.TLS.Resume == "") {
		return inconclusive("%s, yet no client certificate was asked for, so that it was not refused for this one", r.phrase)
	}
	switch r.answer {
	case accepted, late:
		if unasked {
			return failed("it was accepted: %s, and no client certificate was asked for", r.phrase)
		}
		return failed("it was accepted: %s", r.phrase)
	case serverError:
		return failed("%s: a sender takes that for a failure and tries again", r.phrase)
	case refused:
		return finding{verdict: reports.Pass, reason: "refused: " + r.phrase}
	case otherStatus:
		return inconclusive("%s, which does not say that it was refused for what is wrong with its TLS", r.phrase)
	}
	switch {
	case r.Outcome == wire.Alerted:
		if denials[r.TLS.Alert] || !shows { // where nothing is shown, there is nothing else to refuse than what was offered
			return finding{verdict: reports.Pass, reason: "refused by the alert " + wire.AlertName(r.TLS.Alert)}
		}
		// stunnel refuses whom it does not admit by internal_error: no more than a close.
		f := inconclusive("%s, which does not say that it was refused for what is wrong with its TLS", r.phrase)
		f.silent, f.closed = true, true
		return f
	case isClosed(r):
		f := silence(r)
		f.closed = f.silent
		return f
	}
	return silence(r)
}

// isClosed tells of a connection that the target closed without an answer or an alert.
func isClosed(r reading) bool {
	return slices.Contains([]wire.Outcome{wire.Closed, wire.WasReset, wire.TLSClosed, wire.WriteFailed}, r.Outcome)
}

// judgeNotInClear demands that nothing is taken without TLS. Front ends redirect it to
// https, and plain TLS servers answer it by an alert that no HTTP client can read.
func judgeNotInClear(s seen) finding {
	all := make([]finding, len(s.readings))
	for i, r := range s.readings {
		if one := s; !toHTTPS(r) && !isAlertRecord(r) {
			one.readings = []reading{r}
			all[i] = judgeRefused(one)
			continue
		}
		all[i] = noEffect(s, r.phrase)
	}
	return worst(all...)
}

func toHTTPS(r reading) bool {
	if r.answer == unanswered || len(r.Responses) != 1 || r.Responses[0].Status/100 != 3 {
		return false
	}
	at, err := url.Parse(r.Responses[0].Headers.Get("Location"))
	return err == nil && strings.EqualFold(at.Scheme, "https") && at.Host != ""
}

// isAlertRecord tells whether the answer begins with a fatal alert in plain text: RFC
// 8446, sections 5.1 and 6.
func isAlertRecord(r reading) bool {
	b := r.Received
	return r.Outcome == wire.Malformed && len(b) == 7 && b[0] == 21 && b[1] == 3 && b[3] == 0 && b[4] == 2 && b[5] == 2
}

// judgeAgreed demands that no HTTP/1.1 is spoken where HTTP/2 was agreed on. What an
// HTTP/2 server sends then is nothing that can be read here, as it should be. Who has
// agreed on nothing may refuse the connection, or take the delivery.
func judgeAgreed(s seen) finding {
	all := make([]finding, len(s.readings))
	for i, r := range s.readings {
		all[i] = agreedBy(s, r)
	}
	return worst(all...)
}

func agreedBy(s seen, r reading) finding {
	agreed, closed := r.TLS != nil && r.TLS.NegotiatedProtocol == "h2", isClosed(r)
	switch {
	case agreed && len(r.Responses) > 0:
		return failed("it agreed on h2, and answered in HTTP/1.1: %s", r.phrase)
	case agreed && (r.Outcome == wire.Malformed || closed), r.Outcome == wire.Alerted:
		return noEffect(s, r.phrase)
	case !agreed && r.answer != unanswered:
		return passed()
	}
	f := silence(r)
	f.closed = closed
	return worst(noEffect(s, r.phrase), f)
}

// unattributed is what a connection that is closed without a word, or by an alert that
// says nothing of it, amounts to, where honest deliveries before, between and after
// were accepted.
var unattributed = fmt.Sprintf("closed without an answer or an alert that says why, %d times out of %d between accepted deliveries: unattributed", repeats, repeats)

// mend says what may help where no connection with TLS comes about.
func (j *Judge) mend(r reading) string {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var why error
	if r.TLS != nil {
		why = r.TLS.Unverified
	}
	switch {
	case r.Outcome == wire.Alerted && j.subject.Endpoint.Identity == nil:
		return "; where it demands a client certificate, give one with --cert and --key, or --pki"
	case r.Outcome == wire.Alerted:
		return "; it may not trust who has signed the client certificate, or not admit whom it names"
	case errors.As(why, &unknown):
		return "; where its authority is a private one, name it with --ca"
	case errors.As(why, &name):
		return "; where another name is to be expected in its certificate, give it with --server-name"
	}
	return ""
}

// aboutShown tells whether the case judges what the target shows, be it trusted or
// not.
func (t *trial) aboutShown() bool { return strings.HasPrefix(t.c.Measure, "served-") }

// protocolVersion is the alert of a peer that speaks no version which was offered.
const protocolVersion tls.AlertError = 70

// unspoken tells whether an honest delivery was refused for its version of TLS alone.
func unspoken(r reading) bool { return r.Outcome == wire.Alerted && r.TLS.Alert == protocolVersion }
