package cpu

import (
	"slices"

	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime/kernel"
)

// builder collects the steps of a program while nodes are lowered.
type builder struct {
	*plan.Recorder
	weights
	*layout
	g     *ir.Graph
	cfg   Config
	steps []step // parallel to Recorder.Layers
	// The spaces of the first input and of the first output of g.
	input, output kernel.Space

	dense  map[*ir.Value]*place // places of values that lie dense
	images map[*ir.Value]*place // places of values that lie as images
	roots  map[*ir.Value]*place // memory that several values share

	lighter map[string]bool    // convolutions that use a lighter algorithm, see withinBudget
	cached  bool               // whether the caches hold all weights, see cachedBytes
	pooled  map[*ir.Node]bool  // pools that the step of a convolution computes
	joined  map[*ir.Value]bool // operands whose first copy into a concatenation is emitted
	// prologues has, by result, the nodes that the global pool after them computes.
	prologues map[*ir.Value]prologue
	// chains has, by result, the arithmetic between bytes that a later step computes.
	chains map[*ir.Value]*chain
	// left has, by result, the convolutions that the next step computes.
	left map[*ir.Value]*convBefore
	// result, unless nil, is a value that must be, or become, the image resultAt.
	result   *ir.Value
	resultAt *place
	// loop, unless nil, has the parts of a program whose first steps run for one
	// example after another.
	loop *looped
}

// step makes a kernel when offsets are final.
type step struct {
	make func() kernel.Kernel
	at   *place // place of the value that the step completes; nil for a helper step
	uses []*plan.Tensor
	// work, unless nil, returns the amount of work of the step.
	work func(l *plan.Layer, k kernel.Kernel) plan.Work
}

func newBuilder(g *ir.Graph, cfg Config, st *store) *builder {
	b := &builder{Recorder: &plan.Recorder{Weights: int(kernel.Weights)}, g: g, cfg: cfg, input: kernel.IO, output: kernel.IO + kernel.Space(len(g.Inputs)),
		dense: map[*ir.Value]*place{}, images: map[*ir.Value]*place{}, roots: map[*ir.Value]*place{},
		pooled: map[*ir.Node]bool{}, joined: map[*ir.Value]bool{}, prologues: map[*ir.Value]prologue{}, chains: map[*ir.Value]*chain{}, left: map[*ir.Value]*convBefore{}}
	b.weights = weights{store: st, rec: b.Recorder, stored: cfg.Weights}
	return b
}

// emit appends a step that reads and writes the given places. It ignores nil
// places. make is called when offsets are final.
func (b *builder) emit(doc string, reads, writes []*place, make func() kernel.Kernel) {
	for _, w := range writes {
		if w != nil && w.fillFrom != nil {
			reads = append(slices.Clone(reads), w.fillFrom)
		}
	}
	b.Step(doc, tensors(reads), tensors(writes))
	s := step{make: make, uses: tensors(append(reads[:len(reads):len(reads)], writes...))}
	if b.Node != nil {
		for _, v := range b.Node.Out {
			for _, w := range writes {
				if w != nil && (w == b.dense[v] || w == b.images[v]) {
					b.Complete(v)
					s.at = w
				}
			}
		}
	}
	b.steps = append(b.steps, s)
}

// emitPlain is like emit, for a loop over dense tensors of any type and rank.
func (b *builder) emitPlain(doc string, reads, writes []*place, make func() kernel.Kernel) {
	b.emit(doc, reads, writes, make)
	b.Last().Generic = true
}

func tensors(list []*place) []*plan.Tensor {
	var t []*plan.Tensor
	for _, p := range list {
		if p != nil {
			t = append(t, &p.Tensor)
		}
	}
	return t
}

// external describes a dense tensor outside the arena.
func (b *builder) external(name string, s kernel.Space, t ir.Type) *place {
	return &place{Tensor: plan.Tensor{Buffer: fixed(name, s, 0, t.Bytes()), Type: t}}
}

// outputSpace returns the memory of output i of the model.
func (b *builder) outputSpace(i int) kernel.Space {
	return b.output + kernel.Space(i)
}

// newDense gives v a dense place: the memory of the model's output that v
// becomes, or a new buffer if v becomes none.
func (b *builder) newDense(v *ir.Value) *place {
	var p *place
	if i := plan.OutputOf(v); i >= 0 {
		p = b.external(v.Name, b.outputSpace(i), v.Type)
	} else {
		p = b.temp(v.Name, v.Type)
	}
	b.dense[v] = p
	return p
}

// temp returns a dense place for an intermediate result.
func (b *builder) temp(name string, t ir.Type) *place {
	return &place{Tensor: plan.Tensor{Buffer: b.NewBuffer(name, t.Bytes()), Type: t}}
}

// tempImage returns an image for an intermediate result. Its border is zero.
func (b *builder) tempImage(name string, t ir.Type, bd border) *place {
	return b.ownImage(name, t, formOf(t.DType), bd, fill{})
}

// ownImage returns an image in a new buffer, with the border bd of value fl.
func (b *builder) ownImage(name string, t ir.Type, f form, bd border, fl fill) *place {
	p := imageOf(t, f, bd)
	p.Buffer = b.NewBuffer(name, p.bytes())
	if p.fill = fl.value; fl.from != nil {
		p.fillFrom = b.plain(fl.from)
	}
	return p
}

// newImage gives v a place as an image, with the border that its readers need.
// The image is a slice of shared memory if the layout has one for v. Otherwise it
// has a buffer of its own.
func (b *builder) newImage(v *ir.Value) *place {
	var p *place
	if s, ok := b.SliceOf(v); !ok && v == b.result {
		p = b.resultAt
	} else if ok {
		root := b.roots[s.Root]
		if root == nil {
			root = b.ownImage(s.Root.Name, s.Root.Type, b.form(s.Root), b.rootBorder[s.Root], b.rootFill[s.Root])
			b.roots[s.Root] = root
		}
		p = root.window(s.Channel, v.Type.Shape[1])
		p.Type = v.Type
	} else {
		p = b.ownImage(v.Name, v.Type, b.form(v), b.border[v], b.fill[v])
	}
	b.images[v] = p
	return p
}

// overwrite gives the result of n a place as an image: the place src of its
// operand x if the result can overwrite x, otherwise memory of its own.
func (b *builder) overwrite(n *ir.Node, x *ir.Value, src *place) *place {
	v := n.Out[0]
	if v != b.result && b.CanOverwrite(n, x) && b.images[x] == src && b.dense[x] == nil {
		p := *src
		p.Type = v.Type
		b.images[v] = &p
		return &p
	}
	return b.newImage(v)
}

// elementwise is like overwrite, for the first operand.
func (b *builder) elementwise(n *ir.Node, src *place) *place { return b.overwrite(n, n.In[0], src) }

// lowering is the row of an op in the table of ops.
type lowering struct {
	rules
	image lowerFunc // for nodes that rules.fits accepts
	dense lowerFunc // for other nodes
}

// lowerFunc emits the steps of one node and gives its results places.
type lowerFunc func(b *builder, n *ir.Node) error

// do returns a lowerFunc that calls f with the op of the node.
func do[O ir.Op](f func(b *builder, n *ir.Node, op O) error) lowerFunc {
	return func(b *builder, n *ir.Node) error { return f(b, n, n.Op.(O)) }
}
