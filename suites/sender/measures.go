package sender

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/scenarios"
)

// measure is something that is found out over more than one case, or takes a figure.
type measure struct {
	scenarios.Entry
	needs   []string
	measure func(ctx context.Context, t *trial) finding
}

type measureTable []measure

func (t measureTable) find(name string) measure {
	i := slices.IndexFunc(t, func(m measure) bool { return m.Name == name })
	return t[i]
}

// measures are those that a scenario can ask for. Each sentence completes "the
// sender ...".
var measures measureTable

// The table refers to functions that refer to it; hence init.
func init() {
	measures = measureTable{
		{Entry: word("every-attempt-signed", "has signed every attempt of the run"), needs: []string{"secret"}, measure: measureSigned},
		{Entry: word("every-attempt-well-formed", "has sent nothing but well-formed requests in the run"), measure: measureWellFormed},
		{Entry: word("ids-unique-over-the-run", "has given no two events of the run the same id"), needs: []string{"id", "tokens"}, measure: measureIDs},
		{Entry: word("schedule-shape", "waits between its attempts by a rule that can be told: constant, linear or exponential"), needs: []string{"retries"}, measure: measureShape},
	}
}

func measureSigned(_ context.Context, t *trial) finding {
	t.sights.mu.Lock()
	defer t.sights.mu.Unlock()
	t.figure("attempts of the run", float64(t.sights.attempts), "count", "")
	t.figure("attempts that verify", float64(t.sights.attempts-t.sights.unsigned), "count", "")
	switch {
	case t.sights.attempts == 0:
		return inconclusive("no attempt has been seen in this run")
	case t.sights.unsigned > 0:
		return failed("%d of %d attempts of the run do not verify; the first was %s", t.sights.unsigned, t.sights.attempts, t.sights.firstUnsigned)
	}
	return passed()
}

func measureWellFormed(_ context.Context, t *trial) finding {
	all := t.house.incidents()
	all = slices.DeleteFunc(all, func(x wire.Incident) bool { return !malformed(x) })
	t.figure("connections without a well-formed request", float64(len(all)), "count", "")
	if len(all) > 0 {
		return failed("something arrived that is no request: %s", all[0].Detail)
	}
	return passed()
}

func measureIDs(_ context.Context, t *trial) finding {
	t.sights.mu.Lock()
	defer t.sights.mu.Unlock()
	t.figure("ids of the run", float64(len(t.sights.ids)), "count", "")
	switch {
	case len(t.sights.ids) < 2:
		return inconclusive("fewer than two events have been seen in this run")
	case t.sights.taken != "":
		return failed("two events of the run have the same id %s", quote(t.sights.taken))
	}
	return passed()
}

// measureShape fits the gaps of one delivery that never succeeds.
func measureShape(ctx context.Context, t *trial) finding {
	t.c.Trigger = scenarios.Triggers{{}}
	t.c.Respond = scenarios.Answers{{Status: 500}}
	t.c.Expect = scenarios.Expect{{Name: "growing"}} // as many attempts as it makes
	if f := t.open(ctx); f.reason != "" {
		return f
	}
	t.perform(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.keepUnfinished()
	s := t.scopeOf(everything)
	if f := t.arrived(s); f.reason != "" {
		return f
	}
	gaps := s.deliveries[0].gaps()
	t.figure("attempts seen", float64(len(gaps)+1), "count", "")
	for i, gap := range gaps {
		t.figure(fmt.Sprintf("gap after attempt %d", i+1), float64(gap.Milliseconds()), "ms", "")
	}
	if len(gaps) == 0 {
		return t.tooFew(s.deliveries[0], 2)
	}
	fit := FitGaps(gaps)
	t.figure("error of the fit", math.Round(100*fit.Error), "percent", fit.String())
	// Jitter may hide a shape: that is no fault, and the figure says so.
	return passed()
}
