package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// root is the top of the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(root(t), name))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(src, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// action is what action.yml says.
type action struct {
	Inputs  map[string]struct{ Description, Default string }
	Outputs map[string]struct{ Value string }
	Runs    struct {
		Using string
		Steps []struct {
			ID, Name, If, Uses, Run, Shell string
			Env                            map[string]string
			With                           map[string]any
		}
	}
}

// No input of the Action becomes a part of a script, and no action that it uses can be
// exchanged by who owns that: it is named by commit.
func TestActionIsInert(t *testing.T) {
	var a action
	readYAML(t, "action.yml", &a)
	src, err := os.ReadFile(filepath.Join(root(t), "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`inputs\.([a-z0-9-]+)`).FindAllSubmatch(src, -1) {
		used[string(m[1])] = true
		if _, ok := a.Inputs[string(m[1])]; !ok {
			t.Errorf("there is no input %s", m[1])
		}
	}
	for name, in := range a.Inputs {
		if !used[name] || in.Description == "" {
			t.Errorf("the input %s is not used, or not described", name)
		}
	}
	for _, step := range a.Runs.Steps {
		if strings.Contains(step.Run, "${{") {
			t.Errorf("%s: its script is made of an expression: %s", step.Name, step.Run)
		}
		if step.Uses != "" && !regexp.MustCompile(`^[a-z-]+/[a-z-]+(/[a-z-]+)?@[0-9a-f]{40}$`).MatchString(step.Uses) {
			t.Errorf("%s: %s is not named by commit", step.Name, step.Uses)
		}
		if step.Run == "" {
			continue
		}
		script, err := os.ReadFile(filepath.Join(root(t), strings.Trim(strings.Replace(step.Run, "$GITHUB_ACTION_PATH/", "", 1), `"`)))
		if err != nil {
			t.Error(err)
		}
		for name := range step.Env {
			if !bytes.Contains(script, []byte("$"+name)) {
				t.Errorf("%s: its script does not read %s", step.Name, name)
			}
		}
	}
	for name, out := range a.Outputs {
		if m := regexp.MustCompile(`^\$\{\{ steps\.judge\.outputs\.([a-z-]+) \}\}$`).FindStringSubmatch(out.Value); m == nil || m[1] != name {
			t.Errorf("the output %s is %s", name, out.Value)
		}
	}
	if a.Runs.Using != "composite" || len(a.Runs.Steps) < 4 {
		t.Errorf("%+v", a.Runs)
	}
}

// scripted is a script of the repository, to be run in a directory and an environment of its
// own, as a step of a job is.
type scripted struct {
	t   *testing.T
	dir string
	env []string
}

func inJob(t *testing.T, env ...string) *scripted {
	t.Helper()
	for _, program := range []string{"bash", "tar", "awk"} {
		if _, err := exec.LookPath(program); err != nil || runtime.GOOS == "windows" {
			t.Skipf("the scripts of a job cannot be run here: %s", program)
		}
	}
	s := &scripted{t: t, dir: t.TempDir()}
	s.write("bin/.keep", "", 0o600)
	s.write("temp/.keep", "", 0o600)
	s.env = append(os.Environ(), "PATH="+filepath.Join(s.dir, "bin")+":"+os.Getenv("PATH"), "RUNNER_TEMP="+filepath.Join(s.dir, "temp"),
		"GITHUB_ACTION_PATH="+root(t), "GITHUB_OUTPUT="+filepath.Join(s.dir, "output"), "GITHUB_PATH="+filepath.Join(s.dir, "path"),
		"GITHUB_STEP_SUMMARY="+filepath.Join(s.dir, "summary"), "GITHUB_ACTIONS=true", "RUNNER_OS=Linux", "RUNNER_ARCH=X64")
	s.env = append(s.env, env...)
	return s
}

func (s *scripted) write(name, content string, mode fs.FileMode) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		s.t.Fatal(err)
	}
}

// read is the content of a file of the job; empty where it was not written.
func (s *scripted) read(name string) string {
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	return string(b)
}

func (s *scripted) run(args ...string) (code int, out string) {
	s.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = s.dir, s.env
	b, err := cmd.CombinedOutput()
	return exitCodeOf(s.t, err), string(b)
}

// recorder is a program that keeps what it is called with, makes the results folder, and
// exits as it is told to.
const recorder = `#!/usr/bin/env bash
printf '%s\0' "$(basename "$0")" "$@" >>"$CALLS"
printf '%s' "${HOOKANVIL_SECRET-}" >"$CALLS.secret"
printf '%s' "${SECRET-}" >"$CALLS.leak"
for arg; do
	case $arg in
	--out=*) mkdir -p "${arg#--out=}" ;;
	--report=junit=*) : >"${arg#--report=junit=}" ;;
	esac
done
exit "${EXIT:-0}"
`

// calls are what the recorders were called with, word by word.
func (s *scripted) calls() []string {
	return strings.Split(strings.TrimSuffix(s.read("calls"), "\x00"), "\x00")
}

// inputs of the judging step, empty unless given.
func judging(t *testing.T, inputs map[string]string) *scripted {
	env := []string{}
	for _, name := range []string{"RUN", "TARGET", "PROFILE", "SECRET", "ARGUMENTS", "BASELINE", "KNOWN_FAILURES"} {
		env = append(env, name+"="+inputs[name])
	}
	results, ok := inputs["RESULTS"]
	if !ok {
		results = "hookanvil-results"
	}
	s := inJob(t, append(env, "RESULTS="+results, "EXIT="+inputs["EXIT"])...)
	s.env = append(s.env, "CALLS="+filepath.Join(s.dir, "calls"))
	s.write("bin/hookanvil", recorder, 0o700)
	return s
}

func judge(t *testing.T) string { return filepath.Join(root(t), ".github/action/judge") }

// What the Action is given, the command is given, word for word.
func TestActionJudges(t *testing.T) {
	files := func(out string) []string {
		return []string{"--out=" + out, "--report=github", "--report=junit=" + out + ".junit.xml", "--report=sarif=" + out + ".sarif"}
	}
	for name, test := range map[string]struct {
		inputs map[string]string
		want   []string
	}{
		"nothing": {nil, append([]string{"hookanvil", "run"}, files("hookanvil-results")...)},
		"everything": {
			map[string]string{
				"RUN": "receiver/signature  receiver/replay\n", "TARGET": "http://127.0.0.1:8080/hook", "PROFILE": "github", "BASELINE": "before", "KNOWN_FAILURES": "known.yaml",
				"ARGUMENTS": "--probe-url=http://127.0.0.1/{token}\n\n--header\nX-Tunnel: a b\r\n", "RESULTS": "out/now",
			},
			append([]string{
				"hookanvil", "run", "receiver/signature", "receiver/replay", "--target=http://127.0.0.1:8080/hook", "--profile=github", "--baseline=before",
				"--known-failures=known.yaml", "--probe-url=http://127.0.0.1/{token}", "--header", "X-Tunnel: a b",
			}, files("out/now")...),
		},
	} {
		s := judging(t, test.inputs)
		if code, out := s.run(judge(t)); code != 0 {
			t.Errorf("%s: exit code %d: %s", name, code, out)
		}
		if diff := cmp.Diff(test.want, s.calls()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Nothing that an input holds is run, expanded, or taken for an output of the step.
func TestActionIsNotInjected(t *testing.T) {
	for _, payload := range []string{
		"$(touch pwned)", "`touch pwned`", "'; touch pwned #", `"; touch pwned; "`, "&& touch pwned", "| touch pwned", "${IFS}", "$HOME", "~", "*", "{a,b}",
		`\$(touch pwned)`, "%s%n", "!!", "<(touch pwned)", "a\x07b", "-e",
	} {
		for _, input := range []string{"TARGET", "PROFILE", "ARGUMENTS", "BASELINE", "KNOWN_FAILURES", "SECRET", "RUN"} {
			s := judging(t, map[string]string{input: payload})
			s.write("file", "", 0o600)
			code, out := s.run(judge(t))
			if _, err := os.Stat(filepath.Join(s.dir, "pwned")); err == nil || code != 0 {
				t.Fatalf("%s=%q: it was run, or exit code %d: %s", input, payload, code, out)
			}
			all := strings.Join(s.calls(), " ")
			switch {
			case input == "SECRET":
				if s.read("calls.secret") != payload || s.read("calls.leak") != "" || strings.Contains(all, payload) && payload != "-e" {
					t.Errorf("the secret %q became %q, and the command %q", payload, s.read("calls.secret"), all)
				}
			case input == "RUN":
				if !strings.Contains(all, strings.Join(strings.Fields(payload), " ")) {
					t.Errorf("%s=%q became %q", input, payload, all)
				}
			case !slices.ContainsFunc(s.calls(), func(arg string) bool { return arg == payload || strings.HasSuffix(arg, "="+payload) }):
				t.Errorf("%s=%q became %q", input, payload, s.calls())
			}
		}
	}
	s := judging(t, map[string]string{"RESULTS": "a\nexit-code=0"})
	if code, _ := s.run(judge(t)); code != 2 || s.read("output") != "" || s.read("calls") != "" {
		t.Errorf("a results folder of two lines: exit code %d, output %q", code, s.read("output"))
	}
}

// The step fails as the command does, and says where things are, whatever came of it.
func TestActionTellsTheOutcome(t *testing.T) {
	for _, exit := range []string{"0", "1", "2", "3", "4", "130"} {
		s := judging(t, map[string]string{"EXIT": exit})
		code, _ := s.run(judge(t))
		at := filepath.Join(s.dir, "hookanvil-results")
		want := fmt.Sprintf("exit-code=%s\nresults=%s\njunit=%s.junit.xml\n", exit, at, at) // the recorder writes no SARIF
		if got := s.read("output"); fmt.Sprint(code) != exit || got != want {
			t.Errorf("exit code %d, want %s; output %q, want %q", code, exit, got, want)
		}
	}
}

// The Action with the command itself, against a receiver.
func TestActionWithTheCommand(t *testing.T) {
	target, _ := acceptor(t, -1)
	s := judging(t, map[string]string{"RUN": "receiver/fidelity/valid receiver/signature/missing", "TARGET": target, "PROFILE": "github", "SECRET": canary})
	s.env = append(s.env, asCommand+"=1")
	if err := os.Remove(filepath.Join(s.dir, "bin/hookanvil")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(testBinary(t), filepath.Join(s.dir, "bin/hookanvil")); err != nil {
		t.Fatal(err)
	}
	code, out := s.run(judge(t))
	if code != 1 || strings.Contains(out, canary) {
		t.Fatalf("exit code %d, want 1, or the secret is told:\n%s", code, out)
	}
	wellFormed(t, filepath.Join(s.dir, "hookanvil-results.junit.xml"))
	for _, want := range []struct{ file, text string }{
		{"output", "exit-code=1\n"}, {"output", "sarif="}, {"output", "results="}, {"summary", "receiver/signature/missing"},
		{"hookanvil-results.sarif", `"2.1.0"`}, {"hookanvil-results/report.json", `"hookanvil.report/1"`},
	} {
		if !strings.Contains(s.read(want.file), want.text) {
			t.Errorf("%s does not hold %s:\n%.500s", want.file, want.text, s.read(want.file))
		}
	}
	if !regexp.MustCompile(`(?m)^::error .*receiver/signature/missing`).MatchString(out) {
		t.Errorf("no annotation:\n%s", out)
	}
}

func testBinary(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// releases serves archives, and keeps what it was asked for.
type releases struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte
	asked []string
}

func newReleases(t *testing.T) *releases {
	r := &releases{files: map[string][]byte{}}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.asked = append(r.asked, req.URL.Path)
		content, ok := r.files[req.URL.Path]
		if !ok {
			http.NotFound(w, req)
			return
		}
		_, _ = w.Write(content)
	}))
	t.Cleanup(r.Close)
	return r
}

// env has the script download from here, and trust this server.
func (r *releases) env(s *scripted) {
	s.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw})), 0o600)
	s.env = append(s.env, "HOOKANVIL_RELEASES="+r.URL, "CURL_CA_BUNDLE="+filepath.Join(s.dir, "ca.pem"))
}

func archived(t *testing.T, name, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func install(t *testing.T) string { return filepath.Join(root(t), ".github/action/install") }

// A release is installed where it is the one that its list, and the workflow, say.
func TestActionDownloads(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip(err)
	}
	good := archived(t, "hookanvil", "#!/bin/sh\necho installed \"$@\"\n")
	evil := archived(t, "hookanvil", "#!/bin/sh\ntouch \"$RUNNER_TEMP/pwned\"\n")
	const name = "hookanvil_linux_amd64.tar.gz"
	list := digest(good) + "  " + name + "\n" + digest(evil) + "  hookanvil_darwin_arm64.tar.gz\n"
	for what, test := range map[string]struct {
		version, sha256, list string
		archive               []byte
		want                  string // of what is said; none where it is installed
	}{
		"as it should be":           {"v1.2.3", "", list, good, ""},
		"the latest":                {"latest", "", list, good, ""},
		"by the workflow's digest":  {"v1.2.3", digest(good), list, good, ""},
		"exchanged":                 {"v1.2.3", "", list, evil, "checksums.txt says " + digest(good)},
		"exchanged with the list":   {"v1.2.3", digest(good), digest(evil) + "  " + name + "\n", evil, "the workflow says " + digest(good)},
		"cut off":                   {"v1.2.3", "", list, good[:len(good)-5], "checksums.txt says"},
		"not in the list":           {"v1.2.3", "", digest(good) + "  other.tar.gz\n", good, "does not say one SHA-256"},
		"twice in the list":         {"v1.2.3", "", list + list, good, "does not say one SHA-256"},
		"an empty list":             {"v1.2.3", "", "", good, "does not say one SHA-256"},
		"no list":                   {"v1.2.3", "", "-", good, "404"},
		"no archive":                {"v1.2.3", "", list, nil, "404"},
		"a path for a version":      {"v1/../../evil", "", list, good, "is not one"},
		"a command for a version":   {"$(touch pwned)", "", list, good, "must be like v0.1.0"},
		"a version without its v":   {"1.2.3", "", list, good, "must be like v0.1.0"},
		"a digest, and no version":  {"", digest(good), list, good, "no version to download"},
		"two lines for one version": {"v1.2.3\nv1", "", list, good, "is not one"},
	} {
		r := newReleases(t)
		for _, dir := range []string{"/download/v1.2.3/", "/latest/download/"} {
			if test.archive != nil {
				r.files[dir+name] = test.archive
			}
			if test.list != "-" {
				r.files[dir+"checksums.txt"] = []byte(test.list)
			}
		}
		s := inJob(t, "VERSION="+test.version, "SHA256="+test.sha256)
		r.env(s)
		code, out := s.run(install(t))
		if _, err := os.Stat(filepath.Join(s.dir, "temp/pwned")); err == nil {
			t.Errorf("%s: what was not verified was run", what)
		}
		if test.want != "" {
			if code == 0 || !strings.Contains(out, test.want) || s.read("path") != "" {
				t.Errorf("%s: exit code %d, path %q, want %q in: %s", what, code, s.read("path"), test.want, out)
			}
			continue
		}
		bin := filepath.Join(s.dir, "temp/hookanvil-bin")
		if code != 0 || !strings.Contains(out, "installed version") || s.read("path") != bin+"\n" {
			t.Errorf("%s: exit code %d, path %q: %s", what, code, s.read("path"), out)
		}
		if left, err := os.ReadDir(bin); err != nil || len(left) != 1 {
			t.Errorf("%s: left behind: %v, %v", what, left, err)
		}
	}
}

// A server that the runner does not trust gives nothing, and neither does plain HTTP.
func TestActionDownloadsByTLS(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip(err)
	}
	r := newReleases(t)
	plain := httptest.NewServer(r.Config.Handler)
	t.Cleanup(plain.Close)
	for _, from := range []string{r.URL, plain.URL} {
		s := inJob(t, "VERSION=latest", "SHA256=", "HOOKANVIL_RELEASES="+from)
		if code, out := s.run(install(t)); code == 0 || len(r.asked) > 0 {
			t.Errorf("from %s: exit code %d, asked for %q: %s", from, code, r.asked, out)
		}
	}
}

// release is what .goreleaser.yaml says.
type release struct {
	Builds []struct {
		Main, Binary string
		Env, Flags   []string
		Ldflags      []string
		Goos, Goarch []string
		ModTimestamp string `yaml:"mod_timestamp"`
	}
	Archives []struct {
		Formats      []string
		NameTemplate string `yaml:"name_template"`
	}
	Checksum struct {
		NameTemplate string `yaml:"name_template"`
		Algorithm    string
	}
	Dockers []struct {
		Goos, Goarch, Dockerfile string
		BuildFlagTemplates       []string `yaml:"build_flag_templates"`
	}
}

// The Action asks for the archives that a release has, on every runner.
func TestActionAndReleaseAgree(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip(err)
	}
	var c release
	readYAML(t, ".goreleaser.yaml", &c)
	names := map[string]bool{}
	for _, goos := range c.Builds[0].Goos {
		for _, goarch := range c.Builds[0].Goarch {
			name := strings.NewReplacer("{{ .Os }}", goos, "{{ .Arch }}", goarch).Replace(c.Archives[0].NameTemplate)
			names[name+"."+c.Archives[0].Formats[0]] = true
		}
	}
	asked := map[string]bool{}
	for _, os := range []string{"Linux", "macOS", "Windows"} {
		for _, arch := range []string{"X64", "ARM64"} {
			r := newReleases(t)
			s := inJob(t, "VERSION=latest", "SHA256=", "RUNNER_OS="+os, "RUNNER_ARCH="+arch)
			r.env(s)
			if code, _ := s.run(install(t)); code == 0 || len(r.asked) == 0 {
				t.Fatalf("%s %s: exit code %d, asked for %q", os, arch, code, r.asked)
			}
			asked[strings.TrimPrefix(r.asked[0], "/latest/download/")] = true
		}
	}
	if diff := cmp.Diff(names, asked); diff != "" {
		t.Errorf("the archives of a release, and those that are asked for (-want +got):\n%s", diff)
	}
	script, err := os.ReadFile(install(t))
	if err != nil {
		t.Fatal(err)
	}
	if c.Checksum.Algorithm != "sha256" || !bytes.Contains(script, []byte(c.Checksum.NameTemplate)) {
		t.Errorf("the list of digests is %s, by %s", c.Checksum.NameTemplate, c.Checksum.Algorithm)
	}
	s := inJob(t, "VERSION=latest", "SHA256=", "RUNNER_ARCH=ARM")
	if code, out := s.run(install(t)); code == 0 || !strings.Contains(out, "build from source") {
		t.Errorf("a runner without a release: exit code %d: %s", code, out)
	}
}

// What stands in the Dockerfile builds a static binary that says its version, of what its
// context has.
func TestImage(t *testing.T) {
	if os.Getenv("HOOKANVIL_TESTS") != "whole" {
		t.Skip("it builds the command and all that it is made of; HOOKANVIL_TESTS=whole has it do so")
	}
	src, err := os.ReadFile(filepath.Join(root(t), ".ci/Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	build := regexp.MustCompile(`(?m)^ *(CGO_ENABLED=0 .* go build .*-o )/hookanvil (.*)$`).FindStringSubmatch(string(src))
	if build == nil {
		t.Fatal("the Dockerfile builds nothing")
	}
	for _, want := range []string{"FROM gcr.io/distroless/static-debian12:nonroot AS base\n", "FROM base AS release\n", `ENTRYPOINT ["/usr/bin/hookanvil"]` + "\n", "COPY --from=build /hookanvil /usr/bin/hookanvil\n"} {
		if !strings.Contains(string(src), want) {
			t.Errorf("the Dockerfile does not hold %q", want)
		}
	}
	s := inJob(t, "TARGETOS=linux", "TARGETARCH="+runtime.GOARCH, "VERSION=v9.8.7")
	copyContext(t, root(t), filepath.Join(s.dir, "src"))
	binary := filepath.Join(s.dir, "hookanvil")
	if code, out := s.run("sh", "-c", "cd src && "+build[1]+binary+" "+build[2]); code != 0 {
		t.Fatalf("%s: exit code %d: %s", build[0], code, out)
	}
	isStatic(t, binary)
	if runtime.GOOS == "linux" {
		if code, out := s.run(binary, "version"); code != 0 || !strings.HasPrefix(out, "hookanvil v9.8.7 ") {
			t.Errorf("exit code %d: %s", code, out)
		}
	}
	linking := regexp.MustCompile(`-ldflags ("[^"]*")`).FindStringSubmatch(build[0])
	s.env = append(s.env, "VERSION=")
	if _, out := s.run("sh", "-c", "echo "+linking[1]); strings.TrimSpace(out) != "-s -w" {
		t.Errorf("without a version it is linked with %q", out)
	}
	var c release
	readYAML(t, ".goreleaser.yaml", &c)
	variable := regexp.MustCompile(`-X ([^ =]+)=`)
	if one, other := variable.FindStringSubmatch(linking[1]), variable.FindStringSubmatch(c.Builds[0].Ldflags[0]); one == nil || other == nil || one[1] != other[1] {
		t.Errorf("the version is %q in the Dockerfile, and %q in the release", one, other)
	}
	for _, d := range c.Dockers {
		if d.Dockerfile != ".ci/Dockerfile" || !slices.Contains(d.BuildFlagTemplates, "--target=release") || !slices.Contains(d.BuildFlagTemplates, "--platform="+d.Goos+"/"+d.Goarch) {
			t.Errorf("%+v", d)
		}
	}
}

// isStatic makes sure that a binary needs nothing that an empty image lacks.
func isStatic(t *testing.T, path string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has a segment %s", p.Type)
		}
	}
}

// copyContext copies what .dockerignore leaves.
func copyContext(t *testing.T, from, to string) {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(from, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	ignored := func(path string) bool {
		for _, pattern := range strings.Fields(string(src)) {
			name, anywhere := strings.CutPrefix(pattern, "**/")
			matched, err := filepath.Match(name, filepath.Base(path))
			if err != nil {
				t.Fatal(err)
			}
			if matched && (anywhere || !strings.Contains(path, "/")) {
				return true
			}
		}
		return false
	}
	err = fs.WalkDir(os.DirFS(from), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != "." && ignored(path) && d.IsDir():
			return fs.SkipDir
		case path != "." && ignored(path) || !d.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(filepath.Join(from, path))
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(to, path)), 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, path), content, 0o600)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The command can be built for the systems that a release is made for, on one architecture each.
func TestReleaseBuilds(t *testing.T) {
	if os.Getenv("HOOKANVIL_TESTS") != "whole" {
		t.Skip("it builds the command for other systems; HOOKANVIL_TESTS=whole has it do so")
	}
	var c release
	readYAML(t, ".goreleaser.yaml", &c)
	b := c.Builds[0]
	if !slices.Equal(b.Env, []string{"CGO_ENABLED=0"}) || b.Main != "./cmd/hookanvil" || b.Binary != "hookanvil" {
		t.Fatalf("%+v", b)
	}
	for i, goos := range b.Goos {
		if goarch := b.Goarch[i%len(b.Goarch)]; goos != runtime.GOOS { // this one is built all the time
			args := append([]string{"build", "-C", root(t), "-o", filepath.Join(t.TempDir(), "hookanvil"), "-ldflags", strings.ReplaceAll(b.Ldflags[0], "{{ .Version }}", "9.8.7")}, b.Flags...)
			cmd := exec.Command("go", append(args, b.Main)...)
			cmd.Env = append(append(os.Environ(), b.Env...), "GOOS="+goos, "GOARCH="+goarch)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s/%s: %v: %s", goos, goarch, err, out)
			}
		}
	}
}

// The job for GitLab installs the version that it is told, and runs what it is told.
func TestGitLabJob(t *testing.T) {
	var file map[string]struct {
		Variables    map[string]string
		BeforeScript []string `yaml:"before_script"`
		Script       []string
		Artifacts    struct {
			When    string
			Paths   []string
			Reports map[string]string
		}
	}
	readYAML(t, ".gitlab/hookanvil.gitlab-ci.yml", &file)
	job := file[".hookanvil"]
	if got := job.Artifacts; got.When != "always" || got.Reports["junit"] != "hookanvil.junit.xml" || !slices.Contains(got.Paths, "hookanvil-results/") {
		t.Errorf("artifacts %+v", got)
	}
	for cases, want := range map[string][]string{
		"":                                {},
		"receiver/signature sender":       {"receiver/signature", "sender"},
		"receiver/* $(touch pwned) ;true": {"receiver/*", "$(touch", "pwned)", ";true"},
	} {
		s := inJob(t, "HOOKANVIL_CASES="+cases, "HOOKANVIL_VERSION=v1.2.3", "EXIT=1")
		s.env = append(s.env, "CALLS="+filepath.Join(s.dir, "calls"))
		s.write("bin/go", strings.Replace(recorder, `"${EXIT:-0}"`, "0", 1), 0o700)
		s.write("bin/hookanvil", strings.Replace(recorder, "exit", `[ "$1" = version ] || exit`, 1), 0o700)
		s.write("receiver/file", "", 0o600)
		code, out := s.run("sh", "-ec", strings.Join(append(job.BeforeScript, job.Script...), "\n"))
		if code != 1 {
			t.Errorf("%q: exit code %d: %s", cases, code, out)
		}
		all := slices.Concat([]string{"go", "install", "github.com/hookanvil/hookanvil/cmd/hookanvil@v1.2.3", "hookanvil", "version", "hookanvil", "run"}, want,
			[]string{"--out", "hookanvil-results", "--report", "junit=hookanvil.junit.xml"})
		if diff := cmp.Diff(all, s.calls()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", cases, diff)
		}
	}
}
