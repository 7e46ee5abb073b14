package scenarios

import (
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// spelling is a word as it stands in a file: its name and, if it has one, its
// argument.
type spelling struct{ name, arg *strictyaml.Node }

// spellings reads one word (a text), or words with their arguments (a mapping of
// names).
func spellings(n *strictyaml.Node) ([]spelling, error) {
	if n.Kind == strictyaml.Map {
		if len(n.Keys) == 0 {
			return nil, n.Errorf("%s is empty", n.Name()).Hintf("write a word, or {word: argument}")
		}
		words := make([]spelling, len(n.Keys))
		for i := range n.Keys {
			words[i] = spelling{n.Keys[i], n.Items[i]}
		}
		return words, nil
	}
	if n.Kind == strictyaml.List {
		return nil, n.Errorf("%s must be a word, or {word: argument}, got a list", n.Name())
	}
	if _, err := n.Text(); err != nil {
		return nil, err
	}
	return []spelling{{name: n}}, nil
}

// oneSpelling reads exactly one word.
func oneSpelling(n *strictyaml.Node) (spelling, error) {
	words, err := spellings(n)
	if err != nil {
		return spelling{}, err
	}
	if len(words) > 1 {
		return spelling{}, words[1].name.Errorf("%s takes one word, this is a second one", n.Name()).
			Hintf("a delivery departs from an honest one in a single way; write another case for the other")
	}
	return words[0], nil
}

func (s spelling) word() Word {
	return Word{Name: s.name.Value, Line: s.name.Line, Column: s.name.Column}
}

// UnmarshalNode reads a name, or {name: argument}. The argument is read when its
// type is known: see Parse.
func (w *Word) UnmarshalNode(n *strictyaml.Node) error {
	s, err := oneSpelling(n)
	if err != nil {
		return err
	}
	*w = s.word()
	return nil
}

// UnmarshalNode reads {part: name}, or {part: {name: argument}}.
func (m *Mutation) UnmarshalNode(n *strictyaml.Node) error {
	if n.Kind != strictyaml.Map {
		return n.Errorf("%s must say which part is changed, and how", n.Name()).Hintf("write {body: flip-bit} or {signature: {truncated: 16}}")
	}
	part, err := oneSpelling(n)
	if err != nil {
		return err
	}
	m.Part = part.name.Value
	return m.Word.UnmarshalNode(part.arg)
}

// UnmarshalNode reads a word, a mapping of words with their arguments, or a list
// of either.
func (e *Expect) UnmarshalNode(n *strictyaml.Node) error {
	words, err := expected(n)
	if err != nil {
		return err
	}
	for _, s := range words {
		*e = append(*e, s.word())
	}
	return nil
}

func expected(n *strictyaml.Node) ([]spelling, error) {
	if n.Kind != strictyaml.List {
		return spellings(n)
	}
	if len(n.Items) == 0 {
		return nil, n.Errorf("%s is empty", n.Name()).Hintf("say what must be observed: accepted, rejected, {effects: 1}")
	}
	var all []spelling
	for _, item := range n.Items {
		words, err := spellings(item)
		if err != nil {
			return nil, err
		}
		all = append(all, words...)
	}
	return all, nil
}

// elsewhere says where that is said which a scenario file cannot say: it is data,
// and whoever runs it decides on what, with which secrets, and where results go.
var elsewhere = map[string]string{
	"target": target, "url": target, "host": target, "port": target, "scheme": target, "address": target, "endpoint": target,
	"secret": secret, "secrets": secret, "token": secret, "password": secret,
	"exec": command, "command": command, "cmd": command, "run": command, "shell": command, "script": command, "env": command, "trigger": command,
	"include": include, "import": include, "extends": include,
	"file": file, "body_file": file, "body-file": file, "bodyFile": file,
	"out": output, "output": output, "report": output, "reports": output,
	"profile": "a scenario file is written for every profile; use --profile, and needs: for what a profile must offer",
	"probe":   "a scenario file cannot name a probe; use --probe-url, --probe-exec or --probe-file",
	"rate":    "a receiver scenario has no rate; use times and concurrent",
	"schema":  version, "version": version,
}

const (
	target  = "a scenario file cannot name a target; use --target"
	secret  = "a scenario file cannot hold a secret; use --secret env:NAME or --secret file:PATH"
	command = "a scenario file cannot run a command; probes come from the command line, --probe-exec"
	include = "a scenario file cannot include another; name both on the command line"
	file    = "a scenario file cannot read another file; write the text under body, or name a payload"
	output  = "a scenario file cannot name an output; use --report FORMAT=PATH"
	version = "a scenario file has no version; remove the key"
)

// ExplainKey says where a target, a secret or a command is named instead.
func (*Suite) ExplainKey(key string) string { return elsewhere[key] }

// ExplainKey says where a target, a secret or a command is named instead.
func (*Case) ExplainKey(key string) string { return elsewhere[key] }

// ExplainKey says where a target, a secret or a command is named instead.
func (*Step) ExplainKey(key string) string { return elsewhere[key] }
