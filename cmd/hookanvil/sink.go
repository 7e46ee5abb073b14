package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
	"github.com/hookanvil/hookanvil/suites/load/sink"
)

func newSink() *cobra.Command {
	var settings suites.Settings
	var k suites.SinkSettings
	cmd := &cobra.Command{
		Use:   "sink",
		Short: "Absorb deliveries at line rate, verify and count them",
		Long: `Take deliveries on every path until ^C, --duration or --expect, verify each, and count
what is forged, lost, repeated or out of order. Ids are told apart up to 16 million.
With --pki it speaks TLS; with --client-ca too, whoever shows no client certificate
from there is refused in the handshake, and counted.

Exit code 0 where everything was authentic and nothing lost or repeated; 1 where
something was; 3 where nothing arrived, or losses could not be told.`,
		Example: `  hookanvil sink --profile github --secret env:WEBHOOK_SECRET --expect 100000
  hookanvil sink --profile svix --secret env:WEBHOOK_SECRET --outage 10s@30s --report json=sink.json
  hookanvil sink --profile svix --secret env:WEBHOOK_SECRET --pki pki      # by https
  hookanvil sink --profile svix --secret env:WEBHOOK_SECRET --pki pki --client-ca pki/ca.pem      # by mutual TLS
  hookanvil sink --profile slack --secret env:WEBHOOK_SECRET --slow 200ms@/hooks/a --sequence /n`,
		Args: cobra.NoArgs,
	}
	complete := bind(cmd, &settings, "profile", "secret", "pki", "client-ca")
	f := cmd.Flags()
	f.StringVar(&k.Listen, "listen", "", "address to listen on (default: "+suites.DefaultListen+", or the next port that is free)")
	f.StringVar(&k.PublicURL, "public-url", "", "URL of a tunnel or proxy in front, where the profile signs the URL")
	f.Int64Var(&k.Expect, "expect", 0, "distinct deliveries that are to come; end once they have")
	f.DurationVar(&k.Duration, "duration", 0, "end after so long")
	f.StringVar(&k.Sequence, "sequence", "", "where deliveries are numbered: a JSON pointer such as /n, or a header")
	f.StringArrayVar(&k.Outage, "outage", nil, "answer 503 for a time, counted from the first request: 10s@30s, 10s@30s@/path, 10s@30s@refuse; may be repeated")
	f.StringArrayVar(&k.Slow, "slow", nil, "answer slowly: 200ms, 200ms@10s-20s, 200ms@/path; may be repeated")
	f.Int64Var(&k.AllowDuplicates, "allow-duplicates", 0, "deliveries that may be repeated after they were accepted")
	f.StringArrayVar(&k.Report, "report", nil, "FORMAT=PATH of a report: json, terminal, markdown or prometheus; - stands for standard output")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := complete(); err != nil {
			return err
		}
		return absorb(cmd, settings, k)
	}
	return cmd
}

func absorb(cmd *cobra.Command, settings suites.Settings, k suites.SinkSettings) error {
	a, err := settings.Sink(k)
	if err != nil {
		return err
	}
	ctx, cancel := interruptible()
	defer cancel()
	line := &liveSink{progress: newProgress(os.Stdout), cmd: cmd, at: time.Now()}
	every := time.Second
	if line.w != nil {
		every = 200 * time.Millisecond
	}
	said := emit(cmd, fmt.Sprintf("Absorbing on %s; ^C ends it.\n", a.URL()))
	if said != nil {
		cancel()
	}
	report, err := a.Serve(ctx, every, line.show)
	line.clear()
	if err == nil {
		err = said
	}
	toStdout, failed := a.WriteReports(cmd.OutOrStdout(), report)
	if err = errors.Join(err, failed); !toStdout {
		err = errors.Join(err, terminalOf(os.Stdout).WriteAbsorption(cmd.OutOrStdout(), report))
	}
	switch code := report.ExitCode(k.AllowDuplicates); {
	case err != nil:
		return harness(err)
	case report.State == reports.Interrupted && code != reports.ExitFailed:
		return exitCode{reports.ExitInterrupted, errors.New("interrupted before the end that was asked for")}
	case code != reports.ExitPassed:
		return exitCode{code: code}
	}
	return nil
}

// liveSink shows how a sink gets on: over and over on one line of a terminal, and on a
// line each elsewhere, where anything has changed.
type liveSink struct {
	progress
	cmd  *cobra.Command
	last sink.Snapshot
	at   time.Time
}

func (l *liveSink) show(now sink.Snapshot) {
	at := time.Now()
	rate := float64(now.Verified-l.last.Verified) / at.Sub(l.at).Seconds()
	changed := now.Verified != l.last.Verified || now.Refused != l.last.Refused
	l.last, l.at = now, at
	line := fmt.Sprintf("%.0f/s  %d verified, %d duplicates, %d refused, %d in flight, %d connections",
		rate, now.Verified, now.Duplicates, now.Refused, now.InFlight, now.Connections)
	if l.w != nil {
		fmt.Fprint(l.w, eraseLine+line[:min(len(line), max(l.width-1, 0))])
	} else if changed {
		// That it cannot be written shows when the report is.
		_ = emit(l.cmd, line+"\n")
	}
}
