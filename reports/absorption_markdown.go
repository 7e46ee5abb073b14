package reports

import (
	"cmp"
	"io"
	"strings"
)

// AbsorptionMarkdown writes tables for a pull request, in the manner of
// MeasurementMarkdown.
func AbsorptionMarkdown(w io.Writer, a Absorption) error {
	p := printer{w: w}
	p.linef("### Absorbed: %s of %s, profile %s", thousands(a.Verified), thousands(a.Received), asCode(a.Profile))
	p.linef("")
	for _, line := range a.brief() {
		p.linef("- %s", asCode(line))
	}
	if times := a.times(); len(times) > 0 {
		p.linef("")
		p.linef("| | p50 | p95 | p99 | p99.9 | max |")
		p.linef("| --- |%s", strings.Repeat(" ---: |", 5))
		for _, d := range times {
			p.linef("| %s | %s | %s | %s | %s | %s |", d.name, brieflyMS(d.P50), brieflyMS(d.P95), brieflyMS(d.P99), brieflyMS(d.P999), brieflyMS(d.Max))
		}
	}
	if len(a.Endpoints) > 1 {
		p.linef("")
		p.linef("| endpoint | verified | refused | at once | p99 |")
		p.linef("| --- |%s", strings.Repeat(" ---: |", 4))
		for _, e := range a.Endpoints[:min(len(a.Endpoints), mostShown)] {
			p.linef("| %s | %s | %s | %s | %s |", asCode(cmp.Or(e.Path, "(others)")), thousands(e.Verified), thousands(e.Refused), thousands(e.InFlight), brieflyMS(e.Latency.P99))
		}
	}
	return p.err
}

// mostShown is how many endpoints people are shown.
const mostShown = 20
