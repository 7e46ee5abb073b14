package suites_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/reference"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
	"github.com/hookanvil/hookanvil/suites/sender"
)

// senderSpecimen starts the reference sender for one test.
func senderSpecimen(t *testing.T, profile, defect string) *suites.SenderSpecimen {
	t.Helper()
	p, err := profiles.Get(profile)
	if err != nil {
		t.Fatal(err)
	}
	s, err := suites.NewSenderSpecimen(p, defect, 1, suites.QuickSender)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A session judges a sender as it does a receiver, says when what runs will have
// ended, writes what it observed, and listens no more afterwards.
func TestSenderSession(t *testing.T) {
	t.Parallel()
	s := senderSpecimen(t, "standard-webhooks", "")
	var addr string
	s.Subject.Open = func(at string) (net.Listener, error) {
		l, err := net.Listen("tcp", at)
		if err == nil && addr == "" {
			addr = l.Addr().String()
		}
		return l, err
	}
	dir := t.TempDir()
	most, foresight := 0, time.Duration(0)
	c := suites.Config{
		Subject: suites.Sender(s.Subject), Cases: choose(t, "sender/request", "sender/retry/2xx-success-200", "sender/retry/schedule"), Seed: 1,
		Journal: filepath.Join(dir, "a.journal"), Observe: filepath.Join(dir, "seen.yaml"), Tool: suites.Tool(),
		Watch: func(p suites.Progress) {
			most = max(most, len(p.Running))
			foresight = max(foresight, time.Until(p.Until))
		},
	}
	run, err := complete(t, t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if run.Subject.Role != "sender" || run.Subject.Target != s.Subject.Trigger.String() || run.ExitCode() != reports.ExitPassed {
		t.Errorf("subject %+v, exit code %d: %q", run.Subject, run.ExitCode(), append(withVerdict(run, reports.Fail), withVerdict(run, reports.Inconclusive)...))
	}
	if most <= suites.DefaultParallel {
		t.Errorf("no more than %d cases ran at the same time", most)
	}
	if foresight <= 0 || foresight > suites.QuickSender.Budget+2*time.Second {
		t.Errorf("the end was foreseen %s ahead", foresight)
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("endpoints are still listened on")
	}
	if p, err := profile.Parse("seen.yaml", []byte(read(t, c.Observe))); err != nil || p.Retry == nil {
		t.Errorf("observed profile %+v, error %v", p, err)
	}
	// The next run replaces it.
	c.Journal, c.Cases = "", choose(t, "sender/request/method-post")
	before := read(t, c.Observe)
	if _, err := complete(t, t.Context(), c); err != nil || read(t, c.Observe) == before {
		t.Errorf("the observed profile was not replaced: error %v", err)
	}
}

// What holds a sender up is judged behind everything else, and little of it at a time.
func TestHoldingCasesComeLater(t *testing.T) {
	t.Parallel()
	s := senderSpecimen(t, "standard-webhooks", "")
	holding := []string{
		"sender/timeout/no-answer", "sender/timeout/body-drips", "sender/timeout/head-drips", "sender/timeout/patient", "sender/timeout/slow-failure",
		"sender/timeout/silent-connection", "sender/timeout/switching-protocols", "sender/timeout/twice-no-answer", "sender/timeout/no-answer-failure",
		"sender/retry/success-after-timeout", "sender/retry/slow-success", "sender/signature/retry-after-timeout-signed",
	}
	holds := map[string]bool{}
	for _, name := range holding {
		holds[name] = true
	}
	most := 0
	run, err := complete(t, t.Context(), suites.Config{
		Subject: suites.Sender(s.Subject), Cases: choose(t, append(holding, "sender/retry/2xx-success-200", "sender/retry/count")...),
		Watch: func(p suites.Progress) {
			n := 0
			for _, name := range p.Running {
				if holds[name] {
					n++
				}
			}
			if n > 0 && n < len(p.Running) {
				t.Errorf("run at the same time: %q", p.Running)
			}
			most = max(most, n)
		},
	})
	if err != nil || run.ExitCode() != reports.ExitPassed {
		t.Errorf("exit code %d, error %v: %q", run.ExitCode(), err, append(withVerdict(run, reports.Fail), withVerdict(run, reports.Inconclusive)...))
	}
	if most == 0 || most > 8 {
		t.Errorf("%d cases held the sender up at the same time", most)
	}
}

// A profile that somebody wrote is not overwritten, even if it has come to be there
// while the run went on.
func TestObserveOverwritesNothing(t *testing.T) {
	s := senderSpecimen(t, "github", "")
	path := filepath.Join(t.TempDir(), "mine.yaml")
	var once sync.Once
	_, err := complete(t, t.Context(), suites.Config{
		Subject: suites.Sender(s.Subject), Cases: choose(t, "sender/request/method-post"), Observe: path,
		Watch: func(suites.Progress) {
			once.Do(func() {
				if err := os.WriteFile(path, []byte("profile: mine\n"), 0o600); err != nil {
					t.Error(err)
				}
			})
		},
	})
	if err == nil || !strings.Contains(err.Error(), "not one that hookanvil observed") || read(t, path) != "profile: mine\n" {
		t.Errorf("error %v, and the file says %q", err, read(t, path))
	}
}

// An interruption ends the waiting at once.
func TestInterruptedSender(t *testing.T) {
	s := senderSpecimen(t, "standard-webhooks", "no-timeout")
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	begin := time.Now()
	run, err := complete(t, ctx, suites.Config{
		Subject: suites.Sender(s.Subject), Cases: choose(t, "sender/timeout", "sender/retry"),
		Watch: func(p suites.Progress) {
			if p.Done == 3 {
				interrupt()
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); run.ExitCode() != reports.ExitInterrupted || took > 10*time.Second {
		t.Errorf("exit code %d after %s", run.ExitCode(), took)
	}
}

// Whoever cannot be triggered is waited for: the prompt says what to do, case by
// case, and the deliveries count that come because of it.
func TestWaiting(t *testing.T) {
	s := senderSpecimen(t, "standard-webhooks", "")
	fire := s.Subject.Trigger
	subject := sender.Subject{Profile: s.Subject.Profile, SecretAt: s.Subject.SecretAt, Limits: suites.QuickSender}
	var api []byte
	subject.Register = registration{s.Subject.Register, &api}
	var told []string
	run, err := complete(t, t.Context(), suites.Config{
		Subject: suites.Sender(subject), Cases: choose(t, "sender/request/method-post", "sender/request/content-type"),
		Prompt: func(text string) {
			told = append(told, text)
			if _, err := fire.Do(t.Context(), sender.Values{Event: "a.b", Token: fmt.Sprint("token", len(told)), Data: []byte("{}"), Registration: api}); err != nil {
				t.Error(err)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if run.Count().Pass != 2 || len(told) < 2 || !strings.Contains(strings.Join(told, "\n"), "sender/request/method-post: have the sender deliver one event to http://127.0.0.1:") {
		t.Errorf("totals %+v, notes %q, told %q", run.Count(), run.Notes, told)
	}
}

// registration remembers what the sender answered last.
type registration struct {
	sender.Action
	last *[]byte
}

func (r registration) Do(ctx context.Context, v sender.Values) (sender.Outcome, error) {
	out, err := r.Action.Do(ctx, v)
	*r.last = out.Body
	return out, err
}

// The judge listens before the journal begins: what cannot be listened on is found
// first, and leaves no journal behind.
func TestAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := senderSpecimen(t, "github", "")
	s.Subject.Listen = l.Addr().String()
	c := suites.Config{Subject: suites.Sender(s.Subject), Cases: choose(t, "sender/request/method-post"), Journal: filepath.Join(t.TempDir(), "a.journal")}
	if _, err := suites.Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), "listen") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(c.Journal); err == nil {
		t.Error("a journal is left behind")
	}
}

// dispatcher is a sender as one writes it with net/http, which signs and retries as
// the options say.
type dispatcher struct {
	profile  *profile.Profile
	unsigned bool
	sending  sync.WaitGroup
}

func (d *dispatcher) fire(_ context.Context, e suites.Event) error {
	if e.URL == "" {
		return errors.New("no URL")
	}
	d.sending.Go(func() {
		body := fmt.Appendf(nil, `{"type":%q,"timestamp":%q,"token":%q,"data":%s}`, e.Type, time.Now().UTC().Format(time.RFC3339), e.Token, e.Data)
		m := profile.Message{ID: "msg_" + e.Token, Event: e.Type, Method: "POST", URL: e.URL, Timestamp: d.profile.Stamp(time.Now()), Body: body}
		sealed, err := d.profile.Sign(m, profile.Keys{d.profile.Signature.Name: {profile.NewSecret(e.Secret)}})
		if err != nil {
			return
		}
		req, err := http.NewRequest(http.MethodPost, e.URL, bytes.NewReader(sealed.Body))
		if err != nil {
			return
		}
		for _, h := range sealed.Headers {
			if !d.unsigned || h.Name != d.profile.Signature.Header {
				req.Header.Set(h.Name, h.Value)
			}
		}
		client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
	})
	return nil
}

func newDispatcher(t *testing.T) *dispatcher {
	p, err := profiles.Get("github")
	if err != nil {
		t.Fatal(err)
	}
	d := &dispatcher{profile: p}
	t.Cleanup(d.sending.Wait)
	return d
}

func senderOptions() suites.SenderOptions {
	return suites.SenderOptions{Profile: "github", Secret: githubSecret, Select: []string{
		"sender/request/method-post", "sender/request/content-type", "sender/request/host", "sender/signature/signed", "sender/signature/covers-body",
	}}
}

func TestJudgeSender(t *testing.T) {
	suites.JudgeSender(t, newDispatcher(t).fire, senderOptions())
}

func ExampleJudgeSender() {
	var enqueue func(url, secret string, payload map[string]any) error // your own sender

	// In a file such as dispatcher_test.go:
	test := func(t *testing.T) {
		suites.JudgeSender(t, func(_ context.Context, e suites.Event) error {
			return enqueue(e.URL, e.Secret, map[string]any{"type": e.Type, "token": e.Token})
		}, suites.SenderOptions{Profile: "github", Secret: githubSecret, Retry: reference.QuickRetry(), Deadline: time.Second})
	}
	_ = test // func TestDispatcher(t *testing.T)
}
