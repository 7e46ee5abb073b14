package receiver

import (
	"context"
	"fmt"
	"slices"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profile/diagnosis"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// mostExplained bounds the cases of a run after which it is looked for what the
// receiver accepts instead.
const mostExplained = 4

// explained puts behind a failure to accept an honest delivery which mistaken form of it
// the receiver accepts. The verdict is what it was.
func (t *trial) explained(ctx context.Context, f finding) finding {
	if f.verdict != reports.Fail || len(t.c.Send) != 1 || !t.wantsAccepted() || t.explanations.Add(1) > mostExplained {
		return f
	}
	f.reason += t.accepts(ctx, t.c.Send[0])
	return f
}

// wantsAccepted tells whether the case is an honest delivery, on a connection of the
// usual kind, that must be accepted.
func (t *trial) wantsAccepted() bool {
	s := t.c.Send[0]
	plain := s.Mutate == nil && s.TLS == nil && s.Wire == nil && s.Key == "" && s.At == "" && s.Times <= 1
	return plain && slices.ContainsFunc(slices.Concat(t.c.Expect, s.Expect), func(w scenarios.Word) bool { return w.Name == "accepted" })
}

// accepts says which mistaken form of a delivery the receiver accepts, where it refuses
// the honest one and, in that form, what another key has signed; "" where there is none.
// It is not tried where a counter could take its effects for those of another case.
func (t *trial) accepts(ctx context.Context, step scenarios.Step) string {
	p, keys := t.subject.Profile, t.subject.Keys
	if t.subject.Probe != nil && !t.subject.Probe.Keyed() || t.answerTo(ctx, step, "", keys) != refused {
		return ""
	}
	d, err := t.subject.compose(step, t.named, t.rand, false)
	if err != nil {
		return ""
	}
	for _, v := range diagnosis.Variants(p, d.Message, keys) {
		switch t.answerTo(ctx, step, v.Hypothesis, keys) {
		case refused:
			continue
		case accepted:
		default:
			return "" // it says nothing of the signature
		}
		sure := t.answerTo(ctx, step, v.Hypothesis, p.Forged(t.rand, t.subject.Keys)) == refused &&
			t.answerTo(ctx, step, "", keys) == refused && t.answerTo(ctx, step, v.Hypothesis, keys) == accepted
		if !sure {
			return ""
		}
		return fmt.Sprintf("; yet it accepts such a delivery when its signature is made %s: that is what the receiver verifies", v.Says)
	}
	return t.untold()
}

// answerTo sends an honest delivery, or one whose signature was made by mistake, and
// reads the answer.
func (t *trial) answerTo(ctx context.Context, step scenarios.Step, mistake string, keys profile.Keys) answer {
	d, err := t.subject.compose(step, t.named, t.rand, false)
	if err != nil || ctx.Err() != nil {
		return unanswered
	}
	label := "in search of why: honest"
	if mistake != "" {
		label = "in search of why: " + mistake
		variants := diagnosis.Variants(t.subject.Profile, d.Message, keys)
		i := slices.IndexFunc(variants, func(v diagnosis.Variant) bool { return v.Hypothesis == mistake })
		if i < 0 {
			return unanswered
		}
		for _, h := range variants[i].Headers {
			d.setHeader(h.Name, h.Value)
		}
		d.request.Body = variants[i].Body
	}
	to, err := t.endpointFor(step)
	if err != nil {
		return unanswered
	}
	x := t.send(ctx, to, d.request.Script(), t.subject.Limits.Answer)
	if err := t.record(label, x); err != nil {
		return unanswered
	}
	return t.subject.read(x, t.c.Reject)[0].answer
}
