package suites

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
	"github.com/hookanvil/hookanvil/suites/load"
	"github.com/hookanvil/hookanvil/suites/receiver"
	"github.com/hookanvil/hookanvil/suites/sender"
)

// Vocabularies returns the words of the scenarios, by role.
func Vocabularies() []scenarios.Vocabulary {
	return []scenarios.Vocabulary{receiver.Vocabulary(), sender.Vocabulary(), load.Vocabulary()}
}

// library is the built-in suites by name. Each is read when it is first asked for: who
// runs one of them need not wait for the others.
var library = sync.OnceValue(func() map[string]func() (*scenarios.Suite, error) {
	all := map[string]func() (*scenarios.Suite, error){}
	for _, shelf := range shelves {
		files, _ := fs.Glob(scenarios.Catalogue, shelf+"/*.yaml") // the pattern is well-formed
		for _, file := range files {
			all[strings.TrimSuffix(file, ".yaml")] = sync.OnceValues(func() (*scenarios.Suite, error) { return readBuiltIn(file) })
		}
	}
	return all
})

func readBuiltIn(file string) (*scenarios.Suite, error) {
	read, err := scenarios.Load(scenarios.Catalogue, file, Vocabularies()...)
	if err != nil {
		return nil, err
	}
	suite := read[0]
	for i := range suite.Cases {
		suite.Cases[i].BuiltIn = true
	}
	return suite, nil
}

// Catalogue returns the built-in suites in the order of their shelves.
func Catalogue() ([]*scenarios.Suite, error) {
	return builtIn(func(string) bool { return true })
}

// builtIn reads those of the built-in suites whose name is wanted, several at the same time.
func builtIn(wanted func(name string) bool) ([]*scenarios.Suite, error) {
	names := slices.Collect(maps.Keys(library()))
	names = slices.DeleteFunc(names, func(name string) bool { return !wanted(name) })
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(shelfOf(a), shelfOf(b)), cmp.Compare(a, b)) })
	all, errs := make([]*scenarios.Suite, len(names)), make([]error, len(names))
	var reading sync.WaitGroup
	for i, name := range names {
		reading.Go(func() { all[i], errs[i] = library()[name]() })
	}
	reading.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return all, nil
}

func shelfOf(suite string) int {
	shelf, _, _ := strings.Cut(suite, "/")
	return slices.Index(shelves, shelf)
}

// shelves are the first parts of the names of suites, in the order of the catalogue.
var shelves = []string{receiverRole, senderRole, loadShelf}

// loadShelf holds the suites of traffic at a rate. Cases that fire events judge senders,
// the others receivers, and they run only where they are asked for by name.
const loadShelf = "load"

func isLoad(c scenarios.Case) bool { return strings.HasPrefix(c.Suite, loadShelf+"/") }

// Select finds cases by names as users give them: a role (receiver, sender) or load, a
// suite (receiver/signature), a case (receiver/signature/replayed), a file or
// directory of the user's own, or one case of a file (mine.yaml:replayed). Without
// names it returns the whole catalogue. The order is that of the names; what is
// named twice is there once.
func Select(names []string) ([]scenarios.Case, error) {
	if len(names) == 0 {
		names = shelves
	}
	var selected []scenarios.Case
	files := map[string]string{} // in which the selected cases are, by their names
	for _, name := range names {
		cases, err := find(name)
		if err != nil {
			return nil, err
		}
		for _, c := range cases {
			switch file, there := files[c.Name()]; {
			case !there:
				selected, files[c.Name()] = append(selected, c), c.File
			case file != c.File: // they could not be told apart in a report
				return nil, fmt.Errorf("select the cases to run: %s is in %s and in %s; give one of them another id, or its suite another name", c.Name(), file, c.File)
			}
		}
	}
	return selected, nil
}

func find(name string) ([]scenarios.Case, error) {
	if cases, err := within(name); err != nil || len(cases) > 0 {
		return cases, err
	}
	role, _, _ := strings.Cut(name, "/")
	if file, id, ok := cutCase(name); ok {
		return oneOf(file, id)
	}
	if _, err := os.Stat(name); err == nil || isFile(name) && !slices.Contains(shelves, role) {
		return fromFiles(name)
	}
	return nil, fmt.Errorf("select the cases to run: nothing is called %s; %s", strictyaml.Quote(name), nearest(name))
}

// cutCase cuts mine.yaml:replayed into the file and the case.
func cutCase(name string) (file, id string, ok bool) {
	i := strings.LastIndex(name, ":")
	if i < 0 || filepath.Ext(name[:i]) != ".yaml" && filepath.Ext(name[:i]) != ".yml" {
		return "", "", false
	}
	return name[:i], name[i+1:], true
}

func oneOf(file, id string) ([]scenarios.Case, error) {
	cases, err := fromFiles(file)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, c := range cases {
		if c.ID == id {
			return []scenarios.Case{c}, nil
		}
		ids = append(ids, c.ID)
	}
	return nil, fmt.Errorf("select the cases to run: %s has no case called %s; %s", file, strictyaml.Quote(id), strictyaml.DidYouMean(id, ids))
}

func fromFiles(path string) ([]scenarios.Case, error) {
	suites, err := scenarios.LoadFiles([]string{path}, Vocabularies()...)
	if err != nil {
		return nil, err
	}
	var cases []scenarios.Case
	for _, s := range suites {
		cases = append(cases, s.Cases...)
	}
	return cases, nil
}

// within returns the built-in cases at or below a name.
func within(name string) (cases []scenarios.Case, err error) {
	name = strings.TrimSuffix(name, "/")
	suites, err := builtIn(func(suite string) bool { return isBelow(suite, name) || isBelow(name, suite) })
	for _, s := range suites {
		for _, c := range s.Cases {
			if isBelow(c.Name(), name) {
				cases = append(cases, c)
			}
		}
	}
	return cases, err
}

func isBelow(name, top string) bool { return name == top || strings.HasPrefix(name, top+"/") }

// nearest suggests the suite or case that was probably meant.
func nearest(name string) string {
	builtIn, err := Catalogue()
	if err != nil {
		return err.Error()
	}
	var suites, cases []string
	for _, s := range builtIn {
		suites = append(suites, s.Name)
		for _, c := range s.Cases {
			cases = append(cases, c.Name(), c.ID)
		}
	}
	if near := strictyaml.Suggest(name, append(cases, suites...)); near != "" {
		if i := slices.Index(cases, near); i >= 0 {
			near = cases[i-i%2]
		}
		return fmt.Sprintf("did you mean %s?", near)
	}
	return "the suites are " + strings.Join(suites, ", ") + "; hookanvil list shows the cases"
}

// FindCase returns the case of the full name.
func FindCase(name string) (scenarios.Case, error) {
	cases, err := Select([]string{name})
	switch {
	case err != nil:
		return scenarios.Case{}, err
	case len(cases) != 1:
		return scenarios.Case{}, fmt.Errorf("%s names %d cases: name one of them, such as %s", strictyaml.Quote(name), len(cases), cases[0].Name())
	}
	return cases[0], nil
}

// Labels are the words by which a case can be selected: its role, topic and level,
// the profile, the parts that its mutations touch or what is done to the sender,
// and what it needs.
func Labels(c scenarios.Case, profile string) []string {
	role, topic, _ := strings.Cut(c.Suite, "/")
	labels := []string{role, topic, string(c.Level), profile}
	for _, step := range c.Send {
		if step.Mutate != nil {
			labels = append(labels, step.Mutate.Part)
		}
		if step.Wire != nil {
			labels = append(labels, "wire")
		}
	}
	for _, t := range c.Trigger {
		labels = append(labels, t.Do)
	}
	if c.Measure != "" {
		labels = append(labels, "measure")
	}
	if c.Serial {
		labels = append(labels, "serial")
	}
	labels = append(labels, c.Needs...)
	for i, label := range labels {
		labels[i] = strings.Map(plain, label)
	}
	slices.Sort(labels)
	return slices.DeleteFunc(slices.Compact(labels), func(s string) bool { return s == "" })
}

// plain replaces what has a meaning in label expressions.
func plain(r rune) rune {
	if strings.ContainsRune("&|!,()/:", r) {
		return '-'
	}
	return r
}

// Filter leaves the cases whose labels satisfy a label expression, in Ginkgo's
// language ("signature && !should"), and which are required at least as strongly
// as level. Empty texts leave all. That nothing is left is an error.
func Filter(cases []scenarios.Case, expression, level, profile string) ([]scenarios.Case, error) {
	matches, err := types.ParseLabelFilter(expression)
	if err != nil {
		return nil, fmt.Errorf("read the label expression %s: %w; write it like 'signature && !should'", strictyaml.Quote(expression), oneLine(err))
	}
	var left []scenarios.Case
	for _, c := range cases {
		if required[c.Level] >= required[scenarios.Level(level)] && matches(Labels(c, profile)) {
			left = append(left, c)
		}
	}
	if len(left) == 0 {
		return nil, fmt.Errorf("select the cases to run: none of %d cases has level %s or stronger and satisfies the filter %s; hookanvil list shows levels and labels",
			len(cases), orAny(level), strictyaml.Quote(expression))
	}
	return left, nil
}

var required = map[scenarios.Level]int{scenarios.May: 1, scenarios.Should: 2, scenarios.Must: 3}

func orAny(level string) string {
	if level == "" {
		return string(scenarios.May)
	}
	return level
}

// oneLine flattens the messages of Ginkgo, which are made for a screen.
func oneLine(err error) error {
	text, _, _ := strings.Cut(escapes.ReplaceAllString(err.Error(), ""), "Learn more")
	return errors.New(strings.Join(strings.Fields(text), " "))
}

var escapes = regexp.MustCompile(`\x1b\[[0-9;]*m`)
