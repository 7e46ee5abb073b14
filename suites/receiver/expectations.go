package receiver

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// expectation is one thing that a scenario can demand.
type expectation struct {
	scenarios.Entry
	// negative expectations are met by a receiver that refuses everything, or is
	// dead. They hold only between two accepted controls.
	negative bool
	// whole expectations look at all steps together, the others at each by itself.
	whole bool
	needs []string
	judge func(t *trial, s []seen, arg any) finding
}

func (e expectation) ask(t *trial, steps []seen, arg any) finding {
	if e.whole {
		return e.judge(t, steps, arg)
	}
	all := make([]finding, len(steps))
	for i, s := range steps {
		all[i] = e.judge(t, []seen{s}, arg)
	}
	return worst(all...)
}

type expectationTable []expectation

func (t expectationTable) find(name string) expectation {
	i := slices.IndexFunc(t, func(e expectation) bool { return e.Name == name })
	return t[i]
}

// expectations are what a scenario can demand. Each sentence completes "the
// receiver ...".
var expectations expectationTable

// The table refers to functions that refer to it; hence init.
func init() {
	expectations = expectationTable{
		{Entry: word("", "accepted", "acknowledges the delivery in time and acts on it"),
			judge: func(t *trial, s []seen, _ any) finding { return judgeAccepted(t, s[0]) }},
		{Entry: word("", "rejected", "refuses the delivery on purpose and does not act on it"), negative: true,
			judge: func(_ *trial, s []seen, _ any) finding { return judgeRejected(s[0]) }},
		{Entry: word("", "denied", "refuses the connection, or the delivery, for what is wrong with its TLS, and does not act on it"), negative: true, judge: judgeDenied},
		{Entry: word("", "not-in-clear", "refuses what is sent without TLS, or redirects it to https, and does not act on it"), negative: true,
			judge: func(_ *trial, s []seen, _ any) finding { return judgeNotInClear(s[0]) }},
		{Entry: word("", "agreed-protocol", "speaks the protocol that it has agreed on, or agrees on none"), negative: true,
			judge: func(_ *trial, s []seen, _ any) finding { return judgeAgreed(s[0]) }},
		{Entry: word("", "whatever", "does what it likes: only what comes of it later is judged"), negative: true,
			judge: func(t *trial, _ []seen, _ any) finding { return judgeWhatever(t.c) }},
		{Entry: wordWith("", "accepted-or", scenarios.Statuses, "accepts the delivery, or answers with one of these statuses and does not act on it"), negative: true,
			judge: judgeAcceptedOr},
		{Entry: wordWith("", "status", scenarios.Statuses, "answers with one of these statuses and does not act on the delivery"), negative: true, judge: judgeStatus},
		{Entry: word("", "refused", "answers 4xx, or closes the connection, and does not act on the request"), negative: true,
			judge: func(_ *trial, s []seen, _ any) finding { return judgeRefused(s[0]) }},
		{Entry: word("", "refused-early", "refuses the request before it has read all of it"), negative: true, judge: judgeRefusedEarly},
		{Entry: word("", "ended", "ends a request that does not get on, within the limit for slow requests"), negative: true, judge: judgeEnded},
		{Entry: word("", "no-server-error", "answers, and does not answer 5xx"), negative: true, judge: judgeNoServerError},
		{Entry: wordWith("", "effects", scenarios.Number, "acts exactly that often"), whole: true, needs: []string{"probe"},
			judge: func(t *trial, s []seen, arg any) finding { return judgeEffects(t, s, arg.(int), arg.(int)) }},
		{Entry: wordWith("", "effects-at-most", scenarios.Number, "acts no more often than that"), whole: true, needs: []string{"probe"},
			judge: func(t *trial, s []seen, arg any) finding { return judgeEffects(t, s, 0, arg.(int)) }},
		{Entry: word("", "same-answer", "gives the same answer to every delivery of the case"), whole: true, negative: true, judge: judgeSameAnswer},
		{Entry: word("", "no-leak", "says nothing in its answer that helps a forger: no expected signature, secret, stack trace or path"), negative: true, judge: judgeNoLeak},
		{Entry: word("", "challenge-answered", "gives the answer that is due to the profile's handshake, and does not take it for a delivery"), judge: judgeChallengeAnswered},
		{Entry: word("", "challenge-refused", "refuses the profile's handshake as the provider wants it, shows nothing of what was asked, and fetches no URL that was named"), negative: true, judge: judgeChallengeRefused},
		{Entry: word("", "called", "fetches the URL that the request names"), judge: judgeCalled},
		{Entry: word("", "uncalled", "fetches no URL that the request names"), negative: true, judge: judgeUncalled},
		{Entry: word("", "challenge-inert", "shows what it was asked as no HTML: under another content type, or not as it stood"), negative: true, judge: judgeChallengeInert},
		{Entry: word("", "acknowledged-as-due", "acknowledges the delivery with an answer of the form that the provider wants"), needs: []string{"due-acknowledgement"}, judge: judgeDueAcknowledgement},
		{Entry: word("", "refused-by-due-status", "refuses the delivery with a status by which the provider wants it refused, and does not act on it"), negative: true, needs: []string{"due-refusal-status"}, judge: judgeDueStatus},
		{Entry: word("", "refused-in-due-form", "refuses the delivery with an answer of the form that the provider wants, and does not act on it"), negative: true, needs: []string{"due-refusal-form"}, judge: judgeDueForm},
		{Entry: word("", "no-cookie", "sets no cookie"), judge: judgeNoCookie},
	}
}

// noEffect is the finding of a delivery that must not be acted upon.
func noEffect(s seen, because string) finding {
	if s.effects() > 0 {
		return failed("%s, yet it took effect %s", because, times(s.effects()))
	}
	return passed()
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// silence is the finding of a reading without a complete answer.
func silence(r reading) finding {
	f := inconclusive("it was not answered: %s", r.phrase)
	f.silent = r.Outcome != wire.HarnessError && r.Outcome != wire.Cancelled
	return f
}

func judgeAccepted(t *trial, s seen) finding {
	for _, r := range s.readings {
		switch r.answer {
		case accepted:
		case unanswered:
			return silence(r)
		default:
			return failed("%s", r.phrase)
		}
	}
	if len(s.readings) < len(s.deliveries) {
		return failed("%d of %d deliveries were answered", len(s.readings), len(s.deliveries))
	}
	if effects := s.effects(); effects != unknown && effects < len(s.tokens()) && s.step.Replay == "" && s.step.Retry == "" {
		return failed("%s, but no effect was seen within %s", s.readings[0].phrase, t.subject.Limits.Settle)
	}
	return passed()
}

// judgeRejected demands a refusal on purpose: of a request that was completely
// written, by a status that says so, without an effect.
func judgeRejected(s seen) finding {
	for _, r := range s.readings {
		switch r.answer {
		case accepted, late:
			return failed("it was accepted: %s%s", r.phrase, effectPhrase(s))
		case serverError:
			return failed("%s: a sender takes that for a failure and tries the forgery again", r.phrase)
		case otherStatus:
			return worst(noEffect(s, r.phrase), inconclusive("%s, which does not say that the delivery was refused for what is wrong with it", r.phrase))
		case unanswered:
			return worst(noEffect(s, r.phrase), silence(r))
		}
		if !r.Written {
			return inconclusive("%s before the request was completely written", r.phrase)
		}
	}
	return noEffect(s, s.readings[0].phrase)
}

func effectPhrase(s seen) string {
	switch {
	case s.effects() > 0:
		return ", and took effect " + times(s.effects())
	case s.effects() == 0:
		return ", though no effect was seen"
	}
	return ""
}

// judgeWhatever demands that something else is demanded: a case must be able to fail.
func judgeWhatever(c scenarios.Case) finding {
	demands := slices.Clone(c.Expect)
	for _, step := range c.Send {
		demands = append(demands, step.Expect...)
	}
	if slices.ContainsFunc(demands, func(w scenarios.Word) bool { return w.Name != "whatever" }) {
		return passed()
	}
	return inconclusive("the case demands nothing: have it expect something of a later delivery")
}

func judgeAcceptedOr(t *trial, s []seen, arg any) finding {
	for _, r := range s[0].readings {
		if r.answer == unanswered {
			return silence(r)
		}
		if slices.Contains(arg.([]int), r.Responses[0].Status) {
			return noEffect(s[0], r.phrase)
		}
	}
	return judgeAccepted(t, s[0])
}

func judgeStatus(_ *trial, s []seen, arg any) finding {
	for _, r := range s[0].readings {
		if r.answer == unanswered {
			return silence(r)
		}
		if !slices.Contains(arg.([]int), r.Responses[0].Status) {
			return failed("%s%s", r.phrase, effectPhrase(s[0]))
		}
	}
	return noEffect(s[0], s[0].readings[0].phrase)
}

// refusals beside 4xx: a transfer coding or a version that is not supported.
var unsupported = []int{501, 505}

// judgeRefused is for requests that are no proper HTTP, or larger than anybody
// needs: closing the connection is as good an answer as a status.
func judgeRefused(s seen) finding {
	for _, r := range s.readings {
		switch {
		case r.Outcome == wire.Abandoned && s.effects() == unknown:
			return inconclusive("the request was broken off as planned, and without a probe nothing tells whether it took effect")
		case r.Outcome == wire.Closed, r.Outcome == wire.WasReset, r.Outcome == wire.WriteFailed, r.Outcome == wire.Abandoned:
		case r.Outcome == wire.IncompleteBody && isRefusal(r.Responses[0].Status):
		case r.answer == unanswered:
			return worst(noEffect(s, r.phrase), silence(r))
		case isRefusal(r.Responses[0].Status):
		default:
			return failed("%s%s", r.phrase, effectPhrase(s))
		}
		if len(r.Responses) > 1 {
			return failed("one request was answered %d times", len(r.Responses))
		}
	}
	return noEffect(s, s.readings[0].phrase)
}

func isRefusal(status int) bool {
	return 400 <= status && status < 500 || slices.Contains(unsupported, status)
}

func judgeRefusedEarly(_ *trial, s []seen, _ any) finding {
	f := judgeRefused(s[0])
	if r := s[0].readings[0]; f.verdict == reports.Pass && r.Written && !(len(r.Responses) > 0 && r.Responses[0].Early) {
		return failed("%s only after all %d bytes of the request had been sent", r.phrase, r.SentTotal)
	}
	return f
}

// judgeEnded is for requests that never get on. Here a timeout is what is judged:
// the receiver's patience, not the network's.
func judgeEnded(t *trial, s []seen, _ any) finding {
	for _, r := range s[0].readings {
		open := r.Outcome == wire.HeadTimeout || r.Outcome == wire.BodyTimeout || r.Outcome == wire.WriteTimeout
		if open || r.Done > t.subject.Limits.Slow {
			return failed("the connection was still open after %s", t.subject.Limits.Slow)
		}
	}
	return judgeRefused(s[0])
}

func judgeNoServerError(_ *trial, s []seen, _ any) finding {
	for _, r := range s[0].readings {
		switch {
		case r.answer == unanswered:
			return silence(r)
		case r.answer == serverError && !slices.Contains(unsupported, r.Responses[0].Status):
			return failed("%s", r.phrase)
		}
	}
	return passed()
}

func judgeEffects(t *trial, steps []seen, least, most int) finding {
	counts := map[string]int{}
	for _, s := range steps {
		if s.counts == nil {
			return inconclusive("the effects could not be counted: %v", t.effects.err)
		}
		maps.Copy(counts, s.counts)
	}
	switch sum := (seen{counts: counts}).effects(); {
	case sum < least:
		return failed("it took effect %s instead of %s", times(sum), times(least))
	case sum > most:
		return failed("it took effect %s instead of %s at the most", times(sum), times(most))
	}
	return passed()
}

func judgeSameAnswer(_ *trial, steps []seen, _ any) finding {
	first := ""
	for _, s := range steps {
		for _, r := range s.readings {
			if r.answer == unanswered {
				return silence(r)
			}
			switch shape := answerShape(r.Responses[0]); {
			case first == "":
				first = shape
			case shape != first:
				return failed("the answers differ: %s, and %s", first, shape)
			}
		}
	}
	return passed()
}

// answerShape is what a forger can tell answers apart by, without what differs
// from one answer to the next anyway.
func answerShape(r wire.Response) string {
	return fmt.Sprintf("%d %s with a body like %q", r.Status, r.Headers.Get("Content-Type"), clip(digits.ReplaceAllString(string(r.Body), "#"), 80))
}

var digits = regexp.MustCompile(`[0-9]+`)

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "..."
	}
	return s
}

// leaks are traces of a program's inside that belong in no answer.
var leaks = []struct {
	what string
	re   *regexp.Regexp
}{
	{"a stack trace", regexp.MustCompile(`goroutine \d+ \[|Traceback \(most recent call last\)|^\s+at .+\(.+:\d+|\.go:\d+|\.py", line \d+|\.rb:\d+:in `)},
	{"a path of the receiver's file system", regexp.MustCompile(`(?:^|[\s"'(])/(?:usr|home|var|opt|app|srv|root)/[\w./-]+`)},
}

func judgeNoLeak(t *trial, s []seen, _ any) finding {
	for _, r := range s[0].readings {
		if r.answer == unanswered {
			return silence(r)
		}
		told := string(r.Received)
		for _, l := range leaks {
			if found := l.re.FindString(told); found != "" {
				return failed("its answer shows %s: %q", l.what, clip(strings.TrimSpace(found), 60))
			}
		}
		for _, d := range s[0].deliveries {
			if what := t.leakedSecret(d, told); what != "" {
				return failed("its answer shows %s", what)
			}
		}
	}
	return passed()
}

// leakedSecret looks for the signature that the receiver must have computed, and
// for the secret itself.
func (t *trial) leakedSecret(d *delivery, told string) string {
	m := d.Message
	m.Body = d.request.Body
	if ts := t.subject.Profile.Timestamp; ts != nil && ts.Header != "" {
		m.Timestamp = d.request.Headers.Get(ts.Header)
	}
	if id := t.subject.Profile.ID; id != nil && id.Header != "" {
		m.ID = d.request.Headers.Get(id.Header)
	}
	for _, s := range t.subject.Profile.Signings(m, t.subject.Keys) {
		if text, err := s.Text(); err == nil && strings.Contains(told, text) {
			return "the signature it expected"
		}
	}
	return secretIn(told, t.subject.Profile, t.subject.Keys)
}

func secretIn(told string, p *profile.Profile, keys profile.Keys) string {
	for name, secrets := range keys {
		for _, secret := range secrets {
			if strings.Contains(told, p.Bare(name, secret)) {
				return "its secret"
			}
		}
	}
	return ""
}

func judgeNoCookie(t *trial, s []seen, _ any) finding {
	if f := judgeAccepted(t, s[0]); f.verdict != reports.Pass {
		return inconclusive("the delivery was not accepted: %s", f.reason)
	}
	for _, r := range s[0].readings {
		if r.Responses[0].Headers.Get("Set-Cookie") != "" {
			return failed("its answer sets a cookie")
		}
	}
	return passed()
}
