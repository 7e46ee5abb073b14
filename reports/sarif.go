package reports

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// SARIF writes the run as SARIF 2.1.0, for GitHub code scanning and its like:
//
//	fail           a result of level error
//	warn           one of level warning (should) or note (may)
//	inconclusive   one of kind "open": an alert that was there is not closed by a run that
//	               could not tell
//	known failure  suppressed, with the reason it was accepted for
//	pass, skip     nothing
//
// Each such case is a rule, whose help says what is required, why, and what to do. What no
// case shows is a notification of the invocation, which says how the run ended. Code
// scanning takes 25,000 rules and results, shows 5,000 of the latter and ten tags of a
// rule: all catalogues together are far below.
func SARIF(w io.Writer, run Run) error {
	if err := WriteJSON(w, sarifOf(run)); err != nil {
		return fmt.Errorf("write the SARIF report: %w", err)
	}
	return nil
}

const homepage = "https://github.com/hookanvil/hookanvil"

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool        sarifTool         `json:"tool"`
	Automation  map[string]string `json:"automationDetails"`
	Invocations []sarifInvocation `json:"invocations"`
	ColumnKind  string            `json:"columnKind"`
	Results     []sarifResult     `json:"results"`
	Properties  map[string]any    `json:"properties"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name            string      `json:"name"`
	Version         string      `json:"version,omitempty"`
	SemanticVersion string      `json:"semanticVersion,omitempty"`
	InformationURI  string      `json:"informationUri"`
	Rules           []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID            string         `json:"id"`
	Name          string         `json:"name,omitempty"`
	Short         sarifText      `json:"shortDescription"`
	Full          sarifText      `json:"fullDescription"`
	Help          sarifText      `json:"help"`
	HelpURI       string         `json:"helpUri,omitempty"`
	Configuration map[string]any `json:"defaultConfiguration"`
	Properties    map[string]any `json:"properties"`
}

type sarifText struct {
	Text     string `json:"text"`
	Markdown string `json:"markdown,omitempty"`
}

type sarifInvocation struct {
	Successful    bool                `json:"executionSuccessful"`
	ExitCode      int                 `json:"exitCode"`
	ExitWord      string              `json:"exitCodeDescription"`
	Start         *time.Time          `json:"startTimeUtc,omitempty"`
	End           *time.Time          `json:"endTimeUtc,omitempty"`
	Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
}

type sarifNotification struct {
	Level   string    `json:"level"`
	Message sarifText `json:"message"`
}

type sarifResult struct {
	RuleID       string             `json:"ruleId"`
	RuleIndex    int                `json:"ruleIndex"`
	Kind         string             `json:"kind"`
	Level        string             `json:"level"`
	Message      sarifText          `json:"message"`
	Locations    []sarifLocation    `json:"locations"`
	Fingerprints map[string]string  `json:"partialFingerprints"`
	Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	Properties   sarifBag           `json:"properties"`
}

type sarifLocation struct {
	Physical sarifPhysical `json:"physicalLocation"`
	Logical  []sarifPlace  `json:"logicalLocations"`
}

type sarifPhysical struct {
	Artifact sarifArtifact  `json:"artifactLocation"`
	Region   map[string]int `json:"region"`
}

type sarifArtifact struct {
	URI  string `json:"uri"`
	Base string `json:"uriBaseId"`
}

type sarifPlace struct {
	Name     string `json:"name"`
	FullName string `json:"fullyQualifiedName"`
	Kind     string `json:"kind"`
}

type sarifSuppression struct {
	Kind          string `json:"kind"`
	Status        string `json:"status"`
	Justification string `json:"justification"`
}

type sarifBag struct {
	Suite      string   `json:"suite"`
	Level      string   `json:"requirement"`
	Verdict    Verdict  `json:"verdict"`
	Reproduce  string   `json:"reproduce,omitempty"`
	StatusOnly bool     `json:"statusOnly,omitempty"`
	Measured   []string `json:"measured,omitempty"`
	Figures    []Figure `json:"figures,omitempty"`
	DurationMS float64  `json:"durationMs"`
}

func sarifOf(run Run) sarifLog {
	out := sarifRun{
		Tool: sarifTool{sarifDriverOf(run.Tool)}, ColumnKind: "unicodeCodePoints", Results: []sarifResult{},
		// Code scanning closes the alerts of an earlier run of the same id that this one
		// lacks: runs under different profiles must not close each other's.
		Automation: map[string]string{"id": inert(fmt.Sprintf("hookanvil/%s/%s/", run.Subject.Role, run.Profile))},
		Properties: map[string]any{
			"target": inert(run.Subject.Target), "profile": inert(run.Profile), "seed": fmt.Sprint(run.Seed), "state": inert(run.State), "totals": run.Count(),
		},
	}
	for _, r := range run.Results {
		if v := r.verdict(); v == Pass || v == Skip {
			continue
		}
		out.Results = append(out.Results, sarifResultOf(run, r, len(out.Tool.Driver.Rules)))
		out.Tool.Driver.Rules = append(out.Tool.Driver.Rules, sarifRuleOf(r))
	}
	out.Invocations = []sarifInvocation{sarifInvocationOf(run)}
	return sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{out}}
}

var semantic = regexp.MustCompile(`^v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)$`)

// sarifDriverOf splits the name of the tool, "hookanvil v0.1.0 (...)". A version that is no
// number, as a build from a work tree has it, stands behind one: consumers compare them.
func sarifDriverOf(tool string) sarifDriver {
	d := sarifDriver{Name: "Hookanvil", InformationURI: homepage, Rules: []sarifRule{}}
	_, version, _ := strings.Cut(inert(tool), " ")
	first, _, _ := strings.Cut(version, " ")
	if m := semantic.FindStringSubmatch(first); m != nil {
		d.SemanticVersion, d.Version = m[1], strings.TrimPrefix(version, "v")
	} else {
		d.Version = strings.TrimSpace("0.0.0 " + version)
	}
	return d
}

func sarifInvocationOf(run Run) sarifInvocation {
	v := sarifInvocation{Successful: run.State == Complete, ExitCode: run.ExitCode(), ExitWord: outcomes[run.ExitCode()].word}
	if !run.Started.IsZero() {
		v.Start = new(run.Started.UTC())
	}
	if !run.Ended.IsZero() {
		v.End = new(run.Ended.UTC())
	}
	if why := run.shortfall(); why != "" {
		v.Notifications = append(v.Notifications, sarifNotification{"error", sarifText{Text: sarifMessage(why)}})
	}
	for _, note := range run.Notes {
		v.Notifications = append(v.Notifications, sarifNotification{"note", sarifText{Text: sarifMessage(note)}})
	}
	return v
}

func sarifRuleOf(r Result) sarifRule {
	suite, name := splitID(r.ID)
	tags := []string{"webhooks"}
	for _, tag := range []string{suite, r.Level} {
		if tag = inert(tag); tag != "" && !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	if strings.HasPrefix(r.Source, "CWE-") && sourcePage(r.Source) != "" {
		tags = append(tags, "external/cwe/"+strings.ToLower(r.Source))
	}
	shown := inert(pascal(name))
	if shown == inert(r.ID) {
		shown = "" // a name must be another than the ID
	}
	return sarifRule{
		ID: inert(r.ID), Name: shown,
		Short:   sarifText{Text: sarifSentence(cmp.Or(r.Title, r.ID))},
		Full:    sarifText{Text: sarifSentence(cmp.Or(r.Why, r.Title, r.ID))},
		Help:    sarifHelp(r),
		HelpURI: sourcePage(r.Source), Configuration: map[string]any{"level": sarifLevel(r)},
		Properties: map[string]any{"tags": tags},
	}
}

// pascal is a name as SARIF would have those of rules: BodyBitFlipped.
func pascal(name string) string {
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(name, func(c rune) bool { return c == '-' || c == '_' }) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

func sarifHelp(r Result) sarifText {
	var text, markdown []string
	for _, a := range r.advice() {
		text = append(text, a.label+": "+sarifMessage(a.text))
		markdown = append(markdown, "**"+a.label+"**: "+a.markdown())
	}
	explain := "hookanvil explain " + inert(r.ID)
	return sarifText{
		Text:     strings.Join(append(text, "More: "+sarifMessage(explain)), "\n"),
		Markdown: strings.Join(append(markdown, "**More**: "+asCode(explain)), "\n\n"),
	}
}

// sarifLevel is how grave it is not to meet the case.
func sarifLevel(r Result) string {
	switch r.Level {
	case "should":
		return "warning"
	case "may":
		return "note"
	}
	return "error"
}

func sarifResultOf(run Run, r Result, rule int) sarifResult {
	uri, line := r.placeURI()
	suite, name := splitID(r.ID)
	out := sarifResult{
		RuleID: inert(r.ID), RuleIndex: rule, Kind: "fail", Level: sarifLevel(r), Message: sarifText{Text: sarifFound(r)},
		Locations: []sarifLocation{{
			Physical: sarifPhysical{sarifArtifact{uri, "%SRCROOT%"}, map[string]int{"startLine": line}},
			Logical:  []sarifPlace{{inert(name), inert(r.ID), "member"}},
		}},
		Fingerprints: sarifFingerprints(run, r),
		Properties: sarifBag{
			Suite: inert(suite), Level: inert(r.Level), Verdict: r.verdict(), Reproduce: inert(r.Reproduce),
			StatusOnly: r.StatusOnly, DurationMS: float64(r.Duration.Microseconds()) / 1000,
		},
	}
	if r.verdict() == Inconclusive {
		out.Kind, out.Level = "open", "none" // of what is not a failure SARIF allows no other level
	}
	if r.Known != "" {
		out.Suppressions = []sarifSuppression{{"external", "accepted", inert(r.Known)}}
	}
	for _, line := range r.measuredLines() {
		out.Properties.Measured = append(out.Properties.Measured, inert(line))
	}
	for _, f := range r.Figures {
		f.Name, f.Unit, f.Note = inert(f.Name), inert(f.Unit), inert(f.Note)
		out.Properties.Figures = append(out.Properties.Figures, f)
	}
	return out
}

// sarifFingerprints tell that a result is the same as one of another run: by the case and
// the profile, and not by the target, whose port may be another each time, or by what was
// found. Code scanning looks at the first; without it, it would look for the file.
func sarifFingerprints(run Run, r Result) map[string]string {
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(run.Profile+"\x00"+r.ID)))
	return map[string]string{"primaryLocationLineHash": sum[:16] + ":1", "hookanvilCase/v1": sum}
}

// sarifFound is what was found and, since it stands alone in a list of alerts, of what. Its
// first sentence is all that is shown where there is little room.
func sarifFound(r Result) string {
	text := sarifSentence(r.found())
	if r.Title != "" {
		text += " Required: " + sarifSentence(r.Title)
	}
	if r.Fix != "" {
		text += " Repair: " + sarifSentence(r.Fix)
	}
	if r.Reproduce != "" {
		text += " Reproduce: " + sarifMessage(r.Reproduce)
	}
	return text
}

var sarifEscapes = strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `{`, `{{`, `}`, `}}`)

// sarifMessage is text in a message, where brackets make a link and braces stand for
// arguments unless they are escaped.
func sarifMessage(text string) string {
	return sarifEscapes.Replace(clip(inert(head(text, 4*mostText)), mostText))
}

func sarifSentence(text string) string {
	text = strings.TrimSpace(sarifMessage(text))
	if text == "" || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}
