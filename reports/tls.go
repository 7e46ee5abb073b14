package reports

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"time"
)

// TLS is what the TLS of a connection came to, as evidence.
type TLS struct {
	Version    string `json:"version,omitempty"` // "TLS 1.3"; empty where the handshake did not get so far
	Cipher     string `json:"cipher,omitempty"`
	Protocol   string `json:"protocol,omitempty"`    // by ALPN
	ServerName string `json:"server_name,omitempty"` // as the client asked for it; known of a sender only
	Resumed    bool   `json:"resumed,omitempty"`
	// Asked tells that the server asked for a client certificate.
	Asked bool `json:"asked,omitempty"`
	// Alert is what the peer refused the connection by: "certificate_expired (45)".
	Alert string `json:"alert,omitempty"`
	// Ours and Theirs are the chains that were presented, the leaf first.
	Ours   []Certificate `json:"ours,omitempty"`
	Theirs []Certificate `json:"theirs,omitempty"`
}

// Certificate is one certificate of a chain.
type Certificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Names     []string  `json:"names,omitempty"` // subject alternative names
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Key       string    `json:"key"`       // "ECDSA P-256"
	Signature string    `json:"signature"` // "ECDSA-SHA256"
	Usages    []string  `json:"usages,omitempty"`
	CA        bool      `json:"ca,omitempty"`
	Serial    string    `json:"serial"`
}

// keptCertificates bounds a chain in the evidence.
const keptCertificates = 8

// NewTLS makes evidence of the state of a connection, of the chain that we presented
// and of what the peer refused it by.
func NewTLS(state tls.ConnectionState, ours []*x509.Certificate, asked bool, alert string) *TLS {
	t := &TLS{
		Protocol: inert(state.NegotiatedProtocol), ServerName: inert(state.ServerName), Resumed: state.DidResume,
		Asked: asked, Alert: alert, Ours: chainOf(ours), Theirs: chainOf(state.PeerCertificates),
	}
	if state.Version != 0 {
		t.Version = tls.VersionName(state.Version)
	}
	if state.CipherSuite != 0 {
		t.Cipher = tls.CipherSuiteName(state.CipherSuite)
	}
	return t
}

func chainOf(certificates []*x509.Certificate) (all []Certificate) {
	for _, c := range certificates[:min(len(certificates), keptCertificates)] {
		all = append(all, certificate(c))
	}
	return all
}

func certificate(c *x509.Certificate) Certificate {
	names := c.DNSNames
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	names = append(names, c.EmailAddresses...)
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	of := Certificate{
		Subject: shownName(c.Subject.String()), Issuer: shownName(c.Issuer.String()), NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
		Key: keyOf(c), Signature: c.SignatureAlgorithm.String(), Usages: usagesOf(c), CA: c.IsCA, Serial: fmt.Sprintf("%x", c.SerialNumber),
	}
	for _, name := range names[:min(len(names), keptCertificates)] {
		of.Names = append(of.Names, shownName(name))
	}
	return of
}

// shownName is a name out of a certificate, which may hold anything.
func shownName(s string) string { return Printable([]byte(s), 200) }

func keyOf(c *x509.Certificate) string {
	switch key := c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return c.PublicKeyAlgorithm.String()
}

// usages are the names of extended key usages, as RFC 5280 and OpenSSL have them.
var usages = map[x509.ExtKeyUsage]string{
	x509.ExtKeyUsageAny: "anyExtendedKeyUsage", x509.ExtKeyUsageServerAuth: "serverAuth", x509.ExtKeyUsageClientAuth: "clientAuth",
	x509.ExtKeyUsageCodeSigning: "codeSigning", x509.ExtKeyUsageEmailProtection: "emailProtection",
	x509.ExtKeyUsageTimeStamping: "timeStamping", x509.ExtKeyUsageOCSPSigning: "OCSPSigning",
}

func usagesOf(c *x509.Certificate) (names []string) {
	for _, u := range c.ExtKeyUsage {
		if name, ok := usages[u]; ok {
			names = append(names, name)
			continue
		}
		names = append(names, fmt.Sprintf("usage %d", u))
	}
	for _, oid := range c.UnknownExtKeyUsage {
		names = append(names, oid.String())
	}
	return names
}

// lines tell of the TLS of a connection, for people: what was agreed on, and whom the
// certificates name.
func (t *TLS) lines() []string {
	if t == nil {
		return nil
	}
	agreed := []string{"no TLS handshake was completed"}
	if t.Version != "" {
		agreed = []string{t.Version, t.Cipher}
	}
	for _, part := range []struct {
		text string
		tell bool
	}{
		{"for " + t.ServerName, t.ServerName != ""},
		{"protocol " + t.Protocol, t.Protocol != ""},
		{"a resumed session", t.Resumed},
		{"a client certificate was asked for", t.Asked},
		{"refused by the alert " + t.Alert, t.Alert != ""},
	} {
		if part.tell {
			agreed = append(agreed, part.text)
		}
	}
	all := []string{strings.Join(agreed, ", ")}
	all = append(all, tellChain("we showed", t.Ours)...)
	return append(all, tellChain("they showed", t.Theirs)...)
}

func tellChain(who string, chain []Certificate) (lines []string) {
	for i, c := range chain {
		if i > 0 {
			who = "issued by"
		}
		line := who + " " + c.String()
		if last := i == len(chain)-1; last || chain[i+1].Subject != c.Issuer {
			line += "; issued by " + c.Issuer
		}
		lines = append(lines, line)
	}
	return lines
}

// String tells of a certificate, but not of its issuer, in one line.
func (c Certificate) String() string {
	parts := []string{c.Subject}
	if len(c.Names) > 0 {
		parts = append(parts, "names "+strings.Join(c.Names, " "))
	}
	parts = append(parts, fmt.Sprintf("valid %s to %s", c.NotBefore.Format(minute), c.NotAfter.Format(minute)), c.Key)
	if len(c.Usages) > 0 {
		parts = append(parts, strings.Join(c.Usages, " "))
	}
	if c.CA {
		parts = append(parts, "a CA")
	}
	return strings.Join(parts, "; ")
}

const minute = "2006-01-02 15:04Z"
