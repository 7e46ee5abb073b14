package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/suites"
)

func newReport() *cobra.Command {
	var settings suites.Settings
	cmd := &cobra.Command{
		Use:   "report JOURNAL | FOLDER",
		Short: "Write reports from a run's journal",
		Long: `Write the reports of a run again from its journal (hookanvil run --journal FILE) or
its results folder (hookanvil run --out FOLDER), complete or cut short. What a crash
kept from being judged is inconclusive, and the run incomplete; so is that of a folder
which was not finished, or was changed since.

Known failures and a baseline count where they are given here, as they do for
hookanvil run; an entry is over that was when the run ended. The exit code is that of
the run, and never 0 where it is incomplete.` + reportHelp(),
		Example: `  hookanvil report run.journal
  hookanvil report results/ --report junit=report.xml
  hookanvil report results/ --known-failures known.yaml --baseline last-release/
  hookanvil report run.journal --report json=- --report junit=report.xml`,
		Args: cobra.ExactArgs(1),
	}
	bindFlags(cmd, &settings, "report", "known-failures", "baseline")
	verbose := cmd.Flags().BoolP("verbose", "v", false, "list what passed, and show all evidence")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := settings.CheckReports(); err != nil {
			return err
		}
		run, err := readRun(args[0])
		if err != nil {
			return err
		}
		if err := settings.Excuse(&run); err != nil {
			return err
		}
		return tell(cmd, settings, run, *verbose)
	}
	return cmd
}

// readRun reads the run of a journal, or of a results folder.
func readRun(path string) (reports.Run, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return reports.ReadFolder(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return reports.Run{}, fmt.Errorf("read the journal: %w", err)
	}
	defer f.Close()
	run, err := reports.ReadJournal(f)
	if err != nil {
		return run, fmt.Errorf("read the journal %s: %w", path, err)
	}
	return run, nil
}
