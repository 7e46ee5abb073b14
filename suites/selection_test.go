package suites_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hookanvil/hookanvil/fixtures/reference"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites"
)

const own = `suite: receiver/mine
source: our own rules
cases:
  - id: one
    title: One delivery is accepted
    level: must
    unproven: it is the control of all others
    send: {}
    expect: accepted
  - id: two
    title: A forgery is rejected
    level: should
    unproven: a scenario of a test
    send: {mutate: {body: flip-bit}}
    expect: rejected
`

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSelect(t *testing.T) {
	mine := write(t, "mine.yaml", own)
	all := len(choose(t))
	senders, loads := len(choose(t, "sender")), len(choose(t, "load"))
	if all < 110 || senders < 80 || loads < 15 {
		t.Errorf("the catalogue has %d cases for receivers, %d for senders and %d of load, want at least 110, 80 and 15", all, senders, loads)
	}
	for _, test := range []struct {
		names []string
		count func(int) bool
	}{
		{nil, func(n int) bool { return n == all+senders+loads }},
		{[]string{"load"}, func(n int) bool { return n == loads }},
		{[]string{"load/adversarial"}, func(n int) bool { return n > 3 && n < loads }},
		{[]string{"load/adversarial/no-false-accept"}, func(n int) bool { return n == 1 }},
		{[]string{"receiver", "load/latency"}, func(n int) bool { return n > all && n < all+loads }},
		{[]string{"sender"}, func(n int) bool { return n == senders }},
		{[]string{"sender/retry"}, func(n int) bool { return n > 20 && n < senders }},
		{[]string{"receiver"}, func(n int) bool { return n == all }},
		{[]string{"receiver/"}, func(n int) bool { return n == all }},
		{[]string{"receiver/signature"}, func(n int) bool { return n > 50 && n < all }},
		{[]string{"receiver/fidelity/valid"}, func(n int) bool { return n == 1 }},
		{[]string{"receiver/fidelity/valid", "receiver/fidelity/valid", "receiver"}, func(n int) bool { return n == all }},
		{[]string{mine}, func(n int) bool { return n == 2 }},
		{[]string{filepath.Dir(mine)}, func(n int) bool { return n == 2 }},
		{[]string{mine + ":two"}, func(n int) bool { return n == 1 }},
		{[]string{"receiver/fidelity/valid", mine}, func(n int) bool { return n == 3 }},
	} {
		cases, err := suites.Select(test.names)
		if err != nil || !test.count(len(cases)) {
			t.Errorf("%q selects %d cases, error %v", test.names, len(cases), err)
		}
	}
}

func TestSelectMistakes(t *testing.T) {
	mine := write(t, "mine.yaml", own)
	twin := write(t, "twin.yaml", own)
	for _, test := range []struct {
		names []string
		want  string
	}{
		{[]string{"receiver/signatur"}, "did you mean receiver/signature?"},
		{[]string{"sender/retri"}, "did you mean sender/retry?"},
		{[]string{"receiver/fidelity/vallid"}, "did you mean receiver/fidelity/valid?"},
		{[]string{"body-bit-fliped"}, "did you mean receiver/signature/body-bit-flipped?"},
		{[]string{"nonsense-altogether"}, "the suites are receiver/authentication, receiver/fidelity"},
		{[]string{"load/adversaril"}, "did you mean load/adversarial?"},
		{[]string{"missing.yaml"}, "no such file"},
		{[]string{mine + ":twoo"}, `did you mean "two"?`},
		{[]string{mine, twin}, "give one of them another id"},
		{[]string{""}, "nothing is called"},
	} {
		_, err := suites.Select(test.names)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: error %v, want one that contains %q", test.names, err, test.want)
		}
	}
}

func TestFilter(t *testing.T) {
	cases := choose(t)
	for _, test := range []struct {
		filter, level, want string
	}{
		{"signature && must", "", ""},
		{"!signature", "must", ""},
		{"github", "", ""},
		{"", "must", ""},
		{"nothing-has-this-label", "", "none of"},
		{"stripe", "", "none of"},
		{"signature &&", "", "read the label expression"},
		{"(", "", "read the label expression"},
	} {
		left, err := suites.Filter(cases, test.filter, test.level, "github")
		if test.want != "" {
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("%q: error %v, want one line that contains %q", test.filter, err, test.want)
			}
			continue
		}
		if err != nil || len(left) == 0 {
			t.Errorf("%q, level %q: %d cases, error %v", test.filter, test.level, len(left), err)
		}
		for _, c := range left {
			if test.level == "must" && c.Level != "must" {
				t.Errorf("level must leaves %s, which is %s", c.Name(), c.Level)
			}
		}
	}
}

func TestLabelsAreFitForExpressions(t *testing.T) {
	for _, c := range choose(t, "receiver", "sender") {
		labels := suites.Labels(c, "my (own) profile/1:a&b|c!,")
		for _, l := range labels {
			if l == "" || strings.ContainsAny(l, "&|!,()/:") {
				t.Errorf("%s: label %q", c.Name(), l)
			}
		}
		role, _, _ := strings.Cut(c.Suite, "/")
		if !slices.Contains(labels, role) || !slices.Contains(labels, string(c.Level)) {
			t.Errorf("%s: labels %q lack role or level", c.Name(), labels)
		}
	}
}

// Every case claims a defect or says why it cannot; every defect is claimed.
func TestClaims(t *testing.T) {
	claimed := map[string]bool{}
	for _, c := range choose(t, "receiver", "sender", "load") {
		if len(c.Kills) == 0 && c.Unproven == "" {
			t.Errorf("%s names no defect and does not say why: add kills or unproven", c.Name())
		}
		for _, name := range c.Kills {
			claimed[name] = true
			role, _, _ := strings.Cut(c.Name(), "/")
			if role == "load" {
				role = map[bool]string{false: "receiver", true: "sender"}[c.Suite == "load/sender"]
			}
			if d, err := reference.Find(name); err != nil || role != d.Role {
				t.Errorf("%s names %s, a defect of a %s: %v", c.Name(), name, d.Role, err)
			}
		}
	}
	count := map[string]int{}
	for _, d := range reference.Defects {
		count[d.Role]++
		if !claimed[d.Name] {
			t.Errorf("no case names the defect %s", d.Name)
		}
	}
	if count["receiver"] < 45 || count["sender"] < 40 {
		t.Errorf("defects by role: %v, want at least 45 and 40", count)
	}
}

func TestExplain(t *testing.T) {
	for _, c := range choose(t, "receiver", "sender", "load", write(t, "mine.yaml", own)) {
		text := suites.Explain(c)
		for _, want := range []string{c.Name(), c.Title, string(c.Level), c.Source, c.Why, c.Fix, c.Unproven, "hookanvil run"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the explanation lacks %q", c.Name(), want)
			}
		}
		for _, name := range c.Kills {
			if d, err := reference.Find(name); err == nil && !strings.Contains(text, d.Sentence) {
				t.Errorf("%s: the explanation does not tell what %s is", c.Name(), name)
			}
		}
		if strings.Contains(text, "%!") || strings.Contains(text, "  .") {
			t.Errorf("%s: the explanation reads badly:\n%s", c.Name(), text)
		}
	}
}

// A file of the user's stays his, though one of the catalogue is called alike.
func TestAFileOfTheUsersIsNotBuiltIn(t *testing.T) {
	src, err := scenarios.Catalogue.ReadFile("receiver/replay.yaml")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := errors.Join(os.Mkdir("receiver", 0o755), os.WriteFile("receiver/replay.yaml", src, 0o644)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"receiver/replay": true, "receiver/replay.yaml": false} {
		for _, c := range choose(t, name) {
			if c.BuiltIn != want || c.File != "receiver/replay.yaml" {
				t.Errorf("%s: %s of %s, built in %t", name, c.Name(), c.File, c.BuiltIn)
			}
		}
	}
}
