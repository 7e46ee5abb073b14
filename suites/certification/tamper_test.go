package certification_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/reports/certificate"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites/certification"
)

// made are two bundles of the same subject, from two runs, both gold.
var made [2]struct {
	sync.Once
	dir string
}

// bundle is a copy of one of the two, to be tampered with.
func bundle(t testing.TB, which int) string {
	t.Helper()
	m := &made[which]
	m.Do(func() {
		o := order(t, small(t), "standard-webhooks", "")
		o.Dir, o.Settings.Seed = filepath.Join(workplace, string(rune('a'+which))), 1+which
		if out, _ := perform(t, o, signer(t).private); out.Level != "gold" {
			t.Fatalf("the level %q is awarded: %.300s", out.Level, fmt.Sprint(out.Levels))
		}
		m.dir = o.Dir
	})
	dir := filepath.Join(t.TempDir(), "bundle")
	must(t, os.CopyFS(dir, os.DirFS(m.dir)))
	return dir
}

const (
	suiteFile = "scenarios/receiver/timestamp.yaml"
	stale     = "receiver/timestamp/day-old" // a must
	lesser    = "receiver/timestamp/year-ahead"
	honest    = "receiver/fidelity/valid"
)

func read(t testing.TB, dir, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	must(t, err)
	return content
}

func write(t testing.TB, dir, name string, content []byte) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
}

// swap replaces a text in a file, which must be there.
func swap(name, from, to string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		content := read(t, dir, name)
		if !bytes.Contains(content, []byte(from)) {
			t.Fatalf("%s does not hold %q", name, from)
		}
		write(t, dir, name, bytes.Replace(content, []byte(from), []byte(to), 1))
	}
}

func flip(name string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		content := read(t, dir, name)
		content[len(content)/2] ^= 1
		write(t, dir, name, content)
	}
}

func remove(name string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, name))) }
}

// fromOther takes files from the other bundle.
func fromOther(names ...string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		other := bundle(t, 1)
		for _, name := range names {
			write(t, dir, name, read(t, other, name))
		}
	}
}

// envelope changes the envelope as others would write it.
func envelope(change func(t *testing.T, e *dsse.Envelope)) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		var e dsse.Envelope
		must(t, json.Unmarshal(read(t, dir, certificate.EnvelopeFile), &e))
		change(t, &e)
		b, err := json.MarshalIndent(e, "", "  ")
		must(t, err)
		write(t, dir, certificate.EnvelopeFile, append(b, '\n'))
	}
}

// What a stranger can do to a bundle, who has no key.
func TestTamperedByStrangers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		tamper func(t *testing.T, dir string)
		check  string
		reason string
	}{
		{"nothing", func(*testing.T, string) {}, "", ""},
		{"a byte of the claims", flip(certificate.ClaimsFile), "files", "certificate.json was changed"},
		{"a byte of the report", flip(reports.ReportFile), "files", "report.json was changed"},
		{"a byte of the journal", flip(reports.JournalFile), "files", "run.journal was changed"},
		{"a byte of the manifest", flip(reports.ManifestFile), "files", "run.json was changed"},
		{"a byte of the profile", flip(reports.ProfileFile), "files", "profile.yaml was changed"},
		{"a byte of the programme", flip(certificate.ProgrammeFile), "files", "programme.yaml was changed"},
		{"a byte of a suite", flip(suiteFile), "files", suiteFile + " was changed"},
		{"a byte of the envelope", flip(certificate.EnvelopeFile), "signature", ""},
		{"a higher level claimed", swap(certificate.ClaimsFile, `"gold"`, `"full"`), "files", "certificate.json was changed"},
		{"a later end claimed", swap(certificate.ClaimsFile, `"expires": "2`, `"expires": "3`), "files", "certificate.json was changed"},
		{"another name", swap(certificate.ClaimsFile, "Inbox", "Outbox"), "files", "certificate.json was changed"},
		{"a blank behind the envelope", func(t *testing.T, dir string) {
			write(t, dir, certificate.EnvelopeFile, append(read(t, dir, certificate.EnvelopeFile), ' '))
		}, "signature", "it was changed"},
		{"a second member in the envelope", swap(certificate.EnvelopeFile, "{\n", "{\n  \"payloadType\": \"text/plain\",\n"), "signature", "it was changed"},
		{"an unknown member in the envelope", swap(certificate.EnvelopeFile, "{\n", "{\n  \"note\": \"\",\n"), "signature", "no DSSE envelope"},
		{"no envelope", remove(certificate.EnvelopeFile), "signature", "there is no certificate"},
		{"an empty envelope", func(t *testing.T, dir string) { write(t, dir, certificate.EnvelopeFile, nil) }, "signature", "no DSSE envelope"},
		{"no claims", remove(certificate.ClaimsFile), "files", "certificate.json is missing"},
		{"no report", remove(reports.ReportFile), "files", "report.json is missing"},
		{"no journal", remove(reports.JournalFile), "files", "run.journal is missing"},
		{"no manifest", remove(reports.ManifestFile), "files", "run.json is missing"},
		{"a suite less", remove(suiteFile), "files", suiteFile + " is missing"},
		{"a file more", func(t *testing.T, dir string) { write(t, dir, "notes.txt", []byte("audited")) }, "files", "notes.txt was added"},
		{"a suite more", func(t *testing.T, dir string) { write(t, dir, "scenarios/receiver/signature.yaml", nil) }, "files", "was added"},
		{"a directory more", func(t *testing.T, dir string) { must(t, os.Mkdir(filepath.Join(dir, "more"), 0o700)) }, "bundle", "the directory more is empty"},
		{"a link for a file", func(t *testing.T, dir string) {
			elsewhere := filepath.Join(t.TempDir(), "report.json")
			must(t, os.Rename(filepath.Join(dir, reports.ReportFile), elsewhere))
			must(t, os.Symlink(elsewhere, filepath.Join(dir, reports.ReportFile)))
		}, "bundle", "no regular file"},
		{"a file under another name", func(t *testing.T, dir string) {
			must(t, os.Rename(filepath.Join(dir, suiteFile), filepath.Join(dir, "scenarios/receiver/timestamps.yaml")))
		}, "files", suiteFile + " is missing"},
		{"a journal cut off", func(t *testing.T, dir string) {
			content := read(t, dir, reports.JournalFile)
			write(t, dir, reports.JournalFile, content[:len(content)-100])
		}, "files", "run.journal was changed"},
		{"the journal of another run", fromOther(reports.JournalFile), "files", "run.journal was changed"},
		{"the results of another run", fromOther(reports.JournalFile, reports.ReportFile, reports.ManifestFile), "files", "run.journal was changed"},
		{"the envelope of another run", fromOther(certificate.EnvelopeFile), "files", "run.journal was changed"},
		{"the certificate of another run", fromOther(certificate.EnvelopeFile, certificate.ClaimsFile), "files", "run.journal was changed"},
		{"no signature", envelope(func(_ *testing.T, e *dsse.Envelope) { e.Signatures = nil }), "signature", "0 signatures"},
		{"a signature more", envelope(func(_ *testing.T, e *dsse.Envelope) {
			e.Signatures = append(e.Signatures, dsse.Signature{KeyID: "somebody", Sig: "AAAA"})
		}), "signature", "2 signatures"},
		{"another type of payload", envelope(func(_ *testing.T, e *dsse.Envelope) { e.PayloadType = "text/plain" }), "signature", "is due"},
		{"another key's name", envelope(func(_ *testing.T, e *dsse.Envelope) { e.Signatures[0].KeyID = strings.Repeat("0", 64) }), "signature", "signed by somebody else"},
		{"no key's name", envelope(func(_ *testing.T, e *dsse.Envelope) { e.Signatures[0].KeyID = "" }), "signature", "signed by somebody else"},
		{"a bit of the signature", envelope(func(t *testing.T, e *dsse.Envelope) {
			sig, err := base64.StdEncoding.DecodeString(e.Signatures[0].Sig)
			must(t, err)
			sig[20] ^= 4
			e.Signatures[0].Sig = base64.StdEncoding.EncodeToString(sig)
		}), "signature", "does not verify"},
		{"another level in the statement", envelope(func(t *testing.T, e *dsse.Envelope) {
			payload, err := base64.StdEncoding.DecodeString(e.Payload)
			must(t, err)
			e.Payload = base64.StdEncoding.EncodeToString(bytes.Replace(payload, []byte(`"gold"`), []byte(`"full"`), 1))
		}), "signature", "does not verify"},
		{"signed by a stranger", func(t *testing.T, dir string) {
			stranger, err := newPair("p256")
			must(t, err)
			reseal(t, dir, stranger, func(*certificate.Claims) {})
		}, "signature", "signed by somebody else"},
		{"signed by a stranger under our key's name", func(t *testing.T, dir string) {
			stranger, err := newPair("ed25519")
			must(t, err)
			reseal(t, dir, stranger, func(*certificate.Claims) {})
			name, err := signer(t).public.KeyID()
			must(t, err)
			envelope(func(_ *testing.T, e *dsse.Envelope) { e.Signatures[0].KeyID = name })(t, dir)
		}, "signature", "does not verify"},
		{"nothing is left", func(t *testing.T, dir string) {
			must(t, os.RemoveAll(dir))
			must(t, os.Mkdir(dir, 0o700))
		}, "signature", "there is no certificate"},
		{"not even the folder", func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)) }, "bundle", "read the bundle"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := bundle(t, 0)
			tt.tamper(t, dir)
			wantRefused(t, verify(t, dir), tt.check, tt.reason)
		})
	}
}

// wantRefused demands a refusal by a check, or a valid gold where there is none.
func wantRefused(t *testing.T, v certification.Verification, check, reason string) {
	t.Helper()
	if check == "" {
		if !v.Valid || v.Level != "gold" {
			t.Errorf("not valid: %.2000s", certificate.Words(v.Refusals))
		}
		return
	}
	found := slices.ContainsFunc(v.Refusals, func(r certificate.Refusal) bool { return r.Check == check && strings.Contains(r.Reason, reason) })
	if v.Valid || !found {
		t.Errorf("valid: %t; refusals: %.2000s\nwant %s: %s", v.Valid, certificate.Words(v.Refusals), check, reason)
	}
}

// No byte of the envelope, and none of the other files, can be another.
func TestEveryByteCounts(t *testing.T) {
	dir := bundle(t, 0)
	for name := range must2(certificate.Open(t.Context(), dir, signer(t).public)).Files {
		content := read(t, dir, name)
		step := max(len(content)/10, 1)
		if name == certificate.EnvelopeFile {
			step = 41
		}
		for at := 0; at < len(content); at += step {
			for _, bit := range []byte{1, 0x20} { // the next character, and the other case
				changed := bytes.Clone(content)
				changed[at] ^= bit
				write(t, dir, name, changed)
				if b, refusals := certificate.Open(t.Context(), dir, signer(t).public); b != nil || len(refusals) == 0 {
					t.Errorf("%s: byte %d was changed, and nobody noticed", name, at)
				}
			}
		}
		write(t, dir, name, content)
	}
	wantRefused(t, verify(t, dir), "", "")
}

func must2(b *certificate.Bundle, refusals []certificate.Refusal) *certificate.Bundle {
	if b == nil {
		panic(certificate.Words(refusals))
	}
	return b
}

// reseal signs a bundle anew, as it is now.
func reseal(t testing.TB, dir string, by pair, change func(*certificate.Claims)) {
	t.Helper()
	var c certificate.Claims
	must(t, json.Unmarshal(read(t, dir, certificate.ClaimsFile), &c))
	change(&c)
	must(t, os.Remove(filepath.Join(dir, certificate.ClaimsFile)))
	must(t, os.Remove(filepath.Join(dir, certificate.EnvelopeFile)))
	must(t, certificate.Seal(context.Background(), dir, c, by.private))
}

// forgery is what somebody with the key can change before the bundle is signed.
type forgery struct {
	run      reports.Run
	report   *reports.Run
	manifest reports.Manifest
	claims   certificate.Claims
}

func (f *forgery) result(id string) *reports.Result {
	i := slices.IndexFunc(f.run.Results, func(r reports.Result) bool { return r.ID == id })
	return &f.run.Results[i]
}

// set makes a setting of the manifest.
func (f *forgery) set(name string, values ...string) {
	f.manifest.Settings = append(f.manifest.Settings, reports.Setting{Name: name, Values: values})
}

// forge writes a bundle anew with what was changed, consistently, and signs it with the
// right key.
func forge(t *testing.T, dir string, change func(f *forgery)) {
	t.Helper()
	b, refusals := certificate.Open(t.Context(), dir, signer(t).public)
	if b == nil {
		t.Fatal(certificate.Words(refusals))
	}
	f := forgery{run: b.Run, manifest: b.Manifest, claims: b.Claims}
	change(&f)
	var planned []reports.Planned
	for _, r := range f.run.Results {
		planned = append(planned, reports.Planned{ID: r.ID, Title: r.Title, Level: r.Level})
	}
	header := f.run
	header.Notes, header.ClockOffset, header.Ended = nil, nil, time.Time{}
	var journal bytes.Buffer
	j, err := reports.NewJournal(&journal, header, planned)
	must(t, err)
	for _, r := range f.run.Results {
		must(t, j.Record(r))
	}
	j.Clock(f.run.ClockOffset)
	must(t, j.Close(f.run.State, f.run.Ended, f.run.Notes))
	write(t, dir, reports.JournalFile, journal.Bytes())
	if f.report == nil {
		f.report = &f.run
	}
	must(t, reports.WriteFile(filepath.Join(dir, reports.ReportFile), func(w io.Writer) error { return reports.JSON(w, *f.report) }))
	for i, in := range f.manifest.Inputs {
		if content, err := os.ReadFile(filepath.Join(dir, in.Path)); err == nil {
			f.manifest.Inputs[i] = reports.NewInput(in.Path, in.Origin, content)
		}
	}
	f.claims.Programme.SHA256 = reports.Digest(read(t, dir, certificate.ProgrammeFile))
	must(t, reports.Replace(filepath.Join(dir, reports.ManifestFile), func(w io.Writer) error { return reports.WriteJSON(w, f.manifest) }))
	sum(t, dir)
	reseal(t, dir, signer(t), func(c *certificate.Claims) { *c = f.claims })
}

// sum makes the digests of a results folder anew, in the same order.
func sum(t *testing.T, dir string) {
	t.Helper()
	var sums strings.Builder
	for line := range strings.Lines(string(read(t, dir, reports.SumsFile))) {
		_, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if content, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			fmt.Fprintf(&sums, "%s  %s\n", reports.Digest(content), name)
		}
	}
	write(t, dir, reports.SumsFile, []byte(sums.String()))
}

// A bundle that is written anew without a change is as valid as it was: what is refused
// below is refused for what was changed.
func TestForgeryWithoutAChange(t *testing.T) {
	dir := bundle(t, 0)
	forge(t, dir, func(*forgery) {})
	wantRefused(t, verify(t, dir), "", "")
}

// What somebody can try who has the key: every signature and every digest is right, and the
// results do not support what is certified.
func TestTamperedBySigner(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(f *forgery)
		check  string
		reason string
	}{
		{"a must that failed", func(f *forgery) { f.result(stale).Verdict = reports.Fail }, "level", stale + " (must) failed"},
		{"a must that could not be judged", func(f *forgery) { f.result(stale).Verdict = reports.Inconclusive }, "level", stale + " (must) could not be judged"},
		{"a must with a warning", func(f *forgery) { f.result(stale).Verdict = reports.Warn }, "level", stale + " (must) had a warning"},
		{"a must that was skipped", func(f *forgery) { f.result(stale).Verdict = reports.Skip }, "level", stale + " (must) was skipped"},
		{"a must skipped for what the profile has", func(f *forgery) {
			f.result(stale).Verdict, f.result(stale).Lacks = reports.Skip, "timestamp"
		}, "level", stale + " (must) was skipped"},
		{"a must skipped for what it does not need", func(f *forgery) {
			f.result(stale).Verdict, f.result(stale).Lacks = reports.Skip, "hex-signature"
		}, "level", stale + " (must) was skipped"},
		{"a must skipped for want of what nobody knows", func(f *forgery) {
			f.result(stale).Verdict, f.result(stale).Lacks = reports.Skip, "patience"
		}, "level", stale + " (must) was skipped"},
		{"everything skipped", func(f *forgery) {
			for i := range f.run.Results {
				f.run.Results[i].Verdict, f.run.Results[i].Lacks = reports.Skip, "timestamp"
			}
		}, "level", "0 of its musts passed"},
		{"a should with a warning, at gold", func(f *forgery) { f.result(lesser).Verdict = reports.Warn }, "level", lesser + " (should) had a warning"},
		{"a should that could not be judged, at gold", func(f *forgery) { f.result(lesser).Verdict = reports.Inconclusive }, "level", lesser},
		{"a must called a should", func(f *forgery) {
			f.result(stale).Level, f.result(stale).Verdict = "should", reports.Warn
		}, "run", stale + " is a should in the results, and a must in the catalogue"},
		{"a pass without evidence", func(f *forgery) { f.result(stale).Evidence = nil }, "level", "no evidence"},
		{"a fail called a pass", func(f *forgery) {
			for i, x := range f.result(stale).Evidence {
				if !strings.HasPrefix(x.Label, "control") {
					f.result(stale).Evidence[i].Status = 200
				}
			}
		}, "level", "its evidence shows that the delivery was accepted"},
		{"an effect of a forgery", func(f *forgery) {
			one := 1
			for i, x := range f.result(stale).Evidence {
				if !strings.HasPrefix(x.Label, "control") {
					f.result(stale).Evidence[i].Effects = &one
				}
			}
		}, "level", "its evidence shows that the delivery was accepted"},
		{"a refusal called accepted", func(f *forgery) {
			for i := range f.result(honest).Evidence {
				f.result(honest).Evidence[i].Status = 401
			}
		}, "level", "no delivery that was accepted"},
		{"a refusal without an honest delivery beside it", func(f *forgery) {
			f.result(stale).Evidence = slices.DeleteFunc(f.result(stale).Evidence, func(x reports.Exchange) bool { return strings.HasPrefix(x.Label, "control") })
		}, "level", "no honest delivery that was accepted"},
		{"a case less", func(f *forgery) { f.run.Results = f.run.Results[1:] }, "run", "has no result"},
		{"a suite less", func(f *forgery) {
			f.run.Results = slices.DeleteFunc(f.run.Results, func(r reports.Result) bool { return strings.HasPrefix(r.ID, "receiver/timestamp") })
		}, "level", "was not run"},
		{"no case at all", func(f *forgery) { f.run.Results = nil }, "level", "was not run"},
		{"a case more", func(f *forgery) {
			more := f.run.Results[0]
			more.ID = "receiver/mine/easy"
			f.run.Results = append(f.run.Results, more)
		}, "run", "receiver/mine/easy has a result"},
		{"verdicts by statuses alone", func(f *forgery) { f.result(stale).StatusOnly = true }, "level", "statuses alone"},
		{"a run without a probe", func(f *forgery) { f.run.Subject.Probe = "" }, "level", "statuses alone"},
		{"another verdict in the report", func(f *forgery) {
			report := f.run
			report.Results = slices.Clone(f.run.Results)
			report.Results[0].Verdict = reports.Warn
			f.report = &report
		}, "content", "a result was swapped"},
		{"two results that changed places", func(f *forgery) {
			report := f.run
			report.Results = slices.Clone(f.run.Results)
			report.Results[0], report.Results[1] = report.Results[1], report.Results[0]
			f.report = &report
		}, "content", "a result was swapped"},
		{"a shorter report", func(f *forgery) {
			report := f.run
			report.Results = f.run.Results[:10]
			f.report = &report
		}, "content", "has 10 results"},
		{"a failure excused in the report", func(f *forgery) {
			report := f.run
			report.Results = slices.Clone(f.run.Results)
			report.Results[0].Known = "we know"
			f.report = &report
		}, "content", "a result was swapped"},
		{"the seed of another run", func(f *forgery) { f.manifest.Seed++ }, "content", "they are of two runs"},
		{"the profile of another run", func(f *forgery) { f.manifest.Profile = "svix" }, "content", "they are of two runs"},
		{"another profile claimed", func(f *forgery) { f.claims.Profile = "svix" }, "content", "they are of two runs"},
		{"another role claimed", func(f *forgery) { f.claims.Role = "sender" }, "content", "they are of two runs"},
		{"a sender", func(f *forgery) { f.claims.Role, f.manifest.Role, f.run.Subject.Role = "sender", "sender", "sender" }, "run", "judged a sender"},
		{"a profile of its own", func(f *forgery) { f.claims.Profile, f.manifest.Profile, f.run.Profile = "mine", "mine", "mine" }, "scenarios", "none of those that are shipped"},
		{"a run that was interrupted", func(f *forgery) { f.run.State = reports.Interrupted }, "run", "did not come to its end"},
		{"a filter", func(f *forgery) { f.set("filter", "must") }, "run", `by the filter "must"`},
		{"a level of the run", func(f *forgery) { f.set("level", "must") }, "run", "the setting level"},
		{"known failures", func(f *forgery) { f.set("known-failures", "known.yaml") }, "run", "known failures"},
		{"a baseline", func(f *forgery) { f.set("baseline", "last-week") }, "run", "held against a baseline"},
		{"a baseline in the report alone", func(f *forgery) {
			report := f.run
			report.Baseline = &reports.Baseline{From: "last-week"}
			f.report = &report
		}, "content", "they are of two runs"},
		{"what counts as a refusal", func(f *forgery) { f.set("reject", "404") }, "run", "the setting reject"},
		{"what counts as accepted", func(f *forgery) { f.set("accept", "200-599") }, "run", "the setting accept"},
		{"a setting that nobody knows", func(f *forgery) { f.set("lenient", "true") }, "run", "the setting lenient"},
		{"a rate of its own", func(f *forgery) { f.set("rate", "1/s") }, "run", "the rate"},
		{"other suites", func(f *forgery) { f.manifest.Selected = []string{"receiver/fidelity"} }, "run", "not the suites of the level"},
		{"no suites", func(f *forgery) { f.manifest.Selected = nil }, "run", "not the suites of the level"},
		{"the suites of a lower level", func(f *forgery) { f.manifest.Selected = []string{"receiver/timestamp"} }, "run", "not the suites of the level"},
		{"a lower level than is supported", func(f *forgery) { f.claims.Level = "full" }, "level", "says full, and its results support gold"},
		{"a level that there is not", func(f *forgery) { f.claims.Level = "platinum" }, "level", "has no level"},
		{"another version of the programme", func(f *forgery) { f.claims.Programme.Version = 2 }, "programme", "version 2 of the programme small, and version 3 is expected"},
		{"another programme", func(f *forgery) { f.claims.Programme.Name = "webhook-receiver" }, "programme", `"small" is expected`},
		{"a longer validity", func(f *forgery) { f.claims.Expires = f.claims.Expires.AddDate(5, 0, 0) }, "time", "30 days"},
		{"an old run issued anew", func(f *forgery) {
			f.run.Started, f.run.Ended = f.run.Started.AddDate(-1, 0, 0), f.run.Ended.AddDate(-1, 0, 0)
		}, "time", "must be issued within a day"},
		{"issued before its run", func(f *forgery) {
			f.claims.Issued = f.claims.Issued.AddDate(0, 0, -2)
			f.claims.Expires = f.claims.Expires.AddDate(0, 0, -2)
		}, "time", "must be issued within a day"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := bundle(t, 0)
			forge(t, dir, tt.change)
			wantRefused(t, verify(t, dir), tt.check, tt.reason)
		})
	}
}

// Files that were exchanged for weaker ones before the bundle was signed.
func TestWeakerInputs(t *testing.T) {
	for _, tt := range []struct {
		name   string
		tamper func(t *testing.T, dir string)
		check  string
		reason string
	}{
		{"a suite with weaker cases", swap(suiteFile, "level: must", "level: may"), "scenarios", "not the suite as"},
		{"a profile that asks for less", swap(reports.ProfileFile, "tolerance: 5m", "tolerance: 50m"), "scenarios", "not the profile standard-webhooks as"},
		{"a programme that demands less", swap(certificate.ProgrammeFile, "passed: 20", "passed: 1"), "programme", "it was changed"},
		{"a programme that excuses more", swap(certificate.ProgrammeFile, "excuses: [", "excuses: [signature, "), "programme", "it was changed"},
		{"a suite that is none", func(t *testing.T, dir string) {
			write(t, dir, "scenarios/receiver/mine.yaml", []byte("suite: receiver/mine\n"))
		}, "content", "no file that the run was made of"},
		{"a baseline that nobody named", func(t *testing.T, dir string) { write(t, dir, reports.BaselineFile, []byte("{}\n")) }, "content", "no file that the run was made of"},
		{"known failures that nobody listed", func(t *testing.T, dir string) { write(t, dir, reports.KnownFile, []byte("[]\n")) }, "content", "no file that the run was made of"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := bundle(t, 0)
			forgeAround(t, dir, func() { tt.tamper(t, dir) })
			wantRefused(t, verify(t, dir), tt.check, tt.reason)
		})
	}
}

// A baseline that stands among the inputs, and in no setting.
func TestBaselineAmongTheInputs(t *testing.T) {
	dir := bundle(t, 0)
	forge(t, dir, func(f *forgery) {
		write(t, dir, reports.BaselineFile, []byte("{}\n"))
		f.manifest.Inputs = append(f.manifest.Inputs, reports.NewInput(reports.BaselineFile, "last-week", nil))
	})
	wantRefused(t, verify(t, dir), "run", "held against a baseline")
}

// forgeAround tampers with files, and then has the manifest and the signature agree.
func forgeAround(t *testing.T, dir string, tamper func()) {
	t.Helper()
	forge(t, dir, func(*forgery) { tamper() })
}

// A results folder that was changed after its run, before it was signed.
func TestChangedBeforeItWasSigned(t *testing.T) {
	for _, tt := range []struct {
		name   string
		tamper func(t *testing.T, dir string)
		check  string
		reason string
	}{
		{"a report that tells it better", swap("report.txt", "receiver", "Receiver"), "content", "report.txt was changed"},
		{"a report that is gone", remove("report.xml"), "content", "report.xml is missing"},
		{"no digests", remove(reports.SumsFile), "files", "SHA256SUMS is missing"},
		{"digests without the last", func(t *testing.T, dir string) {
			sums := read(t, dir, reports.SumsFile)
			write(t, dir, reports.SumsFile, sums[:bytes.LastIndexByte(sums[:len(sums)-1], '\n')+1])
		}, "content", "SHA256SUMS was cut off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := bundle(t, 0)
			tt.tamper(t, dir)
			reseal(t, dir, signer(t), func(*certificate.Claims) {})
			wantRefused(t, verify(t, dir), tt.check, tt.reason)
		})
	}
}

// A signed statement that says more than the files do.
func TestStatementOfOthers(t *testing.T) {
	for _, tt := range []struct{ from, to string }{
		{`"level":"gold"`, `"level":"platinum"`},
		{`"name":"Inbox 2.1 (Acme)"`, `"name":"Inbox 3.0 (Acme)"`},
		{`"result":"PASSED"`, `"result":"WARNED"`},
		{`"passedTests":["`, `"passedTests":["receiver/mine/easy","`},
	} {
		dir := bundle(t, 0)
		envelope(func(t *testing.T, e *dsse.Envelope) {
			payload, err := base64.StdEncoding.DecodeString(e.Payload)
			must(t, err)
			if !bytes.Contains(payload, []byte(tt.from)) {
				t.Fatalf("the statement does not hold %s", tt.from)
			}
			by, err := dsse.NewEnvelopeSigner(signer(t).private)
			must(t, err)
			forged, err := by.SignPayload(t.Context(), e.PayloadType, bytes.Replace(payload, []byte(tt.from), []byte(tt.to), 1))
			must(t, err)
			*e = *forged
		})(t, dir)
		wantRefused(t, verify(t, dir), "content", "not what the files come to")
	}
}

func TestVerifiedBy(t *testing.T) {
	dir := bundle(t, 0)
	other, err := newPair("ed25519")
	must(t, err)
	third, err := newPair("p256")
	must(t, err)
	later := small(t)
	changed := *later
	changed.Version = 4
	builtIn, err := certification.Find("webhook-receiver")
	must(t, err)
	us := signer(t).public
	now := time.Now()
	for _, tt := range []struct {
		name      string
		keys      []*certificate.PublicKey
		programme *scenarios.Programme
		now       time.Time
		check     string
		reason    string
	}{
		{"our key", []*certificate.PublicKey{us}, small(t), now, "", ""},
		{"our key among others", []*certificate.PublicKey{other.public, us, third.public}, small(t), now, "", ""},
		{"another key", []*certificate.PublicKey{other.public}, small(t), now, "signature", "signed by somebody else"},
		{"a key of another kind", []*certificate.PublicKey{third.public}, small(t), now, "signature", "signed by somebody else"},
		{"no key", nil, small(t), now, "signature", "no key is given"},
		{"a later version of the programme", []*certificate.PublicKey{us}, &changed, now, "programme", "version 3 of the programme small, and version 4 is expected"},
		{"another programme", []*certificate.PublicKey{us}, builtIn, now, "programme", `"webhook-receiver" is expected`},
		{"no programme", []*certificate.PublicKey{us}, nil, now, "programme", "not known here"},
		{"its last day but one", []*certificate.PublicKey{us}, small(t), now.AddDate(0, 0, 29), "", ""},
		{"when it has expired", []*certificate.PublicKey{us}, small(t), now.AddDate(0, 0, 30).Add(time.Minute), "time", "expired on"},
		{"before it was issued", []*certificate.PublicKey{us}, small(t), now.AddDate(0, 0, -1), "time", "yet to come"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := certification.Verify(t.Context(), dir, certification.Options{Keys: tt.keys, Programme: tt.programme, Now: tt.now})
			wantRefused(t, v, tt.check, tt.reason)
		})
	}
}

// A programme may allow what is refused otherwise; what it allows excuses nothing.
func TestAllowed(t *testing.T) {
	src, err := os.ReadFile("testdata/small.yaml")
	must(t, err)
	file := filepath.Join(t.TempDir(), "lenient.yaml")
	must(t, os.WriteFile(file, []byte(strings.Replace(string(src), "validity: 30",
		"validity: 30\nsettings: [ack-deadline]\nfilters: ['!serial']\nknown-failures: true\nprofiles: [standard-webhooks]", 1)), 0o600))
	lenient, err := certification.Find(file)
	must(t, err)
	known := filepath.Join(t.TempDir(), "known.yaml")
	must(t, os.WriteFile(known, []byte("- {id: receiver/timestamp/day-old, reason: later, until: 2099-01-01}\n"), 0o600))
	for defect, level := range map[string]string{"": "gold", "ignores-timestamp": ""} {
		o := order(t, lenient, "standard-webhooks", defect)
		o.Settings.AckDeadline, o.Settings.Filter = 5*time.Second, "!serial"
		if defect != "" {
			o.Settings.KnownFailures = known
		}
		out, _ := perform(t, o, signer(t).private)
		if out.Level != level {
			t.Errorf("a receiver with the defect %q is awarded %q, want %q: %.300s", defect, out.Level, level, fmt.Sprint(out.Levels))
		}
		o.Settings.Profile = "svix"
		o.Dir += "-2"
		if _, err := o.Plan(t.Context()); err == nil || !strings.Contains(err.Error(), "is for standard-webhooks") {
			t.Errorf("planned under another profile: %v", err)
		}
	}
}
