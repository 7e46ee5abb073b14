package sender_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites/sender"
)

// ledger is what was observed of which case.
type ledger struct {
	sync.Mutex
	attempts  int
	misplaced []string
	noise     int
}

// note is the judge's observer. Every event of a case has a type that names the case.
func (l *ledger) note(caseName string, x reports.Exchange) error {
	l.Lock()
	defer l.Unlock()
	if strings.HasPrefix(caseName, "preflight/") {
		return nil
	}
	l.attempts++
	if want := `"type":"` + typeOf(caseName) + `"`; !strings.Contains(x.Received, want) {
		l.misplaced = append(l.misplaced, fmt.Sprintf("%s: %s", caseName, x.Received))
	}
	return nil
}

func typeOf(caseName string) string {
	return strings.ReplaceAll(strings.TrimPrefix(caseName, "sender/test/"), "-", ".")
}

// crowd is cases that run at the same time, most of many events, at a sender that
// sends whatever it can think of besides.
func (s *stage) crowd(l *ledger, rounds, cases int, yaml string) {
	s.Helper()
	j := s.judge()
	for round := range rounds {
		var running sync.WaitGroup
		for n := range cases {
			c := parseCase(s.T, yaml)
			c.ID = fmt.Sprintf("case-%d-%d", round, n)
			for i := range c.Trigger {
				c.Trigger[i].Event = typeOf(c.Name())
			}
			if j.Exclusive(c) {
				want(s.T, j.Run(s.Context(), c), pass, "")
				continue
			}
			running.Go(func() { want(s.T, j.Run(s.Context(), c), pass, "") })
		}
		running.Wait()
	}
	l.Lock()
	defer l.Unlock()
	s.Logf("misattributed deliveries: %d of %d attempts, beside %d that were none", len(l.misplaced), l.attempts, l.noise)
	for i, m := range l.misplaced {
		if i < 5 {
			s.Error(m)
		}
	}
}

func onCrowdedStage(t *testing.T, play func(s *stage, l *ledger)) {
	t.Helper()
	onStage(t, func(s *stage) {
		l := &ledger{}
		s.observe = l.note
		play(s, l)
	})
}

// disturbs has the sender send, beside each attempt, what is none of its case: to
// paths that it guesses, with tokens that it guesses, with the tokens of other cases;
// and, long after the case has been closed, the same once more.
func disturbs(s *stage, l *ledger) {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(3, 4))
	var others []try
	s.sender.success = func(status int) bool { return status == 200 }
	s.sender.after = func(a *try) {
		mu.Lock()
		others = append(others, *a)
		other := others[random.IntN(len(others))]
		guess := fmt.Sprintf("hk%024x", random.Uint64())
		kind := random.IntN(6)
		mu.Unlock()
		b := *a
		switch own := tokenOf(b.url); {
		case kind == 0 && own != "": // a path that nobody has, with the token of another case
			b.url = strings.Replace(b.url, own, guess, 1)
			b.message.Body = []byte(strings.Replace(string(b.message.Body), b.token, other.token, 1))
		case kind == 1 && own != "": // the token of another case at this case's path
			if other.message.Event == a.message.Event {
				return
			}
			b.message.Body = other.message.Body
		case kind == 0, kind == 1: // a token that nobody has, or none, at the only path
			b.message.Body = []byte(strings.Replace(string(b.message.Body), b.token, guess[26*kind:], 1))
			b.message.ID = guess
		case kind == 2: // much later, once more
			s.sender.sleep(40 * time.Second)
		case kind == 3:
			s.sender.sleep(time.Duration(90) * time.Second)
		case kind == 4: // the path of the house itself
			b.url = b.url[:strings.LastIndex(b.url, "/")] + "/"
			b.message.Body = []byte("{}")
		default:
			return
		}
		l.Lock()
		l.noise++
		l.Unlock()
		_, _ = s.sender.exchange(&b)
	}
}

func tokenOf(url string) string {
	if i := strings.Index(url, "/hk"); i >= 0 {
		return url[i+1:]
	}
	return ""
}

// rounds of so many cases at once make more than 10,000 attempts; the race detector
// sees enough in fewer.
var rounds, crew = 4, 50

const crowdYAML = "trigger: {times: 20}\nrespond: [503, 503, 200]\nexpect: [{attempts: 3}, {same: [id, body]}, delivered, signed, {unique: [id]}]"

func TestOverlap(t *testing.T) {
	t.Run("endpoints of their own", func(t *testing.T) {
		onCrowdedStage(t, func(s *stage, l *ledger) {
			disturbs(s, l)
			s.crowd(l, rounds, crew, crowdYAML)
			if l.attempts < rounds*crew*50 {
				s.Errorf("%d attempts, want %d at least", l.attempts, rounds*crew*50)
			}
		})
	})
	t.Run("one endpoint, tokens", func(t *testing.T) {
		onCrowdedStage(t, func(s *stage, l *ledger) {
			disturbs(s, l)
			s.onlyEndpoint(true)
			s.crowd(l, rounds, crew, crowdYAML)
		})
	})
	t.Run("one endpoint, no tokens", func(t *testing.T) {
		onCrowdedStage(t, func(s *stage, l *ledger) {
			late(s, l)
			s.onlyEndpoint(false)
			s.crowd(l, 1, 30, "trigger: once\nrespond: [503, 503, 200]\nexpect: [{attempts: 3}, {same: [id, body]}, delivered, signed]")
		})
	})
	t.Run("an endpoint for each, and every event to all of them, without tokens", func(t *testing.T) {
		onCrowdedStage(t, func(s *stage, l *ledger) {
			fansOut(s)
			s.crowd(l, 1, 10, "trigger: once\nrespond: [503, 503, 200]\nexpect: [{attempts: 3}, {same: [id, body]}, delivered, signed]")
		})
	})
}

// onlyEndpoint makes it a sender that cannot be told of any endpoint.
func (s *stage) onlyEndpoint(tokens bool) {
	s.subject.Trigger = s.sender.fixed(func() string { return s.started.URL() + "/hook" }, tokens)
}

// late has each delivery come once more, long after its case.
func late(s *stage, l *ledger) {
	s.sender.after = func(a *try) {
		for _, when := range []time.Duration{11 * time.Second, 12 * time.Second, 45 * time.Second} {
			b := *a
			s.sender.sleep(when)
			l.Lock()
			l.noise++
			l.Unlock()
			_, _ = s.sender.exchange(&b)
		}
	}
}

// fansOut delivers every event to every endpoint that is registered.
func fansOut(s *stage) {
	known := map[string]bool{}
	var mu sync.Mutex
	s.subject.Register = action{words: []string{"url"}, do: at(func(v sender.Values) {
		mu.Lock()
		defer mu.Unlock()
		known[v.URL] = true
	})}
	s.subject.Remove = action{do: at(func(v sender.Values) {
		mu.Lock()
		defer mu.Unlock()
		delete(known, v.URL)
	})}
	s.subject.Trigger = action{words: []string{"event"}, do: at(func(v sender.Values) {
		mu.Lock()
		defer mu.Unlock()
		for to := range known {
			s.sender.fire(to, "", v.Event)
		}
	})}
}
