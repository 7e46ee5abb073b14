package reports_test

import (
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/hookanvil/hookanvil/reports"
)

func TestPrintable(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"plain", `{"a": "b"}`, `{"a": "b"}`},
		{"line ends", "a\r\nb\nc\rd", `a\r\nb\nc\rd`},
		{"text that looks escaped", `a\nb\x1b`, `a\\nb\\x1b`},
		{"JSON escapes", `"\u00e9 \""`, `"\\u00e9 \\""`},
		{"tab, NUL, DEL", "\t\x00\x7f", `\t\x00\x7f`},
		{"ESC and OSC", "\x1b[2J\x1b]0;title\a", `\x1b[2J\x1b]0;title\a`},
		{"C1 controls", "\u009b2J", `\u009b2J`},
		{"right-to-left override", "a\u202eb", `a\u202eb`},
		{"isolates", "\u2066a\u2069", `\u2066a\u2069`},
		{"zero width", "a\u200bb\ufeff", `a\u200bb\ufeff`},
		{"line and paragraph separator", "\u2028\u2029", `\u2028\u2029`},
		{"no-break space", "a\u00a0b", `a\u00a0b`},
		{"tag characters", "\U000e0041", `\U000e0041`},
		{"not UTF-8", "a\xff\xc3", `a\xff\xc3`},
		{"non-characters", "\ufffe", `\ufffe`},
		{"letters of the world", "é漢字🙂", "é漢字🙂"},
	} {
		if got := reports.Printable([]byte(test.in), 1000); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestPrintableIsBounded(t *testing.T) {
	for _, test := range []struct {
		in   string
		max  int
		want string
	}{
		{"abcdef", 6, "abcdef"},
		{"abcdef", 4, "abcd… (2 more bytes)"},
		{"aééé", 4, "aé… (4 more bytes)"},
		{"\x80\x80\x80\x80\x80\x80", 5, `\x80… (5 more bytes)`},
		{"abc", 0, "… (3 more bytes)"},
	} {
		if got := reports.Printable([]byte(test.in), test.max); got != test.want {
			t.Errorf("%q at %d: %s, want %s", test.in, test.max, got, test.want)
		}
	}
}

func TestFromPrintable(t *testing.T) {
	for _, bad := range []string{reports.Printable([]byte("abcdef"), 4), `a\qb`, "a\\"} {
		if b, err := reports.FromPrintable(bad); err == nil {
			t.Errorf("%s is read as %q", bad, b)
		}
	}
}

// What is shown is inert, and tells exactly which bytes there were.
func FuzzPrintable(f *testing.F) {
	for _, payload := range payloads {
		f.Add([]byte(payload))
	}
	f.Add([]byte("\xe2\x80"))
	f.Fuzz(func(t *testing.T, b []byte) {
		shown := reports.Printable(b, len(b))
		if i := strings.IndexFunc(shown, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Fatalf("%q shows as %q, which is not inert", b, shown)
		}
		back, err := strconv.Unquote(`"` + strings.ReplaceAll(shown, `"`, `\"`) + `"`)
		if err != nil || back != string(b) {
			t.Fatalf("%q shows as %s, which reads as %q (%v)", b, shown, back, err)
		}
		if back, err := reports.FromPrintable(shown); err != nil || string(back) != string(b) {
			if !strings.HasSuffix(shown, " more bytes)") { // what ends like this looks as if it were cut
				t.Fatalf("%q shows as %s, which is read back as %q (%v)", b, shown, back, err)
			}
		}
	})
}
