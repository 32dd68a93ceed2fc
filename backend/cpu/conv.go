package cpu

import (
	"fmt"
	"slices"

	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime/kernel"
	"modelc/runtime/kernel/plain"
)

// convLowerings has the rows of convolutions.
var convLowerings = map[string]lowering{
	"Conv":          {convRules, do((*builder).convImage), do((*builder).convPlain)},
	"ConvTranspose": {dense: do((*builder).convTransposePlain)},
}

// algorithms is the table of convolution algorithms on images. The first plain
// algorithm that can compute a convolution is used, unless an algorithm that
// competes with it is cheaper.
var algorithms = []*algorithm{
	// Plain algorithms on bytes.
	&integerFirst,
	&integerDepthwise,
	&integerGrouped,
	&integerByTier,
	&integerDirect,
	&integerPointwise,
	// Plain algorithms on floats.
	&first,
	&depthwise,
	&grouped,
	&last,
	&gathered,
	&direct,
	&pointwise,
	// Plain algorithms on bfloat16.
	&halfFirst,
	&halfDepthwise,
	&halfDirect,
	&halfPointwise,
	// Algorithms with fewer operations.
	&winograd2,
	&winograd4,
	&winogradStrided,
	&strassen,
	&integerWinograd,
	&halfWinograd2,
}

// Algorithms returns the names of the algorithms that compete by cost, in the
// order of the table. A tune file chooses among them.
func Algorithms() []string {
	var names []string
	for _, a := range algorithms {
		competes := a.instead != "" || slices.ContainsFunc(algorithms, func(r *algorithm) bool { return r.instead == a.name })
		if competes && !slices.Contains(names, a.name) {
			names = append(names, a.name)
		}
	}
	return names
}

// algorithmNamed returns the algorithm with a name if it competes with a plain
// algorithm. Otherwise it returns nil.
func algorithmNamed(name string) *algorithm {
	for _, a := range algorithms {
		if a.instead != "" && a.name == name {
			return a
		}
	}
	return nil
}

// choose returns the algorithm for o, the choice for reports, and a note for the
// documentation of the step.
func (b *builder) choose(o *conv) (a *algorithm, c plan.Choice, note string) {
	isPlain := algorithms[slices.IndexFunc(algorithms, func(a *algorithm) bool { why, _ := a.refusal(o); return why == "" })]
	a, c = isPlain, plan.Choice{Algorithm: isPlain.name, Why: isPlain.why}
	if isPlain.shown != nil {
		defer func() {
			if a == isPlain {
				c, note = *isPlain.shown, ""
			}
		}()
	}
	refused := "" // the reason why no other algorithm can compute o
	rivals := map[string]*algorithm{}
	for _, r := range algorithms {
		if r.instead != isPlain.name || !takes(r.types, o.node.In[0].Type.DType) {
			continue
		}
		if why, n := r.refusal(o); why == "" {
			rivals[r.name] = r
		} else if refused == "" {
			refused, note = why, n
		}
	}
	if len(rivals) == 0 {
		if c.Why == "" {
			c.Why = refused
			return a, c, note
		}
		return a, c, ""
	}
	note = isPlain.kept
	if c.Why == "" {
		c.Why = byCost
	}
	if isPlain.each && b.cfg.shared {
		o = o.single()
	}
	cost := isPlain.cost(o)
	c.Estimates = map[string]float64{isPlain.name: cost}
	best := cost
	for _, r := range algorithms {
		if rivals[r.name] != r {
			continue
		}
		estimate := r.cost(o)
		c.Estimates[r.name] = estimate
		if estimate < best && (r.gain == 0 || estimate <= r.gain*cost) {
			best, a, c.Algorithm, c.Why = estimate, r, r.name, byCost
			note = fmt.Sprintf(", %.2g× the direct cost", estimate/cost)
		}
	}
	use := func(name string) {
		c.Algorithm, a = name, isPlain
		if name != isPlain.name {
			a = rivals[name]
		}
	}
	name := plan.NodeName(o.node)
	if m := b.cfg.Algorithms[name]; c.Estimates[m] > 0 {
		use(m)
		c.Why = "as measured"
		return a, c, ", as measured"
	}
	if l := a.lighter; l != nil && b.lighter[name] {
		use(l.algorithm)
		c.Why = l.why
		return a, c, fmt.Sprintf(", %.2g× the direct cost, %s", c.Estimates[l.algorithm]/cost, l.note)
	}
	return a, c, note
}

const byCost = "cheapest by the cost model"

// convRules: the weights and the per-channel operands of a convolution on images
// are constants. The operand has a border unless the kernel reads a copy of it,
// or reads the model's input.
var convRules = rules{
	types: movedTypes,
	fits: func(l *layout, n *ir.Node) bool {
		if c := n.Op.(ir.Conv); !c.Integer.IsZero() {
			return convOnIntegers(n, c)
		}
		return takes(halfTypes, n.In[0].Type.DType) && n.Const(ir.Weights) != nil && n.ConstOrAbsent(ir.Bias) && n.ConstOrAbsent(ir.ConvScale) && n.ConstOrAbsent(ir.ConvShift)
	},
	border: func(l *layout, n *ir.Node) (border, fill) {
		c := n.Op.(ir.Conv)
		if c.Padding == ir.PadCopy || readsUserLayout(n) {
			return border{}, fill{}
		}
		return reach(n, c), fillOf(n, c)
	},
}

// fillOf returns the value of the elements around the operand of n.
func fillOf(n *ir.Node, c ir.Conv) fill {
	if zero := n.Input(ir.ConvXZero); zero != nil {
		return fill{from: zero}
	}
	return fill{value: byte(stored(n.In[0].Type.DType, c.Integer.XZero))}
}

func (b *builder) convImage(n *ir.Node, c ir.Conv) error {
	o := newConv(n, c)
	o.few, o.copied = b.few[n.In[0]], b.copied[n]
	o.exact, o.cached, o.before = b.cfg.Exact, b.cached, b.left[n.In[0]]
	a, choice, note := b.choose(o)
	switch x := n.In[0]; {
	case !a.dense:
		o.src = b.asImage(x)
	case x.Const != nil:
		o.src = b.constant(x)
	default:
		o.src = b.dense[x]
	}
	if r := n.Input(ir.ConvResidual); r != nil {
		// The kernel reads each pixel of the residual before it writes that pixel of
		// the result.
		o.residual = b.asImage(r)
		o.dst = b.overwrite(n, r, o.residual)
	} else {
		o.dst = b.newImage(n.Out[0])
	}
	if !c.Integer.IsZero() {
		o.result = b.integerResult(n, c.Integer, c.Epilogue, o.w, func() []int32 { return integerSums(o.w) }, stored(n.In[0].Type.DType, c.Integer.XZero), ir.ConvMultiplier, ir.ConvXZero)
		if o.residual != nil {
			o.result.residual = o.residual
			o.result.sum = binaryBytes(c.Sum, c.Integer.To, o.residual.DType)
		}
		b.compute(a, o, choice, note)
		return nil
	}
	o.bias, o.scale, o.shift = b.channels(n.Const(ir.Bias), o.out.c), b.channels(n.Const(ir.ConvScale), o.in.c), b.channels(n.Const(ir.ConvShift), o.in.c)
	b.compute(a, o, choice, note)
	return nil
}

// convPlain lowers a convolution that does not run on images: one of another
// rank or type, or with computed weights.
func (b *builder) convPlain(n *ir.Node, c ir.Conv) error {
	if !c.Integer.IsZero() {
		return b.convInteger(n, c)
	}
	x, w := b.plain(n.In[0]), b.plain(n.In[ir.Weights])
	bias, residual := b.plain(n.Input(ir.Bias)), b.plain(n.Input(ir.ConvResidual))
	scale, shift := b.plain(n.Input(ir.ConvScale)), b.plain(n.Input(ir.ConvShift))
	dst := b.newDense(n.Out[0])
	doc := fmt.Sprintf("Conv %s %d→%d at %s%s: plain loops", plan.Extents(w.Shape[2:]...), x.Shape[1], w.Shape[0], plan.Extents(dst.Shape[2:]...), plan.FusedDoc(n, c))
	o := convOperands{x, w, bias, residual, scale, shift, dst}
	err := emitTyped(b, x.DType, doc, []*place{x, w, bias, residual, scale, shift}, []*place{dst}, func(m convMaker) kernel.Kernel { return m.conv(c, o) })
	if err == nil {
		b.Last().Padding = clipped(plan.Leaves(x.Shape[2:], dst.Shape[2:], w.Shape[2:], c.Strides, c.Dilations, c.Pads))
	}
	return err
}

// clipped returns the padding of kernels that clip their windows. leaves reports
// whether a window leaves the operand.
func clipped(leaves bool) plan.Padding {
	if leaves {
		return plan.Padding{How: plan.Peel, Why: "elements outside never count"}
	}
	return plan.Padding{How: plan.NoPadding, Why: "no window leaves the operand"}
}

// convOperands are the operands of a convolution on dense tensors.
type convOperands struct{ x, w, bias, residual, scale, shift, dst *place }

type convMaker interface {
	conv(c ir.Conv, o convOperands) kernel.Kernel
}

func (floating[T]) conv(c ir.Conv, o convOperands) kernel.Kernel {
	x, r := o.x.Shape, len(o.x.Shape)-2
	return &plain.Conv[T]{Src: o.x.ref(), Dst: o.dst.ref(), W: o.w.ref(), Bias: o.bias.ref(), Residual: o.residual.ref(), Scale: o.scale.ref(), Shift: o.shift.ref(),
		N: x[0], C: x[1], M: o.w.Shape[0], Groups: c.Groups, In: x[2:], Out: o.dst.Shape[2:], Kernel: o.w.Shape[2:],
		Strides: c.Strides, Pads: c.Pads[:r], Dilations: c.Dilations, Pre: act(c.Prologue), Act: act(c.Epilogue)}
}

func (b *builder) convTransposePlain(n *ir.Node, c ir.ConvTranspose) error {
	x, w, bias := b.plain(n.In[0]), b.plain(n.In[ir.Weights]), b.plain(n.Input(ir.Bias))
	dst := b.newDense(n.Out[0])
	doc := fmt.Sprintf("ConvTranspose %s %d→%d at %s%s", plan.Extents(w.Shape[2:]...), x.Shape[1], dst.Shape[1], plan.Extents(dst.Shape[2:]...), plan.ActDoc(c.Epilogue))
	o := convOperands{x: x, w: w, bias: bias, dst: dst}
	return emitTyped(b, x.DType, doc, []*place{x, w, bias}, []*place{dst}, func(m convTransposeMaker) kernel.Kernel { return m.convTranspose(c, o) })
}

type convTransposeMaker interface {
	convTranspose(c ir.ConvTranspose, o convOperands) kernel.Kernel
}

func (floating[T]) convTranspose(c ir.ConvTranspose, o convOperands) kernel.Kernel {
	x, r := o.x.Shape, len(o.x.Shape)-2
	return &plain.ConvTranspose[T]{Src: o.x.ref(), Dst: o.dst.ref(), W: o.w.ref(), Bias: o.bias.ref(),
		N: x[0], C: x[1], M: o.dst.Shape[1], Groups: c.Groups, In: x[2:], Out: o.dst.Shape[2:], Kernel: o.w.Shape[2:],
		Strides: c.Strides, Pads: c.Pads[:r], Dilations: c.Dilations, Act: act(c.Epilogue)}
}
