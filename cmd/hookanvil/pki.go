package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/suites"
)

func newPKI() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pki",
		Short: "Make a certificate authority to test with, and faulty certificates",
		Example: `  hookanvil pki init testpki
  hookanvil pki list
  hookanvil pki issue expired --client --pki testpki -o expired.pem`,
	}
	cmd.AddCommand(newPKIInit(), newPKIList(), newPKIIssue())
	return cmd
}

func newPKIInit() *cobra.Command {
	return &cobra.Command{
		Use:   "init DIR",
		Short: "Write an authority, a server's and a client's certificate for your own use",
		Long: `Write a throw-away certificate authority into a directory that does not exist yet,
with a certificate for a server on this machine, one for a client, revocation lists,
and a README.md that shows how nginx, HAProxy and stunnel are told of them.`,
		Example: `  hookanvil pki init testpki`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := pki.New()
			if err != nil {
				return harness(err)
			}
			if err := a.Write(args[0]); err != nil {
				return err
			}
			text, err := initialised(args[0])
			if err != nil {
				return harness(err)
			}
			return emit(cmd, text)
		},
	}
}

// initialised tells what lies in the directory, and what to do next.
func initialised(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Wrote to %s:\n\n", dir)
	for _, e := range entries {
		fmt.Fprintf(&b, "  %s\n", e.Name())
	}
	quoted := suites.ShellQuote(dir)
	fmt.Fprintf(&b, `
Have your receiver trust ca.pem and demand a client certificate; README.md shows how
in nginx, HAProxy and stunnel. Then judge it:

  hookanvil run receiver/mtls --target https://localhost:8443/hook --pki %s ...

Or have your sender trust ca.pem:

  hookanvil run sender/tls --pki %s ...
`, quoted, quoted)
	return b.String(), nil
}

func newPKIList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Explain every fault that a certificate can be given",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return emit(cmd, listFaults()) },
	}
}

func listFaults() string {
	var b strings.Builder
	harmless := 0
	for _, f := range pki.Faults {
		note := ""
		if f.Harmless {
			note = "; harmless"
			harmless++
		}
		fmt.Fprintf(&b, "%s (%s%s)\n", f.Name, rolesOf(f), note)
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "  a certificate that\t%s\n  where accepted\t%s\n", f.Sentence, f.Why)
		w.Flush() // to memory
	}
	fmt.Fprintf(&b, "\n%d faults, %d of them harmless: a correct peer accepts those, or may. hookanvil pki issue writes one to a file.\n",
		len(pki.Faults), harmless)
	return b.String()
}

func rolesOf(f pki.Fault) string {
	var roles []string
	for _, r := range f.Roles {
		roles = append(roles, string(r))
	}
	return strings.Join(roles, ", ")
}

// noFault asks for a certificate that is good.
const noFault = "good"

func newPKIIssue() *cobra.Command {
	var subject pki.Subject
	cmd := &cobra.Command{
		Use:   "issue FAULT | good",
		Short: "Write a certificate with one fault, or with none, to a file",
		Long: `Write a certificate with one fault, or with none, to a file: the chain as a peer
presents it, and the key. It is a client's unless --server is given.`,
		Example: `  hookanvil pki issue expired --client --pki testpki -o expired.pem
  hookanvil pki issue other-name --server --host hooks.example.test --pki testpki -o other.pem`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: faultNames(),
	}
	flags := cmd.Flags()
	dir := flags.String("pki", "", "directory that hookanvil pki init wrote")
	asServer := flags.Bool("server", false, "for a server")
	flags.Bool("client", false, "for a client")
	flags.StringVar(&subject.Name, "name", "", "common name")
	flags.StringSliceVar(&subject.Hosts, "host", nil, "DNS names and IP addresses of the subject")
	output := flags.StringP("output", "o", "", "file to write; it must not exist")
	cmd.MarkFlagsMutuallyExclusive("server", "client")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if *dir == "" || *output == "" {
			return errors.New("name the authority and the file: --pki DIR -o FILE")
		}
		role := pki.Client
		if *asServer {
			role = pki.Server
		}
		text, err := issue(*dir, args[0], role, subject)
		if err != nil {
			return err
		}
		return writeNew(*output, text)
	}
	return cmd
}

func faultNames() []string {
	names := []string{noFault}
	for _, f := range pki.Faults {
		names = append(names, f.Name)
	}
	return names
}

// issue is a chain and its key.
func issue(dir, fault string, r pki.Role, s pki.Subject) (string, error) {
	a, err := pki.Open(dir)
	if err != nil {
		return "", err
	}
	var cert *tls.Certificate
	if fault == noFault {
		cert, err = a.Good(r, s)
	} else {
		cert, err = a.Faulty(fault, r, s)
	}
	if err != nil {
		return "", err
	}
	chain, key, err := pki.PEM(cert)
	return string(chain) + string(key), harness(err)
}
