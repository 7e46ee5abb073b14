package load

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites/evidence"
)

// request is an honest delivery, signed now.
func (t *trial) request() (wire.Request, error) {
	p, u := t.subject.Profile, t.subject.URL
	m := profile.Message{Method: "POST", URL: u.String(), ID: p.NewID(t.rand)}
	if p.Event != nil {
		m.Event = p.Event.Value
	}
	if p.Timestamp != nil {
		m.Timestamp = p.Stamp(time.Now())
	}
	m.Body = []byte(p.Fill(p.Payload, m))
	headers := p.Plain(m)
	for _, h := range t.subject.Headers {
		headers.Set(h.Name, h.Value)
	}
	signatures, err := profile.RenderSignatures(p.Signings(m, t.subject.Keys))
	if err != nil {
		return wire.Request{}, fmt.Errorf("sign a delivery under profile %s: %w", p.Name, err)
	}
	return wire.Request{Method: "POST", Target: wire.OriginForm(u), Host: u.Host, Headers: append(headers, signatures...), Body: m.Body}, nil
}

// control sends an honest delivery by itself, which must be accepted. It fails where
// nothing listens.
func (t *trial) control(ctx context.Context, label string) finding {
	r, err := t.request()
	if err != nil {
		return inconclusive("%s", err)
	}
	x := wire.Do(ctx, t.subject.Endpoint, r.Script(), wire.Limits{Total: t.subject.Timeout})
	if err := t.record(label, x); err != nil {
		return inconclusive("%s", err)
	}
	switch {
	case x.Outcome == wire.NoDial:
		return failed("nothing listens (%s)", x.Detail)
	case x.Outcome != wire.Answered || len(x.Responses) == 0:
		return inconclusive("%s", strings.TrimSuffix(strings.ReplaceAll(string(x.Outcome), "-", " ")+": "+x.Detail, ": "))
	case !t.accepts(x.Responses[0]):
		status := x.Responses[0].Status
		return inconclusive("answered %s", strings.TrimSpace(fmt.Sprint(status, " ", http.StatusText(status))))
	}
	return passed()
}

// calm tries the control again for a while: what has just been flooded, by this case or
// by the one before it, may still shed.
func (t *trial) calm(ctx context.Context, label string) (f finding) {
	for until := time.Now().Add(2 * t.subject.Settle); ; {
		if f = t.control(ctx, label); f.verdict == reports.Pass || time.Now().After(until) || !pause(ctx, t.subject.Settle/5) {
			return f
		}
	}
}

func (t *trial) accepts(r wire.Response) bool {
	matches := func(p wire.Predicate) bool { return p.Matches(r.Status, r.Body) }
	if slices.ContainsFunc(t.subject.Reject, matches) {
		return false
	}
	if len(t.subject.Accept) > 0 {
		return slices.ContainsFunc(t.subject.Accept, matches)
	}
	return t.subject.Profile.Succeeds(r.Status)
}

// kept is how many exchanges the evidence of a case has.
const kept = 12

// record keeps an exchange as evidence and hands it to the journal, before anything is
// concluded from it.
func (t *trial) record(label string, x wire.Exchange) error {
	e := evidence.Of(label, x, t.started)
	if err := t.observe(t.c.Name(), e); err != nil {
		t.broken = err
		return err
	}
	if len(t.result.Evidence) < kept {
		t.result.Evidence = append(t.result.Evidence, e)
	}
	return nil
}
