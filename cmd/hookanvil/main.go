// Hookanvil judges webhook implementations.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
	"github.com/hookanvil/hookanvil/suites"
)

// Exit codes beside those of a run: see reports.Run.ExitCode.
const (
	exitUsage   = 2 // usage, scenario or configuration
	exitHarness = 4 // our own failure
)

func main() { os.Exit(execute(os.Args[1:])) }

func execute(args []string) int {
	// A reader of our output that has seen enough must not end us before reports are
	// written. Signals that are notified, unlike ignored ones, are not inherited.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	root := newRoot()
	root.SetArgs(args)
	root.SetOut(console{os.Stdout})
	err := root.Execute()
	var code exitCode
	switch {
	case err == nil:
		return reports.ExitPassed
	case errors.As(err, &code):
		if code.err != nil {
			complain(code.err)
		}
		return code.code
	}
	complain(err)
	return exitUsage
}

func complain(err error) {
	fmt.Fprintf(os.Stderr, "hookanvil: %s\n", strings.TrimSpace(err.Error()))
}

// exitCode is an error that decides the exit code. Any other error is one of
// usage, scenario or configuration.
type exitCode struct {
	code int
	err  error // to be shown; may be nil
}

func (e exitCode) Error() string { return fmt.Sprintf("exit %d: %v", e.code, e.err) }
func (e exitCode) Unwrap() error { return e.err }

// harness marks a failure of our own.
func harness(err error) error {
	if err == nil {
		return nil
	}
	return exitCode{exitHarness, err}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "hookanvil",
		Short: "Judge webhook receivers and senders",
		Long: `Hookanvil judges webhook implementations. For a receiver it plays the sender: it
sends honest, mutated and replayed deliveries as a provider would, and says what was
accepted that should not have been, and the other way round. For a sender it poses
as the receiver: it answers with errors, redirects, silence and worse, and judges
every attempt that arrives.

Exit codes: 0 nothing failed; 1 a case failed; 2 usage, scenario or configuration
error; 3 nothing failed, yet something was inconclusive; 4 hookanvil itself failed;
130 interrupted.`,
		Example: `  hookanvil demo
  hookanvil run --target http://127.0.0.1:8080/webhook --profile github --secret env:WEBHOOK_SECRET
  hookanvil run sender --trigger 'exec ./fire {url} {token}' --profile svix --secret env:WEBHOOK_SECRET
  hookanvil explain receiver/signature/body-bit-flipped`,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; %s%s --help shows the flags", err, meant(cmd, err), cmd.CommandPath())
	})
	root.AddCommand(
		newDemo(), newRun(), newList(), newExplain(), newValidate(), newSchema(), newProfiles(), newMatrix(),
		newReference(), newSign(), newVerify(), newDiagnose(), newSend(), newLoad(), newCompare(), newListen(), newSink(), newReplay(), newReport(), newCertify(), newVerifyCertificate(), newPKI(), newVersion(),
	)
	return root
}

// meant asks whether an unknown flag is one of the command's, misspelt.
func meant(cmd *cobra.Command, err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return ""
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := strictyaml.Suggest(unknown.GetSpecifiedName(), names); near != "" {
		return "did you mean --" + near + "? "
	}
	return ""
}

// interruptible returns a context that the first ^C ends; the second ends the
// program at once. A terminal that is closed interrupts as well, unless the program
// was told to outlive it (nohup).
func interruptible() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(reports.ExitInterrupted)
	}()
	return ctx, cancel
}

// emit writes what a verb says, at once. That it cannot be written is our failure.
func emit(cmd *cobra.Command, text string) error {
	if _, err := io.WriteString(cmd.OutOrStdout(), text); err != nil {
		return harness(fmt.Errorf("write to standard output: %w", err))
	}
	return nil
}

// roleAnnotation tells of a flag which role's runs take it.
const roleAnnotation = "role"

func roleOf(f *pflag.Flag) string {
	if role := f.Annotations[roleAnnotation]; len(role) > 0 {
		return role[0]
	}
	return ""
}

// bind makes flags of the named settings, or of all, and returns a function that
// completes the settings from the environment and hookanvil.yaml.
func bind(cmd *cobra.Command, s *suites.Settings, names ...string) (complete func() error) {
	fields := bindFlags(cmd, s, names...)
	config := cmd.Flags().String("config", "", "YAML file of settings, by the same names (default: "+suites.ConfigFile+", if it is there)")
	return func() error {
		if err := suites.FromEnvironment(fields); err != nil {
			return err
		}
		return suites.FromFile(*config, fields)
	}
}

// bindFlags makes flags of the named settings, or of all, and returns all settings.
func bindFlags(cmd *cobra.Command, s *suites.Settings, names ...string) []*suites.Field {
	fields := s.Fields()
	for _, f := range fields {
		if len(names) > 0 && !slices.Contains(names, f.Name) {
			continue
		}
		cmd.Flags().Var(f, f.Name, f.Doc)
		flag := cmd.Flags().Lookup(f.Name)
		flag.Annotations = map[string][]string{roleAnnotation: {f.Role}}
		if f.IsBoolFlag() {
			flag.NoOptDefVal = "true"
		}
	}
	return fields
}
