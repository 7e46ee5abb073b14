package suites_test

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

// issued writes a client's certificate, with a fault or none, and its key.
func issued(t *testing.T, a *pki.Authority, fault string) (cert, key string) {
	t.Helper()
	made, err := a.Good(pki.Client, pki.DefaultClient)
	if fault != "" {
		made, err = a.Faulty(fault, pki.Client, pki.DefaultClient)
	}
	if err != nil {
		t.Fatal(err)
	}
	chain, secret, err := pki.PEM(made)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "client.pem", string(chain)), write(t, "client.key", string(secret))
}

// guarded is a receiver that takes every delivery from a client whose certificate
// the authority issued, and hears what names it is asked for.
func guarded(t *testing.T, a *pki.Authority, asked func(string)) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	mine, err := a.Good(pki.Server, pki.Subject{Hosts: []string{"receiver.hookanvil.test"}})
	if err != nil {
		t.Fatal(err)
	}
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{*mine}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.Pool(),
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) { asked(hello.ServerName); return nil, nil },
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refusals are what is tested
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// What is named for TLS decides whether a receiver that demands it is reached at all.
func TestSettingsTLS(t *testing.T) {
	t.Setenv("CANARY", canary)
	authority, err := pki.New()
	if err != nil {
		t.Fatal(err)
	}
	names := make(chan string, 1000)
	server := guarded(t, authority, func(name string) { names <- name })
	cert, key := issued(t, authority, "")
	old, oldKey := issued(t, authority, "expired")
	good := suites.Settings{
		Target: server.URL, Profile: "standard-webhooks", Secret: []string{"env:CANARY"}, Seed: 1,
		Cert: cert, Key: key, CA: write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Root().Raw}))),
		ServerName: "receiver.hookanvil.test", TLSMin: "1.3",
	}
	for _, test := range []struct {
		name   string
		change func(*suites.Settings)
		want   reports.Verdict
		note   string
	}{
		{"all that it takes", func(*suites.Settings) {}, reports.Pass, ""},
		{"no certificate", func(s *suites.Settings) { s.Cert, s.Key = "", "" }, reports.Inconclusive, ""},
		{"an expired certificate", func(s *suites.Settings) { s.Cert, s.Key = old, oldKey }, reports.Inconclusive, "it is used all the same"},
		{"the system's authorities", func(s *suites.Settings) { s.CA = "" }, reports.Inconclusive, ""},
		{"another name", func(s *suites.Settings) { s.ServerName = "other.hookanvil.test" }, reports.Inconclusive, ""},
		{"the address for a name", func(s *suites.Settings) { s.ServerName = "" }, reports.Inconclusive, ""},
		{"a passphrase for nothing", func(s *suites.Settings) { s.TLSPassphrase = "env:CANARY" }, reports.Pass, "--tls-passphrase is given"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := good
			test.change(&s)
			plan, err := s.Plan(t.Context(), []string{"receiver/fidelity/valid"})
			if err != nil {
				t.Fatal(err)
			}
			run, err := complete(t, t.Context(), plan)
			if err != nil {
				t.Fatal(err)
			}
			if got := run.Results[0]; got.Verdict != test.want {
				t.Errorf("%s: %s, want %s", got.Verdict, got.Reason, test.want)
			}
			isThere := func(note string) bool { return strings.Contains(note, test.note) }
			if test.note != "" && !slices.ContainsFunc(run.Notes, isThere) || (test.note == "") != (len(plan.Notes) == 0) {
				t.Errorf("notes %q of the plan and %q of the run, want %q", plan.Notes, run.Notes, test.note)
			}
			for len(names) > 0 {
				if name := <-names; name != s.ServerName {
					t.Errorf("the server was asked for %q, want %q", name, s.ServerName)
				}
			}
			if how := plan.Reproduce(plan.Cases[0]); strings.Contains(how, canary) || s.Cert != "" && !strings.Contains(how, " --cert "+s.Cert) {
				t.Errorf("reproduction command %s", how)
			}
		})
	}
}

// The lowest version is that of the settings, or 1.2.
func TestSettingsTLSVersions(t *testing.T) {
	t.Setenv("CANARY", canary)
	for text, want := range map[string]uint16{"": tls.VersionTLS12, "1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		var s suites.Settings
		path := write(t, "hookanvil.yaml", "target: https://127.0.0.1:1/\nprofile: standard-webhooks\nsecret: env:CANARY\n"+map[bool]string{true: "tls-min: " + text + "\n"}[text != ""])
		if err := suites.FromFile(path, s.Fields()); err != nil {
			t.Fatal(err)
		}
		subject, _, err := s.Receiver(t.Context())
		if err != nil || subject.Endpoint.TLS.MinVersion != want {
			t.Errorf("tls-min %s: %v, %v", text, subject.Endpoint.TLS, err)
		}
	}
	var s suites.Settings
	if err := suites.FromFile(write(t, "hookanvil.yaml", "tls-min: \"1.4\"\n"), s.Fields()); err == nil || !strings.Contains(err.Error(), "1.0, 1.1, 1.2, 1.3") {
		t.Errorf("tls-min 1.4: %v", err)
	}
}

// The passphrase is known to the redactor.
func TestSettingsTLSPassphrase(t *testing.T) {
	t.Setenv("CANARY", canary)
	t.Setenv("HOOKANVIL_TLS_PASSPHRASE", "a-second-canary")
	s := suites.Settings{Target: "https://127.0.0.1:1/", Profile: "standard-webhooks", Secret: []string{"env:CANARY"}}
	if err := suites.FromEnvironment(s.Fields()); err != nil {
		t.Fatal(err)
	}
	_, redactor, err := s.Receiver(t.Context())
	if err != nil || s.TLSPassphrase != "env:HOOKANVIL_TLS_PASSPHRASE" {
		t.Fatal(s.TLSPassphrase, err)
	}
	if got := redactor.Clean("it is a-second-canary"); strings.Contains(got, "canary") {
		t.Errorf("%q shows the passphrase", got)
	}
}

// What does not fit is found before anything is sent, and is an error of ours.
func TestSettingsTLSMistakes(t *testing.T) {
	t.Setenv("CANARY", canary)
	authority, err := pki.New()
	if err != nil {
		t.Fatal(err)
	}
	cert, key := issued(t, authority, "")
	_, otherKey := issued(t, authority, "")
	good := suites.Settings{Target: "https://127.0.0.1:1/", Profile: "standard-webhooks", Secret: []string{"env:CANARY"}, Cert: cert, Key: key}
	if _, err := good.Plan(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	plain := func(change func(*suites.Settings)) func(*suites.Settings) {
		return func(s *suites.Settings) {
			s.Target, s.Cert, s.Key = "http://127.0.0.1:1/", "", ""
			change(s)
		}
	}
	for _, test := range []struct {
		change func(*suites.Settings)
		want   string
	}{
		{plain(func(s *suites.Settings) { s.Cert = cert }), "use --cert: it is for TLS"},
		{plain(func(s *suites.Settings) { s.Key = key }), "use --key: it is for TLS"},
		{plain(func(s *suites.Settings) { s.CA = cert }), "use --ca: it is for TLS"},
		{plain(func(s *suites.Settings) { s.TLSPassphrase = canary }), "use --tls-passphrase: it is for TLS"},
		{plain(func(s *suites.Settings) { s.TLSMin = "1.2" }), "use --tls-min: it is for TLS"},
		{plain(func(s *suites.Settings) { s.ServerName = "a.test" }), "use --server-name: it is for TLS"},
		{func(s *suites.Settings) { s.Cert = "missing.pem" }, `read --cert "missing.pem": there is no such file`},
		{func(s *suites.Settings) { s.Key = "" }, "no private key"},
		{func(s *suites.Settings) { s.Cert = "" }, "a key proves nothing without its certificate"},
		{func(s *suites.Settings) { s.Key = otherKey }, "does not belong to the certificate"},
		{func(s *suites.Settings) { s.CA = key }, "read --ca"},
		{func(s *suites.Settings) { s.TLSPassphrase = canary }, "read --tls-passphrase: a secret cannot be given by value"},
		{func(s *suites.Settings) { s.TLSPassphrase = "env:NO_SUCH_VARIABLE" }, "read --tls-passphrase: the environment variable NO_SUCH_VARIABLE"},
		{func(s *suites.Settings) { s.ServerName = "127.0.0.1" }, "read --server-name"},
	} {
		s := good
		test.change(&s)
		_, err := s.Plan(t.Context(), nil)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), canary) {
			t.Errorf("error %v, want one that contains %q", err, test.want)
		}
	}
	sender := aSender(t)
	if err := set(t, sender.Fields(), "cert", cert); err != nil {
		t.Fatal(err)
	}
	if _, err := sender.Plan(t.Context(), []string{"sender/request"}); err == nil || !strings.Contains(err.Error(), "use --cert: it is for judging a receiver") {
		t.Errorf("a certificate for a sender: %v", err)
	}
}
