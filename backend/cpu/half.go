package cpu

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"modelc/backend/cpu/pack"
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime"
	"modelc/runtime/kernel"
	"modelc/runtime/kernel/bfloat"
)

// isWeights reports whether v is used only as the weights of layers. Such
// constants are worth storing in half precision. Biases, per-channel factors and
// other constants are small.
func isWeights(v *ir.Value) bool {
	return v.Type.DType == ir.Float32 && len(v.Uses()) > 0 && !slices.ContainsFunc(v.Uses(), func(u ir.Use) bool {
		if u.Node == nil {
			return true
		}
		switch u.Node.Op.(type) {
		case ir.Conv, ir.ConvTranspose, ir.Dense:
			return u.Index != 1
		case ir.MatMul:
			return false
		}
		return true
	})
}

// isDenseWeights reports whether v is used only as the weights of fully connected layers.
func isDenseWeights(v *ir.Value) bool {
	return isWeights(v) && !slices.ContainsFunc(v.Uses(), func(u ir.Use) bool {
		_, dense := u.Node.Op.(ir.Dense)
		return !dense
	})
}

// halves returns the tensors of g that are stored in half precision, those that in selects.
func halves(g *ir.Graph, in func(v *ir.Value) bool) map[*ir.Tensor]bool {
	m := map[*ir.Tensor]bool{}
	for _, v := range g.Constants {
		if in(v) {
			m[v.Const] = true
		}
	}
	return m
}

// RoundWeights rounds the weights of g's layers to the format f. It adds the error
// of each weight of a filter to the next weight, so that the sum over the filter
// stays the same up to the error of the last weight. Inputs after a ReLU are
// positive, so errors with the same sign would add up. If a weight is too large
// for f, RoundWeights changes nothing and returns an error that lists all such
// layers.
func RoundWeights(g *ir.Graph, f kernel.Format) error {
	if f == kernel.F32 {
		return nil
	}
	return roundWeights(g, f, isWeights)
}

// roundWeights is RoundWeights for the constants that in selects.
func roundWeights(g *ir.Graph, f kernel.Format, in func(v *ir.Value) bool) error {
	var errs []error
	rounded := map[*ir.Value]*ir.Tensor{}
	for _, v := range g.Constants {
		if !in(v) {
			continue
		}
		t := ir.NewTensor(v.Type)
		rounded[v] = t
		to := ir.Elements[float32](t)
		filter, n := filterOf(v)
		owed := make([]float32, n)
		for i, x := range v.Const.Float32s() {
			debt := &owed[filter(i)]
			to[i] = round(f, x+*debt)
			if *debt += x - to[i]; *debt-*debt != 0 { // do not carry an infinity or NaN
				*debt = 0
			}
			if math.IsInf(float64(to[i]), 0) && !math.IsInf(float64(x), 0) {
				errs = append(errs, fmt.Errorf("%s: a weight of %g is too large for %s: store the weights as %s", v.Uses()[0].Node, x, f, wider(f)))
				break
			}
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	for v, t := range rounded {
		v.Const = t
	}
	return nil
}

// filterOf returns the number n of filters in the weights v, as the first reader
// of v uses them, and a function from the index of an element of v to the index of
// its filter. A filter holds the weights of one output channel.
func filterOf(v *ir.Value) (filter func(i int) int, n int) {
	u, s := v.Uses()[0], v.Type.Shape
	rows := func(n int) (func(i int) int, int) {
		per := max(1, s.Len()/max(1, n))
		return func(i int) int { return i / per }, n
	}
	columns := func(n int) (func(i int) int, int) { return func(i int) int { return i % n }, n }
	switch op := u.Node.Op.(type) {
	case ir.ConvTranspose: // [C,M/groups,K…]
		mg, ks, cg := s[1], s[2:].Len(), s[0]/op.Groups
		return func(i int) int { return i/(mg*ks)/cg*mg + i/ks%mg }, mg * op.Groups
	case ir.Dense:
		if !op.TransW {
			return columns(s[1])
		}
	case ir.MatMul:
		if u.Index == 1 && len(s) > 1 {
			return columns(s[len(s)-1])
		}
		return rows(s[:len(s)-1].Len())
	}
	return rows(s[0])
}

// wider returns the next format with a larger range.
func wider(f kernel.Format) kernel.Format {
	if f == kernel.F16 {
		return kernel.BF16
	}
	return kernel.F32
}

func round(f kernel.Format, x float32) float32 {
	if f == kernel.F16 {
		return ir.Float16ToFloat32(ir.Float32ToFloat16(x))
	}
	return ir.BFloat16ToFloat32(ir.Float32ToBFloat16(x))
}

// narrow returns the elements of x in the format f, which must represent them
// exactly.
func narrow(f kernel.Format, x []float32) []byte {
	out := make([]uint16, len(x))
	to := ir.Float32ToBFloat16
	if f == kernel.F16 {
		to = ir.Float32ToFloat16
	}
	for i, v := range x {
		out[i] = to(v)
	}
	return runtime.BytesOf(out)
}

// Convolutions on images of bfloat16. Their weights are pairs of input channels.

var (
	halfFirst = algorithm{
		name: first.name, doc: first.doc, why: first.why, types: halfOnly,
		dense: true,
		refuses: func(o *conv) (why, note string) {
			if !roundedByFirst(o.node.In[0].Def()) {
				return "it does not read the model's input", ""
			}
			return "", ""
		},
		pads: padsRows,
		weights: func(b *builder, o *conv) kernel.Ref {
			oc, ic, kh, kw := shape4(o.w.Shape)
			return b.section("first pairs", o.w, pack.FirstPairsLen(oc, ic, kh, kw), ir.BFloat16.Size(), func() []byte {
				return runtime.BytesOf(pack.FirstPairs(ir.Elements[uint16](o.w), oc, ic, kh, kw)) // the bits
			})
		},
		kernel: func(o *conv, w kernel.Ref) kernel.Kernel {
			g := o.win
			return &bfloat.ConvFirst{Src: o.src.ref(), NHWC: o.src.nhwc, N: o.in.n, C: o.in.c, H: o.in.h, W: o.in.w, Dst: o.dst.img(), Wt: w, Bias: o.bias, Act: o.act,
				KH: g.KH, KW: g.KW, SH: g.SH, SW: g.SW, DH: g.DH, PadTop: g.PadTop, PadLeft: g.PadLeft}
		},
	}
	halfDepthwise = algorithm{
		name: depthwise.name, why: depthwise.why, types: halfOnly,
		refuses: depthwise.refuses,
		weights: func(b *builder, o *conv) kernel.Ref {
			c, _, kh, kw := shape4(o.w.Shape)
			whole := formOf(ir.BFloat16).whole(c)
			return b.floats("depthwise pairs", o.w, pack.DepthwiseLen(whole, kh, kw), func() []float32 {
				w := make([]float32, whole*kh*kw)
				for i, v := range o.w.Float64s() {
					w[i] = float32(v)
				}
				return pack.Depthwise(w, whole, kh, kw)
			})
		},
		kernel: func(o *conv, w kernel.Ref) kernel.Kernel {
			g := o.win
			k := &bfloat.Depthwise{Src: o.src.img(), Dst: o.dst.img(), W: w, Bias: o.bias, Residual: o.residual.img(), Act: o.act,
				KH: g.KH, KW: g.KW, SH: g.SH, SW: g.SW, DH: g.DH, DW: g.DW, PadTop: g.PadTop, PadLeft: g.PadLeft}
			if p := o.before; p != nil {
				return &bfloat.ConvDepthwise{Point: *p.pairKernel(p.weights), Depth: *k}
			}
			return k
		},
	}
	halfDirect = algorithm{
		name: "direct", kept: ", small", types: halfOnly,
		refuses: direct.refuses,
		cost:    func(o *conv) float64 { return direct.cost(o.halved()) },
		weights: pairWeights,
		kernel:  pairKernel,
	}
	halfPointwise = algorithm{
		name: "pointwise", why: pointwise.why, types: halfOnly,
		refuses: pointwise.refuses,
		leave:   leaveToDepthwise,
		weights: pairWeights,
		kernel:  pairKernel,
	}
	halfWinograd2 = algorithm{
		name: "winograd2-bf16", instead: direct.name, types: halfOnly,
		refuses: func(o *conv) (why, note string) {
			if o.win.KH == 5 || o.win.DH > 1 {
				return "Winograd on bfloat16 needs a kernel of 3×3 without a dilation", ""
			}
			return halfTiling.refuses(o)
		},
		cost:     func(o *conv) float64 { return halfTiling.cost(o.halved()) },
		pads:     func(o *conv) string { return "the kernel transforms a copy with zeros around" },
		weights:  pairWinogradWeights,
		prepared: pairsPrepared,
		kernel:   func(o *conv, w kernel.Ref) kernel.Kernel { return o.pairWinograd(w) },
		pool: func(b *builder, o *conv, w kernel.Ref, pool *ir.Node) (string, func(dst *place) kernel.Kernel) {
			p := pool.Op.(ir.Pool)
			if _, _, clamps := o.act.Clamp(); o.hasResidual() || !clamps || apart(pool, p) != "" || halfTiling.m%p.Kernel[0] != 0 {
				return "", nil
			}
			return halfTiling.poolDoc(pool, p.Kernel[0]), func(dst *place) kernel.Kernel {
				k := o.pairWinograd(w)
				k.Dst, k.Pool = dst.img(), p.Kernel[0]
				return k
			}
		},
		work: func(l *plan.Layer, k kernel.Kernel) plan.Work {
			w := k.(*bfloat.Winograd)
			return plan.Work{Ops: 2 * float64(w.Dst.N*w.Products()*w.Src.C*w.Dst.C), WeightBytes: float64(w.W.Len * ir.BFloat16.Size())}
		},
	}
)

var (
	halfOnly   = []ir.DType{ir.BFloat16}
	halfTiling = tiling{m: 2}
)

// halved returns a convolution on float32 that takes about as long as o on bfloat16: a pair
// of input channels takes as long as one channel.
func (o *conv) halved() *conv {
	h := *o
	if h.in.c = formOf(ir.BFloat16).whole(o.in.c) / 2; bfloat.Folds(o.in.c) {
		h.in.c -= 8
	}
	return &h
}

// pairWeights stores weights in blocks of 32 output and 32 input channels.
func pairWeights(b *builder, o *conv) kernel.Ref {
	oc, ic, kh, kw := shape4(o.w.Shape)
	return b.section("pairs", o.w, pack.PairsLen(oc, ic, kh, kw), ir.BFloat16.Size(), func() []byte {
		return runtime.BytesOf(pack.Pairs(ir.Elements[uint16](o.w), oc, ic, kh, kw, bfloat.Folds(ic))) // the bits
	})
}

func pairKernel(o *conv, w kernel.Ref) kernel.Kernel { return o.pairKernel(w) }

func (o *conv) pairKernel(w kernel.Ref) *bfloat.Conv {
	g := o.win
	return &bfloat.Conv{Src: o.src.img(), Dst: o.dst.img(), W: w, Bias: o.bias, Residual: o.residual.img(), Scale: o.scale, Shift: o.shift, Pre: o.pre, Act: o.act,
		KH: g.KH, KW: g.KW, SH: g.SH, SW: g.SW, DH: g.DH, DW: g.DW, PadTop: g.PadTop, PadLeft: g.PadLeft}
}

// pairWinogradWeights stores weights in the form of direct convolution. A load step
// transforms them.
func pairWinogradWeights(b *builder, o *conv) kernel.Ref {
	stored, size := pairWeights(b, o), ir.BFloat16.Size()
	oc, ic := o.w.Shape[0], o.w.Shape[1]
	return b.prepare(2*pairsPrepared(o.w.Shape), size, stored.Len*size, "Winograd F(2×2) weights in bf16", stored, func(dst kernel.Ref) kernel.Kernel {
		return &bfloat.WinogradWeights{M: halfTiling.m, IC: ic, OC: oc, W: stored, Dst: dst}
	})
}

// pairsPrepared returns the number of pairs that are prepared from weights of shape w.
func pairsPrepared(w ir.Shape) int { return pack.WinogradLen(halfTiling.m, w[0], alignTo(w[1], 32)/2) }

func (o *conv) pairWinograd(w kernel.Ref) *bfloat.Winograd {
	tiles, blocks := halfTiling.blocking(o.halved())
	return &bfloat.Winograd{M: halfTiling.m, Src: o.src.img(), Dst: o.dst.img(), W: w, Bias: o.bias, Residual: o.residual.img(),
		Scale: o.scale, Shift: o.shift, Pre: o.pre, Act: o.act, PadTop: o.win.PadTop, PadLeft: o.win.PadLeft, Tiles: tiles, OutBlocks: blocks}
}

// castRules: conversions between images of float32 and of bfloat16.
var castRules = rules{
	types: halfTypes,
	fits: func(l *layout, n *ir.Node) bool {
		x, y := n.In[0].Type.DType, n.Out[0].Type.DType
		return takes(halfTypes, y) && x != y && !roundedByFirst(n)
	},
}

// roundedByFirst reports whether n is a conversion of the model's input to bfloat16 that its
// readers, first layers, compute.
func roundedByFirst(n *ir.Node) bool {
	if n == nil || n.Op != ir.Op(ir.Cast{To: ir.BFloat16}) {
		return false
	}
	return len(n.Out[0].Uses()) > 0 && !slices.ContainsFunc(n.Out[0].Uses(), func(u ir.Use) bool {
		if u.Node == nil || u.Index != 0 {
			return true
		}
		_, ok := u.Node.Op.(ir.Conv)
		return !ok || !roundsInput(u.Node, n.In[0])
	})
}

// roundsInput reports whether a convolution on bfloat16 can round its operand x, the model's
// input.
func roundsInput(n *ir.Node, x *ir.Value) bool {
	c := n.Op.(ir.Conv)
	_, _, clamps := act(c.Epilogue).Clamp()
	return isFirst(n, x) && x.Const == nil && clamps && c.Dilations[len(c.Dilations)-1] == 1
}

func (b *builder) castImage(n *ir.Node, c ir.Cast) error {
	src, dst := b.asImage(n.In[0]), b.newImage(n.Out[0])
	b.emit("Cast to "+c.To.String(), []*place{src}, []*place{dst}, func() kernel.Kernel {
		if c.To == ir.BFloat16 {
			return &bfloat.Narrow{Src: src.img(), Dst: dst.img()}
		}
		return &bfloat.Widen{Src: src.img(), Dst: dst.img()}
	})
	b.Last().MovesLayout = true
	return nil
}

// NarrowLayers makes the convolutions of g that have kernels on bfloat16 compute on it,
// unless keep reports that a convolution must stay in float32. It inserts conversions where
// other nodes read or write the values between them. It also rounds the weights of fully
// connected layers to bfloat16, as [RoundWeights] does.
func NarrowLayers(g *ir.Graph, keep func(n *ir.Node) bool) error {
	h := halving{g: g, narrow: map[*ir.Value]*ir.Value{}, wide: map[*ir.Value]*ir.Value{}}
	for _, n := range slices.Clone(g.Nodes) {
		var err error
		switch op := n.Op.(type) {
		case ir.Conv:
			if halvable(n, op) && !keep(n) {
				err = h.layer(n)
				break
			}
			err = h.widenAll(n)
		case ir.Concat:
			if op.Axis == 1 && h.joinable(n) {
				err = h.narrowAll(n)
				break
			}
			err = h.widenAll(n)
		case ir.Pool:
			if x := n.In[0].Type; op.Kind == ir.MaxPool && !op.Indices && !n.HasPrologue() && x.DType == ir.BFloat16 {
				err = h.g.Retype(n)
				break
			}
			err = h.widenAll(n)
		default:
			err = h.widenAll(n)
		}
		if err != nil {
			return err
		}
	}
	for i, o := range g.Outputs {
		v, err := h.widened(o.Value)
		if err != nil {
			return err
		}
		if v != o.Value {
			g.SetOutput(i, v)
		}
	}
	g.PruneConstants()
	return roundWeights(g, kernel.BF16, isDenseWeights)
}

// halvable reports whether n can compute on bfloat16. Few input channels would fill a small
// part of a block, unless n reads the model's input and has more output channels. Channels
// have one group, or one filter each and no prologue.
func halvable(n *ir.Node, c ir.Conv) bool {
	x := n.In[0].Type
	_, image := imageDims(x.Shape)
	w := n.Const(ir.Weights)
	if !image || w == nil || w.DType != ir.Float32 || !takes(halfTypes, x.DType) || c.Groups > 1 && (n.HasPrologue() || !c.IsDepthwise(x.Shape, w.Shape)) {
		return false
	}
	half := formOf(ir.BFloat16).block / 2
	return c.Integer.IsZero() && (x.Shape[1] >= half || w.Shape[0] >= half && roundsInput(n, n.In[0])) &&
		n.ConstOrAbsent(ir.Bias) && n.ConstOrAbsent(ir.ConvScale) && n.ConstOrAbsent(ir.ConvShift) && !ir.Rounds(c) && n.Out[0].Type.Shape.Len() > 0
}

// halving is the state of NarrowLayers.
type halving struct {
	g            *ir.Graph
	narrow, wide map[*ir.Value]*ir.Value // conversions, by operand
}

func (h *halving) converted(v *ir.Value, to ir.DType, cache map[*ir.Value]*ir.Value) (*ir.Value, error) {
	if v == nil || v.Type.DType == to || v.Type.DType != ir.Float32 && v.Type.DType != ir.BFloat16 {
		return v, nil
	}
	if c := cache[v]; c != nil {
		return c, nil
	}
	name := v.Name + "." + to.String()
	if v.Const != nil {
		c := h.g.AddConst(name, ir.FromFloat64s(ir.Type{DType: to, Shape: v.Type.Shape}, v.Const.Float64s()))
		cache[v] = c
		return c, nil
	}
	var n *ir.Node
	var err error
	if v.Def() != nil {
		n, err = h.g.InsertAfter(v.Def(), name, ir.Cast{To: to}, v)
	} else {
		n, err = h.g.InsertBefore(h.g.Nodes[0], name, ir.Cast{To: to}, v)
	}
	if err != nil {
		return nil, err
	}
	cache[v] = n.Out[0]
	return n.Out[0], nil
}

func (h *halving) narrowed(v *ir.Value) (*ir.Value, error) {
	return h.converted(v, ir.BFloat16, h.narrow)
}

func (h *halving) widened(v *ir.Value) (*ir.Value, error) {
	if v == nil || v.Type.DType != ir.BFloat16 {
		return v, nil
	}
	return h.converted(v, ir.Float32, h.wide)
}

// layer makes the convolution n compute on bfloat16.
func (h *halving) layer(n *ir.Node) error {
	for _, i := range []int{0, ir.Weights, ir.ConvResidual} {
		v, err := h.narrowed(n.Input(i))
		if err != nil {
			return err
		}
		if v != n.Input(i) {
			h.g.SetInput(n, i, v)
		}
	}
	return h.g.Retype(n)
}

// joinable reports whether the concatenation n joins whole blocks of channels, of which
// some are bfloat16.
func (h *halving) joinable(n *ir.Node) bool {
	some := false
	for _, v := range n.In {
		if _, image := imageDims(v.Type.Shape); !image || !takes(halfTypes, v.Type.DType) || v.Type.Shape[1]%formOf(ir.BFloat16).block != 0 {
			return false
		}
		some = some || v.Type.DType == ir.BFloat16
	}
	return some
}

func (h *halving) narrowAll(n *ir.Node) error {
	for i, v := range n.In {
		c, err := h.narrowed(v)
		if err != nil {
			return err
		}
		if c != v {
			h.g.SetInput(n, i, c)
		}
	}
	return h.g.Retype(n)
}

func (h *halving) widenAll(n *ir.Node) error {
	for i, v := range n.In {
		c, err := h.widened(v)
		if err != nil {
			return err
		}
		if c != v {
			h.g.SetInput(n, i, c)
		}
	}
	return nil
}
