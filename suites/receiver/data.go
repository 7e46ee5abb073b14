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

// signedData judges, for each of the data that the signature covers, a delivery in which
// it was changed: a case of its own, between its controls.
func (t *trial) signedData(ctx context.Context) finding {
	whole := t.c
	defer func() { t.c = whole }()
	for i, pointer := range t.subject.Profile.Data() {
		t.c = whole
		t.c.Measure, t.c.Expect = "", scenarios.Expect{{Name: "rejected"}}
		t.c.Send = scenarios.Steps{{Mutate: &scenarios.Mutation{Part: "body", Word: scenarios.Word{Name: "signed-datum", Arg: i + 1}}}}
		if f := t.judge(ctx); f.verdict != reports.Pass {
			f.reason = fmt.Sprintf("with another text at %s of the body: %s", pointer, f.reason)
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
	whole := t.c
	defer func() { t.c = whole }()
	for i, b := range t.subject.Profile.Beside() {
		t.c = whole
		t.c.Measure, t.c.Expect = "", scenarios.Expect{{Name: "rejected"}}
		t.c.Send = scenarios.Steps{{Mutate: &scenarios.Mutation{Part: "beside", Word: scenarios.Word{Name: "signed", Arg: i + 1}}}}
		if f := t.judge(ctx); f.verdict != reports.Pass {
			f.reason = fmt.Sprintf("with another text in the %s: %s", b, f.reason)
			return f
		}
	}
	return passed()
}
