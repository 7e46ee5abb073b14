package reports

import (
	"io"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// MeasurementFormat writes what a load run measured in one form. What it writes is safe
// to show where that form is shown, whatever the peer sent.
type MeasurementFormat func(w io.Writer, m Measurement) error

// ResultsFormat writes every hit of a load run, as the run goes.
type ResultsFormat func(w io.Writer) vegeta.Encoder

// MeasurementFormats are the forms in which a measurement can be written, by the name a
// user gives. One that has Results instead of Write holds every hit and not what they
// amount to: it is written while the run goes on.
var MeasurementFormats = []struct {
	Name    string
	Doc     string // completes "the report is ..."
	Write   MeasurementFormat
	Results ResultsFormat
}{
	{"terminal", "text for people: what became of the hits, how soon, and which thresholds hold", Terminal{Width: 100}.WriteMeasurement, nil},
	{"json", "everything, for programs and hookanvil compare: documented, versioned and deterministic", MeasurementJSON, nil},
	{"markdown", "a table for a pull request", MeasurementMarkdown, nil},
	{"html", "one page with charts, which needs nothing else", MeasurementHTML, nil},
	{"csv", "the run second by second", MeasurementCSV, nil},
	{"hdr", "an HdrHistogram log, which its tools plot: a line a class and outcome", MeasurementHDR, nil},
	{"prometheus", "Prometheus's text exposition", MeasurementPrometheus, nil},
	{"vegeta", "every hit, which vegeta report and vegeta plot read", nil, vegeta.NewEncoder},
	{"vegeta-json", "the same, a line of JSON a hit", nil, vegeta.NewJSONEncoder},
}

// InertResult makes a hit safe to keep: without the body and the headers of the answer,
// and with an error that a terminal, to which vegeta report writes it, shows as text.
func InertResult(r vegeta.Result) vegeta.Result {
	r.Body, r.Headers = nil, nil
	r.Error = clip(inert(head(r.Error, 4*mostText)), mostText)
	return r
}
