package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"modelc/frontend/source"
	"modelc/ir"
)

// importer converts a decoded graph to IR.
type importer struct {
	g         *ir.Graph
	opts      source.Options
	files     *files
	operators map[string]*operator      // operators by name
	opsets    map[string]int            // opsets of the model by domain
	functions map[string]*functionProto // functions by functionKey
	problems  []source.Problem
	notes     []string
	widened   bool       // the model has a half-precision type
	visited   int        // number of imported nodes; nodes of functions count at each call
	filled    int        // number of elements of constants that nodes created
	batch     int        // batch that the file fixes and Options.Batch replaces
	padded    []*ir.Node // NonMaxSuppression nodes, whose counts become outputs
}

// A file of a few bytes can describe an infinite graph and tensors of any size. These
// limits are far above the needs of networks.
const (
	maxNodes = 1 << 20 // maximum number of nodes after expanding functions and branches
	// maxFill is the maximum number of elements that ConstantOfShape and similar
	// operators create. Some are created in float64, and their size must fit in an
	// int of 32 bits.
	maxFill = min(1<<28, math.MaxInt/128)
)

// scope holds the names that are visible to nodes of a graph, of a function's body or
// of a branch. The names of the enclosing graph are visible in a branch.
type scope struct {
	outer     *scope
	values    map[string]*ir.Value // values by name; nil if the node failed and was reported
	sequences map[string][]*ir.Value
	pending   map[string]*tensorProto // initializers that have not been read
	opsets    map[string]int
	attrs     map[string]*attribute // attributes of the function call
	prefix    string                // prefix of node names in a function
}

func newScope(opsets map[string]int) *scope {
	return &scope{values: map[string]*ir.Value{}, sequences: map[string][]*ir.Value{}, pending: map[string]*tensorProto{}, opsets: opsets}
}

// value returns the value with the given name. It adds an initializer to the graph on
// first use.
func (im *importer) value(s *scope, name string) (v *ir.Value, known bool, err error) {
	for e := s; e != nil; e = e.outer {
		if v, ok := e.values[name]; ok {
			return v, true, nil
		}
		if t, ok := e.pending[name]; ok {
			c, err := im.tensor(t)
			if err != nil {
				return nil, false, err
			}
			v := im.g.AddConst(name, c)
			e.values[name] = v
			return v, true, nil
		}
	}
	return nil, false, nil
}

func (s *scope) sequence(name string) ([]*ir.Value, bool) {
	for e := s; e != nil; e = e.outer {
		if list, ok := e.sequences[name]; ok {
			return list, true
		}
	}
	return nil, false
}

// tensor converts a tensor of the file to an ir.Tensor.
func (im *importer) tensor(t *tensorProto) (*ir.Tensor, error) {
	im.widened = im.widened || isHalf(t.dataType)
	return im.files.tensor(t)
}

// nodes imports nodes in order. If a node fails, nodes records a problem and marks
// the node's results. For nodes that read such results, it records only problems
// that do not depend on operands.
func (im *importer) nodes(list []*nodeProto, s *scope, depth int) {
	for _, p := range list {
		n := &node{im: im, p: p, scope: s, name: s.prefix + p.name, depth: depth}
		if im.visited++; im.visited > maxNodes || depth > maxDepth {
			im.report(n, errors.New("functions and branches expand to too many nodes"))
			return
		}
		if err := im.node(n); err != nil {
			im.report(n, err)
			for _, o := range p.outputs {
				if o != "" {
					s.values[o] = nil
				}
			}
		}
	}
}

func (im *importer) node(n *node) error {
	s := n.scope
	if len(n.p.outputs) == 0 {
		return errors.New("the node has no outputs")
	}
	poisoned := false
	for _, name := range n.p.inputs {
		var v *ir.Value
		if _, isSequence := s.sequence(name); name != "" && !isSequence {
			var known bool
			var err error
			if v, known, err = im.value(s, name); err != nil {
				n.in = nil // the problem does not depend on the other operands
				return err
			} else if !known {
				return refusal{fmt.Sprintf("input %q is not defined", name), "the graph must be sorted topologically"}
			}
			poisoned = poisoned || v == nil
		}
		n.in = append(n.in, v)
	}
	build, err := im.builder(n)
	if err != nil {
		return err
	}
	if poisoned {
		return errPoisoned
	}
	before := len(im.g.Nodes)
	out, err := n.run(build)
	if err != nil {
		return err
	}
	for i, name := range n.p.outputs {
		if _, isSequence := s.sequences[name]; i >= len(out) && name != "" && !isSequence {
			return fmt.Errorf("output %q is not supported", name)
		}
	}
	im.name(n, out, im.g.Nodes[before:])
	return nil
}

// name sets the names of a node's results to those of the file. Other values of the
// node get names that are unlikely to be in a file.
func (im *importer) name(n *node, out []*ir.Value, made []*ir.Node) {
	fresh := map[*ir.Value]bool{}
	for _, m := range made {
		for _, v := range m.Out {
			fresh[v] = true
			im.g.Rename(v, n.p.outputs[0]+"."+strings.ToLower(m.Op.Name()))
		}
	}
	for i, name := range n.p.outputs {
		if name == "" || i >= len(out) {
			continue
		}
		n.scope.values[name] = out[i]
		if fresh[out[i]] {
			im.g.Rename(out[i], name)
			fresh[out[i]] = false // a second name is an alias
		}
	}
}

// rebatch returns the first extent of a result of x for which the file has d.
// Exporters that fix the batch write it into such shapes too.
func (im *importer) rebatch(x *ir.Value, d int) int {
	if im.batch > 0 && d == im.batch && x.Const == nil && x.Type.Rank() > 0 && x.Type.Shape[0] == im.opts.Batch {
		return im.opts.Batch
	}
	return d
}

// report records a problem of a node.
func (im *importer) report(n *node, err error) {
	if errors.Is(err, errPoisoned) {
		return // the cause is reported
	}
	p := source.Problem{Node: n.name, Op: n.p.opType, Reason: err.Error() + n.operands()}
	var r refusal
	if errors.As(err, &r) {
		p.Remedy = r.remedy
	}
	if n.p.domain != "" {
		p.Op = n.p.domain + "." + p.Op
	}
	if v, ok := n.scope.opsets[n.p.domain]; ok {
		p.Op = fmt.Sprintf("%s-%d", p.Op, v)
	}
	if n.p.name == "" && len(n.p.outputs) > 0 { // name the node after its result
		p.Node = n.scope.prefix + n.p.outputs[0]
	}
	im.problems = append(im.problems, p)
}

// refusal is an error with a remedy.
type refusal struct{ reason, remedy string }

func (r refusal) Error() string { return r.reason }

var errPoisoned = errors.New("depends on a value that could not be computed")

func functionKey(domain, name, overload string) string {
	return domain + "::" + name + "::" + overload
}

// builder returns the builder for n's operator and sets n's version.
func (im *importer) builder(n *node) (func(*node) []*ir.Value, error) {
	domain, op := n.p.domain, n.p.opType
	if f, ok := im.functions[functionKey(domain, op, n.p.overload)]; ok {
		return func(n *node) []*ir.Value { return im.call(f, n) }, nil
	}
	if domain != "" {
		op = domain + "." + op
	}
	o := im.operators[op]
	if o == nil && domain != "" {
		return nil, refusal{fmt.Sprintf("this op of domain %q is not supported", domain), im.nearest(n.p.opType)}
	}
	if o == nil {
		return nil, refusal{"this op is not supported", im.nearest(op)}
	}
	var known bool
	if n.version, known = n.scope.opsets[""]; !known {
		n.version, known = n.im.opsets[""] // functions may omit it
	}
	if !known {
		return nil, errors.New("the model does not declare its opset")
	}
	if n.version < o.since {
		return nil, refusal{fmt.Sprintf("opset %d is older than the first supported one, %d", n.version, o.since), "convert the model to a newer opset"}
	}
	for i := range o.operands {
		if i >= len(n.p.inputs) || n.p.inputs[i] == "" {
			return nil, fmt.Errorf("%d operands are required, number %d is missing", o.operands, i)
		}
		if _, isSequence := n.scope.sequence(n.p.inputs[i]); isSequence && !o.sequences {
			return nil, fmt.Errorf("operand %d is a sequence", i)
		}
	}
	for i := o.mostOperands(n.version); i < len(n.p.inputs); i++ {
		if n.p.inputs[i] != "" {
			return nil, refusal{fmt.Sprintf("operand %d has no meaning in opset %d", i, n.version),
				"the model uses another opset than it declares: correct its opset_import"}
		}
	}
	return o.build, nil
}

// call inlines a model-local function.
func (im *importer) call(f *functionProto, n *node) []*ir.Value {
	in := newScope(f.opsets)
	in.attrs = map[string]*attribute{}
	in.prefix = n.name + "/"
	for _, a := range f.defaults {
		in.attrs[a.name] = a
	}
	for _, a := range n.p.attrs {
		if r := n.resolve(a); r != nil {
			in.attrs[a.name] = r
		}
	}
	absent := map[string]bool{}
	for i, name := range f.inputs {
		if v := n.arg(i); v != nil {
			in.values[name] = v
		} else if list, ok := n.sequenceArg(i); ok {
			in.sequences[name] = list
		} else {
			absent[name] = true
		}
	}
	// In the function, an absent argument is an absent operand.
	body := f.nodes
	if len(absent) > 0 {
		body = make([]*nodeProto, len(f.nodes))
		for i, b := range f.nodes {
			c := *b
			c.inputs = slices.Clone(b.inputs)
			for k, name := range c.inputs {
				if absent[name] {
					c.inputs[k] = ""
				}
			}
			body[i] = &c
		}
	}
	im.nodes(body, in, n.depth+1)
	return n.results(f.outputs, in)
}

// branch inlines a graph attribute. The values of the enclosing scope are visible in
// it.
func (im *importer) branch(g *graphProto, n *node) []*ir.Value {
	s := newScope(n.scope.opsets)
	s.outer, s.attrs, s.prefix = n.scope, n.scope.attrs, n.scope.prefix
	for _, t := range g.initializers {
		s.pending[t.name] = t
	}
	im.nodes(g.nodes, s, n.depth+1)
	var names []string
	for _, o := range g.outputs {
		names = append(names, o.name)
	}
	return n.results(names, s)
}

// results returns the values of a function or branch with the given names.
func (n *node) results(names []string, s *scope) []*ir.Value {
	out := make([]*ir.Value, len(names))
	for i, o := range names {
		if list, ok := s.sequence(o); ok && i < len(n.p.outputs) {
			n.scope.sequences[n.p.outputs[i]] = list
			continue
		}
		v, known, err := n.im.value(s, o)
		switch {
		case err != nil:
			n.fail(err)
		case !known:
			n.failf("result %q is not defined", o)
		case v == nil:
			n.fail(errPoisoned)
		}
		out[i] = v
	}
	return out
}
