package suites

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hookanvil/hookanvil/reports"
)

// Display shows arrivals to people. What a sender sent is shown inert, on lines
// that begin with our own text, and without secrets.
type Display struct {
	Terminal reports.Terminal // for its colours and its character set
	Redactor *reports.Redactor
	Quiet    bool // one line for each delivery
	Whole    bool // the headers, and the whole body
}

// Bounds of what is shown of a body.
const (
	shownLines   = 16
	shownColumns = 160
	shownWhole   = 2 << 20
)

// glyph is how a verdict is shown: in UTF-8, in ASCII, and by which colour.
type glyph struct{ mark, ascii, color string }

var verdictGlyphs = map[SignatureVerdict]glyph{
	Authentic:    {"✓", "+", "32"},
	NotAuthentic: {"✗", "x", "31"},
	Unverified:   {"?", "?", "35"},
	Unsigned:     {"–", "-", "2"},
}

// Show is an arrival as text.
func (d Display) Show(a Arrival) string {
	var b strings.Builder
	at := a.At.Format("15:04:05.000")
	if a.Note != "" {
		fmt.Fprintf(&b, "%s  %s\n", at, d.paint("2", defused(a.Note)))
		return d.finish(b.String())
	}
	fmt.Fprintf(&b, "%s  #%d  %s", at, a.Number, d.summary(a))
	if d.Quiet {
		fmt.Fprintf(&b, "  %s  -> %s\n", d.verdict(a.Finding), a.Answer)
		return d.finish(b.String())
	}
	fmt.Fprintf(&b, "\n  %s\n  -> %s\n", d.verdict(a.Finding), a.Answer)
	if d.Whole {
		for _, h := range a.Delivery.Headers {
			// Cleaned as a line, by which credentials are known.
			fmt.Fprintf(&b, "  > %s\n", harmless(d.Redactor.Clean(h.Name+": "+h.Value), shownWhole))
		}
	}
	d.body(&b, a.Delivery.Body)
	return d.finish(b.String())
}

func (d Display) summary(a Arrival) string {
	parts := []string{harmless(a.Delivery.Method+" "+a.Delivery.URL, 120)}
	if a.ID != "" {
		parts = append(parts, "id "+harmless(a.ID, 80))
	}
	if a.Attempt > 1 && a.ID != "" {
		parts = append(parts, fmt.Sprintf("attempt %d", a.Attempt))
	}
	if a.Event != "" {
		parts = append(parts, "event "+harmless(a.Event, 80))
	}
	if !a.Headless {
		parts = append(parts, fmt.Sprintf("%d bytes", len(a.Delivery.Body)))
	}
	return strings.Join(parts, "  ")
}

func (d Display) verdict(f Finding) string {
	g := verdictGlyphs[f.Verdict]
	mark := g.mark
	if d.Terminal.ASCII {
		mark = g.ascii
	}
	text := d.paint(g.color, mark+" "+strings.ReplaceAll(string(f.Verdict), "-", " "))
	if f.Reason != "" {
		text += ": " + harmless(f.Reason, 600)
	}
	return text
}

// body shows a body: JSON indented, everything else line by line.
func (d Display) body(b *strings.Builder, body []byte) {
	if len(body) == 0 {
		return
	}
	lines := linesOf(body)
	most, columns := shownLines, shownColumns
	if d.Whole {
		most, columns = len(lines), shownWhole
	}
	for _, line := range lines[:min(len(lines), most)] {
		fmt.Fprintf(b, "  | %s\n", harmless(d.Redactor.Clean(line), columns))
	}
	if more := len(lines) - most; more > 0 {
		fmt.Fprintf(b, "  | %s\n", d.paint("2", fmt.Sprintf("(%d more lines; --body shows them)", more)))
	}
}

// Bounds of a body that is shown indented: of a document, as much again is made for each
// level.
const (
	maxPretty      = 256 << 10
	maxPrettyDepth = 24
)

// depthOf is how deep a JSON document is nested.
func depthOf(b []byte) int {
	deepest, depth, quoted, escaped := 0, 0, false, false
	for _, c := range b {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// linesOf are the lines in which a body is shown.
func linesOf(body []byte) []string {
	if len(body) <= maxPretty && json.Valid(body) && depthOf(body) <= maxPrettyDepth {
		var pretty bytes.Buffer
		if json.Indent(&pretty, bytes.TrimSpace(body), "", "  ") == nil {
			return strings.Split(pretty.String(), "\n")
		}
	}
	return strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
}

// harmless is a peer's text on one line, which neither a terminal nor a service that
// reads a job's output takes for anything but text.
func harmless(s string, most int) string { return defused(reports.Printable([]byte(s), most)) }

var defuse = strings.NewReplacer("##", `#\x23`, "::", `:\x3a`)

func defused(s string) string { return defuse.Replace(s) }

func (d Display) paint(color, text string) string {
	if !d.Terminal.Color {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// finish takes out what secrets are left, such as those that a line was cut in.
func (d Display) finish(text string) string {
	text = d.Redactor.Clean(text)
	if d.Terminal.ASCII {
		text = strings.NewReplacer("…", "...", "–", "-").Replace(text)
	}
	return text
}
