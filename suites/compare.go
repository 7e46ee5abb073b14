package suites

import (
	"fmt"
	"io"
	"os"
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

func (s CompareSettings) reports() ([]destination, error) {
	var names []string
	for _, f := range reports.ComparisonFormats {
		names = append(names, f.Name)
	}
	return readDestinations(s.Report, names, "format of a comparison", "markdown=compare.md")
}

// WriteReports writes the reports of a comparison, and tells whether one went to standard
// output.
func (s CompareSettings) WriteReports(stdout io.Writer, c reports.Comparison) (toStdout bool, err error) {
	all, err := s.reports()
	if err != nil {
		return false, err
	}
	var outputs []output
	for _, d := range all {
		outputs = append(outputs, output{d.path, func(w io.Writer) error { return reports.ComparisonFormats[d.format].Write(w, c) }})
	}
	return writeOutputs(stdout, outputs)
}
