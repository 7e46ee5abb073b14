package load

import (
	"cmp"
	"strings"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites/load/attack"
)

func (t *trial) figure(name string, value float64, unit, note string) {
	t.result.Figures = append(t.result.Figures, reports.Figure{Name: name, Value: value, Unit: unit, Note: note})
}

// tell puts what was measured into the result: the whole of it,
// and the figures that people look for first.
func (t *trial) tell(m *reports.Measurement) {
	for _, one := range m.Classes {
		if d, ok := one.Latency["accepted"]; ok && one.Class == string(attack.Honest) {
			t.figure("honest deliveries accepted", round(one.Throughput), "/s", m.Plan)
			t.figure("honest latency median", round(d.P50), "ms", "")
			t.figure("honest latency p99", round(d.P99), "ms", "")
		}
	}
	t.figure("generator lag p99", round(m.Generator.Lag.P99), "ms", "")
	whole := *m
	t.result.Load = &whole
}

// tellEffects says how much was looked up, and what may have been missed.
func (t *trial) tellEffects(m *reports.Measurement, notes []string) {
	if e := m.Total.Effects; e != nil {
		t.figure("effects examined", float64(e.Examined), "count", cmp.Or(strings.Join(notes, "; "), "every accepted delivery was looked up"))
	}
}

func round(v float64) float64 { return float64(int64(v*100+0.5)) / 100 }
