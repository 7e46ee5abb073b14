package receiver

import (
	"context"
	"errors"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// Send sends what a step describes, without controls and without a verdict, and
// returns what was exchanged. The error says what the profile or the run lacks for
// the step.
func (j *Judge) Send(ctx context.Context, step scenarios.Step) ([]reports.Exchange, error) {
	c := scenarios.Case{Suite: "receiver/send", ID: "delivery", Send: scenarios.Steps{step}}
	if lack := j.Lacks(c); lack != "" {
		return nil, errors.New(lack)
	}
	t := j.newTrial(c)
	defer func() { t.canary.close() }()
	_, err := t.perform(ctx, step, stepLabel(0, c.Send), true)
	return t.evidence, err
}
