// Package reports tells what a run found: the result model, the journal that
// survives a crash, and one file for each format it can be rendered in.
package reports

import (
	"encoding/json"
	"math"
	"time"
)

// Verdict is the judgement of one case.
type Verdict string

const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Warn         Verdict = "warn"         // a should or may that is not met
	Skip         Verdict = "skip"         // does not apply; Reason says why
	Inconclusive Verdict = "inconclusive" // could not be judged; Reason says why
)

// Schema is the version of the JSON report.
const Schema = "hookanvil.report/1"

// Run is everything a run found.
type Run struct {
	Schema  string    `json:"schema"`
	Tool    string    `json:"tool"` // "hookanvil v0.1.0"
	Subject Subject   `json:"subject"`
	Profile string    `json:"profile"`
	Seed    uint64    `json:"seed"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	// State is "complete", "interrupted" or, read back from a journal that has no
	// end, "incomplete".
	State string   `json:"state"`
	Notes []string `json:"notes,omitempty"` // findings about the run as a whole
	// ClockOffset is the subject's clock less ours in milliseconds, to the second, as its
	// first answer dated it; nil where it did not.
	ClockOffset *float64 `json:"clock_offset_ms,omitempty"`
	// Stale are the ids in the known-failures file that excuse nothing any more.
	Stale []string `json:"stale,omitempty"`
	// Baseline is what the run was held against; nil where it was not.
	Baseline *Baseline `json:"baseline,omitempty"`
	Totals   Totals    `json:"totals"`
	Results  []Result  `json:"results"`
}

// Subject is what was judged.
type Subject struct {
	Role   string `json:"role"`   // "receiver" or "sender"
	Target string `json:"target"` // a receiver's URL, or what has a sender deliver
	// Probe says how effects were counted; empty means that verdicts rest on
	// statuses alone.
	Probe string `json:"probe,omitempty"`
	// Schedule are the waits between attempts that a sender declares, in milliseconds as
	// they pass in this run: the first is that between attempts 1 and 2.
	Schedule []float64 `json:"schedule_ms,omitempty"`
}

// Totals counts verdicts.
type Totals struct {
	Pass         int `json:"pass"`
	Fail         int `json:"fail"`
	Known        int `json:"known,omitempty"` // of the failures: those that are known
	Warn         int `json:"warn"`
	Skip         int `json:"skip"`
	Inconclusive int `json:"inconclusive"`
	Excused      int `json:"excused,omitempty"` // of the inconclusive: those that the baseline could not judge either
}

// Result is the judgement of one case, with what it rests on.
type Result struct {
	ID     string `json:"id"` // receiver/signature/body-bit-flipped
	Title  string `json:"title"`
	Level  string `json:"level"` // must, should, may
	Source string `json:"source,omitempty"`
	// File and Line say where a case of the user's own is written down, as a path from the
	// top of the repository. Of a built-in one, which its ID names, they are empty.
	File    string  `json:"file,omitempty"`
	Line    int     `json:"line,omitempty"`
	Why     string  `json:"why,omitempty"`
	Fix     string  `json:"fix,omitempty"` // what to do where it fails, for who maintains the subject
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason,omitempty"`
	// Lacks is the capability, in the words of the suite's vocabulary, for want of which
	// the case is skipped.
	Lacks string `json:"lacks,omitempty"`
	// StatusOnly marks a verdict that rests on statuses, since no probe told of effects.
	StatusOnly bool `json:"status_only,omitempty"`
	// Known is the reason given in the known-failures file, where the case is in it, or what
	// the baseline had of it.
	Known string `json:"known,omitempty"`
	// Baseline is the verdict of the case in the run that this one is held against.
	Baseline  Verdict       `json:"baseline,omitempty"`
	Figures   []Figure      `json:"figures,omitempty"`   // what a measuring case measured
	Reproduce string        `json:"reproduce,omitempty"` // a command, secrets as environment variables
	Duration  time.Duration `json:"-"`                   // rendered as duration_ms
	Evidence  []Exchange    `json:"evidence,omitempty"`
	// Load is what a case measured that sends traffic at a rate. It is written without its
	// histograms and series, which a journal has, and pages draw.
	Load *Measurement `json:"load,omitempty"`
	// Absorbed is what came of the events that a case gave a sender at a rate.
	Absorbed *Absorption `json:"absorbed,omitempty"`
}

// Figure is one measured quantity.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"` // s, ms, count, bytes, /s
	// Within is by how much the value may be another, where the way of measuring says it.
	Within float64 `json:"within,omitempty"`
	Note   string  `json:"note,omitempty"`
}

// Exchange is one attempt and its answer, as evidence: printable, bounded, and
// free of secrets. A receiver is sent the request and its answer received; a sender's
// request is received and our answer sent.
type Exchange struct {
	Label         string `json:"label"` // control before, step 1: body flip-bit, attempt 2 of event 1, ...
	Outcome       string `json:"outcome"`
	Detail        string `json:"detail,omitempty"`
	Status        int    `json:"status,omitempty"`
	Effects       *int   `json:"effects,omitempty"`
	Sent          string `json:"sent,omitempty"`     // what we sent, control characters escaped
	Received      string `json:"received,omitempty"` // what the peer sent, control characters escaped
	SentBytes     int64  `json:"sent_bytes"`
	ReceivedBytes int64  `json:"received_bytes"`
	// Marks are the parts of Sent that depart from an honest delivery: each from a byte of
	// Sent to that before which it ends. An empty one shows where something was left out.
	Marks [][2]int `json:"marks,omitempty"`
	// Honest is what would have been sent without the departure, as far as it was
	// written in one piece. A Redactor makes Marks of it, since places move when secrets
	// are taken out.
	Honest string `json:"-"`
	// Delivery names what a sender's attempt is one of, and Attempt counts from 1: the
	// attempts of a delivery have one name in common.
	Delivery    string   `json:"delivery,omitempty"`
	Attempt     int      `json:"attempt,omitempty"`
	Remote      string   `json:"remote,omitempty"`
	TLS         *TLS     `json:"tls,omitempty"`
	Notes       []string `json:"notes,omitempty"`
	StartedMS   float64  `json:"started_ms"` // since the run began
	FirstByteMS float64  `json:"first_byte_ms,omitempty"`
	DurationMS  float64  `json:"duration_ms"`
}

// MarshalJSON writes the duration in milliseconds, and what was measured in short, as the
// report documents it.
func (r Result) MarshalJSON() ([]byte, error) {
	type plain Result
	if r.Load != nil {
		r.Load = r.Load.Compact()
	}
	if r.Absorbed != nil {
		r.Absorbed = r.Absorbed.Compact()
	}
	return json.Marshal(struct {
		plain
		DurationMS float64 `json:"duration_ms"`
	}{plain(r), float64(r.Duration.Microseconds()) / 1000})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *Result) UnmarshalJSON(b []byte) error {
	type plain Result
	v := struct {
		*plain
		DurationMS float64 `json:"duration_ms"`
	}{plain: (*plain)(r)}
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	r.Duration = time.Duration(math.Round(v.DurationMS*1000)) * time.Microsecond
	return nil
}
