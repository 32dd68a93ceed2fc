package quantise

import (
	"slices"

	"modelc/ir"
)

// Passes are the passes that run before NewPlan. They fold batch normalisations and bring the
// graph to the form that engines optimise, and make only ops that ONNX has.
var Passes = []string{"fold_constants", "remove_noops", "merge_reshapes", "recognise_activations", "recognise_upsampling", "sink_transpose",
	"fold_pad", "trim_kernels", "fold_batchnorm", "dense_bias", "flatten_concat", "common_subexpressions", "dead_code"}

// Prepare splits means of images without kept axes into a global average pool and a reshape.
// Engines have integer kernels for the pool.
func Prepare(g *ir.Graph) error {
	for _, n := range slices.Clone(g.Nodes) {
		op, ok := n.Op.(ir.Reduce)
		if rank := n.In[0].Type.Rank(); !ok || op.Fn != ir.ReduceMean || op.KeepDims || rank < 3 || !slices.Equal(op.Axes, ir.SpatialAxes(rank)) {
			continue
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
	}
	return nil
}
