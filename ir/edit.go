package ir

import (
	"fmt"
	"slices"
)

// SetInput replaces operand i of n, or adds it if n has fewer operands. A nil v removes
// an optional operand. Call [Graph.Retype] after an edit that changes the types of
// results.
func (g *Graph) SetInput(n *Node, i int, v *Value) {
	for len(n.In) <= i {
		n.In = append(n.In, nil)
	}
	n.In[i].dropUse(Use{n, i})
	n.In[i] = v
	v.addUse(Use{n, i})
	for len(n.In) > 0 && n.In[len(n.In)-1] == nil {
		n.In = n.In[:len(n.In)-1]
	}
}

// SetInputs replaces all operands of n.
func (g *Graph) SetInputs(n *Node, in ...*Value) {
	for i, v := range n.In {
		v.dropUse(Use{n, i})
	}
	n.In = n.In[:0:0]
	for i, v := range in {
		if v != nil {
			g.SetInput(n, i, v)
		}
	}
}

// Retype infers the result types of n again after its op or operands changed.
func (g *Graph) Retype(n *Node) error {
	types, err := inferNode(n)
	if err != nil {
		return err
	}
	if len(types) != len(n.Out) {
		return fmt.Errorf("%s: %d results became %d", n, len(n.Out), len(types))
	}
	for i, t := range types {
		n.Out[i].Type = t
	}
	return nil
}

// ReplaceUses makes every reader of old read v, including outputs of the graph.
func (g *Graph) ReplaceUses(old, v *Value) {
	if old == v {
		return
	}
	for _, u := range slices.Clone(old.uses) {
		if u.Node == nil {
			g.Outputs[u.Index].Value = v
			old.dropUse(u)
			v.addUse(u)
		} else {
			g.SetInput(u.Node, u.Index, v)
		}
	}
}

// SetOutput makes result i of the graph v.
func (g *Graph) SetOutput(i int, v *Value) {
	g.Outputs[i].Value.dropUse(Use{nil, i})
	g.Outputs[i].Value = v
	v.addUse(Use{nil, i})
}

// Rename changes the name of v to name, with a suffix if another value has that name.
func (g *Graph) Rename(v *Value, name string) {
	g.freeName(v.Name)
	v.Name = g.UniqueName(name)
	g.names[v.Name] = true
}

// Remove deletes a node whose results have no readers. It panics if a result has a
// reader.
func (g *Graph) Remove(n *Node) {
	for _, v := range n.Out {
		if len(v.uses) > 0 {
			panic(fmt.Sprintf("ir: remove %s: %s still has %d uses", n, v, len(v.uses)))
		}
		g.freeName(v.Name)
	}
	for i, v := range n.In {
		v.dropUse(Use{n, i})
	}
	i := slices.Index(g.Nodes, n)
	g.Nodes = slices.Delete(g.Nodes, i, i+1)
}

// Prune removes every node and constant that no graph output depends on, and returns the
// removed nodes. It keeps inputs, because they are the interface of the model.
func (g *Graph) Prune() []*Node {
	live := map[*Node]bool{}
	var visit func(v *Value)
	visit = func(v *Value) {
		if v == nil || v.def == nil || live[v.def] {
			return
		}
		live[v.def] = true
		for _, in := range v.def.In {
			visit(in)
		}
	}
	for _, o := range g.Outputs {
		visit(o.Value)
	}
	var gone []*Node
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n *Node) bool {
		if live[n] {
			return false
		}
		for i, v := range n.In {
			v.dropUse(Use{n, i})
		}
		for _, v := range n.Out {
			g.freeName(v.Name)
		}
		gone = append(gone, n)
		return true
	})
	g.PruneConstants()
	return gone
}

// PruneConstants removes every constant without a reader.
func (g *Graph) PruneConstants() {
	g.Constants = slices.DeleteFunc(g.Constants, func(v *Value) bool {
		if len(v.uses) > 0 {
			return false
		}
		g.freeName(v.Name)
		return true
	})
}

// Sort restores topological order after edits that make nodes read later values. It is
// stable: a node moves only as far as its operands require. Sort fails if the graph has a
// cycle.
func (g *Graph) Sort() error {
	const (
		unseen = iota
		active
		done
	)
	state := make(map[*Node]int, len(g.Nodes))
	order := make([]*Node, 0, len(g.Nodes))
	var visit func(n *Node) error
	visit = func(n *Node) error {
		switch state[n] {
		case done:
			return nil
		case active:
			return fmt.Errorf("%s: the graph has a cycle through this node", n)
		}
		state[n] = active
		for _, v := range n.In {
			if v != nil && v.def != nil {
				if err := visit(v.def); err != nil {
					return err
				}
			}
		}
		state[n] = done
		order = append(order, n)
		return nil
	}
	for _, n := range g.Nodes {
		if err := visit(n); err != nil {
			return err
		}
	}
	g.Nodes = order
	return nil
}
