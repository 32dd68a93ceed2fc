package golang

import (
	"fmt"
	"reflect"
	"strings"

	"modelc/runtime/kernel"
)

// operand is a place that a kernel uses: a Ref, or a struct that holds a Ref and a
// layout.
type operand struct {
	value reflect.Value
	ref   kernel.Ref
}

var refType = reflect.TypeFor[kernel.Ref]()

// asOperand returns v as an operand. ok is false if v is no operand or is absent.
func asOperand(v reflect.Value) (o operand, ok bool) {
	if v.Kind() != reflect.Struct || v.IsZero() {
		return o, false
	}
	if v.Type() == refType {
		return operand{v, v.Interface().(kernel.Ref)}, true
	}
	f, embedded := v.Type().FieldByName(refType.Name())
	if !embedded || !f.Anonymous || f.Type != refType {
		return o, false
	}
	return operand{v, v.FieldByIndex(f.Index).Interface().(kernel.Ref)}, true
}

// field is an operand of a kernel, with the path of the names of its fields.
type field struct {
	operand
	path []string
}

// fields returns the operands of a kernel, in the order of its fields.
func fields(v reflect.Value, path ...string) []field {
	if o, ok := asOperand(v); ok {
		return []field{{o, path}}
	}
	var list []field
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			list = append(list, fields(v.Field(i), append(path[:len(path):len(path)], v.Type().Field(i).Name)...)...)
		}
	case reflect.Slice:
		for i := range v.Len() {
			list = append(list, fields(v.Index(i), append(path[:len(path):len(path)], fmt.Sprint(i))...)...)
		}
	}
	return list
}

// fieldNames returns a name for each operand of a kernel: the name of its field,
// with the names of the fields around it if several operands have that name.
func fieldNames(list []field) []string {
	last := func(f field) string {
		i := len(f.path) - 1
		for i > 0 && isDigit(f.path[i][0]) {
			i--
		}
		return fieldWord(strings.Join(f.path[i:], ""))
	}
	of := map[string]any{}
	twice := map[string]bool{}
	for _, f := range list {
		if v, ok := of[last(f)]; ok && v != f.value.Interface() {
			twice[last(f)] = true
		}
		of[last(f)] = f.value.Interface()
	}
	names := make([]string, len(list))
	for i, f := range list {
		if names[i] = last(f); twice[names[i]] {
			n := len(f.path) - 1
			names[i] = strings.Join(f.path[:n], "") + fieldWord(f.path[n])
		}
	}
	return names
}

// fieldWord returns the word for the name of a field, which may be abbreviated.
func fieldWord(name string) string {
	switch name {
	case "W", "Wt":
		return "Weights"
	}
	return name
}
