package onnx

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"

	"modelc/frontend/source"
	"modelc/internal/files"
	"modelc/internal/plaintext"
	"modelc/ir"
)

// elementTypes maps TensorProto.DataType to types of the IR. Half-precision tensors
// are converted to float32 when they are read.
var elementTypes = map[int64]ir.DType{
	1: ir.Float32, 2: ir.Uint8, 3: ir.Int8, 4: ir.Uint16, 5: ir.Int16, 6: ir.Int32, 7: ir.Int64, 9: ir.Bool,
	10: ir.Float16, 11: ir.Float64, 12: ir.Uint32, 13: ir.Uint64, 16: ir.BFloat16,
}

func typeName(t int64) string {
	if d, ok := elementTypes[t]; ok {
		return d.String()
	}
	names := map[int64]string{0: "undefined", 8: "string", 14: "complex64", 15: "complex128", 17: "float8e4m3fn", 18: "float8e4m3fnuz",
		19: "float8e5m2", 20: "float8e5m2fnuz", 21: "uint4", 22: "int4", 23: "float4e2m1",
		24: "float8e8m0", 25: "uint2", 26: "int2"}
	if n, ok := names[t]; ok {
		return n
	}
	return fmt.Sprintf("element type %d", t)
}

// elementType returns the IR's type for a type of the file.
func elementType(t int64) (ir.DType, error) {
	d, ok := elementTypes[t]
	if !ok {
		return ir.Invalid, fmt.Errorf("elements of type %s", typeName(t))
	}
	if isHalf(t) {
		return ir.Float32, nil
	}
	return d, nil
}

// isHalf reports whether tensors of type t are converted to float32.
func isHalf(t int64) bool { return t == 10 || t == 16 }

// externals reads external data in the model's folder.
type externals struct {
	dir  string
	open map[string][]byte
	undo []func() error
	read func([]byte)    // called once for the content of each external file
	lost map[string]bool // missing files that were reported
}

// missingFile says that a file with external data does not exist.
type missingFile struct{ location string }

func (m missingFile) Error() string { return fmt.Sprintf("external data: %s is missing", m.location) }

// tensor converts t. The result shares raw little-endian data.
func (f *externals) tensor(t *tensorProto) (*ir.Tensor, error) {
	d, ok := elementTypes[t.dataType]
	if isHalfByte(t.dataType) {
		d, ok = map[int64]ir.DType{uint4Elem: ir.Uint8, int4Elem: ir.Int8}[t.dataType], true
	}
	if !ok {
		return nil, fmt.Errorf("tensor %q has elements of type %s", t.name, typeName(t.dataType))
	}
	shape := make(ir.Shape, len(t.dims))
	for i, x := range t.dims {
		if x < 0 || x > ir.MaxExtent {
			return nil, fmt.Errorf("tensor %q has dimensions %v", t.name, t.dims)
		}
		shape[i] = int(x)
	}
	if err := shape.Check(); err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.name, err)
	}
	typ := ir.Type{DType: d, Shape: shape}
	size := typ.Bytes()
	if isHalfByte(t.dataType) {
		size = (size + 1) / 2
	}
	raw := t.raw
	if t.location == 1 || len(t.external) > 0 {
		var err error
		if raw, err = f.external(t, size); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.name, err)
		}
	} else if !t.hasRaw && !isHalfByte(t.dataType) {
		return typedData(t, typ)
	}
	if isHalfByte(t.dataType) {
		return halfBytes(t, typ, raw)
	}
	if d == ir.Bool {
		raw = truths(raw)
	}
	c, err := ir.FromBytes(typ, raw)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.name, err)
	}
	return widen(c), nil
}

// The types of integers of 4 bits.
const (
	uint4Elem = 21
	int4Elem  = 22
)

// isHalfByte reports whether tensors of type t have elements of 4 bits. They become integers
// of 8 bits, which [importer.tensor] restricts.
func isHalfByte(t int64) bool { return t == uint4Elem || t == int4Elem }

// halfBytes unpacks elements of 4 bits. A byte has two, the first one in its low half.
func halfBytes(t *tensorProto, typ ir.Type, raw []byte) (*ir.Tensor, error) {
	raw = slices.Clip(raw)
	for x := range t.ints.all() {
		raw = append(raw, byte(x))
	}
	n := typ.Shape.Len()
	if len(raw) != (n+1)/2 {
		return nil, fmt.Errorf("tensor %q of type %s and shape %s has %d bytes", t.name, typeName(t.dataType), typ.Shape, len(raw))
	}
	whole := make([]byte, n)
	for i := range whole {
		x := raw[i/2] >> (i % 2 * 4) & 15
		if t.dataType == int4Elem && x > 7 {
			x -= 16 // of two's complement
		}
		whole[i] = x
	}
	return ir.FromBytes(typ, whole)
}

// truths replaces every byte of b that is not 0 by 1, because Go's bool has no other
// values.
func truths(b []byte) []byte {
	if !slices.ContainsFunc(b, func(x byte) bool { return x > 1 }) {
		return b
	}
	b = slices.Clone(b)
	for i, x := range b {
		b[i] = min(x, 1)
	}
	return b
}

// widen converts half-precision tensors to float32.
func widen(t *ir.Tensor) *ir.Tensor {
	if t.DType != ir.Float16 && t.DType != ir.BFloat16 {
		return t
	}
	out := ir.NewTensor(ir.Type{DType: ir.Float32, Shape: t.Shape})
	float := ir.Float16ToFloat32
	if t.DType == ir.BFloat16 {
		float = ir.BFloat16ToFloat32
	}
	to := ir.Elements[float32](out)
	for i, x := range ir.Elements[uint16](t) {
		to[i] = float(x)
	}
	return out
}

// typedData reads elements from float_data, int32_data and similar fields. Half
// precision is stored as bits.
func typedData(t *tensorProto, typ ir.Type) (*ir.Tensor, error) {
	n := typ.Shape.Len()
	got := len(t.floats) + len(t.doubles) + t.ints.len
	if got != n {
		return nil, fmt.Errorf("tensor %q is %s with %d elements", t.name, typ, got)
	}
	switch {
	case typ.DType == ir.Float32 && len(t.floats) == n:
		return ir.TensorOf(typ.Shape, t.floats...), nil
	case typ.DType == ir.Float64 && len(t.doubles) == n:
		return ir.TensorOf(typ.Shape, t.doubles...), nil
	case t.ints.len != n:
		return nil, fmt.Errorf("tensor %q of type %s stores its elements in a field of another type", t.name, typ)
	case typ.DType == ir.Float16 || typ.DType == ir.BFloat16:
		bits := ir.NewTensor(typ)
		setInts(ir.Elements[uint16](bits), t)
		return widen(bits), nil
	case typ.DType.IsFloat():
		return nil, fmt.Errorf("tensor %q of type %s stores its elements as integers", t.name, typ)
	}
	if size := typ.DType.Size(); typ.DType.IsInt() && size <= 2 {
		lo, hi := typ.DType.Range()
		for x := range t.ints.all() {
			if x < int64(lo) || x > int64(hi) {
				return nil, fmt.Errorf("tensor %q of type %s has the element %d", t.name, typ.DType, x)
			}
		}
	}
	out := ir.NewTensor(typ)
	switch typ.DType {
	case ir.Bool:
		to := ir.Elements[bool](out)
		i := 0
		for x := range t.ints.all() {
			to[i] = x != 0
			i++
		}
	case ir.Int8, ir.Uint8:
		setInts(out.Bytes(), t)
	case ir.Int16, ir.Uint16:
		setInts(ir.Elements[uint16](out), t)
	case ir.Int32, ir.Uint32:
		setInts(ir.Elements[uint32](out), t)
	default:
		setInts(ir.Elements[uint64](out), t)
	}
	return out, nil
}

// setInts sets the elements of to, in two's complement, to the integers of t.
func setInts[E uint8 | uint16 | uint32 | uint64](to []E, t *tensorProto) {
	i := 0
	for x := range t.ints.all() {
		to[i] = E(x)
		i++
	}
}

// external returns the bytes of a tensor in an external file in the model's folder.
func (f *externals) external(t *tensorProto, want int) ([]byte, error) {
	location := plaintext.Name(t.external["location"])
	if location == "" {
		return nil, fmt.Errorf("external data without a location")
	}
	if !filepath.IsLocal(filepath.FromSlash(location)) {
		return nil, fmt.Errorf("external data at %q lies outside the model's folder", location)
	}
	number := func(key string, def int64) (int64, error) {
		s, ok := t.external[key]
		if !ok {
			return def, nil
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("external data with %s %q", key, s)
		}
		return n, nil
	}
	data, ok := f.open[location]
	if !ok {
		if f.dir == "" {
			return nil, fmt.Errorf("external data %q, but the model was not read from a folder", location)
		}
		var release func() error
		var err error
		if data, release, err = source.MapBelow(f.dir, filepath.FromSlash(location)); errors.Is(err, fs.ErrNotExist) {
			return nil, missingFile{location}
		} else if err != nil {
			return nil, fmt.Errorf("external data: %w", err)
		}
		f.open[location] = data
		f.undo = append(f.undo, release)
		f.read(data)
	}
	off, err := number("offset", 0)
	if err != nil {
		return nil, err
	}
	n, err := number("length", int64(want))
	if err != nil {
		return nil, err
	}
	if n != int64(want) {
		return nil, fmt.Errorf("external data of %d bytes for %d", n, want)
	}
	if off > int64(len(data)) || n > int64(len(data))-off {
		return nil, fmt.Errorf("external data %q has %d bytes, the tensor lies at %d+%d", location, len(data), off, n)
	}
	return data[off : off+n], nil
}

// maxTensorFile is the maximum size of a file with a serialized TensorProto, in bytes.
const maxTensorFile = 1 << 30

// ReadTensor reads a file with a serialized TensorProto, which is the format of ONNX
// test data. It returns the tensor and its name. Half-precision elements are converted
// to float32.
func ReadTensor(path string) (*ir.Tensor, string, error) {
	b, err := files.Read(path, maxTensorFile)
	if err != nil {
		return nil, "", err
	}
	t, name, err := ParseTensor(b)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	return t, name, nil
}

// ParseTensor decodes a serialized TensorProto in memory. The tensor shares memory
// with b.
func ParseTensor(b []byte) (*ir.Tensor, string, error) {
	t, err := decodeTensor(decoder{}, b)
	if err != nil {
		return nil, "", fmt.Errorf("not a tensor: %w", err)
	}
	c, err := (&externals{}).tensor(t)
	return c, t.name, err
}
