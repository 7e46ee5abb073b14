package suites

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/reference"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites/receiver"
)

// Quick are limits for receivers of our own on loopback: tests, the demonstration
// and the matrix.
var Quick = receiver.Limits{Answer: 2 * time.Second, Slow: 2 * time.Second, Settle: 300 * time.Millisecond, Quiet: 5 * time.Millisecond}

// QuickLoad is a load that the reference receiver bears on a small machine, beside the
// generator and others of its kind, and that is over soon.
var QuickLoad = Declared{Rate: 200, Time: 750 * time.Millisecond, maxLag: 20 * time.Millisecond}

// QuickSenderLoad is the same for the reference sender, which makes one attempt at an
// endpoint at a time.
var QuickSenderLoad = Declared{Rate: 60, Time: time.Second, Concurrency: 1, maxLag: 50 * time.Millisecond}

// Matrix is the proof of the catalogue: what became of the correct receiver and
// sender, and of each defect.
type Matrix struct {
	Rows []Row // by role: the correct one under every profile, then the defects
}

// Row is what the catalogue found in one subject.
type Row struct {
	Role    string
	Defect  reference.Defect // without a name for the correct subject
	Profile string
	Secure  bool // a receiver that is reached by mutual TLS
	Load    bool // judged under load

	Caught []string         // cases that name the defect and found it
	Missed []reports.Result // cases that name it, apply, and did not
	Extra  []reports.Result // cases that do not name it and yet did not pass
	Exit   int              // exit code of the run
	Again  bool             // judged a second time, with little beside it
}

// Killed tells whether the defect was caught by every case that names it. A narrow
// one may go against recommendations only, and leave the run green; a broad one
// must not.
func (r Row) Killed() bool {
	return len(r.Caught) > 0 && len(r.Missed) == 0 && (r.Exit != reports.ExitPassed || !r.Defect.Broad)
}

// misattributed counts the cases that noticed what they should not care for. A
// broad defect is everybody's concern.
func (r Row) misattributed() int {
	if r.Defect.Broad {
		return 0
	}
	return len(r.Extra)
}

func (r Row) correct() bool { return r.Defect.Name == "" }

// sound tells whether the subject was judged as it should be.
func (r Row) sound() bool {
	return r.misattributed() == 0 && (r.correct() && r.Exit == reports.ExitPassed || !r.correct() && r.Killed())
}

// matrixParallel is how many cases of a subject are judged at the same time: judging
// a receiver takes work, and judging a sender takes patience.
var matrixParallel = map[string]int{receiverRole: 16, senderRole: 256}

// pace is how a part of the matrix is judged.
type pace struct {
	workers map[string]int // subjects of a role at the same time
	gate    *gate          // for the cases of all senders together
	breadth breadth
}

// breadth is how many of the cases that do not name a defect are tried on it.
type breadth int

const (
	some breadth = iota // one in briefly
	most                // of cases that are like each other one, where they take long
	all                 // every one that could notice it
)

// briefly says how many of the cases are left out for one that is tried.
const briefly = 8

// gate lets so many cases through at the same time, and one only every so often:
// hundreds that begin at once are all late. The nil gate is open.
type gate struct {
	places chan struct{}
	every  time.Duration
	mu     sync.Mutex
	next   time.Time
}

func newGate(places int, every time.Duration) *gate {
	return &gate{places: make(chan struct{}, places), every: every}
}

func (g *gate) enter() {
	if g == nil {
		return
	}
	g.places <- struct{}{}
	g.mu.Lock()
	defer g.mu.Unlock()
	time.Sleep(time.Until(g.next))
	g.next = time.Now().Add(g.every)
}

func (g *gate) leave() {
	if g != nil {
		<-g.places
	}
}

// MatrixScope says how much of the matrix is judged.
type MatrixScope struct {
	// Names are of the defects to judge, by all cases that could notice them. Where there
	// are none it is all defects and the correct subjects.
	Names []string
	// Profiles are those under which the correct subjects alone are judged, over plain
	// HTTP and without load. Where there are none, so are all subjects: the correct ones
	// under all profiles or, where Brief is set, a sample of them.
	Profiles []string
	Role     string // of these subjects, receiver or sender; both where it is empty
	// Brief tries on each defect the cases that name it, and one in eight of the others:
	// another eighth on the next defect.
	Brief bool
}

func (s MatrixScope) breadth() breadth {
	switch {
	case len(s.Names) > 0:
		return all
	case s.Brief:
		return some
	}
	return most
}

// RunMatrix judges the correct receiver and the correct sender under every profile,
// and every defect under each profile that it shows under. Subjects are
// judged several at a time; those that were not judged as they should be are judged
// once more, with little beside them, since a busy machine misses deadlines: what is
// said of them is what was found then. Those under load come last, a few at a time. Watch,
// which may be nil, is told of every subject.
func RunMatrix(ctx context.Context, scope MatrixScope, watch func(done, total int)) (Matrix, error) {
	cases, err := Select(nil)
	if err != nil {
		return Matrix{}, err
	}
	rows, err := scope.rows()
	if err != nil {
		return Matrix{}, err
	}
	if watch == nil {
		watch = func(int, int) {}
	}
	every := make([]int, len(rows))
	for i := range rows {
		every[i] = i
	}
	brisk := pace{map[string]int{receiverRole: 24, senderRole: 24}, newGate(700, 2*time.Millisecond), scope.breadth()}
	if err := judgeRows(ctx, rows, every, cases, brisk, watch); err != nil {
		return Matrix{}, err
	}
	again := slices.DeleteFunc(slices.Clone(every), func(i int) bool { return rows[i].Load || rows[i].sound() })
	for _, i := range again {
		rows[i] = rows[i].afresh()
	}
	quiet := pace{map[string]int{receiverRole: 2, senderRole: 4}, newGate(200, 5*time.Millisecond), brisk.breadth}
	err = judgeRows(ctx, rows, again, cases, quiet, func(int, int) {})
	return Matrix{rows}, errors.Join(err, ctx.Err())
}

// afresh is the row before it is judged a second time.
func (r Row) afresh() Row {
	return Row{Role: r.Role, Defect: r.Defect, Profile: r.Profile, Secure: r.Secure, Again: true}
}

// patience is how often a case of load is tried that could not be judged: on a busy
// machine no load is sent as it should be. One that was judged, and not as it should be,
// is tried once more, as those of the other suites are.
const patience = 6

// judgeLoad judges a row that loads its subject, and has the machine to itself.
func (r *Row) judgeLoad(ctx context.Context, cases []scenarios.Case, p pace) error {
	cases = r.concern(cases, p.breadth)
	run, err := r.run(ctx, cases, p)
	wrong := map[string]int{} // how often a case was judged, and not as it should be
	for try := 1; err == nil && try < patience && ctx.Err() == nil; try++ {
		var those []int
		for i, result := range run.Results {
			if r.expected(result, cases[i]) {
				continue
			}
			if result.Verdict != reports.Inconclusive {
				wrong[result.ID]++
			}
			if wrong[result.ID] < 2 {
				those = append(those, i)
			}
		}
		if len(those) == 0 {
			break
		}
		r.Again = true
		err = r.runAgain(ctx, those, cases, run.Results, p)
	}
	if err == nil && len(cases) > 0 {
		r.read(run, cases)
	}
	return err
}

// runAgain runs those cases again, and puts what is found in the place of their results.
func (r *Row) runAgain(ctx context.Context, those []int, cases []scenarios.Case, results []reports.Result, p pace) error {
	var again []scenarios.Case
	for _, i := range those {
		again = append(again, cases[i])
	}
	run, err := r.run(ctx, again, p)
	if err != nil {
		return err
	}
	for n, i := range those {
		results[i] = run.Results[n]
	}
	return nil
}

// expected tells whether a case found what it should.
func (r *Row) expected(result reports.Result, c scenarios.Case) bool {
	if slices.Contains(c.Kills, r.Defect.Name) {
		return result.Verdict == reports.Fail || result.Verdict == reports.Warn
	}
	return result.Verdict == reports.Pass || result.Verdict == reports.Skip
}

// judgeRows judges those rows, several at a time, and one role after the other:
// judging receivers takes all processors, and senders are then late.
func judgeRows(ctx context.Context, rows []Row, those []int, cases []scenarios.Case, p pace, watch func(done, total int)) error {
	errs := make([]error, len(rows))
	var mu sync.Mutex
	done := 0
	judge := func(i int) {
		one := (*Row).judge
		if rows[i].Load {
			one = (*Row).judgeLoad
		}
		errs[i] = one(&rows[i], ctx, cases, p)
		mu.Lock()
		defer mu.Unlock()
		done++
		watch(done, len(rows))
	}
	several := func(places int, is func(Row) bool) {
		var running sync.WaitGroup
		free := make(chan struct{}, places)
		for _, i := range those {
			if !is(rows[i]) {
				continue
			}
			free <- struct{}{}
			running.Go(func() {
				defer func() { <-free }()
				judge(i)
			})
		}
		running.Wait()
	}
	for _, role := range roles {
		several(p.workers[role], func(r Row) bool { return r.Role == role && !r.Load })
	}
	// Subjects under load mostly wait. What is measured to the microsecond does not.
	several(loadedAtOnce, func(r Row) bool { return r.Load && !r.isClose() })
	several(1, Row.isClose)
	for _, i := range those {
		if rows[i].Load && !rows[i].sound() && errs[i] == nil {
			rows[i] = rows[i].afresh()
			errs[i] = rows[i].judgeLoad(ctx, cases, p)
		}
	}
	return errors.Join(errs...)
}

// loadedAtOnce is how many subjects are under load at the same time.
const loadedAtOnce = 4

// isClose tells of the rows with the cases that compare times closely.
func (r Row) isClose() bool {
	return r.Load && r.Role == receiverRole && (r.correct() || isInTime(r.Defect))
}

// rows are the subjects to judge.
func (s MatrixScope) rows() ([]Row, error) {
	if len(s.Profiles) == 0 {
		under := profiles.Names()
		if s.Brief {
			under = profiles.Sample()
		}
		return matrixRows(s.Names, under)
	}
	var rows []Row
	for _, role := range roles {
		if s.Role != "" && role != s.Role {
			continue
		}
		for _, name := range s.Profiles {
			if _, err := profiles.Get(name); err != nil {
				return nil, err
			}
		}
		for _, name := range proven(role, s.Profiles) {
			rows = append(rows, Row{Role: role, Profile: name})
		}
	}
	return rows, nil
}

// matrixRows are the subjects to judge, in the order of their roles; the correct ones
// are judged under those profiles.
func matrixRows(names, under []string) ([]Row, error) {
	var defects []reference.Defect
	for _, name := range names {
		d, err := reference.Find(name)
		if err != nil {
			return nil, err
		}
		defects = append(defects, d)
	}
	if len(names) == 0 {
		defects = reference.Defects
	}
	var rows []Row
	for _, role := range roles {
		if len(names) == 0 {
			for _, p := range proven(role, under) {
				rows = append(rows, Row{Role: role, Profile: p})
			}
		}
		if len(names) == 0 && role == receiverRole {
			rows = append(rows, Row{Role: role, Profile: secureProfile, Secure: true})
		}
		if len(names) == 0 {
			rows = append(rows, Row{Role: role, Profile: secureProfile, Load: true})
		}
		for _, d := range defects {
			if d.Role != role {
				continue
			}
			for _, p := range ProfilesOf(d) {
				rows = append(rows, Row{Role: role, Defect: d, Profile: p, Secure: isSecure(d), Load: isUnderLoad(d) || isInTime(d)})
			}
		}
	}
	return rows, nil
}

// secureProfile is the one under which the whole catalogue is tried over TLS, and under
// load.
const secureProfile = "standard-webhooks"

// isSecure tells whether a defect shows in TLS alone. A sender has endpoints with TLS
// beside others; a receiver is reached by it or not.
func isSecure(d reference.Defect) bool {
	return d.Role == receiverRole && belowHTTP(d.Area)
}

// isUnderLoad tells whether a defect shows under load alone.
func isUnderLoad(d reference.Defect) bool { return d.Area == loadShelf }

// isInTime tells whether a defect shows in microseconds alone.
func isInTime(d reference.Defect) bool { return d.Area == "timing" }

// alone tells of cases that nothing can be concluded of while other subjects are judged.
func alone(c scenarios.Case) bool { return isLoad(c) || c.Measure == "comparison" }

// belowHTTP tells of the areas of defects, and the topics of suites, that are about TLS.
func belowHTTP(area string) bool { return area == "tls" || area == "mtls" }

func topicOf(c scenarios.Case) string { return strings.TrimPrefix(c.Suite, roleOf(c)+"/") }

// proven are those of the shipped profiles under which a role can be wrong: a receiver
// must be able to tell forgeries or to answer a handshake, and a sender to sign. A secret in the query is a part
// of the URL that a sender was told.
func proven(role string, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		p, err := profiles.Get(name)
		if role == receiverRole {
			return err == nil && !p.Authentic() && p.Challenge == nil
		}
		return err == nil && (!p.Signed() || p.Technique() == profile.SecretInQuery)
	})
}

// ProfilesOf are the profiles under which a defect shows.
func ProfilesOf(d reference.Defect) []string {
	if len(d.Profiles) == 0 {
		return []string{"standard-webhooks"}
	}
	return d.Profiles
}

// concern leaves the cases that have something to say about the row's subject: those
// of its role and, of a broad defect, only those that name it. A defect is spared
// the cases that do not name it and are laborious, load the subject or measure time
// and, unless all are to be tried, are like another one: three hundred subjects
// would take minutes of them.
func (r *Row) concern(cases []scenarios.Case, b breadth) []scenarios.Case {
	alike := map[string][]string{} // names of the cases that claim the same
	for _, c := range cases {
		alike[claim(c)] = append(alike[claim(c)], c.Name())
	}
	return slices.DeleteFunc(slices.Clone(cases), func(c scenarios.Case) bool {
		if roleOf(c) != r.Role || alone(c) != r.Load {
			return true
		}
		if r.correct() || slices.Contains(c.Kills, r.Defect.Name) {
			return false
		}
		like := alike[claim(c)]
		spoken := b == all || r.Role == receiverRole || like[lot(r.Defect.Name)%uint32(len(like))] == c.Name()
		chosen := b != some || lot(r.Defect.Name, c.Name())%briefly == 0
		// What is wrong below HTTP shows there, or everywhere; and what is wrong above
		// does not show below.
		elsewhere := r.Load || b != all && belowHTTP(r.Defect.Area) != belowHTTP(topicOf(c))
		return elsewhere || r.Defect.Broad || c.Serial || laborious(c) || !spoken || !chosen
	})
}

// lot draws a number that is always the same for the same texts.
func lot(texts ...string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(strings.Join(texts, " ")))
	return h.Sum32()
}

// claim is what a case has in common with those that catch the same defects: of
// these one speaks for all before a defect that they do not name, and another one
// before the next defect. A case that catches none is like no other.
func claim(c scenarios.Case) string {
	if len(c.Kills) == 0 {
		return c.Name()
	}
	return c.Suite + " " + strings.Join(c.Kills, " ")
}

// laborious tells whether a case sends very many deliveries, or very large ones.
func laborious(c scenarios.Case) bool {
	return slices.ContainsFunc(c.Send, func(s scenarios.Step) bool { return s.Times >= 1000 || s.Size > 4<<20 })
}

// judge runs the cases against the row's subject.
func (r *Row) judge(ctx context.Context, cases []scenarios.Case, p pace) error {
	if cases = r.concern(cases, p.breadth); len(cases) == 0 {
		return nil // the report says that nothing names the defect
	}
	run, err := r.run(ctx, cases, p)
	if err == nil {
		r.read(run, cases)
	}
	return err
}

// run runs cases against a subject that is made for them.
func (r *Row) run(ctx context.Context, cases []scenarios.Case, p pace) (run reports.Run, err error) {
	if len(cases) == 0 {
		return run, nil
	}
	subject, end, err := exemplar(r.Role, r.Profile, r.Defect.Name, r.Secure, 1)
	if err != nil {
		return run, err
	}
	defer func() { err = cmp.Or(err, end()) }()
	c := Config{Subject: subject, Cases: cases, Seed: 1, Parallel: matrixParallel[r.Role], Load: QuickLoad, verdictsOnly: true, ample: true}
	if r.Role == senderRole {
		c.gate, c.Load = p.gate, QuickSenderLoad
	}
	session, err := Start(ctx, c)
	if err != nil {
		return run, err
	}
	return session.Wait()
}

// exemplar starts the reference of a role under a profile, with one defect or none;
// secure has a receiver be reached by mutual TLS.
func exemplar(role, under, defect string, secure bool, seed uint64) (subject Subject, end func() error, err error) {
	p, err := profiles.Get(under)
	if err != nil {
		return Subject{}, nil, err
	}
	if role == senderRole {
		s, err := NewSenderSpecimen(p, defect, seed, QuickSender)
		if err != nil {
			return Subject{}, nil, err
		}
		return Sender(s.Subject), s.Close, nil
	}
	start := NewSpecimen
	if secure {
		start = NewSecureSpecimen
	}
	s, err := start(p, defect, seed, Quick)
	if err != nil {
		return Subject{}, nil, err
	}
	return Receiver(s.Subject), s.Close, nil
}

// read sorts the results by what the cases claim.
func (r *Row) read(run reports.Run, cases []scenarios.Case) {
	r.Exit = run.ExitCode()
	for i, result := range run.Results {
		caught := result.Verdict == reports.Fail || result.Verdict == reports.Warn
		switch names := slices.Contains(cases[i].Kills, r.Defect.Name); {
		case result.Verdict == reports.Skip:
		case names && caught:
			r.Caught = append(r.Caught, result.ID)
		case names && !(r.Defect.Broad && result.Verdict == reports.Inconclusive):
			r.Missed = append(r.Missed, result)
		case result.Verdict != reports.Pass && !collateral(result):
			r.Extra = append(r.Extra, result)
		}
	}
}

// collateral tells of cases that could not be judged since the defect concerns
// their honest twin: they noticed nothing, and claimed nothing.
func collateral(result reports.Result) bool {
	return result.Verdict == reports.Inconclusive && strings.HasPrefix(result.Reason, "the honest delivery before it was not accepted")
}
