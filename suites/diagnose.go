package suites

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile/diagnosis"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// DiagnosisSchema is the version of a diagnosis as JSON.
const DiagnosisSchema = "hookanvil.diagnosis/1"

// Diagnosis is what was found of captured deliveries.
type Diagnosis struct {
	Schema     string      `json:"schema"`
	Profile    string      `json:"profile"`
	Deliveries []Diagnosed `json:"deliveries"`
}

// Diagnosed is what was found of one. What the sender chose of it is inert.
type Diagnosed struct {
	Number     int                   `json:"number"` // in the capture, from 1
	Method     string                `json:"method"`
	URL        string                `json:"url,omitempty"`
	ID         string                `json:"id,omitempty"`
	Verdict    diagnosis.Verdict     `json:"verdict"`
	Sentence   string                `json:"sentence"`
	Signature  string                `json:"signature,omitempty"` // its name in the profile
	Departures []diagnosis.Departure `json:"departures,omitempty"`
	Also       []string              `json:"also,omitempty"`
	Profiles   []string              `json:"profiles,omitempty"`
	Tried      int                   `json:"tried"`
	Exhausted  bool                  `json:"exhausted,omitempty"`
	Checks     []string              `json:"checks,omitempty"`
	Notes      []string              `json:"notes,omitempty"`
}

// DiagnoseSettings say which deliveries are looked at, and by which clock.
type DiagnoseSettings struct {
	Only []string  // ids; all where there are none
	At   time.Time // when they arrived; zero for when the capture says, or else now
}

// Diagnose finds what was done to captured deliveries instead of what the profile says.
func (s Settings) Diagnose(how DiagnoseSettings, list []Captured) (Diagnosis, error) {
	var v vault
	if s.Profile == "" {
		return Diagnosis{}, s.unnamed(list)
	}
	p, err := s.FoundProfile()
	if err != nil {
		return Diagnosis{}, err
	}
	if !p.Signed() {
		return Diagnosis{}, fmt.Errorf("use profile %s: its deliveries are not signed, and there is nothing to diagnose", p.Name)
	}
	ring, err := s.keyring(&v, p)
	if err == nil && ring.keys == nil {
		err = noSecret(p)
	}
	if err != nil {
		return Diagnosis{}, err
	}
	found := Diagnosis{Schema: DiagnosisSchema, Profile: p.Name, Deliveries: []Diagnosed{}}
	redactor := reports.NewRedactor(v.secrets...)
	missing := slices.Clone(how.Only)
	for i, c := range list {
		id := p.DeliveryID(c.Headers, c.Body)
		if len(how.Only) > 0 && !slices.Contains(how.Only, id) {
			continue
		}
		missing = slices.DeleteFunc(missing, func(m string) bool { return m == id })
		d := ring.doubted(s, how, list, i)
		found.Deliveries = append(found.Deliveries, diagnosed(i+1, c, id, diagnosis.Diagnose(d), redactor))
	}
	if len(missing) > 0 {
		return found, fmt.Errorf("diagnose the delivery %s: there is none with that id", strictyaml.Quote(missing[0]))
	}
	return found, nil
}

// unnamed says which profiles a capture may be of, where none is given.
func (s Settings) unnamed(list []Captured) error {
	judge, err := (Settings{}).signatureJudge(new(vault))
	if err != nil {
		return err
	}
	for _, c := range list {
		if fitting := judge.fitting(c.Incoming); len(fitting) > 0 {
			var names []string
			for _, ring := range fitting {
				names = append(names, ring.Name)
			}
			return fmt.Errorf("diagnose a delivery: no profile is given; its headers are those of %s: name one with --profile", strings.Join(names, ", "))
		}
	}
	return errors.New("diagnose a delivery: no profile is given, and its headers are those of none that comes with hookanvil; name one with --profile, or a YAML file")
}

// doubted is one delivery of a capture, with what it is to be verified by.
func (k keyring) doubted(s Settings, how DiagnoseSettings, list []Captured, i int) diagnosis.Delivery {
	c := list[i]
	d := diagnosis.Delivery{Incoming: c.Incoming, Profile: k.Profile, Keys: k.keys, Wrong: k.wrong, At: how.At}
	d.URL = cmp.Or(s.Target, absolute(c.Incoming))
	if d.At.IsZero() {
		d.At = c.At
	}
	if d.At.IsZero() {
		d.At = time.Now()
	}
	for n := 1; n <= 8; n++ { // its neighbours: those that it may have been mixed up with
		for _, at := range []int{i - n, i + n} {
			if at >= 0 && at < len(list) {
				d.Others = append(d.Others, list[at].Incoming)
			}
		}
	}
	return d
}

func diagnosed(number int, c Captured, id string, f diagnosis.Finding, r *reports.Redactor) Diagnosed {
	clean := func(texts []string) (all []string) {
		for _, text := range texts {
			all = append(all, harmless(r.Clean(text), 600))
		}
		return all
	}
	d := Diagnosed{
		Number: number, Method: harmless(c.Method, 40), URL: harmless(r.Clean(c.URL), 200), ID: harmless(r.Clean(id), 80),
		Verdict: f.Verdict, Sentence: harmless(r.Clean(f.Sentence), 600), Signature: f.Scheme, Tried: f.Tried, Exhausted: f.Exhausted,
		Also: clean(f.Also), Profiles: f.Profiles, Checks: f.Checks, Notes: clean(c.Notes),
	}
	for _, departure := range f.Departures {
		departure.Says = harmless(r.Clean(departure.Says), 300)
		d.Departures = append(d.Departures, departure)
	}
	return d
}

// ExitCode is 0 where every delivery verifies, 1 where one does not and it is known why,
// and 3 where nothing worse than what nobody could explain is among them.
func (d Diagnosis) ExitCode() int {
	code := reports.ExitPassed
	for _, one := range d.Deliveries {
		switch one.Verdict {
		case diagnosis.Valid:
		case diagnosis.Unexplained:
			if code == reports.ExitPassed {
				code = reports.ExitInconclusive
			}
		default:
			return reports.ExitFailed
		}
	}
	return code
}

// JSON is the diagnosis for programs.
func (d Diagnosis) JSON() (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(d)
	return b.String(), err
}

// String is the diagnosis for people.
func (d Diagnosis) String() string {
	var b strings.Builder
	for _, one := range d.Deliveries {
		fmt.Fprintf(&b, "#%d  %s\n", one.Number, strings.Join(nonempty(strings.TrimSpace(one.Method+" "+one.URL), labelledID(one.ID), "profile "+d.Profile), "  "))
		fmt.Fprintf(&b, "  %s: %s\n", one.Verdict, one.Sentence)
		lines := [][]string{one.Also, one.Checks, one.Notes}
		for i, mark := range []string{"as well", "check", "note"} {
			for _, line := range lines[i] {
				fmt.Fprintf(&b, "  %s: %s\n", mark, line)
			}
		}
	}
	return b.String()
}

func labelledID(id string) string {
	if id == "" {
		return ""
	}
	return "id " + id
}

func nonempty(texts ...string) []string {
	return slices.DeleteFunc(texts, func(text string) bool { return strings.TrimSpace(text) == "" })
}
