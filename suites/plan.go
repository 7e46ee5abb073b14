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
// to run (see Select); without names it is the whole catalogue of the role that the
// settings speak of. Everything that can be wrong with either is found here, before
// anything is sent.
func (s Settings) Plan(ctx context.Context, names []string) (Config, error) {
	cases, role, err := s.cases(names)
	if err != nil {
		return Config{}, err
	}
	if err := s.checkRole(role); err != nil {
		return Config{}, err
	}
	c, err := s.subjectOf(ctx, role)
	if err != nil {
		return Config{}, err
	}
	if c.Cases, err = Filter(cases, s.Filter, s.Level, c.Subject.Profile.Name); err != nil {
		return Config{}, err
	}
	if err := s.checkLoad(slices.ContainsFunc(c.Cases, isLoad), c.Subject.About); err != nil {
		return Config{}, err
	}
	if c.Load, err = s.declared(); err != nil {
		return Config{}, err
	}
	for _, check := range []func() error{s.CheckReports, s.checkJournal, s.checkOut, s.checkObserve} {
		if err := check(); err != nil {
			return Config{}, err
		}
	}
	if c.Known, err = readKnown(s.KnownFailures, namesOf(c.Cases)); err != nil {
		return Config{}, err
	}
	if c.Baseline, err = s.baseline(c); err != nil {
		return Config{}, err
	}
	c.Seed = s.SeedOrRandom()
	c.Parallel, c.FailFast, c.Timeout, c.Journal = s.Parallel, s.FailFast, s.Timeout, s.Journal
	c.Reproduce, c.Tool = s.reproduceAs(role), Tool()
	c.Folder, err = s.folder(c, role, names)
	return c, err
}

// subjectOf is a configuration of which the subject is made.
func (s Settings) subjectOf(ctx context.Context, role string) (Config, error) {
	if role == senderRole {
		subject, redactor, err := s.Sender()
		if err != nil {
			return Config{}, err
		}
		return Config{Subject: Sender(subject), Redactor: redactor, Resolver: s.Resolver, Observe: s.Observe, Notes: exposure(subject.Listen)}, nil
	}
	subject, redactor, err := s.Receiver(ctx)
	return Config{Subject: Receiver(subject), Redactor: redactor, Notes: subject.Notes}, err
}

// cases are those that the names select, all of one role.
func (s Settings) cases(names []string) ([]scenarios.Case, string, error) {
	if len(names) == 0 {
		role, err := s.role()
		if err != nil {
			return nil, "", err
		}
		names = []string{role}
	}
	cases, err := Select(names)
	if err != nil {
		return nil, "", err
	}
	if cases, err = s.ofOneRole(names, cases); err != nil {
		return nil, "", err
	}
	role := roleOf(cases[0])
	if i := slices.IndexFunc(cases, func(c scenarios.Case) bool { return roleOf(c) != role }); i >= 0 {
		return nil, "", fmt.Errorf("select the cases to run: %s judges a %s and %s a %s, and a run judges one subject; run them one after the other",
			cases[0].Name(), role, cases[i].Name(), roleOf(cases[i]))
	}
	return cases, role, nil
}

// roleOf is whom a case judges.
func roleOf(c scenarios.Case) string {
	switch role, _, _ := strings.Cut(c.Suite, "/"); {
	case role == loadShelf && c.Fire != nil:
		return senderRole
	case role == loadShelf:
		return receiverRole
	default:
		return role
	}
}

// role is the one that the settings speak of: the flags or, where they leave it
// open, all settings.
func (s Settings) role() (string, error) {
	for _, is := range []func(*Field) bool{func(f *Field) bool { return s.flags[f.Name] }, func(*Field) bool { return true }} {
		spoken := map[string]bool{}
		for _, f := range s.Fields() {
			if is(f) && slices.Contains(telling, f.Name) && !f.value.IsZero() {
				spoken[f.Role] = true
			}
		}
		if len(spoken) == 1 {
			for role := range spoken {
				return role, nil
			}
		}
	}
	if s.Target != "" {
		return "", errors.New("choose what to judge: the settings speak of a receiver and of a sender; say which: hookanvil run receiver, or hookanvil run sender")
	}
	return "", errors.New("choose what to judge: name a receiver's URL with --target, or say with --trigger how to have a sender deliver; " +
		"hookanvil run sender alone waits for deliveries that you fire yourself; hookanvil demo shows both")
}

// telling are the settings that tell the role.
var telling = []string{"target", "trigger", "register", "listen"}

// checkRole finds flags that make no sense for the role. What stands in the
// environment or in hookanvil.yaml may serve runs of both.
func (s Settings) checkRole(role string) error {
	for _, f := range s.Fields() {
		if s.flags[f.Name] && f.Role != "" && f.Role != role {
			return fmt.Errorf("use --%s: it is for judging a %s, and this run judges a %s; leave it out, or name what to run: hookanvil run %s", f.Name, f.Role, role, f.Role)
		}
	}
	return nil
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

// reproduceAs makes the command that runs a case again: the settings that decide
// how a case of the role is judged, and not those that select and report.
func (s Settings) reproduceAs(role string) func(scenarios.Case) string {
	return func(c scenarios.Case) string { return s.reproduce(c, role) }
}

func (s Settings) reproduce(c scenarios.Case, role string) string {
	name := c.Name()
	if c.File != "" && !c.BuiltIn {
		name = c.File + ":" + c.ID
	}
	words := []string{"hookanvil", "run", ShellQuote(name)}
	for _, f := range s.Fields() {
		if slices.Contains(ofTheRun, f.Name) || slices.Contains(ofLoad, f.Name) && !isLoad(c) || f.Role != "" && f.Role != role {
			continue
		}
		for _, value := range f.values() {
			if f.IsBoolFlag() {
				words = append(words, "--"+f.Name)
				continue
			}
			words = append(words, "--"+f.Name, ShellQuote(value))
		}
	}
	return strings.Join(words, " ")
}

// ofTheRun are the settings that say nothing about a single case, and the seed: a
// receiver that remembers ids would take the very same deliveries for replays.
var ofTheRun = []string{"seed", "filter", "level", "parallel", "fail-fast", "timeout", "baseline", "known-failures", "journal", "out", "report", "observe"}

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
func readKnown(path string, selected []string) ([]reports.Known, error) {
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
	var known []reports.Known
	var problems strictyaml.Errors
	for i, e := range entries {
		until, err := time.ParseInLocation(time.DateOnly, e.Until, time.Local)
		if err != nil {
			at := doc.At(i, "until")
			problems.Add(at, at.Errorf("until must be a day, got %s", strictyaml.Quote(e.Until)).Hintf("write it like 2027-01-31"))
		}
		named, err := within(e.ID)
		if err != nil {
			return nil, err
		}
		if slices.Contains(selected, e.ID) || len(named) == 0 {
			known = append(known, reports.Known{ID: e.ID, Reason: e.Reason, Until: until})
		}
	}
	return known, problems.Err()
}

func namesOf(cases []scenarios.Case) (names []string) {
	for _, c := range cases {
		names = append(names, c.Name())
	}
	return names
}

// baseline reads the run that one is held against which is about to begin; nil where
// there is none.
func (s Settings) baseline(c Config) (*reports.Record, error) {
	about := c.Subject.About
	about.Target = c.Redactor.Clean(about.Target)
	base, err := s.baselineOf(about, c.Subject.Profile.Name, namesOf(c.Cases))
	if base == nil || err != nil {
		return nil, err
	}
	for i := range base.Results { // its reasons are told again
		base.Results[i] = c.Redactor.CleanResult(base.Results[i])
	}
	return base, nil
}

// baselineOf reads the run that one of a subject, under a profile, of these cases is held
// against; nil where there is none.
func (s Settings) baselineOf(about reports.Subject, profile string, ids []string) (*reports.Record, error) {
	if s.Baseline == "" {
		return nil, nil
	}
	kept, err := reports.ReadKept(s.Baseline)
	if err != nil {
		return nil, fmt.Errorf("read the baseline: %w", err)
	}
	if kept.Record == nil {
		return nil, fmt.Errorf("read the baseline %s: it is of a load; compare loads with hookanvil compare", s.Baseline)
	}
	if err := reports.CheckBaseline(&kept.Record.Run, about, profile, ids); err != nil {
		return nil, fmt.Errorf("use the baseline %s: %w", s.Baseline, err)
	}
	return kept.Record, nil
}

// forWorkflow is the report that needs no path: what it writes to standard output is for
// the runner of a workflow.
const forWorkflow = "github"

// reports reads the settings that say which reports are written: one destination for each.
func (s Settings) reports() ([]destination, error) {
	var names []string
	for _, f := range reports.Formats {
		names = append(names, f.Name)
	}
	texts := slices.Clone(s.Report)
	for i, text := range texts {
		if text == forWorkflow {
			texts[i] += "=-"
		}
	}
	return readDestinations(texts, names, "format", "junit=report.xml")
}

// CheckReports finds what is wrong with the settings of reports, before a run.
func (s Settings) CheckReports() error {
	_, err := s.reports()
	return err
}

// WriteReports writes the reports that the settings name: files first, so that
// they are there whatever happens to standard output, and then what goes to it.
// It tells whether anything went to standard output that is for who reads it, and not for
// the runner of a workflow. Where a workflow has a summary, it gets one beside its commands.
func (s Settings) WriteReports(stdout io.Writer, run reports.Run) (toStdout bool, err error) {
	all, err := s.reports()
	if err != nil {
		return false, err
	}
	var outputs, commands []output
	summary := ""
	for i, d := range all {
		f := reports.Formats[d.format]
		o := output{d.path, func(w io.Writer) error { return f.Write(w, run) }}
		if f.Name == forWorkflow {
			summary = os.Getenv("GITHUB_STEP_SUMMARY")
		}
		if s.Report[i] == forWorkflow {
			commands = append(commands, o)
		} else {
			outputs = append(outputs, o)
		}
	}
	toStdout, err = writeOutputs(stdout, outputs)
	_, failed := writeOutputs(stdout, commands)
	err = errors.Join(err, failed)
	if summary != "" {
		err = errors.Join(err, reports.AppendSummary(summary, run))
	}
	return toStdout, err
}
