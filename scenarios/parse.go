package scenarios

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// Catalogue is the built-in scenarios: one directory a role, one file a suite.
//
//go:embed receiver/*.yaml sender/*.yaml load/*.yaml
var Catalogue embed.FS

// Parse reads and validates one file, whose words are those of the vocabulary of
// its suite's role. Every problem that can be found is in the error, a
// strictyaml.Errors; the suite is nil then.
func Parse(file string, src []byte, vocabularies ...Vocabulary) (*Suite, error) {
	suite := &Suite{File: file}
	doc, err := strictyaml.Decode(file, src, suite)
	if err != nil {
		return nil, err
	}
	if err := check(doc.Root, suite, vocabularies); err != nil {
		return nil, err
	}
	return suite, nil
}

// Load reads every .yaml file below dir, in the order of their names, programmes of
// certification left out. Problems of all files are reported together.
func Load(fsys fs.FS, dir string, vocabularies ...Vocabulary) ([]*Suite, error) {
	l := loader{vocabularies: vocabularies, seen: map[string]string{}}
	l.tree(fsys, dir, dir)
	return l.result()
}

// LoadFiles reads files, and directories as Load does, from the operating
// system.
func LoadFiles(paths []string, vocabularies ...Vocabulary) ([]*Suite, error) {
	l := loader{vocabularies: vocabularies, seen: map[string]string{}}
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil && info.IsDir() {
			l.tree(os.DirFS(p), ".", p)
			continue
		}
		l.file(os.DirFS(filepath.Dir(p)), filepath.Base(p), p)
	}
	return l.result()
}

type loader struct {
	vocabularies []Vocabulary
	suites       []*Suite
	seen         map[string]string // full name of a case to its position
	errs         []error
}

func (l *loader) result() ([]*Suite, error) {
	if len(l.errs) > 0 {
		return nil, errors.Join(l.errs...)
	}
	return l.suites, nil
}

// tree reads the files below dir; shown is what the user calls it.
func (l *loader) tree(fsys fs.FS, dir, shown string) {
	found := false
	err := fs.WalkDir(fsys, dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == programmeDir && name != dir {
			return fs.SkipDir
		}
		if !entry.IsDir() && isYAML(name) {
			found = true
			l.file(fsys, name, path.Join(filepath.ToSlash(shown), strings.TrimPrefix(name, dir)))
		}
		return nil
	})
	switch {
	case err != nil:
		l.errs = append(l.errs, fmt.Errorf("read the scenarios below %s: %w", shown, err))
	case !found:
		l.errs = append(l.errs, fmt.Errorf("no scenarios below %s: it holds no .yaml file", shown))
	}
}

func isYAML(name string) bool { return path.Ext(name) == ".yaml" || path.Ext(name) == ".yml" }

func (l *loader) file(fsys fs.FS, name, shown string) {
	src, err := read(fsys, name)
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("read scenario file %s: %w", shown, err))
		return
	}
	suite, err := Parse(shown, src, l.vocabularies...)
	if err != nil {
		l.errs = append(l.errs, err)
		return
	}
	l.suites = append(l.suites, suite)
	for _, c := range suite.Cases {
		position := fmt.Sprintf("%s:%d", c.File, c.Line)
		if first, twice := l.seen[c.Name()]; twice {
			l.errs = append(l.errs, fmt.Errorf("%s: the case %s is in %s already: give it another id, or its suite another name", position, c.Name(), first))
		}
		l.seen[c.Name()] = position
	}
}

// read reads no more of a regular file than shows that it is too large. Others
// may never end: devices, pipes.
func read(fsys fs.FS, name string) (src []byte, err error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, strictyaml.MaxBytes+1))
}
