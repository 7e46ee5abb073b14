package reports_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
	parser "golang.org/x/net/html"
)

// ours is how the lines begin, format by format, that are ours and have others' text
// further on.
var ours = map[string]*regexp.Regexp{
	"tap":         regexp.MustCompile(`(?m)^(?:(?:not )?ok \d+ - |# (?:note: |receiver ))`),
	"markdown":    regexp.MustCompile(`(?m)^(?:- |  - |> |< |\$ |<details><summary>|\*\*|The |\| )`),
	"github":      regexp.MustCompile(`(?m)^::(?:error|warning|notice) (?:file=[^:,\n]+,line=\d+,)?title=[^:,\n]*::`),
	"openmetrics": regexp.MustCompile(`(?m)^hookanvil_[a-z_]+\{`),
}

// checkInertAs is checkInert for a format of which some lines are other than text: their
// beginnings, which must be written exactly so, are set aside first.
func checkInertAs(t *testing.T, what, format, out string) {
	t.Helper()
	if begin := ours[format]; begin != nil {
		out = begin.ReplaceAllString(out, " |")
	}
	checkInert(t, what, out)
}

// shapeOf is what a format says without the texts that others may choose: whatever they
// choose must leave it as it is.
var shapeOf = map[string]func(*testing.T, string) string{
	"sarif": jsonShape, "ctrf": jsonShape, "badge": jsonShape,
	"tap": tapShape, "github": githubShape, "openmetrics": openMetricsShape, "markdown": markdownShape,
}

// jsonShape is JSON with its strings emptied, but those that say what something is.
func jsonShape(t *testing.T, out string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Errorf("not JSON: %v: %.200s", err, out)
	}
	var lines []string
	flatten(&lines, "", v)
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

var said = []string{".level", ".kind", ".status", ".rawStatus", ".state", ".message", ".color", ".uriBaseId", ".verdict"}

func flatten(lines *[]string, at string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			flatten(lines, at+"."+key, value)
		}
	case []any:
		*lines = append(*lines, fmt.Sprintf("%s has %d", at, len(v)))
		for i, value := range v {
			flatten(lines, fmt.Sprintf("%s[%d]", at, i), value)
		}
	case string:
		if strings.HasPrefix(at, ".message") || slices.ContainsFunc(said, func(name string) bool { return name != ".message" && strings.HasSuffix(at, name) }) {
			*lines = append(*lines, at+" is "+v)
		} else {
			*lines = append(*lines, at+" is text")
		}
	default:
		*lines = append(*lines, fmt.Sprintf("%s is %v", at, v))
	}
}

var (
	testPoint  = regexp.MustCompile(`^((?:not )?ok \d+ - ).*?( # (?:SKIP|TODO) .*)?$`)
	directive  = regexp.MustCompile(`[^\\]#`)
	quotedText = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
)

func tapShape(t *testing.T, out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		if m := testPoint.FindStringSubmatch(line); m != nil {
			if n := len(directive.FindAllString(line, -1)); n > 1 || n == 1 && m[2] == "" {
				t.Errorf("a directive that is not ours: %q", line)
			}
			line = m[1]
			if m[2] != "" {
				line += m[2][:7]
			}
		} else if strings.HasPrefix(line, "# ") {
			line = "#"
		}
		lines = append(lines, quotedText.ReplaceAllString(line, `""`))
	}
	return strings.Join(lines, "\n")
}

// githubShape reads commands as the runner does.
func githubShape(t *testing.T, out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		command, _, complete := strings.Cut(strings.TrimPrefix(line, "::"), "::")
		kind, properties, _ := strings.Cut(command, " ")
		if !strings.HasPrefix(line, "::") || !complete {
			t.Errorf("not a command: %.100q", line)
		}
		for property := range strings.SplitSeq(properties, ",") {
			name, _, _ := strings.Cut(property, "=")
			kind += " " + name
		}
		lines = append(lines, kind)
	}
	return strings.Join(lines, "\n")
}

func openMetricsShape(t *testing.T, out string) string {
	if !strings.HasSuffix(out, "\n# EOF\n") {
		t.Errorf("it ends with %q", out[max(0, len(out)-20):])
	}
	return quotedText.ReplaceAllString(out, `""`)
}

// markdownShape is what GitHub would make of it: the elements, of which none may be a link,
// an image or anything that we did not write. Whether a text is shown as code is left out.
func markdownShape(t *testing.T, out string) string {
	t.Helper()
	var page strings.Builder
	if err := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe())).Convert([]byte(out), &page); err != nil {
		t.Error(err)
	}
	root, err := parser.Parse(strings.NewReader(page.String()))
	if err != nil {
		t.Error(err)
	}
	var lines []string
	walk(t, &lines, root, false)
	return strings.Join(lines, "\n")
}

// called is what GitHub acts upon in text that is not code: a mention, an issue, an address.
var called = regexp.MustCompile(`@[A-Za-z]|#\d|://|www\.|:[a-z0-9+-]+:`)

// ourLink is where a source may lead: to a standard. Harmless runs have none.
var ourLink = regexp.MustCompile(`^https://(?:www\.rfc-editor\.org|cwe\.mitre\.org|github\.com/standard-webhooks)/`)

var elements = strings.Fields("html head body h3 h4 p strong em code pre ul li table thead tbody tr th td details summary blockquote")

func walk(t *testing.T, lines *[]string, n *parser.Node, code bool) {
	t.Helper()
	switch n.Type {
	case parser.ElementNode:
		link := n.Data == "a" && len(n.Attr) == 1 && ourLink.MatchString(n.Attr[0].Val)
		if !link && !slices.Contains(elements, n.Data) {
			t.Errorf("an element <%s %v>", n.Data, n.Attr)
		}
		for _, a := range n.Attr {
			if !link && (a.Key != "class" || !strings.HasPrefix(a.Val, "language-")) {
				t.Errorf("<%s> has %s=%q", n.Data, a.Key, a.Val)
			}
		}
		if n.Data == "code" || n.Data == "pre" {
			code = true
		} else {
			*lines = append(*lines, n.Data)
		}
	case parser.TextNode:
		if found := called.FindString(n.Data); found != "" && !code {
			t.Errorf("GitHub would act upon %q in %.100q", found, n.Data)
		}
	case parser.CommentNode, parser.DoctypeNode:
		t.Errorf("markup: %.100q", n.Data)
	}
	for child := n.FirstChild; child != nil; child = child.NextSibling {
		walk(t, lines, child, code)
	}
}
