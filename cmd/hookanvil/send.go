package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
	"github.com/hookanvil/hookanvil/suites/receiver"
)

func newSend() *cobra.Command {
	var settings suites.Settings
	var step suites.StepSettings
	cmd := &cobra.Command{
		Use:   "send",
		Short: "Send one delivery, honest or mutated, and show the exchange",
		Long: `Send one delivery and show what was sent and answered. Nothing is judged, and no
control is sent. Mutations and ways of writing are the words of the scenarios.`,
		Example: `  hookanvil send --target http://127.0.0.1:8080/webhook --profile github --secret env:WEBHOOK_SECRET
  hookanvil send --mutate body=flip-bit ...
  hookanvil send --mutate signature=truncated:8 --payload @body.json ...
  hookanvil send --wire chunked:7 --payload unicode ...`,
		Args: cobra.NoArgs,
	}
	complete := bind(cmd, &settings, "target", "profile", "secret", "second-secret", "retired-secret", "other-secret", "other-path", "header", "ack-deadline", "slow-limit",
		"cert", "key", "ca", "tls-passphrase", "tls-min", "server-name", "seed")
	cmd.Flags().StringVar(&step.Mutate, "mutate", "", "how it departs from an honest one: PART=WORD or PART=WORD:ARGUMENT")
	cmd.Flags().StringVar(&step.Wire, "wire", "", "how it is written to the socket: WORD or WORD:ARGUMENT")
	cmd.Flags().StringVar(&step.Payload, "payload", "", "name of a payload, or @FILE; the profile's own unless given")
	cmd.Flags().StringVar(&step.Event, "event", "", "event type; the profile's ordinary one unless given")
	cmd.Flags().StringVar(&step.At, "at", "", "time of signing: now, tolerance and durations, such as now-tolerance+2s")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := complete(); err != nil {
			return err
		}
		what, err := step.Step()
		if err != nil {
			return err
		}
		ctx, cancel := interruptible()
		defer cancel()
		subject, redactor, err := settings.Receiver(ctx)
		if err != nil {
			return err
		}
		exchanges, err := receiver.NewJudge(subject, settings.SeedOrRandom(), nil).Send(ctx, what)
		if err != nil {
			return fmt.Errorf("send a delivery: %w", err)
		}
		var b strings.Builder
		for _, note := range subject.Notes {
			fmt.Fprintf(&b, "note: %s\n", note)
		}
		for _, x := range exchanges {
			show(&b, redactor.CleanExchange(x))
		}
		return emit(cmd, b.String())
	}
	return cmd
}

// show writes an exchange as it crossed the wire. What came from the peer never
// begins a line.
func show(b *strings.Builder, x reports.Exchange) {
	quote(b, "> ", x.Sent)
	quote(b, "< ", x.Received)
	fmt.Fprintf(b, "%s", x.Outcome)
	if x.Status != 0 {
		fmt.Fprintf(b, " %d", x.Status)
	}
	if x.Detail != "" {
		fmt.Fprintf(b, ": %s", x.Detail)
	}
	fmt.Fprintf(b, " (%d bytes sent, %d received, %.1f ms)\n", x.SentBytes, x.ReceivedBytes, x.DurationMS)
	for _, note := range x.Notes {
		fmt.Fprintf(b, "note: %s\n", note)
	}
}

func quote(b *strings.Builder, prefix, text string) {
	if text == "" {
		return
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(text, `\r\n`), `\r\n`) {
		fmt.Fprintf(b, "%s%s\n", prefix, line)
	}
}
