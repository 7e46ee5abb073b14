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
		Use:   "compare A.json B.json",
		Short: "Compare two load runs, before and after",
		Long: `Compare two load runs side by side, as hookanvil load --report json=PATH wrote them:
latencies, throughput and what was not served, class by class, with effect sizes.

A figure is a regression where it is worse by more than --tolerance, over the whole
run and second by second, and where chance does not explain it: by Welch's t test of
the seconds, which allows for how much neighbours resemble each other, at 99 % for all
figures together. Forgeries that are accepted now, and were not before,
are a regression without any test.

Exit codes: 0 no regression; 1 a regression; 2 usage; 3 not comparable: the plans
differ, a run is invalid, or the runs are too short.`,
		Example: `  hookanvil load --report json=before.json ...
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
