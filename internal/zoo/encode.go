package zoo

import (
	"fmt"
	"io"

	"modelc/internal/onnxfile"
	"modelc/ir"
)

// encode writes the model as ONNX, IR version 8 and opset 13, which all current runtimes read.
func (b *builder) encode(w io.Writer) error {
	m := onnxfile.Model{IRVersion: 8, Opset: 13, Producer: "modelc zoo", Name: b.name, Nodes: b.nodes,
		Inputs: []onnxfile.Value{b.port(b.input)}, Outputs: []onnxfile.Value{b.port(b.output)}}
	var buf []byte // scratch memory that the tensors share
	for _, t := range b.tensors {
		m.Weights = append(m.Weights, onnxfile.Tensor{Name: t.name, Type: t.typ(), Write: func(w io.Writer) (err error) {
			buf, err = t.writeData(w, b.Seed, buf)
			return err
		}})
	}
	if err := m.Encode(w); err != nil {
		return fmt.Errorf("zoo: %w: use a smaller width or size", err)
	}
	return nil
}

func (t tensor) typ() ir.Type {
	if t.fill.kind == kindInt64s {
		return ir.T(ir.Int64, t.dims...)
	}
	return ir.T(ir.Float32, t.dims...)
}

// port describes an input or output of the model.
func (b *builder) port(v value) onnxfile.Value {
	t := ir.T(ir.Float32, b.Batch, v.c)
	if !v.flat {
		t.Shape = append(t.Shape, v.h, v.w)
	}
	return onnxfile.Value{Name: v.name, Type: t}
}
