package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/reference"
	"github.com/hookanvil/hookanvil/suites"
)

func newReference() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reference",
		Short: "Run a reference implementation, to try things on",
		Example: `  hookanvil reference receiver
  hookanvil reference receiver --defect ignores-timestamp
  hookanvil reference sender --write-config hookanvil.yaml`,
	}
	cmd.AddCommand(newReferenceReceiver(), newReferenceSender())
	return cmd
}

func newReferenceReceiver() *cobra.Command {
	settings := suites.Settings{}
	cmd := &cobra.Command{
		Use:   "receiver",
		Short: "Run the reference receiver until ^C",
		Long: `Run a receiver that is correct under every shipped profile, or has one defect, until
^C. It serves /hook and, as a probe, /effects. Without --secret it invents one and
prints it. With --pki it speaks TLS, and demands a client certificate that the
authority in that directory has signed for "hookanvil client".`,
		Example: `  hookanvil reference receiver --profile github
  hookanvil reference receiver --defect compares-prefix-only --listen 127.0.0.1:8080
  hookanvil reference receiver --pki testpki`,
		Args: cobra.NoArgs,
	}
	complete := bind(cmd, &settings, "profile", "secret")
	defect := cmd.Flags().String("defect", "", "the one fault it has: see hookanvil matrix")
	dir := cmd.Flags().String("pki", "", "directory that hookanvil pki init wrote: it speaks TLS, and admits that authority's clients alone")
	listen := cmd.Flags().String("listen", "127.0.0.1:0", "loopback address to listen on")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := complete(); err != nil {
			return err
		}
		if settings.Profile == "" {
			settings.Profile = "standard-webhooks"
		}
		o, invented, err := referenceOptions(settings, *defect)
		if err != nil {
			return err
		}
		if o.TLS, err = secured(*dir); err != nil {
			return err
		}
		r, err := reference.New(o)
		if err != nil {
			return err
		}
		defer r.Close()
		at, err := open(r, *listen, *dir)
		if err != nil {
			return err
		}
		ctx, cancel := interruptible()
		defer cancel()
		if err := emit(cmd, welcome(o, at, settings, invented)); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	}
	return cmd
}

// secured is the TLS of a receiver that an authority stands behind; nil without one.
func secured(dir string) (*reference.TLS, error) {
	if dir == "" {
		return nil, nil //nolint:nilnil // it speaks plain HTTP then
	}
	a, err := pki.Open(dir)
	return &reference.TLS{Authority: a}, err
}

// premises are where a receiver is: its base URL, that of its probe, and the directory
// of its authority, if it has one.
type premises struct{ base, probe, pki string }

// open has a receiver listen. A probe shows no client certificate, so that it is served
// elsewhere where one is demanded.
func open(r *reference.Receiver, listen, dir string) (premises, error) {
	base, err := r.Listen(listen)
	at := premises{base, base, dir}
	if err == nil && dir != "" {
		at.probe, err = r.ListenForProbes()
	}
	return at, err
}

// referenceOptions are those of the receiver; invented tells whether its keys are.
func referenceOptions(s suites.Settings, defect string) (o reference.Options, invented bool, err error) {
	o.Defect = defect
	if len(s.Secret) > 0 {
		o.Profile, o.Keys, err = s.Signer()
		return o, false, err
	}
	if o.Profile, err = s.FoundProfile(); err != nil {
		return o, false, err
	}
	o.Keys = o.Profile.NewKeys(rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
	return o, true, nil
}

// welcome tells where the receiver is and how to judge it.
func welcome(o reference.Options, at premises, as suites.Settings, invented bool) string {
	var b strings.Builder
	secrets := as.Secret
	kind := "A correct receiver"
	if d, err := reference.Find(o.Defect); err == nil {
		kind = "A receiver that " + d.Sentence
	}
	fmt.Fprintf(&b, "%s, under profile %s:\n\n  %s%s\n\n", kind, o.Profile.Name, at.base, reference.HookPath)
	if invented && len(o.Keys) > 0 {
		var exports string
		secrets, exports = exportLines(o.Profile, o.Keys)
		fmt.Fprintf(&b, "Its secret was invented for this run. Where you judge it from:\n\n%s\n", exports)
	}
	command := "hookanvil run"
	if at.pki != "" {
		command = "hookanvil run receiver"
	}
	fmt.Fprintf(&b, "Judge it:\n\n  %s --target %s%s --profile %s", command, at.base, reference.HookPath, suites.ShellQuote(as.Profile))
	if at.pki != "" {
		fmt.Fprintf(&b, " --pki %s", suites.ShellQuote(at.pki))
	}
	for _, s := range secrets {
		fmt.Fprintf(&b, " --secret %s", s)
	}
	fmt.Fprintf(&b, " --probe-url '%s%s?token={token}#/effects'\n\n^C ends it.\n", at.probe, reference.EffectsPath)
	return b.String()
}

// exportLines are shell commands that set invented secrets, and the places where a
// run then finds them. Signatures that share a secret have one.
func exportLines(p *profile.Profile, keys profile.Keys) (places []string, lines string) {
	names := map[string]string{} // of variables, by secret
	for _, name := range p.SecretNames() {
		for _, secret := range keys[name] {
			text := secret.Reveal()
			if names[text] != "" {
				continue
			}
			place, variable := "env:WEBHOOK_SECRET", "WEBHOOK_SECRET"
			if len(names) > 0 {
				variable += "_" + strings.ToUpper(strings.Map(alphanumeric, name))
				place = name + "=env:" + variable
			}
			names[text] = variable
			places = append(places, place)
		}
	}
	for _, text := range slices.SortedFunc(maps.Keys(names), func(a, b string) int { return strings.Compare(names[a], names[b]) }) {
		lines += fmt.Sprintf("  export %s='%s'\n", names[text], text)
	}
	return places, lines
}

func alphanumeric(r rune) rune {
	if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return '_'
}
