// Package ir is the intermediate representation of modelc: a graph of typed
// operations over logical tensors in single-assignment form.
//
// Tensors are logical: the activations of a convolution are [N,C,H,W], whatever layout the
// back end stores them in. Shapes are static, and every op has one meaning. Front ends
// resolve implicit parts of a file: auto_pad, variants of opsets, defaults. Back ends
// choose layouts, memory and kernels. docs/ir.md describes how to add an op.
package ir

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// DType is the element type of a tensor.
type DType uint8

// Element types. The zero value marks an absent optional operand.
const (
	Invalid DType = iota
	Float32
	Float64
	Float16
	BFloat16
	Int8
	Int16
	Int32
	Int64
	Uint8
	Uint16
	Uint32
	Uint64
	Bool
)

var dtypes = [...]struct {
	name string
	size int
	inGo string // "" if Go does not have the type
}{
	Invalid:  {"none", 0, ""},
	Float32:  {"f32", 4, "float32"},
	Float64:  {"f64", 8, "float64"},
	Float16:  {"f16", 2, ""},
	BFloat16: {"bf16", 2, ""},
	Int8:     {"i8", 1, "int8"},
	Int16:    {"i16", 2, "int16"},
	Int32:    {"i32", 4, "int32"},
	Int64:    {"i64", 8, "int64"},
	Uint8:    {"u8", 1, "uint8"},
	Uint16:   {"u16", 2, "uint16"},
	Uint32:   {"u32", 4, "uint32"},
	Uint64:   {"u64", 8, "uint64"},
	Bool:     {"bool", 1, "bool"},
}

// Size returns the size of an element in bytes.
func (d DType) Size() int { return dtypes[d].size }

// GoType returns the type of the elements in Go: float32, int64, bool, … It is "" for
// types that Go does not have.
func (d DType) GoType() string { return dtypes[d].inGo }

// String returns the short name used in the text form: f32, i64, bool, …
func (d DType) String() string {
	if int(d) >= len(dtypes) {
		return fmt.Sprintf("dtype(%d)", uint8(d))
	}
	return dtypes[d].name
}

// IsFloat reports whether d is a floating-point type.
func (d DType) IsFloat() bool { return d >= Float32 && d <= BFloat16 }

// IsInt reports whether d is a signed or unsigned integer type.
func (d DType) IsInt() bool { return d >= Int8 && d <= Uint64 }

// ParseDType is the inverse of [DType.String].
func ParseDType(s string) (DType, error) {
	for d := Float32; d <= Bool; d++ {
		if dtypes[d].name == s {
			return d, nil
		}
	}
	return Invalid, fmt.Errorf("unknown element type %q", s)
}

// MarshalText writes the short name.
func (d DType) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the short name.
func (d *DType) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDType(string(b))
	return err
}

// Shape is the extent of each axis, outermost first. A scalar has no axes.
type Shape []int

// Len returns the number of elements, 1 for a scalar.
func (s Shape) Len() int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// Check returns an error if the shape has a negative extent or exceeds [MaxRank] or
// [MaxExtent]. These limits keep products of extents and sizes in bytes from overflowing.
func (s Shape) Check() error {
	if err := CheckLimit("rank", int64(len(s))); err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	return s.checkLen()
}

func (s Shape) checkLen() error {
	n := int64(1)
	for _, d := range s {
		if d < 0 {
			return fmt.Errorf("negative extent in %s", s)
		}
		if d > MaxExtent || n*int64(d) > MaxExtent {
			return fmt.Errorf("%s has more than %d elements, which is not supported", s, MaxExtent)
		}
		n *= int64(max(d, 1)) // an extent of 0 must not hide a huge one
	}
	return nil
}

// Equal reports whether both shapes have the same axes.
func (s Shape) Equal(o Shape) bool { return slices.Equal(s, o) }

// String formats the shape as [1,64,56,56].
func (s Shape) String() string {
	var b strings.Builder
	b.WriteByte('[')
	for i, d := range s {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(d))
	}
	b.WriteByte(']')
	return b.String()
}

// Strides returns the distance in elements between neighbours along each axis
// of a dense row-major tensor of this shape.
func (s Shape) Strides() []int {
	st := make([]int, len(s))
	n := 1
	for i := len(s) - 1; i >= 0; i-- {
		st[i] = n
		n *= s[i]
	}
	return st
}

// Type is the element type and shape of a tensor.
type Type struct {
	DType DType
	Shape Shape
}

// T is shorthand for a Type.
func T(d DType, shape ...int) Type { return Type{d, Shape(shape)} }

// Equal reports whether both types have the same element type and shape.
func (t Type) Equal(o Type) bool { return t.DType == o.DType && t.Shape.Equal(o.Shape) }

// Bytes returns the size of a dense tensor of this type in bytes.
func (t Type) Bytes() int { return t.Shape.Len() * t.DType.Size() }

// Rank returns the number of axes.
func (t Type) Rank() int { return len(t.Shape) }

// Present reports whether the operand exists. An absent optional operand has the zero Type.
func (t Type) Present() bool { return t.DType != Invalid }

// String formats the type as f32[1,3,224,224].
func (t Type) String() string { return t.DType.String() + t.Shape.String() }
