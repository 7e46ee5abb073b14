package receiver

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/fixtures/payloads"
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/scenarios"
)

// Vocabulary returns the words that receiver scenarios are written in.
func Vocabulary() scenarios.Vocabulary {
	v := scenarios.Vocabulary{Role: "receiver"}
	for _, m := range mutations {
		m.Presigned = m.when != afterSigning
		v.Mutations = append(v.Mutations, m.Entry)
	}
	for _, e := range expectations {
		v.Expectations = append(v.Expectations, e.Entry)
	}
	for _, m := range measures {
		v.Measures = append(v.Measures, m.Entry)
	}
	for _, w := range wire.Ways {
		v.Wires = append(v.Wires, scenarios.Entry{Name: w.Name, Arg: kindOf(w.Number), Optional: true, Doc: "is written " + w.Doc})
	}
	for _, c := range capabilities {
		v.Capabilities = append(v.Capabilities, c.Entry)
	}
	v.Certificates = certificateWords()
	for _, s := range setsOfCiphers {
		v.Ciphers = append(v.Ciphers, s.Entry)
	}
	for _, p := range payloads.List() {
		v.Payloads = append(v.Payloads, word("", p.Name, p.Doc))
	}
	return v
}

// kindOf is the kind of a way's argument: a number, where the way has one.
func kindOf(number string) scenarios.Kind {
	if number == "" {
		return scenarios.None
	}
	return scenarios.Number
}

// capability is something that a profile or a run may lack.
type capability struct {
	scenarios.Entry
	has  func(s *Subject) bool
	lack func(s *Subject) string // why a case is skipped
}

type capabilityTable []capability

func (t capabilityTable) find(name string) capability {
	i := slices.IndexFunc(t, func(c capability) bool { return c.Name == name })
	return t[i]
}

// profileLacks and runLacks are the reasons for a skip: the first is the
// provider's doing, the second can be mended by an option.
func profileLacks(what string) func(*Subject) string {
	return func(s *Subject) string { return fmt.Sprintf("profile %s %s", s.Profile.Name, what) }
}

func runLacks(what string) func(*Subject) string {
	return func(*Subject) string { return what }
}

var capabilities = slices.Concat(generalCapabilities, tokenCapabilities, messageCapabilities)

var generalCapabilities = capabilityTable{
	{word("", "timestamp", "sends a timestamp"),
		func(s *Subject) bool { return s.Profile.Timestamp != nil }, profileLacks("sends no timestamp")},
	{word("", "timestamp-beside-body", "sends its timestamp in a header, its own or the signature's"),
		func(s *Subject) bool { return s.Profile.Timestamp != nil && s.Profile.Timestamp.InHeader() }, profileLacks("has no timestamp in a header")},
	{word("", "bounded-age", "refuses timestamps that are too old"),
		func(s *Subject) bool { return s.Profile.Ages() },
		func(s *Subject) string {
			if s.Profile.Timestamp == nil {
				return profileLacks("sends no timestamp")(s)
			}
			return profileLacks("names no age at which a delivery is too old")(s)
		}},
	{word("", "unix-timestamp", "sends its timestamp as a number of seconds, in a header, and bounds it"),
		func(s *Subject) bool {
			ts := s.Profile.Timestamp
			return s.Profile.Ages() && ts.Unit == "s" && ts.InHeader()
		}, profileLacks("has no bounded timestamp in seconds in a header")},
	{word("", "timestamp-header", "sends its timestamp in a header of its own"),
		func(s *Subject) bool { return s.Profile.Timestamp != nil && s.Profile.Timestamp.Header != "" }, profileLacks("has no timestamp header")},
	{word("", "timestamp-in-signature", "sends its timestamp in the signature header"),
		func(s *Subject) bool { return s.Profile.Timestamp != nil && s.Profile.Timestamp.InSignature() }, profileLacks("has no timestamp in its signature header")},
	{word("", "bounded-future", "refuses timestamps from the future"),
		func(s *Subject) bool { return s.Profile.Timestamp != nil && s.Profile.Timestamp.Bounded() }, profileLacks("does not bound the future")},
	{word("", "taken-ahead", "takes timestamps that are ahead of the clock, within the tolerance"),
		func(s *Subject) bool { return s.Profile.Timestamp != nil && s.Profile.Timestamp.TakenAhead() }, profileLacks("takes nothing that is ahead of the clock")},
	{word("", "id", "identifies its deliveries"),
		func(s *Subject) bool { return s.Profile.ID != nil }, profileLacks("has no delivery id")},
	{word("", "id-header", "sends the delivery id in a header"),
		func(s *Subject) bool { return s.Profile.ID != nil && s.Profile.ID.Header != "" }, profileLacks("has no id header")},
	{word("", "signed-id-header", "sends the delivery id in a header that the signature covers"),
		func(s *Subject) bool {
			return s.Profile.ID != nil && s.Profile.ID.Header != "" && s.Profile.IDSigned()
		}, profileLacks("does not sign an id header")},
	{word("", "unsigned-id-header", "sends the delivery id in a header that no signature covers"),
		func(s *Subject) bool {
			return s.Profile.ID != nil && s.Profile.ID.Header != "" && !s.Profile.IDSigned()
		}, profileLacks("has no id header that is left unsigned")},
	{word("", "delimited-id", "signs its id header and its timestamp with a delimiter between them"),
		func(s *Subject) bool { return s.Profile.DelimitsID() }, profileLacks("signs no id and timestamp with a delimiter between them")},
	{word("", "secret", "has a secret that its deliveries prove"),
		func(s *Subject) bool { return s.Profile.Signed() }, profileLacks("has no secret")},
	{word("", "signature", "signs its deliveries"),
		func(s *Subject) bool { return s.Profile.Signed() && s.Profile.Technique() == profile.NoCredential }, profileLacks("signs nothing: see receiver/authentication")},
	{word("", "signature-header", "carries its signature in a header"),
		func(s *Subject) bool { return s.Profile.Signed() && s.Profile.Signature.Header != "" }, profileLacks("carries no signature in a header")},
	{word("", "credential", "sends its secret itself"), usesTechnique(profile.Basic, profile.Bearer, profile.SecretInHeader, profile.SecretInQuery, profile.SecretInBody),
		profileLacks("does not send its secret itself")},
	{word("", "basic", "uses Basic authentication"), usesTechnique(profile.Basic), profileLacks("does not use Basic authentication")},
	{word("", "authorization", "sends its secret in the header Authorization, behind the name of a scheme"), usesTechnique(profile.Basic, profile.Bearer),
		profileLacks("sends no secret behind the name of a scheme")},
	{word("", "credential-header", "sends its secret in a header"), usesTechnique(profile.Basic, profile.Bearer, profile.SecretInHeader),
		profileLacks("sends no secret in a header")},
	{word("", "credential-query", "sends its secret in the query"), usesTechnique(profile.SecretInQuery), profileLacks("sends no secret in the query")},
	{word("", "blank-proof", "sends its secret in a form that keeps blanks at its ends"), usesTechnique(profile.Basic, profile.SecretInQuery, profile.SecretInBody),
		profileLacks("sends no secret in a form that keeps blanks at its ends")},
	{word("", "addresses", "is known by constant addresses"),
		func(s *Subject) bool { return len(s.Profile.Addresses) > 0 }, profileLacks("names no addresses that deliveries come from")},
	{word("", "other-address", "is known by constant addresses, and the run can send from another one"),
		func(s *Subject) bool { return s.stranger(unlisted...).IsValid() }, lacksStranger},
	{word("", "resembling-address", "is known by constant addresses, and the run can send from one that begins alike"),
		func(s *Subject) bool { return s.stranger(s.resembling()...).IsValid() }, lacksStranger},
	{word("", "handshake", "has a handshake, and the run knows what it must name"), hasHandshake, lacksHandshake},
	{word("", "signed-handshake", "signs its handshake"),
		ofHandshake(func(p *profile.Profile) bool { return p.Challenge.Signed }), profileLacks("signs no handshake")},
	{word("", "free-challenge", "has a handshake whose challenge is shown again, and may be any text"),
		ofHandshake(func(p *profile.Profile) bool {
			return p.Challenge.Invents() && p.Challenge.Header == "" && strings.Contains(p.Challenge.Answer.Body, "{challenge}")
		}), profileLacks("has no challenge that is shown again in a body")},
	{word("", "varied-challenge", "has a handshake that is answered by what it asks"),
		ofHandshake(func(p *profile.Profile) bool { return p.Challenge.Invents() && !p.Challenge.Answer.Empty }), profileLacks("has no challenge that is answered by what it asks")},
	{word("", "known-handshake", "has a handshake that names something which the endpoint must know"),
		ofHandshake(func(p *profile.Profile) bool { return p.Challenge.Known != nil }), profileLacks("has no handshake that names what the endpoint must know")},
	{word("", "named-handshake", "has a handshake that names a token, a topic or an origin"),
		ofHandshake(func(p *profile.Profile) bool { return p.Challenge.Known != nil && !p.HandsOver() }), profileLacks("has no handshake that names a token, a topic or an origin")},
	{word("", "named-parameter", "has a handshake whose query names a token or a topic"),
		ofHandshake(func(p *profile.Profile) bool {
			return p.Challenge.Known != nil && p.Challenge.Known.Query != ""
		}), profileLacks("has no handshake whose query names a token or a topic")},
	{word("", "unasked-handshake", "has a handshake that may be about something which the endpoint has not asked for"),
		ofHandshake(func(p *profile.Profile) bool { return p.Challenge.Unasked != "" }), profileLacks("has no handshake that may be about something else")},
	{word("", "handed-over-secret", "hands its secret over in its handshake"),
		ofHandshake((*profile.Profile).HandsOver), profileLacks("hands over no secret")},
	{word("", "canary", "names a URL in its handshake, which anybody could have sent, and the target can reach ours"),
		func(s *Subject) bool { return hasCanary(s) && !s.Profile.Signed() }, lacksCanary},
	{word("", "confirmation", "has a handshake that is confirmed at a URL, and the target can reach ours"), confirms, lacksConfirmation},
	{word("", "own-host", "has no handshake that is confirmed at a URL, or lets us name ours there"), mayConfirm, lacksHost},
	{word("", "foreign-host", "has a handshake that is confirmed at a URL, and the target can reach ours, which is not the provider's"),
		func(s *Subject) bool { return confirms(s) && foreign(s.Profile.Challenge.Confirm) != "" }, lacksConfirmation},
	{word("", "signed-body", "signs the body"),
		func(s *Subject) bool { return s.Profile.BodySigned() }, profileLacks("does not sign the body")},
	{word("", "signed-data", "signs single data of the body, and not all of it"),
		func(s *Subject) bool { return len(s.Profile.Data()) > 0 }, profileLacks("signs no single data of the body")},
	{word("", "signed-beside", "signs single query parameters or headers"),
		func(s *Subject) bool { return s.Profile.Signed() && len(s.Profile.Beside()) > 0 }, profileLacks("signs no single query parameter or header")},
	{word("", "signed-fact", "signs what the endpoint is called at the provider, and does not send it"),
		func(s *Subject) bool { return len(s.Profile.Signature.FactWords()) > 0 }, profileLacks("signs nothing that it does not send")},
	{word("", "due-acknowledgement", "wants acknowledgements of a certain form"),
		func(s *Subject) bool { return s.Profile.Answers.Success.Shaped() }, profileLacks("leaves it open what an acknowledgement looks like")},
	{word("", "due-refusal-status", "wants deliveries refused by certain statuses"),
		func(s *Subject) bool {
			return s.Profile.Answers.Refusal != nil && s.Profile.Answers.Refusal.Status != ""
		}, profileLacks("leaves it open by which status a delivery is refused")},
	{word("", "due-refusal-form", "wants refusals of a certain form"),
		func(s *Subject) bool { return s.Profile.Answers.Refusal.Shaped() }, profileLacks("leaves it open what a refusal looks like")},
	{word("", "named-endpoint", "says in its body what the endpoint is called at the provider"),
		func(s *Subject) bool { name, _ := s.Profile.Named(); return name != "" }, profileLacks("names no endpoint in its bodies")},
	{word("", "key-from", "says in a delivery where its key is to be had"),
		func(s *Subject) bool { return s.Profile.KeyFrom != nil }, profileLacks("does not say where its key is to be had")},
	{word("", keyCanary, "says in a delivery where its certificate is to be had, and the target can reach ours"), hasKeyCanary, lacksKeyCanary},
	{word("", "signature-beside-body", "carries what proves it beside the body, and not in it"),
		func(s *Subject) bool { return !s.Profile.Signature.InBody() }, profileLacks("has its signature in the body")},
	{word("", "declared-json", "sends what a receiver may take where it is declared to be JSON"),
		func(s *Subject) bool { return s.Profile.FreelyTyped() }, profileLacks("sends what is declared in one way and in no other")},
	{word("", "signed-text", "signs a text that is put together, and no token or message as such"),
		func(s *Subject) bool { return s.Profile.Signed() && !s.Profile.Signature.Whole() }, profileLacks("signs no text that is put together")},
	{word("", "json-body", "sends JSON"),
		func(s *Subject) bool { return s.Profile.JSONBody() && !s.Profile.Signature.Body }, profileLacks("sends forms or tokens, and no JSON")},
	{word("", "opaque-body", "is verified without reading the body"),
		func(s *Subject) bool { return !s.Profile.ReadsBody() }, profileLacks("is verified by what stands in the body")},
	{word("", "hmac", "signs with an HMAC"),
		func(s *Subject) bool { return s.Profile.Signature.HMAC() }, profileLacks("does not sign with an HMAC")},
	{word("", "sha256", "signs with HMAC-SHA256"),
		func(s *Subject) bool { return s.Profile.Signature.Algorithm == "hmac-sha256" }, profileLacks("does not sign with HMAC-SHA256")},
	{word("", "ed25519", "signs with Ed25519 too, and the run has the key"), hasEd25519,
		func(s *Subject) string {
			if !slices.ContainsFunc(s.Profile.Also, isEd25519Scheme) {
				return profileLacks("has no Ed25519 signature")(s)
			}
			return "the run has no Ed25519 key: name one with --secret v1a=env:NAME"
		}},
	{word("", "encoded-key", "writes its secrets in an encoding"), encodesKeys, lacksEncoding},
	{word("", "labelled-signature", "puts a label before its signatures"),
		func(s *Subject) bool { return label(s.Profile.Signature.Value) != "" }, profileLacks("puts no label before its signature")},
	{word("", "signature-list", "sends several signatures in one header"),
		func(s *Subject) bool { return s.Profile.Signature.JoinedBy != "" }, profileLacks("sends one signature only")},
	{word("", "hex-signature", "writes its signature in hexadecimal"),
		func(s *Subject) bool { return s.Profile.Signature.Encoding == "hex" }, profileLacks("does not write its signature in hexadecimal")},
	{word("", "base64-signature", "writes its signature in base64"),
		func(s *Subject) bool { return s.Profile.Signature.Encoding == "base64" }, profileLacks("does not write its signature in base64")},
	{word("", "weak-signature", "sends a legacy signature beside the strong one"), hasWeak, profileLacks("sends no legacy signature")},
	{word("", "event", "names the type of the event"),
		func(s *Subject) bool { return s.Profile.Event != nil }, profileLacks("names no event type")},
	{word("", "second-key", "has a second valid key"),
		func(s *Subject) bool { return s.Second != nil }, runLacks("no second key is given: --second-secret")},
	{word("", "retired-key", "has a key that is valid no more"),
		func(s *Subject) bool { return s.Retired != nil }, runLacks("no retired key is given: --retired-secret")},
	{word("", "other-key", "has the key of another endpoint"),
		func(s *Subject) bool { return s.Other != nil }, runLacks("no other endpoint's key is given: --other-secret")},
	{word("", "other-url", "has another endpoint"),
		func(s *Subject) bool { return s.OtherURL != nil }, runLacks("no other endpoint is given: --other-path")},
	{word("", "probe", "tells of its effects"),
		func(s *Subject) bool { return s.Probe != nil }, runLacks("effects cannot be counted without a probe: --probe-url, --probe-exec or --probe-file")},
	{word("", "tls", "is reached through TLS"),
		func(s *Subject) bool { return s.Endpoint.TLS != nil }, runLacks("the target is reached without TLS")},
	{word("", "client-certificate", "demands a client certificate, and the run has one"),
		func(s *Subject) bool {
			return s.Endpoint.TLS != nil && (s.Endpoint.Identity != nil || s.Authority != nil)
		}, lacksCertificate},
	{word("", "pki", "trusts an authority of ours for its clients"),
		func(s *Subject) bool { return s.Endpoint.TLS != nil && s.Authority != nil }, lacksAuthority},
	{word("", "plain-http", "is reached without TLS"),
		func(s *Subject) bool { return s.Endpoint.TLS == nil }, runLacks("the target is reached through TLS")},
}

func lacksCertificate(s *Subject) string {
	if s.Endpoint.TLS == nil {
		return "the target is reached without TLS"
	}
	return "the run has no client certificate: --cert, or --pki where the target trusts an authority of hookanvil pki init"
}

func lacksAuthority(s *Subject) string {
	if s.Endpoint.TLS == nil {
		return "the target is reached without TLS"
	}
	return "the target trusts no authority of ours for its clients: hookanvil pki init makes one, and --pki names it"
}

func usesTechnique(those ...profile.Technique) func(*Subject) bool {
	return func(s *Subject) bool { return s.Profile.Signed() && slices.Contains(those, s.Profile.Technique()) }
}

func lacksStranger(s *Subject) string {
	if len(s.Profile.Addresses) == 0 {
		return profileLacks("names no addresses that deliveries come from")(s)
	}
	return "deliveries cannot be sent from an address that is not admitted: it takes a target on a loopback address of IPv4, and a system that lends 127.0.0.2 to everybody"
}

// encodesKeys tells whether a key is another than the text of its secret.
func encodesKeys(s *Subject) bool {
	p := s.Profile
	return p.Key.Encoding != "utf8" && slices.ContainsFunc(p.KeysOf(p.Signature, s.Keys), func(secret profile.Secret) bool {
		key, err := p.Signature.Key.Decode(secret)
		return err != nil || string(key) != secret.Reveal()
	})
}

func lacksEncoding(s *Subject) string {
	if s.Profile.Key.Encoding == "utf8" {
		return profileLacks("does not encode its secrets")(s)
	}
	return "the secret of this run is the same before and after it is decoded"
}

func isEd25519Scheme(s profile.Scheme) bool { return s.Algorithm == "ed25519" }

func hasEd25519(s *Subject) bool {
	return slices.ContainsFunc(s.Profile.Schemes(), func(scheme profile.Scheme) bool {
		return isEd25519Scheme(scheme) && len(s.Keys[scheme.Name]) > 0
	})
}

func hasWeak(s *Subject) bool {
	return slices.ContainsFunc(s.Profile.Also, func(scheme profile.Scheme) bool { return scheme.Weak })
}
