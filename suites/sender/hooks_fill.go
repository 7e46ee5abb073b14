package sender

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// hookTemplate is a text with words in it. Values are put in once, each written
// as its place wants it, so that none can become a word, an argument, a header or
// a member of its own.
type hookTemplate []hookPart

// hookPart is literal text or, where word is not empty, a word.
type hookPart struct {
	text    string // as it was written
	word    string
	pointer string // of {register:/pointer}
	place   hookPlace
}

// hookPlace is where a word stands.
type hookPlace int

const (
	asItIs       hookPlace = iota // an argument of a command: no shell reads it
	inPath                        // of a URL
	inQuery                       // of a URL, or a form
	inJSONString                  // between quotes
	inJSON                        // in the place of a whole JSON value
)

// hookWord is a word that a hook may say.
type hookWord struct {
	name   string
	isJSON bool
	text   func(Values) string
}

const (
	wordRegister    = "register"
	wordCertificate = "client_certificate"
	wordKey         = "client_key"
	wordLease       = "lease"
)

var hookWords = []hookWord{
	{"url", false, func(v Values) string { return v.URL }},
	{"token", false, func(v Values) string { return v.Token }},
	{"event", false, func(v Values) string { return v.Event }},
	{"secret", false, func(v Values) string { return v.Secret }},
	{wordCertificate, false, func(v Values) string { return v.ClientCertificate }},
	{wordKey, false, func(v Values) string { return v.ClientKey }},
	{wordLease, false, func(v Values) string { return strconv.Itoa(v.Lease) }},
	{"endpoint", false, func(v Values) string { return v.Endpoint }},
	{"data", true, func(v Values) string { return orElse(string(v.Data), "{}") }},
	{"headers", true, func(v Values) string { return orElse(jsonOf(v.Headers), "{}") }},
	{"events", true, func(v Values) string { return orElse(jsonOf(v.Events), "[]") }},
	{wordRegister, false, nil},
}

func orElse(text, otherwise string) string {
	if text == "" || text == "null" {
		return otherwise
	}
	return text
}

func hookWordNames() []string {
	var names []string
	for _, w := range hookWords {
		names = append(names, w.name)
	}
	return names
}

func findHookWord(name string) (hookWord, bool) {
	i := slices.IndexFunc(hookWords, func(w hookWord) bool { return w.name == name })
	if i < 0 {
		return hookWord{}, false
	}
	return hookWords[i], true
}

// source is the template as it was written.
func (t hookTemplate) source() string {
	var b strings.Builder
	for _, p := range t {
		b.WriteString(p.text)
	}
	return b.String()
}

func (t hookTemplate) startsWithWord() bool { return len(t) > 0 && t[0].word != "" }

func (t hookTemplate) hasWords() bool {
	return slices.ContainsFunc(t, func(p hookPart) bool { return p.word != "" })
}

// fill puts the values in.
func (t hookTemplate) fill(v Values) (string, error) {
	var b strings.Builder
	for _, p := range t {
		if p.word == "" {
			b.WriteString(p.literal())
			continue
		}
		text, err := p.fill(v)
		if err != nil {
			return "", fmt.Errorf("the place of %s: %w", p.text, err)
		}
		b.WriteString(text)
	}
	return b.String(), t.checkPath(b.String())
}

// literal is text with {{ for an opening brace.
func (p hookPart) literal() string { return strings.ReplaceAll(p.text, "{{", "{") }

// checkPath refuses a path that a value would lead elsewhere.
func (t hookTemplate) checkPath(filled string) error {
	if !slices.ContainsFunc(t, func(p hookPart) bool { return p.word != "" && p.place == inPath }) {
		return nil
	}
	path, _, _ := strings.Cut(filled, "?")
	if slices.ContainsFunc(strings.Split(path, "/"), isDots) {
		return errors.New("a value makes a segment . or .. of the URL's path, which would lead elsewhere")
	}
	return nil
}

func isDots(segment string) bool { return segment == "." || segment == ".." }

func (p hookPart) fill(v Values) (string, error) {
	if p.word == wordRegister {
		return p.fillRegister(v)
	}
	w, _ := findHookWord(p.word) // Parse has seen to it
	text := w.text(v)
	if w.isJSON && (p.place == inJSON || p.place == inJSONString) && !json.Valid([]byte(text)) {
		return "", errors.New("the value is no JSON")
	}
	if w.isJSON && p.place == inJSON {
		return text, nil
	}
	return p.write(text)
}

// fillRegister writes what the sender answered when the endpoint was registered.
func (p hookPart) fillRegister(v Values) (string, error) {
	if v.Registration == nil {
		return "", errors.New("nothing is registered yet; it stands for a part of the answer to the registration")
	}
	found, err := pointAt(v.Registration, p.pointer)
	if err != nil {
		return "", fmt.Errorf("the answer to the registration: %w", err)
	}
	if p.place == inJSON {
		return string(found), nil
	}
	text, err := plainText(found, p.pointer)
	if err != nil {
		return "", fmt.Errorf("the answer to the registration: %w", err)
	}
	return p.write(text)
}

// write writes a text as its place wants it.
func (p hookPart) write(text string) (string, error) {
	switch p.place {
	case inPath:
		if text == "" {
			return "", errors.New("the value is empty, and the URL would name something else")
		}
		return url.PathEscape(text), nil
	case inQuery:
		return url.QueryEscape(text), nil
	case inJSON, inJSONString:
		if !utf8.ValidString(text) {
			return "", errors.New("the value is not UTF-8, which JSON must be")
		}
		quoted := jsonOf(text)
		if p.place == inJSON {
			return quoted, nil
		}
		return quoted[1 : len(quoted)-1], nil
	}
	return text, nil
}

// jsonOf writes strings, and maps and lists of strings, as JSON. Nothing is escaped
// for HTML: a sender is told what was meant.
func jsonOf(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return ""
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// --- words in texts

// wordForm is what looks like a word: letters, and what stands behind a colon.
// Braces around anything else, such as those of JSON, are none; {{ is a brace.
var wordForm = regexp.MustCompile(`\{\{|\{([A-Za-z][A-Za-z_-]*)(:[^{}"\s]*)?\}`)

// twoBraces is how other tools write a word.
var twoBraces = regexp.MustCompile(`\{\{ ?([a-z]+) ?\}\}`)

// findWords cuts a text into its parts.
func findWords(text string) (hookTemplate, error) {
	if m := twoBraces.FindStringSubmatch(text); m != nil {
		if _, known := findHookWord(m[1]); known {
			return nil, fmt.Errorf("%s has a brace too many on either side; write {%s}", quoteWord(m[0]), m[1])
		}
	}
	var t hookTemplate
	literal := func(s string) {
		if s != "" {
			t = append(t, hookPart{text: s})
		}
	}
	from := 0
	for _, at := range wordForm.FindAllStringSubmatchIndex(text, -1) {
		if at[2] < 0 || isVariable(text[:at[0]], text[at[2]:at[3]]) { // {{, or a shell's own
			continue
		}
		literal(text[from:at[0]])
		from = at[1]
		p := hookPart{text: text[at[0]:at[1]], word: text[at[2]:at[3]]}
		argument, given := "", at[4] >= 0
		if given {
			argument = text[at[4]+1 : at[5]]
		}
		if err := p.check(argument, given); err != nil {
			return nil, err
		}
		p.pointer = argument
		t = append(t, p)
	}
	literal(text[from:])
	return t, nil
}

// isVariable tells braces of a script's variable, as in ${HOME} and $ENV{HOOK_URL},
// from those of a word.
func isVariable(before, name string) bool {
	_, known := findHookWord(name)
	return strings.HasPrefix(name, variableOf("")) || strings.HasSuffix(before, "$") && !known
}

func (p hookPart) check(argument string, given bool) error {
	_, known := findHookWord(p.word)
	switch {
	case !known:
		hint := ""
		if near := strictyaml.Suggest(p.word, hookWordNames()); near != "" {
			hint = fmt.Sprintf("did you mean {%s}? ", near)
		}
		return fmt.Errorf("there is no word %s; %sthere are {%s}; {{ writes a brace", quoteWord(p.text), hint, strings.Join(hookWordNames(), "}, {"))
	case p.word == wordRegister && !given:
		return errors.New("{register} needs a JSON pointer into the answer to the registration: {register:/id}")
	case p.word == wordRegister:
		return checkPointer(argument)
	case given:
		return fmt.Errorf("%s: the word takes nothing behind a colon; write {%s}", quoteWord(p.text), p.word)
	}
	return nil
}

// placedInURL says of each word whether it stands in the path or in the query.
// The host is for the user alone to say.
func (t hookTemplate) placedInURL() (hookTemplate, error) {
	place, authority := inPath, true
	seen := ""
	for i, p := range t {
		if p.word != "" {
			if authority {
				return nil, fmt.Errorf("%s stands in the URL's host; a word can stand in its path or query only", p.text)
			}
			t[i].place = place
			continue
		}
		seen += p.text
		_, rest, _ := strings.Cut(seen, "://")
		authority = !strings.ContainsAny(rest, "/?")
		if strings.Contains(rest, "?") {
			place = inQuery
		}
	}
	return t, nil
}

// placedInForm has each word escaped as forms want it.
func (t hookTemplate) placedInForm() hookTemplate {
	for i := range t {
		t[i].place = inQuery
	}
	return t
}

// placedInJSON says of each word whether it stands between quotes.
func (t hookTemplate) placedInJSON() hookTemplate {
	quoted, escaped := false, false
	for i, p := range t {
		if p.word != "" {
			t[i].place = inJSON
			if quoted {
				t[i].place = inJSONString
			}
			escaped = false
			continue
		}
		for _, c := range []byte(p.literal()) {
			switch {
			case escaped:
				escaped = false
			case quoted && c == '\\':
				escaped = true
			case c == '"':
				quoted = !quoted
			}
		}
	}
	return t
}

// sample is the template with values of the right kinds, to see whether it would
// be well formed.
func (t hookTemplate) sample() string {
	var b strings.Builder
	for _, p := range t {
		w, _ := findHookWord(p.word)
		switch {
		case p.word == "":
			b.WriteString(p.literal())
		case p.place == inJSON && w.isJSON:
			b.WriteString(w.text(Values{}))
		case p.place == inJSON:
			b.WriteString(`"x"`)
		default:
			b.WriteString("x")
		}
	}
	return b.String()
}

// --- JSON pointers

// checkPointer finds what is wrong with a JSON pointer: RFC 6901.
func checkPointer(pointer string) error {
	for i, c := range pointer {
		if c == '~' && !strings.HasPrefix(pointer[i+1:], "0") && !strings.HasPrefix(pointer[i+1:], "1") {
			return fmt.Errorf("the JSON pointer %s has a ~ that is neither ~0 nor ~1", quoteWord(pointer))
		}
	}
	if pointer != "" && pointer[0] != '/' {
		return fmt.Errorf("the JSON pointer %s does not begin with /; write it like /data/id", quoteWord(pointer))
	}
	return nil
}

// pointAt is the JSON value at a pointer.
func pointAt(doc []byte, pointer string) (json.RawMessage, error) {
	if err := checkPointer(pointer); err != nil {
		return nil, err
	}
	if !json.Valid(doc) {
		return nil, fmt.Errorf("look up %s: it is no JSON", quoteWord(pointer))
	}
	at := json.RawMessage(bytes.TrimSpace(doc))
	for _, name := range strings.Split(pointer, "/")[1:] {
		at = memberOf(at, strings.NewReplacer("~1", "/", "~0", "~").Replace(name))
		if at == nil {
			return nil, fmt.Errorf("nothing stands at %s", quoteWord(pointer))
		}
	}
	return at, nil
}

func memberOf(at json.RawMessage, name string) json.RawMessage {
	switch at[0] {
	case '{':
		var members map[string]json.RawMessage
		if json.Unmarshal(at, &members) == nil {
			return members[name]
		}
	case '[':
		var items []json.RawMessage
		i, err := strconv.Atoi(name)
		if err == nil && strconv.Itoa(i) == name && json.Unmarshal(at, &items) == nil && i >= 0 && i < len(items) {
			return items[i]
		}
	}
	return nil
}

// plainText is a JSON value as a text that can stand anywhere.
func plainText(value json.RawMessage, pointer string) (string, error) {
	switch value[0] {
	case '"':
		var text string
		err := json.Unmarshal(value, &text)
		return text, err
	case '{', '[':
		return "", fmt.Errorf("what stands at %s is an object or a list, and no text", quoteWord(pointer))
	case 'n':
		return "", fmt.Errorf("what stands at %s is null", quoteWord(pointer))
	}
	return string(value), nil
}

func quoteWord(s string) string { return strictyaml.Quote(s) }
