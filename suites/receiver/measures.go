package receiver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// measure is a case that finds out a figure instead of sending what it is told.
type measure struct {
	scenarios.Entry
	needs   []string
	measure func(t *trial, ctx context.Context) finding
}

type measureTable []measure

func (t measureTable) find(name string) measure {
	i := slices.IndexFunc(t, func(m measure) bool { return m.Name == name })
	return t[i]
}

var measures measureTable

// The table refers to functions that refer to it; hence init.
func init() {
	measures = measureTable{
		{word("", "window-past", "the greatest age at which a delivery is still accepted, by bisection"), []string{"bounded-age"},
			func(t *trial, ctx context.Context) finding { return t.window(ctx, -1) }},
		{word("", "window-future", "how far in the future a delivery may be signed and still be accepted, by bisection"), []string{"timestamp", "bounded-future"},
			func(t *trial, ctx context.Context) finding { return t.window(ctx, +1) }},
		{word("", "acknowledgement", "the time to the answer, over twenty honest deliveries"), nil, (*trial).acknowledgement},
		{word("", "slow-clients", "the time to the answer while fifty other connections send a byte at a time"), nil, (*trial).slowClients},
		{word("", "served-chain", "whether what the target shows leads to a trusted authority"), []string{"tls"}, ofChain(verified)},
		{word("", "served-name", "whether it names the target"), []string{"tls"}, ofChain(named)},
		{word("", "served-validity", "whether it is valid today"), []string{"tls"}, ofChain(inTime)},
		{word("", "served-days", "for how many days it still is"), []string{"tls"}, ofChain(aWhile)},
		{word("", "served-strength", "whether its keys and signatures can be trusted"), []string{"tls"}, ofChain(strong)},
		{word("", "served-usage", "whether it is for servers"), []string{"tls"}, ofChain(forServers)},
		{word("", "versions", "which versions of TLS the target speaks"), []string{"tls"}, (*trial).versions},
		{word("", "renegotiation", "whether a client can have it begin another handshake on the same connection"), []string{"tls"}, (*trial).renegotiation},
		{word("", "signed-data", "whether a delivery is refused of which one of the data that its signature covers was changed, whichever it is"), []string{"signature", "signed-data"}, (*trial).signedData},
		{word("", "signed-beside", "whether a delivery is refused of which one of the query parameters and headers that its signature covers was changed, whichever it is"), []string{"signature", "signed-beside"}, (*trial).signedBeside},
		{word("", "flood", "the time to the answer right after a header of 150 wrong signatures"), []string{"signature-list"}, (*trial).flood},
		{word("", "comparison", "whether a refusal takes the longer, the later a signature differs from the right one"), []string{"hmac"}, (*trial).comparison},
	}
}

// windowProbes bounds the number of deliveries that a bisection sends.
const windowProbes = 14

// window finds, by bisection, how far from now a delivery may be stamped and
// still be accepted; sign is -1 for the past and +1 for the future.
func (t *trial) window(ctx context.Context, sign int) finding {
	tolerance := t.subject.Profile.Timestamp.Tolerance
	good, bad := time.Duration(0), 16*tolerance
	accepts := func(d time.Duration) (bool, finding) {
		step := scenarios.Step{Mutate: &scenarios.Mutation{Part: "timestamp", Word: scenarios.Word{Name: "shifted", Arg: time.Duration(sign) * d}}}
		s, err := t.perform(ctx, step, fmt.Sprintf("stamped %s from now", time.Duration(sign)*d), true)
		if err != nil {
			return false, inconclusive("%s", err)
		}
		switch r := s.readings[0]; r.answer {
		case accepted:
			return true, passed()
		case refused:
			return false, passed()
		default:
			return false, inconclusive("a delivery stamped %s from now was neither accepted nor refused: %s", time.Duration(sign)*d, r.phrase)
		}
	}
	if ok, f := accepts(0); f.verdict != reports.Pass || !ok {
		return worst(f, inconclusive("the honest delivery before it was not accepted"))
	}
	if ok, f := accepts(bad); f.verdict != reports.Pass {
		return f
	} else if ok {
		t.figure("window", bad.Seconds(), "s", "at least: the bound was not found")
		return failed("a delivery stamped %s from now is still accepted; the profile allows %s", time.Duration(sign)*bad, tolerance)
	}
	for i := 0; i < windowProbes && bad-good > 2*time.Second; i++ {
		middle := (good + (bad-good)/2).Round(time.Second)
		ok, f := accepts(middle)
		switch {
		case f.verdict != reports.Pass:
			return f
		case ok:
			good = middle
		default:
			bad = middle
		}
	}
	t.figures = append(t.figures, reports.Figure{
		Name: "window", Value: good.Seconds(), Unit: "s", Within: (bad - good).Seconds(),
		Note: fmt.Sprintf("accepted at %s, refused at %s; the profile says %s", good, bad, tolerance),
	})
	if good > tolerance+edge {
		return failed("deliveries are accepted up to %s from now; the profile allows %s", good, tolerance)
	}
	return passed()
}

func (t *trial) figure(name string, value float64, unit, note string) {
	t.figures = append(t.figures, reports.Figure{Name: name, Value: value, Unit: unit, Note: note})
}

// sample is how many deliveries a measurement of time sends.
const sample = 20

// acknowledgement measures the time to the answer and judges the slowest.
func (t *trial) acknowledgement(ctx context.Context) finding {
	durations, f := t.honestTimes(ctx, sample)
	if f.verdict != reports.Pass {
		return f
	}
	t.figureTimes("acknowledgement", durations)
	return passed()
}

// honestTimes sends honest deliveries one after the other and returns, sorted,
// the times from the end of the request to the answer.
func (t *trial) honestTimes(ctx context.Context, n int) ([]time.Duration, finding) {
	var durations []time.Duration
	for i := range n {
		s, err := t.perform(ctx, scenarios.Step{}, labelled("honest delivery", i, n), false)
		if err != nil {
			return nil, inconclusive("%s", err)
		}
		r := s.readings[0]
		switch r.answer {
		case accepted:
		case late, unanswered:
			if r.Outcome == wire.HeadTimeout || r.answer == late {
				return nil, failed("%s", r.phrase)
			}
			return nil, silence(r)
		default:
			return nil, inconclusive("an honest delivery was not accepted: %s", r.phrase)
		}
		durations = append(durations, max(r.FirstByte-r.Wrote, 0))
	}
	slices.Sort(durations)
	return durations, passed()
}

func (t *trial) figureTimes(name string, sorted []time.Duration) {
	t.figure(name+" median", milliseconds(sorted[len(sorted)/2]), "ms", "")
	t.figure(name+" slowest", milliseconds(sorted[len(sorted)-1]), "ms", fmt.Sprintf("allowed: %s", t.subject.Limits.Answer))
}

// unaffected is how long an honest delivery may take while others misbehave,
// beyond what it took before: generous, since only a blocked receiver is meant.
const unaffected = 500 * time.Millisecond

// besides compares the time to the answer before and during a disturbance. A
// difference is believed when it shows twice: a machine may be busy once.
func (t *trial) besides(ctx context.Context, what string, disturb func(during func() finding) finding) finding {
	first := t.besidesOnce(ctx, what, disturb)
	if first.verdict != reports.Fail {
		return first
	}
	again := t.besidesOnce(ctx, what, disturb)
	if again.verdict == reports.Pass {
		return inconclusive("%s; but not when it was tried again", first.reason)
	}
	return again
}

func (t *trial) besidesOnce(ctx context.Context, what string, disturb func(during func() finding) finding) finding {
	before, f := t.honestTimes(ctx, 5)
	if f.verdict != reports.Pass {
		return f
	}
	return disturb(func() finding {
		during, f := t.honestTimes(ctx, 5)
		if f.verdict != reports.Pass {
			return f
		}
		t.figureTimes("before", before)
		t.figureTimes("during", during)
		usual, slowest := before[len(before)-1], during[len(during)-1]
		if slowest > 2*usual+unaffected {
			return failed("an honest delivery took %s %s; it took %s before", round(slowest), what, round(usual))
		}
		return passed()
	})
}

// slowClients holds connections that send a byte at a time, and measures beside them.
func (t *trial) slowClients(ctx context.Context) finding {
	const clients = 50
	to, err := t.endpointFor(scenarios.Step{})
	if err != nil {
		return inconclusive("%s", err)
	}
	return t.besides(ctx, fmt.Sprintf("beside %d slow connections", clients), func(during func() finding) finding {
		ctx, cancel := context.WithCancel(ctx)
		slow := scenarios.Step{Wire: &scenarios.Word{Name: "slow-head"}}
		started := make(chan struct{}, clients)
		done := make(chan struct{})
		go func() {
			defer close(done)
			concurrently(clients, func(int) {
				started <- struct{}{}
				if d, err := t.subject.compose(slow, nil, rand.New(rand.NewPCG(t.seed, 0)), false); err == nil {
					script, patience := t.script(slow, d.request)
					t.send(ctx, to, script, patience)
				}
			})
		}()
		for range clients {
			<-started
		}
		f := during()
		cancel()
		<-done
		return f
	})
}

// floodSize is how many signatures fit into the 8 kB that common servers allow a
// header line.
const floodSize = 150

// flood sends a header full of wrong signatures and measures right after it.
func (t *trial) flood(ctx context.Context) finding {
	return t.besides(ctx, "after a flood of signatures", func(during func() finding) finding {
		step := scenarios.Step{Mutate: &scenarios.Mutation{Part: "signature", Word: scenarios.Word{Name: "flood", Arg: floodSize}}}
		s, err := t.perform(ctx, step, fmt.Sprintf("%d wrong signatures", floodSize), true)
		if err != nil {
			return inconclusive("%s", err)
		}
		if r := s.readings[0]; r.answer == accepted || r.answer == serverError {
			return failed("%s", r.phrase)
		}
		return during()
	})
}
