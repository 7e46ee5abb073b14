package receiver

import (
	"context"
	"fmt"
	"strings"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
)

// alterDatum changes one of the data that the signature covers.
func (d *delivery) alterDatum(n int) {
	p := d.subject.Profile
	data := p.Data()
	d.request.Body = p.Redocumented(d.request.Body, func(document []byte) []byte {
		altered, _ := profile.Alter(document, data[(max(n, 1)-1)%len(data)])
		return altered
	})
	if id := p.DeliveryID(d.request.Headers, d.request.Body); id != "" && id != d.ID {
		d.tokens = append(d.tokens, id)
	}
}

// signedData judges deliveries in which the data that the signature covers were changed.
func (t *trial) signedData(ctx context.Context) finding {
	var places []string
	for _, pointer := range t.subject.Profile.Data() {
		places = append(places, "at "+pointer+" of the body")
	}
	return t.eachRejected(ctx, "body", "signed-datum", places)
}

// eachRejected judges, for each of the things that a numbered mutation changes, a delivery in
// which it was changed: a case of its own, between its controls.
func (t *trial) eachRejected(ctx context.Context, part, mutation string, places []string) finding {
	whole := t.c
	defer func() { t.c = whole }()
	for i, place := range places {
		t.c = whole
		t.c.Measure, t.c.Expect = "", scenarios.Expect{{Name: "rejected"}}
		t.c.Send = scenarios.Steps{{Mutate: &scenarios.Mutation{Part: part, Word: scenarios.Word{Name: mutation, Arg: i + 1}}}}
		if f := t.judge(ctx); f.verdict != reports.Pass {
			f.reason = fmt.Sprintf("with another text %s: %s", place, f.reason)
			return f
		}
	}
	return passed()
}

// alterBeside changes one of the query parameters and headers that the signature covers.
func (d *delivery) alterBeside(n int) {
	all := d.subject.Profile.Beside()
	altered := all[(max(n, 1)-1)%len(all)].Alter(profile.Incoming{URL: d.URL, Headers: d.request.Headers})
	d.URL, d.request.Headers = altered.URL, altered.Headers
	_, d.query, _ = strings.Cut(d.URL, "?")
	d.retarget()
}

// signedBeside judges the same of what the signature covers beside the body.
func (t *trial) signedBeside(ctx context.Context) finding {
	var places []string
	for _, b := range t.subject.Profile.Beside() {
		places = append(places, "in the "+b.String())
	}
	return t.eachRejected(ctx, "beside", "signed", places)
}
