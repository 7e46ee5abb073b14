package strictyaml

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
)

// Special is what a schema needs to know beyond the types: the schemas of types
// that decode themselves, and of the words that fields tagged words:"name" take.
type Special struct {
	// Types are schemas. That of a list may be a function, a ListOf, which is given
	// the schema of its items.
	Types map[reflect.Type]any
	Words map[string]map[string]any
	// Omit tells of fields that are left out, by their tags; none where it is nil.
	Omit func(reflect.StructTag) bool
	// Prefix begins the names of the definitions, so that two schemas can be put
	// together.
	Prefix string
}

// ListOf makes the schema of a list from that of its items.
type ListOf func(item map[string]any) map[string]any

// Schema is the JSON Schema (draft 2020-12) of the files that decode into v, a
// struct. It is made from the same tags that Decode obeys, and is the same bytes
// for the same types.
func Schema(title string, v any, special Special) ([]byte, error) {
	root, defs, err := Definitions(v, special)
	if err != nil {
		return nil, fmt.Errorf("make the schema of %s: %w", title, err)
	}
	return Write(title, root, defs)
}

// Definitions is the schema of the values that decode into v, and the definitions
// that it refers to, for callers who put several together.
func Definitions(v any, special Special) (root, defs map[string]any, err error) {
	s := schema{special: special, defs: map[string]any{}}
	root = s.of(reflect.TypeOf(v), "")
	if len(s.unknown) > 0 {
		return nil, nil, fmt.Errorf("no schema for %s", s.unknown[0])
	}
	return root, s.defs, nil
}

// Write is the text of a schema.
func Write(title string, root, defs map[string]any) ([]byte, error) {
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = title
	root["$defs"] = defs
	return json.MarshalIndent(root, "", "  ")
}

type object = map[string]any

type schema struct {
	special Special
	defs    object
	unknown []reflect.Type
}

func (s *schema) of(t reflect.Type, tag reflect.StructTag) object {
	if known, ok := s.special.Types[t]; ok {
		return s.shared(t, func() any {
			if list, ok := known.(ListOf); ok {
				return list(s.of(t.Elem(), ""))
			}
			return known
		})
	}
	if t == duration {
		return object{"type": "string", "pattern": DurationPattern}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem(), tag)
	case reflect.Struct:
		return s.shared(t, func() any { return s.fields(t) })
	case reflect.Slice:
		item := s.of(t.Elem(), tag)
		return object{"anyOf": []any{item, object{"type": "array", "items": item}}}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem(), tag)}
	case reflect.String:
		return s.text(tag)
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return integer(tag)
	}
	s.unknown = append(s.unknown, t)
	return object{}
}

// shared keeps a named type's schema under $defs, so that it stands there once.
func (s *schema) shared(t reflect.Type, make func() any) object {
	name := s.special.Prefix + t.Name()
	if _, known := s.defs[name]; !known {
		s.defs[name] = nil // holds the place of a type that contains itself
		s.defs[name] = make()
	}
	return object{"$ref": "#/$defs/" + name}
}

func (s *schema) fields(t reflect.Type) object {
	properties := object{}
	required := []string{}
	keys, index := Fields(t)
	for _, key := range keys {
		tag := t.Field(index[key]).Tag
		if s.special.Omit != nil && s.special.Omit(tag) {
			continue
		}
		property := s.of(t.Field(index[key]).Type, tag)
		if doc := tag.Get("doc"); doc != "" {
			property["description"] = doc
		}
		properties[key] = property
		if tag.Get("required") != "" {
			required = append(required, key)
		}
	}
	return object{"type": "object", "additionalProperties": false, "properties": properties, "required": required}
}

func (s *schema) text(tag reflect.StructTag) object {
	if words, ok := s.special.Words[tag.Get("words")]; ok {
		return maps.Clone(words)
	}
	if words := Enum(tag); words != nil {
		return object{"enum": words}
	}
	return object{"type": "string"}
}

func integer(tag reflect.StructTag) object {
	low, high, ok := Range(tag)
	if !ok {
		low, high = -maxInt, maxInt
	}
	return object{"type": "integer", "minimum": low, "maximum": high}
}
