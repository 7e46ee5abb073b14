package main

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
	"github.com/hookanvil/hookanvil/suites"
)

func newProfiles() *cobra.Command {
	var asJSON, asYAML bool
	cmd := &cobra.Command{
		Use:   "profiles [NAME]",
		Short: "List the profiles, explain one, or compare two",
		Long: `List the profiles, or explain one: how it signs, with a worked example under a key
that was invented for it, what its provider does with an answer, and what it lacks.

With --yaml it is printed as its file: a good beginning for one of your own, which
--profile my.yaml takes. With --json the fields of the file are printed as JSON, of one
profile or of all, with what each lacks.`,
		Example: `  hookanvil profiles
  hookanvil profiles stripe
  hookanvil profiles stripe --yaml > my.yaml
  hookanvil profiles diff stripe my.yaml`,
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: profiles.Names(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if asJSON && asYAML {
				return errors.New("print a profile: --json or --yaml, not both")
			}
			if len(args) == 0 {
				return emitProfiles(cmd, asJSON, asYAML)
			}
			text, err := oneProfile(args[0], asJSON, asYAML)
			if err != nil {
				return err
			}
			return emit(cmd, text)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the fields as JSON")
	cmd.Flags().BoolVar(&asYAML, "yaml", false, "print the profile's file")
	cmd.AddCommand(newProfilesDiff())
	return cmd
}

func emitProfiles(cmd *cobra.Command, asJSON, asYAML bool) error {
	if asYAML {
		return errors.New("print a profile as YAML: name one; hookanvil profiles lists them")
	}
	list := listProfiles
	if asJSON {
		list = profilesAsJSON
	}
	text, err := list()
	if err != nil {
		return harness(err)
	}
	return emit(cmd, text)
}

func oneProfile(name string, asJSON, asYAML bool) (string, error) {
	if asYAML {
		src, err := profiles.Source(name)
		return string(src), err
	}
	p, err := suites.FindProfile(name)
	if err != nil {
		return "", err
	}
	if !asJSON {
		return explainProfile(p)
	}
	fields, err := profileAsJSON(p)
	if err != nil {
		return "", err
	}
	return indented(fields)
}

func newProfilesDiff() *cobra.Command {
	var ignored []string
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two profiles field by field",
		Long: `Compare two profiles, each a name or a YAML file, field by field: the declared one
with the one that a run observed, or last release's with today's.

Exit codes: 0 they say the same; 1 they differ; 2 usage, or no profile.`,
		Example: `  hookanvil profiles diff svix standard-webhooks
  hookanvil profiles diff declared.yaml observed.yaml --ignore profile,title,source`,
		Args: cobra.ExactArgs(2),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return profiles.Names(), cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			differences, err := compareProfiles(args[0], args[1], ignored)
			if err != nil || len(differences) == 0 {
				return err
			}
			if err := emit(cmd, showDifferences(args[0], args[1], differences)); err != nil {
				return err
			}
			return exitCode{code: reports.ExitFailed}
		},
	}
	cmd.Flags().StringSliceVar(&ignored, "ignore", nil, "do not compare these fields, or what is within them: title, retry.schedule")
	return cmd
}

func compareProfiles(nameA, nameB string, ignored []string) ([]profile.Difference, error) {
	a, err := suites.FindProfile(nameA)
	if err != nil {
		return nil, err
	}
	b, err := suites.FindProfile(nameB)
	if err != nil {
		return nil, err
	}
	known, _ := strictyaml.Fields(reflect.TypeFor[profile.Profile]())
	for _, field := range ignored {
		if top := topField(field); !slices.Contains(known, top) {
			return nil, fmt.Errorf("read --ignore %s: a profile has no such field; %s", strictyaml.Quote(field), strictyaml.DidYouMean(top, known))
		}
	}
	return slices.DeleteFunc(profile.Diff(a, b), func(d profile.Difference) bool {
		return slices.ContainsFunc(ignored, func(field string) bool { return isWithin(d.Field, field) })
	}), nil
}

// topField is the field of a profile that a path begins with.
func topField(path string) string {
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		return path
	}
	return path[:end]
}

// isWithin tells whether a path is that of a field, or of something within it.
func isWithin(path, field string) bool {
	rest, found := strings.CutPrefix(path, field)
	return found && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// showDifferences shows values as diff does. They are YAML, so that nothing in
// them acts on a terminal.
func showDifferences(nameA, nameB string, differences []profile.Difference) string {
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %s\n", shown(nameA), shown(nameB))
	for _, d := range differences {
		fmt.Fprintln(&b, shown(d.Field))
		if d.A != "" {
			fmt.Fprintf(&b, "  - %s\n", d.A)
		}
		if d.B != "" {
			fmt.Fprintf(&b, "  + %s\n", d.B)
		}
	}
	return b.String()
}

// shown is a text in quotes if it would not be seen for what it is.
func shown(text string) string {
	if quoted := strconv.Quote(text); quoted != `"`+text+`"` {
		return quoted
	}
	return text
}

func listProfiles() (string, error) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, name := range profiles.Names() {
		p, err := profiles.Get(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, p.Title, inShort(p))
	}
	w.Flush() // to memory
	return b.String(), nil
}

// inShort is how a profile signs: its headers and algorithms.
func inShort(p *profile.Profile) string {
	var schemes []string
	for _, s := range p.Schemes() {
		if !s.Spare {
			schemes = append(schemes, fmt.Sprintf("%s (%s)", s.Header, s.Algorithm))
		}
	}
	switch {
	case len(schemes) > 0:
		return strings.Join(schemes, ", ")
	case p.TLS != nil:
		return "not signed; a client certificate"
	}
	return "not signed"
}
