//go:build !unix

package attack

import "time"

// What this system does not say is reported as nothing, and is no reason to doubt a
// run.
func usageNow(at time.Duration) usage { return usage{at: at} }
func fileLimit() int                  { return 0 }
