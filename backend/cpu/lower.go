package cpu

import (
	"fmt"

	"modelc/ir"
)

// lowering is a row of the table of ops: how nodes become steps.
type lowering struct {
	rules
	image lowerFunc // used where rules.fits says so
	dense lowerFunc
}

// lowerFunc emits the steps of one node and gives its results places.
type lowerFunc func(b *builder, n *ir.Node) error

// do makes a lowerFunc of a function that takes the op by its type.
func do[O ir.Op](f func(b *builder, n *ir.Node, op O) error) lowerFunc {
	return func(b *builder, n *ir.Node) error { return f(b, n, n.Op.(O)) }
}

// lowerings has a row for each op, by name.
var lowerings = map[string]lowering{
	"Conv":              {convRules, do((*builder).convImage), do((*builder).convPlain)},
	"ConvTranspose":     {dense: do((*builder).convTransposePlain)},
	"Dense":             {dense: do((*builder).denseLayer)},
	"MatMul":            {dense: do((*builder).matMul)},
	"Pool":              {poolRules, do((*builder).poolImage), do((*builder).poolPlain)},
	"MaxUnpool":         {dense: do((*builder).maxUnpoolPlain)},
	"Reduce":            {globalPoolRules, do((*builder).globalPool), do((*builder).reducePlain)},
	"BatchNorm":         {batchNormRules, do((*builder).batchNormImage), do((*builder).batchNormPlain)},
	"Affine":            {affineRules, do((*builder).affineImage), do((*builder).affinePlain)},
	"LRN":               {lrnRules, do((*builder).lrnImage), do((*builder).lrnPlain)},
	"Normalize":         {normalizeRules, do((*builder).normalizeImage), do((*builder).normalizePlain)},
	"Unary":             {unaryRules, do((*builder).unaryImage), do((*builder).unaryPlain)},
	"Binary":            {binaryRules, do((*builder).binaryImage), do((*builder).binaryPlain)},
	"PRelu":             {preluRules, do((*builder).preluImage), do((*builder).preluPlain)},
	"Where":             {dense: do((*builder).wherePlain)},
	"Cast":              {dense: do((*builder).castPlain)},
	"Softmax":           {dense: do((*builder).softmaxPlain)},
	"ArgReduce":         {dense: do((*builder).argReducePlain)},
	"TopK":              {dense: do((*builder).topKPlain)},
	"NonMaxSuppression": {dense: do((*builder).nonMaxSuppression)},
	"Reshape":           {dense: do((*builder).reshape)},
	"Transpose":         {dense: do((*builder).transpose)},
	"Concat":            {concatRules, do((*builder).concatImage), do((*builder).concatPlain)},
	"Interleave":        {interleaveRules, do((*builder).interleaveImage), do((*builder).interleavePlain)},
	"Slice":             {sliceRules, do((*builder).sliceImage), do((*builder).slicePlain)},
	"Pad":               {padRules, do((*builder).padImage), do((*builder).padPlain)},
	"Expand":            {dense: do((*builder).expandPlain)},
	"Gather":            {gatherRules, do((*builder).selectImage), do((*builder).gatherPlain)},
	"Resize":            {resizeRules, do((*builder).resizeImage), do((*builder).resizePlain)},
	"GridSample":        {dense: do((*builder).gridSamplePlain)},
}

func rulesOf(op ir.Op) rules { return lowerings[op.Name()].rules }

// lower emits the steps of n and gives its results places.
func (b *builder) lower(n *ir.Node) error {
	elements := 0
	for _, v := range n.Out {
		elements += v.Type.Shape.Len()
	}
	if elements == 0 {
		for _, v := range n.Out {
			b.newDense(v) // nothing to compute
		}
		return nil
	}
	row := lowerings[n.Op.Name()]
	switch {
	case b.node[n]:
		return row.image(b, n)
	case row.dense != nil:
		return row.dense(b, n)
	}
	return fmt.Errorf("no kernel for this op")
}
