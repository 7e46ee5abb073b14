package suites

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
	"github.com/hookanvil/hookanvil/suites/sender"
)

// defaultListen is where endpoints listen unless the settings say otherwise.
const defaultListen = "127.0.0.1:0"

// Sender makes the sender that the settings name, with its profile, keys and
// hooks, and a redactor that knows every secret which was read on the way. Nothing
// listens yet, and no hook is done.
func (s Settings) Sender() (sender.Subject, *reports.Redactor, error) {
	var v vault
	subject, err := s.sender(&v)
	return subject, reports.NewRedactor(v.secrets...), err
}

func (s Settings) sender(v *vault) (subject sender.Subject, err error) {
	if subject.Profile, err = s.terms(); err != nil {
		return subject, err
	}
	if subject.Keys, err = v.keys(subject.Profile, "secret", s.Secret); err != nil {
		return subject, err
	}
	if subject.Next, err = v.keys(subject.Profile, "next-secret", s.NextSecret); err != nil {
		return subject, err
	}
	headers, err := v.headers("hook-header", s.HookHeader)
	if err != nil {
		return subject, err
	}
	if err := s.hooks(&subject, headers); err != nil {
		return subject, err
	}
	if err := s.checkSecrets(subject); err != nil {
		return subject, err
	}
	if subject.Listen, err = s.listenAddr(); err != nil {
		return subject, err
	}
	if subject.PublicURL, err = s.publicURL(); err != nil {
		return subject, err
	}
	if err := s.checkResolver(); err != nil {
		return subject, err
	}
	if err := s.senderTLS(&subject); err != nil {
		return subject, err
	}
	if s.EndpointPath != "" && (!strings.HasPrefix(s.EndpointPath, "/") || strings.ContainsAny(s.EndpointPath, "?#") || path.Clean(s.EndpointPath) != s.EndpointPath) {
		return subject, fmt.Errorf("read --endpoint-path %s: it must be a path such as /hook", strictyaml.Quote(s.EndpointPath))
	}
	subject.Path, subject.Untrusted, subject.SecretAt = s.EndpointPath, s.Untrusted, s.IssuedSecret
	subject.Limits = sender.Limits{Budget: s.Budget, Arrival: s.Arrival}
	subject.Limits.Hasten, err = s.timeScale()
	return subject, err
}

// hooks reads what can be done to the sender.
func (s Settings) hooks(subject *sender.Subject, headers wire.Headers) error {
	for _, h := range []struct {
		flag, text string
		action     *sender.Action
	}{
		{"trigger", s.Trigger, &subject.Trigger}, {"register", s.Register, &subject.Register}, {"remove", s.Remove, &subject.Remove},
		{"rotate", s.Rotate, &subject.Rotate}, {"restart", s.Restart, &subject.Restart}, {"move", s.Move, &subject.Move},
	} {
		if h.text == "" {
			continue
		}
		hook, err := sender.ParseHook(h.text, headers)
		if err != nil {
			return fmt.Errorf("read --%s: %w", h.flag, err)
		}
		if s.Register == "" && hook.Has("register") {
			return fmt.Errorf("read --%s: it has a place for what the answer to --register says, and no --register is given", h.flag)
		}
		*h.action = hook
	}
	switch {
	case subject.Register != nil && !subject.Register.Has("url"):
		return errors.New("read --register: it has no place for the endpoint's URL; put {url} where it belongs")
	case len(headers) > 0 && subject.Trigger == nil && subject.Register == nil:
		return errors.New("read --hook-header: there is no hook to send it with; give --trigger or --register")
	}
	return nil
}

// senderTLS says whom the sender trusts for servers, and whom its own client certificate
// may come from.
func (s Settings) senderTLS(subject *sender.Subject) (err error) {
	if r := subject.Register; r != nil && r.Has("client_certificate") != r.Has("client_key") {
		return errors.New("read --register: {client_certificate} and {client_key} belong together; put both where they belong")
	}
	subject.Authority, subject.ClientRoots, err = s.endpointTLS()
	return err
}

// endpointTLS opens the authority that senders trust, and reads those that their client
// certificates may come from; both are nil where nothing is said of them.
func (s Settings) endpointTLS() (authority *pki.Authority, clients *x509.CertPool, err error) {
	if s.PKI != "" {
		if authority, err = pki.Open(s.PKI); err != nil {
			return nil, nil, fmt.Errorf("read --pki: %w", err)
		}
	}
	switch {
	case s.ClientCA == "":
		return authority, nil, nil
	case authority == nil:
		return nil, nil, errors.New("read --client-ca: the sender would show its certificate to no endpoint, since it trusts none of ours; have it trust the ca.pem of hookanvil pki init DIR, and say --pki DIR")
	}
	clients, err = readRoots(s.ClientCA)
	return authority, clients, err
}

// readRoots reads the certificates in a PEM file.
func readRoots(path string) (*x509.CertPool, error) {
	src, err := readSmall(path)
	if err != nil {
		return nil, fmt.Errorf("read --client-ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(src) {
		return nil, fmt.Errorf("read --client-ca %s: it holds no certificate in PEM; name the file of the authority that has signed the sender's client certificate", strictyaml.Quote(path))
	}
	return roots, nil
}

// checkSecrets finds a signature that could not be verified, and a secret that
// would never be used.
func (s Settings) checkSecrets(subject sender.Subject) error {
	switch {
	case subject.Profile.Technique() == profile.SecretInQuery && subject.Profile.Signed():
		return fmt.Errorf("judge a sender under profile %s: its secret stands in the query, and is a part of the URL that the sender is told; write it into --endpoint-path, and name a profile for what else it sends", subject.Profile.Name)
	case s.IssuedSecret != "" && s.Register == "":
		return errors.New("read --issued-secret: it says where in the answer to --register the secret is, and no --register is given")
	case s.IssuedSecret != "" && !strings.HasPrefix(s.IssuedSecret, "/"):
		return fmt.Errorf("read --issued-secret %s: it must be a JSON pointer such as /secret", strictyaml.Quote(s.IssuedSecret))
	case subject.Next != nil && s.Rotate == "":
		return errors.New("read --next-secret: it is the secret after a rotation; say with --rotate how to rotate")
	case subject.Profile.Signed() && subject.Keys == nil && s.IssuedSecret == "":
		return fmt.Errorf("use profile %s: no secret is given; name where it is with --secret env:NAME or --secret file:PATH or, where the sender invents it, where the answer to --register says it, with --issued-secret /secret", subject.Profile.Name)
	}
	return nil
}

// terms is the profile, with the retry terms and the deadline that the settings
// declare instead of its own, as fast as the sender runs.
func (s Settings) terms() (*profile.Profile, error) {
	found, err := s.FoundProfile()
	if err != nil {
		return nil, err
	}
	p := *found
	p.Delivery.Deadline = cmp.Or(s.Deadline, p.Delivery.Deadline)
	retry := &profile.Retry{}
	if p.Retry != nil {
		retry = p.Retry.Scaled(1)
	}
	if len(s.RetrySchedule) > 0 {
		if retry.Schedule, err = gaps(s.RetrySchedule); err != nil {
			return nil, err
		}
		retry.Growth, retry.Over, retry.Attempts = nil, 0, len(retry.Schedule)+1
	}
	retry.Attempts = cmp.Or(s.RetryAttempts, retry.Attempts)
	factor, err := s.timeScale()
	if err != nil {
		return nil, err
	}
	if p.Retry != nil || len(s.RetrySchedule) > 0 || s.RetryAttempts > 0 {
		p.Retry = retry.Scaled(factor)
	}
	return &p, nil
}

// gaps reads 5s,5m,30m.
func gaps(texts []string) ([]time.Duration, error) {
	const most = 100
	var all []time.Duration
	for text := range strings.SplitSeq(strings.Join(texts, ","), ",") {
		d, err := strictyaml.ParseDuration(strings.TrimSpace(text))
		if err == nil && d < 0 {
			err = fmt.Errorf("%s is negative", text)
		}
		if err != nil {
			return nil, fmt.Errorf("read --retry-schedule: %w; write the gaps like 5s,5m,30m", err)
		}
		all = append(all, d)
	}
	if len(all) > most {
		return nil, fmt.Errorf("read --retry-schedule: it has %d gaps; at most %d are read", len(all), most)
	}
	return all, nil
}

// plainNumber is a decimal number without sign or exponent.
var plainNumber = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9})?$`)

// timeScale reads 0.001 or 1/1000.
func (s Settings) timeScale() (float64, error) {
	if s.TimeScale == "" {
		return 1, nil
	}
	over, under, isFraction := strings.Cut(s.TimeScale, "/")
	if !isFraction {
		under = "1"
	}
	if !plainNumber.MatchString(over) || !plainNumber.MatchString(under) {
		return 0, fmt.Errorf("read --time-scale %s: it is no factor; write it like 0.001 or 1/1000", strictyaml.Quote(s.TimeScale))
	}
	a, _ := strconv.ParseFloat(over, 64)  // the expression has seen to it
	b, _ := strconv.ParseFloat(under, 64) // and here
	const least = 1e-6
	if factor := a / b; b > 0 && least <= factor && factor <= 1 {
		return factor, nil
	}
	return 0, fmt.Errorf("read --time-scale %s: it must be from 1/1000000 to 1; a sender that retries a thousand times faster in test than declared has 1/1000", strictyaml.Quote(s.TimeScale))
}

// listenAddr is where endpoints listen. What others than this machine can reach
// must have been asked for by flag: a file in a working directory may be
// somebody else's.
func (s Settings) listenAddr() (string, error) {
	if s.Listen == "" {
		return defaultListen, nil
	}
	host, port, err := net.SplitHostPort(s.Listen)
	if n, bad := strconv.Atoi(port); err != nil || bad != nil || n < 0 || n > 65535 {
		return "", fmt.Errorf("read --listen %s: it is no address; write it like 127.0.0.1:8080, or 127.0.0.1:0 for a port that is free", strictyaml.Quote(s.Listen))
	}
	if !isLoopback(host) && !s.flags["listen"] {
		return "", fmt.Errorf("listen on %s: others than this machine can reach it; say so on the command line: --listen %s", strictyaml.Quote(s.Listen), ShellQuote(s.Listen))
	}
	return s.Listen, nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// exposure is what the user should know where endpoints can be reached by others
// than this machine.
func exposure(listen string) []string {
	if host, _, err := net.SplitHostPort(listen); err != nil || isLoopback(host) {
		return nil
	}
	return []string{fmt.Sprintf("endpoints listened on %s, which others than this machine may reach: what they sent there was recorded, and counted for no case", listen)}
}

func (s Settings) publicURL() (*url.URL, error) {
	host, _, _ := net.SplitHostPort(s.Listen)
	switch everywhere := host == "" || net.ParseIP(host).IsUnspecified(); {
	case s.PublicURL == "" && s.Listen != "" && everywhere:
		return nil, fmt.Errorf("listen on %s: the sender must be told one address of this machine; name it in --listen, or say with --public-url under which URL it reaches us", strictyaml.Quote(s.Listen))
	case s.PublicURL == "":
		return nil, nil
	}
	u, err := url.Parse(s.PublicURL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("read --public-url %s: it must begin with http:// or https:// and name a host, like https://example.test/hooks", strictyaml.Quote(s.PublicURL))
	case u.User != nil:
		return nil, errors.New("read --public-url: it holds a user name or password, which every report would show; leave them out")
	case s.Listen == "" || strings.HasSuffix(s.Listen, ":0"):
		return nil, fmt.Errorf("read --public-url %s: what stands in front must know where to; give the port as well, like --listen 127.0.0.1:8080", strictyaml.Quote(s.PublicURL))
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("read --public-url %s: endpoints are paths below it; remove the query and the fragment", strictyaml.Quote(s.PublicURL))
	}
	return u, nil
}

// checkResolver finds what is wrong with the place where names are to be served.
func (s Settings) checkResolver() error {
	if s.Resolver == "" {
		return nil
	}
	if host, _, err := net.SplitHostPort(s.Resolver); err != nil || !isLoopback(host) {
		return fmt.Errorf("read --resolver %s: it must be a loopback address and a port, like 127.0.0.1:5353; hookanvil answers look-ups there, and the sender must be pointed to it", strictyaml.Quote(s.Resolver))
	}
	return nil
}
