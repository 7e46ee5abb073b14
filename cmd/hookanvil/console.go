package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

// console is standard output. A reader that went away has seen enough: that is no
// error. It has no other way of writing, which would tell of the error.
type console struct{ to *os.File }

func (c console) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		return len(p), nil
	}
	return n, err
}

// tell writes the reports of a run, and then tells the terminal, unless a report
// went there; it returns the exit code as an error.
func tell(cmd *cobra.Command, s suites.Settings, run reports.Run, verbose bool) error {
	if err := tellRun(cmd, s, run, verbose); err != nil {
		return err
	}
	if code := run.ExitCode(); code != reports.ExitPassed {
		return exitCode{code: code}
	}
	return nil
}

// tellRun is tell without the exit code.
func tellRun(cmd *cobra.Command, s suites.Settings, run reports.Run, verbose bool) error {
	toStdout, err := s.WriteReports(cmd.OutOrStdout(), run)
	if !toStdout {
		t := terminalOf(os.Stdout)
		t.Verbose = verbose
		err = errors.Join(err, t.Write(cmd.OutOrStdout(), run))
	}
	return harness(err)
}

// reportHelp lists the formats of reports, for the end of a help text.
func reportHelp() string {
	var b strings.Builder
	b.WriteString("\n\nReports, as --report FORMAT=PATH:\n")
	for _, f := range reports.Formats {
		fmt.Fprintf(&b, "  %-12s %s\n", f.Name, f.Doc)
	}
	return strings.TrimRight(b.String(), "\n")
}

// terminalOf returns the report for people, as suits a file.
func terminalOf(f *os.File) reports.Terminal {
	isTerminal, width := false, 100
	if term.IsTerminal(int(f.Fd())) {
		isTerminal = true
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			width = w
		}
	}
	return reports.DetectTerminal(isTerminal, width, os.Getenv)
}

// progress is one line of a terminal, overwritten as a run gets on. It is silent
// where there is no terminal.
type progress struct {
	w     io.Writer
	width int
}

func newProgress(f *os.File) progress {
	fd := int(f.Fd())
	if !term.IsTerminal(fd) || os.Getenv("TERM") == "dumb" {
		return progress{}
	}
	width, _, err := term.GetSize(fd)
	if err != nil || width <= 0 {
		width = 80 // some terminals do not know theirs
	}
	return progress{f, width}
}

const eraseLine = "\r\x1b[K"

func (p progress) show(at suites.Progress) {
	if p.w == nil {
		return
	}
	line := fmt.Sprintf("%d of %d", at.Done, at.Total)
	if at.Failed > 0 {
		line += fmt.Sprintf(", %d failed", at.Failed)
	}
	if len(at.Running) > 0 {
		_, name, _ := strings.Cut(at.Running[0], "/")
		line += "  " + name
	}
	if more := len(at.Running) - 1; more > 0 {
		line += fmt.Sprintf(" and %d more", more)
	}
	if left := time.Until(at.Until); left > 0 {
		line += ", at most " + timeLeft(left)
	}
	fmt.Fprint(p.w, eraseLine+line[:min(len(line), max(p.width-1, 0))])
}

// timeLeft is a time as it is told to who waits: 48s left, 3m20s left.
func timeLeft(d time.Duration) string {
	return (d + time.Second - 1).Truncate(time.Second).String() + " left"
}

// prompt returns a function that tells a person what to do, above the line; w is
// written to even where it is no terminal.
func (p progress) prompt(w io.Writer) func(string) {
	return func(text string) {
		p.clear()
		fmt.Fprintf(w, "%s\n", text)
	}
}

func (p progress) clear() {
	if p.w != nil {
		fmt.Fprint(p.w, eraseLine)
	}
}

// completeNames completes the names of suites and cases.
func completeNames(_ *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	cases, err := suites.Select(nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, c := range cases {
		if role, _, _ := strings.Cut(c.Suite, "/"); !slices.Contains(names, role) {
			names = append(names, role)
		}
		if names[len(names)-1] != c.Suite && !strings.HasPrefix(names[len(names)-1], c.Suite+"/") {
			names = append(names, c.Suite)
		}
		names = append(names, c.Name()+"\t"+c.Title)
	}
	return names, cobra.ShellCompDirectiveDefault
}
