package reports

import (
	"html/template"
	"strings"
	"unicode/utf8"
)

// wireView is traffic as a page shows it: a line for each that crossed the wire, with names
// of headers, escapes and what departs from an honest delivery told apart.
type wireView struct {
	Lines  [][]wirePart
	Rest   int  // characters that are not shown
	Marked bool // something is marked as changed
	Gone   bool // something is marked as left out
}

// wirePart is a piece of a line.
type wirePart struct {
	Text string
	Kind string // name of a header, escape, or neither
	Mark bool
	Gone bool // nothing stands here, and should
}

const (
	kindName   = "name"
	kindEscape = "escape"
)

// wireOf lays out what Printable has shown, up to so many bytes of it.
func wireOf(printable string, marks [][2]int, most int) *wireView {
	if printable == "" {
		return nil
	}
	v, inHead := &wireView{}, true
	for at := 0; at < len(printable); {
		if at >= most {
			v.Rest = utf8.RuneCountInString(printable[at:])
			break
		}
		_, rest, bare := cutLine(printable[at:])
		end := len(printable) - len(rest)
		cut := min(end, at+len(head(printable[at:end], most-at)))
		line := lineOf(printable, at, cut, marks, inHead)
		if n := len(lineEnd(printable[at:end])); n > 0 && cut == end && !(bare && inHead) {
			line = withoutEnd(line)
		}
		inHead = inHead && strings.Trim(printable[at:end], `\rn`) != ""
		v.Lines = append(v.Lines, line)
		for _, part := range line {
			v.Marked, v.Gone = v.Marked || part.Mark, v.Gone || part.Gone
		}
		if cut < end {
			v.Rest = utf8.RuneCountInString(printable[cut:])
			break
		}
		at = end
	}
	if n := len(v.Lines) - 1; n > 0 && len(v.Lines[n]) == 0 && v.Rest == 0 {
		v.Lines = v.Lines[:n] // the end of a head behind which nothing comes
	}
	return v
}

// lineEnd is the escaped line end at the end of a line.
func lineEnd(line string) string {
	for _, end := range []string{`\r\n`, `\n`} {
		if strings.HasSuffix(line, end) {
			return end
		}
	}
	return ""
}

// withoutEnd takes the line end off a line, unless it is marked.
func withoutEnd(line []wirePart) []wirePart {
	last := len(line) - 1
	if last < 0 || line[last].Mark || line[last].Kind != kindEscape {
		return line
	}
	line[last].Text = strings.TrimSuffix(line[last].Text, lineEnd(line[last].Text))
	if line[last].Text == "" {
		return line[:last]
	}
	return line
}

// lineOf cuts the line from one place to another into parts.
func lineOf(text string, from, to int, marks [][2]int, inHead bool) (parts []wirePart) {
	name := from
	if inHead {
		name = from + nameOf(text[from:to])
	}
	for at := from; at < to; {
		for _, m := range marks {
			if m[0] == at && m[1] == at {
				parts = append(parts, wirePart{Gone: true})
			}
		}
		unit := unitOf(text[at:to])
		part := wirePart{Text: visible(unit), Mark: marked(marks, at)}
		switch {
		case len(unit) > 1 && unit[0] == '\\':
			part.Kind = kindEscape
		case at < name:
			part.Kind = kindName
		}
		if n := len(parts); n > 0 && parts[n-1].Kind == part.Kind && parts[n-1].Mark == part.Mark && !parts[n-1].Gone {
			parts[n-1].Text += part.Text
		} else {
			parts = append(parts, part)
		}
		at += len(unit)
	}
	for _, m := range marks {
		if m[0] == to && m[1] == to && to == len(text) {
			parts = append(parts, wirePart{Gone: true})
		}
	}
	return parts
}

// nameOf is how long the name of a header is at the beginning of a line; 0 where it is none.
func nameOf(line string) int {
	colon := strings.IndexByte(line, ':')
	if colon < 1 || strings.ContainsAny(line[:colon], ` \{"`) {
		return 0
	}
	return colon
}

func marked(marks [][2]int, at int) bool {
	for _, m := range marks {
		if m[0] <= at && at < m[1] {
			return true
		}
	}
	return false
}

// weight is about how many bytes of a page it takes.
func (v *wireView) weight() int {
	if v == nil {
		return 0
	}
	n := 0
	for _, line := range v.Lines {
		n += len("<span></span>")
		for _, part := range line {
			n += len(template.HTMLEscapeString(part.Text))
			if part.Kind != "" {
				n += len("<i></i>")
			}
			if part.Mark || part.Gone {
				n += len("<mark></mark>")
			}
		}
	}
	return n
}
