package suites

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/reference"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites/receiver"
)

// Quick are limits for receivers of our own on loopback: tests, the demonstration
// and the matrix.
var Quick = receiver.Limits{Answer: 2 * time.Second, Slow: 2 * time.Second, Settle: 300 * time.Millisecond, Quiet: 5 * time.Millisecond}

// Matrix is the proof of the catalogue: what became of the correct receiver and of
// each defect.
type Matrix struct {
	Rows []Row // the correct receiver under every profile, then the defects
}

// Row is what the catalogue found in one receiver.
type Row struct {
	Defect  reference.Defect // without a name for the correct receiver
	Profile string

	Caught []string         // cases that name the defect and found it
	Missed []reports.Result // cases that name it, apply, and did not
	Extra  []reports.Result // cases that do not name it and yet did not pass
	Exit   int              // exit code of the run
	Again  bool             // judged a second time, alone
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

// sound tells whether the receiver was judged as it should be.
func (r Row) sound() bool {
	return r.misattributed() == 0 && (r.correct() && r.Exit == reports.ExitPassed || !r.correct() && r.Killed())
}

// matrixWorkers is how many receivers are judged at the same time.
const matrixWorkers = 24

// RunMatrix judges the correct receiver under every profile, and every defect
// under each profile that it shows under; or only the named defects, where there
// are names. Receivers are judged several at a time; those that were not judged as
// they should be are judged once more, alone, since a busy machine misses
// deadlines: what is said of them is what was found then. Watch, which may be nil,
// is told of every receiver.
func RunMatrix(ctx context.Context, names []string, watch func(done, total int)) (Matrix, error) {
	cases, err := Select(nil)
	if err != nil {
		return Matrix{}, err
	}
	rows, err := matrixRows(names)
	if err != nil {
		return Matrix{}, err
	}
	if watch == nil {
		watch = func(int, int) {}
	}
	if err := judgeRows(ctx, rows, cases, watch); err != nil {
		return Matrix{}, err
	}
	for i, r := range rows {
		if !r.sound() {
			rows[i] = Row{Defect: r.Defect, Profile: r.Profile, Again: true}
			if err := rows[i].judge(ctx, cases); err != nil {
				return Matrix{}, err
			}
		}
	}
	return Matrix{rows}, ctx.Err()
}

// judgeRows judges all rows, several at a time.
func judgeRows(ctx context.Context, rows []Row, cases []scenarios.Case, watch func(done, total int)) error {
	errs := make([]error, len(rows))
	var mu sync.Mutex
	done := 0
	var running sync.WaitGroup
	places := make(chan struct{}, matrixWorkers)
	for i := range rows {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			errs[i] = rows[i].judge(ctx, cases)
			mu.Lock()
			defer mu.Unlock()
			done++
			watch(done, len(rows))
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// matrixRows are the receivers to judge.
func matrixRows(names []string) ([]Row, error) {
	var rows []Row
	if len(names) == 0 {
		for _, p := range profiles.Names() {
			rows = append(rows, Row{Profile: p})
		}
		for _, d := range reference.Defects {
			names = append(names, d.Name)
		}
	}
	for _, name := range names {
		d, err := reference.Find(name)
		if err != nil {
			return nil, err
		}
		for _, p := range ProfilesOf(d) {
			rows = append(rows, Row{Defect: d, Profile: p})
		}
	}
	return rows, nil
}

// ProfilesOf are the profiles under which a defect shows.
func ProfilesOf(d reference.Defect) []string {
	if len(d.Profiles) == 0 {
		return []string{"standard-webhooks"}
	}
	return d.Profiles
}

// concern leaves the cases that have something to say about the row's receiver. Of
// a broad defect only those that name it are of interest, and the few that are
// laborious are spared where they do not name it.
func (r *Row) concern(cases []scenarios.Case) []scenarios.Case {
	return slices.DeleteFunc(slices.Clone(cases), func(c scenarios.Case) bool {
		names := slices.Contains(c.Kills, r.Defect.Name)
		return !r.correct() && !names && (r.Defect.Broad || laborious(c))
	})
}

// laborious tells whether a case sends very many deliveries, or very large ones.
func laborious(c scenarios.Case) bool {
	return slices.ContainsFunc(c.Send, func(s scenarios.Step) bool { return s.Times >= 1000 || s.Size > 4<<20 })
}

// judge runs the cases against the row's receiver.
func (r *Row) judge(ctx context.Context, cases []scenarios.Case) (err error) {
	if cases = r.concern(cases); len(cases) == 0 {
		return nil // the report says that nothing names the defect
	}
	p, err := profiles.Get(r.Profile)
	if err != nil {
		return err
	}
	specimen, err := NewSpecimen(p, r.Defect.Name, 1, Quick)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, specimen.Close()) }()
	cases = r.worthwhile(cases)
	session, err := Start(ctx, Config{Subject: specimen.Subject, Cases: cases, Seed: 1, Parallel: 16, verdictsOnly: true})
	if err != nil {
		return err
	}
	run, err := session.Wait()
	if err != nil {
		return err
	}
	r.read(run, cases)
	return nil
}

// worthwhile leaves out, for a defect, the cases that load the receiver or measure
// time and do not name it: two hundred receivers would take minutes of them.
func (r *Row) worthwhile(cases []scenarios.Case) []scenarios.Case {
	return slices.DeleteFunc(slices.Clone(cases), func(c scenarios.Case) bool {
		return !r.correct() && c.Serial && !slices.Contains(c.Kills, r.Defect.Name)
	})
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

// Sound tells whether every receiver was judged as it should be.
func (m Matrix) Sound() bool {
	return !slices.ContainsFunc(m.Rows, func(r Row) bool { return !r.sound() })
}

// Summary counts: mutants killed n/N, misattributed k.
func (m Matrix) Summary() string {
	killed := map[string]bool{}
	misattributed, refused, correct := 0, 0, 0
	for _, r := range m.Rows {
		misattributed += r.misattributed()
		if r.correct() {
			correct++
			if !r.sound() {
				refused++
			}
			continue
		}
		before, seen := killed[r.Defect.Name]
		killed[r.Defect.Name] = r.Killed() && (before || !seen)
	}
	n := 0
	for dead := range maps.Values(killed) {
		if dead {
			n++
		}
	}
	summary := fmt.Sprintf("mutants killed %d/%d, misattributed %d", n, len(killed), misattributed)
	if correct > 0 {
		summary += fmt.Sprintf("; correct receivers passed %d/%d", correct-refused, correct)
	}
	return summary
}

// Report lists every receiver with the cases that caught it and, where it was not
// judged as it should be, what is missing or too much, and why.
func (m Matrix) Report() string {
	var b strings.Builder
	for _, r := range m.Rows {
		name := cmp.Or(r.Defect.Name, "(correct)")
		mark := "✓"
		if !r.sound() {
			mark = "✗"
		}
		fmt.Fprintf(&b, "%s %s, %s: %s\n", mark, name, r.Profile, r.outcome())
		for _, missed := range r.Missed {
			fmt.Fprintf(&b, "    missed by %s: %s %s\n", missed.ID, missed.Verdict, missed.Reason)
		}
		if r.misattributed() > 0 {
			for _, extra := range r.Extra {
				fmt.Fprintf(&b, "    not named by %s: %s: %s\n", extra.ID, extra.Verdict, extra.Reason)
			}
		}
	}
	fmt.Fprintf(&b, "%s\n", m.Summary())
	return b.String()
}

func (r Row) outcome() string {
	switch {
	case r.correct() && r.sound():
		return "passes every case" + r.attempt()
	case len(r.Caught) == 0 && !r.correct():
		return fmt.Sprintf("caught by no case that names it (exit code %d)%s", r.Exit, r.attempt())
	case r.correct():
		return fmt.Sprintf("does not pass every case (exit code %d)%s", r.Exit, r.attempt())
	}
	short := make([]string, len(r.Caught))
	for i, id := range r.Caught {
		short[i] = strings.TrimPrefix(id, "receiver/")
	}
	return "caught by " + strings.Join(short, ", ") + r.attempt()
}

func (r Row) attempt() string {
	if r.Again {
		return " (on the second attempt)"
	}
	return ""
}

// MatrixMarkdown is the table of defects and of the cases that claim to catch
// them, as the catalogue has it.
func MatrixMarkdown() (string, error) {
	cases, err := Select(nil)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# The kill matrix\n\n"+
		"What the catalogue claims, and `go test ./suites` proves: the correct receiver passes or skips all %d cases\n"+
		"under every profile, and each of %d defects is caught by the cases in its row and, unless it is broad, by no\n"+
		"other. Made by `hookanvil matrix --markdown`.\n\n| defect | a receiver that | under | caught by |\n| --- | --- | --- | --- |\n",
		len(cases), len(reference.Defects))
	for _, d := range reference.Defects {
		var killers []string
		for _, c := range cases {
			if slices.Contains(c.Kills, d.Name) {
				killers = append(killers, strings.TrimPrefix(c.Name(), "receiver/"))
			}
		}
		name := d.Name
		if d.Broad {
			name += " (broad)"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, strings.ReplaceAll(d.Sentence, "|", `\|`), strings.Join(ProfilesOf(d), ", "), strings.Join(killers, ", "))
	}
	b.WriteString("\nCases that no defect can prove:\n\n")
	for _, c := range cases {
		if c.Unproven != "" {
			fmt.Fprintf(&b, "- %s: %s\n", strings.TrimPrefix(c.Name(), "receiver/"), c.Unproven)
		}
	}
	return b.String(), nil
}
