package receiver

import (
	"testing"
	"testing/synctest"
	"time"
)

// How long an honest effect takes to show decides how long the absence of one is
// waited for; how long a probe takes to answer does not.
func TestQuietTimeIsLearntFromEffects(t *testing.T) {
	cases := []struct {
		name        string
		read, shows time.Duration // one look takes, the effect takes
		quiet       time.Duration // at least, and at most twice that
	}{
		{"at once", 0, 0, 5 * time.Millisecond},
		{"a slow probe", 300 * time.Millisecond, 0, 5 * time.Millisecond},
		{"a slow effect", 0, 100 * time.Millisecond, 400 * time.Millisecond},
		{"slower than is waited for", 0, 800 * time.Millisecond, time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := &Judge{subject: Subject{Limits: Limits{Quiet: 5 * time.Millisecond, Settle: time.Second}}}
				start := time.Now()
				look := func() (int, error) {
					time.Sleep(c.read)
					if time.Since(start) >= c.shows {
						return 1, nil
					}
					return 0, nil
				}
				if n, err := (&trial{Judge: j}).await(t.Context(), look, 1, time.Second); n != 1 || err != nil {
					t.Fatalf("%d effects (%v), want 1", n, err)
				}
				if q := j.quiet(); q < c.quiet || q > 2*c.quiet {
					t.Errorf("the quiet time is %s, want %s", q, c.quiet)
				}
			})
		})
	}
}
