package suites_test

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/reference"
	"github.com/hookanvil/hookanvil/fixtures/wire"
)

// mutual is a receiver behind a front end, and a sender with any certificate.
type mutual struct {
	t         *testing.T
	authority authority
	profile   *profile.Profile
	keys      profile.Keys
	rand      *rand.Rand
	receiver  *reference.Receiver
	backend   string // host and port of the receiver
}

func newMutual(t *testing.T) *mutual {
	t.Helper()
	p, err := profiles.Get("standard-webhooks")
	if err != nil {
		t.Fatal(err)
	}
	m := &mutual{t: t, authority: newAuthority(t), profile: p, rand: rand.New(rand.NewPCG(1, 2))}
	m.keys = p.NewKeys(m.rand)
	if m.receiver, err = reference.New(reference.Options{Profile: p, Keys: m.keys}); err != nil {
		t.Fatal(err)
	}
	url, err := m.receiver.Listen("")
	if err != nil {
		t.Fatal(err)
	}
	m.backend = hostOf(url)
	t.Cleanup(func() {
		if err := m.receiver.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// certificate is a client's: good, none, or with a fault.
func (m *mutual) certificate(name string) *tls.Certificate {
	m.t.Helper()
	var cert *tls.Certificate
	var err error
	switch name {
	case "none":
	case "good":
		cert, err = m.authority.Good(pki.Client, pki.Subject{})
	default:
		cert, err = m.authority.Faulty(name, pki.Client, pki.Subject{})
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return cert
}

// delivery is an honest one, and its id.
func (m *mutual) delivery(padding int) (r wire.Request, id string) {
	m.t.Helper()
	msg := profile.Message{ID: m.profile.NewID(m.rand), Timestamp: m.profile.Stamp(time.Now()), Method: "POST", URL: "https://localhost" + reference.HookPath}
	msg.Body = append([]byte(m.profile.Fill(m.profile.Payload, msg)), strings.Repeat(" ", padding)...)
	sealed, err := m.profile.Sign(msg, m.keys)
	if err != nil {
		m.t.Fatal(err)
	}
	return wire.Request{Method: "POST", Target: reference.HookPath, Host: "localhost", Headers: sealed.Headers, Body: sealed.Body}, msg.ID
}

// endpoint is a front end to which a client shows a certificate.
func (m *mutual) endpoint(to netip.AddrPort, cert *tls.Certificate, version uint16) wire.Endpoint {
	return wire.Endpoint{
		Address: to, Identity: cert,
		TLS: &tls.Config{RootCAs: m.authority.Pool(), ServerName: "localhost", MinVersion: version, MaxVersion: version},
	}
}

// came names what came of a delivery.
func came(x wire.Exchange, effects int) string {
	form := "closed (" + string(x.Outcome) + ")"
	switch {
	case x.Outcome == wire.Answered && x.Responses[0].Status == 200 && effects == 1:
		return "accepted"
	case x.Outcome == wire.Answered:
		form = fmt.Sprintf("status %d", x.Responses[0].Status)
	case x.Outcome == wire.Alerted:
		form = "alert " + wire.AlertName(x.TLS.Alert)
	}
	if effects > 0 {
		form += ", and took effect"
	}
	return form
}

// patient is long enough for a machine that is busy with other tests.
var patient = wire.Limits{Dial: 20 * time.Second, Total: 20 * time.Second}

var versionsTried = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// certificatesTried are those that a client can be refused for, and those that it
// cannot.
func certificatesTried() []string {
	names := []string{"good", "none"}
	for _, f := range pki.Faults {
		if slices.Contains(f.Roles, pki.Client) {
			names = append(names, f.Name)
		}
	}
	return names
}

// How each front end refuses, in each mode and both versions: by an alert, by a
// status, by closing. It is what the judge of mutual TLS has to tell apart.
func TestFrontEndRefusals(t *testing.T) {
	needsMinutes(t)
	golden := readObservations(t, "testdata/frontends.refusals", portable)
	for _, f := range frontEnds {
		t.Run(f.name, func(t *testing.T) {
			versions := f.versions(t)
			m := newMutual(t)
			var got []string
			for _, mode := range f.modes {
				t.Run(mode, func(t *testing.T) {
					to := f.start(t, mode, m.authority, m.backend)
					for _, name := range certificatesTried() {
						cert := m.certificate(name)
						line := fmt.Sprintf("%s %s %s", f.name, mode, name)
						for _, version := range versionsTried {
							r, id := m.delivery(0)
							x := wire.Do(t.Context(), m.endpoint(to, cert, version), r.Script(), patient)
							if mode != modeOff && (x.TLS == nil || !x.TLS.Asked || len(x.TLS.Ours) > 0 != (cert != nil)) {
								t.Errorf("%s: the certificate was not asked for, or not shown", line)
							}
							line += " | " + came(x, m.receiver.Effects(id))
						}
						got = append(got, line)
					}
				})
			}
			golden.compare(t, f.name, versions, got)
		})
	}
	golden.update(t)
}

// portable is what is expected of versions that were never observed: which
// certificates are refused, and by an alert, a status or closing. Which alert it is
// has changed between versions of OpenSSL, and whether SHA-1 and short keys are
// refused hangs on the security level that a distribution chooses.
func portable(lines []string) (kept []string) {
	for _, line := range lines {
		fields := strings.Split(line, " | ")
		if strings.HasSuffix(fields[0], " sha1") || strings.HasSuffix(fields[0], " rsa-1024") {
			continue
		}
		for i, f := range fields[1:] {
			if strings.HasPrefix(f, "alert ") && !strings.Contains(f, ",") {
				fields[i+1] = "alert"
			}
		}
		kept = append(kept, strings.Join(fields, " | "))
	}
	return kept
}

// A refusal by an alert comes while the request is still being written in TLS 1.3,
// and must not be lost for the reset that follows it.
func TestFrontEndAlertsRecovered(t *testing.T) {
	needsMinutes(t)
	times := 200
	if testing.Short() {
		times = 10
	}
	for _, f := range frontEnds {
		if f.name == "nginx" {
			continue // it refuses these by a status
		}
		t.Run(f.name, func(t *testing.T) {
			f.find(t)
			m := newMutual(t)
			to := f.start(t, modeRequired, m.authority, m.backend)
			for _, name := range []string{"unknown-authority", "expired"} {
				e := m.endpoint(to, m.certificate(name), tls.VersionTLS13)
				for _, size := range []int{100, 4 << 20} {
					r, _ := m.delivery(size)
					recoverAlerts(t, e, r.Script(), times)
				}
			}
		})
	}
}

// recoverAlerts writes a request that is refused, over and over, and demands that
// the alert is seen at least 99.9 % of the times.
func recoverAlerts(t *testing.T, e wire.Endpoint, s wire.Script, times int) {
	t.Helper()
	lost, unwritten := map[string]int{}, 0
	for range times {
		x := wire.Do(t.Context(), e, s, patient)
		if x.Outcome != wire.Alerted {
			lost[fmt.Sprintf("%s: %s", x.Outcome, x.Detail)]++
		}
		if !x.Written {
			unwritten++
		}
	}
	n := 0
	for _, times := range lost {
		n += times
	}
	t.Logf("%d bytes: alerts recovered: %d/%d, %d of them while the request was being written", len(s.Writes[0].Bytes), times-n, times, unwritten)
	if n*1000 > times {
		t.Errorf("lost: %v", lost)
	}
}
