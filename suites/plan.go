package suites

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// Plan makes a session's configuration of the settings and the names of what is
// to run (see Select). Everything that can be wrong with either is found here,
// before anything is sent.
func (s Settings) Plan(ctx context.Context, names []string) (Config, error) {
	cases, err := Select(names)
	if err != nil {
		return Config{}, err
	}
	subject, redactor, err := s.Subject(ctx)
	if err != nil {
		return Config{}, err
	}
	if cases, err = Filter(cases, s.Filter, s.Level, subject.Profile.Name); err != nil {
		return Config{}, err
	}
	if err := s.CheckReports(); err != nil {
		return Config{}, err
	}
	if err := s.checkJournal(); err != nil {
		return Config{}, err
	}
	known, err := readKnown(s.KnownFailures, cases)
	if err != nil {
		return Config{}, err
	}
	s.Seed = int(s.SeedOrRandom())
	return Config{
		Subject: subject, Cases: cases, Seed: uint64(s.Seed), Parallel: s.Parallel, FailFast: s.FailFast, Timeout: s.Timeout,
		Known: known, Journal: s.Journal, Redactor: redactor, Reproduce: s.reproduce, Tool: Tool(),
	}, nil
}

// SeedOrRandom is the seed or, where none is given, an invented one that is short
// enough to be copied by hand.
func (s Settings) SeedOrRandom() uint64 {
	if s.Seed == 0 {
		return 1 + rand.Uint64N(999_999)
	}
	return uint64(s.Seed)
}

// checkJournal finds what is wrong with the journal's name, before a run.
func (s Settings) checkJournal() error {
	if s.Journal == "" {
		return nil
	}
	if _, err := os.Lstat(s.Journal); err == nil {
		return fmt.Errorf("begin the journal %s: the file exists, and a journal is never overwritten; name another file or move this one away", s.Journal)
	}
	return isDirectory(filepath.Dir(s.Journal), "--journal", s.Journal)
}

// isDirectory makes sure that a file can be created in a directory that is there.
func isDirectory(dir, flag, value string) error {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("read %s %s: there is no directory %s; make it first", flag, strictyaml.Quote(value), strictyaml.Quote(dir))
	}
	return nil
}

// reproduce is the command that runs a case again: the settings that decide how a
// case is judged, and not those that select and report.
func (s Settings) reproduce(c scenarios.Case) string {
	name := c.Name()
	if c.File != "" && !isBuiltIn(c) {
		name = c.File + ":" + c.ID
	}
	words := []string{"hookanvil", "run", ShellQuote(name)}
	for _, f := range s.Fields() {
		if slices.Contains(ofTheRun, f.Name) {
			continue
		}
		for _, value := range f.values() {
			words = append(words, "--"+f.Name, ShellQuote(value))
		}
	}
	return strings.Join(words, " ")
}

// ofTheRun are the settings that say nothing about a single case, and the seed: a
// receiver that remembers ids would take the very same deliveries for replays.
var ofTheRun = []string{"seed", "filter", "level", "parallel", "fail-fast", "timeout", "known-failures", "journal", "report"}

func isBuiltIn(c scenarios.Case) bool {
	builtIn, err := Catalogue()
	return err == nil && slices.ContainsFunc(builtIn, func(s *scenarios.Suite) bool { return s.File == c.File })
}

// ShellQuote writes a word so that a shell reads it as it is.
func ShellQuote(s string) string {
	const harmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,@%+"
	if s != "" && strings.Trim(s, harmless) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// knownFailure is one entry of the file of known failures.
type knownFailure struct {
	ID     string `yaml:"id" required:"true" doc:"full name of the case: receiver/signature/replayed"`
	Reason string `yaml:"reason" required:"true" doc:"why the failure is accepted"`
	Until  string `yaml:"until" required:"true" doc:"last day on which it is, such as 2027-01-31"`
}

// readKnown reads the file of known failures. Entries of cases that exist and are
// not selected are left out: nothing can be said of them in this run.
func readKnown(path string, selected []scenarios.Case) ([]reports.Known, error) {
	if path == "" {
		return nil, nil
	}
	src, err := readSmall(path)
	if err != nil {
		return nil, fmt.Errorf("read the known failures: %w", err)
	}
	var entries []knownFailure
	doc, err := strictyaml.Decode(path, src, &entries)
	if err != nil {
		return nil, err
	}
	builtIn, err := Catalogue()
	if err != nil {
		return nil, err
	}
	var known []reports.Known
	var problems strictyaml.Errors
	for i, e := range entries {
		until, err := time.ParseInLocation(time.DateOnly, e.Until, time.Local)
		if err != nil {
			at := doc.At(i, "until")
			problems.Add(at, at.Errorf("until must be a day, got %s", strictyaml.Quote(e.Until)).Hintf("write it like 2027-01-31"))
		}
		isSelected := slices.ContainsFunc(selected, func(c scenarios.Case) bool { return c.Name() == e.ID })
		if isSelected || len(within(builtIn, e.ID)) == 0 {
			known = append(known, reports.Known{ID: e.ID, Reason: e.Reason, Until: until})
		}
	}
	return known, problems.Err()
}

// report is one report to write.
type report struct {
	format reports.Format
	path   string
}

// reports reads the settings that say which reports are written.
func (s Settings) reports() ([]report, error) {
	var all []report
	for _, text := range s.Report {
		name, path, _ := strings.Cut(text, "=")
		if path == "" {
			return nil, fmt.Errorf("read --report %s: it must be FORMAT=PATH, such as junit=report.xml; - stands for standard output", strictyaml.Quote(text))
		}
		var names []string
		for _, f := range reports.Formats {
			names = append(names, f.Name)
		}
		i := slices.Index(names, name)
		if i < 0 {
			return nil, fmt.Errorf("read --report %s: no format is called %s; %s", strictyaml.Quote(text), strictyaml.Quote(name), strictyaml.DidYouMean(name, names))
		}
		if path != "-" {
			if err := isDirectory(filepath.Dir(path), "--report", text); err != nil {
				return nil, err
			}
		}
		all = append(all, report{reports.Formats[i].Write, path})
	}
	return all, nil
}

// CheckReports finds what is wrong with the settings of reports, before a run.
func (s Settings) CheckReports() error {
	_, err := s.reports()
	return err
}

// WriteReports writes the reports that the settings name: files first, so that
// they are there whatever happens to standard output, and then what goes to it.
// It tells whether anything went to standard output.
func (s Settings) WriteReports(stdout io.Writer, run reports.Run) (toStdout bool, err error) {
	all, err := s.reports()
	if err != nil {
		return false, err
	}
	for _, r := range all {
		if r.path != "-" {
			err = errors.Join(err, reports.WriteFile(r.path, r.format, run))
		}
	}
	for _, r := range all {
		if r.path == "-" {
			toStdout = true
			err = errors.Join(err, r.format(stdout, run))
		}
	}
	return toStdout, err
}
