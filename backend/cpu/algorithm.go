package cpu

import (
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime/kernel"
)

// algorithm is a way to compute convolutions on images: a row of the table in
// conv.go. Functions that are nil say nothing.
type algorithm struct {
	// name is the algorithm's name in tune files, documentation and reports.
	name string
	// doc describes the algorithm in the documentation of a step where the name
	// does not.
	doc string
	// why is the reason for the algorithm where nothing competes with it.
	why string
	// instead, unless "", is the name of the plain algorithm that this one
	// competes with by cost.
	instead string
	// types are the element types of the operand that kernel takes; nil for
	// float32 alone.
	types []ir.DType
	// refuses returns why the algorithm cannot compute o, "" if it can, and a
	// note for the documentation of the plain algorithm's step.
	refuses func(o *conv) (why, note string)
	// cost estimates the time in nanoseconds, on one core of the target.
	cost func(o *conv) float64
	// each is set where the costs of one example are compared, whatever the batch
	// size: the rivals pack their weights in different ways, or prepare others,
	// and one choice keeps one packing in the file.
	each bool
	// gain, unless 0, is the part of the plain algorithm's cost above which this
	// one is not worth its memory and rounding.
	gain float64
	// kept is a note for the documentation of a plain algorithm that is the
	// cheapest.
	kept string
	// shown, unless nil, replaces the choice in reports.
	shown *plan.Choice
	// dense is set where the operand is read as it lies in the model's input.
	dense bool
	// pads returns why the kernel needs no border around its operand, "" if it
	// reads one.
	pads func(o *conv) string
	// leave, unless nil, may leave the convolution to the step behind it.
	leave func(b *builder, o *conv, doc string) bool
	// weights stores the weights, and prepares them.
	weights func(b *builder, o *conv) kernel.Ref
	// prepared returns the number of floats that are prepared from weights of
	// shape w [M,C,K…].
	prepared func(w ir.Shape) int
	// lighter, unless nil, is an algorithm that prepares fewer weights.
	lighter *lighter
	// kernel returns the kernel once offsets are final. It knows its scratch
	// memory.
	kernel func(o *conv, w kernel.Ref) kernel.Kernel
	// pool returns the kernel that computes the pool behind the convolution,
	// too, and what it adds to the documentation of the step; nil if there is no
	// such kernel.
	pool func(b *builder, o *conv, w kernel.Ref, pool *ir.Node) (doc string, makeKernel func(dst *place) kernel.Kernel)
	// work returns the amount of work; nil where it is that of the graph.
	work func(l *plan.Layer, k kernel.Kernel) plan.Work
	// emit emits the steps where weights, kernel and pool do not suffice.
	emit func(b *builder, o *conv, doc string)
}

// refusal is refuses for operands of any type.
func (a *algorithm) refusal(o *conv) (why, note string) {
	if t := o.node.In[0].Type.DType; !takes(a.types, t) {
		return "it has no kernel for " + t.String(), ""
	}
	return a.refuses(o)
}

// lighter is an alternative to an algorithm that takes less memory.
type lighter struct {
	algorithm string
	why, note string
}

// padding says how the algorithm gets the elements around the operand.
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
	case o.op.Padding == ir.PadCopy:
		return plan.Padding{How: plan.PaddedCopy, Why: "a border would more than double a buffer that others read"}
	case o.transforms():
		return plan.Padding{How: plan.Peel, Why: "the kernel transforms the operand into a copy with zeros around"}
	}
	return plan.Padding{How: plan.Halo, Why: "the producer's buffer carries the border"}
}

// compute emits the convolution o, whose places are set, by the algorithm a.
func (b *builder) compute(a *algorithm, o *conv, choice plan.Choice, note string) {
	p := a.padding(o)
	doc := plan.ConvDoc(o.node, o.op)
	if a.leave != nil && a.leave(b, o, doc) {
		return
	}
	if o.point != nil {
		doc = o.point.doc + "; " + doc
	}
	switch p.How {
	case plan.Halo:
		doc += ", halo"
	case plan.PaddedCopy:
		o.src = b.withBorder(o.src, o.reach)
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

// emitConv emits the step of o, and of the pool behind it where the algorithm
// takes it.
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
	if o.point != nil {
		b.Include(o.point.node)
	}
	b.steps[len(b.steps)-1].work = a.work
}

// emitPooled emits a step that computes a convolution and the pool behind it.
// The result of the convolution itself is never written.
func (b *builder) emitPooled(o *conv, pool *ir.Node, doc string, makeKernel func(dst *place) kernel.Kernel) {
	dst := b.newImage(pool.Out[0])
	b.pooled[pool] = true
	b.Node = pool // whose value the step completes
	b.emit(doc, o.reads(), []*place{dst}, func() kernel.Kernel { return makeKernel(dst) })
	b.Node = o.node
	b.Include(o.node)
	b.Last().Node, b.Last().Name = o.node, plan.NodeName(o.node)
}

// poolAfter returns the pool that alone reads the result of a convolution, as
// it is; nil if there is none.
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

// unfit returns what keeps a pool from being computed together with the
// convolution before it, "" if nothing does.
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

// poolKernel returns the kernel of a pool without its images, and what it does.
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
