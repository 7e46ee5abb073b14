package receiver_test

import (
	"net/http"
	"testing"

	"github.com/hookanvil/hookanvil/reports"
)

const (
	dueYAML    = "send: {}\nexpect: acknowledged-as-due"
	statusYAML = "send: [{mutate: {key: wrong}}, {mutate: {signature: missing}}]\nexpect: refused-by-due-status"
	formYAML   = "send: [{mutate: {key: wrong}}, {mutate: {signature: missing}}]\nexpect: refused-in-due-form"
)

// saying is an answer.
type saying struct {
	status                      int
	contentType, language, body string
}

func (a saying) write(w http.ResponseWriter) {
	w.Header()["Content-Type"] = nil
	if a.contentType != "" {
		w.Header().Set("Content-Type", a.contentType)
	}
	if a.language != "" {
		w.Header().Set("Content-Language", a.language)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write([]byte(a.body))
}

// An answer is held to what the provider says of it: by its status, and by its form, each
// by itself.
func TestDueAnswers(t *testing.T) {
	taken := saying{status: 202}
	code := saying{400, "application/json", "en", `{"err":"invalid_key","description":"no"}`}
	with := func(change func(*saying)) saying {
		a := code
		change(&a)
		return a
	}
	for name, c := range map[string]struct {
		profile, yaml  string
		taken, refused saying
		verdict        reports.Verdict
		reason         string
	}{
		"empty":             {"ssf-push", dueYAML, taken, code, reports.Pass, ""},
		"not empty":         {"ssf-push", dueYAML, saying{status: 202, body: "ok"}, code, reports.Fail, "with a body, where none is due"},
		"not taken":         {"ssf-push", dueYAML, saying{status: 200}, code, reports.Inconclusive, "was not accepted"},
		"with the text":     {"dropbox-sign", dueYAML, saying{200, "text/plain", "", "Hello API Event Received"}, saying{status: 401}, reports.Pass, ""},
		"in other words":    {"dropbox-sign", dueYAML, saying{200, "text/plain", "", "received"}, saying{status: 401}, reports.Fail, "with a body that does not hold Hello API Event Received"},
		"400":               {"ssf-push", statusYAML, taken, code, reports.Pass, ""},
		"401":               {"ssf-push", statusYAML, taken, with(func(a *saying) { a.status = 401 }), reports.Fail, "answered 401 Unauthorized, where 400 is due"},
		"500":               {"ssf-push", statusYAML, taken, with(func(a *saying) { a.status = 500 }), reports.Fail, "answered 500"},
		"429":               {"ssf-push", statusYAML, taken, with(func(a *saying) { a.status = 429 }), reports.Inconclusive, "does not say that the delivery was refused"},
		"taken all":         {"ssf-push", statusYAML, taken, taken, reports.Fail, "it was accepted"},
		"taken all, formal": {"ssf-push", formYAML, taken, taken, reports.Fail, "it was accepted"},
		"with a code":       {"ssf-push", formYAML, taken, code, reports.Pass, ""},
		"401 with a code":   {"ssf-push", formYAML, taken, with(func(a *saying) { a.status = 401 }), reports.Pass, ""},
		"own code":          {"ssf-push", formYAML, taken, with(func(a *saying) { a.body = `{"err":"bad","description":"no"}` }), reports.Fail, "something else at /err"},
		"no code":           {"ssf-push", formYAML, taken, with(func(a *saying) { a.body = `{"error":"bad","description":"no"}` }), reports.Fail, "no text at /err"},
		"no language":       {"ssf-push", formYAML, taken, with(func(a *saying) { a.language = "" }), reports.Fail, "without the header Content-Language"},
		"plain text":        {"ssf-push", formYAML, taken, with(func(a *saying) { a.contentType = "text/plain" }), reports.Fail, "a content type that is not application/json"},
		"silent":            {"xero", formYAML, saying{status: 200}, saying{status: 401}, reports.Pass, ""},
		"not silent":        {"xero", formYAML, saying{status: 200}, saying{status: 401, body: "no"}, reports.Fail, "with a body, where none is due"},
		"of no form":        {"github", formYAML, saying{status: 200}, saying{status: 401}, reports.Skip, "leaves it open"},
		"of any status":     {"github", statusYAML, saying{status: 200}, saying{status: 401}, reports.Skip, "leaves it open"},
		"of any kind":       {"github", dueYAML, saying{status: 200}, saying{status: 401}, reports.Skip, "leaves it open"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, c.profile).serve(func(w http.ResponseWriter, authentic bool, _ []byte) {
				if authentic {
					c.taken.write(w)
					return
				}
				c.refused.write(w)
			})
			want(t, s.run(c.yaml), c.verdict, c.reason)
		})
	}
}
