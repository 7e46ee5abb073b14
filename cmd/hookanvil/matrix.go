package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/reference"
	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

func newMatrix() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "matrix [DEFECT]...",
		Short: "Prove the catalogue on the reference receiver and sender and their defects",
		Long: `Run the catalogue against the correct reference receiver and sender under every
profile, and against each of their defects. The correct ones must pass every case; a
defect must be caught by every case that names it, and by no other. With --profile
the correct ones alone are judged, under that profile. Exit code 1 where that is not so.`,
		Example: `  hookanvil matrix
  hookanvil matrix compares-prefix-only retries-unsigned
  hookanvil matrix --profile zoom,twitch
  hookanvil matrix --profile all --role receiver
  hookanvil matrix --markdown > fixtures/reference/MATRIX.md`,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, d := range reference.Defects {
				names = append(names, d.Name+"\ta "+d.Role+" that "+d.Sentence)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
	markdown := cmd.Flags().Bool("markdown", false, "print the table of defects and the cases that name them as Markdown, and prove nothing")
	brief := cmd.Flags().Bool("brief", false, "try on each defect the cases that name it, and one in eight of the others")
	under := cmd.Flags().StringSlice("profile", nil, "judge the correct receiver and sender alone, under these profiles, or all")
	role := cmd.Flags().String("role", "", "with --profile: judge the receiver alone, or the sender")
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		if len(names) > 0 && len(*under) > 0 {
			return fmt.Errorf("judge %s: a defect is judged under the profiles that it shows under; leave out --profile, or the defects", strings.Join(names, ", "))
		}
		if *role != "" && (len(*under) == 0 || *role != "receiver" && *role != "sender") {
			return fmt.Errorf("judge one role: --role is receiver or sender, and goes with --profile")
		}
		if slices.Equal(*under, []string{"all"}) {
			*under = profiles.Names()
		}
		if *markdown {
			text, err := suites.MatrixMarkdown()
			if err != nil {
				return harness(err)
			}
			return emit(cmd, text)
		}
		ctx, cancel := interruptible()
		defer cancel()
		line := newProgress(os.Stderr)
		m, err := suites.RunMatrix(ctx, suites.MatrixScope{Names: names, Profiles: *under, Role: *role, Brief: *brief}, func(done, total int) {
			line.show(suites.Progress{Done: done, Total: total})
		})
		line.clear()
		switch {
		case ctx.Err() != nil:
			return exitCode{reports.ExitInterrupted, ctx.Err()}
		case err != nil:
			return err
		}
		if err := emit(cmd, m.Report()); err != nil {
			return err
		}
		if !m.Sound() {
			return exitCode{reports.ExitFailed, fmt.Errorf("prove the catalogue: %s", strings.ReplaceAll(m.Summary(), "\n", "; "))}
		}
		return nil
	}
	return cmd
}
