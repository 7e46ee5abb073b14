package suites_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"github.com/hookanvil/hookanvil/suites"
)

// settings are given after -args, or in the environment:
//
//	go test ./suites/... -args --target http://127.0.0.1:8080/webhook --profile github --secret env:WEBHOOK_SECRET
//	go test ./suites/... -args --trigger 'exec ./fire {url} {token}' --profile github --secret env:WEBHOOK_SECRET
var settings suites.Settings

// named tells whether the settings name a subject.
func named() bool {
	return settings.Target+settings.Trigger+settings.Register+settings.Listen != ""
}

// needsMinutes skips a test unless there is time for all of them.
func needsMinutes(t *testing.T) {
	t.Helper()
	if testing.Short() || os.Getenv("HOOKANVIL_TESTS") != "whole" {
		t.Skip("it takes long, and is left to HOOKANVIL_TESTS=whole go test ./suites")
	}
}

// atOnce is how many tests run at the same time, where there are fewer processors: most of
// what they do is wait.
const atOnce = 4

// waitTogether runs atOnce of the tests that may run at the same time. It leaves no trace
// on the command line, which Ginkgo objects to.
func waitTogether() {
	if err := flag.Lookup("test.parallel").Value.Set(fmt.Sprint(max(atOnce, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
}

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
	if !named() {
		waitTogether()
		// Ginkgo listens for signals until the process ends.
		goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/onsi/ginkgo/v2/internal/interrupt_handler.(*InterruptHandler).registerForInterrupts.func2"))
		return
	}
	// Who names a subject wants it judged, and not our own tests run.
	if flag.Lookup("test.run").Value.String() == "" {
		if err := flag.Set("test.run", "^TestSubject$"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
