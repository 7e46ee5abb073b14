package main

import (
	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/suites"
)

func newExplain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain SUITE/CASE",
		Short: "Tell all about a case",
		Long:  "Tell what a case does, what it expects and why, which defects it catches, and how to run it.",
		Example: `  hookanvil explain receiver/signature/body-bit-flipped
  hookanvil explain sender/retry/no-dup-after-2xx
  hookanvil explain my-scenarios.yaml:refunds-once`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := suites.FindCase(args[0])
			if err != nil {
				return err
			}
			return emit(cmd, suites.Explain(c))
		},
	}
}
