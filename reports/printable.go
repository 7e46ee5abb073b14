package reports

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Printable shows bytes from a peer on one line and inert, as a Go string would
// be written without its quotes: a line end is \r\n, ESC is \x1b, a right-to-left
// override \u202e, a byte that is not UTF-8 \xff and a backslash \\, so that the
// bytes can be told from the text. At most max bytes are shown; how many more
// there were is said.
func Printable(b []byte, max int) string {
	if len(b) <= max {
		return onePerQuote.Replace(quoted(string(b)))
	}
	cut := head(string(b[:max+1]), max)
	return onePerQuote.Replace(quoted(cut)) + fmt.Sprintf(cutMark, len(b)-len(cut))
}

// FromPrintable is what Printable has shown. It is an error where that was cut short, or
// is no such text.
func FromPrintable(s string) ([]byte, error) {
	if more := cutOff.FindString(s); more != "" {
		return nil, fmt.Errorf("it was cut short%s", strings.TrimPrefix(more, "…"))
	}
	b := make([]byte, 0, len(s))
	for s != "" {
		c, multibyte, rest, err := strconv.UnquoteChar(s, 0)
		if err != nil {
			return nil, fmt.Errorf("it is not text with its control characters escaped: %w", err)
		}
		if multibyte || c < utf8.RuneSelf {
			b = utf8.AppendRune(b, c)
		} else {
			b = append(b, byte(c))
		}
		s = rest
	}
	return b, nil
}

// cutMark ends what Printable has cut short.
const cutMark = "… (%d more bytes)"

// head is the beginning of s, of at most max bytes, that splits no character.
func head(s string, max int) string {
	if len(s) <= max {
		return s
	}
	cut := max
	for cut > 0 && max-cut < utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

var (
	onePerQuote = strings.NewReplacer(`\\`, `\\`, `\"`, `"`)
	asWritten   = strings.NewReplacer(`\\`, `\`, `\"`, `"`)
)

// quoted is s with everything escaped that a terminal would not show as itself.
func quoted(s string) string {
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}

// inert makes any text safe to show within a line. It leaves the backslashes of
// Printable as they are, so that text may pass through it more than once.
func inert(s string) string {
	return defused(asWritten.Replace(quoted(s)))
}

// Continuous-integration services take commands from a job's output: GitHub and
// Azure look for ##[ and ##vso[ anywhere in a line, TeamCity for ##teamcity[, and
// GitHub for :: where a line begins. (GitLab's need an ESC.) A word that wraps may
// begin a line, so the second is broken at the beginning of every word.
var (
	hashCommand  = regexp.MustCompile(`##([A-Za-z]*\[)`)
	colonCommand = regexp.MustCompile(`(^|\s)::([A-Za-z])`)
)

func defused(s string) string {
	if strings.Contains(s, "##") {
		s = hashCommand.ReplaceAllString(s, `#\x23$1`)
	}
	if strings.Contains(s, "::") {
		s = colonCommand.ReplaceAllString(s, `$1:\x3a$2`)
	}
	return s
}

// clip shortens s to n characters, the last of which then is an ellipsis.
func clip(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// wireLines splits traffic that Printable has escaped into the lines that crossed
// the wire. CRLF is understood; a head line that ended otherwise shows how.
func wireLines(printable string) []string {
	var lines []string
	inHead := true
	for rest := inert(printable); rest != ""; {
		line, after, bare := cutLine(rest)
		rest = after
		if bare && inHead {
			line += `\n`
		}
		inHead = inHead && line != ""
		lines = append(lines, defused(line))
	}
	return lines
}

// cutLine cuts escaped text after its first line end. Bare tells that a LF without
// CR ended the line.
func cutLine(s string) (line, rest string, bare bool) {
	for i := 0; i+1 < len(s); i++ {
		if s[i] != '\\' {
			continue
		}
		if s[i+1] == 'n' {
			line, crlf := strings.CutSuffix(s[:i], `\r`)
			return line, s[i+2:], !crlf
		}
		i++ // whatever is escaped here is no line end
	}
	return s, "", false
}
