package certification_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/reference"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/reports/certificate"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites"
	"github.com/hookanvil/hookanvil/suites/certification"
	"github.com/hookanvil/hookanvil/suites/receiver"
)

// workplace holds what several tests begin from, which is made once.
var workplace string

func TestMain(m *testing.M) {
	var err error
	if workplace, err = os.MkdirTemp("", "certification"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(workplace)
	os.Exit(code)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func small(t testing.TB) *scenarios.Programme {
	t.Helper()
	p, err := certification.Find("testdata/small.yaml")
	must(t, err)
	return p
}

// order is the certification of a reference receiver, with a defect or none, that runs as
// long as the test.
func order(t testing.TB, p *scenarios.Programme, profile, defect string) certification.Order {
	t.Helper()
	declared, err := profiles.Get(profile)
	must(t, err)
	s, err := suites.NewSpecimen(declared, defect, 1, suites.Quick)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	variable := "HOOKANVIL_TEST_SECRET_" + strings.ToUpper(strings.ReplaceAll(profile, "-", "_"))
	must(t, os.Setenv(variable, s.Subject.Keys[declared.Signature.Name][0].Reveal()))
	return certification.Order{
		Programme: p, Dir: filepath.Join(t.TempDir(), "bundle"),
		Subject: certificate.Identity{Name: "Inbox", Version: "2.1", Vendor: "Acme"},
		Settings: suites.Settings{
			Target: s.Subject.URL.String(), Profile: profile, Secret: []string{"env:" + variable}, Seed: 1,
			ProbeURL: strings.TrimSuffix(s.Subject.URL.String(), reference.HookPath) + reference.EffectsPath + "?token={token}#/effects",
		},
	}
}

// perform runs an order, and awards what it comes to.
func perform(t testing.TB, o certification.Order, key *certificate.Key) (certification.Outcome, reports.Run) {
	t.Helper()
	plan, err := o.Plan(t.Context())
	must(t, err)
	session, err := suites.Start(t.Context(), plan)
	must(t, err)
	run, err := session.Wait()
	must(t, err)
	out, err := o.Award(t.Context(), key, time.Now())
	must(t, err)
	return out, run
}

// pair is a key with its public one.
type pair struct {
	private *certificate.Key
	public  *certificate.PublicKey
}

func newPair(kind string) (p pair, err error) {
	_, secret, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return p, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(secret)
	if kind == "p256" {
		other, failed := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if failed != nil {
			return p, failed
		}
		der, err = x509.MarshalPKCS8PrivateKey(other)
	}
	if err != nil {
		return p, err
	}
	p.private, err = certificate.ReadKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err == nil {
		p.public = &p.private.PublicKey
	}
	return p, err
}

// ours is who certifies in the tests.
var ours = sync.OnceValues(func() (pair, error) { return newPair("ed25519") })

func signer(t testing.TB) pair {
	t.Helper()
	p, err := ours()
	must(t, err)
	return p
}

// verify verifies a bundle of the small programme, now.
func verify(t testing.TB, dir string) certification.Verification {
	t.Helper()
	return certification.Verify(context.Background(), dir, certification.Options{
		Keys: []*certificate.PublicKey{signer(t).public}, Programme: small(t), Now: time.Now(),
	})
}

func TestCertify(t *testing.T) {
	for _, tt := range []struct {
		profile, defect, aim, level string
		missing                     string // what keeps the next level away
	}{
		{"standard-webhooks", "", "", "gold", ""},
		{"standard-webhooks", "", "basic", "basic", ""},
		{"standard-webhooks", "ignores-timestamp", "", "", "receiver/timestamp"},
		{"standard-webhooks", "reject-all", "", "", "could not be judged"},
		{"standard-webhooks", "not-found-all", "", "", "could not be judged"},
		{"standard-webhooks", "accept-all", "", "", "failed"},
		{"standard-webhooks", "rejects-unknown-events", "full", "full", "receiver/fidelity/unknown-event-type (should) had a warning"},
		{"standard-webhooks", "", "full", "gold", ""}, // which has the same suites
		{"standard-webhooks", "rejects-unicode", "", "basic", "receiver/fidelity/unicode-raw (must) failed"},
		{"standard-webhooks", "rejects-unknown-events", "", "full", "receiver/fidelity/unknown-event-type (should) had a warning"},
		// It sends no timestamp: what is asked of that suite is excused, case by case.
		{"github", "", "", "gold", ""},
	} {
		t.Run(tt.profile+" "+tt.defect+" "+tt.aim, func(t *testing.T) {
			t.Parallel()
			o := order(t, small(t), tt.profile, tt.defect)
			o.Aim = tt.aim
			out, run := perform(t, o, signer(t).private)
			if out.Level != tt.level {
				t.Fatalf("the level %q is awarded, want %q: %.300s; totals %+v", out.Level, tt.level, fmt.Sprint(out.Levels), run.Count())
			}
			v := verify(t, o.Dir)
			if v.Valid != (tt.level != "") || v.Valid && v.Level != tt.level {
				t.Errorf("verified: %t, level %q, refusals %q", v.Valid, v.Level, certificate.Words(v.Refusals))
			}
			var missing []string
			for _, s := range out.Levels {
				missing = append(missing, s.Missing...)
			}
			if tt.missing == "" != (len(missing) == 0) || !strings.Contains(strings.Join(missing, "\n"), tt.missing) {
				t.Errorf("missing: %.300s; want %q", strings.Join(missing, "; "), tt.missing)
			}
		})
	}
}

func TestPlanRefuses(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "lax.yaml")
	src, err := profiles.Source("standard-webhooks")
	must(t, err)
	must(t, os.WriteFile(profile, []byte(strings.Replace(string(src), "tolerance: 5m", "tolerance: 50m", 1)), 0o600))
	known := filepath.Join(t.TempDir(), "known.yaml")
	must(t, os.WriteFile(known, []byte("- {id: receiver/timestamp/stale, reason: later, until: 2099-01-01}\n"), 0o600))
	for _, tt := range []struct {
		name   string
		change func(o *certification.Order)
		want   string
	}{
		{"an unknown level", func(o *certification.Order) { o.Aim = "gild" }, `did you mean "gold"?`},
		{"nobody", func(o *certification.Order) { o.Subject.Vendor = "" }, "no vendor"},
		{"no place", func(o *certification.Order) { o.Dir = "" }, "--out"},
		{"no probe", func(o *certification.Order) { o.Settings.ProbeURL = "" }, "--probe-url"},
		{"a filter", func(o *certification.Order) { o.Settings.Filter = "must" }, "filter"},
		{"a level of its own", func(o *certification.Order) { o.Settings.Level = "must" }, "setting level"},
		{"known failures", func(o *certification.Order) { o.Settings.KnownFailures = known }, "known failures"},
		{"a baseline", func(o *certification.Order) { o.Settings.Baseline = bundle(t, 0) }, "held against a baseline"},
		{"other refusals", func(o *certification.Order) { o.Settings.Reject = []string{"404"} }, "setting reject"},
		{"other acceptance", func(o *certification.Order) { o.Settings.Accept = []string{"200-599"} }, "setting accept"},
		{"more time", func(o *certification.Order) { o.Settings.AckDeadline = time.Hour }, "setting ack-deadline"},
		{"its own profile", func(o *certification.Order) { o.Settings.Profile = profile }, "profile"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := order(t, small(t), "standard-webhooks", "")
			tt.change(&o)
			if _, err := o.Plan(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("planned: %v; want %q", err, tt.want)
			}
			if _, err := os.Stat(o.Dir); err == nil && o.Dir != "" {
				t.Error("a bundle was begun")
			}
		})
	}
}

// An interrupted run is not certified, whatever had passed until then.
func TestInterruptedIsNotCertified(t *testing.T) {
	o := order(t, small(t), "standard-webhooks", "")
	plan, err := o.Plan(t.Context())
	must(t, err)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	plan.Watch = func(p suites.Progress) {
		if p.Done == p.Total-3 {
			interrupt()
		}
	}
	session, err := suites.Start(ctx, plan)
	must(t, err)
	_, err = session.Wait()
	must(t, err)
	out, err := o.Award(t.Context(), signer(t).private, time.Now())
	must(t, err)
	if out.Level != "" {
		t.Errorf("the level %s is awarded", out.Level)
	}
	if _, err := os.Stat(filepath.Join(o.Dir, certificate.EnvelopeFile)); err == nil {
		t.Error("it was sealed")
	}
}

func TestProgrammes(t *testing.T) {
	all, err := certification.Programmes()
	must(t, err)
	if len(all) < 2 {
		t.Errorf("%d programmes", len(all))
	}
	for _, p := range all {
		found, err := certification.Find(p.Name)
		must(t, err)
		if found != p || p.Rank("basic") != 1 || p.Rank("nonsense") != 0 {
			t.Errorf("%s: found %v, ranks %d and %d", p.Name, found, p.Rank("basic"), p.Rank("nonsense"))
		}
	}
	for name, want := range map[string]string{"": "webhook-receiver", "webhook-reciever": "did you mean", "missing.yaml": "read the programme"} {
		if _, err := certification.Find(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", name, err, want)
		}
	}
}

// A receiver can be certified under every profile that signs: what a case needs and the
// profile lacks is excused, but for a probe. A capability that is new to the catalogue has
// to be thought of in the programmes.
func TestEveryProfileHasItsExcuses(t *testing.T) {
	p, err := certification.Find("webhook-receiver")
	must(t, err)
	for rank, level := range p.Levels {
		cases, err := suites.Select(p.Suites(rank + 1))
		must(t, err)
		excuses := slices.Concat(p.Excuses, level.Excuses, []string{"probe"})
		if level.NoWarnings {
			excuses = append(excuses, "second-key", "retired-key", "other-key", "other-url") // which the run has to have
		}
		for _, name := range profiles.Names() {
			declared, err := profiles.Get(name)
			must(t, err)
			if receiver.Lacking(declared, "signature") {
				continue
			}
			for _, c := range cases {
				if c.Load != nil || c.Level != scenarios.Must && !level.NoWarnings {
					continue
				}
				for _, need := range receiver.Needs(c) {
					if receiver.Lacking(declared, need) && !slices.Contains(excuses, need) {
						t.Errorf("%s at %s, under %s: nothing excuses that it lacks %s", c.Name(), level.Level, name, need)
					}
				}
			}
		}
	}
}

// What is wrong with a programme is told with its place.
func TestBadProgrammes(t *testing.T) {
	src, err := os.ReadFile("testdata/small.yaml")
	must(t, err)
	for _, tt := range []struct{ from, to, want string }{
		{"programme: small", "programme: Small One", ":2:12: \"Small One\" is not a valid name of a programme"},
		{"version: 3", "version: 0", ":3:10: \"version\" must be from 1 to 9999"},
		{"validity: 30", "validity: 0", ":5:11: \"validity\" must be from 1 to 1826"},
		{"validity: 30", "validity: 30\nvaliditty: 30", "unknown key"},
		{"validity: 30\n", "", "has no validity"},
		{"validity: 30", "validity: 30\nsuites: []", "suites stand in the levels"},
		{"[timestamp-header,", "[timestamp-heading,", ":6:11: unknown capability \"timestamp-heading\""},
		{"[timestamp-header,", "[probe,", ":6:11: a probe cannot be excused"},
		{"level: full", "level: basic", "there is a level \"basic\" already"},
		{"suite: receiver/fidelity, passed: 20", "suite: receiver/fidelitty, passed: 20", "did you mean \"receiver/fidelity\"?"},
		{"suite: receiver/fidelity, passed: 20", "suite: receiver/fidelity, passed: 0", "\"passed\" must be from 1"},
		{"suite: receiver/fidelity, passed: 20", "suite: receiver/fidelity, passed: 900", "nobody could have the level"},
		{"suite: receiver/fidelity, passed: 20", "suite: sender/retry, passed: 1", "write a programme for each role"},
		{"suite: receiver/fidelity, passed: 20", "suite: load/integrity, passed: 1", "declares no rate"},
		{"suite: receiver/fidelity, passed: 20", "suite: receiver/timestamp, passed: 20", "already"},
		{"passed: 20, where: timestamp", "passed: 20, where: timestamps", "unknown capability"},
		{"validity: 30", "validity: 30\nload: {rate: 10/s, duration: 1s}", "none of its suites needs one"},
	} {
		file := filepath.Join(t.TempDir(), "bad.yaml")
		must(t, os.WriteFile(file, []byte(strings.Replace(string(src), tt.from, tt.to, 1)), 0o600))
		if _, err := certification.Find(file); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", tt.to, err, tt.want)
		}
	}
}

func FuzzProgramme(f *testing.F) {
	src, err := os.ReadFile("testdata/small.yaml")
	must(f, err)
	f.Add(string(src))
	f.Add("programme: p\nversion: 1\ntitle: t\nvalidity: 1\nlevels:\n  - {level: l, title: t, suites: [{suite: load/integrity, passed: 1}]}\nload: {rate: 1/s, duration: 1s}\n")
	catalogue, err := suites.Catalogue()
	must(f, err)
	f.Fuzz(func(t *testing.T, src string) {
		p, err := scenarios.ParseProgramme("p.yaml", []byte(src), catalogue, suites.Vocabularies()...)
		if err != nil {
			return
		}
		for _, level := range p.Levels {
			if len(level.Suites) == 0 {
				t.Error("a level demands nothing")
			}
			for _, d := range level.Suites {
				if d.Passed < 1 {
					t.Errorf("%s demands no pass", d.Suite)
				}
			}
		}
		if p.Role() != "receiver" && p.Role() != "sender" {
			t.Errorf("the role is %q", p.Role())
		}
	})
}
