package reports_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	prometheus "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	vegeta "github.com/tsenart/vegeta/v12/lib"
	"golang.org/x/net/html"

	"github.com/hookanvil/hookanvil/reports"
)

func TestMeasurementGolden(t *testing.T) {
	type golden struct {
		name  string
		write reports.MeasurementFormat
		m     reports.Measurement
	}
	interrupted := sampleMeasurement()
	interrupted.State, interrupted.Thresholds, interrupted.Series = reports.Interrupted, nil, nil
	files := []golden{
		{"load-colour.terminal", reports.Terminal{Width: 100, Color: true}.WriteMeasurement, sampleMeasurement()},
		{"load-narrow.terminal", reports.Terminal{Width: 60, ASCII: true}.WriteMeasurement, sampleSearch()},
		{"load-interrupted.terminal", reports.Terminal{Width: 100}.WriteMeasurement, interrupted},
	}
	for _, f := range reports.MeasurementFormats {
		if f.Write != nil {
			files = append(files, golden{"load." + f.Name, f.Write, sampleMeasurement()}, golden{"search." + f.Name, f.Write, sampleSearch()})
		}
	}
	for _, f := range files {
		var b bytes.Buffer
		must(t, f.write(&b, f.m))
		checkGolden(t, f.name, b.String())
	}
}

func checkGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s, should it be so, run the test with -update (-want +got):\n%s", path, diff)
	}
}

// checkers find what a format shows that its readers would act upon.
var checkers = map[string]func(t *testing.T, what, out string){
	"terminal": checkInert,
	"json": func(t *testing.T, what, out string) {
		checkInert(t, what, out)
		if !json.Valid([]byte(out)) {
			t.Errorf("%s: no JSON", what)
		}
	},
	"markdown":   checkMarkdown,
	"html":       checkPage,
	"csv":        checkSheet,
	"hdr":        checkLines("#", "Tag=", `"StartTimestamp"`),
	"prometheus": checkLines("# HELP hookanvil_", "# TYPE hookanvil_", "hookanvil_"),
}

func TestMeasurementInjection(t *testing.T) {
	neutralised := 0
	for name, payload := range payloads {
		m := loadEverywhere(payload)
		for _, f := range reports.MeasurementFormats {
			if f.Write == nil {
				continue
			}
			var b bytes.Buffer
			must(t, f.Write(&b, m))
			checkers[f.Name](t, name+" as "+f.Name, b.String())
			neutralised++
		}
		back := readBack(t, m)
		if got := back.Notes[0]; got != string([]rune(payload)) {
			t.Errorf("%s: the JSON says something else: %q", name, got)
		}
	}
	t.Logf("injection payloads neutralised %d", neutralised)
}

// Prometheus's own parser reads what is written for it, whatever stands in the labels.
func TestPrometheusReadsMeasurement(t *testing.T) {
	read := func(m reports.Measurement) map[string]*prometheus.MetricFamily {
		t.Helper()
		var b bytes.Buffer
		must(t, reports.MeasurementPrometheus(&b, m))
		var parser expfmt.TextParser
		families, err := parser.TextToMetricFamilies(&b)
		must(t, err)
		return families
	}
	families := read(sampleSearch())
	labels := func(m *prometheus.Metric) string {
		var all []string
		for _, l := range m.GetLabel() {
			all = append(all, l.GetValue())
		}
		return strings.Join(all, " ")
	}
	got := map[string]float64{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			at := strings.TrimPrefix(name, "hookanvil_load_") + " " + labels(m)
			got[at] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetSummary().GetSampleSum()
			for _, q := range m.GetSummary().GetQuantile() {
				got[fmt.Sprintf("%s %g", at, q.GetQuantile())] = q.GetValue()
			}
		}
	}
	honest := sampleSearch().Classes[0].Latency["accepted"]
	for at, want := range map[string]float64{
		"hits_total honest accepted":                 8900,
		"hits_total forged refused":                  999,
		"errors_total honest timeout":                7,
		"valid ":                                     0,
		"latency_seconds honest accepted 0.99":       honest.P99 / 1000,
		"latency_seconds honest accepted":            honest.Mean * 8900 / 1000,
		"effects_wrong honest lost":                  1,
		"effects_wrong forged taken":                 1,
		"control_accepted after honest":              0,
		"control_accepted after forged":              1,
		"threshold_holds honest.latency.p99 <= 20ms": 1,
		"capacity low":                               1420,
		"generator_dropped ":                         2,
	} {
		if v, there := got[at]; !there || math.Abs(v-want) > 1e-9*math.Abs(want) {
			t.Errorf("%s is %v (there: %v), want %v", at, v, there, want)
		}
	}
	for name, payload := range payloads {
		info := read(loadEverywhere(payload))["hookanvil_load_info"].GetMetric()
		if len(info) != 1 || len(info[0].GetLabel()) != 6 {
			t.Errorf("%s: %v", name, info)
		}
	}
}

// checkOneLine makes sure that nothing in out is a control character, or turns the
// direction of writing.
func checkOneLine(t *testing.T, what, out string) {
	t.Helper()
	if i := strings.IndexFunc(out, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("%s: %q at %d", what, out[i:min(i+12, len(out))], i)
	}
	if command := ciCommand.FindString(out); command != "" {
		t.Errorf("%s: a command of a CI service is left: %q", what, command)
	}
}

// checkLines makes sure that each line begins as one of ours does.
func checkLines(begins ...string) func(t *testing.T, what, out string) {
	return func(t *testing.T, what, out string) {
		t.Helper()
		checkOneLine(t, what, out)
		for line := range strings.SplitSeq(strings.TrimSuffix(out, "\n"), "\n") {
			if !hasAnyPrefix(line, begins) {
				t.Errorf("%s: a line of its own: %.80q", what, line)
			}
		}
	}
}

func hasAnyPrefix(line string, begins []string) bool {
	for _, begin := range begins {
		if strings.HasPrefix(line, begin) {
			return true
		}
	}
	return false
}

var codeSpan = regexp.MustCompile("`[^`]*`")

// checkMarkdown makes sure that what others said stands in code: outside of it there is
// nothing of it, and tables have the columns that they should.
func checkMarkdown(t *testing.T, what, out string) {
	t.Helper()
	checkOneLine(t, what, out)
	for line := range strings.SplitSeq(out, "\n") {
		bare := codeSpan.ReplaceAllString(line, "")
		if strings.ContainsAny(bare, "`<[@{$") || strings.Contains(bare, "REMOTE") || strings.Contains(bare, "://") {
			t.Errorf("%s: markup outside of code: %.200q", what, line)
		}
		if pipes := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|"); pipes != 0 && pipes != 4 && pipes != 13 {
			t.Errorf("%s: a table has %d bars: %.200q", what, pipes, line)
		}
	}
}

// checkPage makes sure that a page has the elements and attributes that ours has, and
// nothing that loads or runs.
func checkPage(t *testing.T, what, out string) {
	t.Helper()
	var b bytes.Buffer
	must(t, reports.MeasurementHTML(&b, loadEverywhere("harmless")))
	if diff := cmp.Diff(outline(t, b.String()), outline(t, out)); diff != "" {
		t.Errorf("%s: the page has other elements:\n%s", what, diff)
	}
	if i := strings.IndexFunc(out, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("%s: %q at %d", what, out[i:min(i+12, len(out))], i)
	}
}

// outline is the elements of a page with the names of their attributes.
func outline(t *testing.T, page string) []string {
	t.Helper()
	var all []string
	tokens := html.NewTokenizer(strings.NewReader(page))
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			if err := tokens.Err(); !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			return all
		case html.StartTagToken, html.SelfClosingTagToken:
			token := tokens.Token()
			line := token.Data
			for _, a := range token.Attr {
				line += " " + a.Key
			}
			all = append(all, line)
			if slices.Contains([]string{"script", "iframe", "object", "embed", "link", "img", "a", "form"}, token.Data) {
				t.Errorf("the page has an element %s", token.Data)
			}
		case html.CommentToken:
			t.Error("the page has a comment")
		}
	}
}

func checkSheet(t *testing.T, what, out string) {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	must(t, err)
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				t.Errorf("%s: a cell is a formula: %q", what, cell)
			}
		}
	}
}

// A class has no such name, yet what a spreadsheet may be made to do is not left to that.
func TestMeasurementCSVFormula(t *testing.T) {
	m := sampleMeasurement()
	m.Classes[1].Class = "=cmd|' /c calc'!A0"
	var b bytes.Buffer
	must(t, reports.MeasurementCSV(&b, m))
	checkSheet(t, "a class", b.String())
	if !strings.Contains(b.String(), "'=cmd") {
		t.Error("the name of the class is gone")
	}
}

// The log is read back by the library, and its histograms are those that were measured.
func TestMeasurementHDRIsRead(t *testing.T) {
	m := sampleMeasurement()
	var b bytes.Buffer
	must(t, reports.MeasurementHDR(&b, m))
	r := hdr.NewHistogramLogReader(&b)
	found := map[string]*hdr.Histogram{}
	for {
		h, err := r.NextIntervalHistogram()
		must(t, err)
		if h == nil {
			break
		}
		found[h.Tag()] = h
	}
	if len(found) != 6 {
		t.Errorf("%d histograms", len(found))
	}
	want := m.Classes[0].Latency["accepted"]
	got := found["honest.accepted.latency"]
	if got == nil || got.TotalCount() != want.Count || math.Abs(float64(got.ValueAtQuantile(99))/1000-want.P99) > 0.001 || got.StartTimeMs() != began.UnixMilli() {
		t.Errorf("%+v, want %+v", got, want)
	}
	if err := reports.MeasurementHDR(io.Discard, *m.Compact()); err == nil {
		t.Error("a measurement without histograms is written")
	}
}

// The hits are read back by vegeta, which finds the figures that we wrote.
func TestResultsAreReadByVegeta(t *testing.T) {
	for _, f := range reports.MeasurementFormats {
		if f.Results == nil {
			continue
		}
		var b bytes.Buffer
		encode := f.Results(&b)
		for i := range 200 {
			r := reports.InertResult(vegeta.Result{
				Attack: "honest", Seq: uint64(i), Code: 200, Timestamp: began.Add(time.Duration(i) * 10 * time.Millisecond), Latency: time.Duration(i+1) * time.Millisecond,
				BytesOut: 512, BytesIn: 100, Method: "POST", URL: "http://127.0.0.1/hook", Body: []byte("from a peer"),
			})
			if i%10 == 0 {
				r.Code, r.Error = 0, "reset"
			}
			must(t, encode.Encode(&r))
		}
		var m vegeta.Metrics
		decode := vegeta.DecoderFor(&b)
		if decode == nil {
			t.Fatalf("%s: vegeta does not know the encoding", f.Name)
		}
		for {
			var r vegeta.Result
			if err := decode(&r); err != nil {
				break
			}
			m.Add(&r)
		}
		m.Close()
		if m.Requests != 200 || m.Success != 0.9 || m.Latencies.Max != 200*time.Millisecond || m.BytesOut.Total != 200*512 || len(m.Errors) != 1 {
			t.Errorf("%s: %+v", f.Name, m)
		}
		var text bytes.Buffer
		must(t, vegeta.NewTextReporter(&m).Report(&text))
		if !strings.Contains(text.String(), "reset") {
			t.Errorf("%s: %s", f.Name, &text)
		}
	}
}

func TestInertResult(t *testing.T) {
	for name, payload := range payloads {
		r := reports.InertResult(vegeta.Result{Error: payload, Body: []byte(payload), Headers: map[string][]string{"A": {payload}}})
		if r.Body != nil || r.Headers != nil {
			t.Errorf("%s: the answer was kept", name)
		}
		checkOneLine(t, name, " "+r.Error)
	}
}

func TestMeasurementTerminalKeepsToItsWidth(t *testing.T) {
	for _, width := range []int{60, 80, 100, 120} {
		for _, m := range []reports.Measurement{sampleMeasurement(), sampleSearch()} {
			var b bytes.Buffer
			must(t, reports.Terminal{Width: width}.WriteMeasurement(&b, m))
			for line := range strings.SplitSeq(b.String(), "\n") {
				if len([]rune(line)) > width {
					t.Errorf("at %d: %d columns: %s", width, len([]rune(line)), line)
				}
			}
		}
	}
}

func TestMeasurementOutcome(t *testing.T) {
	held := []reports.Threshold{{Text: "a", Holds: true}}
	for name, test := range map[string]struct {
		change func(m *reports.Measurement)
		want   int
	}{
		"all hold":             {func(m *reports.Measurement) {}, reports.ExitPassed},
		"one does not":         {func(m *reports.Measurement) { m.Thresholds = append(m.Thresholds, reports.Threshold{}) }, reports.ExitFailed},
		"one was not measured": {func(m *reports.Measurement) { m.Thresholds[0] = reports.Threshold{Unmeasured: true} }, reports.ExitInconclusive},
		"no thresholds":        {func(m *reports.Measurement) { m.Thresholds = nil }, reports.ExitInconclusive},
		"invalid":              {func(m *reports.Measurement) { m.Invalid = []string{"lag"} }, reports.ExitInconclusive},
		"invalid, and slow":    {func(m *reports.Measurement) { m.Invalid, m.Thresholds[0].Holds = []string{"lag"}, false }, reports.ExitInconclusive},
		"invalid, and a forgery accepted": {func(m *reports.Measurement) {
			m.Invalid, m.Thresholds[0] = []string{"lag"}, reports.Threshold{Certain: true}
		}, reports.ExitFailed},
		"interrupted": {func(m *reports.Measurement) { m.State = reports.Interrupted }, reports.ExitInterrupted},
		"invalid, and the counts hold": {func(m *reports.Measurement) {
			m.Invalid, m.Thresholds[0].Timeless = []string{"lag"}, true
		}, reports.ExitPassed},
		"invalid, the counts hold, and a time": {func(m *reports.Measurement) {
			m.Invalid, m.Thresholds = []string{"lag"}, append(m.Thresholds, reports.Threshold{Holds: true, Timeless: true})
		}, reports.ExitInconclusive},
		"invalid, and a count is broken that lag may have broken": {func(m *reports.Measurement) {
			m.Invalid, m.Thresholds[0] = []string{"lag"}, reports.Threshold{Timeless: true}
		}, reports.ExitInconclusive},
		"invalid, the counts hold, and hits were dropped": {func(m *reports.Measurement) {
			m.Invalid, m.Thresholds[0].Timeless, m.Generator.Dropped = []string{"lag"}, true, 100
		}, reports.ExitInconclusive},
		"invalid, the counts hold, and the clock jumped": {func(m *reports.Measurement) {
			m.Invalid, m.Thresholds[0].Timeless, m.Generator.Clock = []string{"clock"}, true, 60_000
		}, reports.ExitInconclusive},
		"a search that found": {func(m *reports.Measurement) {
			m.Capacity = &reports.Capacity{Rate: 10, Low: 9, High: 11, Ended: reports.EndedFound}
		}, reports.ExitPassed},
		"a search up to the highest rate": {func(m *reports.Measurement) {
			m.Capacity = &reports.Capacity{Rate: 10, Low: 10, Unlimited: true, Ended: reports.EndedHighest}
		}, reports.ExitPassed},
		"a search that the generator ended": {func(m *reports.Measurement) {
			m.Capacity = &reports.Capacity{Rate: 10, Low: 10, Unlimited: true, Ended: reports.EndedGenerator}
		}, reports.ExitInconclusive},
		"a search that the generator ended between bounds": {func(m *reports.Measurement) {
			m.Capacity = &reports.Capacity{Rate: 10, Low: 8, High: 16, Ended: reports.EndedGenerator}
		}, reports.ExitInconclusive},
		"a search whose time was over before a limit": {func(m *reports.Measurement) {
			m.Capacity = &reports.Capacity{Rate: 10, Low: 10, Unlimited: true, Ended: reports.EndedTime}
		}, reports.ExitInconclusive},
		"a search that found roughly": {func(m *reports.Measurement) {
			m.Capacity = &reports.Capacity{Rate: 10, Low: 8, High: 16, Ended: reports.EndedTime}
		}, reports.ExitPassed},
		"a search that found no rate": {func(m *reports.Measurement) {
			m.Capacity, m.Thresholds[0].Holds = &reports.Capacity{High: 1.5, Ended: reports.EndedLowest}, false
		}, reports.ExitFailed},
		"interrupted, and a forgery accepted": {func(m *reports.Measurement) {
			m.State, m.Thresholds[0] = reports.Interrupted, reports.Threshold{Certain: true}
		}, reports.ExitFailed},
		"interrupted, and slow":             {func(m *reports.Measurement) { m.State, m.Thresholds[0].Holds = reports.Interrupted, false }, reports.ExitInterrupted},
		"aborted":                           {func(m *reports.Measurement) { m.State = reports.Aborted }, reports.ExitInconclusive},
		"aborted, and broken":               {func(m *reports.Measurement) { m.State, m.Thresholds[0].Holds = reports.Aborted, false }, reports.ExitFailed},
		"nothing sent":                      {func(m *reports.Measurement) { m.Total = reports.Traffic{} }, reports.ExitInconclusive},
		"no honest delivery accepted":       {func(m *reports.Measurement) { m.Classes[0].Accepted, m.Classes[0].Other = 0, 8900 }, reports.ExitInconclusive},
		"forgeries that nobody has refused": {func(m *reports.Measurement) { m.Classes[1].Refused, m.Classes[1].Unavailable = 0, 999 }, reports.ExitInconclusive},
	} {
		m := sampleMeasurement()
		m.Thresholds = append([]reports.Threshold{}, held...)
		test.change(&m)
		if got, why := m.Outcome(); got != test.want || got != m.ExitCode() || why == "" {
			t.Errorf("%s: %d (%s), want %d", name, got, why, test.want)
		}
	}
}
