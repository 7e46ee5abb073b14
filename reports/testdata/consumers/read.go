// Read tells what Prometheus reads of OpenMetrics on standard input: a line for each
// sample, with what its family is.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail(err)
	}
	p := textparse.NewOpenMetricsParser(text, labels.NewSymbolTable())
	kind := "none"
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			fail(err)
		}
		switch entry {
		case textparse.EntryType:
			_, of := p.Type()
			kind = string(of)
		case textparse.EntrySeries:
			var all labels.Labels
			p.Labels(&all)
			_, _, value := p.Series()
			fmt.Printf("%s %q %g\n", kind, all.String(), value)
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
