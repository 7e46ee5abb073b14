package suites

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
	"github.com/hookanvil/hookanvil/scenarios/threshold"
	"github.com/hookanvil/hookanvil/suites/load"
	"github.com/hookanvil/hookanvil/suites/load/attack"
)

// AttackSettings describe a load on a command line, beside Settings.
type AttackSettings struct {
	Mix        []string // CLASS=WEIGHT
	Thresholds []string
	AbortOn    []string

	Closed   bool
	Timeout  time.Duration // for a hit
	MaxLag   time.Duration // see attack.Plan
	RampFrom string        // the rate from which it goes evenly to that of the settings

	Size     string   // of the body
	Sizes    []string // SIZE:WEIGHT
	Bodies   string   // directory of bodies
	Oversize string

	HTTP2 bool

	FindCapacity bool
	MaxRate      string
	Within       time.Duration
}

// AttackSettingNames are the settings of Settings that a load takes.
var AttackSettingNames = []string{
	"target", "profile", "secret", "other-secret", "header", "accept", "reject",
	"cert", "key", "ca", "tls-passphrase", "tls-min", "server-name", "pki", "client-name",
	"probe-url", "probe-exec", "probe-file",
	"rate", "duration", "connections", "allow-remote-load", "seed", "report",
}

// Attack is a load that is ready to be sent.
type Attack struct {
	subject    load.Subject
	plan       attack.Plan
	thresholds []*threshold.Threshold
	abortOn    []*threshold.Threshold
	reports    []destination
	redactor   *reports.Redactor
	search     *load.Search
	rate       float64
	ramp       float64
	seed       uint64
}

// Attack makes a load of the settings. Everything that can be wrong with them is found
// here, before anything is sent.
func (s Settings) Attack(ctx context.Context, o AttackSettings) (*Attack, error) {
	subject, redactor, err := s.Receiver(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.checkLoad(true, reports.Subject{Role: receiverRole, Target: s.Target}); err != nil {
		return nil, err
	}
	declared, err := s.declared()
	if err != nil {
		return nil, err
	}
	a := &Attack{subject: underLoad(subject, declared), redactor: redactor, seed: s.SeedOrRandom()}
	a.subject.HTTP2 = o.HTTP2
	a.rate = cmp.Or(declared.Rate, load.DefaultRate)
	for _, step := range []func(Settings, AttackSettings) error{a.shape, a.bodies, a.mix, a.conditions, a.capacity} {
		if err := step(s, o); err != nil {
			return nil, err
		}
	}
	if err := a.plan.Check(a.subject.Target); err != nil {
		return nil, err
	}
	if err := a.plan.Deliverable(a.subject.Target); err != nil {
		return nil, err
	}
	if _, err := a.largest().Shortages(a.subject.Target, false); err != nil {
		return nil, err
	}
	a.reports, err = measurementReports(s.Report)
	return a, err
}

// shape is when hits are due.
func (a *Attack) shape(s Settings, o AttackSettings) (err error) {
	d := cmp.Or(s.Duration, load.DefaultTime)
	a.plan = attack.Plan{Closed: o.Closed, Connections: s.Connections, Timeout: o.Timeout, MaxLag: o.MaxLag, Seed: a.seed}
	switch {
	case o.Closed && (s.flags["rate"] || o.RampFrom != ""):
		return errors.New("use --closed: hits are sent as fast as they are answered then, at no rate; leave --rate and --ramp-from out")
	case o.Closed && o.FindCapacity:
		return errors.New("use --find-capacity: it looks for a rate, and --closed sends at none; leave one of them out")
	case o.Closed:
		a.plan.Stages = []attack.Stage{attack.Closed(d)}
		return nil
	case o.RampFrom != "" && o.FindCapacity:
		return errors.New("use --ramp-from: a search for the capacity tries one rate after another; leave it out")
	case o.RampFrom != "":
		if a.ramp, err = readRate("ramp-from", o.RampFrom); err != nil {
			return err
		}
		a.plan.Stages = []attack.Stage{attack.Ramp(a.ramp, a.rate, d)}
		return nil
	}
	a.plan.Stages = []attack.Stage{attack.Constant(a.rate, d)}
	return nil
}

func readRate(flag, text string) (float64, error) {
	rate, err := scenarios.ParsePerSecond(text)
	if err != nil {
		return 0, fmt.Errorf("read --%s %s: %w", flag, strictyaml.Quote(text), err)
	}
	return rate, nil
}

// bodies are what is delivered.
func (a *Attack) bodies(_ Settings, o AttackSettings) (err error) {
	given := 0
	for _, is := range []bool{o.Size != "", len(o.Sizes) > 0, o.Bodies != ""} {
		if is {
			given++
		}
	}
	if given > 1 {
		return errors.New("choose what is delivered: give one of --size, --sizes and --bodies")
	}
	if o.Oversize != "" {
		if a.plan.Bodies.Oversize, err = readSize("oversize", o.Oversize); err != nil {
			return err
		}
	}
	if o.Size != "" {
		o.Sizes = []string{o.Size}
	}
	for _, text := range o.Sizes {
		size, weight, weighed := strings.Cut(text, ":")
		one := attack.Size{Weight: 1}
		if one.Bytes, err = readSize("sizes", size); err != nil {
			return err
		}
		if weighed {
			if one.Weight, err = readWeight("sizes", text, weight); err != nil {
				return err
			}
		}
		a.plan.Bodies.Sizes = append(a.plan.Bodies.Sizes, one)
	}
	if o.Bodies != "" {
		a.plan.Bodies.Files, err = readBodies(o.Bodies)
	}
	return err
}

func readWeight(flag, text, weight string) (float64, error) {
	w, err := strconv.ParseFloat(weight, 64)
	if err != nil || !(w > 0 && w <= 1e6) {
		return 0, fmt.Errorf("read --%s %s: %s is no weight; write a number above 0, up to a million", flag, strictyaml.Quote(text), strictyaml.Quote(weight))
	}
	return w, nil
}

var sizeUnits = []struct {
	suffix string
	bytes  int
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"kB", 1000}, {"MB", 1000_000}, {"B", 1}, {"", 1}}

// readSize reads 512, 16KiB or 2MiB.
func readSize(flag, text string) (int, error) {
	for _, unit := range sizeUnits {
		number, ok := strings.CutSuffix(text, unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(number))
		if err != nil || n < 1 || n > attack.MaxBody/unit.bytes {
			break
		}
		return n * unit.bytes, nil
	}
	return 0, fmt.Errorf("read --%s: %s is no size; write it like 512, 16KiB or 2MiB, up to %d MiB", flag, strictyaml.Quote(text), attack.MaxBody>>20)
}

// mostBodies is how many files of a directory are read.
const mostBodies = 10_000

// readBodies reads the files of a directory, in the order of their names.
func readBodies(dir string) ([][]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read --bodies: %w", err)
	}
	defer root.Close()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read --bodies: %w", err)
	}
	var bodies [][]byte
	total := 0
	for _, e := range entries {
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		b, err := readWithin(root, e.Name())
		if err != nil {
			return nil, fmt.Errorf("read --bodies: %w", err)
		}
		bodies, total = append(bodies, b), total+len(b)
		if len(bodies) > mostBodies || total > mostOfBodies {
			return nil, fmt.Errorf("read --bodies %s: it holds more than %d files, or %d MiB; give fewer", strictyaml.Quote(dir), mostBodies, mostOfBodies>>20)
		}
	}
	if len(bodies) == 0 {
		return nil, fmt.Errorf("read --bodies %s: there is no file in it", strictyaml.Quote(dir))
	}
	return bodies, nil
}

const mostOfBodies = 256 << 20

func readWithin(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, attack.MaxBody+1))
	if err == nil && len(b) > attack.MaxBody {
		err = fmt.Errorf("%s is larger than %d MiB", strictyaml.Quote(name), attack.MaxBody>>20)
	}
	return b, err
}

// mix is which classes of deliveries are sent, and how many of each.
func (a *Attack) mix(_ Settings, o AttackSettings) error {
	mix := attack.Mix{}
	for _, text := range o.Mix {
		class, weight, weighed := strings.Cut(text, "=")
		if !slices.Contains(attack.Classes, attack.Class(class)) {
			var names []string
			for _, c := range attack.Classes {
				names = append(names, string(c))
			}
			return fmt.Errorf("read --mix %s: no class of deliveries is called %s; %s", strictyaml.Quote(text), strictyaml.Quote(class), strictyaml.DidYouMean(class, names))
		}
		if !weighed {
			return fmt.Errorf("read --mix %s: it has no weight; write CLASS=WEIGHT, such as honest=90,forged=10", strictyaml.Quote(text))
		}
		w, err := readWeight("mix", text, weight)
		if err != nil {
			return err
		}
		mix[attack.Class(class)] = w
	}
	if len(mix) == 0 {
		mix = attack.Mix{attack.Honest: 1}
	}
	for i := range a.plan.Stages {
		a.plan.Stages[i].Mix = mix
	}
	return nil
}

// conditions are what must hold, and what ends the load.
func (a *Attack) conditions(_ Settings, o AttackSettings) (err error) {
	if a.thresholds, err = a.readThresholds("threshold", o.Thresholds); err != nil {
		return err
	}
	for _, text := range a.defaultThresholds(a.thresholds) {
		t, err := threshold.Parse(text)
		if err != nil {
			return err
		}
		a.thresholds = append(a.thresholds, t)
	}
	a.abortOn, err = a.readThresholds("abort-on", o.AbortOn)
	return err
}

// defaultThresholds demand that the load is served, and each class answered as it must
// be, and acted on as the probe can tell. Of what is oversized, or has been seen before, a
// status alone says nothing. Whatever the user demands of the same figures comes in their
// place.
func (a *Attack) defaultThresholds(given []*threshold.Threshold) (texts []string) {
	mix := a.plan.Stages[0].Mix
	asks := func(of ...string) bool {
		return slices.ContainsFunc(given, func(t *threshold.Threshold) bool {
			return slices.ContainsFunc(t.Names(), func(n threshold.Name) bool {
				return slices.Contains(of, strings.TrimPrefix(n.Text, "total."))
			})
		})
	}
	demand := func(text string, of ...string) {
		if figure, _, _ := strings.Cut(text, " "); !asks(append([]string{figure}, of...)...) {
			texts = append(texts, text)
		}
	}
	var served []string
	for _, of := range []string{"", "honest."} {
		for _, figure := range []string{"errors.rate", "errors", "accepted", "unavailable", "other"} {
			served = append(served, of+figure)
		}
	}
	demand("errors.rate < 1%", served...)
	for _, c := range threshold.Classes {
		switch {
		case mix[attack.Class(c.Name)] <= 0:
		case c.Refused():
			demand(c.Name+".accepted == 0", c.Name+".refused", "accepted")
			demand(c.Name+".refused >= 99%", c.Name+".accepted", "refused")
		case c.Name == string(attack.Honest):
			demand("honest.accepted >= 99%", served...)
			demand("honest.refused == 0", "refused")
		}
	}
	if a.subject.Probe == nil {
		return texts
	}
	demand("effects.lost == 0", "honest.effects.lost", "duplicate.effects.lost", "replayed.effects.lost", "oversized.effects.lost")
	demand("effects.repeated == 0", "honest.effects.repeated", "duplicate.effects.repeated", "replayed.effects.repeated", "oversized.effects.repeated")
	for _, c := range threshold.Classes {
		if c.Refused() && mix[attack.Class(c.Name)] > 0 && a.subject.Probe.Keyed() {
			demand(c.Name + ".effects.taken == 0")
		}
	}
	return texts
}

// mostThresholds is how many conditions there may be of a kind.
const mostThresholds = 50

func (a *Attack) readThresholds(flag string, texts []string) (all []*threshold.Threshold, err error) {
	if len(texts) > mostThresholds {
		return nil, fmt.Errorf("read --%s: there are %d; at most %d are allowed", flag, len(texts), mostThresholds)
	}
	for _, text := range texts {
		t, err := threshold.Parse(text)
		if err != nil {
			return nil, pointed(flag, text, err)
		}
		for _, name := range t.Names() {
			if why := a.unseen(flag, name); why != "" {
				return nil, fmt.Errorf("read --%s %s: column %d: %s", flag, strictyaml.Quote(text), name.Column, why)
			}
			if name.Class != "" && a.plan.Stages[0].Mix[attack.Class(name.Class)] <= 0 {
				return nil, fmt.Errorf("read --%s %s: column %d: it asks for deliveries that are %s, and none are sent; add %s to --mix", flag, strictyaml.Quote(text), name.Column, name.Class, name.Class)
			}
		}
		all = append(all, t)
	}
	return all, nil
}

// unseen says why the effects that a condition asks for cannot be seen; empty where they
// can, or it asks for none.
func (a *Attack) unseen(flag string, name threshold.Name) string {
	switch {
	case !strings.Contains(name.Text, "effects."):
		return ""
	case a.subject.Probe == nil:
		return "it asks for effects, and they cannot be seen without a probe; give --probe-url, --probe-exec or --probe-file"
	case flag == "abort-on":
		return "it asks for effects, which are looked up when the load is over; make it a --threshold"
	case !a.subject.Probe.Keyed() && strings.HasSuffix(name.Text, ".taken"):
		return "it asks for effects of deliveries that must be refused, and the probe cannot tell deliveries apart; have it count by {token}"
	}
	return ""
}

// pointed shows where a condition is wrong.
func pointed(flag, text string, err error) error {
	var wrong *threshold.Error
	if !errors.As(err, &wrong) {
		return fmt.Errorf("read --%s: %w", flag, err)
	}
	return fmt.Errorf("read --%s: %w", flag, misread{text, wrong})
}

// misread is a condition with what is wrong with it below the place.
type misread struct {
	text  string
	wrong *threshold.Error
}

func (m misread) Error() string {
	said := fmt.Sprintf("column %d: %s\n  %s\n  %s^", m.wrong.Column, m.wrong.Message, reports.Printable([]byte(m.text), threshold.MaxLength), strings.Repeat(" ", max(m.wrong.Column-1, 0)))
	if m.wrong.Hint != "" {
		said += "\n  " + m.wrong.Hint
	}
	return said
}

// Bounds of a search, unless it is told otherwise.
const (
	defaultWithin  = 2 * time.Minute
	trialsInSearch = 24
	longestTrial   = 10 * time.Second
)

// capacity is how the highest rate is looked for.
func (a *Attack) capacity(s Settings, o AttackSettings) (err error) {
	if !o.FindCapacity {
		for _, given := range []struct {
			flag string
			is   bool
		}{{"max-rate", o.MaxRate != ""}, {"within", o.Within != 0}} {
			if given.is {
				return fmt.Errorf("use --%s: it bounds a search for the capacity; give --find-capacity as well, or leave it out", given.flag)
			}
		}
		return nil
	}
	if !slices.ContainsFunc(a.thresholds, func(t *threshold.Threshold) bool { return !t.Timeless() }) {
		return errors.New("use --find-capacity: no threshold bounds a time, and whatever may wait long enough is served at any rate; give one such as --threshold 'honest.latency.p99 <= 250ms'")
	}
	search := load.Search{From: a.rate, Most: attack.MaxRate, Within: cmp.Or(o.Within, defaultWithin)}
	if o.MaxRate != "" {
		if search.Most, err = readRate("max-rate", o.MaxRate); err != nil {
			return err
		}
	}
	if search.Most < search.From {
		return fmt.Errorf("use --max-rate %s: the search begins with %g/s, which is more; lower --rate", o.MaxRate, search.From)
	}
	if search.Within > attack.MaxTime {
		return fmt.Errorf("use --within %s: a load lasts at most %s", search.Within, attack.MaxTime)
	}
	search.Each = cmp.Or(s.Duration, max(min(search.Within/trialsInSearch, longestTrial), time.Second).Truncate(time.Second/10))
	search.Rest = min(search.Each/8, time.Second)
	if search.Within < search.Each {
		return fmt.Errorf("use --within %s: a single trial lasts %s; allow for more, or make trials shorter (--duration)", search.Within, search.Each)
	}
	a.search = &search
	return nil
}

// largest is the plan with all that a search may try.
func (a *Attack) largest() attack.Plan {
	if a.search == nil {
		return a.plan
	}
	p := a.plan
	p.Stages = []attack.Stage{attack.Constant(a.search.Most, min(a.search.Within, attack.MaxTime))}
	return p
}

// Unready says that the load was not sent, as nothing could have been concluded from it.
type Unready = load.Unready

// Screen is where a load is shown as it goes. Its functions may be nil.
type Screen struct {
	Show func(reports.Pulse)
	Say  func(string) // a line
}

func (s Screen) say(format string, args ...any) {
	if s.Say != nil {
		s.Say(fmt.Sprintf(format, args...))
	}
}

// Run sends the load, between deliveries by themselves, and returns what was measured.
// Results that are wanted hit by hit go to stdout or to their files meanwhile.
func (a *Attack) Run(ctx context.Context, stdout io.Writer, screen Screen) (m reports.Measurement, err error) {
	w := load.NewWitness(a.subject, a.seed)
	var unready Unready
	if err := w.Begin(ctx); errors.As(err, &unready) {
		unready.Reason = a.redactor.Clean(unready.Reason)
		return m, unready
	} else if err != nil {
		return m, err
	}
	warnings, err := a.largest().Shortages(a.subject.Target, w.Closes())
	if err != nil {
		return m, err
	}
	for _, short := range warnings {
		screen.say("note: %s", short)
	}
	results, err := openResults(a.reports, stdout, a.redactor)
	if err != nil {
		return m, err
	}
	if a.search != nil {
		m, err = a.findCapacity(ctx, w, results, screen)
	} else {
		m, err = a.send(ctx, w, a.plan, a.options(results, screen, load.AbortOn(a.abortOn)), screen)
	}
	if err != nil {
		return m, errors.Join(err, results.discard())
	}
	err = w.End(ctx, &m)
	if ctx.Err() != nil {
		m.State = reports.Interrupted
	}
	m.Tool, m.Subject = Tool(), reports.Subject{Role: receiverRole, Target: a.subject.URL.String()}
	if a.subject.Probe != nil {
		m.Subject.Probe = a.subject.Probe.String()
	}
	m = *a.redactor.CleanMeasurement(&m)
	return m, errors.Join(err, results.close())
}

// send sends a plan, looks up its effects and holds the thresholds against both.
func (a *Attack) send(ctx context.Context, w *load.Witness, plan attack.Plan, o attack.Options, screen Screen) (reports.Measurement, error) {
	w.Watch(&o)
	m, err := attack.Run(ctx, a.subject.Target, plan, o)
	if err != nil {
		return m, err
	}
	if ctx.Err() == nil && a.subject.Probe != nil {
		screen.say("looking up effects")
		notes, err := w.Effects(ctx, &m)
		if err != nil && ctx.Err() == nil {
			notes = append(notes, "effects could not be looked up: "+err.Error())
		}
		m.Notes = append(m.Notes, notes...)
	}
	a.hold(&m)
	return m, nil
}

// hold holds the thresholds against what was measured.
func (a *Attack) hold(m *reports.Measurement) {
	m.Thresholds = nil
	for _, t := range a.thresholds {
		m.Thresholds = append(m.Thresholds, t.Of(m))
	}
}

func (a *Attack) options(results *resultFiles, screen Screen, abort func(attack.Snapshot) string) attack.Options {
	o := attack.Options{Abort: abort}
	if results.any() {
		o.Results = results.write
	}
	if screen.Show != nil {
		o.Watch = func(s attack.Snapshot) { screen.Show(pulseOf(s)) }
	}
	return o
}

func pulseOf(s attack.Snapshot) reports.Pulse {
	return reports.Pulse{
		At: s.At, Left: s.Left, Stage: s.Stage, Total: s.Total, Last: s.Last, Waiting: s.Waiting, Open: s.Open,
		Lag: func() float64 { return s.Measurement().Generator.Lag.P99 },
	}
}

// hopelessAfter is how often in a row a threshold must be seen broken before a trial is
// ended early.
const hopelessAfter = 3

// hopeless ends a trial in which a threshold was seen broken again and again.
func (a *Attack) hopeless() func(attack.Snapshot) string {
	broken := 0
	return load.TwiceASecond(func(s attack.Snapshot) string {
		m := s.Measurement()
		a.hold(&m)
		i := slices.IndexFunc(m.Thresholds, func(t reports.Threshold) bool { return !t.Holds && !t.Unmeasured })
		if i < 0 {
			broken = 0
			return ""
		}
		if broken++; broken < hopelessAfter {
			return ""
		}
		return fmt.Sprintf("%s (%s)", m.Thresholds[i].Text, m.Thresholds[i].Got)
	})
}

// findCapacity looks for the highest rate, and returns the measurement of the highest one
// at which the thresholds held.
func (a *Attack) findCapacity(ctx context.Context, w *load.Witness, results *resultFiles, screen Screen) (reports.Measurement, error) {
	trial := func(ctx context.Context, rate float64, d time.Duration) (load.Tried, error) {
		plan := a.plan
		stage := attack.Constant(rate, d)
		stage.Mix = a.plan.Stages[0].Mix
		plan.Stages = []attack.Stage{stage}
		m, err := a.send(ctx, w, plan, a.options(results, screen, a.hopeless()), Screen{})
		if err != nil {
			return load.Tried{}, err
		}
		sayTrial(screen, rate, m)
		tried := load.Tried{Measurement: m, Held: m.ExitCode() == reports.ExitPassed}
		for _, t := range m.Thresholds {
			if !t.Holds {
				tried.Broken = append(tried.Broken, t.Text)
			}
		}
		return tried, nil
	}
	found, m, err := load.FindCapacity(ctx, *a.search, trial)
	if err != nil && ctx.Err() == nil || m.Schema == "" {
		return m, err
	}
	m.Capacity = &found
	m.Notes = append(m.Notes, "the figures are those of the highest rate at which the thresholds held, or of the first trial where there was none: "+m.Plan)
	if ctx.Err() != nil {
		m.State = reports.Interrupted
	}
	return m, nil
}

// sayTrial tells of a trial that is over: a search takes minutes.
func sayTrial(screen Screen, rate float64, m reports.Measurement) {
	code, why := m.Outcome()
	if code == reports.ExitInterrupted {
		return
	}
	screen.say("tried %.0f/s: %s", rate, why)
}

// measurementReports reads --report. Some formats are written as the load goes, so that
// standard output has room for one.
func measurementReports(texts []string) ([]destination, error) {
	var names []string
	for _, f := range reports.MeasurementFormats {
		names = append(names, f.Name)
	}
	all, err := readDestinations(texts, names, "format of a load", "json=load.json")
	toStdout := 0
	for _, d := range all {
		if d.path == "-" {
			toStdout++
		}
	}
	if toStdout > 1 {
		return nil, errors.New("read --report: only one report can go to standard output")
	}
	return all, err
}

// WriteReports writes the reports of a measurement, but those that were written as it
// went. It tells whether any goes to standard output.
func (a *Attack) WriteReports(stdout io.Writer, m reports.Measurement) (toStdout bool, err error) {
	var outputs []output
	for _, d := range a.reports {
		o := output{path: d.path}
		if format := reports.MeasurementFormats[d.format].Write; format != nil {
			o.write = func(w io.Writer) error { return format(w, m) }
		}
		outputs = append(outputs, o)
	}
	return writeOutputs(stdout, outputs)
}

// resultFiles are those to which every hit is written while the load goes on. A file has
// its name once it is whole.
type resultFiles struct {
	files    []*resultFile
	redactor *reports.Redactor
	failed   error
	url      [2]string // as it came, and without secrets
}

type resultFile struct {
	path   string
	file   *os.File // nil where it is standard output
	device bool     // the file is what has the name, and no file to be given it
	buffer *bufio.Writer
	encode vegeta.Encoder
}

// open opens a file beside the one that is asked for, or the device itself: a rename would
// put a file in its place.
func (f *resultFile) open() (err error) {
	if info, missing := os.Stat(f.path); missing == nil && !info.Mode().IsRegular() {
		f.device = true
		f.file, err = os.OpenFile(f.path, os.O_WRONLY, 0)
		return err
	}
	f.file, err = os.CreateTemp(filepath.Dir(f.path), "."+filepath.Base(f.path)+".*")
	return err
}

func openResults(all []destination, stdout io.Writer, redactor *reports.Redactor) (*resultFiles, error) {
	r := &resultFiles{redactor: redactor}
	for _, one := range all {
		results := reports.MeasurementFormats[one.format].Results
		if results == nil {
			continue
		}
		f := &resultFile{path: one.path}
		out := stdout
		if one.path != "-" {
			if err := f.open(); err != nil {
				return nil, errors.Join(fmt.Errorf("write report %s: %w", one.path, err), r.discard())
			}
			out = f.file
		}
		f.buffer = bufio.NewWriterSize(out, 1<<16)
		f.encode = results(f.buffer)
		r.files = append(r.files, f)
	}
	return r, nil
}

func (r *resultFiles) any() bool { return len(r.files) > 0 }

// write writes one hit. What cannot be written is told when the load is over.
func (r *resultFiles) write(result *vegeta.Result) {
	if r.failed != nil {
		return
	}
	if result.URL != r.url[0] {
		r.url = [2]string{result.URL, r.redactor.Clean(result.URL)}
	}
	kept := reports.InertResult(*result)
	kept.URL = r.url[1]
	if kept.Error == "" && kept.Code >= 400 { // as vegeta's own results have it, which it plots by
		kept.Error = strconv.Itoa(int(kept.Code)) + " " + http.StatusText(int(kept.Code))
	}
	for _, f := range r.files {
		if err := f.encode.Encode(&kept); err != nil {
			r.failed = fmt.Errorf("write report %s: %w", f.path, err)
		}
	}
}

// close gives the files their names.
func (r *resultFiles) close() error {
	err := r.failed
	for _, f := range r.files {
		if broken := f.close(err == nil); broken != nil {
			err = errors.Join(err, fmt.Errorf("write report %s: %w", f.path, broken))
		}
	}
	return err
}

func (f *resultFile) close(whole bool) error {
	err := f.buffer.Flush()
	switch {
	case f.file == nil:
		return err
	case f.device:
		return errors.Join(err, f.file.Close())
	}
	err = errors.Join(err, f.file.Sync(), f.file.Close())
	if err != nil || !whole {
		return errors.Join(err, os.Remove(f.file.Name()))
	}
	if err := os.Chmod(f.file.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(f.file.Name(), f.path)
}

// discard removes what was begun.
func (r *resultFiles) discard() error {
	var err error
	for _, f := range r.files {
		switch {
		case f.file == nil:
		case f.device:
			err = errors.Join(err, f.file.Close())
		default:
			err = errors.Join(err, f.file.Close(), os.Remove(f.file.Name()))
		}
	}
	return err
}
