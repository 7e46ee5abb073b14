package suites

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// CompareSettings say how two runs are compared.
type CompareSettings struct {
	Tolerance string   // 10%
	Report    []string // FORMAT=PATH
}

// Compare reads two runs, of cases or of load, and compares them.
func (s CompareSettings) Compare(before, after string) (reports.Pair, error) {
	tolerance, err := readTolerance(s.Tolerance)
	if err != nil {
		return nil, err
	}
	if _, err := s.reports(); err != nil {
		return nil, err
	}
	a, err := reports.ReadKept(before)
	if err != nil {
		return nil, err
	}
	b, err := reports.ReadKept(after)
	switch {
	case err != nil:
		return nil, err
	case a.Record != nil && b.Record != nil:
		c := reports.CompareRuns(*a.Record, *b.Record, tolerance)
		return &c, nil
	case a.Load != nil && b.Load != nil:
		c := reports.Compare(*a.Load, *b.Load, tolerance)
		return &c, nil
	}
	return nil, fmt.Errorf("compare %s with %s: one is a load and the other a run of cases; name two of a kind", before, after)
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
func (s CompareSettings) WriteReports(stdout io.Writer, c reports.Pair) (toStdout bool, err error) {
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
