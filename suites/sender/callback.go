package sender

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"
)

// defers tells of an endpoint that leaves it to the callback whether it agrees.
func (e *endpoint) defers() bool {
	return e.spec.Handshake == "by-callback" || e.spec.Handshake == "by-wrong-callback"
}

// callBack goes to the callback that a handshake has named, a little after its answer.
func (t *trial) callBack(e *endpoint, nth int, callback string, from netip.Addr) {
	ctx, cancel := context.WithDeadline(context.Background(), t.limit)
	defer cancel()
	pause(ctx, t.subject.Limits.Slack)
	if e.spec.Handshake == "by-wrong-callback" {
		callback = guessed(callback)
	}
	took, err := t.visit(ctx, callback, from)
	t.mu.Lock()
	defer t.mu.Unlock()
	g := &e.greetings[nth]
	g.called, g.when = true, time.Now()
	if err != nil {
		g.uncalled = err.Error()
	}
	g.granted = took && e.spec.Handshake == "by-callback"
	t.signal()
}

// guessed is a URL that differs in its last character, where its key is.
func guessed(text string) string {
	if last := text[len(text)-1]; last != '0' {
		return text[:len(text)-1] + "0"
	}
	return text[:len(text)-1] + "1"
}

// callbackTime is how long the answer of a callback is awaited.
const callbackTime = 10 * time.Second

// visit tells whether whoever has named a URL says that it was right to come there. It
// goes nowhere but to this machine and to where the handshake came from: a sender that is
// judged has us call nobody else.
func (t *trial) visit(ctx context.Context, text string, from netip.Addr) (bool, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return false, fmt.Errorf("%s is no URL that can be gone to", quote(text))
	}
	host, err := netip.ParseAddr(u.Hostname())
	if ours := err == nil && (host.Unmap().IsLoopback() || host.Unmap() == from.Unmap()); !ours && u.Hostname() != "localhost" {
		return false, fmt.Errorf("its host %s is not this machine, and not the address that the handshake came from", quote(u.Host))
	}
	ctx, cancel := context.WithTimeout(ctx, callbackTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return false, withoutURL(err)
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: t.subject.Dial}
	defer transport.CloseIdleConnections()
	got, err := transport.RoundTrip(request)
	if err != nil {
		return false, withoutURL(err)
	}
	defer got.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(got.Body, hookBody))
	return got.StatusCode/100 == 2, err
}

// awaitCallback waits until an endpoint that agrees later has done so: an event before
// that is nothing that it must get.
func (t *trial) awaitCallback(ctx context.Context, e *endpoint) {
	if !e.defers() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	end := earlier(time.Now().Add(t.subject.Limits.Arrival), t.limit)
	t.until(ctx, func(now time.Time) (bool, time.Time) {
		done := slices.ContainsFunc(e.greetings, func(g greeting) bool { return g.called || g.asked.Callback == "" })
		return done || !now.Before(end), end
	})
}
