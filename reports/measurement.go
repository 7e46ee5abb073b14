package reports

import "time"

// MeasurementSchema is the version of a measurement's JSON.
const MeasurementSchema = "hookanvil.load/1"

// Measurement is what a load run measured. Times are in milliseconds, rates per
// second and shares from 0 to 1.
type Measurement struct {
	Schema  string    `json:"schema"`
	Tool    string    `json:"tool"`
	Subject Subject   `json:"subject"`
	Profile string    `json:"profile"`
	Plan    string    `json:"plan"`  // in words: "2000/s for 60s; honest 90, forged 10"
	Model   string    `json:"model"` // "open": hits are due by a schedule; "closed": when a connection is free
	Seed    uint64    `json:"seed"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	// State is Complete, Interrupted by the user, or Aborted by a threshold.
	State string   `json:"state"`
	Notes []string `json:"notes,omitempty"`

	Generator Generator `json:"generator"`
	// Invalid says why the figures tell of the generator and not of the subject;
	// nothing may be concluded from them then.
	Invalid []string `json:"invalid,omitempty"`

	Total      Traffic     `json:"total"`
	Classes    []Traffic   `json:"classes"` // in the order of attack.Classes, without those that were not sent
	Stages     []Stage     `json:"stages"`
	Series     []Second    `json:"series"`
	Controls   []Control   `json:"controls,omitempty"`
	Thresholds []Threshold `json:"thresholds,omitempty"`
	Capacity   *Capacity   `json:"capacity,omitempty"`
}

// Aborted is the state of a load run that a threshold ended.
const Aborted = "aborted"

// Traffic is what became of the hits of one class, or of all.
type Traffic struct {
	Class   string `json:"class,omitempty"` // honest, forged, ...; empty for all
	Planned int64  `json:"planned"`         // that were due by the schedule
	Sent    int64  `json:"sent"`            // of which anything was written
	// Of the hits that were planned: Accepted + Refused + Unavailable + Other +
	// the sum of Errors.
	Accepted    int64 `json:"accepted"`
	Refused     int64 `json:"refused"`     // on purpose: 400, 401, 403, 422, or as the user says
	Unavailable int64 `json:"unavailable"` // 429 and 503: shed
	Other       int64 `json:"other"`       // any other complete answer
	// Errors are hits without a complete answer by kind: see ErrorKinds.
	Errors   map[string]int64 `json:"errors,omitempty"`
	Statuses map[int]int64    `json:"statuses,omitempty"`
	Sending  int64            `json:"bytes_sent"`
	Reading  int64            `json:"bytes_received"`
	// Rate is of hits sent, Throughput of hits accepted, per second of the time in which
	// hits were due.
	Rate       float64 `json:"rate"`
	Throughput float64 `json:"throughput"`
	// Latency is from the time at which a hit was due to the end of its answer, Service
	// from when it was begun; by what became of it: accepted, refused, unavailable,
	// other, error. Of an error it is the time until it was known.
	Latency map[string]Distribution `json:"latency,omitempty"`
	Service map[string]Distribution `json:"service,omitempty"`
	// Effects is what a probe counted; nil where there is none. That of all hits is of
	// accepted ones.
	Effects *Effects `json:"effects,omitempty"`
}

// Control is a delivery by itself, before the load or after it.
type Control struct {
	When     string `json:"when"`  // before or after
	Class    string `json:"class"` // honest or forged
	Accepted bool   `json:"accepted"`
	Got      string `json:"got"`            // "answered 401 Unauthorized"
	Gone     bool   `json:"gone,omitempty"` // nothing listened
}

// ErrorKinds are the kinds of hits without a complete answer, in the order in which
// they are shown. All but the last are charged to the subject.
var ErrorKinds = []string{
	"refused",    // the connection was
	"reset",      // by the subject, at any time
	"timeout",    // to connect, to write, or for an answer
	"tls",        // the handshake failed
	"short-read", // the answer ended too early
	"bad-answer", // it is no HTTP
	"unsent",     // every connection was waiting for an answer until it was too late
	"harness",    // this machine ran out of file descriptors, ports or memory
}

// Effects are how often deliveries took effect, by a probe: those that were accepted or,
// of a class that must be refused, all, however they were answered.
type Effects struct {
	Examined int64 `json:"examined"` // distinct deliveries that were looked up
	Lost     int64 `json:"lost"`     // of them, accepted and without effect
	Repeated int64 `json:"repeated"` // of them, accepted and with more than one
	Taken    int64 `json:"taken"`    // of them, with an effect although they must be refused
}

// Distribution is of times in milliseconds.
type Distribution struct {
	Count int64   `json:"count"`
	Min   float64 `json:"min"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99_9"`
	Max   float64 `json:"max"`
	// HDR is the histogram: values in microseconds with three digits, HdrHistogram V2
	// compressed, base64. It may be empty.
	HDR string `json:"hdr,omitempty"`
}

// Stage is one part of the plan.
type Stage struct {
	Name    string    `json:"name"`
	Plan    string    `json:"plan"` // in words
	FromS   float64   `json:"from_s"`
	ToS     float64   `json:"to_s"`
	Total   Traffic   `json:"total"`
	Classes []Traffic `json:"classes"`
}

// Second is one second of the run, by when answers came.
type Second struct {
	At       float64            `json:"at_s"` // its beginning
	Planned  int64              `json:"planned"`
	Sent     int64              `json:"sent"`
	Accepted int64              `json:"accepted"`
	Refused  int64              `json:"refused"`
	Other    int64              `json:"other"` // unavailable included
	Errors   int64              `json:"errors"`
	P50      float64            `json:"p50"` // latency of accepted hits
	P99      float64            `json:"p99"`
	Max      float64            `json:"max"`
	Classes  map[string]Instant `json:"classes,omitempty"`
}

// Instant is one second of one class.
type Instant struct {
	Sent     int64   `json:"sent"`
	Accepted int64   `json:"accepted"`
	Refused  int64   `json:"refused"`
	P99      float64 `json:"p99"` // latency of accepted hits
}

// Generator is what the load cost us, and whether we kept time.
type Generator struct {
	Target   float64 `json:"target"`   // hits per second that were due, on average
	Achieved float64 `json:"achieved"` // that were begun
	// Lag is of the hits that found a connection free: from when one was due to when it
	// was begun.
	Lag         Distribution `json:"lag"`
	Waited      int64        `json:"waited"`  // hits that found every connection waiting for an answer
	Dropped     int64        `json:"dropped"` // hits that were never begun
	Connections int          `json:"connections"`
	Dials       int64        `json:"dials"`
	CPU         float64      `json:"cpu"`        // share of the processors that this process may use
	CPUPerHit   float64      `json:"cpu_us_hit"` // microseconds
	GCPauseMax  float64      `json:"gc_pause_max"`
	GCs         uint32       `json:"gcs"`
	StallMax    float64      `json:"stall_max"`   // the longest time in which this process did not run
	StallShare  float64      `json:"stall_share"` // of the run's time, in stalls of more than 20 ms
	RSSMax      int64        `json:"rss_max"`     // bytes
	Goroutines  int          `json:"goroutines"`
	Files       int          `json:"files"` // descriptors
	// Clock is the greatest jump of the wall clock against the monotonic one.
	Clock float64 `json:"clock_jump"`
}

// Threshold is a condition on the measured, as it was written, and what came of it.
type Threshold struct {
	Text  string `json:"text"`
	Holds bool   `json:"holds"`
	Got   string `json:"got"` // the measured side: "honest.latency.p99 = 312ms"
	// Unmeasured tells that the condition asks for what was not measured, so that it
	// neither holds nor is broken.
	Unmeasured bool `json:"unmeasured,omitempty"`
	// Certain tells that nothing a busy generator does can break the condition, so that it
	// counts although the run is invalid.
	Certain bool `json:"certain,omitempty"`
	// Timeless tells that the condition asks for counts alone, so that it counts although
	// hits were late.
	Timeless bool `json:"timeless,omitempty"`
}

// Capacity is what a search for the highest rate found.
type Capacity struct {
	Rate      float64 `json:"rate"`                // the highest at which the thresholds hold, as estimated
	Low       float64 `json:"low"`                 // with a probability of 95 % it is from Low
	High      float64 `json:"high"`                // to High; 0 where no rate was found at which they do not hold
	Unlimited bool    `json:"unlimited,omitempty"` // they held at the highest rate that was tried
	Ended     string  `json:"ended"`               // what ended the search: one of SearchEnds
	Trials    []Trial `json:"trials"`
}

// What ends a search, unless it is Interrupted: bounds that are close enough, the highest
// rate that was to be tried, the lowest, the time, or a generator that kept time no more.
const (
	EndedFound     = "found"
	EndedHighest   = "highest rate"
	EndedLowest    = "lowest rate"
	EndedTime      = "time"
	EndedGenerator = "generator"
)

// SearchEnds are all of them.
var SearchEnds = []string{EndedFound, EndedHighest, EndedLowest, EndedTime, EndedGenerator, Interrupted}

// Trial is one rate that was tried.
type Trial struct {
	Rate       float64  `json:"rate"`
	Throughput float64  `json:"throughput"`
	P50        float64  `json:"p50"`
	P99        float64  `json:"p99"`
	Errors     float64  `json:"errors"` // share
	Held       bool     `json:"held"`
	Broken     []string `json:"broken,omitempty"` // thresholds that did not hold
	Invalid    bool     `json:"invalid,omitempty"`
}
