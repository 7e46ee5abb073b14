package sender

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hookanvil/hookanvil/fixtures/wire"
)

const execHook = "exec"

// ParseHook reads a hook as users write it:
//
//	POST http://127.0.0.1:9000/events {"token": "{token}"}
//	exec ./fire {url} {token}
//
// A request has a method, an http or https URL and perhaps a body, which is JSON
// where it begins with a brace or a bracket, and a form otherwise, unless the
// headers name another Content-Type. The values of headers may hold words; other
// braces in them stay as they are.
//
// A command is cut into words as a shell would, quotes and backslashes honoured,
// and run without one.
func ParseHook(text string, headers wire.Headers) (*Hook, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return nil, errors.New("read the hook: it is empty; " + hookForms)
	case len(text) > hookText:
		return nil, fmt.Errorf("read the hook: it has more than %d KiB", hookText>>10)
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return nil, errors.New("read the hook: it is no text in UTF-8")
	}
	h := &Hook{text: text, headers: headers}
	kind, rest := cutBlank(text)
	var err error
	if kind == execHook {
		err = h.parseCommand(rest)
	} else {
		err = h.parseRequest(kind, rest)
	}
	if err != nil {
		return nil, fmt.Errorf("read the hook: %w", err)
	}
	return h, nil
}

const hookForms = `write METHOD URL BODY, such as POST http://127.0.0.1:9000/events {"token": "{token}"}, or exec and a command, such as exec ./fire {token}`

// cutBlank cuts text around its first white space.
func cutBlank(text string) (before, after string) {
	i := strings.IndexAny(text, " \t\r\n")
	if i < 0 {
		return text, ""
	}
	return text[:i], strings.TrimSpace(text[i:])
}

// --- requests

var (
	methodForm   = regexp.MustCompile(`^[A-Z]{3,16}$`)
	hookHeader   = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	hookFraming  = regexp.MustCompile(`(?i)^(content-length|transfer-encoding|connection|trailer|te|upgrade)$`)
	headerBreaks = "\r\n\x00"
)

func (h *Hook) parseRequest(method, rest string) error {
	if upper := strings.ToUpper(method); upper != method && methodForm.MatchString(upper) {
		return fmt.Errorf("%s is no method; did you mean %s?", quoteWord(method), upper)
	}
	if strings.Contains(method, "://") {
		return errors.New("it begins with a URL; put the method before it: POST, GET or DELETE")
	}
	if !methodForm.MatchString(method) || method == "CONNECT" {
		return fmt.Errorf("it begins with %s; %s", quoteWord(method), hookForms)
	}
	h.method = method
	address, body := cutBlank(rest)
	var err error
	if h.address, err = urlTemplate(address); err != nil {
		return err
	}
	if err := h.parseHeaders(); err != nil {
		return err
	}
	h.body, err = h.parseBody(body)
	return err
}

func (h *Hook) parseHeaders() error {
	for _, f := range h.headers {
		switch {
		case !hookHeader.MatchString(f.Name):
			return errors.New("one of its headers has no proper name; write it as 'Name: value'")
		case hookFraming.MatchString(f.Name):
			return fmt.Errorf("its header %s belongs to the framing, which is not for a hook to say; leave it out", f.Name)
		case strings.ContainsAny(f.Value, headerBreaks):
			return fmt.Errorf("the value of its header %s has a line break or a NUL", f.Name)
		}
		t, err := findWords(f.Value)
		if err != nil || !t.hasWords() { // a secret may look like anything
			t = hookTemplate{{text: strings.ReplaceAll(f.Value, "{", "{{")}}
		}
		h.values = append(h.values, t)
	}
	return nil
}

// urlTemplate reads a URL with words in its path and query.
func urlTemplate(text string) (hookTemplate, error) {
	t, err := findWords(text)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(text, "http://") && !strings.HasPrefix(text, "https://") {
		return nil, fmt.Errorf("%s is no URL that begins with http:// or https://", quoteWord(text))
	}
	if t, err = t.placedInURL(); err != nil {
		return nil, err
	}
	u, err := url.Parse(t.sample())
	switch {
	case err != nil || u.Hostname() == "":
		return nil, fmt.Errorf("%s is no URL; write it like http://127.0.0.1:9000/events", quoteWord(text))
	case u.User != nil:
		return nil, errors.New("the URL holds a user name or a password; send an Authorization header instead")
	case strings.Contains(t.sample(), "#"):
		return nil, errors.New("the URL has a fragment, which is never sent; remove the # and what follows")
	case slices.ContainsFunc(strings.Split(u.Path, "/"), isDots):
		return nil, errors.New("the URL's path holds . or ..; write where it leads")
	case u.RawPath != "" && u.EscapedPath() != u.RawPath:
		// It would be escaped anew as a whole, and what is filled in would not stay one part.
		return nil, fmt.Errorf("the URL's path holds a character that no URL may hold; write %s instead", u.EscapedPath())
	}
	return t, nil
}

// mediaType is the Content-Type to be sent where the headers name none.
func (h *Hook) mediaType() string {
	if len(h.body) == 0 || h.headers.Has("Content-Type") {
		return ""
	}
	return mediaOf(h.body.source())
}

// looksLikeJSON tells whether a text begins as an object or a list does, if only
// once its first word is filled in.
func looksLikeJSON(text string) bool {
	if at := wordForm.FindStringSubmatchIndex(text); at != nil && at[0] == 0 && at[2] >= 0 {
		w, _ := findHookWord(text[at[2]:at[3]])
		return w.isJSON
	}
	return strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[")
}

func (h *Hook) parseBody(text string) (hookTemplate, error) {
	t, err := findWords(text)
	if err != nil || len(t) == 0 {
		return t, err
	}
	media := strings.ToLower(h.headers.Get("Content-Type"))
	if media == "" {
		media = mediaOf(text)
	}
	media, _, _ = strings.Cut(media, ";")
	switch media = strings.TrimSpace(media); {
	case media == "application/json" || strings.HasSuffix(media, "+json"):
		if t = t.placedInJSON(); !json.Valid([]byte(t.sample())) {
			return nil, fmt.Errorf("the body %s is no JSON once the words are filled in; close what is open, and quote texts: \"{token}\"", quoteWord(text))
		}
	case media == "application/x-www-form-urlencoded":
		t = t.placedInForm()
	case t.hasWords():
		return nil, fmt.Errorf("the body is %s, in which a value cannot be written safely; words can stand in JSON and in forms, or use exec", quoteWord(media))
	}
	return t, nil
}

// mediaOf is the Content-Type of a body that is declared to be of none.
func mediaOf(text string) string {
	if looksLikeJSON(text) {
		return "application/json"
	}
	return "application/x-www-form-urlencoded"
}

// --- commands

func (h *Hook) parseCommand(text string) error {
	words, err := splitWords(text)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return errors.New("exec is followed by no command; write exec ./fire {token}")
	}
	for _, w := range words {
		t, err := commandWord(w)
		if err != nil {
			return err
		}
		h.command = append(h.command, t)
	}
	if strings.ContainsRune(words[0], '{') {
		return errors.New("the name of the command holds a word; it is for you alone to say what is run")
	}
	if err := h.checkScript(words); err != nil {
		return err
	}
	if _, err := exec.LookPath(words[0]); err != nil {
		return fmt.Errorf("the command %s cannot be run: %w", quoteWord(words[0]), errors.Unwrap(err))
	}
	return nil
}

// option is what may stand before a URL or JSON within one word: --url=.
var option = regexp.MustCompile(`^--?[A-Za-z][A-Za-z0-9_-]*=`)

// commandWord reads one word. Where it is a URL or JSON, values are written as that
// wants them; a word of ours that stands alone is filled in as it is.
func commandWord(text string) (hookTemplate, error) {
	t, err := findWords(text)
	if err != nil || len(t) < 2 {
		return t, err
	}
	value := text[len(option.FindString(text)):]
	switch {
	case strings.HasPrefix(value, "http://"), strings.HasPrefix(value, "https://"):
		return t.placedInURL()
	case strings.HasPrefix(value, "{"), strings.HasPrefix(value, "["):
		// The option is no part of the JSON, and has no quotes that could matter.
		placed := slices.Clone(t).placedInJSON()
		if json.Valid([]byte(placed.sample()[len(text)-len(value):])) {
			return placed, nil
		}
	}
	return t, nil
}

// interpreters read an argument as a program, the one behind (or with) such an
// option.
var (
	interpreters = regexp.MustCompile(`^(sh|bash|dash|ash|zsh|ksh|fish|busybox|su|python[0-9.]*|perl|ruby|node|php|pwsh|powershell|cmd)(\.exe)?$`)
	scriptOption = regexp.MustCompile(`^(-[A-Za-z]*[cerp]|-Command|--(eval|command|print)|/[cC])$`)
	scriptJoined = regexp.MustCompile(`^(-[cerp].|--(eval|command|print)=)`)
)

// checkScript refuses a value within a script: to the interpreter it would be a
// part of the program.
func (h *Hook) checkScript(words []string) error {
	interpreted := false
	for i, w := range words {
		if interpreted && (scriptOption.MatchString(words[i-1]) || scriptJoined.MatchString(w)) {
			if err := checkScriptWord(h.command[i], w); err != nil {
				return err
			}
		}
		interpreted = interpreted || interpreters.MatchString(filepath.Base(w))
	}
	if filepath.Base(words[0]) == "ssh" && slices.ContainsFunc(h.command, hookTemplate.hasWords) {
		return errors.New("ssh hands what it is given to a shell on the other machine, which would read values as its own language; run a script that quotes them")
	}
	return nil
}

func checkScriptWord(t hookTemplate, script string) error {
	for _, p := range t {
		switch p.word {
		case "":
		case wordRegister:
			return fmt.Errorf("%s stands within a script, and its value would be taken for a part of the program; give it as an argument: sh -c 'SCRIPT WITH \"$1\"' fire %[1]s", p.text)
		default:
			return fmt.Errorf("%s stands within a script, and its value would be taken for a part of the program; it is in the environment as well: write \"$%s\" in a shell script, such as %s",
				p.text, variableOf(p.word), quoteWord(strings.ReplaceAll(script, p.text, `"$`+variableOf(p.word)+`"`)))
		}
	}
	return nil
}

// splitWords cuts a command line as a POSIX shell would, without expanding
// anything.
func splitWords(text string) ([]string, error) {
	s := splitter{rest: text}
	for s.rest != "" {
		if err := s.next(); err != nil {
			return nil, err
		}
	}
	s.end()
	return s.words, nil
}

type splitter struct {
	rest  string
	words []string
	word  strings.Builder
	open  bool // a word has begun, be it empty: ""
}

func (s *splitter) end() {
	if s.open {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.open = false
}

func (s *splitter) next() error {
	c := s.rest[0]
	s.rest = s.rest[1:]
	switch {
	case strings.IndexByte(" \t\r\n", c) >= 0:
		s.end()
		return nil
	case c == '\'':
		return s.quoted('\'', "")
	case c == '"':
		return s.quoted('"', "\"\\$`\n")
	case c == '\\':
		return s.escaped()
	case strings.IndexByte("|&;<>()`$*?~#", c) >= 0 && !s.plain(c):
		return fmt.Errorf("%s means something to a shell, and there is none; quote it, or name the shell: exec sh -c '...'", quoteWord(string(c)))
	}
	s.open = true
	s.word.WriteByte(c)
	return nil
}

// plain tells whether a character stands where a shell would leave it alone.
func (s *splitter) plain(c byte) bool {
	switch c {
	case '~', '#':
		return s.open
	case '?', '*':
		return true // a shell leaves it alone where no file fits, as in URLs
	case '&':
		// In a URL that somebody forgot to quote, nothing else can be meant.
		return s.open && strings.Contains(s.word.String(), "://")
	}
	return false
}

func (s *splitter) escaped() error {
	if s.rest == "" {
		return errors.New("the command ends in a backslash")
	}
	s.open = true
	s.word.WriteByte(s.rest[0])
	s.rest = s.rest[1:]
	return nil
}

// quoted takes what stands up to the closing quote; a backslash escapes the given
// characters.
func (s *splitter) quoted(quote byte, escapable string) error {
	s.open = true
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == quote:
			s.rest = s.rest[i+1:]
			return nil
		case c == '\\' && i+1 < len(s.rest) && strings.IndexByte(escapable, s.rest[i+1]) >= 0:
			i++
			s.word.WriteByte(s.rest[i])
		default:
			s.word.WriteByte(c)
		}
	}
	return fmt.Errorf("a quote (%c) is opened and not closed", quote)
}
