package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// MeasurementJSON writes what a load run measured as one indented JSON object, whose
// schema is MeasurementSchema. Times are in milliseconds, rates per second, shares from
// 0 to 1 and sizes in bytes:
//
//	schema     "hookanvil.load/1"; a change that an old reader would misread raises the number
//	tool, subject, profile, seed, started, ended  as in a report of cases
//	plan       in words; model is "open" or "closed"
//	state      "complete", "interrupted", or "aborted" by a condition
//	generator  what the load cost us, and whether we kept time
//	invalid[]  why the figures tell of the generator; nothing may be concluded then
//	total, classes[], stages[]  what became of the hits: planned is the sum of accepted,
//	           refused, unavailable, other and errors{}. latency{} is from when a hit was due
//	           and service{} from when it was begun, by what became of it; hdr is an
//	           HdrHistogram in microseconds, V2 compressed, base64. effects {examined, lost,
//	           repeated, taken} is what a probe told of deliveries that were accepted or, of a
//	           class that must be refused, of all
//	series[]   the run second by second
//	controls[] {when, class, accepted, got, gone}: single deliveries before the load and after
//	thresholds[] {text, holds, got, unmeasured, certain, timeless}
//	capacity   {rate, low, high, unlimited, ended, trials[]}: what a search found, and what ended
//	           it: "found", "highest rate", "lowest rate", "time", "generator" or "interrupted"
//
// Empty fields are left out. The same measurement gives the same bytes.
func MeasurementJSON(w io.Writer, m Measurement) error {
	m.Schema = MeasurementSchema
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the measurement: %w", err)
	}
	_, err = w.Write(append(inertJSON(b), '\n'))
	return err
}

// maxMeasurement is the size of a measurement that is read: an hour, second by second, of
// all classes has a tenth of it.
const maxMeasurement = 64 << 20

// ReadMeasurement reads what MeasurementJSON wrote. One of another schema, one that is
// cut off, one with fields that this version does not know and one whose figures
// contradict each other are errors.
func ReadMeasurement(r io.Reader) (Measurement, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxMeasurement+1))
	if err == nil && len(b) > maxMeasurement {
		err = fmt.Errorf("it is larger than %d MiB", maxMeasurement>>20)
	}
	if err != nil {
		return Measurement{}, fmt.Errorf("read the measurement: %w", err)
	}
	m, err := decodeMeasurement(b)
	if err != nil {
		return Measurement{}, fmt.Errorf("read the measurement: %w", err)
	}
	return m, nil
}

func decodeMeasurement(b []byte) (Measurement, error) {
	var head struct {
		Schema *string `json:"schema"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return Measurement{}, err
	}
	if head.Schema == nil || *head.Schema != MeasurementSchema {
		schema := "missing"
		if head.Schema != nil {
			schema = fmt.Sprintf("%q", *head.Schema)
		}
		return Measurement{}, fmt.Errorf("its schema is %s, and this version reads %q; write one with hookanvil load --report json=PATH", schema, MeasurementSchema)
	}
	var m Measurement
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return Measurement{}, err
	}
	return m, m.check()
}

// check finds what contradicts itself.
func (m *Measurement) check() error {
	if states := []string{Complete, Interrupted, Aborted}; !slices.Contains(states, m.State) {
		return fmt.Errorf("its state is %q; it should be one of %s", m.State, strings.Join(states, ", "))
	}
	if m.Model != "open" && m.Model != "closed" {
		return fmt.Errorf("its model is %q; it should be open or closed", m.Model)
	}
	if m.Ended.Before(m.Started) {
		return errors.New("it ended before it started")
	}
	if err := m.checkTraffic("the run", m.Total, m.Classes); err != nil {
		return err
	}
	for i, s := range m.Stages {
		if s.ToS < s.FromS || s.FromS < 0 {
			return fmt.Errorf("stage %d ends before it begins", i+1)
		}
		if err := m.checkTraffic(fmt.Sprintf("stage %d", i+1), s.Total, s.Classes); err != nil {
			return err
		}
	}
	if err := m.Generator.Lag.check("the generator's lag"); err != nil {
		return err
	}
	return errors.Join(m.checkSeries(), m.Capacity.check())
}

// className is how classes of hits are called.
var className = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// checkTraffic finds classes that are not what they add up to.
func (m *Measurement) checkTraffic(what string, total Traffic, classes []Traffic) error {
	if total.Class != "" {
		return fmt.Errorf("the total of %s has a class", what)
	}
	if err := total.check("all of " + what); err != nil {
		return err
	}
	var sum Traffic
	seen := map[string]bool{}
	for _, t := range classes {
		if !className.MatchString(t.Class) || seen[t.Class] {
			return fmt.Errorf("%s has a class %q, which is no name of a class, or stands there twice", what, t.Class)
		}
		seen[t.Class] = true
		if err := t.check(t.Class + " of " + what); err != nil {
			return err
		}
		sum.Planned, sum.Accepted, sum.Refused = sum.Planned+t.Planned, sum.Accepted+t.Accepted, sum.Refused+t.Refused
		sum.Unavailable, sum.Other, sum.Sent = sum.Unavailable+t.Unavailable, sum.Other+t.Other, sum.Sent+t.Sent
	}
	whole := Traffic{Planned: total.Planned, Sent: total.Sent, Accepted: total.Accepted, Refused: total.Refused, Unavailable: total.Unavailable, Other: total.Other}
	if sum.counts() != whole.counts() {
		return fmt.Errorf("the classes of %s are not what their total says: it was edited or damaged", what)
	}
	return nil
}

func (t Traffic) counts() [6]int64 {
	return [6]int64{t.Planned, t.Sent, t.Accepted, t.Refused, t.Unavailable, t.Other}
}

// Failed is how many hits had no complete answer.
func (t *Traffic) Failed() (n int64) {
	for _, hits := range t.Errors {
		n += hits
	}
	return n
}

// Unserved is the share of the hits that were neither accepted nor refused on purpose.
func (t *Traffic) Unserved() float64 {
	if t.Planned == 0 {
		return 0
	}
	return float64(t.Failed()+t.Unavailable+t.Other) / float64(t.Planned)
}

func (t *Traffic) check(what string) error {
	for _, n := range append(slices.Collect(maps.Values(t.Errors)), t.Planned, t.Sent, t.Accepted, t.Refused, t.Unavailable, t.Other, t.Sending, t.Reading) {
		if n < 0 || n > math.MaxInt64/16 {
			return fmt.Errorf("%s has a count of %d", what, n)
		}
	}
	for kind := range t.Errors {
		if !slices.Contains(ErrorKinds, kind) {
			return fmt.Errorf("%s has errors of the kind %q, which there is not", what, kind)
		}
	}
	if t.Rate < 0 || t.Throughput < 0 {
		return fmt.Errorf("%s has a negative rate", what)
	}
	if sum := t.Accepted + t.Refused + t.Unavailable + t.Other + t.Failed(); sum != t.Planned || t.Sent > t.Planned {
		return fmt.Errorf("of %s %d hits were planned, and something is known of %d: it was edited or damaged", what, t.Planned, sum)
	}
	if e := t.Effects; e != nil && (min(e.Lost, e.Repeated, e.Taken) < 0 || max(e.Lost, e.Taken) > e.Examined) {
		return fmt.Errorf("%s has effects that cannot be: of %d deliveries %d lost, %d repeated and %d taken", what, e.Examined, e.Lost, e.Repeated, e.Taken)
	}
	outcomes := map[string]int64{"accepted": t.Accepted, "refused": t.Refused, "unavailable": t.Unavailable, "other": t.Other, "error": t.Failed()}
	for _, times := range []map[string]Distribution{t.Latency, t.Service} {
		for outcome, d := range times {
			n, known := outcomes[outcome]
			if !known || d.Count > n {
				return fmt.Errorf("%s has %d times of hits that were %q, of which there are %d", what, d.Count, outcome, n)
			}
			if err := d.check(fmt.Sprintf("the times of %s that were %s", what, outcome)); err != nil {
				return err
			}
		}
	}
	return nil
}

// imprecision is how far a value may lie beside another because both were rounded to
// three digits.
const imprecision = 1.002

func (d *Distribution) check(what string) error {
	last := 0.0
	for _, v := range []float64{d.Min, d.P50, d.P90, d.P95, d.P99, d.P999, d.Max} {
		if v < 0 || v*imprecision+0.01 < last {
			return fmt.Errorf("%s do not grow from the least to the greatest: %g comes after %g", what, v, last)
		}
		last = v
	}
	if d.Count < 0 || d.Mean < 0 {
		return fmt.Errorf("%s are negative", what)
	}
	h, err := d.histogram()
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if h != nil && h.TotalCount() != d.Count {
		return fmt.Errorf("%s are %d, and their histogram has %d", what, d.Count, h.TotalCount())
	}
	return nil
}

// Bounds of a histogram that is decoded: from a microsecond to ten days, with three
// digits, it has some thirty thousand places, and base64 of far less than this.
const (
	maxEncoded = 1 << 20
	maxMicros  = 864_000_000_000
)

// histogram decodes the histogram; it is nil where there is none.
func (d *Distribution) histogram() (*hdr.Histogram, error) {
	if d.HDR == "" {
		return nil, nil
	}
	if len(d.HDR) > maxEncoded {
		return nil, errors.New("the histogram is too large")
	}
	h, err := hdr.Decode([]byte(d.HDR))
	if err != nil {
		return nil, fmt.Errorf("decode the histogram: %w", err)
	}
	if h.SignificantFigures() > 3 || h.HighestTrackableValue() > maxMicros {
		return nil, errors.New("the histogram is finer, or reaches further, than ours do")
	}
	return h, nil
}

func (m *Measurement) checkSeries() error {
	last := -1.0
	var accepted, refused int64
	for i, s := range m.Series {
		for _, n := range []int64{s.Planned, s.Sent, s.Accepted, s.Refused, s.Other, s.Errors} {
			if n < 0 || n > math.MaxInt64/16 {
				return fmt.Errorf("second %d of the series has a count of %d", i, n)
			}
		}
		if s.At <= last || s.P50 < 0 || s.P99 < 0 || s.Max < 0 {
			return fmt.Errorf("second %d of the series is out of order, or has a negative time", i)
		}
		for class, instant := range s.Classes {
			if !className.MatchString(class) || min(instant.Sent, instant.Accepted, instant.Refused) < 0 || instant.P99 < 0 {
				return fmt.Errorf("second %d of the series has figures of the class %q that cannot be", i, class)
			}
		}
		last, accepted, refused = s.At, accepted+s.Accepted, refused+s.Refused
	}
	if len(m.Series) > 0 && (accepted > m.Total.Accepted || refused > m.Total.Refused) {
		return errors.New("the seconds of the series have more hits than their total: it was edited or damaged")
	}
	return nil
}

func (c *Capacity) check() error {
	if c == nil {
		return nil
	}
	if c.Rate < 0 || c.Low < 0 || c.High < c.Low && !c.Unlimited {
		return fmt.Errorf("its capacity has bounds that cannot be: %g to %g", c.Low, c.High)
	}
	if !slices.Contains(SearchEnds, c.Ended) {
		return fmt.Errorf("the search for its capacity ended by %q; it should be one of %s", c.Ended, strings.Join(SearchEnds, ", "))
	}
	for i, t := range c.Trials {
		if t.Rate <= 0 || t.Throughput < 0 || t.P50 < 0 || t.P99 < 0 || t.Errors < 0 || t.Errors > 1 {
			return fmt.Errorf("trial %d of its capacity has figures that cannot be", i+1)
		}
	}
	return nil
}
