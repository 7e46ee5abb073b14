package receiver

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/scenarios"
)

// mutation is one way in which a delivery can depart from an honest one.
type mutation struct {
	scenarios.Entry
	when  moment
	needs []string // capabilities without which it means nothing
	apply func(d *delivery, arg any)
}

// moment is when a mutation acts.
type moment int

const (
	never         moment = iota
	beforeSigning        // the signature is honest about the change
	whileSigning         // the change is to the signature itself
	afterSigning         // the signature knows nothing of the change
)

type mutationTable []mutation

func (t mutationTable) find(part, name string) mutation {
	for _, m := range t {
		if m.Part == part && m.Name == name {
			return m
		}
	}
	return honest
}

// honest is the absence of a mutation.
var honest = mutation{when: never}

func word(part, name, doc string) scenarios.Entry {
	return scenarios.Entry{Part: part, Name: name, Doc: doc}
}

func wordWith(part, name string, arg scenarios.Kind, doc string) scenarios.Entry {
	return scenarios.Entry{Part: part, Name: name, Arg: arg, Doc: doc}
}

// mutations are the departures a scenario can name. Each sentence completes "the
// delivery ...".
var mutations = slices.Concat(generalMutations, tokenMutations, messageMutations)

// generalMutations are those that are not about one kind of signature.
var generalMutations = mutationTable{
	// The body.
	{word("body", "flip-bit", "has one bit of its body changed after signing"), afterSigning, []string{"signed-body"}, body(flipBit)},
	{word("body", "reserialised", "has its JSON written anew after signing: same meaning, other bytes"), afterSigning, []string{"signed-body", "json-body"}, body(reserialise)},
	{word("body", "trimmed", "has its body trimmed of white space after signing"), afterSigning, []string{"signed-body"}, body(bytes.TrimSpace)},
	{word("body", "emptied", "loses its body after signing"), afterSigning, []string{"signed-body"}, raw(func([]byte) []byte { return nil })},
	{word("body", "halved", "loses the second half of its body after signing"), afterSigning, []string{"signed-body"}, raw(func(b []byte) []byte { return b[:len(b)/2] })},
	{wordWith("body", "appended", scenarios.Text, "has a text appended to its body after signing"), afterSigning, []string{"signed-body"},
		func(d *delivery, arg any) {
			body(func(b []byte) []byte { return append(bytes.Clone(b), arg.(string)...) })(d, nil)
		}},
	{wordWith("body", "prepended", scenarios.Text, "has a text put before its body after signing"), afterSigning, []string{"signed-body"},
		func(d *delivery, arg any) {
			body(func(b []byte) []byte { return append([]byte(arg.(string)), b...) })(d, nil)
		}},
	{word("body", "tail-changed", "has the last kilobyte of its body changed after signing"), afterSigning, []string{"signed-body"}, body(changeTail)},
	{word("body", "invalid-utf8", "is signed over U+FFFD and sent with bytes that are not UTF-8 in its place"), afterSigning, []string{"signed-body"},
		body(func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\ufffd"), []byte{0xff}) })},
	{wordWith("body", "signed-datum", scenarios.Number, "has one of the data that its signature covers changed after signing: the first, the second and so on, and round again"), afterSigning, []string{"signed-data"},
		func(d *delivery, arg any) { d.alterDatum(arg.(int)) }},

	// What is signed beside the body.
	{wordWith("beside", "signed", scenarios.Number, "has one of the query parameters and headers that its signature covers changed after signing: the first, the second and so on, and round again"), afterSigning, []string{"signed-beside"},
		func(d *delivery, arg any) { d.alterBeside(arg.(int)) }},

	// The key.
	{word("key", "wrong", "is signed with a key of the right form that nobody issued"), whileSigning, nil, strangersKeys},
	{word("key", "empty", "is signed with a key of no bytes"), whileSigning, []string{"hmac"},
		hmacWith(func(profile.Signing) []byte { return []byte{} })},
	{wordWith("key", "guessed", scenarios.Text, "is signed with a key that anybody would guess"), whileSigning, []string{"hmac"},
		func(d *delivery, arg any) {
			hmacWith(func(profile.Signing) []byte { return []byte(arg.(string)) })(d, nil)
		}},
	{word("key", "zeros", "is signed with a key of 32 zero bytes"), whileSigning, []string{"hmac"},
		hmacWith(func(profile.Signing) []byte { return make([]byte, 32) })},
	{word("key", "undecoded", "is signed with the text of the secret instead of the key that it encodes"), whileSigning, []string{"encoded-key", "hmac"},
		hmacWith(func(s profile.Signing) []byte { return []byte(s.Secret.Reveal()) })},
	{word("key", "other-endpoint", "is signed with the key of another endpoint"), whileSigning, []string{"other-key"},
		func(d *delivery, _ any) { d.signWith(d.subject.Other) }},
	{word("key", "retired", "is signed with a key whose rotation has ended"), whileSigning, []string{"retired-key"},
		func(d *delivery, _ any) { d.signWith(d.subject.Retired) }},
	{word("key", "handed-over", "is signed with the secret that a handshake of the case has handed over"), whileSigning, []string{"handed-over-secret"}, keyHandedOver},
	{word("key", "public-as-secret", "carries an HMAC keyed with the public key of the other scheme"), whileSigning, []string{"ed25519", "hmac"}, publicAsSecret},
	{word("key", "sent-along", "is signed with a stranger's key, which it names in its own headers"), afterSigning, []string{"hmac"}, keySentAlong},

	// The signature.
	{word("signature", "missing", "has no signature header"), afterSigning, nil,
		func(d *delivery, _ any) { d.dropSignatures() }},
	{word("signature", "empty", "has an empty signature header"), afterSigning, nil, signature(func(string) string { return "" })},
	{wordWith("signature", "truncated", scenarios.Number, "carries only the first bytes of the signature, correctly encoded"), whileSigning, nil,
		func(d *delivery, arg any) {
			d.eachCode(func(c []byte) []byte { return c[:max(0, min(len(c)-1, arg.(int)))] })
		}},
	{word("signature", "half-a-byte-short", "lacks the last character of the signature"), whileSigning, nil,
		eachText(func(t string) string { return t[:len(t)-1] })},
	{word("signature", "extended", "carries four more bytes behind the signature, correctly encoded"), whileSigning, nil,
		func(d *delivery, _ any) {
			d.eachCode(func(c []byte) []byte { return append(bytes.Clone(c), d.more()...) })
		}},
	{word("signature", "prefix-only", "has a signature header that ends where the signature should begin"), whileSigning, nil, eachText(func(string) string { return "" })},
	{word("signature", "unlabelled", "carries the signature without the label in front of it"), whileSigning, []string{"labelled-signature"},
		eachSigning(func(s *profile.Signing) { s.Scheme.Value = relabel(s.Scheme.Value, "") })},
	{wordWith("signature", "labelled", scenarios.Text, "carries the right signature under another label"), whileSigning, []string{"labelled-signature"},
		func(d *delivery, arg any) {
			eachSigning(func(s *profile.Signing) { s.Scheme.Value = relabel(s.Scheme.Value, arg.(string)) })(d, nil)
		}},
	{word("signature", "label-doubled", "carries the label twice"), whileSigning, []string{"labelled-signature"},
		eachSigning(func(s *profile.Signing) {
			s.Scheme.Value = relabel(s.Scheme.Value, label(s.Scheme.Value)+label(s.Scheme.Value))
		})},
	{word("signature", "first-byte-flipped", "has one bit of the first byte of its signature changed"), whileSigning, nil, flipCode(0)},
	{word("signature", "last-byte-flipped", "has one bit of the last byte of its signature changed"), whileSigning, nil, flipCode(-1)},
	{word("signature", "ninth-byte-flipped", "has one bit of the ninth byte of its signature changed"), whileSigning, nil, flipCode(8)},
	{word("signature", "zeros", "carries a signature of the right length that is all zero bytes"), whileSigning, nil,
		func(d *delivery, _ any) { d.eachCode(func(c []byte) []byte { return d.nothing(len(c)) }) }},
	{word("signature", "hex", "carries the signature in hexadecimal where base64 is due"), whileSigning, []string{"base64-signature"},
		eachSigning(func(s *profile.Signing) { s.Scheme.Encoding = "hex" })},
	{word("signature", "base64", "carries the signature in base64 where hexadecimal is due"), whileSigning, []string{"hex-signature"},
		eachSigning(func(s *profile.Signing) { s.Scheme.Encoding = "base64" })},
	{word("signature", "case-swapped", "carries the signature with its letters in the other case"), whileSigning, []string{"base64-signature"}, eachText(swapCase)},
	{word("signature", "upper-case", "carries the signature in upper-case hexadecimal"), whileSigning, []string{"hex-signature"}, eachText(strings.ToUpper)},
	{wordWith("signature", "tailed", scenarios.Text, "has a text behind the signature that its alphabet does not know"), whileSigning, nil,
		func(d *delivery, arg any) { eachText(func(t string) string { return t + arg.(string) })(d, nil) }},
	{wordWith("signature", "hmac", scenarios.Text, "carries an HMAC of another hash function (md5, sha1, sha512) in the place of the right one"), whileSigning, []string{"hmac"}, otherHash},
	{word("signature", "plain-hash", "carries a bare SHA-256 of the body, which needs no key"), whileSigning, []string{"hmac"}, plainHash},
	{wordWith("signature", "over", scenarios.Text, "is signed over less than is due, such as {body} or {id}.{body}"), whileSigning, []string{"signed-body", "signed-text"}, signedOver},
	{word("signature", "over-without-timestamp", "is signed without its timestamp"), whileSigning, []string{"timestamp-beside-body"},
		overNoTimestamp},
	{word("signature", "over-without-id", "is signed without its id"), whileSigning, []string{"signed-id-header"},
		eachSigning(func(s *profile.Signing) { s.Scheme.Signs = without(s.Scheme.Signs, "{id}") })},
	{word("signature", "over-without-fact", "is signed without what the endpoint is called at the provider"), whileSigning, []string{"signed-fact"},
		eachSigning(func(s *profile.Signing) {
			for _, word := range s.Scheme.FactWords() {
				s.Scheme.Signs = strings.ReplaceAll(s.Scheme.Signs, word, "")
			}
		})},
	{word("signature", "key-elsewhere", "says that its key is to be had from a host whose name begins as the provider's does, and ends otherwise"), afterSigning, []string{"key-from"},
		func(d *delivery, _ any) {
			d.request.Headers, d.request.Body = d.subject.Profile.KeyFrom.Elsewhere(d.request.Headers, d.request.Body)
		}},
	{wordWith("signature", "key-at", scenarios.Text, "is signed with a stranger's key, and says that it is to be had where this leads, which it is: {http} and {https} are ours, and {host} is the provider's"),
		whileSigning, []string{"key-from", keyCanary}, keyAt},
	{wordWith("signature", "replaced", scenarios.Text, "has a signature header that says something else altogether"), afterSigning, nil,
		func(d *delivery, arg any) { d.eachSignature(func(string) string { return unescape(arg.(string)) }) }},
	{word("signature", "weak-only", "carries only the legacy signature"), afterSigning, []string{"weak-signature"},
		func(d *delivery, _ any) { d.request.Headers.Del(d.signatureHeader()) }},
	{word("signature", "weak-rescues", "carries a wrong signature beside a correct legacy one"), whileSigning, []string{"weak-signature"}, spoilStrong},
	{word("signature", "among-wrong-first", "carries a wrong signature before the right one"), whileSigning, []string{"signature-list"}, among(1, 0)},
	{word("signature", "among-wrong-last", "carries a wrong signature behind the right one"), whileSigning, []string{"signature-list"}, among(0, 1)},
	{word("signature", "among-wrong-both", "carries wrong signatures before and behind the right one"), whileSigning, []string{"signature-list"}, among(1, 1)},
	{wordWith("signature", "beside-unknown", scenarios.Text, "carries an unknown kind of signature beside the right one"), afterSigning, []string{"signature-list"}, besideUnknown},
	{wordWith("signature", "flood", scenarios.Number, "carries that many wrong signatures"), whileSigning, []string{"signature-list"},
		func(d *delivery, arg any) {
			d.eachCode(flipAt(-1))
			d.signings = repeated(d.signings, arg.(int))
		}},
	{word("signature", "reordered", "has the parts of its signature header in the reverse order"), afterSigning, []string{"timestamp-in-signature"}, reverseParts},
	{word("signature", "twice-wrong-first", "has a second signature header line, a wrong one before the right one"), afterSigning, []string{"signature-header"}, secondSignature(true)},
	{word("signature", "twice-wrong-last", "has a second signature header line, a wrong one behind the right one"), afterSigning, []string{"signature-header"}, secondSignature(false)},
	{wordWith("signature", "under", scenarios.Text, "carries its signature under another header's name"), afterSigning, []string{"signature-header"},
		func(d *delivery, arg any) { d.rename(d.signatureHeader(), arg.(string)) }},
	{word("signature", "in-query", "carries its signature in the query instead of the header"), afterSigning, []string{"signature-header"}, signatureInQuery},

	// The secret itself, where that is sent in the place of a signature.
	{word("credential", "missing", "carries no credential"), afterSigning, nil, func(d *delivery, _ any) { d.dropSignatures() }},
	{word("credential", "empty", "carries an empty credential"), afterSigning, nil, func(d *delivery, _ any) { d.carry("") }},
	{word("credential", "wrong", "carries a credential of the right form that nobody issued"), whileSigning, nil, strangersKeys},
	{word("credential", "halved", "carries the first half of the credential"), whileSigning, nil,
		func(d *delivery, _ any) { d.eachCode(func(c []byte) []byte { return c[:max(1, len(c)/2)] }) }},
	{wordWith("credential", "extended", scenarios.Text, "carries the credential with a text behind it"), whileSigning, nil,
		func(d *delivery, arg any) {
			d.eachCode(func(c []byte) []byte { return append(bytes.Clone(c), arg.(string)...) })
		}},
	{word("credential", "case-swapped", "carries the credential with its letters in the other case"), whileSigning, nil,
		func(d *delivery, _ any) { d.eachCode(func(c []byte) []byte { return []byte(swapCase(string(c))) }) }},
	{word("credential", "scheme-alone", "carries the name of the scheme and nothing behind it"), afterSigning, []string{"authorization"},
		func(d *delivery, _ any) { d.carry(strings.TrimSpace(label(d.subject.Profile.Signature.Value))) }},
	{word("credential", "scheme-in-other-case", "carries the credential behind the name of its scheme in the other case"), afterSigning, []string{"authorization"}, withScheme(swapCase)},
	{word("credential", "without-scheme", "carries the credential without the name of its scheme"), afterSigning, []string{"authorization"}, withScheme(func(string) string { return "" })},
	{wordWith("credential", "under-scheme", scenarios.Text, "carries the credential behind the name of another scheme"), afterSigning, []string{"authorization"},
		func(d *delivery, arg any) { withScheme(func(string) string { return arg.(string) + " " })(d, nil) }},
	{word("credential", "user-wrong", "carries the right password of another user"), whileSigning, []string{"basic"},
		userAndPassword(func(d *delivery, user, password string) (string, string) { return invented(d, user), password })},
	{word("credential", "password-wrong", "carries a wrong password of the right user"), whileSigning, []string{"basic"},
		userAndPassword(func(d *delivery, user, password string) (string, string) { return user, invented(d, password) })},
	{word("credential", "password-empty", "carries the right user name and an empty password"), whileSigning, []string{"basic"},
		userAndPassword(func(_ *delivery, user, _ string) (string, string) { return user, "" })},
	{word("credential", "user-alone", "carries the right user name, without a colon and a password"), whileSigning, []string{"basic"}, bareUser},
	{word("credential", "not-encoded", "carries user name and password in clear"), afterSigning, []string{"basic"}, notEncoded},
	{word("credential", "name-in-other-case", "carries the credential in a parameter whose name is in upper case"), afterSigning, []string{"credential-query"},
		func(d *delivery, _ any) {
			d.secret = parameter(strings.ToUpper(d.subject.Profile.Signature.Query), d.credential())
			d.retarget()
		}},
	{word("credential", "in-query", "carries the credential in the query instead of the header"), afterSigning, []string{"credential-header"}, credentialInQuery},
	{word("credential", "in-header", "carries the credential in headers instead of the query"), afterSigning, []string{"credential-query"}, credentialInHeader},
	{word("credential", "in-other-header", "carries the credential in other headers than the right one"), afterSigning, []string{"credential-header"}, credentialInOtherHeader},
	{word("credential", "in-cookie", "carries the credential in a cookie"), afterSigning, nil, credentialInCookie},
	{word("credential", "in-body", "carries the credential in its body"), afterSigning, nil, credentialInBody},
	{word("credential", "twice-wrong-first", "carries a wrong credential before the right one"), afterSigning, []string{"signature-beside-body"}, secondCredential(true)},
	{word("credential", "twice-wrong-last", "carries a wrong credential behind the right one"), afterSigning, []string{"signature-beside-body"}, secondCredential(false)},

	// The handshake of the profile, in the place of a delivery.
	{word("handshake", "honest", "is the profile's handshake"), afterSigning, nil, handshake(honestly)},
	{word("handshake", "unsigned", "is the profile's handshake without its signature"), afterSigning, []string{"signed-handshake"},
		func(d *delivery, _ any) { handshake(honestly)(d, nil); d.dropSignatures() }},
	{word("handshake", "forged", "is the profile's handshake, signed with a stranger's key"), afterSigning, []string{"signed-handshake"},
		handshake(asking{challenge: "{random}", known: "{known}", forged: true})},
	{wordWith("handshake", "asking", scenarios.Text, "is the profile's handshake with a challenge of the scenario's"), afterSigning, []string{"free-challenge"},
		func(d *delivery, arg any) { handshake(asking{challenge: arg.(string), known: "{known}"})(d, nil) }},
	{wordWith("handshake", "naming", scenarios.Text, "is the profile's handshake, and names the scenario's token, topic, origin or secret in the place of the right one"), afterSigning,
		[]string{"known-handshake"}, naming},
	{word("handshake", "unasked", "is the profile's handshake about something that nobody has asked for"), afterSigning, []string{"unasked-handshake"},
		handshake(asking{challenge: "{random}", known: "{known}", unasked: true})},
	{word("handshake", "elsewhere", "is the profile's handshake, rightly signed, and to be confirmed at a host that is not the provider's"), afterSigning, []string{"foreign-host"},
		handshake(asking{challenge: "{random}", known: "{known}", elsewhere: true})},
	{word("handshake", "in-delivery", "is an ordinary delivery that says what the profile's handshake says"), beforeSigning, []string{"canary"}, handshakeInDelivery},

	// Where it comes from.
	{word("address", "other", "comes from an address that is not admitted"), afterSigning, []string{"other-address"},
		func(d *delivery, _ any) { d.from = d.subject.stranger(unlisted...) }},
	{word("address", "resembling", "comes from an address that is not admitted, and begins as an admitted one does"), afterSigning, []string{"resembling-address"},
		func(d *delivery, _ any) { d.from = d.subject.stranger(d.subject.resembling()...) }},
	{wordWith("address", "claimed", scenarios.Text, "comes from an address that is not admitted, and has a header that says otherwise; {listed} stands for an admitted address"), afterSigning, []string{"other-address"}, claiming},

	// Ed25519 where the profile has it beside an HMAC.
	{word("asymmetric", "only", "carries only its Ed25519 signature"), whileSigning, []string{"ed25519", "hmac"}, onlyEd25519(nil)},
	{word("asymmetric", "flipped", "carries only an Ed25519 signature, with one bit changed"), whileSigning, []string{"ed25519"}, onlyEd25519(flipAt(-1))},
	{word("asymmetric", "zeros", "carries only an Ed25519 signature of 64 zero bytes"), whileSigning, []string{"ed25519"},
		onlyEd25519(func([]byte) []byte { return make([]byte, ed25519.SignatureSize) })},
	{word("asymmetric", "malleable", "carries only an Ed25519 signature with the group's order added to S"), whileSigning, []string{"ed25519"}, onlyEd25519(addOrder)},
	{word("asymmetric", "stranger", "carries only an Ed25519 signature of another key pair"), whileSigning, []string{"ed25519"}, onlyStrangersEd25519},

	// What the endpoint is called at the provider, which signs for others with the same key.
	{wordWith("fact", "says", scenarios.Text, "is rightly signed, for an endpoint that is called otherwise at the provider; {another} is of the right form, {own} the right name"), beforeSigning, []string{"named-endpoint"},
		func(d *delivery, arg any) { d.subject = d.calledOtherwise(arg.(string)) }},
	{wordWith("fact", "body-says", scenarios.Text, "is rightly signed, for an endpoint that is called otherwise at the provider, and names the right one in its headers"), beforeSigning, []string{"named-endpoint"},
		func(d *delivery, arg any) { d.calledOtherwise(arg.(string)) }},

	// The id.
	{word("id", "missing", "has no id header"), afterSigning, []string{"id-header"},
		func(d *delivery, _ any) { d.request.Headers.Del(d.subject.Profile.ID.Header) }},
	{word("id", "altered", "has its id header changed after signing"), afterSigning, []string{"id-header"}, alterID},
	{word("id", "altered-on-replay", "is a replay under an id header that was changed"), afterSigning, []string{"id-header"}, alterID},
	{word("id", "upper-case", "has its id header in upper case, signed so"), beforeSigning, []string{"id-header"},
		func(d *delivery, _ any) { d.ID = strings.ToUpper(d.ID) }},
	{word("id", "twice-signed-first", "has a second id header line behind the signed one"), afterSigning, []string{"id-header"}, secondID(false)},
	{word("id", "twice-signed-last", "has a second id header line before the signed one"), afterSigning, []string{"id-header"}, secondID(true)},
	{wordWith("id", "text", scenarios.Text, "has a text of the scenario's for its id, signed so; {id} stands for an ordinary one"), beforeSigning, []string{"id-header"},
		func(d *delivery, arg any) {
			d.tokens = append(d.tokens, d.ID)
			d.ID = strings.ReplaceAll(unescape(arg.(string)), "{id}", d.ID)
		}},
	{wordWith("id", "long", scenarios.Number, "has an id of that many characters, signed so"), beforeSigning, []string{"id-header"},
		func(d *delivery, arg any) {
			d.tokens = append(d.tokens, d.ID)
			d.ID += strings.Repeat("x", max(0, arg.(int)-len(d.ID)))
		}},
	{word("id", "swallows-timestamp", "moves the delimiter: the signed bytes are the same, but id, timestamp and body are cut elsewhere"), afterSigning, []string{"delimited-id", "timestamp-header"}, shiftDelimiter},

	// The timestamp.
	{word("timestamp", "missing", "has no timestamp"), afterSigning, []string{"timestamp-beside-body"},
		func(d *delivery, _ any) { d.replaceTimestamp("") }},
	{wordWith("timestamp", "altered", scenarios.Span, "has its timestamp moved after signing"), afterSigning, []string{"timestamp-beside-body"},
		func(d *delivery, arg any) {
			d.replaceTimestamp(d.subject.Profile.Stamp(d.now.Add(arg.(time.Duration))))
		}},
	{word("timestamp", "stale", "was signed five seconds longer ago than the tolerance allows"), beforeSigning, []string{"bounded-age"},
		func(d *delivery, _ any) { d.stampAt(-d.tolerance() - edge) }},
	{word("timestamp", "future", "was signed five seconds further ahead than the tolerance allows"), beforeSigning, []string{"bounded-future"},
		func(d *delivery, _ any) { d.stampAt(d.tolerance() + edge) }},
	{wordWith("timestamp", "shifted", scenarios.Span, "was signed at another time"), beforeSigning, []string{"bounded-age"},
		func(d *delivery, arg any) { d.stampAt(arg.(time.Duration)) }},
	{wordWith("timestamp", "text", scenarios.Text, "has a text of the scenario's for its timestamp, signed so; {unix} stands for the right number"), beforeSigning, []string{"unix-timestamp"},
		func(d *delivery, arg any) { d.Timestamp = d.fillTimestamp(arg.(string)) }},
	{wordWith("timestamp", "rewritten", scenarios.Text, "has its timestamp written otherwise after signing; {unix} stands for the right number"), afterSigning, []string{"unix-timestamp"},
		func(d *delivery, arg any) { d.replaceTimestamp(d.fillTimestamp(arg.(string))) }},
	{word("timestamp", "milliseconds", "has its timestamp in milliseconds where seconds are due, signed so"), beforeSigning, []string{"unix-timestamp"},
		func(d *delivery, _ any) { d.Timestamp += "000" }},
	{word("timestamp", "microseconds", "has its timestamp in microseconds where seconds are due, signed so"), beforeSigning, []string{"unix-timestamp"},
		func(d *delivery, _ any) { d.Timestamp += "000000" }},
	{word("timestamp", "twice-fresh-first", "is signed when stale and carries a fresh timestamp before the signed one"), whileSigning, []string{"bounded-age", "timestamp-beside-body"}, staleWithFresh(true)},
	{word("timestamp", "twice-fresh-last", "is signed when stale and carries a fresh timestamp behind the signed one"), whileSigning, []string{"bounded-age", "timestamp-beside-body"}, staleWithFresh(false)},
	{word("timestamp", "stale-beside-fresh-header", "is stale, and says in headers that nobody signs that it is fresh"), beforeSigning, []string{"bounded-age"}, staleBesideFresh},

	// No signature at all, and something that might make a receiver forget to ask.
	{wordWith("unsigned", "query", scenarios.Text, "is unsigned and has a query"), afterSigning, nil,
		func(d *delivery, arg any) {
			d.dropSignatures()
			d.query = strings.Trim(d.query+"&"+arg.(string), "&")
			d.retarget()
		}},
	{wordWith("unsigned", "header", scenarios.Text, "is unsigned and has a header, written Name: value"), afterSigning, nil,
		func(d *delivery, arg any) {
			name, value, _ := strings.Cut(arg.(string), ":")
			d.dropSignatures()
			d.request.Headers.Set(name, strings.TrimSpace(value))
		}},
	{wordWith("unsigned", "path", scenarios.Text, "is unsigned and goes to a variant of the path; {path} and {PATH} stand for the path"), afterSigning, nil,
		func(d *delivery, arg any) { d.dropSignatures(); d.repath(arg.(string)) }},
	{wordWith("unsigned", "content-type", scenarios.Text, "is unsigned and has another content type"), afterSigning, nil,
		func(d *delivery, arg any) { d.dropSignatures(); d.setHeader("Content-Type", arg.(string)) }},
	{word("unsigned", "entirely", "is a bare POST: no signature, id or timestamp"), afterSigning, nil,
		func(d *delivery, _ any) { d.bare() }},
	{word("unsigned", "and-empty", "is a POST of nothing at all"), afterSigning, nil,
		func(d *delivery, _ any) { d.bare(); d.request.Body = nil; d.request.Headers.Del("Content-Type") }},

	// A wrong key, and something that might make a receiver forget to check.
	{wordWith("forged", "content-type", scenarios.Text, "is signed with a stranger's key and has another content type"), whileSigning, nil,
		func(d *delivery, arg any) {
			strangersKeys(d, nil)
			d.extra.Set("Content-Type", arg.(string))
		}},
	{wordWith("forged", "body", scenarios.Text, "is signed with a stranger's key and has another body"), beforeSigning, nil,
		func(d *delivery, arg any) {
			d.Body, d.keys = []byte(arg.(string)), d.subject.Profile.Forged(d.rand, d.keys)
		}},

	// Method and path.
	{wordWith("method", "is", scenarios.Text, "is correctly signed and sent by another method"), afterSigning, nil,
		func(d *delivery, arg any) { d.request.Method = arg.(string) }},
	{word("path", "other-endpoint", "is correctly signed for this endpoint and sent to another"), afterSigning, []string{"other-url", "secret"},
		func(d *delivery, _ any) {
			d.path, d.query = wire.OriginPath(d.subject.OtherURL), d.subject.queryOf(d.subject.OtherURL)
			d.retarget()
		}},

	// Content codings.
	{word("encoding", "gzip", "is compressed with gzip, signed as sent"), beforeSigning, []string{"opaque-body"}, compress},
	{word("encoding", "gzip-bomb", "is 130 kB of gzip that unpack to 128 MB, signed as sent"), beforeSigning, []string{"opaque-body"}, compressBomb},
}

// edge is how far beyond a limit of time a delivery is stamped: enough for a
// clock that is a few seconds off, as Date headers can show it, not to matter.
const edge = 5 * time.Second
