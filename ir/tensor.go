package ir

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"unsafe"
)

// Element is a Go type for views of the elements of a tensor. Elements of Float16 and
// BFloat16 tensors are viewed as bits in a uint16.
type Element interface {
	~float32 | ~float64 | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~bool
}

// Tensor is a constant: a type and its elements, dense, row-major and little-endian. The
// bytes may be a slice of a mapped model file. They must not change after the tensor was
// created.
type Tensor struct {
	Type
	data   []byte
	filled *filling // unless nil, the elements instead of data
	// origin is the text form of a constant that is too large to print, such as
	// "seed=3". [Format] returns it again.
	origin string
}

// NewTensor returns a tensor of zeros. The caller may set its elements through [Elements]
// before the tensor becomes part of a graph.
//
// NewTensor panics if the shape has more than [MaxExtent] elements: the size in bytes could
// overflow, and views of elements rely on it.
func NewTensor(t Type) *Tensor {
	if err := t.Shape.checkLen(); err != nil {
		panic("ir.NewTensor: " + err.Error())
	}
	// Align to eight bytes for any element type.
	words := make([]uint64, (t.Bytes()+7)/8)
	if len(words) == 0 {
		return &Tensor{Type: t}
	}
	return &Tensor{Type: t, data: unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), t.Bytes())}
}

// Filled returns a tensor of equal elements. element holds the bytes of one. The elements
// take memory from the first access, so that a model that is refused takes none.
func Filled(t Type, element []byte) (*Tensor, error) {
	if err := t.Shape.checkLen(); err != nil {
		return nil, err
	}
	if len(element) != t.DType.Size() {
		return nil, fmt.Errorf("an element of %s has %d bytes, got %d", t, t.DType.Size(), len(element))
	}
	return &Tensor{Type: t, filled: &filling{typ: t, element: element}}, nil
}

// filling holds the elements of tensors of equal elements.
type filling struct {
	once    sync.Once
	typ     Type
	element []byte
	data    []byte
}

func (f *filling) bytes() []byte {
	f.once.Do(func() {
		f.data = NewTensor(f.typ).data
		n := copy(f.data, f.element)
		for n < len(f.data) && n > 0 {
			n += copy(f.data[n:], f.data[:n])
		}
	})
	return f.data
}

// IsFilled reports whether t is the result of [Filled].
func (t *Tensor) IsFilled() bool { return t.filled != nil }

// FromBytes returns a tensor that refers to data and does not copy it. It fails if data
// does not have the size of the type.
func FromBytes(t Type, data []byte) (*Tensor, error) {
	if err := t.Shape.checkLen(); err != nil {
		return nil, err
	}
	if len(data) != t.Bytes() {
		return nil, fmt.Errorf("%s needs %d bytes, got %d", t, t.Bytes(), len(data))
	}
	return &Tensor{Type: t, data: data}, nil
}

// TensorOf returns a tensor with a copy of the given elements. It panics if their number
// does not match the shape.
func TensorOf[E Element](shape Shape, v ...E) *Tensor {
	t := NewTensor(Type{DTypeOf[E](), shape})
	if shape.Len() != len(v) {
		panic(fmt.Sprintf("ir.TensorOf: shape %s with %d elements", shape, len(v)))
	}
	copy(Elements[E](t), v)
	return t
}

// Scalar returns a tensor without axes.
func Scalar[E Element](v E) *Tensor { return TensorOf(Shape{}, v) }

// DTypeOf returns the element type of tensors of E. For uint16 it is Uint16.
func DTypeOf[E Element]() DType {
	var z E
	switch any(z).(type) {
	case float32:
		return Float32
	case float64:
		return Float64
	case int8:
		return Int8
	case int16:
		return Int16
	case int32:
		return Int32
	case int64:
		return Int64
	case uint8:
		return Uint8
	case uint16:
		return Uint16
	case uint32:
		return Uint32
	case uint64:
		return Uint64
	case bool:
		return Bool
	}
	panic(fmt.Sprintf("ir.DTypeOf: %T", z))
}

// Bytes returns the elements as stored.
func (t *Tensor) Bytes() []byte {
	if t.filled != nil {
		return t.filled.bytes()
	}
	return t.data
}

// anyAddress reports whether the processor loads elements from any address.
const anyAddress = runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64"

// Elements returns the elements of t. The slice is a view if the bytes are aligned for E, or
// need not be, otherwise a copy: weights may start anywhere in a file. Elements panics if E does
// not have the size of the element type.
func Elements[E Element](t *Tensor) []E {
	var z E
	size := int(unsafe.Sizeof(z))
	if size != t.DType.Size() {
		panic(fmt.Sprintf("ir.Elements: %s viewed as %T", t.Type, z))
	}
	n := t.Shape.Len()
	if n == 0 {
		return nil
	}
	data := t.Bytes()
	p := unsafe.Pointer(&data[0])
	if anyAddress || uintptr(p)%uintptr(size) == 0 {
		return unsafe.Slice((*E)(p), n)
	}
	out := make([]E, n)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&out[0])), len(data)), data)
	return out
}

// Float32s returns the elements of a Float32 tensor; see [Elements].
func (t *Tensor) Float32s() []float32 { return Elements[float32](t) }

// Float64s returns the elements of a tensor of any type converted to float64.
func (t *Tensor) Float64s() []float64 {
	switch t.DType {
	case Float32:
		return convert[float32, float64](t)
	case Float64:
		return convert[float64, float64](t)
	case Float16:
		return half(t, Float16ToFloat32)
	case BFloat16:
		return half(t, BFloat16ToFloat32)
	case Int8:
		return convert[int8, float64](t)
	case Int16:
		return convert[int16, float64](t)
	case Int32:
		return convert[int32, float64](t)
	case Int64:
		return convert[int64, float64](t)
	case Uint8:
		return convert[uint8, float64](t)
	case Uint16:
		return convert[uint16, float64](t)
	case Uint32:
		return convert[uint32, float64](t)
	case Uint64:
		return convert[uint64, float64](t)
	case Bool:
		return convert[uint8, float64](t)
	}
	panic("ir: Float64s of " + t.DType.String())
}

// Int64s returns the elements of a tensor of any type converted to int64. Floats are
// truncated toward zero.
func (t *Tensor) Int64s() []int64 {
	switch t.DType {
	case Int8:
		return convert[int8, int64](t)
	case Int16:
		return convert[int16, int64](t)
	case Int32:
		return convert[int32, int64](t)
	case Int64:
		return convert[int64, int64](t)
	case Uint8, Bool:
		return convert[uint8, int64](t)
	case Uint16:
		return convert[uint16, int64](t)
	case Uint32:
		return convert[uint32, int64](t)
	case Uint64:
		return convert[uint64, int64](t)
	}
	f := t.Float64s()
	out := make([]int64, len(f))
	for i, v := range f {
		out[i] = int64(v)
	}
	return out
}

// Ints returns the elements of t like [Tensor.Int64s] as []int, for shapes and axes. A
// number outside the range of int becomes the nearest one inside.
func (t *Tensor) Ints() []int {
	v := t.Int64s()
	out := make([]int, len(v))
	for i, x := range v {
		out[i] = int(min(max(x, math.MinInt), math.MaxInt))
	}
	return out
}

// FromFloat64s returns a tensor of any type with the given values. Floats are rounded to
// nearest even. Integers are truncated toward zero; the caller ensures that they are in
// range. A Bool is v != 0.
func FromFloat64s(t Type, v []float64) *Tensor {
	if t.Shape.Len() != len(v) {
		panic(fmt.Sprintf("ir.FromFloat64s: %s with %d elements", t, len(v)))
	}
	out := NewTensor(t)
	switch t.DType {
	case Float32:
		fill[float32](out, v)
	case Float64:
		fill[float64](out, v)
	case Float16:
		e := Elements[uint16](out)
		for i, x := range v {
			e[i] = Float32ToFloat16(float32(x))
		}
	case BFloat16:
		e := Elements[uint16](out)
		for i, x := range v {
			e[i] = Float32ToBFloat16(float32(x))
		}
	case Int8:
		fill[int8](out, v)
	case Int16:
		fill[int16](out, v)
	case Int32:
		fill[int32](out, v)
	case Int64:
		fill[int64](out, v)
	case Uint8:
		fill[uint8](out, v)
	case Uint16:
		fill[uint16](out, v)
	case Uint32:
		fill[uint32](out, v)
	case Uint64:
		fill[uint64](out, v)
	case Bool:
		e := Elements[bool](out)
		for i, x := range v {
			e[i] = x != 0
		}
	default:
		panic("ir: FromFloat64s to " + t.DType.String())
	}
	return out
}

// FromInt64s returns a tensor of any type with the given values.
func FromInt64s(t Type, v []int64) *Tensor {
	if t.DType == Int64 {
		return TensorOf(t.Shape, v...)
	}
	f := make([]float64, len(v))
	for i, x := range v {
		f[i] = float64(x)
	}
	return FromFloat64s(t, f)
}

// Reshaped returns a tensor with the same elements and shape s. It panics if s has another
// number of elements.
func (t *Tensor) Reshaped(s Shape) *Tensor {
	if s.Len() != t.Shape.Len() {
		panic(fmt.Sprintf("ir: reshape %s to %s", t.Type, s))
	}
	return &Tensor{Type: Type{t.DType, s}, data: t.data, filled: t.filled}
}

type number interface {
	~float32 | ~float64 | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

func convert[From, To number](t *Tensor) []To {
	in := Elements[From](t)
	out := make([]To, len(in))
	for i, v := range in {
		out[i] = To(v)
	}
	return out
}

func fill[E number](t *Tensor, v []float64) {
	e := Elements[E](t)
	for i, x := range v {
		e[i] = E(x)
	}
}

func half(t *Tensor, f func(uint16) float32) []float64 {
	in := Elements[uint16](t)
	out := make([]float64, len(in))
	for i, v := range in {
		out[i] = float64(f(v))
	}
	return out
}

// Float16ToFloat32 widens an IEEE 754 binary16 value, exactly.
func Float16ToFloat32(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exp := uint32(h>>10) & 0x1f
	frac := uint32(h) & 0x3ff
	switch {
	case exp == 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	case exp == 0:
		// Zero or subnormal: frac · 2^-24.
		f := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(f) | sign)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// Float32ToFloat16 rounds to the nearest binary16, ties to even.
func Float32ToFloat16(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b >> 16 & 0x8000)
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000:
		return sign | 0x7e00
	case b >= 0x477ff000: // rounds to 65520 or more: infinity
		return sign | 0x7c00
	case b < 0x38800000: // below the smallest normal, 2^-14
		// Adding 0.5 aligns the last bit of the result with that of the float.
		r := math.Float32frombits(b) + 0.5
		return sign | uint16(math.Float32bits(r)-0x3f000000)
	}
	b += 0xc8000fff + (b >> 13 & 1) // rebias the exponent and round
	return sign | uint16(b>>13)
}

// BFloat16ToFloat32 widens a bfloat16 value, exactly.
func BFloat16ToFloat32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// Float32ToBFloat16 rounds to the nearest bfloat16, ties to even.
func Float32ToBFloat16(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
