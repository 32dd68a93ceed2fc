package golang

import (
	"fmt"
	"path"
	"reflect"
	"strconv"
	"strings"

	"modelc/ir"
	"modelc/runtime"
	"modelc/runtime/vision"
)

// declaration prints a kernel as literal does, with a line for each operand
// and one for all the extents.
func declaration(v reflect.Value) string {
	var operands, extents []string
	for i := range v.NumField() {
		f := v.Field(i)
		if f.IsZero() {
			continue
		}
		part := v.Type().Field(i).Name + ": " + literal(f) + ","
		switch f.Kind() {
		case reflect.Struct, reflect.Slice:
			operands = append(operands, part)
		default:
			extents = append(extents, part)
		}
	}
	if len(extents) > 0 {
		operands = append(operands, strings.Join(extents, " "))
	}
	return typeName(v.Type()) + "{\n" + strings.Join(operands, "\n") + "\n}"
}

// literal prints a value of a runtime type as a Go composite literal: fields
// by name, zero fields left out, nested values in place. A new kernel needs
// nothing here.
func literal(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer:
		return "&" + literal(v.Elem())
	case reflect.Struct:
		return typeName(v.Type()) + fields(v)
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.IsNil() {
			return "nil"
		}
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = elided(v.Index(i))
		}
		return typeName(v.Type()) + "{" + strings.Join(parts, ", ") + "}"
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.String:
		return quote(v.String())
	case reflect.Float32, reflect.Float64:
		return float(v)
	}
	switch x := v.Interface().(type) {
	case runtime.Space:
		return space(x)
	case runtime.Fn:
		return "runtime.Act" + ir.Fn(x).String() // the values coincide
	case runtime.BinaryFn:
		return "runtime.Bin" + ir.BinaryFn(x).String()
	case runtime.Format:
		return "runtime." + strings.ToUpper(x.String())
	case runtime.PoolKind:
		if x == runtime.PoolMax {
			return "runtime.PoolMax"
		}
		return "runtime.PoolAvg"
	case vision.Layout, vision.Fit, vision.Filter: // named as their constants
		return "vision." + identifier(fmt.Sprint(x), "")
	}
	if v.CanInt() {
		return strconv.FormatInt(v.Int(), 10)
	}
	return strconv.FormatUint(v.Uint(), 10)
}

// elided prints an element of a slice, whose type stands in front already.
func elided(v reflect.Value) string {
	if v.Kind() == reflect.Struct {
		return fields(v)
	}
	return literal(v)
}

func fields(v reflect.Value) string {
	var parts []string
	for i := range v.NumField() {
		if f := v.Field(i); !f.IsZero() {
			parts = append(parts, v.Type().Field(i).Name+": "+literal(f))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func space(s runtime.Space) string {
	switch s {
	case runtime.Arena:
		return "runtime.Arena"
	case runtime.Weights:
		return "runtime.Weights"
	case runtime.Prepared:
		return "runtime.Prepared"
	case runtime.IO:
		return "runtime.IO"
	}
	return fmt.Sprintf("runtime.IO + %d", s-runtime.IO)
}

// float prints a number that has no literal of its own too.
func float(v reflect.Value) string {
	bits := 64
	if v.Kind() == reflect.Float32 {
		bits = 32
	}
	s := strconv.FormatFloat(v.Float(), 'g', -1, bits)
	switch s {
	case "+Inf":
		return fmt.Sprintf("runtime.Inf%d", bits)
	case "-Inf":
		return fmt.Sprintf("-runtime.Inf%d", bits)
	case "NaN":
		return fmt.Sprintf("runtime.NaN%d", bits)
	}
	return s
}

// typeName spells a type as source outside package runtime does.
func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "[]" + typeName(t.Elem())
	case reflect.Array:
		return fmt.Sprintf("[%d]%s", t.Len(), typeName(t.Elem()))
	case reflect.Struct:
		// A generic type's name carries its arguments: StridedCopy[uint32].
		return path.Base(t.PkgPath()) + "." + t.Name()
	}
	return t.String()
}
