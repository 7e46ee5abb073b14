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
	Types map[reflect.Type]any
	Words map[string]map[string]any
}

// Schema is the JSON Schema (draft 2020-12) of the files that decode into v, a
// struct. It is made from the same tags that Decode obeys, and is the same bytes
// for the same types.
func Schema(title string, v any, special Special) ([]byte, error) {
	s := schema{special: special, defs: map[string]any{}}
	root := s.of(reflect.TypeOf(v), "")
	if len(s.unknown) > 0 {
		return nil, fmt.Errorf("make the schema of %s: no schema for %s", title, s.unknown[0])
	}
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = title
	root["$defs"] = s.defs
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
		return s.shared(t, func() any { return known })
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
	if _, known := s.defs[t.Name()]; !known {
		s.defs[t.Name()] = nil // holds the place of a type that contains itself
		s.defs[t.Name()] = make()
	}
	return object{"$ref": "#/$defs/" + t.Name()}
}

func (s *schema) fields(t reflect.Type) object {
	properties := object{}
	required := []string{}
	keys, index := Fields(t)
	for _, key := range keys {
		tag := t.Field(index[key]).Tag
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
