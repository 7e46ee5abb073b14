package reports_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookanvil/hookanvil/reports"
)

// shownBy is a certificate whose names are not meant well.
func shownBy(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(0xbeef), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"client.test"},
		NotBefore: began, NotAfter: began.Add(24 * time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// The evidence of a refused certificate says what was shown and how it was refused,
// in every format, and a name in it can do no harm.
func TestTLSEvidence(t *testing.T) {
	const hostile = "\x1b[2J::error::s3cret-in-a-name"
	state := tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, PeerCertificates: []*x509.Certificate{shownBy(t, "server.test")}}
	x := reports.Exchange{Label: "delivery: expired", Outcome: "tls-alert", TLS: reports.NewTLS(state, []*x509.Certificate{shownBy(t, hostile)}, true, "certificate_expired (45)")}
	run := reports.Run{Schema: reports.Schema, State: reports.Complete, Subject: reports.Subject{Role: "receiver", Target: "https://localhost/"}}
	run.Results = []reports.Result{{ID: "receiver/mtls/expired", Title: "It is refused", Level: "must", Verdict: reports.Fail, Reason: "it was not", Evidence: []reports.Exchange{x}}}
	run.Totals = run.Count()
	run = reports.NewRedactor("s3cret-in-a-name").CleanRun(run)

	var shown bytes.Buffer
	if err := (reports.Terminal{Width: 200}).Write(&shown, run); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"TLS 1.3, TLS_AES_128_GCM_SHA256, a client certificate was asked for, refused by the alert certificate_expired (45)",
		"we showed CN=", "they showed CN=server.test; names client.test; valid 2026-05-04 09:30Z to 2026-05-05 09:30Z; ECDSA P-256; clientAuth; issued by CN=server.test",
	} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("the terminal does not say %q:\n%s", want, shown.String())
		}
	}
	if strings.Contains(shown.String(), "\x1b[2J") || strings.Contains(shown.String(), "s3cret") {
		t.Errorf("a name does harm:\n%q", shown.String())
	}
	b, err := json.Marshal(run)
	if err != nil {
		t.Fatal(err)
	}
	var back reports.Run
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(run.Results[0].Evidence, back.Results[0].Evidence); diff != "" {
		t.Errorf("read back from JSON (-want +got):\n%s", diff)
	}
}
