package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/goccy/go-yaml"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
)

// page is a text of headings and of lines in two columns.
type page struct{ strings.Builder }

func (b *page) heading(text string) { fmt.Fprintf(b, "\n%s\n", text) }

// facts are names and what is known of each; what is not known is left out.
func (b *page) facts(pairs ...string) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(w, "  %s\t%s\n", pairs[i], seen(pairs[i+1]))
		}
	}
	w.Flush() // to memory
}

func (b *page) lines(texts []string) {
	for _, text := range texts {
		fmt.Fprintf(b, "  %s\n", seen(text))
	}
}

// seen is a text as it stands, or in quotes where something in it would not be seen, or
// would act on the terminal.
func seen(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

// explainProfile is a profile for people.
func explainProfile(p *profile.Profile) (string, error) {
	example, err := p.Example()
	if err != nil {
		return "", err
	}
	b := &page{}
	fmt.Fprintf(b, "%s (%s)\n", seen(p.Title), p.Name)
	b.heading("How it signs")
	explainSchemes(b, p)
	b.heading("What a delivery says of itself")
	b.facts("timestamp", stampFacts(p.Timestamp), "id", fieldFacts(p.ID), "event", fieldFacts(p.Event), "content type", p.Delivery.ContentType,
		"endpoint", endpointFacts(p))
	b.heading("What becomes of an answer")
	b.facts("success", p.Delivery.Success, "deadline", spanOf(p), "redirects", p.Delivery.Redirects, "attempts", attemptFacts(p.Retry),
		"acknowledgement", answerFacts(p.Answers.Success), "refusal", answerFacts(p.Answers.Refusal), "rotation", p.Rotation, "disabling", p.Disabling, "handshake", p.Handshake)
	b.heading("A worked example, under keys that were invented for it")
	explainExample(b, p, example)
	if lacks := p.Lacks(); len(lacks) > 0 {
		b.heading("What it lacks")
		b.lines(lacks)
	}
	b.heading("Sources")
	b.lines(p.Source)
	return b.String(), nil
}

func explainSchemes(b *page, p *profile.Profile) {
	if !p.Signed() {
		b.lines([]string{inShort(p)})
	}
	for i, s := range p.Schemes() {
		if i > 0 {
			b.WriteByte('\n')
		}
		kind := ""
		switch {
		case s.Weak:
			kind = "for old receivers only; never sufficient"
		case s.Spare:
			kind = "in the place of the main one"
		}
		b.facts("signature", s.Name, "", kind, "header", s.Header, "stands in", elsewhere(s), "value", s.Value, "joined by", joint(s.JoinedBy), "signs", s.Signs,
			"algorithm", s.Algorithm, "encoding", s.Encoding, "key", keyFacts(s.Key))
	}
}

// elsewhere is where a signature stands that stands in no header.
func elsewhere(s profile.Scheme) string {
	if s.Header != "" {
		return ""
	}
	return s.Place()
}

func keyFacts(k *profile.Key) string {
	switch {
	case k.Header != "":
		return "what follows the colon of the secret; what stands before it is the key's name, for the header " + k.Header
	case k.Encoding == "utf8" && k.Prefix == "":
		return "the text of the secret"
	}
	if k.Encoding == "utf8-nfkd" && k.Prefix == "" {
		return "the text of the secret, in Unicode's form NFKD"
	}
	return k.Prefix + "..., in " + k.Encoding
}

// joint is a separator that is seen.
func joint(text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf("%q", text)
}

func stampFacts(t *profile.Timestamp) string {
	if t == nil {
		return ""
	}
	where := "in the signature's header"
	switch {
	case t.Header != "":
		where = "header " + t.Header
	case t.JSON != "":
		where = "at " + t.JSON + " in the body"
	case t.Claim != "":
		where = "in the signature, as " + t.Claim
	}
	text := where + ", " + map[string]string{"s": "in seconds", "ms": "in milliseconds", "rfc3339": "as RFC 3339 has it"}[t.Unit]
	if t.Tolerance > 0 {
		text += fmt.Sprintf("; %s old at most, the future %s", t.Tolerance, t.Future)
	}
	return text
}

func fieldFacts(f *profile.Field) string {
	switch {
	case f == nil:
		return ""
	case f.Header != "":
		return "header " + f.Header
	}
	return "at " + f.JSON + " in the body"
}

func answerFacts(a *profile.Answer) string {
	if a == nil {
		return ""
	}
	var facts []string
	for _, text := range []string{a.Status, a.ContentType, a.Text} {
		if text != "" {
			facts = append(facts, text)
		}
	}
	if a.Empty {
		facts = append(facts, "no body")
	}
	for _, h := range a.Headers {
		facts = append(facts, "header "+h.Name)
	}
	for _, m := range a.Members {
		text := m.JSON
		if len(m.Values) > 0 {
			text += " (" + strings.Join(m.Values, ", ") + ")"
		}
		facts = append(facts, text)
	}
	return strings.Join(facts, ", ")
}

// endpointFacts are what the endpoint is called at the provider, and how one's own is told.
func endpointFacts(p *profile.Profile) string {
	var facts []string
	for _, f := range p.Facts {
		facts = append(facts, fmt.Sprintf("%s, yours by --fact %s=...", f.Value, f.Name))
	}
	return strings.Join(facts, "; ")
}

func spanOf(p *profile.Profile) string {
	if p.Delivery.Deadline == 0 {
		return ""
	}
	return p.Delivery.Deadline.String()
}

func attemptFacts(r *profile.Retry) string {
	var facts []string
	if n := r.Total(); n > 0 {
		facts = append(facts, fmt.Sprintf("%d at most", n))
	}
	var gaps []string
	for n := 1; n < 12; n++ {
		gap, ok := r.Gap(n)
		if !ok {
			break
		}
		gaps = append(gaps, gap.String())
	}
	if len(gaps) > 0 {
		facts = append(facts, "after "+strings.Join(gaps, ", "))
	}
	if r != nil && r.Over > 0 {
		facts = append(facts, "over "+r.Over.String())
	}
	return strings.Join(facts, "; ")
}

func explainExample(b *page, p *profile.Profile, e profile.Worked) {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(e.Keys)) {
		if s := e.Keys[name][0].Reveal(); !strings.Contains(s, "\n") {
			lines = append(lines, fmt.Sprintf("secret %s: %s", name, s))
		}
	}
	if p.Signed() && p.Signature.Signs != "" {
		lines = append(lines, "signed bytes: "+string(p.Signature.Content(e.Message)))
	}
	sent := e.Sealed.Incoming(e.Message)
	lines = append(lines, "", sent.Method+" "+sent.URL)
	for _, h := range sent.Headers {
		lines = append(lines, h.Name+": "+h.Value)
	}
	b.lines(append(append(lines, ""), strings.Split(string(sent.Body), "\r\n")...))
}

// profileAsJSON is the fields of a profile's file, and what it lacks.
func profileAsJSON(p *profile.Profile) (json.RawMessage, error) {
	src, err := profile.Write(p)
	if err != nil {
		return nil, err
	}
	fields, err := yaml.YAMLToJSON(src)
	if err != nil {
		return nil, fmt.Errorf("write profile %s as JSON: %w", p.Name, err)
	}
	lacks := p.Lacks()
	if lacks == nil {
		lacks = []string{}
	}
	more, err := json.Marshal(lacks)
	if err != nil {
		return nil, err
	}
	object := strings.TrimSuffix(strings.TrimSpace(string(fields)), "}")
	return json.RawMessage(object + `,"lacks":` + string(more) + "}"), nil
}

func profilesAsJSON() (string, error) {
	all := []json.RawMessage{}
	for _, name := range profiles.Names() {
		p, err := profiles.Get(name)
		if err != nil {
			return "", err
		}
		fields, err := profileAsJSON(p)
		if err != nil {
			return "", err
		}
		all = append(all, fields)
	}
	return indented(all)
}

func indented(v any) (string, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	return string(b) + "\n", err
}
