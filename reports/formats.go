package reports

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
)

// Format writes a run in one form. What it writes is safe to show where that form
// is shown, whatever the peer sent.
type Format func(w io.Writer, run Run) error

// Formats are the forms a report can be written in, by the name a user gives.
var Formats = []struct {
	Name  string
	Doc   string // completes "the report is ..."
	Write Format
	// File is what the report is called in a results folder. What has none is not kept there:
	// it is meant for the job that the run is a part of.
	File string
}{
	{"terminal", "text for people: what failed, why, and how to see it again", Terminal{Width: 100}.Write, "report.txt"},
	{"json", "everything, for programs: documented, versioned and deterministic", JSON, ReportFile},
	{"html", "one page for people: what failed, how to repair it, and what crossed the wire", HTML, "report.html"},
	{"junit", "JUnit XML, which continuous-integration services read", JUnit, "report.xml"},
	{"sarif", "SARIF 2.1.0, of which GitHub code scanning makes alerts", SARIF, "report.sarif"},
	{"ctrf", "JSON in the Common Test Report Format", CTRF, "report.ctrf.json"},
	{"tap", "the Test Anything Protocol, version 14", TAP, "report.tap"},
	{"markdown", "for a pull request's comment or a job's summary; at most 60 kB", Markdown, "report.md"},
	{"github", "annotations of a workflow on GitHub; without =PATH on standard output, and the summary besides", GitHub, ""},
	{"badge", "JSON from which shields.io paints a badge", Badge, "report.badge.json"},
	{"openmetrics", "OpenMetrics 1.0, for Prometheus and its like", OpenMetrics, "report.openmetrics"},
	{"har", "the exchanges as an HTTP archive (HAR 1.2), which browsers and proxies open", HAR, "report.har"},
}

// WriteFile writes a report to path: see Replace.
func WriteFile(path string, write func(io.Writer) error) error {
	if err := Replace(path, write); err != nil {
		return fmt.Errorf("write report %s: %w", path, err)
	}
	return nil
}

// Replace writes a file, whole or not at all: an existing file is replaced only
// once the new one is on the disk. What is not a regular file, such as /dev/stdout,
// is written to directly: a rename would put a file in the place of the device.
func Replace(path string, write func(io.Writer) error) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return fill(f, write, false)
	}
	temporary := fmt.Sprintf("%s.%08x.tmp", path, rand.Uint32())
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	err = fill(f, write, true)
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		os.Remove(temporary) // the error that led here is the one to tell
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir has the disk keep the names in a directory. Windows and some file systems know
// of no such thing.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(path)
	if errors.Is(err, os.ErrPermission) {
		return nil // one may write in it without seeing what is there
	}
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// guarded has a writer that panics fail as others do: it is to cost its own file, and
// not those that come after it.
func guarded(write func(io.Writer) error, w io.Writer) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the harness failed: panic: %v\n%s", r, debug.Stack())
		}
	}()
	return write(w)
}

// fill writes f and closes it.
func fill(f *os.File, write func(io.Writer) error, sync bool) error {
	w := bufio.NewWriter(f)
	err := guarded(write, w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil && sync {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}
