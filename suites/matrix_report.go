package suites

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/fixtures/reference"
	"github.com/hookanvil/hookanvil/scenarios"
)

// Sound tells whether every subject was judged as it should be.
func (m Matrix) Sound() bool {
	return !slices.ContainsFunc(m.Rows, func(r Row) bool { return !r.sound() })
}

// Summary counts, for each role: mutants killed n/N, misattributed k.
func (m Matrix) Summary() string {
	var all []string
	for _, role := range roles {
		if t := m.tally(role); t.rows > 0 {
			all = append(all, fmt.Sprintf("%s: %s", role, t))
		}
	}
	return strings.Join(all, "\n")
}

// tally is what the rows of one role amount to.
type tally struct {
	rows, correct, refused, misattributed int
	secure, load                          bool            // the correct one was tried over TLS too, and under load
	killed                                map[string]bool // by defect
}

func (m Matrix) tally(role string) tally {
	t := tally{killed: map[string]bool{}}
	for _, r := range m.Rows {
		if r.Role != role {
			continue
		}
		t.rows++
		t.misattributed += r.misattributed()
		if r.correct() {
			t.correct++
			t.secure, t.load = t.secure || r.Secure, t.load || r.Load
			if !r.sound() {
				t.refused++
			}
			continue
		}
		before, seen := t.killed[r.Defect.Name]
		t.killed[r.Defect.Name] = r.Killed() && (before || !seen)
	}
	return t
}

func (t tally) String() string {
	n := 0
	for _, dead := range t.killed {
		if dead {
			n++
		}
	}
	summary := fmt.Sprintf("mutants killed %d/%d, misattributed %d", n, len(t.killed), t.misattributed)
	if t.correct > 0 {
		summary += fmt.Sprintf("; correct in %d of %d runs, one a profile", t.correct-t.refused, t.correct)
		if t.secure {
			summary += ", one over mutual TLS"
		}
		if t.load {
			summary += " and one under load"
		}
	}
	return summary
}

// Report lists every subject with the cases that caught it and, where it was not
// judged as it should be, what is missing or too much, and why.
func (m Matrix) Report() string {
	var b strings.Builder
	for _, r := range m.Rows {
		name := cmp.Or(r.Defect.Name, "(correct "+r.Role+")")
		mark := "✓"
		if !r.sound() {
			mark = "✗"
		}
		under := r.Profile
		if r.Secure {
			under += " over mutual TLS"
		}
		if r.Load && !isInTime(r.Defect) {
			under += " under load"
		}
		fmt.Fprintf(&b, "%s %s, %s: %s\n", mark, name, under, r.outcome())
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
		short[i] = strings.TrimPrefix(id, r.Role+"/")
	}
	return "caught by " + strings.Join(short, ", ") + r.attempt()
}

func (r Row) attempt() string {
	if r.Again {
		return " (on the second attempt)"
	}
	return ""
}

// MatrixMarkdown is the tables of defects, one a role, and of the cases that claim
// to catch them, as the catalogue has it.
func MatrixMarkdown() (string, error) {
	cases, err := Select(nil)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("# The kill matrix\n\n" +
		"What the catalogue claims, and `go test ./suites` proves. Made by `hookanvil matrix --markdown`. Of the cases for\n" +
		"senders that catch the same defects, one speaks for all before a defect that they do not name, and another one before\n" +
		"the next; defects of TLS are tried by the cases about TLS, and others by the others. `hookanvil matrix NAME` tries every\n" +
		"case on one defect. What shows under load alone is tried under load, and by the\n" +
		"cases that name it.\n")
	for _, table := range []struct {
		title, role, under string
		load               bool
	}{
		{"a receiver", receiverRole, "under every profile", false},
		{"a sender", senderRole, "under every profile", false},
		{"a receiver under load", receiverRole, "under " + secureProfile, true},
		{"a sender under load", senderRole, "under " + secureProfile, true},
	} {
		of := slices.DeleteFunc(slices.Clone(cases), func(c scenarios.Case) bool { return roleOf(c) != table.role || isLoad(c) != table.load })
		defects := slices.DeleteFunc(slices.Clone(reference.Defects), func(d reference.Defect) bool { return d.Role != table.role || isUnderLoad(d) != table.load })
		only := " and, unless it is broad, by no other"
		if table.load {
			only = ""
		}
		fmt.Fprintf(&b, "\n## Defects of %[5]s\n\n"+
			"The correct %[1]s passes or skips all %[2]d cases %[4]s, and each of %[3]d defects is caught by the\n"+
			"cases in its row%[6]s.\n\n| defect | a %[1]s that | under | caught by |\n| --- | --- | --- | --- |\n",
			table.role, len(of), len(defects), table.under, table.title, only)
		markdownTable(&b, table.role, of, defects)
	}
	return b.String(), nil
}

func markdownTable(b *strings.Builder, role string, cases []scenarios.Case, defects []reference.Defect) {
	for _, d := range defects {
		var killers []string
		for _, c := range cases {
			if slices.Contains(c.Kills, d.Name) {
				killers = append(killers, strings.TrimPrefix(c.Name(), role+"/"))
			}
		}
		name := d.Name
		if d.Broad {
			name += " (broad)"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", name, strings.ReplaceAll(d.Sentence, "|", `\|`), strings.Join(ProfilesOf(d), ", "), strings.Join(killers, ", "))
	}
	b.WriteString("\nCases that no defect can prove:\n\n")
	for _, c := range cases {
		if c.Unproven != "" {
			fmt.Fprintf(b, "- %s: %s\n", strings.TrimPrefix(c.Name(), role+"/"), c.Unproven)
		}
	}
}
