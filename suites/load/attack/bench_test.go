package attack_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/suites/load/attack"
)

// BenchmarkHit sends freshly signed deliveries of 512 bytes as fast as they are
// answered by a sink in a process of its own, and tells what each costs this process.
func BenchmarkHit(b *testing.B) {
	address, _ := spawn(b, "sink")
	target := at(b, &url.URL{Scheme: "http", Host: address, Path: "/hook"}, "standard-webhooks")
	plan := attack.Plan{Stages: []attack.Stage{attack.Closed(2 * time.Second)}, Closed: true, Seed: 1, Bodies: attack.Bodies{Sizes: []attack.Size{{Bytes: 512, Weight: 1}}}}
	for b.Loop() {
		m := run(b, target, plan, attack.Options{})
		if m.Total.Accepted != m.Total.Planned {
			b.Fatalf("%+v", m.Total)
		}
		b.ReportMetric(m.Generator.CPUPerHit, "cpu-us/hit")
		b.ReportMetric(m.Total.Rate, "hits/s")
		b.ReportMetric(m.Total.Latency["accepted"].P50*1000, "p50-us")
		b.ReportMetric(m.Generator.CPU, "cpu")
	}
}
