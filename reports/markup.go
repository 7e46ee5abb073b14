package reports

import (
	"html"
	"regexp"
	"strings"
)

// What others said, in markdown: where it is read, a link is followed, a mention calls
// somebody, and an image is fetched.

// asCode shows text as code on one line, within a table or without. A backtick would end
// it, whatever stands before.
func asCode(text string) string {
	text = clip(inert(head(text, 4*mostText)), mostText)
	if text = strings.TrimSpace(strings.NewReplacer("`", "'", "|", `\|`).Replace(text)); text == "" {
		return ""
	}
	return "`" + text + "`"
}

var (
	// plainProse has no character that is markup, begins a mention or refers to an issue.
	plainProse = regexp.MustCompile(`^[\p{L}\p{N} .,;:'"()%/?!+=–§-]*$`)
	// linksItself is what GitHub makes a link, an emoji or a reference of by itself: an
	// address, :name:, GH-12, and the beginning of a commit's hash.
	linksItself = regexp.MustCompile(`(?i)//|www\.|mailto:|xmpp:|:[a-z0-9+-]+:|\bGH-\d|\b[0-9a-f]{7,}\b`)
)

// asProse shows text as it is where nothing in it could be taken for markup, and as code
// where something could. It is for the middle of a line: at its beginning even a dash means
// something.
func asProse(text string) string {
	shown := strings.TrimSpace(clip(inert(head(text, 4*mostText)), mostText))
	if plainProse.MatchString(shown) && !linksItself.MatchString(shown) {
		return shown
	}
	return asCode(text)
}

// asHTML is asProse within a line of HTML, where markdown is not read.
func asHTML(text string) string {
	shown := asProse(text)
	if code, is := strings.CutPrefix(shown, "`"); is {
		return "<code>" + html.EscapeString(strings.TrimSuffix(code, "`")) + "</code>"
	}
	return html.EscapeString(shown)
}

// markdown is the text, as a link where it is the source and names a page.
func (a labelled) markdown() string {
	shown := asProse(a.text)
	if page := sourcePage(a.text); a.label == sourceLabel && page != "" {
		return "[" + strings.Trim(shown, "`") + "](" + page + ")"
	}
	return shown
}
