package cuda

import (
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"modelc/backend/plan"
	"modelc/ir"
)

// Build returns the program that computes g, which must have passed ir.Verify. Its error
// lists all nodes without a kernel.
func Build(g *ir.Graph, cfg Config) (*Program, error) {
	b, err := lowerAll(g, cfg, "", chooseTile)
	if err != nil {
		return nil, err
	}
	return b.program(), nil
}

// families has the rows of each file that lowers ops, by the name of the op.
var families = []map[string]lowering{
	convLowerings, denseLowerings, elementwiseLowerings, movementLowerings, poolLowerings, quantisedLowerings, recurrentLowerings, reduceLowerings, sampleLowerings, selectLowerings,
}

var lowerings = map[string]lowering{}

func init() {
	for _, f := range families {
		for name, row := range f {
			if _, ok := lowerings[name]; ok {
				panic("cuda: op lowered twice: " + name)
			}
			lowerings[name] = row
		}
	}
}

// lowerAll collects the kernels of g. prefix starts the names of functions.
func lowerAll(g *ir.Graph, cfg Config, prefix string, choose chooser) (*builder, error) {
	b := &builder{Recorder: &plan.Recorder{Weights: weightSpace}, g: g, cfg: cfg, prefix: prefix, tile: choose,
		places: map[*ir.Value]*place{}, roots: map[*ir.Value]*place{}, joined: map[*ir.Value]bool{},
		constants: map[any]*plan.Buffer{}, byText: map[string]*function{}, parts: map[string]bool{}}
	size := 0
	for _, v := range g.Constants {
		size += v.Type.Bytes() + align
	}
	b.weights = make([]byte, 0, size+size/8)
	b.layout = planLayout(g)
	b.Sharing = plan.Share(g, b.layout)
	for _, v := range g.Inputs {
		p := b.temp(v.Name, v.Type)
		p.Buffer.Touch(0)
		b.places[v] = p
	}
	b.outputs = make([]*plan.Buffer, len(g.Outputs))
	var errs []error
	for _, n := range g.Nodes {
		b.Node = n
		if err := b.lower(n); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", n, err))
			for _, v := range n.Out {
				b.new(v) // so that its readers are checked too
			}
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	b.Node = nil
	b.finishOutputs()
	return b, nil
}

// lower emits the kernels of n.
func (b *builder) lower(n *ir.Node) error {
	elements := 0
	for _, v := range n.Out {
		elements += v.Type.Shape.Len()
	}
	if elements == 0 {
		for _, v := range n.Out {
			b.new(v)
		}
		return nil
	}
	for _, t := range slices.Concat(n.InTypes(), n.OutTypes()) {
		if t.Present() && cType(t.DType) == "" {
			return fmt.Errorf("no kernel for elements of type %s", t.DType)
		}
	}
	row := lowerings[n.Op.Name()]
	if row == nil {
		return fmt.Errorf("no kernel for this op")
	}
	return row(b, n)
}

// output returns the buffer of output i.
func (b *builder) output(i int) *plan.Buffer {
	if b.outputs[i] == nil {
		o := b.g.Outputs[i]
		b.outputs[i] = b.NewBuffer(o.Name, o.Value.Type.Bytes())
	}
	return b.outputs[i]
}

// finishOutputs copies the outputs that no kernel has written to their memory, which lives
// to the end.
func (b *builder) finishOutputs() {
	for i, o := range b.g.Outputs {
		buf, p := b.output(i), b.in(o.Value)
		if p.Buffer != buf || p.Off != 0 || !p.isDense() {
			b.copy("Copy to the output", p, dense(buf, 0, o.Value.Type))
		}
	}
	for _, buf := range b.outputs {
		buf.Touch(max(0, len(b.Layers)-1))
	}
}

// program places the buffers and returns the program.
func (b *builder) program() *Program {
	arena, bound := plan.Place(b.Buffers, max(1, len(b.Layers)), align)
	p := &Program{Name: b.g.Name, Capability: b.cfg.Precision.capability(), Weights: b.weights, Arena: arena, Source: sourceOf(b.parts, b.functions)}
	p.Steps = b.Recorder.Program(b.g, nil, arena, bound)
	for i, l := range b.launches {
		k := l.kernel
		k.FLOPs, k.Bytes = p.Steps.Layers[i].FLOPs, p.Steps.Layers[i].Bytes()
		for _, a := range l.args {
			k.Args = append(k.Args, Arg{a.Buffer.Space == weightSpace, a.Buffer.Off + a.Off, a.span() * a.DType.Size()})
		}
		p.Kernels = append(p.Kernels, k)
	}
	for _, v := range b.g.Inputs {
		p.Inputs = append(p.Inputs, Binding{v.Name, v.Type, b.places[v].Buffer.Off})
	}
	for i, o := range b.g.Outputs {
		p.Outputs = append(p.Outputs, Binding{o.Name, o.Value.Type, b.outputs[i].Off})
	}
	return p
}

//go:embed device/*.cuh
var device embed.FS

// partOrder lists the files of device code; each uses those before it.
var partOrder = []string{"act", "integer", "dp4a", "vector", "store", "gemm", "mma", "tensor", "depthwise", "gemv", "pool", "softmax", "range", "sample", "recurrent", "suppression"}

// sourceOf returns the text of kernels.cu.
func sourceOf(parts map[string]bool, functions []*function) string {
	var s strings.Builder
	for _, name := range partOrder {
		if parts[name] || name == "act" || name == "vector" {
			text, err := device.ReadFile("device/" + name + ".cuh")
			if err != nil {
				panic("cuda: " + err.Error())
			}
			s.Write(text)
			s.WriteByte('\n')
		}
	}
	for _, f := range functions {
		for _, l := range f.layers {
			fmt.Fprintf(&s, "// %s\n", l)
		}
		fmt.Fprintf(&s, "%s {\n%s}\n\n", f.signature, f.body)
	}
	return s.String()
}
