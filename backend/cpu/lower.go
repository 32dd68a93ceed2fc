package cpu

import (
	"fmt"

	"modelc/ir"
)

// families has the rows of each file that lowers ops.
var families = []map[string]lowering{
	convLowerings, denseLowerings, elementwiseLowerings, movementLowerings, poolLowerings, quantisedLowerings, reduceLowerings, resizeLowerings,
}

// lowerings is the table of ops, by name.
var lowerings = map[string]lowering{}

func init() {
	for _, f := range families {
		for name, row := range f {
			if _, ok := lowerings[name]; ok {
				panic("cpu: op lowered twice: " + name)
			}
			lowerings[name] = row
		}
	}
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
			b.newDense(v) // empty
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
