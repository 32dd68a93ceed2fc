package ir

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Graph is a network: values connected by nodes in topological order.
//
// The exported slices are for reading. Edits go through the methods, which
// keep producers and uses consistent; [Verify] finds what was missed.
type Graph struct {
	Name      string
	Inputs    []*Value
	Outputs   []Output
	Nodes     []*Node
	Constants []*Value

	names map[string]bool // every value name in use
	// taken says that name.1 to name.taken[name] are in use, so that a file with
	// thousands of equal names does not make the search for a free one quadratic.
	taken map[string]int
}

// Output is a result of the graph under the name the model gave it, which
// stays when passes replace the value behind it.
type Output struct {
	Name  string
	Value *Value
}

// Value is a tensor in the graph: an input, a constant or the result of a
// node. It has exactly one producer.
type Value struct {
	Name  string // unique in the graph
	Type  Type
	Const *Tensor // non-nil for a constant

	def  *Node
	uses []Use
}

// Use is one place where a value is read: operand Index of Node, or output
// Index of the graph when Node is nil.
type Use struct {
	Node  *Node
	Index int
}

// Node applies an op to values.
type Node struct {
	Name string // from the model, for people; may be empty or repeated
	Op   Op
	In   []*Value // nil for an absent optional operand; edit by Graph.SetInput
	Out  []*Value
	// Origins are the nodes whose work n does, of the graph that this one was
	// cloned from: itself at first, and what passes let it [Node.Absorb].
	// Empty for a node that only a pass needs.
	Origins []*Node
}

// NewGraph returns an empty graph.
func NewGraph(name string) *Graph {
	return &Graph{Name: name, names: map[string]bool{}, taken: map[string]int{}}
}

// Def returns the node that computes v, nil for an input or a constant.
func (v *Value) Def() *Node { return v.def }

// Uses returns every place that reads v, graph outputs included.
func (v *Value) Uses() []Use { return v.uses }

// OnlyUse returns the node that is v's single reader. It returns nil when v
// has several readers or is a graph output: the question a fusion asks before
// it lets v disappear.
func (v *Value) OnlyUse() *Node {
	if len(v.uses) != 1 {
		return nil
	}
	return v.uses[0].Node
}

// IsOutput reports whether v is a result of the graph.
func (v *Value) IsOutput() bool {
	return slices.ContainsFunc(v.uses, func(u Use) bool { return u.Node == nil })
}

func (v *Value) String() string { return "%" + v.Name }

// Input returns operand i, nil when it is absent.
func (n *Node) Input(i int) *Value {
	if i < len(n.In) {
		return n.In[i]
	}
	return nil
}

// Const returns the tensor of operand i, nil when it is absent or computed.
func (n *Node) Const(i int) *Tensor {
	if v := n.Input(i); v != nil {
		return v.Const
	}
	return nil
}

// InTypes returns the types of the operands, the zero Type for absent ones.
func (n *Node) InTypes() []Type {
	t := make([]Type, len(n.In))
	for i, v := range n.In {
		if v != nil {
			t[i] = v.Type
		}
	}
	return t
}

// OutTypes returns the types of the results.
func (n *Node) OutTypes() []Type {
	t := make([]Type, len(n.Out))
	for i, v := range n.Out {
		t[i] = v.Type
	}
	return t
}

// Absorb records that n does the work of others, too. n may be nil: an input or
// a constant takes their place.
func (n *Node) Absorb(others ...*Node) {
	if n == nil {
		return
	}
	for _, o := range others {
		for _, from := range o.Origins {
			if !slices.Contains(n.Origins, from) {
				n.Origins = append(n.Origins, from)
			}
		}
	}
}

// String describes the node for messages: its name and op.
func (n *Node) String() string {
	if n.Name == "" {
		if len(n.Out) > 0 {
			return fmt.Sprintf("%s computing %q", n.Op.Name(), n.Out[0].Name)
		}
		return n.Op.Name()
	}
	return fmt.Sprintf("%s %q", n.Op.Name(), n.Name)
}

// UniqueName returns name, or name with a suffix when a value has it already.
func (g *Graph) UniqueName(name string) string {
	if name == "" {
		name = "v"
	}
	if !g.names[name] {
		return name
	}
	for i := g.taken[name] + 1; ; i++ {
		if u := name + "." + strconv.Itoa(i); !g.names[u] {
			g.taken[name] = i - 1
			return u
		}
	}
}

// freeName makes a name available again.
func (g *Graph) freeName(name string) {
	delete(g.names, name)
	if at := strings.LastIndexByte(name, '.'); at >= 0 {
		if i, err := strconv.Atoi(name[at+1:]); err == nil && i > 0 && i <= g.taken[name[:at]] {
			g.taken[name[:at]] = i - 1
		}
	}
}

func (g *Graph) newValue(name string, t Type) *Value {
	v := &Value{Name: g.UniqueName(name), Type: t}
	g.names[v.Name] = true
	return v
}

// AddInput appends a graph input.
func (g *Graph) AddInput(name string, t Type) *Value {
	v := g.newValue(name, t)
	g.Inputs = append(g.Inputs, v)
	return v
}

// AddConst adds a constant.
func (g *Graph) AddConst(name string, t *Tensor) *Value {
	v := g.newValue(name, t.Type)
	v.Const = t
	g.Constants = append(g.Constants, v)
	return v
}

// AddOutput declares v a result of the graph.
func (g *Graph) AddOutput(name string, v *Value) {
	v.uses = append(v.uses, Use{nil, len(g.Outputs)})
	g.Outputs = append(g.Outputs, Output{name, v})
}

// Append adds a node at the end and returns it. Its results are named
// name, name.1, …; their types are inferred.
func (g *Graph) Append(name string, op Op, in ...*Value) (*Node, error) {
	return g.insert(len(g.Nodes), name, op, in)
}

// Emit is Append for ops with one result, which it returns.
func (g *Graph) Emit(name string, op Op, in ...*Value) (*Value, error) {
	n, err := g.Append(name, op, in...)
	if err != nil {
		return nil, err
	}
	return n.Out[0], nil
}

// InsertBefore adds a node in front of at.
func (g *Graph) InsertBefore(at *Node, name string, op Op, in ...*Value) (*Node, error) {
	return g.insert(slices.Index(g.Nodes, at), name, op, in)
}

// InsertAfter adds a node behind at.
func (g *Graph) InsertAfter(at *Node, name string, op Op, in ...*Value) (*Node, error) {
	return g.insert(slices.Index(g.Nodes, at)+1, name, op, in)
}

func (g *Graph) insert(i int, name string, op Op, in []*Value) (*Node, error) {
	// Trailing absent operands are not stored, so equal nodes look equal.
	for len(in) > 0 && in[len(in)-1] == nil {
		in = in[:len(in)-1]
	}
	n := &Node{Name: name, Op: op, In: slices.Clone(in)}
	types, err := inferNode(n)
	if err != nil {
		return nil, err
	}
	for _, t := range types {
		v := g.newValue(name, t)
		v.def = n
		n.Out = append(n.Out, v)
	}
	for k, v := range n.In {
		v.addUse(Use{n, k})
	}
	g.Nodes = slices.Insert(g.Nodes, i, n)
	return n, nil
}

func inferNode(n *Node) ([]Type, error) {
	if err := checkArity(n.Op, n.In); err != nil {
		return nil, fmt.Errorf("%s: %w", n, err)
	}
	// Type rules rely on attributes and operands within their limits.
	if err := CheckAttributes(n.Op); err != nil {
		return nil, fmt.Errorf("%s: %w", n, err)
	}
	in := n.InTypes()
	for i, t := range in {
		if err := t.Shape.Check(); err != nil {
			return nil, fmt.Errorf("%s: operand %d: %w", n, i, err)
		}
	}
	types, err := n.Op.Infer(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n, err)
	}
	for _, t := range types {
		if err := t.Shape.Check(); err != nil {
			return nil, fmt.Errorf("%s: result %w", n, err)
		}
	}
	return types, nil
}

func (v *Value) addUse(u Use) {
	if v != nil {
		v.uses = append(v.uses, u)
	}
}

func (v *Value) dropUse(u Use) {
	if v == nil {
		return
	}
	if i := slices.Index(v.uses, u); i >= 0 {
		v.uses = slices.Delete(v.uses, i, i+1)
	}
}

// SetInput replaces operand i of n, which may lie beyond the present ones;
// v may be nil to drop an optional operand. Result types are not re-inferred:
// an edit that changes them ends with [Graph.Retype].
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

// ReplaceUses makes every reader of old, graph outputs included, read v.
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

// Rename gives v another name, made unique.
func (g *Graph) Rename(v *Value, name string) {
	g.freeName(v.Name)
	v.Name = g.UniqueName(name)
	g.names[v.Name] = true
}

// Remove deletes a node whose results have no readers. It panics otherwise:
// the caller has just redirected them.
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

// Prune removes every node and constant that no graph output depends on and
// returns the nodes that went. Inputs stay: they are the model's interface.
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
	g.Constants = slices.DeleteFunc(g.Constants, func(v *Value) bool {
		if len(v.uses) > 0 {
			return false
		}
		g.freeName(v.Name)
		return true
	})
	return gone
}

// Sort restores topological order after edits that read later values. The
// order is stable: nodes move only as far as their operands force them to.
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

// Lookup returns the value of that name, nil if there is none.
func (g *Graph) Lookup(name string) *Value {
	if !g.names[name] {
		return nil
	}
	for v := range g.Values() {
		if v.Name == name {
			return v
		}
	}
	return nil
}

// Values yields every value: inputs, constants, then results in node order.
func (g *Graph) Values() func(yield func(*Value) bool) {
	return func(yield func(*Value) bool) {
		for _, v := range g.Inputs {
			if !yield(v) {
				return
			}
		}
		for _, v := range g.Constants {
			if !yield(v) {
				return
			}
		}
		for _, n := range g.Nodes {
			for _, v := range n.Out {
				if !yield(v) {
					return
				}
			}
		}
	}
}

// Clone returns a copy that shares only the constants' elements and the ops,
// both of which are immutable. The nodes of g are the [Node.Origins] of their
// copies.
func (g *Graph) Clone() *Graph {
	c := NewGraph(g.Name)
	to := map[*Value]*Value{nil: nil}
	copyValue := func(v *Value, def *Node) *Value {
		w := &Value{Name: v.Name, Type: v.Type, Const: v.Const, def: def}
		c.names[w.Name] = true
		to[v] = w
		return w
	}
	for _, v := range g.Inputs {
		c.Inputs = append(c.Inputs, copyValue(v, nil))
	}
	for _, v := range g.Constants {
		c.Constants = append(c.Constants, copyValue(v, nil))
	}
	for _, n := range g.Nodes {
		m := &Node{Name: n.Name, Op: n.Op, Origins: []*Node{n}}
		for i, v := range n.In {
			m.In = append(m.In, to[v])
			to[v].addUse(Use{m, i})
		}
		for _, v := range n.Out {
			m.Out = append(m.Out, copyValue(v, m))
		}
		c.Nodes = append(c.Nodes, m)
	}
	for _, o := range g.Outputs {
		c.AddOutput(o.Name, to[o.Value])
	}
	return c
}
