package sender

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/fixtures/payloads"
	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/scenarios"
)

// Vocabulary returns the words that sender scenarios are written in.
func Vocabulary() scenarios.Vocabulary {
	v := scenarios.Vocabulary{Role: "sender"}
	for _, w := range wire.AnswerWays {
		arg := scenarios.None
		if w.Number != "" {
			arg = scenarios.Number
		}
		v.Answers = append(v.Answers, scenarios.Entry{Name: w.Name, Arg: arg, Optional: true, Doc: "is answered " + w.Doc})
	}
	for _, a := range addresses {
		v.Addresses = append(v.Addresses, a.Entry)
	}
	for _, w := range consentWays {
		v.Handshakes = append(v.Handshakes, w.Entry)
	}
	for _, e := range expectations {
		v.Expectations = append(v.Expectations, e.Entry)
	}
	for _, m := range measures {
		v.Measures = append(v.Measures, m.Entry)
	}
	for _, c := range capabilities {
		v.Capabilities = append(v.Capabilities, c.Entry)
	}
	v.Certificates = append(v.Certificates, word(goodCertificate, "is good, and issued by an authority that the sender trusts"))
	for _, f := range pki.Faults {
		if slices.Contains(f.Roles, pki.Server) {
			v.Certificates = append(v.Certificates, word(f.Name, f.Sentence))
		}
	}
	for _, s := range suitesOfCiphers {
		v.Ciphers = append(v.Ciphers, s.Entry)
	}
	for _, p := range payloads.List() {
		v.Payloads = append(v.Payloads, word(p.Name, p.Doc))
	}
	return v
}

// capability is something that a profile or a run may lack.
type capability struct {
	scenarios.Entry
	has  func(j *Judge) bool
	lack func(j *Judge) string // why a case is skipped
}

type capabilityTable []capability

func (t capabilityTable) find(name string) capability {
	i := slices.IndexFunc(t, func(c capability) bool { return c.Name == name })
	return t[i]
}

// profileLacks and runLacks are the reasons for a skip: the first is the
// provider's doing, the second can be mended by an option.
func profileLacks(what string) func(*Judge) string {
	return func(j *Judge) string { return fmt.Sprintf("profile %s %s", j.subject.Profile.Name, what) }
}

func runLacks(what string) func(*Judge) string {
	return func(*Judge) string { return what }
}

// of asks the profile.
func of(has func(p *profile.Profile) bool) func(*Judge) bool {
	return func(j *Judge) bool { return has(j.subject.Profile) }
}

var capabilities = capabilityTable{
	{word("signature", "signs its deliveries"), of((*profile.Profile).Signed), profileLacks("signs nothing")},
	{word("secret", "signs its deliveries, and the run has the secret"), hasSecret, lacksSecret},
	{word("hmac", "signs with an HMAC"), of(func(p *profile.Profile) bool { return p.Signature.HMAC() }), profileLacks("does not sign with an HMAC")},
	{word("weak-signature", "sends a legacy signature beside the strong one"), of(func(p *profile.Profile) bool {
		return slices.ContainsFunc(p.Also, func(s profile.Scheme) bool { return s.Weak })
	}), profileLacks("sends no legacy signature")},
	{word("timestamp", "sends a timestamp"), of(func(p *profile.Profile) bool { return p.Timestamp != nil }), profileLacks("sends no timestamp")},
	{word("unix-timestamp", "sends its timestamp as a number of seconds"),
		of(func(p *profile.Profile) bool { return p.Timestamp != nil && p.Timestamp.Unit == "s" }), profileLacks("has no timestamp in seconds")},
	{word("id", "identifies its deliveries"), of(func(p *profile.Profile) bool { return p.ID != nil }), profileLacks("has no delivery id")},
	{word("id-header", "sends the delivery id in a header"), of(func(p *profile.Profile) bool { return p.ID != nil && p.ID.Header != "" }), profileLacks("has no id header")},
	{word("id-signed", "covers the delivery id with its signature"), of((*profile.Profile).IDSigned), profileLacks("does not sign the delivery id")},
	{word("body-signed", "covers the body with its signature"), of((*profile.Profile).BodySigned), profileLacks("does not sign the body")},
	{word("json-body", "sends JSON"), of((*profile.Profile).JSONBody), profileLacks("sends forms, and no JSON")},
	{word("signed-data", "covers single data of the body with its signature, and not all of it"), of(func(p *profile.Profile) bool { return len(p.Data()) > 0 }), profileLacks("signs no single data of the body")},
	{word("signed-beside", "covers single query parameters or headers with its signature"), of(func(p *profile.Profile) bool { return p.Signed() && len(p.Beside()) > 0 }), profileLacks("signs no single query parameter or header")},
	{word("kept-secret", "keeps its secret to itself"), of(func(p *profile.Profile) bool { return !p.Signature.SendsSecret() }), profileLacks("sends the secret itself")},
	{word("event", "names the type of the event"), of(func(p *profile.Profile) bool { return p.Event != nil }), profileLacks("names no event type")},
	{word("envelope", "has payloads of the form that Standard Webhooks recommends"), of(hasEnvelope), profileLacks("has payloads of another form than type, timestamp and data")},

	{word("success-2xx", "takes every 2xx for a success"), of(func(p *profile.Profile) bool { return p.Succeeds(201) && p.Succeeds(299) }), profileLacks("does not take every 2xx for a success")},
	{word("retries", "tries again"), of(func(p *profile.Profile) bool { return p.Retry == nil || p.Retry.Total() != 1 }), profileLacks("never tries again")},
	{word("schedule", "declares the gaps between its attempts"), of(func(p *profile.Profile) bool {
		if p.Retry == nil {
			return false
		}
		_, ok := p.Retry.Gap(1)
		return ok
	}), runLacks("no schedule is declared: the profile's retry section, or --retry-schedule")},
	{word("attempts", "declares how many attempts it makes"), of(func(p *profile.Profile) bool { return p.Retry != nil && p.Retry.Total() > 0 }),
		runLacks("the number of attempts is not declared: the profile's retry section, or --retry-attempts")},
	{word("jitter", "declares that its gaps vary"), of(func(p *profile.Profile) bool { return p.Retry != nil && p.Retry.Jitter != "" }), profileLacks("declares no jitter")},
	{word("terms", "declares the answers after which it gives up"), of(func(p *profile.Profile) bool { return p.Retry != nil && p.Retry.GivesUpOn != nil }),
		profileLacks("does not declare after which answers it gives up")},
	{word("stops", "declares the answers that disable an endpoint"), of(func(p *profile.Profile) bool { return p.Retry != nil && len(p.Retry.Stops) > 0 }),
		profileLacks("declares no answer that disables an endpoint")},
	{word("retry-after", "declares to honour Retry-After, or says nothing of it"), of(func(p *profile.Profile) bool { return p.Retry == nil || p.Retry.RetryAfter != "ignored" }),
		profileLacks("declares to ignore Retry-After")},
	{word("no-redirects", "does not follow redirects, as it declares"), of(func(p *profile.Profile) bool { return p.Delivery.Redirects != "follow" }), profileLacks("declares to follow redirects")},
	{word("deadline", "declares the time that it gives an attempt"), func(j *Judge) bool { return j.subject.deadline() > 0 },
		runLacks("the time that it gives an attempt is not declared: the profile's delivery section, or --deadline")},

	{word("handshake", "has a handshake, its endpoints are registered by us, and a secret that it takes is known before"), hasHandshake, lacksHandshake},
	{word("signed-handshake", "signs its handshake"), ofHandshake(func(c *profile.Challenge) bool { return c.Signed }), profileLacks("signs no handshake")},
	{word("invented-challenge", "invents a challenge for each handshake"), ofHandshake((*profile.Challenge).Invents), profileLacks("invents no challenge")},
	{word("echoed-challenge", "has a handshake that is answered by what it asks"), ofHandshake(func(c *profile.Challenge) bool {
		return c.Answer.Header != "" || strings.Contains(c.Answer.Body, "{challenge}") || strings.Contains(c.Answer.Body, "{mac:")
	}), profileLacks("has no handshake that is answered by what it asks")},
	{word("text-challenge", "has a handshake that is answered with the challenge as text"), ofHandshake(func(c *profile.Challenge) bool { return c.Answer.Body == "{challenge}" }),
		profileLacks("has no handshake that is answered with the challenge as text")},
	{word("proven-challenge", "has a handshake whose answer is made with the secret"), ofHandshake(func(c *profile.Challenge) bool { return strings.Contains(c.Answer.Body, "{mac:") }),
		profileLacks("has no handshake whose answer is made with the secret")},
	{word("tried-forgery", "finds out in its handshake whether an endpoint verifies signatures"), ofHandshake(triesForgery), profileLacks("does not find out whether an endpoint verifies")},
	{word("allowed-rate", "lets an endpoint say how often deliveries may come"), ofHandshake(func(c *profile.Challenge) bool { return c.Rate != nil }), profileLacks("lets nobody say how often deliveries may come")},
	{word("consent-callback", "may name a URL in its handshake at which an endpoint agrees later"), ofHandshake(func(c *profile.Challenge) bool { return c.Callback != "" }),
		profileLacks("names no URL at which an endpoint could agree later")},
	{word("lease", "agrees with an endpoint on how long it has its deliveries, and is told by us"), hasLease, lacksLease},
	{word("leaving", "asks an endpoint whether its deliveries are to end, and can be told to forget it"), hasLeaving, lacksLeaving},
	{word("origin", "names its origin in a header, of its handshake and its deliveries"), of(func(p *profile.Profile) bool {
		return p.Challenge != nil && p.Challenge.Known != nil && p.Challenge.Known.Header != "" && !p.HandsOver()
	}), profileLacks("names no origin")},
	{word("move", "can be told that an endpoint has another URL"), func(j *Judge) bool { return j.subject.Move != nil }, runLacks("endpoints cannot be moved: --move")},

	{word("trigger", "has its events fired by us"), func(j *Judge) bool { return !j.subject.waiting() }, runLacks("events are not fired by us: --trigger")},
	{word("registration", "is told of its endpoints by us"), func(j *Judge) bool { return j.subject.Register != nil }, runLacks("endpoints cannot be registered: --register")},
	{word("removal", "can be told to forget an endpoint"), func(j *Judge) bool { return j.subject.Remove != nil }, runLacks("endpoints cannot be removed: --remove")},
	{word("rotation", "can be told to rotate a secret"), func(j *Judge) bool {
		return j.subject.Rotate != nil && j.subject.Next != nil && j.subject.Profile.Signed()
	},
		runLacks("secrets cannot be rotated: --rotate and --next-secret")},
	{word("restart", "can be restarted"), func(j *Judge) bool { return j.subject.Restart != nil }, runLacks("it cannot be restarted: --restart")},
	{word("custom-headers", "adds headers that an endpoint asks for"), registers("headers"), runLacks("no headers can be asked for: {headers} in --register")},
	{word("event-filter", "delivers chosen event types only"), registers("events"), runLacks("no event types can be chosen: {events} in --register")},
	{word("payload", "carries data that we choose"), func(j *Judge) bool { return !j.subject.waiting() && j.subject.Trigger.Has("data") }, runLacks("events carry no data of ours: {data} in --trigger")},
	{word("token", "signs with a JSON Web Token"), of(func(p *profile.Profile) bool { return p.Signature.Token != nil }), profileLacks("signs with no token")},
	{word("token-expiry", "signs tokens that expire"), of(func(p *profile.Profile) bool { return p.Signature.Demands("exp") }), profileLacks("signs no token that expires")},
	{word("shared-secret", "has secrets that sender and receiver share, and no private keys"), of(func(p *profile.Profile) bool { return p.Signed() && !p.Signature.Pair() }), profileLacks("signs with a private key")},
	{word("issued-secret", "invents the secret of an endpoint"), func(j *Judge) bool { return j.subject.SecretAt != "" }, runLacks("it is not known to invent secrets: --issued-secret")},
	{word("own-ports", "can reach endpoints on ports of their own"), func(j *Judge) bool { return !j.subject.fixed() && j.subject.PublicURL == nil },
		runLacks("endpoints cannot have ports of their own, behind --public-url or for a sender that cannot be told of them")},
	{word("own-urls", "can be told of URLs"), func(j *Judge) bool { return !j.subject.fixed() }, runLacks("the sender cannot be told of another URL: {url} in --register or --trigger")},
	{word("same-machine", "runs on this machine, so that its loopback addresses are ours"), func(j *Judge) bool { return j.near },
		runLacks("the sender is not on this machine, so that its own network cannot be watched from here")},
	{word("several-endpoints", "delivers to several endpoints"), func(j *Judge) bool { return !j.subject.fixed() }, runLacks("the sender cannot be told of a second endpoint: {url} in --register or --trigger")},
	{word("tokens", "carries the token of an event in the payload"), func(j *Judge) bool { return j.carried }, runLacks("deliveries do not carry the token of their event: {token} in --trigger")},
	{word("untrusted", "takes registrations from strangers"), func(j *Judge) bool { return j.subject.Untrusted }, runLacks("it takes no registrations from strangers; if it does, say --untrusted")},
	{word("resolver", "looks names up where we say"), func(j *Judge) bool { return j.subject.Resolver != nil }, runLacks("it has not been pointed at a resolver of ours: --resolver")},
	{word("second-loopback", "runs where 127.0.0.2 can be listened on"), func(j *Judge) bool { return listens("127.0.0.2") }, runLacks("nothing can listen on 127.0.0.2 here")},
	{word("pki", "trusts an authority of ours"), func(j *Judge) bool { return j.subject.Authority != nil },
		runLacks("it trusts no authority of ours: give it the ca.pem of one (hookanvil pki init DIR), and say --pki DIR")},
	{word("names", "can reach endpoints by names"), func(j *Judge) bool { return j.subject.Resolver != nil || j.near },
		runLacks("no name leads the sender to us: --resolver")},
	{word("client-certificates", "shows a client certificate to an endpoint that asks for one"),
		func(j *Judge) bool { return j.subject.ClientRoots != nil || j.endpointCertificates() },
		runLacks("it is not known to show a client certificate: --client-ca, or {client_certificate} and {client_key} in --register")},
	{word("endpoint-certificates", "is told which client certificate to show to an endpoint"), (*Judge).endpointCertificates,
		runLacks("no client certificate can be given to it for an endpoint: {client_certificate} and {client_key} in --register")},
	{word("no-own-certificate", "has no client certificate to show to an endpoint that it was given none for"), func(j *Judge) bool { return j.subject.ClientRoots == nil },
		runLacks("it has a client certificate for all endpoints: --client-ca")},
	{word("ipv6", "runs where ::1 can be listened on"), func(j *Judge) bool { return listens("::1") }, runLacks("nothing can listen on ::1 here")},
}

// ofHandshake is a capability of a profile's handshake.
func ofHandshake(has func(*profile.Challenge) bool) func(*Judge) bool {
	return of(func(p *profile.Profile) bool { return p.Challenge != nil && has(p.Challenge) })
}

// knownEarly tells whether the secret that a handshake takes is known before the answer
// to the registration, during which the handshake may come.
func (j *Judge) knownEarly() bool {
	c := j.subject.Profile.Challenge
	takes := c.Signed || strings.Contains(c.Answer.Body, "{mac:")
	return !takes || j.subject.Keys != nil && j.subject.SecretAt == ""
}

func hasHandshake(j *Judge) bool {
	c := j.subject.Profile.Challenge
	return c != nil && c.Confirm == nil && j.subject.Register != nil && j.knownEarly()
}

func lacksHandshake(j *Judge) string {
	switch {
	case j.subject.Profile.Challenge == nil:
		return profileLacks("has no handshake that is known")(j)
	case j.subject.Profile.Challenge.Confirm != nil:
		return profileLacks("has its handshake confirmed at a URL of the sender's, which is not fetched here")(j)
	case j.subject.Register == nil:
		return "endpoints cannot be registered, and so nobody sees the sender ask them: --register"
	}
	return "the secret is not known when the handshake comes: --secret, and {secret} in --register"
}

func hasLease(j *Judge) bool {
	return hasHandshake(j) && j.subject.Profile.Challenge.Lease != "" && j.subject.Register.Has(wordLease)
}

func lacksLease(j *Judge) string {
	switch c := j.subject.Profile.Challenge; {
	case c == nil || c.Lease == "":
		return profileLacks("agrees on no time for which deliveries are made")(j)
	case !hasHandshake(j):
		return lacksHandshake(j)
	}
	return "no time can be asked for: {lease} in --register"
}

func hasLeaving(j *Judge) bool {
	return hasHandshake(j) && j.subject.Profile.Challenge.Leaving != "" && j.subject.Remove != nil
}

func lacksLeaving(j *Judge) string {
	switch c := j.subject.Profile.Challenge; {
	case c == nil || c.Leaving == "":
		return profileLacks("does not ask whether deliveries are to end")(j)
	case !hasHandshake(j):
		return lacksHandshake(j)
	}
	return "endpoints cannot be removed: --remove"
}

func hasSecret(j *Judge) bool {
	return j.subject.Profile.Signed() && (j.subject.Keys != nil || j.subject.SecretAt != "")
}

func lacksSecret(j *Judge) string {
	if !j.subject.Profile.Signed() {
		return profileLacks("signs nothing")(j)
	}
	return "no secret is given: --secret, or --issued-secret where the sender invents it"
}

// hasEnvelope tells whether the profile's own payload has the members that Standard
// Webhooks recommends.
func hasEnvelope(p *profile.Profile) bool {
	return p.Event != nil && p.Event.JSON == "/type" && strings.Contains(p.Payload, `"timestamp"`) && strings.Contains(p.Payload, `"data"`)
}

func registers(word string) func(*Judge) bool {
	return func(j *Judge) bool { return j.subject.Register != nil && j.subject.Register.Has(word) }
}

// listens tells whether this machine has an address.
func listens(host string) bool {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
