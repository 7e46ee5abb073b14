package reports

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// A results folder holds a run and everything that it was made of. It is written as the
// run goes: what the run was given before anything is sent, the journal as things
// happen, and at the end the reports, one in each format, and the digests of it all. A run
// that is cut short leaves a folder that says what ran, and has no digests.
//
// Versions and the seed stand in the manifest; the subject's clock less ours, which
// is known when it has answered, stands in the journal's last line and in the JSON report.
//
// Of what a process that is killed has written nothing is lost. The disk is asked to keep
// what comes before the run, each result as it is there, and what comes after: where the
// power fails, what was observed since the last result may be lost.
const (
	ManifestFile = "run.json"            // a Manifest
	JournalFile  = "run.journal"         // what happened: every report can be written from it
	ReportFile   = "report.json"         // what JSON writes
	ProfileFile  = "profile.yaml"        // the profile
	KnownFile    = "known-failures.yaml" // where known failures were given
	SumsFile     = "SHA256SUMS"          // the digests of all other files, as sha256sum -c takes them
	lockFile     = "run.lock"            // while the run goes
	scenarioDir  = "scenarios"           // the suites, by their names
	folderSchema = "hookanvil.results/1" // of the manifest
	maxManifest  = 4 << 20               // bytes
)

// Manifest says what a run was made of.
type Manifest struct {
	Schema   string `json:"schema"`
	Tool     string `json:"tool"`     // name and version of the program that judged
	Go       string `json:"go"`       // that it was built with
	Platform string `json:"platform"` // linux/amd64
	Role     string `json:"role"`
	Profile  string `json:"profile"`
	Seed     uint64 `json:"seed"`
	// Selected are the names by which the cases were selected; Settings are what the run
	// was told, secrets by their places.
	Selected []string  `json:"selected"`
	Settings []Setting `json:"settings"`
	// Inputs are the files of the folder that the run was made of.
	Inputs []Input `json:"inputs"`
}

// Setting is one thing that a run was told.
type Setting struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// Input is a file that a run was made of: a suite, the profile, known failures.
type Input struct {
	Path   string `json:"path"`   // in the folder, with slashes
	Origin string `json:"origin"` // where it was read from; a built-in file has no directory before its own
	SHA256 string `json:"sha256"`

	content []byte
}

// NewInput is a file with its content.
func NewInput(path, origin string, content []byte) Input {
	return Input{path, origin, Digest(content), content}
}

// SuiteFile is where the suite of a name stands in the folder.
func SuiteFile(suite string) string { return scenarioDir + "/" + suite + ".yaml" }

// SuiteOf is the suite whose file a path in the folder is; false for other files.
func SuiteOf(path string) (suite string, ok bool) {
	suite, below := strings.CutPrefix(path, scenarioDir+"/")
	suite, yaml := strings.CutSuffix(suite, ".yaml")
	return suite, below && yaml
}

// Digest is the SHA-256 of a content, in hexadecimal.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// Setting returns the values of a setting; none where the run was not told it.
func (m Manifest) Setting(name string) []string {
	i := slices.IndexFunc(m.Settings, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return m.Settings[i].Values
}

// CheckFolder tells why a results folder cannot be begun in dir: it must be empty, or not
// be there while the directory that it is to stand in is.
func CheckFolder(dir string) error {
	switch entries, err := os.ReadDir(dir); {
	case err == nil && len(entries) > 0:
		return occupied(dir)
	case err == nil:
		return nil
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("begin the results folder: %w", err)
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if info, err := os.Stat(parent); err != nil || !info.IsDir() {
		return fmt.Errorf("begin the results folder %s: there is no directory %s; make it first", dir, parent)
	}
	return nil
}

// occupied says why a directory that is not empty takes no results.
func occupied(dir string) error {
	if who, held := holder(dir); held {
		return fmt.Errorf("begin the results folder %s: another run is under way there (%s); name another", dir, who)
	}
	return fmt.Errorf("begin the results folder %s: it is not empty, and results are never overwritten; name another or move this one away", dir)
}

// Folder is a results folder whose run is under way. No other run can begin in it.
type Folder struct {
	dir  string
	lock *flock.Flock
}

// BeginFolder makes a results folder, readable by its owner only, with what a run is made
// of: the inputs first, and then the manifest, so that a folder with a manifest has them.
// Of several that begin in one place at the same time, one does.
func BeginFolder(dir string, m Manifest) (*Folder, error) {
	if err := CheckFolder(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("begin the results folder: %w", err)
	}
	f := &Folder{dir: dir}
	if err := f.claim(); err != nil {
		return nil, err
	}
	if err := f.begin(m); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// claim takes the folder for this run. The lock is a file that only one can create, and it
// is held for as long as the process lives, which tells a run that goes on from one
// that was killed.
func (f *Folder) claim() error {
	path := filepath.Join(f.dir, lockFile)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return occupied(f.dir)
	}
	if err != nil {
		return fmt.Errorf("begin the results folder: lock it: %w", err)
	}
	f.lock = flock.New(path, flock.SetFlag(os.O_RDWR))
	_, err = fmt.Fprintf(file, "process %d, since %s\n", os.Getpid(), time.Now().UTC().Format(time.RFC3339))
	if err = errors.Join(err, file.Close()); err == nil {
		err = f.hold()
	}
	if err != nil {
		return fmt.Errorf("begin the results folder: lock it: %w", errors.Join(err, f.unlock()))
	}
	// Another run may have begun and ended since the folder was seen to be empty.
	entries, err := os.ReadDir(f.dir)
	if err == nil && len(entries) > 1 {
		err = occupied(f.dir)
	}
	if err != nil {
		return errors.Join(err, f.unlock())
	}
	return nil
}

// hold holds the lock, which others hold for a look at most.
func (f *Folder) hold() error {
	const long, short = 2 * time.Second, 5 * time.Millisecond
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	_, err := f.lock.TryLockContext(ctx, short)
	return err
}

// unlock takes the lock away.
func (f *Folder) unlock() error {
	return errors.Join(f.Close(), os.Remove(filepath.Join(f.dir, lockFile)))
}

// Close gives up a folder whose run cannot go on: it stays as it is, and is read as that of
// a run that was cut short.
func (f *Folder) Close() error { return f.lock.Close() }

func (f *Folder) begin(m Manifest) error {
	for _, in := range m.Inputs {
		path := filepath.Join(f.dir, filepath.FromSlash(in.Path))
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err == nil {
			err = Replace(path, func(w io.Writer) error { _, err := w.Write(in.content); return err })
		}
		if err != nil {
			return fmt.Errorf("write %s to the results folder: %w", in.Path, err)
		}
	}
	m.Schema = folderSchema
	if err := writeJSONFile(filepath.Join(f.dir, ManifestFile), m); err != nil {
		return err
	}
	return f.syncDirs()
}

// syncDirs has the disk keep the names of what is in the folder, and its own.
func (f *Folder) syncDirs() error {
	err := filepath.WalkDir(f.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return syncDir(path)
	})
	if err == nil {
		err = syncDir(filepath.Dir(filepath.Clean(f.dir)))
	}
	if err != nil {
		return fmt.Errorf("write the results folder to the disk: %w", err)
	}
	return nil
}

// Journal begins the journal in the folder.
func (f *Folder) Journal(run Run, planned []Planned) (*Journal, error) {
	return CreateJournal(filepath.Join(f.dir, JournalFile), run, planned)
}

// End writes the reports of a run that has ended into its folder, and then the digests of
// everything in it. A format that cannot be written costs no other; the folder is then
// read as that of a run that was cut short.
func (f *Folder) End(run Run) error {
	var err error
	for _, format := range Formats {
		if name := format.File; name != "" {
			err = errors.Join(err, WriteFile(filepath.Join(f.dir, name), func(w io.Writer) error { return format.Write(w, run) }))
		}
	}
	if err == nil {
		err = f.writeSums()
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	return f.unlock()
}

// writeSums writes the digests of all files, that of the journal last: where it
// is missing, the list was cut off.
func (f *Folder) writeSums() error {
	var names []string
	err := filepath.WalkDir(f.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(f.dir, path)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	if err != nil {
		return fmt.Errorf("list the results folder: %w", err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == lockFile || name == JournalFile })
	slices.Sort(names)
	var sums strings.Builder
	for _, name := range append(names, JournalFile) {
		sum, err := digestOf(filepath.Join(f.dir, filepath.FromSlash(name)))
		if err != nil {
			return fmt.Errorf("digest the results folder: %w", err)
		}
		fmt.Fprintf(&sums, "%s  %s\n", sum, name)
	}
	path := filepath.Join(f.dir, SumsFile)
	if err := Replace(path, func(w io.Writer) error { _, err := io.WriteString(w, sums.String()); return err }); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// digestOf is the SHA-256 of a regular file, in hexadecimal.
func digestOf(path string) (string, error) {
	switch info, err := os.Lstat(path); {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func writeJSONFile(path string, v any) error {
	if err := Replace(path, func(w io.Writer) error { return WriteJSON(w, v) }); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// ReadManifest reads what BeginFolder wrote. One of another schema, one that is cut off
// and one with fields that this version does not know are errors.
func ReadManifest(src []byte) (m Manifest, err error) {
	if len(src) > maxManifest {
		return m, fmt.Errorf("read the manifest: it is larger than %d MiB", maxManifest>>20)
	}
	d := json.NewDecoder(bytes.NewReader(src))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return Manifest{}, fmt.Errorf("read the manifest: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Manifest{}, errors.New("read the manifest: something follows it")
	}
	if m.Schema != folderSchema {
		return Manifest{}, fmt.Errorf("read the manifest: its schema is %q, and this version reads %q", m.Schema, folderSchema)
	}
	return m, nil
}
