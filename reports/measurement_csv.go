package reports

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
)

// MeasurementCSV writes the run second by second: what all hits came to, and then what
// those of each class did. Times are in milliseconds, and an empty cell is a second in
// which nothing was accepted.
func MeasurementCSV(w io.Writer, m Measurement) error {
	out := csv.NewWriter(w)
	head := []string{"at_s", "planned", "sent", "accepted", "refused", "other", "errors", "p50_ms", "p99_ms", "max_ms"}
	for _, t := range m.Classes {
		for _, column := range []string{"sent", "accepted", "refused", "p99_ms"} {
			head = append(head, cell(t.Class+"_"+column))
		}
	}
	if err := out.Write(head); err != nil {
		return err
	}
	for _, s := range m.Series {
		row := []string{decimal(s.At), count(s.Planned), count(s.Sent), count(s.Accepted), count(s.Refused), count(s.Other), count(s.Errors)}
		for _, ms := range []float64{s.P50, s.P99, s.Max} {
			row = append(row, timeOf(ms, s.Accepted))
		}
		for _, t := range m.Classes {
			i := s.Classes[t.Class]
			row = append(row, count(i.Sent), count(i.Accepted), count(i.Refused), timeOf(i.P99, i.Accepted))
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// cell makes text safe in a spreadsheet, which takes what begins in some ways for a
// formula.
func cell(text string) string {
	text = inert(text)
	if text != "" && strings.ContainsRune("=+-@|%", rune(text[0])) {
		return "'" + text
	}
	return text
}

func count(n int64) string { return strconv.FormatInt(n, 10) }

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// timeOf is a quantile of some hits, or nothing where there were none.
func timeOf(ms float64, hits int64) string {
	if hits == 0 {
		return ""
	}
	return decimal(ms)
}
