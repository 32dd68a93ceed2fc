package passes

import (
	"slices"

	"modelc/ir"
	"modelc/ir/eval"
)

// maxGrowth is the maximum number of elements by which a folded constant may exceed its
// operands. It is better to expand one value to a picture at run time than to store the
// picture.
const maxGrowth = 1 << 16

// The maximum number of floating-point operations of all folded nodes: a number that takes
// seconds, and a number for each element of a constant of the file, for arithmetic on
// weights. Moving an element takes as long as moveWork operations.
const (
	freeFoldWork = 1 << 29
	maxFoldWork  = 64
	moveWork     = 8
)

// maxUnused is the maximum number of bytes of constants that are kept without a reader.
const maxUnused = 1 << 26

// foldConstants computes nodes whose operands are all constants.
//
// It does not change nodes whose results are much larger than their operands, or when the
// folded constants become too large or the work too long. It does not dequantise
// constants, because form_integers needs the integers.
func foldConstants(g *ir.Graph, _ *Config) (int, error) { return computeConstants(g, false) }

// computeConstants computes nodes whose operands are all constants, also Dequantize if
// dequantise is set.
func computeConstants(g *ir.Graph, dequantise bool) (int, error) {
	changed, bytes, unused, work := 0, int64(0), int64(0), int64(freeFoldWork)
	for _, v := range g.Constants {
		if !v.Const.IsFilled() {
			work += maxFoldWork * int64(v.Type.Shape.Len())
		}
	}
	for _, n := range nodes(g) {
		if _, ok := n.Op.(ir.Dequantize); ok && !dequantise {
			continue
		}
		in := make([]*ir.Tensor, len(n.In))
		size, all := 0, true
		for i, v := range n.In {
			if v == nil {
				continue
			}
			if v.Const == nil {
				all = false
				break
			}
			in[i] = v.Const
			size += v.Const.Shape.Len()
		}
		if !all {
			continue
		}
		if err := ir.CheckConstants(n); err != nil {
			return changed, err
		}
		result := 0
		for _, v := range n.Out {
			result += v.Type.Shape.Len()
		}
		if result > size+maxGrowth {
			continue
		}
		made, cost := int64(0), max(ir.FLOPs(n), moveWork*int64(result))
		for _, t := range n.OutTypes() {
			made += int64(t.Bytes())
		}
		if cost > work || g.Bounds.Check(ir.BoundConstants, 8*(bytes+made)) != nil {
			continue
		}
		work, bytes = work-cost, bytes+made
		out, err := eval.Node(n, in)
		if err != nil {
			return changed, err
		}
		for i, v := range n.Out {
			if len(v.Uses()) > 0 {
				g.ReplaceUses(v, g.AddConst(v.Name+".folded", out[i]))
			}
		}
		g.Remove(n)
		changed++
		for i, v := range n.In {
			if v != nil && len(v.Uses()) == 0 && !slices.Contains(n.In[:i], v) {
				unused += int64(v.Type.Bytes())
				bytes -= int64(v.Type.Bytes())
			}
		}
		if unused > maxUnused {
			g.PruneConstants()
			unused = 0
		}
	}
	return changed, nil
}
