package attack

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The bounds of a plan. A slip of the finger must not become a flood.
const (
	MaxRate        = 100_000 // hits per second
	MaxConnections = 4096
	MaxTime        = time.Hour
	MaxHits        = 100_000_000
	MaxBody        = 64 << 20 // bytes
	MaxStages      = 64
	maxTimeout     = 10 * time.Minute
	maxBodies      = 256 << 20 // bytes of all bodies that are held
)

const (
	defaultConnections = 256
	defaultClosed      = 32
	defaultTimeout     = 15 * time.Second
	defaultOversize    = 2 << 20
)

// filled is a plan with its defaults.
func (p Plan) filled(t Target) Plan {
	usual := defaultConnections
	if p.Closed {
		usual = defaultClosed
	}
	p.Connections = cmp.Or(p.Connections, usual)
	p.Timeout = cmp.Or(p.Timeout, t.Profile.Delivery.Deadline, defaultTimeout)
	p.Bodies.Oversize = cmp.Or(p.Bodies.Oversize, defaultOversize)
	p.Stages = slices.Clone(p.Stages)
	for i := range p.Stages {
		if len(p.Stages[i].Mix) == 0 {
			p.Stages[i].Mix = Mix{Honest: 1}
		}
	}
	return p
}

// Check finds what is wrong with a plan for a target: what it cannot be carried out
// for, and what is beyond the bounds.
func (p Plan) Check(t Target) error {
	if t.URL == nil || t.Profile == nil {
		return errors.New("the load has no target: give its URL and its profile")
	}
	if err := t.Profile.CheckKeys(t.Keys); err != nil {
		return err
	}
	if p = p.filled(t); len(p.Stages) == 0 {
		return errors.New("the plan of the load has no stages: say at what rate, and for how long")
	}
	if len(p.Stages) > MaxStages {
		return fmt.Errorf("the plan of the load has %d stages: at most %d can be told apart; use a ramp or steps", len(p.Stages), MaxStages)
	}
	if p.Connections < 1 || p.Connections > MaxConnections {
		return fmt.Errorf("the load cannot use %d connections: choose from 1 to %d", p.Connections, MaxConnections)
	}
	if p.MaxLag < 0 || p.MaxLag > maxTimeout {
		return fmt.Errorf("the lag that is allowed for cannot be %s: choose up to %s", p.MaxLag, span(maxTimeout))
	}
	if p.Timeout < time.Millisecond || p.Timeout > maxTimeout {
		return fmt.Errorf("the timeout of a hit cannot be %s: choose from 1ms to %s", p.Timeout, span(maxTimeout))
	}
	if err := p.Bodies.check(); err != nil {
		return err
	}
	return p.checkStages(t)
}

func (p Plan) checkStages(t Target) error {
	var total time.Duration
	hits := 0.0
	for i, s := range p.Stages {
		what := fmt.Sprintf("stage %d (%s)", i+1, cmp.Or(s.Name, s.Words))
		if s.For <= 0 || s.For > MaxTime {
			return fmt.Errorf("%s of the load cannot last %s: choose up to %s", what, span(s.For), span(MaxTime))
		}
		if err := s.checkPacer(what, p.Closed); err != nil {
			return err
		}
		if err := s.Mix.check(what, t); err != nil {
			return err
		}
		total += s.For
		hits += s.hits()
	}
	if total > MaxTime {
		return fmt.Errorf("the load lasts %s: at most %s are allowed; shorten its stages", span(total), span(MaxTime))
	}
	if hits > MaxHits {
		return fmt.Errorf("the load has about %.0f hits: at most %d are allowed; lower the rate or shorten it", hits, MaxHits)
	}
	return nil
}

func (s Stage) checkPacer(what string, closed bool) error {
	switch {
	case closed && s.Pacer != nil:
		return fmt.Errorf("%s has a rate, and the plan is closed: hits are sent when connections are free; leave the rate or the closed model out", what)
	case closed:
		return nil
	case s.Pacer == nil:
		return fmt.Errorf("%s has no rate: give one such as 200/s, or choose the closed model", what)
	}
	for i := range samples + 1 {
		rate := s.Pacer.Rate(s.For * time.Duration(i) / samples)
		if !(rate >= 0 && rate <= MaxRate) { // not a number is neither
			return fmt.Errorf("%s has a rate of %s: at most %s are allowed", what, inWords(rate), inWords(MaxRate))
		}
	}
	if s.hits() < 1 {
		return fmt.Errorf("%s has no hit in all of its %s: raise its rate, or let it last longer", what, span(s.For))
	}
	if wait, stop := s.Pacer.Pace(0, 0); stop || wait < 0 {
		return fmt.Errorf("%s has a pacer that sends nothing: check its rates", what)
	}
	return nil
}

// samples is at how many points of a stage its rate is looked at.
const samples = 1000

// hits is about how many hits a stage has: the area under its rate.
func (s Stage) hits() float64 {
	if s.Pacer == nil {
		return 1
	}
	sum := 0.0
	for i := range samples {
		sum += s.Pacer.Rate((s.For*time.Duration(i) + s.For/2) / samples)
	}
	return sum/samples*s.For.Seconds() + 1e-6
}

func (m Mix) check(what string, t Target) error {
	total := 0.0
	for _, c := range slices.Sorted(maps.Keys(m)) {
		weight := m[c]
		if !slices.Contains(Classes, c) {
			return fmt.Errorf("%s mixes in %q, which is no class of hits: choose from %s", what, c, classNames())
		}
		if !(weight >= 0 && weight <= 1e9) {
			return fmt.Errorf("%s gives the class %s the weight %g: it must be a number from 0", what, c, weight)
		}
		total += weight
		if lack := c.lacks(t); weight > 0 && lack != "" {
			return fmt.Errorf("%s mixes in %s deliveries, and %s: leave them out of the mix", what, c, lack)
		}
	}
	if total <= 0 {
		return fmt.Errorf("%s has a mix in which every weight is 0: give one of the classes a weight", what)
	}
	if (m[Replayed] > 0 || m[Duplicate] > 0) && m[Honest] <= 0 {
		return fmt.Errorf("%s mixes in replayed or duplicate deliveries, and no honest ones that they could repeat: mix in honest ones", what)
	}
	return nil
}

// lacks says why deliveries of a profile cannot be of a class; it is empty where they
// can.
func (c Class) lacks(t Target) string {
	p := t.Profile
	switch c {
	case Forged, Tampered, Unsigned, Malformed:
		if !p.Signed() {
			return fmt.Sprintf("profile %s is not signed", p.Name)
		}
		if c == Tampered && !p.BodySigned() {
			return fmt.Sprintf("profile %s does not sign the body", p.Name)
		}
	case Stale:
		if !p.Ages() {
			return fmt.Sprintf("profile %s has no timestamp that could be old", p.Name)
		}
	case Duplicate:
		if p.ID == nil {
			return fmt.Sprintf("profile %s has no id that could be sent twice", p.Name)
		}
	}
	return ""
}

func classNames() string {
	var names []string
	for _, c := range Classes {
		names = append(names, string(c))
	}
	return strings.Join(names, ", ")
}

func (b Bodies) check() error {
	if len(b.Files) > 0 && len(b.Sizes) > 0 {
		return errors.New("the bodies of the load have sizes and are files: give one or the other")
	}
	if b.Oversize < 1 || b.Oversize > MaxBody {
		return fmt.Errorf("oversized bodies cannot have %d bytes: choose up to %d", b.Oversize, MaxBody)
	}
	total, weight := 0, 0.0
	for _, s := range b.Sizes {
		if s.Bytes < 1 || s.Bytes > MaxBody {
			return fmt.Errorf("a body cannot have %d bytes: choose from 1 to %d", s.Bytes, MaxBody)
		}
		if !(s.Weight >= 0 && s.Weight <= 1e9) {
			return fmt.Errorf("the size %d has the weight %g: it must be a number from 0", s.Bytes, s.Weight)
		}
		total, weight = total+s.Bytes, weight+s.Weight
	}
	if len(b.Sizes) > 0 && weight <= 0 {
		return errors.New("every size of the bodies has the weight 0: give one of them a weight")
	}
	for i, f := range b.Files {
		if len(bytes.TrimSpace(f)) == 0 {
			return fmt.Errorf("body %d of %d is empty: leave it out", i+1, len(b.Files))
		}
		total += len(f)
	}
	if total > maxBodies {
		return fmt.Errorf("the bodies of the load have %d bytes together: at most %d are allowed; give fewer or smaller ones", total, maxBodies)
	}
	return nil
}

// String is the plan in words: "2000/s for 60s; honest 90, forged 10".
func (p Plan) String() string {
	var parts []string
	for i, s := range p.Stages {
		words := s.Words
		if s.Name != "" {
			words = s.Name + ": " + words
		}
		if next := i + 1; next == len(p.Stages) || !maps.Equal(s.Mix, p.Stages[next].Mix) {
			words += "; " + s.Mix.String()
		}
		parts = append(parts, words)
	}
	return strings.Join(parts, ", then ")
}

// String is a mix in words: "honest 90, forged 10".
func (m Mix) String() string {
	if len(m) == 0 {
		return string(Honest)
	}
	var parts []string
	for _, c := range Classes {
		if m[c] > 0 {
			parts = append(parts, string(c)+" "+strconv.FormatFloat(m[c], 'g', 6, 64))
		}
	}
	if len(parts) == 1 {
		return strings.Fields(parts[0])[0]
	}
	return strings.Join(parts, ", ")
}

// pick chooses among weights by a number from 0 up to 1.
func pick(cumulated []float64, at float64) int {
	at *= cumulated[len(cumulated)-1]
	i, _ := slices.BinarySearchFunc(cumulated, at, func(sum, at float64) int {
		if sum > at {
			return 1
		}
		return -1
	})
	return min(i, len(cumulated)-1)
}

// lot is the number from 0 up to 1 that a hit draws: the same for the same seed, hit
// and purpose, whoever sends it and when.
func lot(seed, hit, purpose uint64) float64 {
	return float64(mixed(seed+hit*0x9e3779b97f4a7c15+purpose*0xd1342543de82ef95)>>11) / (1 << 53)
}

// mixed is the finaliser of SplitMix64.
func mixed(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
