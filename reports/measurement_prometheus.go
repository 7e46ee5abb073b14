package reports

import "io"

// MeasurementPrometheus writes the measurement as Prometheus reads it, in its text
// exposition: for the textfile collector, or a push gateway. Times are in seconds, as is
// the custom there.
func MeasurementPrometheus(w io.Writer, m Measurement) error {
	p := exposition{printer{w: w}}
	p.family("hookanvil_load_info", "gauge", "What was loaded, and how.")
	p.sample("hookanvil_load_info", 1, "tool", m.Tool, "target", m.Subject.Target, "profile", m.Profile, "plan", m.Plan, "model", m.Model, "state", m.State)
	p.family("hookanvil_load_valid", "gauge", "Whether the figures tell of the target and not of the generator.")
	p.sample("hookanvil_load_valid", truth(len(m.Invalid) == 0))
	p.family("hookanvil_load_started_seconds", "gauge", "When the load began.")
	p.sample("hookanvil_load_started_seconds", float64(m.Started.UnixMilli())/1000)
	p.family("hookanvil_load_hits_total", "counter", "Hits by what became of them.")
	for _, t := range m.Classes {
		for _, o := range t.tallied() {
			p.sample("hookanvil_load_hits_total", float64(o.n), "class", t.Class, "outcome", o.name)
		}
	}
	p.family("hookanvil_load_errors_total", "counter", "Hits without a complete answer, by kind.")
	for _, t := range m.Classes {
		for _, kind := range ErrorKinds {
			if n := t.Errors[kind]; n > 0 {
				p.sample("hookanvil_load_errors_total", float64(n), "class", t.Class, "kind", kind)
			}
		}
	}
	p.family("hookanvil_load_throughput", "gauge", "Hits accepted a second.")
	for _, t := range m.Classes {
		p.sample("hookanvil_load_throughput", t.Throughput, "class", t.Class)
	}
	p.times("hookanvil_load_latency_seconds", "From when a hit was due to its answer.", m.Classes, func(t Traffic) map[string]Distribution { return t.Latency })
	p.times("hookanvil_load_service_seconds", "From when a hit was begun to its answer.", m.Classes, func(t Traffic) map[string]Distribution { return t.Service })
	p.beside(m)
	p.generator(m.Generator)
	p.family("hookanvil_load_threshold_holds", "gauge", "Whether a threshold holds.")
	for _, t := range m.Thresholds {
		p.sample("hookanvil_load_threshold_holds", truth(t.Holds), "threshold", t.Text)
	}
	if c := m.Capacity; c != nil {
		p.family("hookanvil_load_capacity", "gauge", "The highest rate at which the thresholds hold, and its bounds.")
		for _, b := range []struct {
			name string
			rate float64
		}{{"estimate", c.Rate}, {"low", c.Low}, {"high", c.High}} {
			p.sample("hookanvil_load_capacity", b.rate, "bound", b.name)
		}
	}
	return p.err
}

func (p *exposition) times(name, help string, classes []Traffic, of func(Traffic) map[string]Distribution) {
	p.family(name, "summary", help)
	p.quantiles(name, classes, of)
}

// beside are the effects that a probe told of, and the deliveries by themselves.
func (p *exposition) beside(m Measurement) {
	p.family("hookanvil_load_effects_examined", "gauge", "Deliveries whose effects were looked up.")
	for _, t := range m.Classes {
		if t.Effects != nil {
			p.sample("hookanvil_load_effects_examined", float64(t.Effects.Examined), "class", t.Class)
		}
	}
	p.family("hookanvil_load_effects_wrong", "gauge", "Of them: lost, repeated, or taken although they must be refused.")
	for _, t := range m.Classes {
		e := t.Effects
		switch {
		case e == nil:
		case MustBeRefused(t.Class):
			p.sample("hookanvil_load_effects_wrong", float64(e.Taken), "class", t.Class, "kind", "taken")
		default:
			p.sample("hookanvil_load_effects_wrong", float64(e.Lost), "class", t.Class, "kind", "lost")
			p.sample("hookanvil_load_effects_wrong", float64(e.Repeated), "class", t.Class, "kind", "repeated")
		}
	}
	p.family("hookanvil_load_control_accepted", "gauge", "Whether a delivery by itself was accepted, before the load or after it.")
	for _, c := range m.Controls {
		p.sample("hookanvil_load_control_accepted", truth(c.Accepted), "when", c.When, "class", c.Class)
	}
}

func (p *exposition) generator(g Generator) {
	for _, f := range []struct {
		name, help string
		value      float64
	}{
		{"target_rate", "Hits a second that were due.", g.Target},
		{"achieved_rate", "Hits a second that were begun.", g.Achieved},
		{"lag_p99_seconds", "How late hits were begun that found a connection free.", g.Lag.P99 / 1000},
		{"dropped", "Hits that were never begun.", float64(g.Dropped)},
		{"cpu_share", "Share of the processors that the generator used.", g.CPU},
		{"gc_pause_max_seconds", "The longest pause of the garbage collector.", g.GCPauseMax / 1000},
		{"resident_bytes", "The most memory that the generator used.", float64(g.RSSMax)},
	} {
		name := "hookanvil_load_generator_" + f.name
		p.family(name, "gauge", f.help)
		p.sample(name, f.value)
	}
}

// word is what became of a threshold.
func (t Threshold) word() string {
	switch {
	case t.Unmeasured:
		return "not measured"
	case t.Holds:
		return "holds"
	}
	return "broken"
}
