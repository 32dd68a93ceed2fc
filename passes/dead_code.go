package passes

import (
	"fmt"
	"strings"

	"modelc/ir"
)

// deadCode removes nodes and constants that no output depends on. It keeps inputs, because
// they are the interface of the model.
func deadCode(g *ir.Graph, _ *Config) (int, error) { return len(g.Prune()), nil }

// commonSubexpressions computes nodes with equal ops and operands once.
// It is always legal, because ops have no side effects. It does not compare the elements of
// constants.
func commonSubexpressions(g *ir.Graph, _ *Config) (int, error) {
	seen := map[string]*ir.Node{}
	changed := 0
	for _, n := range nodes(g) {
		var key strings.Builder
		fmt.Fprintf(&key, "%s %+v", n.Op.Name(), n.Op)
		for _, v := range n.In {
			fmt.Fprintf(&key, " %p", v)
		}
		first, ok := seen[key.String()]
		if !ok {
			seen[key.String()] = n
			continue
		}
		for i, v := range n.Out {
			g.ReplaceUses(v, first.Out[i])
		}
		first.Absorb(n)
		g.Remove(n)
		changed++
	}
	return changed, nil
}
