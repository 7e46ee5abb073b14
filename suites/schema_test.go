package suites_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites"
)

// Every shipped suite is what the schema, which editors complete from, says it is:
// there is one for both roles.
func TestCatalogueFitsTheSchema(t *testing.T) {
	src, err := scenarios.JSONSchema(suites.Vocabularies()...)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(src))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("scenarios.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("scenarios.json")
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(scenarios.Catalogue, "*/*.yaml")
	if err != nil || len(files) < 13 {
		t.Fatalf("the catalogue has the files %q (%v), want at least 13", files, err)
	}
	for _, file := range files {
		b, err := fs.ReadFile(scenarios.Catalogue, file)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance(t, b)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	for _, bad := range []string{
		"suite: receiver/x\ncases: [{id: a, title: A, level: must, send: {mutate: {body: flip-bits}}, expect: accepted}]",
		"suite: receiver/x\ncases: [{id: a, title: A, level: must, send: {}, expect: acepted}]",
		"suite: receiver/x\ncases: [{id: a, title: A, level: must, send: {wire: chunky}, expect: accepted}]",
		"suite: receiver/x\ncases: [{id: a, title: A, level: must, send: {payload: none}, expect: accepted}]",
		"suite: receiver/x\ncases: [{id: a, title: A, level: must, measure: speed}]",
		"suite: receiver/x\ncases: [{id: a, title: A, level: must, trigger: once, expect: delivered}]",
		"suite: sender/x\ncases: [{id: a, title: A, level: must, send: {}, expect: accepted}]",
		"suite: sender/x\ncases: [{id: a, title: A, level: must, trigger: once, expect: accepted}]",
		"suite: sender/x\ncases: [{id: a, title: A, level: must, trigger: once, respond: hangs, expect: delivered}]",
		"suite: sender/x\ncases: [{id: a, title: A, level: must, endpoints: {name: main, address: 'http://10.0.0.1/'}, trigger: once, expect: silent}]",
	} {
		if schema.Validate(instance(t, []byte(bad))) == nil {
			t.Errorf("the schema takes\n%s", bad)
		}
	}
}

func instance(t *testing.T, src []byte) any {
	t.Helper()
	var plain any
	if err := yaml.Unmarshal(src, &plain); err != nil {
		t.Fatal(err)
	}
	j, err := json.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(j))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A suite is found by its file: one that is called otherwise could be selected by none of
// its names.
func TestSuitesAreCalledLikeTheirFiles(t *testing.T) {
	catalogue, err := suites.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	all, err := scenarios.Load(scenarios.Catalogue, ".", suites.Vocabularies()...)
	if err != nil {
		t.Fatal(err)
	}
	if len(catalogue) != len(all) {
		t.Errorf("the catalogue has %d suites, and there are %d", len(catalogue), len(all))
	}
	for _, s := range catalogue {
		if s.File != s.Name+".yaml" {
			t.Errorf("the suite %s is in %s", s.Name, s.File)
		}
	}
}

// Every case of the catalogue can be proven, or says why not; and there are as
// many as the catalogue promises.
func TestCatalogueIsWhole(t *testing.T) {
	cases, err := suites.Select(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if len(c.Kills) == 0 && c.Unproven == "" {
			t.Errorf("%s names no defect and does not say why", c.Name())
		}
		if c.Source == "" {
			t.Errorf("%s has no source", c.Name())
		}
	}
	if len(cases) < 550 {
		t.Errorf("there are %d cases, want at least 550", len(cases))
	}
}

// Every case says what to do where it fails: in a sentence or two, which fits a line of
// a report, and which is told of no other cause. Cases that share a defect may share it.
func TestCatalogueSaysHowToRepair(t *testing.T) {
	cases, err := suites.Select(nil)
	if err != nil {
		t.Fatal(err)
	}
	sentence := regexp.MustCompile(`^([A-Z][^.?!]*(?:[.?!]\S[^.?!]*)*\.( |$)){1,2}$`)
	causes, first := map[string][]string{}, map[string]string{}
	for _, c := range cases {
		switch n := len(c.Fix); {
		case n == 0:
			t.Errorf("%s does not say what to do where it fails: add fix", c.Name())
			continue
		case n < 20 || n > 220:
			t.Errorf("%s: its fix has %d characters, want 20 to 220: %s", c.Name(), n, c.Fix)
		}
		if strings.IndexFunc(c.Fix, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
			t.Errorf("%s: its fix is not all printable ASCII: %q", c.Name(), c.Fix)
		}
		if !sentence.MatchString(c.Fix) {
			t.Errorf("%s: its fix is not one sentence or two: %s", c.Name(), c.Fix)
		}
		shared := c.Kills
		if name, twice := first[c.Fix]; twice {
			shared = slices.DeleteFunc(slices.Clone(causes[c.Fix]), func(defect string) bool { return !slices.Contains(c.Kills, defect) })
			if len(shared) == 0 {
				t.Errorf("%s has the fix of %s, with which it has no defect in common: %s", c.Name(), name, c.Fix)
			}
		} else {
			first[c.Fix] = c.Name()
		}
		causes[c.Fix] = shared
	}
}
