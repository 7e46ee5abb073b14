package reports_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hookanvil/hookanvil/reports"
)

// laterRun is the sample run after a week of work: each way in which a case can come out
// otherwise.
func laterRun() reports.Run {
	run := sampleRun()
	run.Tool, run.Started, run.Ended = "hookanvil v0.2.0", began.AddDate(0, 0, 7), began.AddDate(0, 0, 7).Add(9*time.Second)
	at := func(id string) *reports.Result {
		i := slices.IndexFunc(run.Results, func(r reports.Result) bool { return r.ID == id })
		return &run.Results[i]
	}
	set := func(id string, v reports.Verdict, reason string) { at(id).Verdict, at(id).Reason = v, reason }
	set("receiver/fidelity/case-2", reports.Fail, "the delivery was refused: answered 401 Unauthorized")
	at("receiver/fidelity/case-2").Reproduce = "hookanvil run receiver/fidelity/case-2 --target http://127.0.0.1:8080/hooks"
	set("receiver/fidelity/case-3", reports.Warn, "a server error: answered 500 Internal Server Error")
	set("receiver/fidelity/case-4", reports.Inconclusive, "the honest delivery before it was not accepted")
	set("receiver/fidelity/case-5", reports.Skip, "nothing tells how to restart the target")
	at("receiver/fidelity/case-6").StatusOnly = true
	set("receiver/signature/body-bit-flipped", reports.Pass, "")
	set("receiver/signature/retired-key", reports.Fail, "a server error: answered 500 Internal Server Error")
	set("receiver/replay/identical", reports.Pass, "")
	at("receiver/timestamp/tolerance-past").Figures[0].Value = 600
	at("receiver/timestamp/tolerance-past").Figures[0].Note = "found in 11 deliveries, to within 1 s"
	run.Results = slices.DeleteFunc(run.Results, func(r reports.Result) bool {
		return r.ID == "receiver/signature/case-1" || r.ID == "receiver/replay/after-restart"
	})
	run.Results = append(run.Results, passes("receiver/limits", 1)...)
	run.Results = append(run.Results, reports.Result{
		ID: "receiver/limits/header", Title: "A header of 8 kB is read", Level: "must", Verdict: reports.Fail, Reason: "answered 431 Request Header Fields Too Large",
	})
	run.Totals = run.Count()
	return run
}

// withLoad is the sample run with a case of load in it.
func withLoad(seed uint64, slow float64) reports.Record {
	const id = "load/latency/honest"
	m := simulatedRun(rand.New(rand.NewPCG(3, seed)), weather{30, 0.1, 0.2, 0, 1}, slow)
	run := sampleRun()
	run.Results = append(run.Results, reports.Result{ID: id, Title: "Honest deliveries are answered in time", Level: "must", Verdict: reports.Pass, Load: &m})
	run.Totals = run.Count()
	return reports.Record{Run: run}
}

func inputs(suite, profile string) *reports.Manifest {
	return &reports.Manifest{
		Profile:  "standard-webhooks",
		Settings: []reports.Setting{{Name: "target", Values: []string{"http://127.0.0.1:8080/hooks"}}, {Name: "level", Values: []string{suite}}},
		Inputs: []reports.Input{
			reports.NewInput(reports.SuiteFile("receiver/signature"), "signature.yaml", []byte(suite)), reports.NewInput(reports.ProfileFile, "svix", []byte(profile)),
		},
	}
}

func TestChangesGolden(t *testing.T) {
	before, after := withLoad(1, 1), withLoad(2, 1.5)
	load := after.Results[len(after.Results)-1]
	after = reports.Record{Run: laterRun(), Manifest: inputs("must", "b")}
	before.Manifest = inputs("should", "a")
	after.Results = append(after.Results, load)
	worse := reports.CompareRuns(before, after, 0.1)
	interrupted := sampleRun()
	interrupted.State, interrupted.Profile, interrupted.Subject.Target = reports.Interrupted, "svix", "https://hooks.example.com/"
	apart := reports.CompareRuns(reports.Record{Run: sampleRun()}, reports.Record{Run: interrupted}, 0.1)
	for _, f := range reports.ComparisonFormats {
		for name, c := range map[string]reports.Changes{"changes.": worse, "changes-apart.": apart} {
			var out bytes.Buffer
			must(t, f.Write(&out, &c))
			checkGolden(t, name+f.Name, out.String())
		}
	}
	if worse.Verdict() != reports.Regression || worse.ExitCode() != 1 || apart.ExitCode() != 3 {
		t.Errorf("%s, exit code %d; %s, exit code %d", worse.Verdict(), worse.ExitCode(), apart.Verdict(), apart.ExitCode())
	}
}

// Each change of a single case, and what it amounts to.
func TestChangesOfOneCase(t *testing.T) {
	const id = "receiver/a/b"
	no := reports.Verdict("")
	for _, test := range []struct {
		a, b reports.Verdict // none where the run lacks the case
		want reports.Difference
		exit int
	}{
		{reports.Pass, reports.Pass, reports.Same, 0},
		{reports.Pass, reports.Fail, reports.Regression, 1},
		{reports.Pass, reports.Warn, reports.Regression, 1},
		{reports.Pass, reports.Skip, reports.Lost, 3},
		{reports.Pass, reports.Inconclusive, reports.Lost, 3},
		{reports.Pass, no, reports.Lost, 3},
		{reports.Fail, reports.Pass, reports.Improvement, 0},
		{reports.Fail, reports.Fail, reports.Same, 0},
		{reports.Fail, reports.Warn, reports.Same, 0},
		{reports.Fail, reports.Skip, reports.Lost, 3},
		{reports.Fail, reports.Inconclusive, reports.Lost, 3},
		{reports.Fail, no, reports.Lost, 3},
		{reports.Warn, reports.Pass, reports.Improvement, 0},
		{reports.Warn, reports.Fail, reports.Regression, 1},
		{reports.Warn, reports.Skip, reports.Lost, 3},
		{reports.Skip, reports.Pass, reports.Improvement, 0},
		{reports.Skip, reports.Fail, reports.Regression, 1},
		{reports.Skip, reports.Inconclusive, reports.Lost, 3},
		{reports.Skip, no, reports.Same, 0},
		{reports.Inconclusive, reports.Pass, reports.Improvement, 0},
		{reports.Inconclusive, reports.Fail, reports.Regression, 1},
		{reports.Inconclusive, reports.Warn, reports.Regression, 1},
		{reports.Inconclusive, reports.Skip, reports.Same, 0},
		{reports.Inconclusive, reports.Inconclusive, reports.Same, 0},
		{no, reports.Pass, reports.Same, 0},
		{no, reports.Fail, reports.Regression, 1},
		{no, reports.Warn, reports.Regression, 1},
		{no, reports.Skip, reports.Same, 0},
		{no, reports.Inconclusive, reports.Lost, 3},
	} {
		with := func(v reports.Verdict) reports.Record {
			run := reports.Run{State: reports.Complete, Results: results(reports.Pass)}
			if v != no {
				run.Results = append(run.Results, reports.Result{ID: id, Verdict: v})
			}
			return reports.Record{Run: run}
		}
		c := reports.CompareRuns(with(test.a), with(test.b), 0.1)
		if c.Verdict() != test.want || c.ExitCode() != test.exit {
			t.Errorf("%q then %q: %s, exit code %d; want %s, %d", test.a, test.b, c.Verdict(), c.ExitCode(), test.want, test.exit)
		}
		if told := len(c.Cases) == 1; told != (test.a != test.b) {
			t.Errorf("%q then %q: %+v", test.a, test.b, c.Cases)
		}
	}
}

// What is the same in every case may still not be a comparison.
func TestChangesOfWholeRuns(t *testing.T) {
	for name, test := range map[string]struct {
		change func(a, b *reports.Record)
		want   reports.Difference
		told   string
	}{
		"nothing":                {func(a, b *reports.Record) {}, reports.Same, "came out as before"},
		"another profile":        {func(a, b *reports.Record) { b.Profile = "svix" }, reports.Incomparable, "profiles differ"},
		"another role":           {func(a, b *reports.Record) { b.Subject.Role = "sender" }, reports.Incomparable, "roles differ"},
		"the first cut short":    {func(a, b *reports.Record) { a.State = reports.Incomplete }, reports.Incomparable, "the first run cannot stand"},
		"the second cut short":   {func(a, b *reports.Record) { b.State = reports.Incomplete }, reports.Incomparable, "cut short"},
		"the second given up":    {func(a, b *reports.Record) { b.State = reports.Interrupted }, reports.Incomparable, "interrupted"},
		"a failure in half":      {func(a, b *reports.Record) { b.State, b.Results[0].Verdict = reports.Incomplete, reports.Fail }, reports.Regression, "cut short"},
		"neither has results":    {func(a, b *reports.Record) { a.Results, b.Results = nil, nil }, reports.Incomparable, "judged nothing"},
		"another target":         {func(a, b *reports.Record) { b.Subject.Target = "https://b.example/" }, reports.Same, "targets differ"},
		"another port":           {func(a, b *reports.Record) { b.Subject.Target = "http://127.0.0.1:9999/hooks" }, reports.Same, "came out as before"},
		"another version":        {func(a, b *reports.Record) { b.Tool = "hookanvil v9" }, reports.Same, "versions that made the runs differ"},
		"no probe any more":      {func(a, b *reports.Record) { b.Subject.Probe = "" }, reports.Same, "ways of counting effects differ"},
		"a known failure":        {func(a, b *reports.Record) { b.Results[0].Verdict, b.Results[0].Known = reports.Fail, "HOOK-1" }, reports.Regression, "newly failing"},
		"other scenarios":        {func(a, b *reports.Record) { a.Manifest, b.Manifest = inputs("x", ""), inputs("y", "") }, reports.Same, "scenarios of receiver/signature were changed"},
		"other settings":         {func(a, b *reports.Record) { a.Manifest, b.Manifest = inputs("x", ""), inputs("y", "") }, reports.Same, "other settings: level"},
		"another profile's file": {func(a, b *reports.Record) { a.Manifest, b.Manifest = inputs("x", "a"), inputs("x", "b") }, reports.Same, "the profile standard-webhooks was changed"},
	} {
		a, b := reports.Record{Run: sampleRun()}, reports.Record{Run: sampleRun()}
		test.change(&a, &b)
		c := reports.CompareRuns(a, b, 0.1)
		var out bytes.Buffer
		must(t, reports.Terminal{Width: 400}.WriteComparison(&out, &c))
		if c.Verdict() != test.want || !strings.Contains(out.String(), test.told) {
			t.Errorf("%s: %s, want %s and %q in\n%s", name, c.Verdict(), test.want, test.told, &out)
		}
	}
}

// A figure is told where it is another by more than how exactly it was measured.
func TestChangedFigures(t *testing.T) {
	for _, test := range []struct {
		a, b reports.Figure
		days int
		told bool
	}{
		{reports.Figure{Value: 300, Unit: "s", Within: 2}, reports.Figure{Value: 303, Unit: "s", Within: 1}, 0, false},
		{reports.Figure{Value: 300, Unit: "s", Within: 2}, reports.Figure{Value: 304, Unit: "s", Within: 1}, 0, true},
		{reports.Figure{Value: 300, Unit: "s"}, reports.Figure{Value: 310, Unit: "s"}, 0, false},
		{reports.Figure{Value: 300, Unit: "s"}, reports.Figure{Value: 600, Unit: "s"}, 0, true},
		{reports.Figure{Value: 1, Unit: "ms"}, reports.Figure{Value: 9, Unit: "ms"}, 0, false},
		{reports.Figure{Value: 100, Unit: "ms"}, reports.Figure{Value: 400, Unit: "ms"}, 0, true},
		{reports.Figure{Value: 1, Unit: "count"}, reports.Figure{Value: 0, Unit: "count"}, 0, true},
		{reports.Figure{Value: 8192, Unit: "bytes"}, reports.Figure{Value: 16384, Unit: "bytes"}, 0, true},
		{reports.Figure{Value: 60, Unit: "days"}, reports.Figure{Value: 53, Unit: "days"}, 7, false},
		{reports.Figure{Value: 60, Unit: "days"}, reports.Figure{Value: 30, Unit: "days"}, 7, true},
		{reports.Figure{Value: 60, Unit: "s"}, reports.Figure{Value: 60, Unit: "ms"}, 0, true},
	} {
		with := func(f reports.Figure, days int) reports.Record {
			f.Name = "window"
			return reports.Record{Run: reports.Run{
				State: reports.Complete, Started: began.AddDate(0, 0, days),
				Results: []reports.Result{{ID: "receiver/a/b", Verdict: reports.Pass, Figures: []reports.Figure{f}}},
			}}
		}
		c := reports.CompareRuns(with(test.a, 0), with(test.b, test.days), 0.1)
		if told := len(c.Cases) == 1; told != test.told || c.ExitCode() != 0 {
			t.Errorf("%+v then %+v: %+v, exit code %d", test.a, test.b, c.Cases, c.ExitCode())
		}
	}
}

// randomRun is any complete run.
func randomRun(t *rapid.T, name string) reports.Record {
	verdicts := []reports.Verdict{reports.Pass, reports.Fail, reports.Warn, reports.Skip, reports.Inconclusive}
	one := rapid.Custom(func(t *rapid.T) reports.Result {
		return reports.Result{
			Level: rapid.SampledFrom([]string{"must", "should"}).Draw(t, "level"), Verdict: rapid.SampledFrom(verdicts).Draw(t, "verdict"),
			Reason: rapid.SampledFrom([]string{"", "answered 200", "answered 500", "no answer"}).Draw(t, "reason"), StatusOnly: rapid.Bool().Draw(t, "status only"),
			Figures: []reports.Figure{{
				Name: rapid.SampledFrom([]string{"window", "gap"}).Draw(t, "figure"), Value: rapid.Float64Range(0, 1000).Draw(t, "value"),
				Unit: rapid.SampledFrom([]string{"s", "ms", "count", "days"}).Draw(t, "unit"), Within: rapid.Float64Range(0, 3).Draw(t, "within"),
			}},
		}
	})
	run := reports.Run{State: reports.Complete, Started: began.AddDate(0, 0, rapid.IntRange(0, 30).Draw(t, "days"))}
	for i, r := range rapid.SliceOfN(one, 0, 12).Draw(t, name) {
		r.ID = fmt.Sprintf("receiver/suite/case-%d", i)
		if rapid.IntRange(0, 4).Draw(t, "lacking") > 0 {
			run.Results = append(run.Results, r)
		}
	}
	return reports.Record{Run: run}
}

// A run held against itself has not changed.
func TestARunIsLikeItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := randomRun(t, "a")
		c := reports.CompareRuns(a, a, 0.1)
		want := reports.Same
		if a.Unfinished() != "" {
			want = reports.Incomparable
		}
		if len(c.Cases) > 0 || c.Alike != len(a.Results) || len(c.Notes) > 0 || c.Verdict() != want {
			t.Fatalf("%s, %d alike of %d: %+v %q", c.Verdict(), c.Alike, len(a.Results), c.Cases, c.Notes)
		}
	})
}

// Held against each other the other way round, two runs have the same changes, backwards:
// what got better had been worse, or had not been judged.
func TestChangesMirror(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := randomRun(t, "a"), randomRun(t, "b")
		there, back := reports.CompareRuns(a, b, 0.1), reports.CompareRuns(b, a, 0.1)
		if there.Alike != back.Alike || len(there.Cases) != len(back.Cases) {
			t.Fatalf("%d and %d alike, %d and %d changes", there.Alike, back.Alike, len(there.Cases), len(back.Cases))
		}
		for _, x := range there.Cases {
			i := slices.IndexFunc(back.Cases, func(y reports.Change) bool { return y.ID == x.ID })
			if i < 0 {
				t.Fatalf("%s has changed in one direction only", x.ID)
			}
			y := back.Cases[i]
			if (x.A == nil) != (y.B == nil) || (x.B == nil) != (y.A == nil) || len(x.Figures) != len(y.Figures) {
				t.Fatalf("%+v is no mirror of %+v", x, y)
			}
			got := map[reports.Difference]bool{x.Verdict: true, y.Verdict: true}
			if got[reports.Improvement] && !got[reports.Regression] && !got[reports.Lost] || x.Verdict == reports.Regression && y.Verdict == reports.Regression && x.A != nil && x.B != nil {
				t.Fatalf("%s: %s, and %s backwards", x.ID, x.Verdict, y.Verdict)
			}
		}
	})
}

func TestChangesInjection(t *testing.T) {
	for name, payload := range payloads {
		a, b := everywhere("harmless"), everywhere(payload)
		b.State, b.Results[0].Verdict = reports.Incomplete, reports.Inconclusive
		c := reports.CompareRuns(reports.Record{Run: a}, reports.Record{Run: b}, 0.1)
		for _, f := range reports.ComparisonFormats {
			var out bytes.Buffer
			must(t, f.Write(&out, &c))
			switch f.Name {
			case "markdown":
				for line := range strings.SplitSeq(out.String(), "\n") {
					bare := codeSpan.ReplaceAllString(line, "")
					if strings.ContainsAny(bare, "`<[@{$") || strings.Contains(bare, "REMOTE") {
						t.Errorf("%s: markup outside of code: %.200q", name, line)
					}
				}
			case "json":
				if !json.Valid(out.Bytes()) {
					t.Errorf("%s: no JSON", name)
				}
				checkInert(t, name, out.String())
			default:
				checkInert(t, name, out.String())
			}
		}
	}
}

// What a run is read from, its content says.
func TestReadKept(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, content, 0o600))
		return path
	}
	var report, load, journal bytes.Buffer
	must(t, reports.JSON(&report, sampleRun()))
	must(t, reports.MeasurementJSON(&load, sampleMeasurement()))
	journalled(t, &journal, withLoad(1, 1))
	for _, test := range []struct {
		path string
		want string // of the error; none where it is read
		load bool
	}{
		{write("report.txt", report.Bytes()), "", false},
		{write("load.txt", load.Bytes()), "", true},
		{write("journal.json", journal.Bytes()), "", false},
		{write("empty", nil), "neither a journal nor a JSON report", false},
		{write("page.html", []byte("<html>")), "neither a journal nor a JSON report", false},
		{write("other.json", []byte(`{"schema":"somebody.else/1"}`)), `its schema is "somebody.else/1"`, false},
		{write("half.json", report.Bytes()[:report.Len()/2]), "neither a journal nor a JSON report", false},
		{write("better.json", bytes.Replace(report.Bytes(), []byte(`"verdict": "fail"`), []byte(`"verdict": "pass"`), 1)), "edited or damaged", false},
		{write("headless", journal.Bytes()[:40]), "not a valid header", false},
		{dir, "it is none", false},
		{filepath.Join(dir, "missing"), "no such file", false},
	} {
		kept, err := reports.ReadKept(test.path)
		if test.want == "" {
			must(t, err)
			if (kept.Load != nil) != test.load || (kept.Record != nil) == test.load {
				t.Errorf("%s: %+v", test.path, kept)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.path) {
			t.Errorf("%s: %v, want %q", test.path, err, test.want)
		}
	}
	kept, err := reports.ReadKept(filepath.Join(dir, "journal.json"))
	must(t, err)
	if last := kept.Record.Results[len(kept.Record.Results)-1]; last.ID != "load/latency/honest" || len(last.Load.Series) == 0 {
		t.Error("what was measured is read without its seconds")
	}
}

// journalled writes the journal of a run.
func journalled(t testing.TB, w *bytes.Buffer, r reports.Record) {
	t.Helper()
	var planned []reports.Planned
	for _, result := range r.Results {
		planned = append(planned, reports.Planned{ID: result.ID, Title: result.Title, Level: result.Level})
	}
	j, err := reports.NewJournal(w, r.Run, planned)
	must(t, err)
	for _, result := range r.Results {
		if result.Load != nil {
			must(t, j.Measure(result.ID, *result.Load))
		}
		must(t, j.Record(result))
	}
	must(t, j.Close(reports.Complete, r.Ended, nil))
}

// A folder whose files are not those of its run is none.
func TestReadKeptFolder(t *testing.T) {
	run := sampleRun()
	run.Subject.Role = "receiver"
	begin := func(t *testing.T) string {
		dir := filepath.Join(t.TempDir(), "results")
		m := inputs("suite", "profile")
		m.Role, m.Profile, m.Seed = "receiver", run.Profile, run.Seed
		f, err := reports.BeginFolder(dir, *m)
		must(t, err)
		var planned []reports.Planned
		for _, r := range run.Results {
			planned = append(planned, reports.Planned{ID: r.ID, Title: r.Title, Level: r.Level})
		}
		j, err := f.Journal(run, planned)
		must(t, err)
		for _, r := range run.Results {
			must(t, j.Record(r))
		}
		must(t, j.Close(reports.Complete, run.Ended, nil))
		must(t, f.End(run))
		return dir
	}
	for name, test := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"nothing":         {func(string) error { return nil }, ""},
		"an empty folder": {func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)) }, "it is none"},
		"another profile": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, reports.ProfileFile), []byte("weaker"), 0o600)
		}, "was changed since the run"},
		"a profile less": {func(dir string) error { return os.Remove(filepath.Join(dir, reports.ProfileFile)) }, reports.ProfileFile},
		"another run's": {func(dir string) error {
			return edit(filepath.Join(dir, reports.ManifestFile), `"seed": 42`, `"seed": 43`)
		}, "of two runs"},
		"a file from beside": {func(dir string) error {
			return edit(filepath.Join(dir, reports.ManifestFile), `"profile.yaml"`, `"../profile.yaml"`)
		}, "not in the folder"},
	} {
		dir := begin(t)
		must(t, test.spoil(dir))
		kept, err := reports.ReadKept(dir)
		if test.want == "" {
			must(t, err)
			if kept.Record.Unfinished() != "" || len(kept.Record.Results) != len(run.Results) || kept.Record.Manifest == nil || kept.Record.State != reports.Complete {
				t.Errorf("%s: %+v", name, kept.Record)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	for _, lost := range []string{reports.JournalFile, reports.ManifestFile, reports.ReportFile, reports.SumsFile} {
		dir := begin(t)
		must(t, os.Remove(filepath.Join(dir, lost)))
		kept, err := reports.ReadKept(dir)
		must(t, err)
		if why := kept.Record.Unfinished(); !strings.Contains(why, "cut short, or changed: ") {
			t.Errorf("without %s the run is whole: %q", lost, why)
		}
	}
}

func edit(path, from, to string) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Contains(src, []byte(from)) {
		return fmt.Errorf("%s does not hold %s", path, from)
	}
	return os.WriteFile(path, bytes.Replace(src, []byte(from), []byte(to), 1), 0o600)
}

// Whatever is given for a run is read or refused, and is like itself.
func FuzzReadKept(f *testing.F) {
	var report, load, journal bytes.Buffer
	must(f, reports.JSON(&report, reports.Run{State: reports.Complete, Results: results(reports.Pass, reports.Fail)}))
	must(f, reports.MeasurementJSON(&load, reports.Measurement{Model: "open", State: reports.Complete}))
	journalled(f, &journal, reports.Record{Run: reports.Run{Results: results(reports.Pass, reports.Skip)}})
	for _, src := range []*bytes.Buffer{&report, &load, &journal} {
		f.Add(src.Bytes())
	}
	path := filepath.Join(f.TempDir(), "kept")
	f.Fuzz(func(t *testing.T, src []byte) {
		must(t, os.WriteFile(path, src, 0o600))
		kept, err := reports.ReadKept(path)
		switch {
		case err != nil:
		case kept.Record != nil:
			c := reports.CompareRuns(*kept.Record, *kept.Record, 0.1)
			if len(c.Cases) > 0 || c.ExitCode() == reports.ExitFailed {
				t.Errorf("not like itself: %+v", c.Cases)
			}
			if kept.Record.State != reports.Complete && c.ExitCode() != reports.ExitInconclusive {
				t.Errorf("a run that is not whole is compared: %s", c.Verdict())
			}
		case kept.Load == nil:
			t.Error("neither a run nor a load")
		}
	})
}
