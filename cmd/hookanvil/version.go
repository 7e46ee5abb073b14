package main

import (
	"runtime"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/suites"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Tell the version",
		Example: "  hookanvil version",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return emit(cmd, suites.Tool()+" "+runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH+"\n")
		},
	}
}
