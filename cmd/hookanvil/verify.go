package main

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

func newVerify() *cobra.Command {
	var settings suites.Settings
	cmd := &cobra.Command{
		Use:   "verify [REQUEST-FILE]",
		Short: "Verify a captured delivery, and say which check failed",
		Long: `Verify a delivery, read from a file or from standard input: a request line, which may
be missing, header lines, an empty line and the body byte for byte. Exit code 0
where it is authentic, 1 where it is not.`,
		Example: `  hookanvil verify --profile stripe --secret env:WEBHOOK_SECRET < request.http
  hookanvil verify request.http --at 2026-01-31T12:00:00Z ...
  (hookanvil sign body.json ...; echo; cat body.json) | hookanvil verify ...`,
		Args: cobra.MaximumNArgs(1),
	}
	complete := bind(cmd, &settings, "profile", "secret", "target")
	at := cmd.Flags().String("at", "", "time to judge the timestamp by, such as 2026-01-31T12:00:00Z; now unless given")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := complete(); err != nil {
			return err
		}
		p, keys, err := settings.Signer()
		if err != nil {
			return err
		}
		now, err := moment(*at)
		if err != nil {
			return err
		}
		raw, err := input(cmd, args)
		if err != nil {
			return err
		}
		in, err := suites.ReadRequest(raw)
		if err != nil {
			return err
		}
		in.URL = cmp.Or(settings.Target, in.URL)
		found, err := p.Verify(in, keys, now)
		var refusal *profile.Refusal
		if errors.As(err, &refusal) {
			return exitCode{reports.ExitFailed, fmt.Errorf("not authentic under profile %s: %w", p.Name, refusal)}
		}
		if err != nil {
			return err
		}
		return emit(cmd, accountOf(p, found, now))
	}
	return cmd
}

func accountOf(p *profile.Profile, found profile.Accepted, now time.Time) string {
	text := fmt.Sprintf("authentic under profile %s: signature %s", p.Name, found.Scheme)
	if found.ID != "" {
		text += ", delivery " + reports.Printable([]byte(found.ID), 200)
	}
	if !found.Timestamp.IsZero() {
		text += fmt.Sprintf(", signed %s before", now.Sub(found.Timestamp).Round(time.Second))
	}
	return text + "\n"
}
