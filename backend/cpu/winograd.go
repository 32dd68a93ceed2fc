package cpu

import (
	"fmt"
	"slices"

	"modelc/backend/cpu/pack"
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime/kernel"
)

// Winograd's algorithms are F(2×2,3×3) and F(4×4,3×3), both also with a dilation,
// F(2×2,5×5), and F(2×2,3×3) with stride 2, which computes the four phases of the
// operand.
//
// The compiler does not choose F(6×6,3×3), although the kernel has it. It is about
// 6 % faster than F(4×4) on images of 28×28 pixels and more, but its error is
// three times as large: with it, VGG-16 reaches the tolerance of 1e-4.

var (
	winograd2       = winogradRow("winograd2", 2, false)
	winograd4       = winogradRow("winograd4", 4, false)
	winogradStrided = winogradRow("winograd-strided", 2, true)
)

func init() {
	winograd4.lighter = &lighter{winograd2.name, "F(4×4) would take more memory for little", "less memory than F(4×4)"}
}

// tiling describes the tiles of one of Winograd's algorithms.
type tiling struct {
	m       int // outputs along a side
	strided bool
}

// winogradRow returns the row of the algorithm with tiles of m×m outputs.
func winogradRow(name string, m int, strided bool) algorithm {
	t := tiling{m, strided}
	return algorithm{
		name:    name,
		instead: direct.name,
		refuses: t.refuses,
		cost:    t.cost,
		pads: func(o *conv) string {
			if o.win.DH > 1 {
				return "the kernel gathers the pixels of a phase with zeros around"
			}
			return ""
		},
		weights:  t.weights,
		prepared: t.prepared,
		kernel:   func(o *conv, w kernel.Ref) kernel.Kernel { return t.kernel(o, w) },
		pool:     t.pool,
		work: func(l *plan.Layer, k kernel.Kernel) plan.Work {
			w := k.(*kernel.Winograd)
			return plan.Work{Ops: 2 * float64(w.Dst.N*w.Products()*w.Src.C*w.Dst.C), WeightBytes: float64(w.W.Len * ir.Float32.Size())}
		},
	}
}

func (t tiling) refuses(o *conv) (why, note string) {
	g := o.win
	switch {
	case o.op.Groups > 1:
		return "Winograd needs one group", ""
	case g.KH != g.KW || g.KH != 3 && g.KH != 5:
		return "Winograd needs a kernel of 3×3 or 5×5", ""
	case g.SH != g.SW || g.SH > 2 || g.DH != g.DW || g.DH > 1 && g.SH > 1 || g.KH == 5 && g.SH*g.DH > 1:
		return "Winograd needs stride 1, or for 3×3 stride 2 or a dilation", ""
	case g.SH == 2 && (o.out.h%2 == 1 || o.out.w%2 == 1 || o.transforms()):
		return "Winograd of stride 2 needs even extents and no prologue", ""
	case g.Crops():
		return "it crops its operand", ", crops"
	}
	if why, note := o.steady(); why != "" {
		return why, note
	}
	if t.strided != (g.SH == 2) || t.m == 4 && g.KH == 5 {
		return "the tile is for another stride or kernel", ""
	}
	return "", ""
}

// positions returns the number of products that a tile needs for each pair of
// channels, and the number of sums that are transformed to its outputs.
func (t tiling) positions(o *conv) (products, sums int) {
	if t.strided {
		return 25, 9
	}
	side := t.m + o.win.KH - 1
	return side * side, side * side
}

// rows returns the number of rows of tiles of an image. With a dilation it counts
// the rows of all phases: see kernel.Winograd.
func (t tiling) rows(o *conv) int { return o.win.DH * o.win.DW * t.along(o.out.h, o.win.DH) }

// tiles returns the number of tiles of an image.
func (t tiling) tiles(o *conv) int { return t.rows(o) * t.along(o.out.w, o.win.DW) }

// along returns the number of tiles along an axis of n pixels of a phase.
func (t tiling) along(n, dilation int) int { return ((n+dilation-1)/dilation + t.m - 1) / t.m }

func (t tiling) cost(o *conv) float64 {
	d, s := o.out, o.in
	tiles := t.tiles(o)
	products, sums := t.positions(o)
	ic, oc := alignTo(s.c, 16), alignTo(d.c, 16)
	macs := float64(d.n*tiles*products) * float64(alignTo(s.c, 8)) * float64(oc)
	calls := float64(d.n*products*alignTo(oc, 32)/32*((tiles+tilePixels-1)/tilePixels))*tileNs +
		float64(d.n*t.rows(o)*(ic+oc)/16)*runNs
	moved := float64(d.n*tiles) * float64(products*ic+sums*oc) * 2
	if o.win.DH > 1 { // the kernel gathers and spreads pixels
		moved += float64(d.n*tiles) * float64(products*ic+t.m*t.m*oc) * 2
	}
	share := o.sharing(tiles)
	return macs/macsPerNs/tileEfficiency(tiles*share) + moved/transformPerNs + o.streamCost(products*ic*oc, tiles*share)*float64(d.n)/float64(share) + calls
}

// blocking returns the number of tiles that are transformed together, and the
// number of blocks of 32 output channels that are multiplied before their output
// transform. The transformed input takes at most half of L2.
func (t tiling) blocking(o *conv) (tiles, outBlocks int) {
	const l2Floats = 1 << 17
	products, sums := t.positions(o)
	all := t.tiles(o)
	perTile := products * alignTo(o.in.c, 16)
	// With fewer than two register tiles the weights, read once per block of
	// tiles, take longer than the products.
	tiles = max(2*tilePixels, l2Floats/perTile/tilePixels*tilePixels)
	blocks := (all + tiles - 1) / tiles
	tiles = (all + blocks - 1) / blocks * o.sharing(all)
	outBlocks = 1
	for outBlocks < 4 && outBlocks*2 <= alignTo(o.out.c, 32)/32 && sums*tiles*outBlocks*64 < l2Floats/2 {
		outBlocks *= 2
	}
	return tiles, outBlocks
}

// sharing returns the number of images whose tiles are transformed together, so that
// they share a reading of the weights. tiles is the number of tiles of an image.
func (o *conv) sharing(tiles int) int { return max(1, min(o.batch, sharedTiles/tiles)) }

// sharedTiles is the maximum number of tiles of several images that are transformed
// together.
const sharedTiles = 4 * tilePixels

func (t tiling) prepared(w ir.Shape) int {
	switch {
	case t.strided:
		return pack.StridedLen(w[0], w[1])
	case w[2] == 5:
		return pack.WinogradLen(4, w[0], w[1])
	}
	return pack.WinogradLen(t.m, w[0], w[1])
}

// weights stores the weights in the form of direct convolution. A load step
// transforms them.
func (t tiling) weights(b *builder, o *conv) kernel.Ref {
	w := o.w
	stored, five := b.packConv(w), w.Shape[2] == 5
	doc := fmt.Sprintf("Winograd F(%d×%d) weights", t.m, t.m)
	switch {
	case t.strided:
		doc = "Winograd weights for stride 2"
	case five:
		doc = "Winograd F(2×2,5×5) weights"
	}
	return b.transformed(w, t.prepared(w.Shape), doc, stored, func(dst kernel.Ref) kernel.Kernel {
		return &kernel.WinogradWeights{M: t.m, Strided: t.strided, Five: five, IC: w.Shape[1], OC: w.Shape[0], W: stored, Format: b.format(w), Dst: dst}
	})
}

func (t tiling) kernel(o *conv, w kernel.Ref) *kernel.Winograd {
	tiles, blocks := t.blocking(o)
	k := &kernel.Winograd{M: t.m, Strided: t.strided, Five: o.win.KH == 5, Src: o.src.img(), Dst: o.dst.img(), W: w, Bias: o.bias, Residual: o.residual.img(),
		Scale: o.scale, Shift: o.shift, Pre: o.pre, Act: o.act, PadTop: o.win.PadTop, PadLeft: o.win.PadLeft,
		Tiles: tiles, OutBlocks: blocks}
	if o.win.DH > 1 {
		k.Dilation = o.win.DH
	}
	return k
}

// pool returns the constructor of a kernel that also computes a max pool whose
// windows lie inside tiles, as in VGG. The outputs of a tile are in registers, so
// the result of the convolution is not written to memory.
func (t tiling) pool(b *builder, o *conv, w kernel.Ref, pool *ir.Node) (string, func(dst *place) kernel.Kernel) {
	p := pool.Op.(ir.Pool)
	if o.hasResidual() || t.strided || o.win.DH > 1 || o.win.KH != 3 || apart(pool, p) != "" || t.m%p.Kernel[0] != 0 {
		return "", nil
	}
	size := p.Kernel[0]
	return t.poolDoc(pool, size), func(dst *place) kernel.Kernel {
		k := t.kernel(o, w)
		k.Dst, k.Pool = dst.img(), size
		return k
	}
}

// poolDoc returns the text for a pool of windows of size×size in the documentation of a
// step.
func (t tiling) poolDoc(pool *ir.Node, size int) string {
	return fmt.Sprintf(", max pool %d×%d to %s", size, size, plan.Extents(pool.Out[0].Type.Shape[2:]...))
}

// apart returns the reason why the windows of a pool do not divide its operand
// into squares, or why it is not a max pool. It returns "" for a max pool whose
// windows do.
func apart(n *ir.Node, p ir.Pool) string {
	x, y := n.In[0].Type.Shape, n.Out[0].Type.Shape
	switch {
	case p.Kind != ir.MaxPool:
		return "not a maximum"
	case len(p.Kernel) != 2 || p.Kernel[0] != p.Kernel[1]:
		return "windows are not square"
	case p.Kernel[0] == 1:
		return "windows are single pixels"
	case !slices.Equal(p.Kernel, p.Strides):
		return "windows overlap"
	case y[2]*p.Kernel[0] > x[2] || y[3]*p.Kernel[1] > x[3] || slices.ContainsFunc(p.Pads, func(p int) bool { return p != 0 }):
		return "windows leave the operand"
	}
	return ""
}
