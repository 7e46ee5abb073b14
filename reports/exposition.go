package reports

import (
	"strconv"
	"strings"
)

// exposition writes samples, as Prometheus's text format and OpenMetrics have them in common.
type exposition struct{ printer }

func (p *exposition) family(name, kind, help string) {
	p.linef("# HELP %s %s", name, help)
	p.linef("# TYPE %s %s", name, kind)
}

// labelEscapes are those that a label's value may have.
var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// sample writes one value with its labels, given by name and value.
func (p *exposition) sample(name string, value float64, labels ...string) {
	var pairs []string
	for i := 0; i+1 < len(labels); i += 2 {
		pairs = append(pairs, labels[i]+`="`+labelEscapes.Replace(inert(labels[i+1]))+`"`)
	}
	if len(pairs) > 0 {
		name += "{" + strings.Join(pairs, ",") + "}"
	}
	p.linef("%s %s", name, strconv.FormatFloat(value, 'g', -1, 64))
}

// quantiles are the samples of a summary, by class and outcome, behind other labels.
func (p *exposition) quantiles(name string, classes []Traffic, of func(Traffic) map[string]Distribution, labels ...string) {
	for _, t := range classes {
		for _, outcome := range outcomesOfHits {
			d, ok := of(t)[outcome]
			if !ok || d.Count == 0 {
				continue
			}
			labels := append(append([]string{}, labels...), "class", t.Class, "outcome", outcome)
			for _, q := range []struct {
				name string
				ms   float64
			}{{"0.5", d.P50}, {"0.9", d.P90}, {"0.95", d.P95}, {"0.99", d.P99}, {"0.999", d.P999}, {"1", d.Max}} {
				p.sample(name, q.ms/1000, append([]string{"quantile", q.name}, labels...)...)
			}
			p.sample(name+"_sum", d.Mean*float64(d.Count)/1000, labels...)
			p.sample(name+"_count", float64(d.Count), labels...)
		}
	}
}

type outcomeCount struct {
	name string
	n    int64
}

// tallied are the hits of a class by what became of them.
func (t Traffic) tallied() []outcomeCount {
	return []outcomeCount{{"accepted", t.Accepted}, {"refused", t.Refused}, {"unavailable", t.Unavailable}, {"other", t.Other}, {"error", t.Failed()}}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
