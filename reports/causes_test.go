package reports_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hookanvil/hookanvil/reports"
)

// causes are what one mistake makes many cases find, in the words in which they do, and
// what is then said of it.
var causes = []struct {
	says    string
	suite   string
	verdict reports.Verdict
	reasons []string
}{
	{"The receiver accepts deliveries whoever has signed them", "receiver/signature", reports.Fail, []string{
		"it was accepted: answered 200 OK, and took effect once", "it was accepted: answered 200 OK", "it was accepted: answered 204 No Content, and took effect 2 times"}},
	{"The receiver acts on what it refuses", "receiver/signature", reports.Fail, []string{
		"answered 401 Unauthorized, yet it took effect once", "answered 403 Forbidden, yet it took effect 2 times"}},
	{"The receiver answers 2xx to forgeries on which it does not act", "receiver/token", reports.Fail, []string{
		"it was accepted: answered 202 Accepted, though no effect was seen", "answered 200 OK, though no effect was seen"}},
	{"The receiver breaks down over deliveries that it is to refuse", "receiver/signature", reports.Fail, []string{
		"answered 500 Internal Server Error: a sender takes that for a failure and tries the forgery again"}},
	{"The receiver does not look at when a delivery was signed", "receiver/timestamp", reports.Fail, []string{
		"it was accepted: answered 200 OK, and took effect once", "a delivery stamped -1h20m0s from now is still accepted; the profile allows 5m0s"}},
	{"The receiver refuses honest deliveries as well", "receiver/http", reports.Inconclusive, []string{
		"the honest delivery before it was not accepted: answered 401 Unauthorized", "an honest delivery was not accepted: answered 403 Forbidden", "the honest delivery before it was not accepted",
		"the delivery it builds on was not accepted: answered 401 Unauthorized", "answered 401 Unauthorized; yet it accepts such a delivery when its signature is made over the body alone: that is what the receiver verifies"}},
	{"The receiver has no endpoint for deliveries at this address", "receiver/http", reports.Inconclusive, []string{
		"the honest delivery before it was not accepted: answered 404 Not Found", "a delivery stamped 5m0s from now was neither accepted nor refused: answered 405 Method Not Allowed"}},
	{"The receiver answers honest deliveries with a redirect", "receiver/http", reports.Inconclusive, []string{
		"the honest delivery before it was not accepted: answered 307 Temporary Redirect"}},
	{"The receiver limits the rate of honest deliveries", "receiver/http", reports.Inconclusive, []string{
		"the honest delivery before it was not accepted: answered 429 Too Many Requests"}},
	{"The receiver breaks down over honest deliveries", "receiver/http", reports.Inconclusive, []string{
		"the honest delivery before it was not accepted: answered 503 Service Unavailable", "the delivery was not accepted: answered 500 Internal Server Error"}},
	{"The receiver does its work before it answers", "receiver/http", reports.Inconclusive, []string{
		"the honest delivery before it was not accepted: answered 200 OK after 2.5s, later than the 2s allowed"}},
	{"The receiver acknowledges honest deliveries, and nothing comes of them", "receiver/http", reports.Inconclusive, []string{
		"the honest delivery before it was not accepted: answered 200 OK, but no effect was seen within 2s"}},
	{"The receiver could not be reached", "receiver/http", reports.Inconclusive, []string{
		"the target could not be reached when the run began: connection failed: connect to 127.0.0.1:1: connection refused"}},
	{"The receiver stopped answering while the run went on", "receiver/http", reports.Inconclusive, []string{
		"the honest delivery before it was not accepted: it was not answered: connection failed: connect to 127.0.0.1:1: connection refused",
		"the target stopped serving: nothing listened any more when the honest delivery after this one was sent", "it was not answered: reset before response"}},
	{"The sender signs nothing", "sender/signature", reports.Fail, []string{
		"attempt 1 of the event: its signature does not verify: missing: there is no signature in a header webhook-signature; none of the usual mistakes explains it",
		"attempt 1 of the event: its signature cannot be read: missing: there is no signature in a header webhook-signature",
		"attempt 1 of event 3 (before): neither the old secret nor the new one has signed it: missing: there is no signature in a header webhook-signature"}},
	{"The sender signs another body than it sends", "sender/signature", reports.Fail, []string{
		"attempt 1 of the event: its signature does not verify: mismatch: no key has made any of the 1 signatures over these bytes; the signature is right for the body with a newline at its end: " +
			"the sender must sign the very bytes that it sends, after the last change to them"}},
	{"The sender signs with a time that is not now", "sender/signature", reports.Fail, []string{
		"attempt 1 of the event: its signature does not verify: ahead: it was signed at 2026-11-29T01:24:44Z, more than 5m0s from now",
		"attempt 1 of the event: its signature does not verify: stale: it was signed at 2026-11-29T01:24:44Z, more than 5m0s ago", "attempt 1 of the event: its timestamp is 1h0m0s off the time at which it arrived"}},
	{"The sender signs, and a receiver cannot verify it", "sender/signature", reports.Fail, []string{
		"attempt 1 of the event: its signature does not verify: mismatch: no key has made any of the 1 signatures over these bytes; none of the usual mistakes explains it"}},
	{"The sender delivers by another method than POST", "sender/isolation", reports.Fail, []string{
		"attempt 1 of event 2 (next) is a PUT: a receiver awaits a POST", "attempt 1 of the event: the method is PUT"}},
	{"The sender takes no endpoint or no event from us", "sender/retry", reports.Inconclusive, []string{
		"the event could not be fired: POST http://127.0.0.1:1: connection refused", "the sender did not register the endpoint http://127.0.0.1:1/a: it answered 401"}},
	{"The sender was told of events, and does not deliver them", "sender/retry", reports.Inconclusive, []string{
		"nothing arrived at the endpoint within 30s after the event was fired", "2 of 2 events did not arrive at the endpoint", "the control, an honest event behind it, was not delivered either: nothing arrived at the endpoint within 30s after the event was fired"}},
}

const suspects = "One cause may be behind "

// findings are results that have found so, one reason after the other.
func findings(suite string, v reports.Verdict, n int, reasons ...string) (all []reports.Result) {
	for i := range n {
		all = append(all, reports.Result{
			ID: fmt.Sprintf("%s/found-%d", suite, i), Title: fmt.Sprintf("What %s demands, number %d", suite, i), Level: "must", Verdict: v,
			Reason: reasons[i%len(reasons)], Fix: fmt.Sprintf("Mend number %d.", i),
		})
	}
	return all
}

func found(results ...[]reports.Result) reports.Run {
	run := sampleRun()
	run.Results, run.Notes = slices.Concat(results...), nil
	run.Subject.Role, _, _ = strings.Cut(run.Results[0].ID, "/")
	run.Totals = run.Count()
	return run
}

// tellings are the reports for people.
func tellings(t *testing.T, run reports.Run) map[string]string {
	t.Helper()
	var text, markdown strings.Builder
	must(t, reports.Terminal{Width: 100_000}.Write(&text, run))
	must(t, reports.Markdown(&markdown, run))
	return map[string]string{"terminal": text.String(), "markdown": markdown.String(), "html": htmlOf(t, run)}
}

func TestOneCauseOfManyFindings(t *testing.T) {
	const n = 9
	for _, c := range causes {
		role, _, _ := strings.Cut(c.suite, "/")
		for format, out := range tellings(t, found(findings(c.suite, c.verdict, n, c.reasons...), passes(role+"/request", 2))) {
			if strings.Count(out, c.says) == 0 || strings.Count(out, suspects) == 0 {
				t.Errorf("%s, %s is not said:\n%.3000s", format, c.says, out)
			}
			if !strings.Contains(out, fmt.Sprintf("all %d findings, in 1 suite", n)) {
				t.Errorf("%s, %s: it is not said of how many:\n%.3000s", format, c.says, out)
			}
			for _, other := range causes {
				if other.says != c.says && strings.Contains(out, other.says) {
					t.Errorf("%s, %s: so it is said that %s", format, c.says, other.says)
				}
			}
		}
		silent := map[string]reports.Run{
			"as many pass":      found(findings(c.suite, c.verdict, n, c.reasons...), passes(c.suite, n+1)),
			"there are four":    found(findings(c.suite, c.verdict, 4, c.reasons...)),
			"other things fail": found(findings(c.suite, c.verdict, n, c.reasons...), findings(c.suite, reports.Fail, n+1, "its answer sets a cookie")),
			"the role is other": found(findings("load/of/"+c.suite, c.verdict, n, c.reasons...)),
		}
		known := found(findings(c.suite, c.verdict, n, c.reasons...))
		for i := range known.Results {
			known.Results[i].Known = "it is to be mended"
		}
		silent["it is known"] = known
		for what, run := range silent {
			for format, out := range tellings(t, run) {
				if strings.Contains(out, suspects) {
					t.Errorf("%s, %s is said although %s:\n%.1000s", format, c.says, what, out)
				}
			}
		}
	}
}

// Of failures of many kinds no cause is told, whichever suites they are in.
func TestNoOneCauseOfMixedFindings(t *testing.T) {
	for _, role := range []string{"receiver", "sender"} {
		var all []string
		for _, c := range causes {
			if strings.HasPrefix(c.suite, role) {
				all = append(all, c.reasons[0])
			}
		}
		var results [][]reports.Result
		for _, suite := range []string{"signature", "timestamp", "token", "http", "isolation", "retry"} {
			results = append(results, findings(role+"/"+suite, reports.Fail, 2*len(all), all...))
		}
		for format, out := range tellings(t, found(results...)) {
			if i := strings.Index(out, suspects); i >= 0 {
				t.Errorf("%s: %.500s", format, out[i:])
			}
		}
	}
}

// What a cause may be behind comes after it and after what else was found, and all of it is
// still there.
func TestCauseComesFirst(t *testing.T) {
	run := found(findings("receiver/replay", reports.Fail, 3, "it took effect 2 times instead of once at the most"),
		findings("receiver/signature", reports.Fail, 30, causes[1].reasons...), findings("receiver/timestamp", reports.Warn, 10, causes[1].reasons...))
	for format, out := range tellings(t, run) {
		if !strings.Contains(out, "40 of 43 findings, in 2 suites") {
			t.Errorf("%s: it is not said of how many:\n%.2000s", format, out)
		}
		cause, repair, besides := strings.Index(out, causes[1].says), strings.Index(out, "Verify before you act."), strings.Index(out, "it took effect 2 times")
		if cause < 0 || repair < cause || besides < repair {
			t.Errorf("%s: the cause stands at %d, its repair at %d and the rest from %d", format, cause, repair, besides)
		}
		for _, r := range run.Results {
			if !strings.Contains(out, r.ID) {
				t.Errorf("%s: %s is lost", format, r.ID)
			}
		}
		before := out[:strings.Index(out, "receiver/signature/found-")]
		if format != "html" && strings.Contains(before, "Mend number 7.") {
			t.Errorf("%s: a case's own repair comes before that of the cause", format)
		}
	}
	page := htmlOf(t, run)
	index := page[strings.Index(page, "What to look at"):strings.Index(page, "By suite and level")]
	if n := strings.Count(index, "Mend number"); n != 3 {
		t.Errorf("%d repairs of cases are in the index, want those of 3: %s", n, index)
	}
	if n := strings.Count(index, `href="#receiver.`); n != 43+1 {
		t.Errorf("%d cases are linked in the index", n)
	}
	if n := strings.Count(page, `<article class="case`); n != len(run.Results) {
		t.Errorf("%d cases are told in full", n)
	}
}

// Where all evidence is asked for, it is shown of each.
func TestCauseInFull(t *testing.T) {
	var b strings.Builder
	must(t, reports.Terminal{Width: 100, Verbose: true}.Write(&b, found(findings("receiver/signature", reports.Fail, 30, causes[1].reasons...))))
	if n := strings.Count(b.String(), "Mend number "); n != 30 || !strings.Contains(b.String(), causes[1].says) {
		t.Errorf("%d of 30 repairs are told:\n%.2000s", n, b.String())
	}
}

// Two causes stand beside each other, and a finding is told of one.
func TestTwoCauses(t *testing.T) {
	run := found(findings("receiver/signature", reports.Fail, 10, causes[1].reasons...), findings("receiver/timestamp", reports.Fail, 10, causes[4].reasons...))
	for format, out := range tellings(t, run) {
		if strings.Count(out, "10 of 20 findings, in 1 suite") < 2 || !strings.Contains(out, causes[1].says) || !strings.Contains(out, causes[4].says) {
			t.Errorf("%s:\n%.3000s", format, out)
		}
	}
}
