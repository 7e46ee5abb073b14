package suites

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/fixtures/pki/material"
	"github.com/hookanvil/hookanvil/fixtures/probe"
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
	"github.com/hookanvil/hookanvil/suites/receiver"
)

// Receiver makes the receiver that the settings name, with its profile, keys and
// probe, and a redactor that knows every secret which was read on the way. Nothing
// is sent; the target's name is resolved.
func (s Settings) Receiver(ctx context.Context) (receiver.Subject, *reports.Redactor, error) {
	var v vault
	subject, err := s.receiver(ctx, &v)
	return subject, reports.NewRedactor(v.secrets...), err
}

func (s Settings) receiver(ctx context.Context, v *vault) (subject receiver.Subject, err error) {
	if subject.URL, err = s.targetURL(); err != nil {
		return subject, err
	}
	if subject.Profile, err = s.FoundProfile(); err != nil {
		return subject, err
	}
	if !subject.Profile.Authentic() && subject.Profile.Challenge == nil {
		return subject, fmt.Errorf("judge a receiver under profile %s: its deliveries are not signed, so that a receiver cannot tell a forgery; name another with --profile", subject.Profile.Name)
	}
	for _, set := range []struct {
		flag  string
		specs []string
		keys  *profile.Keys
	}{
		{"secret", s.Secret, &subject.Keys}, {"second-secret", s.SecondSecret, &subject.Second},
		{"retired-secret", s.RetiredSecret, &subject.Retired}, {"other-secret", s.OtherSecret, &subject.Other},
	} {
		if *set.keys, err = v.keys(subject.Profile, set.flag, set.specs); err != nil {
			return subject, err
		}
	}
	if subject.Keys == nil && subject.Profile.Signed() {
		return subject, noSecret(subject.Profile)
	}
	if s.OtherPath != "" {
		if subject.OtherURL, err = otherEndpoint(subject.URL, s.OtherPath); err != nil {
			return subject, err
		}
	}
	if subject.Headers, err = v.headers("header", s.Header); err != nil {
		return subject, err
	}
	if subject.Probe, err = s.probe(); err != nil {
		return subject, err
	}
	if subject.Answers.Accept, err = predicates("accept", s.Accept); err != nil {
		return subject, err
	}
	if subject.Answers.Reject, err = predicates("reject", s.Reject); err != nil {
		return subject, err
	}
	subject.Limits = receiver.Limits{Answer: s.AckDeadline, Slow: s.SlowLimit}
	read, err := s.material(subject.URL, v)
	if err != nil {
		return subject, err
	}
	subject.Notes = read.Notes
	if !subject.Profile.Authentic() {
		subject.Notes = append(subject.Notes, fmt.Sprintf("deliveries under profile %s are not signed: a receiver cannot tell a forgery, and none is tried", subject.Profile.Name))
	}
	if subject.Endpoint, err = wire.Resolve(ctx, subject.URL); err != nil {
		return subject, err
	}
	secure(&subject.Endpoint, read)
	return subject, s.authority(&subject)
}

// authority opens the authority that the target trusts for its clients. It has signed
// the target's own certificate too, where that comes from hookanvil pki init.
func (s Settings) authority(subject *receiver.Subject) (err error) {
	switch {
	case s.ClientName != "" && s.PKI == "":
		return fmt.Errorf("use --client-name: it names the client certificates that are signed by us, and there is no authority to sign them; give --pki DIR as well")
	case s.PKI == "" || subject.Endpoint.TLS == nil:
		return nil
	}
	if subject.Authority, err = pki.Open(s.PKI); err != nil {
		return fmt.Errorf("read --pki: %w", err)
	}
	subject.Client = clientNamed(cmp.Or(s.ClientName, admitted(subject.Profile)))
	if s.CA != "" {
		return nil
	}
	if subject.Endpoint.TLS.RootCAs, err = x509.SystemCertPool(); err != nil {
		subject.Endpoint.TLS.RootCAs = x509.NewCertPool()
	}
	subject.Endpoint.TLS.RootCAs.AddCert(subject.Authority.Root())
	return nil
}

// admitted is a name by which the provider's receivers know it, "" where its profile
// has none.
func admitted(p *profile.Profile) string {
	if p.TLS == nil || len(p.TLS.Names) == 0 {
		return ""
	}
	return p.TLS.Names[0]
}

func clientNamed(name string) pki.Subject {
	subject := pki.Subject{Name: name}
	if hostName.MatchString(name) {
		subject.Hosts = []string{name}
	}
	return subject
}

var hostName = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]+$`)

// material reads what the settings name for TLS. It would do nothing to a target
// that is reached without, and who gives it there expects something of it.
func (s Settings) material(target *url.URL, v *vault) (*material.Material, error) {
	o := material.Options{Cert: s.Cert, Key: s.Key, CA: s.CA, MinVersion: s.TLSMin, ServerName: s.ServerName}
	for _, given := range []struct{ flag, value string }{
		{"cert", s.Cert}, {"key", s.Key}, {"ca", s.CA}, {"tls-passphrase", s.TLSPassphrase}, {"tls-min", s.TLSMin}, {"server-name", s.ServerName},
	} {
		if given.value != "" && target.Scheme != "https" {
			return nil, fmt.Errorf("use --%s: it is for TLS, and the target %s is reached without; write the target with https://, or leave --%s out",
				given.flag, strictyaml.Quote(s.Target), given.flag)
		}
	}
	if s.TLSPassphrase != "" {
		var err error
		if o.Passphrase, err = v.read(s.TLSPassphrase); err != nil {
			return nil, fmt.Errorf("read --tls-passphrase: %w", err)
		}
	}
	return material.Load(o)
}

// secure has the connections to an endpoint use the material.
func secure(e *wire.Endpoint, m *material.Material) {
	if e.TLS == nil {
		return
	}
	e.TLS.RootCAs, e.TLS.MinVersion, e.Identity = m.Roots, m.MinVersion, m.Identity
	e.TLS.ServerName = cmp.Or(m.ServerName, e.TLS.ServerName)
}

// Signer makes the profile and the keys that the settings name.
func (s Settings) Signer() (*profile.Profile, profile.Keys, error) {
	p, err := s.FoundProfile()
	if err != nil {
		return nil, nil, err
	}
	keys, err := new(vault).keys(p, "secret", s.Secret)
	if err == nil && !p.Signed() {
		err = fmt.Errorf("use profile %s: its deliveries are not signed, and there is nothing to sign or verify", p.Name)
	}
	if err == nil && keys == nil {
		err = noSecret(p)
	}
	return p, keys, err
}

func noSecret(p *profile.Profile) error {
	return fmt.Errorf("use profile %s: no secret is given; name where it is with --secret env:NAME or --secret file:PATH", p.Name)
}

func (s Settings) targetURL() (*url.URL, error) {
	if s.Target == "" {
		return nil, errors.New("choose a receiver to judge: no target is given; name its URL with --target, or start one to try things on with hookanvil reference receiver")
	}
	u, err := url.Parse(s.Target)
	if err != nil {
		return nil, fmt.Errorf("read the target %s: it is no URL; write it like http://127.0.0.1:8080/webhook", strictyaml.Quote(s.Target))
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("read the target %s: it must begin with http:// or https:// and name a host, like http://127.0.0.1:8080/webhook", strictyaml.Quote(s.Target))
	case u.User != nil:
		return nil, errors.New("read the target: it holds a user name or password; send those with --header 'Authorization: env:NAME'")
	case u.Fragment != "":
		return nil, fmt.Errorf("read the target %s: it has a fragment, which is never sent; remove the # and what follows", strictyaml.Quote(s.Target))
	}
	return u, nil
}

func otherEndpoint(target *url.URL, path string) (*url.URL, error) {
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("read --other-path %s: it must begin with /; the other endpoint is on the same address", strictyaml.Quote(path))
	}
	u, err := target.Parse(path)
	if err != nil || u.Host != target.Host {
		return nil, fmt.Errorf("read --other-path %s: it is no path on the target's own address", strictyaml.Quote(path))
	}
	return u, nil
}

func (s Settings) probe() (counts probe.Probe, err error) {
	given := 0
	for _, p := range []struct {
		from string
		make func(string) (probe.Probe, error)
	}{{s.ProbeURL, probe.NewHTTP}, {s.ProbeExec, probe.NewExec}, {s.ProbeFile, probe.NewFile}} {
		if p.from == "" {
			continue
		}
		if given++; given > 1 {
			return nil, errors.New("choose how effects are counted: give one of --probe-url, --probe-exec and --probe-file")
		}
		if counts, err = p.make(p.from); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

// FindProfile returns a shipped profile by its name, or reads one from a YAML file.
func FindProfile(nameOrFile string) (*profile.Profile, error) {
	switch {
	case nameOrFile == "":
		return nil, fmt.Errorf("choose how deliveries are signed: no profile is given; name one of the %d that hookanvil profiles lists, or a YAML file, with --profile", len(profiles.Names()))
	case !isFile(nameOrFile):
		return profiles.Get(nameOrFile)
	}
	src, err := readSmall(nameOrFile)
	if err != nil {
		return nil, fmt.Errorf("read the profile: %w", err)
	}
	return profile.Parse(nameOrFile, src)
}

// FoundProfile is the profile that the settings name, with the facts that they tell.
func (s Settings) FoundProfile() (*profile.Profile, error) {
	p, err := FindProfile(s.Profile)
	if err != nil {
		return nil, err
	}
	for _, text := range s.Fact {
		name, value, told := strings.Cut(text, "=")
		switch known := factsOf(p); {
		case !told || value == "":
			return nil, fmt.Errorf("read --fact %s: write NAME=VALUE", strictyaml.Quote(text))
		case len(known) == 0:
			return nil, fmt.Errorf("read --fact %s: profile %s has no facts that could be told", strictyaml.Quote(text), p.Name)
		case !slices.Contains(known, name):
			return nil, fmt.Errorf("read --fact %s: profile %s has no such fact; it has %s", strictyaml.Quote(text), p.Name, strings.Join(known, ", "))
		}
		p = p.WithFact(name, value)
	}
	return p, nil
}

func factsOf(p *profile.Profile) (names []string) {
	for _, f := range p.Facts {
		names = append(names, f.Name)
	}
	return names
}

// isFile tells a file from a name.
func isFile(s string) bool {
	ext := filepath.Ext(s)
	return ext == ".yaml" || ext == ".yml" || strings.ContainsRune(s, filepath.Separator)
}

// readSmall reads a file that is meant to be small, and not much of one that is not.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, strictyaml.MaxBytes+1))
}

// vault reads secrets, and remembers them so that they can be kept out of reports.
type vault struct{ secrets []string }

// Where a secret may be.
const (
	fromEnvironment = "env:"
	fromFile        = "file:"
)

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// schemePrefix is the name of a signature before the place of its secret.
var schemePrefix = regexp.MustCompile(`^[A-Za-z0-9._-]+=(env|file):`)

// keys reads the secrets that one flag names, by scheme; nil where it names none.
func (v *vault) keys(p *profile.Profile, flag string, specs []string) (profile.Keys, error) {
	if len(specs) == 0 {
		return nil, nil
	}
	if !p.Signed() {
		return nil, fmt.Errorf("use --%s: deliveries under profile %s are not signed; leave it out, or name another profile", flag, p.Name)
	}
	keys := profile.Keys{}
	for _, spec := range specs {
		scheme, place := p.Schemes()[0].Name, spec
		if schemePrefix.MatchString(spec) {
			scheme, place, _ = strings.Cut(spec, "=")
		}
		secret, err := v.read(place)
		if err != nil {
			return nil, fmt.Errorf("read --%s: %w", flag, err)
		}
		keys[scheme] = append(keys[scheme], profile.NewSecret(secret))
	}
	if err := p.CheckKeys(keys); err != nil {
		return nil, fmt.Errorf("use --%s: %w", flag, err)
	}
	for name, secrets := range keys {
		for _, secret := range secrets {
			if bare := p.Bare(name, secret); bare != secret.Reveal() {
				v.keep(bare)
			}
		}
	}
	return keys, nil
}

// read reads the secret at a place. The error never shows what may be a secret.
func (v *vault) read(place string) (string, error) {
	if name, ok := strings.CutPrefix(place, fromEnvironment); ok {
		if !variable.MatchString(name) {
			return "", errors.New("what follows env: is no name of an environment variable; write env:NAME")
		}
		text, set := os.LookupEnv(name)
		if !set || text == "" {
			return "", fmt.Errorf("the environment variable %s is not set or empty; set it with export %s=VALUE", name, name)
		}
		return v.keep(text), nil
	}
	if path, ok := strings.CutPrefix(place, fromFile); ok {
		b, err := readSmall(path)
		if err != nil {
			return "", err
		}
		text := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
		if text == "" || len(b) > strictyaml.MaxBytes {
			return "", fmt.Errorf("the file %s is empty, or too large for a secret", strictyaml.Quote(path))
		}
		return v.keep(text), nil
	}
	return "", errors.New("a secret cannot be given by value, since command lines and configuration files are read by others; " +
		"name where it is: env:NAME or file:PATH, after SCHEME= where the profile has several signatures")
}

func (v *vault) keep(secret string) string {
	v.secrets = append(v.secrets, secret)
	return secret
}

// headers reads the headers that one flag gives, with the secrets that they name.
func (v *vault) headers(flag string, lines []string) (wire.Headers, error) {
	var headers wire.Headers
	for _, line := range lines {
		name, value, found := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case !found || !token.MatchString(name):
			return nil, fmt.Errorf("read --%s: it is no header; write it as 'Name: value'", flag)
		case framing.MatchString(name):
			return nil, fmt.Errorf("read --%s: %s belongs to the request's framing, which is not for a setting to decide", flag, name)
		case strings.ContainsAny(value, "\r\n\x00"):
			return nil, fmt.Errorf("read --%s %s: its value has a line break or a NUL", flag, name)
		}
		if strings.HasPrefix(value, fromEnvironment) || strings.HasPrefix(value, fromFile) {
			var err error
			if value, err = v.read(value); err != nil {
				return nil, fmt.Errorf("read --%s %s: %w", flag, name, err)
			}
		}
		headers.Add(name, value)
	}
	return headers, nil
}

var (
	token   = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	framing = regexp.MustCompile(`(?i)^(content-length|transfer-encoding|host|connection)$`)
)

// predicates reads answers as users write them: 200, 200-299 or 200:TEXT.
func predicates(flag string, texts []string) ([]wire.Predicate, error) {
	var all []wire.Predicate
	for _, text := range texts {
		statuses, body, _ := strings.Cut(text, ":")
		from, to, isRange := strings.Cut(statuses, "-")
		if !isRange {
			to = from
		}
		low, err1 := strconv.Atoi(from)
		high, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || low < 100 || high > 599 || low > high {
			return nil, fmt.Errorf("read --%s %s: it is no answer; write a status (200), a range (200-299), or a status and a text in the body (200:not satisfied)", flag, strictyaml.Quote(text))
		}
		all = append(all, wire.Predicate{From: low, To: high, Body: body})
	}
	return all, nil
}
