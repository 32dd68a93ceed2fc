package cpu

import (
	"fmt"

	"modelc/ir"
	"modelc/runtime/kernel"
)

// Kernels on dense tensors are generic over the element type. The types below
// stand for element types, and the constructors of kernels are their methods.
// number[T] has the kernels that read every T. The other types have kernels that
// read fewer T. elements is the list of element types. If the value for a type
// lacks the method of a kernel, the kernel does not read that type.
type (
	number[T kernel.Number]   struct{}
	product[T kernel.Number]  struct{} // sums of products
	windowed[T kernel.Number] struct{} // pools
	floating[T kernel.Number] struct{} // arithmetic in floating point
)

var elements = map[ir.DType]any{
	ir.Float32: struct {
		number[float32]
		product[float32]
		windowed[float32]
		floating[float32]
	}{},
	ir.Float64: struct {
		number[float64]
		product[float64]
		windowed[float64]
		floating[float64]
	}{},
	ir.Int8: struct {
		number[int8]
		windowed[int8]
	}{},
	ir.Uint8: byteLike{},
	ir.Bool:  byteLike{}, // 0 or 1
	ir.Int16: number[int16]{},
	ir.Int32: struct {
		number[int32]
		product[int32]
	}{},
	ir.Int64: struct {
		number[int64]
		product[int64]
	}{},
	ir.Uint16: number[uint16]{},
	ir.Uint32: number[uint32]{},
	ir.Uint64: number[uint64]{},
}

type byteLike struct {
	number[uint8]
	windowed[uint8]
}

// pair stands for two element types.
type pair[T, U kernel.Number] struct{}

// with returns pair[T, U] for the element type U.
func with[T kernel.Number](u ir.DType) any {
	switch u {
	case ir.Float32:
		return pair[T, float32]{}
	case ir.Float64:
		return pair[T, float64]{}
	case ir.Int8:
		return pair[T, int8]{}
	case ir.Int16:
		return pair[T, int16]{}
	case ir.Int32:
		return pair[T, int32]{}
	case ir.Int64:
		return pair[T, int64]{}
	case ir.Uint8, ir.Bool:
		return pair[T, uint8]{}
	case ir.Uint16:
		return pair[T, uint16]{}
	case ir.Uint32:
		return pair[T, uint32]{}
	case ir.Uint64:
		return pair[T, uint64]{}
	}
	return nil
}

// ofSize returns constructors of kernels that depend only on the size of an
// element of p.
func ofSize[M any](p *place) M {
	unsigned := map[int]ir.DType{1: ir.Uint8, 2: ir.Uint16, 4: ir.Uint32, 8: ir.Uint64}
	return elements[unsigned[p.DType.Size()]].(M)
}

// emitTyped emits the kernel that make returns for the constructors of element
// type d. It returns an error if d does not implement M.
func emitTyped[M any](b *builder, d ir.DType, doc string, reads, writes []*place, make func(M) kernel.Kernel) error {
	m, ok := elements[d].(M)
	if !ok {
		return unsupportedType(d)
	}
	b.emitPlain(doc, reads, writes, func() kernel.Kernel { return make(m) })
	return nil
}

// unsupportedType is the error for an element type without a kernel.
func unsupportedType(d ir.DType) error {
	return fmt.Errorf("no kernel for elements of type %s", d)
}

// checkFloat returns an error unless d is float32 or float64.
func checkFloat(d ir.DType) error {
	if d != ir.Float32 && d != ir.Float64 {
		return unsupportedType(d)
	}
	return nil
}
