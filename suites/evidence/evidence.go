// Package evidence shows what crossed the wire, for the judges that send to a receiver.
package evidence

import (
	"time"

	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/reports"
)

// shown is how many bytes of a request and of an answer are shown.
const shown = 4 << 10

// Of makes evidence of an exchange: printable and bounded. Secrets are taken out when the
// evidence is recorded. Began is when the run did.
func Of(label string, x wire.Exchange, began time.Time) reports.Exchange {
	e := reports.Exchange{
		Label: label, Outcome: string(x.Outcome), Detail: x.Detail, Notes: x.Notes, Remote: x.Remote.String(),
		Sent: Shown(x.Sent), SentBytes: x.SentTotal,
		Received: Shown(x.Received), ReceivedBytes: x.ReceivedTotal,
		StartedMS: milliseconds(x.Start.Sub(began)), FirstByteMS: milliseconds(x.FirstByte), DurationMS: milliseconds(x.Done),
	}
	if len(x.Responses) > 0 {
		e.Status = x.Responses[0].Status
	}
	if x.TLS != nil {
		e.TLS = reports.NewTLS(x.TLS.ConnectionState, x.TLS.Ours, x.TLS.Asked, wire.AlertName(x.TLS.Alert))
	}
	return e
}

// Shown is as much of what crosses the wire as evidence holds.
func Shown(b []byte) string { return reports.Printable(b, shown) }

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
