// Package digest computes digests of Go values. A digest does not change if a type
// gains a field that is zero, or if it moves to another package.
package digest

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
)

// Of returns the SHA-256 of values: booleans, numbers, strings, and slices,
// arrays, structs, pointers and interfaces of them. It panics if a value has
// another type.
//
// The digest covers, for a struct, the name of its type without the package, and
// its exported fields, sorted by name. It ignores fields that are zero, so a new
// field changes a digest only if it is set. If a field changes its meaning, its
// type must get a new name.
func Of(values ...any) (sum [32]byte) {
	h := sha256.New()
	w := bufio.NewWriter(h)
	for _, v := range values {
		write(w, reflect.ValueOf(v))
		w.WriteByte('\n')
	}
	w.Flush()
	h.Sum(sum[:0])
	return sum
}

func write(w io.Writer, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			io.WriteString(w, "nil")
			return
		}
		write(w, v.Elem())
	case reflect.Struct:
		io.WriteString(w, typeName(v.Type())+"{")
		var names []string
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && !v.Field(i).IsZero() {
				names = append(names, f.Name)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			io.WriteString(w, name+":")
			write(w, v.FieldByName(name))
			io.WriteString(w, " ")
		}
		io.WriteString(w, "}")
	case reflect.Slice, reflect.Array:
		fmt.Fprintf(w, "%d[", v.Len())
		for i := range v.Len() {
			write(w, v.Index(i))
			io.WriteString(w, " ")
		}
		io.WriteString(w, "]")
	case reflect.String:
		fmt.Fprintf(w, "%q", v.String())
	case reflect.Bool:
		fmt.Fprint(w, v.Bool())
	case reflect.Float32, reflect.Float64:
		fmt.Fprintf(w, "%x", v.Float()) // every bit
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		fmt.Fprint(w, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		fmt.Fprint(w, v.Uint())
	default:
		panic("digest: " + v.Type().String())
	}
}

// packages matches the packages before the names of types.
var packages = regexp.MustCompile(`[^\[\],]*\.`)

// typeName returns the name of a type with its type arguments, without packages.
func typeName(t reflect.Type) string { return packages.ReplaceAllString(t.Name(), "") }
