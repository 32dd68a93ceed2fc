package modelc

import (
	"fmt"

	"modelc/ir"
)

// Fused counts the nodes of kinds that other steps can compute.
type Fused struct {
	BatchNorms  Count `json:"batch_norms"`
	Activations Count `json:"activations"`
	Sums        Count `json:"sums"` // of two computed tensors
	Pools       Count `json:"pools"`
	// Transposes.Left does not count transpositions of an input or output of the
	// model, or of an image that is unpacked. A step must write those elements
	// anyway.
	Transposes Count `json:"transposes"`
	Concats    Count `json:"concats"` // Left is the number of copied operands
	// Folded is the number of BatchNorms that became part of weights.
	// Convolutions and pools apply the other ones to their inputs.
	Folded int `json:"batch_norms_folded"`
	// Steps has the name and documentation of the steps that the Left fields
	// count.
	Steps []string `json:"left"`
}

// Count is the number of nodes of a kind.
type Count struct {
	Of   int `json:"of"`   // number in the graph of the model
	Left int `json:"left"` // number of steps that compute only such a node
}

// fused counts the nodes of c.
func (c *Compiled) fused() Fused {
	var f Fused
	count := func(n *ir.Node) *Count {
		switch op := n.Op.(type) {
		case ir.BatchNorm, ir.Affine:
			return &f.BatchNorms
		case ir.Unary, ir.PRelu:
			return &f.Activations
		case ir.Binary:
			if op.Fn == ir.Add && n.In[0].Const == nil && n.In[1].Const == nil {
				return &f.Sums
			}
		case ir.Pool:
			return &f.Pools
		case ir.Transpose:
			return &f.Transposes
		case ir.Concat:
			return &f.Concats
		}
		return nil
	}
	for _, n := range c.Before.Nodes {
		if k := count(n); k != nil {
			k.Of++
		}
	}
	// A convolution or pool that applies a normalisation has its scale as an
	// operand.
	through := map[*ir.Value]bool{}
	for _, n := range c.Graph.Nodes {
		switch n.Op.(type) {
		case ir.Conv:
			through[n.Input(ir.ConvScale)] = true
		case ir.Pool:
			through[n.Input(ir.PoolScale)] = true
		case ir.Affine, ir.BatchNorm:
			through[n.Out[0]] = true
		}
	}
	delete(through, nil)
	f.Folded = max(0, f.BatchNorms.Of-len(through))
	for i, l := range c.Program.Layers {
		if l.Node == nil {
			continue
		}
		if k := count(l.Node); k != nil && !c.movesAnyway(i) {
			k.Left++
			f.Steps = append(f.Steps, fmt.Sprintf("%s: %s", l.Name, l.Doc))
		}
	}
	return f
}

// movesAnyway reports whether step i is a transposition of an input or output of
// the model, or of an image that is unpacked. A step must write those elements
// anyway.
func (c *Compiled) movesAnyway(i int) bool {
	l := &c.Program.Layers[i]
	n := l.Node
	if _, ok := n.Op.(ir.Transpose); !ok {
		return false
	}
	return l.MovesLayout || n.In[0].Def() == nil || n.Out[0].IsOutput()
}
