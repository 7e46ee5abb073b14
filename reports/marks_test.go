package reports_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hookanvil/hookanvil/reports"
)

func TestMarks(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: a\r\nX-Sig: sha256=abcdef\r\nX-Time: 12\r\n\r\n"
	for _, c := range []struct {
		name, honest, sent string
		want               []string
	}{
		{"nothing", head + "{}", head + "{}", nil},
		{"a bit", head + `{"a":1}`, head + `{"a":0}`, []string{"0"}},
		{"an escape", head + "a\x00b", head + "a\x01b", []string{`\x01`}},
		{"a rune", head + "é", head + "è", []string{"è"}},
		{"a signature", head, "POST / HTTP/1.1\r\nHost: a\r\nX-Sig: sha256=ab12ef\r\nX-Time: 12\r\n\r\n", []string{"12"}},
		{"one header less", head, "POST / HTTP/1.1\r\nHost: a\r\nX-Time: 12\r\n\r\n", []string{""}},
		{"one header more", head, "POST / HTTP/1.1\r\nHost: a\r\nX-Sig: sha256=abcdef\r\nX-Sig: b\r\nX-Time: 12\r\n\r\n", []string{`X-Sig: b\r\n`}},
		{"no body", head + "{}", head, []string{""}},
		{"a body", head, head + "{}", []string{"{}"}},
		{"inserted", head + "abcabc", head + "abcXabc", []string{"X"}},
		{"repeated", head + "aaa", head + "aaaa", []string{"a"}},
		{"shortened", head + "aaaa", head + "aaa", []string{""}},
	} {
		x := (*reports.Redactor)(nil).CleanExchange(reports.Exchange{Honest: reports.Printable([]byte(c.honest), 4096), Sent: reports.Printable([]byte(c.sent), 4096)})
		var got []string
		for _, m := range x.Marks {
			got = append(got, x.Sent[m[0]:m[1]])
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s, of %s (-want +got):\n%s", c.name, x.Sent, diff)
		}
	}
}

// Marks stay where they belong when a secret before them is taken out, and do not keep it
// from being taken out.
func TestMarksBesideSecrets(t *testing.T) {
	const secret = "correct-horse-battery"
	r := reports.NewRedactor(secret)
	x := r.CleanExchange(reports.Exchange{Honest: `A: ` + secret + `\r\nB: 1\r\n\r\n`, Sent: `A: ` + secret + `\r\nB: 2\r\n\r\n`})
	if len(x.Marks) != 1 || x.Sent[x.Marks[0][0]:x.Marks[0][1]] != "2" {
		t.Errorf("%v of %q", x.Marks, x.Sent)
	}
	again := r.CleanExchange(x)
	if diff := cmp.Diff(x, again); diff != "" {
		t.Errorf("cleaned twice (-once +twice):\n%s", diff)
	}
}

// What is outside the marks is in the honest request, in the same order; marks are in order and
// within the text.
func TestMarksOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.Custom(func(t *rapid.T) string {
			return reports.Printable([]byte(rapid.StringOfN(rapid.SampledFrom([]rune("ab:\r\n\\\"\x00é")), 0, 60, -1).Draw(t, "text")), 40)
		})
		honest, sent := text.Draw(t, "honest"), text.Draw(t, "sent")
		x := (*reports.Redactor)(nil).CleanExchange(reports.Exchange{Honest: honest, Sent: sent})
		end, common := 0, ""
		for _, m := range x.Marks {
			if m[0] < end || m[1] < m[0] || m[1] > len(x.Sent) {
				t.Fatalf("marks %v of %d bytes", x.Marks, len(x.Sent))
			}
			common += x.Sent[end:m[0]]
			end = m[1]
		}
		common += x.Sent[end:]
		common, _, _ = strings.Cut(common, "… (")
		for _, c := range honest {
			if strings.HasPrefix(common, string(c)) {
				common = common[len(string(c)):]
			}
		}
		if honest != "" && common != "" {
			t.Fatalf("%q is left of what is not marked: %v of %q, where %q is honest", common, x.Marks, sent, honest)
		}
	})
}
