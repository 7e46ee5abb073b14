package suites

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/scenarios/threshold"
)

// load tells what a case of load sends.
func (e *explanation) load(c scenarios.Case) {
	l := c.Load
	e.line("  Between two honest deliveries:")
	var sent []string // classes
	for _, s := range l.Stages {
		name := ""
		if s.Name != "" {
			name = s.Name + ": "
		}
		e.line("    %s%s for %s; %s%s", name, rateOf(s), s.For, mixture(l.MixOf(s)), beside(s))
		for class := range l.MixOf(s) {
			if !slices.Contains(sent, class) {
				sent = append(sent, class)
			}
		}
	}
	e.line("  100%% is the rate that --rate declares, and the time that --duration does.")
	for _, class := range threshold.Classes {
		if slices.Contains(sent, class.Name) {
			e.line("  %s: a delivery %s.", class.Name, class.Doc)
		}
	}
	if l.Fresh {
		e.line("  Each has a connection of its own.")
	}
	if len(l.Sizes) > 0 {
		e.line("  Bodies are padded to %s.", sizes(l.Sizes))
	}
	if l.Payload != "" {
		e.line("  The payload is %s (%s).", l.Payload, doc(e.words.Payloads, "", l.Payload))
	}
}

// fire tells what a sender is given, and how it is answered.
func (e *explanation) fire(c scenarios.Case) {
	f := c.Fire
	e.line("  Events are fired at %s for %s, to %d endpoints in turn.", f.Rate, f.For, max(f.Endpoints, 1))
	if f.SlowBy > 0 {
		e.line("  The answers of the first endpoint are delayed by %s.", f.SlowBy)
	}
	if f.UpTo != (scenarios.Rate{}) {
		e.line("  The rate is raised up to %s, each for that time, and the highest at which the sender keeps up looked for within %s.", f.UpTo, f.Search)
	}
	if o := f.Outage; o != nil {
		e.line("  From %s after the first delivery, for %s, all are answered 503.", o.From, o.For)
	}
	e.line("  100%% is the rate that --rate declares, and the time that --duration does.")
	w := c.Within
	for _, bound := range []struct {
		given bool
		text  string
	}{
		{w.Latency > 0, fmt.Sprintf("99 of 100 events arrive within %s", w.Latency)},
		{w.Drain != scenarios.Extent{}, fmt.Sprintf("what the outage held up is there within %s of its end", w.Drain)},
		{w.Herd > 0, fmt.Sprintf("the busiest fifth of a second after it brings at most %d times the rate before", w.Herd)},
		{w.Rate != scenarios.Rate{}, fmt.Sprintf("the sender keeps up at %s and more", w.Rate)},
		{w.Fair > 0, fmt.Sprintf("the others' latency is at most %d times that without a slow endpoint", w.Fair)},
	} {
		if bound.given {
			e.line("  It is in bounds where %s.", bound.text)
		}
	}
}

func rateOf(s scenarios.Stage) string {
	switch {
	case s.Rate != nil:
		return s.Rate.String()
	case s.RampTo != nil:
		return "evenly to " + s.RampTo.String()
	case s.Steps != nil:
		return fmt.Sprintf("in %d steps to %s", s.Steps.Count, s.Steps.To)
	case s.Spike != nil:
		return s.Spike.String() + " at once"
	case s.Sine != nil:
		return fmt.Sprintf("%s, %s up and down every %s", s.Sine.Mean, s.Sine.Amplitude, s.Sine.Period)
	}
	return "as fast as it is answered"
}

// mixture is a mix in the order of the classes.
func mixture(m scenarios.Mix) string {
	var parts []string
	for _, class := range threshold.Classes {
		switch weight := m[class.Name]; {
		case weight > 0 && len(m) == 1:
			parts = append(parts, class.Name)
		case weight > 0:
			parts = append(parts, fmt.Sprintf("%s %d", class.Name, weight))
		}
	}
	return strings.Join(parts, ", ")
}

func beside(s scenarios.Stage) string {
	if s.Slow == 0 {
		return ""
	}
	return fmt.Sprintf(", beside %d connections that send a byte at a time", s.Slow)
}

func sizes(all []scenarios.BodySize) string {
	var parts []string
	for _, s := range all {
		parts = append(parts, fmt.Sprintf("%d bytes (%d)", s.Bytes, max(s.Weight, 1)))
	}
	return strings.Join(parts, ", ")
}

// measured tells the thresholds.
func (e *explanation) measured(c scenarios.Case) {
	e.section("What must be measured")
	for _, t := range c.Expect.Thresholds() {
		e.line("  %s", t)
	}
	for _, t := range c.AbortOn.Thresholds() {
		e.line("  It ends early where %s.", t)
	}
}
