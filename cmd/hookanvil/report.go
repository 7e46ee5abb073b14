package main

import (
	"fmt"
	"os"
	"path/filepath"

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
kept from being judged is inconclusive. The exit code is that of the run; known
failures are not applied.` + reportHelp(),
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
		path := args[0]
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			path = filepath.Join(path, reports.JournalFile)
		}
		f, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
		defer f.Close()
		run, err := reports.ReadJournal(f)
		if err != nil {
			return fmt.Errorf("read the journal %s: %w", path, err)
		}
		return tell(cmd, settings, run, *verbose)
	}
	return cmd
}
