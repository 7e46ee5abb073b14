// Package load judges how receivers and senders stand traffic at a rate. Of a sender, see
// SenderJudge. To a receiver it sends the stages of a
// scenario between two honest deliveries that must be accepted, and holds what was
// measured against the scenario's thresholds. Where the generator did not keep time,
// or an honest delivery was not accepted before, nothing is concluded.
package load

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/payloads"
	"github.com/hookanvil/hookanvil/fixtures/probe"
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/scenarios/threshold"
	"github.com/hookanvil/hookanvil/suites/load/attack"
)

// Subject is the receiver under load, and what the run declares.
type Subject struct {
	attack.Target
	Probe probe.Probe // counts effects; nil where the subject offers none

	// Rate, in hits per second, and Time are what the shares in scenarios are shares of.
	Rate float64
	Time time.Duration
	// Connections are how many are open at most; those of attack.Plan where it is 0.
	Connections int

	Timeout time.Duration // for a hit; the profile's deadline where it is 0
	MaxLag  time.Duration // see attack.Plan
	Settle  time.Duration // for an effect to show after the answer
}

// Defaults of what a run declares.
const (
	DefaultRate = 100 // hits per second
	DefaultTime = 10 * time.Second

	defaultTimeout = 15 * time.Second
	defaultSettle  = 2 * time.Second
)

func firstOf(ds ...time.Duration) time.Duration {
	i := slices.IndexFunc(ds, func(d time.Duration) bool { return d > 0 })
	return ds[i]
}

func (s Subject) filled() Subject {
	if s.Rate <= 0 {
		s.Rate = DefaultRate
	}
	s.Time = firstOf(s.Time, DefaultTime)
	s.Timeout = firstOf(s.Timeout, s.Profile.Delivery.Deadline, defaultTimeout)
	s.Settle = firstOf(s.Settle, defaultSettle)
	return s
}

// Vocabulary returns the words that load scenarios are written in.
func Vocabulary() scenarios.Vocabulary {
	v := scenarios.Vocabulary{Role: "load"}
	for _, c := range threshold.Classes {
		v.Classes = append(v.Classes, scenarios.Entry{Name: c.Name, Doc: c.Doc})
	}
	for _, m := range SenderMeasures {
		v.Measures = append(v.Measures, scenarios.Entry{Name: m.ID, Doc: "whether the sender " + m.Sentence})
	}
	for _, c := range capabilities {
		v.Capabilities = append(v.Capabilities, scenarios.Entry{Name: c.name, Doc: c.doc})
	}
	for _, p := range payloads.List() {
		v.Payloads = append(v.Payloads, scenarios.Entry{Name: p.Name, Doc: p.Doc})
	}
	return v
}

// capability is something that a profile or a run may lack.
type capability struct {
	name, doc string
	has       func(Subject) bool
	lack      func(Subject) string // why a case is skipped
}

var capabilities = []capability{
	{"id", "identifies its deliveries", func(s Subject) bool { return s.Profile.ID != nil }, profileLacks("has no delivery id")},
	{"timestamp", "sends a timestamp that can be too old", func(s Subject) bool { return s.Profile.Ages() }, profileLacks("sends no timestamp that can be too old")},
	{"probe", "tells of its effects", func(s Subject) bool { return s.Probe != nil },
		func(Subject) string {
			return "effects cannot be counted without a probe: --probe-url, --probe-exec or --probe-file"
		}},
}

func profileLacks(what string) func(Subject) string {
	return func(s Subject) string { return fmt.Sprintf("profile %s %s", s.Profile.Name, what) }
}

// needsOf gathers what a case asks of the profile and of the run: by itself, by what it
// sends and by what it must measure.
func needsOf(c scenarios.Case) []string {
	needs := slices.Clone(c.Needs)
	for _, s := range c.Load.Stages {
		mix := c.Load.MixOf(s)
		if mix["stale"] > 0 {
			needs = append(needs, "timestamp")
		}
		if mix["duplicate"] > 0 {
			needs = append(needs, "id")
		}
	}
	if asksForEffects(c) {
		needs = append(needs, "probe")
	}
	return needs
}

func asksForEffects(c scenarios.Case) bool {
	return slices.ContainsFunc(c.Expect.Thresholds(), func(t *threshold.Threshold) bool {
		return slices.ContainsFunc(t.Names(), func(n threshold.Name) bool { return strings.Contains(n.Text, "effects.") })
	})
}

// Lacks says why a case does not apply to the subject; it is empty where it does.
func (j *Judge) Lacks(c scenarios.Case) string {
	_, reason := lacks(c, j.subject)
	return reason
}

// lacks names the first capability that a case needs and the subject lacks, and says it
// in words.
func lacks(c scenarios.Case, s Subject) (need, reason string) {
	needs := needsOf(c)
	for _, one := range capabilities {
		if slices.Contains(needs, one.name) && !one.has(s) {
			return one.name, one.lack(s)
		}
	}
	return "", ""
}

// Needs are the capabilities without which a case does not apply. What a sender lacks
// under load has no names.
func Needs(c scenarios.Case) []string {
	if c.Load == nil {
		return nil
	}
	return needsOf(c)
}

// Lacking tells whether there is such a capability and a profile does not have it by
// itself, without anything that a run brings.
func Lacking(p *profile.Profile, need string) bool {
	bare := Subject{Target: attack.Target{Profile: p}}
	return slices.ContainsFunc(capabilities, func(c capability) bool { return c.name == need && !c.has(bare) })
}

// planOf is what a case sends to the subject.
func (j *Judge) planOf(l *scenarios.Attack, seed uint64) (attack.Plan, error) {
	p := attack.Plan{Closed: l.Closed(), Connections: l.Connections, Timeout: firstOf(l.Timeout, j.subject.Timeout), MaxLag: j.subject.MaxLag, Seed: seed}
	if p.Connections == 0 {
		p.Connections = j.subject.Connections
	}
	rate := 0.0 // before
	for _, s := range l.Stages {
		var stage attack.Stage
		stage, rate = j.stage(s, rate)
		stage.Name, stage.Mix = s.Name, mixOf(l.MixOf(s))
		p.Stages = append(p.Stages, stage)
	}
	for _, s := range l.Sizes {
		p.Bodies.Sizes = append(p.Bodies.Sizes, attack.Size{Bytes: s.Bytes, Weight: float64(max(s.Weight, 1))})
	}
	if l.Payload != "" {
		body, err := payloads.Get(l.Payload)
		if err != nil {
			return p, err
		}
		p.Bodies.Files = [][]byte{[]byte(body)}
	}
	return p, nil
}

// stage is one stage, and the rate that the next one goes on from.
func (j *Judge) stage(s scenarios.Stage, before float64) (stage attack.Stage, rate float64) {
	d, declared := s.For.Of(j.subject.Time), j.subject.Rate
	switch {
	case s.Rate != nil:
		rate = s.Rate.Of(declared)
		return attack.Constant(rate, d), rate
	case s.RampTo != nil:
		rate = s.RampTo.Of(declared)
		return attack.Ramp(before, rate, d), rate
	case s.Steps != nil:
		rate = s.Steps.To.Of(declared)
		return attack.Steps(before, rate, s.Steps.Count, d), rate
	case s.Spike != nil:
		return attack.Constant(s.Spike.Of(declared), d), before
	case s.Sine != nil:
		rate = s.Sine.Mean.Of(declared)
		return attack.Sine(rate, s.Sine.Amplitude.Of(declared), s.Sine.Period.Of(j.subject.Time), d), rate
	}
	return attack.Closed(d), before
}

func mixOf(m scenarios.Mix) attack.Mix {
	mix := attack.Mix{}
	for class, weight := range m {
		mix[attack.Class(class)] = float64(weight)
	}
	return mix
}
