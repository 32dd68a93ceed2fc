package cpu

import (
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime/kernel"
)

// algorithm is a way to compute convolutions on images: a row of the table in
// conv.go. Only name and refuses are required, and either weights and kernel or
// emit.
type algorithm struct {
	// name is the algorithm's name in tune files, documentation and reports.
	name string
	// doc replaces name in the documentation of steps, unless it is "".
	doc string
	// why is the reason for the algorithm if no other competes with it.
	why string
	// instead, unless "", is the name of the plain algorithm that this one
	// competes with by cost.
	instead string
	// types are the element types that the kernel reads. If it is nil, the kernel
	// reads float32.
	types []ir.DType
	// refuses returns the reason why the algorithm cannot compute o, and a note
	// for the documentation of the plain algorithm's step. The reason is "" if the
	// algorithm can compute o.
	refuses func(o *conv) (why, note string)
	// cost estimates the time in nanoseconds on one core of the target.
	cost func(o *conv) float64
	// each reports whether programs for several batch sizes compare the costs for one
	// example. The competing algorithms store or prepare the weights in different forms.
	// Programs that make the same choice share one form.
	each bool
	// gain, unless 0, is the maximum ratio of this algorithm's cost to the plain
	// algorithm's. Above it, the algorithm is not worth its memory and rounding.
	gain float64
	// kept is a note for the documentation of a plain algorithm that is the
	// cheapest.
	kept string
	// shown, unless nil, replaces the choice in reports.
	shown *plan.Choice
	// dense reports whether the kernel reads a dense operand, in the layout of the
	// model's input, and no image.
	dense bool
	// pads returns the reason why the kernel needs no border around its operand,
	// or "" if it reads a border. Nil means that the kernel reads a border.
	pads func(o *conv) string
	// leave, unless nil, reports whether it left the convolution to the step after
	// it.
	leave func(b *builder, o *conv, doc string) bool
	// weights stores the weights and returns the form that the kernel reads.
	weights func(b *builder, o *conv) kernel.Ref
	// prepared returns the number of floats that are prepared at load from weights
	// of shape w [M,C,K…].
	prepared func(w ir.Shape) int
	// lighter, unless nil, is an algorithm that prepares fewer weights.
	lighter *lighter
	// kernel returns the kernel. It is called when offsets are final.
	kernel func(o *conv, w kernel.Ref) kernel.Kernel
	// pool returns the constructor of a kernel that also computes the pool after
	// the convolution, and the text that it adds to the documentation of the step.
	// The constructor is nil if there is no such kernel.
	pool func(b *builder, o *conv, w kernel.Ref, pool *ir.Node) (doc string, makeKernel func(dst *place) kernel.Kernel)
	// work returns the amount of work. Nil means that the algorithm does the
	// operations of the graph.
	work func(l *plan.Layer, k kernel.Kernel) plan.Work
	// emit, unless nil, emits the steps in place of weights, kernel and pool.
	emit func(b *builder, o *conv, doc string)
}

// refusal is like refuses, but also checks the type of the operand.
func (a *algorithm) refusal(o *conv) (why, note string) {
	if t := o.node.In[0].Type.DType; !takes(a.types, t) {
		return "it has no kernel for " + t.String(), ""
	}
	return a.refuses(o)
}

// lighter is an alternative to an algorithm that needs less memory.
type lighter struct {
	algorithm string
	why, note string
}

// padding returns how the algorithm gets the elements around the operand.
func (a *algorithm) padding(o *conv) plan.Padding {
	if o.reach == (border{}) {
		return plan.Padding{How: plan.NoPadding, Why: "no window leaves the operand"}
	}
	if a.pads != nil {
		if why := a.pads(o); why != "" {
			return plan.Padding{How: plan.Peel, Why: why}
		}
	}
	switch {
	case o.copied:
		return plan.Padding{How: plan.PaddedCopy, Why: "other readers need a border of another value"}
	case o.op.Padding == ir.PadCopy:
		return plan.Padding{How: plan.PaddedCopy, Why: "a border would more than double a buffer that others read"}
	case o.transforms():
		return plan.Padding{How: plan.Peel, Why: "the kernel transforms the operand into a copy with zeros around"}
	}
	return plan.Padding{How: plan.Halo, Why: "the producer's buffer carries the border"}
}

// compute emits the steps of the convolution o with the algorithm a. The places
// of o must be set.
func (b *builder) compute(a *algorithm, o *conv, choice plan.Choice, note string) {
	p := a.padding(o)
	doc := plan.ConvDoc(o.node, o.op)
	if o.result != nil {
		doc += resultDoc(o.node.In[0].Type.DType, o.op.Integer)
	}
	if a.leave != nil && a.leave(b, o, doc) {
		return
	}
	if o.before != nil {
		doc = o.before.doc + "; " + doc
	}
	switch p.How {
	case plan.Halo:
		doc += ", halo"
	case plan.PaddedCopy:
		o.src = b.withBorder(o.src, o.reach, fillOf(o.node, o.op))
		doc += ", padded copy"
	}
	how := a.doc
	if how == "" {
		how = a.name
	}
	doc += ": " + how + note
	steps := len(b.Layers)
	if a.emit != nil {
		a.emit(b, o, doc)
	} else {
		b.emitConv(a, o, doc)
	}
	for i := range b.Layers[steps:] {
		l := &b.Layers[steps+i]
		l.Choice, l.Padding = choice, p
	}
}

// emitConv emits the step of o. If the algorithm has a kernel for the pool after
// o, the step computes the pool too.
func (b *builder) emitConv(a *algorithm, o *conv, doc string) {
	w := a.weights(b, o)
	pool, more, makeKernel := b.poolAfter(o.node), "", (func(dst *place) kernel.Kernel)(nil)
	if pool != nil && a.pool != nil {
		more, makeKernel = a.pool(b, o, w, pool)
	}
	if makeKernel != nil {
		b.emitPooled(o, pool, doc+more, makeKernel)
	} else {
		b.emit(doc, o.reads(), []*place{o.dst}, func() kernel.Kernel { return a.kernel(o, w) })
	}
	if o.before != nil {
		b.Include(o.before.node)
	}
	b.steps[len(b.steps)-1].work = a.work
}

// emitPooled emits a step that computes a convolution and the pool after it. The
// result of the convolution is not written to memory.
func (b *builder) emitPooled(o *conv, pool *ir.Node, doc string, makeKernel func(dst *place) kernel.Kernel) {
	dst := b.newImage(pool.Out[0])
	b.pooled[pool] = true
	b.Node = pool // the step completes its value
	b.emit(doc, o.reads(), []*place{dst}, func() kernel.Kernel { return makeKernel(dst) })
	b.Node = o.node
	b.Include(o.node)
	b.Last().Node, b.Last().Name = o.node, plan.NodeName(o.node)
}

// poolAfter returns the pool that reads the result of a convolution, if it is the
// only reader and a kernel can compute both. Otherwise it returns nil.
func (b *builder) poolAfter(conv *ir.Node) *ir.Node {
	pool := conv.Out[0].OnlyUse()
	if pool == nil || !b.node[pool] {
		return nil
	}
	if p, ok := pool.Op.(ir.Pool); !ok || unfit(pool, p) != "" {
		return nil
	}
	return pool
}

// unfit returns the reason why a pool cannot be computed together with the
// convolution before it, or "" if it can.
func unfit(n *ir.Node, p ir.Pool) string {
	x, y := n.In[0].Type.Shape[2:], n.Out[0].Type.Shape[2:]
	for i, k := range p.Kernel {
		switch last := (y[i]-1)*p.Strides[i] - p.Pads[i]; {
		case p.Dilations[i] != 1:
			return "dilated"
		case p.Pads[i] < 0 || p.Pads[i] >= k || last >= x[i]:
			return "windows outside the operand"
		}
	}
	if n.HasPrologue() {
		return "transforms its operand"
	}
	return ""
}

// poolKernel returns the kernel of a pool without its images, and its
// documentation.
func (b *builder) poolKernel(n *ir.Node, p ir.Pool) (kernel.Pool, string) {
	c := n.In[0].Type.Shape[1]
	w := plan.PoolWindow(p)
	k := kernel.Pool{KH: w.KH, KW: w.KW, SH: w.SH, SW: w.SW, DH: w.DH, DW: w.DW, PadTop: w.PadTop, PadLeft: w.PadLeft, CountPad: p.CountPad,
		Scale: b.channels(n.Const(ir.PoolScale), c), Shift: b.channels(n.Const(ir.PoolShift), c), Pre: act(p.Prologue)}
	if p.Kind == ir.AvgPool {
		k.Kind = kernel.PoolAvg
	}
	ends := p.Pads[len(p.Kernel):]
	if len(ends) == 2 {
		k.PadBottom = ends[0]
	}
	k.PadRight = ends[len(ends)-1]
	return k, plan.PoolDoc(p) + " at " + plan.Extents(n.Out[0].Type.Shape[2:]...)
}
