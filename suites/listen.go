package suites

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profile/diagnosis"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
)

// ListenSettings are what a live receiver is told besides a profile and secrets.
type ListenSettings struct {
	Listen        string        // address; the first free one from DefaultListen on where it is empty
	Answer        string        // what the attempts of a delivery are answered: 500,500,200
	Delay         time.Duration // before each answer
	Count         int           // deliveries after which it ends; 0 for no end
	Record        string        // file that keeps the deliveries; none where it is empty
	RedactPointer []string      // JSON pointers to what is not to be kept
}

// DefaultListen is where a live receiver listens unless it is told otherwise. The
// ports behind it are tried where it is taken.
const (
	DefaultListen = "127.0.0.1:8080"
	listenTries   = 20
)

// listenHold bounds answers that have no end of their own.
const listenHold = 5 * time.Minute

// maxListenDelay is the longest --delay.
const maxListenDelay = 10 * time.Minute

// listenLimits are those of a server for one person's sender.
var listenLimits = wire.ServerLimits{Connections: 64}

// Listener is a live receiver: it shows people what a sender sends. It keeps
// nothing of a delivery but its number, however many there are.
type Listener struct {
	settings ListenSettings
	judge    signatureJudge
	script   answerScript
	redactor *reports.Redactor
	recorder *Recorder // nil where nothing is recorded
	tell     func(Arrival)
	listener net.Listener
	stop     context.CancelFunc

	judging  sync.Mutex
	mu       sync.Mutex // one arrival is told at a time
	shown    int
	pending  map[*wire.Received]bool // that were shown, and are being answered
	answered int
	err      error
}

// Arrival is one thing that a live receiver has to tell.
type Arrival struct {
	// Note is set where there is no delivery to tell of: what came was no request,
	// or a sender closed while it was being answered. It is inert.
	Note string

	Number   int // of the delivery, from 1
	At       time.Time
	Delivery profile.Incoming // URL is the request target
	ID       string
	Event    string
	Attempt  int // of the same id, from 1
	Finding  Finding
	Answer   string // in words
	Headless bool   // answered before the body was read
}

// Listener makes a live receiver and begins to listen; Serve answers. The profile
// and the secrets may be missing.
func (s Settings) Listener(l ListenSettings) (*Listener, error) {
	var v vault
	judge, err := s.signatureJudge(&v)
	if err != nil {
		return nil, err
	}
	receiver := &Listener{settings: l, judge: judge, redactor: reports.NewRedactor(v.secrets...), pending: map[*wire.Received]bool{}}
	if p := judge.named; l.Answer == "" && p != nil {
		l.Answer = strconv.Itoa(p.Acknowledges())
	}
	if receiver.script, err = parseAnswers(l.Answer); err != nil {
		return nil, err
	}
	if l.Delay < 0 || l.Delay > maxListenDelay {
		return nil, fmt.Errorf("read --delay %s: it must be from 0 to %s", l.Delay, maxListenDelay)
	}
	if l.Count < 0 {
		return nil, fmt.Errorf("read --count %d: it must be 1 or more, or left out", l.Count)
	}
	if err := checkPointers(l.RedactPointer); err != nil {
		return nil, err
	}
	if receiver.listener, err = listenOn(l.Listen); err != nil {
		return nil, err
	}
	if l.Record != "" {
		if receiver.recorder, err = NewRecorder(l.Record, receiver.redactor, l.RedactPointer); err != nil {
			return nil, errors.Join(err, receiver.listener.Close())
		}
	}
	return receiver, nil
}

// listenOn listens on an address or, where none is given, on the first that is free.
func listenOn(addr string) (net.Listener, error) {
	if addr != "" {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w; choose another address with --listen, such as %s", addr, syscallOf(err), DefaultListen)
		}
		return l, nil
	}
	at := netip.MustParseAddrPort(DefaultListen)
	var err error
	for i := range uint16(listenTries) {
		var l net.Listener
		next := netip.AddrPortFrom(at.Addr(), at.Port()+i)
		if l, err = net.Listen("tcp", next.String()); err == nil {
			return l, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, fmt.Errorf("listen on %s or one of the %d ports behind it: %w; choose an address with --listen", DefaultListen, listenTries-1, syscallOf(err))
}

func syscallOf(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	return err
}

// URL is where deliveries are to be sent. Any path will do.
func (l *Listener) URL() string { return "http://" + l.listener.Addr().String() + "/" }

// Loopback tells whether nobody but this machine can reach the receiver.
func (l *Listener) Loopback() bool {
	at, ok := l.listener.Addr().(*net.TCPAddr)
	return ok && at.IP.IsLoopback()
}

// Redactor takes out of texts the secrets that the receiver knows.
func (l *Listener) Redactor() *reports.Redactor { return l.redactor }

// Taken tells whether the address that was meant first was taken.
func (l *Listener) Taken() bool {
	return l.settings.Listen == "" && l.listener.Addr().String() != DefaultListen
}

// Serve receives until the context ends or the count is reached, and tells of each
// arrival, one at a time. The error is that of the recording.
func (l *Listener) Serve(ctx context.Context, tell func(Arrival)) error {
	ctx, l.stop = context.WithCancel(ctx)
	defer l.stop()
	l.tell = tell
	server := &wire.Server{
		Handle: l.handle, Early: l.early, Connected: l.script.connected,
		Answered: l.fate, Observe: l.incident, Limits: listenLimits,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l.listener) }()
	var err error
	select {
	case <-ctx.Done():
	case err = <-served:
		served <- nil
	}
	// A handler is never busy for long: it writes to the terminal and to a file.
	err = errors.Join(err, server.Shutdown(context.WithoutCancel(ctx)), <-served)
	if l.recorder != nil {
		err = errors.Join(err, l.recorder.Close())
	}
	return errors.Join(l.err, err)
}

// handle answers one request and tells of it.
func (l *Listener) handle(r *wire.Received) wire.Reply {
	a := l.arrival(r)
	reply := l.consent(&a)
	if reply == nil {
		scripted := l.reply(&a)
		reply = &scripted
	}
	// One at a time: to find out what is wrong with a large body takes many copies.
	l.judging.Lock()
	if a.Finding.Verdict == "" {
		a.Finding = l.judge.judge(a.Delivery, a.At)
	}
	l.judging.Unlock()
	return l.publish(r, a, *reply)
}

// early answers from the head alone, where the script wants that.
func (l *Listener) early(r *wire.Received) *wire.Reply {
	a := l.arrival(r)
	if !l.script.next(a.ID).way.AtHead {
		return nil
	}
	a.Headless = true
	a.Finding = Finding{Verdict: Unverified, Reason: "it was answered before its body was read, without which no signature can be verified"}
	reply := l.publish(r, a, l.reply(&a))
	return &reply
}

func (l *Listener) arrival(r *wire.Received) Arrival {
	a := Arrival{At: time.Now(), Delivery: profile.Incoming{Method: r.Method, URL: r.Target, Headers: r.Headers, Body: r.Body}}
	if p := l.judge.profileOf(a.Delivery); p != nil {
		a.ID, a.Event = p.DeliveryID(r.Headers, r.Body), p.EventType(r.Headers, r.Body)
	}
	return a
}

// reply takes the next answer of the script.
func (l *Listener) reply(a *Arrival) wire.Reply {
	next, attempt := l.script.take(a.ID)
	a.Attempt, a.Answer = attempt, next.String()
	reply := next.reply(l.judge.profileOf(a.Delivery))
	reply.Delay = l.settings.Delay
	if reply.Delay > 0 {
		a.Answer += " after " + reply.Delay.String()
	}
	return reply
}

// publish numbers, records and tells an arrival, unless there were enough.
func (l *Listener) publish(r *wire.Received, a Arrival, reply wire.Reply) wire.Reply {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.settings.Count > 0 && l.shown >= l.settings.Count {
		return wire.Reply{Status: 503, Close: true}
	}
	l.shown++
	a.Number = l.shown
	l.pending[r] = true
	if l.recorder != nil && !a.Headless {
		if err := l.recorder.Record(recordOf(a, l.judge.profileOf(a.Delivery))); err != nil {
			l.fail(err)
		}
	}
	l.tell(a)
	return reply
}

// fail ends the receiver: what should be recorded is not.
func (l *Listener) fail(err error) {
	if l.err == nil {
		l.err = err
	}
	l.stop()
}

// fate is told what became of an answer: how long a sender waits is seen only then.
func (l *Listener) fate(r *wire.Received, f wire.Fate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if note := fateNote(r, f); note != "" {
		l.tell(Arrival{At: time.Now(), Note: note})
	}
	if !l.pending[r] {
		return
	}
	delete(l.pending, r)
	if l.answered++; l.settings.Count > 0 && l.answered >= l.settings.Count {
		l.stop()
	}
}

var closings = map[string]string{"fin": "closed the connection", "reset": "reset the connection"}

func fateNote(r *wire.Received, f wire.Fate) string {
	if r == nil {
		return fmt.Sprintf("connection %d from %s was answered before anything was read from it", f.ConnID, f.Remote)
	}
	if f.PeerClosed == "" {
		return ""
	}
	return fmt.Sprintf("the sender %s %s after %s had arrived, and %d bytes of the answer were written",
		closings[f.PeerClosed], f.Ended.Sub(r.Start).Round(time.Millisecond), inOneLine(r.Method+" "+r.Target), f.Sent)
}

// incident is told of what was no request.
func (l *Listener) incident(i wire.Incident) {
	if i.Kind == wire.Unanswered {
		return // told by fate
	}
	note := fmt.Sprintf("no delivery (%s): %s", i.Kind, i.Detail)
	if i.Status != 0 {
		note += fmt.Sprintf("; answered %d", i.Status)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tell(Arrival{At: time.Now(), Note: inOneLine(note)})
}

func inOneLine(s string) string { return reports.Printable([]byte(s), 300) }

// --- whose signature it is

// signatureJudge verifies under the profile that is named or, where none is, under
// those whose headers are there.
type signatureJudge struct {
	named    *profile.Profile
	profiles []keyring
}

// keyring is a profile and the keys that were given for it.
type keyring struct {
	*profile.Profile
	keys  profile.Keys
	wrong []diagnosis.Wrong
}

func (s Settings) signatureJudge(v *vault) (j signatureJudge, err error) {
	if s.Profile != "" {
		if j.named, err = s.FoundProfile(); err != nil {
			return j, err
		}
		ring, err := s.keyring(v, j.named)
		j.profiles = []keyring{ring}
		return j, err
	}
	for _, name := range profiles.Names() {
		p, err := profiles.Get(name)
		if err != nil {
			return j, err
		}
		// A secret that is not of this profile's form belongs to another one.
		ring, err := s.keyring(v, p)
		if err != nil {
			if ring, err = (Settings{}).keyring(v, p); err != nil {
				return j, err
			}
		}
		j.profiles = append(j.profiles, ring)
	}
	return j, s.readable(v)
}

// readable complains of secrets that are not where they are said to be, which no
// profile would be at fault for.
func (s Settings) readable(v *vault) error {
	for _, spec := range slices.Concat(s.Secret, s.RetiredSecret, s.OtherSecret) {
		if schemePrefix.MatchString(spec) {
			_, spec, _ = strings.Cut(spec, "=")
		}
		if _, err := v.read(spec); err != nil {
			return fmt.Errorf("read the secrets: %w", err)
		}
	}
	return nil
}

func (s Settings) keyring(v *vault, p *profile.Profile) (ring keyring, err error) {
	ring.Profile = p
	if !p.Signed() {
		return ring, nil
	}
	if ring.keys, err = v.keys(p, "secret", s.Secret); err != nil {
		return ring, err
	}
	for _, set := range []struct {
		flag, name string
		specs      []string
	}{
		{"retired-secret", "the retired secret", s.RetiredSecret},
		{"other-secret", "the secret of another endpoint", s.OtherSecret},
	} {
		keys, err := v.keys(p, set.flag, set.specs)
		if err != nil {
			return ring, err
		}
		if keys != nil {
			ring.wrong = append(ring.wrong, diagnosis.Wrong{Name: set.name, Keys: keys})
		}
	}
	return ring, nil
}

// profileOf is the profile by which a delivery is read; nil where none is named and
// none fits.
func (j signatureJudge) profileOf(in profile.Incoming) *profile.Profile {
	if j.named != nil {
		return j.named
	}
	if fitting := j.fitting(in); len(fitting) > 0 {
		return fitting[0].Profile
	}
	return nil
}

// --- scripted answers

// scriptedAnswer is one answer: a status, or a way of answering by 200.
type scriptedAnswer struct {
	status int
	way    wire.AnswerWay // without a name where the answer is plain
	number int
}

// reply is the answer to a delivery of a profile, which may be nil.
func (a scriptedAnswer) reply(p *profile.Profile) wire.Reply {
	base := wire.Reply{Status: a.status}
	if p != nil {
		base = p.Answered(a.status)
	}
	if a.way.Name == "" {
		return base
	}
	reply := a.way.Apply(base, a.number)
	reply.Hold = listenHold
	return reply
}

func (a scriptedAnswer) String() string {
	switch {
	case a.way.Name == "":
		return strconv.Itoa(a.status)
	case a.way.Number == "":
		return a.way.Name
	}
	return fmt.Sprintf("%s:%d", a.way.Name, a.number)
}
