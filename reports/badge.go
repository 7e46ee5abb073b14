package reports

import (
	"fmt"
	"io"
)

// Badge writes what https://shields.io/badges/endpoint-badge reads: a verdict to be painted.
// Of a run that is no success it says isError, so that nobody who shows the badge can have
// it in another colour.
func Badge(w io.Writer, run Run) error {
	if err := WriteJSON(w, badgeOf(run)); err != nil {
		return fmt.Errorf("write the badge: %w", err)
	}
	return nil
}

type badge struct {
	Schema  int    `json:"schemaVersion"`
	Label   string `json:"label"`
	Message string `json:"message"`
	Color   string `json:"color"`
	IsError bool   `json:"isError"`
}

func badgeOf(run Run) badge {
	t := run.Count()
	b := badge{Schema: 1, Label: "webhooks", IsError: run.ExitCode() != ExitPassed}
	if role := run.Subject.Role; role == senderRole || role == "receiver" {
		b.Label = "webhook " + role
	}
	switch code := run.ExitCode(); {
	case code == ExitFailed && t.Fail > t.Known:
		b.Message, b.Color = fmt.Sprintf("%d failed", t.Fail-t.Known), "red"
	case code == ExitFailed:
		b.Message, b.Color = "known failures are stale", "red"
	case code == ExitInterrupted:
		b.Message, b.Color = "interrupted", "lightgrey"
	case code != ExitPassed:
		b.Message, b.Color = "inconclusive", "orange"
	case t.Known > 0:
		b.Message, b.Color = fmt.Sprintf("%d passed, %d known to fail", t.Pass, t.Known), "yellow"
	case t.Warn > 0:
		b.Message, b.Color = fmt.Sprintf("%d passed, %s", t.Pass, plural(t.Warn, "warning")), "yellowgreen"
	default:
		b.Message, b.Color = fmt.Sprintf("%d passed", t.Pass), "brightgreen"
	}
	return b
}
