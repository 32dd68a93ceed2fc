package ir

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Graph is a network: values connected by nodes in topological order.
//
// The exported slices are for reading. To edit a graph, call its methods, which keep
// producers and uses consistent. [Verify] checks that they are.
type Graph struct {
	Name      string
	Inputs    []*Value
	Outputs   []Output
	Nodes     []*Node
	Constants []*Value
	Bounds    Bounds // limits the results of nodes

	names map[string]bool // every value name in use
	// The names name.1 to name.taken[name] are in use. Without taken, the search for
	// a free name would take quadratic time if a file has thousands of equal names.
	taken map[string]int
}

// Output is a result of the graph. Its name is that in the model and stays when passes
// replace the value.
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

// Use is one reader of a value: operand Index of Node, or output Index of the graph if
// Node is nil.
type Use struct {
	Node  *Node
	Index int
}

// Node applies an op to values.
type Node struct {
	Name string // from the model, for people; may be empty or repeated
	Op   Op
	In   []*Value // nil for an absent optional operand; Graph.SetInput edits it
	Out  []*Value
	// Origins lists the nodes of the original graph whose work this node does.
	// [Graph.Clone] sets it to the copied node, and [Node.Absorb] adds nodes. It is
	// empty for nodes that only a pass needs.
	Origins []*Node
}

// NewGraph returns an empty graph.
func NewGraph(name string) *Graph {
	return &Graph{Name: name, names: map[string]bool{}, taken: map[string]int{}}
}

// Def returns the node that computes v, or nil for an input or a constant.
func (v *Value) Def() *Node { return v.def }

// Uses returns all readers of v, including outputs of the graph.
func (v *Value) Uses() []Use { return v.uses }

// OnlyUse returns the only node that reads v. It returns nil if v has several readers or
// is a graph output. A fusion may remove v only if it has one reader.
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

// Input returns operand i, or nil if it is absent.
func (n *Node) Input(i int) *Value {
	if i < len(n.In) {
		return n.In[i]
	}
	return nil
}

// Const returns the tensor of operand i, or nil if it is absent or not a constant.
func (n *Node) Const(i int) *Tensor {
	if v := n.Input(i); v != nil {
		return v.Const
	}
	return nil
}

// ConstOrAbsent reports whether operand i is a constant or absent.
func (n *Node) ConstOrAbsent(i int) bool { return n.Input(i) == nil || n.Const(i) != nil }

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

// Absorb records that n also does the work of others. It does nothing if n is nil, which
// stands for an input or a constant that replaces them.
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

// String describes the node in messages by its name and op.
func (n *Node) String() string {
	if n.Name == "" {
		if len(n.Out) > 0 {
			return fmt.Sprintf("%s computing %q", n.Op.Name(), n.Out[0].Name)
		}
		return n.Op.Name()
	}
	return fmt.Sprintf("%s %q", n.Op.Name(), n.Name)
}

// UniqueName returns name, with a suffix if a value already has that name.
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

// AddOutput makes v a result of the graph with the given name.
func (g *Graph) AddOutput(name string, v *Value) {
	v.uses = append(v.uses, Use{nil, len(g.Outputs)})
	g.Outputs = append(g.Outputs, Output{name, v})
}

// Append adds a node at the end and returns it. Its results are called name, name.1, …,
// with the types that the op infers. Append fails if the operands do not fit the op.
func (g *Graph) Append(name string, op Op, in ...*Value) (*Node, error) {
	return g.insert(len(g.Nodes), name, op, in)
}

// Emit is like Append, for ops with one result. It returns the result.
func (g *Graph) Emit(name string, op Op, in ...*Value) (*Value, error) {
	n, err := g.Append(name, op, in...)
	if err != nil {
		return nil, err
	}
	return n.Out[0], nil
}

// InsertBefore is like Append, but adds the node in front of node at.
func (g *Graph) InsertBefore(at *Node, name string, op Op, in ...*Value) (*Node, error) {
	return g.insert(slices.Index(g.Nodes, at), name, op, in)
}

// InsertAfter is like Append, but adds the node behind node at.
func (g *Graph) InsertAfter(at *Node, name string, op Op, in ...*Value) (*Node, error) {
	return g.insert(slices.Index(g.Nodes, at)+1, name, op, in)
}

func (g *Graph) insert(i int, name string, op Op, in []*Value) (*Node, error) {
	// Trailing absent operands are not stored, so that equal nodes compare equal.
	for len(in) > 0 && in[len(in)-1] == nil {
		in = in[:len(in)-1]
	}
	n := &Node{Name: name, Op: op, In: slices.Clone(in)}
	types, err := inferNode(n)
	if err != nil {
		return nil, err
	}
	for _, t := range types {
		if err := g.Bounds.Check(BoundElements, int64(t.Shape.Len())); err != nil {
			return nil, fmt.Errorf("%s: the result is %s: %w", n, t, err)
		}
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

func checkArity(op Op, in []*Value) error {
	info := byName[op.Name()]
	if info == nil || reflect.TypeOf(info.Op) != reflect.TypeOf(op) {
		return fmt.Errorf("op %s (%T) is not in the table of ops", op.Name(), op)
	}
	variadic := strings.HasSuffix(info.Args[len(info.Args)-1], "…")
	if len(in) > len(info.Args) && !variadic {
		return fmt.Errorf("%d operands, at most %d fit", len(in), len(info.Args))
	}
	for i, a := range info.Args {
		if !strings.HasSuffix(a, "?") && (i >= len(in) || in[i] == nil) {
			return fmt.Errorf("operand %q is missing", strings.TrimSuffix(a, "…"))
		}
	}
	return nil
}

func inferNode(n *Node) ([]Type, error) {
	if err := checkArity(n.Op, n.In); err != nil {
		return nil, fmt.Errorf("%s: %w", n, err)
	}
	// The rules of types require attributes and operands within their limits.
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

// Lookup returns the value called name, nil if there is none.
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

// Clone returns a copy of g. The copy shares the elements of constants and the ops, which
// are immutable. Origins of each copied node is the node of g.
func (g *Graph) Clone() *Graph {
	c := NewGraph(g.Name)
	c.Bounds = g.Bounds
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
