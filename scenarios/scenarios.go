// Package scenarios is the language in which checks are written: its types, a
// strict parser, validation and the JSON Schema that editors take for
// completion. A file is a suite; a case says only what is special about it.
//
// The package knows the grammar and not the vocabulary: which mutations,
// expectations and measurements there are is told to it by the role's suite
// (suites/receiver, suites/sender, suites/load), so that a new word is one entry in one table.
package scenarios

import "time"

// Suite is one file: the cases of one topic.
type Suite struct {
	Name   string `yaml:"suite" required:"true" doc:"role, or load, and topic: receiver/signature"`
	About  string `yaml:"about" doc:"the topic in one sentence"`
	Source string `yaml:"source" doc:"the standard or document that the cases enforce, unless a case names its own"`
	Cases  []Case `yaml:"cases" required:"true" doc:"the cases, in the order in which they are shown"`

	// File is where the suite was read from.
	File string `yaml:"-"`
}

// Level is how strongly a case is required, in the words of RFC 2119.
type Level string

const (
	Must   Level = "must"
	Should Level = "should"
	May    Level = "may"
)

// Case is one scenario: what is done, and what must be observed. Keys tagged with
// a role stand in that role's suites only.
type Case struct {
	ID     string `yaml:"id" required:"true" doc:"name of the case within its suite: lower case, digits and hyphens"`
	Title  string `yaml:"title" required:"true" doc:"what a correct subject does, as a sentence"`
	Level  Level  `yaml:"level" required:"true" enum:"must,should,may" doc:"must, should or may"`
	Source string `yaml:"source" doc:"the standard, document or incident behind this case"`
	Why    string `yaml:"why" doc:"what goes wrong where it is not so"`
	Fix    string `yaml:"fix" doc:"what to do where it fails, as an order to who maintains the subject"`
	// Needs are capabilities that the profile or the run must have; a run that
	// lacks one skips the case and says so.
	Needs []string `yaml:"needs" words:"capabilities" doc:"what the profile or the run must offer, else the case is skipped"`
	// Kills are the defects of the reference that this case notices.
	Kills []string `yaml:"kills" doc:"defects of the reference that this case catches"`
	// Unproven says why no defect can be built that this case catches.
	Unproven string        `yaml:"unproven" doc:"why no defect can show that this case works"`
	Serial   bool          `yaml:"serial" doc:"the case runs alone, because it loads the subject or measures time"`
	Timeout  time.Duration `yaml:"timeout" doc:"time for the whole case; one minute unless said otherwise"`

	// What is done to a receiver.

	// Reject narrows or widens the statuses that count as a refusal.
	Reject []int `yaml:"reject" role:"receiver" doc:"statuses that count as a refusal in this case"`
	Send   Steps `yaml:"send" role:"receiver" doc:"one delivery, or a list of deliveries sent in order"`

	// What is done to a sender.

	Endpoints []Endpoint `yaml:"endpoints" role:"sender" doc:"where the sender delivers to; one called main unless said otherwise"`
	Trigger   Triggers   `yaml:"trigger" role:"sender" doc:"once, or what is done to the sender, in order"`
	Respond   Answers    `yaml:"respond" role:"sender" doc:"what each delivery's attempts are answered; the last answer goes on"`

	// What a receiver is sent at a rate, and what ends that early: a case of a load suite
	// has thresholds where others have words, in AbortOn and in Expect.

	Load    *Attack `yaml:"load" role:"load" doc:"the traffic: stages, mix, connections"`
	AbortOn Expect  `yaml:"abort-on" role:"load" doc:"conditions on what was measured so far, of which any ends the case early"`

	// What a sender is made to deliver at a rate; Measure says what is judged of it.

	Fire   *Firing `yaml:"fire" role:"load" doc:"the events that a sender is given at a rate, and how its deliveries are answered; stands beside measure"`
	Within Within  `yaml:"within" role:"load" doc:"the bounds of what is measured of a sender"`

	Measure string `yaml:"measure" words:"measures" doc:"a named measurement, instead of what is done and expected"`
	Expect  Expect `yaml:"expect" doc:"what must be observed: a word, a word with an argument, or a list of them"`

	// Suite is the name of the suite the case stands in; File and Line say where.
	Suite string `yaml:"-"`
	File  string `yaml:"-"`
	Line  int    `yaml:"-"`
	// BuiltIn tells that the file is one of Catalogue: a file of the user's may be called alike.
	BuiltIn bool `yaml:"-"`
}

// Name is the case's full name: receiver/signature/body-bit-flipped.
func (c Case) Name() string { return c.Suite + "/" + c.ID }

// Steps are the deliveries of a case. In YAML one step stands for a list of one.
type Steps []Step

// Step is one delivery. An empty step is a well-formed, freshly signed delivery
// of the profile's default payload.
type Step struct {
	As string `yaml:"as" doc:"name by which later steps refer to this one"`

	// What the delivery is.
	Payload string            `yaml:"payload" words:"payloads" doc:"name of a payload in fixtures/payloads"`
	Body    *string           `yaml:"body" doc:"the body itself; {id}, {event}, {unix} and {time} are filled in"`
	Size    int               `yaml:"size" range:"1..33554432" doc:"pad the payload to this many bytes"`
	Event   string            `yaml:"event" doc:"event type, where it is not the profile's ordinary one"`
	Query   string            `yaml:"query" doc:"query added to the target's URL"`
	Headers map[string]string `yaml:"headers" doc:"headers added, or replaced, before signing"`
	Key     string            `yaml:"key" enum:"active,second,retired,other" doc:"which key signs; active unless said otherwise"`
	At      string            `yaml:"at" doc:"time of signing: now, with durations or the word tolerance added or subtracted, such as now-tolerance+2s"`

	// How it relates to an earlier step.
	Replay string `yaml:"replay" doc:"send that step's bytes again, unchanged"`
	Retry  string `yaml:"retry" doc:"deliver that step again: same id and body, fresh timestamp and signature"`
	SameID string `yaml:"same-id" doc:"a different delivery under that step's id"`

	// How it departs from an honest one.
	Mutate *Mutation `yaml:"mutate" doc:"the single way in which the delivery departs from an honest one"`

	// How it crosses the wire.
	After      time.Duration `yaml:"after" doc:"wait that long before it is sent"`
	Wire       *Word         `yaml:"wire" doc:"how the bytes are written to the socket"`
	TLS        *TLS          `yaml:"tls" doc:"how the connection is made, where it is not made as the run's own are"`
	Times      int           `yaml:"times" range:"1..20000" doc:"send it that many times"`
	Concurrent bool          `yaml:"concurrent" doc:"send all of them at once"`
	Fresh      bool          `yaml:"fresh" doc:"each of the times is a delivery of its own, with its own id"`

	// Expect judges this step alone.
	Expect Expect `yaml:"expect" doc:"what must be observed of this step"`

	Line, Column int `yaml:"-"`
}

// Mutation names one departure: the part it touches and the way. In YAML it is
// a map of one entry: {body: flip-bit} or {signature: {truncated: 16}}.
type Mutation struct {
	Part string
	Word
}

// Word is a word of the vocabulary with its argument, if it takes one: flip-bit,
// or {truncated: 16}.
type Word struct {
	Name string
	// Arg is nil, a string, an int, a time.Duration, a list of ints or strings, or a
	// Gap, as the vocabulary says; and a *threshold.Threshold in a load suite.
	Arg          any
	Line, Column int
}

// Expect is a list of expectations. In YAML: rejected, {effects: 1}, or a list.
type Expect []Word

// Kind is the type of a word's argument.
type Kind string

const (
	None     Kind = ""
	Text     Kind = "text"
	Number   Kind = "number"   // integer, 0 or more
	Span     Kind = "duration" // a time such as 10m or -24h
	Statuses Kind = "statuses" // a list of HTTP statuses
	Names    Kind = "names"    // one or more of Entry.Choices
	GapKind  Kind = "gap"      // {after: 2, at-least: 2s}
)

// Entry is one word of a vocabulary.
type Entry struct {
	Part string // of a mutation: body, signature, id, timestamp, headers, ...
	Name string
	Arg  Kind
	// Choices are the words that Names may hold; any text where there are none.
	Choices []string
	// Most is the greatest Number that it takes. Where it is 0 that is a million, and
	// a thousand million for an expectation, which is compared with and no more.
	Most int
	// Repeats tells that it may be expected several times, with different arguments.
	// Gaps always may, one for each After.
	Repeats bool
	// Optional tells that the argument may be left out.
	Optional bool
	// Presigned tells of a mutation that it acts before or while the delivery is
	// signed, so that a replay, which is signed already, cannot have it.
	Presigned bool
	// Doc is a sentence that completes "the delivery ..." or "the receiver ...".
	Doc string
}

// Vocabulary is what a role's suite understands.
type Vocabulary struct {
	Role         string  // receiver, sender or load
	Mutations    []Entry // of a receiver
	Wires        []Entry // of a receiver
	Answers      []Entry // of a sender
	Addresses    []Entry // of a sender
	Handshakes   []Entry // how a sender's is answered
	Classes      []Entry // of load
	Certificates []Entry // that a receiver is shown by its client, a sender by its server
	Ciphers      []Entry // sets of cipher suites
	Expectations []Entry
	Measures     []Entry
	Capabilities []Entry
	Payloads     []Entry
}
