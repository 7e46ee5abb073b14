package receiver_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/hookanvil/hookanvil/suites"
)

// whole tells whether there is time to try everything: HOOKANVIL_TESTS=whole.
func whole() bool { return os.Getenv("HOOKANVIL_TESTS") == "whole" && !testing.Short() }

// A target given to `go test ./suites/... -args --target URL` is judged by the
// package above; this one has nothing to add, and must not stumble over its flags.
func TestMain(m *testing.M) {
	var settings suites.Settings
	for _, f := range settings.Fields() {
		flag.Var(f, f.Name, f.Doc)
	}
	flag.Parse()
	if settings.Target != "" || os.Getenv("HOOKANVIL_TARGET") != "" {
		fmt.Println("the target is judged by github.com/hookanvil/hookanvil/suites")
		return
	}
	goleak.VerifyTestMain(m)
}
