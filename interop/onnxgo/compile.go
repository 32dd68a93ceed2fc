package onnxgo

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/owulveryck/onnx-go"

	"modelc"
	"modelc/backend/inproc"
	frontend "modelc/frontend/onnx"
	"modelc/frontend/source"
	"modelc/ir"
)

// compiled is a model that is compiled for the types of its inputs. It is also
// compiled for the values of inputs that are shapes or weights.
type compiled struct {
	*inproc.Engine
	types []ir.Type
	bound []*ir.Tensor // values of inputs that are compiled in; nil for inputs that Run reads
	names []string     // names of the outputs; those of the model come first
	given int          // number of outputs that the model has
}

// fits reports whether the compiled model can run the inputs in.
func (e *compiled) fits(in []*ir.Tensor) bool {
	if e == nil || len(in) != len(e.types) {
		return false
	}
	for i, t := range in {
		if !t.Type.Equal(e.types[i]) || e.bound[i] != nil && !bytes.Equal(t.Bytes(), e.bound[i].Bytes()) {
			return false
		}
	}
	return true
}

func (e *compiled) run(in []*ir.Tensor) ([]*ir.Tensor, error) {
	var data []*ir.Tensor
	for i, t := range in {
		if e.bound[i] == nil {
			data = append(data, t)
		}
	}
	out, err := e.Run(data)
	if err != nil {
		return nil, err
	}
	return out, e.cut(out)
}

// cut keeps the selected boxes of a NonMaxSuppression. modelc gives the output its
// maximum number of rows, and an output NAME.count the number of boxes.
func (e *compiled) cut(out []*ir.Tensor) (err error) {
	for k := e.given; k < len(out); k++ {
		i := slices.IndexFunc(e.names[:e.given], func(name string) bool { return name+".count" == e.names[k] })
		if i < 0 {
			continue // the boxes are not an output
		}
		t := ir.Type{DType: out[i].DType, Shape: slices.Clone(out[i].Shape)}
		t.Shape[0] = out[k].Ints()[0]
		if out[i], err = ir.FromBytes(t, out[i].Bytes()[:t.Bytes()]); err != nil {
			return err
		}
	}
	return nil
}

// compile encodes the model as an ONNX file, and compiles it with modelc's front
// end.
func (g *Graph) compile(in []*ir.Tensor) (*compiled, error) {
	var first error
	for _, opset := range g.opsets {
		model, err := g.encode(opset, in)
		if err != nil {
			return nil, err
		}
		// Compile in as few inputs as possible: none, all but the first, or all.
		for _, free := range []int{len(in), 1, 0} {
			e, err := g.build(model, in, min(free, len(in)))
			if err == nil {
				return e, nil
			}
			first = cmp.Or(first, err)
		}
	}
	if u := new(source.Unsupported); errors.As(first, &u) {
		return nil, &onnx.ErrNotImplemented{Operator: u.Problems[0].Op, Message: first.Error()}
	}
	return nil, fmt.Errorf("onnxgo: %w", first)
}

// build compiles model. It binds all inputs but the first free ones.
func (g *Graph) build(model []byte, in []*ir.Tensor, free int) (*compiled, error) {
	e := &compiled{bound: make([]*ir.Tensor, len(in)), given: len(g.outputs())}
	inputs, _ := g.inputs()
	o := source.Options{Bind: map[string]*ir.Tensor{}}
	for i, t := range in {
		e.types = append(e.types, t.Type)
		if i >= free {
			e.bound[i] = t
			o.Bind[inputs[i].name] = t
		}
	}
	m, err := frontend.Parse("the model", model, "", o)
	if err != nil {
		return nil, err
	}
	c, err := modelc.CompileModel(m, modelc.Options{})
	if err != nil {
		return nil, err
	}
	for _, o := range c.Graph.Outputs {
		e.names = append(e.names, o.Name)
	}
	if e.Engine, err = inproc.New(c.Program, g.threads); err != nil {
		return nil, err
	}
	return e, nil
}
