package certification

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/reports/certificate"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites"
)

// Options say what a certificate is verified by.
type Options struct {
	Keys []*certificate.PublicKey // of those who may have signed it
	// Programme is the programme that is expected; the built-in one of the name that the
	// certificate says where it is nil.
	Programme *scenarios.Programme
	Now       time.Time // the time at which it must be valid
}

// Verification is what became of a certificate. What it says of the certificate is true
// only where it is valid.
type Verification struct {
	Schema string              `json:"schema"`
	Valid  bool                `json:"valid"`
	Claims *certificate.Claims `json:"certificate,omitempty"` // once the signature and the digests are verified
	KeyID  string              `json:"key,omitempty"`
	// Level is what the results support, worked out again.
	Level    string                `json:"level,omitempty"`
	Levels   []Standing            `json:"levels,omitempty"`
	Refusals []certificate.Refusal `json:"refusals,omitempty"`
}

const verificationSchema = "hookanvil.verification/1"

// clockSlack is by how much the clock of who signed may be ahead, and signing how long
// after the run a certificate may be issued: results age.
const (
	clockSlack = 5 * time.Minute
	signing    = 24 * time.Hour
)

// Verify verifies a bundle, offline: the signature and every digest; that the programme,
// the suites and the profile are those that are known here; that the programme allows how
// the run was made; and that the results, judged again, support the level.
func Verify(ctx context.Context, dir string, o Options) Verification {
	v := Verification{Schema: verificationSchema}
	b, all := certificate.Open(ctx, dir, o.Keys...)
	if b == nil {
		v.Refusals = all
		return v
	}
	v.Claims, v.KeyID = &b.Claims, b.KeyID
	p, all := expected(b, o.Programme)
	if p == nil {
		v.Refusals = all
		return v
	}
	v.Refusals = slices.Concat(inTime(p, b, o.Now), unknownSuites(b))
	all = v.judge(p, b)
	v.Refusals = append(v.Refusals, all...)
	v.Valid = len(v.Refusals) == 0
	return v
}

// expected is the programme that is known here, where the bundle's is the same.
func expected(b *certificate.Bundle, p *scenarios.Programme) (*scenarios.Programme, []certificate.Refusal) {
	said := b.Claims.Programme
	if p == nil {
		var err error
		if p, err = builtIn(said.Name); err != nil {
			return nil, []certificate.Refusal{refused(CheckProgramme, "%s", err)}
		}
	}
	switch {
	case p == nil:
		return nil, []certificate.Refusal{refused(CheckProgramme, "the certificate is of the programme %.64q, which is not known here; give its file with --programme, from whoever runs it", said.Name)}
	case said.Name != p.Name:
		return nil, []certificate.Refusal{refused(CheckProgramme, "the certificate is of the programme %.64q, and %q is expected", said.Name, p.Name)}
	case said.Version != p.Version:
		return nil, []certificate.Refusal{refused(CheckProgramme, "the certificate is of version %d of the programme %s, and version %d is expected", said.Version, p.Name, p.Version)}
	case !bytes.Equal(b.Files[certificate.ProgrammeFile], p.Source):
		return nil, []certificate.Refusal{refused(CheckProgramme, "%s is not version %d of the programme %s as it is known here: it was changed", certificate.ProgrammeFile, p.Version, p.Name)}
	}
	return p, nil
}

// builtIn is the built-in programme of a name; nil where there is none. No file is read: a
// bundle must not name one.
func builtIn(name string) (*scenarios.Programme, error) {
	all, err := Programmes()
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(all, func(p *scenarios.Programme) bool { return p.Name == name }); i >= 0 {
		return all[i], nil
	}
	return nil, nil
}

// inTime holds the times of a certificate against each other and against now.
func inTime(p *scenarios.Programme, b *certificate.Bundle, now time.Time) (all []certificate.Refusal) {
	issued, expires, ended := b.Claims.Issued, b.Claims.Expires, b.Run.Ended
	day := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	if !expires.Equal(expiry(p, issued)) {
		all = append(all, refused(CheckTime, "the certificate was issued on %s and expires on %s, and the programme says %d days", day(issued), day(expires), p.Validity))
	}
	// Issued has whole seconds.
	if ended.IsZero() || issued.Before(ended.Add(-time.Second)) || issued.After(ended.Add(signing)) {
		all = append(all, refused(CheckTime, "the certificate was issued on %s, and its run ended on %s: it must be issued within a day", day(issued), day(ended)))
	}
	switch {
	case !now.Before(expires):
		all = append(all, refused(CheckTime, "the certificate expired on %s", day(expires)))
	case now.Add(clockSlack).Before(issued):
		all = append(all, refused(CheckTime, "the certificate was issued on %s, which is yet to come", day(issued)))
	}
	return all
}

// unknownSuites finds suites that are not those of the catalogue here: a weaker case of the
// same name would pass for it.
func unknownSuites(b *certificate.Bundle) (all []certificate.Refusal) {
	catalogue, err := suites.Catalogue()
	if err != nil {
		return []certificate.Refusal{refused(CheckScenarios, "%s", err)}
	}
	for _, name := range slices.Sorted(maps.Keys(b.Files)) {
		suite, ok := reports.SuiteOf(name)
		if !ok {
			continue
		}
		i := slices.IndexFunc(catalogue, func(s *scenarios.Suite) bool { return s.Name == suite })
		if i < 0 {
			all = append(all, refused(CheckScenarios, "%s is no suite of the catalogue", name))
			continue
		}
		src, err := scenarios.Catalogue.ReadFile(catalogue[i].File)
		if err != nil || !bytes.Equal(src, b.Files[name]) {
			all = append(all, refused(CheckScenarios, "%s is not the suite as %s has it: it was changed, or the run was made by another version (%s), which can verify it",
				name, suites.Tool(), b.Run.Tool))
		}
	}
	return all
}

// judge works the level out again.
func (v *Verification) judge(p *scenarios.Programme, b *certificate.Bundle) (all []certificate.Refusal) {
	profile, all := knownProfile(b.Manifest, b.Manifest.Inputs)
	if profile == nil {
		return all
	}
	rank := p.Rank(b.Claims.Level)
	if rank == 0 {
		return []certificate.Refusal{refused(CheckLevel, "the programme %s has no level %.64q", p.Name, b.Claims.Level)}
	}
	names := slices.Clone(b.Manifest.Selected)
	all = allowed(p, b.Manifest, names)
	if b.Run.State != reports.Complete {
		all = append(all, refused(CheckRun, "the run is %s: it did not come to its end", b.Run.State))
	}
	tried := triedFor(p, names)
	if tried < rank {
		return append(all, refused(CheckRun, "the run was made of %q, which are not the suites of the level %s or of a higher one", names, b.Claims.Level))
	}
	cases, err := casesOf(p, tried, b.Manifest.Setting("filter"), b.Manifest.Profile)
	if err != nil {
		return append(all, refused(CheckRun, "%s", err))
	}
	all = append(all, otherCases(cases, b)...)
	v.Levels = newEvidence(b.Run, cases, profile, b.Manifest).standings(p)[:tried]
	v.Level = highest(v.Levels)
	if v.Level != b.Claims.Level {
		all = append(all, unsupported(v.Level, b.Claims.Level, v.Levels[rank-1])...)
	}
	return all
}

// triedFor is the rank of the level whose suites these are; 0 where there is none.
func triedFor(p *scenarios.Programme, names []string) int {
	for rank := len(p.Levels); rank > 0; rank-- {
		if slices.Equal(p.Suites(rank), names) {
			return rank
		}
	}
	return 0
}

// otherCases finds results of cases that were not to be judged, cases without one, suites
// without their file, and results that say something else of a case than the catalogue.
func otherCases(cases []scenarios.Case, b *certificate.Bundle) (all []certificate.Refusal) {
	known := map[string]scenarios.Case{}
	for _, c := range cases {
		known[c.Name()] = c
		if file := reports.SuiteFile(c.Suite); b.Files[file] == nil {
			all = append(all, refused(CheckScenarios, "%s is missing", file))
		}
	}
	slices.SortFunc(all, func(x, y certificate.Refusal) int { return bytes.Compare([]byte(x.Reason), []byte(y.Reason)) })
	all = slices.Compact(all)
	for _, r := range b.Run.Results {
		c, ok := known[r.ID]
		switch {
		case !ok:
			all = append(all, refused(CheckRun, "%s has a result, and is no case that was to be judged", r.ID))
		case string(c.Level) != r.Level || c.Title != r.Title:
			all = append(all, refused(CheckRun, "%s is a %s in the results, and a %s in the catalogue; or it has another title", r.ID, r.Level, c.Level))
		}
		delete(known, r.ID)
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		all = append(all, refused(CheckRun, "%s has no result", name))
	}
	return all
}

func unsupported(level, claimed string, s Standing) (all []certificate.Refusal) {
	for _, missing := range s.Missing {
		all = append(all, refused(CheckLevel, "the level %s is not supported: %s", claimed, missing))
	}
	if len(all) == 0 {
		all = append(all, refused(CheckLevel, "the certificate says %s, and its results support %s", claimed, level))
	}
	return all
}
