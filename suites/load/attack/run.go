package attack

import (
	"context"
	"errors"

	"github.com/hookanvil/hookanvil/reports"
)

type run struct{}

func newRun(Target, Plan, Options) *run { return &run{} }

func (*run) run(context.Context) (reports.Measurement, error) {
	return reports.Measurement{}, errors.New("the generator is being built")
}
