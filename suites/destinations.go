package suites

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// destination is a report that is asked for by --report FORMAT=PATH.
type destination struct {
	format int    // its place among the formats
	path   string // - is standard output
}

// readDestinations reads --report, before a run. What names in messages whose formats
// they are, as in "format of a load".
func readDestinations(texts, formats []string, what, example string) ([]destination, error) {
	var all []destination
	for _, text := range texts {
		name, path, _ := strings.Cut(text, "=")
		if path == "" {
			return nil, fmt.Errorf("read --report %s: it must be FORMAT=PATH, such as %s; - stands for standard output", strictyaml.Quote(text), example)
		}
		i := slices.Index(formats, name)
		if i < 0 {
			return nil, fmt.Errorf("read --report %s: no %s is called %s; %s", strictyaml.Quote(text), what, strictyaml.Quote(name), strictyaml.DidYouMean(name, formats))
		}
		if path != "-" {
			if err := isDirectory(filepath.Dir(path), "--report", text); err != nil {
				return nil, err
			}
			if err := canBeWritten(path); err != nil {
				return nil, fmt.Errorf("read --report %s: no report can be written there: %w", strictyaml.Quote(text), err)
			}
		}
		all = append(all, destination{i, path})
	}
	return all, nil
}

// canBeWritten tells why a file cannot be written, or replaced. Who has waited for a run
// must not learn it then.
func canBeWritten(path string) error {
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return errors.New("it is a directory; name a file in it")
	case err == nil && !info.Mode().IsRegular():
		return nil // a device or a pipe
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".hookanvil-*")
	var of *os.PathError
	if errors.As(err, &of) {
		return fmt.Errorf("make a file in %s: %w", strictyaml.Quote(filepath.Dir(path)), of.Err)
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// output is a report that is to be written; write is nil where that was done already.
type output struct {
	path  string
	write func(io.Writer) error
}

// writeOutputs writes files first, so that they are there whatever happens to standard
// output, and then what goes to it. It tells whether anything goes there.
func writeOutputs(stdout io.Writer, all []output) (toStdout bool, err error) {
	for _, o := range all {
		if o.path == "-" || o.write == nil {
			continue
		}
		err = errors.Join(err, reports.WriteFile(o.path, o.write))
	}
	for _, o := range all {
		if o.path != "-" {
			continue
		}
		toStdout = true
		if o.write != nil {
			err = errors.Join(err, o.write(stdout))
		}
	}
	return toStdout, err
}
