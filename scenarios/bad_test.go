package scenarios_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// bad is a file that is refused, where, and a part of why.
type bad struct {
	name, position, says string
	src                  []byte
}

// valid is what the generated files would be without what is wrong with them.
const valid = "suite: receiver/x\ncases: [{id: a, title: A, level: must, send: {}, expect: accepted}]\n"

func badFiles(t testing.TB) []bad {
	t.Helper()
	files := generated()
	for _, name := range []string{"testdata/bad.txtar", "testdata/bad-sender.txtar", "testdata/bad-load.txtar"} {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			name, rest, _ := strings.Cut(f.Name, " ")
			position, says, _ := strings.Cut(rest, " ")
			files = append(files, bad{name, position, says, f.Data})
		}
	}
	return files
}

// generated are the files that are too large, or not text enough, to be written
// down.
func generated() []bad {
	laughs := "suite: receiver/x\na: &a [l,l,l,l,l,l,l,l,l]\n"
	for c := 'b'; c <= 'i'; c++ {
		laughs += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.Repeat(fmt.Sprintf("*%c,", c-1), 9))
	}
	text := func(name, position, says, src string) bad { return bad{name, position, says, []byte(src)} }
	return []bad{
		text("empty", "1:1", "the file is empty", ""),
		text("comment-only", "1:1", "the file is empty", "# nothing here yet\n"),
		text("billion-laughs", "2:4", "anchors (&name) are not allowed", laughs),
		text("quadratic-alias", "2:8", "anchors (&name) are not allowed", "suite: receiver/x\nabout: &a "+strings.Repeat("x", 10_000)+"\ncases:\n"+strings.Repeat("- *a\n", 20_000)),
		text("self-alias", "1:8", "anchors (&name) are not allowed", "suite: &a [*a]\n"),
		text("merge-cycle", "1:8", "anchors (&name) are not allowed", "suite: &a\n  <<: *a\n"),
		text("many-merges", "1:1", "merge keys (<<) are not allowed", strings.Repeat("<<: a\n", 40_000)),
		text("many-keys", "1001:6", "a collection has more than 1000 entries", numbered(20_000, "k%d: v\n")),
		text("many-keys-1.2-MB", "1:1", "the file has ", numbered(100_000, "key%d: v\n")),
		text("many-cases", "1003:1", "a collection has more than 1000 entries", "suite: receiver/x\ncases:\n"+strings.Repeat("- {id: a}\n", 20_000)),
		text("flow-depth", "1:71", "nested more than 32 deep", "suite: "+strings.Repeat("[", 9990)),
		text("flow-depth-200000", "1:1", "the line has ", strings.Repeat("[", 200_000)),
		text("flow-unclosed-a-million", "1:1", "the file has 1000000 bytes; the limit is 262144", strings.Repeat("{", 1_000_000)),
		text("block-depth", "65:66", "nested more than 32 deep", deep(600)),
		text("scalar-10-MiB", "1:1", "the file has ", "suite: "+strings.Repeat("x", 10<<20)),
		text("scalar-over-the-limit", "1025:82", "a value has ", "about: |\n"+strings.Repeat("  "+strings.Repeat("x", 79)+"\n", 1024)),
		text("comment-lines", "1:1", "the file has 1000000 bytes", strings.Repeat("#\n", 500_000)),
		text("comment-lines-within-the-limit", "30001:1", "more than 30000 words and signs", strings.Repeat("#\n", 130_000)),
		text("blank-lines", "23:1", "more than 20 blank lines in a row", "about: |\n  x"+strings.Repeat("\n", 200_000)),
		text("nul", "2:61", "U+0000", strings.Replace(valid, "accepted", "acc\x00pted", 1)),
		text("invalid-utf-8", "2:25", "byte 0xc3 is not valid UTF-8", strings.Replace(valid, "A,", "A\xc3,", 1)),
		text("utf-16-little-endian", "1:1", "byte order mark", "\xff\xfes\x00u\x00"),
		text("utf-16-big-endian", "1:1", "byte order mark", "\xfe\xff\x00s\x00u"),
		text("utf-8-byte-order-mark", "1:1", "byte order mark", "\ufeff"+valid),
		text("bidirectional-override", "2:24", `"\u202e"`, strings.Replace(valid, "A,", "\u202eA,", 1)),
		text("escape-in-a-title", "2:24", `"\u001b"`, strings.Replace(valid, "A,", "\x1b[31mA,", 1)),
		text("old-mac-line-ends", "1:18", "U+000D", strings.ReplaceAll(valid, "\n", "\r")),
		text("not-yaml-at-all", "1:1", "U+0000", "\x00\x01\x02\x7fELF"),
	}
}

func numbered(count int, format string) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func deep(levels int) string {
	var b strings.Builder
	for i := range levels {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// mostTime is what a refusal may take.
const mostTime = 100 * time.Millisecond

// timed tries up to three times to stay within it: a garbage collection may come
// at the wrong moment.
func timed(src []byte) (suite *scenarios.Suite, took time.Duration, err error) {
	took = time.Hour
	for try := 0; try < 3 && took > mostTime; try++ {
		from := now()
		suite, err = scenarios.Parse("bad.yaml", src, vocabulary, senders, loads)
		took = min(took, now()-from)
	}
	return suite, took, err
}

// floor is how many bad files there are at least: a corpus that vanishes must not
// pass.
const floor = 440

func TestBadFiles(t *testing.T) {
	files := badFiles(t)
	distinct := map[string]bool{}
	var slowest time.Duration
	for _, f := range files {
		distinct[string(f.src)] = true
		t.Run(f.name, func(t *testing.T) {
			suite, took, err := timed(f.src)
			slowest = max(slowest, took)
			var many strictyaml.Errors
			if !errors.As(err, &many) || suite != nil {
				t.Fatalf("got suite %v and error %v, want an error with a position", suite, err)
			}
			first := many[0]
			if got := fmt.Sprintf("%d:%d", first.Line, first.Column); got != f.position || first.File != "bad.yaml" {
				t.Errorf("refused at %s:%s, want bad.yaml:%s", first.File, got, f.position)
			}
			if !strings.Contains(first.Error(), f.says) {
				t.Errorf("does not say %q", f.says)
			}
			if bytes.ContainsAny([]byte(err.Error()), "\x00\x1b\r\u202e") {
				t.Errorf("shows control characters as they are: %q", err)
			}
			if t.Failed() {
				t.Logf("\n%.2000v", err)
			}
		})
	}
	t.Logf("bad scenarios refused %d/%d, slowest %v", len(distinct), len(files), slowest)
	if len(distinct) < floor || len(distinct) != len(files) {
		t.Errorf("%d files, %d of them distinct; want at least %d, all distinct", len(files), len(distinct), floor)
	}
	if slowest > mostTime && !raced {
		t.Errorf("the slowest took %v, want at most %v", slowest, mostTime)
	}
}
