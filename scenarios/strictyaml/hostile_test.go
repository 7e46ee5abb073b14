package strictyaml_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// Everything that is refused is refused within these.
const (
	mostTime   = 100 * time.Millisecond
	mostMemory = 64 << 20
)

// repeat fills the limit of a file with one text.
func repeat(text string) string { return strings.Repeat(text, strictyaml.MaxBytes/len(text)) }

// wrapped is the same on lines that are just within the limit.
func wrapped(text string) string {
	line := strings.Repeat(text, (strictyaml.MaxLine-8)/len(text)) + "\n"
	return strings.Repeat(line, strictyaml.MaxBytes/strictyaml.MaxLine)
}

// lines is a file of so many lines, each made from its number.
func lines(count int, line func(i int) string) string {
	var b strings.Builder
	for i := range count {
		b.WriteString(line(i) + "\n")
	}
	return b.String()
}

var hostile = map[string]string{
	"10 MiB":                              strings.Repeat("# x\n", 10<<18),
	"10 MiB on one line":                  "a: " + strings.Repeat("x", 10<<20),
	"billion laughs":                      "a: &a [l, l]\nb: &b [*a, *a]\nc: [*b, *b]\n",
	"quadratic aliases":                   "a: &a " + strings.Repeat("x", 60<<10) + "\nb: [" + strings.Repeat("*a,", 60_000) + "]\n",
	"alias of itself":                     "a: &a [*a]\n",
	"merge cycle":                         "a: &a\n  <<: *a\n",
	"merges":                              repeat("<<: a\n"),
	"keys":                                lines(20_000, func(i int) string { return "k" + strings.Repeat("x", i%7) + ": 1" }),
	"distinct keys":                       lines(12_000, func(i int) string { return strings.Repeat("ab"[i%2:i%2+1], 1+i%9) + itoa(i) + ": 1" }),
	"block depth":                         lines(600, func(i int) string { return strings.Repeat(" ", i) + "a:" }),
	"block depth on one line":             repeat("- "),
	"explicit keys":                       repeat("? "),
	"flow lists":                          repeat("["),
	"flow mappings":                       repeat("{a: "),
	"flow mixed":                          repeat("[{"),
	"flow closed too often":               repeat("]"),
	"flow items":                          "a: [" + repeat("a,")[8:],
	"flow unclosed over lines":            "a: [" + repeat("a\n")[8:],
	"scalar over the limit":               "a: |\n" + strings.Repeat("  "+strings.Repeat("x", 77)+"\n", 1000),
	"comments":                            repeat("#\n"),
	"blank lines":                         "a: |\n  x\n" + repeat("\n")[16:],
	"blank lines in a folded value":       "a: >\n  x\n" + repeat("  \n")[16:],
	"blank lines within the limit":        "a: |\n" + repeat("  y\n" + strings.Repeat("\n", 20))[16:],
	"folded blank lines within the limit": "a: >\n" + repeat("  y\n" + strings.Repeat("\n", 20))[16:],
	"blocks of blank lines":               repeat("- |\n  y\n" + strings.Repeat("\n", 20)),
	"values":                              repeat("- 1\n"),
	"empty values":                        repeat("- \n"),
	"documents":                           repeat("---\n"),
	"document ends":                       repeat("...\n"),
	"block headers":                       repeat("|\n"),
	"reserved characters":                 repeat("@"),
	"colons":                              repeat(": "),
	"tags":                                repeat("!!x "),
	"directives":                          repeat("%a\n"),
	"anchors":                             repeat("&a "),
	"digits":                              "a: " + strings.Repeat("9", 60<<10) + "\nb",
	"unclosed double quotes":              "a: \"" + repeat("x\n")[8:],
	"unclosed single quotes":              "a: '" + repeat("x\n")[8:],
	"long key":                            strings.Repeat("k", 60<<10) + ": {" + strings.Repeat("a: 1, ", 30_000) + "}",
	"spaces":                              repeat(" "),
	"tabs":                                repeat("\t"),
	"carriage returns":                    repeat("\r"),
	"wrapped block depth":                 wrapped("- "),
	"wrapped explicit keys":               wrapped("? "),
	"wrapped flow lists":                  wrapped("["),
	"wrapped flow mappings":               wrapped("{a: "),
	"wrapped flow mixed":                  wrapped("[{"),
	"wrapped flow closed too often":       wrapped("]"),
	"wrapped reserved characters":         wrapped("@"),
	"wrapped colons":                      wrapped(": "),
	"wrapped tags":                        wrapped("!!x "),
	"wrapped anchors":                     wrapped("&a "),
	"wrapped aliases":                     wrapped("*a "),
	"wrapped quotes":                      wrapped("\"\" "),
	"wrapped single quotes":               wrapped("''"),
	"wrapped spaces":                      wrapped(" "),
	"wrapped tabs":                        wrapped("\t"),
	"wrapped words":                       wrapped("a "),
	"wrapped colons in a word":            wrapped("a:"),
	"wrapped block headers":               wrapped("| "),
	"wrapped commas":                      wrapped(","),
	"wrapped dashes":                      wrapped("-"),
	"wrapped percent":                     wrapped("%"),
	"wrapped empty lists":                 wrapped("[],"),
	"wrapped comments":                    wrapped(" #"),
	"wrapped flow items":                  "a: [\n" + strings.TrimSuffix(wrapped("b,"), "b,\n"),
	"wrapped flow mapping items":          "a: {\n" + strings.TrimSuffix(wrapped("b: 1, "), "\n"),
	"many sequences":                      lines(30, func(i int) string { return strings.Repeat(" ", i) + "- " + strings.Repeat("- ", 1000) }),
	"many mappings":                       lines(9000, func(i int) string { return strings.Repeat(" ", 30-i%30) + "k" + itoa(i) + ":" }),
	"many wide mappings":                  "a: [" + strings.Repeat("{"+strings.Repeat("b: c,", 900)+"},\n", 40),
	"nested long keys":                    lines(30, func(i int) string { return strings.Repeat(" ", i) + strings.Repeat("k", 250) + ":" }) + strings.Repeat(" ", 40) + "[" + strings.Repeat("a,", 9000) + "]\n",
	"quotes":                              "- " + repeat("\"\" ")[8:],
}

func itoa(i int) string {
	return strings.Repeat("i", i/1000) + string(rune('a'+i%26)) + string(rune('a'+i/26%26))
}

// No input, whatever it was made for, takes long, takes much or gets away
// without a position.
func TestHostileInput(t *testing.T) {
	if raced {
		t.Skip("time and memory cannot be measured under the race detector")
	}
	for name, src := range hostile {
		t.Run(name, func(t *testing.T) {
			took, allocated, err := measure(src)
			var at *strictyaml.Error
			if !errors.As(err, &at) || at.Line < 1 || at.Column < 1 {
				t.Errorf("got %v, want an error with a position", err)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("the message has %d bytes: %.1000s", len(err.Error()), err)
			}
			if took > mostTime && took > allowed(t) {
				t.Errorf("took %v, want at most %v", took, mostTime)
			}
			if allocated > mostMemory {
				t.Errorf("allocated %d bytes, want at most %d", allocated, mostMemory)
			}
		})
	}
}

// measure tries up to three times to stay within the limits: a garbage collection
// may come at the wrong moment.
func measure(src string) (took time.Duration, allocated uint64, err error) {
	took = time.Hour
	for try := 0; try < 3 && (took > mostTime || allocated > mostMemory); try++ {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		from := now()
		var v map[string]string
		_, err = strictyaml.Decode("hostile.yaml", []byte(src), &v)
		took = min(took, now()-from)
		runtime.ReadMemStats(&after)
		allocated = after.TotalAlloc - before.TotalAlloc
	}
	return took, allocated, err
}

// honest is a file that is about as large as one may be.
var honest = lines(9, func(i int) string {
	return "list" + itoa(i) + ":\n" + strings.TrimSuffix(strings.Repeat("  - an honest sentence\n", 990), "\n")
})

// allowed is what a hostile file may take on this machine as it is just now: where
// that is slow, six times what it needs for an honest file.
func allowed(t *testing.T) time.Duration {
	took := time.Hour
	for range 3 {
		from := now()
		if _, err := strictyaml.Read("honest.yaml", []byte(honest)); err != nil {
			t.Fatal(err)
		}
		took = min(took, now()-from)
	}
	return max(mostTime, 6*took)
}
