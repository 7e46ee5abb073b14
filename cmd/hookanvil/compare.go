package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

func newCompare() *cobra.Command {
	var o suites.CompareSettings
	cmd := &cobra.Command{
		Use:   "compare A B",
		Short: "Compare two runs, before and after",
		Long: `Compare two runs side by side: two of cases, by their results folders (hookanvil run
--out), journals or JSON reports, or two of load (hookanvil load --report json=PATH).

Of cases it says which fail newly and which pass newly, which are not judged any more,
new or gone, what fails for another reason, and which figures changed by more than how
exactly they were measured. A case that fails or warns, and did neither before, is a
regression, be it new, or a known failure. One that was judged before and is skipped,
inconclusive or gone now, or rests on statuses alone, leaves it open whether anything is
worse; so does a run that is not whole. Runs of two roles or profiles are not compared;
that targets, versions, settings or scenarios differ is said. What cases of load measured
is compared as loads are, where folders or journals are given.

Of loads it compares latencies, throughput and what was not served, class by class, with
effect sizes. A figure is a regression where it is worse by more than --tolerance, over the whole
run and second by second, and where chance does not explain it: by Welch's t test of
the seconds, which allows for how much neighbours resemble each other, at 99 % for all
figures together. Forgeries that are accepted now, and were not before,
are a regression without any test.

Exit codes: 0 no regression; 1 a regression; 2 usage; 3 no regression was found, and
something is not judged any more, or the runs cannot be compared: profiles or plans
differ, a run is not whole or invalid, or loads are too short.`,
		Example: `  hookanvil run receiver --out before ...
  hookanvil run receiver --out after ...
  hookanvil compare before after
  hookanvil load --report json=before.json ...
  hookanvil load --report json=after.json ...
  hookanvil compare before.json after.json --tolerance 10%
  hookanvil compare before.json after.json --report markdown=compare.md`,
		Args: cobra.ExactArgs(2),
	}
	cmd.Flags().StringVar(&o.Tolerance, "tolerance", "10%", "share by which a figure may be worse")
	cmd.Flags().StringArrayVar(&o.Report, "report", nil, "FORMAT=PATH of a report: terminal, markdown, json; - stands for standard output")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := o.Compare(args[0], args[1])
		if err != nil {
			return err
		}
		toStdout, err := o.WriteReports(cmd.OutOrStdout(), c)
		if err == nil && !toStdout {
			err = terminalOf(os.Stdout).WriteComparison(cmd.OutOrStdout(), c)
		}
		if err != nil {
			return harness(err)
		}
		if code := c.ExitCode(); code != reports.ExitPassed {
			return exitCode{code: code}
		}
		return nil
	}
	return cmd
}
