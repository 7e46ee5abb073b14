package sink_test

import (
	"bufio"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/fixtures/wire/hostile"
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
	if len(senders) != 9 || a.Broken[string(wire.NoTLS)] != spoilt || a.Broken[string(wire.BadRequest)] != 1 {
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
