package suites

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/reports"
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
	files    []reportFile
}

type reportFile struct {
	path  string
	write func(io.Writer, reports.Absorption) error
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
	if a.files, err = absorptionFiles(k.Report); err != nil {
		return nil, err
	}
	if a.Sink, err = sink.New(o); err != nil {
		return nil, err
	}
	if a.listener, err = listenOn(k.Listen); err != nil {
		return nil, err
	}
	return a, nil
}

func absorptionFiles(texts []string) (files []reportFile, err error) {
	for _, text := range texts {
		name, path, _ := strings.Cut(text, "=")
		file := reportFile{path: path}
		var names []string
		for _, f := range reports.AbsorptionFormats {
			if names = append(names, f.Name); f.Name == name {
				file.write = f.Write
			}
		}
		if file.write == nil || path == "" {
			return nil, fmt.Errorf("read --report %q: it must be FORMAT=PATH, of the formats %s", text, strings.Join(names, ", "))
		}
		files = append(files, file)
	}
	return files, nil
}

// URL is where deliveries are to be sent. Any path will do.
func (a *Absorber) URL() string { return "http://" + a.listener.Addr().String() + "/" }

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
	for _, f := range a.files {
		write := func(w io.Writer) error { return f.write(w, report) }
		if f.path == "-" {
			toStdout = true
			err = errors.Join(err, write(stdout))
		} else if e := reports.Replace(f.path, write); e != nil {
			err = errors.Join(err, fmt.Errorf("write report %s: %w", f.path, e))
		}
	}
	return toStdout, err
}
