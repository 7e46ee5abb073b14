package certification

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/reports/certificate"
	"github.com/hookanvil/hookanvil/scenarios"
)

// The checks of a certificate that need the suites, after those of certificate.Open.
const (
	CheckProgramme = "programme" // it is the programme that is known here, unchanged
	CheckScenarios = "scenarios" // the suites and the profile are those of this version
	CheckRun       = "run"       // the programme allows how the run was made
	CheckLevel     = "level"     // the results support the level
	CheckTime      = "time"      // the certificate is valid now
)

func refused(check, format string, args ...any) certificate.Refusal {
	return certificate.Refusal{Check: check, Reason: fmt.Sprintf(format, args...)}
}

// harmless are the settings that say where the subject is, with which secrets, and how the
// run goes, and change no verdict for the better. Any other has to be allowed by the
// programme, or has a check of its own.
var harmless = []string{
	"target", "profile", "secret", "pki", "second-secret", "retired-secret", "other-secret", "other-path",
	"probe-url", "probe-exec", "probe-file", "header",
	"cert", "key", "ca", "tls-passphrase", "client-name", "server-name",
	"trigger", "register", "remove", "rotate", "restart", "hook-header", "issued-secret", "next-secret", "client-ca",
	"listen", "public-url", "endpoint-path", "untrusted", "resolver", "observe", "allow-remote-load",
	"parallel", "seed", "fail-fast", "timeout", "journal", "out", "report",
}

// judgedByThemselves are the settings for which there is a check below.
var judgedByThemselves = []string{"filter", "known-failures", "baseline", "rate", "duration"}

// allowed finds what a programme does not allow of how a run was made.
func allowed(p *scenarios.Programme, m reports.Manifest, names []string) (all []certificate.Refusal) {
	for _, s := range m.Settings {
		if !slices.Contains(slices.Concat(harmless, judgedByThemselves, p.Settings), s.Name) {
			all = append(all, refused(CheckRun, "the setting %s (%s) changes how cases are judged or which are, and the programme %s does not allow it", s.Name, strings.Join(s.Values, ", "), p.Name))
		}
	}
	for _, filter := range m.Setting("filter") {
		if !slices.Contains(p.Filters, filter) {
			all = append(all, refused(CheckRun, "the run left cases out by the filter %q, which the programme %s does not allow", filter, p.Name))
		}
	}
	held := slices.ContainsFunc(m.Inputs, func(in reports.Input) bool { return in.Path == reports.BaselineFile })
	if m.Setting("baseline") != nil || held {
		all = append(all, refused(CheckRun, "the run was held against a baseline, which excuses failures; no programme allows that"))
	}
	listed := slices.ContainsFunc(m.Inputs, func(in reports.Input) bool { return in.Path == reports.KnownFile })
	if (m.Setting("known-failures") != nil || listed) && !p.KnownFailures {
		all = append(all, refused(CheckRun, "the run had known failures, which the programme %s does not allow", p.Name))
	}
	if len(p.Profiles) > 0 && !slices.Contains(p.Profiles, m.Profile) {
		all = append(all, refused(CheckRun, "the run was made under the profile %s, and the programme %s is for %s", m.Profile, p.Name, strings.Join(p.Profiles, ", ")))
	}
	if role := p.Role(); m.Role != role {
		all = append(all, refused(CheckRun, "the run judged a %s, and the programme %s is for a %s", m.Role, p.Name, role))
	}
	return append(all, declared(p, m, names)...)
}

// declared demands of a load the rate and the time that the programme declares.
func declared(p *scenarios.Programme, m reports.Manifest, names []string) (all []certificate.Refusal) {
	due := map[string][]string{"rate": nil, "duration": nil}
	if hasLoad(names) && p.Load != nil {
		due = map[string][]string{"rate": {p.Load.Rate}, "duration": {p.Load.Duration.String()}}
	}
	for _, name := range []string{"rate", "duration"} {
		if got := m.Setting(name); !slices.Equal(got, due[name]) {
			all = append(all, refused(CheckRun, "the run was made with the %s %q, and the programme %s declares %q", name, got, p.Name, due[name]))
		}
	}
	return all
}
