package suites

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// Folder is a results folder that a session keeps.
type Folder struct {
	Dir      string
	Manifest reports.Manifest
}

// checkOut finds what is wrong with the place of the results folder, before a run.
func (s Settings) checkOut() error {
	switch {
	case s.Out == "":
		return nil
	case s.Journal != "":
		return errors.New("use --journal: the results folder (--out) keeps the journal already; leave one of them out")
	}
	return reports.CheckFolder(s.Out)
}

// folder is the results folder that the settings name, with everything that the run is
// made of; nil where they name none.
func (s Settings) folder(c Config, role string, names []string) (*Folder, error) {
	if s.Out == "" {
		return nil, nil
	}
	m := reports.Manifest{
		Tool: c.Tool, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Role: role, Profile: c.Subject.Profile.Name, Seed: c.Seed, Selected: names, Settings: s.told(c.Redactor),
	}
	if len(names) == 0 {
		m.Selected = []string{role}
	}
	inputs, err := suiteInputs(c.Cases)
	if err != nil {
		return nil, err
	}
	one, err := s.profileInput()
	if err != nil {
		return nil, err
	}
	m.Inputs = append(inputs, one)
	if s.KnownFailures != "" {
		src, err := readSmall(s.KnownFailures)
		if err != nil {
			return nil, fmt.Errorf("read the known failures: %w", err)
		}
		m.Inputs = append(m.Inputs, reports.NewInput(reports.KnownFile, s.KnownFailures, src))
	}
	if c.Baseline != nil {
		verdicts, err := c.Baseline.Verdicts()
		if err != nil {
			return nil, fmt.Errorf("keep the baseline: %w", err)
		}
		m.Inputs = append(m.Inputs, reports.NewInput(reports.BaselineFile, s.Baseline, verdicts))
	}
	return &Folder{s.Out, m}, nil
}

// told are the settings that have a value, secrets by their places.
func (s Settings) told(r *reports.Redactor) []reports.Setting {
	all := []reports.Setting{}
	for _, f := range s.Fields() {
		values := slices.Clone(f.values())
		for i := range values {
			values[i] = r.Clean(values[i])
		}
		if len(values) > 0 {
			all = append(all, reports.Setting{Name: f.Name, Values: values})
		}
	}
	return all
}

// suiteInputs are the files that the cases stand in.
func suiteInputs(cases []scenarios.Case) ([]reports.Input, error) {
	var inputs []reports.Input
	taken := map[string]string{} // path in the folder to the file
	for _, c := range cases {
		path := reports.SuiteFile(c.Suite)
		for n := 2; taken[path] != "" && taken[path] != c.File; n++ {
			path = reports.SuiteFile(fmt.Sprintf("%s.%d", c.Suite, n)) // two files of one suite
		}
		if taken[path] != "" {
			continue
		}
		taken[path] = c.File
		src, err := sourceOf(c)
		if err != nil {
			return nil, fmt.Errorf("keep the scenarios of %s: %w", c.Suite, err)
		}
		inputs = append(inputs, reports.NewInput(path, filepath.ToSlash(c.File), src))
	}
	return inputs, nil
}

func sourceOf(c scenarios.Case) ([]byte, error) {
	if c.BuiltIn {
		return scenarios.Catalogue.ReadFile(c.File)
	}
	return os.ReadFile(c.File)
}

func (s Settings) profileInput() (reports.Input, error) {
	if !isFile(s.Profile) {
		src, err := profiles.Source(s.Profile)
		return reports.NewInput(reports.ProfileFile, s.Profile, src), err
	}
	src, err := readSmall(s.Profile)
	if err != nil {
		return reports.Input{}, fmt.Errorf("read the profile: %w", err)
	}
	return reports.NewInput(reports.ProfileFile, s.Profile, src), nil
}
