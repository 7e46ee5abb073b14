package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
	"github.com/hookanvil/hookanvil/suites/certification"
)

// notForCertify are the settings that a certification decides by itself, or has another
// meaning for.
var notForCertify = []string{"out", "journal", "level", "rate", "duration", "key"}

func newCertify() *cobra.Command {
	var o certification.Order
	var programme, keyAt string
	cmd := &cobra.Command{
		Use:   "certify --programme NAME --out DIR --key key.pem",
		Short: "Judge by a programme of certification, and sign what came of it",
		Long: `Judge a receiver or a sender by a programme of certification, and make a bundle that
anybody can verify offline (hookanvil verify-certificate): the results, everything they
were made of, and an in-toto Statement over all of it in a DSSE envelope, signed with
your key. The level is the highest that the results support.

The built-in programmes are webhook-receiver and webhook-sender, each with the levels
basic, full and gold; a YAML file will do as well. A level takes every must of its
suites: what failed, could not be judged, or was skipped without an excuse that the
programme has, keeps it away. Verdicts need a probe of effects.

The key is Ed25519, or ECDSA on P-256: a PEM file, or env:NAME. TLS settings are those
of hookanvil run; a private key for --cert stands in its file, or in hookanvil.yaml.

Exit codes: 0 the certificate is written; 1 the level that was tried for is not reached;
2 usage; 3 it is not, and nothing failed; 4 hookanvil itself failed; 130 interrupted.` + reportHelp(),
		Example: `  openssl genpkey -algorithm ed25519 -out key.pem && openssl pkey -in key.pem -pubout -out pub.pem
  hookanvil certify --programme webhook-receiver --aim full --out bundle --key key.pem \
    --name 'Acme Inbox' --version 2.1 --vendor 'Acme Inc.' \
    --target http://127.0.0.1:8080/hook --profile svix --secret env:WEBHOOK_SECRET \
    --probe-url 'http://127.0.0.1:8080/effects?id={token}#/count'
  hookanvil verify-certificate bundle --key pub.pem`,
		Args: cobra.NoArgs,
	}
	complete := bind(cmd, &o.Settings, certifySettings()...)
	flags := cmd.Flags()
	flags.StringVar(&programme, "programme", "", "name of a programme, or a YAML file")
	flags.StringVar(&o.Aim, "aim", "", "level to try for; the highest unless given")
	flags.StringVar(&o.Dir, "out", "", "folder for the bundle; it must be empty, or not exist yet")
	flags.StringVar(&keyAt, "key", "", "private key that signs: a PEM file, or env:NAME")
	flags.StringVar(&o.Subject.Name, "name", "", "what the subject is called")
	flags.StringVar(&o.Subject.Version, "version", "", "version of the subject")
	flags.StringVar(&o.Subject.Vendor, "vendor", "", "who makes it")
	verbose := flags.BoolP("verbose", "v", false, "list what passed, and show all evidence")
	cmd.SetUsageFunc(usageByRole)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := complete(); err != nil {
			return err
		}
		var err error
		if o.Programme, err = certification.Find(programme); err != nil {
			return err
		}
		key, err := certification.ReadKey(keyAt)
		if err != nil {
			return err
		}
		ctx, cancel := interruptible()
		defer cancel()
		plan, err := o.Plan(ctx)
		if err != nil {
			return err
		}
		line := newProgress(os.Stderr)
		plan.Watch, plan.Prompt = line.show, line.prompt(os.Stderr)
		run, broken := suites.Run(ctx, plan)
		line.clear()
		if broken != nil {
			return harness(broken)
		}
		if err := tellRun(cmd, o.Settings, run, *verbose); err != nil {
			return err
		}
		out, err := o.Award(ctx, key, time.Now())
		if err != nil {
			return harness(err)
		}
		fmt.Fprint(os.Stderr, awarded(o, out))
		return certified(o, out, run)
	}
	return cmd
}

// certifySettings are the settings of a run that a certification takes.
func certifySettings() (names []string) {
	var s suites.Settings
	for _, f := range s.Fields() {
		if !slices.Contains(notForCertify, f.Name) {
			names = append(names, f.Name)
		}
	}
	return names
}

// awarded says what a certification came to.
func awarded(o certification.Order, out certification.Outcome) string {
	var b strings.Builder
	if out.Level != "" {
		fmt.Fprintf(&b, "Certified: %s, level %s of %s, version %d. The bundle is in %s\n", o.Subject, out.Level, o.Programme.Name, o.Programme.Version, o.Dir)
	} else {
		fmt.Fprintf(&b, "Not certified: no level of %s, version %d, is reached. The results are in %s\n", o.Programme.Name, o.Programme.Version, o.Dir)
	}
	b.WriteString(untold(out.Levels))
	return b.String()
}

// untold says what keeps levels from being met: the lowest of them in full.
func untold(levels []certification.Standing) string {
	const few = 5
	var b strings.Builder
	for _, s := range levels {
		if s.Met {
			continue
		}
		fmt.Fprintf(&b, "What keeps %s away:\n", s.Level)
		for _, m := range s.Missing[:min(few, len(s.Missing))] {
			fmt.Fprintf(&b, "  %s\n", reports.Printable([]byte(m), 1000))
		}
		if more := len(s.Missing) - few; more > 0 {
			fmt.Fprintf(&b, "  and %d more\n", more)
		}
		return b.String()
	}
	return ""
}

// certified is the exit code of a certification.
func certified(o certification.Order, out certification.Outcome, run reports.Run) error {
	switch code := run.ExitCode(); {
	case out.Level != "" && (o.Aim == "" || out.Aimed):
		return nil
	case code == reports.ExitPassed:
		return exitCode{code: reports.ExitFailed} // by what was skipped
	default:
		return exitCode{code: code}
	}
}
