package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites"
)

func newValidate() *cobra.Command {
	return &cobra.Command{
		Use:     "validate FILE|DIR...",
		Short:   "Check scenario files without running them",
		Example: "  hookanvil validate my-scenarios/ more.yaml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error {
			loaded, err := scenarios.LoadFiles(paths, suites.Vocabularies()...)
			if err != nil {
				return err
			}
			text := ""
			for _, s := range loaded {
				text += fmt.Sprintf("%s: %s, %d cases\n", s.File, s.Name, len(s.Cases))
			}
			return emit(cmd, text)
		},
	}
}
