package strictyaml_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

type recipe struct {
	Name    string            `yaml:"name" required:"true" doc:"what it is called"`
	Kind    string            `yaml:"kind" enum:"soup,stew,cake"`
	Serves  int               `yaml:"serves" range:"1..100"`
	Spicy   bool              `yaml:"spicy"`
	Time    time.Duration     `yaml:"time"`
	Tags    []string          `yaml:"tags"`
	Ratios  []int             `yaml:"ratios"`
	Notes   map[string]string `yaml:"notes"`
	Note    *string           `yaml:"note"`
	Steps   []stage           `yaml:"steps"`
	Origin  *stage            `yaml:"origin"`
	Where   place             `yaml:"where"`
	Ignored string            `yaml:"-"`
	Untold  string
}

type stage struct {
	Do  string        `yaml:"do"`
	For time.Duration `yaml:"for"`
}

func (*stage) ExplainKey(key string) string {
	if key == "buy" {
		return "shopping is done elsewhere"
	}
	return ""
}

// place is a type that decodes itself: "town, country".
type place struct {
	Town, Country string
	Line          int
}

func (p *place) UnmarshalNode(n *strictyaml.Node) error {
	text, err := n.Text()
	if err != nil {
		return err
	}
	var found bool
	if p.Town, p.Country, found = strings.Cut(text, ", "); !found {
		return errors.New("a place is a town, a comma and a country")
	}
	p.Line = n.Line
	return nil
}

func TestDecode(t *testing.T) {
	const src = `---
# Comments are fine.
name: 'It''s soup'
kind: soup
serves: 4
spicy: true
time: 1h30m
tags: [hot, "5", 'yes', 2027-01-31, 1.0.0, now-24h]
ratios: 7
notes: {Retry-After: "2", 5: "\u202e\n"}
note: |
  first

    third
steps:
  - do: >-
      chop
      and stir
    for: 90s
  - {do: serve é now, for: 1.5h}
origin: {}
where: Brno, Moravia
`
	note := "first\n\n  third\n"
	want := recipe{
		Name: "It's soup", Kind: "soup", Serves: 4, Spicy: true, Time: 90 * time.Minute,
		Tags:   []string{"hot", "5", "yes", "2027-01-31", "1.0.0", "now-24h"},
		Ratios: []int{7}, Notes: map[string]string{"Retry-After": "2", "5": "\u202e\n"}, Note: &note,
		Steps:  []stage{{Do: "chop and stir", For: 90 * time.Second}, {Do: "serve é now", For: 90 * time.Minute}},
		Origin: &stage{}, Where: place{Town: "Brno", Country: "Moravia", Line: 22},
	}
	for name, text := range map[string]string{
		"LF": src, "CRLF": strings.ReplaceAll(src, "\n", "\r\n"), "no last line end": strings.TrimSuffix(src, "\n"),
	} {
		t.Run(name, func(t *testing.T) {
			var got recipe
			if _, err := strictyaml.Decode("soup.yaml", []byte(text), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("decoded (-want +got):\n%s", diff)
			}
		})
	}
}

// refusals are one problem each: the file, the place, and a part of what is said.
var refusals = []struct {
	src, position string
	says          string
}{
	// Not a document.
	{"", "1:1", "the file is empty"},
	{"# only a comment\n", "1:1", "the file is empty"},
	{"---\n", "1:1", "the file is empty"},
	{"name", "1:1", `the document must be a mapping, got the text "name"`},
	{"- name", "1:1", "the document must be a mapping, got a list"},
	{"name: a\n---\nname: b\n", "2:1", "a second document begins here"},
	{"name: a\n...\n", "2:1", "document end markers (...) are not allowed"},

	// Not plain text.
	{"name: a\x00b", "1:8", "the character U+0000 must not stand"},
	{"name: \x1b[2Jb", "1:7", "the character U+001B must not stand"},
	{"name: a\u202eb", "1:8", `write it as the escape "\u202e"`},
	{"name: a\u0085b", "1:8", "the character U+0085"},
	{"name: a\rkind: soup", "1:8", "the character U+000D"},
	{"name: é\xffb", "1:8", "byte 0xff is not valid UTF-8"},
	{"name: a\nkind: \xe2\x28\xa1", "2:7", "byte 0xe2 is not valid UTF-8"},
	{"\xef\xbb\xbfname: a", "1:1", "begins with a byte order mark"},
	{"\xff\xfen\x00", "1:1", "begins with a byte order mark"},
	{"\xfe\xff\x00n", "1:1", "begins with a byte order mark"},

	// YAML that says one thing and means another.
	{"name: &a b", "1:7", "anchors (&name) are not allowed"},
	{"name: *a", "1:7", "aliases (*name) are not allowed"},
	{"name: a\n<<: {kind: soup}", "2:1", "merge keys (<<) are not allowed"},
	{"name: !exec id", "1:7", "tags (!name) are not allowed"},
	{"name: !!str 5", "1:7", "tags (!name) are not allowed"},
	{"name: !!python/object:os.system x", "1:7", "tags (!name) are not allowed"},
	{"name: !!binary '%%%'", "1:7", "tags (!name) are not allowed"},
	{"%YAML 1.1\n---\nname: a", "1:1", "directives (%name) are not allowed"},
	{"? name\n: a", "1:1", "explicit keys (? name) are not allowed"},

	// Malformed.
	{"name:\n\tkind: soup", "2:1", "a tab stands where the line is indented"},
	{"name: [a", "1:7", "not valid YAML"},
	{"name: {a", "1:8", "not valid YAML"},
	{"name: a]\nkind: ]", "2:7", `"]" closes nothing`},
	{`name: "a`, "1:7", "not valid YAML: could not find end character"},
	{"name: 'a", "1:7", "not valid YAML: could not find end character"},
	{`name: "\q"`, "1:9", "not valid YAML: found unknown escape character"},
	{"name: a: b", "1:7", "quote a text that holds a colon with a blank behind it"},
	{"name: - a", "1:7", "not valid YAML: block sequence entries are not allowed"},
	{"name: @a", "1:7", "not valid YAML: '@' is a reserved character"},
	{"name: a\n  kind: soup", "1:7", "if a key was meant, indent it like its neighbours"},
	{"name: a\n  b\n", "1:7", "a text goes on over several lines"},
	{"name: 'a\n  b'\n", "1:7", "a text goes on over several lines"},
	{"name: \"a\n  b\"\n", "1:7", "a text goes on over several lines"},
	{"name: \"\\u00 e9\"", "1:7", "holds a malformed escape"},
	{"name: \"\\x1z\"", "1:7", "holds a malformed escape"},
	{"name: \"\\x1\"", "1:7", "not valid YAML"},
	{"name: \"\\\\ \\u12\"", "1:11", "not valid YAML"},
	{"name: \"é\"\nnotes: {a: \"\\n\", é: \"\\u00e9\", c: \"\\u00eé\"}", "2:34", "holds a malformed escape"},
	{"name: a\nnotes: {b: c: d}", "2:12", "could be read in several ways"},
	{"name: a\ntags: [b}, c]", "2:8", "could be read in several ways"},
	{"name: }a", "1:7", "could be read in several ways"},
	{"name: %a", "1:7", "quote it if it is meant as text"},
	{"name: a\ntags: [b, - c]", "2:11", "a list item with a hyphen stands within brackets"},
	{"name: a\nnotes: {b:c}", "2:10", "a blank must stand behind the colon"},
	{"name: a\nnotes: {, b: c}", "2:9", "nothing stands before the comma"},
	{"name: a\ntags: [, b]", "2:8", "nothing stands before the comma"},
	{"name: >--\n  a\n", "1:7", "does not begin a block"},
	{"name: a\ntags: [|-\n  b]\n", "2:8", "does not begin a block"},
	{"name:\na\n", "2:1", "no further right than what it belongs to"},
	{"name: a\ntags:\n-\nb", "4:1", "not valid YAML"},
	{"[name]: a", "1:7", "not valid YAML: found an invalid key"},

	// Keys.
	{"kind: soup", "1:1", "the document has no name"},
	{"name: a\nname: b", "2:1", `the key "name" stands here a second time`},
	{"name: a\nnotes: {b: c, b: d}", "2:15", `the key "b" stands here a second time`},
	{"naem: a\nname: b", "1:1", `did you mean "name"?`},
	{"name: a\nServes: 1", "2:1", `did you mean "serves"?`},
	{"name: a\nUntold: b", "2:1", `unknown key "Untold"`},
	{"name: a\nsteps: [{buy: bread}]", "2:10", "shopping is done elsewhere"},
	{"name: a\nsteps: {Do: bread}", "2:9", `did you mean "do"?`},
	{"name: a\n\"\\u001b[2J\": b", "2:1", `unknown key "\x1b[2J"`},
	{"name: a\ntrue: b", "2:1", `unknown key "true"`},

	// Types.
	{"name:", "1:1", `"name" has no value; it must be text`},
	{"name: ~", "1:1", `"name" has no value`},
	{"name: null", "1:1", `"name" has no value`},
	{"name: 5", "1:7", `quote it: "5"`},
	{"name: 1e3", "1:7", `quote it: "1e3"`},
	{"name: 0777", "1:7", `quote it: "0777"`},
	{"name: .inf", "1:7", `quote it: ".inf"`},
	{"name: true", "1:7", `quote it: "true"`},
	{"name: yes", "1:7", "which some YAML readers take for a boolean"},
	{"name: Off", "1:7", `quote it: "Off"`},
	{"name: [a]", "1:7", `"name" must be text, got a list`},
	{"name: {a: b}", "1:7", `"name" must be text, got a mapping`},
	{"name: a\nkind: soap", "2:7", `did you mean "soup"?`},
	{"name: a\nkind: pie", "2:7", `"kind" must be one of soup, stew, cake, got the text "pie"`},
	{"name: a\nspicy: yes", "2:8", "write true or false"},
	{"name: a\nspicy: True", "2:8", `"spicy" must be true or false`},
	{"name: a\nspicy: 1", "2:8", `"spicy" must be true or false, got the number "1"`},
	{"name: a\nserves: 0", "2:9", `"serves" must be from 1 to 100, got 0`},
	{"name: a\nserves: -5", "2:9", `"serves" must be from 1 to 100, got -5`},
	{"name: a\nserves: four", "2:9", `"serves" must be a whole number, got the text "four"`},
	{"name: a\nserves: '4'", "2:9", `"serves" must be a whole number, got the text "4"`},
	{"name: a\nserves: 4.0", "2:9", `a whole number in decimal digits, got "4.0"`},
	{"name: a\nserves: 1_0", "2:9", "YAML readers disagree"},
	{"name: a\nserves: 010", "2:9", "YAML readers disagree"},
	{"name: a\nserves: 0o10", "2:9", "YAML readers disagree"},
	{"name: a\nserves: 0x10", "2:9", "YAML readers disagree"},
	{"name: a\nserves: +1", "2:9", "YAML readers disagree"},
	{"name: a\nserves: .nan", "2:9", "YAML readers disagree"},
	{"name: a\nserves: 100000000000000000000", "2:9", "is out of range"},
	{"name: a\ntime: 5", "2:7", `write "5s" for seconds`},
	{"name: a\ntime: -1s", "2:7", "must not be negative"},
	{"name: a\ntime: soon", "2:7", "a time is written with its unit"},
	{"name: a\ntime: 1d", "2:7", "a time is written with its unit"},
	{"name: a\ntime: 9999999h", "2:7", "a time is at most 9600h"},
	{"name: a\ntime: [5s]", "2:7", "must be a time such as 30s, got a list"},
	{"name: a\ntags: {a: b}", "2:7", `"tags" must be a list, got a mapping`},
	{"name: a\ntags: [b, [c]]", "2:11", `item 2 of "tags" must be text, got a list`},
	{"name: a\ntags: [b, , c]", "2:11", "nothing stands before the comma"},
	{"name: a\nsteps: chop", "2:8", `"steps" must be a list, got the text "chop"`},
	{"name: a\nsteps: [chop]", "2:9", `item 1 of "steps" must be a mapping`},
	{"name: a\nnotes: b", "2:8", `"notes" must be a mapping, got the text "b"`},
	{"name: a\nnotes: {b: 5}", "2:12", `"b" must be text, got the number "5"`},
	{"name: a\norigin:", "2:1", `"origin" has no value; it must be a mapping`},
	{"name: a\nwhere: Brno", "2:8", "a place is a town, a comma and a country"},
	{"name: a\nwhere: [Brno]", "2:8", `"where" must be text, got a list`},
}

func TestRefusals(t *testing.T) {
	for _, tt := range refusals {
		t.Run(fmt.Sprintf("%.40q", tt.src), func(t *testing.T) {
			var v recipe
			_, err := strictyaml.Decode("soup.yaml", []byte(tt.src), &v)
			var many strictyaml.Errors
			if !errors.As(err, &many) || len(many) != 1 {
				t.Fatalf("got %v, want one problem", err)
			}
			one := many[0]
			if got := fmt.Sprintf("%d:%d", one.Line, one.Column); got != tt.position || one.File != "soup.yaml" {
				t.Errorf("got position %s:%s, want soup.yaml:%s:\n%v", one.File, got, tt.position, err)
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want it to say %s", err, tt.says)
			}
			if strings.ContainsAny(err.Error(), "\x00\x1b\r\u202e") {
				t.Errorf("a control character is shown as it is: %q", err)
			}
		})
	}
}

// All problems of a file are found at once, but not without end.
func TestManyProblems(t *testing.T) {
	var v recipe
	_, err := strictyaml.Decode("soup.yaml", []byte("naem: a\nkind: 5\ntime: 5\nsteps: [{do: 1}, {fro: 1s}]\n"), &v)
	var many strictyaml.Errors
	errors.As(err, &many)
	var got []string
	for _, e := range many {
		got = append(got, fmt.Sprintf("%d:%d", e.Line, e.Column))
	}
	if diff := cmp.Diff([]string{"1:1", "2:7", "3:7", "4:14", "4:19", "1:1"}, got); diff != "" {
		t.Errorf("positions (-want +got):\n%s\n%v", diff, err)
	}

	_, err = strictyaml.Decode("soup.yaml", []byte("tags: ["+strings.Repeat("5, ", 500)+"]"), &v)
	if !errors.As(err, &many) || len(many) != strictyaml.MaxErrors {
		t.Errorf("got %d problems, want %d", len(many), strictyaml.MaxErrors)
	}
}

func TestAt(t *testing.T) {
	doc, err := strictyaml.Read("soup.yaml", []byte("name: a\nsteps:\n  - do: b\n  - do: c\n    for: 5s\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path []any
		want string
	}{
		{nil, "1:1"},
		{[]any{"name"}, "1:7"},
		{[]any{"steps"}, "3:3"},
		{[]any{"steps", 1}, "4:5"},
		{[]any{"steps", 1, "for"}, "5:10"},
		{[]any{"steps", 1, "with"}, "4:5"},
		{[]any{"steps", 7, "for"}, "3:3"},
		{[]any{"name", "first"}, "1:7"},
		{[]any{0}, "1:1"},
	} {
		n := doc.At(tt.path...)
		if got := fmt.Sprintf("%d:%d", n.Line, n.Column); got != tt.want {
			t.Errorf("At(%v) is %s, want %s", tt.path, got, tt.want)
		}
	}
}

func TestSuggest(t *testing.T) {
	known := []string{"flip-bit", "reserialised", "id", "as", "at", "rejected", "accepted"}
	for word, want := range map[string]string{
		"flip-bit": "flip-bit", "flipbit": "flip-bit", "flip_bit": "flip-bit", "FLIP-BIT": "flip-bit", "filp-bit": "flip-bit",
		"reserialized": "reserialised", "rejcted": "rejected", "acepted": "accepted",
		"di": "id", "a": "as", "": "", "x": "", "flop": "", "banana": "", "rejection-of-it": "",
	} {
		if got := strictyaml.Suggest(word, known); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestSchema(t *testing.T) {
	special := strictyaml.Special{Types: map[reflect.Type]any{reflect.TypeFor[place](): map[string]any{"type": "string"}}}
	text, err := strictyaml.Schema("recipes", &recipe{}, special)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"title": "recipes"`, `"what it is called"`, `"soup"`, `"maximum": 100`, `"$ref": "#/$defs/place"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the schema does not hold %s:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "Ignored") || strings.Contains(string(text), "Untold") {
		t.Errorf("the schema tells of fields that are not read:\n%s", text)
	}
	_, err = strictyaml.Schema("measures", struct {
		Length float64 `yaml:"length"`
	}{}, special)
	if err == nil || !strings.Contains(err.Error(), "no schema for float64") {
		t.Errorf("got %v, want an error that names the type", err)
	}
}

type basket []stage

// A schema can be put together of several: their definitions do not meet, and each
// leaves out what is not its own.
func TestDefinitions(t *testing.T) {
	type errand struct {
		Walk string `yaml:"walk" by:"foot"`
		Ride string `yaml:"ride" by:"bus"`
		Buy  basket `yaml:"buy"`
	}
	root, defs, err := strictyaml.Definitions(errand{}, strictyaml.Special{
		Prefix: "foot",
		Omit:   func(tag reflect.StructTag) bool { return tag.Get("by") == "bus" },
		Types: map[reflect.Type]any{reflect.TypeFor[basket](): strictyaml.ListOf(func(item map[string]any) map[string]any {
			return map[string]any{"type": "array", "items": item}
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := strictyaml.Write("errands", root, defs)
	if err != nil {
		t.Fatal(err)
	}
	for want, there := range map[string]bool{
		`"$ref": "#/$defs/footerrand"`: true, `"walk"`: true, `"ride"`: false, `"footbasket"`: true, `"$ref": "#/$defs/footstage"`: true, `"title": "errands"`: true,
	} {
		if strings.Contains(string(text), want) != there {
			t.Errorf("the schema holds %s: %t, want %t\n%s", want, !there, there, text)
		}
	}
}
