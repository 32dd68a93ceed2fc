package schedule

import (
	"fmt"

	"modelc/ir"
)

// chooseAlgorithm picks the kernel of a convolution over all its channels and
// says why.
func chooseAlgorithm(o convOperands, cfg Config) (ir.Algorithm, string) {
	g := o.geo
	switch {
	case g.kh == 1 && g.kw == 1:
		return ir.AlgPointwise, ""
	case g.kh != 3 || g.kw != 3 || g.sh != 1 || g.sw != 1 || g.dh != 1 || g.dw != 1:
		return ir.AlgDirect, ""
	case g.padTop < 0 || g.padLeft < 0:
		return ir.AlgDirect, ", crops"
	case cfg.Exact:
		return ir.AlgDirect, ", exact"
	}
	direct := directCost(o)
	best, cost := ir.AlgDirect, direct
	for _, a := range candidates {
		if c := winogradCost(o, winogradTile(a)); c < cost {
			best, cost = a, c
		}
	}
	if best == ir.AlgDirect {
		return best, ", small"
	}
	return best, fmt.Sprintf(", %.2g× the direct cost", cost/direct)
}

// candidates are the algorithms that compete with direct convolution.
// F(6×6) would be about 6 % faster than F(4×4) on maps of 28 pixels and more,
// but its error, three times larger, brings VGG-16 to the tolerance of 1e-4.
var candidates = []ir.Algorithm{ir.AlgWinograd2, ir.AlgWinograd4}

// winogradTile returns M of F(M×M,3×3), 0 for other algorithms.
func winogradTile(a ir.Algorithm) int {
	switch a {
	case ir.AlgWinograd2:
		return 2
	case ir.AlgWinograd4:
		return 4
	case ir.AlgWinograd6:
		return 6
	}
	return 0
}
