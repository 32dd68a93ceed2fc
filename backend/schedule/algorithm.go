package schedule

import (
	"fmt"

	"modelc/ir"
)

// Choice is what a convolution's kernel was chosen from.
type Choice struct {
	Algorithm ir.Algorithm
	Why       string // a reason for people
	// Estimates of the cost model in nanoseconds, one core, for each algorithm
	// that is possible; nil where there is only one.
	Estimates map[ir.Algorithm]float64
}

// chooseAlgorithm picks the kernel of a convolution over all its channels and
// says why.
func (b *builder) chooseAlgorithm(o convOperands) (Choice, string) {
	g := o.geo
	switch {
	case g.kh == 1 && g.kw == 1:
		return b.choosePointwise(o)
	case g.kh != g.kw || g.kh != 3 && g.kh != 5:
		return Choice{Algorithm: ir.AlgDirect, Why: "Winograd needs a kernel of 3×3 or 5×5"}, ""
	case g.sh != g.sw || g.sh > 2 || g.dh != g.dw || g.dh > 1 && g.sh > 1 || g.kh == 5 && g.sh*g.dh > 1:
		return Choice{Algorithm: ir.AlgDirect, Why: "Winograd needs stride 1, or for 3×3 stride 2 or a dilation"}, ""
	case g.sh == 2 && (o.dst.dims.h%2 == 1 || o.dst.dims.w%2 == 1 || o.transforms()):
		return Choice{Algorithm: ir.AlgDirect, Why: "Winograd of stride 2 needs even extents and no prologue"}, ""
	case g.padTop < 0 || g.padLeft < 0:
		return Choice{Algorithm: ir.AlgDirect, Why: "it crops its operand"}, ", crops"
	case b.cfg.Exact:
		return Choice{Algorithm: ir.AlgDirect, Why: "exact"}, ", exact"
	case ir.SumsIntegers(o.node):
		return Choice{Algorithm: ir.AlgDirect, Why: "sums of integers are exact without Winograd"}, ", integers"
	case ir.RoundsResult(o.node):
		return Choice{Algorithm: ir.AlgDirect, Why: "its result is rounded, where a small error may become a whole step"}, ", rounded"
	}
	if o.gathers() {
		// Direct, it reads weights packed in another way. One choice for every
		// batch size keeps one packing in the file.
		o = o.single()
	}
	direct := directCost(o)
	c := Choice{Algorithm: ir.AlgDirect, Why: "cheapest by the cost model", Estimates: map[ir.Algorithm]float64{ir.AlgDirect: direct}}
	for _, a := range o.candidates() {
		c.Estimates[a] = winogradCost(o, a)
		if c.Estimates[a] < c.Estimates[c.Algorithm] {
			c.Algorithm = a
		}
	}
	if b.measured(&c, o.node) {
		return c, ", as measured"
	}
	if b.light[NodeName(o.node)] {
		c.Algorithm, c.Why = ir.AlgWinograd2, "F(4×4) would take more memory for little"
		return c, fmt.Sprintf(", %.2g× the direct cost, less memory than F(4×4)", c.Estimates[c.Algorithm]/direct)
	}
	if c.Algorithm == ir.AlgDirect {
		return c, ", small"
	}
	return c, fmt.Sprintf(", %.2g× the direct cost", c.Estimates[c.Algorithm]/direct)
}

// measured sets the algorithm that measurements chose for a convolution, if it
// is possible.
func (b *builder) measured(c *Choice, n *ir.Node) bool {
	a, ok := b.cfg.Algorithms[NodeName(n)]
	if ok = ok && c.Estimates[a] > 0; ok {
		c.Algorithm, c.Why = a, "as measured"
	}
	return ok
}

// choosePointwise is chooseAlgorithm for a 1×1 kernel.
func (b *builder) choosePointwise(o convOperands) (Choice, string) {
	c := Choice{Algorithm: ir.AlgPointwise, Why: "a 1×1 kernel is a matrix product over the pixels"}
	if !o.halves() || b.cfg.Exact || ir.SumsIntegers(o.node) || ir.RoundsResult(o.node) {
		return c, ""
	}
	o = o.single()
	direct, strassen := directCost(o), strassenCost(o)
	c.Estimates = map[ir.Algorithm]float64{ir.AlgPointwise: direct, ir.AlgStrassen: strassen}
	if b.measured(&c, o.node) {
		return c, ", as measured"
	}
	if strassen > strassenGain*direct {
		return c, ""
	}
	c.Algorithm, c.Why = ir.AlgStrassen, "cheapest by the cost model"
	return c, fmt.Sprintf(", %.2g× the direct cost", strassen/direct)
}

// strassenGain is the part of direct convolution's cost from which on Strassen's
// algorithm is not worth its memory and rounding.
const strassenGain = 0.97

// halves reports whether the channels of a 1×1 convolution fall into halves of
// whole blocks, and no padding takes part.
func (o *convOperands) halves() bool {
	g := o.geo
	return o.src.dims.c%32 == 0 && o.dst.dims.c%64 == 0 && o.groups <= 1 && g.padTop == 0 && g.padLeft == 0 &&
		(o.dst.dims.h-1)*g.sh < o.src.dims.h && (o.dst.dims.w-1)*g.sw < o.src.dims.w
}

// single returns the operands of one example.
func (o convOperands) single() convOperands {
	src, dst := *o.src, *o.dst
	src.dims.n, dst.dims.n = 1, 1
	o.src, o.dst = &src, &dst
	return o
}

// candidates are the algorithms that compete with direct convolution for a 3×3
// or 5×5 kernel.
// F(6×6) would be about 6 % faster than F(4×4) on maps of 28 pixels and more,
// but its error, three times larger, brings VGG-16 to the tolerance of 1e-4.
func (o *convOperands) candidates() []ir.Algorithm {
	switch {
	case o.geo.sh == 2:
		return []ir.Algorithm{ir.AlgWinogradStrided}
	case o.geo.kh == 5:
		return []ir.Algorithm{ir.AlgWinograd2}
	}
	return []ir.Algorithm{ir.AlgWinograd2, ir.AlgWinograd4}
}

// winogradTile returns M of F(M×M,3×3) or F(M×M,5×5), 0 for other algorithms.
func winogradTile(a ir.Algorithm) int {
	switch a {
	case ir.AlgWinograd2, ir.AlgWinogradStrided:
		return 2
	case ir.AlgWinograd4:
		return 4
	case ir.AlgWinograd6:
		return 6
	}
	return 0
}

// winogradPositions returns how many products a tile of channels needs, and how
// many sums of them are transformed to its outputs.
func (o *convOperands) winogradPositions(a ir.Algorithm) (products, sums int) {
	if a == ir.AlgWinogradStrided {
		return 25, 9
	}
	side := winogradTile(a) + o.geo.kh - 1
	return side * side, side * side
}
