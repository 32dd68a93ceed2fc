// Package onnxfile writes ONNX models: [Model.Encode] writes the messages of a file, and
// [FromGraph] makes them from a graph of the IR.
package onnxfile

import (
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"modelc/ir"
)

// Model is an ONNX model with one graph. Names must be unique. The nodes are in
// topological order.
type Model struct {
	IRVersion, Opset int
	Producer, Name   string
	Nodes            []Node
	Inputs, Outputs  []Value
	Weights          []Tensor
}

// Node is a node of the default operator domain. An empty name of an input stands for an
// absent operand.
type Node struct {
	Op, Name        string
	Inputs, Outputs []string
	Attributes      []Attribute
}

// Value is an input or output of the graph.
type Value struct {
	Name string
	Type ir.Type
}

// Tensor is an initialiser. Write writes its elements, little-endian in row-major order.
type Tensor struct {
	Name  string
	Type  ir.Type
	Write func(w io.Writer) error
}

// Constant returns an initialiser with the elements of t.
func Constant(name string, t *ir.Tensor) Tensor {
	return Tensor{name, t.Type, func(w io.Writer) error {
		_, err := w.Write(t.Bytes())
		return err
	}}
}

// Attribute is an encoded AttributeProto.
type Attribute []byte

// The types of attributes in an AttributeProto.
const (
	attrFloat   = 1
	attrInt     = 2
	attrString  = 3
	attrFloats  = 6
	attrInts    = 7
	attrStrings = 8
)

// Int returns an integer attribute.
func Int(name string, v int) Attribute {
	return appendVarint(appendVarint(appendString(nil, 1, name), 3, uint64(v)), 20, attrInt)
}

// Ints returns an attribute with a list of integers.
func Ints(name string, v ...int) Attribute {
	m := appendString(nil, 1, name)
	for _, x := range v {
		m = appendVarint(m, 8, uint64(x))
	}
	return appendVarint(m, 20, attrInts)
}

// Float returns an attribute that is a float32.
func Float(name string, v float32) Attribute {
	m := protowire.AppendTag(appendString(nil, 1, name), 2, protowire.Fixed32Type)
	m = protowire.AppendFixed32(m, math.Float32bits(v))
	return appendVarint(m, 20, attrFloat)
}

// Floats returns an attribute with a list of float32.
func Floats(name string, v ...float32) Attribute {
	m := appendString(nil, 1, name)
	for _, x := range v {
		m = protowire.AppendFixed32(protowire.AppendTag(m, 7, protowire.Fixed32Type), math.Float32bits(x))
	}
	return appendVarint(m, 20, attrFloats)
}

// Strings returns an attribute with a list of strings.
func Strings(name string, v ...string) Attribute {
	m := appendString(nil, 1, name)
	for _, s := range v {
		m = appendString(m, 9, s)
	}
	return appendVarint(m, 20, attrStrings)
}

// String returns an attribute that is a string.
func String(name, v string) Attribute {
	return appendVarint(appendString(appendString(nil, 1, name), 4, v), 20, attrString)
}

// elementTypes are the values of TensorProto.DataType.
var elementTypes = map[ir.DType]uint64{
	ir.Float32: 1, ir.Uint8: 2, ir.Int8: 3, ir.Uint16: 4, ir.Int16: 5, ir.Int32: 6, ir.Int64: 7, ir.Bool: 9,
	ir.Float16: 10, ir.Float64: 11, ir.Uint32: 12, ir.Uint64: 13, ir.BFloat16: 16,
}

// Encode writes the model as a ModelProto. It first encodes everything except the weights in
// memory. Then the lengths that precede the messages are known, and it streams the weights.
// It fails if the file would exceed the limit of protobuf, 2 GB. The field numbers are those
// of onnx.proto.
func (m *Model) Encode(w io.Writer) error {
	var graph []byte // GraphProto without its initialisers
	for _, n := range m.Nodes {
		graph = appendMessage(graph, 1, n.encode())
	}
	graph = appendString(graph, 2, m.Name)
	for _, v := range m.Inputs {
		graph = appendMessage(graph, 11, v.encode())
	}
	for _, v := range m.Outputs {
		graph = appendMessage(graph, 12, v.encode())
	}
	size := float64(len(graph)) // exact, and does not wrap
	heads := make([][]byte, len(m.Weights))
	for i, t := range m.Weights {
		heads[i] = t.head()
		size += float64(len(heads[i])) + t.bytes()
	}
	if size > math.MaxInt32-1024 {
		return fmt.Errorf("%s needs %d MB, an ONNX file can have 2047 MB", m.Name, int64(size/(1<<20)))
	}

	var b []byte
	b = appendVarint(b, 1, uint64(m.IRVersion))
	b = appendString(b, 2, m.Producer)
	b = appendMessage(b, 8, appendVarint(nil, 2, uint64(m.Opset)))
	b = protowire.AppendTag(b, 7, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	if _, err := w.Write(append(b, graph...)); err != nil {
		return err
	}
	for i, t := range m.Weights {
		if _, err := w.Write(heads[i]); err != nil {
			return err
		}
		if err := t.Write(w); err != nil {
			return err
		}
	}
	return nil
}

// bytes returns the size of the elements. It may exceed an int of 32 bits.
func (t Tensor) bytes() float64 {
	n := float64(t.Type.DType.Size())
	for _, d := range t.Type.Shape {
		n *= float64(d)
	}
	return n
}

// head encodes the initialiser field of a GraphProto up to the first byte of raw_data.
func (t Tensor) head() []byte {
	var m []byte // TensorProto
	for _, d := range t.Type.Shape {
		m = appendVarint(m, 1, uint64(d))
	}
	m = appendVarint(m, 2, elementTypes[t.Type.DType])
	m = appendString(m, 8, t.Name)
	data := uint64(t.bytes())
	m = protowire.AppendTag(m, 9, protowire.BytesType)
	m = protowire.AppendVarint(m, data)

	head := protowire.AppendTag(nil, 5, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(len(m))+data)
	return append(head, m...)
}

// encode encodes the node as a NodeProto.
func (n Node) encode() []byte {
	var m []byte
	for _, in := range n.Inputs {
		m = appendString(m, 1, in)
	}
	for _, out := range n.Outputs {
		m = appendString(m, 2, out)
	}
	m = appendString(m, 3, n.Name)
	m = appendString(m, 4, n.Op)
	for _, a := range n.Attributes {
		m = appendMessage(m, 5, a)
	}
	return m
}

// encode encodes the value as a ValueInfoProto.
func (v Value) encode() []byte {
	var shape []byte
	for _, d := range v.Type.Shape {
		shape = appendMessage(shape, 1, appendVarint(nil, 1, uint64(d)))
	}
	tensorType := appendMessage(appendVarint(nil, 1, elementTypes[v.Type.DType]), 2, shape)
	m := appendString(nil, 1, v.Name)
	return appendMessage(m, 2, appendMessage(nil, 1, tensorType))
}

func appendVarint(m []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(m, field, protowire.VarintType), v)
}

func appendString(m []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(m, field, protowire.BytesType), s)
}

func appendMessage(m []byte, field protowire.Number, inner []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(m, field, protowire.BytesType), inner)
}
