package reports

import (
	"fmt"
	"slices"
)

// Compact returns a copy as a result carries it: without histograms and without the
// series.
func (a *Absorption) Compact() *Absorption {
	c := *a
	c.Series = nil
	for _, d := range []*Distribution{&c.Latency, &c.Age, &c.Gap} {
		d.HDR = ""
	}
	c.Endpoints = slices.Clone(a.Endpoints)
	for i := range c.Endpoints {
		c.Endpoints[i].Latency.HDR = ""
	}
	return &c
}

// with returns a copy of a that has the series and the histograms of the same absorption
// as it was observed.
func (a *Absorption) with(whole *Absorption) *Absorption {
	c := *a
	c.Series = whole.Series
	for _, d := range []struct{ to, from *Distribution }{{&c.Latency, &whole.Latency}, {&c.Age, &whole.Age}} {
		if d.to.Count == d.from.Count {
			d.to.HDR = d.from.HDR
		}
	}
	return &c
}

// CleanAbsorption returns a copy of a without secrets.
func (r *Redactor) CleanAbsorption(a *Absorption) *Absorption {
	if a == nil {
		return nil
	}
	c := *a
	c.Plan, c.Notes = r.Clean(a.Plan), r.cleanAll(a.Notes)
	c.Endpoints, c.Outages = slices.Clone(a.Endpoints), slices.Clone(a.Outages)
	for i := range c.Endpoints {
		c.Endpoints[i].Path = r.Clean(c.Endpoints[i].Path)
	}
	for i := range c.Outages {
		c.Outages[i].Plan = r.Clean(c.Outages[i].Plan)
	}
	return &c
}

// brief is an absorption in a few lines: what arrived, when, and what came of outages.
func (a *Absorption) brief() []string {
	first := fmt.Sprintf("%d verified, %d refused%s, %d duplicates of %d deliveries", a.Verified, a.Refused, tally(a.Reasons), a.Duplicates, a.Deliveries)
	switch {
	case a.Lost != nil:
		first += fmt.Sprintf(", %d lost of %d expected", *a.Lost, *a.Expected)
	case a.Expected != nil:
		first += fmt.Sprintf(", of %d expected it cannot be told how many were lost", *a.Expected)
	}
	lines := []string{first}
	if len(a.Broken) > 0 {
		lines = append(lines, "no deliveries"+tally(a.Broken))
	}
	lines = append(lines, a.pace())
	for _, d := range a.times() {
		lines = append(lines, fmt.Sprintf("%s: p50 %s, p95 %s, p99 %s, max %s", d.name, milliseconds(d.P50), milliseconds(d.P95), milliseconds(d.P99), milliseconds(d.Max)))
	}
	for _, o := range a.Outages {
		lines = append(lines, "outage "+o.words())
	}
	if a.Capacity != nil {
		lines = append(lines, "capacity: "+a.Capacity.Words())
	}
	return append(lines, a.Notes...)
}

// pace is how fast deliveries came.
func (a *Absorption) pace() string {
	return fmt.Sprintf("%.0f/s on average, %.0f/s in the busiest second; at most %d in flight over %d connections", a.Rate, a.Peak, a.InFlight, a.Connections)
}

// named is a distribution with what it is of.
type named struct {
	name string
	Distribution
}

// times are the distributions that people look at, where there is something in them.
func (a *Absorption) times() []named {
	all := []named{{"trigger to arrival", a.Latency}, {"age at arrival", a.Age}}
	return slices.DeleteFunc(all, func(d named) bool { return d.Count == 0 })
}

// words tell what came of an outage.
func (o AbsorbedOutage) words() string {
	drained := fmt.Sprintf("%d deliveries were not made good", o.Left)
	switch {
	case o.Drain != nil:
		drained = "drained in " + millis(*o.Drain)
	case o.Left == 0:
		drained = "nothing was held back that is known of"
	}
	return fmt.Sprintf("%s: %s; %.0f/s before, %.0f/s in the busiest second after", o.Plan, drained, o.Mean, o.Peak)
}
