package suites

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// ReplaySettings say how a recording is sent again. Target, profile, secret and
// headers are those of the Settings.
type ReplaySettings struct {
	Resign bool     // with a fresh timestamp, under the same id
	NewIDs bool     // with Resign: under new ids
	Speed  string   // SpeedOriginal, or SpeedFast where it is empty
	Only   []string // ids; all where there are none
}

// How fast a recording is sent again.
const (
	SpeedOriginal = "original" // with the gaps of the recording, each of a minute at most
	SpeedFast     = "fast"     // one after the other
)

const maxReplayGap = time.Minute

// Replayed is one delivery that was sent again, or could not be.
type Replayed struct {
	Number   int // of the line in the recording, from 1
	ID       string
	Method   string
	Target   string // what was requested
	Answered bool
	// Outcome says in words what came of it; it is inert.
	Outcome string
	// Note says why its signature cannot fit, or why it was not sent; may be empty.
	Note string
}

// Replay is a recording that is ready to be sent again.
type Replay struct {
	settings ReplaySettings
	target   *url.URL
	endpoint wire.Endpoint
	headers  wire.Headers
	profile  *profile.Profile
	keys     profile.Keys
	redactor *reports.Redactor
	rand     *rand.Rand
}

// Replay reads what the settings name. The target's name is resolved; nothing is
// sent.
func (s Settings) Replay(ctx context.Context, how ReplaySettings) (*Replay, error) {
	r := &Replay{settings: how, rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
	if err := how.check(); err != nil {
		return nil, err
	}
	if s.Target == "" {
		return nil, errors.New("send the recording again: no target is given; name the receiver's URL with --target")
	}
	var err error
	if r.target, err = s.targetURL(); err != nil {
		return nil, err
	}
	var v vault
	if how.Resign {
		if r.profile, r.keys, err = s.signer(&v); err != nil {
			return nil, err
		}
	}
	if r.headers, err = v.headers("header", s.Header); err != nil {
		return nil, err
	}
	r.redactor = reports.NewRedactor(v.secrets...)
	r.endpoint, err = wire.Resolve(ctx, r.target)
	return r, err
}

func (s Settings) signer(v *vault) (*profile.Profile, profile.Keys, error) {
	p, err := s.FoundProfile()
	if err != nil {
		return nil, nil, err
	}
	if !p.Signed() {
		return nil, nil, fmt.Errorf("sign the recording anew: profile %s signs nothing; leave --resign out", p.Name)
	}
	keys, err := v.keys(p, "secret", s.Secret)
	if err == nil && keys == nil {
		err = noSecret(p)
	}
	return p, keys, err
}

func (how ReplaySettings) check() error {
	switch how.Speed {
	case "", SpeedFast, SpeedOriginal:
	default:
		return fmt.Errorf("read --speed %s: it must be %s or %s", strictyaml.Quote(how.Speed), SpeedOriginal, SpeedFast)
	}
	if how.NewIDs && !how.Resign {
		return errors.New("read --new-ids: an id is a part of what is signed; give --resign as well, with --profile and --secret")
	}
	return nil
}

// File sends the recording in a file again, delivery by delivery, and tells of
// each. Sent counts those that were sent and answered, of all that were to be. The
// error is that of the recording, or of the context.
func (r *Replay) File(ctx context.Context, path string, tell func(Replayed)) (sent, all int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, fmt.Errorf("read the recording: %w", err)
	}
	defer f.Close()
	// Who sends a recording to the receiver that is making it must not go round for
	// ever: what is there now is all.
	recorded, err := asItIsNow(f)
	if err != nil {
		return 0, 0, err
	}
	line, missing := 0, slices.Clone(r.settings.Only)
	var last time.Time
	err = ReadRecording(path, recorded, func(d Recorded) error {
		line++
		if len(r.settings.Only) > 0 && !slices.Contains(r.settings.Only, d.ID) {
			return nil
		}
		missing = slices.DeleteFunc(missing, func(id string) bool { return id == d.ID })
		if err := r.wait(ctx, last, d.ReceivedAt); err != nil {
			return err
		}
		last = d.ReceivedAt
		done := r.one(ctx, d)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		done.Number = line
		if all++; done.Answered {
			sent++
		}
		tell(done)
		return nil
	})
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("send the recording again: it holds no delivery with the id %s", strictyaml.Quote(missing[0]))
	}
	return sent, all, err
}

func asItIsNow(f *os.File) (io.Reader, error) {
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the recording: %w", err)
	case info.Mode().IsRegular():
		return io.LimitReader(f, info.Size()), nil
	}
	return f, nil
}

// wait waits as long as the recording says, where it is to be followed.
func (r *Replay) wait(ctx context.Context, last, at time.Time) error {
	gap := at.Sub(last)
	if r.settings.Speed != SpeedOriginal || last.IsZero() || gap <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(min(gap, maxReplayGap))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// one sends one delivery.
func (r *Replay) one(ctx context.Context, d Recorded) Replayed {
	done := Replayed{ID: d.ID, Method: d.Method}
	if d.Withheld() {
		done.Outcome, done.Note = "not sent", "its body was not kept, since what was to be taken out could not be looked up in it"
		return done
	}
	if d.Altered() && !r.settings.Resign {
		done.Note = "it was redacted when it was recorded (" + r.clean(strings.Join(d.Redacted, ", ")) + "): its signature does not fit any more; --resign makes one that does"
	}
	request, err := r.request(d, &done)
	if err != nil {
		done.Outcome = "not sent: " + r.clean(err.Error())
		return done
	}
	x := wire.Do(ctx, r.endpoint, request.Script(), wire.Limits{})
	done.Answered = x.Outcome == wire.Answered
	done.Outcome = r.clean(outcomeOf(x))
	return done
}

func (r *Replay) clean(s string) string { return r.redactor.Clean(inOneLine(s)) }

func outcomeOf(x wire.Exchange) string {
	took := float64(x.Done.Microseconds()) / 1000
	if x.Outcome == wire.Answered {
		status := x.Responses[0].Status
		return fmt.Sprintf("%s in %.1f ms", strings.TrimSpace(fmt.Sprint(status, " ", http.StatusText(status))), took)
	}
	return strings.TrimSuffix(fmt.Sprintf("%s: %s", strings.ReplaceAll(string(x.Outcome), "-", " "), x.Detail), ": ")
}

// connectionHeader are headers that belong to the connection and not to the
// delivery.
var connectionHeader = regexp.MustCompile(`(?i)^(host|content-length|transfer-encoding|connection|keep-alive|proxy-connection|expect|te|trailer|upgrade)$`)

// request is a delivery as it is to be sent now.
func (r *Replay) request(d Recorded, done *Replayed) (wire.Request, error) {
	q := wire.Request{Method: d.Method, Target: r.requestTarget(d), Host: r.target.Host, Body: d.BodyBytes()}
	for _, f := range d.WireHeaders() {
		if !connectionHeader.MatchString(f.Name) {
			q.Headers.Add(f.Name, f.Value)
		}
	}
	if r.settings.Resign {
		if err := r.resign(&q, done); err != nil {
			return q, err
		}
	}
	for _, f := range r.headers {
		q.Headers.Set(f.Name, f.Value)
	}
	done.Target = q.Target
	return q, nil
}

// requestTarget is the path that the target names or, where it names none, that of
// the recording.
func (r *Replay) requestTarget(d Recorded) string {
	if strings.Trim(r.target.Path, "/") == "" && r.target.RawQuery == "" && strings.HasPrefix(d.Target, "/") {
		return d.Target
	}
	return cmp.Or(r.target.RequestURI(), "/")
}

// resign signs a delivery anew: a fresh timestamp, and the id that it had unless
// new ones are wanted.
func (r *Replay) resign(q *wire.Request, done *Replayed) error {
	p := r.profile
	m := profile.Message{
		ID: p.DeliveryID(q.Headers, q.Body), Event: p.EventType(q.Headers, q.Body), Timestamp: p.Stamp(time.Now()),
		Method: q.Method, URL: r.target.Scheme + "://" + r.target.Host + q.Target, Body: q.Body,
	}
	if r.settings.NewIDs || m.ID == "" {
		m.ID = p.NewID(r.rand)
		if p.ID != nil && p.ID.Header == "" && r.settings.NewIDs {
			body, _, err := replaceAt(q.Body, p.ID.JSON, quoteJSON(m.ID))
			if err != nil {
				return fmt.Errorf("give it a new id: %w", err)
			}
			m.Body, q.Body = body, body
		}
	}
	m.Body = p.Unsealed(m.Body)
	signed, err := p.Sign(m, r.keys)
	if err != nil {
		return err
	}
	overlay(p, &q.Headers, signed.Headers)
	q.Body = signed.Body
	done.ID = m.ID
	return nil
}

// overlay puts new signatures, timestamp and id in the place of the old ones, and
// leaves every other header as it was.
func overlay(p *profile.Profile, headers *wire.Headers, signed wire.Headers) {
	var names []string
	for _, s := range p.Schemes() {
		names = append(names, s.Header)
	}
	if p.Timestamp != nil {
		names = append(names, p.Timestamp.Header)
	}
	if p.ID != nil {
		names = append(names, p.ID.Header)
	}
	for _, a := range p.Aliases {
		headers.Del(a.Also)
	}
	for _, name := range names {
		if name == "" {
			continue
		}
		if signed.Has(name) {
			headers.Set(name, signed.Get(name))
		} else {
			headers.Del(name)
		}
	}
}

// quoteJSON is a text as JSON, in which <, > and & are not escaped.
func quoteJSON(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// String is what became of a delivery, on one line, and the note on a second.
func (d Replayed) String() string {
	text := fmt.Sprintf("#%d  %s", d.Number, harmless(d.Method+" "+d.Target, 120))
	if d.ID != "" {
		text += "  id " + harmless(d.ID, 80)
	}
	text += "  -> " + defused(d.Outcome) + "\n"
	if d.Note != "" {
		text += "  note: " + defused(d.Note) + "\n"
	}
	return text
}
