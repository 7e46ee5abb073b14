package suites

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"

	"github.com/hookanvil/hookanvil/scenarios"
)

// placeOf is where a case of the user's own is written down, as a path from the top of the
// repository, which a report shows beside the code; empty of a built-in one. The top is
// GitHub's workspace or, elsewhere, the working directory.
func placeOf(c scenarios.Case) (file string, line int) {
	if c.File == "" || c.BuiltIn {
		return "", 0
	}
	here, err := os.Getwd()
	if err != nil {
		return filepath.Base(c.File), c.Line
	}
	file = c.File
	if !filepath.IsAbs(file) {
		file = filepath.Join(here, file)
	}
	inside, err := filepath.Rel(cmp.Or(os.Getenv("GITHUB_WORKSPACE"), here), file)
	if err != nil || inside == ".." || strings.HasPrefix(inside, ".."+string(filepath.Separator)) {
		return filepath.Base(file), c.Line
	}
	return filepath.ToSlash(inside), c.Line
}
