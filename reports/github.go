package reports

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// GitHub writes the run as commands of a workflow on GitHub, each of which annotates the
// commit: an error for what failed, a warning for what warns or could not be judged, a
// notice for what is known. It is the one format of which a line may begin with two
// colons, and all that do are ours: within a line, what others said is escaped so that it
// ends neither the line nor the part that it stands in.
//
// GitHub shows ten annotations of a kind for each step. Where there are more, the tenth
// says how many.
func GitHub(w io.Writer, run Run) error {
	var b strings.Builder
	for _, kind := range []string{"error", "warning", "notice"} {
		b.WriteString(annotations(kind, run))
	}
	_, rest := run.headline()
	kind := map[int]string{ExitPassed: "notice", ExitInconclusive: "warning"}[run.ExitCode()]
	if kind == "" {
		kind = "error"
	}
	b.WriteString(annotation(kind, "", 0, "hookanvil "+run.Subject.Role, outcomes[run.ExitCode()].word+": "+inert(rest)))
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the annotations for GitHub: %w", err)
	}
	return nil
}

// mostAnnotations leaves one of ten for what the run as a whole amounts to.
const mostAnnotations = 9

func annotations(kind string, run Run) string {
	groups := annotated(kind, run)
	most := len(groups)
	if most > mostAnnotations {
		most = mostAnnotations - 1
	}
	var b strings.Builder
	for _, group := range groups[:most] {
		r, file, line := group[0], "", 0
		if r.File != "" { // what is built in stands in no file of the user's
			file, line = r.place()
		}
		title := r.ID + " (" + r.Level + ")"
		if more := len(group) - 1; more > 0 {
			title += fmt.Sprintf(" and %d more", more)
		}
		b.WriteString(annotation(kind, file, line, title, annotationText(r)))
	}
	more := 0
	for _, group := range groups[most:] {
		more += len(group)
	}
	if more > 0 {
		b.WriteString(annotation(kind, "", 0, "hookanvil", fmt.Sprintf("and %d more of this kind: see the report", more)))
	}
	return b.String()
}

// annotated are the results that have an annotation of a kind: those that could not be
// judged for one reason together, and all others by themselves.
func annotated(kind string, run Run) (groups [][]Result) {
	var unjudged []Result
	for _, r := range having(run.Results, func(r Result) bool { return annotates(r) == kind }) {
		if r.verdict() == Inconclusive {
			unjudged = append(unjudged, r)
		} else {
			groups = append(groups, []Result{r})
		}
	}
	return append(groups, byReason(unjudged)...)
}

// annotates is the kind of annotation that a result has, empty where it has none.
func annotates(r Result) string {
	switch v := r.verdict(); {
	case v == Pass || v == Skip:
		return ""
	case r.Known != "":
		return "notice"
	case v == Fail:
		return "error"
	}
	return "warning"
}

func annotationText(r Result) string {
	lines := []string{r.found()}
	for _, a := range r.advice() {
		lines = append(lines, a.label+": "+a.text)
	}
	lines = append(lines, r.measuredLines()...)
	if r.Reproduce != "" {
		lines = append(lines, "$ "+r.Reproduce)
	}
	for i, line := range lines {
		lines[i] = clip(inert(head(line, 4*mostText)), mostText)
	}
	return strings.Join(lines, "\n")
}

var (
	commandData       = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	commandProperties = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// annotation is one command. Text may have several lines, each of which is inert.
func annotation(kind, file string, line int, title, text string) string {
	properties := "title=" + commandProperties.Replace(inert(title))
	if file != "" {
		properties = fmt.Sprintf("file=%s,line=%d,", commandProperties.Replace(inert(file)), line) + properties
	}
	return fmt.Sprintf("::%s %s::%s\n", kind, properties, commandData.Replace(text))
}

// AppendSummary appends the markdown report to the file that a step of a workflow on GitHub
// shows as its summary.
func AppendSummary(path string, run Run) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("write the job's summary: %w", err)
	}
	if err = Markdown(f, run); err == nil {
		_, err = io.WriteString(f, "\n")
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the job's summary %s: %w", path, err)
	}
	return nil
}
