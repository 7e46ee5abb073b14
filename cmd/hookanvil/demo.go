package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

func newDemo() *cobra.Command {
	var settings suites.Settings
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See hookanvil at work on receivers of its own",
		Long: `Judge the embedded reference receiver, which is correct, and then the same receiver
with one defect. Nothing leaves this machine.`,
		Example: `  hookanvil demo
  hookanvil demo --profile github --defect accepts-missing-signature`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&settings.Profile, "profile", "standard-webhooks", "how deliveries are signed")
	cmd.Flags().StringArrayVar(&settings.Report, "report", nil, "FORMAT=PATH of a report on the correct receiver")
	defect := cmd.Flags().String("defect", "compares-prefix-only", "the fault of the second receiver: see hookanvil matrix")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := settings.CheckReports(); err != nil {
			return err
		}
		ctx, cancel := interruptible()
		defer cancel()
		line := newProgress(os.Stderr)
		d, err := suites.Demonstrate(ctx, settings.Profile, *defect, line.show)
		line.clear()
		switch {
		case ctx.Err() != nil:
			return exitCode{reports.ExitInterrupted, errors.New("the demonstration was interrupted")}
		case err != nil:
			return err
		}
		if _, err := settings.WriteReports(cmd.OutOrStdout(), d.Correct); err != nil {
			return harness(err)
		}
		text, err := staged(d)
		if err == nil {
			err = emit(cmd, text)
		}
		if err == nil && !d.AsItShould() {
			err = errors.New("the demonstration went wrong: the correct receiver did not pass, or the defect was not caught")
		}
		return harness(err)
	}
	return cmd
}

// staged is the demonstration as text.
func staged(d suites.Demonstration) (string, error) {
	t := terminalOf(os.Stdout)
	var b strings.Builder
	fmt.Fprintf(&b, "1. A correct receiver, judged by the whole catalogue.\n")
	if err := t.Write(&b, brief(d.Correct)); err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "\n2. A receiver that %s: the defect %s.\n", d.Defect.Sentence, d.Defect.Name)
	if err := t.Write(&b, brief(d.Faulty)); err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "\nNext:\n"+
		"  hookanvil explain %s\n"+
		"  hookanvil reference receiver --defect %s\n"+
		"  hookanvil run --target URL --profile NAME --secret env:NAME\n", firstFailure(d.Faulty), d.Defect.Name)
	return b.String(), nil
}

// brief leaves out the figures, and all evidence but that of the first failure.
func brief(run reports.Run) reports.Run {
	run.Results = slices.Clone(run.Results)
	for i, r := range run.Results {
		run.Results[i].Figures = nil
		if r.ID != firstFailure(run) {
			run.Results[i].Evidence, run.Results[i].Reproduce = nil, ""
		}
	}
	return run
}

func firstFailure(run reports.Run) string {
	for _, r := range run.Results {
		if r.Verdict == reports.Fail {
			return r.ID
		}
	}
	return ""
}
