package onnx

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"modelc/frontend/source"
	"modelc/ir"
	"modelc/ir/eval"
)

// importer turns a decoded graph into IR.
type importer struct {
	g         *ir.Graph
	opts      source.Options
	files     *files
	functions map[string]*functionProto // by domain::name
	problems  []source.Problem
	notes     []string
	widened   bool // a half-precision type was seen
}

// scope is the names that nodes see: of the graph, of a function's body, or
// of a branch, which sees the graph around it.
type scope struct {
	outer   *scope
	values  map[string]*ir.Value // nil for a value that a reported node failed to make
	opsets  map[string]int
	attrs   map[string]*attribute // of the function call
	prefix  string                // of node names inside a function
	pending map[string]*tensorProto
}

// value returns the value of that name, adding the initializer to the graph
// when it is first used.
func (im *importer) value(s *scope, name string) (*ir.Value, bool, error) {
	for e := s; e != nil; e = e.outer {
		if v, ok := e.values[name]; ok {
			return v, true, nil
		}
		if t, ok := e.pending[name]; ok {
			c, err := im.files.tensor(t)
			if err != nil {
				return nil, false, err
			}
			if t.dataType == 10 || t.dataType == 16 {
				im.widened = true
			}
			v := im.g.AddConst(name, c)
			e.values[name] = v
			return v, true, nil
		}
	}
	return nil, false, nil
}

func (im *importer) problem(n *nodeProto, s *scope, reason, remedy string) {
	op := n.opType
	if n.domain != "" {
		op = n.domain + "." + op
	}
	if v, ok := s.opsets[n.domain]; ok {
		op = fmt.Sprintf("%s-%d", op, v)
	}
	name := s.prefix + n.name
	if n.name == "" && len(n.outputs) > 0 {
		name = s.prefix + n.outputs[0]
	}
	im.problems = append(im.problems, source.Problem{Node: name, Op: op, Reason: reason, Remedy: remedy})
}

// maxNodes bounds the nodes that functions and branches expand to.
const maxNodes = 1 << 20

// nodes imports nodes in order. What fails is recorded and poisons its
// results: of nodes that read them only what can be told without their
// operands is recorded too.
func (im *importer) nodes(list []*nodeProto, s *scope, depth int) {
	for _, n := range list {
		if len(im.g.Nodes) > maxNodes || depth > maxDepth {
			im.problem(n, s, "the graph expands without end", "")
			return
		}
		im.node(n, s, depth)
	}
}

func (im *importer) node(p *nodeProto, s *scope, depth int) {
	n := &node{im: im, p: p, scope: s, version: s.opsets[p.domain], name: s.prefix + p.name, depth: depth}
	poison := func() {
		for _, o := range p.outputs {
			if o != "" {
				s.values[o] = nil
			}
		}
	}
	poisoned := false
	for _, name := range p.inputs {
		if name == "" {
			n.in = append(n.in, nil)
			continue
		}
		v, known, err := im.value(s, name)
		if err == nil && !known {
			err = refusal{fmt.Sprintf("input %q is not defined", name), "the graph must be sorted topologically"}
		}
		if err != nil {
			n.in = nil // their types do not matter
			im.refuse(n, err)
			poison()
			return
		}
		poisoned = poisoned || v == nil
		n.in = append(n.in, v)
	}
	before := len(im.g.Nodes)
	var out []*ir.Value
	build, err := im.builder(n)
	if err == nil && poisoned {
		err = errPoisoned
	}
	if err == nil {
		out, err = build(n)
	}
	if err == nil && len(out) < len(p.outputs) {
		for _, o := range p.outputs[len(out):] {
			if o != "" {
				err = fmt.Errorf("output %q is not supported", o)
			}
		}
	}
	if err != nil {
		im.refuse(n, err)
		poison()
		return
	}
	// Values keep the names of the file where this node made them.
	made := map[*ir.Value]bool{}
	for _, m := range im.g.Nodes[before:] {
		for _, v := range m.Out {
			made[v] = true
		}
	}
	for i, name := range p.outputs {
		if name == "" {
			continue
		}
		s.values[name] = out[i]
		if made[out[i]] {
			im.g.Rename(out[i], name)
			made[out[i]] = false
		}
	}
}

// refusal is an error with advice.
type refusal struct{ reason, remedy string }

func (r refusal) Error() string { return r.reason }

var errPoisoned = errors.New("depends on a value that could not be made")

// refuse records why a node cannot be imported.
func (im *importer) refuse(n *node, err error) {
	var r refusal
	if errors.As(err, &r) {
		im.problem(n.p, n.scope, r.reason+n.shapes(), r.remedy)
	} else if !errors.Is(err, errPoisoned) {
		im.problem(n.p, n.scope, err.Error()+n.shapes(), "")
	}
}

// builder returns what imports nodes of n's operator.
func (im *importer) builder(n *node) (func(*node) ([]*ir.Value, error), error) {
	if f, ok := im.functions[n.p.domain+"::"+n.p.opType]; ok {
		return func(n *node) ([]*ir.Value, error) { return im.call(f, n) }, nil
	}
	if n.p.domain != "" {
		return nil, refusal{fmt.Sprintf("ops of domain %q are not supported", n.p.domain), "only the default ONNX domain and functions stored in the model"}
	}
	op, ok := operators[n.p.opType]
	if !ok {
		return nil, refusal{"this op is not supported", "`modelc ops` lists those that are" + nearest(n.p.opType)}
	}
	if n.version < op.since {
		return nil, refusal{fmt.Sprintf("opset %d is older than the first supported one, %d", n.version, op.since), "convert the model to a newer opset"}
	}
	return op.build, nil
}

// nearest suggests supported ops with a similar name.
func nearest(name string) string {
	var list []string
	for o := range operators {
		if len(o) > 3 && (strings.Contains(name, o) || strings.Contains(o, name)) {
			list = append(list, o)
		}
	}
	if len(list) == 0 {
		return ""
	}
	slices.Sort(list)
	return "; near this name: " + strings.Join(list, ", ")
}

// call inlines a model-local function.
func (im *importer) call(f *functionProto, n *node) ([]*ir.Value, error) {
	in := &scope{values: map[string]*ir.Value{}, opsets: f.opsets, attrs: map[string]*attribute{}, prefix: n.name + "/"}
	for _, a := range f.defaults {
		in.attrs[a.name] = a
	}
	for _, a := range n.p.attrs {
		if r := n.resolve(a); r != nil {
			in.attrs[a.name] = r
		}
	}
	for i, name := range f.inputs {
		if i < len(n.in) && n.in[i] != nil {
			in.values[name] = n.in[i]
		}
	}
	// An absent argument reads as an absent operand inside.
	body := make([]*nodeProto, len(f.nodes))
	for i, b := range f.nodes {
		c := *b
		c.inputs = slices.Clone(b.inputs)
		for k, name := range c.inputs {
			if j := slices.Index(f.inputs, name); j >= 0 && in.values[name] == nil {
				c.inputs[k] = ""
			}
		}
		body[i] = &c
	}
	im.nodes(body, in, n.depth+1)
	return im.results(f.outputs, in)
}

func (im *importer) results(names []string, s *scope) ([]*ir.Value, error) {
	var out []*ir.Value
	for _, o := range names {
		v, known, err := im.value(s, o)
		if err != nil {
			return nil, err
		}
		if !known {
			return nil, fmt.Errorf("result %q is not defined", o)
		}
		if v == nil {
			return nil, errPoisoned
		}
		out = append(out, v)
	}
	return out, nil
}

// branch inlines a graph attribute, which sees the values around it.
func (im *importer) branch(g *graphProto, n *node) ([]*ir.Value, error) {
	s := &scope{outer: n.scope, values: map[string]*ir.Value{}, opsets: n.scope.opsets, attrs: n.scope.attrs, prefix: n.scope.prefix, pending: map[string]*tensorProto{}}
	for _, t := range g.initializers {
		s.pending[t.name] = t
	}
	im.nodes(g.nodes, s, n.depth+1)
	var names []string
	for _, o := range g.outputs {
		names = append(names, o.name)
	}
	return im.results(names, s)
}

// node is one node being imported, with what its builder asks for.
type node struct {
	im      *importer
	p       *nodeProto
	scope   *scope
	version int // of the opset
	name    string
	in      []*ir.Value
	depth   int
}

// shapes lists the operand types, for messages.
func (n *node) shapes() string {
	var s []string
	for _, v := range n.in {
		if v != nil {
			s = append(s, v.Type.String())
		}
	}
	if s == nil {
		return ""
	}
	return "; operands " + strings.Join(s, ", ")
}

// arg returns operand i, nil when absent. Versions of an operator that lack
// an operand count it as −1.
func (n *node) arg(i int) *ir.Value {
	if i >= 0 && i < len(n.in) {
		return n.in[i]
	}
	return nil
}

// need returns operand i or an error.
func (n *node) need(i int) (*ir.Value, error) {
	if v := n.arg(i); v != nil {
		return v, nil
	}
	return nil, fmt.Errorf("operand %d is missing", i)
}

// constant returns the value of operand i, nil when it is absent.
func (n *node) constant(i int, what string) (*ir.Tensor, error) {
	v := n.arg(i)
	if v == nil {
		return nil, nil
	}
	t, ok := eval.Const(v)
	if !ok {
		return nil, refusal{fmt.Sprintf("%s (%q) is computed at run time", what, v.Name), "it must be a constant; --bind NAME=FILE makes a graph input one"}
	}
	return t, nil
}

// ints returns a constant operand as integers, nil when it is absent.
func (n *node) argInts(i int, what string) ([]int, error) {
	t, err := n.constant(i, what)
	if t == nil || err != nil {
		return nil, err
	}
	return t.Ints(), nil
}

// resolve follows a reference to an attribute of the enclosing function.
func (n *node) resolve(a *attribute) *attribute {
	if a.ref == "" {
		return a
	}
	return n.scope.attrs[a.ref]
}

func (n *node) attr(name string) *attribute {
	for _, a := range n.p.attrs {
		if a.name == name {
			return n.resolve(a)
		}
	}
	return nil
}

func (n *node) int(name string, def int) int {
	if a := n.attr(name); a != nil {
		return int(a.i)
	}
	return def
}

func (n *node) float(name string, def float64) float64 {
	if a := n.attr(name); a != nil {
		return float64(a.f)
	}
	return def
}

func (n *node) str(name, def string) string {
	if a := n.attr(name); a != nil {
		return a.s
	}
	return def
}

func (n *node) ints(name string) []int {
	a := n.attr(name)
	if a == nil {
		return nil
	}
	out := make([]int, len(a.ints))
	for i, x := range a.ints {
		out[i] = int(x)
	}
	return out
}

// emit appends a node with one result.
func (n *node) emit(op ir.Op, in ...*ir.Value) (*ir.Value, error) {
	return n.im.g.Emit(n.name, op, in...)
}

// one emits a node whose result is the whole op's.
func (n *node) one(op ir.Op, in ...*ir.Value) ([]*ir.Value, error) {
	v, err := n.emit(op, in...)
	if err != nil {
		return nil, unwrapNode(err)
	}
	return []*ir.Value{v}, nil
}

// unwrapNode drops the node's name that the IR puts in front: the report
// names it already.
func unwrapNode(err error) error {
	if in := errors.Unwrap(err); in != nil {
		return in
	}
	return err
}

func (n *node) constValue(t *ir.Tensor) *ir.Value { return n.im.g.AddConst(n.name+".const", t) }

// axis makes an axis non-negative.
func axis(a, rank int) (int, error) {
	if a < -rank || a >= rank && !(rank == 0 && a == 0) {
		return 0, fmt.Errorf("axis %d does not exist in a tensor of %d axes", a, rank)
	}
	if a < 0 {
		a += rank
	}
	return a, nil
}

// axes makes axes non-negative and sorts them.
func axes(list []int, rank int) ([]int, error) {
	out := make([]int, len(list))
	for i, a := range list {
		var err error
		if out[i], err = axis(a, rank); err != nil {
			return nil, err
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
