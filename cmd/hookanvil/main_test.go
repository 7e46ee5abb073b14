package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/reference"
	"github.com/hookanvil/hookanvil/suites"
)

// asCommand makes this test binary the command itself.
const asCommand = "HOOKANVIL_TEST_AS_COMMAND"

// brokenBy breaks the command, where it is a test of faults that started it.
var brokenBy = func() (ended bool, code int) { return false, 0 }

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		if ended, code := brokenBy(); ended {
			os.Exit(code)
		}
		os.Exit(execute(os.Args[1:]))
	}
	testscript.Main(m, map[string]func(){"hookanvil": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("NO_COLOR", "1")
			return nil
		},
		// [whole] is where there is time for everything.
		Condition: func(cond string) (bool, error) {
			if cond != "whole" {
				return false, fmt.Errorf("there is no condition %q", cond)
			}
			return os.Getenv("HOOKANVIL_TESTS") == "whole" && !testing.Short(), nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"receiver": startReceiver,
			"sender":   startSender,
			"exits":    exits,
			"keys":     makeKeys,
			"head":     head,
		},
	})
}

// startReceiver starts a reference receiver: receiver PROFILE [DEFECT]. It sets
// TARGET, PROBE, WEBHOOK_SECRET and, where the profile has it, WEBHOOK_SECRET_V1A.
func startReceiver(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: receiver PROFILE [DEFECT]")
	}
	p, err := profiles.Get(args[0])
	ts.Check(err)
	s, err := suites.NewSpecimen(p, strings.Join(args[1:], ""), 1, suites.Quick)
	ts.Check(err)
	ts.Defer(func() { ts.Check(s.Close()) })
	ts.Setenv("TARGET", s.Subject.URL.String())
	ts.Setenv("PROBE", strings.TrimSuffix(s.Subject.URL.String(), reference.HookPath)+reference.EffectsPath+"?token={token}#/effects")
	for i, scheme := range p.Schemes() {
		name := "WEBHOOK_SECRET"
		if i > 0 {
			name += "_" + strings.ToUpper(scheme.Name)
		}
		ts.Setenv(name, s.Subject.Keys[scheme.Name][0].Reveal())
	}
}

// startSender starts a reference sender: sender PROFILE [DEFECT]. It sets TRIGGER,
// REGISTER, REMOVE, WEBHOOK_SECRET and, for a sender that is to invent its secrets,
// REGISTER_FOR_SECRET.
func startSender(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: sender PROFILE [DEFECT]")
	}
	p, err := profiles.Get(args[0])
	ts.Check(err)
	s, err := suites.NewSenderSpecimen(p, strings.Join(args[1:], ""), 1, suites.QuickSender)
	ts.Check(err)
	ts.Defer(func() { ts.Check(s.Close()) })
	ts.Setenv("TRIGGER", s.Subject.Trigger.String())
	ts.Setenv("REGISTER", strings.Replace(s.Subject.Register.String(), "{", `{"secret":"{secret}",`, 1))
	ts.Setenv("REGISTER_FOR_SECRET", s.Subject.Register.String())
	ts.Setenv("REMOVE", s.Subject.Remove.String())
	keys := p.NewKeys(rand.New(rand.NewPCG(1, 1)))
	ts.Setenv("WEBHOOK_SECRET", keys[p.Signature.Name][0].Reveal())
}

// makeKeys writes an Ed25519 key and its public one: keys PRIVATE PUBLIC [VARIABLE], where
// the variable is set to the private one.
func makeKeys(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 && len(args) != 3 {
		ts.Fatalf("usage: keys PRIVATE PUBLIC [VARIABLE]")
	}
	public, private, err := ed25519.GenerateKey(nil)
	ts.Check(err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	ts.Check(err)
	open, err := x509.MarshalPKIXPublicKey(public)
	ts.Check(err)
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: open}), 0o600))
	if len(args) == 3 {
		ts.Setenv(args[2], string(text))
	}
}

// head writes the first lines of a file to another: head COUNT FILE OTHER.
func head(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: head COUNT FILE OTHER")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	lines := strings.SplitAfter(ts.ReadFile(args[1]), "\n")
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.Join(lines[:n], "")), 0o600))
}

// exits runs a command and demands an exit code, or one of several: exits CODE[|CODE]...
// COMMAND [ARG]...
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG]...")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if !slices.Contains(strings.Split(args[0], "|"), strconv.Itoa(got)) {
		ts.Fatalf("%s: exit code %d, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}
