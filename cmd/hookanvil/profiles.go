package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/fixtures/profiles"
)

func newProfiles() *cobra.Command {
	return &cobra.Command{
		Use:   "profiles [NAME]",
		Short: "List the profiles, or print one as YAML",
		Long: `List the profiles, or print one as YAML: a good beginning for one of your own,
which --profile my.yaml takes.`,
		Example: `  hookanvil profiles
  hookanvil profiles stripe > my.yaml`,
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: profiles.Names(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				src, err := profiles.Source(args[0])
				if err != nil {
					return err
				}
				return emit(cmd, string(src))
			}
			text, err := listProfiles()
			if err != nil {
				return harness(err)
			}
			return emit(cmd, text)
		},
	}
}

func listProfiles() (string, error) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, name := range profiles.Names() {
		p, err := profiles.Get(name)
		if err != nil {
			return "", err
		}
		var schemes []string
		for _, s := range p.Schemes() {
			schemes = append(schemes, fmt.Sprintf("%s (%s)", s.Header, s.Algorithm))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, p.Title, strings.Join(schemes, ", "))
	}
	w.Flush() // to memory
	return b.String(), nil
}
