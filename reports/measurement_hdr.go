package reports

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"time"
)

// MeasurementHDR writes the histograms as a log that HdrHistogram's tools read, version
// 1.3: one line for the times of one class that came to one outcome, from when hits
// were due (latency) and from when they were begun (service). The tags are
// CLASS.OUTCOME.latency and CLASS.OUTCOME.service, with total for all classes. Values
// are microseconds; the column of maxima is in milliseconds.
func MeasurementHDR(w io.Writer, m Measurement) error {
	p := printer{w: w}
	p.linef("#[Histogram log format version 1.3]")
	p.linef("#%s", inert(m.Tool))
	p.linef("#load: %s", inert(m.Plan))
	for _, why := range m.Invalid {
		p.linef("#INVALID: %s", inert(why))
	}
	start := float64(m.Started.UnixMilli()) / 1000
	p.linef("#[StartTime: %.3f (seconds since epoch), %s]", start, m.Started.UTC().Format(time.RFC3339))
	p.linef("#[BaseTime: %.3f (seconds since epoch)]", start)
	p.linef(`"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"`)
	seconds := max(m.Ended.Sub(m.Started).Seconds(), 0)
	written, times := 0, int64(0)
	for _, t := range append([]Traffic{m.Total}, m.Classes...) {
		for _, kind := range []struct {
			name  string
			times map[string]Distribution
		}{{"latency", t.Latency}, {"service", t.Service}} {
			for _, outcome := range outcomesOfHits {
				d := kind.times[outcome]
				times += d.Count
				h, err := d.histogram()
				if err != nil {
					return fmt.Errorf("write the histograms of %s: %w", cmp.Or(t.Class, "all"), err)
				}
				if h == nil {
					continue
				}
				written++
				p.linef("Tag=%s.%s.%s,0.000,%.3f,%.3f,%s", cmp.Or(t.Class, "total"), outcome, kind.name, seconds, float64(h.Max())/1000, d.HDR)
			}
		}
	}
	if p.err == nil && written == 0 && times > 0 {
		return errors.New("write the histograms: the measurement carries none, as those of single cases do")
	}
	return p.err
}

// outcomesOfHits are what may become of a hit, in the order in which it is shown.
var outcomesOfHits = []string{"accepted", "refused", "unavailable", "other", "error"}

// printer writes lines, and remembers what went wrong.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) linef(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}
