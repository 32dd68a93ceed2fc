package cpu

import (
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
	steps []step // as Recorder.Layers

	dense  map[*ir.Value]*place // where a value lies dense, if it does
	images map[*ir.Value]*place // where it lies as an image, if it does
	roots  map[*ir.Value]*place // memory that several values share

	lighter map[string]bool    // convolutions whose memory counts, see withinBudget
	cached  bool               // the caches keep all weights, see cachedBytes
	pooled  map[*ir.Node]bool  // pools that a convolution computes
	copied  map[*ir.Value]bool // operands whose first copy into a concatenation is made
	// prologues are steps that the global pool reading their result computes.
	prologues map[*ir.Value]prologue
	points    map[*ir.Value]*pointConv // results that the next step computes
}

// step is a kernel to be: made once offsets are known.
type step struct {
	make func() kernel.Kernel
	at   *place // where the value lies that the step completes
	// work, unless nil, returns the amount of work of the step.
	work func(l *plan.Layer, k kernel.Kernel) plan.Work
}

func newBuilder(g *ir.Graph, cfg Config, st *store) *builder {
	b := &builder{Recorder: &plan.Recorder{}, g: g, cfg: cfg,
		dense: map[*ir.Value]*place{}, images: map[*ir.Value]*place{}, roots: map[*ir.Value]*place{},
		pooled: map[*ir.Node]bool{}, copied: map[*ir.Value]bool{}, prologues: map[*ir.Value]prologue{}, points: map[*ir.Value]*pointConv{}}
	b.weights = weights{store: st, rec: b.Recorder, stored: cfg.Weights}
	if cfg.Weights != kernel.F32 {
		b.halves = halves(g)
	}
	for i, v := range g.Inputs {
		b.dense[v] = b.external(v.Name, kernel.IO+kernel.Space(i), v.Type)
	}
	return b
}

// emit appends a step that reads and writes the given places, nil ones left
// out. Its kernel is made when their offsets are final.
func (b *builder) emit(doc string, reads, writes []*place, make func() kernel.Kernel) {
	b.Step(doc, tensors(reads), tensors(writes))
	s := step{make: make}
	if b.Node != nil {
		for _, v := range b.Node.Out {
			for _, w := range writes {
				if w == b.dense[v] || w == b.images[v] {
					b.Complete(v)
					s.at = w
				}
			}
		}
	}
	b.steps = append(b.steps, s)
}

// emitPlain is emit for a loop over dense tensors of any type and rank.
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
	return kernel.IO + kernel.Space(len(b.g.Inputs)+i)
}

// newDense gives v a dense place: the memory of the model's output where v ends
// there, else a new buffer.
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

// tempImage returns an image for an intermediate result.
func (b *builder) tempImage(name string, t ir.Type, bd border) *place {
	p := imageOf(t, bd)
	p.Buffer = b.NewBuffer(name, p.bytes())
	return p
}

// newImage gives v a place as an image: a slice of a concatenation's result
// where the layout says so, else a buffer of its own, with the border that its
// readers need.
func (b *builder) newImage(v *ir.Value) *place {
	var p *place
	if s, ok := b.SliceOf(v); ok {
		root := b.roots[s.Root]
		if root == nil {
			root = b.tempImage(s.Root.Name, s.Root.Type, b.rootBorder[s.Root])
			b.roots[s.Root] = root
		}
		p = root.window(s.Channel, v.Type.Shape[1])
		p.Type = v.Type
	} else {
		p = b.tempImage(v.Name, v.Type, b.border[v])
	}
	b.images[v] = p
	return p
}

// overwrite gives the result of n the memory src of its operand x where x ends
// here and both have the same form, else memory of its own.
func (b *builder) overwrite(n *ir.Node, x *ir.Value, src *place) *place {
	v := n.Out[0]
	if b.CanOverwrite(n, x) && b.images[x] == src && b.dense[x] == nil {
		p := *src
		p.Type = v.Type
		b.images[v] = &p
		return &p
	}
	return b.newImage(v)
}

// elementwise is overwrite for the first operand.
func (b *builder) elementwise(n *ir.Node, src *place) *place { return b.overwrite(n, n.In[0], src) }

// lowering is a row of the table of ops: how nodes become steps.
type lowering struct {
	rules
	image lowerFunc // used where rules.fits says so
	dense lowerFunc
}

// lowerFunc emits the steps of one node and gives its results places.
type lowerFunc func(b *builder, n *ir.Node) error

// do makes a lowerFunc of a function that takes the op by its type.
func do[O ir.Op](f func(b *builder, n *ir.Node, op O) error) lowerFunc {
	return func(b *builder, n *ir.Node) error { return f(b, n, n.Op.(O)) }
}
