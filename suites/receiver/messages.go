package receiver

import (
	"fmt"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/scenarios"
)

// The headers of a message signature, beside its own.
const inputHeader, digestHeader = "Signature-Input", "Content-Digest"

// messageMutations are departures of a signature of RFC 9421.
var messageMutations = mutationTable{
	// What is covered.
	{wordWith("message", "uncovered", scenarios.Text, "is honestly signed, and this component is not covered"), whileSigning, []string{"message-signature"},
		func(d *delivery, arg any) {
			eachSigning(func(s *profile.Signing) { s.Scheme.Signs = uncover(s.Scheme.Signs, arg.(string)) })(d, nil)
		}},
	{word("message", "nothing-covered", "is honestly signed, and covers nothing but the parameters"), whileSigning, []string{"message-signature"},
		eachSigning(func(s *profile.Signing) {
			_, params, _ := strings.Cut(s.Scheme.Signs, ")")
			s.Scheme.Signs = "()" + params
		})},
	{word("message", "digest-swapped", "has another body than was signed, and the digest of that body"), afterSigning, []string{"message-signature"},
		func(d *delivery, _ any) {
			d.request.Body = flipBit(d.request.Body)
			d.setHeader(digestHeader, profile.Digest(d.request.Body))
		}},
	{word("message", "digest-unsigned", "has another body than was signed, the digest of that body, and a signature that does not cover it"), whileSigning, []string{"message-signature"},
		func(d *delivery, _ any) {
			eachSigning(func(s *profile.Signing) { s.Scheme.Signs = uncover(s.Scheme.Signs, "content-digest") })(d, nil)
			d.later = func() {
				d.request.Body = flipBit(d.request.Body)
				d.setHeader(digestHeader, profile.Digest(d.request.Body))
			}
		}},
	{word("message", "digest-missing", "has lost the digest of its body after signing"), afterSigning, []string{"message-signature"},
		func(d *delivery, _ any) { d.request.Headers.Del(digestHeader) }},
	{wordWith("message", "query", scenarios.Text, "has a query that was not signed"), afterSigning, []string{"message-signature"},
		func(d *delivery, arg any) {
			before, _, _ := strings.Cut(d.URL, "?")
			d.query = strings.Trim(d.query+"&"+arg.(string), "&")
			d.URL = before + withMark(d.query)
			d.retarget()
		}},

	// What Signature-Input says.
	{word("message", "input-missing", "has a signature and no Signature-Input"), afterSigning, []string{"message-signature"},
		func(d *delivery, _ any) { d.request.Headers.Del(inputHeader) }},
	{word("message", "created-changed", "was signed a second earlier than it says"), afterSigning, []string{"message-signature"},
		func(d *delivery, _ any) {
			earlier := d.subject.Profile.Stamp(d.now.Add(-time.Second))
			d.eachInput(func(v string) string { return strings.Replace(v, "created="+d.Timestamp, "created="+earlier, 1) })
		}},
	{word("message", "expired", "was honestly signed just now, and says that it expired an hour ago"), whileSigning, []string{"message-signature"},
		func(d *delivery, _ any) {
			past := d.now.Add(-time.Hour).Unix()
			eachSigning(func(s *profile.Signing) { s.Scheme.Signs += fmt.Sprintf(";expires=%d", past) })(d, nil)
		}},
	{word("message", "other-algorithm", "is honestly signed, and names another algorithm"), whileSigning, []string{"message-algorithm"},
		eachSigning(func(s *profile.Signing) {
			before, _, _ := strings.Cut(s.Scheme.Signs, `;alg="`)
			s.Scheme.Signs = before + `;alg="rsa-v1_5-sha256"`
		})},
	{word("message", "other-label", "has its Signature-Input under another label than its signature"), afterSigning, []string{"message-signature"},
		func(d *delivery, _ any) {
			d.eachInput(func(v string) string {
				_, rest, _ := strings.Cut(v, "=")
				return "other=" + rest
			})
		}},
	{word("message", "label-twice", "has the label of its signature twice in Signature-Input, the second time for what a stranger would have covered"), afterSigning, []string{"message-signature"},
		func(d *delivery, _ any) {
			d.eachInput(func(v string) string {
				label, rest, _ := strings.Cut(v, "=")
				_, params, _ := strings.Cut(rest, ")")
				return v + ", " + label + "=()" + params
			})
		}},
	{word("message", "unknown-key", "is signed with a key that nobody issued, which it names"), whileSigning, []string{"message-signature"},
		func(d *delivery, _ any) { d.signWith(d.subject.Profile.NewKeys(d.rand)) }},
}

// uncover takes a component out of what is covered.
func uncover(signs, component string) string {
	list, params, _ := strings.Cut(signs, ")")
	list = strings.Replace(list, fmt.Sprintf("%q", component), "", 1)
	return "(" + strings.Join(strings.Fields(strings.TrimPrefix(list, "(")), " ") + ")" + params
}

func (d *delivery) eachInput(change func(string) string) {
	for i, h := range d.request.Headers {
		if strings.EqualFold(h.Name, inputHeader) {
			d.request.Headers[i].Value = change(h.Value)
		}
	}
}

var messageCapabilities = capabilityTable{
	{word("", "message-signature", "signs messages as RFC 9421 has it"),
		func(s *Subject) bool { return s.Profile.Signature.OfMessage() }, profileLacks("signs no messages as RFC 9421 has it")},
	{word("", "message-algorithm", "signs messages as RFC 9421 has it, and names the algorithm"),
		func(s *Subject) bool {
			return s.Profile.Signature.OfMessage() && strings.Contains(s.Profile.Signature.Signs, ";alg=")
		}, profileLacks("names no algorithm of a message signature")},
}
