package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites/certification"
)

func newVerifyCertificate() *cobra.Command {
	var keys []string
	var programme, at string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify-certificate BUNDLE --key pub.pem",
		Short: "Verify a certificate, offline",
		Long: `Verify a bundle that hookanvil certify made. Nothing is sent, and nothing in the bundle
is believed: the signature must be by your key, every file must be the one that was
signed, and no other may be there; the programme, the suites and the profile must be
those of this version of hookanvil; and the level is worked out again, from the results.

Exit codes: 0 the certificate is valid; 1 it is not, and each reason is told; 2 usage.`,
		Example: `  hookanvil verify-certificate bundle --key pub.pem
  hookanvil verify-certificate bundle --key pub.pem --programme our-programme.yaml --json
  hookanvil verify-certificate bundle --key pub.pem --at 2027-01-31`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringArrayVar(&keys, "key", nil, "public key of who certifies: a PEM file, or env:NAME; more than one where any of them may have signed")
	cmd.Flags().StringVar(&programme, "programme", "", "programme that is expected: a name, or a YAML file; the built-in one of the name that the certificate says unless given")
	cmd.Flags().StringVar(&at, "at", "", "day, or time, at which it must be valid: 2027-01-31; now unless given")
	cmd.Flags().BoolVar(&asJSON, "json", false, "say it in JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o := certification.Options{Now: time.Now()}
		var err error
		if o.Keys, err = certification.ReadPublicKeys(keys); err != nil {
			return err
		}
		if programme != "" {
			if o.Programme, err = certification.Find(programme); err != nil {
				return err
			}
		}
		if at != "" {
			if o.Now, err = readTime(at); err != nil {
				return err
			}
		}
		v := certification.Verify(cmd.Context(), args[0], o)
		if err := emit(cmd, verified(v, asJSON)); err != nil {
			return err
		}
		if !v.Valid {
			return exitCode{code: reports.ExitFailed}
		}
		return nil
	}
	return cmd
}

// readTime reads a day, which is meant from its beginning, or a time.
func readTime(text string) (time.Time, error) {
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("read --at: it is no day; write it like 2027-01-31, or 2027-01-31T12:00:00Z")
}

// verified says what became of a certificate.
func verified(v certification.Verification, asJSON bool) string {
	var b strings.Builder
	if asJSON {
		if err := reports.WriteJSON(&b, v); err != nil {
			panic(err) // texts, numbers and times
		}
		return b.String()
	}
	if !v.Valid {
		b.WriteString("Not valid:\n")
		for _, r := range v.Refusals {
			fmt.Fprintf(&b, "  %s: %s\n", r.Check, reports.Printable([]byte(r.Reason), 1000))
		}
		return b.String()
	}
	c := v.Claims
	fmt.Fprintf(&b, "Valid: %s\n", c.Subject)
	fmt.Fprintf(&b, "  level      %s of %s, version %d\n", v.Level, c.Programme.Name, c.Programme.Version)
	fmt.Fprintf(&b, "  judged as  %s under the profile %s, by %s\n", c.Role, c.Profile, c.Tool)
	fmt.Fprintf(&b, "  from       %s until %s\n", c.Issued.UTC().Format(time.DateOnly), c.Expires.UTC().Format(time.DateOnly))
	fmt.Fprintf(&b, "  signed by  %s\n", v.KeyID)
	return b.String()
}
