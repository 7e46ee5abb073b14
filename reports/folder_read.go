package reports

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// ReadFolder reads the run that a results folder tells of. It is complete only where the
// journal is, the folder was finished, and every file is as it was then. Otherwise
// its notes say what it lacks. A folder in which nothing came to be sent holds a run without
// results; what is no results folder is an error.
func ReadFolder(dir string) (Run, error) {
	run, err := readRun(dir)
	if err != nil {
		return run, err
	}
	var lacks []string
	if who, held := holder(dir); held {
		lacks = append(lacks, "the run is still under way: "+who)
	} else {
		lacks = checkSums(dir)
	}
	if len(lacks) > 0 && run.State == Complete {
		run.State = Incomplete
	}
	run.Notes = append(run.Notes, lacks...)
	return run, nil
}

// readRun is what the journal of a folder tells. Without one, or where its beginning is
// lost, there is what the manifest says.
func readRun(dir string) (Run, error) {
	f, err := os.Open(filepath.Join(dir, JournalFile))
	switch {
	case errors.Is(err, os.ErrNotExist):
		run, err := manifestRun(dir)
		run.Notes = append(run.Notes, "the run ended before anything was sent: it has no journal")
		return run, err
	case err != nil:
		return Run{}, fmt.Errorf("read the results folder: %w", err)
	}
	defer f.Close()
	run, err := ReadJournal(f)
	switch {
	case err == nil:
		return run, nil
	case run.Schema != "": // the disk failed behind the header
		run.State = Incomplete
		run.Notes = append(run.Notes, err.Error())
		return run, nil
	}
	unread := err
	if info, err := f.Stat(); err == nil && info.Size() == 0 {
		unread = errors.New("the run ended before anything was sent: its journal is empty")
	}
	if run, err = manifestRun(dir); err != nil {
		return run, unread
	}
	run.Notes = append(run.Notes, unread.Error())
	return run, nil
}

// manifestRun is what the manifest of a folder says of a run that has no journal.
func manifestRun(dir string) (Run, error) {
	run := Run{Schema: Schema, State: Incomplete}
	src, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, lockFile)); err == nil {
			return run, nil // not even the manifest came to be written
		}
		return run, fmt.Errorf("read the results folder %s: it is none: there is neither %s nor %s in it", dir, JournalFile, ManifestFile)
	}
	if err != nil {
		return run, fmt.Errorf("read the results folder: %w", err)
	}
	m, err := ReadManifest(src)
	if err != nil {
		run.Notes = append(run.Notes, err.Error())
		return run, nil
	}
	run.Tool, run.Profile, run.Seed, run.Subject.Role = m.Tool, m.Profile, m.Seed, m.Role
	return run, nil
}

// holder tells whether a run is under way in a folder, and whose it is.
func holder(dir string) (who string, held bool) {
	name := filepath.Join(dir, lockFile)
	if _, err := os.Stat(name); err != nil {
		return "", false
	}
	lock := flock.New(name, flock.SetFlag(os.O_RDONLY))
	free, err := lock.TryRLock()
	if err != nil {
		return "", false
	}
	if free {
		_ = lock.Close() // it was held for a look
		return "", false
	}
	text, err := os.ReadFile(name)
	if err != nil || len(text) == 0 {
		return "another process", true // some systems let nobody read what is locked
	}
	return Printable(bytes.TrimSpace(text), 200), true
}

// checkSums holds the files of a folder against their digests, and says what is amiss.
func checkSums(dir string) (lacks []string) {
	src, err := os.ReadFile(filepath.Join(dir, SumsFile))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return []string{"the folder is not finished: there is no " + SumsFile + ", which is written last"}
	case err != nil:
		return []string{fmt.Sprintf("the digests cannot be read: %s", err)}
	}
	return CheckSums(src, func(name string) (string, error) { return digestOf(filepath.Join(dir, filepath.FromSlash(name))) })
}

// CheckSums holds files against the digests of a results folder, which are in src, and says
// what is amiss. Digest is asked for that of each file, by its path with slashes.
func CheckSums(src []byte, digest func(name string) (string, error)) (lacks []string) {
	last := ""
	for lines := bufio.NewScanner(bytes.NewReader(src)); lines.Scan(); {
		sum, name, ok := strings.Cut(lines.Text(), "  ")
		if !ok || !filepath.IsLocal(filepath.FromSlash(name)) || path.Clean(name) != name {
			return append(lacks, SumsFile+" was changed: a line of it is no digest and name")
		}
		last = name
		switch is, err := digest(name); {
		case errors.Is(err, os.ErrNotExist):
			lacks = append(lacks, name+" is missing")
		case err != nil:
			lacks = append(lacks, fmt.Sprintf("%s cannot be read: %s", name, err))
		case is != sum:
			lacks = append(lacks, fmt.Sprintf("%s was changed: its SHA-256 is not that in %s", name, SumsFile))
		}
	}
	if last != JournalFile || !bytes.HasSuffix(src, []byte("\n")) {
		lacks = append(lacks, SumsFile+" was cut off")
	}
	return lacks
}
