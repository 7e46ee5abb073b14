package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

func newReplay() *cobra.Command {
	var settings suites.Settings
	var how suites.ReplaySettings
	cmd := &cobra.Command{
		Use:   "replay RECORDING",
		Short: "Send recorded deliveries again, as they were or signed anew",
		Long: `Send the deliveries that hookanvil listen has recorded to a receiver, one after the
other, and show what it answers. They are sent as they were, to the byte: a receiver
that judges their age will refuse them. With --resign they are signed anew, now,
under the ids that they had.

The path is that of --target or, where it has none, that of the recording. Exit code
0 where all were sent and answered, whatever the answers were, and 1 where not.`,
		Example: `  hookanvil replay deliveries.jsonl --target http://127.0.0.1:8080
  hookanvil replay deliveries.jsonl --target http://127.0.0.1:8080/hook --resign --profile stripe --secret env:WEBHOOK_SECRET
  hookanvil replay deliveries.jsonl --only evt_123 --speed original ...`,
		Args: cobra.ExactArgs(1),
	}
	complete := bind(cmd, &settings, "target", "profile", "secret", "header")
	f := cmd.Flags()
	f.BoolVar(&how.Resign, "resign", false, "sign anew with --profile and --secret")
	f.BoolVar(&how.NewIDs, "new-ids", false, "with --resign: under new ids, so that they are new deliveries")
	f.StringVar(&how.Speed, "speed", suites.SpeedFast, "fast: one after the other; original: with the gaps of the recording, of a minute at most")
	f.StringArrayVar(&how.Only, "only", nil, "id of the delivery to send; may be repeated")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := complete(); err != nil {
			return err
		}
		ctx, cancel := interruptible()
		defer cancel()
		r, err := settings.Replay(ctx, how)
		if err != nil {
			return err
		}
		return replay(ctx, cancel, cmd, r, args[0])
	}
	return cmd
}

func replay(ctx context.Context, cancel context.CancelFunc, cmd *cobra.Command, r *suites.Replay, path string) error {
	var said error
	sent, all, err := r.File(ctx, path, func(d suites.Replayed) {
		if err := emit(cmd, d.String()); err != nil && said == nil {
			said = err
			cancel()
		}
	})
	switch {
	case said != nil:
		return said
	case ctx.Err() != nil:
		return exitCode{reports.ExitInterrupted, fmt.Errorf("interrupted: %d were sent and answered", sent)}
	case err != nil:
		return err
	case sent < all:
		return exitCode{reports.ExitFailed, fmt.Errorf("%d of %d deliveries were not sent, or not answered", all-sent, all)}
	case all == 0:
		return errors.New("send the recording again: nothing was left to send")
	}
	return emit(cmd, fmt.Sprintf("%d of %d sent and answered\n", sent, all))
}
