package strictyaml

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// decoder writes nodes into Go values and collects what does not fit.
type decoder struct{ errs Errors }

var (
	unmarshaler = reflect.TypeFor[Unmarshaler]()
	duration    = reflect.TypeFor[time.Duration]()
)

func elem(v any) reflect.Value { return reflect.ValueOf(v).Elem() }

func (d *decoder) decode(n *Node, v reflect.Value) {
	switch {
	case v.Addr().Type().Implements(unmarshaler):
		d.errs.Add(n, v.Addr().Interface().(Unmarshaler).UnmarshalNode(n))
	case v.Type() == duration:
		d.duration(n, v)
	default:
		d.kind(n, v)
	}
}

func (d *decoder) kind(n *Node, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(n, v.Elem())
	case reflect.Struct:
		d.fields(n, v)
	case reflect.Slice:
		d.slice(n, v)
	case reflect.Map:
		d.mapping(n, v)
	case reflect.String:
		text, err := n.Text()
		d.errs.Add(n, err)
		v.SetString(text)
	case reflect.Bool:
		yes, err := n.Bool()
		d.errs.Add(n, err)
		v.SetBool(yes)
	case reflect.Int, reflect.Int32, reflect.Int64:
		i, err := n.Int()
		d.errs.Add(n, err)
		v.SetInt(int64(i))
	default:
		panic(fmt.Sprintf("strictyaml: cannot decode into %s", v.Type()))
	}
}

func (d *decoder) duration(n *Node, v reflect.Value) {
	t, err := n.Duration()
	if err == nil && t < 0 {
		err = n.Errorf("%s must not be negative, got %s", n.Name(), Quote(n.Value))
	}
	d.errs.Add(n, err)
	v.SetInt(int64(t))
}

func (d *decoder) fields(n *Node, v reflect.Value) {
	if n.Kind != Map {
		d.errs.Add(n, n.mismatch(Map))
		return
	}
	known, index := Fields(v.Type())
	for i, key := range n.Keys {
		at, ok := index[key.Value]
		if !ok {
			d.errs.Add(key, unknownKey(key, known, v))
			continue
		}
		before := len(d.errs)
		d.decode(asWord(n.Items[i], v.Type().Field(at)), v.Field(at))
		if len(d.errs) == before {
			d.errs.Add(n, within(n.Items[i], v.Type().Field(at).Tag))
		}
	}
	for _, key := range known {
		if v.Type().Field(index[key]).Tag.Get("required") != "" && n.Get(key) == nil {
			d.errs.Add(n, n.Errorf("%s has no %s", n.Name(), key).Hintf("add %s: it is %s", key, v.Type().Field(index[key]).Tag.Get("doc")))
		}
	}
}

// asWord takes a number for the text that it is one spelling of, where a field has
// such a word: tls-min: 1.2 can mean nothing else.
func asWord(n *Node, field reflect.StructField) *Node {
	if n.Kind != Number || field.Type.Kind() != reflect.String || !slices.Contains(Enum(field.Tag), n.Value) {
		return n
	}
	text := *n
	text.Kind = Text
	return &text
}

// within holds a value against the enum and range of its field's tag.
func within(n *Node, tag reflect.StructTag) error {
	if words := Enum(tag); words != nil && !slices.Contains(words, n.Value) {
		return n.Errorf("%s must be one of %s, got %s", n.Name(), strings.Join(words, ", "), n.shown()).
			Hintf("%s", DidYouMean(n.Value, words))
	}
	if low, high, ok := Range(tag); ok {
		if i, err := n.Int(); err == nil && (i < low || i > high) {
			return n.Errorf("%s must be from %d to %d, got %d", n.Name(), low, high, i)
		}
	}
	return nil
}

// Enum is the words of a field's enum tag, or nil.
func Enum(tag reflect.StructTag) []string {
	if tag.Get("enum") == "" {
		return nil
	}
	return strings.Split(tag.Get("enum"), ",")
}

// Range is the bounds of a field's range tag, "1..20000".
func Range(tag reflect.StructTag) (low, high int, ok bool) {
	bounds := tag.Get("range")
	if bounds == "" {
		return 0, 0, false
	}
	_, err := fmt.Sscanf(bounds, "%d..%d", &low, &high)
	return low, high, err == nil
}

// keysOf are the keys of a struct type, and the index of each key's field.
type keysOf struct {
	keys  []string
	index map[string]int
}

// seen are the keys of each type: a file has hundreds of values of one type.
var seen sync.Map

// Fields are the keys that a struct type has in YAML, in the order of its fields,
// and the index of each key's field. They are shared.
func Fields(t reflect.Type) (keys []string, index map[string]int) {
	f, there := seen.Load(t)
	if !there {
		f, _ = seen.LoadOrStore(t, readKeys(t))
	}
	return f.(keysOf).keys, f.(keysOf).index
}

func readKeys(t reflect.Type) keysOf {
	f := keysOf{index: map[string]int{}}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		f.keys = append(f.keys, name)
		f.index[name] = i
	}
	return f
}

func unknownKey(key *Node, known []string, v reflect.Value) error {
	err := key.Errorf("unknown key %s", Quote(key.Value))
	if e, ok := v.Addr().Interface().(KeyExplainer); ok {
		if hint := e.ExplainKey(key.Value); hint != "" {
			return err.Hintf("%s", hint)
		}
	}
	return err.Hintf("%s", DidYouMean(key.Value, known))
}

// DidYouMean is a hint for an unknown word: the one that was probably meant, or
// all there are.
func DidYouMean(word string, known []string) string {
	if near := Suggest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 0 {
		return "none are known here"
	}
	return "known here: " + strings.Join(known, ", ")
}

// slice decodes a list. One item stands for a list of one.
func (d *decoder) slice(n *Node, v reflect.Value) {
	items := []*Node{n}
	switch {
	case n.Kind == List:
		items = n.Items
	case n.Kind == Null, (n.Kind == Map) != (v.Type().Elem().Kind() == reflect.Struct):
		d.errs.Add(n, n.mismatch(List))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, item := range items {
		d.decode(item, v.Index(i))
	}
}

func (d *decoder) mapping(n *Node, v reflect.Value) {
	if n.Kind != Map {
		d.errs.Add(n, n.mismatch(Map))
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(n.Keys)))
	for i, key := range n.Keys {
		item := reflect.New(v.Type().Elem()).Elem()
		d.decode(n.Items[i], item)
		v.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), item)
	}
}
