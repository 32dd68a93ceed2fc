package passes

import (
	"modelc/ir"
	"modelc/ir/eval"
)

// maxGrowth is the maximum number of elements by which a folded constant may exceed its
// operands. It is better to expand one value to a picture at run time than to store the
// picture.
const maxGrowth = 1 << 16

// foldConstants computes nodes whose operands are all constants.
//
// It does not change nodes whose results are much larger than their operands. It does not
// dequantise constants, because form_integers needs the integers.
func foldConstants(g *ir.Graph, _ *Config) (int, error) { return computeConstants(g, false) }

// computeConstants computes nodes whose operands are all constants, also Dequantize if
// dequantise is set.
func computeConstants(g *ir.Graph, dequantise bool) (int, error) {
	changed := 0
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
		result := 0
		for _, v := range n.Out {
			result += v.Type.Shape.Len()
		}
		if result > size+maxGrowth {
			continue
		}
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
	}
	return changed, nil
}
