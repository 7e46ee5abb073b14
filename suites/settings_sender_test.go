package suites_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookanvil/hookanvil/fixtures/pki"
	"github.com/hookanvil/hookanvil/suites"
)

const (
	trigger  = `POST http://127.0.0.1:1/events {"token":"{token}"}`
	register = `POST http://127.0.0.1:1/endpoints {"url":"{url}"}`
)

// aSender are settings that judge a sender.
func aSender(t *testing.T) suites.Settings {
	t.Setenv("CANARY", canary)
	return suites.Settings{Trigger: trigger, Profile: "standard-webhooks", Secret: []string{"env:CANARY"}}
}

// The names, the flags or else all settings say which role is judged.
func TestRole(t *testing.T) {
	t.Setenv("CANARY", canary)
	both := "target: http://127.0.0.1:1/\ntrigger: '" + trigger + "'\n"
	for _, test := range []struct {
		name, file string
		flags      [][2]string
		names      []string
		want       string // role, or a part of the error
	}{
		{name: "a target", flags: [][2]string{{"target", "http://127.0.0.1:1/"}}, want: "receiver"},
		{name: "a trigger", flags: [][2]string{{"trigger", trigger}}, want: "sender"},
		{name: "a registration", flags: [][2]string{{"register", register}}, want: "sender"},
		{name: "an address", flags: [][2]string{{"listen", "127.0.0.1:0"}}, want: "sender"},
		{name: "a name alone", names: []string{"sender/request"}, want: "sender"},
		{name: "nothing", want: "hookanvil run sender alone waits"},
		{name: "a file that speaks of both", file: both, want: "say which: hookanvil run receiver, or hookanvil run sender"},
		{name: "a file and a name", file: both, names: []string{"sender/request"}, want: "sender"},
		{name: "a file and another name", file: both, names: []string{"receiver/signature"}, want: "receiver"},
		{name: "a file and a flag", file: both, flags: [][2]string{{"target", "http://127.0.0.1:2/"}}, want: "receiver"},
		{name: "flags of both", flags: [][2]string{{"target", "http://127.0.0.1:1/"}, {"trigger", trigger}}, want: "speak of a receiver and of a sender"},
		{name: "a flag of the other role", flags: [][2]string{{"probe-file", "x"}, {"trigger", trigger}}, want: "use --probe-file: it is for judging a receiver"},
		{name: "a flag against the name", flags: [][2]string{{"untrusted", "true"}}, names: []string{"receiver/signature"}, want: "use --untrusted: it is for judging a sender"},
		{name: "names of both", names: []string{"receiver/signature/missing", "sender/request"}, want: "a run judges one subject"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := suites.Settings{Profile: "standard-webhooks", Secret: []string{"env:CANARY"}}
			fields := s.Fields()
			for _, f := range test.flags {
				if err := set(t, fields, f[0], f[1]); err != nil {
					t.Fatal(err)
				}
			}
			if test.file != "" {
				if err := suites.FromFile(write(t, "hookanvil.yaml", test.file), fields); err != nil {
					t.Fatal(err)
				}
			}
			plan, err := s.Plan(t.Context(), test.names)
			if got := plan.Subject.About.Role; err == nil && got != test.want {
				t.Errorf("role %s, want %s", got, test.want)
			}
			if err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

// What is wrong with a sender's settings is found before anything is done to it,
// and the message says what to do, and nothing of a secret.
func TestSenderPlanMistakes(t *testing.T) {
	good := aSender(t)
	if _, err := good.Plan(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	mine := write(t, "mine.yaml", "profile: mine\n")
	authority := anAuthority(t)
	for _, test := range []struct {
		change func(*suites.Settings)
		want   string
	}{
		{func(s *suites.Settings) { s.Profile = "" }, "--profile"},
		{func(s *suites.Settings) { s.Secret = nil }, "--issued-secret"},
		{func(s *suites.Settings) { s.Secret = []string{canary} }, "cannot be given by value"},
		{func(s *suites.Settings) { s.NextSecret = []string{"env:CANARY"} }, "--rotate"},
		{func(s *suites.Settings) { s.Trigger = "fire!" }, "--trigger"},
		{func(s *suites.Settings) { s.Trigger = "POST http://127.0.0.1:1/ {tokn}" }, "--trigger"},
		{func(s *suites.Settings) { s.Remove = "DELETE http://127.0.0.1:1/{register:/id}" }, "no --register is given"},
		{func(s *suites.Settings) { s.Register = "POST http://127.0.0.1:1/endpoints" }, "put {url} where it belongs"},
		{func(s *suites.Settings) { s.IssuedSecret = "/secret" }, "no --register is given"},
		{func(s *suites.Settings) { s.Register, s.IssuedSecret = register, "secret" }, "JSON pointer"},
		{func(s *suites.Settings) { s.HookHeader = []string{"Authorization: env:NO_SUCH_VARIABLE"} }, "--hook-header Authorization"},
		{func(s *suites.Settings) { s.Trigger, s.HookHeader, s.Listen = "", []string{"X-A: b"}, "127.0.0.1:0" }, "no hook to send it with"},
		{func(s *suites.Settings) { s.Listen = "8080" }, "write it like 127.0.0.1:8080"},
		{func(s *suites.Settings) { s.Listen = "127.0.0.1:http" }, "write it like 127.0.0.1:8080"},
		{func(s *suites.Settings) { s.Listen = "0.0.0.0:8080" }, "say so on the command line: --listen 0.0.0.0:8080"},
		{func(s *suites.Settings) { s.Listen = ":8080" }, "say so on the command line"},
		{func(s *suites.Settings) { s.PublicURL = "example.test" }, "http://"},
		{func(s *suites.Settings) { s.PublicURL = "https://example.test/" }, "--listen 127.0.0.1:8080"},
		{func(s *suites.Settings) { s.Listen, s.PublicURL = "127.0.0.1:8080", "https://a:b@example.test/" }, "user name"},
		{func(s *suites.Settings) { s.Listen, s.PublicURL = "127.0.0.1:8080", "https://example.test/?a=b" }, "query"},
		{func(s *suites.Settings) { s.PKI = "/no/such/directory" }, "read --pki: open the certificate authority in /no/such/directory"},
		{func(s *suites.Settings) { s.ClientCA = "/no/such/file" }, "--pki DIR"},
		{func(s *suites.Settings) { s.PKI, s.ClientCA = authority, "/no/such/file" }, "read --client-ca"},
		{func(s *suites.Settings) { s.PKI, s.ClientCA = authority, mine }, "no certificate in PEM"},
		{func(s *suites.Settings) {
			s.PKI, s.Register = authority, `POST http://127.0.0.1:1/endpoints {"url":"{url}","cert":"{client_certificate}"}`
		}, "belong together"},
		{func(s *suites.Settings) { s.EndpointPath = "hook" }, "a path such as /hook"},
		{func(s *suites.Settings) { s.Resolver = "10.0.0.1:53" }, "loopback"},
		{func(s *suites.Settings) { s.RetrySchedule = []string{"5s,5"} }, "5s,5m,30m"},
		{func(s *suites.Settings) { s.RetrySchedule = []string{"-5s"} }, "negative"},
		{func(s *suites.Settings) { s.RetrySchedule = []string{strings.Repeat("1s,", 100) + "1s"} }, "101 gaps"},
		{func(s *suites.Settings) { s.TimeScale = "fast" }, "0.001 or 1/1000"},
		{func(s *suites.Settings) { s.TimeScale = "1/0" }, "1/1000000"},
		{func(s *suites.Settings) { s.TimeScale = "1e3" }, "0.001 or 1/1000"},
		{func(s *suites.Settings) { s.Observe = "/no/such/directory/x.yaml" }, "no directory"},
		{func(s *suites.Settings) { s.Observe = mine }, "is not one that hookanvil observed"},
		{func(s *suites.Settings) { s.Observe = t.TempDir() }, "not a regular file"},
	} {
		s := good
		test.change(&s)
		_, err := s.Plan(t.Context(), []string{"sender/request"})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want one that contains %q", err, test.want)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("the message shows a secret: %v", err)
		}
	}
}

// An address that others can reach must be a flag, and the report says that it was.
func TestListeningForOthers(t *testing.T) {
	s := aSender(t)
	if err := set(t, s.Fields(), "listen", "0.0.0.0:8080"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Plan(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "--public-url") {
		t.Errorf("every interface, and no URL to tell the sender: error %v", err)
	}
	s.PublicURL = "http://example.test:8080"
	plan, err := s.Plan(t.Context(), nil)
	if err != nil || len(plan.Notes) != 1 || !strings.Contains(plan.Notes[0], "0.0.0.0:8080") {
		t.Errorf("notes %q, error %v", plan.Notes, err)
	}
	s.Listen, s.PublicURL = "[::1]:0", ""
	if plan, err := s.Plan(t.Context(), nil); err != nil || plan.Notes != nil {
		t.Errorf("notes %q, error %v", plan.Notes, err)
	}
}

// The settings declare what the profile leaves open, and how fast the sender runs.
func TestDeclaredRetries(t *testing.T) {
	seconds := func(ds []time.Duration) (all []float64) {
		for _, d := range ds {
			all = append(all, d.Seconds())
		}
		return all
	}
	for _, test := range []struct {
		change   func(*suites.Settings)
		schedule []float64
		attempts int
	}{
		{func(s *suites.Settings) { s.RetrySchedule = []string{"5s,5m", "30m"} }, []float64{5, 300, 1800}, 4},
		{func(s *suites.Settings) { s.RetrySchedule, s.TimeScale = []string{"5s, 5m"}, "1/1000" }, []float64{0.005, 0.3}, 3},
		{func(s *suites.Settings) { s.RetrySchedule, s.RetryAttempts = []string{"5s"}, 7 }, []float64{5}, 7},
		{func(s *suites.Settings) { s.RetrySchedule, s.TimeScale = []string{"1s"}, "0.25" }, []float64{0.25}, 2},
	} {
		s := aSender(t)
		test.change(&s)
		subject, _, err := s.Sender()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.schedule, seconds(subject.Profile.Retry.Schedule)); diff != "" || subject.Profile.Retry.Total() != test.attempts {
			t.Errorf("%d attempts, schedule (-want +got):\n%s", subject.Profile.Retry.Total(), diff)
		}
	}
	s := aSender(t)
	s.Profile, s.TimeScale, s.Deadline = "svix", "1/10", 3*time.Second
	subject, _, err := s.Sender()
	if err != nil {
		t.Fatal(err)
	}
	if got := subject.Profile.Retry.Schedule[0]; got != 500*time.Millisecond || subject.Profile.Delivery.Deadline != 3*time.Second {
		t.Errorf("first gap %s, deadline %s", got, subject.Profile.Delivery.Deadline)
	}
	plain, err := suites.FindProfile("svix")
	if err != nil || plain.Retry.Schedule[0] != 5*time.Second {
		t.Errorf("the shipped profile has changed: %+v, error %v", plain.Retry, err)
	}
}

// The hooks stand in a reproduction command as they were given, without a secret.
func TestReproduceSender(t *testing.T) {
	s := aSender(t)
	s.Register = `POST http://127.0.0.1:1/endpoints?key={secret} {"url":"{url}"}`
	s.HookHeader, s.Untrusted, s.Target = []string{"Authorization: env:CANARY"}, true, "http://127.0.0.1:1/"
	s.RetrySchedule, s.Observe, s.TimeScale = []string{"5s,5m"}, filepath.Join(t.TempDir(), "seen.yaml"), "1/1000"
	plan, err := s.Plan(t.Context(), []string{"sender/request"})
	if err != nil {
		t.Fatal(err)
	}
	got := plan.Redactor.Clean(plan.Reproduce(plan.Cases[0]))
	for _, want := range []string{
		"hookanvil run " + plan.Cases[0].Name() + " ", `--trigger 'POST http://127.0.0.1:1/events {"token":"{token}"}'`,
		`--register 'POST http://127.0.0.1:1/endpoints?key={secret} {"url":"{url}"}'`,
		"--hook-header 'Authorization:", "--retry-schedule 5s,5m", "--time-scale 1/1000", " --untrusted",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("reproduction command %s, want one that contains %s", got, want)
		}
	}
	for _, not := range []string{canary, "--target", "--observe", "seen.yaml"} {
		if strings.Contains(got, not) {
			t.Errorf("reproduction command %s contains %s", got, not)
		}
	}
}

// Variables hold secrets where a setting names the place of one, and not where its
// name merely ends like it.
func TestSecretsFromTheEnvironment(t *testing.T) {
	t.Setenv("HOOKANVIL_SECRET", canary)
	t.Setenv("HOOKANVIL_NEXT_SECRET", canary)
	t.Setenv("HOOKANVIL_ISSUED_SECRET", "/secret")
	var s suites.Settings
	if err := suites.FromEnvironment(s.Fields()); err != nil {
		t.Fatal(err)
	}
	want := [3]string{"env:HOOKANVIL_SECRET", "env:HOOKANVIL_NEXT_SECRET", "/secret"}
	if got := [3]string{strings.Join(s.Secret, ""), strings.Join(s.NextSecret, ""), s.IssuedSecret}; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Every setting says whose it is: what the command's help is grouped by.
func TestSettingsHaveRoles(t *testing.T) {
	count := map[string]int{}
	for _, f := range new(suites.Settings).Fields() {
		count[f.Role]++
		if f.Doc == "" {
			t.Errorf("--%s is not explained", f.Name)
		}
	}
	if count[""] < 10 || count["receiver"] < 10 || count["sender"] < 20 || len(count) != 3 {
		t.Errorf("settings by role: %v", count)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// anAuthority is a directory such as hookanvil pki init makes.
func anAuthority(t *testing.T) string {
	t.Helper()
	a, err := pki.New()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "pki")
	if err := a.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The settings say whom the sender trusts, and whose certificate it shows.
func TestSenderTrusts(t *testing.T) {
	s := aSender(t)
	subject, _, err := s.Sender()
	if err != nil || subject.Authority != nil || subject.ClientRoots != nil {
		t.Errorf("without --pki: %v, %v, %v", subject.Authority, subject.ClientRoots, err)
	}
	dir := anAuthority(t)
	s.PKI, s.ClientCA = dir, filepath.Join(dir, "ca.pem")
	if subject, _, err = s.Sender(); err != nil {
		t.Fatal(err)
	}
	a, err := pki.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !subject.Authority.Root().Equal(a.Root()) || !subject.ClientRoots.Equal(a.Pool()) {
		t.Error("another authority than that of the directory")
	}
}
