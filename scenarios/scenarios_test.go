package scenarios_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func parse(t *testing.T, file string) *scenarios.Suite {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("testdata", "good", file))
	if err != nil {
		t.Fatal(err)
	}
	suite, err := scenarios.Parse(file, src, vocabulary, senders, loads)
	if err != nil {
		t.Fatal(err)
	}
	return suite
}

func TestParse(t *testing.T) {
	body, folded := `{"a": "\u0000"}`, "{\"folded\": true}\n"
	word := func(line, column int, name string, arg any) scenarios.Word {
		return scenarios.Word{Name: name, Arg: arg, Line: line, Column: column}
	}
	mutation := func(line, column int, part, name string, arg any) *scenarios.Mutation {
		return &scenarios.Mutation{Part: part, Word: word(line, column, name, arg)}
	}
	chunked, segmented := word(44, 15, "chunked", nil), word(50, 16, "segmented", 1)
	plainly := word(90, 62, "chunked", nil)
	const file, name = "everything.yaml", "receiver/every-thing-2"
	want := &scenarios.Suite{
		Name: name, File: file, About: "What the language can say,\nover two lines.\n", Source: "RFC 9110",
		Cases: []scenarios.Case{
			{
				Suite: name, File: file, Line: 9, ID: "honest", Source: "RFC 9110", Title: "An honest delivery: accepted", Level: scenarios.Must,
				Send: scenarios.Steps{{Line: 12, Column: 11}}, Expect: scenarios.Expect{word(13, 13, "accepted", nil)},
			},
			{
				Suite: name, File: file, Line: 15, ID: "one-step", Title: "A body changed after signing is rejected", Level: scenarios.Should,
				Source: "standard-webhooks/1.0.0", Why: "Whoever can change a body can pay himself.",
				Needs: []string{"hmac", "probe"}, Kills: []string{"ignores-signature"}, Serial: true, Timeout: 10 * time.Minute, Reject: []int{400, 401},
				Send:   scenarios.Steps{{Line: 25, Column: 11, Mutate: mutation(25, 27, "body", "flip-bit", nil)}},
				Expect: scenarios.Expect{word(26, 13, "rejected", nil)},
			},
			{
				Suite: name, File: file, Line: 28, ID: "steps", Source: "RFC 9110", Title: "The same bytes take effect once", Level: scenarios.May,
				Unproven: "No defect can be built for it.", Reject: []int{418},
				Send: scenarios.Steps{
					{
						Line: 34, Column: 9, As: "first", Payload: "unicode", Size: 32 << 20, Event: "order.paid", After: time.Second,
						Query: "a=b&c=%20", Headers: map[string]string{"X-Request-Id": "5", "x-empty": ""}, Key: "second",
						At: "now-tolerance-tolerance+1h30m-250ms", Wire: &chunked, Expect: scenarios.Expect{word(45, 17, "accepted", nil)},
					},
					{
						Line: 46, Column: 9, Replay: "first", As: "again", Times: 20000, Concurrent: true, Wire: &segmented,
						Mutate: mutation(51, 27, "headers", "doubled", nil), After: 20 * time.Millisecond,
						Expect: scenarios.Expect{word(54, 18, "accepted", nil), word(54, 29, "effects", 0)},
					},
					{Line: 55, Column: 9, Retry: "first", Key: "retired", At: "now"},
					{Line: 56, Column: 9, SameID: "again", Body: &body},
					{Line: 57, Column: 9, Times: 3, Fresh: true, Body: &folded},
				},
				Expect: scenarios.Expect{word(63, 10, "effects", 1), word(63, 22, "status", []int{200, 202}), word(64, 9, "answered", nil)},
			},
			{
				Suite: name, File: file, Line: 66, ID: "arguments", Source: "RFC 9110", Title: "Words take arguments of their own type", Level: scenarios.Must,
				Send: scenarios.Steps{
					{Line: 70, Column: 9, Mutate: mutation(70, 30, "signature", "truncated", 16)},
					{Line: 71, Column: 9, Mutate: mutation(71, 30, "signature", "labelled", "v0")},
					{Line: 72, Column: 9, Mutate: mutation(72, 30, "timestamp", "shifted", -24*time.Hour)},
					{Line: 73, Column: 9, Mutate: mutation(73, 30, "timestamp", "shifted", 10*time.Minute)},
					{Line: 74, Column: 9, Mutate: mutation(74, 30, "signature", "flood", 1_000_000)},
					{Line: 75, Column: 9, Mutate: mutation(75, 29, "signature", "flood", nil)},
				},
				Expect: scenarios.Expect{word(76, 14, "status", []int{401})},
			},
			{
				Suite: name, File: file, Line: 78, ID: "measured", Source: "RFC 9110", Title: "The window is no wider than the profile says", Level: scenarios.Should,
				Measure: "tolerance",
			},
			{
				Suite: name, File: file, Line: 83, ID: "secured", Source: "RFC 9110", Title: "A delivery is taken from those whom the certificate names", Level: scenarios.Must,
				Send: scenarios.Steps{
					{Line: 87, Column: 9, As: "first", TLS: &scenarios.TLS{}},
					{Line: 88, Column: 9, TLS: &scenarios.TLS{Certificate: "expired", Version: "tls1.2", Ciphers: "weak", ServerName: "none", Protocols: []string{"h2", "http/1.1"}}},
					{Line: 89, Column: 9, Replay: "first", TLS: &scenarios.TLS{Resume: "first", Certificate: "none"}},
					{Line: 90, Column: 9, TLS: &scenarios.TLS{Plain: true}, Mutate: mutation(90, 45, "body", "flip-bit", nil), Wire: &plainly},
				},
				Expect: scenarios.Expect{word(91, 13, "rejected", nil)},
			},
		},
	}
	got := parse(t, "everything.yaml")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parsed (-want +got):\n%s", diff)
	}
	if name := got.Cases[0].Name(); name != "receiver/every-thing-2/honest" {
		t.Errorf("the first case is called %s", name)
	}
}

// What the cases of a sender become: each shape of a trigger, an answer and an
// argument.
func TestParseSender(t *testing.T) {
	word := func(line, column int, name string, arg any) scenarios.Word {
		return scenarios.Word{Name: name, Arg: arg, Line: line, Column: column}
	}
	way := func(line, column int, name string, arg any) *scenarios.Word {
		w := word(line, column, name, arg)
		return &w
	}
	empty := ""
	suite := parse(t, "sender.yaml")
	cases := map[string]scenarios.Case{}
	for _, c := range suite.Cases {
		cases[c.ID] = c
	}
	for _, tt := range []struct {
		name      string
		got, want any
	}{
		{"once", cases["plain"].Trigger, scenarios.Triggers{{Line: 8, Column: 14}}},
		{"a mapping", cases["statuses"].Trigger, scenarios.Triggers{{Line: 16, Column: 14}}},
		{"once in a list", cases["dates"].Trigger, scenarios.Triggers{{Line: 27, Column: 15}}},
		{"statuses", cases["statuses"].Respond, scenarios.Answers{
			{Status: 500, Line: 17, Column: 15},
			{Status: 503, Headers: map[string]string{"Retry-After": "2"}, Body: &empty, Times: 2, Line: 17, Column: 20},
			{Status: 200, Line: 17, Column: 84},
		}},
		{"names and a gap", cases["statuses"].Expect, scenarios.Expect{
			word(19, 7, "attempts", 4), word(20, 7, "same", []string{"id", "body"}),
			word(21, 7, "gap", scenarios.Gap{After: 2, AtLeast: 2 * time.Second, AtMost: time.Hour}),
		}},
		{"one name", cases["dates"].Expect[1], word(32, 30, "same", []string{"id"})},
		{"ways", cases["ways"].Trigger[1].Respond, scenarios.Answers{
			{Way: way(42, 20, "hang", nil), Line: 42, Column: 20},
			{Way: way(42, 33, "drip-body", 200), Line: 42, Column: 26},
			{Way: way(42, 57, "hang", nil), Line: 42, Column: 51},
			{Way: way(42, 64, "huge-body", nil), Line: 42, Column: 64},
			{Way: way(42, 82, "huge-body", 100), Line: 42, Column: 75},
		}},
		{"a trigger", cases["ways"].Trigger[2], scenarios.Trigger{
			As: "next", Event: "order.paid", Payload: "unicode", Times: 1000, After: 250 * time.Millisecond,
			Respond: scenarios.Answers{{Delay: "80%", Line: 43, Column: 93}}, Expect: scenarios.Expect{word(43, 115, "delivered", nil)},
			Line: 43, Column: 9,
		}},
		{"deeds", cases["endpoints"].Trigger[2:5], scenarios.Triggers{
			{Do: "rotate", To: "late", As: "rotation", Line: 59, Column: 9},
			{Do: "restart", After: time.Minute, Line: 60, Column: 9},
			{Do: "remove", To: "slow", Meanwhile: true, Line: 61, Column: 9},
		}},
		{"endpoints", cases["endpoints"].Endpoints, []scenarios.Endpoint{
			{Name: "slow", Address: "decimal", Path: "/a%20b//../c", Query: "a=b&c", Respond: scenarios.Answers{{Way: way(50, 87, "hang", nil), Line: 50, Column: 87}}},
			{
				Name: "late", Dark: time.Minute, Events: []string{"order.paid", "order.sent"},
				Headers: map[string]string{"X-Note\r\nX-Injected": "a\r\nb", "Host": "x", "Content-Length": "5"},
			},
			{Name: "one", Events: []string{"order.paid"}},
		}},
		{"a measurement", cases["measured"].Measure, "schedule-shape"},
		{"endpoints with TLS", cases["secured"].Endpoints, []scenarios.Endpoint{
			{Name: "main", TLS: &scenarios.EndpointTLS{Certificate: []string{"expired", "good"}, Version: "tls1.1", Ciphers: "weak", Client: "required"}},
			{Name: "plain", TLS: &scenarios.EndpointTLS{}},
			{Name: "bad", TLS: &scenarios.EndpointTLS{Certificate: []string{"expired"}}, Canary: true},
		}},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestWait(t *testing.T) {
	const deadline = 15 * time.Second
	for delay, want := range map[string]time.Duration{
		"": 0, "500ms": 500 * time.Millisecond, "1m30s": 90 * time.Second, "80%": 12 * time.Second, "1%": 150 * time.Millisecond, "1000%": 150 * time.Second,
	} {
		if got := (scenarios.Answer{Delay: delay}).Wait(deadline); got != want {
			t.Errorf("an answer after %q waits %v, want %v", delay, got, want)
		}
	}
}

func TestFill(t *testing.T) {
	now := time.Date(2026, 2, 28, 23, 59, 57, 1, time.FixedZone("", 3600))
	url := func(endpoint string) string { return "http://127.0.0.1:1/" + endpoint }
	for text, want := range map[string]string{
		"":                        "",
		"120":                     "120",
		"{main}":                  "http://127.0.0.1:1/main",
		"<{main}/a>; x={canary}":  "<http://127.0.0.1:1/main/a>; x=http://127.0.0.1:1/canary",
		"{date}":                  "Sat, 28 Feb 2026 22:59:58 GMT",
		"{date+3s}":               "Sat, 28 Feb 2026 23:00:01 GMT",
		"{date-1h30m}, {date+1h}": "Sat, 28 Feb 2026 21:29:58 GMT, Sat, 28 Feb 2026 23:59:58 GMT",
		"{\"a\":1} {} {":          "{\"a\":1} {} {",
	} {
		if got := scenarios.Fill(text, now, url); got != want {
			t.Errorf("Fill(%q) is %q, want %q", text, got, want)
		}
	}
}

// A suite is read with the words of its own role, whatever else is known.
func TestVocabularies(t *testing.T) {
	const sends = "suite: sender/x\ncases: [{id: a, title: A, level: must, trigger: once, expect: delivered}]\n"
	for _, tt := range []struct {
		src   string
		known []scenarios.Vocabulary
		says  string
	}{
		{valid, []scenarios.Vocabulary{vocabulary}, ""},
		{valid, []scenarios.Vocabulary{senders, vocabulary}, ""},
		{sends, []scenarios.Vocabulary{senders, vocabulary}, ""},
		{sends, []scenarios.Vocabulary{vocabulary}, `there is no role "sender"`},
		{valid, []scenarios.Vocabulary{senders}, `there is no role "receiver"`},
		{valid, nil, `there is no role "receiver"`},
		{strings.Replace(sends, "sender/x", "load/x", 1), []scenarios.Vocabulary{senders, vocabulary}, `there is no role "load"`},
	} {
		_, err := scenarios.Parse("x.yaml", []byte(tt.src), tt.known...)
		if (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("with %d vocabularies, got error %v, want %q for\n%s", len(tt.known), err, tt.says, tt.src)
		}
	}
}

// What the cases of a load suite become: each shape of a stage, a rate and a time.
func TestParseLoad(t *testing.T) {
	suite := parse(t, "load.yaml")
	all := suite.Cases[1]
	perSecond := func(r float64) *scenarios.Rate { return &scenarios.Rate{PerSecond: r} }
	share := func(s float64) *scenarios.Rate { return &scenarios.Rate{Share: s} }
	want := &scenarios.Attack{
		Model: "open", Mix: scenarios.Mix{"honest": 90, "forged": 10}, Connections: 64, Fresh: true, Timeout: 2 * time.Second,
		Sizes: []scenarios.BodySize{{Bytes: 512, Weight: 1}, {Bytes: 20480, Weight: 3}},
		Stages: []scenarios.Stage{
			{Name: "clean", Rate: perSecond(200), For: scenarios.Extent{Time: 10 * time.Second}},
			{Name: "up", RampTo: share(0.005), For: scenarios.Extent{Share: 0.125}, Mix: scenarios.Mix{"honest": 1, "duplicate": 1}},
			{Steps: &scenarios.Climb{To: scenarios.Rate{PerSecond: 2000}, Count: 4}, For: scenarios.Extent{Time: 90 * time.Second}},
			{Name: "spike_2", Spike: share(10), For: scenarios.Extent{Time: 500 * time.Millisecond}, Slow: 50},
			{Sine: &scenarios.Sine{Mean: scenarios.Rate{Share: 1}, Amplitude: scenarios.Rate{Share: 0.5}, Period: scenarios.Extent{Share: 0.05}}, For: scenarios.Extent{Share: 0.25}},
		},
	}
	if diff := cmp.Diff(want, all.Load); diff != "" {
		t.Errorf("load (-want +got):\n%s", diff)
	}
	texts := func(e scenarios.Expect) (all []string) {
		for _, t := range e.Thresholds() {
			all = append(all, t.String())
		}
		return all
	}
	for _, tt := range []struct {
		name      string
		got, want any
	}{
		{"one threshold", texts(suite.Cases[0].Expect), []string{"honest.accepted >= 99.9%"}},
		{"several", texts(all.Expect), []string{"honest.accepted >= 99.9% and forged.accepted == 0", "stages.spike_2.honest.latency.p99 <= 4 * stages.clean.honest.latency.p99 + 50ms"}},
		{"abort-on", texts(all.AbortOn), []string{"errors.rate > 50%", "honest.latency.p50 > 5s"}},
		{"the load's mix", all.Load.MixOf(all.Load.Stages[0]), scenarios.Mix{"honest": 90, "forged": 10}},
		{"the stage's mix", all.Load.MixOf(all.Load.Stages[1]), scenarios.Mix{"honest": 1, "duplicate": 1}},
		{"no mix", suite.Cases[2].Load.MixOf(suite.Cases[2].Load.Stages[0]), scenarios.Mix{"honest": 1}},
		{"closed", suite.Cases[2].Load.Closed(), true},
		{"a share of a rate", all.Load.Stages[3].Spike.Of(150), 1500.0},
		{"a rate", all.Load.Stages[0].Rate.Of(150), 200.0},
		{"a share of a time", all.Load.Stages[4].For.Of(10 * time.Second), 2500 * time.Millisecond},
		{"a time", all.Load.Stages[2].For.Of(10 * time.Second), 90 * time.Second},
		{"in words", fmt.Sprint(all.Load.Stages[0].Rate, all.Load.Stages[1].RampTo, all.Load.Stages[1].For, all.Load.Stages[2].For), "200/s 0.5% 12.5% 1m30s"},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestParseInstant(t *testing.T) {
	const tolerance = 5 * time.Minute
	for text, want := range map[string]time.Duration{
		"":                              0,
		"now":                           0,
		"now-24h":                       -24 * time.Hour,
		"now+tolerance":                 tolerance,
		"now-tolerance+2s":              2*time.Second - tolerance,
		"now+2s-tolerance":              2*time.Second - tolerance,
		"now+tolerance+tolerance-250ms": 2*tolerance - 250*time.Millisecond,
		"now+1h30m-1.5h":                0,
	} {
		at, err := scenarios.ParseInstant(text)
		if err != nil || at.Offset(tolerance) != want {
			t.Errorf("ParseInstant(%q) is %v from now, %v; want %v", text, at.Offset(tolerance), err, want)
		}
	}
	for _, text := range []string{
		" ", "NOW", "now ", "now-", "now--1s", "now+-1s", "now5s", "now+5", "now+1d", "then", "tolerance", "-24h", "now-tolerances",
		"now*2", "now-1h 30m", "now+1e3s", "now+9601h", "now" + strings.Repeat("+9600h", 2), "now" + strings.Repeat("-tolerance", 11), "1700000000",
	} {
		if at, err := scenarios.ParseInstant(text); err == nil {
			t.Errorf("ParseInstant(%q) is %v, want an error", text, at)
		}
	}
}

// What people see: a few messages, whole.
func TestMessages(t *testing.T) {
	var got bytes.Buffer
	files := badFiles(t)
	for _, name := range []string{
		"duplicate-case-key", "unknown-case-key", "target-metadata", "timeout-no-unit", "escape-in-a-title", "mutation-unknown-name",
		"replay-missing", "expect-argument-missing", "id-too-long", "tab-indent",
		"sender-sends", "trigger-exec", "to-unknown", "canary-triggered", "way-as-key", "header-word-unknown", "delay-share-fraction", "gap-unbounded",
		"rate-unitless", "threshold-units", "threshold-typo", "threshold-class-not-sent",
	} {
		i := slices.IndexFunc(files, func(f bad) bool { return f.name == name })
		_, err := scenarios.Parse("mine/receiver.yaml", files[i].src, vocabulary, senders, loads)
		fmt.Fprintf(&got, "== %s\n%v\n\n", name, err)
	}
	const golden = "testdata/messages.golden"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("messages (-want +got):\n%s\n(go test -update writes them anew)", diff)
	}
}

const other = "suite: receiver/y\ncases: [{id: b, title: B, level: must, send: {}, expect: accepted}]\n"

func TestLoad(t *testing.T) {
	file := func(src string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(src)} }
	tests := []struct {
		name  string
		files fstest.MapFS
		want  []string // names of cases
		says  []string // of the error
	}{
		{"in order", fstest.MapFS{"s/b.yaml": file(valid), "s/a/z.yml": file(other), "s/README.md": file("# no"), "other/c.yaml": file("no")}, []string{"receiver/y/b", "receiver/x/a"}, nil},
		{"problems of all files", fstest.MapFS{"s/a.yaml": file("a"), "s/b.yaml": file(valid), "s/c.yaml": file("c: 1")}, nil, []string{"s/a.yaml:1:1: ", "s/c.yaml:1:1: "}},
		{"one suite in two files", fstest.MapFS{"s/a.yaml": file(valid), "s/b.yaml": file(strings.Replace(valid, "id: a", "id: b", 1))}, []string{"receiver/x/a", "receiver/x/b"}, nil},
		{"one case in two files", fstest.MapFS{"s/a.yaml": file(valid), "s/b.yaml": file(valid)}, nil, []string{"s/b.yaml:2: the case receiver/x/a is in s/a.yaml:2 already"}},
		{"nothing there", fstest.MapFS{"s/README.md": file("# no")}, nil, []string{"no scenarios below s"}},
		{"no directory", fstest.MapFS{}, nil, []string{"read the scenarios below s"}},
		{"a device", fstest.MapFS{"s/a.yaml": {Mode: fs.ModeDevice}}, nil, []string{"s/a.yaml: it is not a regular file"}},
		{"too large", fstest.MapFS{"s/a.yaml": file(strings.Repeat("#\n", strictyaml.MaxBytes))}, nil, []string{"s/a.yaml:1:1: the file has"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			suites, err := scenarios.Load(tt.files, "s", vocabulary, senders, loads)
			check(t, suites, err, tt.want, tt.says)
		})
	}
}

func TestLoadFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, src string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(src), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	x, y := write("x.txt", valid), write("sub/y.yaml", other)
	broken := write("broken.yaml", "suite: receiver/x\n")
	for name, tt := range map[string]struct {
		paths, want, says []string
	}{
		"a file of any name":  {[]string{x}, []string{"receiver/x/a"}, nil},
		"file and directory":  {[]string{filepath.Dir(y), x}, []string{"receiver/y/b", "receiver/x/a"}, nil},
		"a broken file":       {[]string{broken}, nil, []string{broken + ":1:1: the document has no cases"}},
		"a broken one of two": {[]string{dir}, nil, []string{broken + ":1:1: the document has no cases"}},
		"the same file twice": {[]string{x, x}, nil, []string{"the case receiver/x/a is in " + x + ":2 already"}},
		"no such file":        {[]string{filepath.Join(dir, "none.yaml")}, nil, []string{"read scenario file " + filepath.Join(dir, "none.yaml"), "no such file"}},
		"a device":            {[]string{os.DevNull}, nil, []string{"it is not a regular file"}},
	} {
		t.Run(name, func(t *testing.T) {
			suites, err := scenarios.LoadFiles(tt.paths, vocabulary, senders, loads)
			check(t, suites, err, tt.want, tt.says)
		})
	}
}

func check(t *testing.T, suites []*scenarios.Suite, err error, want, says []string) {
	t.Helper()
	if (err != nil) != (says != nil) {
		t.Fatalf("got error %v, want one that says %q", err, says)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("got %v, want it to say %q", err, s)
		}
	}
	var got []string
	for _, s := range suites {
		for _, c := range s.Cases {
			got = append(got, c.Name())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cases (-want +got):\n%s", diff)
	}
}

// The built-in files have the shape of the language, and each case says what it
// enforces and what it catches. Its words are held against the vocabulary where
// that is made.
func TestCatalogue(t *testing.T) {
	files, err := fs.Glob(scenarios.Catalogue, "*/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("the catalogue has %d files: %v", len(files), err)
	}
	for _, file := range files {
		src, err := fs.ReadFile(scenarios.Catalogue, file)
		if err != nil {
			t.Fatal(err)
		}
		var suite scenarios.Suite
		if _, err := strictyaml.Decode(file, src, &suite); err != nil {
			t.Error(err)
			continue
		}
		if want := strings.TrimSuffix(file, ".yaml"); suite.Name != want {
			t.Errorf("%s holds the suite %s, want %s", file, suite.Name, want)
		}
		for _, c := range suite.Cases {
			if c.Source == "" && suite.Source == "" {
				t.Errorf("%s: the case %s names no source", file, c.ID)
			}
			if len(c.Kills) == 0 && c.Unproven == "" {
				t.Errorf("%s: the case %s neither kills a defect nor says why none can be built", file, c.ID)
			}
		}
	}
}

func compile(t testing.TB) *jsonschema.Schema {
	t.Helper()
	text, err := scenarios.JSONSchema(vocabulary, senders, loads)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("scenarios.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("scenarios.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// instance is a file as a schema sees it.
func instance(src []byte) (any, error) {
	var v any
	if err := yaml.Unmarshal(src, &v); err != nil {
		return nil, err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(text))
}

// What the schema says is what the parser says, as far as a schema can.
func TestJSONSchema(t *testing.T) {
	schema := compile(t)
	good, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(good) < 3 {
		t.Fatalf("found %d good files: %v", len(good), err)
	}
	for _, file := range good {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parse(t, filepath.Base(file))
		v, err := instance(src)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s is valid, yet the schema says: %v", file, err)
		}
	}

	wrong := []string{
		"sender-sends", "sender-rejects", "receiver-responds", "receiver-endpoints", "receiver-triggered", "receiver-word", "wire-in-trigger", "suite-role-typo",
		"suite-topic", "suite-load", "trigger-exec", "trigger-url", "trigger-is-a-request", "case-register", "case-secret", "triggers-empty", "trigger-text", "trigger-number",
		"do-unknown", "trigger-times-zero", "triggers-many", "trigger-payload", "trigger-expects", "endpoint-nameless", "endpoint-url", "address-unknown",
		"respond-empty", "answer-list", "status-99", "status-600", "status-in-mapping", "status-interim", "status-text", "way-unknown", "way-unknown-in-mapping",
		"way-argument-missing", "way-argument-needless", "way-argument-type", "ways-two", "way-as-key", "answer-key", "answers-many", "delay-no-unit", "delay-word",
		"delay-share-fraction", "answer-header-number", "sender-expect-typo", "same-unknown", "same-twice", "same-empty", "same-alone", "gap-unbounded",
		"gap-is-a-time", "gap-key", "gap-after", "bytes-too-many", "sender-needs-typo", "measure-typo",
		"empty-mapping", "top-level-list", "unknown-top-key", "unknown-case-key", "unknown-step-key", "schema-version", "target-metadata", "secret",
		"exec", "path-traversal", "payload-unknown", "key-is-a-secret", "times-too-many", "times-zero", "size-too-large", "timeout-no-unit",
		"bool-yes", "text-number", "level-unknown", "id-missing", "title-missing", "expect-empty-list", "expect-empty-mapping", "expect-unknown",
		"expect-argument-missing", "expect-argument-type", "expect-status-range", "needs-unknown", "measure-unknown", "mutation-unknown-part",
		"mutation-unknown-name", "mutation-of-another-part", "mutation-two-parts", "mutation-two-names", "mutation-argument-type", "wire-unknown",
	}
	for _, f := range badFiles(t) {
		if i := slices.Index(wrong, f.name); i >= 0 {
			wrong = slices.Delete(wrong, i, i+1)
			v, err := instance(f.src)
			if err != nil {
				t.Fatalf("%s: %v", f.name, err)
			}
			if schema.Validate(v) == nil {
				t.Errorf("the schema accepts %s:\n%s", f.name, f.src)
			}
		}
	}
	if len(wrong) > 0 {
		t.Errorf("no such bad files: %v", wrong)
	}
}

// The schema is the same bytes each time, and speaks in the vocabulary's
// sentences; without a vocabulary it is a schema still.
func TestJSONSchemaText(t *testing.T) {
	first, err := scenarios.JSONSchema(vocabulary, senders, loads)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if again, err := scenarios.JSONSchema(vocabulary, senders, loads); err != nil || !bytes.Equal(first, again) {
			t.Fatalf("the schema changes from one time to the next: %v", err)
		}
	}
	for _, want := range []string{"draft/2020-12", "has one bit of its body changed after signing", "reads at most that many bytes", "what a correct subject does, as a sentence", `"additionalProperties": false`} {
		if !bytes.Contains(first, []byte(want)) {
			t.Errorf("the schema does not hold %q", want)
		}
	}
	if _, err := scenarios.JSONSchema(); err != nil {
		t.Error(err)
	}
}

// FuzzParse holds for any input: no panic, a position in every refusal, the same
// result each time, and a schema that takes whatever the parser does.
func FuzzParse(f *testing.F) {
	schema := compile(f)
	for _, b := range badFiles(f) {
		if len(b.src) < 10_000 {
			f.Add(b.src)
		}
	}
	good, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range good {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		suite, err := scenarios.Parse("fuzz.yaml", src, vocabulary, senders, loads)
		if err != nil {
			positioned(t, err, src)
			return
		}
		if again, err := scenarios.Parse("fuzz.yaml", src, vocabulary, senders, loads); err != nil || !cmp.Equal(suite, again) {
			t.Errorf("parsed again: %v\n%s", err, cmp.Diff(suite, again))
		}
		if v, err := instance(src); err == nil && schema.Validate(v) != nil {
			t.Errorf("the schema refuses what is parsed: %v\n%s", schema.Validate(v), src)
		}
		for _, c := range suite.Cases {
			if (len(c.Send) > 0) != (c.Measure == "" && strings.HasPrefix(suite.Name, "receiver/")) {
				t.Errorf("the case %s of %s sends %d deliveries", c.ID, suite.Name, len(c.Send))
			}
			if len(c.Send) == 0 && len(c.Trigger) == 0 && c.Load == nil && c.Measure == "" {
				t.Errorf("the case %s does nothing", c.ID)
			}
		}
	})
}

func positioned(t *testing.T, err error, src []byte) {
	t.Helper()
	var many strictyaml.Errors
	if !errors.As(err, &many) || len(many) == 0 || len(many) > strictyaml.MaxErrors {
		t.Fatalf("refused without an error with a position: %v", err)
	}
	lines := bytes.Count(src, []byte("\n")) + 1
	for _, e := range many {
		if e.Line < 1 || e.Column < 1 || e.Line > lines || e.Message == "" {
			t.Errorf("refused at %d:%d of %d lines: %s", e.Line, e.Column, lines, e.Message)
		}
	}
}
