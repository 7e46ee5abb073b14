package suites

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites/load"
	"github.com/hookanvil/hookanvil/suites/load/sink"
)

// SinkSettings are what a sink is told besides a profile and secrets.
type SinkSettings struct {
	Listen          string
	PublicURL       string
	Expect          int64         // deliveries; 0 where nobody says
	Duration        time.Duration // 0 for no end
	Sequence        string
	Outage, Slow    []string
	AllowDuplicates int64
	Report          []string // FORMAT=PATH
}

// Absorber is a sink that listens.
type Absorber struct {
	*sink.Sink
	settings SinkSettings
	listener net.Listener
	secure   bool
	reports  []destination
}

// Sink makes a sink and begins to listen; Serve absorbs.
func (s Settings) Sink(k SinkSettings) (*Absorber, error) {
	p, keys, err := s.Signer()
	if err != nil {
		return nil, err
	}
	o := sink.Options{Profile: p, Keys: keys, URL: strings.TrimSuffix(k.PublicURL, "/"), Sequence: k.Sequence, Expect: k.Expect}
	if k.Expect < 0 || k.Duration < 0 || k.AllowDuplicates < 0 {
		return nil, errors.New("read the flags of the sink: --expect, --duration and --allow-duplicates are not below 0")
	}
	for _, text := range k.Outage {
		outage, err := sink.ParseOutage(text)
		if err != nil {
			return nil, err
		}
		o.Outages = append(o.Outages, outage)
	}
	for _, text := range k.Slow {
		slow, err := sink.ParseSlow(text)
		if err != nil {
			return nil, err
		}
		o.Slow = append(o.Slow, slow)
	}
	a := &Absorber{settings: k}
	if a.reports, err = absorptionReports(k.Report); err != nil {
		return nil, err
	}
	authority, clients, err := s.endpointTLS()
	if err != nil {
		return nil, err
	}
	if a.listener, err = listenOn(k.Listen); err != nil {
		return nil, err
	}
	if o.TLS, err = load.EndpointTLS(authority, clients, a.listener.Addr()); err == nil {
		a.Sink, err = sink.New(o)
	}
	if err != nil {
		return nil, errors.Join(err, a.listener.Close())
	}
	a.secure = o.TLS != nil
	return a, nil
}

func absorptionReports(texts []string) ([]destination, error) {
	var names []string
	for _, f := range reports.AbsorptionFormats {
		names = append(names, f.Name)
	}
	return readDestinations(texts, names, "format of a sink", "json=sink.json")
}

// URL is where deliveries are to be sent. Any path will do.
func (a *Absorber) URL() string {
	if a.secure {
		return "https://" + a.listener.Addr().String() + "/"
	}
	return "http://" + a.listener.Addr().String() + "/"
}

// Serve absorbs until the context ends, the time is over, or everything that is expected
// has come and nothing more for a second; tell is called once a second. Complete is false
// where the context ended it before what was asked for had come.
func (a *Absorber) Serve(ctx context.Context, every time.Duration, tell func(sink.Snapshot)) (reports.Absorption, error) {
	served := make(chan error, 1)
	go func() { served <- a.Sink.Serve(a.listener) }()
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	var end <-chan time.Time
	if a.settings.Duration > 0 {
		timer := time.NewTimer(a.settings.Duration)
		defer timer.Stop()
		end = timer.C
	}
	state, quiet, err := reports.Complete, time.Now(), error(nil)
	var last sink.Snapshot
	for over := false; !over; {
		select {
		case <-ctx.Done():
			over = true
			if a.settings.Duration > 0 || a.settings.Expect > last.Deliveries {
				state = reports.Interrupted
			}
		case <-end:
			over = true
		case err = <-served:
			served <- nil
			over = true
		case <-ticks.C:
			now := a.Snapshot()
			if now.Verified != last.Verified || now.Refused != last.Refused {
				quiet = time.Now()
			}
			last = now
			tell(now)
			over = a.settings.Expect > 0 && now.Deliveries >= a.settings.Expect && time.Since(quiet) >= time.Second
		}
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	err = errors.Join(err, a.Shutdown(ending), <-served)
	report := a.Report()
	report.State, report.Tool = state, Tool()
	return report, err
}

// WriteReports writes the reports that were asked for; toStdout tells that one of them
// went there.
func (a *Absorber) WriteReports(stdout io.Writer, report reports.Absorption) (toStdout bool, err error) {
	var outputs []output
	for _, d := range a.reports {
		outputs = append(outputs, output{d.path, func(w io.Writer) error { return reports.AbsorptionFormats[d.format].Write(w, report) }})
	}
	return writeOutputs(stdout, outputs)
}
