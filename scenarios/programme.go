package scenarios

import (
	"embed"
	"slices"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// Programmes are the built-in programmes of certification, one file each.
//
//go:embed certification/*.yaml
var Programmes embed.FS

// programmeDir stands beside the suites, and holds no suite.
const programmeDir = "certification"

// Programme says what is certified: which suites a subject is judged by, what the levels
// demand of the results, and what a run is allowed.
//
// What a programme does not allow is refused: a setting that changes how cases are judged,
// a filter, known failures, a case that was skipped.
type Programme struct {
	Name     string `yaml:"programme" required:"true" doc:"name of the programme: lower case, digits and hyphens"`
	Version  int    `yaml:"version" required:"true" range:"1..9999" doc:"raised with every change that changes who is certified"`
	Title    string `yaml:"title" required:"true" doc:"what is certified, in a few words"`
	About    string `yaml:"about" doc:"for whom the programme is, and why it is as it is"`
	Validity int    `yaml:"validity" required:"true" range:"1..1826" doc:"days for which a certificate is valid"`

	Profiles []string `yaml:"profiles" doc:"shipped profiles under which a subject may be judged; all of them unless given"`
	Settings []string `yaml:"settings" doc:"settings of a run that are allowed although they change how cases are judged, such as accept"`
	Filters  []string `yaml:"filters" doc:"label expressions by which a run may leave cases out"`
	// KnownFailures tells that a run may have known failures. No level takes them for less
	// than failures.
	KnownFailures bool       `yaml:"known-failures" doc:"a run may be given known failures; they excuse nothing at any level"`
	Excuses       []string   `yaml:"excuses" words:"capabilities" doc:"capabilities for want of which a case may be skipped"`
	Load          *Declared  `yaml:"load" doc:"the rate and the time of which the suites of load take shares"`
	Levels        []Standard `yaml:"levels" required:"true" doc:"the levels, each of which demands those before it"`

	// File is where the programme was read from, Source what stands there.
	File   string `yaml:"-"`
	Source []byte `yaml:"-"`
}

// Declared is what the suites of load take shares of.
type Declared struct {
	Rate     string        `yaml:"rate" required:"true" doc:"hits, or events, per second: 200/s"`
	Duration time.Duration `yaml:"duration" required:"true" doc:"time of each case: 10s"`
}

// Standard is one level. Of every must of its suites it demands that it passes, or is
// excused.
type Standard struct {
	Level  string   `yaml:"level" required:"true" doc:"name of the level: lower case, digits and hyphens"`
	Title  string   `yaml:"title" required:"true" doc:"what the level says of a subject, as a sentence"`
	Suites []Demand `yaml:"suites" required:"true" doc:"the suites whose cases count, with those of the levels before"`
	// NoWarnings demands of every case what is demanded of a must.
	NoWarnings bool `yaml:"no-warnings" doc:"the cases that are no must have to pass too, or be excused"`
	// StatusOnly allows verdicts that no probe of effects has confirmed.
	StatusOnly bool     `yaml:"status-only" doc:"verdicts may rest on statuses alone, without a probe of effects"`
	Excuses    []string `yaml:"excuses" words:"capabilities" doc:"further capabilities for want of which a case may be skipped at this level"`
}

// Demand is a suite, and how many of its musts have to pass at the least, so that nobody
// gets a level by what does not apply.
type Demand struct {
	Suite  string `yaml:"suite" required:"true" doc:"name of the suite: receiver/signature"`
	Passed int    `yaml:"passed" required:"true" range:"1..1000" doc:"number of its musts that must pass, skipped ones not counted"`
	// Where is a capability of the profile; where the profile lacks it, no number is asked
	// for, and every case has to have its excuse all the same.
	Where string `yaml:"where" words:"capabilities" doc:"capability of the profile without which that number is not asked for"`
}

// ParseProgramme reads and validates a programme. Its words are those of the catalogue and
// of the vocabularies. Every problem that can be found is in the error, a
// strictyaml.Errors; the programme is nil then.
func ParseProgramme(file string, src []byte, catalogue []*Suite, vocabularies ...Vocabulary) (*Programme, error) {
	p := &Programme{File: file, Source: src}
	doc, err := strictyaml.Decode(file, src, p)
	if err != nil {
		return nil, err
	}
	c := programmeChecker{checker: newChecker(Vocabulary{}), doc: doc, catalogue: catalogue}
	c.programme(p, vocabularies)
	if err := c.errs.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// ExplainKey says where that is said which a programme cannot say.
func (*Programme) ExplainKey(key string) string {
	switch key {
	case "suites", "cases":
		return "suites stand in the levels: {level: basic, suites: [{suite: receiver/signature, passed: 20}]}"
	case "target", "url", "secret", "key":
		return "a programme is for every subject; who it is stands on the command line"
	case "skips", "skip":
		return "what a case may be skipped for stands under excuses"
	}
	return ""
}

// Role is whose programme it is: the role of the first suite that is not of load, and a
// receiver's where there is none.
func (p *Programme) Role() string {
	for _, name := range p.Suites(len(p.Levels)) {
		if role, _, _ := strings.Cut(name, "/"); role != "load" {
			return role
		}
	}
	return "receiver"
}

// Suites are the names of the suites of so many levels, the lowest first.
func (p *Programme) Suites(levels int) []string {
	var all []string
	for _, level := range p.Levels[:levels] {
		for _, d := range level.Suites {
			if !slices.Contains(all, d.Suite) {
				all = append(all, d.Suite)
			}
		}
	}
	return all
}

// Rank is the place of a level, counted from 1; 0 where there is no such level.
func (p *Programme) Rank(level string) int {
	return 1 + slices.IndexFunc(p.Levels, func(s Standard) bool { return s.Level == level })
}

// programmeChecker collects what is wrong with a programme whose shape is right.
type programmeChecker struct {
	*checker
	doc       *strictyaml.Document
	catalogue []*Suite
	role      string // of the suites so far
}

func (c *programmeChecker) programme(p *Programme, vocabularies []Vocabulary) {
	c.named(c.doc.At("programme"), "name of a programme")
	if len(p.Levels) == 0 {
		c.problem(c.doc.At("levels"), "write at least one", "a programme without levels certifies nothing")
	}
	loaded := false
	for i, level := range p.Levels {
		c.level(i, level, p.Levels[:i])
		for _, d := range level.Suites {
			loaded = loaded || strings.HasPrefix(d.Suite, "load/")
		}
	}
	words := c.capabilities(p, vocabularies)
	c.excuses(p.Excuses, words, "excuses")
	for i, level := range p.Levels {
		c.excuses(level.Excuses, words, "levels", i, "excuses")
		for j, d := range level.Suites {
			if d.Where != "" {
				c.known(c.doc.At("levels", i, "suites", j, "where"), "capability", words)
			}
		}
	}
	c.load(p, loaded)
}

// load demands what the suites of load take shares of, where there are any.
func (c *programmeChecker) load(p *Programme, loaded bool) {
	switch {
	case loaded && p.Load == nil:
		c.problem(c.doc.Root, "add load: {rate: 100/s, duration: 10s}", "the programme has suites of load and declares no rate")
	case !loaded && p.Load != nil:
		c.problem(c.doc.At("load"), "remove it, or name a suite of load", "the programme declares a rate, and none of its suites needs one")
	case loaded:
		at := c.doc.At("load", "rate")
		if _, err := ParsePerSecond(p.Load.Rate); err != nil {
			c.problem(at, "write hits per second, such as 200/s", "rate %s: %s", strictyaml.Quote(p.Load.Rate), err)
		}
		if p.Load.Duration <= 0 || p.Load.Duration > MaxLoadTime {
			c.problem(c.doc.At("load", "duration"), "write a time such as 10s", "a load lasts more than nothing, and at most 1h")
		}
	}
}

func (c *programmeChecker) level(i int, level Standard, before []Standard) {
	at := c.doc.At("levels", i, "level")
	c.named(at, "name of a level")
	if slices.ContainsFunc(before, func(s Standard) bool { return s.Level == level.Level }) {
		c.problem(at, "", "there is a level %s already", strictyaml.Quote(level.Level))
	}
	if len(level.Suites) == 0 {
		c.problem(c.doc.At("levels", i, "suites"), "name a suite", "a level without suites is everybody's")
	}
	for j, d := range level.Suites {
		c.demand(i, j, d)
		if slices.ContainsFunc(level.Suites[:j], func(other Demand) bool { return other.Suite == d.Suite }) {
			c.problem(c.doc.At("levels", i, "suites", j), "", "the level has the suite %s already", strictyaml.Quote(d.Suite))
		}
	}
}

// demand finds a suite that does not exist, is another role's, or has not so many musts.
func (c *programmeChecker) demand(i, j int, d Demand) {
	at := c.doc.At("levels", i, "suites", j, "suite")
	var names []string
	for _, s := range c.catalogue {
		names = append(names, s.Name)
	}
	if !c.known(at, "suite", names) {
		return
	}
	suite := c.catalogue[slices.Index(names, d.Suite)]
	musts, role := 0, ""
	for _, one := range suite.Cases {
		if one.Level == Must {
			musts++
		}
		role = judges(one)
	}
	if d.Passed > musts {
		c.problem(c.doc.At("levels", i, "suites", j, "passed"), "nobody could have the level", "the suite %s has %d musts", d.Suite, musts)
	}
	if c.role == "" {
		c.role = role
	}
	if role != c.role {
		c.problem(at, "write a programme for each role", "%s judges a %s, and the suites before it a %s", d.Suite, role, c.role)
	}
}

// judges is whom a case judges.
func judges(c Case) string {
	role, _, _ := strings.Cut(c.Suite, "/")
	switch {
	case role == "load" && c.Fire != nil:
		return "sender"
	case role == "load":
		return "receiver"
	}
	return role
}

// capabilities are the words of the roles whose suites the programme has.
func (c *programmeChecker) capabilities(p *Programme, vocabularies []Vocabulary) []string {
	var words []string
	for _, v := range vocabularies {
		if slices.ContainsFunc(p.Suites(len(p.Levels)), func(name string) bool { return strings.HasPrefix(name, v.Role+"/") }) {
			words = append(words, names(v.Capabilities)...)
		}
	}
	return words
}

func (c *programmeChecker) excuses(list, words []string, path ...any) {
	for i := range list {
		at := c.doc.At(append(slices.Clone(path), i)...)
		c.known(at, "capability", words)
		if list[i] == "probe" {
			c.problem(at, "say status-only: true of a level that is content with statuses", "a probe cannot be excused: without one nobody knows what was done")
		}
	}
}
