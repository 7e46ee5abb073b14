package certification

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/reports/certificate"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
	"github.com/hookanvil/hookanvil/suites"
)

// Order is a certification that is asked for.
type Order struct {
	Programme *scenarios.Programme
	Aim       string // level to try for; the highest where it is empty
	Subject   certificate.Identity
	Dir       string // of the bundle
	Settings  suites.Settings
}

// Plan makes a session's configuration of the order. Everything that would have the
// certificate refused although every case passes is an error here, before anything is sent.
func (o Order) Plan(ctx context.Context) (suites.Config, error) {
	if err := o.Subject.Check(); err != nil {
		return suites.Config{}, fmt.Errorf("certify: %w", err)
	}
	rank, err := o.rank()
	if err != nil {
		return suites.Config{}, err
	}
	names := o.Programme.Suites(rank)
	s := o.Settings
	// Rate and duration are the programme's, whatever a file of settings has for other runs.
	s.Out, s.Rate, s.Duration = o.Dir, "", 0
	if hasLoad(names) {
		s.Rate, s.Duration = o.Programme.Load.Rate, o.Programme.Load.Duration
	}
	if s.Out == "" {
		return suites.Config{}, errors.New("certify: there is no place for the bundle; name a folder with --out")
	}
	c, err := s.Plan(ctx, names)
	if err != nil {
		return c, err
	}
	if c.Subject.About.Role == "receiver" && c.Subject.About.Probe == "" && !o.Programme.Levels[0].StatusOnly {
		return c, fmt.Errorf("certify: the programme %s takes no verdict that rests on statuses alone; say how effects are counted, with --probe-url, --probe-exec or --probe-file", o.Programme.Name)
	}
	if _, all := knownProfile(c.Folder.Manifest, c.Folder.Manifest.Inputs); len(all) > 0 {
		return c, fmt.Errorf("certify: %s", all[0].Reason)
	}
	if all := allowed(o.Programme, c.Folder.Manifest, names); len(all) > 0 {
		return c, fmt.Errorf("certify: %s", all[0].Reason)
	}
	c.Folder.Manifest.Inputs = append(c.Folder.Manifest.Inputs, reports.NewInput(certificate.ProgrammeFile, o.Programme.File, o.Programme.Source))
	return c, nil
}

// rank is that of the level which is tried for.
func (o Order) rank() (int, error) {
	if o.Aim == "" {
		return len(o.Programme.Levels), nil
	}
	if rank := o.Programme.Rank(o.Aim); rank > 0 {
		return rank, nil
	}
	var levels []string
	for _, l := range o.Programme.Levels {
		levels = append(levels, l.Level)
	}
	return 0, fmt.Errorf("certify: the programme %s has no level %s; %s", o.Programme.Name, strictyaml.Quote(o.Aim), strictyaml.DidYouMean(o.Aim, levels))
}

// Outcome is what a certification came to.
type Outcome struct {
	Level  string // that was awarded; empty where none was
	Aimed  bool   // it is the one that was tried for, or higher
	Levels []Standing
}

// Award works out the level that the results in the folder support and, where there is
// one, seals the folder and verifies the certificate as anybody else would.
func (o Order) Award(ctx context.Context, key *certificate.Key, now time.Time) (Outcome, error) {
	aim, err := o.rank()
	if err != nil {
		return Outcome{}, err
	}
	run, manifest, err := readFolder(o.Dir)
	if err != nil {
		return Outcome{}, err
	}
	p, all := knownProfile(manifest, manifest.Inputs)
	if len(all) > 0 {
		return Outcome{}, fmt.Errorf("certify: %s", all[0].Reason)
	}
	// A higher level than was tried for may have the same suites.
	rank := max(aim, triedFor(o.Programme, manifest.Selected))
	cases, err := casesOf(o.Programme, rank, manifest.Setting("filter"), manifest.Profile)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Levels: newEvidence(run, cases, p, manifest).standings(o.Programme)[:rank]}
	if run.State != reports.Complete {
		for i := range out.Levels {
			out.Levels[i].Met = false
			out.Levels[i].Missing = append(out.Levels[i].Missing, "the run did not come to its end, or its folder was changed since: hookanvil report says which")
		}
		return out, nil
	}
	out.Level = highest(out.Levels)
	out.Aimed = o.Programme.Rank(out.Level) >= aim
	if out.Level == "" {
		return out, nil
	}
	claims := certificate.Claims{
		Subject: o.Subject, Role: manifest.Role, Profile: manifest.Profile,
		Programme: certificate.Programme{Name: o.Programme.Name, Version: o.Programme.Version, SHA256: reports.Digest(o.Programme.Source)},
		Level:     out.Level, Issued: now.UTC().Truncate(time.Second), Tool: manifest.Tool,
	}
	claims.Expires = expiry(o.Programme, claims.Issued)
	if err := certificate.Seal(ctx, o.Dir, claims, key); err != nil {
		return out, err
	}
	if v := Verify(ctx, o.Dir, Options{Keys: []*certificate.PublicKey{&key.PublicKey}, Programme: o.Programme, Now: now}); !v.Valid {
		return out, fmt.Errorf("the certificate that was written does not verify: %s", certificate.Words(v.Refusals))
	}
	return out, nil
}

func expiry(p *scenarios.Programme, issued time.Time) time.Time {
	return issued.AddDate(0, 0, p.Validity)
}

// readFolder reads what a level is worked out of.
func readFolder(dir string) (run reports.Run, m reports.Manifest, err error) {
	if run, err = reports.ReadFolder(dir); err != nil {
		return run, m, err
	}
	manifest, err := os.ReadFile(filepath.Join(dir, reports.ManifestFile))
	if err != nil {
		return run, m, fmt.Errorf("read the results: %w", err)
	}
	m, err = reports.ReadManifest(manifest)
	return run, m, err
}

// knownProfile is the shipped profile that a run was made under. Any other is refused: its
// author would say what can be asked of him.
func knownProfile(m reports.Manifest, inputs []reports.Input) (*profile.Profile, []certificate.Refusal) {
	src, err := profiles.Source(m.Profile)
	if err != nil {
		return nil, []certificate.Refusal{refused(CheckScenarios, "the profile %s is none of those that are shipped, and only under these is certified", strictyaml.Quote(m.Profile))}
	}
	i := slices.IndexFunc(inputs, func(in reports.Input) bool { return in.Path == reports.ProfileFile })
	if i < 0 || inputs[i].SHA256 != reports.Digest(src) {
		return nil, []certificate.Refusal{refused(CheckScenarios, "%s is not the profile %s as %s ships it: it was changed, or the run was made by another version (%s), which can verify it",
			reports.ProfileFile, m.Profile, suites.Tool(), m.Tool)}
	}
	p, err := profiles.Get(m.Profile)
	if err != nil {
		return nil, []certificate.Refusal{refused(CheckScenarios, "%s", err)}
	}
	return p, nil
}
