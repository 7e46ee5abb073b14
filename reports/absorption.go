package reports

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// AbsorptionSchema is the version of an absorption's JSON.
const AbsorptionSchema = "hookanvil.sink/1"

// Absorption is what a sink took in. Times are in milliseconds, rates per second.
type Absorption struct {
	Schema  string    `json:"schema"`
	Tool    string    `json:"tool"`
	Profile string    `json:"profile"`
	Plan    string    `json:"plan,omitempty"` // outages and slow answers, in words
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	State   string    `json:"state"` // Complete or Interrupted
	Notes   []string  `json:"notes,omitempty"`

	// Received are complete requests: Verified + Refused.
	Received int64            `json:"received"`
	Verified int64            `json:"verified"` // authentic, whatever they were answered
	Refused  int64            `json:"refused"`  // forged, stale or otherwise not authentic
	Reasons  map[string]int64 `json:"reasons,omitempty"`
	// Broken is what never became a request, by kind.
	Broken      map[string]int64 `json:"broken,omitempty"`
	Unavailable int64            `json:"unavailable"` // verified, and answered 503 in an outage
	Turned      int64            `json:"connections_refused"`

	Deliveries int64 `json:"deliveries"` // distinct ones that were accepted
	Duplicates int64 `json:"duplicates"` // accepted again
	Anonymous  int64 `json:"anonymous"`  // verified, without an id
	Untracked  int64 `json:"untracked"`  // beyond the number that can be told apart
	// Attempts counts deliveries by how often they were attempted.
	Attempts map[int]int64 `json:"attempts,omitempty"`
	// Expected and Lost are nil where nobody has said what should come, or it cannot be
	// told what did.
	Expected   *int64 `json:"expected,omitempty"`
	Lost       *int64 `json:"lost,omitempty"`
	Unexpected int64  `json:"unexpected"`          // that were not triggered
	Missing    *int64 `json:"missing,omitempty"`   // numbers of the sequence, per endpoint
	Backwards  *int64 `json:"backwards,omitempty"` // deliveries whose number is below one that came before

	// Latency is from a trigger to the arrival of the first attempt.
	Latency Distribution `json:"latency"`
	Age     Distribution `json:"age"`    // of a signature when it arrives
	Gap     Distribution `json:"gap"`    // between arrivals
	Future  int64        `json:"future"` // signed later than they arrived, by more than a second

	Rate         float64 `json:"rate"` // verified per second from the first to the last
	Peak         float64 `json:"peak"` // of one second
	InFlight     int64   `json:"in_flight_max"`
	Connections  int64   `json:"connections_max"`
	MemoryForIDs int64   `json:"ids_bytes"`

	Endpoints []AbsorbedEndpoint `json:"endpoints"` // by path, in order
	Outages   []AbsorbedOutage   `json:"outages,omitempty"`
	// Capacity is what a search for the highest rate came to; the rest is then of the
	// highest at which the sender kept up, or of the first where there was none.
	Capacity *Capacity        `json:"capacity,omitempty"`
	Series   []AbsorbedSecond `json:"series"`
}

// AbsorbedEndpoint is what came to one path.
type AbsorbedEndpoint struct {
	Path      string       `json:"path"` // empty for all those beyond the most that are told apart
	Verified  int64        `json:"verified"`
	Refused   int64        `json:"refused"`
	InFlight  int64        `json:"in_flight_max"`
	Missing   int64        `json:"missing,omitempty"`
	Backwards int64        `json:"backwards,omitempty"`
	Latency   Distribution `json:"latency"`
}

// AbsorbedOutage is one outage and what came after it.
type AbsorbedOutage struct {
	Plan string  `json:"plan"`
	From float64 `json:"from_s"`
	To   float64 `json:"to_s"`
	// Left are deliveries of before its end that had not been accepted at the end. Where
	// nobody has said when they were triggered, it is not known which of several outages
	// held them up: they are counted for the last.
	Left int64 `json:"left"`
	// Drain is from its end until the last delivery of before its end was accepted; nil
	// where there was none, or some are left.
	Drain *float64 `json:"drain_ms,omitempty"`
	Mean  float64  `json:"mean"` // verified per second before it
	Peak  float64  `json:"peak"` // of one second after it
	// Burst is per second in the busiest fifth of a second of the minute after it.
	Burst float64 `json:"burst"`
}

// AbsorbedSecond is one second.
type AbsorbedSecond struct {
	At          float64 `json:"at_s"`
	Verified    int64   `json:"verified"`
	Refused     int64   `json:"refused"`
	Duplicates  int64   `json:"duplicates"`
	Unavailable int64   `json:"unavailable"`
}

// AbsorptionFormats are the forms in which an absorption can be written.
var AbsorptionFormats = []struct {
	Name  string
	Write func(io.Writer, Absorption) error
}{
	{"json", AbsorptionJSON},
	{"terminal", Terminal{Width: 100}.WriteAbsorption},
	{"markdown", AbsorptionMarkdown},
	{"prometheus", AbsorptionPrometheus},
}

// AbsorptionJSON writes it as one indented JSON object.
func AbsorptionJSON(w io.Writer, a Absorption) error {
	a.Schema = AbsorptionSchema
	b, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report of the sink: %w", err)
	}
	_, err = w.Write(append(inertJSON(b), '\n'))
	return err
}

// Unusable is how many connections brought what no receiver could take: what breaks
// HTTP, or is too large. Those that were silent, slow or cut short may be made good.
func (a Absorption) Unusable() int64 {
	return a.Broken["malformed"] + a.Broken["unsupported"] + a.Broken["too-large"]
}

// Kinds of Broken connections that were refused for the client certificate.
const (
	NoCertificate      = "no-client-certificate"
	StrangeCertificate = "strange-client-certificate"
)

// Strangers is how many connections were refused because they showed no client certificate,
// or one that comes from somebody else.
func (a Absorption) Strangers() int64 { return a.Broken[NoCertificate] + a.Broken[StrangeCertificate] }

// ExitCode is that of a sink: failed where something was forged, unusable, of a stranger,
// lost, missing or accepted more often than allowed, inconclusive where nothing arrived or losses that
// were asked about could not be told.
func (a Absorption) ExitCode(duplicates int64) int {
	lost := a.Lost != nil && *a.Lost > 0 || a.Missing != nil && *a.Missing > 0
	switch {
	case a.Refused+a.Unusable()+a.Strangers() > 0 || a.Duplicates > duplicates || lost:
		return ExitFailed
	case a.Verified == 0, a.Untracked > 0, a.Expected != nil && a.Lost == nil:
		return ExitInconclusive
	}
	return ExitPassed
}

// WriteAbsorption writes it for people.
func (t Terminal) WriteAbsorption(w io.Writer, a Absorption) error {
	var b bytes.Buffer
	s := t.screen(&b)
	s.line("")
	mark := func(bad bool) string {
		if bad {
			return s.glyph(Fail)
		}
		return s.glyph(Pass)
	}
	row := func(bad bool, n int64, what string) { s.line("  %s %12d  %s", mark(bad), n, what) }
	if a.Verified == 0 {
		s.line("  %s %12d  verified: nothing authentic arrived", s.glyph(Inconclusive), 0)
	} else {
		row(false, a.Verified, "verified")
	}
	row(a.Refused > 0, a.Refused, "refused"+tally(a.Reasons))
	row(a.Duplicates > 0, a.Duplicates, "duplicates of "+fmt.Sprint(a.Deliveries)+" deliveries")
	if a.Lost != nil {
		row(*a.Lost > 0, *a.Lost, fmt.Sprintf("lost of %d expected", *a.Expected))
	} else if a.Expected != nil {
		s.line("  %s %12s  lost: it cannot be told", s.glyph(Inconclusive), "?")
	}
	if a.Missing != nil {
		row(*a.Missing > 0, *a.Missing, "missing in the sequence")
		s.line("  %s %12d  out of order", s.paint(dim, "·"), *a.Backwards)
	}
	if a.Unavailable > 0 {
		s.line("  %s %12d  answered 503 in outages", s.paint(dim, "·"), a.Unavailable)
	}
	if len(a.Broken) > 0 {
		glyph := s.paint(dim, "·")
		if a.Unusable()+a.Strangers() > 0 {
			glyph = s.glyph(Fail)
		}
		s.line("  %s %12s  no deliveries%s", glyph, "", tally(a.Broken))
	}
	s.line("")
	s.line("  %s", a.pace())
	for _, d := range a.times() {
		s.line("  %-20s p50 %s  p95 %s  p99 %s  max %s", d.name, millis(d.P50), millis(d.P95), millis(d.P99), millis(d.Max))
	}
	for _, o := range a.Outages {
		s.paragraph("  outage  ", o.words())
	}
	if len(a.Endpoints) > 1 {
		for _, e := range a.Endpoints[:min(len(a.Endpoints), mostShown)] {
			s.line("  %12d  %s", e.Verified, clip(inert(cmp.Or(e.Path, "(others)")), s.Width-20))
		}
	}
	for _, note := range a.Notes {
		s.paragraph("  note  ", note)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func millis(ms float64) string {
	return time.Duration(ms * float64(time.Millisecond)).Round(10 * time.Microsecond).String()
}

// tally is counts by name, in words.
func tally(counts map[string]int64) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		words = append(words, fmt.Sprintf("%s %d", name, counts[name]))
	}
	if len(words) == 0 {
		return ""
	}
	return ": " + inert(strings.Join(words, ", "))
}

// AbsorptionPrometheus writes its figures as Prometheus text.
func AbsorptionPrometheus(w io.Writer, a Absorption) error {
	var b bytes.Buffer
	figure := func(name, kind, labels string, v float64) {
		if !strings.Contains(b.String(), "# TYPE "+name+" ") {
			fmt.Fprintf(&b, "# TYPE %s %s\n", name, kind)
		}
		fmt.Fprintf(&b, "%s%s %g\n", name, labels, v)
	}
	count := func(name string, n int64) { figure("hookanvil_sink_"+name+"_total", "counter", "", float64(n)) }
	count("received", a.Received)
	count("verified", a.Verified)
	count("duplicates", a.Duplicates)
	count("deliveries", a.Deliveries)
	count("unavailable", a.Unavailable)
	count("untracked", a.Untracked)
	if a.Lost != nil {
		count("lost", *a.Lost)
	}
	for _, reason := range slices.Sorted(maps.Keys(a.Reasons)) {
		figure("hookanvil_sink_refused_total", "counter", fmt.Sprintf("{reason=%q}", reason), float64(a.Reasons[reason]))
	}
	for _, kind := range slices.Sorted(maps.Keys(a.Broken)) {
		figure("hookanvil_sink_broken_total", "counter", fmt.Sprintf("{kind=%q}", kind), float64(a.Broken[kind]))
	}
	for _, d := range []struct {
		name string
		Distribution
	}{{"latency", a.Latency}, {"age", a.Age}} {
		if d.Count == 0 {
			continue
		}
		name := "hookanvil_sink_" + d.name + "_seconds"
		for _, q := range []struct {
			name  string
			value float64
		}{{"0.5", d.P50}, {"0.95", d.P95}, {"0.99", d.P99}, {"0.999", d.P999}} {
			figure(name, "summary", fmt.Sprintf("{quantile=%q}", q.name), q.value/1000)
		}
		fmt.Fprintf(&b, "%s_sum %g\n%s_count %d\n", name, d.Mean*float64(d.Count)/1000, name, d.Count)
	}
	figure("hookanvil_sink_rate", "gauge", "", a.Rate)
	figure("hookanvil_sink_peak_rate", "gauge", "", a.Peak)
	figure("hookanvil_sink_in_flight_max", "gauge", "", float64(a.InFlight))
	_, err := w.Write(b.Bytes())
	return err
}
