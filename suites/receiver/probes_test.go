package receiver_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hookanvil/hookanvil/suites/receiver"
)

func TestHTTPProbe(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch token := r.URL.Query().Get("token"); token {
		case "a b&c":
			fmt.Fprint(w, `{"effects":3,"deep":{"list":[1,{"n/a~b":7}]},"text":"3","float":1.5,"minus":-1}`)
		case "error":
			w.WriteHeader(500)
		case "redirect":
			http.Redirect(w, r, "/?token=a+b%26c", http.StatusFound)
		case "nonsense":
			fmt.Fprint(w, "three")
		}
	}))
	defer server.Close()
	cases := []struct {
		pointer, token string
		count          int
		err            string
	}{
		{"#/effects", "a b&c", 3, ""},
		{"#/deep/list/0", "a b&c", 1, ""},
		{"#/deep/list/1/n~1a~0b", "a b&c", 7, ""},
		{"#/deep/list/9", "a b&c", 0, "nothing stands at"},
		{"#/missing", "a b&c", 0, "no number"},
		{"#/text", "a b&c", 0, "no number"},
		{"#/float", "a b&c", 0, "no count"},
		{"#/minus", "a b&c", 0, "no count"},
		{"#/effects", "error", 0, "answered 500"},
		{"#/effects", "redirect", 0, "answered 302"},
		{"#/effects", "nonsense", 0, "no JSON"},
		{"", "a b&c", 0, "no number"},
	}
	for _, c := range cases {
		p, err := receiver.NewHTTPProbe(server.URL + "/?token={token}" + c.pointer)
		if err != nil {
			t.Fatal(err)
		}
		expectCount(t, p, c.token, c.count, c.err)
	}
	server.Close()
	p, _ := receiver.NewHTTPProbe(server.URL + "/#/effects")
	if p.Keyed() {
		t.Error("a probe whose URL has no {token} is keyed")
	}
	expectCount(t, p, "x", 0, "connection refused")
}

func TestExecProbe(t *testing.T) {
	cases := []struct {
		command string
		count   int
		err     string
	}{
		{"echo 5", 5, ""},
		{"echo {token}", 0, "no count"},
		{"expr {token} + 1", 0, "exit status"},
		{"false", 0, "exit status 1"},
	}
	for _, c := range cases {
		p, err := receiver.NewExecProbe(c.command)
		if err != nil {
			t.Fatal(err)
		}
		expectCount(t, p, "; touch pwned", c.count, c.err)
	}
	if _, err := os.Stat("pwned"); err == nil {
		t.Error("a shell has run a token")
	}
	for _, wrong := range []string{"", "  ", "no-such-command-here {token}"} {
		if _, err := receiver.NewExecProbe(wrong); err == nil {
			t.Errorf("command %q is accepted", wrong)
		}
	}
}

func TestFileProbe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "effects.jsonl")
	write := func(text string) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	p, err := receiver.NewFileProbe(path)
	if err != nil {
		t.Fatal(err)
	}
	expectCount(t, p, "evt_1", 0, "") // not written yet
	write("{\"id\":\"evt_1\"}\n{\"id\":\"evt_2\"}\n{\"id\":\"evt")
	expectCount(t, p, "evt_1", 1, "")
	write("_1\"}\n")
	expectCount(t, p, "evt_1", 2, "")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	expectCount(t, p, "evt_1", 2, "")
	write("{\"id\":\"evt_1\"}\n")
	expectCount(t, p, "evt_1", 3, "")

	later, err := receiver.NewFileProbe(path)
	if err != nil {
		t.Fatal(err)
	}
	expectCount(t, later, "evt_1", 0, "") // what stood there before does not count
	if _, err := receiver.NewFileProbe(t.TempDir()); err == nil {
		t.Error("a directory is accepted as a probe file")
	}
}

func expectCount(t *testing.T, p receiver.Probe, token string, count int, fails string) {
	t.Helper()
	n, err := p.Count(t.Context(), token)
	switch {
	case fails == "" && err != nil:
		t.Errorf("%s: %v", p, err)
	case fails != "" && (err == nil || !strings.Contains(err.Error(), fails)):
		t.Errorf("%s: error %v, want one that contains %q", p, err, fails)
	case n != count:
		t.Errorf("%s counts %d, want %d", p, n, count)
	}
}
