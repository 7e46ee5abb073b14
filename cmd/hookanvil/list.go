package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites"
)

func newList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [SUITE | FILE | DIR]...",
		Short: "List the cases",
		Example: `  hookanvil list
  hookanvil list receiver/replay --level must
  hookanvil list sender
  hookanvil list --filter 'signature && !should' --json`,
		ValidArgsFunction: completeNames,
	}
	filter := cmd.Flags().String("filter", "", "label expression: 'signature && !should'")
	level := cmd.Flags().String("level", "", "leave out what is required less strongly: must, should or may")
	asJSON := cmd.Flags().Bool("json", false, "list as JSON: id, title, level, source, labels, kills")
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		cases, err := suites.Select(names)
		if err != nil {
			return err
		}
		if cases, err = suites.Filter(cases, *filter, *level, ""); err != nil {
			return err
		}
		if *asJSON {
			text, err := listJSON(cases)
			if err != nil {
				return harness(err)
			}
			return emit(cmd, text)
		}
		return emit(cmd, listText(cases))
	}
	return cmd
}

func listText(cases []scenarios.Case) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	suite := ""
	for _, c := range cases {
		if c.Suite != suite {
			suite = c.Suite
			fmt.Fprintf(w, "%s\n", suite)
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", c.ID, c.Level, c.Title)
	}
	w.Flush() // to memory
	fmt.Fprintf(&b, "\n%d cases. hookanvil explain SUITE/CASE tells all about one.\n", len(cases))
	return b.String()
}

// listed is a case in the JSON list.
type listed struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Level    string   `json:"level"`
	Source   string   `json:"source,omitempty"`
	Labels   []string `json:"labels"`
	Kills    []string `json:"kills,omitempty"`
	Unproven string   `json:"unproven,omitempty"`
}

func listJSON(cases []scenarios.Case) (string, error) {
	var all []listed
	for _, c := range cases {
		all = append(all, listed{c.Name(), c.Title, string(c.Level), c.Source, suites.Labels(c, ""), c.Kills, c.Unproven})
	}
	b, err := json.MarshalIndent(all, "", "  ")
	return string(b) + "\n", err
}
