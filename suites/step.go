package suites

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/hookanvil/hookanvil/scenarios"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
	"github.com/hookanvil/hookanvil/suites/receiver"
)

// StepSettings describe one delivery on a command line.
type StepSettings struct {
	Mutate  string // PART=WORD or PART=WORD:ARGUMENT, as body=flip-bit or signature=truncated:8
	Wire    string // WORD or WORD:ARGUMENT
	Payload string // a name, or @FILE
	Event   string
	At      string
}

// Step makes a step of a scenario of the settings.
func (s StepSettings) Step() (step scenarios.Step, err error) {
	v := receiver.Vocabulary()
	if s.Mutate != "" {
		if step.Mutate, err = mutation(v.Mutations, s.Mutate); err != nil {
			return step, err
		}
	}
	if s.Wire != "" {
		w, err := word("wire", v.Wires, "", s.Wire)
		if err != nil {
			return step, err
		}
		step.Wire = &w
	}
	if _, err := scenarios.ParseInstant(s.At); err != nil {
		return step, fmt.Errorf("read --at: %w", err)
	}
	step.Event, step.At = s.Event, s.At
	return step, s.fillBody(&step, v.Payloads)
}

func (s StepSettings) fillBody(step *scenarios.Step, payloads []scenarios.Entry) error {
	file, isFile := strings.CutPrefix(s.Payload, "@")
	if !isFile {
		if s.Payload != "" {
			if _, err := lookUp("payload", payloads, "", s.Payload); err != nil {
				return err
			}
		}
		step.Payload = s.Payload
		return nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read --payload: %w", err)
	}
	body := string(b)
	step.Body = &body
	return nil
}

func mutation(entries []scenarios.Entry, text string) (*scenarios.Mutation, error) {
	part, rest, found := strings.Cut(text, "=")
	var parts []string
	for _, e := range entries {
		parts = append(parts, e.Part)
	}
	parts = slices.Compact(parts)
	switch {
	case !slices.Contains(parts, part):
		return nil, fmt.Errorf("read --mutate: no part of a delivery is called %s; %s", strictyaml.Quote(part), strictyaml.DidYouMean(part, parts))
	case !found:
		return nil, fmt.Errorf("read --mutate %s: it must be PART=WORD, such as body=flip-bit; %s", strictyaml.Quote(text), strictyaml.DidYouMean("", words(entries, part)))
	}
	w, err := word("mutate", entries, part, rest)
	return &scenarios.Mutation{Part: part, Word: w}, err
}

// word reads WORD or WORD:ARGUMENT.
func word(flag string, entries []scenarios.Entry, part, text string) (scenarios.Word, error) {
	name, arg, given := strings.Cut(text, ":")
	e, err := lookUp(flag, entries, part, name)
	if err != nil {
		return scenarios.Word{}, err
	}
	w := scenarios.Word{Name: name}
	switch {
	case !given && (e.Arg == scenarios.None || e.Optional):
		return w, nil
	case !given:
		return w, fmt.Errorf("read --%s: %s takes an argument (%s): write %s:ARGUMENT", flag, name, e.Arg, text)
	case e.Arg == scenarios.None:
		return w, fmt.Errorf("read --%s: %s takes no argument", flag, name)
	}
	if w.Arg, err = argumentOf(e.Arg, arg); err != nil {
		return w, fmt.Errorf("read --%s: the argument of %s: %w", flag, name, err)
	}
	return w, nil
}

func argumentOf(kind scenarios.Kind, text string) (any, error) {
	switch kind {
	case scenarios.Number:
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%s is no number", strictyaml.Quote(text))
		}
		return n, nil
	case scenarios.Span:
		return strictyaml.ParseDuration(text)
	}
	return text, nil
}

func lookUp(flag string, entries []scenarios.Entry, part, name string) (scenarios.Entry, error) {
	i := slices.IndexFunc(entries, func(e scenarios.Entry) bool { return e.Part == part && e.Name == name })
	if i < 0 {
		return scenarios.Entry{}, fmt.Errorf("read --%s: no word is called %s; %s", flag, strictyaml.Quote(name), strictyaml.DidYouMean(name, words(entries, part)))
	}
	return entries[i], nil
}

func words(entries []scenarios.Entry, part string) []string {
	var names []string
	for _, e := range entries {
		if e.Part == part {
			names = append(names, e.Name)
		}
	}
	return names
}
