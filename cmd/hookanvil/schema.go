package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
	"github.com/hookanvil/hookanvil/suites"
)

// schemas are the files that there is a JSON Schema of.
var schemas = []struct {
	name  string
	write func() ([]byte, error)
}{
	{"scenario", func() ([]byte, error) { return scenarios.JSONSchema(suites.Vocabularies()...) }},
	{"profile", profile.Schema},
	{"settings", func() ([]byte, error) {
		return strictyaml.Schema("Settings of a run: "+suites.ConfigFile, &suites.Settings{}, strictyaml.Special{})
	}},
}

func newSchema() *cobra.Command {
	var names []string
	for _, s := range schemas {
		names = append(names, s.name)
	}
	return &cobra.Command{
		Use:   "schema [scenario | profile | settings]",
		Short: "Print the JSON Schema of scenario files, profiles or hookanvil.yaml",
		Long: `Print a JSON Schema, which editors take for completion and checking. Put
  # yaml-language-server: $schema=hookanvil.schema.json
at the top of a scenario file to have it used. The name of a suite (receiver/...,
sender/...) says which words its cases have.`,
		Example: `  hookanvil schema > hookanvil.schema.json
  hookanvil schema profile`,
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: names,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := append(args, schemas[0].name)[0]
			for _, s := range schemas {
				if s.name == name {
					text, err := s.write()
					if err != nil {
						return harness(err)
					}
					return emit(cmd, string(text))
				}
			}
			return fmt.Errorf("print a schema: there is none of %s; %s", strictyaml.Quote(name), strictyaml.DidYouMean(name, names))
		},
	}
}
