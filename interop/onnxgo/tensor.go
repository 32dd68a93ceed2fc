package onnxgo

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"gorgonia.org/tensor"

	"modelc/ir"
)

// fromDense copies a Gorgonia tensor.
func fromDense(t tensor.Tensor) (*ir.Tensor, error) {
	if t == nil {
		return nil, errors.New("it has no tensor: set one with SetInput")
	}
	d, ok := t.(*tensor.Dense)
	if !ok {
		return nil, fmt.Errorf("it is a %T, want a *tensor.Dense", t)
	}
	if d.RequiresIterator() || d.DataOrder().IsColMajor() {
		return nil, errors.New("it is a view or in column-major order: clone it")
	}
	shape := ir.Shape(slices.Clone(d.Shape()))
	data := d.Data()
	if v := reflect.ValueOf(data); v.Kind() != reflect.Slice { // Gorgonia unwraps scalars
		data = reflect.Append(reflect.MakeSlice(reflect.SliceOf(v.Type()), 0, 1), v).Interface()
	}
	switch x := data.(type) {
	case []float32:
		return dense(shape, x)
	case []float64:
		return dense(shape, x)
	case []int8:
		return dense(shape, x)
	case []int16:
		return dense(shape, x)
	case []int32:
		return dense(shape, x)
	case []int64:
		return dense(shape, x)
	case []uint8:
		return dense(shape, x)
	case []uint16:
		return dense(shape, x)
	case []uint32:
		return dense(shape, x)
	case []uint64:
		return dense(shape, x)
	case []bool:
		return dense(shape, x)
	}
	return nil, fmt.Errorf("elements of type %s are not supported", d.Dtype())
}

func dense[E ir.Element](shape ir.Shape, x []E) (*ir.Tensor, error) {
	if len(x) != shape.Len() {
		return nil, fmt.Errorf("it has %d elements for the shape %s", len(x), shape)
	}
	return ir.TensorOf(shape, x...), nil
}

// toDense returns t as a Gorgonia tensor that shares its memory.
func toDense(t *ir.Tensor) tensor.Tensor {
	var data any
	switch t.DType {
	case ir.Float32:
		data = ir.Elements[float32](t)
	case ir.Float64:
		data = ir.Elements[float64](t)
	case ir.Int8:
		data = ir.Elements[int8](t)
	case ir.Int16:
		data = ir.Elements[int16](t)
	case ir.Int32:
		data = ir.Elements[int32](t)
	case ir.Int64:
		data = ir.Elements[int64](t)
	case ir.Uint8:
		data = ir.Elements[uint8](t)
	case ir.Uint16:
		data = ir.Elements[uint16](t)
	case ir.Uint32:
		data = ir.Elements[uint32](t)
	case ir.Uint64:
		data = ir.Elements[uint64](t)
	case ir.Bool:
		data = ir.Elements[bool](t)
	}
	return tensor.New(tensor.WithShape(t.Shape...), tensor.WithBacking(data))
}
