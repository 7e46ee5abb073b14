package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/fixtures/profile/diagnosis"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

func newDiagnose() *cobra.Command {
	var settings suites.Settings
	var how suites.DiagnoseSettings
	cmd := &cobra.Command{
		Use:   "diagnose [CAPTURE]",
		Short: "Find out why a delivery's signature does not verify",
		Long: fmt.Sprintf(`Find out what was done to a delivery instead of what the profile says: which other
key, content, algorithm or encoding yields the very signature that was sent. %d
mistakes are tried, one at a time and two together; nothing is claimed that does not
yield every byte. What cannot be explained is said, with what else to look at.

The capture is a file, or - for standard input: a request as it crossed the wire
(request line, header lines, an empty line, the body), a HAR, a recording of
hookanvil listen, a run's journal or JSON report, or one exchange out of a report.
Give the body byte for byte: what was parsed and written anew is another body.

Secrets that the sender may have signed with by mistake can be named as well, with
--retired-secret and --other-secret. --target is the URL that the sender was given,
where the signature covers it. A delivery's age is judged by when the capture says
that it arrived, by --at, or by now.

Exit codes: 0 every delivery verifies; 1 one does not verify, or is too old, and it
is known why; 2 the capture, a flag or a secret cannot be read; 3 one does not
verify, and none of the mistakes explains it.`, len(diagnosis.Hypotheses())),
		Example: `  hookanvil diagnose request.http --profile svix --secret env:WEBHOOK_SECRET
  hookanvil diagnose session.har --profile stripe --secret file:secret.txt --only evt_123 --json
  hookanvil diagnose deliveries.jsonl --profile github --secret env:NEW --retired-secret env:OLD
  pbpaste | hookanvil diagnose - --profile square --secret env:WEBHOOK_SECRET --target https://example.com/hook`,
		Args: cobra.MaximumNArgs(1),
	}
	complete := bind(cmd, &settings, "profile", "secret", "retired-secret", "other-secret", "target")
	f := cmd.Flags()
	at := f.String("at", "", "time at which it arrived, such as 2026-01-31T12:00:00Z")
	f.StringArrayVar(&how.Only, "only", nil, "id of the delivery to look at; may be repeated")
	asJSON := f.Bool("json", false, "tell as JSON ("+suites.DiagnosisSchema+")")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := complete(); err != nil {
			return err
		}
		if *at != "" {
			when, err := moment(*at)
			if err != nil {
				return err
			}
			how.At = when
		}
		raw, err := input(cmd, args)
		if err != nil {
			return err
		}
		list, err := suites.ReadCaptured(nameOf(args), raw)
		if err != nil {
			return err
		}
		found, err := settings.Diagnose(how, list)
		if err != nil {
			return err
		}
		return diagnosed(cmd, found, *asJSON)
	}
	return cmd
}

// nameOf is what the input is called in messages.
func nameOf(args []string) string {
	if len(args) == 0 || args[0] == "-" {
		return "standard input"
	}
	return args[0]
}

func diagnosed(cmd *cobra.Command, found suites.Diagnosis, asJSON bool) error {
	text := found.String()
	if asJSON {
		var err error
		if text, err = found.JSON(); err != nil {
			return harness(fmt.Errorf("write the diagnosis: %w", err))
		}
	}
	if err := emit(cmd, text); err != nil {
		return err
	}
	if code := found.ExitCode(); code != reports.ExitPassed {
		return exitCode{code: code}
	}
	return nil
}
