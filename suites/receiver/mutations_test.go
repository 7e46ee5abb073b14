package receiver

import (
	"math/rand/v2"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/scenarios"
)

// arguments are values for the mutations that take one.
var arguments = map[string]any{
	"body appended": "\n", "body signed-datum": 9, "beside signed": 1, "body prepended": "\ufeff", "key guessed": "changeme", "signature truncated": 8,
	"signature labelled": "v9,", "signature tailed": "!", "signature hmac": "sha512", "signature over": "{event}",
	"signature replaced": "nonsense", "signature beside-unknown": "v9,abcd", "signature flood": 3,
	"signature under": "X-Other-Signature", "id text": "{id}/x", "id long": 300, "timestamp altered": 10 * time.Second,
	"timestamp shifted": -24 * time.Hour, "timestamp text": "{unix}.0", "timestamp rewritten": "{unix}.0",
	"unsigned query": "test=true", "unsigned header": "X-Test: 1", "unsigned path": "{path}/", "unsigned content-type": "text/plain",
	"forged content-type": "text/plain", "forged body": "{", "method is": "PUT",
	"credential extended": "x", "credential under-scheme": "Token", "address claimed": "X-Real-IP: {listed}", "handshake asking": "{random}", "handshake naming": "{random}",
	"token unsecured": "none", "token kid": "another", "message uncovered": "content-digest", "message query": "a=b",
	"signature key-at": "https://{host}@{https}", "fact says": "{another}", "fact body-says": "{another}",
}

// payloadsFor are the bodies without which a mutation of the body has nothing to change.
var payloadsFor = map[string]scenarios.Step{
	"body trimmed":      {Payload: "trailing-newline"},
	"body invalid-utf8": {Payload: "replacement-character"},
	"body tail-changed": {Size: 4096},
}

// goodSignatures are the mutations that leave a delivery which verifies, because
// what they change is not the signature or is something that must be accepted.
var goodSignatures = []string{
	"signature among-wrong-first", "signature among-wrong-last", "signature among-wrong-both", "signature beside-unknown",
	"signature reordered", "asymmetric only", "id upper-case", "id long", "id text", "method is", "path other-endpoint",
	"encoding gzip", "encoding gzip-bomb", "credential scheme-in-other-case",
}

// goodUnsigned are those that are good where no signature covers the id.
var goodUnsigned = []string{"id altered", "id altered-on-replay"}

func testSubject(t *testing.T, name string) *Subject {
	t.Helper()
	p, err := profiles.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	s := &Subject{Profile: p, Keys: p.NewKeys(random), Second: p.NewKeys(random), Retired: p.NewKeys(random), Other: p.NewKeys(random)}
	s.URL, _ = url.Parse("http://127.0.0.1:1/hook")
	s.OtherURL, _ = url.Parse("http://127.0.0.1:1/other")
	s.Endpoint.Address = netip.MustParseAddrPort("127.0.0.1:1")
	s.Limits = Limits{}.filled(p)
	s.keyPlace = &keyPlace{keys: p.NewKeys(random), address: "127.0.0.1:2/key", secure: "127.0.0.1:3/key"}
	return s
}

// Every mutation, under every profile that it applies to and many seeds, changes
// the request; and what should be forged does not verify.
func TestEveryMutationChangesWhatItSays(t *testing.T) {
	seeds := 6
	if testing.Short() {
		seeds = 1
	}
	checked := 0
	for _, name := range profiles.Names() {
		s := testSubject(t, name)
		if !s.Profile.Signed() {
			continue
		}
		j := NewJudge(*s, 1, nil)
		for _, m := range mutations {
			key := m.Part + " " + m.Name
			step := payloadsFor[key]
			step.Mutate = &scenarios.Mutation{Part: m.Part, Word: scenarios.Word{Name: m.Name, Arg: arguments[key]}}
			if m.Arg != scenarios.None && arguments[key] == nil {
				t.Fatalf("no argument is known for {%s}", key)
			}
			if j.Lacks(scenarios.Case{Send: scenarios.Steps{step}}) != "" {
				continue
			}
			for seed := range seeds {
				checkMutation(t, s, key, step, uint64(seed))
				checked++
			}
		}
	}
	t.Logf("mutations checked: %d", checked)
}

func checkMutation(t *testing.T, s *Subject, key string, step scenarios.Step, seed uint64) {
	t.Helper()
	compose := func(mutated bool) *delivery {
		d, err := s.compose(step, nil, rand.New(rand.NewPCG(seed, 0)), mutated)
		if err != nil {
			t.Fatalf("%s, {%s}: %v", s.Profile.Name, key, err)
		}
		return d
	}
	twin, d := compose(false), compose(true)
	if string(twin.request.Bytes()) == string(d.request.Bytes()) && twin.from == d.from {
		t.Fatalf("%s: {%s} changes nothing", s.Profile.Name, key)
	}
	if !s.Profile.Signed() {
		return // what is not signed does not verify
	}
	if err := verify(s, twin); err != nil {
		t.Fatalf("%s: the honest twin of {%s} does not verify: %v", s.Profile.Name, key, err)
	}
	missesNothing := key == "id missing" && !slices.Contains(s.Profile.Require.Headers, s.Profile.ID.Header) && !s.Profile.IDSigned()
	good := missesNothing || slices.Contains(goodSignatures, key) || slices.Contains(goodUnsigned, key) && !s.Profile.IDSigned()
	good = good || slices.Contains([]string{"handshake honest", "handshake asking", "handshake elsewhere"}, key) && s.Profile.Challenge.Signed
	if err := verify(s, d); (err == nil) != good {
		t.Fatalf("%s: {%s} verifies: %v (%v)\n%s", s.Profile.Name, key, err == nil, err, d.request.Head())
	}
}

func verify(s *Subject, d *delivery) error {
	in := profile.Incoming{Method: "POST", URL: d.sentTo(), Headers: d.request.Headers, Body: d.request.Body}
	_, err := s.Profile.Verify(in, s.Keys, d.now)
	return err
}

func TestVocabularyIsDocumented(t *testing.T) {
	v := Vocabulary()
	for what, entries := range map[string][]scenarios.Entry{
		"mutation": v.Mutations, "expectation": v.Expectations, "measure": v.Measures, "way": v.Wires,
		"capability": v.Capabilities, "payload": v.Payloads,
	} {
		seen := map[string]bool{}
		for _, e := range entries {
			name := strings.TrimSpace(e.Part + " " + e.Name)
			if seen[name] {
				t.Errorf("%s %s stands twice in its table", what, name)
			}
			seen[name] = true
			if e.Doc == "" || strings.HasSuffix(e.Doc, ".") {
				t.Errorf("%s %s: its sentence is %q; it must be there and end without a full stop", what, name, e.Doc)
			}
		}
	}
	for _, m := range mutations {
		if m.apply == nil || m.when == never {
			t.Errorf("mutation {%s: %s} does nothing", m.Part, m.Name)
		}
		for _, need := range m.needs {
			if !slices.ContainsFunc(capabilities, func(c capability) bool { return c.Name == need }) {
				t.Errorf("mutation {%s: %s} needs %q, which is no capability", m.Part, m.Name, need)
			}
		}
	}
}
