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
		Short: "See hookanvil at work on receivers and senders of its own",
		Long: `Judge the embedded reference receiver and the reference sender, which are correct,
and then each with one defect. Nothing leaves this machine.` + reportHelp(),
		Example: `  hookanvil demo
  hookanvil demo --profile github --defect accepts-missing-signature --defect ignores-429`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&settings.Profile, "profile", "standard-webhooks", "how deliveries are signed")
	cmd.Flags().StringArrayVar(&settings.Report, "report", nil, "FORMAT=PATH of a report on the first that is correct")
	defects := cmd.Flags().StringArray("defect", nil, "fault of the second receiver, or of the second sender: see hookanvil matrix; one of each unless given")
	whole := cmd.Flags().Bool("whole", false, "do not leave out the cases of senders that run one after the other, which take half a minute")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := settings.CheckReports(); err != nil {
			return err
		}
		ctx, cancel := interruptible()
		defer cancel()
		line := newProgress(os.Stderr)
		d, err := suites.Demonstrate(ctx, settings.Profile, *defects, *whole, line.show)
		line.clear()
		switch {
		case ctx.Err() != nil:
			return exitCode{reports.ExitInterrupted, errors.New("the demonstration was interrupted")}
		case err != nil:
			return err
		}
		for _, x := range d.Exhibits[:1] {
			if _, err := settings.WriteReports(cmd.OutOrStdout(), x.Correct); err != nil {
				return harness(err)
			}
		}
		text, err := staged(d)
		if err == nil {
			err = emit(cmd, text)
		}
		if err == nil && !d.AsItShould() {
			err = errors.New("the demonstration went wrong: a correct subject did not pass, or a defect was not caught")
		}
		return harness(err)
	}
	return cmd
}

// staged is the demonstration as text.
func staged(d suites.Demonstration) (string, error) {
	t := terminalOf(os.Stdout)
	var b strings.Builder
	for i, x := range d.Exhibits {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%d. A correct %s, judged by %s.\n", 2*i+1, x.Role, judgedBy(x))
		if err := t.Write(&b, brief(x.Correct)); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\n%d. A %s that %s: the defect %s.\n", 2*i+2, x.Role, x.Defect.Sentence, x.Defect.Name)
		if err := t.Write(&b, brief(x.Faulty)); err != nil {
			return "", err
		}
	}
	b.WriteString("\nNext:\n")
	for _, x := range d.Exhibits {
		fmt.Fprintf(&b, "  hookanvil explain %s\n", firstFailure(x.Faulty))
	}
	for _, x := range d.Exhibits {
		fmt.Fprintf(&b, "  hookanvil reference %s --defect %s\n", x.Role, x.Defect.Name)
	}
	b.WriteString("  hookanvil run --target URL --profile NAME --secret env:NAME\n" +
		"  hookanvil run sender --profile NAME --secret env:NAME\n")
	return b.String(), nil
}

func judgedBy(x suites.Exhibit) string {
	if x.Left == 0 {
		return "the whole catalogue"
	}
	return fmt.Sprintf("all but %d cases, which run one after the other (--whole)", x.Left)
}

// brief leaves out the figures, and all evidence but that of the failure that is
// shown.
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

// firstFailure is the first that there is something to show of.
func firstFailure(run reports.Run) string {
	failed := slices.DeleteFunc(slices.Clone(run.Results), func(r reports.Result) bool { return r.Verdict != reports.Fail })
	if i := slices.IndexFunc(failed, func(r reports.Result) bool { return len(r.Evidence) > 0 }); i >= 0 {
		return failed[i].ID
	}
	if len(failed) > 0 {
		return failed[0].ID
	}
	return ""
}
