package suites

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/scenarios"
)

// sender tells what is done to a sender: where it delivers to, what it is made to
// deliver, and what each attempt is answered.
func (e *explanation) sender(c scenarios.Case) {
	for _, at := range c.Endpoints {
		if text := e.endpoint(at); text != "" {
			e.line("  %s", text)
		}
	}
	for i, t := range c.Trigger {
		number := ""
		if len(c.Trigger) > 1 {
			number = fmt.Sprintf("%d. ", i+1)
		}
		e.line("  %s%s", number, e.trigger(t))
		if len(t.Respond) > 0 {
			e.line("     Its attempts are answered %s.", e.answers(t.Respond))
		}
		e.expect("     of it: ", t.Expect)
	}
	if len(c.Respond) > 0 {
		e.line("  The attempts of each delivery are answered %s.", e.answers(c.Respond))
	}
}

// endpoint tells what is special about an endpoint; nothing, where nothing is.
func (e *explanation) endpoint(at scenarios.Endpoint) string {
	what := fmt.Sprintf("The endpoint %s", at.Name)
	if at.Canary {
		return what + " is a canary: it is never registered, and nobody should come there."
	}
	var more []string
	add := func(given bool, format string, args ...any) {
		if given {
			more = append(more, fmt.Sprintf(format, args...))
		}
	}
	add(at.Address != "", "is registered under %s", doc(e.words.Addresses, "", at.Address))
	add(at.Path+at.Query != "", "is at %s below its own path", at.Path+strings.TrimSuffix("?"+at.Query, "?"))
	add(len(at.Headers) > 0, "asks for the headers %s", strings.Join(slices.Sorted(maps.Keys(at.Headers)), ", "))
	add(len(at.Events) > 0, "asks for the events %s alone", strings.Join(at.Events, ", "))
	add(at.Handshake != "", "has a handshake that %s", doc(e.words.Handshakes, "", at.Handshake))
	add(at.Lease > 0, "is registered for %s", at.Lease)
	add(at.Later, "is not registered")
	add(at.Dark > 0, "is not there until %s after the first event", at.Dark)
	add(len(at.Respond) > 0, "answers its attempts %s", e.answers(at.Respond))
	if len(more) == 0 {
		return ""
	}
	return what + " " + strings.Join(more, ", and ") + "."
}

// trigger tells in a sentence what is done.
func (e *explanation) trigger(t scenarios.Trigger) string {
	to := cmp.Or(t.To, "main")
	var text string
	switch t.Do {
	case "rotate":
		text = fmt.Sprintf("The secret of the endpoint %s is rotated", to)
	case "restart":
		text = "The sender is restarted"
	case "move":
		text = fmt.Sprintf("The endpoint main is moved to the URL of the endpoint %s", to)
	case "remove":
		text = fmt.Sprintf("The endpoint %s is removed", to)
	default:
		what := "one event"
		if t.Times > 1 {
			what = fmt.Sprintf("%d events at once", t.Times)
		}
		text = fmt.Sprintf("The sender is made to deliver %s to the endpoint %s", what, to)
	}
	if t.As != "" {
		text += fmt.Sprintf(", called %q", t.As)
	}
	if t.Event != "" {
		text += ", of the type " + t.Event
	}
	if t.Payload != "" {
		text += fmt.Sprintf(", with the data %s (%s)", t.Payload, doc(e.words.Payloads, "", t.Payload))
	}
	switch {
	case t.After > 0:
		text += fmt.Sprintf(", after %s", t.After)
	case t.Meanwhile:
		text += ", while the deliveries before are still under way"
	}
	return text + "."
}

// answers tells what attempt after attempt is answered.
func (e *explanation) answers(all scenarios.Answers) string {
	texts := make([]string, len(all))
	for i, a := range all {
		texts[i] = e.answer(a)
	}
	last := len(texts) - 1
	if last <= 0 {
		return strings.Join(texts, "")
	}
	return strings.Join(texts[:last], ", then ") + ", and from then on " + texts[last]
}

func (e *explanation) answer(a scenarios.Answer) string {
	text := fmt.Sprint(cmp.Or(a.Status, 200))
	if a.Way != nil {
		text = strings.TrimPrefix(doc(e.words.Answers, "", a.Way.Name), "is answered ") + argument(scenarios.Word{Arg: a.Way.Arg})
		if a.Status != 0 {
			text = fmt.Sprintf("%d, %s", a.Status, text)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		text += fmt.Sprintf(" with %s: %s", name, a.Headers[name])
	}
	switch {
	case strings.HasSuffix(a.Delay, "%"):
		text += fmt.Sprintf(" after %s of the sender's deadline", a.Delay)
	case a.Delay != "":
		text += fmt.Sprintf(" after %s", a.Delay)
	}
	if a.Times > 1 {
		text += fmt.Sprintf(" (%d times)", a.Times)
	}
	return text
}

// gapText tells the bounds of a gap.
func gapText(g scenarios.Gap) string {
	which := "every one"
	if g.After > 0 {
		which = fmt.Sprintf("after attempt %d", g.After)
	}
	if g.AtLeast > 0 {
		which += fmt.Sprintf(", at least %s", g.AtLeast)
	}
	if g.AtMost > 0 {
		which += fmt.Sprintf(", at most %s", g.AtMost)
	}
	return which
}
