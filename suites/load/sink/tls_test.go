package sink_test

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/fixtures/wire/hostile"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites/load/sink"
)

func openTLS(t *testing.T, profile string) *house {
	return open(t, profile, sink.Options{TLS: hostile.ServerTLS(), Limits: sink.Limits{FirstByte: time.Second, HeadTime: time.Second}})
}

func TestOverTLS(t *testing.T) {
	h := openTLS(t, "github")
	c := h.dial(t)
	defer c.Close()
	br := bufio.NewReader(c)
	for _, id := range []string{"1", "2"} {
		c.Write(h.delivery(t, "/", id, `{}`, time.Now()))
		r, err := http.ReadResponse(br, nil)
		if err != nil || r.StatusCode != 200 {
			t.Fatalf("answered %v, %v", r, err)
		}
	}
	if a := h.Report(); a.Verified != 2 || a.Deliveries != 2 {
		t.Errorf("%d verified, %d deliveries", a.Verified, a.Deliveries)
	}
}

const signsURL = `profile: signs-url
title: Signs the URL
source: [https://example.com/]
key: {encoding: utf8}
signature:
  header: X-Signature
  signs: "{url}|{body}"
  algorithm: hmac-sha256
  encoding: hex
id: {header: X-ID, make: "{alnum:24}"}
delivery: {success: 2xx}
payload: '{"id":"{id}"}'
`

// What is signed with a URL was signed for https.
func TestSignedURLsOverTLS(t *testing.T) {
	p, err := profile.Parse("signs-url.yaml", []byte(signsURL))
	if err != nil {
		t.Fatal(err)
	}
	h := openUnder(t, p, sink.Options{TLS: hostile.ServerTLS()})
	if got := h.exchange(t, 1, h.delivery(t, "/hook?a=b", "1", `{}`, time.Now())); got[0] != 200 {
		t.Errorf("answered %d, refused for %v", got[0], h.Report().Reasons)
	}
}

// TestHostileSendersOverTLS holds that each of those that spoil a handshake is told as
// such, and none of them is a delivery.
func TestHostileSendersOverTLS(t *testing.T) {
	h := openTLS(t, "standard-webhooks")
	senders := ofIDs("X42")
	spoilt := int64(0)
	for _, sender := range senders {
		if len(sender.Kinds) == 1 && sender.Kinds[0] == wire.NoTLS {
			spoilt++
		}
	}
	honest := besiege(t, h, senders)
	a := h.Report()
	if a.Verified != honest || a.Refused != 1 || a.Reasons["missing"] != 1 {
		t.Errorf("%d verified of %d honest ones, refused for %v", a.Verified, honest, a.Reasons)
	}
	if len(senders) != 9 || a.Broken[string(wire.NoTLS)]+a.Strangers() != spoilt || a.Strangers() != 2 || a.Broken[string(wire.BadRequest)] != 1 {
		t.Errorf("of %d senders that spoil the handshake: %v", spoilt, a.Broken)
	}
}

// In a full house a connection is closed before its handshake, which would cost more than
// the answer.
func TestACrowdOverTLS(t *testing.T) {
	h := open(t, "github", sink.Options{TLS: hostile.ServerTLS(), Limits: sink.Limits{Connections: 1}})
	first := h.dial(t)
	defer first.Close()
	first.Write(h.delivery(t, "/", "1", `{}`, time.Now()))
	if r, err := http.ReadResponse(bufio.NewReader(first), nil); err != nil || r.StatusCode != 200 {
		t.Fatalf("answered %v, %v", r, err)
	}
	second, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	second.SetDeadline(time.Now().Add(5 * time.Second))
	if n, err := second.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
	if a := h.Report(); a.Turned != 1 || a.Broken[string(wire.Crowded)] != 1 {
		t.Errorf("%d turned away: %v", a.Turned, a.Broken)
	}
}

// Where a client certificate is demanded, one of ours is absorbed, and who shows none or a
// stranger's is refused, and counted as such.
func TestClientCertificates(t *testing.T) {
	ours, theirs := authority(t), authority(t)
	secure := hostile.ServerTLS()
	secure.ClientAuth, secure.ClientCAs = tls.RequireAndVerifyClientCert, ours.Pool()
	good, strange := clientOf(t, ours, ""), clientOf(t, theirs, "")
	old := clientOf(t, ours, "expired")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		h := open(t, "github", sink.Options{TLS: secure})
		for i, shown := range []*tls.Certificate{nil, &strange, nil, &good, &old, &good} {
			status := h.deliverAs(t, shown, version, strconv.Itoa(i))
			if want := map[bool]int{true: 200}[shown == &good]; status != want {
				t.Errorf("%s: client %d was answered %d, want %d", tls.VersionName(version), i, status, want)
			}
		}
		a := h.Report()
		if a.Verified != 2 || a.Broken[reports.NoCertificate] != 2 || a.Broken[reports.StrangeCertificate] != 2 || a.Strangers() != 4 || len(a.Broken) != 2 {
			t.Errorf("%s: %d verified, %v", tls.VersionName(version), a.Verified, a.Broken)
		}
		if code := a.ExitCode(0); code != reports.ExitFailed {
			t.Errorf("%s: exit code %d", tls.VersionName(version), code)
		}
		if got := h.Samples(); len(got) != 4 || got[0].Label != reports.NoCertificate || got[1].Label != reports.StrangeCertificate || !strings.Contains(got[1].Detail, "unknown authority") {
			t.Errorf("%s: samples %+v", tls.VersionName(version), got)
		}
	}
}

func authority(t *testing.T) *pki.Authority {
	a, err := pki.New()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// clientOf is a client certificate of an authority, with a fault or none.
func clientOf(t *testing.T, a *pki.Authority, fault string) tls.Certificate {
	made, err := a.Good(pki.Client, pki.DefaultClient)
	if fault != "" {
		made, err = a.Faulty(fault, pki.Client, pki.DefaultClient)
	}
	if err != nil {
		t.Fatal(err)
	}
	return *made
}

// deliverAs sends a delivery and shows a certificate, or none where that is nil. It
// returns the status of the answer, 0 where there was none.
func (h *house) deliverAs(t *testing.T, shown *tls.Certificate, version uint16, id string) int {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version} //nolint:gosec // the client is what is tried
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if shown == nil {
			return &tls.Certificate{}, nil
		}
		return shown, nil // whoever is asked for
	}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: config}
	c, err := d.DialContext(t.Context(), "tcp", h.addr)
	if err != nil {
		return 0 // TLS 1.2 says so in the handshake, TLS 1.3 behind it
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	c.Write(h.delivery(t, "/", id, `{}`, time.Now())) // an alert shows in what is read
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	return r.StatusCode
}
