package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/suites"
)

func newSign() *cobra.Command {
	var settings suites.Settings
	var m profile.Message
	cmd := &cobra.Command{
		Use:   "sign [BODY-FILE]",
		Short: "Sign a body, and print the headers of the delivery",
		Long: `Sign a body, read from a file or from standard input byte for byte, and print the
headers of the delivery. Whoever has them and the body has an honest delivery. Where the
signature stands in the body, the signed body follows behind an empty line.`,
		Example: `  hookanvil sign --profile github --secret env:WEBHOOK_SECRET < body.json
  hookanvil sign body.json --curl --target http://127.0.0.1:8080/webhook ... | sh`,
		Args: cobra.MaximumNArgs(1),
	}
	complete := bind(cmd, &settings, "profile", "secret", "target")
	at := cmd.Flags().String("at", "", "time of signing, such as 2026-01-31T12:00:00Z; now unless given")
	cmd.Flags().StringVar(&m.ID, "id", "", "id of the delivery; invented unless given")
	cmd.Flags().StringVar(&m.Event, "event", "", "event type; the profile's ordinary one unless given")
	cmd.Flags().StringVar(&m.Method, "method", "POST", "method, for profiles that sign it")
	asCurl := cmd.Flags().Bool("curl", false, "print a curl command instead, which sends BODY-FILE to --target")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := complete(); err != nil {
			return err
		}
		if *asCurl && (len(args) == 0 || settings.Target == "") {
			return fmt.Errorf("print a curl command: it needs the body in a file, and a --target")
		}
		p, keys, err := settings.Signer()
		if err != nil {
			return err
		}
		when, err := moment(*at)
		if err != nil {
			return err
		}
		if m.Body, err = input(cmd, args); err != nil {
			return err
		}
		if m.ID == "" {
			m.ID = p.NewID(rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
		}
		if m.URL = settings.Target; *asCurl {
			m.URL = p.Addressed(m.URL)
		}
		if p.Timestamp != nil {
			m.Timestamp = p.Stamp(when)
		}
		inBody := p.Signed() && p.Signature.InBody()
		if inBody && *asCurl {
			return fmt.Errorf("print a curl command: under profile %s the signature stands in the body; sign without --curl, which prints headers and body", p.Name)
		}
		if inBody {
			m.Body = []byte(p.Fill(p.Carrying(string(m.Body)), m))
		}
		sealed, err := p.Sign(m, keys)
		switch {
		case err != nil:
			return err
		case inBody:
			return emit(cmd, headerLines(sealed.Headers)+"\n"+string(sealed.Body)+"\n")
		case *asCurl:
			return emit(cmd, curl(sealed.Headers, args[0], m.URL))
		}
		return emit(cmd, headerLines(sealed.Headers))
	}
	return cmd
}

// moment reads a time as a flag has it.
func moment(text string) (time.Time, error) {
	if text == "" {
		return time.Now(), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("read --at: %q is no time; write it like 2026-01-31T12:00:00Z", text)
	}
	return t, nil
}

// maxInput bounds what is read from a file or standard input.
const maxInput = 64 << 20

// input reads the file that is named, or standard input.
func input(cmd *cobra.Command, args []string) ([]byte, error) {
	r, name := cmd.InOrStdin(), "standard input"
	if len(args) > 0 && args[0] != "-" {
		f, err := os.Open(args[0])
		if err != nil {
			return nil, fmt.Errorf("read the input: %w", err)
		}
		defer f.Close()
		r, name = f, args[0]
	}
	b, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", name, err)
	case len(b) > maxInput:
		return nil, fmt.Errorf("read %s: it has more than %d MiB", name, maxInput>>20)
	}
	return b, nil
}

func headerLines(headers wire.Headers) string {
	var b strings.Builder
	for _, h := range headers {
		fmt.Fprintf(&b, "%s: %s\n", h.Name, h.Value)
	}
	return b.String()
}

func curl(headers wire.Headers, bodyFile, target string) string {
	words := "curl"
	for _, h := range headers {
		words += " -H " + suites.ShellQuote(h.Name+": "+h.Value)
	}
	return words + " --data-binary " + suites.ShellQuote("@"+bodyFile) + " " + suites.ShellQuote(target) + "\n"
}
