package suites

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
	"github.com/hookanvil/hookanvil/suites/load"
	"github.com/hookanvil/hookanvil/suites/load/attack"
	"github.com/hookanvil/hookanvil/suites/receiver"
)

// Declared is what the shares in the scenarios of load are shares of. Zero fields take
// load.DefaultRate, load.DefaultTime and the connections of attack.Plan.
type Declared struct {
	Rate        float64 // hits per second
	Time        time.Duration
	Connections int
	// Concurrency is how many attempts at one endpoint a sender declares to make at once at
	// most; 0 where it does not.
	Concurrency int

	maxLag time.Duration // see attack.Plan
}

// ofLoad are the settings that say something to cases of load alone.
var ofLoad = []string{"rate", "duration", "connections", "concurrency", "allow-remote-load"}

// declared reads what the settings say of load.
func (s Settings) declared() (Declared, error) {
	d := Declared{Time: s.Duration, Connections: s.Connections, Concurrency: s.Concurrency}
	if s.Duration > scenarios.MaxLoadTime {
		return d, fmt.Errorf("read --duration %s: a load lasts at most %s", s.Duration, "1h")
	}
	if s.flags["duration"] && s.Duration == 0 {
		return d, errors.New("read --duration: a load of no time sends nothing; give one such as 30s")
	}
	if s.Rate == "" {
		return d, nil
	}
	var err error
	if d.Rate, err = scenarios.ParsePerSecond(s.Rate); err != nil {
		return d, fmt.Errorf("read --rate %s: %w", strictyaml.Quote(s.Rate), err)
	}
	return d, nil
}

// checkLoad finds settings of load that nothing needs, and a target that must not be
// loaded by mistake.
func (s Settings) checkLoad(loaded bool, about reports.Subject) error {
	if !loaded {
		if i := slices.IndexFunc(ofLoad, func(name string) bool { return s.flags[name] }); i >= 0 {
			return fmt.Errorf("use --%s: it is for the suites of load, and none is selected; leave it out, or name one: hookanvil run load/latency", ofLoad[i])
		}
		return nil
	}
	if about.Role != receiverRole || s.AllowRemoteLoad && s.flags["allow-remote-load"] {
		return nil
	}
	u, err := url.Parse(about.Target)
	if err == nil && isLoopbackHost(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("put a load on %s: it is not on this machine, and a load may take it down; where it is yours to load, say --allow-remote-load on the command line", strictyaml.Quote(about.Target))
}

func isLoopbackHost(host string) bool {
	at, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && at.Unmap().IsLoopback()
}

// underLoad is a receiver as the judge of load sees it.
func underLoad(s receiver.Subject, d Declared) load.Subject {
	return load.Subject{
		Target: attack.Target{
			URL: s.URL, Endpoint: s.Endpoint, Profile: s.Profile, Keys: s.Keys, Other: s.Other, Headers: s.Headers,
			Accept: s.Answers.Accept, Reject: s.Answers.Reject,
		},
		Probe: s.Probe, Rate: d.Rate, Time: d.Time, Connections: d.Connections,
		Timeout: s.Limits.Answer, MaxLag: d.maxLag, Settle: s.Limits.Settle,
	}
}
