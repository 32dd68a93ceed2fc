package keras

import "fmt"

// parseCalls reads the inbound_nodes of a layer and reports whether they have
// the format of Keras 3 (objects with args and kwargs) or of Keras 2 (nested
// lists).
func parseCalls(v any) (calls []inbound, keras3 bool, err error) {
	list, _ := v.([]any)
	// A TensorFlow operator with one tensor has one level less.
	if len(list) > 0 {
		if _, flat := tensorList(list[0]); flat {
			list = []any{list}
		}
	}
	for i, e := range list {
		var c inbound
		switch e := e.(type) {
		case *record:
			keras3 = true
			c, err = parseCall3(e)
		case []any:
			c, err = parseCall2(e)
		default:
			err = fmt.Errorf("a %T", e)
		}
		if err != nil {
			return nil, false, fmt.Errorf("call %d: %w", i, err)
		}
		calls = append(calls, c)
	}
	return calls, keras3, nil
}

// parseCall3 reads {"args": […], "kwargs": {…}}.
func parseCall3(m *record) (inbound, error) {
	args, ok := m.get("args").([]any)
	if !ok {
		return inbound{}, fmt.Errorf("it has no args")
	}
	c := inbound{kwargs: newRecord()}
	for _, a := range args {
		v, err := value3(a)
		if err != nil {
			return c, err
		}
		c.args = append(c.args, v)
	}
	if kwargs := object(m.get("kwargs")); kwargs != nil {
		v, err := value3(kwargs)
		if err != nil {
			return c, err
		}
		c.kwargs = object(v)
	}
	return c, nil
}

// value3 replaces the tensors in a JSON value of Keras 3 by refs.
func value3(v any) (any, error) {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			x, err := value3(e)
			if err != nil {
				return nil, err
			}
			out[i] = x
		}
		return out, nil
	case *record:
		if v.get("class_name") == "__keras_tensor__" {
			return parseRef(object(v.get("config")).get("keras_history"))
		}
		out := newRecord()
		for _, k := range v.keys {
			x, err := value3(v.values[k])
			if err != nil {
				return nil, err
			}
			out.set(k, x)
		}
		return out, nil
	}
	return v, nil
}

// parseCall2 reads [[layer, node, tensor, kwargs], …]. One tensor is the
// argument itself; several tensors are a list. The keyword arguments are those
// of the first tensor. They may contain tensors as [layer, node, tensor].
func parseCall2(list []any) (inbound, error) {
	c := inbound{kwargs: newRecord()}
	var tensors []any
	for i, e := range list {
		t, ok := tensorList(e)
		if !ok {
			return c, fmt.Errorf("argument %d is not [layer, node, tensor, …]", i)
		}
		if t[0] == "_CONSTANT_VALUE" {
			tensors = append(tensors, t[2])
		} else {
			r, err := parseRef(t[:3])
			if err != nil {
				return c, err
			}
			tensors = append(tensors, r)
		}
		if len(t) > 3 && i == 0 {
			if r := object(t[3]); r != nil {
				for _, k := range r.keys {
					c.kwargs.set(k, value2(r.values[k]))
				}
			}
		}
	}
	if len(tensors) == 1 {
		c.args = tensors
	} else {
		c.args = []any{tensors}
	}
	return c, nil
}

// tensorList reports whether v is [layer, node, tensor, …].
func tensorList(v any) ([]any, bool) {
	t, ok := v.([]any)
	if !ok || len(t) < 3 {
		return nil, false
	}
	if _, ok := t[0].(string); !ok {
		return nil, false
	}
	if _, ok := integer(t[1]); !ok {
		return nil, false
	}
	return t, true
}

// value2 replaces the tensors in a keyword argument of Keras 2 by refs.
func value2(v any) any {
	if r := object(v); r != nil {
		out := newRecord()
		for _, k := range r.keys {
			out.set(k, value2(r.values[k]))
		}
		return out
	}
	list, ok := v.([]any)
	if !ok {
		return v
	}
	if t, ok := tensorList(v); ok && len(t) == 3 {
		if r, err := parseRef(t); err == nil {
			return r
		}
	}
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = value2(e)
	}
	return out
}

// parseRef reads [layer, node, tensor].
func parseRef(v any) (ref, error) {
	t, ok := v.([]any)
	if ok && len(t) == 3 {
		name, isName := t[0].(string)
		node, ok1 := integer(t[1])
		tensor, ok2 := integer(t[2])
		if isName && ok1 && ok2 && node >= 0 && tensor >= 0 {
			return ref{name, node, tensor}, nil
		}
	}
	return ref{}, fmt.Errorf("%.60v is not a tensor", v)
}

// terminals reads input_layers or output_layers: a tensor, a list of tensors,
// or an object of tensors by name.
func terminals(v any) ([]terminal, error) {
	var out []terminal
	add := func(name string, v any) error {
		r, err := parseRef(v)
		if name == "" {
			name = r.layer
		}
		if len(out) == maxTerminals {
			return fmt.Errorf("it has more than the maximum of %d inputs or outputs", maxTerminals)
		}
		out = append(out, terminal{name, r})
		return err
	}
	switch v := v.(type) {
	case *record:
		for _, k := range v.keys {
			if err := add(k, v.values[k]); err != nil {
				return nil, err
			}
		}
	case []any:
		if len(v) > 0 {
			if _, single := v[0].(string); single {
				return out, add("", v)
			}
		}
		for _, e := range v {
			if err := add("", e); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}
