package reports_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/hookanvil/hookanvil/reports"
)

// htmlOf is the page of a run.
func htmlOf(t testing.TB, run reports.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := reports.HTML(&b, run); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// checkReportPage makes sure that a page has the elements and attributes that the page of
// the harmless run has, and nothing that a browser, a terminal or a service that reads a
// job's output would act upon.
func checkReportPage(t *testing.T, what, page string, harmless reports.Run) {
	t.Helper()
	if diff := cmp.Diff(skeleton(t, htmlOf(t, harmless)), skeleton(t, page)); diff != "" {
		t.Errorf("%s: the page has other elements:\n%s", what, diff)
	}
	if i := strings.IndexFunc(page, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("%s: %q at %d", what, page[i:min(i+12, len(page))], i)
	}
	if command := ciCommand.FindString(page); command != "" {
		t.Errorf("%s: a command of a CI service is left: %q", what, command)
	}
	for line := range strings.SplitSeq(page, "\n") {
		if strings.Contains(line, "REMOTE") && !strings.HasPrefix(line, "<") {
			t.Errorf("%s: a line begins with a peer's text: %.80q", what, line)
		}
	}
}

// skeleton is the elements of a page with the names of their attributes. How many there are
// within traffic depends on what crossed the wire; there they have no attribute of use.
func skeleton(t *testing.T, page string) (all []string) {
	t.Helper()
	tokens, inWire := html.NewTokenizer(strings.NewReader(page)), false
	for {
		kind := tokens.Next()
		token := tokens.Token()
		var names []string
		for _, a := range token.Attr {
			names = append(names, a.Key)
			if (a.Key == "href" || a.Key == "src") && !strings.HasPrefix(a.Val, "#") && !strings.HasPrefix(a.Val, "https://") {
				t.Errorf("a link leads to %q", a.Val)
			}
		}
		switch kind {
		case html.ErrorToken:
			if err := tokens.Err(); !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			return all
		case html.EndTagToken:
			inWire = inWire && token.Data != "pre"
		case html.CommentToken:
			t.Error("the page has a comment")
		case html.StartTagToken, html.SelfClosingTagToken:
			if inWire {
				if !slices.Contains([]string{"span", "b", "i", "mark"}, token.Data) || len(token.Attr) > 0 && token.Attr[0].Val != "gone" {
					t.Errorf("traffic has an element %s", token)
				}
				continue
			}
			inWire = token.Data == "pre" && slices.ContainsFunc(token.Attr, func(a html.Attribute) bool { return a.Val == "wire" })
			if slices.Contains([]string{"iframe", "object", "embed", "link", "img", "form", "base"}, token.Data) {
				t.Errorf("the page has an element %s", token.Data)
			}
			all = append(all, strings.Join(append([]string{token.Data}, names...), " "))
		}
	}
}

// What a sender's attempts are called, and were answered, is escaped in the pictures too.
func TestHTMLInjectionBySender(t *testing.T) {
	with := func(text string) reports.Run {
		run := sampleSenderRun()
		for i := range run.Results {
			for j := range run.Results[i].Evidence {
				x := &run.Results[i].Evidence[j]
				x.Delivery, x.Outcome, x.Label, x.Notes = text, text, text, []string{text}
			}
		}
		load := sampleMeasurement()
		load.Plan, load.Thresholds[0].Text, load.Thresholds[0].Got = text, text, text
		load.Classes[0].Class, load.Controls[0].Got = text, text
		run.Results[len(run.Results)-1].Load = &load
		return run
	}
	for name, payload := range payloads {
		checkReportPage(t, name, htmlOf(t, with(payload)), with("harmless"))
	}
}

// largeRun is a run of 400 cases of which 40 failed, with as much evidence as is kept.
func largeRun() reports.Run {
	run := sampleRun()
	run.Results = nil
	for i := range 20 {
		run.Results = append(run.Results, passes(fmt.Sprintf("receiver/suite-%d", i), 18)...)
	}
	traffic := func(n int) string {
		return reports.Printable([]byte("POST /hooks HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Signature: \xff\x00\xfe\r\n\r\n"+strings.Repeat("{\"a\": \"<b>\", \"c\\\": [1]\x01\r\n", n)), 4<<10)
	}
	for i := range 40 {
		r := bodyBitFlipped()
		r.ID = fmt.Sprintf("receiver/broken/case-%d", i)
		for j := range r.Evidence {
			r.Evidence[j].Sent, r.Evidence[j].Received = traffic(400), traffic(400)
		}
		run.Results = append(run.Results, r)
	}
	run.Totals = run.Count()
	return run
}

func TestHTMLIsSmall(t *testing.T) {
	page := htmlOf(t, largeRun())
	t.Logf("%d KiB for %d cases", len(page)>>10, len(largeRun().Results))
	if len(page) > 1_000_000 {
		t.Errorf("%d bytes", len(page))
	}
	if n := strings.Count(page, `<article class="case fail"`); n != 40 {
		t.Errorf("%d failures are told, and there are 40", n)
	}
	if !strings.Contains(page, "the JSON report has it") {
		t.Error("it is not said that something was left out")
	}
}

// Where everything fails the page is as small, and says each time what is left out.
func TestHTMLOfNothingButFailures(t *testing.T) {
	run := largeRun()
	failure := run.Results[len(run.Results)-1]
	for i := range run.Results {
		id := run.Results[i].ID
		run.Results[i] = failure
		run.Results[i].ID = id
	}
	page := htmlOf(t, run)
	t.Logf("%d KiB for %d failures", len(page)>>10, len(run.Results))
	if len(page) > 1_100_000 {
		t.Errorf("%d bytes", len(page))
	}
	if n := strings.Count(page, "the JSON report has it"); n < len(run.Results)/2 {
		t.Errorf("it is said %d times that something was left out", n)
	}
	if n := strings.Count(page, "more of receiver/broken in the same way"); n != 1 {
		t.Errorf("what failed in the same way stands together %d times", n)
	}
}

// Attempts are drawn as long as there is room, and it is said where there is none.
func TestHTMLOfManySenders(t *testing.T) {
	run := sampleSenderRun()
	tried := run.Results[6]
	for n := range 300 {
		r := tried
		r.ID = fmt.Sprintf("%s-%d", r.ID, n)
		if n%3 == 0 {
			r.Verdict, r.Reason = reports.Pass, ""
		}
		run.Results = append(run.Results, r)
	}
	page := htmlOf(t, run)
	drawn, undrawn := strings.Count(page, "<h4>Attempts over time"), strings.Count(page, "attempts are not drawn")
	t.Logf("%d KiB, %d drawn and %d not", len(page)>>10, drawn, undrawn)
	if len(page) > 1_000_000 {
		t.Errorf("%d bytes", len(page))
	}
	if drawn < 50 || undrawn == 0 || drawn+undrawn < 300 {
		t.Errorf("%d are drawn, and of %d it is said that they are not", drawn, undrawn)
	}
}

// The first thing that the page says is what the terminal says last.
func TestHTMLSaysWhatTheTerminalSays(t *testing.T) {
	stale := sampleRun()
	stale.Stale = []string{"receiver/a/b"}
	for _, run := range []reports.Run{
		sampleRun(), sampleSenderRun(), stale, {State: reports.Interrupted}, {State: reports.Incomplete}, {State: reports.Complete, Results: passes("receiver/a", 2)},
	} {
		var b bytes.Buffer
		must(t, reports.Terminal{Width: 400}.Write(&b, run))
		lines := strings.Split(strings.TrimSpace(b.String()), "\n")
		_, want, _ := strings.Cut(lines[len(lines)-1], " ")
		page := htmlOf(t, run)
		if title := "<title>" + html.EscapeString(want) + "</title>"; !strings.Contains(page, title) {
			t.Errorf("the page says something else than %q: %.300s", title, page[strings.Index(page, "<title>"):])
		}
	}
}

// wires is the traffic that a page shows, by exchange, a line each; what is marked stands
// in brackets.
func wires(t testing.TB, page string) (all [][]string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var text func(n *html.Node) string
	text = func(n *html.Node) string {
		if n.Type == html.TextNode {
			return n.Data
		}
		var b strings.Builder
		for c := range n.ChildNodes() {
			b.WriteString(text(c))
		}
		if n.Data == "mark" {
			return "[" + b.String() + "]"
		}
		return b.String()
	}
	for n := range root.Descendants() {
		if n.Data == "pre" && slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Val == "wire" }) {
			lines := []string{}
			for c := range n.ChildNodes() {
				lines = append(lines, text(c))
			}
			all = append(all, lines)
		}
	}
	return all
}

// exchanged is the page of a case with one exchange.
func exchanged(t testing.TB, sent string, marks ...[2]int) [][]string {
	t.Helper()
	r := bodyBitFlipped()
	r.Evidence = []reports.Exchange{{Label: "delivery", Outcome: "answered", Status: 200, Sent: sent, Marks: marks}}
	return wires(t, htmlOf(t, reports.Run{State: reports.Complete, Results: []reports.Result{r}}))
}

func TestHTMLWireView(t *testing.T) {
	for _, test := range []struct {
		sent  string
		marks [][2]int
		want  []string
	}{
		{`POST / HTTP/1.1\r\nA: b\r\n\r\n{}`, nil, []string{"POST / HTTP/1.1", "A: b", "", "{}"}},
		{`POST / HTTP/1.1\r\nA: b\r\n\r\n`, nil, []string{"POST / HTTP/1.1", "A: b"}},
		{`POST / HTTP/1.1\nA: b\r\n\r\n{}`, nil, []string{`POST / HTTP/1.1\n`, "A: b", "", "{}"}},
		{`P\r\nA: bcd\r\n\r\nx`, [][2]int{{9, 10}}, []string{"P", "A: b[c]d", "", "x"}},
		{`P\r\nA: b\r\n\r\n\x00\xff`, [][2]int{{17, 25}}, []string{"P", "A: b", "", `[\x00\xff]`}},
		{`P\r\nA: b\r\n\r\nx`, [][2]int{{5, 5}}, []string{"P", "[left out]A: b", "", "x"}},
		{`P\r\n\r\nx`, [][2]int{{10, 10}}, []string{"P", "", "x[left out]"}},
		{`P\r\nA: b\r\n\r\nx`, [][2]int{{9, 13}}, []string{"P", `A: b[\r\n]`, "", "x"}},
		{`P\r\n\r\nx\ny\\n`, nil, []string{"P", "", "x", `y\\n`}},
	} {
		got := exchanged(t, test.sent, test.marks...)
		if diff := cmp.Diff([][]string{test.want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.sent, diff)
		}
	}
}

// unbroken is a text without line ends and marks, either of which may stand within the
// other: marks go first, and then what is one escape is seen as one.
func unbroken(text string) string {
	text = strings.NewReplacer("[", "", "]", "", "left out", "").Replace(text)
	return escape.ReplaceAllStringFunc(text, func(e string) string {
		if e == `\r` || e == `\n` {
			return ""
		}
		return e
	})
}

var escape = regexp.MustCompile(`\\.`)

// Whatever was sent, and whatever is marked, every character of it is shown, in order.
func FuzzHTMLWireView(f *testing.F) {
	f.Add([]byte("POST / HTTP/1.1\r\nA: b\r\n\r\n{\"a\":1}"), 3, 9)
	f.Add([]byte("\n\n\r\r\n\\n\\\\\x00\xff\u202e##[error]\n::error::"), 0, 0)
	f.Fuzz(func(t *testing.T, sent []byte, from, to int) {
		printable := reports.Printable(sent[:min(len(sent), 1000)], 1000)
		if len(printable) > 4000 || printable == "" || from < 0 || to < from || to > len(printable) {
			return
		}
		got := exchanged(t, printable, [2]int{from, to})
		if len(got) != 1 {
			t.Fatalf("%d views of %q", len(got), printable)
		}
		if got, want := unbroken(strings.Join(got[0], "")), unbroken(printable); got != want {
			t.Errorf("%q is shown as %q", want, got)
		}
	})
}

// A timeline has a mark for each attempt and a band for each wait that is declared.
func TestHTMLTimeline(t *testing.T) {
	page := htmlOf(t, sampleSenderRun())
	for text, want := range map[string]int{
		`class="shape"`: 3, `<circle class="shape"`: 1, `<rect class="shape"`: 2, `class="band"`: 2,
		"<td>412 ms</td><td>400 ms</td>": 1, "<td>790 ms</td><td>800 ms</td>": 1, "attempt 2 is due 400 ms after the end of attempt 1": 1,
	} {
		if n := strings.Count(page, text); n != want {
			t.Errorf("%s stands there %d times, want %d", text, n, want)
		}
	}
	run := sampleSenderRun()
	r := &run.Results[6]
	r.Evidence[2].Status = 503
	if n := strings.Count(htmlOf(t, run), `class="band"`); n != 3 {
		t.Errorf("%d waits, where the last attempt was to be followed by another one", n)
	}
	r.Evidence[0].Status, r.Evidence[1].Status, r.Evidence[2].Status = 302, 0, 200
	r.Evidence[0].Sent = `HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2\r\n\r\n`
	r.Evidence[1].Sent = ""
	page = htmlOf(t, run)
	for text, want := range map[string]int{`<circle class="shape"`: 1, `<polygon class="shape"`: 1, `<path class="span"`: 1, `<line class="asked"`: 1, "by Retry-After": 1} {
		if n := strings.Count(page, text); n != want {
			t.Errorf("%s stands there %d times, want %d", text, n, want)
		}
	}
}

// A load that a case measured is drawn: over time, by class, and by percentile.
func TestHTMLOfALoad(t *testing.T) {
	m := sampleMeasurement()
	r := reports.Result{ID: "load/latency/p99", Title: "It answers in time", Level: "must", Verdict: reports.Fail, Reason: "it does not", Load: &m}
	page := htmlOf(t, reports.Run{State: reports.Complete, Results: []reports.Result{r}})
	for _, title := range []string{"Latency of accepted hits, by the second", "by class, by the second", "Hits asked for and achieved", "Errors, by the second", "Latency by percentile"} {
		if !strings.Contains(page, title) {
			t.Errorf("there is no chart %q", title)
		}
	}
	r.Load = m.Compact()
	page = htmlOf(t, reports.Run{State: reports.Complete, Results: []reports.Result{r}})
	if strings.Contains(page, "by the second") || !strings.Contains(page, "Latency by percentile") {
		t.Error("without series and histograms, the percentiles that are kept are drawn")
	}
}
