package scenarios_test

import "github.com/hookanvil/hookanvil/scenarios"

// vocabulary is small, with each kind of word in it.
var vocabulary = scenarios.Vocabulary{
	Mutations: []scenarios.Entry{
		{Part: "body", Name: "flip-bit", Doc: "has one bit of its body changed after signing"},
		{Part: "body", Name: "reserialised", Doc: "has its JSON written anew after signing"},
		{Part: "signature", Name: "truncated", Arg: scenarios.Number, Doc: "carries only the first bytes of its signature"},
		{Part: "signature", Name: "labelled", Arg: scenarios.Text, Doc: "carries its signature under another label"},
		{Part: "signature", Name: "flood", Arg: scenarios.Number, Optional: true, Doc: "carries that many wrong signatures"},
		{Part: "timestamp", Name: "shifted", Arg: scenarios.Span, Presigned: true, Doc: "was signed at another time"},
		{Part: "headers", Name: "doubled", Doc: "has every header twice"},
	},
	Expectations: []scenarios.Entry{
		{Name: "accepted", Doc: "acknowledges the delivery"},
		{Name: "rejected", Doc: "refuses the delivery on purpose"},
		{Name: "answered", Doc: "answers"},
		{Name: "effects", Arg: scenarios.Number, Doc: "acts exactly that often"},
		{Name: "status", Arg: scenarios.Statuses, Doc: "answers with one of these statuses"},
		{Name: "at-most", Arg: scenarios.Text, Doc: "has a measured figure no greater than that"},
	},
	Measures:     []scenarios.Entry{{Name: "tolerance", Doc: "how old a delivery may be"}},
	Wires:        []scenarios.Entry{{Name: "chunked", Doc: "is sent in chunks"}, {Name: "segmented", Arg: scenarios.Number, Doc: "is sent in segments of that many bytes"}},
	Capabilities: []scenarios.Entry{{Name: "hmac", Doc: "signs with an HMAC"}, {Name: "probe", Doc: "tells of its effects"}},
	Payloads:     []scenarios.Entry{{Name: "unicode", Doc: "text in several scripts"}},
}
