package zoo

import (
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Versions of the written files. All current runtimes read them.
const (
	irVersion = 8
	opset     = 13
)

// Element types of TensorProto.
const (
	onnxFloat = 1
	onnxInt64 = 7
)

// encode writes the model as an ONNX ModelProto. It first encodes everything except the weights in
// memory. Then the lengths that precede the messages are known, and it streams the weights. The
// field numbers are those of onnx.proto.
func (b *builder) encode(w io.Writer) error {
	var graph []byte // GraphProto without its initialisers
	for _, n := range b.nodes {
		graph = appendMessage(graph, 1, n.encode())
	}
	graph = appendString(graph, 2, b.name)
	graph = appendMessage(graph, 11, b.valueInfo(b.input))
	graph = appendMessage(graph, 12, b.valueInfo(b.output))

	size := float64(len(graph)) // exact, and does not wrap
	heads := make([][]byte, len(b.tensors))
	for i, t := range b.tensors {
		heads[i] = t.head()
		size += float64(len(heads[i])) + t.bytes()
	}
	if size > math.MaxInt32-1024 {
		return fmt.Errorf("zoo: %s needs %d MB, an ONNX file can have 2047 MB: use a smaller width or size", b.name, int64(size/(1<<20)))
	}

	var model []byte
	model = appendVarint(model, 1, irVersion)
	model = appendString(model, 2, "modelc zoo")
	model = appendMessage(model, 8, appendVarint(nil, 2, opset))
	model = protowire.AppendTag(model, 7, protowire.BytesType)
	model = protowire.AppendVarint(model, uint64(size))
	if _, err := w.Write(append(model, graph...)); err != nil {
		return err
	}
	var buf []byte
	for i, t := range b.tensors {
		if _, err := w.Write(heads[i]); err != nil {
			return err
		}
		var err error
		if buf, err = t.writeData(w, b.Seed, buf); err != nil {
			return err
		}
	}
	return nil
}

// head encodes the initialiser field of a GraphProto up to the first byte of raw_data.
func (t tensor) head() []byte {
	var m []byte // TensorProto
	for _, d := range t.dims {
		m = appendVarint(m, 1, uint64(d))
	}
	dataType := uint64(onnxFloat)
	if t.fill.kind == kindInt64s {
		dataType = onnxInt64
	}
	m = appendVarint(m, 2, dataType)
	m = appendString(m, 8, t.name)
	data := uint64(t.bytes())
	m = protowire.AppendTag(m, 9, protowire.BytesType)
	m = protowire.AppendVarint(m, data)

	head := protowire.AppendTag(nil, 5, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(len(m))+data)
	return append(head, m...)
}

// encode encodes the node as a NodeProto.
func (n node) encode() []byte {
	var m []byte
	for _, in := range n.inputs {
		m = appendString(m, 1, in)
	}
	m = appendString(m, 2, n.output)
	m = appendString(m, 3, n.name)
	m = appendString(m, 4, n.op)
	for _, a := range n.attrs {
		m = appendMessage(m, 5, a)
	}
	return m
}

// valueInfo encodes a ValueInfoProto with float32 elements.
func (b *builder) valueInfo(v value) []byte {
	dims := []int{b.Batch, v.c}
	if !v.flat {
		dims = append(dims, v.h, v.w)
	}
	var shape []byte
	for _, d := range dims {
		shape = appendMessage(shape, 1, appendVarint(nil, 1, uint64(d)))
	}
	tensorType := appendMessage(appendVarint(nil, 1, onnxFloat), 2, shape)
	m := appendString(nil, 1, v.name)
	return appendMessage(m, 2, appendMessage(nil, 1, tensorType))
}

// intAttr, intsAttr and floatAttr encode AttributeProtos. Field 20 is the attribute's type.
func intAttr(name string, v int) []byte {
	return appendVarint(appendVarint(appendString(nil, 1, name), 3, uint64(v)), 20, 2)
}

func intsAttr(name string, v ...int) []byte {
	m := appendString(nil, 1, name)
	for _, x := range v {
		m = appendVarint(m, 8, uint64(x))
	}
	return appendVarint(m, 20, 7)
}

func floatAttr(name string, v float32) []byte {
	m := protowire.AppendTag(appendString(nil, 1, name), 2, protowire.Fixed32Type)
	m = protowire.AppendFixed32(m, math.Float32bits(v))
	return appendVarint(m, 20, 1)
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
