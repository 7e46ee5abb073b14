package load

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites/load/sink"
)

// Sender is a sender under load, and what is done to it. Profile, Keys, Fire and Rate
// are needed.
type Sender struct {
	Profile *profile.Profile
	Keys    profile.Keys
	// Fire has the sender deliver one event to the URL, and the token stand in its body. It
	// is called for several events at once.
	Fire func(ctx context.Context, url, token string) error
	// Register tells the sender of an endpoint before the first event; nil where it need
	// not be told. Where the sender invents the secret of the endpoint, that is returned
	// as keys, and is as good as Keys at every endpoint of the run.
	Register func(ctx context.Context, url string) (profile.Keys, error)
	// Remove has the sender forget an endpoint, when the run is over; it may be nil.
	Remove func(ctx context.Context, url string)

	Rate      float64       // events per second
	Time      time.Duration // for which events are fired; 10 s where it is 0
	Endpoints int           // that events go to in turn; 1 where it is 0
	// SlowBy delays the answers of the first of several endpoints, or of the only one.
	SlowBy  time.Duration
	Outages []sink.Outage
	// Settle is how long the last deliveries are waited for; 30 s where it is 0.
	Settle time.Duration
	// Quiet is how long is watched for deliveries that come once more; 1 s where it is 0.
	Quiet time.Duration
	// Triggers are how many events are being fired at once at most; 64 where it is 0.
	Triggers int
	// MaxLag is how late 99 of 100 events are fired at most; a tenth of their latency where
	// it is 0, or 5 ms.
	MaxLag time.Duration
	Listen string // 127.0.0.1:0 where it is empty
	Base   string // URL under which the sender reaches Listen; http://Listen where it is empty, or https
	// Authority is one that the sender trusts: the endpoints speak TLS then. Nil has them
	// speak none.
	Authority *pki.Authority
	// Clients are whom the sender's client certificate must come from, which the endpoints
	// demand then. Nil has them ask for none, and where they speak no TLS nothing is asked.
	Clients *x509.CertPool
	// Path is that of the only endpoint of a sender that can be told of no other.
	Path string
}

// SenderRun is what came of a sender under load.
type SenderRun struct {
	Absorption reports.Absorption
	Sender     Sender  // as it was run, defaults filled in
	Fired      int64   // events
	Due        []int64 // of them, by endpoint
	Failed     int64   // of them: the trigger failed, and what comes of them is not judged
	Failure    string  // of the first
	Lag        reports.Distribution
	Achieved   float64 // events per second
	// Arrived are events that had arrived by the time of the last, per second.
	Arrived float64
	// Crowded are events that found every trigger under way, and waited for one to end.
	Crowded int64
	// Soonest is the least latency of the events in each quarter of the time.
	Soonest [4]time.Duration
	// Lost are the tokens of some that had not arrived in the end.
	Lost []string
	// Samples are some of the attempts that were wrong.
	Samples []reports.Exchange
	// Invalid says why figures of time tell of the trigger and not of the sender.
	Invalid string
}

// mostEvents bounds a run.
const mostEvents = 1_000_000

func (s Sender) filled() (Sender, error) {
	s.Time, s.Settle, s.Quiet = cmp.Or(s.Time, 10*time.Second), cmp.Or(s.Settle, 30*time.Second), cmp.Or(s.Quiet, time.Second)
	s.Endpoints, s.Triggers, s.Listen = cmp.Or(s.Endpoints, 1), cmp.Or(s.Triggers, 64), cmp.Or(s.Listen, "127.0.0.1:0")
	switch {
	case s.Profile == nil || s.Fire == nil:
		return s, errors.New("load a sender: a profile and a trigger are needed")
	case s.Rate <= 0 || s.Time < 0 || s.Rate*s.Time.Seconds() > mostEvents:
		return s, fmt.Errorf("load a sender: %g events per second for %s are none, or more than %d", s.Rate, s.Time, mostEvents)
	case s.Path != "" && s.Endpoints > 1:
		return s, errors.New("load a sender: it can be told of one endpoint only")
	case s.Endpoints < 1 || s.Endpoints > 1000 || s.Triggers < 1 || s.Triggers > 4096:
		return s, errors.New("load a sender: from 1 to 1000 endpoints and from 1 to 4096 triggers at once can be had")
	}
	return s, nil
}

// Run fires the events and absorbs what comes of them.
func (s Sender) Run(ctx context.Context) (run SenderRun, err error) {
	if s, err = s.filled(); err != nil {
		return run, err
	}
	f := &firing{Sender: s, mark: newMark(), due: make([]int64, s.Endpoints), took: make([]atomic.Int64, s.events()), lag: hdrhistogram.New(1, int64(time.Hour/time.Microsecond), 3)}
	l, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return run, fmt.Errorf("listen for deliveries: %w", err)
	}
	secure, err := EndpointTLS(s.Authority, s.Clients, l.Addr())
	if err != nil {
		return run, errors.Join(err, l.Close())
	}
	f.base = "http://" + l.Addr().String()
	if secure != nil {
		f.base = "https://" + l.Addr().String()
	}
	f.base = strings.TrimSuffix(cmp.Or(s.Base, f.base), "/")
	defer f.remove(ctx)
	if err := f.register(ctx); err != nil {
		return run, errors.Join(err, l.Close())
	}
	o := sink.Options{Profile: s.Profile, Keys: f.Keys, URL: origin(f.base), Mark: f.mark, MarkLength: tokenLength, Outages: s.Outages, TLS: secure, Arrived: f.arrived}
	if s.SlowBy > 0 {
		o.Slow = []sink.Slow{{By: s.SlowBy, Path: f.shown(0)}}
	}
	if f.sink, err = sink.New(o); err != nil {
		return run, errors.Join(err, l.Close())
	}
	served := make(chan error, 1)
	go func() { served <- f.sink.Serve(l) }()
	err = f.fire(ctx)
	if err == nil {
		f.settle(ctx)
	}
	run = f.run
	run.Soonest = f.soonest()
	run.Sender, run.Absorption, run.Due, run.Samples, run.Lost = s, f.sink.Report(), f.due, f.sink.Samples(), f.lost()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return run, errors.Join(err, f.sink.Shutdown(ending), <-served)
}

// EndpointTLS is the TLS of endpoints at an address, for senders that trust the authority;
// nil where there is none. They must show a certificate that comes from clients, unless
// that is nil.
func EndpointTLS(a *pki.Authority, clients *x509.CertPool, at net.Addr) (*tls.Config, error) {
	if a == nil {
		return nil, nil
	}
	host, _, err := net.SplitHostPort(at.String())
	if err != nil {
		return nil, fmt.Errorf("listen for deliveries by TLS: %w", err)
	}
	shown, err := a.Good(pki.Server, pki.Subject{Hosts: []string{host}})
	if err != nil {
		return nil, fmt.Errorf("listen for deliveries by TLS: %w", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{*shown}, NextProtos: []string{"http/1.1"}}
	if clients != nil {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, clients
	}
	return c, nil
}

// firing is one run under way.
type firing struct {
	Sender
	sink       *sink.Sink
	base, mark string
	due        []int64        // events, by endpoint
	took       []atomic.Int64 // by event: its latency, 0 where it has not arrived

	mu  sync.Mutex
	run SenderRun
	lag *hdrhistogram.Histogram
}

// Tokens have the form of those of suites/sender, so that the same triggers carry them.
const tokenLength = len("hk") + 24

func newMark() string {
	var b [6]byte
	crand.Read(b[:])
	return "hk" + hex.EncodeToString(b[:])
}

func (f *firing) path(endpoint int) string {
	if f.Path != "" {
		return f.Path
	}
	return fmt.Sprintf("/%s/%d", f.mark, endpoint)
}

// shown is the path at which an endpoint's deliveries arrive, where what stands in front
// of us leaves the path as it is.
func (f *firing) shown(endpoint int) string {
	return strings.TrimPrefix(f.base, origin(f.base)) + f.path(endpoint)
}

// origin is a URL without its path.
func origin(base string) string {
	scheme, rest, _ := strings.Cut(base, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}

// register tells the sender of the endpoints, and learns which secrets it has invented.
func (f *firing) register(ctx context.Context) error {
	keys := profile.Keys{}
	for scheme, secrets := range f.Keys {
		keys[scheme] = slices.Clone(secrets)
	}
	for i := 0; f.Register != nil && i < f.Endpoints; i++ {
		issued, err := f.Register(ctx, f.base+f.path(i))
		if err != nil {
			return fmt.Errorf("register endpoint %d of %d: %w", i+1, f.Endpoints, err)
		}
		for scheme, secrets := range issued {
			keys[scheme] = append(keys[scheme], secrets...)
		}
	}
	f.Keys = keys
	return nil
}

// remove has the sender forget the endpoints, or what it still has for them would
// disturb the next run.
func (f *firing) remove(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for i := 0; f.Remove != nil && i < f.Endpoints; i++ {
		f.Remove(ctx, f.base+f.path(i))
	}
}

// fire fires the events by the clock: whether the sender keeps up or not.
func (f *firing) fire(ctx context.Context) error {
	slots := make(chan struct{}, f.Triggers)
	var wait sync.WaitGroup
	began := time.Now()
	n := f.events()
	for i := range n {
		due := began.Add(time.Duration(float64(i) / f.Rate * float64(time.Second)))
		if !pause(ctx, time.Until(due)) {
			break
		}
		select {
		case slots <- struct{}{}:
		default:
			f.run.Crowded++
			slots <- struct{}{}
		}
		f.due[i%f.Endpoints]++
		wait.Go(func() {
			f.one(ctx, i, due)
			<-slots
		})
	}
	took := time.Since(began)
	f.run.Arrived = float64(max(int64(n)-f.sink.Awaited(), 0)) / max(took.Seconds(), float64(n)/f.Rate)
	wait.Wait()
	f.run.Achieved = float64(f.run.Fired) / max(took.Seconds(), float64(n)/f.Rate)
	f.run.Lag = reports.Distribution{
		Count: f.lag.TotalCount(), Mean: f.lag.Mean() / 1000, P50: float64(f.lag.ValueAtQuantile(50)) / 1000,
		P99: float64(f.lag.ValueAtQuantile(99)) / 1000, Max: float64(f.lag.Max()) / 1000,
	}
	return ctx.Err()
}

// events are how many there are to be.
func (s Sender) events() int { return max(int(s.Rate*s.Time.Seconds()), 1) }

func (f *firing) token(i int) string { return fmt.Sprintf("%s%012x", f.mark, i) }

// arrived notes the latency of an event, by the number at the end of its token.
func (f *firing) arrived(token []byte, after time.Duration) {
	number, marked := strings.CutPrefix(string(token), f.mark)
	i, err := strconv.ParseUint(number, 16, 64)
	if err == nil && marked && i < uint64(len(f.took)) {
		f.took[i].Store(max(int64(after), 1))
	}
}

func (f *firing) soonest() (all [4]time.Duration) {
	for i := range f.took {
		least, took := &all[i*len(all)/len(f.took)], time.Duration(f.took[i].Load())
		if took > 0 && (*least == 0 || took < *least) {
			*least = took
		}
	}
	return all
}

// mostLost is how many tokens of events are told that did not arrive.
const mostLost = 5

func (f *firing) lost() (tokens []string) {
	for i := 0; i < int(f.run.Fired) && f.sink.Awaited() > 0 && len(tokens) < mostLost; i++ {
		if token := f.token(i); f.sink.Awaits(token) {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

func (f *firing) one(ctx context.Context, i int, due time.Time) {
	token := f.token(i)
	now := time.Now()
	f.sink.Expect(token, now)
	err := f.Fire(ctx, f.base+f.path(i%f.Endpoints), token)
	if err != nil {
		f.sink.Forget(token)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.run.Fired++
	// An hour is more than any run takes.
	_ = f.lag.RecordValue(min(max(now.Sub(due).Microseconds(), 1), int64(time.Hour/time.Microsecond)))
	if err != nil {
		if f.run.Failed++; f.run.Failure == "" {
			f.run.Failure = err.Error()
		}
	}
}

// settle waits until everything has come, and a while longer.
func (f *firing) settle(ctx context.Context) {
	limit := time.Now().Add(f.Settle)
	for f.sink.Awaited() > 0 && time.Now().Before(limit) {
		if !pause(ctx, 10*time.Millisecond) {
			return
		}
	}
	pause(ctx, f.Quiet)
	f.run.Invalid = f.invalid()
}

// invalid says why the events were not fired as they should be.
func (f *firing) invalid() string {
	// Events that are late by less than half the time between two do not bunch.
	limit := max(5, f.sink.Report().Latency.P99/10, 500/f.Rate)
	if f.MaxLag > 0 {
		limit = milliseconds(f.MaxLag)
	}
	switch lag := f.run.Lag.P99; {
	case f.run.Crowded > 0 && lag > limit:
		return fmt.Sprintf("%d events were fired late: %d triggers had not ended, which are the most at once", f.run.Crowded, f.Triggers)
	case lag > limit:
		return fmt.Sprintf("events were fired up to %.1f ms late (p99)", lag)
	case f.run.Achieved < f.Rate*0.99 && f.run.Fired > 100:
		return fmt.Sprintf("%.0f of %.0f events per second were fired", f.run.Achieved, f.Rate)
	}
	return ""
}
