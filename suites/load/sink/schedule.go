package sink

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// Outage is a time in which deliveries are answered 503, counted from the first request.
type Outage struct {
	For, From time.Duration
	Path      string // of one endpoint; empty for all
	Refuse    bool   // connections are reset instead
	// Silent tells that no Retry-After says when it ends: that would bring whoever honours
	// it back in the same second.
	Silent bool
}

// Slow delays answers.
type Slow struct {
	By       time.Duration
	From, To time.Duration // counted from the first request; To is 0 for no end
	Path     string
}

// Bounds of a schedule.
const (
	mostEntries  = 16
	longestDelay = time.Minute
)

// ParseOutage reads FOR@FROM, and behind it @/PATH for one endpoint and @refuse to have
// connections reset: 10s@30s, 5s@1m@/hooks/a@refuse.
func ParseOutage(text string) (Outage, error) {
	var o Outage
	parts := strings.Split(text, "@")
	wrong := func(what string) (Outage, error) {
		return Outage{}, fmt.Errorf("read the outage %q: %s; write it as 10s@30s, for 10 s beginning 30 s after the first request", text, what)
	}
	if len(parts) < 2 {
		return wrong("it does not say when it begins")
	}
	var err error
	if o.For, err = time.ParseDuration(parts[0]); err != nil || o.For <= 0 {
		return wrong("how long it lasts is no time above 0")
	}
	if o.From, err = time.ParseDuration(parts[1]); err != nil || o.From < 0 {
		return wrong("when it begins is no time")
	}
	for _, part := range parts[2:] {
		switch {
		case strings.HasPrefix(part, "/") && o.Path == "":
			o.Path = part
		case part == "refuse":
			o.Refuse = true
		default:
			return wrong(fmt.Sprintf("%q is neither a path nor refuse", part))
		}
	}
	if o.Refuse && o.Path != "" {
		return wrong("a connection is refused before its path is known")
	}
	return o, nil
}

// ParseSlow reads DELAY, and behind it @FROM-TO and @/PATH: 200ms, 200ms@10s-20s,
// 1s@/hooks/a.
func ParseSlow(text string) (Slow, error) {
	var s Slow
	parts := strings.Split(text, "@")
	wrong := func(what string) (Slow, error) {
		return Slow{}, fmt.Errorf("read the delay %q: %s; write it as 200ms, 200ms@10s-20s or 200ms@/path", text, what)
	}
	var err error
	if s.By, err = time.ParseDuration(parts[0]); err != nil || s.By <= 0 || s.By > longestDelay {
		return wrong(fmt.Sprintf("it is no time up to %s", longestDelay))
	}
	for _, part := range parts[1:] {
		if strings.HasPrefix(part, "/") && s.Path == "" {
			s.Path = part
			continue
		}
		from, to, ends := strings.Cut(part, "-")
		if s.From, err = time.ParseDuration(from); err != nil || s.From < 0 {
			return wrong(fmt.Sprintf("%q is neither a path nor a time", part))
		}
		if s.To, err = time.ParseDuration(to); ends && to != "" && (err != nil || s.To <= s.From) {
			return wrong("it does not end after it begins")
		}
	}
	return s, nil
}

func (o Outage) String() string {
	text := o.For.String() + "@" + o.From.String()
	if o.Path != "" {
		text += "@" + o.Path
	}
	if o.Refuse {
		text += "@refuse"
	}
	return text
}

func (s Slow) String() string {
	text := s.By.String()
	if s.From > 0 || s.To > 0 {
		text += "@" + s.From.String() + "-"
		if s.To > 0 {
			text += s.To.String()
		}
	}
	if s.Path != "" {
		text += "@" + s.Path
	}
	return text
}

func (o *Outage) left(at time.Duration) time.Duration { return o.From + o.For - at }

// sinceFirst is the time since the first request, which it begins where there was none.
func (b *books) sinceFirst(now time.Time) time.Duration {
	at := int64(now.Sub(b.began)) + 1
	if b.first.Load() == 0 {
		b.first.CompareAndSwap(0, max(at, 1))
	}
	return time.Duration(at - b.first.Load())
}

// outage is the one under way, of all endpoints where the path is nil.
func (s *Sink) outage(now time.Time, path []byte) *Outage {
	if len(s.o.Outages) == 0 || path == nil && s.first.Load() == 0 {
		return nil
	}
	at := s.sinceFirst(now)
	for i := range s.o.Outages {
		o := &s.o.Outages[i]
		if at >= o.From && at < o.From+o.For && (o.Path == "" || path != nil && bytes.Equal([]byte(o.Path), path)) {
			return o
		}
	}
	return nil
}

func (s *Sink) delay(now time.Time, path []byte) time.Duration {
	if len(s.o.Slow) == 0 {
		return 0
	}
	at := s.sinceFirst(now)
	for i := range s.o.Slow {
		w := &s.o.Slow[i]
		if at >= w.From && (w.To == 0 || at < w.To) && (w.Path == "" || bytes.Equal([]byte(w.Path), path)) {
			return w.By
		}
	}
	return 0
}
