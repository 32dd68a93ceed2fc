package onnx

import (
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"modelc/frontend/source"
)

// message is an encoded protobuf message. The field numbers in these tests are those
// of onnx.proto.
type message []byte

func (m message) bytes(num protowire.Number, b []byte) message {
	return protowire.AppendBytes(protowire.AppendTag(m, num, protowire.BytesType), b)
}

func (m message) str(num protowire.Number, list ...string) message {
	for _, s := range list {
		m = m.bytes(num, []byte(s))
	}
	return m
}

func (m message) sub(num protowire.Number, list ...message) message {
	for _, s := range list {
		m = m.bytes(num, s)
	}
	return m
}

func (m message) int(num protowire.Number, list ...int64) message {
	for _, x := range list {
		m = protowire.AppendVarint(protowire.AppendTag(m, num, protowire.VarintType), uint64(x))
	}
	return m
}

func (m message) packed(num protowire.Number, list ...int64) message {
	var b []byte
	for _, x := range list {
		b = protowire.AppendVarint(b, uint64(x))
	}
	return m.bytes(num, b)
}

func (m message) float(num protowire.Number, list ...float32) message {
	for _, x := range list {
		m = protowire.AppendFixed32(protowire.AppendTag(m, num, protowire.Fixed32Type), math.Float32bits(x))
	}
	return m
}

func (m message) double(num protowire.Number, list ...float64) message {
	for _, x := range list {
		m = protowire.AppendFixed64(protowire.AppendTag(m, num, protowire.Fixed64Type), math.Float64bits(x))
	}
	return m
}

// The messages of ONNX.

func opsetMessage(domain string, version int64) message {
	return message{}.str(1, domain).int(2, version)
}

func modelMessage(irVersion, opset int64, graph message) message {
	return message{}.int(1, irVersion).str(2, "test").sub(7, graph).sub(8, opsetMessage("", opset))
}

type graphParts struct {
	nodes, weights, inputs, outputs []message
}

func (g graphParts) encode() message {
	return message{}.sub(1, g.nodes...).str(2, "g").sub(5, g.weights...).sub(11, g.inputs...).sub(12, g.outputs...)
}

func nodeMessage(op, name string, in, out []string, attrs ...message) message {
	return message{}.str(1, in...).str(2, out...).str(3, name).str(4, op).sub(5, attrs...)
}

func simple(op, out string, in ...string) message { return nodeMessage(op, "", in, []string{out}) }

func intAttr(name string, x int64) message { return message{}.str(1, name).int(3, x).int(20, 2) }

func intsAttr(name string, x ...int64) message { return message{}.str(1, name).int(8, x...).int(20, 7) }

func floatAttr(name string, x float32) message { return message{}.str(1, name).float(2, x).int(20, 1) }

func stringAttr(name, s string) message { return message{}.str(1, name).str(4, s).int(20, 3) }

func graphAttr(name string, g message) message { return message{}.str(1, name).sub(6, g).int(20, 5) }

func tensorAttr(name string, t message) message { return message{}.str(1, name).sub(5, t).int(20, 4) }

// refAttr encodes an attribute that refers to an attribute of the enclosing
// function.
func refAttr(name, ref string) message { return message{}.str(1, name).str(21, ref) }

func floatWeights(name string, dims []int64, x ...float32) message {
	return message{}.packed(1, dims...).int(2, 1).float(4, x...).str(8, name)
}

func intWeights(name string, x ...int64) message {
	return message{}.packed(1, int64(len(x))).int(2, 7).packed(7, x...).str(8, name)
}

// tensorInput encodes a graph input or output. A dimension is a number or a name;
// "?" is an open dimension without a name.
func tensorInput(name string, elem int64, dims ...any) message {
	var shape message
	for _, d := range dims {
		switch d := d.(type) {
		case int:
			shape = shape.sub(1, message{}.int(1, int64(d)))
		case string:
			if d == "?" {
				shape = shape.sub(1, message{})
			} else {
				shape = shape.sub(1, message{}.str(2, d))
			}
		}
	}
	return message{}.str(1, name).sub(2, message{}.sub(1, message{}.int(1, elem).sub(2, shape)))
}

func parse(t *testing.T, model message, opts source.Options) *source.Model {
	t.Helper()
	m, err := Parse("test.onnx", model, "", opts)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
