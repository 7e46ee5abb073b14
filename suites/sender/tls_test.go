package sender_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/resolver"
	"github.com/hookanvil/hookanvil/fixtures/wire/hostile"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites/sender"
)

// secrecy is the TLS of a dispatcher. As it is made it is correct.
type secrecy struct {
	roots    *x509.CertPool
	config   func(a *try, c *tls.Config)                                  // the last word
	around   func(d *dispatcher, a *try, conn net.Conn) (net.Conn, error) // in place of a handshake
	then     func(d *dispatcher, a *try, conn *tls.Conn) error            // behind one
	failed   func(d *dispatcher, a *try)                                  // is told of one that failed
	careless bool                                                         // of the papers that it is given

	mu    sync.Mutex
	shown map[string]*tls.Certificate // by the URL of the endpoint
	own   *tls.Certificate
}

// speaksTLS lets the sender trust an authority, and says so.
func speaksTLS(s *stage) {
	a, err := pki.New()
	if err != nil {
		s.Fatal(err)
	}
	s.subject.Authority = a
	s.sender.tls = &secrecy{roots: a.Pool(), shown: map[string]*tls.Certificate{}}
}

// shake does the handshake of an attempt.
func (x *secrecy) shake(d *dispatcher, a *try, conn net.Conn) (net.Conn, error) {
	if x.around != nil {
		return x.around(d, a, conn)
	}
	c := &tls.Config{ServerName: mustURL(a.url).Hostname(), RootCAs: x.roots, MinVersion: tls.VersionTLS12}
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		x.mu.Lock()
		defer x.mu.Unlock()
		if shown := x.shown[a.url]; shown != nil {
			return shown, nil
		}
		if x.own != nil {
			return x.own, nil
		}
		return new(tls.Certificate), nil
	}
	if x.config != nil {
		x.config(a, c)
	}
	secure := tls.Client(conn, c)
	err := secure.HandshakeContext(d.ctx)
	if err == nil && x.then != nil {
		err = x.then(d, a, secure)
	}
	if err != nil {
		secure.Close()
		if x.failed != nil {
			x.failed(d, a)
		}
		return nil, err
	}
	return secure, nil
}

// takes keeps the client certificate for an endpoint, if it can be used.
func (x *secrecy) takes(v sender.Values) bool {
	if v.ClientCertificate == "" {
		return true
	}
	c, err := tls.X509KeyPair([]byte(v.ClientCertificate), []byte(v.ClientKey))
	if !x.careless && (err != nil || time.Now().After(c.Leaf.NotAfter)) {
		return false
	}
	if err == nil {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.shown[v.URL] = &c
	}
	return true
}

// takesPapers has the sender be told of endpoints, with what it is to show there.
func takesPapers(s *stage) {
	speaksTLS(s)
	s.subject.Register = action{words: []string{"url", "client_certificate", "client_key"}, do: func(_ context.Context, v sender.Values) (sender.Outcome, error) {
		if !s.sender.tls.takes(v) {
			return sender.Outcome{Status: 422}, nil
		}
		return sender.Outcome{Status: 201}, nil
	}}
}

// hasOwn gives the sender a client certificate for all endpoints.
func hasOwn(fault string) func(*stage) {
	return func(s *stage) {
		speaksTLS(s)
		a := s.subject.Authority
		own, err := a.Good(pki.Client, pki.Subject{})
		if fault != "" {
			own, err = a.Faulty(fault, pki.Client, pki.Subject{})
		}
		if err != nil {
			s.Fatal(err)
		}
		s.subject.ClientRoots, s.sender.tls.own = a.Pool(), own
	}
}

// tlsWith changes what the sender offers and checks.
func tlsWith(change func(a *try, c *tls.Config)) func(*stage) {
	return func(s *stage) { s.sender.tls.config = change }
}

func blindly(_ *try, c *tls.Config) { c.InsecureSkipVerify = true }

// instead puts something in the place of the handshake.
func instead(do func(d *dispatcher, a *try, conn net.Conn) (net.Conn, error)) func(*stage) {
	return func(s *stage) { s.sender.tls.around = do }
}

// inPlainText writes the request without any TLS.
func inPlainText(_ *dispatcher, _ *try, conn net.Conn) (net.Conn, error) { return conn, nil }

var errEnough = errors.New("that is all")

// onlyHello says hello and then does something else.
func onlyHello(then func(d *dispatcher, conn net.Conn)) func(*dispatcher, *try, net.Conn) (net.Conn, error) {
	return func(d *dispatcher, a *try, conn net.Conn) (net.Conn, error) {
		ctx, cancel := context.WithCancel(d.ctx)
		defer cancel()
		secure := tls.Client(muted{conn, cancel}, &tls.Config{InsecureSkipVerify: true, ServerName: mustURL(a.url).Hostname()})
		_ = secure.HandshakeContext(ctx)
		then(d, conn)
		return nil, errEnough
	}
}

// muted is a connection on which nothing is read, and from which the reader is told.
type muted struct {
	net.Conn
	read func()
}

func (m muted) Read([]byte) (int, error) {
	m.read()
	return 0, errEnough
}

func (muted) Close() error { return nil }

// diesAfterRefusal has the sender deliver nothing more once a handshake has failed.
func diesAfterRefusal(s *stage) {
	var dead atomic.Bool
	s.sender.tls.failed = func(*dispatcher, *try) { dead.Store(true) }
	s.sender.loses = func(int) bool { return dead.Load() }
}

// fallsBack delivers in plain text after a handshake has failed.
func fallsBack(s *stage) {
	s.sender.tls.failed = func(d *dispatcher, a *try) {
		b := *a
		b.url = strings.Replace(b.url, "https:", "http:", 1)
		_, _ = d.exchange(&b)
	}
}

// shuns never connects to an endpoint with TLS.
func shuns(s *stage) {
	s.sender.tls.around = func(*dispatcher, *try, net.Conn) (net.Conn, error) { return nil, errEnough }
}

const (
	badYAML      = "endpoints: [{name: main, tls: {certificate: expired}}]\ntrigger: once\nexpect: no-request"
	laterYAML    = "endpoints: [{name: main, tls: {certificate: [expired, good]}}]\ntrigger: once\nexpect: [no-request, delivered]"
	goodYAML     = "endpoints: [{name: main, tls: {}}]\ntrigger: once\nexpect: delivered"
	plainYAML    = "endpoints: [{name: main, tls: {certificate: unknown-authority}}]\ntrigger: once\nexpect: no-plaintext"
	askedYAML    = "endpoints: [{name: main, tls: {client: asked}}]\ntrigger: once\nexpect: shows-certificate"
	requiredYAML = "endpoints: [{name: main, tls: {client: required}}]\ntrigger: once\nexpect: shows-certificate"
	absentYAML   = "endpoints: [{name: main, tls: {client: required, identity: none}}]\ntrigger: once\nexpect: tries-again"
	otherYAML    = "endpoints: [{name: main, tls: {client: asked}}, {name: other, tls: {client: asked, identity: none}}]\ntrigger: [{to: main}, {to: other}]\nexpect: shows-none"
	brokenYAML   = "endpoints: [{name: main, tls: {client: asked, identity: other-key}}]\ntrigger: once\nexpect: refused-or-unsent"
	nameYAML     = "endpoints: [{name: main, tls: {host: name}}]\ntrigger: once\nexpect: server-name"
)

func careless(s *stage) { s.sender.tls.careless = true }

func tlsRows() []verdict {
	return []verdict{
		{"a good certificate", goodYAML, speaksTLS, pass, ""},
		{"a good certificate, which is not trusted", goodYAML, with(speaksTLS, tlsWith(func(_ *try, c *tls.Config) { c.RootCAs = x509.NewCertPool() })), open, "does not trust our authority"},
		{"a good certificate, and plain text", goodYAML, with(speaksTLS, instead(inPlainText)), open, "in plain text"},
		{"no authority of ours", goodYAML, nil, skip, "--pki"},
		{"a name", "endpoints: [{name: main, tls: {host: name}}]\ntrigger: once\nexpect: delivered", speaksTLS, pass, ""},
		{"a name of the resolver", "endpoints: [{name: main, tls: {host: name}}]\ntrigger: once\nexpect: delivered", with(speaksTLS, func(s *stage) { s.subject.Resolver = resolver.New() }), pass, ""},

		{"a bad certificate", badYAML, speaksTLS, pass, ""},
		{"a bad certificate that is believed", badYAML, with(speaksTLS, tlsWith(blindly)), fail, "on which the certificate was expired"},
		{"a bad certificate that is believed at the second time", badYAML, with(speaksTLS, tlsWith(func(a *try, c *tls.Config) { c.InsecureSkipVerify = a.n > 1 })), fail, "connection 2"},
		{"a bad certificate that is looked at behind the request", badYAML, with(speaksTLS, tlsWith(blindly), func(s *stage) {
			s.sender.tls.then = func(d *dispatcher, a *try, conn *tls.Conn) error {
				_, request, err := d.compose(a)
				if err != nil {
					return err
				}
				_, err = conn.Write(request)
				return errors.Join(err, conn.VerifyHostname("nobody"))
			}
		}), fail, "it sent a request over connection 1"},
		{"a bad certificate that is looked at behind the handshake", badYAML, with(speaksTLS, tlsWith(blindly), verifiesLater), pass, ""},
		{"a bad certificate, and every other is refused too", badYAML, with(speaksTLS, tlsWith(func(_ *try, c *tls.Config) { c.RootCAs = x509.NewCertPool() })), open, "does not trust our authority"},
		{"a bad certificate at which the sender dies", badYAML, with(speaksTLS, diesAfterRefusal), open, "the control"},
		{"no connection", badYAML, with(speaksTLS, func(s *stage) { s.sender.loses = func(n int) bool { return n == 2 } }), open, "made no connection"},
		{"a connection without a hello", badYAML, with(speaksTLS, shuns), open, "made no connection"},
		{"a connection in plain text", badYAML, with(speaksTLS, instead(inPlainText)), fail, "in plain text"},
		{"a hello, and then nothing", badYAML, with(speaksTLS, instead(onlyHello(func(d *dispatcher, _ net.Conn) { d.sleep(8 * time.Second) }))), open, "not seen to refuse"},
		{"a hello, and the end", badYAML, with(speaksTLS, instead(onlyHello(func(_ *dispatcher, conn net.Conn) { conn.Close() }))), open, "not seen to refuse"},
		{"garbage in the place of a hello", badYAML, with(speaksTLS, instead(func(_ *dispatcher, _ *try, conn net.Conn) (net.Conn, error) {
			_, _ = conn.Write(bytes.Repeat([]byte{0xff}, 20))
			return nil, errEnough
		})), open, "made no connection"},
		{"a handshake, and then nothing", badYAML, with(speaksTLS, tlsWith(blindly), func(s *stage) {
			s.sender.deadline = 0
			s.sender.tls.then = func(d *dispatcher, _ *try, _ *tls.Conn) error {
				d.sleep(15 * time.Second)
				return errEnough
			}
		}), open, "not seen to refuse"},
		{"old TLS", "endpoints: [{name: main, tls: {version: tls1.1}}]\ntrigger: once\nexpect: no-request", speaksTLS, pass, ""},
		{"old TLS that is spoken", "endpoints: [{name: main, tls: {version: tls1.1}}]\ntrigger: once\nexpect: no-request",
			with(speaksTLS, tlsWith(func(_ *try, c *tls.Config) { c.MinVersion = tls.VersionTLS10 })), fail, "nobody should speak"},
		{"RC4", "endpoints: [{name: main, tls: {ciphers: rc4}}]\ntrigger: once\nexpect: no-request", speaksTLS, pass, ""},
		{"RC4 that is spoken", "endpoints: [{name: main, tls: {ciphers: rc4}}]\ntrigger: once\nexpect: no-request",
			with(speaksTLS, tlsWith(func(_ *try, c *tls.Config) {
				c.CipherSuites = []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA}
			})), fail, "nobody should speak"},

		{"a good certificate later", laterYAML, speaksTLS, pass, ""},
		{"a good certificate later, and no more attempts", laterYAML, with(speaksTLS, gaps()), fail, "nothing arrived"},
		{"a good certificate later, and nobody has said when it tries again", laterYAML, with(speaksTLS, gaps(), undeclared), open, "nothing arrived"},
		{"a good certificate later, too late", laterYAML, with(speaksTLS, gaps(), func(s *stage) {
			s.profile.Retry = &profile.Retry{Schedule: []time.Duration{time.Hour, time.Hour}}
		}), open, "nothing arrived"},
		{"a bad certificate between two good ones", "endpoints: [{name: main, tls: {certificate: [good, expired, good]}}]\ntrigger: once\nrespond: [500, 200]\nexpect: [no-request, delivered]", speaksTLS, pass, ""},
		{"a bad certificate on the retry that is believed", "endpoints: [{name: main, tls: {certificate: [good, expired, good]}}]\ntrigger: once\nrespond: [500, 200]\nexpect: [no-request, delivered]",
			with(speaksTLS, tlsWith(func(a *try, c *tls.Config) { c.InsecureSkipVerify = a.n > 1 })), fail, "connection 2"},
		{"a bad certificate on the retry, which never comes", "endpoints: [{name: main, tls: {certificate: [good, expired]}}]\ntrigger: once\nrespond: [500, 200]\nexpect: no-request",
			with(speaksTLS, gaps()), open, "made no connection that it had to refuse"},

		{"no fall-back", plainYAML, speaksTLS, pass, ""},
		{"a fall-back", plainYAML, with(speaksTLS, fallsBack), fail, "in plain text"},
		{"no fall-back, for TLS does not fail", plainYAML, with(speaksTLS, tlsWith(blindly)), open, "not seen to refuse"},

		{"a certificate of the sender's own", askedYAML, hasOwn(""), pass, ""},
		{"a certificate for the endpoint", askedYAML, takesPapers, pass, ""},
		{"a certificate for the endpoint, demanded", requiredYAML, takesPapers, pass, ""},
		{"none, and asked", askedYAML, with(hasOwn(""), func(s *stage) { s.sender.tls.own = nil }), fail, "showed no client certificate"},
		{"none, and demanded", requiredYAML, with(hasOwn(""), func(s *stage) { s.sender.tls.own = nil }), fail, "showed no client certificate"},
		{"none, and demanded by an authority that is not trusted", requiredYAML, with(hasOwn(""), tlsWith(func(_ *try, c *tls.Config) { c.RootCAs = x509.NewCertPool() })), open, "nothing arrived"},
		{"one without its intermediate", askedYAML, hasOwn("missing-intermediate"), fail, "without the intermediate"},
		{"one that has expired", askedYAML, hasOwn("expired"), fail, "does not verify"},
		{"one for servers", askedYAML, hasOwn("wrong-usage"), fail, "does not verify"},
		{"one of an authority that nobody trusts", askedYAML, hasOwn("unknown-authority"), fail, "does not verify"},
		{"one whose key it does not have", askedYAML, hasOwn("other-key"), open, "nothing arrived"},
		{"its own in the place of the endpoint's", askedYAML, with(takesPapers, func(s *stage) {
			own, err := s.subject.Authority.Good(pki.Client, pki.Subject{})
			if err != nil {
				s.Fatal(err)
			}
			s.sender.tls.config = func(_ *try, c *tls.Config) {
				c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own, nil }
			}
		}), fail, "not meant for this endpoint"},
		{"no certificate to be shown", askedYAML, speaksTLS, skip, "--client-ca"},

		{"none for another", otherYAML, takesPapers, pass, ""},
		{"that of another", otherYAML, with(takesPapers, showsAnybodys), fail, "for another one, main of"},
		{"its own to another", otherYAML, with(takesPapers, func(s *stage) {
			own, err := s.subject.Authority.Good(pki.Client, pki.Subject{})
			if err != nil {
				s.Fatal(err)
			}
			s.sender.tls.own, s.subject.ClientRoots = own, s.subject.Authority.Pool()
		}), pass, ""},
		{"none for another, where nothing arrives", otherYAML, with(takesPapers, shuns), open, "nothing arrived"},

		{"another attempt where there is no certificate", absentYAML, takesPapers, pass, ""},
		{"no other attempt where there is no certificate", absentYAML, with(takesPapers, gaps()), fail, "no other within"},
		{"no attempt where there is no certificate", absentYAML, with(takesPapers, shuns), open, "made no connection"},
		{"no other attempt, and nobody has said when", absentYAML, with(takesPapers, gaps(), undeclared), open, "nobody has said"},
		{"no certificate can be given", absentYAML, speaksTLS, skip, "{client_certificate}"},

		{"a key that does not fit", brokenYAML, takesPapers, pass, ""},
		{"a key that does not fit, and the delivery goes on", brokenYAML, with(takesPapers, careless), fail, "without the client certificate"},
		{"a certificate whose time is over", strings.Replace(brokenYAML, "other-key", "expired", 1), takesPapers, pass, ""},
		{"a certificate whose time is over, and it is shown", strings.Replace(brokenYAML, "other-key", "expired", 1), with(takesPapers, careless), fail, "which is not to be used"},
		{"a key that does not fit, and the API is broken", brokenYAML, with(takesPapers, func(s *stage) {
			refuses := s.subject.Register
			s.subject.Register = action{words: []string{"url", "client_certificate", "client_key"}, do: func(ctx context.Context, v sender.Values) (sender.Outcome, error) {
				out, err := refuses.Do(ctx, v)
				if !out.OK() {
					out.Status = 500
				}
				return out, err
			}}
		}), open, "not as a refusal"},

		{"a name asked for", nameYAML, speaksTLS, pass, ""},
		{"no name asked for", nameYAML, with(speaksTLS, tlsWith(func(_ *try, c *tls.Config) { c.ServerName, c.InsecureSkipVerify = "", true })), fail, "asked for no name"},
		{"another name asked for", nameYAML, with(speaksTLS, tlsWith(func(_ *try, c *tls.Config) { c.ServerName, c.InsecureSkipVerify = "proxy.test", true })), fail, `asked for the name "proxy.test"`},
		{"no name for an address", "endpoints: [{name: main, tls: {}}]\ntrigger: once\nexpect: server-name", speaksTLS, pass, ""},
		{"no TLS to ask for a name by", onceYAML + "expect: server-name", nil, open, "speaks no TLS"},

		{"a new version", "endpoints: [{name: main, tls: {}}]\ntrigger: once\nexpect: {tls-at-least: tls1.3}", speaksTLS, pass, ""},
		{"an older version", "endpoints: [{name: main, tls: {}}]\ntrigger: once\nexpect: {tls-at-least: tls1.3}", with(speaksTLS, tlsWith(func(_ *try, c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })), fail, "over TLS 1.2"},
		{"no TLS of any version", onceYAML + "expect: {tls-at-least: tls1.2}", nil, open, "speaks no TLS"},
	}
}

// verifiesLater looks at the certificate once the handshake is done, and then closes.
func verifiesLater(s *stage) {
	s.sender.tls.then = func(_ *dispatcher, a *try, conn *tls.Conn) error {
		_, err := conn.ConnectionState().PeerCertificates[0].Verify(x509.VerifyOptions{
			Roots: s.sender.tls.roots, Intermediates: poolOf(conn.ConnectionState().PeerCertificates), DNSName: mustURL(a.url).Hostname(),
		})
		return err
	}
}

func poolOf(certificates []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certificates {
		p.AddCert(c)
	}
	return p
}

// showsAnybodys shows any certificate that it was given to whoever asks.
func showsAnybodys(s *stage) {
	x := s.sender.tls
	x.config = func(_ *try, c *tls.Config) {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			x.mu.Lock()
			defer x.mu.Unlock()
			for _, any := range x.shown {
				return any, nil
			}
			return new(tls.Certificate), nil
		}
	}
}

func TestTLS(t *testing.T) { judgeAll(t, tlsRows()) }

// What came to nothing is evidence too, with the certificate that was shown and the
// alert that it was refused by.
func TestTLSEvidence(t *testing.T) {
	onStage(t, func(s *stage) {
		speaksTLS(s)
		r := s.run(laterYAML)
		want(t, r, pass, "")
		if len(r.Evidence) < 2 {
			t.Fatalf("%d exchanges", len(r.Evidence))
		}
		refused, attempt := r.Evidence[0], r.Evidence[1]
		if refused.Label != "connection 1 (expired)" || refused.TLS == nil || !strings.Contains(refused.TLS.Alert, "bad_certificate") || len(refused.TLS.Ours) != 2 {
			t.Errorf("%s: %s, %+v", refused.Label, refused.Outcome, refused.TLS)
		}
		if attempt.TLS == nil || attempt.TLS.Version != "TLS 1.3" || !strings.Contains(strings.Join(attempt.Notes, "; "), "over connection 2, on which the certificate was good") {
			t.Errorf("%s: %v, %+v", attempt.Label, attempt.Notes, attempt.TLS)
		}
	})
}

// Cases with TLS that run at the same time do not hear of each other.
func TestTLSOverlap(t *testing.T) {
	onCrowdedStage(t, func(s *stage, l *ledger) {
		speaksTLS(s)
		s.observe = func(name string, x reports.Exchange) error {
			refused := !strings.HasPrefix(x.Label, "attempt")
			if control := strings.Contains(x.Received, `"type":"invoice.paid"`); refused || control {
				return nil
			}
			return l.note(name, x)
		}
		s.crowd(l, 1, 20, "endpoints: [{name: main, tls: {certificate: [expired, good]}}, {name: other, tls: {certificate: [good, expired, good]}}]\n"+
			"trigger: [{times: 1}, {to: other, meanwhile: true, respond: [503, 200]}]\nexpect: [no-request, delivered, signed]")
	})
}

// TestTLSConnections judges what happens below TLS, which the stage's own network
// cannot show.
func TestTLSConnections(t *testing.T) {
	t.Parallel()
	var running sync.WaitGroup
	for _, row := range []verdict{
		{"a good certificate later", laterYAML, nil, pass, ""},
		{"a bad certificate that is believed", badYAML, tlsWith(blindly), fail, "on which the certificate was expired"},
		{"a half-close behind the hello", badYAML, instead(onlyHello(func(d *dispatcher, conn net.Conn) {
			_ = conn.(*net.TCPConn).CloseWrite()
			d.sleep(300 * time.Millisecond)
		})), open, "the control"},
		{"a reset behind the hello", badYAML, instead(onlyHello(func(_ *dispatcher, conn net.Conn) {
			_ = conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		})), open, "the control"},
		{"a reset behind the handshake", badYAML, func(s *stage) {
			s.sender.tls.config = blindly
			s.sender.tls.then = func(_ *dispatcher, _ *try, conn *tls.Conn) error {
				_ = conn.NetConn().(*net.TCPConn).SetLinger(0)
				return errors.Join(errEnough, conn.NetConn().Close())
			}
		}, open, "the control"},
		{"silence behind the hello", badYAML, instead(onlyHello(func(d *dispatcher, _ net.Conn) { d.sleep(500 * time.Millisecond) })), open, ""},
	} {
		s := onLoopback(t)
		s.subject.Limits.Arrival = 2 * time.Second
		speaksTLS(s)
		if row.spoil != nil {
			row.spoil(s)
		}
		running.Go(func() {
			r := s.run(row.yaml)
			if r.Verdict != row.want {
				t.Errorf("%s:", row.name)
			}
			want(t, r, row.want, row.reason)
		})
	}
	running.Wait()
}

// TestHostileTLSSenders attacks the port of an endpoint with TLS while it is judged
// by: a sender that checks certificates still passes, and one that does not still fails.
func TestHostileTLSSenders(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*stage){"careful": nil, "blind": tlsWith(blindly)} {
		s := onLoopback(t)
		speaksTLS(s)
		verdict := pass
		if spoil != nil {
			spoil(s)
			verdict = fail
		}
		ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
		defer cancel()
		var attacks sync.WaitGroup
		attacked := false
		s.sender.mould = func(a *try) {
			if attacked || !strings.HasPrefix(a.url, "https:") {
				return
			}
			attacked = true
			for _, h := range hostile.Senders {
				if h.TLS {
					attacks.Go(func() { h.Attack(ctx, netip.MustParseAddrPort(mustURL(a.url).Host), "/hk0123456789abcdef01234567") })
				}
			}
		}
		r := s.run(badYAML)
		attacks.Wait()
		t.Log(name, r.Verdict, r.Reason)
		want(t, r, verdict, "")
	}
}

// curls has curl deliver, whose TLS is OpenSSL's: it refuses certificates in its own way.
func curls(t *testing.T, s *stage, flags ...string) {
	t.Helper()
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("there is no curl")
	}
	trusted := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(trusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.subject.Authority.Root().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	s.subject.Trigger = action{words: []string{"url", "token"}, do: func(ctx context.Context, v sender.Values) (sender.Outcome, error) {
		words := append([]string{"--silent", "--max-time", "5", "--cacert", trusted, "--data", `{"token":"` + v.Token + `"}`, v.URL}, flags...)
		_ = exec.CommandContext(ctx, curl, words...).Run() // that it fails is what is looked for
		return sender.Outcome{Status: 202}, nil
	}}
}

func TestCurl(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		flags   []string
		verdict reports.Verdict
		alert   bool
	}{
		{nil, pass, true},
		{[]string{"--tls-max", "1.2"}, pass, true},
		{[]string{"--insecure"}, fail, false},
	} {
		s := onLoopback(t)
		speaksTLS(s)
		curls(t, s, row.flags...)
		want(t, s.run(goodYAML), pass, "")
		r := s.run(badYAML)
		want(t, r, row.verdict, "")
		if first := r.Evidence[0]; first.TLS == nil || (first.TLS.Alert != "") != row.alert {
			t.Errorf("%v: %s, %+v", row.flags, first.Outcome, first.TLS)
		}
	}
}
