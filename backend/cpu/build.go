package cpu

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

	"modelc/backend/cpu/digest"
	"modelc/backend/cpu/loop"
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime"
	"modelc/runtime/kernel"
)

// Build returns the program that computes g, which must have passed ir.Verify.
// Its error lists all nodes without a kernel.
func Build(g *ir.Graph, cfg Config) (*Program, error) {
	p, err := BuildAll([]*ir.Graph{g}, cfg)
	if err != nil {
		return nil, err
	}
	return p[0], nil
}

// BuildAll returns the programs of graphs of the same model for several batch
// sizes. The programs share one weights file and the weights that are prepared
// from it. Equal constants are stored once.
func BuildAll(graphs []*ir.Graph, cfg Config) ([]*Program, error) {
	for node, a := range cfg.Algorithms {
		if !slices.Contains(Algorithms(), a) {
			return nil, fmt.Errorf("%s: unknown algorithm %q, want one of %s", node, a, strings.Join(Algorithms(), ", "))
		}
	}
	cfg.shared = len(graphs) > 1
	light := make([]map[string]bool, len(graphs))
	for i, g := range graphs {
		p, err := build([]*ir.Graph{g}, cfg, light[i:i+1])
		if err != nil {
			return nil, err
		}
		if light[i] = withinBudget(p[0], cfg, batchOf(g)); len(graphs) == 1 && len(light[i]) == 0 {
			return p, nil
		}
	}
	return build(graphs, cfg, light)
}

// build is like BuildAll. light has, for each graph, the names of the
// convolutions that use a lighter algorithm.
func build(graphs []*ir.Graph, cfg Config, light []map[string]bool) ([]*Program, error) {
	st := &store{byKey: map[string]kernel.Ref{}}
	builders := make([]*builder, len(graphs))
	for i, g := range graphs {
		b, err := lowerAll(g, cfg, light[i], st)
		if err != nil {
			return nil, err
		}
		builders[i] = b
		st.programs++
	}
	programs := make([]*Program, len(graphs))
	var plans []any
	for i, b := range builders {
		programs[i] = b.program()
		if err := b.verify(programs[i].Plan); err != nil {
			return nil, fmt.Errorf("a bug of the compiler: %w", err)
		}
		plans = append(plans, digested(programs[i].Plan))
	}
	graph := digest.Of(plans...)
	for _, p := range programs {
		p.Plan.Graph = graph
	}
	return programs, nil
}

// digested returns the part of a plan that its digest covers: everything except
// the names of steps. The values of the weights are not in a plan.
func digested(p *runtime.Plan) any {
	q := *p
	unnamed := func(steps []runtime.Step) []runtime.Step {
		steps = slices.Clone(steps)
		for i := range steps {
			steps[i].Name = ""
		}
		return steps
	}
	q.Load, q.Steps = unnamed(p.Load), unnamed(p.Steps)
	return q
}

// lowerAll collects the steps of g and adds its weights to st.
func lowerAll(g *ir.Graph, cfg Config, light map[string]bool, st *store) (*builder, error) {
	if n := len(g.Inputs) + len(g.Outputs); n > runtime.MaxPorts {
		return nil, fmt.Errorf("the model has %d inputs and outputs, the maximum is %d", n, runtime.MaxPorts)
	}
	b := newBuilder(g, cfg, st)
	b.lighter = light
	size := 0
	for _, v := range g.Constants {
		size += v.Type.Bytes()
	}
	b.cached = size < cachedBytes
	if cfg.Weights != kernel.F32 {
		b.halves = halves(g, isWeights)
	} else if cfg.Compute == kernel.BF16 {
		b.stored, b.halves = kernel.BF16, halves(g, isDenseWeights)
	}
	if len(g.Inputs)+len(g.Outputs)+views <= runtime.MaxPorts {
		d, err := loop.Divide(g, b.batchGain)
		switch {
		case err != nil:
			return nil, err
		case d != nil:
			return b, b.lowerLoop(d)
		}
	}
	for i, v := range g.Inputs {
		b.dense[v] = b.external(v.Name, b.input+kernel.Space(i), v.Type)
	}
	b.layout = planLayout(g, rulesOf)
	return b, b.lowerGraph()
}

// lowerGraph emits the steps of the graph. Its inputs must have places.
func (b *builder) lowerGraph() error {
	var errs []error
	for _, n := range b.g.Nodes {
		b.Node = n
		if err := b.lower(n); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", n, err))
			// Give the results places, so that their readers are checked too.
			for _, v := range n.Out {
				b.newDense(v)
			}
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	b.Node = nil
	b.finishOutputs()
	return nil
}

// looped has the parts of a program whose first steps run for one example after another.
type looped struct {
	*loop.Division
	body, tail *builder
	// between holds the value that connects the parts, for all examples. The body writes
	// it as view, the place of one example.
	between, view *place
}

// views is the number of spaces behind those of inputs and outputs that a body uses:
// its example of the input, and its example of the value between.
const views = 2

// lowerLoop emits the steps of the body of d and then those of its tail.
func (b *builder) lowerLoop(d *loop.Division) error {
	part := func(g *ir.Graph) *builder {
		p := newBuilder(g, b.cfg, b.store)
		p.lighter, p.cached, p.stored, p.halves = b.lighter, b.cached, b.stored, b.halves
		p.layout = planLayout(g, rulesOf)
		return p
	}
	l := &looped{Division: d, body: part(d.Body), tail: part(d.Tail)}
	x, out, in := d.Body.Inputs[0], d.Body.Outputs[0].Value, d.Tail.Inputs[0]
	l.body.input = b.output + kernel.Space(len(b.g.Outputs))
	l.body.output = l.body.input + 1
	l.body.dense[x] = b.external(x.Name, l.body.input, x.Type)
	l.tail.output = b.output
	l.view = b.external(out.Name, l.body.output, out.Type)
	l.between = &place{Tensor: plan.Tensor{Buffer: &plan.Buffer{Name: in.Name, Bytes: in.Type.Bytes(), First: -1}, Type: in.Type}}
	if l.body.image[out] && onlyWindows(in) {
		f, bd := formOf(in.Type.DType), l.tail.border[in]
		l.view, l.between = imageOf(out.Type, f, bd), imageOf(in.Type, f, bd)
		l.view.Buffer = fixed(out.Name, l.body.output, 0, l.view.bytes())
		l.between.Buffer = &plan.Buffer{Name: in.Name, Bytes: l.between.bytes(), First: -1}
		l.body.result, l.body.resultAt = out, l.view
		l.tail.images[in] = l.between
	} else {
		l.tail.dense[in] = l.between
	}
	if err := errors.Join(l.body.lowerGraph(), l.tail.lowerGraph()); err != nil {
		return err
	}
	b.loop = l
	b.join()
	return nil
}

// onlyWindows reports whether all readers of the image v of float32 are convolutions and
// pools that read images.
func onlyWindows(v *ir.Value) bool {
	if v.Type.DType != ir.Float32 || v.Type.Shape[1] <= firstChannels {
		return false
	}
	for _, u := range v.Uses() {
		if u.Node == nil {
			return false
		}
		switch u.Node.Op.(type) {
		case ir.Conv, ir.Pool:
		default:
			return false
		}
	}
	return true
}

// join takes over the steps and buffers of the parts of a loop. Layers describe the
// nodes and values of the whole graph.
func (b *builder) join() {
	l := b.loop
	n := len(l.body.steps)
	for _, p := range []*builder{l.body, l.tail} {
		b.steps, b.Layers, b.Buffers = append(b.steps, p.steps...), append(b.Layers, p.Layers...), append(b.Buffers, p.Buffers...)
	}
	between := l.between.Buffer
	for _, buf := range append(l.tail.Buffers, between) {
		if buf.First >= 0 {
			buf.First, buf.Last = buf.First+n, buf.Last+n
		}
	}
	between.Touch(n)
	between.First = 0 // the body must not overwrite earlier examples
	b.Buffers = append(b.Buffers, between)
	for i := range b.Layers {
		y := &b.Layers[i]
		y.Node, y.Value = l.Nodes[y.Node], l.Values[y.Value]
		for k, node := range y.Nodes {
			y.Nodes[k] = l.Nodes[node]
		}
		if i < n {
			y.FLOPs, y.Activations = int64(l.Times)*y.FLOPs, int64(l.Times)*y.Activations
			y.Work.Ops *= float64(l.Times)
		}
	}
}

// families has the rows of each file that lowers ops.
var families = []map[string]lowering{
	convLowerings, denseLowerings, elementwiseLowerings, movementLowerings, poolLowerings, quantisedLowerings, reduceLowerings, resizeLowerings,
}

// lowerings is the table of ops, by name.
var lowerings = map[string]lowering{}

func init() {
	for _, f := range families {
		for name, row := range f {
			if _, ok := lowerings[name]; ok {
				panic("cpu: op lowered twice: " + name)
			}
			lowerings[name] = row
		}
	}
}

func rulesOf(op ir.Op) rules { return lowerings[op.Name()].rules }

// lower emits the steps of n and gives its results places.
func (b *builder) lower(n *ir.Node) error {
	elements := 0
	for _, v := range n.Out {
		elements += v.Type.Shape.Len()
	}
	if elements == 0 {
		for _, v := range n.Out {
			b.newDense(v) // empty
		}
		return nil
	}
	row := lowerings[n.Op.Name()]
	switch {
	case b.node[n]:
		return row.image(b, n)
	case row.dense != nil:
		return row.dense(b, n)
	}
	return fmt.Errorf("no kernel for this op")
}

// finishOutputs emits copies to the caller's memory for all outputs that no step
// has written there.
func (b *builder) finishOutputs() {
	for i, o := range b.g.Outputs {
		v := o.Value
		if v == b.result {
			if b.images[v] != b.resultAt {
				src := b.images[v]
				b.emit("Copy to the batch", []*place{src}, []*place{b.resultAt}, func() kernel.Kernel {
					return &kernel.Copy{Src: src.img(), Dst: b.resultAt.img(), Channels: src.dims.c}
				})
			}
			continue
		}
		d := b.dense[v]
		if d != nil && d.Buffer.Space == int(b.outputSpace(i)) {
			continue
		}
		dst := b.external(o.Name, b.outputSpace(i), v.Type)
		if d == nil && b.images[v] != nil {
			b.unpack("Unpack from NC16", b.images[v], dst, dst)
			b.dense[v] = dst
			continue
		}
		b.copyDense("Copy to the output", b.plain(v), dst)
	}
}

// program places the buffers, makes the kernels and returns the program. All
// programs on the same store must have been lowered.
func (b *builder) program() *Program {
	arena, bound := plan.Place(b.Buffers, len(b.steps), align)
	if l := b.loop; l != nil {
		l.view.Buffer.Shared = l.between.Buffer.Shared
	}
	p := &Program{sections: b.sections, extra: alignUp(b.prepared) - b.replaced}
	p.Plan = &runtime.Plan{ArenaBytes: arena, WeightsBytes: alignUp(b.weights.weights), PreparedBytes: alignUp(b.prepared), Double: b.cfg.Exact}
	for _, v := range b.g.Inputs {
		p.Plan.Inputs = append(p.Plan.Inputs, port(v.Name, v.Type))
	}
	for _, o := range b.g.Outputs {
		p.Plan.Outputs = append(p.Plan.Outputs, port(o.Name, o.Value.Type))
	}
	for i, s := range b.steps {
		l, k := &b.Layers[i], s.make()
		l.Kernel = kernelName(k)
		switch {
		case s.work != nil:
			if l.Work = s.work(l, k); b.loop != nil && i < len(b.loop.body.steps) {
				l.Work.Ops *= float64(b.loop.Times)
			}
		case l.Value != nil: // the last step of a node reads its weights
			l.Work.WeightBytes = plan.ConstantBytes(l.Nodes)
		}
		p.places = append(p.places, s.at)
		p.Plan.Steps = append(p.Plan.Steps, runtime.Step{Name: l.Name, Kernel: k})
	}
	var loads []plan.Layer
	for _, s := range b.loads {
		l, k := s.layer, s.make()
		l.Kernel = kernelName(k)
		loads = append(loads, l)
		p.Plan.Load = append(p.Plan.Load, runtime.Step{Name: l.Name, Kernel: k})
	}
	if l := b.loop; l != nil {
		p.Plan.Loop = runtime.Loop{Steps: len(l.body.steps), Times: l.Times, Views: []runtime.View{
			{Space: b.input, Bytes: l.Body.Inputs[0].Type.Bytes()},
			{Space: kernel.Arena, Off: l.between.Buffer.Off, Bytes: l.view.Buffer.Bytes},
		}}
	}
	p.Program = b.Recorder.Program(b.g, loads, arena, bound)
	p.held = b.holds()
	for _, buf := range p.Buffers {
		buf.Name = bufferName(buf, p.held[buf])
	}
	return p
}

// verify returns an error if a step of p may touch memory outside its operands, or
// memory of the arena outside the buffers that it was recorded with. The lifetimes of
// other buffers do not count with that step.
func (b *builder) verify(p *runtime.Plan) error {
	var outside error
	err := p.Verify(func(i int, r kernel.Ref, elem int) {
		in := func(t *plan.Tensor) bool {
			return t.Buffer.InArena() && r.Off >= t.Buffer.Off && r.Off+r.Len*elem <= t.Buffer.Off+t.Buffer.Bytes
		}
		if r.Space == kernel.Arena && !slices.ContainsFunc(b.steps[i].uses, in) && outside == nil {
			outside = fmt.Errorf("step %q (%T): operand %v is outside the buffers of the step", p.Steps[i].Name, p.Steps[i].Kernel, r)
		}
	})
	return cmp.Or(err, outside)
}

func port(name string, t ir.Type) runtime.Port {
	return runtime.Port{Name: name, Type: t.DType.String(), Shape: t.Shape, Bytes: t.Bytes()}
}

// kernelName returns the name of a kernel's type without type parameters. Kernels
// on dense tensors have the prefix "plain.", those on images of bytes "integer.".
func kernelName(k kernel.Kernel) string {
	t := reflect.TypeOf(k).Elem()
	name, _, _ := strings.Cut(t.Name(), "[")
	if pkg := path.Base(t.PkgPath()); pkg != "kernel" {
		return pkg + "." + name
	}
	return name
}

// Transformed weights need more memory than stored ones: the weights of F(4×4)
// are four times as large, those of F(2×2) less than twice. For a layer with many
// channels and few pixels, both algorithms take about the same time, because
// reading the weights dominates it.
const (
	// The maximum of the extra memory for transformed weights is budgetBytes, or
	// the share budgetShare of the size of all weights if that is more. A batch, whose
	// examples share the weights, may use twice as much.
	budgetBytes = 96 << 20
	budgetShare = 0.2
	// budgetLoss is the maximum relative increase of a layer's time by a lighter
	// algorithm. A layer that would lose more keeps its algorithm.
	budgetLoss = 0.1
)

// withinBudget returns the names of the convolutions that must use a lighter
// algorithm so that the transformed weights of p fit the budget. It prefers
// convolutions that lose little time for the memory they save.
func withinBudget(p *Program, cfg Config, batch int) map[string]bool {
	extra := p.extra - min(batch, 2)*max(budgetBytes, int(budgetShare*float64(p.Plan.WeightsBytes)))
	type swap struct {
		name  string
		loss  float64 // nanoseconds
		saved int     // bytes
	}
	var swaps []swap
	for _, l := range p.Layers {
		a := algorithmNamed(l.Choice.Algorithm)
		if a == nil || a.lighter == nil {
			continue
		}
		name := plan.NodeName(l.Node)
		before, after := l.Choice.Estimates[a.name], l.Choice.Estimates[a.lighter.algorithm]
		if cfg.Algorithms[name] != "" || after > (1+budgetLoss)*before {
			continue
		}
		w := l.Node.Const(ir.Weights).Shape
		saved := a.prepared(w) - algorithmNamed(a.lighter.algorithm).prepared(w)
		swaps = append(swaps, swap{name, after - before, saved * ir.Float32.Size()})
	}
	slices.SortStableFunc(swaps, func(a, b swap) int {
		return cmp.Compare(a.loss*float64(b.saved), b.loss*float64(a.saved))
	})
	light := map[string]bool{}
	for _, s := range swaps {
		if extra <= 0 {
			break
		}
		light[s.name] = true
		extra -= s.saved
	}
	return light
}

// holds returns the values in each buffer of the arena. The buffers must have
// offsets.
func (b *builder) holds() map[*plan.Buffer][]Held {
	step := map[*ir.Value]string{}
	for _, l := range b.Layers {
		if l.Value != nil {
			step[l.Value] = l.Name
		}
	}
	holds := map[*plan.Buffer][]Held{}
	hold := func(b *builder, of func(v *ir.Value) *ir.Value) {
		for v := range b.g.Values() {
			whole := of(v)
			name, ok := step[whole]
			switch {
			case ok:
			case whole.Def() == nil:
				name = whole.Name // an input in another layout
			default:
				name = plan.NodeName(whole.Def())
			}
			if _, left := b.prologues[v]; left {
				continue // the place is that of its operand
			}
			for _, p := range []*place{b.images[v], b.dense[v]} {
				if p != nil && p.Buffer.InArena() {
					holds[p.Buffer] = append(holds[p.Buffer], Held{Layer: name, Value: whole, Where: p.location()})
				}
			}
		}
	}
	if l := b.loop; l != nil {
		part := func(v *ir.Value) *ir.Value { return l.Values[v] }
		hold(l.body, part)
		hold(l.tail, part)
	} else {
		hold(b, func(v *ir.Value) *ir.Value { return v })
	}
	return holds
}

// bufferName returns the name of a buffer: the name of the layer of its largest
// value, or of the first of several equally large ones.
func bufferName(b *plan.Buffer, holds []Held) string {
	name, most := b.Name, 0
	for _, h := range holds {
		if n := h.Value.Type.Bytes(); n > most {
			name, most = h.Layer, n
		}
	}
	return name
}
