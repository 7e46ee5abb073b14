package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hookanvil/hookanvil/suites"
)

func newRun() *cobra.Command {
	var settings suites.Settings
	cmd := &cobra.Command{
		Use:   "run [ROLE | SUITE | CASE | FILE | DIR | FILE:CASE]...",
		Short: "Judge a receiver, or a sender",
		Long: `Judge a receiver or a sender by the built-in catalogue, by a part of it, or by
scenarios of your own. Without arguments the whole catalogue of one role runs: that
of receivers where --target is given, that of senders where --trigger is.

To judge a sender, hookanvil poses as the receiver. Say with --trigger how to have
it deliver an event and, where it can be told of endpoints, with --register how. A
sender that nobody can trigger is judged all the same: hookanvil run sender says
what to do, and waits.

Settings come from flags, then from the environment (HOOKANVIL_TARGET for --target,
HOOKANVIL_SECRET with the secret itself), then from hookanvil.yaml.` + reportHelp(),
		Example: `  hookanvil run --target http://127.0.0.1:8080/webhook --profile github --secret env:WEBHOOK_SECRET
  hookanvil run receiver/signature --report junit=report.xml ...
  hookanvil run receiver/signature/body-bit-flipped ...
  hookanvil run my-scenarios/ --filter 'signature && must' ...
  hookanvil run --probe-url 'http://127.0.0.1:8080/effects?token={token}#/effects' ...

  hookanvil run sender --profile svix --secret env:WEBHOOK_SECRET \
    --register 'POST http://127.0.0.1:9000/endpoints {"url":"{url}","secret":"{secret}"}' \
    --trigger 'POST http://127.0.0.1:9000/events {"endpoint":"{register:/id}","token":"{token}"}' \
    --retry-schedule 5s,5m,30m --time-scale 1/1000
  hookanvil run sender/retry --trigger 'exec ./fire {url} {token}' --observe observed.yaml ...
  hookanvil run sender/request --listen 127.0.0.1:8080 ...`,
		ValidArgsFunction: completeNames,
	}
	complete := bind(cmd, &settings)
	verbose := cmd.Flags().BoolP("verbose", "v", false, "list what passed, and show all evidence")
	cmd.SetUsageFunc(usageByRole)
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
		plan.Watch, plan.Prompt = line.show, line.prompt(os.Stderr)
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

// usageByRole is the usage of a verb whose flags are for a receiver, for a sender or
// for either.
func usageByRole(cmd *cobra.Command) error {
	groups := []struct {
		role, title string
		flags       *pflag.FlagSet
	}{
		{"", "Flags", new(pflag.FlagSet)}, {"receiver", "Flags for a receiver", new(pflag.FlagSet)}, {"sender", "Flags for a sender", new(pflag.FlagSet)},
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		for _, g := range groups {
			if roleOf(f) == g.role {
				g.flags.AddFlag(f)
			}
		}
	})
	width := terminalOf(os.Stdout).Width
	text := fmt.Sprintf("Usage:\n  %s\n\nExamples:\n%s\n", cmd.UseLine(), cmd.Example)
	for _, g := range groups {
		text += fmt.Sprintf("\n%s:\n%s", g.title, g.flags.FlagUsagesWrapped(width))
	}
	_, err := fmt.Fprint(cmd.OutOrStderr(), text)
	return err
}
