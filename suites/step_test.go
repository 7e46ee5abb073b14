package suites_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites"
)

func TestStep(t *testing.T) {
	body := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(body, []byte("{\r\n}"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := "{\r\n}"
	for _, test := range []struct {
		settings suites.StepSettings
		want     scenarios.Step
	}{
		{suites.StepSettings{}, scenarios.Step{}},
		{suites.StepSettings{Mutate: "body=flip-bit"}, scenarios.Step{Mutate: &scenarios.Mutation{Part: "body", Word: scenarios.Word{Name: "flip-bit"}}}},
		{suites.StepSettings{Mutate: "signature=truncated:8"}, scenarios.Step{Mutate: &scenarios.Mutation{Part: "signature", Word: scenarios.Word{Name: "truncated", Arg: 8}}}},
		{suites.StepSettings{Mutate: "timestamp=shifted:-24h"}, scenarios.Step{Mutate: &scenarios.Mutation{Part: "timestamp", Word: scenarios.Word{Name: "shifted", Arg: -24 * time.Hour}}}},
		{suites.StepSettings{Mutate: "unsigned=header:X-A: b"}, scenarios.Step{Mutate: &scenarios.Mutation{Part: "unsigned", Word: scenarios.Word{Name: "header", Arg: "X-A: b"}}}},
		{suites.StepSettings{Wire: "chunked"}, scenarios.Step{Wire: &scenarios.Word{Name: "chunked"}}},
		{suites.StepSettings{Wire: "chunked:3", Event: "e", At: "now-5s"}, scenarios.Step{Wire: &scenarios.Word{Name: "chunked", Arg: 3}, Event: "e", At: "now-5s"}},
		{suites.StepSettings{Payload: "unicode"}, scenarios.Step{Payload: "unicode"}},
		{suites.StepSettings{Payload: "@" + body}, scenarios.Step{Body: &text}},
	} {
		got, err := test.settings.Step()
		if err != nil {
			t.Errorf("%+v: %v", test.settings, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test.settings, diff)
		}
	}
	for want, settings := range map[string]suites.StepSettings{
		`did you mean "body"?`:     {Mutate: "bodi=flip-bit"},
		`did you mean "flip-bit"?`: {Mutate: "body=flipbit"},
		"must be PART=WORD":        {Mutate: "body"},
		"takes an argument":        {Mutate: "signature=truncated"},
		"takes no argument":        {Mutate: "body=flip-bit:3"},
		"is no number":             {Mutate: "signature=truncated:x"},
		"no word is called":        {Wire: "pigeon"},
		"read --payload":           {Payload: "unicorn"},
		"no such file":             {Payload: "@missing"},
		"read --at":                {At: "tomorrow"},
	} {
		if _, err := settings.Step(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one that contains %q", settings, err, want)
		}
	}
}

func TestReadRequest(t *testing.T) {
	want := wire.Headers{{Name: "X-A", Value: "1"}, {Name: "X-B", Value: ""}}
	for raw, body := range map[string]string{
		"POST /hook HTTP/1.1\r\nX-A: 1\r\nX-B:\r\n\r\n{}\r\n": "{}\r\n",
		"X-A: 1\nX-B:\n\n{}": "{}",
		"X-A: 1\nX-B: \n":    "",
		"X-A:1\nX-B:":        "",
	} {
		in, err := suites.ReadRequest([]byte(raw))
		if err != nil || string(in.Body) != body || in.Method != "POST" {
			t.Errorf("%q: %+v, error %v", raw, in, err)
		}
		if diff := cmp.Diff(want, in.Headers); diff != "" {
			t.Errorf("%q (-want +got):\n%s", raw, diff)
		}
	}
	in, err := suites.ReadRequest([]byte("PUT /x?y HTTP/1.1\nContent-Length: 2\n\n{}\n"))
	if err != nil || string(in.Body) != "{}" || in.Method != "PUT" || in.URL != "/x?y" {
		t.Errorf("%+v, error %v", in, err)
	}
	for _, raw := range []string{"no header\n\n", "A: 1\nPOST / HTTP/1.1\n\n", "Content-Length: 5\n\n{}", "Content-Length: -1\n\n", "Transfer-Encoding: chunked\n\n2\n{}\n0\n\n"} {
		if _, err := suites.ReadRequest([]byte(raw)); err == nil {
			t.Errorf("%q is taken for a request", raw)
		}
	}
}
