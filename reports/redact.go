package reports

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Redactor takes secrets out of text, in whatever form a peer may echo them. The
// nil Redactor knows no secrets, and still masks what credentials travel in. Its
// methods may be called concurrently.
type Redactor struct {
	mu      sync.RWMutex
	secrets []string
	forms   *strings.Replacer
	list    []string       // the forms, for those that are cut off
	short   *regexp.Regexp // secrets too short to be looked for inside of words; may be nil
}

// mask stands for what was taken out.
const mask = "[secret]"

// shortest is the length of text from which on it is taken out wherever it stands.
// Anything shorter would be found in half the words of a report, and goes only
// where it is a word of its own.
const shortest = 6

// NewRedactor returns a redactor of the secrets, as the user wrote them. Where a
// secret is written in base64 or hex, with or without a prefix such as whsec_, the
// key that it stands for is taken out as well.
func NewRedactor(secrets ...string) *Redactor {
	r := &Redactor{}
	r.learn(secrets)
	return r
}

// Learn adds a secret that shows itself in the course of a run, such as one that the
// peer has invented.
func (r *Redactor) Learn(secret string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.secrets, secret) {
		r.learn(append(r.secrets, secret))
	}
}

func (r *Redactor) learn(secrets []string) {
	var long, short []string
	for _, secret := range secrets {
		for _, text := range []string{secret, strings.TrimSpace(secret)} {
			for _, form := range formsOf([]byte(text)) {
				if len(form) < shortest {
					short = append(short, regexp.QuoteMeta(form))
				} else {
					long = append(long, form)
				}
			}
		}
		for _, key := range keysIn(strings.TrimSpace(secret)) {
			long = append(long, formsOf(key)...)
		}
	}
	slices.SortFunc(long, func(a, b string) int { return len(b) - len(a) })
	r.secrets, r.list = secrets, slices.Compact(long)
	// The mask itself comes first, so that text may pass through more than once.
	pairs := []string{mask, mask}
	for _, form := range r.list {
		pairs = append(pairs, form, mask)
	}
	r.forms = strings.NewReplacer(pairs...)
	if short = slices.DeleteFunc(short, func(s string) bool { return s == "" }); len(short) > 0 {
		r.short = regexp.MustCompile(`(^|[^\pL\pN])(?:` + strings.Join(short, "|") + `)($|[^\pL\pN])`)
	}
}

// formsOf lists the ways in which b may be written.
func formsOf(b []byte) []string {
	text := string(b)
	percent := ""
	for _, c := range b {
		percent += fmt.Sprintf("%%%02X", c)
	}
	query, path := url.QueryEscape(text), url.PathEscape(text)
	forms := []string{
		text, hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)),
		query, lowerPercent(query), path, lowerPercent(path), percent, strings.ToLower(percent),
		jsonEscaped(text, true), jsonEscaped(text, false), strings.Trim(strconv.QuoteToASCII(text), `"`),
		html.EscapeString(text),
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		forms = append(forms, encoding.EncodeToString(b))
		forms = append(forms, embedded(b, encoding.WithPadding(base64.NoPadding))...)
	}
	for _, form := range slices.Clone(forms) {
		forms = append(forms, Printable([]byte(form), len(form)))
	}
	return forms
}

// embedded is b as it shows inside of a longer base64 text, at each of the three
// positions it may begin at: the characters that hold bits of b alone.
func embedded(b []byte, encoding *base64.Encoding) []string {
	var forms []string
	for before := range 3 {
		s := encoding.EncodeToString(append(make([]byte, before), b...))
		from, to := 0, len(s)
		if before > 0 {
			from = before + 1
		}
		if (before+len(b))%3 != 0 {
			to--
		}
		if to-from >= shortest {
			forms = append(forms, s[from:to])
		}
	}
	return forms
}

var percentPair = regexp.MustCompile(`%[0-9A-F]{2}`)

func lowerPercent(s string) string { return percentPair.ReplaceAllStringFunc(s, strings.ToLower) }

func jsonEscaped(s string, escapeHTML bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	if err := e.Encode(s); err != nil {
		return s
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(b.String(), "\n"), `"`), `"`)
}

// keysIn decodes the key that a secret stands for: of whsec_MfKQ..., the text after
// the prefix and the bytes that this decodes to.
func keysIn(secret string) [][]byte {
	const leastKey, pair = 16, 64
	var keys [][]byte
	encoded := secret[strings.LastIndexByte(secret, '_')+1:]
	for _, text := range []string{secret, encoded} {
		unpadded := strings.TrimRight(text, "=")
		for _, decode := range []func(string) ([]byte, error){
			hex.DecodeString, base64.RawStdEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
		} {
			key, err := decode(unpadded)
			if err != nil || len(key) < leastKey {
				continue
			}
			keys = append(keys, []byte(unpadded), key)
			if len(key) == pair { // an Ed25519 private key: the seed is its first half
				keys = append(keys, key[:pair/2])
			}
		}
	}
	return keys
}

const sensitiveHeader = `(?:proxy-)?authorization|(?:set-)?cookie|x-(?:[a-z0-9-]+-)?(?:token|api-key|secret)`

// Credentials that are masked whether they were named as secrets or not, and what
// each is replaced by. The value of a header ends where its line does, also where
// the line end is escaped; a line that begins with a blank continues it.
var credentials = []struct {
	where *regexp.Regexp
	by    string
}{
	{regexp.MustCompile(`(?i)((?:^|\n|\\n)(?:` + sensitiveHeader + `)[ \t]*:)` +
		`(?:[^\\\r\n]|\\[^rn]|(?:\\r)?\\n(?: |\\t)|\r?\n[ \t])+`), "$1 " + mask},
	{regexp.MustCompile(`(?i)('(?:` + sensitiveHeader + `):)[^']+'`), "$1 " + mask + "'"},
	{regexp.MustCompile(`(?i)("(?:` + sensitiveHeader + `):)[^"]+"`), "$1 " + mask + `"`},
	{regexp.MustCompile(`(?i)([?&](?:[a-z]+[_-])?(?:token|key|secret|password)=)(?:[^&\s#"'\\{]|\{[^ts]|\{t[^o]|\{s[^e])[^&\s#"'\\]*`), "$1" + mask},
	{regexp.MustCompile(`(://)[^/?#@\s"'\\]+@`), "$1" + mask + "@"},
}

// Clean returns s with every form of every secret replaced by [secret].
func (r *Redactor) Clean(s string) string {
	if s == "" {
		return s
	}
	if r != nil {
		s = r.withoutSecrets(s)
	}
	for _, c := range credentials {
		s = c.where.ReplaceAllString(s, c.by)
	}
	return s
}

func (r *Redactor) withoutSecrets(s string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s = r.forms.Replace(r.cleanCut(s))
	if r.short != nil {
		for range 2 { // neighbours share the character between them
			s = r.short.ReplaceAllString(s, "$1"+mask+"$2")
		}
	}
	return s
}

// cutOff finds where Printable has cut a text short.
var cutOff = regexp.MustCompile(`… \(\d+ more bytes\)$`)

// cleanCut takes out the beginning of a secret whose rest was cut off.
func (r *Redactor) cleanCut(s string) string {
	at := cutOff.FindStringIndex(s)
	if at == nil {
		return s
	}
	shown, mark := s[:at[0]], s[at[0]:]
	longest := 0
	for _, form := range r.list {
		for n := len(form) - 1; n >= shortest && n > longest; n-- {
			if strings.HasSuffix(shown, form[:n]) {
				longest = n
			}
		}
	}
	if longest == 0 {
		return s
	}
	return shown[:len(shown)-longest] + mask + mark
}

// CleanRun returns a copy of run without secrets. Ids, levels, verdicts and
// outcomes stay as they are.
func (r *Redactor) CleanRun(run Run) Run {
	run.Subject.Target = r.Clean(run.Subject.Target)
	run.Subject.Probe = r.Clean(run.Subject.Probe)
	run.Notes = r.cleanAll(run.Notes)
	run.Results = slices.Clone(run.Results)
	for i := range run.Results {
		run.Results[i] = r.CleanResult(run.Results[i])
	}
	return run
}

// CleanResult returns a copy of result without secrets.
func (r *Redactor) CleanResult(result Result) Result {
	for _, text := range []*string{&result.Title, &result.Source, &result.File, &result.Why, &result.Fix, &result.Reason, &result.Known, &result.Reproduce} {
		*text = r.Clean(*text)
	}
	result.Figures = slices.Clone(result.Figures)
	for i := range result.Figures {
		result.Figures[i].Note = r.Clean(result.Figures[i].Note)
	}
	result.Evidence = slices.Clone(result.Evidence)
	for i := range result.Evidence {
		result.Evidence[i] = r.CleanExchange(result.Evidence[i])
	}
	result.Load, result.Absorbed = r.CleanMeasurement(result.Load), r.CleanAbsorption(result.Absorbed)
	return result
}

// CleanExchange returns a copy of x without secrets. Where the honest request is known, it
// marks what departs from it.
func (r *Redactor) CleanExchange(x Exchange) Exchange {
	for _, text := range []*string{&x.Label, &x.Detail, &x.Sent, &x.Honest, &x.Received, &x.Remote, &x.Delivery} {
		*text = r.Clean(*text)
	}
	if x.Honest != "" {
		x.Marks = marks(x.Honest, x.Sent)
	}
	x.Notes = r.cleanAll(x.Notes)
	x.TLS = r.cleanTLS(x.TLS)
	return x
}

// cleanTLS returns a copy without secrets: names and certificates may hold anything.
func (r *Redactor) cleanTLS(t *TLS) *TLS {
	if t == nil {
		return nil
	}
	clean := *t
	clean.ServerName, clean.Protocol = r.Clean(t.ServerName), r.Clean(t.Protocol)
	for _, chain := range []*[]Certificate{&clean.Ours, &clean.Theirs} {
		*chain = slices.Clone(*chain)
		for i := range *chain {
			c := &(*chain)[i]
			c.Subject, c.Issuer, c.Names = r.Clean(c.Subject), r.Clean(c.Issuer), r.cleanAll(c.Names)
		}
	}
	return &clean
}

func (r *Redactor) cleanAll(texts []string) []string {
	texts = slices.Clone(texts)
	for i := range texts {
		texts[i] = r.Clean(texts[i])
	}
	return texts
}
