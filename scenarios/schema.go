package scenarios

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
	"github.com/hookanvil/hookanvil/scenarios/threshold"
)

// JSONSchema is the JSON Schema (draft 2020-12) of scenario files, with the words
// of the roles' vocabularies and their sentences: what editors take for completion.
// The name of a suite says which words its cases have. A file that Parse accepts is
// valid under it; the reverse does not hold, since a schema cannot say that two
// steps have different names.
func JSONSchema(vocabularies ...Vocabulary) ([]byte, error) {
	root, defs, err := strictyaml.Definitions(Suite{}, strictyaml.Special{
		Types: map[reflect.Type]any{reflect.TypeFor[Case](): object{"type": "object"}},
	})
	if err != nil {
		return nil, err
	}
	var choices []any
	for _, v := range vocabularies {
		one, words, err := strictyaml.Definitions(Case{}, special(v))
		if err != nil {
			return nil, err
		}
		maps.Copy(defs, words)
		choices = append(choices, object{"if": named(v.Role), "then": object{"properties": object{"cases": listOf(one)}}})
	}
	suite := defs["Suite"].(object)
	if len(choices) > 0 {
		suite["allOf"] = choices
		suite["properties"].(object)["suite"].(object)["pattern"] = "^(" + strings.Join(roles(vocabularies), "|") + ")/[a-z0-9]+(-[a-z0-9]+)*$"
	}
	return strictyaml.Write("Hookanvil scenarios", root, defs)
}

// named is the schema of a suite of a role.
func named(role string) object {
	return object{"required": []string{"suite"}, "properties": object{"suite": object{"pattern": "^" + role + "/"}}}
}

// special is what the schema of a role's cases needs to know beyond their types.
func special(v Vocabulary) strictyaml.Special {
	ways := v.Wires
	if v.Role == "sender" {
		ways = v.Answers
	}
	return strictyaml.Special{
		Prefix: v.Role,
		Omit: func(tag reflect.StructTag) bool {
			role := tag.Get("role")
			return role != "" && role != v.Role
		},
		Types: map[reflect.Type]any{
			reflect.TypeFor[Word]():     one(ways),
			reflect.TypeFor[Mutation](): mutations(v),
			reflect.TypeFor[Expect]():   expectations(v),
			reflect.TypeFor[Mix]():      weights(v.Classes),
			reflect.TypeFor[Rate]():     spelled("200/s, or 100% of the run's rate", ratePattern, sharePattern),
			reflect.TypeFor[Extent]():   spelled("10s, or 50% of the run's time", strictyaml.DurationPattern, sharePattern),
			reflect.TypeFor[BodySize](): size(),
			reflect.TypeFor[Triggers](): strictyaml.ListOf(func(item object) object {
				return bound(listOf(object{"anyOf": []any{object{"const": "once", "description": "one event, to the endpoint main"}, item}}), maxTriggers)
			}),
			reflect.TypeFor[Answers](): strictyaml.ListOf(func(item object) object {
				status := object{"type": "integer", "minimum": 200, "maximum": 599, "description": "a status"}
				return bound(listOf(object{"anyOf": []any{status, choice(alone(ways)), item}}), maxAnswers)
			}),
		},
		Words: map[string]map[string]any{
			"capabilities": choice(v.Capabilities), "measures": choice(v.Measures),
			"payloads": choice(v.Payloads), "addresses": choice(v.Addresses), "handshakes": choice(v.Handshakes),
			"certificates": choice(v.Certificates), "ciphers": choice(v.Ciphers),
			"delays": {"anyOf": []any{object{"type": "string", "pattern": strictyaml.DurationPattern}, object{"type": "string", "pattern": delayShare}}},
		},
	}
}

// expectations are words or, of load, conditions.
func expectations(v Vocabulary) object {
	if v.Role == "load" {
		return bound(listOf(object{"type": "string", "maxLength": threshold.MaxLength, "description": "a condition: honest.latency.p99 <= 250ms"}), maxThresholds)
	}
	return listOf(wordOf(compared(v.Expectations), len(v.Expectations)))
}

func weights(classes []Entry) object {
	properties := object{}
	for _, c := range classes {
		properties[c.Name] = object{"type": "integer", "minimum": 1, "maximum": maxWeight, "description": "weight of deliveries " + c.Doc}
	}
	return object{"type": "object", "additionalProperties": false, "properties": properties, "minProperties": 1}
}

// spelled is a text of one of the patterns.
func spelled(doc string, patterns ...string) object {
	var all []any
	for _, p := range patterns {
		all = append(all, object{"type": "string", "pattern": p})
	}
	return object{"anyOf": all, "description": doc}
}

func size() object {
	bytes := object{"type": "integer", "minimum": 1, "maximum": maxBody, "description": "size of the body"}
	return object{"anyOf": []any{bytes, object{
		"type": "object", "additionalProperties": false, "required": []string{"bytes"},
		"properties": object{"bytes": bytes, "weight": object{"type": "integer", "minimum": 1, "maximum": maxWeight, "description": "how often, beside the others"}},
	}}}
}

// bound limits a schema made by listOf.
func bound(list object, most int) object {
	list["anyOf"].([]any)[1].(object)["maxItems"] = most
	return list
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
	properties := object{}
	for _, e := range entries {
		if e.Arg != None {
			properties[e.Name] = argument(e)
		}
	}
	mapping := object{"type": "object", "additionalProperties": false, "properties": properties, "minProperties": 1, "maxProperties": max(most, 1)}
	return object{"anyOf": []any{choice(alone(entries)), mapping}}
}

// alone are the words that can stand without an argument.
func alone(entries []Entry) []Entry {
	return slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool { return e.Arg != None && !e.Optional })
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
		Number:   {"type": "integer", "minimum": 0, "maximum": cmp.Or(e.Most, maxNumber)},
		Span:     {"type": "string", "pattern": strictyaml.DurationPattern},
		Statuses: statuses(),
		Names:    words(e.Choices),
		GapKind:  gaps(),
	}[e.Arg]
	schema["description"] = e.Doc
	return schema
}

func statuses() object {
	status := object{"type": "integer", "minimum": 100, "maximum": 599}
	return object{"anyOf": []any{status, object{"type": "array", "items": status, "minItems": 1}}}
}

// words is one or more of the words of a list.
func words(choices []string) object {
	item := object{"type": "string"}
	if len(choices) > 0 {
		item["enum"] = choices
	}
	return object{"anyOf": []any{item, object{"type": "array", "items": item, "minItems": 1, "uniqueItems": true}}}
}

func gaps() object {
	span := func(doc string) object {
		return object{"type": "string", "pattern": strictyaml.DurationPattern, "description": doc}
	}
	return object{
		"type": "object", "additionalProperties": false,
		"properties": object{
			"after":    object{"type": "integer", "minimum": 0, "maximum": 100, "description": "number of the attempt before the gap; every one unless given"},
			"at-least": span("it is no shorter"), "at-most": span("it is no longer"),
		},
		"anyOf": []any{object{"required": []string{"at-least"}}, object{"required": []string{"at-most"}}},
	}
}
