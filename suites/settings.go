package suites

import (
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
	Target        string        `yaml:"target" doc:"URL of the receiver under test"`
	Profile       string        `yaml:"profile" doc:"how deliveries are signed: the name of a profile, or a YAML file"`
	Secret        []string      `yaml:"secret" doc:"where the secret is: env:NAME or file:PATH, after SCHEME= where a profile has several; more than one is a rotation"`
	SecondSecret  []string      `yaml:"second-secret" doc:"where an equally valid second secret is"`
	RetiredSecret []string      `yaml:"retired-secret" doc:"where a secret is that must not be accepted any more"`
	OtherSecret   []string      `yaml:"other-secret" doc:"where the secret of another endpoint is"`
	OtherPath     string        `yaml:"other-path" doc:"path of another endpoint of the same receiver"`
	ProbeURL      string        `yaml:"probe-url" doc:"URL of a counter of effects; {token} stands for the delivery, the fragment is a JSON pointer"`
	ProbeExec     string        `yaml:"probe-exec" doc:"command that prints a count of effects; {token} stands for the delivery"`
	ProbeFile     string        `yaml:"probe-file" doc:"file to which the receiver appends one line for each effect"`
	Header        []string      `yaml:"header" doc:"header of every request, 'Name: value'; a value of env:NAME or file:PATH is read from there"`
	Accept        []string      `yaml:"accept" doc:"answers that accept a delivery: 200-299, or 200:TEXT with a text that the body must contain"`
	Reject        []string      `yaml:"reject" doc:"answers that refuse a delivery, in the same form"`
	AckDeadline   time.Duration `yaml:"ack-deadline" doc:"time within which a delivery must be answered; the profile's unless given"`
	SlowLimit     time.Duration `yaml:"slow-limit" doc:"time within which a request that does not get on must be ended (default 10s)"`

	Filter   string        `yaml:"filter" doc:"label expression: 'signature && !should', see hookanvil list"`
	Level    string        `yaml:"level" enum:"must,should,may" doc:"leave out what is required less strongly: must, should or may"`
	Parallel int           `yaml:"parallel" range:"1..256" doc:"number of cases at the same time (default 8)"`
	Seed     int           `yaml:"seed" doc:"the same seed plans the same deliveries; random unless given"`
	FailFast bool          `yaml:"fail-fast" doc:"begin no more cases after the first failure"`
	Timeout  time.Duration `yaml:"timeout" doc:"time for the whole run; what has not run by then is inconclusive"`

	KnownFailures string   `yaml:"known-failures" doc:"YAML file of failures that are accepted for a time: id, reason, until"`
	Journal       string   `yaml:"journal" doc:"file that records the run as it goes and survives a crash; it must not exist yet"`
	Report        []string `yaml:"report" doc:"FORMAT=PATH of a report, such as junit=report.xml; - stands for standard output"`
}

// DefaultParallel is the number of cases that run at the same time.
const DefaultParallel = 8

// Field is one setting, as a flag: it satisfies flag.Value and pflag.Value. A
// setting that is a list grows by each Set.
type Field struct {
	Name, Doc string

	value reflect.Value
	tag   reflect.StructTag
	set   bool
}

// Fields lists the settings. Setting a field sets it in s.
func (s *Settings) Fields() []*Field {
	v := reflect.ValueOf(s).Elem()
	names, index := strictyaml.Fields(v.Type())
	fields := make([]*Field, len(names))
	for i, name := range names {
		tag := v.Type().Field(index[name]).Tag
		fields[i] = &Field{Name: name, Doc: tag.Get("doc"), value: v.Field(index[name]), tag: tag}
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
	f.set = true
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
	if ok && (n < low || n > high) || n < 0 {
		return fmt.Errorf("it must be from %d to %d", low, high)
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
		if strings.HasSuffix(f.Name, "secret") {
			text = fromEnvironment + name
		}
		if err := f.Set(text); err != nil {
			return fmt.Errorf("read the environment variable %s: %w", name, err)
		}
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
