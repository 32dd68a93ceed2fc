package quantise

import (
	"slices"

	"modelc/ir"
)

// Passes are the passes that run before NewPlan. They fold batch normalisations and bring the
// graph to the form that engines optimise, and make only ops that ONNX has.
var Passes = []string{"fold_constants", "remove_noops", "merge_reshapes", "recognise_activations", "recognise_upsampling", "sink_transpose",
	"fold_pad", "trim_kernels", "fold_batchnorm", "dense_bias", "flatten_concat", "common_subexpressions", "dead_code"}

// Prepare rewrites g so that fewer results are rounded. It runs after Passes.
//
// It splits means of images without kept axes into a global average pool and a reshape, because
// engines have integer kernels for the pool. It moves a ReLU or clip behind a concatenation to
// the operands, where it becomes the range of the layers that compute them; the result of the
// concatenation then is rounded once, to half the range.
func Prepare(g *ir.Graph) error {
	moved := map[*ir.Value]map[ir.Op]*ir.Value{}
	for _, n := range slices.Clone(g.Nodes) {
		var err error
		switch op := n.Op.(type) {
		case ir.Reduce:
			err = splitMean(g, n, op)
		case ir.Unary:
			if c := n.In[0].Def(); roleOf(n) == clips && c != nil && isConcat(c.Op) && n.In[0].OnlyUse() == n {
				err = moveClip(g, n, c, moved)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func splitMean(g *ir.Graph, n *ir.Node, op ir.Reduce) error {
	rank := n.In[0].Type.Rank()
	if op.Fn != ir.ReduceMean || op.KeepDims || rank < 3 || !slices.Equal(op.Axes, ir.SpatialAxes(rank)) {
		return nil
	}
	op.KeepDims = true
	pool, err := g.InsertBefore(n, n.Name, op, n.In...)
	if err != nil {
		return err
	}
	flat, err := g.InsertBefore(n, n.Name, ir.Reshape{Shape: n.Out[0].Type.Shape}, pool.Out[0])
	if err != nil {
		return err
	}
	pool.Absorb(n)
	g.ReplaceUses(n.Out[0], flat.Out[0])
	g.Remove(n)
	return nil
}

// moveClip moves the function n of the concatenation c to the operands of c. moved has the
// functions of values that exist already: several concatenations may have the same operands.
func moveClip(g *ir.Graph, n, c *ir.Node, moved map[*ir.Value]map[ir.Op]*ir.Value) error {
	in := make([]*ir.Value, len(c.In))
	for i, v := range c.In {
		if moved[v] == nil {
			moved[v] = map[ir.Op]*ir.Value{}
		}
		if moved[v][n.Op] == nil {
			f, err := g.InsertBefore(c, n.Name, n.Op, v)
			if err != nil {
				return err
			}
			f.Absorb(n)
			moved[v][n.Op] = f.Out[0]
		}
		in[i] = moved[v][n.Op]
	}
	joined, err := g.InsertBefore(n, c.Name, c.Op, in...)
	if err != nil {
		return err
	}
	joined.Absorb(c)
	g.ReplaceUses(n.Out[0], joined.Out[0])
	g.Remove(n)
	g.Remove(c)
	return nil
}
