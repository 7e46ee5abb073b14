package load_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites/load"
)

const rising = "level: should\nfire: {rate: 100%, for: 100%, endpoints: 2, up-to: 400%, search: 1500%}\nmeasure: tx-load-throughput\nwithin: {latency: 800ms, rate: 150%}\n"

// rise judges how far the rate of events can be raised for a sender with a fault.
func rise(t *testing.T, fault string, record load.Recorder) reports.Result {
	s := newSender(t, fault)
	how := load.Sender{Profile: s.p, Keys: s.keys, Fire: s.fire}
	j := load.NewSenderJudge(load.SenderSubject{Sender: how, Rate: 30, Time: 400 * time.Millisecond}, record)
	return j.Run(t.Context(), parse(t, rising))
}

func TestTheRateAtWhichASenderKeepsUp(t *testing.T) {
	cases := []struct {
		fault   string
		verdict reports.Verdict
		says    string
	}{
		{"", reports.Pass, ""},
		{"one-by-one", reports.Warn, "and 45/s are asked for: at "},
		{"loses", reports.Warn, "not all events arrived"},
		{"forges", reports.Warn, "attempts do not verify"},
		{"refuses-events", reports.Warn, "triggers failed, the first with: no"},
		{"late", reports.Pass, ""}, // late, and no later the longer it takes
	}
	got := make([]reports.Result, len(cases))
	together(len(cases), func(i int) { got[i] = rise(t, cases[i].fault, load.Recorder{}) })
	for i, tt := range cases {
		t.Run(tt.fault, func(t *testing.T) {
			r := got[i]
			for try := 0; try < again && r.Verdict != tt.verdict && (r.Verdict == reports.Inconclusive || tt.verdict == reports.Pass); try++ {
				t.Logf("once more: %s", r.Reason)
				r = rise(t, tt.fault, load.Recorder{})
			}
			if r.Verdict != tt.verdict || !strings.Contains(r.Reason, tt.says) {
				t.Fatalf("%s: %s; want %s: %s", r.Verdict, r.Reason, tt.verdict, tt.says)
			}
			c := r.Absorbed.Capacity
			if c == nil || len(c.Trials) == 0 || len(r.Figures) == 0 {
				t.Fatalf("the result tells of no search: %+v, figures %v", r.Absorbed, r.Figures)
			}
			if tt.fault == "one-by-one" && (c.Low < 20 || c.High > 45) {
				t.Errorf("of a sender that keeps up with 35/s is said: %s", c.Words())
			}
			t.Logf("%s, %s", c.Words(), r.Duration.Round(time.Millisecond))
		})
	}
}

// What a search found is judged by the bounds of the answer, and not by its middle.
func TestVerdictsOfASearch(t *testing.T) {
	held, more, broken := reports.Trial{Rate: 50, Held: true}, reports.Trial{Rate: 80, Held: true}, reports.Trial{Rate: 100, Broken: []string{"events waited ever longer"}}
	for _, tt := range []struct {
		name    string
		found   *reports.Capacity
		least   float64
		verdict reports.Verdict
		says    string
	}{
		{"no search", nil, 10, reports.Inconclusive, "up-to"},
		{"no trial", &reports.Capacity{}, 10, reports.Inconclusive, "no rate was tried"},
		{"enough", &reports.Capacity{Rate: 80, Low: 75, High: 85, Trials: []reports.Trial{held, more, broken, more}}, 75, reports.Pass, ""},
		{"enough, once", &reports.Capacity{Rate: 80, Low: 75, High: 85, Trials: []reports.Trial{held, more, broken}}, 75, reports.Inconclusive, "a single trial"},
		{"perhaps", &reports.Capacity{Rate: 80, Low: 74, High: 85, Trials: []reports.Trial{held, broken}}, 75, reports.Inconclusive, "whether at 75/s"},
		{"too little", &reports.Capacity{Rate: 60, Low: 55, High: 65, Trials: []reports.Trial{held, broken}}, 75, reports.Fail, "60/s, from 55/s to 65/s, and 75/s are asked for: at 100/s events waited"},
		{"nothing", &reports.Capacity{High: 2, Trials: []reports.Trial{broken}}, 75, reports.Fail, "less than 2/s"},
		{"no limit", &reports.Capacity{Rate: 400, Low: 400, Unlimited: true, Trials: []reports.Trial{held, more, more}}, 75, reports.Pass, ""},
		{"our own limit", &reports.Capacity{Rate: 50, Low: 50, Unlimited: true, Trials: []reports.Trial{held}}, 75, reports.Inconclusive, "could not be fired as they should be"},
		{"what is fired, where nothing is asked for", &reports.Capacity{Rate: 60, Low: 55, High: 65, Trials: []reports.Trial{held, broken, held}}, 0, reports.Pass, ""},
		{"less than is fired, where nothing is asked for", &reports.Capacity{Rate: 40, Low: 35, High: 45, Trials: []reports.Trial{held, broken}}, 0, reports.Fail, "50/s are asked for"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run := load.SenderRun{Absorption: reports.Absorption{Capacity: tt.found}}
			got := judge(t, "tx-load-throughput", run, nil, load.SenderBounds{Rate: tt.least})
			if got.Verdict != tt.verdict || !strings.Contains(got.Reason, tt.says) {
				t.Errorf("%s: %s; want %s: %s", got.Verdict, got.Reason, tt.verdict, tt.says)
			}
		})
	}
}

// Everything that a verdict rests on is recorded before it is there, and no verdict rests
// on what could not be recorded.
func TestObservationsAreRecordedFirst(t *testing.T) {
	const signatures = "level: must\nfire: {rate: 100%, for: 100%}\nmeasure: tx-load-signature-validity\n"
	s := newSender(t, "forges")
	subject := load.SenderSubject{Sender: load.Sender{Profile: s.p, Keys: s.keys, Fire: s.fire}, Rate: 100, Time: 150 * time.Millisecond, Arrival: 300 * time.Millisecond}
	var labels []string
	var absorbed []reports.Absorption
	j := load.NewSenderJudge(subject, load.Recorder{
		Observe: func(_ string, x reports.Exchange) error { labels = append(labels, x.Label); return nil },
		Absorb:  func(_ string, a reports.Absorption) error { absorbed = append(absorbed, a); return nil },
	})
	r := j.Run(t.Context(), parse(t, signatures))
	if r.Verdict != reports.Fail || len(absorbed) != 1 || absorbed[0].Refused == 0 || absorbed[0].Age.HDR == "" || !slices.Contains(labels, "refused: mismatch") {
		t.Errorf("%s: recorded %v, and %d absorptions", r.Verdict, labels, len(absorbed))
	}
	if r.Absorbed == nil || r.Absorbed.Refused != absorbed[0].Refused || r.Absorbed.Age.HDR != absorbed[0].Age.HDR || len(r.Evidence) != len(labels) {
		t.Errorf("the result has %+v, and %d exchanges", r.Absorbed, len(r.Evidence))
	}
	// Another case is judged by the same run, and has it recorded as well.
	if r = j.Run(t.Context(), parse(t, strings.Replace(signatures, "signature-validity", "no-loss-no-dup", 1))); len(absorbed) != 2 {
		t.Errorf("%s: %d absorptions are recorded", r.Verdict, len(absorbed))
	}

	full := errors.New("the disk is full")
	for _, broken := range []load.Recorder{
		{Observe: func(string, reports.Exchange) error { return full }},
		{Absorb: func(string, reports.Absorption) error { return full }},
	} {
		r := load.NewSenderJudge(subject, broken).Run(t.Context(), parse(t, signatures))
		if r.Verdict != reports.Inconclusive || !strings.Contains(r.Reason, "could not be recorded: the disk is full") {
			t.Errorf("%s: %s", r.Verdict, r.Reason)
		}
	}

	var trials atomic.Int64
	r = rise(t, "", load.Recorder{Absorb: func(string, reports.Absorption) error { trials.Add(1); return nil }})
	if n := int64(len(r.Absorbed.Capacity.Trials)); trials.Load() != n+1 {
		t.Errorf("%d trials are recorded of %d, and the outcome", trials.Load(), n)
	}
	if r = rise(t, "", load.Recorder{Absorb: func(string, reports.Absorption) error { return full }}); r.Verdict != reports.Inconclusive || !strings.Contains(r.Reason, "the disk is full") {
		t.Errorf("%s: %s", r.Verdict, r.Reason)
	}
}

// A search that is interrupted concludes nothing.
func TestASearchIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := newSender(t, "")
	fired := func(ctx context.Context, url, token string) error {
		if s.n.Load() == 20 {
			cancel()
		}
		return s.fire(ctx, url, token)
	}
	j := load.NewSenderJudge(load.SenderSubject{Sender: load.Sender{Profile: s.p, Keys: s.keys, Fire: fired}, Rate: 30, Time: 500 * time.Millisecond}, load.Recorder{})
	started := time.Now()
	if r := j.Run(ctx, parse(t, rising)); r.Verdict != reports.Inconclusive || r.Reason != "the run was interrupted" || time.Since(started) > 10*time.Second {
		t.Errorf("%s: %s, after %s", r.Verdict, r.Reason, time.Since(started))
	}
}
