package modelc

import (
	"fmt"

	"modelc/ir"
)

// Fused counts the cheap nodes of a model and those among them that are still
// steps of their own.
type Fused struct {
	BatchNorms  Count `json:"batch_norms"`
	Activations Count `json:"activations"`
	Sums        Count `json:"sums"` // of two computed tensors
	Pools       Count `json:"pools"`
	// Transposes that bring an input or output of the model into its layout,
	// or happen as an image is unpacked, are not left: something has to write
	// those elements anyway.
	Transposes Count `json:"transposes"`
	Concats    Count `json:"concats"` // Left counts copies of operands
	// Folded is how many of BatchNorms went into weights; the others are read
	// through by convolutions and pools.
	Folded int `json:"batch_norms_folded"`
	// Steps describe what is left, and why where that is known.
	Steps []string `json:"left"`
}

// Count is how many nodes of a kind a model has and how many steps are left
// of them.
type Count struct {
	Of   int `json:"of"`
	Left int `json:"left"`
}

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
	// What reads through a normalisation names its scale.
	through := map[*ir.Value]bool{}
	for _, n := range c.Graph.Nodes {
		switch n.Op.(type) {
		case ir.Conv:
			through[n.Input(4)] = true
		case ir.Pool:
			through[n.Input(1)] = true
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

// movesAnyway reports whether step i is a transposition that costs nothing of
// its own: of what the model is given or returns, or of an image unpacked.
func (c *Compiled) movesAnyway(i int) bool {
	l := &c.Program.Layers[i]
	n := l.Node
	if _, ok := n.Op.(ir.Transpose); !ok {
		return false
	}
	return l.MovesLayout || n.In[0].Def() == nil || n.Out[0].IsOutput()
}
