package receiver_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/hookanvil/hookanvil/reports"
)

// What the provider signs for somebody else's endpoint is told by the body alone.
func TestDeliveriesForAnotherEndpoint(t *testing.T) {
	const (
		says     = "send: {mutate: {fact: {says: \"{another}\"}}}\nexpect: rejected"
		bodySays = "send: {mutate: {fact: {body-says: \"{another}\"}}}\nexpect: rejected"
		longer   = "send: {mutate: {fact: {says: \"{own}x\"}}}\nexpect: rejected"
	)
	own := []byte(`"TopicArn":"arn:aws:sns:us-east-1:123456789012:Example"`)
	strict := func(_ *http.Request, body []byte) bool { return bytes.Contains(body, own) }
	careless := func(*http.Request, []byte) bool { return true }
	byHeader := func(r *http.Request, _ []byte) bool {
		return r.Header.Get("x-amz-sns-topic-arn") == "arn:aws:sns:us-east-1:123456789012:Example"
	}
	prefix := func(_ *http.Request, body []byte) bool { return bytes.Contains(body, own[:len(own)-1]) }
	for name, c := range map[string]struct {
		yaml    string
		takes   func(*http.Request, []byte) bool
		verdict reports.Verdict
	}{
		"looked at":                 {says, strict, reports.Pass},
		"not looked at":             {says, careless, reports.Fail},
		"looked for in the headers": {bodySays, byHeader, reports.Fail},
		"the body looked at":        {bodySays, strict, reports.Pass},
		"compared in part":          {longer, prefix, reports.Fail},
		"compared in full":          {longer, strict, reports.Pass},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, "aws-sns").handle(func(w http.ResponseWriter, r *http.Request) {
				if body, err := io.ReadAll(r.Body); err != nil || !c.takes(r, body) {
					w.WriteHeader(http.StatusForbidden)
				}
			})
			want(t, s.run(c.yaml), c.verdict, "")
		})
	}
}
