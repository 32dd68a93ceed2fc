package schedule

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"modelc/ir"
	"modelc/runtime"
)

// builder collects steps while nodes are lowered.
type builder struct {
	g      *ir.Graph
	cfg    Config
	light  map[string]bool // see withinBudget
	layout *layout

	buffers []*buffer
	dense   map[*ir.Value]*place // where a value lies dense, if it does
	images  map[*ir.Value]*place // where it lies as an image, if it does
	pooled  map[*ir.Node]bool    // pools that a convolution computes
	copied  map[*ir.Value]bool   // operands whose first copy into a concatenation is made
	// prologues are steps that the global pool reading their result computes.
	prologues map[*ir.Value]prologue
	points    map[*ir.Value]pointwise // results of convolutions that the next step computes
	steps     []step
	errs      []error
	*store
	halves map[*ir.Tensor]bool // weights stored in half precision
	cached bool                // the caches keep all weights, see cachedBytes

	node *ir.Node // being lowered, for names
}

// step is a kernel to be: made once offsets are known.
type step struct {
	layer Layer
	value *place // where Layer.Value lies
	make  func() runtime.Kernel
}

// Build schedules g, which must have passed ir.Verify. All nodes without a
// kernel are reported at once.
func Build(g *ir.Graph, cfg Config) (*Program, error) {
	p, err := BuildAll([]*ir.Graph{g}, cfg)
	if err != nil {
		return nil, err
	}
	return p[0], nil
}

// BuildAll schedules graphs of the same model for several batch sizes, whose
// programs share one file of weights and what is prepared from it. Constants
// that are equal are stored once.
func BuildAll(graphs []*ir.Graph, cfg Config) ([]*Program, error) {
	light := make([]map[string]bool, len(graphs))
	for i, g := range graphs {
		p, err := build([]*ir.Graph{g}, cfg, light[i:i+1])
		if err != nil {
			return nil, err
		}
		if light[i] = withinBudget(p[0], cfg); len(graphs) == 1 && len(light[i]) == 0 {
			return p, nil
		}
	}
	return build(graphs, cfg, light)
}

// build is BuildAll with, for each graph, the names of the convolutions whose
// memory counts.
func build(graphs []*ir.Graph, cfg Config, light []map[string]bool) ([]*Program, error) {
	st := &store{byKey: map[string]runtime.Ref{}}
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
	for i, b := range builders {
		programs[i] = b.program()
	}
	graph := digest(programs)
	for _, p := range programs {
		p.Plan.Graph = graph
	}
	return programs, nil
}

// digest identifies what programs compute but for the values of their
// weights: everything in the plans except the names of steps.
func digest(programs []*Program) (sum [32]byte) {
	h := sha256.New()
	for _, p := range programs {
		fmt.Fprintln(h, p.Plan.ArenaBytes, p.Plan.WeightsBytes, p.Plan.PreparedBytes, p.Plan.Double)
		fmt.Fprintf(h, "%#v %#v\n", p.Plan.Inputs, p.Plan.Outputs)
		for _, s := range slices.Concat(p.Plan.Load, p.Plan.Steps) {
			fmt.Fprintf(h, "%#v\n", s.Kernel) // a struct of constants, whose fields' names and types count too
		}
	}
	h.Sum(sum[:0])
	return sum
}

// lowerAll collects the steps of g and adds its weights to st.
func lowerAll(g *ir.Graph, cfg Config, light map[string]bool, st *store) (*builder, error) {
	b := &builder{g: g, cfg: cfg, light: light, store: st,
		dense: map[*ir.Value]*place{}, images: map[*ir.Value]*place{}, pooled: map[*ir.Node]bool{}, copied: map[*ir.Value]bool{}, prologues: map[*ir.Value]prologue{}, points: map[*ir.Value]pointwise{}}
	if cfg.Weights != runtime.F32 {
		b.halves = halves(g)
	}
	size := 0
	for _, v := range g.Constants {
		size += v.Type.Bytes()
	}
	b.cached = size < cachedBytes
	for i, v := range g.Inputs {
		buf := b.external(v.Name, runtime.IO+runtime.Space(i), v.Type.Bytes())
		b.dense[v] = &place{buf: buf, dtype: v.Type.DType, shape: v.Type.Shape}
	}
	b.layout = planLayout(g)
	for _, n := range g.Nodes {
		b.node = n
		if err := b.lower(n); err != nil {
			b.errs = append(b.errs, fmt.Errorf("%s: %w", n, err))
			// Give the results a place, so that their readers are checked too.
			for _, v := range n.Out {
				b.newDense(v)
			}
		}
	}
	if len(b.errs) > 0 {
		return nil, errors.Join(b.errs...)
	}
	b.node = nil
	b.finishOutputs()
	return b, nil
}

// program gives the steps their final places. All programs on the same store
// have been lowered.
func (b *builder) program() *Program {
	p := &Program{Graph: b.g, sections: b.sections}
	arena, bound := plan(b.buffers, len(b.steps))
	p.LowerBound = bound
	p.Plan = &runtime.Plan{ArenaBytes: arena, WeightsBytes: alignUp(b.weights), PreparedBytes: alignUp(b.prepared), Double: b.cfg.Exact}
	for _, v := range b.g.Inputs {
		p.Plan.Inputs = append(p.Plan.Inputs, port(v.Name, v.Type))
	}
	for _, o := range b.g.Outputs {
		p.Plan.Outputs = append(p.Plan.Outputs, port(o.Name, o.Value.Type))
	}
	finish := func(steps []step) (layers []Layer, out []runtime.Step) {
		for _, s := range steps {
			if s.value != nil {
				s.layer.Where = s.value.location()
			}
			k := s.make()
			s.layer.Kernel = kernelName(k)
			layers = append(layers, s.layer)
			out = append(out, runtime.Step{Name: s.layer.Name, Kernel: k})
		}
		return layers, out
	}
	p.Layers, p.Plan.Steps = finish(b.steps)
	p.Loads, p.Plan.Load = finish(b.loads)
	holds := b.holds(p.Layers)
	for _, buf := range b.buffers {
		if buf.inArena() {
			h := holds[buf]
			p.Buffers = append(p.Buffers, Buffer{Name: bufferName(buf, h), Off: buf.off, Bytes: buf.bytes, First: buf.first, Last: buf.last, Holds: h})
		}
	}
	slices.SortFunc(p.Buffers, func(a, c Buffer) int { return a.Off - c.Off })
	return p
}

// holds returns the values in each buffer of the arena. layers are the steps.
func (b *builder) holds(layers []Layer) map[*buffer][]Held {
	step := map[*ir.Value]string{}
	for _, l := range layers {
		if l.Value != nil {
			step[l.Value] = l.Name
		}
	}
	holds := map[*buffer][]Held{}
	for v := range b.g.Values() {
		name, ok := step[v]
		switch {
		case ok:
		case v.Def() == nil:
			name = v.Name // an input, in another layout
		default:
			name = NodeName(v.Def())
		}
		if _, left := b.prologues[v]; left {
			continue // the place is that of its operand
		}
		for _, p := range []*place{b.images[v], b.dense[v]} {
			if p != nil && p.buf.inArena() {
				holds[p.buf] = append(holds[p.buf], Held{Layer: name, Value: v, Where: p.location()})
			}
		}
	}
	return holds
}

// bufferName returns the name of a buffer for people: that of the layer with
// the largest value in it, the first of several.
func bufferName(buf *buffer, holds []Held) string {
	name, most := buf.name, 0
	for _, h := range holds {
		if n := h.Value.Type.Bytes(); n > most {
			name, most = h.Layer, n
		}
	}
	return name
}

func port(name string, t ir.Type) runtime.Port {
	return runtime.Port{Name: name, Type: t.DType.String(), Shape: t.Shape, Bytes: t.Bytes()}
}

// external describes memory outside the arena.
func (b *builder) external(name string, s runtime.Space, bytes int) *buffer {
	return &buffer{name: name, bytes: bytes, fixed: true, space: s}
}

func (b *builder) newBuffer(name string, bytes int) *buffer {
	buf := &buffer{name: name, bytes: bytes, first: -1}
	b.buffers = append(b.buffers, buf)
	return buf
}

// emit appends a step that reads and writes the given places. Its kernel is
// made when their offsets are final.
func (b *builder) emit(doc string, reads, writes []*place, make func() runtime.Kernel) {
	i := len(b.steps)
	s := step{make: make, layer: Layer{Doc: doc}}
	for _, p := range slices.Concat(reads, writes) {
		if p == nil {
			continue
		}
		p.buf.touch(i)
		s.layer.Bytes += int64(p.shape.Len() * p.dtype.Size())
	}
	if len(writes) > 0 {
		s.layer.Out = writes[0].shape
	}
	if n := b.node; n != nil {
		s.layer.Name, s.layer.Node = NodeName(n), n
		s.layer.Nodes = []*ir.Node{n}
		for k, v := range n.Out {
			for _, w := range writes {
				if w == b.dense[v] || w == b.images[v] {
					b.completes(&s, n.Out[k], w)
				}
			}
		}
	} else if len(writes) > 0 {
		s.layer.Name = writes[0].buf.name
	}
	b.steps = append(b.steps, s)
}

// NodeName is what steps and messages call a node: its name or, where a model
// gives none, that of its first result. No node has no name.
func NodeName(n *ir.Node) string {
	if n == nil {
		return ""
	}
	if n.Name == "" && len(n.Out) > 0 {
		return n.Out[0].Name
	}
	return n.Name
}

// completes marks s as the step after which v is whole. Of several steps that
// write parts of v the last one is.
func (b *builder) completes(s *step, v *ir.Value, at *place) {
	for i := range b.steps {
		if b.steps[i].layer.Value == v {
			b.steps[i].layer.Value, b.steps[i].value, b.steps[i].layer.FLOPs = nil, nil, 0
		}
	}
	s.value, s.layer.Value, s.layer.FLOPs = at, v, ir.FLOPs(v.Def())
}

// last returns the description of the step emitted last.
func (b *builder) last() *Layer { return &b.steps[len(b.steps)-1].layer }

// include says that the last step computes node too.
func (b *builder) include(node *ir.Node) {
	l := b.last()
	l.Nodes = append([]*ir.Node{node}, l.Nodes...)
	l.FLOPs += ir.FLOPs(node)
}

// newDense gives v a dense place: the model output's own memory where v ends
// there, else a new buffer.
func (b *builder) newDense(v *ir.Value) *place {
	p := &place{dtype: v.Type.DType, shape: v.Type.Shape}
	if i := outputOf(v); i >= 0 {
		p.buf = b.external(v.Name, b.outputSpace(i), v.Type.Bytes())
	} else {
		p.buf = b.newBuffer(v.Name, v.Type.Bytes())
	}
	b.dense[v] = p
	return p
}

// temp returns a dense place for a step's intermediate result.
func (b *builder) temp(name string, t ir.Type) *place {
	return &place{buf: b.newBuffer(name, t.Bytes()), dtype: t.DType, shape: t.Shape}
}

func (b *builder) outputSpace(i int) runtime.Space {
	return runtime.IO + runtime.Space(len(b.g.Inputs)+i)
}

// outputOf returns the graph output that v becomes, itself or through
// reshapes that nothing else reads; −1 if it becomes none.
func outputOf(v *ir.Value) int {
	for {
		for _, u := range v.Uses() {
			if u.Node == nil {
				return u.Index
			}
		}
		n := v.OnlyUse()
		if n == nil {
			return -1
		}
		if _, ok := n.Op.(ir.Reshape); !ok {
			return -1
		}
		v = n.Out[0]
	}
}

// finishOutputs brings every output into the caller's memory that no step
// has written there.
func (b *builder) finishOutputs() {
	for i, o := range b.g.Outputs {
		v := o.Value
		d := b.dense[v]
		if d != nil && d.buf.fixed && d.buf.space == b.outputSpace(i) {
			continue
		}
		dst := &place{buf: b.external(o.Name, b.outputSpace(i), v.Type.Bytes()), dtype: v.Type.DType, shape: v.Type.Shape}
		if d == nil && b.images[v] != nil {
			b.unpack(b.images[v], dst)
			b.dense[v] = dst
			continue
		}
		b.copyDense("Copy to the output", b.plain(v), dst)
	}
}

// plain returns v dense and row-major, converting it if it is not.
func (b *builder) plain(v *ir.Value) *place {
	if v == nil {
		return nil
	}
	if v.Const != nil {
		return b.constPlace(v)
	}
	if p := b.dense[v]; p != nil {
		if !p.nhwc {
			return p
		}
		// Only now does a deferred transposition cost something.
		q := b.temp(v.Name, v.Type)
		reader := b.node
		b.node = v.Def()
		b.permute("Transpose", p.asNHWC(), q, channelsFirst(len(p.shape)))
		b.node = reader
		b.dense[v] = q
		return q
	}
	img := b.images[v]
	// Pixels without extent: the channels are the row.
	if img.dims.h*img.dims.w == 1 && img.contiguous() && (img.dims.n == 1 || img.dims.c%16 == 0) {
		q := &place{buf: img.buf, off: img.off, dtype: img.dtype, shape: v.Type.Shape}
		b.dense[v] = q
		return q
	}
	q := b.newDense(v)
	b.unpack(img, q)
	return q
}

// asNHWC returns the place of the tensor as it lies in memory: [N,H,W,C].
func (p *place) asNHWC() *place {
	q := *p
	q.nhwc = false
	r := len(p.shape)
	q.shape = append(append(ir.Shape{p.shape[0]}, p.shape[2:r]...), p.shape[1])
	return &q
}

// channelsFirst is the permutation that turns [N,…,C] into [N,C,…].
func channelsFirst(rank int) []int {
	perm := []int{0, rank - 1}
	for i := 1; i < rank-1; i++ {
		perm = append(perm, i)
	}
	return perm
}

// channelsLast is the inverse of channelsFirst.
func channelsLast(rank int) []int {
	perm := []int{0}
	for i := 2; i < rank; i++ {
		perm = append(perm, i)
	}
	return append(perm, 1)
}

func (b *builder) unpack(img, dst *place) {
	b.emit("Unpack from NC16", []*place{img}, []*place{dst}, b.unpackKernel(img, dst))
	b.last().Node = nil
}

func (b *builder) unpackKernel(img, dst *place) func() runtime.Kernel {
	return func() runtime.Kernel {
		return &runtime.Unpack{Src: img.img(), Dst: dst.ref(), NHWC: dst.nhwc}
	}
}

// asImage returns v as an image, packing it if it is dense.
func (b *builder) asImage(v *ir.Value) *place {
	if p := b.images[v]; p != nil {
		return p
	}
	var src *place
	if v.Const != nil {
		src = b.constPlace(v)
	} else {
		src = b.dense[v]
	}
	dst := b.newImage(v)
	b.emit("Pack to NC16", []*place{src}, []*place{dst}, func() runtime.Kernel {
		return &runtime.Pack{Src: src.ref(), NHWC: src.nhwc, Dst: dst.img()}
	})
	b.last().Node = nil
	return dst
}

// newImage gives v a place as an image: a slice of a concatenation's buffer
// where the layout says so, else a buffer of its own, with the border that its
// readers need.
func (b *builder) newImage(v *ir.Value) *place {
	p := b.layout.place(b, v)
	b.images[v] = p
	return p
}

// tempImage returns an image for a step's intermediate result.
func (b *builder) tempImage(name string, shape ir.Shape, bd border) *place {
	d, _ := imageDims(shape)
	size := d.blocks() * d.plane(bd)
	return &place{buf: b.newBuffer(name, d.n*size*4), dtype: ir.Float32, shape: shape, image: true, dims: d, border: bd, batchStride: size}
}

// shapeDoc writes extents as 56×56.
func shapeDoc(s ...int) string {
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = fmt.Sprint(d)
	}
	return strings.Join(parts, "×")
}

func actDoc(a ir.Act) string {
	if a.IsIdentity() {
		return ""
	}
	return ", " + a.String()
}

func act(a ir.Act) runtime.Act {
	return runtime.Act{Fn: runtime.Fn(a.Fn), Alpha: float32(a.Alpha), Beta: float32(a.Beta)}
}
