package attack_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/suites/load/attack"
)

// tlsServer is a server of TLS that demands a client certificate where mutual is set.
func tlsServer(t *testing.T, h http.Handler, mutual, http2 bool) (*httptest.Server, attack.Target) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = http2
	s.TLS = &tls.Config{}
	if mutual {
		s.TLS.ClientAuth = tls.RequireAnyClientCert
	}
	s.Config.ErrorLog = discarded
	s.StartTLS()
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	target := at(t, u, "svix")
	target.Endpoint.TLS.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return s, target
}

// Over TLS a connection serves many hits, and shows a certificate where it has one.
func TestTLS(t *testing.T) {
	var shown, requests atomic.Int64
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if len(r.TLS.PeerCertificates) > 0 {
			shown.Add(1)
		}
	})
	_, target := tlsServer(t, h, true, false)
	plan := stages(attack.Constant(200, 500*time.Millisecond))
	plan.Connections = 8
	m := run(t, target, plan, attack.Options{})
	if m.Total.Errors["tls"] != 100 || requests.Load() > 0 {
		t.Errorf("without a certificate: %+v", m.Total)
	}
	authority, err := pki.New()
	if err != nil {
		t.Fatal(err)
	}
	if target.Endpoint.Identity, err = authority.Good(pki.Client, pki.DefaultClient); err != nil {
		t.Fatal(err)
	}
	m = run(t, target, plan, attack.Options{})
	if m.Total.Accepted != 100 || shown.Load() != 100 || m.Generator.Dials > 8 {
		t.Errorf("with one: %+v, shown %d times, %d dials", m.Total, shown.Load(), m.Generator.Dials)
	}
}

// Over HTTP/2 and through a proxy net/http sends, and the same is measured.
func TestFallback(t *testing.T) {
	var proto atomic.Value
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proto.Store(r.Proto)
		if r.Header.Get("Svix-Signature") == "" || r.ContentLength < 10 {
			w.WriteHeader(http.StatusBadRequest)
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	accept := []wire.Predicate{{From: 307, To: 307}}
	plan := stages(attack.Constant(100, 500*time.Millisecond))

	_, target := tlsServer(t, h, false, true)
	target.HTTP2, target.Accept = true, accept
	if m := run(t, target, plan, attack.Options{}); m.Total.Accepted != 50 || proto.Load() != "HTTP/2.0" {
		t.Errorf("over %v: %+v", proto.Load(), m.Total)
	}

	plain := httptest.NewServer(h)
	defer plain.Close()
	var proxied atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Host == "" {
			t.Errorf("the proxy is asked for %s", r.URL)
		}
		proxied.Add(1)
		h(w, r)
	}))
	defer proxy.Close()
	u, _ := url.Parse(plain.URL)
	target = at(t, u, "svix")
	target.Proxy, _ = url.Parse(proxy.URL)
	target.Accept = accept
	if m := run(t, target, plan, attack.Options{}); m.Total.Accepted != 50 || proxied.Load() != 50 {
		t.Errorf("%d hits came to the proxy: %+v; %q", proxied.Load(), m.Total, m.Notes)
	}
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	target.Proxy, target.HTTP2, target.Accept = nil, false, accept
	if m := run(t, target, plan, attack.Options{}); m.Total.Accepted != 50 {
		t.Errorf("a proxy of the environment is asked: %+v", m.Total)
	}
}

// A large body may be refused before it was sent as a whole.
func TestEarlyAnswer(t *testing.T) {
	u := server(t, func(c net.Conn) {
		defer c.Close()
		r := bufio.NewReader(c)
		for line := ""; line != "\r\n"; {
			var err error
			if line, err = r.ReadString('\n'); err != nil {
				return
			}
		}
		// No byte of the body is read until the client has gone.
		io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
		time.Sleep(500 * time.Millisecond)
	})
	stage := attack.Constant(10, 500*time.Millisecond)
	stage.Mix = attack.Mix{attack.Oversized: 1}
	p := stages(stage)
	p.Bodies.Oversize = 32 << 20
	m := run(t, at(t, u, "github"), p, attack.Options{})
	if m.Total.Statuses[413] != 5 || m.Total.Other != 5 {
		t.Errorf("%+v; %q", m.Total, m.Notes)
	}
}

// A plan that is beyond the bounds, or that the profile cannot have, is refused before
// anything is sent.
func TestCheck(t *testing.T) {
	u := server(t, func(c net.Conn) { t.Error("something was sent") })
	mixed := func(m attack.Mix) attack.Plan {
		s := attack.Constant(10, time.Second)
		s.Mix = m
		return stages(s)
	}
	bodies := func(b attack.Bodies) attack.Plan {
		p := mixed(nil)
		p.Bodies = b
		return p
	}
	for _, c := range []struct {
		plan attack.Plan
		want string
	}{
		{attack.Plan{}, "has no stages"},
		{stages(attack.Constant(100_001, time.Second)), "a rate of 100001/s: at most 100000/s"},
		{stages(attack.Ramp(1, 1e9, time.Second)), "at most 100000/s"},
		{stages(attack.Constant(-1, time.Second)), "a rate of -1/s"},
		{stages(attack.Constant(1, 2*time.Hour)), "cannot last 2h: choose up to 1h"},
		{stages(attack.Constant(1, 40*time.Minute), attack.Constant(1, 40*time.Minute)), "lasts 1h20m: at most 1h"},
		{stages(attack.Constant(90_000, 30*time.Minute)), "at most 100000000 are allowed"},
		{stages(attack.Constant(0.1, time.Second)), "has no hit"},
		{stages(attack.Constant(1, 0)), "cannot last 0s"},
		{stages(attack.Closed(time.Second)), "has no rate"},
		{attack.Plan{Closed: true, Stages: []attack.Stage{attack.Constant(1, time.Second)}}, "and the plan is closed"},
		{attack.Plan{Connections: 5000, Stages: mixed(nil).Stages}, "cannot use 5000 connections: choose from 1 to 4096"},
		{attack.Plan{Connections: -1, Stages: mixed(nil).Stages}, "cannot use -1 connections"},
		{attack.Plan{Timeout: time.Hour, Stages: mixed(nil).Stages}, "the timeout of a hit cannot be 1h0m0s"},
		{mixed(attack.Mix{"fogred": 1}), `"fogred", which is no class of hits`},
		{mixed(attack.Mix{attack.Honest: -1}), "the weight -1"},
		{mixed(attack.Mix{attack.Honest: 0}), "every weight is 0"},
		{mixed(attack.Mix{attack.Replayed: 1}), "no honest ones that they could repeat"},
		{mixed(attack.Mix{attack.Honest: 1, attack.Stale: 1}), "profile github has no timestamp"},
		{bodies(attack.Bodies{Sizes: []attack.Size{{Bytes: 10, Weight: 1}}}), "at least 13 bytes smaller"},
		{bodies(attack.Bodies{Sizes: []attack.Size{{Bytes: 1 << 30, Weight: 1}}}), "cannot have 1073741824 bytes"},
		{bodies(attack.Bodies{Sizes: []attack.Size{{Bytes: 1000}}}), "has the weight 0"},
		{bodies(attack.Bodies{Files: [][]byte{{' '}}}), "body 1 of 1 is empty"},
	} {
		_, err := attack.Run(context.Background(), at(t, u, "github"), c.plan, attack.Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.plan, err, c.want)
		}
	}
	if got := (stages(attack.Constant(2000, time.Minute), attack.Sine(100, 50, 10*time.Second, time.Hour))).String(); got != "2000/s for 1m, then 100/s ± 50/s in waves of 10s for 1h; honest" {
		t.Errorf("a plan in words: %q", got)
	}
}

// Bodies come in the sizes that are asked for, as often as their weights say.
func TestSizes(t *testing.T) {
	var small, large, odd atomic.Int64
	u := server(t, func(c net.Conn) {
		defer c.Close()
		for r := bufio.NewReader(c); ; {
			n, err := readRequest(r)
			if err != nil {
				return
			}
			map[int]*atomic.Int64{400: &small, 4000: &large}[n].Add(1)
			if _, err := c.Write(ok); err != nil {
				return
			}
		}
	})
	p := stages(attack.Constant(800, 500*time.Millisecond))
	p.Bodies.Sizes = []attack.Size{{Bytes: 400, Weight: 3}, {Bytes: 4000, Weight: 1}}
	run(t, at(t, u, "stripe"), p, attack.Options{})
	if small.Load() < 260 || large.Load() < 60 || small.Load()+large.Load() != 400 || odd.Load() > 0 {
		t.Errorf("%d small and %d large bodies", small.Load(), large.Load())
	}
}

// On the way of an HMAC over HTTP/1.1 no hit allocates, and memory does not grow with
// their number.
func TestNothingIsAllocated(t *testing.T) {
	address, _ := spawn(t, "sink")
	target := at(t, &url.URL{Scheme: "http", Host: address, Path: "/hook"}, "standard-webhooks")
	measured := func(d time.Duration) (hits int64, allocations, bytes float64) {
		p := attack.Plan{Closed: true, Connections: 4, Stages: []attack.Stage{attack.Closed(d)}}
		var before, after runtimeStats
		before.read()
		m := run(t, target, p, attack.Options{})
		after.read()
		if m.Total.Accepted != m.Total.Planned {
			t.Fatalf("%+v", m.Total)
		}
		return m.Total.Planned, float64(after.mallocs - before.mallocs), float64(after.bytes - before.bytes)
	}
	shortHits, shortAllocs, shortBytes := measured(500 * time.Millisecond)
	hits, allocs, bytes := measured(2500 * time.Millisecond)
	more := float64(hits - shortHits)
	if more < 1000 {
		t.Skip("the machine is too busy to tell")
	}
	// What a second costs whatever its hits, the series and the looks at ourselves, is
	// some thousand allocations.
	if perHit := (allocs - shortAllocs - 5000) / more; perHit > 0.05 {
		t.Errorf("%.3f allocations for a hit (%.0f in %d hits)", perHit, allocs, hits)
	}
	if perHit := (bytes - shortBytes - 1<<20) / more; perHit > 8 {
		t.Errorf("%.1f bytes for a hit", perHit)
	}
	t.Logf("%.0f allocations in %d hits, %.0f in %d", shortAllocs, shortHits, allocs, hits)
}

func Example() {
	u, _ := url.Parse("http://127.0.0.1:8080/hook")
	plan := attack.Plan{Stages: []attack.Stage{attack.Constant(200, 10*time.Second), attack.Ramp(200, 400, 5*time.Second)}}
	plan.Stages[0].Mix = attack.Mix{attack.Honest: 90, attack.Forged: 10}
	fmt.Println(u, plan)
	// Output: http://127.0.0.1:8080/hook 200/s for 10s; honest 90, forged 10, then 200/s to 400/s over 5s; honest
}
