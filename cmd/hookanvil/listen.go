package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

func newListen() *cobra.Command {
	var settings suites.Settings
	var l suites.ListenSettings
	var show suites.Display
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Receive deliveries and show them, with what is wrong with their signatures",
		Long: `Receive deliveries until ^C and show each as it arrives: whether its signature is
right and, where it is not, what the sender probably does. Every path is served.
Without --profile the headers tell whose deliveries they are; without --secret they
are shown and not verified.

--answer is a list: the first attempt of a delivery gets the first answer, and the
last one goes on. An answer is a status, or a way of answering:

` + waysOfAnswering(),
		Example: `  hookanvil listen
  hookanvil listen --profile stripe --secret env:WEBHOOK_SECRET --answer 500,500,200
  hookanvil listen --answer hang,drip-body:100,200 --record deliveries.jsonl --redact-pointer /data/card`,
		Args: cobra.NoArgs,
	}
	complete := bind(cmd, &settings, "profile", "secret", "retired-secret", "other-secret")
	f := cmd.Flags()
	f.StringVar(&l.Listen, "listen", "", "address to listen on (default: "+suites.DefaultListen+", or the next port that is free)")
	f.StringVar(&l.Answer, "answer", "", "what the attempts of a delivery are answered, in order; 200 unless said otherwise, or what else counts as delivered under the profile")
	f.DurationVar(&l.Delay, "delay", 0, "wait before each answer")
	f.IntVar(&l.Count, "count", 0, "end after so many deliveries")
	f.StringVar(&l.Record, "record", "", "file that keeps the deliveries, without the secrets; it must not exist yet")
	f.StringArrayVar(&l.RedactPointer, "redact-pointer", nil, "JSON pointer to what is not to be kept, such as /data/card; may be repeated")
	f.BoolVar(&show.Quiet, "quiet", false, "show each delivery on one line")
	f.BoolVar(&show.Whole, "body", false, "show the headers and the whole body")
	cmd.MarkFlagsMutuallyExclusive("quiet", "body")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := complete(); err != nil {
			return err
		}
		if len(l.RedactPointer) > 0 && l.Record == "" {
			return errors.New("read --redact-pointer: nothing is recorded; name a file with --record")
		}
		return listen(cmd, settings, l, show)
	}
	return cmd
}

func listen(cmd *cobra.Command, settings suites.Settings, l suites.ListenSettings, show suites.Display) error {
	receiver, err := settings.Listener(l)
	if err != nil {
		return err
	}
	ctx, cancel := interruptible()
	defer cancel()
	show.Terminal, show.Redactor = terminalOf(os.Stdout), receiver.Redactor()
	said := emit(cmd, listening(receiver, l))
	if said != nil {
		cancel()
	}
	err = receiver.Serve(ctx, func(a suites.Arrival) {
		if err := emit(cmd, show.Show(a)); err != nil && said == nil {
			said = err
			cancel()
		}
	})
	switch {
	case said != nil:
		return said
	case err != nil:
		return harness(err)
	case ctx.Err() != nil && l.Count > 0:
		return exitCode{reports.ExitInterrupted, errors.New("interrupted: fewer deliveries had come than --count says")}
	}
	return nil
}

// listening tells where deliveries are to be sent.
func listening(r *suites.Listener, l suites.ListenSettings) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Listening on %s; ^C ends it.\n", r.URL())
	if r.Taken() {
		fmt.Fprintf(&b, "The usual address, %s, is taken.\n", suites.DefaultListen)
	}
	if !r.Loopback() {
		b.WriteString("Whoever reaches this machine can reach it: it is no loopback address.\n")
	}
	if l.Record != "" {
		fmt.Fprintf(&b, "Recording into %s; send it again with hookanvil replay %s --target URL.\n", l.Record, suites.ShellQuote(l.Record))
	}
	return b.String() + "\n"
}

// waysOfAnswering are the words of --answer, for the help text.
func waysOfAnswering() string {
	var b strings.Builder
	for _, w := range wire.AnswerWays {
		name := w.Name
		if w.Number != "" {
			name = fmt.Sprintf("%s:%d", w.Name, w.Default)
		}
		fmt.Fprintf(&b, "  %-28s %s", name, w.Doc)
		if w.Number != "" {
			fmt.Fprintf(&b, " (%s)", w.Number)
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}
