package scenarios

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
	"github.com/hookanvil/hookanvil/scenarios/threshold"
)

// The bounds of a load. A typo must not become an attack on somebody.
const (
	MaxRate        = 100_000 // hits per second
	MaxLoadTime    = time.Hour
	MaxHits        = 100_000_000
	MaxConnections = 4096

	maxStages     = 50
	maxThresholds = 50
	maxWeight     = 1_000_000
	maxOfDeclared = 100 // times the declared
)

// Attack is the traffic that a receiver is sent. Rates and times are absolute, or shares
// of those that the run declares.
type Attack struct {
	Model  string  `yaml:"model" enum:"open,closed" doc:"open, unless said otherwise: hits are due by a schedule; closed: whenever a connection is free"`
	Stages []Stage `yaml:"stages" required:"true" doc:"what is sent, one stage after the other"`
	Mix    Mix     `yaml:"mix" doc:"how much of it each class of deliveries has, by weight; honest ones alone unless said otherwise"`

	Connections int           `yaml:"connections" range:"1..4096" doc:"how many are open at most; the run's own number unless said otherwise"`
	Fresh       bool          `yaml:"fresh-connections" doc:"each hit has a connection of its own"`
	Timeout     time.Duration `yaml:"timeout" doc:"time for one hit; the profile's deadline unless said otherwise"`

	Payload string     `yaml:"payload" words:"payloads" doc:"name of a payload in fixtures/payloads, instead of the profile's"`
	Sizes   []BodySize `yaml:"sizes" doc:"sizes to which the profile's payload is padded"`
}

// Closed tells that a hit is due whenever a connection is free.
func (l *Attack) Closed() bool { return l.Model == "closed" }

// MixOf is the mix of a stage: its own, that of the load, or honest deliveries alone.
func (l *Attack) MixOf(s Stage) Mix {
	for _, mix := range []Mix{s.Mix, l.Mix} {
		if len(mix) > 0 {
			return mix
		}
	}
	return Mix{"honest": 1}
}

// Stage is one part of a load. Of rate, ramp-to, steps, spike and sine it has one,
// and none where the model is closed.
type Stage struct {
	Name string `yaml:"name" doc:"the name by which thresholds ask for it: lower case, digits and underscores"`

	Rate   *Rate  `yaml:"rate" doc:"a steady rate: 200/s, or 100% of the run's"`
	RampTo *Rate  `yaml:"ramp-to" doc:"goes there evenly, from the rate before"`
	Steps  *Climb `yaml:"steps" doc:"goes there in steps, from the rate before"`
	Spike  *Rate  `yaml:"spike" doc:"jumps there; what follows goes on from the rate before"`
	Sine   *Sine  `yaml:"sine" doc:"swings about a mean"`

	For  Extent `yaml:"for" required:"true" doc:"how long: 10s, or 50% of the run's time"`
	Mix  Mix    `yaml:"mix" doc:"its own mix, where it is not that of the load"`
	Slow int    `yaml:"slow-clients" range:"1..1000" doc:"beside it, so many connections send a request a byte at a time"`
}

// Climb are the steps from the rate before to another one.
type Climb struct {
	To    Rate `yaml:"to" required:"true" doc:"the rate of the last step"`
	Count int  `yaml:"count" required:"true" range:"1..100" doc:"the number of steps"`
}

// Sine is a rate that swings.
type Sine struct {
	Mean      Rate   `yaml:"mean" required:"true" doc:"the rate about which it swings"`
	Amplitude Rate   `yaml:"amplitude" required:"true" doc:"how far it swings, at most the mean"`
	Period    Extent `yaml:"period" required:"true" doc:"the time of one wave"`
}

// BodySize is a size of bodies. In YAML a number stands for one of weight 1.
type BodySize struct {
	Bytes  int `yaml:"bytes" required:"true" range:"1..33554432" doc:"size of the body"`
	Weight int `yaml:"weight" range:"1..1000000" doc:"how often, beside the others; 1 unless said otherwise"`
}

// Mix is weights by class.
type Mix map[string]int

// Rate is hits per second, or a share of the rate that the run declares.
type Rate struct {
	PerSecond float64 // 0 where it is a share
	Share     float64
}

// Of is the rate in hits per second.
func (r Rate) Of(declared float64) float64 {
	if r.Share > 0 {
		return r.Share * declared
	}
	return r.PerSecond
}

func (r Rate) String() string {
	if r.Share > 0 {
		return percent(r.Share)
	}
	return strconv.FormatFloat(r.PerSecond, 'f', -1, 64) + "/s"
}

// Extent is a time, or a share of the time that the run declares.
type Extent struct {
	Time  time.Duration // 0 where it is a share
	Share float64
}

// Of is the time.
func (e Extent) Of(declared time.Duration) time.Duration {
	if e.Share > 0 {
		return time.Duration(e.Share * float64(declared))
	}
	return e.Time
}

func (e Extent) String() string {
	if e.Share > 0 {
		return percent(e.Share)
	}
	return e.Time.String()
}

func percent(share float64) string {
	return strconv.FormatFloat(math.Round(share*1e6)/1e4, 'f', -1, 64) + "%"
}

// Spellings of rates and shares.
const (
	ratePattern  = `^[0-9]{1,9}(\.[0-9]{1,3})?/s$`
	sharePattern = `^[0-9]{1,9}(\.[0-9]{1,3})?%$`
)

var (
	aRate  = regexp.MustCompile(ratePattern)
	aShare = regexp.MustCompile(sharePattern)
	stage  = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// readShare reads a percentage of what the run declares.
func readShare(text string) (share float64, err error) {
	share, err = strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	switch share /= 100; {
	case err != nil || share <= 0:
		return 0, errors.New("a share must be more than 0%")
	case share > maxOfDeclared:
		return 0, fmt.Errorf("a share is at most %d%% of what the run declares", maxOfDeclared*100)
	}
	return share, nil
}

// ParseRate reads 200/s or, where a share makes sense to the caller, 100%.
func ParseRate(text string) (r Rate, err error) {
	switch {
	case aShare.MatchString(text):
		r.Share, err = readShare(text)
	case aRate.MatchString(text):
		r.PerSecond, err = strconv.ParseFloat(strings.TrimSuffix(text, "/s"), 64)
		if err == nil && r.PerSecond <= 0 {
			err = errors.New("a rate must be more than 0/s")
		}
		if r.PerSecond > MaxRate {
			err = fmt.Errorf("a rate is at most %d/s", MaxRate)
		}
	default:
		err = fmt.Errorf("%w; or as a share of the run's rate, such as 100%%", errRate)
	}
	return r, err
}

var errRate = errors.New("a rate is written with its unit, such as 200/s or 0.5/s")

// ParsePerSecond reads 200/s, where there is nothing that a share could be of.
func ParsePerSecond(text string) (float64, error) {
	switch {
	case aShare.MatchString(text):
		return 0, errors.New("a share of what? write hits per second, such as 200/s")
	case !aRate.MatchString(text):
		return 0, errRate
	}
	r, err := ParseRate(text)
	return r.PerSecond, err
}

// ParseExtent reads a time such as 10s, or a share such as 50%.
func ParseExtent(text string) (e Extent, err error) {
	if aShare.MatchString(text) {
		e.Share, err = readShare(text)
		return e, err
	}
	switch e.Time, err = strictyaml.ParseDuration(text); {
	case err != nil:
		err = fmt.Errorf("%w; or as a share of the run's time, such as 50%%", err)
	case e.Time <= 0:
		err = errors.New("it must be more than 0")
	case e.Time > MaxLoadTime:
		err = fmt.Errorf("a load lasts at most %s", "1h")
	}
	return e, err
}

// UnmarshalNode reads 200/s or 100%.
func (r *Rate) UnmarshalNode(n *strictyaml.Node) (err error) {
	if n.Kind == strictyaml.Number {
		return n.Errorf("%s has no unit: %s", n.Name(), strictyaml.Quote(n.Value)).
			Hintf("write %s for a rate per second, or a share of the run's rate such as 100%%", strictyaml.Quote(n.Value+"/s"))
	}
	if _, err := n.Text(); err != nil {
		return err
	}
	if *r, err = ParseRate(n.Value); err != nil {
		return n.Errorf("%s is not a rate: %s", n.Name(), strictyaml.Quote(n.Value)).Hintf("%v", err)
	}
	return nil
}

// UnmarshalNode reads 10s or 50%.
func (e *Extent) UnmarshalNode(n *strictyaml.Node) (err error) {
	if n.Kind == strictyaml.Number {
		_, err := n.Duration() // says that the unit is missing
		if err == nil {
			err = n.Errorf("%s has no unit: %s", n.Name(), strictyaml.Quote(n.Value))
		}
		return err
	}
	if _, err := n.Text(); err != nil {
		return err
	}
	if *e, err = ParseExtent(n.Value); err != nil {
		return n.Errorf("%s is not a time: %s", n.Name(), strictyaml.Quote(n.Value)).Hintf("%v", err)
	}
	return nil
}

// UnmarshalNode reads a number of bytes, or a size with its weight.
func (s *BodySize) UnmarshalNode(n *strictyaml.Node) error {
	s.Weight = 1
	if n.Kind != strictyaml.Map {
		bytes, err := n.Int()
		if err == nil && (bytes < 1 || bytes > maxBody) {
			err = n.Errorf("%s must be from 1 to %d bytes, got %d", n.Name(), maxBody, bytes)
		}
		s.Bytes = bytes
		return err
	}
	type plain BodySize
	return n.Decode((*plain)(s))
}

const maxBody = 32 << 20

// loads checks what a load case sends, and reads the thresholds.
func (c *checker) loads(n *strictyaml.Node, one *Case) {
	at, load := n.Get("load"), one.Load
	stages := items(at.Get("stages"))
	c.count(at.Get("stages"), len(stages), maxStages)
	c.mix(at.Get("mix"))
	if t := at.Get("timeout"); t != nil && (load.Timeout == 0 || load.Timeout > maxTimeout) {
		c.problem(t, "", "timeout must be more than 0 and at most %s, got %s", "10m", strictyaml.Quote(t.Value))
	}
	if p := at.Get("payload"); p != nil {
		c.known(p, "payload", names(c.vocabulary.Payloads))
	}
	c.conflicts(at, loadConflicts)
	if sizes := at.Get("sizes"); sizes != nil {
		c.count(sizes, len(items(sizes)), maxStages)
	}
	lines := map[string]int{}
	for i, stage := range stages {
		c.stageName(stage.Get("name"), lines)
		c.stage(stage, load, i)
	}
	c.total(at, load)
	c.thresholds(n.Get("expect"), one.Expect, load)
	c.thresholds(n.Get("abort-on"), one.AbortOn, load)
}

var loadConflicts = []conflict{
	{"payload", "sizes", "both say what the body is"},
}

func (c *checker) stageName(n *strictyaml.Node, lines map[string]int) {
	if n == nil {
		return
	}
	if len(n.Value) > 32 || !stage.MatchString(n.Value) {
		c.problem(n, "use at most 32 characters, lower case, digits and underscores, so that thresholds can ask for it: stages.flood.honest.accepted", "%s is not a valid name of a stage", strictyaml.Quote(n.Value))
	}
	if first, twice := lines[n.Value]; twice {
		c.problem(n, "", "the name %s is taken by the stage on line %d", strictyaml.Quote(n.Value), first)
	}
	lines[n.Value] = n.Line
}

func (c *checker) mix(n *strictyaml.Node) {
	if n == nil {
		return
	}
	if len(n.Keys) == 0 {
		c.problem(n, "write {honest: 90, forged: 10}, or remove the key", "mix is empty")
	}
	for i, key := range n.Keys {
		c.known(key, "class", names(c.vocabulary.Classes))
		if w, err := n.Items[i].Int(); err == nil && (w < 1 || w > maxWeight) {
			c.problem(n.Items[i], "leave out a class that is not to be sent", "a weight must be from 1 to %d, got %d", maxWeight, w)
		}
	}
}

// shapes are the keys of which a stage has one.
var shapes = []string{"rate", "ramp-to", "steps", "spike", "sine"}

func (c *checker) stage(n *strictyaml.Node, load *Attack, i int) {
	s := load.Stages[i]
	var has []string
	for _, key := range shapes {
		if n.Get(key) != nil {
			has = append(has, key)
		}
	}
	switch {
	case load.Closed() && len(has) > 0:
		c.problem(n.Key(has[0]), "where the model is closed, a hit is due whenever a connection is free: remove it, or remove model", "%s cannot stand beside model: closed", has[0])
	case !load.Closed() && len(has) == 0:
		c.problem(n, "add rate: 100%, or one of "+strings.Join(shapes, ", "), "the stage has no rate")
	case len(has) > 1:
		c.problem(n.Key(has[1]), "write a stage for each", "%s cannot stand beside %s", has[1], has[0])
	case i == 0 && !load.Closed() && slices.Contains([]string{"ramp-to", "steps"}, has[0]):
		c.problem(n.Key(has[0]), "begin with a stage that has a rate", "%s goes on from the rate before, and this is the first stage", has[0])
	}
	if s.Sine != nil && (s.Sine.Amplitude.Share > s.Sine.Mean.Share || s.Sine.Amplitude.PerSecond > s.Sine.Mean.PerSecond) {
		c.problem(n.Get("sine").Get("amplitude"), "a rate cannot become negative; write both as shares, or both per second", "amplitude is more than mean")
	}
	c.mix(n.Get("mix"))
	mix := load.MixOf(s)
	for _, class := range []string{"replayed", "duplicate"} {
		if mix[class] > 0 && mix["honest"] == 0 {
			c.problem(n, "add honest to its mix", "the stage has deliveries that are %s, and no honest ones that they could repeat", class)
		}
	}
}

// most is the highest rate of a stage, as far as it is written down. What is a share
// of the run's own rate is bounded when a run is planned.
func (s Stage) most() float64 {
	most := 0.0
	for _, r := range []*Rate{s.Rate, s.RampTo, s.Spike} {
		if r != nil {
			most = max(most, r.PerSecond)
		}
	}
	if s.Steps != nil {
		most = max(most, s.Steps.To.PerSecond)
	}
	if s.Sine != nil {
		most = max(most, s.Sine.Mean.PerSecond+s.Sine.Amplitude.PerSecond)
	}
	return most
}

// total bounds what the stages amount to.
func (c *checker) total(n *strictyaml.Node, load *Attack) {
	var lasts time.Duration
	hits := 0.0
	for i, s := range load.Stages {
		if most := s.most(); most > MaxRate {
			c.problem(items(n.Get("stages"))[i], "", "the stage reaches %s; the limit is %d/s", Rate{PerSecond: most}, MaxRate)
		}
		lasts += s.For.Time
		hits += s.most() * s.For.Time.Seconds()
	}
	switch {
	case lasts > MaxLoadTime:
		c.problem(n.Get("stages"), "", "the stages last %s; the limit is %s", lasts, "1h")
	case hits > MaxHits:
		c.problem(n.Get("stages"), "", "the stages amount to %.0f hits; the limit is %d", hits, MaxHits)
	}
}

// thresholds reads the conditions on what is measured.
func (c *checker) thresholds(n *strictyaml.Node, words Expect, load *Attack) {
	if n == nil {
		return
	}
	var stages []string
	for _, s := range load.Stages {
		if s.Name != "" {
			stages = append(stages, s.Name)
		}
	}
	nodes := items(n)
	c.count(n, len(nodes), maxThresholds)
	c.distinct(nodes)
	for i, node := range nodes {
		if node.Kind != strictyaml.Text {
			c.problem(node, "write it like honest.latency.p99 <= 250ms", "%s must be a condition on what is measured", node.Name())
			continue
		}
		t, err := threshold.Parse(node.Value, stages...)
		var wrong *threshold.Error
		if errors.As(err, &wrong) {
			c.errs.Add(node, node.ErrorWithin(wrong.Column, "%s", wrong.Message).Hintf("%s", wrong.Hint))
			continue
		}
		words[i].Arg = t
		c.sent(node, t, load)
	}
}

// sent makes sure that what a threshold asks for is sent at all: of what is not, nothing
// is ever measured.
func (c *checker) sent(n *strictyaml.Node, t *threshold.Threshold, load *Attack) {
	for _, name := range t.Names() {
		of := func(s Stage) bool {
			return (name.Stage == "" || s.Name == name.Stage) && load.MixOf(s)[name.Class] > 0
		}
		if name.Class == "" || slices.ContainsFunc(load.Stages, of) {
			continue
		}
		where := "no stage"
		if name.Stage != "" {
			where = "the stage " + name.Stage
		}
		err := n.ErrorWithin(name.Column, "%s asks for deliveries that are %s, and %s has any", name.Text, name.Class, where)
		if name.Stage != "" {
			err = n.ErrorWithin(name.Column, "%s asks for deliveries that are %s, and %s has none", name.Text, name.Class, where)
		}
		c.errs.Add(n, err.Hintf("add %s to the mix", name.Class))
	}
}

// Thresholds are the conditions that a load case expects.
func (e Expect) Thresholds() []*threshold.Threshold {
	var all []*threshold.Threshold
	for _, w := range e {
		if t, ok := w.Arg.(*threshold.Threshold); ok {
			all = append(all, t)
		}
	}
	return all
}
