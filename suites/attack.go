package suites

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
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
	"github.com/hookanvil/hookanvil/suites/receiver"
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
	"rate", "duration", "connections", "allow-remote-load", "seed", "report",
}

// Attack is a load that is ready to be sent.
type Attack struct {
	subject    receiver.Subject
	target     attack.Target
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
	a := &Attack{subject: subject, redactor: redactor, seed: s.SeedOrRandom(), target: underLoad(subject, declared).Target}
	a.target.HTTP2 = o.HTTP2
	a.rate = cmp.Or(declared.Rate, load.DefaultRate)
	for _, step := range []func(Settings, AttackSettings) error{a.shape, a.bodies, a.mix, a.conditions, a.capacity} {
		if err := step(s, o); err != nil {
			return nil, err
		}
	}
	if err := a.plan.Check(a.target); err != nil {
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
	rate, err := scenarios.ParseRate(text)
	if err == nil && rate.Share > 0 {
		err = errors.New("write hits per second, such as 200/s")
	}
	if err != nil {
		return 0, fmt.Errorf("read --%s %s: %w", flag, strictyaml.Quote(text), err)
	}
	return rate.PerSecond, nil
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
		return 0, fmt.Errorf("read --%s %s: %s is no weight; write a number from 0 to a million", flag, strictyaml.Quote(text), strictyaml.Quote(weight))
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
	texts := o.Thresholds
	if len(texts) == 0 {
		texts = defaultThresholds(a.plan.Stages[0].Mix)
	}
	if a.thresholds, err = a.readThresholds("threshold", texts); err != nil {
		return err
	}
	a.abortOn, err = a.readThresholds("abort-on", o.AbortOn)
	return err
}

// defaultThresholds demand that the load is served, and each class answered as it must
// be. Of what is oversized, or has been seen before, a status alone says nothing.
func defaultThresholds(mix attack.Mix) []string {
	texts := []string{"errors.rate < 1%"}
	for _, c := range threshold.Classes {
		switch {
		case mix[attack.Class(c.Name)] <= 0:
		case c.Refused():
			texts = append(texts, c.Name+".accepted == 0", c.Name+".refused >= 99%")
		case c.Name == string(attack.Honest):
			texts = append(texts, "honest.accepted >= 99%", "honest.refused == 0")
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
			if strings.Contains(name.Text, ".effects.") {
				return nil, fmt.Errorf("read --%s %s: effects are looked up by the suites of load; see hookanvil list load", flag, strictyaml.Quote(text))
			}
			if name.Class != "" && a.plan.Stages[0].Mix[attack.Class(name.Class)] <= 0 {
				return nil, fmt.Errorf("read --%s %s: column %d: it asks for deliveries that are %s, and none are sent; add %s to --mix", flag, strictyaml.Quote(text), name.Column, name.Class, name.Class)
			}
		}
		all = append(all, t)
	}
	return all, nil
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
	a.search = &search
	return nil
}

// preflight sends an honest delivery, which must be accepted before a load says anything.
// It returns why it was not.
func (a *Attack) preflight(ctx context.Context) (string, error) {
	subject := a.subject
	subject.Probe = nil
	result := receiver.NewJudge(subject, a.seed, nil).Run(ctx, honestDelivery)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case result.Verdict == reports.Pass:
		return "", nil
	}
	return a.redactor.Clean(result.Reason), nil
}

// honestDelivery is a case in which an honest delivery must be accepted. It is not looked
// up in the catalogue, all of which would have to be read.
var honestDelivery = scenarios.Case{
	Suite: "load", ID: "preflight", Level: scenarios.Must,
	Send: scenarios.Steps{{}}, Expect: scenarios.Expect{{Name: "accepted"}},
}

// Unready says that the load was not sent, as the target does not accept honest
// deliveries.
type Unready struct{ Reason string }

func (u Unready) Error() string {
	return fmt.Sprintf("put a load on the target: an honest delivery before it was not accepted, so that a load would measure nothing: %s; check --target, --profile and --secret, and see hookanvil send", u.Reason)
}

// Run sends the load and returns what was measured. Show, which may be nil, is shown it as
// it goes. Results that are wanted hit by hit go to stdout or to their files meanwhile.
func (a *Attack) Run(ctx context.Context, stdout io.Writer, show func(reports.Pulse)) (m reports.Measurement, err error) {
	why, err := a.preflight(ctx)
	if err != nil {
		return m, err
	}
	if why != "" {
		return m, Unready{why}
	}
	results, err := openResults(a.reports, stdout, a.redactor)
	if err != nil {
		return m, err
	}
	if a.search != nil {
		m, err = a.findCapacity(ctx, results, show)
	} else {
		m, err = attack.Run(ctx, a.target, a.plan, a.options(results, show, load.AbortOn(a.abortOn)))
	}
	if err != nil {
		return m, errors.Join(err, results.discard())
	}
	m.Tool, m.Subject = Tool(), reports.Subject{Role: receiverRole, Target: a.target.URL.String()}
	a.hold(&m)
	m = *a.redactor.CleanMeasurement(&m)
	return m, results.close()
}

// hold holds the thresholds against what was measured.
func (a *Attack) hold(m *reports.Measurement) {
	m.Thresholds = nil
	for _, t := range a.thresholds {
		m.Thresholds = append(m.Thresholds, t.Of(m))
	}
}

func (a *Attack) options(results *resultFiles, show func(reports.Pulse), abort func(attack.Snapshot) string) attack.Options {
	o := attack.Options{Abort: abort}
	if results.any() {
		o.Results = results.write
	}
	if show != nil {
		o.Watch = func(s attack.Snapshot) { show(pulseOf(s)) }
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
func (a *Attack) findCapacity(ctx context.Context, results *resultFiles, show func(reports.Pulse)) (reports.Measurement, error) {
	trial := func(ctx context.Context, rate float64, d time.Duration) (load.Tried, error) {
		plan := a.plan
		stage := attack.Constant(rate, d)
		stage.Mix = a.plan.Stages[0].Mix
		plan.Stages = []attack.Stage{stage}
		m, err := attack.Run(ctx, a.target, plan, a.options(results, show, a.hopeless()))
		if err != nil {
			return load.Tried{}, err
		}
		a.hold(&m)
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
	path      string
	temporary *os.File // nil where it is standard output, or a device
	buffer    *bufio.Writer
	encode    vegeta.Encoder
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
			var err error
			if f.temporary, err = os.CreateTemp(filepath.Dir(one.path), "."+filepath.Base(one.path)+".*"); err != nil {
				return nil, errors.Join(fmt.Errorf("write report %s: %w", one.path, err), r.discard())
			}
			out = f.temporary
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
	if f.temporary == nil {
		return err
	}
	err = errors.Join(err, f.temporary.Sync(), f.temporary.Close())
	if err != nil || !whole {
		return errors.Join(err, os.Remove(f.temporary.Name()))
	}
	if err := os.Chmod(f.temporary.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(f.temporary.Name(), f.path)
}

// discard removes what was begun.
func (r *resultFiles) discard() error {
	var err error
	for _, f := range r.files {
		if f.temporary != nil {
			err = errors.Join(err, f.temporary.Close(), os.Remove(f.temporary.Name()))
		}
	}
	return err
}
