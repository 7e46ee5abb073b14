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
			Hintf("one thing at a time: write another case for the other")
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

// UnmarshalNode reads once, a trigger, or a list of them.
func (t *Triggers) UnmarshalNode(n *strictyaml.Node) error {
	var errs strictyaml.Errors
	for _, item := range items(n) {
		one := Trigger{Line: item.Line, Column: item.Column}
		switch {
		case item.Kind != strictyaml.Text:
			errs.Add(item, item.Decode(&one))
		case item.Value != "once":
			hint := firing
			if near := strictyaml.Suggest(item.Value, []string{"once"}); near != "" {
				hint = strictyaml.DidYouMean(item.Value, []string{near})
			}
			errs.Add(item, item.Errorf("%s must be once, a mapping or a list of them, got the text %s", item.Name(), strictyaml.Quote(item.Value)).Hintf("%s", hint))
		}
		*t = append(*t, one)
	}
	return errs.Err()
}

// UnmarshalNode reads a status, a way of answering, an answer, or a list of them.
func (a *Answers) UnmarshalNode(n *strictyaml.Node) error {
	var errs strictyaml.Errors
	for _, item := range items(n) {
		one := Answer{Line: item.Line, Column: item.Column}
		var err error
		switch item.Kind {
		case strictyaml.Number:
			one.Status, err = item.Int()
		case strictyaml.Text:
			one.Way = new(Word)
			err = one.Way.UnmarshalNode(item)
		default:
			err = decodeAnswer(item, &one)
		}
		errs.Add(item, err)
		*a = append(*a, one)
	}
	return errs.Err()
}

func decodeAnswer(n *strictyaml.Node, a *Answer) error {
	if delay := n.Get("delay"); delay != nil && delay.Kind == strictyaml.Number {
		_, err := delay.Duration() // says that the unit is missing
		return err
	}
	return n.Decode(a)
}

func expected(n *strictyaml.Node) ([]spelling, error) {
	if n.Kind != strictyaml.List {
		return spellings(n)
	}
	if len(n.Items) == 0 {
		return nil, n.Errorf("%s is empty", n.Name()).Hintf("say what must be observed: a word, {word: argument}, or a list of them")
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
