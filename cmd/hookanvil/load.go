package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

func newLoad() *cobra.Command {
	var settings suites.Settings
	var o suites.AttackSettings
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Put signed deliveries on a receiver at a rate, and measure",
		Long: `Send deliveries at a rate, each freshly signed, and measure what becomes of them and
how soon, from when each was due. Beside honest deliveries, others can be mixed in:
forged, tampered, stale, replayed, duplicate, unsigned, malformed, oversized.

Before it begins, an honest delivery must be accepted; after it, one is sent again, and
a forged one. A target that listens no more, or lets the forgery in, has failed. With a
probe (--probe-url, --probe-exec, --probe-file), what was accepted is looked up when the
load is over, and so is what had to be refused: lost, repeated, or acted on.

What the load costs this machine, and how well it kept time, is measured as well: of a
run that tells of the generator, and not of the target, times neither hold nor break
anything. Counts do, where every delivery was sent.

Thresholds are conditions on what is measured, such as honest.latency.p99 <= 250ms.
Beside them, and unless they say otherwise of the same figures, less than 1 % may be
left unserved, honest deliveries must be accepted and the others refused, and effects
be there once.

Exit codes: 0 the thresholds hold; 1 one does not, or the target has failed; 2 usage;
3 invalid, or nothing could be concluded, as where the generator or the time ended a
search for the capacity; 4 hookanvil itself failed; 130 interrupted.`,
		Example: `  hookanvil load --target http://127.0.0.1:8080/hook --profile svix --secret env:WEBHOOK_SECRET --rate 2000/s --duration 60s
  hookanvil load --mix honest=90,forged=10 --threshold 'honest.latency.p99 <= 250ms' --threshold 'forged.accepted == 0' ...
  hookanvil load --mix honest=80,duplicate=20 --probe-url 'http://127.0.0.1:8080/effects?id={token}#/count' ...
  hookanvil load --closed --connections 64 ...
  hookanvil load --report json=before.json --report html=before.html ...
  hookanvil load --find-capacity --rate 100/s --within 5m --threshold 'honest.latency.p99 <= 100ms' ...
  hookanvil load --report vegeta=- ... | vegeta plot > plot.html`,
		Args: cobra.NoArgs,
	}
	complete := bind(cmd, &settings, suites.AttackSettingNames...)
	for name, doc := range loadDocs {
		cmd.Flags().Lookup(name).Usage = doc
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.Mix, "mix", nil, "classes of deliveries by weight: honest=90,forged=10 (default honest alone)")
	f.StringArrayVar(&o.Thresholds, "threshold", nil, "condition that must hold: 'honest.latency.p99 <= 250ms'; may be given more than once")
	f.StringArrayVar(&o.AbortOn, "abort-on", nil, "condition that ends the load early: 'errors.rate > 50%'")
	f.BoolVar(&o.Closed, "closed", false, "send as fast as is answered, instead of at a rate")
	f.DurationVar(&o.Timeout, "timeout", 0, "time for one hit (default: the profile's deadline, or 15s)")
	f.DurationVar(&o.MaxLag, "max-lag", 0, "how late this machine may begin 1 of 100 hits before the run is invalid (default 1ms, or a tenth of the p99)")
	f.StringVar(&o.RampFrom, "ramp-from", "", "rate from which it goes evenly to --rate: 100/s")
	f.StringVar(&o.Size, "size", "", "size to which the profile's payload is padded: 512, 16KiB")
	f.StringSliceVar(&o.Sizes, "sizes", nil, "sizes by weight: 512:90,16KiB:10")
	f.StringVar(&o.Bodies, "bodies", "", "directory of bodies, to be sent instead of the profile's payload")
	f.StringVar(&o.Oversize, "oversize", "", "size of the class oversized (default 2MiB)")
	f.BoolVar(&o.HTTP2, "http2", false, "speak HTTP/2, by a slower client")
	f.BoolVar(&o.FindCapacity, "find-capacity", false, "look for the highest rate at which the thresholds hold, beginning with --rate; --duration is that of one trial then")
	f.StringVar(&o.MaxRate, "max-rate", "", "the highest rate to try (default 100000/s)")
	f.DurationVar(&o.Within, "within", 0, "time for the search (default 2m)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := complete(); err != nil {
			return err
		}
		ctx, cancel := interruptible()
		defer cancel()
		attack, err := settings.Attack(ctx, o)
		if err != nil {
			return err
		}
		live := liveOn(os.Stderr)
		m, err := attack.Run(ctx, cmd.OutOrStdout(), suites.Screen{Show: live.Show, Say: live.Say})
		live.Clear()
		var unready suites.Unready
		switch {
		case errors.As(err, &unready):
			return exitCode{reports.ExitInconclusive, err}
		case ctx.Err() != nil && m.Schema == "":
			return exitCode{code: reports.ExitInterrupted}
		case m.Schema == "":
			return harness(err)
		}
		told := tellLoad(cmd, attack, m)
		if err != nil {
			return harness(err)
		}
		return told
	}
	return cmd
}

// loadDocs are what settings mean where a load is all that is sent.
var loadDocs = map[string]string{
	"rate":     "hits per second: 200/s (default 100/s)",
	"duration": "how long (default 10s)",
	"report":   "FORMAT=PATH of a report: terminal, json, markdown, html, csv, hdr, prometheus, vegeta, vegeta-json; - stands for standard output",
}

// tellLoad writes the reports of a load, and tells the terminal unless one went there.
func tellLoad(cmd *cobra.Command, attack *suites.Attack, m reports.Measurement) error {
	toStdout, err := attack.WriteReports(cmd.OutOrStdout(), m)
	if !toStdout {
		err = errors.Join(err, terminalOf(os.Stdout).WriteMeasurement(cmd.OutOrStdout(), m))
	}
	if err != nil {
		return harness(err)
	}
	if code := m.ExitCode(); code != reports.ExitPassed {
		return exitCode{code: code}
	}
	return nil
}

// liveOn shows a load as it goes.
func liveOn(f *os.File) *reports.Live {
	return &reports.Live{
		Screen: terminalOf(f), Out: f,
		Overwrite: term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb",
	}
}
