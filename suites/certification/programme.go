// Package certification runs the programmes of certification, says which of their levels
// the results of a run support, and verifies certificates by working that out again.
package certification

import (
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
	"github.com/hookanvil/hookanvil/suites"
)

// Programmes returns the built-in programmes, in the order of their names.
var Programmes = sync.OnceValues(func() ([]*scenarios.Programme, error) {
	entries, err := scenarios.Programmes.ReadDir("certification")
	if err != nil {
		return nil, fmt.Errorf("read the programmes: %w", err)
	}
	var all []*scenarios.Programme
	for _, e := range entries {
		file := path.Join("certification", e.Name())
		src, err := scenarios.Programmes.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the programme %s: %w", file, err)
		}
		p, err := parse(file, src)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
})

func parse(file string, src []byte) (*scenarios.Programme, error) {
	catalogue, err := suites.Catalogue()
	if err != nil {
		return nil, err
	}
	return scenarios.ParseProgramme(file, src, catalogue, suites.Vocabularies()...)
}

// Find returns a built-in programme by its name, or reads one from a YAML file.
func Find(nameOrFile string) (*scenarios.Programme, error) {
	all, err := Programmes()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range all {
		if p.Name == nameOrFile {
			return p, nil
		}
		names = append(names, p.Name)
	}
	if ext := filepath.Ext(nameOrFile); ext == ".yaml" || ext == ".yml" {
		return readProgramme(nameOrFile)
	}
	if nameOrFile == "" {
		return nil, fmt.Errorf("choose a programme of certification: none is given; name one with --programme: %s, or a YAML file", strings.Join(names, ", "))
	}
	return nil, fmt.Errorf("choose a programme of certification: none is called %s; %s", strictyaml.Quote(nameOrFile), strictyaml.DidYouMean(nameOrFile, names))
}

func readProgramme(file string) (*scenarios.Programme, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read the programme: %w", err)
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, strictyaml.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the programme: %w", err)
	}
	return parse(file, src)
}

// casesOf are the built-in cases of so many levels of a programme, without those that the
// filters leave out.
func casesOf(p *scenarios.Programme, levels int, filters []string, profile string) ([]scenarios.Case, error) {
	cases, err := suites.Select(p.Suites(levels))
	if err != nil {
		return nil, err
	}
	for _, filter := range filters {
		if cases, err = suites.Filter(cases, filter, "", profile); err != nil {
			return nil, err
		}
	}
	return cases, nil
}

func isLoad(suite string) bool { return strings.HasPrefix(suite, "load/") }

func hasLoad(names []string) bool { return slices.ContainsFunc(names, isLoad) }
