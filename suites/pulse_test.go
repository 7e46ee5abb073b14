package suites

import (
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/reports"
)

func TestPulse(t *testing.T) {
	for _, tc := range []struct {
		name       string
		ran, clock time.Duration // since the last beat, by the one clock and by the other
		want       string
	}{
		{"as it should be", pulseEvery, pulseEvery, ""},
		{"a busy machine", 900 * time.Millisecond, 900 * time.Millisecond, ""},
		{"the clock is slewed", pulseEvery, 2 * pulseEvery, ""},
		{"a stop", 30 * time.Second, 30 * time.Second, "this process did not run for 30s: it was stopped, or found no processor"},
		{"an hour ahead", pulseEvery, time.Hour, "the clock of this machine jumped by 59m59.9s: it was set, or the machine slept"},
		{"an hour back", pulseEvery, -time.Hour, "the clock of this machine jumped by -1h0m0.1s: it was set, or the machine slept"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			start := time.Now()
			p := &pulse{mono: start, wall: start}
			p.read(start.Add(tc.ran), start.Add(tc.clock))
			var got string
			if len(p.gaps) > 0 {
				got = p.gaps[0].what
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestOnlyWhatRanMeanwhileIsWeighed(t *testing.T) {
	now := time.Now()
	p := &pulse{mono: now, wall: now, gaps: []gap{{now.Add(-time.Minute), "this process did not run"}}}
	for _, tc := range []struct {
		verdict reports.Verdict
		since   time.Duration
		want    reports.Verdict
	}{
		{reports.Fail, -2 * time.Minute, reports.Inconclusive},
		{reports.Pass, -2 * time.Minute, reports.Inconclusive},
		{reports.Warn, -2 * time.Minute, reports.Inconclusive},
		{reports.Skip, -2 * time.Minute, reports.Skip},
		{reports.Fail, -30 * time.Second, reports.Fail},
	} {
		r := reports.Result{Verdict: tc.verdict}
		if p.weigh(&r, now.Add(tc.since)); r.Verdict != tc.want {
			t.Errorf("%s of %s: became %s, want %s", tc.verdict, -tc.since, r.Verdict, tc.want)
		}
	}
}
