package main

import (
	"strings"
	"testing"
)

// A reference receiver says how it is judged, and runs until ^C.
func TestReferenceReceiver(t *testing.T) {
	t.Parallel()
	_, welcome := serving(t, t.TempDir(), "reference", "receiver", "--profile", "github", "--defect", "accepts-missing-signature")
	for _, want := range []string{
		"A receiver that verifies a signature only where there is one, under profile github",
		"export WEBHOOK_SECRET='",
		"hookanvil run --target http://127.0.0.1:",
		"/hook --profile github --secret env:WEBHOOK_SECRET --probe-url ",
	} {
		if !strings.Contains(welcome, want) {
			t.Errorf("it does not say %q, but\n%s", want, welcome)
		}
	}
}
