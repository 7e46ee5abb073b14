package suites_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/suites"
	"github.com/hookanvil/hookanvil/suites/sender"
)

// observedVersion is the version that testdata/alertmanager.verdicts was observed of.
const observedVersion = "0.25.0"

// A sender that nobody here wrote: Debian's prometheus-alertmanager. What is found
// must be what was found before, as OBSERVED.md has it.
func TestAlertmanager(t *testing.T) {
	needsMinutes(t)
	program, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		t.Skip("prometheus-alertmanager is not installed: apt-get install prometheus-alertmanager")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	api := startAlertmanager(t, program, "http://"+l.Addr().String()+"/hook")
	p, err := suites.FindProfile("testdata/alertmanager.yaml")
	if err != nil {
		t.Fatal(err)
	}
	trigger, err := sender.ParseHook("POST "+api+`/api/v2/alerts [{"labels":{"alertname":"{event}","token":"{token}"}}]`, nil)
	if err != nil {
		t.Fatal(err)
	}
	cases, err := suites.Select([]string{"sender"})
	if err != nil {
		t.Fatal(err)
	}
	// Its schedule is another with every run: there is too much jitter in it to be told.
	// What asks its only endpoint to wait runs alone, so a few of those must do.
	few := []string{"retry-after-seconds", "retry-after-date", "429-holds-back"}
	cases = slices.DeleteFunc(cases, func(c scenarios.Case) bool {
		asks := strings.Contains(c.ID, "retry-after") || strings.Contains(c.ID, "429")
		return c.Measure == "schedule-shape" || asks && !slices.Contains(few, c.ID)
	})
	session, err := suites.Start(t.Context(), suites.Config{Cases: cases, Parallel: 64, Subject: suites.Sender(sender.Subject{
		Profile: p, Trigger: trigger,
		Limits: sender.Limits{Budget: 15 * time.Second, Arrival: 5 * time.Second, Slack: time.Second},
		Open:   func(string) (net.Listener, error) { return l, nil },
	})})
	if err != nil {
		t.Fatal(err)
	}
	run, err := session.Wait()
	if err != nil {
		t.Fatal(err)
	}
	compareVerdicts(t, run)
}

// compareVerdicts holds a run against the verdicts that were observed.
func compareVerdicts(t *testing.T, run reports.Run) {
	t.Helper()
	var got strings.Builder
	for _, r := range run.Results {
		if r.Verdict != reports.Skip {
			fmt.Fprintf(&got, "%s %s\n", r.Verdict, r.ID)
		}
		if r.Verdict == reports.Fail || r.Verdict == reports.Warn || r.Verdict == reports.Inconclusive {
			t.Logf("%s %s: %s", r.Verdict, r.ID, r.Reason)
		}
	}
	const file = "testdata/alertmanager.verdicts"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("verdicts (-observed before +now):\n%s", diff)
	}
}

const alertmanagerConfig = `
route: {receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 5m, repeat_interval: 4h}
receivers: [{name: hook, webhook_configs: [{url: %q, send_resolved: false}]}]
`

var listening = regexp.MustCompile(`Listening on" address=(\S+)`)

// startAlertmanager runs it until the test ends, and returns the URL of its API.
func startAlertmanager(t *testing.T, program, hook string) string {
	t.Helper()
	if out, err := exec.Command(program, "--version").CombinedOutput(); err != nil || !bytes.Contains(out, []byte("version "+observedVersion)) {
		t.Skipf("it is not version %s, of which the verdicts were observed: %.60s", observedVersion, out)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, alertmanagerConfig, hook), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "--config.file="+config, "--storage.path="+dir, "--web.listen-address=127.0.0.1:0", "--cluster.listen-address=")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if at := listening.FindStringSubmatch(lines.Text()); at != nil {
			go io.Copy(io.Discard, log) //nolint:errcheck // it ends with the process
			return "http://" + at[1]
		}
	}
	t.Fatalf("alertmanager ended before it listened: %v", lines.Err())
	return ""
}
