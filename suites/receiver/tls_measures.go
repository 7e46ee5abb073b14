package receiver

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"slices"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// shownChain is what a target showed of itself.
type shownChain struct {
	leaf   *x509.Certificate
	behind []*x509.Certificate
	name   string         // that is expected in it
	roots  *x509.CertPool // nil: the system's
	at     time.Time
}

// ofChain makes a measurement of a look at the target's chain, whether it verifies or
// not.
func ofChain(look func(t *trial, c shownChain) finding) func(*trial, context.Context) finding {
	return func(t *trial, ctx context.Context) finding {
		e, err := t.endpointFor(scenarios.Step{})
		if err != nil {
			return inconclusive("%s", err)
		}
		c := shownChain{name: e.TLS.ServerName, roots: e.TLS.RootCAs, at: time.Now()}
		e.TLS.InsecureSkipVerify = true
		d, err := t.prepare(scenarios.Step{}, false)
		if err != nil {
			return inconclusive("%s", err)
		}
		x := t.send(ctx, e, d[0].request.Script(), t.subject.Limits.Answer)
		if err := t.record("what the target shows", x); err != nil {
			return inconclusive("%s", err)
		}
		if x.TLS == nil || len(x.TLS.PeerCertificates) == 0 {
			return inconclusive("the target showed no certificate: %s", describe(x))
		}
		c.leaf, c.behind = x.TLS.PeerCertificates[0], x.TLS.PeerCertificates[1:]
		return look(t, c)
	}
}

// verified holds the chain against the roots, for whatever use and at a time at which
// its leaf was valid: those are judged by themselves.
func verified(_ *trial, c shownChain) finding {
	o := x509.VerifyOptions{Roots: c.roots, Intermediates: x509.NewCertPool(), CurrentTime: c.at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	for _, between := range c.behind {
		o.Intermediates.AddCert(between)
	}
	if outside(c.leaf, c.at) {
		o.CurrentTime = c.leaf.NotBefore.Add(c.leaf.NotAfter.Sub(c.leaf.NotBefore) / 2)
	}
	if _, err := c.leaf.Verify(o); err != nil {
		return failed("its chain of %d leads to no authority that is trusted here: %v; where it is a private one, name it with --ca", 1+len(c.behind), err)
	}
	return passed()
}

func outside(c *x509.Certificate, at time.Time) bool {
	return at.Before(c.NotBefore) || at.After(c.NotAfter)
}

func named(_ *trial, c shownChain) finding {
	if err := c.leaf.VerifyHostname(c.name); err != nil {
		return failed("%v; where another name is to be expected, give it with --server-name", err)
	}
	return passed()
}

func inTime(t *trial, c shownChain) finding {
	t.figure("days left", daysLeft(c), "days", "until the first certificate of the chain ends")
	for _, one := range append([]*x509.Certificate{c.leaf}, c.behind...) {
		if outside(one, c.at) {
			return failed("the certificate of %s is valid from %s to %s", one.Subject, one.NotBefore.UTC().Format(time.RFC3339), one.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	return passed()
}

// daysLeft is for how long the whole chain is valid.
func daysLeft(c shownChain) float64 {
	end := c.leaf.NotAfter
	for _, one := range c.behind {
		if one.NotAfter.Before(end) {
			end = one.NotAfter
		}
	}
	return float64(end.Sub(c.at).Round(time.Hour)) / float64(24*time.Hour)
}

// enoughDays is how long a certificate should still be valid: whoever renews by
// machine does so before, and whoever does not must be told.
const enoughDays = 14

func aWhile(t *trial, c shownChain) finding {
	left := daysLeft(c)
	t.figure("days left", left, "days", "until the first certificate of the chain ends")
	if left < enoughDays {
		return failed("it ends in %.1f days: renew it", left)
	}
	return passed()
}

// Bounds of keys that are held to be safe: RFC 9325, section 4.5.
const (
	leastRSA   = 2048
	leastCurve = 224
)

// brokenHashes are algorithms of signatures that can be forged.
var brokenHashes = []x509.SignatureAlgorithm{x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1}

func strong(_ *trial, c shownChain) finding {
	for _, one := range append([]*x509.Certificate{c.leaf}, c.behind...) {
		root := slices.Equal(one.RawSubject, one.RawIssuer)
		switch key := one.PublicKey.(type) {
		case *rsa.PublicKey:
			if key.N.BitLen() < leastRSA {
				return failed("the RSA key of %s has %d bits", one.Subject, key.N.BitLen())
			}
		case *ecdsa.PublicKey:
			if key.Curve.Params().BitSize < leastCurve {
				return failed("the key of %s is on a curve of %d bits", one.Subject, key.Curve.Params().BitSize)
			}
		}
		if !root && slices.Contains(brokenHashes, one.SignatureAlgorithm) {
			return failed("the certificate of %s is signed by %s", one.Subject, one.SignatureAlgorithm)
		}
	}
	return passed()
}

func forServers(_ *trial, c shownChain) finding {
	none := len(c.leaf.ExtKeyUsage)+len(c.leaf.UnknownExtKeyUsage) == 0
	if none || slices.Contains(c.leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) || slices.Contains(c.leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return passed()
	}
	return failed("the certificate of %s is not for servers", c.leaf.Subject)
}

// versions finds out which versions the target speaks, and wants one that is sound.
func (t *trial) versions(ctx context.Context) finding {
	sound, unknown := false, ""
	for _, version := range []string{"tls1.0", "tls1.1", "tls1.2", "tls1.3"} {
		s, err := t.perform(ctx, scenarios.Step{TLS: &scenarios.TLS{Version: version}}, version, false)
		if err != nil {
			return inconclusive("%s", err)
		}
		// A handshake that came to its end tells, whatever became of the delivery.
		r := s.readings[0]
		agreed, spoken := r.TLS, 0.0
		if agreed != nil && agreed.Version == scenarios.TLSVersion(version) {
			spoken = 1
		} else if r.Outcome != wire.Alerted && r.Outcome != wire.TLSClosed {
			unknown = r.phrase
		}
		t.figure(tls.VersionName(scenarios.TLSVersion(version)), spoken, "count", "1 where it is spoken")
		sound = sound || spoken > 0 && scenarios.TLSVersion(version) >= tls.VersionTLS12
	}
	switch {
	case sound:
		return passed()
	case unknown != "":
		return inconclusive("no handshake was completed, which was not always for its version: %s", unknown)
	}
	return failed("it speaks neither TLS 1.2 nor TLS 1.3")
}

// renegotiation asks for another handshake, which TLS 1.3 has done away with.
func (t *trial) renegotiation(ctx context.Context) finding {
	e, err := t.endpointFor(scenarios.Step{})
	if err != nil {
		return inconclusive("%s", err)
	}
	asked := wire.Renegotiate(ctx, e, wire.Limits{Dial: t.subject.Limits.Answer, Total: 3 * t.subject.Limits.Answer})
	x := wire.Exchange{Start: time.Now(), Remote: e.Address, TLS: asked.TLS, Detail: asked.Detail, Outcome: wire.Outcome("renegotiation-" + cmp.Or(asked.Answer, "unanswered"))}
	if err := t.record("asked for another handshake", x); err != nil {
		return inconclusive("%s", err)
	}
	switch {
	case !asked.Asked && asked.TLS != nil && asked.TLS.Alert == protocolVersion:
		return finding{verdict: reports.Skip, reason: "the target does not speak TLS 1.2, and TLS 1.3 knows no other handshake"}
	case !asked.Asked || asked.Answer == "":
		return inconclusive("%s", asked.Detail)
	case asked.Answer == wire.Renegotiates:
		return failed("it began another handshake when it was asked to")
	}
	return finding{verdict: reports.Pass, reason: "refused: " + asked.Detail}
}
