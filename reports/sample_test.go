package reports_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/reports"
)

var began = time.Date(2026, 5, 4, 9, 30, 0, 0, time.UTC)

func effects(n int) *int { return &n }

// sampleRun is a run as a developer may meet it: mostly passed, with each of the
// other verdicts, and with an answer that means harm.
func sampleRun() reports.Run {
	run := reports.Run{
		Schema: reports.Schema, Tool: "hookanvil v0.1.0", Profile: "standard-webhooks", Seed: 42, State: reports.Complete,
		Subject: reports.Subject{
			Role: "receiver", Target: "http://127.0.0.1:8080/hooks", Probe: "GET http://127.0.0.1:8080/count, at /effects",
		},
		Started: began, Ended: began.Add(8*time.Second + 420*time.Millisecond),
		Notes: []string{"the target's clock is 3 s ahead of ours"},
	}
	run.Results = append(run.Results, passes("receiver/fidelity", 9)...)
	run.Results = append(run.Results, passes("receiver/signature", 7)...)
	run.Results = append(run.Results, bodyBitFlipped(), headerDuplicated(), knownFailure())
	run.Results = append(run.Results, asymmetric("good"), asymmetric("flipped"))
	run.Results = append(run.Results, passes("receiver/timestamp", 4)...)
	run.Results = append(run.Results, tolerance(), futureYear())
	run.Results = append(run.Results, limited("identical"), limited("concurrent"), limited("other-endpoint"), noRestart())
	run.Totals = run.Count()
	return run
}

func passes(suite string, n int) []reports.Result {
	results := make([]reports.Result, n)
	for i := range results {
		results[i] = reports.Result{
			ID: fmt.Sprintf("%s/case-%d", suite, i+1), Title: "An honest delivery is accepted", Level: "must",
			Verdict: reports.Pass, Duration: time.Duration(1500+i*130) * time.Microsecond,
		}
	}
	return results
}

const sentHead = `POST /hooks HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Type: application/json\r\nContent-Length: 52\r\n` +
	`webhook-id: msg_2KWPBgLlAfxdpx2AI54pPJ85f4W\r\nwebhook-timestamp: 1777887000\r\n` +
	`webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=\r\n\r\n`

func exchange(label string, status int, effect int, at float64) reports.Exchange {
	return reports.Exchange{
		Label: label, Outcome: "answered", Status: status, Effects: effects(effect), SentBytes: 342, ReceivedBytes: 57,
		Sent:     sentHead + `{"type":"invoice.paid","data":{"id":"in_1","ok":true}}`,
		Received: fmt.Sprintf(`HTTP/1.1 %d Whatever\r\nContent-Length: 2\r\nDate: Mon, 04 May 2026 09:30:00 GMT\r\n\r\nok`, status),
		Remote:   "127.0.0.1:8080", StartedMS: at, FirstByteMS: 2.75, DurationMS: 3.1,
	}
}

func bodyBitFlipped() reports.Result {
	flipped := exchange("delivery: body flip-bit", 200, 1, 104)
	at := strings.Index(flipped.Sent, "in_1") + len("in_")
	flipped.Marks = [][2]int{{at, at + 1}}
	return reports.Result{
		ID: "receiver/signature/body-bit-flipped", Title: "A body changed by one bit after signing is rejected", Level: "must",
		Source: "standard-webhooks/1.0.0#verifying-signatures", Why: "Whoever can change a body on its way can order what was never ordered.",
		Fix:     "Compute the HMAC over the bytes of the body as they arrived, before anything parses them, and compare all of it in constant time.",
		Verdict: reports.Fail, Reason: "the delivery was accepted, and had an effect: answered 200 OK, 1 effect",
		Reproduce: "hookanvil run receiver/signature --filter body-bit-flipped --target http://127.0.0.1:8080/hooks --profile standard-webhooks --secret env:HOOKANVIL_SECRET --seed 42",
		Duration:  11 * time.Millisecond,
		Evidence: []reports.Exchange{
			exchange("control before", 200, 1, 100), flipped, exchange("control after", 200, 1, 108),
		},
	}
}

func headerDuplicated() reports.Result {
	x := exchange("delivery: headers signature-twice", 500, 0, 120)
	x.Received = reports.Printable([]byte("HTTP/1.1 500 \x1b[2Joops\r\nServer: \u202eevil\r\n\r\n"+
		"::error::all is well\n##vso[task.complete result=Succeeded]\n--- PASS: TestEverything\n\tat /srv/app/hooks.py:41"), 4096)
	return reports.Result{
		ID: "receiver/signature/header-duplicated", Title: "Two signature headers are no reason to break down", Level: "should",
		Source: "RFC 9110, section 5.3", Verdict: reports.Warn, Reason: "a server error: answered 500 Internal Server Error",
		Duration: 9 * time.Millisecond, Evidence: []reports.Exchange{exchange("control before", 200, 1, 117), x},
	}
}

func knownFailure() reports.Result {
	return reports.Result{
		ID: "receiver/signature/retired-key", Title: "A key that was retired is refused", Level: "must", Known: "the gateway caches keys for a day, see HOOK-118",
		Verdict: reports.Fail, Reason: "the delivery was accepted: answered 200 OK", Duration: 4 * time.Millisecond,
	}
}

func asymmetric(which string) reports.Result {
	return reports.Result{
		ID: "receiver/signature/ed25519-" + which, Title: "An Ed25519 signature is verified", Level: "must",
		Verdict: reports.Skip, Reason: "no key for the signature v1a was given (--secret v1a=...)",
	}
}

func tolerance() reports.Result {
	return reports.Result{
		ID: "receiver/timestamp/tolerance-past", Title: "The tolerance towards the past is at most what the profile says", Level: "must",
		Verdict: reports.Pass, Duration: 840 * time.Millisecond,
		Figures: []reports.Figure{{Name: "window", Value: 300, Unit: "s", Note: "found in 11 deliveries, to within 1 s"}},
	}
}

func futureYear() reports.Result {
	return reports.Result{
		ID: "receiver/timestamp/future-year", Title: "A timestamp one year ahead is refused", Level: "should",
		Verdict: reports.Warn, Reason: "the delivery was accepted: answered 200 OK, 1 effect", Duration: 5 * time.Millisecond,
	}
}

func limited(id string) reports.Result {
	x := exchange("control before", 429, 0, 2000)
	x.Received = `HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n`
	return reports.Result{
		ID: "receiver/replay/" + id, Title: "The same bytes sent twice take effect once", Level: "must",
		Verdict: reports.Inconclusive, Reason: "the honest delivery before it was not accepted: answered 429 Too Many Requests",
		Duration: 2 * time.Millisecond, Evidence: []reports.Exchange{x},
	}
}

func noRestart() reports.Result {
	return reports.Result{
		ID: "receiver/replay/after-restart", Title: "A restart does not make it forget", Level: "should",
		Verdict: reports.Skip, Reason: "nothing tells how to restart the target",
	}
}

// sampleSenderRun is a run against a sender.
func sampleSenderRun() reports.Run {
	run := reports.Run{
		Schema: reports.Schema, Tool: "hookanvil v0.1.0", Profile: "standard-webhooks", Seed: 42, State: reports.Complete,
		Subject: reports.Subject{Role: "sender", Target: `POST http://127.0.0.1:9000/events {"token":"{token}"}`},
		Started: began, Ended: began.Add(21 * time.Second),
	}
	run.Subject.Schedule = []float64{400, 800, 1600}
	run.Results = append(run.Results, passes("sender/request", 6)...)
	run.Results = append(run.Results, retriesUnsigned(), scheduleShape(), tooLong())
	run.Totals = run.Count()
	return run
}

func attempt(label, outcome string, at float64, notes ...string) reports.Exchange {
	x := exchange(label, 500, 0, at)
	x.Sent, x.Received, x.Outcome, x.Notes = x.Received, x.Sent, outcome, notes
	x.SentBytes, x.ReceivedBytes, x.Effects = x.ReceivedBytes, x.SentBytes, nil
	if _, err := fmt.Sscanf(outcome, "%d", &x.Status); err != nil {
		panic(err)
	}
	if _, err := fmt.Sscanf(label, "attempt %d of", &x.Attempt); err == nil {
		x.Delivery = "the event"
	}
	return x
}

func retriesUnsigned() reports.Result {
	return reports.Result{
		ID: "sender/signature/every-attempt", Title: "Every attempt is signed, and not the first alone", Level: "must",
		Source: "standard-webhooks/1.0.0#webhook-signature", Why: "A receiver that verifies refuses what it most needs: the attempt after its own failure.",
		Verdict: reports.Fail, Reason: "attempt 2 of the event carries no signature", Duration: 1400 * time.Millisecond,
		Reproduce: "hookanvil run sender/signature/every-attempt --trigger 'POST http://127.0.0.1:9000/events {\"token\":\"{token}\"}' --profile standard-webhooks --secret env:HOOKANVIL_SECRET",
		Evidence: []reports.Exchange{
			attempt("attempt 1 of the event", "500", 40, "12ms after the event was fired", "its signature verifies"),
			attempt("attempt 2 of the event", "503 (early-hints)", 455, "412ms after the end of attempt 1", "its signature does not verify: no signature"),
			attempt("attempt 3 of the event", "200", 1248, "790ms after the end of attempt 2", "its signature does not verify: no signature"),
		},
	}
}

func scheduleShape() reports.Result {
	return reports.Result{
		ID: "sender/retry/shape", Title: "The gaps between attempts have a shape", Level: "may", Verdict: reports.Pass, Duration: 9 * time.Second,
		Figures: []reports.Figure{
			{Name: "gap 1", Value: 0.21, Unit: "s"}, {Name: "gap 2", Value: 0.39, Unit: "s"}, {Name: "gap 3", Value: 0.83, Unit: "s"},
			{Name: "error of the fit", Value: 3.2, Unit: "%", Note: "exponential: 200ms, factor 2.0, jitter 10 %"},
		},
	}
}

func tooLong() reports.Result {
	hang := attempt("attempt 1 of the event", "200 (hang), still under way", 3000, "9ms after the event was fired")
	hang.Detail = "it was held until the case was over"
	return reports.Result{
		ID: "sender/timeout/ends", Title: "An attempt that is not answered is ended", Level: "should", Verdict: reports.Inconclusive,
		Reason: "the budget of 2m0s was over before the declared deadline: give it more with --budget", Duration: 2 * time.Minute,
		Evidence: []reports.Exchange{hang},
	}
}
