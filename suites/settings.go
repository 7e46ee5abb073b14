package suites

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// Settings are what a run is told. Flags, environment and hookanvil.yaml use the
// same names: --target, HOOKANVIL_TARGET and target: are one setting.
type Settings struct {
	Target  string   `yaml:"target" role:"receiver" doc:"URL of the receiver under test"`
	Profile string   `yaml:"profile" doc:"how deliveries are signed: the name of a profile, or a YAML file"`
	Secret  []string `yaml:"secret" place:"secret" doc:"where the secret is: env:NAME or file:PATH, after SCHEME= where a profile has several; more than one is a rotation"`
	PKI     string   `yaml:"pki" doc:"directory made by hookanvil pki init: an authority that the receiver under test trusts for clients, or the sender under test for servers"`

	SecondSecret  []string      `yaml:"second-secret" role:"receiver" place:"secret" doc:"where an equally valid second secret is"`
	RetiredSecret []string      `yaml:"retired-secret" role:"receiver" place:"secret" doc:"where a secret is that must not be accepted any more"`
	OtherSecret   []string      `yaml:"other-secret" role:"receiver" place:"secret" doc:"where the secret of another endpoint is"`
	OtherPath     string        `yaml:"other-path" role:"receiver" doc:"path of another endpoint of the same receiver"`
	ProbeURL      string        `yaml:"probe-url" role:"receiver" doc:"URL of a counter of effects; {token} stands for the delivery, the fragment is a JSON pointer"`
	ProbeExec     string        `yaml:"probe-exec" role:"receiver" doc:"command that prints a count of effects; {token} stands for the delivery"`
	ProbeFile     string        `yaml:"probe-file" role:"receiver" doc:"file to which the receiver appends one line for each effect"`
	Header        []string      `yaml:"header" role:"receiver" doc:"header of every request, 'Name: value'; a value of env:NAME or file:PATH is read from there"`
	Accept        []string      `yaml:"accept" role:"receiver" doc:"answers that accept a delivery: 200-299, or 200:TEXT with a text that the body must contain"`
	Reject        []string      `yaml:"reject" role:"receiver" doc:"answers that refuse a delivery, in the same form"`
	AckDeadline   time.Duration `yaml:"ack-deadline" role:"receiver" doc:"time within which a delivery must be answered; the profile's unless given"`
	SlowLimit     time.Duration `yaml:"slow-limit" role:"receiver" doc:"time within which a request that does not get on must be ended (default 10s)"`

	Cert          string `yaml:"cert" role:"receiver" doc:"file of the certificate that is shown to a target which asks for one: PEM, the certificate itself first, or PKCS#12"`
	Key           string `yaml:"key" role:"receiver" doc:"PEM file of its private key, where --cert holds none"`
	CA            string `yaml:"ca" role:"receiver" doc:"PEM file of the authorities that the target's certificate may come from, instead of the system's"`
	TLSPassphrase string `yaml:"tls-passphrase" role:"receiver" place:"secret" doc:"where the passphrase of the private key is: env:NAME or file:PATH"`
	TLSMin        string `yaml:"tls-min" role:"receiver" enum:"1.0,1.1,1.2,1.3" doc:"lowest version of TLS that is spoken with the target: 1.0, 1.1, 1.2 or 1.3 (default 1.2)"`
	ClientName    string `yaml:"client-name" role:"receiver" doc:"whom the client certificates name that --pki signs: somebody whom the target admits (default 'hookanvil client'; a DNS name stands among the alternative names as well)"`
	ServerName    string `yaml:"server-name" role:"receiver" doc:"name that is sent to the target and expected in its certificate, instead of the host in --target"`

	Trigger       string        `yaml:"trigger" role:"sender" doc:"what has the sender deliver an event: 'METHOD URL [BODY]' or 'exec COMMAND'; {url}, {token}, {event}, {data} are filled in; without it you fire the events, when you are told to"`
	Register      string        `yaml:"register" role:"sender" doc:"what registers an endpoint, in the same form; {url}, {secret}, {events}, {headers}, {client_certificate}, {client_key} are filled in"`
	Remove        string        `yaml:"remove" role:"sender" doc:"what removes it; {register:/id} is what the answer to --register says there"`
	Rotate        string        `yaml:"rotate" role:"sender" doc:"what gives it another secret"`
	Restart       string        `yaml:"restart" role:"sender" doc:"what restarts the sender"`
	Move          string        `yaml:"move" role:"sender" doc:"what gives it another URL, in {url}"`
	HookHeader    []string      `yaml:"hook-header" role:"sender" doc:"header of the requests above, 'Name: value'; a value of env:NAME or file:PATH is read from there"`
	IssuedSecret  string        `yaml:"issued-secret" role:"sender" doc:"JSON pointer into the answer to --register, where the sender says the secret that it invented"`
	NextSecret    []string      `yaml:"next-secret" role:"sender" place:"secret" doc:"where the secret is that --rotate gives"`
	ClientCA      string        `yaml:"client-ca" role:"sender" doc:"PEM file of the authorities that the sender's own client certificate may come from: it says that the sender shows one to whoever asks; DIR/ca.pem where --pki DIR has signed it"`
	Listen        string        `yaml:"listen" role:"sender" doc:"address to listen on for deliveries (default 127.0.0.1:0); one that is not loopback must be given as a flag"`
	PublicURL     string        `yaml:"public-url" role:"sender" doc:"URL of the tunnel or proxy in front of it"`
	EndpointPath  string        `yaml:"endpoint-path" role:"sender" doc:"path of the only endpoint of a sender that can be told of no other (default /hook)"`
	Untrusted     bool          `yaml:"untrusted" role:"sender" doc:"strangers may register endpoints, so that the sender must mind where they lead"`
	Resolver      string        `yaml:"resolver" role:"sender" doc:"address on which to serve the names of sender/ssrf, to which the sender's look-ups have been pointed"`
	RetrySchedule []string      `yaml:"retry-schedule" role:"sender" doc:"gaps between the attempts: 5s,5m,30m; the profile's unless given"`
	RetryAttempts int           `yaml:"retry-attempts" role:"sender" range:"1..1000" doc:"number of attempts, the first included"`
	Deadline      time.Duration `yaml:"deadline" role:"sender" doc:"time that the sender gives an attempt; the profile's unless given"`
	TimeScale     string        `yaml:"time-scale" role:"sender" doc:"how much faster than declared the sender under test retries: 0.001 or 1/1000"`
	Budget        time.Duration `yaml:"budget" role:"sender" doc:"time for which one case is watched (default 2m)"`
	Arrival       time.Duration `yaml:"arrival" role:"sender" doc:"time from an event to its first attempt (default 30s)"`
	Observe       string        `yaml:"observe" role:"sender" doc:"file for the profile of what the sender was seen to do; one that was observed before is replaced, any other is kept"`

	Rate            string        `yaml:"rate" doc:"hits, or events for a sender, per second of which the suites of load take shares: 200/s (default 100/s)"`
	Duration        time.Duration `yaml:"duration" doc:"time of which they take shares, for each case (default 10s)"`
	Concurrency     int           `yaml:"concurrency" role:"sender" range:"1..4096" doc:"attempts at one endpoint that the sender declares to make at once at most"`
	Connections     int           `yaml:"connections" range:"1..4096" doc:"connections that a load opens at most (default 256)"`
	AllowRemoteLoad bool          `yaml:"allow-remote-load" doc:"put a load on a target that is not on this machine; must be given as a flag"`

	Filter   string        `yaml:"filter" doc:"label expression: 'signature && !should', see hookanvil list"`
	Level    string        `yaml:"level" enum:"must,should,may" doc:"leave out what is required less strongly: must, should or may"`
	Parallel int           `yaml:"parallel" range:"1..256" doc:"number of cases at the same time (default 8 for a receiver, 64 for a sender)"`
	Seed     int           `yaml:"seed" doc:"the same seed plans the same deliveries; random unless given"`
	FailFast bool          `yaml:"fail-fast" doc:"begin no more cases after the first failure"`
	Timeout  time.Duration `yaml:"timeout" doc:"time for the whole run; what has not run by then is inconclusive"`

	Baseline      string   `yaml:"baseline" doc:"run that this one is held against, so that only what is worse than there counts: its results folder, journal or JSON report"`
	KnownFailures string   `yaml:"known-failures" doc:"YAML file of failures that are accepted for a time: id, reason, until"`
	Journal       string   `yaml:"journal" doc:"file that records the run as it goes and survives a crash; it must not exist yet"`
	Out           string   `yaml:"out" doc:"folder for the journal, the reports in every format, the exchanges as HAR, and everything the run is made of; it must be empty, or not exist yet"`
	Report        []string `yaml:"report" doc:"FORMAT=PATH of a report, such as junit=report.xml; - stands for standard output"`

	// flags are the names of the settings that were given one by one, by Field.Set,
	// and not in the environment or a file.
	flags map[string]bool
}

// The number of cases that run at the same time. Those of senders mostly wait.
const (
	DefaultParallel       = 8
	DefaultParallelSender = 64
)

// Field is one setting, as a flag: it satisfies flag.Value and pflag.Value. A
// setting that is a list grows by each Set.
type Field struct {
	Name, Doc string
	// Role is receiver or sender where only a run of that role takes the setting.
	Role string

	value reflect.Value
	tag   reflect.StructTag
	set   bool
	flags map[string]bool // of the settings
}

// Fields lists the settings. Setting a field sets it in s.
func (s *Settings) Fields() []*Field {
	v := reflect.ValueOf(s).Elem()
	names, index := strictyaml.Fields(v.Type())
	fields := make([]*Field, len(names))
	if s.flags == nil {
		s.flags = map[string]bool{}
	}
	for i, name := range names {
		tag := v.Type().Field(index[name]).Tag
		fields[i] = &Field{Name: name, Doc: tag.Get("doc"), Role: tag.Get("role"), value: v.Field(index[name]), tag: tag, flags: s.flags}
	}
	return fields
}

// Flags defines a flag for each setting. A test binary that is to be run beside
// another one with go test ./... -args must define the same flags.
func (s *Settings) Flags(set *flag.FlagSet) {
	for _, f := range s.Fields() {
		set.Var(f, f.Name, f.Doc)
	}
}

// IsBoolFlag tells that the flag may stand without a value.
func (f *Field) IsBoolFlag() bool { return f.value.IsValid() && f.value.Kind() == reflect.Bool }

// Type names the kind of value, for help texts.
func (f *Field) Type() string {
	switch {
	case f.value.Type() == reflect.TypeFor[time.Duration]():
		return "duration"
	case f.value.Kind() == reflect.Bool:
		return "bool"
	case f.value.Kind() == reflect.Int:
		return "number"
	}
	return "text"
}

// String is the value, empty where it is not set.
func (f *Field) String() string {
	switch {
	case !f.value.IsValid() || f.value.IsZero():
		return ""
	case f.value.Kind() == reflect.Slice:
		return strings.Join(f.value.Interface().([]string), ", ")
	}
	return fmt.Sprint(f.value.Interface())
}

// Set gives the setting a value, in the form in which hookanvil.yaml has it.
func (f *Field) Set(text string) error {
	if err := f.parse(text); err != nil {
		return err
	}
	f.set, f.flags[f.Name] = true, true
	return nil
}

func (f *Field) parse(text string) error {
	switch f.Type() {
	case "duration":
		d, err := strictyaml.ParseDuration(text)
		if err == nil && d < 0 {
			err = fmt.Errorf("%s is negative", text)
		}
		f.value.SetInt(int64(d))
		return err
	case "bool":
		b, err := strconv.ParseBool(text)
		f.value.SetBool(b)
		return err
	case "number":
		return f.parseNumber(text)
	}
	if words := strictyaml.Enum(f.tag); words != nil && !slices.Contains(words, text) {
		return fmt.Errorf("it must be one of %s", strings.Join(words, ", "))
	}
	if f.value.Kind() == reflect.Slice {
		f.value.Set(reflect.Append(f.value, reflect.ValueOf(text)))
		return nil
	}
	f.value.SetString(text)
	return nil
}

func (f *Field) parseNumber(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%s is no whole number", strictyaml.Quote(text))
	}
	low, high, ok := strictyaml.Range(f.tag)
	switch {
	case ok && (n < low || n > high):
		return fmt.Errorf("it must be from %d to %d", low, high)
	case n < 0:
		return errors.New("it cannot be negative")
	}
	f.value.SetInt(int64(n))
	return nil
}

// FromEnvironment fills in the settings that no flag has set: HOOKANVIL_TARGET for
// target. The variables of secrets hold the secrets themselves.
func FromEnvironment(fields []*Field) error {
	for _, f := range fields {
		name := "HOOKANVIL_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		text := os.Getenv(name)
		if text == "" || f.set {
			continue
		}
		if f.tag.Get("place") == "secret" {
			text = fromEnvironment + name
		}
		if err := f.parse(text); err != nil {
			return fmt.Errorf("read the environment variable %s: %w", name, err)
		}
		f.set = true
	}
	return nil
}

// ConfigFile is the file of settings that is read where it is in the working
// directory and no other is named.
const ConfigFile = "hookanvil.yaml"

// FromFile fills in, from a YAML file, the settings that are not set yet. Without
// a name it reads ConfigFile, if there is one.
func FromFile(path string, fields []*Field) error {
	named := path != ""
	if !named {
		path = ConfigFile
	}
	src, err := readSmall(path)
	if err != nil {
		if !named && os.IsNotExist(err) {
			return nil
		}
		return fmt.Errorf("read the settings: %w", err)
	}
	var read Settings
	doc, err := strictyaml.Decode(path, src, &read)
	if err != nil {
		return err
	}
	for i, f := range read.Fields() {
		if doc.Root.Get(f.Name) != nil && !fields[i].set {
			fields[i].value.Set(f.value)
			fields[i].set = true
		}
	}
	return nil
}

// ExplainKey tells where a secret belongs.
func (*Settings) ExplainKey(key string) string {
	if key == "url" {
		return "the receiver's URL is target"
	}
	if key == "suites" || key == "cases" || key == "run" {
		return "what to run is named on the command line: hookanvil run receiver/signature"
	}
	if key == "endpoint" || key == "endpoints" {
		return "the address to listen on is listen, the URL of a tunnel public-url"
	}
	return ""
}

// values are the texts by which the setting can be set again; none where it is not.
func (f *Field) values() []string {
	switch {
	case f.value.IsZero():
		return nil
	case f.value.Kind() == reflect.Slice:
		return f.value.Interface().([]string)
	}
	return []string{f.String()}
}
