package load

import "github.com/hookanvil/hookanvil/reports"

// Recorder is told what was observed of a case before it influences a verdict. No verdict
// rests on what it could not record. Its functions may be nil.
type Recorder struct {
	Observe func(caseName string, x reports.Exchange) error
	// Absorb is told what came of a sender's events, Measure what became of a load that was
	// put on a receiver.
	Absorb  func(caseName string, a reports.Absorption) error
	Measure func(caseName string, m reports.Measurement) error
}

func (r Recorder) observe(caseName string, x reports.Exchange) error {
	if r.Observe == nil {
		return nil
	}
	return r.Observe(caseName, x)
}

// absorbed records a run: the attempts that were wrong, and what was absorbed.
func (r Recorder) absorbed(caseName string, run *SenderRun) error {
	for _, x := range run.Samples {
		if err := r.observe(caseName, x); err != nil {
			return err
		}
	}
	if r.Absorb == nil {
		return nil
	}
	return r.Absorb(caseName, run.Absorption)
}

func (r Recorder) measured(caseName string, m reports.Measurement) error {
	if r.Measure == nil {
		return nil
	}
	return r.Measure(caseName, m)
}
