// Package attack sends signed deliveries at a rate, or as fast as they are
// answered, and measures what becomes of each.
//
// A hit is timed from when it was due, not from when a connection was free for it:
// a target that stalls is slow for all that should have been sent meanwhile. What
// this process itself costs, and how well it kept time, is measured beside it; a
// run that tells of the generator rather than of the target is marked invalid.
package attack

import (
	"context"
	"net/url"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
)

// Class is one kind of hit.
type Class string

// The classes. What the profile cannot have, Plan.Check refuses.
const (
	Honest    Class = "honest"    // a fresh id and time, the right key
	Forged    Class = "forged"    // signed with another key of the same form
	Tampered  Class = "tampered"  // its body was changed after it was signed
	Stale     Class = "stale"     // signed longer ago than is tolerated
	Replayed  Class = "replayed"  // the bytes of a delivery that was accepted earlier in the run
	Duplicate Class = "duplicate" // an id that was sent before, signed anew: a retry
	Unsigned  Class = "unsigned"  // without its signatures
	Malformed Class = "malformed" // with signatures that cannot be read
	Oversized Class = "oversized" // with a body of Bodies.Oversize bytes, rightly signed
)

// classCount is how many classes there are.
const classCount = 9

// Classes are all of them, in the order in which they are reported.
var Classes = []Class{Honest, Forged, Tampered, Stale, Replayed, Duplicate, Unsigned, Malformed, Oversized}

// Mix is how much of a stage's hits each class has, by weight. Without any, all
// are honest.
type Mix map[Class]float64

// Stage is one part of a plan.
type Stage struct {
	Name string
	// Pacer says when hits are due, from when the stage began; nil where the plan is
	// closed. See Constant, Ramp, Steps and Sine.
	Pacer vegeta.Pacer
	For   time.Duration
	Words string // the plan in words: "2000/s for 60s"
	Mix   Mix
}

// Plan is what is sent.
type Plan struct {
	Stages []Stage
	// Closed has a hit due whenever a connection is free.
	Closed bool
	// Connections is how many are open at most, 256 or, of a closed plan, 32 where it is
	// 0. They are opened when they are needed.
	Connections int
	// Timeout is for a hit, from when it is begun; 0 is the profile's deadline, or 15 s.
	// A hit that has waited as long for a connection is not sent.
	Timeout time.Duration
	// MaxLag is how late hits may be begun, and this process be at a stop, before the run
	// is invalid; 0 is a millisecond, or a tenth of the 99th percentile of latency.
	MaxLag time.Duration
	Seed   uint64
	Bodies Bodies
}

// Bodies says what is delivered. The zero value is the profile's payload.
type Bodies struct {
	// Sizes pads the profile's payload, to each size as often as its weight says.
	Sizes []Size
	// Files are bodies to send as they are, each as often as any other, instead of the
	// profile's payload; the words {id}, {event}, {unix} and {time} are filled in.
	Files [][]byte
	// Oversize is the size of the class oversized, 2 MiB where it is 0.
	Oversize int
}

// Size is a size of a body in bytes, and how often it is sent.
type Size struct {
	Bytes  int
	Weight float64
}

// Target is where deliveries go, and how they are signed.
type Target struct {
	URL      *url.URL
	Endpoint wire.Endpoint // where URL leads, resolved once
	Profile  *profile.Profile
	Keys     profile.Keys
	Other    profile.Keys // sign what is forged; invented where there are none
	Headers  wire.Headers // added to every request
	// Accept and Reject say which answers count as accepted and refused: without any,
	// the profile's successes, and 400, 401, 403 and 422.
	Accept, Reject []wire.Predicate
	// HTTP2 and Proxy have net/http send the deliveries instead of our own client.
	HTTP2 bool
	Proxy *url.URL
}

// Options are how a run is watched.
type Options struct {
	// Watch is shown the run ten times a second at most.
	Watch func(Snapshot)
	// Results is given every hit: the time at which it was due and its latency from
	// then. It must not keep the Result. The attack is named after the class.
	Results func(*vegeta.Result)
	// Abort ends the run where it returns a reason.
	Abort func(Snapshot) string
	// Sampled is given, when the run is over, a random sample of the hits of each class,
	// Sample of each at most.
	Sampled func([]Delivery)
	Sample  int
	// Now is the clock that deliveries are stamped by, time.Now where it is nil.
	Now func() time.Time
	// All these functions are called from one goroutine, Now excepted.
}

// Delivery is a hit of the sample.
type Delivery struct {
	Class Class
	Token string // its id
	// Outcome is what became of it: accepted, refused, unavailable, other or error.
	Outcome string
}

// Snapshot is a run under way.
type Snapshot struct {
	At, Left time.Duration
	Stage    string          // its name, or its plan in words
	Total    reports.Traffic // its counts so far; no distributions
	Last     reports.Second  // the last whole second
	Waiting  int64           // hits that are due, and have no connection yet
	Open     int             // connections

	measure func() reports.Measurement
}

// Measurement is all that was measured so far. It costs a few milliseconds, and
// may be asked for only until the function that was given the snapshot returns.
func (s Snapshot) Measurement() reports.Measurement { return s.measure() }

// Run sends what the plan says and returns what was measured. A plan that cannot be
// carried out is an error, and nothing is sent. A run whose context is cancelled
// ends within a second, and what was measured until then is returned as
// interrupted.
func Run(ctx context.Context, t Target, p Plan, o Options) (reports.Measurement, error) {
	if err := p.Check(t); err != nil {
		return reports.Measurement{}, err
	}
	r, err := newRun(t, p, o)
	if err != nil {
		return reports.Measurement{}, err
	}
	return r.run(ctx)
}
