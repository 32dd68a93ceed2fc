package keras

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"

	"modelc/internal/plaintext"
)

// record is a JSON object that preserves the order of its fields, which is the
// order of the outputs of a model with a dictionary of outputs. A nil record is
// empty.
type record struct {
	keys   []string
	values map[string]any
	read   map[string]bool // fields that get has returned
}

func (r *record) get(key string) any {
	if r == nil {
		return nil
	}
	v, ok := r.values[key]
	if ok && !r.read[key] {
		if r.read == nil {
			r.read = map[string]bool{}
		}
		r.read[key] = true
	}
	return v
}

// has reports whether the object has the field, which may be null.
func (r *record) has(key string) bool {
	if r == nil {
		return false
	}
	_, ok := r.values[key]
	return ok
}

// names returns the names of the fields.
func (r *record) names() []string {
	if r == nil {
		return nil
	}
	return r.keys
}

func (r *record) set(key string, v any) {
	if _, ok := r.values[key]; !ok {
		r.keys = append(r.keys, key)
	}
	r.values[key] = v
}

func newRecord() *record { return &record{values: map[string]any{}} }

// Limits of the JSON of a model. The JSON of DenseNet-121 has a third of a
// million bytes and thirty thousand values; that of NASNet is twice as large. A
// nested model adds four levels.
const (
	maxJSON       = 16 << 20
	maxJSONDepth  = 400
	maxJSONValues = 1 << 18
)

// decodeJSON decodes a JSON object. Objects become records; other values become
// []any, string, float64, bool or nil.
func decodeJSON(b []byte, what string) (*record, error) {
	if len(b) > maxJSON {
		return nil, fmt.Errorf("%s has %d bytes, more than the limit of %d", what, len(b), maxJSON)
	}
	d := decoder{Decoder: json.NewDecoder(bytes.NewReader(b))}
	v, err := d.value(0)
	if err != nil {
		return nil, fmt.Errorf("%s is not valid JSON: %w", what, err)
	}
	r, ok := v.(*record)
	if !ok {
		return nil, fmt.Errorf("%s is not a JSON object", what)
	}
	return r, nil
}

type decoder struct {
	*json.Decoder
	values int // number of decoded values
}

func (d *decoder) value(depth int) (any, error) {
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("nested more than %d levels deep", maxJSONDepth)
	}
	if d.values++; d.values > maxJSONValues {
		return nil, fmt.Errorf("more than %d values", maxJSONValues)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		r := newRecord()
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := d.value(depth + 1)
			if err != nil {
				return nil, err
			}
			r.set(plaintext.Name(k.(string)), v)
		}
		_, err := d.Token()
		return r, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := d.value(depth + 1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	if s, ok := t.(string); ok {
		return plaintext.Name(s), nil // messages and generated files may contain it
	}
	return t, nil
}

// object returns v if it is a JSON object, and nil otherwise.
func object(v any) *record {
	r, _ := v.(*record)
	return r
}

// text returns v if it is a string, and "" otherwise.
func text(v any) string {
	s, _ := v.(string)
	return s
}

// integer returns the value of a JSON number without a fraction that fits in 32
// bits.
func integer(v any) (int, bool) {
	f, ok := v.(float64)
	if !ok || f != math.Trunc(f) || math.Abs(f) > math.MaxInt32 {
		return 0, false
	}
	return int(f), true
}

// integers returns the values of a JSON list of integers.
func integers(v any) ([]int, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := make([]int, len(list))
	for i, e := range list {
		if out[i], ok = integer(e); !ok {
			return nil, false
		}
	}
	return out, true
}

// shapeOf returns the extents of a JSON list, with −1 for null. It returns nil
// if v is not a list of extents.
func shapeOf(v any) []int {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return nil
	}
	out := make([]int, len(list))
	for i, e := range list {
		if out[i], ok = integer(e); !ok {
			if e != nil {
				return nil
			}
			out[i] = -1
		}
	}
	return out
}
