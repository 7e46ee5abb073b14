package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/wire"
)

func TestSinkCounts(t *testing.T) {
	s, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for range 3 {
		r, err := http.Post(s.url(), "application/json", strings.NewReader(`{"a":1}`))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
	if n := s.answered.Load(); n != 3 {
		t.Errorf("%d requests were counted, want 3", n)
	}
}

// What wrk signs in Lua verifies: a generator that signs wrongly is cheaper than it
// should be.
func TestLuaSigns(t *testing.T) {
	if _, err := exec.LookPath("wrk"); err != nil {
		t.Skip("wrk is not installed")
	}
	p, err := profiles.Get("standard-webhooks")
	if err != nil {
		t.Fatal(err)
	}
	var good, bad atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var headers wire.Headers
		for name := range r.Header {
			headers.Add(name, r.Header.Get(name))
		}
		in := profile.Incoming{Method: r.Method, URL: "/hook", Headers: headers, Body: body}
		if _, err := p.Verify(in, profile.Keys{"v1": {profile.NewSecret(secret)}}, time.Now()); err != nil {
			bad.Add(1)
			t.Log(err)
			return
		}
		good.Add(1)
	}))
	defer server.Close()
	b := bench{dir: t.TempDir(), size: 512, connections: 1, each: time.Second, sink: &sink{listener: server.Listener}}
	if err := b.write(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "wrk", "-t1", "-c1", "-d1s", "-s", b.dir+"/wrk-signing.lua", b.sink.url()).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if good.Load() == 0 || bad.Load() > 0 {
		t.Errorf("%d deliveries verified, %d did not", good.Load(), bad.Load())
	}
}
