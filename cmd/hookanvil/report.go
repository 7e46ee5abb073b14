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
which was not finished, or was changed since. The exit code is that of the run, and
never 0 where it is incomplete; known failures are not applied.` + reportHelp(),
		Example: `  hookanvil report run.journal
  hookanvil report results/ --report junit=report.xml
  hookanvil report run.journal --report json=- --report junit=report.xml`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringArrayVar(&settings.Report, "report", nil, "FORMAT=PATH of a report, such as junit=report.xml; - stands for standard output")
	verbose := cmd.Flags().BoolP("verbose", "v", false, "list what passed, and show all evidence")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := settings.CheckReports(); err != nil {
			return err
		}
		run, err := readRun(args[0])
		if err != nil {
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
