package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// Record is a run that is read back, with what was kept beside it.
type Record struct {
	Run
	Path string // where it was read from
	// Manifest says what the run was made of; nil where it was not kept in a results folder.
	Manifest *Manifest
}

// maxRecord is the size of a file that is read as a report: a run of every case with all of
// its evidence has a twentieth of it.
const maxRecord = 256 << 20

// Kept is what ReadKept found: the one or the other.
type Kept struct {
	Record *Record      // of a run of cases
	Load   *Measurement // of a load
}

// ReadKept reads what is kept of a run: its results folder, its journal or its JSON report,
// or the JSON report of a load. What a file is, its schema says, and not its name.
func ReadKept(path string) (Kept, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Kept{}, fmt.Errorf("read a run: %w", err)
	}
	if info.IsDir() {
		r, err := folderRecord(path)
		if err != nil {
			return Kept{}, fmt.Errorf("read the run in %s: %w", path, err)
		}
		r.Path = path
		return Kept{Record: &r}, nil
	}
	k, err := fileRecord(path)
	if err != nil {
		return Kept{}, fmt.Errorf("read the run in %s: %w", path, err)
	}
	if k.Record != nil {
		k.Record.Path = path
	}
	return k, nil
}

// folderRecord reads a results folder. What was not finished, or was changed since, is incomplete;
// what the run was made of must be as it was.
func folderRecord(dir string) (Record, error) {
	run, err := ReadFolder(dir)
	if err != nil {
		return Record{}, err
	}
	r := Record{Run: run}
	src, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	if errors.Is(err, os.ErrNotExist) {
		return r, nil // the run is incomplete
	}
	if err != nil {
		return r, err
	}
	m, err := ReadManifest(src)
	if err != nil {
		return r, err
	}
	if m.Seed != r.Seed || m.Role != r.Subject.Role || m.Profile != r.Profile {
		return r, fmt.Errorf("%s and %s are of two runs", ManifestFile, JournalFile)
	}
	r.Manifest = &m
	return r, m.checkInputs(dir)
}

// checkInputs holds the files that a run was made of against their digests.
func (m Manifest) checkInputs(dir string) error {
	for _, in := range m.Inputs {
		path := filepath.FromSlash(in.Path)
		if !filepath.IsLocal(path) {
			return fmt.Errorf("%s names the file %q, which is not in the folder", ManifestFile, in.Path)
		}
		src, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			return err
		}
		if Digest(src) != in.SHA256 {
			return fmt.Errorf("%s was changed since the run: its SHA-256 is not that in %s", in.Path, ManifestFile)
		}
	}
	return nil
}

func fileRecord(path string) (k Kept, err error) {
	f, err := os.Open(path)
	if err != nil {
		return k, err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxRecord+1))
	if err == nil && len(src) > maxRecord {
		err = fmt.Errorf("it is larger than %d MiB", maxRecord>>20)
	}
	if err != nil {
		return k, err
	}
	if bytes.HasPrefix(src, []byte(`{"crc":`)) {
		run, err := ReadJournal(bytes.NewReader(src))
		return Kept{Record: &Record{Run: run}}, err
	}
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(src, &head); err != nil {
		return k, fmt.Errorf("it is neither a journal nor a JSON report: %w", err)
	}
	switch head.Schema {
	case Schema:
		run, err := ReadJSON(bytes.NewReader(src))
		return Kept{Record: &Record{Run: run}}, err
	case MeasurementSchema:
		m, err := ReadMeasurement(bytes.NewReader(src))
		return Kept{Load: &m}, err
	}
	return k, fmt.Errorf("its schema is %q, and this version reads %q, %q, journals and results folders", head.Schema, Schema, MeasurementSchema)
}

// Unfinished says why a run cannot stand for all of its cases; it is empty where it can.
func (r *Run) Unfinished() string {
	switch t := r.Count(); {
	case r.State == Interrupted:
		return "it was interrupted"
	case r.State != Complete && len(r.Notes) > 0:
		return "it was cut short, or changed: " + r.Notes[len(r.Notes)-1]
	case r.State != Complete:
		return "it was cut short"
	case t.judged() == 0:
		return "it judged nothing"
	}
	return ""
}

// byID are the results by their cases.
func (r *Run) byID() map[string]*Result {
	all := make(map[string]*Result, len(r.Results))
	for i := range r.Results {
		all[r.Results[i].ID] = &r.Results[i]
	}
	return all
}

// result is that of a case; nil where it is not in the run.
func (r *Run) result(id string) *Result {
	i := slices.IndexFunc(r.Results, func(r Result) bool { return r.ID == id })
	if i < 0 {
		return nil
	}
	return &r.Results[i]
}
