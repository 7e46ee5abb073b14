package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/reference"
	"github.com/hookanvil/hookanvil/suites"
)

// referenceDeadline is the time that the reference sender gives an attempt: less
// than most providers do, so that nobody has to wait.
const referenceDeadline = time.Second

// senderChoice is what the command line says of a reference sender.
type senderChoice struct {
	profile, defect, listen, resolver, config, pki string
	handshake                                      bool
}

func newReferenceSender() *cobra.Command {
	var choice senderChoice
	cmd := &cobra.Command{
		Use:   "sender",
		Short: "Run the reference sender until ^C",
		Long: `Run a sender that is correct under every shipped profile, or has one defect, until
^C. It serves an API to register endpoints and fire events, and prints the command
that judges it. It delivers to 127.0.0.1 and to no other address.

With --write-config it writes that command's settings, and new secrets, into files
beside each other, so that "hookanvil run sender" needs no more.`,
		Example: `  hookanvil reference sender --profile stripe
  hookanvil reference sender --defect ignores-retry-after --write-config hookanvil.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runReferenceSender(cmd, choice) },
	}
	flags := cmd.Flags()
	flags.StringVar(&choice.profile, "profile", "standard-webhooks", "how deliveries are signed: the name of a profile, or a YAML file")
	flags.StringVar(&choice.defect, "defect", "", "the one fault it has: see hookanvil matrix")
	flags.BoolVar(&choice.handshake, "handshake", true, "ask endpoints for their consent, where the profile's provider does; hookanvil sink and the suites of load do not answer")
	flags.StringVar(&choice.listen, "listen", "127.0.0.1:0", "loopback address of its API")
	flags.StringVar(&choice.resolver, "resolver", "", "loopback address at which it looks names up; a free one unless given")
	flags.StringVar(&choice.pki, "pki", "", "directory made by hookanvil pki init: it trusts DIR/ca.pem, and shows DIR/client.pem to whoever asks")
	flags.StringVar(&choice.config, "write-config", "", "write the settings that judge it to this file; it must not exist yet")
	return cmd
}

func runReferenceSender(cmd *cobra.Command, choice senderChoice) error {
	p, err := suites.FindProfile(choice.profile)
	if err != nil {
		return err
	}
	names, err := resolverAddress(choice.resolver)
	if err != nil {
		return err
	}
	options := reference.SenderOptions{
		Profile: p, Retry: quickTerms(p), Deadline: referenceDeadline, Defect: choice.defect,
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Resolver: names, Handshake: choice.handshake,
	}
	if err := choice.trust(&options); err != nil {
		return err
	}
	s, err := reference.NewSender(options)
	if err != nil {
		return err
	}
	defer s.Close()
	base, err := s.Listen(choice.listen)
	if err != nil {
		return err
	}
	settings := senderSettings(choice, p, base, names)
	var b strings.Builder
	fmt.Fprintf(&b, "%s, under profile %s:\n\n  %s\n\n", senderKind(choice.defect), p.Name, base)
	if err := tellHowToJudge(&b, p, choice, settings); err != nil {
		return err
	}
	ctx, cancel := interruptible()
	defer cancel()
	if err := emit(cmd, b.String()); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// trust has the sender trust an authority, and show the certificate that lies beside it.
func (c senderChoice) trust(o *reference.SenderOptions) error {
	if c.pki == "" {
		return nil
	}
	a, err := pki.Open(c.pki)
	if err != nil {
		return fmt.Errorf("read --pki: %w", err)
	}
	own, err := tls.LoadX509KeyPair(filepath.Join(c.pki, "client.pem"), filepath.Join(c.pki, "client.key"))
	if err != nil {
		return fmt.Errorf("read --pki: %w", err)
	}
	o.Roots, o.Identity = []*x509.Certificate{a.Root()}, &own
	return nil
}

func senderKind(defect string) string {
	if d, err := reference.Find(defect); err == nil {
		return "A sender that " + d.Sentence
	}
	return "A correct sender"
}

// quickTerms are the profile's terms with gaps that nobody has to wait for. Who
// tries nothing again still does not.
func quickTerms(p *profile.Profile) *profile.Retry {
	quick := reference.QuickRetry()
	if p.Retry == nil {
		return quick
	}
	terms := p.Retry.Scaled(1)
	if terms.Total() != 1 {
		terms.Schedule, terms.Growth, terms.Over, terms.Attempts = quick.Schedule, nil, 0, len(quick.Schedule)+1
		terms.Jitter = cmp.Or(terms.Jitter, "10%")
	}
	return terms
}

// resolverAddress is where the run will serve names: as given, or a port that is
// free now.
func resolverAddress(given string) (netip.AddrPort, error) {
	if given != "" {
		at, err := netip.ParseAddrPort(given)
		if err != nil {
			return at, fmt.Errorf("read --resolver %q: write it as 127.0.0.1:PORT", given)
		}
		return at, nil
	}
	var err error
	for range 20 {
		// Below the ports that systems give to outgoing connections, so that it is
		// still free when the run begins.
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(20_000+rand.IntN(10_000)))
		if err = isFree(at); err == nil {
			return at, nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("find a free port for the resolver: %w; name one with --resolver 127.0.0.1:PORT", err)
}

// isFree tells whether a port can be listened on over UDP and TCP.
func isFree(at netip.AddrPort) error {
	packets, err := net.ListenPacket("udp", at.String())
	if err != nil {
		return err
	}
	defer packets.Close()
	streams, err := net.Listen("tcp", at.String())
	if err != nil {
		return err
	}
	return streams.Close()
}

// setting is one of the run's, by its name.
type setting struct {
	name  string
	value any // text, true or a list of texts
}

// senderSettings are what a run must be told to judge the sender, but for the
// secrets.
func senderSettings(choice senderChoice, p *profile.Profile, base string, names netip.AddrPort) []setting {
	terms, papers := quickTerms(p), ""
	if choice.pki != "" {
		papers = `,"client_certificate":"{client_certificate}","client_key":"{client_key}"`
	}
	if choice.handshake && p.Challenge != nil && p.Challenge.Lease != "" {
		papers += `,"lease_seconds":"{lease}"`
	}
	all := []setting{
		{"profile", choice.profile},
		{"trigger", "POST " + base + `/events {"endpoint":"{register:/id}","type":"{event}","token":"{token}","data":{data}}`},
		{"register", "POST " + base + `/endpoints {"url":"{url}","secret":"{secret}","events":{events},"headers":{headers}` + papers + `}`},
		{"remove", "DELETE " + base + "/endpoints/{register:/id}"},
		{"rotate", "POST " + base + `/endpoints/{register:/id}/rotate {"secret":"{secret}"}`},
		{"restart", "POST " + base + "/restart"},
		{"move", "PATCH " + base + `/endpoints/{register:/id} {"url":"{url}"}`},
		{"deadline", referenceDeadline.String()},
		{"untrusted", true},
		{"resolver", names.String()},
	}
	if choice.pki != "" {
		all = append(all, setting{"pki", choice.pki}, setting{"client-ca", filepath.Join(choice.pki, "ca.pem")})
	}
	if terms.Total() != 1 {
		var gaps []string
		for _, gap := range terms.Schedule {
			gaps = append(gaps, gap.String())
		}
		all = append(all, setting{"retry-schedule", gaps})
	}
	return all
}

// tellHowToJudge writes the sender's run for people, and for the run where it is
// asked to.
func tellHowToJudge(b *strings.Builder, p *profile.Profile, choice senderChoice, settings []setting) error {
	secrets := []setting{{"secret", inventedSecret(p)}, {"next-secret", inventedSecret(p)}}
	if !p.Signed() {
		secrets = nil
		settings = without(settings, "rotate")
	}
	if choice.config != "" {
		if err := writeConfig(choice.config, settings, secrets); err != nil {
			return err
		}
		verb := "hookanvil run sender"
		if choice.config != suites.ConfigFile {
			verb += " --config " + suites.ShellQuote(choice.config)
		}
		fmt.Fprintf(b, "Its settings are in %s. Judge it:\n\n  %s\n\n^C ends it.\n", choice.config, verb)
		return nil
	}
	if secrets != nil {
		fmt.Fprint(b, "Two secrets were invented for its endpoints. Where you judge it from:\n\n")
	}
	for i, s := range secrets {
		variable := []string{"WEBHOOK_SECRET", "NEXT_SECRET"}[i]
		fmt.Fprintf(b, "  export %s='%s'\n", variable, s.value)
		settings = append(settings, setting{s.name, "env:" + variable})
	}
	fmt.Fprintf(b, "\nJudge it:\n\n  hookanvil run sender%s\n\n^C ends it.\n", asFlags(settings))
	return nil
}

func inventedSecret(p *profile.Profile) string {
	if !p.Signed() {
		return ""
	}
	keys := p.NewKeys(rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
	return keys[p.Signature.Name][0].Reveal()
}

func without(settings []setting, name string) []setting {
	var kept []setting
	for _, s := range settings {
		if s.name != name {
			kept = append(kept, s)
		}
	}
	return kept
}

// asFlags writes settings as a shell reads them, one on each line.
func asFlags(settings []setting) string {
	var b strings.Builder
	for _, s := range settings {
		fmt.Fprintf(&b, " \\\n    --%s", s.name)
		switch value := s.value.(type) {
		case string:
			fmt.Fprintf(&b, " %s", suites.ShellQuote(value))
		case []string:
			fmt.Fprintf(&b, " %s", suites.ShellQuote(strings.Join(value, ",")))
		}
	}
	return b.String()
}

// writeConfig writes the settings to a file, and each secret to one of its own
// beside it, since settings name secrets and do not hold them.
func writeConfig(path string, settings, secrets []setting) error {
	base := strings.TrimSuffix(path, filepath.Ext(path))
	files := map[string]string{}
	for _, s := range secrets {
		file := base + "." + s.name
		files[file] = fmt.Sprintln(s.value)
		settings = append(settings, setting{s.name, []string{"file:" + file}})
	}
	var doc yaml.MapSlice
	for _, s := range settings {
		doc = append(doc, yaml.MapItem{Key: s.name, Value: s.value})
	}
	text, err := yaml.Marshal(doc)
	if err != nil {
		return fmt.Errorf("write the settings to %s: %w", path, err)
	}
	files[path] = "# How to judge the reference sender: hookanvil run sender\n" + strings.TrimSpace(string(text)) + "\n"
	for name := range files {
		if _, err := os.Lstat(name); err == nil {
			return fmt.Errorf("write %s: it exists already; remove it or name another file", name)
		}
	}
	for name, text := range files {
		if err := writeNew(name, text); err != nil {
			return err
		}
	}
	return nil
}

// writeNew writes a file that does not exist yet.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write a new file: %w", err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
