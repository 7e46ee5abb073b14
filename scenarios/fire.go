package scenarios

import (
	"time"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// MaxEvents are the most that a sender is made to deliver in one case.
const MaxEvents = 1_000_000

// Firing is the events that a sender is given by the clock, to its endpoints in turn,
// and how its deliveries are answered. Rates and times are absolute, or shares of those
// that the run declares.
type Firing struct {
	Rate      Rate          `yaml:"rate" required:"true" doc:"events per second: 50/s, or 100% of the run's"`
	For       Extent        `yaml:"for" required:"true" doc:"for how long: 10s, or 100% of the run's time"`
	Endpoints int           `yaml:"endpoints" range:"1..100" doc:"endpoints that events go to in turn; one unless said otherwise"`
	SlowBy    time.Duration `yaml:"slow-by" doc:"by how much the answers of the first endpoint are delayed"`
	Outage    *Outage       `yaml:"outage" doc:"a time in which deliveries are answered 503"`
	UpTo      Rate          `yaml:"up-to" doc:"the highest rate that is tried, each for that time, to find the one at which the sender still keeps up"`
	Search    Extent        `yaml:"search" doc:"for how long it is looked for: 2m, or 2000% of the run's time"`
}

// Outage is counted from the first delivery.
type Outage struct {
	From Extent `yaml:"from" required:"true" doc:"when it begins, after the first delivery"`
	For  Extent `yaml:"for" required:"true" doc:"how long it lasts"`
}

// Within are bounds of what is measured of a sender. What is 0 is not bounded.
type Within struct {
	Latency time.Duration `yaml:"latency" doc:"from the event to its arrival, for 99 of 100"`
	Drain   Extent        `yaml:"drain" doc:"after an outage, until what it held up has arrived: 30s, or 400% of the run's time"`
	Herd    int           `yaml:"herd" range:"2..1000" doc:"the busiest fifth of a second after an outage, in multiples of the rate before it"`
	Rate    Rate          `yaml:"rate" doc:"the highest rate at which the sender keeps up, at least: 75/s, or 150% of the run's"`
	Fair    int           `yaml:"fair" range:"2..1000" doc:"latency of the other endpoints beside a slow one, in multiples of that without"`
}

// The longest that an answer of a slow endpoint is delayed.
const maxSlowBy = 10 * time.Second

// fires checks what a sender is given.
func (c *checker) fires(n *strictyaml.Node, one *Case) {
	fire := n.Get("fire")
	if fire == nil {
		c.problem(n, "add fire: {rate: 100%, for: 100%}", "the case fires no events")
		return
	}
	f := one.Fire
	c.within(fire.Get("slow-by"), f.SlowBy, maxSlowBy, "10s")
	c.within(n.Get("within").Get("latency"), one.Within.Latency, MaxLoadTime, "1h")
	if events := f.Rate.PerSecond * f.For.Time.Seconds(); events > MaxEvents {
		c.problem(fire, "", "that makes %.0f events; the limit is %d", events, MaxEvents)
	}
	c.searches(fire, f)
	if rate := n.Get("within").Get("rate"); rate != nil && f.UpTo == (Rate{}) {
		c.problem(rate, "add up-to and search to fire", "the highest rate is bounded, and not looked for")
	}
	if o := f.Outage; o != nil && endsAfter(*o, f.For) {
		c.problem(fire.Get("outage"), "let events be fired for longer: what comes after the outage is what counts", "the outage ends when no more events are fired")
	}
}

// searches checks how the highest rate is looked for.
func (c *checker) searches(fire *strictyaml.Node, f *Firing) {
	upTo, search := fire.Get("up-to"), fire.Get("search")
	switch {
	case upTo == nil && search == nil:
	case search == nil:
		c.problem(fire.Key("up-to"), "add search: 2000%, or a time such as 2m", "it is not said for how long the highest rate is looked for")
	case upTo == nil:
		c.problem(fire.Key("search"), "add up-to: 400%, or a rate such as 200/s", "it is not said up to which rate is tried")
	case f.Outage != nil || f.SlowBy > 0:
		c.problem(fire.Key("up-to"), "write two cases", "the highest rate is looked for where all is well: without outage and slow-by")
	case f.UpTo.Share > 0 && f.UpTo.Share < f.Rate.Share || f.UpTo.PerSecond > 0 && f.UpTo.PerSecond < f.Rate.PerSecond:
		c.problem(upTo, "", "the search begins with %s, which is more", f.Rate)
	case f.Search.Share > 0 && f.Search.Share < f.For.Share || f.Search.Time > 0 && f.Search.Time < f.For.Time:
		c.problem(search, "", "a single trial lasts %s, which is more", f.For)
	case f.UpTo.PerSecond*f.For.Time.Seconds() > MaxEvents:
		c.problem(upTo, "", "a trial would make %.0f events; the limit is %d", f.UpTo.PerSecond*f.For.Time.Seconds(), MaxEvents)
	}
}

// endsAfter tells of an outage that lasts to the end; of times and shares in one it
// cannot be known before a run.
func endsAfter(o Outage, whole Extent) bool {
	if whole.Share > 0 && o.From.Share > 0 && o.For.Share > 0 {
		return o.From.Share+o.For.Share >= whole.Share
	}
	return whole.Time > 0 && o.From.Time+o.For.Time >= whole.Time
}

// within checks a time that is not 0 where it is given.
func (c *checker) within(n *strictyaml.Node, d, most time.Duration, words string) {
	if n != nil && (d <= 0 || d > most) {
		c.problem(n, "", "%s must be more than 0 and at most %s, got %s", n.Name(), words, strictyaml.Quote(n.Value))
	}
}
