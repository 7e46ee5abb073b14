package suites

import (
	"runtime/debug"
	"strings"
)

// version is the version of this module; a release is linked with its own.
var version = "v0.1.0"

// Tool is the name and version that reports carry, with the revision it was built
// from where that is known.
func Tool() string {
	tool := "hookanvil " + version
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return tool
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			tool += " (" + strings.TrimSpace(s.Value[:min(12, len(s.Value))]) + ")"
		}
	}
	return tool
}
