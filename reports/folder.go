package reports

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A results folder holds a run and everything that it was made of. It is written as the
// run goes: what the run was given before anything is sent, the journal as things
// happen, and the report at the end. A run that is cut short leaves a folder that says
// what ran.
const (
	ManifestFile = "run.json"            // a Manifest
	JournalFile  = "run.journal"         // what happened: every report can be written from it
	ReportFile   = "report.json"         // what JSON writes
	ProfileFile  = "profile.yaml"        // the profile
	KnownFile    = "known-failures.yaml" // where known failures were given
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
		return fmt.Errorf("begin the results folder %s: it is not empty, and results are never overwritten; name another or move this one away", dir)
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

// BeginFolder makes a results folder, readable by its owner only, with what a run is made
// of: the inputs first, and then the manifest, so that a folder with a manifest has them.
func BeginFolder(dir string, m Manifest) error {
	if err := CheckFolder(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("begin the results folder: %w", err)
	}
	for _, in := range m.Inputs {
		path := filepath.Join(dir, filepath.FromSlash(in.Path))
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err == nil {
			err = Replace(path, func(w io.Writer) error { _, err := w.Write(in.content); return err })
		}
		if err != nil {
			return fmt.Errorf("write %s to the results folder: %w", in.Path, err)
		}
	}
	m.Schema = folderSchema
	return writeJSONFile(filepath.Join(dir, ManifestFile), m)
}

// EndFolder writes the report of a run into its results folder.
func EndFolder(dir string, run Run) error {
	return WriteFile(filepath.Join(dir, ReportFile), func(w io.Writer) error { return JSON(w, run) })
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
