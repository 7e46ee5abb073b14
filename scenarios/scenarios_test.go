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
	suite, err := scenarios.Parse(file, src, vocabulary)
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
	for _, name := range []string{
		"duplicate-case-key", "unknown-case-key", "target-metadata", "timeout-no-unit", "escape-in-a-title", "mutation-unknown-name",
		"replay-missing", "expect-argument-missing", "id-too-long", "tab-indent",
	} {
		files := badFiles(t)
		i := slices.IndexFunc(files, func(f bad) bool { return f.name == name })
		_, err := scenarios.Parse("mine/receiver.yaml", files[i].src, vocabulary)
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
			suites, err := scenarios.Load(tt.files, "s", vocabulary)
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
			suites, err := scenarios.LoadFiles(tt.paths, vocabulary)
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
	files, err := fs.Glob(scenarios.Catalogue, "receiver/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("the catalogue is empty: %v", err)
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

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := scenarios.JSONSchema(vocabulary)
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
	first, err := scenarios.JSONSchema(vocabulary)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if again, err := scenarios.JSONSchema(vocabulary); err != nil || !bytes.Equal(first, again) {
			t.Fatalf("the schema changes from one time to the next: %v", err)
		}
	}
	for _, want := range []string{"draft/2020-12", "has one bit of its body changed after signing", "what a correct subject does, as a sentence", `"additionalProperties": false`} {
		if !bytes.Contains(first, []byte(want)) {
			t.Errorf("the schema does not hold %q", want)
		}
	}
	if _, err := scenarios.JSONSchema(scenarios.Vocabulary{}); err != nil {
		t.Error(err)
	}
}

// FuzzParse holds for any input: no panic, a position in every refusal, and the
// same result each time.
func FuzzParse(f *testing.F) {
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
		suite, err := scenarios.Parse("fuzz.yaml", src, vocabulary)
		if err != nil {
			positioned(t, err, src)
			return
		}
		if again, err := scenarios.Parse("fuzz.yaml", src, vocabulary); err != nil || !cmp.Equal(suite, again) {
			t.Errorf("parsed again: %v\n%s", err, cmp.Diff(suite, again))
		}
		for _, c := range suite.Cases {
			if len(c.Send) == 0 && c.Measure == "" {
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
