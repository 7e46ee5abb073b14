package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/suites"
)

func newRun() *cobra.Command {
	var settings suites.Settings
	cmd := &cobra.Command{
		Use:   "run [SUITE | CASE | FILE | DIR | FILE:CASE]...",
		Short: "Judge a receiver",
		Long: `Judge a receiver by the built-in catalogue, by a part of it, or by scenarios of
your own. Without arguments the whole catalogue runs.

Settings come from flags, then from the environment (HOOKANVIL_TARGET for --target,
HOOKANVIL_SECRET with the secret itself), then from hookanvil.yaml.`,
		Example: `  hookanvil run --target http://127.0.0.1:8080/webhook --profile github --secret env:WEBHOOK_SECRET
  hookanvil run receiver/signature --report junit=report.xml ...
  hookanvil run receiver/signature/body-bit-flipped ...
  hookanvil run my-scenarios/ --filter 'signature && must' ...
  hookanvil run --probe-url 'http://127.0.0.1:8080/effects?token={token}#/effects' ...`,
		ValidArgsFunction: completeNames,
	}
	complete := bind(cmd, &settings)
	verbose := cmd.Flags().BoolP("verbose", "v", false, "list what passed, and show all evidence")
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		if err := complete(); err != nil {
			return err
		}
		ctx, cancel := interruptible()
		defer cancel()
		plan, err := settings.Plan(ctx, names)
		if err != nil {
			return err
		}
		line := newProgress(os.Stderr)
		plan.Watch = line.show
		run, broken := suites.Run(ctx, plan)
		line.clear()
		if run.Results == nil {
			return harness(broken)
		}
		told := tell(cmd, settings, run, *verbose)
		if broken != nil {
			return harness(broken)
		}
		return told
	}
	return cmd
}
