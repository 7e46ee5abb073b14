package certification_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/reports/certificate"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites"
	"github.com/hookanvil/hookanvil/suites/certification"
)

func programme(t testing.TB, file string) *scenarios.Programme {
	t.Helper()
	p, err := certification.Find(filepath.Join("testdata", file))
	must(t, err)
	return p
}

func verifyBy(t testing.TB, dir string, p *scenarios.Programme) certification.Verification {
	t.Helper()
	return certification.Verify(t.Context(), dir, certification.Options{Keys: []*certificate.PublicKey{signer(t).public}, Programme: p, Now: time.Now()})
}

// The figures of a load are held against the catalogue's thresholds again.
func TestLoadIsJudgedAgain(t *testing.T) {
	p := programme(t, "loaded.yaml")
	o := order(t, p, "standard-webhooks", "")
	if out, run := perform(t, o, signer(t).private); out.Level != "basic" {
		if run.Count().Fail > 0 {
			t.Fatalf("a correct receiver fails: %+v", out.Levels)
		}
		t.Skipf("this machine is too busy to judge a load: %+v", out.Levels)
	}
	if v := verifyBy(t, o.Dir, p); !v.Valid {
		t.Fatalf("not valid: %s", certificate.Words(v.Refusals))
	}
	for _, tt := range []struct {
		name   string
		change func(f *forgery)
		check  string
		reason string
	}{
		{"nothing", func(*forgery) {}, "", ""},
		{"lost effects of honest deliveries", func(f *forgery) { f.result(integrity).Load.Classes[0].Effects.Lost++ }, "level", "its figures say otherwise"},
		{"nothing sent", func(f *forgery) { f.result(integrity).Load.Total.Planned = 0 }, "level", "nothing was sent"},
		{"figures of the generator", func(f *forgery) {
			f.result(integrity).Load.Invalid = []string{"it was late"}
			f.result(integrity).Load.Generator.Dropped = 100
		}, "level", "its figures say otherwise"},
		{"nothing measured", func(f *forgery) { f.result(integrity).Load = nil }, "level", integrity},
		{"another rate", func(f *forgery) {
			for i, s := range f.manifest.Settings {
				if s.Name == "rate" {
					f.manifest.Settings[i].Values = []string{"1/s"}
				}
			}
		}, "run", `declares ["40/s"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "bundle")
			must(t, os.CopyFS(dir, os.DirFS(o.Dir)))
			forge(t, dir, tt.change)
			v := verifyBy(t, dir, p)
			if tt.check == "" {
				if !v.Valid {
					t.Errorf("not valid: %s", certificate.Words(v.Refusals))
				}
				return
			}
			wantRefused(t, v, tt.check, tt.reason)
		})
	}
}

const integrity = "load/integrity/acknowledged-is-done"

func TestCertifySender(t *testing.T) {
	if os.Getenv("HOOKANVIL_TESTS") != "whole" {
		t.Skip("it takes a quarter of a minute: set HOOKANVIL_TESTS=whole")
	}
	p := programme(t, "sending.yaml")
	for defect, level := range map[string]string{"": "basic", "retries-unsigned": ""} {
		declared, err := profiles.Get("standard-webhooks")
		must(t, err)
		s, err := suites.NewSenderSpecimen(declared, defect, 1, suites.QuickSender)
		must(t, err)
		t.Cleanup(func() { must(t, s.Close()) })
		t.Setenv("HOOKANVIL_TEST_SENDER_SECRET", declared.NewKeys(rand.New(rand.NewPCG(1, 1)))[declared.Signature.Name][0].Reveal())
		o := certification.Order{
			Programme: p, Dir: filepath.Join(t.TempDir(), "bundle"),
			Subject: certificate.Identity{Name: "Outbox", Version: "1", Vendor: "Acme"},
			Settings: suites.Settings{
				Profile: "standard-webhooks", Secret: []string{"env:HOOKANVIL_TEST_SENDER_SECRET"}, Trigger: s.Subject.Trigger.String(),
				Register: strings.Replace(s.Subject.Register.String(), "{", `{"secret":"{secret}",`, 1), Remove: s.Subject.Remove.String(),
			},
		}
		out, run := perform(t, o, signer(t).private)
		if out.Level != level {
			t.Errorf("a sender with the defect %q is awarded %q, want %q: %+v; totals %+v", defect, out.Level, level, out.Levels, run.Count())
		}
		if v := verifyBy(t, o.Dir, p); v.Valid != (level != "") {
			t.Errorf("a sender with the defect %q: valid %t, %s", defect, v.Valid, certificate.Words(v.Refusals))
		}
		if level == "" {
			continue
		}
		forge(t, o.Dir, func(f *forgery) { f.run.Results[0].Verdict = reports.Fail })
		wantRefused(t, verifyBy(t, o.Dir, p), "level", "failed")
	}
}
