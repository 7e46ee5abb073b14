package sink_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/wire/hostile"
	"github.com/hookanvil/hookanvil/suites/load/sink"
)

func TestOverTLS(t *testing.T) {
	p, err := profiles.Get("github")
	if err != nil {
		t.Fatal(err)
	}
	keys := p.NewKeys(rand.New(rand.NewPCG(1, 2)))
	s, err := sink.New(sink.Options{Profile: p, Keys: profile.Keys{"sha256": keys["sha256"]}, Limits: sink.Limits{FirstByte: 500 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(tls.NewListener(l, hostile.ServerTLS())) }()
	h := &house{s, p, profile.Keys{"sha256": keys["sha256"]}, l.Addr().String()}
	silent, err := net.Dial("tcp", h.addr) // says no hello
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	config := hostile.ClientTLS()
	config.ServerName = "127.0.0.1"
	c, err := tls.Dial("tcp", h.addr, config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	br := bufio.NewReader(c)
	for _, id := range []string{"1", "2"} {
		c.Write(h.delivery(t, "/", id, `{}`, time.Now()))
		r, err := http.ReadResponse(br, nil)
		if err != nil || r.StatusCode != 200 {
			t.Fatalf("answered %v, %v", r, err)
		}
	}
	silent.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := silent.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("the one that says no hello is not cut off: %v", err)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if a := s.Report(); a.Verified != 2 || a.Deliveries != 2 {
		t.Errorf("%d verified", a.Verified)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
