package sink_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"go.uber.org/goleak"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/fixtures/wire/hostile"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites/load/sink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a sink that is being served, and the keys that it knows.
type house struct {
	*sink.Sink
	p    *profile.Profile
	keys profile.Keys
	addr string
	tls  *tls.Config // of a client; nil without TLS
}

func open(t testing.TB, name string, o sink.Options) *house {
	t.Helper()
	p, err := profiles.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	return openUnder(t, p, o)
}

func openUnder(t testing.TB, p *profile.Profile, o sink.Options) *house {
	t.Helper()
	keys := p.NewKeys(rand.New(rand.NewPCG(1, 2)))
	o.Profile, o.Keys = p, profile.Keys{p.Signature.Name: keys[p.Signature.Name]}
	s, err := sink.New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	h := &house{s, p, o.Keys, l.Addr().String(), nil}
	if o.TLS != nil {
		h.tls = hostile.ClientTLS()
	}
	return h
}

func (h *house) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	if h.tls != nil {
		c = tls.Client(c, h.tls)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// delivery is the bytes of an honest delivery.
func (h *house) delivery(t testing.TB, path, id, body string, at time.Time) []byte {
	return h.signed(t, path, id, body, at, h.keys)
}

func (h *house) signed(t testing.TB, path, id, body string, at time.Time, keys profile.Keys) []byte {
	t.Helper()
	m := profile.Message{ID: id, Timestamp: h.p.Stamp(at), Method: "POST", URL: h.scheme() + h.addr + path, Body: []byte(body)}
	sealed, err := h.p.Sign(m, keys)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", path, h.addr, len(sealed.Body))
	for _, x := range sealed.Headers {
		fmt.Fprintf(&b, "%s: %s\r\n", x.Name, x.Value)
	}
	fmt.Fprintf(&b, "\r\n%s", sealed.Body)
	return b.Bytes()
}

// exchange writes on a new connection and reads that many answers.
func (h *house) exchange(t testing.TB, answers int, requests ...[]byte) (statuses []int) {
	t.Helper()
	c := h.dial(t)
	defer c.Close()
	c.Write(bytes.Join(requests, nil))
	br := bufio.NewReader(c)
	for range answers {
		r, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatalf("after %v: %v", statuses, err)
		}
		io.Copy(io.Discard, r.Body)
		statuses = append(statuses, r.StatusCode)
	}
	return statuses
}

func TestDeliveriesAreCounted(t *testing.T) {
	h := open(t, "standard-webhooks", sink.Options{Sequence: "/n", Expect: 4})
	now := time.Now()
	other := profile.Keys{"v1": {profile.NewSecret("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")}}
	got := h.exchange(t, 7,
		h.delivery(t, "/a", "msg_1", `{"n":1}`, now), h.delivery(t, "/a", "msg_3", `{"n":3}`, now), h.delivery(t, "/a", "msg_2", `{"n":2}`, now),
		h.delivery(t, "/a", "msg_1", `{"n":1}`, now), h.signed(t, "/a", "msg_4", `{"n":4}`, now, other),
		h.delivery(t, "/a", "msg_9", `{"n":9}`, now.Add(-time.Hour)), h.delivery(t, "/b", "msg_5", `{"n":7}`, now.Add(-2*time.Second)))
	if want := []int{200, 200, 200, 200, 401, 401, 200}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("answered %v, want %v", got, want)
	}
	a := h.Report()
	if a.Verified != 5 || a.Refused != 2 || a.Reasons["mismatch"] != 1 || a.Reasons["stale"] != 1 || a.Received != 7 {
		t.Errorf("verified %d, refused %d for %v of %d", a.Verified, a.Refused, a.Reasons, a.Received)
	}
	if a.Deliveries != 4 || a.Duplicates != 1 || a.Attempts[1] != 3 || a.Attempts[2] != 1 || *a.Lost != 0 {
		t.Errorf("deliveries %d, duplicates %d, attempts %v, lost %d", a.Deliveries, a.Duplicates, a.Attempts, *a.Lost)
	}
	if *a.Backwards != 2 || *a.Missing != 0 || len(a.Endpoints) != 2 || a.Endpoints[0].Verified != 4 {
		t.Errorf("%d backwards, %d missing, endpoints %+v", *a.Backwards, *a.Missing, a.Endpoints)
	}
	if a.Age.Count != 5 || a.Age.Max < 1900 || a.Age.Max > 10_000 || a.Gap.Count != 4 {
		t.Errorf("ages %+v, gaps %+v", a.Age, a.Gap)
	}
	if a.ExitCode(1) != reports.ExitFailed {
		t.Error("forged deliveries do not fail")
	}
	samples := map[string]string{}
	for _, x := range h.Samples() {
		samples[x.Label] = x.Received
	}
	for label, id := range map[string]string{"refused: mismatch": "msg_4", "refused: stale": "msg_9", "repeated": "msg_1"} {
		if !strings.Contains(samples[label], "POST /a HTTP/1.1") || !strings.Contains(samples[label], id) || !strings.Contains(samples[label], `{"n":`) {
			t.Errorf("the sample of what was %s is %q", label, samples[label])
		}
	}
	if len(h.Samples()) != 3 {
		t.Errorf("samples %v", samples)
	}
}

func TestLossesAreTold(t *testing.T) {
	h := open(t, "github", sink.Options{Sequence: "/n"})
	now := time.Now()
	for _, id := range []string{"1", "2", "3"} {
		h.Expect(id, now.Add(-time.Second))
	}
	h.exchange(t, 3, h.delivery(t, "/", "1", `{"n":1}`, now), h.delivery(t, "/", "3", `{"n":3}`, now), h.delivery(t, "/", "x", `{"n":4}`, now))
	h.Expect("x", now) // said too late
	a := h.Report()
	if *a.Lost != 1 || *a.Expected != 4 || a.Unexpected != 0 || *a.Missing != 1 || a.Latency.Count != 2 || a.Latency.Min < 990 {
		t.Errorf("lost %d of %d, unexpected %d, missing %d, latency %+v", *a.Lost, *a.Expected, a.Unexpected, *a.Missing, a.Latency)
	}
	if a.ExitCode(0) != reports.ExitFailed || (reports.Absorption{}).ExitCode(0) != reports.ExitInconclusive {
		t.Error("a loss does not fail, or nothing passes")
	}
}

func TestWhatCannotBeTrackedIsNotClaimed(t *testing.T) {
	h := open(t, "github", sink.Options{Expect: 600, Limits: sink.Limits{IDs: 256}})
	now := time.Now()
	var all [][]byte
	for i := range 600 {
		all = append(all, h.delivery(t, "/", strconv.Itoa(i), `{}`, now))
	}
	h.exchange(t, 600, all...)
	a := h.Report()
	if a.Verified != 600 || a.Untracked == 0 || a.Lost != nil || a.ExitCode(0) != reports.ExitInconclusive {
		t.Errorf("verified %d, untracked %d, lost %v, exit code %d", a.Verified, a.Untracked, a.Lost, a.ExitCode(0))
	}
}

func TestOutage(t *testing.T) {
	h := open(t, "github", sink.Options{Outages: []sink.Outage{{From: 0, For: 300 * time.Millisecond}}})
	now := time.Now()
	one := h.delivery(t, "/", "1", `{}`, now)
	if got := h.exchange(t, 1, one); got[0] != 503 {
		t.Fatalf("answered %d in an outage", got[0])
	}
	if a := h.Report(); a.Outages[0].Left != 1 || a.Outages[0].Drain != nil || a.Deliveries != 0 {
		t.Errorf("in the outage: %+v", a.Outages[0])
	}
	for limit := time.Now().Add(5 * time.Second); h.exchange(t, 1, one)[0] != 200 && time.Now().Before(limit); {
	}
	a := h.Report()
	if a.Outages[0].Left != 0 || a.Outages[0].Drain == nil || a.Deliveries != 1 || a.Duplicates != 0 || a.Unavailable == 0 {
		t.Errorf("after it: %+v, %d deliveries, %d duplicates", a.Outages[0], a.Deliveries, a.Duplicates)
	}
}

func TestSlowAnswersAndWhatIsInFlight(t *testing.T) {
	h := open(t, "github", sink.Options{Slow: []sink.Slow{{By: 300 * time.Millisecond, Path: "/slow"}}})
	began := time.Now()
	var wait sync.WaitGroup
	for i := range 3 {
		wait.Go(func() { h.exchange(t, 1, h.delivery(t, "/slow", strconv.Itoa(i), `{}`, began)) })
	}
	wait.Wait()
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("answered within %s", took)
	}
	if a := h.Report(); a.InFlight < 2 || a.Endpoints[0].InFlight < 2 {
		t.Errorf("in flight %d", a.InFlight)
	}
}

func TestSchedulesAreRead(t *testing.T) {
	for text, good := range map[string]bool{
		"10s@30s": true, "5s@1m@/a": true, "5s@0s@refuse": true, "10s": false, "x@1s": false, "-1s@1s": false, "1s@1s@what": false, "1s@1s@/a@refuse": false,
	} {
		if _, err := sink.ParseOutage(text); (err == nil) != good {
			t.Errorf("outage %s: %v", text, err)
		}
	}
	for text, good := range map[string]bool{"200ms": true, "200ms@10s-20s": true, "1s@/a": true, "1s@5s-": true, "2h": false, "1s@x": false, "1s@5s-4s": false, "": false} {
		if _, err := sink.ParseSlow(text); (err == nil) != good {
			t.Errorf("slow %q: %v", text, err)
		}
	}
}

// besiege has hostile senders attack a house, all at once, while honest ones deliver to
// it, and returns how many they delivered. What is whole and not signed is answered 401.
func besiege(t *testing.T, h *house, senders []hostile.Sender) (honest int64) {
	t.Helper()
	var wait sync.WaitGroup
	for _, sender := range senders {
		wait.Go(func() {
			got := sender.Attack(t.Context(), netip.MustParseAddrPort(h.addr), "/hook")
			want := map[int]bool{}
			for _, status := range sender.Statuses {
				if status == 202 || status == 404 {
					status = 401
				}
				want[status] = true
			}
			for status := range got.Statuses {
				if !want[status] {
					t.Errorf("%s, a sender that %s: answered %v, want %v", sender.ID, sender.Sentence, got.Statuses, want)
				}
				delete(want, status)
			}
			flood := sender.Count > 1000 // how long that takes is the attacker's affair
			if len(want) > 0 || got.Took > 10*time.Second && !flood {
				t.Errorf("%s, a sender that %s: never answered %v, and it took %s", sender.ID, sender.Sentence, want, got.Took)
			}
		})
	}
	ended := make(chan struct{})
	go func() { wait.Wait(); close(ended) }()
	c := h.dial(t) // before a crowd comes
	defer c.Close()
	br := bufio.NewReader(c)
	for over := false; !over; honest++ {
		c.SetDeadline(time.Now().Add(10 * time.Second))
		c.Write(h.delivery(t, "/honest", fmt.Sprint(honest), `{}`, time.Now()))
		if r, err := http.ReadResponse(br, nil); err != nil || r.StatusCode != 200 {
			t.Fatalf("an honest delivery was answered %v, %v", r, err)
		}
		select {
		case <-ended:
			over = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	return honest
}

// TestHostileSenders holds that none of them makes a delivery of what is none, and
// that honest ones are served meanwhile.
func TestHostileSenders(t *testing.T) {
	h := open(t, "standard-webhooks", sink.Options{Limits: sink.Limits{
		FirstByte: time.Second, HeadTime: time.Second, BodyTime: 2 * time.Second, Connections: 1200, Endpoints: 100,
	}})
	var senders []hostile.Sender
	for _, sender := range hostile.Senders {
		if !sender.TLS && sender.ID != "X39" {
			senders = append(senders, sender.Scaled(300))
		}
	}
	honest := besiege(t, h, senders)
	a := h.Report()
	if a.Verified != honest || a.Deliveries != honest || a.Reasons["missing"] != a.Refused || len(a.Endpoints) != 2 {
		t.Errorf("%d verified of %d honest ones, refused for %v, %d endpoints", a.Verified, honest, a.Reasons, len(a.Endpoints))
	}
	if n := len(h.Samples()); n == 0 || n > 12 {
		t.Errorf("%d samples", n)
	}
	for _, kind := range []wire.Kind{wire.BadRequest, wire.TooLarge, wire.TooSlow, wire.CutShort, wire.Silent, wire.Unfit} {
		if a.Broken[string(kind)] == 0 {
			t.Errorf("nothing was %s: %v", kind, a.Broken)
		}
	}
}

// TestACrowd holds that of ten thousand connections those beyond the most are refused at
// once, and that the one before them is served.
func TestACrowd(t *testing.T) {
	const room = 128
	h := open(t, "standard-webhooks", sink.Options{Limits: sink.Limits{Connections: room, FirstByte: time.Minute}})
	crowd := ofIDs("X39")
	if testing.Short() {
		crowd[0] = crowd[0].Scaled(2000)
	}
	honest := besiege(t, h, crowd)
	a := h.Report()
	if a.Verified != honest || a.Connections != room || a.Turned == 0 || a.Broken[string(wire.Crowded)] != a.Turned || a.Refused > 0 {
		t.Errorf("%d verified of %d honest ones, at most %d connections, %d turned away: %v", a.Verified, honest, a.Connections, a.Turned, a.Broken)
	}
}

// ofIDs are the hostile senders whose ids begin so.
func ofIDs(prefix string) (all []hostile.Sender) {
	for _, sender := range hostile.Senders {
		if strings.HasPrefix(sender.ID, prefix) {
			all = append(all, sender)
		}
	}
	return all
}

func TestOneConnectionTooManyIsRefusedAtOnce(t *testing.T) {
	h := open(t, "github", sink.Options{Limits: sink.Limits{Connections: 2}})
	for range 2 {
		c, err := net.Dial("tcp", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write([]byte("POST / HTTP/1.1\r\n"))
	}
	for limit := time.Now().Add(5 * time.Second); h.Snapshot().Connections < 2 && time.Now().Before(limit); {
		time.Sleep(time.Millisecond)
	}
	if got := h.exchange(t, 1); got[0] != 503 {
		t.Errorf("answered %d, want 503", got[0])
	}
}

// FuzzRequest holds the parser to net/http: what it takes for an authentic delivery
// net/http reads as the same body and path, and what is well-formed it takes.
func FuzzRequest(f *testing.F) {
	h := open(f, "github", sink.Options{Limits: sink.Limits{FirstByte: time.Second, HeadTime: time.Second, BodyTime: time.Second}})
	for _, extra := range []string{"", "X-A: b\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "X: \x00\r\n", "Y : z\r\n", " fold\r\n", "Expect: 100-continue\r\n", "A: b\n", "Connection: close\r\n"} {
		f.Add([]byte(extra), []byte(`{"a":1}`), uint8(0), false)
		f.Add([]byte(extra), []byte(`{"a":1}`), uint8(3), false)
		f.Add([]byte(extra), []byte(``), uint8(1), true)
	}
	f.Fuzz(func(t *testing.T, extra, body []byte, chunk uint8, broken bool) {
		whole := h.delivery(t, "/f", "id", string(body), time.Now())
		head, _, _ := bytes.Cut(whole, []byte("\r\n\r\n"))
		text := string(head) + "\r\n"
		rest := string(body)
		if chunk > 0 {
			text = strings.Replace(text, fmt.Sprintf("Content-Length: %d\r\n", len(body)), "Transfer-Encoding: chunked\r\n", 1)
			rest = ""
			for left := body; len(left) > 0; left = left[min(len(left), int(chunk)):] {
				n := min(len(left), int(chunk))
				rest += fmt.Sprintf("%x\r\n%s\r\n", n, left[:n])
			}
			rest += "0\r\n\r\n"
		}
		text += string(extra)
		if broken {
			text = text[:len(text)/2] + text[len(text)/2+1:]
		}
		raw := text + "\r\n" + rest
		c, err := net.Dial("tcp", h.addr)
		if err != nil {
			t.Skip(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(5 * time.Second))
		io.WriteString(c, raw)
		c.(*net.TCPConn).CloseWrite()
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil && answer.StatusCode == 100 {
			return
		}
		ours := err == nil && answer.StatusCode == 200
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
		var read []byte
		if err == nil {
			read, err = io.ReadAll(r.Body)
		}
		switch {
		case ours && (err != nil || !bytes.Equal(read, body) || r.URL.Path != "/f"):
			t.Errorf("taken for a delivery, and net/http reads %q, %v: %q", read, err, raw)
		case !ours && err == nil && len(extra) == 0 && !broken:
			t.Errorf("refused with %v: %q", answer, raw)
		}
	})
}

// Whether what an outage held up comes all at once shows in fifths of a second; a silent
// outage does not say itself when to come back. Histograms can be read back.
func TestWhatComesAllAtOnce(t *testing.T) {
	h := open(t, "github", sink.Options{Outages: []sink.Outage{{For: 200 * time.Millisecond, Silent: true}, {From: time.Minute, For: time.Minute}}})
	now := time.Now()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(h.delivery(t, "/", "0", `{}`, now)); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || answer.StatusCode != 503 || answer.Header.Get("Retry-After") != "" {
		t.Fatalf("%v, answered %v", err, answer)
	}
	for limit := time.Now().Add(5 * time.Second); h.exchange(t, 1, h.delivery(t, "/", "0", `{}`, now))[0] != 200 && time.Now().Before(limit); {
	}
	const many = 20
	var all [][]byte
	for i := range many {
		all = append(all, h.delivery(t, "/", strconv.Itoa(i+1), `{}`, now))
	}
	h.exchange(t, many, all...)
	a := h.Report()
	if got := a.Outages[0].Burst; got < many*5 || got > (many+1)*5 {
		t.Errorf("in the busiest fifth of a second came %g/s, want %d in it", got, many)
	}
	if got := a.Outages[1]; got.Burst != 0 || got.Mean == 0 {
		t.Errorf("of an outage to come: %+v", got)
	}
	back, err := hdrhistogram.Decode([]byte(a.Gap.HDR))
	if err != nil || back.TotalCount() != a.Gap.Count || a.Gap.Count == 0 {
		t.Errorf("the histogram %q of %d is read back with %v", a.Gap.HDR, a.Gap.Count, err)
	}
}

func (h *house) scheme() string {
	if h.tls != nil {
		return "https://"
	}
	return "http://"
}
