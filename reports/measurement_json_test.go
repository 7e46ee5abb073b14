package reports_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookanvil/hookanvil/reports"
)

func measurementJSON(t *testing.T, m reports.Measurement) string {
	t.Helper()
	var b bytes.Buffer
	must(t, reports.MeasurementJSON(&b, m))
	return b.String()
}

func readBack(t *testing.T, m reports.Measurement) reports.Measurement {
	t.Helper()
	back, err := reports.ReadMeasurement(strings.NewReader(measurementJSON(t, m)))
	must(t, err)
	return back
}

func TestMeasurementRoundTrip(t *testing.T) {
	for _, want := range []reports.Measurement{sampleMeasurement(), sampleSearch()} {
		got := readBack(t, want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if measurementJSON(t, want) != measurementJSON(t, got) {
			t.Error("the same measurement gives other bytes")
		}
	}
}

func TestReadMeasurementRefuses(t *testing.T) {
	whole := measurementJSON(t, sampleMeasurement())
	replaced := func(old, by string) string {
		if !strings.Contains(whole, old) {
			t.Fatalf("the measurement has no %s", old)
		}
		return strings.Replace(whole, old, by, 1)
	}
	changed := func(change func(m *reports.Measurement)) string {
		m := sampleMeasurement()
		change(&m)
		return measurementJSON(t, m)
	}
	for name, test := range map[string]struct{ text, want string }{
		"nothing":                   {"", "unexpected end"},
		"cut off":                   {whole[:len(whole)-3], "unexpected end"},
		"something after":           {whole + "{}", "after top-level value"},
		"another schema":            {replaced("hookanvil.load/1", "hookanvil.load/2"), `its schema is "hookanvil.load/2"`},
		"a report of cases":         {"{}", "its schema is missing"},
		"a field that is unknown":   {replaced(`"plan"`, `"plam"`), "plam"},
		"a state of its own":        {replaced(`"state": "complete"`, `"state": "done"`), "its state is"},
		"a model of its own":        {replaced(`"model": "open"`, `"model": "half"`), "its model is"},
		"fewer forgeries accepted":  {changed(func(m *reports.Measurement) { m.Classes[1].Accepted = 0 }), "1000 hits were planned, and something is known of 999"},
		"a class left out":          {changed(func(m *reports.Measurement) { m.Classes = m.Classes[:1] }), "the classes of the run are not what their total says"},
		"a class twice":             {changed(func(m *reports.Measurement) { m.Classes[1].Class = "honest" }), "twice"},
		"a class that is a formula": {changed(func(m *reports.Measurement) { m.Classes[1].Class = "=1" }), "no name of a class"},
		"a kind of errors":          {changed(func(m *reports.Measurement) { m.Classes[0].Errors = map[string]int64{"boredom": 9} }), "boredom"},
		"a negative count": {changed(func(m *reports.Measurement) {
			m.Classes[0].Other, m.Classes[0].Unavailable = -9, 100
		}), "a count of -9"},
		"quantiles out of order": {changed(func(m *reports.Measurement) {
			d := m.Classes[0].Latency["accepted"]
			d.P99 = d.P50 / 2
			m.Classes[0].Latency = times("accepted", d)
		}), "do not grow"},
		"a histogram of another": {changed(func(m *reports.Measurement) {
			d := m.Classes[0].Latency["accepted"]
			d.HDR = m.Classes[1].Latency["refused"].HDR
			m.Classes[0].Latency = times("accepted", d)
		}), "their histogram has 999"},
		"a histogram that is none": {changed(func(m *reports.Measurement) { m.Generator.Lag.HDR = "SElTVEY=" }), "decode the histogram"},
		"more times than hits":     {changed(func(m *reports.Measurement) { m.Classes[1].Latency = times("accepted", spread(5, 1, 0)) }), "of which there are 1"},
		"a series of more":         {changed(func(m *reports.Measurement) { m.Series[0].Accepted = 9999 }), "more hits than their total"},
		"a series that goes back":  {changed(func(m *reports.Measurement) { m.Series[3].At = 1 }), "out of order"},
		"a stage that goes back":   {changed(func(m *reports.Measurement) { m.Stages[0].ToS = -1 }), "ends before it begins"},
		"an end before the start":  {changed(func(m *reports.Measurement) { m.Ended = began.AddDate(-1, 0, 0) }), "ended before it started"},
		"a capacity upside down":   {changed(func(m *reports.Measurement) { m.Capacity = &reports.Capacity{Rate: 1, Low: 2, High: 1} }), "bounds that cannot be"},
		"a search without an end":  {changed(func(m *reports.Measurement) { m.Capacity = &reports.Capacity{Rate: 1, Low: 1, High: 1} }), "should be one of found"},
	} {
		if _, err := reports.ReadMeasurement(strings.NewReader(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// Wherever a measurement is cut off, it is not taken for a whole one.
func TestReadMeasurementOfEveryPrefix(t *testing.T) {
	m := sampleMeasurement()
	whole := strings.TrimSuffix(measurementJSON(t, *m.Compact()), "\n")
	for n := range len(whole) {
		if _, err := reports.ReadMeasurement(strings.NewReader(whole[:n])); err == nil {
			t.Fatalf("the first %d bytes of %d are taken for a measurement", n, len(whole))
		}
	}
}

// What is read can be written in every form, and reads the same again.
func FuzzReadMeasurement(f *testing.F) {
	for _, m := range []reports.Measurement{sampleMeasurement(), sampleSearch(), {State: reports.Complete, Model: "open"}} {
		var b bytes.Buffer
		if err := reports.MeasurementJSON(&b, *m.Compact()); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := reports.ReadMeasurement(bytes.NewReader(b))
		if err != nil {
			return
		}
		for _, format := range reports.MeasurementFormats {
			var out bytes.Buffer
			if format.Write == nil {
				continue
			}
			if err := format.Write(&out, m); err != nil && format.Name != "hdr" {
				t.Fatalf("%s: %v", format.Name, err)
			}
		}
		c := reports.Compare(m, m, 0.1)
		if c.Verdict() == reports.Regression || c.Verdict() == reports.Improvement {
			t.Fatalf("a run differs from itself: %+v", c.Rows)
		}
		var first, second bytes.Buffer
		must(t, reports.MeasurementJSON(&first, m))
		again, err := reports.ReadMeasurement(bytes.NewReader(first.Bytes()))
		must(t, err)
		must(t, reports.MeasurementJSON(&second, again))
		if first.String() != second.String() {
			t.Fatal("what was read reads as something else when it is written")
		}
	})
}
