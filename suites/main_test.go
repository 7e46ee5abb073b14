package suites_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/hookanvil/hookanvil/suites"
)

// settings are given after -args, or in the environment:
//
//	go test ./suites/... -args --target http://127.0.0.1:8080/webhook --profile github --secret env:WEBHOOK_SECRET
var settings suites.Settings

func TestMain(m *testing.M) {
	fields := settings.Fields()
	for _, f := range fields {
		flag.Var(f, f.Name, f.Doc)
	}
	flag.Parse()
	if err := suites.FromEnvironment(fields); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if settings.Target == "" {
		// Ginkgo listens for signals until the process ends.
		goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/onsi/ginkgo/v2/internal/interrupt_handler.(*InterruptHandler).registerForInterrupts.func2"))
		return
	}
	// Who names a target wants it judged, and not our own tests run.
	if flag.Lookup("test.run").Value.String() == "" {
		if err := flag.Set("test.run", "^TestReceiver$"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
