package suites

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// CompareSettings say how two measurements are compared.
type CompareSettings struct {
	Tolerance string   // 10%
	Report    []string // FORMAT=PATH
}

// Compare reads two measurements and compares them.
func (s CompareSettings) Compare(before, after string) (reports.Comparison, error) {
	tolerance, err := readTolerance(s.Tolerance)
	if err != nil {
		return reports.Comparison{}, err
	}
	if _, err := s.reports(); err != nil {
		return reports.Comparison{}, err
	}
	var both [2]reports.Measurement
	for i, path := range []string{before, after} {
		if both[i], err = readMeasurement(path); err != nil {
			return reports.Comparison{}, err
		}
	}
	return reports.Compare(both[0], both[1], tolerance), nil
}

func readMeasurement(path string) (reports.Measurement, error) {
	f, err := os.Open(path)
	if err != nil {
		return reports.Measurement{}, fmt.Errorf("read the measurement: %w", err)
	}
	defer f.Close()
	m, err := reports.ReadMeasurement(f)
	if err != nil {
		return m, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func readTolerance(text string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !strings.HasSuffix(text, "%") || !(v >= 0 && v <= 1000) {
		return 0, fmt.Errorf("read --tolerance %s: write a share such as 10%%", strictyaml.Quote(text))
	}
	return v / 100, nil
}

type comparisonReport struct {
	path  string
	write func(io.Writer, reports.Comparison) error
}

func (s CompareSettings) reports() ([]comparisonReport, error) {
	var all []comparisonReport
	for _, text := range s.Report {
		name, path, _ := strings.Cut(text, "=")
		var names []string
		for _, f := range reports.ComparisonFormats {
			names = append(names, f.Name)
		}
		i := slices.Index(names, name)
		switch {
		case path == "":
			return nil, fmt.Errorf("read --report %s: it must be FORMAT=PATH, such as markdown=compare.md; - stands for standard output", strictyaml.Quote(text))
		case i < 0:
			return nil, fmt.Errorf("read --report %s: no format of a comparison is called %s; %s", strictyaml.Quote(text), strictyaml.Quote(name), strictyaml.DidYouMean(name, names))
		case path != "-":
			if err := isDirectory(filepath.Dir(path), "--report", text); err != nil {
				return nil, err
			}
		}
		all = append(all, comparisonReport{path, reports.ComparisonFormats[i].Write})
	}
	return all, nil
}

// WriteReports writes the reports of a comparison, and tells whether one went to standard
// output.
func (s CompareSettings) WriteReports(stdout io.Writer, c reports.Comparison) (toStdout bool, err error) {
	all, err := s.reports()
	if err != nil {
		return false, err
	}
	for _, r := range all {
		out := func(w io.Writer) error { return r.write(w, c) }
		if r.path == "-" {
			toStdout = true
			err = errors.Join(err, out(stdout))
		} else if broken := reports.Replace(r.path, out); broken != nil {
			err = errors.Join(err, fmt.Errorf("write report %s: %w", r.path, broken))
		}
	}
	return toStdout, err
}
