package suites

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/reports"
)

// observedMark begins a profile that was observed, and tells it from one that
// somebody wrote.
const observedMark = "# Observed by hookanvil: what the sender was seen to do."

// checkObserve finds what is wrong with the file for the observed profile, before a
// run. One that was observed before is replaced, as reports are. Any other is
// somebody's own, most likely the declared profile.
func (s Settings) checkObserve() error {
	if s.Observe == "" {
		return nil
	}
	if err := isDirectory(filepath.Dir(s.Observe), "--observe", s.Observe); err != nil {
		return err
	}
	if err := replaceable(s.Observe); err != nil {
		return fmt.Errorf("write the observed profile %s: %w", s.Observe, err)
	}
	return nil
}

func replaceable(path string) error {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
		return errors.New("it is not a regular file; name another")
	}
	begin := make([]byte, len(observedMark))
	if n, err := io.ReadFull(f, begin); n > 0 && (err != nil || string(begin) != observedMark) {
		return errors.New("the file exists and is not one that hookanvil observed; name another or move this one away")
	}
	return nil
}

// writeProfile writes an observed profile, whole or not at all.
func writeProfile(path string, p *profile.Profile) error {
	src, err := profile.Write(p)
	if err == nil {
		err = replaceable(path)
	}
	if err == nil {
		err = reports.Replace(path, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "%s\n%s", observedMark, src)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("write the observed profile %s: %w", path, err)
	}
	return nil
}
