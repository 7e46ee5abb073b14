package scenarios

import (
	"reflect"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// JSONSchema is the JSON Schema (draft 2020-12) of scenario files, with the words
// of v and their sentences: what editors take for completion. A file that Parse
// accepts is valid under it; the reverse does not hold, since a schema cannot say
// that two steps have different names.
func JSONSchema(v Vocabulary) ([]byte, error) {
	return strictyaml.Schema("Hookanvil scenarios", Suite{}, strictyaml.Special{
		Types: map[reflect.Type]any{
			reflect.TypeFor[Word]():     one(v.Wires),
			reflect.TypeFor[Mutation](): mutations(v),
			reflect.TypeFor[Expect]():   listOf(wordOf(v.Expectations, len(v.Expectations))),
		},
		Words: map[string]map[string]any{
			"capabilities": choice(v.Capabilities), "measures": choice(v.Measures),
			"payloads": choice(v.Payloads),
		},
	})
}

type object = map[string]any

func listOf(item object) object {
	return object{"anyOf": []any{item, object{"type": "array", "items": item, "minItems": 1}}}
}

// mutations is a mapping of one part to one word.
func mutations(v Vocabulary) object {
	parts := map[string][]Entry{}
	for _, e := range v.Mutations {
		parts[e.Part] = append(parts[e.Part], e)
	}
	properties := object{}
	for part, entries := range parts {
		properties[part] = one(entries)
	}
	return object{"type": "object", "additionalProperties": false, "properties": properties, "minProperties": 1, "maxProperties": 1}
}

func one(entries []Entry) object { return wordOf(entries, 1) }

// wordOf is a word alone, or a mapping of at most so many words to their
// arguments.
func wordOf(entries []Entry, most int) object {
	var alone []Entry
	properties := object{}
	for _, e := range entries {
		if e.Arg == None || e.Optional {
			alone = append(alone, e)
		}
		if e.Arg != None {
			properties[e.Name] = argument(e)
		}
	}
	mapping := object{"type": "object", "additionalProperties": false, "properties": properties, "minProperties": 1, "maxProperties": max(most, 1)}
	return object{"anyOf": []any{choice(alone), mapping}}
}

// choice is one of the words, with its sentence.
func choice(entries []Entry) object {
	if len(entries) == 0 {
		return object{"enum": []any{}}
	}
	words := make([]any, len(entries))
	for i, e := range entries {
		words[i] = object{"const": e.Name, "description": e.Doc}
	}
	return object{"oneOf": words}
}

func argument(e Entry) object {
	schema := map[Kind]object{
		Text:     {"type": "string"},
		Number:   {"type": "integer", "minimum": 0, "maximum": maxNumber},
		Span:     {"type": "string", "pattern": strictyaml.DurationPattern},
		Statuses: statuses(),
	}[e.Arg]
	schema["description"] = e.Doc
	return schema
}

func statuses() object {
	status := object{"type": "integer", "minimum": 100, "maximum": 599}
	return object{"anyOf": []any{status, object{"type": "array", "items": status, "minItems": 1}}}
}
