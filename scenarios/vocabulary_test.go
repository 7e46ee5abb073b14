package scenarios_test

import "github.com/hookanvil/hookanvil/scenarios"

// vocabulary and senders are small, with each kind of word in them.
var vocabulary = scenarios.Vocabulary{
	Role: "receiver",
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
	Certificates: []scenarios.Entry{{Name: "none", Doc: "shows no certificate"}, {Name: "expired", Doc: "shows one that has expired"}},
	Ciphers:      []scenarios.Entry{{Name: "weak", Doc: "that nobody should take"}},
	Capabilities: []scenarios.Entry{{Name: "hmac", Doc: "signs with an HMAC"}, {Name: "probe", Doc: "tells of its effects"}},
	Payloads:     []scenarios.Entry{{Name: "unicode", Doc: "text in several scripts"}},
}

var senders = scenarios.Vocabulary{
	Role: "sender",
	Answers: []scenarios.Entry{
		{Name: "hang", Doc: "is never answered"},
		{Name: "endless-body", Doc: "is answered without end"},
		{Name: "drip-body", Arg: scenarios.Number, Doc: "is answered a byte at a time, so many milliseconds apart"},
		{Name: "huge-body", Arg: scenarios.Number, Optional: true, Doc: "is answered with so many MiB"},
	},
	Addresses: []scenarios.Entry{{Name: "decimal", Doc: "is written as one number"}, {Name: "userinfo", Doc: "has another host before an at sign"}},
	Expectations: []scenarios.Entry{
		{Name: "delivered", Doc: "delivers the event"},
		{Name: "silent", Doc: "does not come at all"},
		{Name: "canary-silent", Doc: "is not led to the canary"},
		{Name: "growing", Doc: "waits longer each time"},
		{Name: "attempts", Arg: scenarios.Number, Doc: "tries exactly that often"},
		{Name: "attempts-at-least", Arg: scenarios.Number, Doc: "tries at least that often"},
		{Name: "attempts-at-most", Arg: scenarios.Number, Doc: "tries at most that often"},
		{Name: "reads-at-most", Arg: scenarios.Number, Most: 1 << 30, Doc: "reads at most that many bytes"},
		{Name: "delivered-within", Arg: scenarios.Span, Doc: "delivers the event in that time"},
		{Name: "same", Arg: scenarios.Names, Choices: []string{"id", "body", "event"}, Doc: "does not change them from attempt to attempt"},
		{Name: "no-header", Arg: scenarios.Text, Repeats: true, Doc: "does not send that header"},
		{Name: "gap", Arg: scenarios.GapKind, Doc: "keeps within these bounds"},
	},
	Measures:     []scenarios.Entry{{Name: "schedule-shape", Doc: "how its gaps grow"}},
	Certificates: []scenarios.Entry{{Name: "good", Doc: "is what it should be"}, {Name: "expired", Doc: "has expired"}},
	Ciphers:      []scenarios.Entry{{Name: "weak", Doc: "that nobody should take"}},
	Capabilities: []scenarios.Entry{{Name: "retries", Doc: "tries again"}, {Name: "own-ports", Doc: "can be told of any port"}},
	Payloads:     []scenarios.Entry{{Name: "unicode", Doc: "text in several scripts"}},
}

var loads = scenarios.Vocabulary{
	Role:         "load",
	Measures:     []scenarios.Entry{{Name: "losses", Doc: "whether the sender loses none"}},
	Classes:      []scenarios.Entry{{Name: "honest", Doc: "that is what it says"}, {Name: "forged", Doc: "that another key has signed"}, {Name: "replayed"}, {Name: "duplicate"}},
	Capabilities: []scenarios.Entry{{Name: "probe", Doc: "tells of its effects"}},
	Payloads:     []scenarios.Entry{{Name: "unicode", Doc: "text in several scripts"}},
}
