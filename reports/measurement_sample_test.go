package reports_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/hookanvil/hookanvil/reports"
)

// spreads are those that were made: their histograms take a while to be encoded.
var spreads sync.Map

// spread is a distribution of n times about a median in milliseconds, the same each time.
func spread(n int, median, width float64) reports.Distribution {
	key := [3]float64{float64(n), median, width}
	if d, ok := spreads.Load(key); ok {
		return d.(reports.Distribution)
	}
	d := newSpread(n, median, width)
	spreads.Store(key, d)
	return d
}

func newSpread(n int, median, width float64) reports.Distribution {
	h := hdr.New(1, 600_000_000, 3)
	r := rand.New(rand.NewPCG(uint64(n), 1))
	for range n {
		if h.RecordValue(int64(1000*median*math.Exp(width*r.NormFloat64()))) != nil {
			panic("out of range")
		}
	}
	return distribution(h)
}

func distribution(h *hdr.Histogram) reports.Distribution {
	ms := func(micros int64) float64 { return float64(micros) / 1000 }
	encoded, err := h.Encode(hdr.V2CompressedEncodingCookieBase)
	if err != nil {
		panic(err)
	}
	return reports.Distribution{
		Count: h.TotalCount(), Min: ms(h.Min()), Mean: math.Round(h.Mean()) / 1000, P50: ms(h.ValueAtQuantile(50)), P90: ms(h.ValueAtQuantile(90)),
		P95: ms(h.ValueAtQuantile(95)), P99: ms(h.ValueAtQuantile(99)), P999: ms(h.ValueAtQuantile(99.9)), Max: ms(h.Max()), HDR: string(encoded),
	}
}

func times(outcome string, d reports.Distribution) map[string]reports.Distribution {
	return map[string]reports.Distribution{outcome: d}
}

// sampleMeasurement is a load as a developer may meet it: honest deliveries that are mostly
// served, and forgeries of which one was accepted.
func sampleMeasurement() reports.Measurement {
	honest := reports.Traffic{
		Class: "honest", Planned: 9000, Sent: 8998, Accepted: 8900, Unavailable: 80, Other: 11, Errors: map[string]int64{"timeout": 7, "unsent": 2},
		Statuses: map[int]int64{200: 8900, 503: 80, 500: 11}, Sending: 3_600_000, Reading: 990_000, Rate: 899.8, Throughput: 890,
		Latency: times("accepted", spread(8900, 3, 0.5)), Service: times("accepted", spread(8900, 2.4, 0.4)),
		Effects: &reports.Effects{Examined: 2000, Lost: 1},
	}
	forged := reports.Traffic{
		Class: "forged", Planned: 1000, Sent: 1000, Accepted: 1, Refused: 999, Statuses: map[int]int64{200: 1, 401: 999},
		Sending: 400_000, Reading: 140_000, Rate: 100, Throughput: 0.1,
		Latency: times("refused", spread(999, 0.9, 0.3)), Service: times("refused", spread(999, 0.7, 0.3)),
		Effects: &reports.Effects{Examined: 1000, Taken: 1},
	}
	total := reports.Traffic{
		Planned: 10_000, Sent: 9998, Accepted: 8901, Refused: 999, Unavailable: 80, Other: 11, Errors: map[string]int64{"timeout": 7, "unsent": 2},
		Statuses: map[int]int64{200: 8901, 401: 999, 503: 80, 500: 11}, Sending: 4_000_000, Reading: 1_130_000, Rate: 999.8, Throughput: 890.1,
		Latency: times("accepted", spread(8901, 3, 0.5)), Service: times("accepted", spread(8901, 2.4, 0.4)),
	}
	m := reports.Measurement{
		Schema: reports.MeasurementSchema, Tool: "hookanvil v0.1.0", Subject: reports.Subject{Role: "receiver", Target: "http://127.0.0.1:8080/hooks", Probe: "HTTP counter"},
		Profile: "standard-webhooks", Plan: "1000/s for 10s; honest 90, forged 10", Model: "open", Seed: 42,
		Started: began, Ended: began.Add(10*time.Second + 20*time.Millisecond), State: reports.Complete,
		Notes: []string{"the wall clock jumped by 120 ms in second 4"},
		Generator: reports.Generator{
			Target: 1000, Achieved: 999.8, Lag: spread(9998, 0.08, 0.5), Waited: 31, Dropped: 2, Connections: 48, Dials: 55, CPU: 0.21, CPUPerHit: 42.5,
			GCPauseMax: 0.31, GCs: 14, StallMax: 2.2, RSSMax: 41 << 20, Goroutines: 61, Files: 58,
		},
		Total: total, Classes: []reports.Traffic{honest, forged},
		Stages: []reports.Stage{{Name: "", Plan: "1000/s for 10s", ToS: 10, Total: total, Classes: []reports.Traffic{honest, forged}}},
		Controls: []reports.Control{
			{When: "before", Class: "honest", Accepted: true, Got: "answered 200 OK"}, {When: "before", Class: "forged", Got: "answered 401 Unauthorized"},
			{When: "after", Class: "honest", Accepted: true, Got: "answered 200 OK"}, {When: "after", Class: "forged", Got: "answered 401 Unauthorized"},
		},
		Thresholds: []reports.Threshold{
			{Text: "honest.latency.p99 <= 250ms", Holds: true, Got: "honest.latency.p99 = 9.7ms"},
			{Text: "forged.accepted == 0", Got: "forged.accepted = 1", Certain: true},
		},
	}
	for i := range 10 {
		s := reports.Second{
			At: float64(i), Planned: 1000, Sent: 1000, Accepted: 890, Refused: 100, Other: 9, P50: 3 + float64(i%3)/10, P99: 8 + float64(i*i%7), Max: 30 + float64(i),
			Classes: map[string]reports.Instant{"honest": {Sent: 900, Accepted: 890, P99: 8 + float64(i*i%7)}, "forged": {Sent: 100, Refused: 100}},
		}
		if i == 5 {
			s.Refused, s.Errors = 99, 9
			s.Classes["forged"] = reports.Instant{Sent: 100, Accepted: 1, Refused: 99, P99: 1.2}
		}
		m.Series = append(m.Series, s)
	}
	return m
}

// sampleSearch is what a search for the capacity measured, on a machine that was busy.
func sampleSearch() reports.Measurement {
	m := sampleMeasurement()
	m.Controls[2] = reports.Control{When: "after", Class: "honest", Got: "connection refused", Gone: true}
	m.Controls[3] = reports.Control{When: "after", Class: "forged", Accepted: true, Got: "answered 200 OK"}
	m.Notes, m.Thresholds = nil, []reports.Threshold{{Text: "honest.latency.p99 <= 20ms", Holds: true, Got: "honest.latency.p99 = 9.7ms"}}
	m.Invalid = []string{"one hit in a hundred was begun more than 3.17 ms after it was due"}
	m.State = reports.Aborted
	m.Capacity = &reports.Capacity{Rate: 1480, Low: 1420, High: 1530, Ended: reports.EndedFound, Trials: []reports.Trial{
		{Rate: 500, Throughput: 500, P50: 1.1, P99: 4, Held: true},
		{Rate: 1000, Throughput: 1000, P50: 1.6, P99: 9, Held: true},
		{Rate: 2000, Throughput: 1490, P50: 210, P99: 900, Errors: 0.12, Broken: []string{"honest.latency.p99 <= 20ms"}},
		{Rate: 1414, Throughput: 1414, P50: 2.2, P99: 17, Held: true},
		{Rate: 1600, Throughput: 1490, P50: 40, P99: 150, Broken: []string{"honest.latency.p99 <= 20ms"}},
		{Rate: 1480, Throughput: 1470, P50: 3, P99: 22, Invalid: true},
	}}
	first, second := m.Stages[0], m.Stages[0]
	first.Name, first.Plan, first.ToS = "warm_up", "500/s for 5s", 5
	second.Name, second.FromS = "full", 5
	m.Stages = []reports.Stage{first, second}
	return m
}

// loadEverywhere has a text in each place of a measurement that others may have written.
func loadEverywhere(text string) reports.Measurement {
	m := sampleSearch()
	m.Profile, m.Plan, m.Subject.Target = text, text, text
	m.Notes, m.Invalid = []string{text}, []string{text}
	m.Controls = []reports.Control{{When: "before", Class: "honest", Got: text}}
	m.Thresholds = []reports.Threshold{{Text: text, Got: text}}
	for i := range m.Stages {
		m.Stages[i].Name, m.Stages[i].Plan = text, text
	}
	return m
}
