package onnxgo

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"gorgonia.org/tensor"

	"modelc/ir"
)

// encode encodes the model as an ONNX ModelProto. Its inputs have the types of
// in. The field numbers are those of onnx.proto.
func (g *Graph) encode(opset int, in []*ir.Tensor) ([]byte, error) {
	inputs, weights := g.inputs()
	var b []byte // GraphProto
	for _, op := range g.ops {
		n, err := op.encode()
		if err != nil {
			return nil, fmt.Errorf("onnxgo: %s: %w", op.Name, err)
		}
		b = appendMessage(b, 1, n)
	}
	b = appendString(b, 2, "onnx-go")
	for _, n := range weights {
		t, err := fromDense(n.t)
		if err != nil {
			return nil, fmt.Errorf("onnxgo: weight %q: %w", n.name, err)
		}
		b = appendMessage(b, 5, encodeTensor(n.name, t))
	}
	for i, n := range inputs {
		var shape []byte
		for _, d := range in[i].Shape {
			shape = appendMessage(shape, 1, appendVarint(nil, 1, uint64(d)))
		}
		t := appendMessage(appendVarint(nil, 1, elementTypes[in[i].DType]), 2, shape)
		b = appendMessage(b, 11, appendMessage(appendString(nil, 1, n.name), 2, appendMessage(nil, 1, t)))
	}
	for _, n := range g.outputs() {
		b = appendMessage(b, 12, appendString(nil, 1, n.name))
	}
	m := appendVarint(nil, 1, 8) // IR version
	m = appendMessage(m, 8, appendVarint(nil, 2, uint64(opset)))
	return appendMessage(m, 7, b), nil
}

// encode returns n as a NodeProto.
func (op operation) encode() ([]byte, error) {
	var b []byte
	in := op.in
	for len(in) > 0 && in[len(in)-1].absent() {
		in = in[:len(in)-1]
	}
	for _, n := range in {
		name := ""
		if !n.absent() {
			name = n.name
		}
		b = appendString(b, 1, name)
	}
	for _, n := range op.out {
		b = appendString(b, 2, n.name)
	}
	b = appendString(b, 4, op.Name)
	for _, name := range slices.Sorted(maps.Keys(op.Attributes)) {
		a, err := encodeAttribute(name, op.Attributes[name])
		if err != nil {
			return nil, fmt.Errorf("attribute %q: %w", name, err)
		}
		b = appendMessage(b, 5, a)
	}
	return b, nil
}

// encodeAttribute returns an AttributeProto. Field 20 is its type.
func encodeAttribute(name string, value any) ([]byte, error) {
	b := appendString(nil, 1, name)
	switch v := value.(type) {
	case float32:
		b = appendFloat(b, 2, v)
		b = appendVarint(b, 20, 1)
	case int64:
		b = appendVarint(b, 3, uint64(v))
		b = appendVarint(b, 20, 2)
	case string:
		b = appendString(b, 4, v)
		b = appendVarint(b, 20, 3)
	case tensor.Tensor:
		t, err := fromDense(v)
		if err != nil {
			return nil, err
		}
		b = appendMessage(b, 5, encodeTensor("", t))
		b = appendVarint(b, 20, 4)
	case []float32:
		for _, x := range v {
			b = appendFloat(b, 7, x)
		}
		b = appendVarint(b, 20, 6)
	case []int64:
		for _, x := range v {
			b = appendVarint(b, 8, uint64(x))
		}
		b = appendVarint(b, 20, 7)
	case []string:
		for _, x := range v {
			b = appendString(b, 9, x)
		}
		b = appendVarint(b, 20, 8)
	default:
		return nil, fmt.Errorf("onnx-go decodes the attribute as a %T", value)
	}
	return b, nil
}

// elementTypes are the element types of TensorProto.
var elementTypes = map[ir.DType]uint64{ir.Float32: 1, ir.Uint8: 2, ir.Int8: 3, ir.Uint16: 4, ir.Int16: 5, ir.Int32: 6, ir.Int64: 7,
	ir.Bool: 9, ir.Float64: 11, ir.Uint32: 12, ir.Uint64: 13}

// encodeTensor returns a TensorProto.
func encodeTensor(name string, t *ir.Tensor) []byte {
	var b []byte
	for _, d := range t.Shape {
		b = appendVarint(b, 1, uint64(d))
	}
	b = appendVarint(b, 2, elementTypes[t.DType])
	b = appendString(b, 8, name)
	return appendMessage(b, 9, t.Bytes())
}

func appendVarint(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendFloat(b []byte, field protowire.Number, v float32) []byte {
	return protowire.AppendFixed32(protowire.AppendTag(b, field, protowire.Fixed32Type), math.Float32bits(v))
}

func appendString(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func appendMessage(b []byte, field protowire.Number, inner []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), inner)
}
