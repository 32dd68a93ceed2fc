package onnx

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"modelc/frontend/source"
	"modelc/ir"
	"modelc/ir/eval"
)

// importer converts a decoded graph to IR.
type importer struct {
	g         *ir.Graph
	opts      source.Options
	files     *externals
	operators map[string]*operator      // operators by name
	opsets    map[string]int            // opsets of the model by domain
	functions map[string]*functionProto // functions by functionKey
	problems  []source.Problem
	notes     []string
	widened   bool  // the model has a half-precision type
	visited   int64 // number of imported nodes; nodes of functions count at each call
	stopped   bool  // a problem was reported after which no node can be imported
	made      int64 // bytes of the constants that nodes made, except filled ones
	filled    int64 // bytes of the constants with equal elements that nodes made
	stored    int64 // bytes of the model's files
	tensors   map[*tensorProto]*ir.Tensor
	layers    source.Layers
	madeBy    map[*ir.Value]string       // names of the layers that made values
	counted   map[*tensorProto]bool      // initializers that are counted as parameters
	constants map[*tensorProto]*ir.Value // initializers, which iterations of a loop share
	narrow    map[*ir.Tensor]string      // types of constants of 4 bits, which only DequantizeLinear reads
	folder    eval.Folder
	batch     int        // batch that the file fixes and Options.Batch replaces
	padded    []*ir.Node // NonMaxSuppression nodes, whose counts become outputs
}

// maxName is the maximum length of the name of a node or of a result, in bytes. Expanded
// functions copy names.
const maxName = 1 << 12

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

// initialize adds the initializers of a graph, whose names must differ.
func (s *scope) initialize(list []*tensorProto) error {
	for _, t := range list {
		if s.pending[t.name] != nil {
			return fmt.Errorf("two initializers have the name %q", t.name)
		}
		s.pending[t.name] = t
	}
	return nil
}

// value returns the value with the given name. It adds an initializer to the graph on
// first use.
func (im *importer) value(s *scope, name string) (v *ir.Value, known bool, err error) {
	for e := s; e != nil; e = e.outer {
		if v, ok := e.values[name]; ok {
			return v, true, nil
		}
		if t, ok := e.pending[name]; ok {
			v := im.constants[t]
			if v == nil {
				c, err := im.tensor(t)
				if err != nil {
					return nil, false, err
				}
				v = im.g.AddConst(name, c)
				im.constants[t] = v
			}
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

// tensor converts a tensor of the file to an ir.Tensor. It converts each tensor once,
// because a function may be called many times.
func (im *importer) tensor(t *tensorProto) (*ir.Tensor, error) {
	if c := im.tensors[t]; c != nil {
		return c, nil
	}
	im.widened = im.widened || isHalf(t.dataType)
	c, err := im.files.tensor(t)
	if err != nil {
		return nil, err
	}
	im.tensors[t] = c
	if isHalfByte(t.dataType) {
		im.narrow[c] = typeName(t.dataType)
	}
	return c, nil
}

// spend counts nodes and constants that were made for a node of the file. It returns an
// error if they exceed a limit.
func (im *importer) spend(nodes []*ir.Node, constants []*ir.Value) error {
	for _, m := range nodes[min(1, len(nodes)):] {
		im.visited += 1 + int64(len(m.In))/8
	}
	for _, v := range constants {
		if v.Const.IsFilled() {
			im.filled += int64(v.Type.Bytes())
		} else {
			im.made += int64(v.Type.Bytes())
		}
	}
	return errors.Join(im.afford(0), im.opts.Bounds.Check(ir.BoundNodes, im.visited))
}

// afford returns an error if further constants of the given size exceed the limit.
// Constants with equal elements have no memory yet, so others count more.
func (im *importer) afford(bytes int64) error {
	return im.opts.Bounds.Check(ir.BoundConstants, im.filled+max(0, 8*(im.made+bytes-8*im.stored)))
}

// nodes imports the nodes of a graph, of a function's body or of a branch. If a node fails,
// nodes records a problem and marks the node's results. For nodes that read such results, it
// records only problems that do not depend on operands.
func (im *importer) nodes(list []*nodeProto, s *scope, depth int) {
	if list = im.ordered(list, s); im.stopped {
		return
	}
	for _, p := range list {
		n := &node{im: im, p: p, scope: s, depth: depth}
		im.visited += 1 + int64(len(p.inputs)+len(p.outputs))/8
		if depth > 0 { // the attributes of a function are read at each call
			im.visited += p.attributes() / 8
		}
		err := errors.Join(im.opts.Bounds.Check(ir.BoundNodes, im.visited), im.opts.Bounds.Check(ir.BoundDepth, int64(depth)))
		if err == nil && len(s.prefix)+len(p.name) > maxName || slices.ContainsFunc(p.outputs, func(o string) bool { return len(o) > maxName }) {
			err = fmt.Errorf("a name is longer than %d bytes", maxName)
		}
		if err != nil {
			im.stopped = true
			im.report(n, err)
			return
		}
		n.name = s.prefix + p.name
		if err := im.node(n); err != nil {
			if im.stopped {
				return // the innermost node reported it
			}
			im.report(n, err)
			for _, o := range p.outputs {
				if o != "" {
					s.values[o] = nil
				}
			}
		}
	}
}

// ordered returns nodes so that each follows the nodes whose results it reads, and otherwise
// in the order of the file. A node that the file repeats, with the same name, operands,
// attributes and results, is returned once. ordered stops the import if two other nodes define a
// value, or if a value depends on itself.
func (im *importer) ordered(list []*nodeProto, s *scope) []*nodeProto {
	stop := func(p *nodeProto, err error) []*nodeProto {
		im.stopped = true
		im.report(&node{im: im, p: p, scope: s, name: s.prefix + p.name}, err)
		return nil
	}
	const onPath, done = 1, 2
	state := make([]uint8, len(list))
	producer := map[string]int{}
	for i, p := range list {
		for _, o := range p.outputs {
			if o == "" {
				continue
			}
			if what := s.defines(o); what != "" {
				return stop(p, refusal{fmt.Sprintf("result %q has the name of %s", o, what), "each value must have a name of its own"})
			}
			if first, twice := producer[o]; twice {
				if first != i && reflect.DeepEqual(list[first], p) {
					state[i] = done
					break
				}
				return stop(p, refusal{fmt.Sprintf("result %q has the name of a result of %s %q", o, list[first].opType, list[first].name), "each value must have a name of its own"})
			}
			producer[o] = i
		}
	}
	type step struct {
		node  int
		reads []string // the names to follow
	}
	order := make([]*nodeProto, 0, len(list))
	for first := range list {
		if state[first] == done {
			continue
		}
		path := []step{{first, list[first].reads()}}
		state[first] = onPath
		for len(path) > 0 {
			at := &path[len(path)-1]
			if len(at.reads) == 0 {
				state[at.node] = done
				order = append(order, list[at.node])
				path = path[:len(path)-1]
				continue
			}
			name := at.reads[0]
			at.reads = at.reads[1:]
			i, ok := producer[name]
			switch {
			case !ok || state[i] == done:
			case state[i] == onPath:
				return stop(list[i], refusal{fmt.Sprintf("result %q depends on itself", name), "a graph has no cycles; Loop and Scan repeat nodes"})
			default:
				state[i] = onPath
				path = append(path, step{i, list[i].reads()})
			}
		}
	}
	return order
}

// defines says what has the given name in s before its nodes are imported. It returns "" if
// nothing has.
func (s *scope) defines(name string) string {
	if _, ok := s.values[name]; ok {
		return "an input"
	}
	if _, ok := s.sequences[name]; ok {
		return "an input"
	}
	if _, ok := s.pending[name]; ok {
		return "an initializer"
	}
	return ""
}

// reads returns the names of the values that a node reads: its operands, and the values around
// it that its branches and bodies read.
func (p *nodeProto) reads() []string {
	names := p.inputs
	for _, a := range p.attrs {
		if a.g != nil {
			names = append(slices.Clip(names), a.g.captures()...)
		}
	}
	return names
}

// captures returns the names of the values around g that its nodes and outputs read.
func (g *graphProto) captures() []string {
	own := map[string]bool{"": true}
	for _, v := range g.inputs {
		own[v.name] = true
	}
	for _, t := range g.initializers {
		own[t.name] = true
	}
	for _, p := range g.nodes {
		for _, o := range p.outputs {
			own[o] = true
		}
	}
	var names []string
	add := func(name string) {
		if !own[name] {
			names = append(names, name)
		}
	}
	for _, p := range g.nodes {
		for _, name := range p.reads() {
			add(name)
		}
	}
	for _, o := range g.outputs {
		add(o.name)
	}
	return names
}

// attributes returns the number of elements of the attributes of a node.
func (p *nodeProto) attributes() int64 {
	n := int64(len(p.attrs))
	for _, a := range p.attrs {
		n += int64(len(a.ints) + len(a.floats) + len(a.strings))
	}
	return n
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
				return refusal{fmt.Sprintf("input %q is not defined", name), "no input, initializer or node has this name"}
			}
			poisoned = poisoned || v == nil
		}
		n.in = append(n.in, v)
		if v != nil && im.narrow[v.Const] != "" && n.p.opType != "DequantizeLinear" {
			return refusal{fmt.Sprintf("tensor %q has elements of type %s", v.Name, im.narrow[v.Const]), "only DequantizeLinear reads them"}
		}
	}
	build, err := im.builder(n)
	if err != nil {
		return err
	}
	if poisoned {
		return errPoisoned
	}
	before, constants := len(im.g.Nodes), len(im.g.Constants)
	im.begin(n)
	out, err := n.run(build)
	im.end(n, im.g.Nodes[before:], out)
	if err != nil {
		return err
	}
	if err := im.spend(im.g.Nodes[before:], im.g.Constants[constants:]); err != nil {
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

// label returns the name of the node for messages. A node without a name has that of its
// first result.
func (n *node) label() string {
	if n.p.name == "" && len(n.p.outputs) > 0 {
		return n.scope.prefix + n.p.outputs[0]
	}
	return n.name
}

// report records a problem of a node.
func (im *importer) report(n *node, err error) {
	if errors.Is(err, errPoisoned) {
		return // the cause is reported
	}
	var m missingFile
	if errors.As(err, &m) {
		if !im.files.lost[m.location] { // once, however many tensors lie there
			im.files.lost[m.location] = true
			im.problems = append(im.problems, source.Problem{Op: "external data", Reason: fmt.Sprintf("%q does not exist", m.location), Remedy: "the file belongs into the model's folder, beside the model"})
		}
		return
	}
	p := source.Problem{Node: n.label(), Op: n.p.opType, Reason: err.Error() + n.operands()}
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
	if o == nil && domain == "com.microsoft.nchwc" {
		return nil, refusal{"ONNX Runtime saved this layer, and its weights, in the layout of one machine", "save the model with the optimisation level ORT_ENABLE_EXTENDED or less"}
	}
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
	im.visited += int64(len(f.inputs)+len(f.outputs)+len(f.defaults)) / 8
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
	return n.yield(n.results(f.outputs, in))
}

// branch inlines a graph attribute, whose inputs are the given ones. The values of the
// enclosing scope are visible in it. prefix is that of its nodes' names.
func (n *node) branch(g *graphProto, inputs []item, prefix string) []item {
	n.im.visited += int64(len(g.initializers)+len(g.outputs)) / 8
	s := newScope(n.scope.opsets)
	s.outer, s.attrs, s.prefix = n.scope, n.scope.attrs, prefix
	for i, x := range inputs {
		s.bind(g.inputs[i].name, x)
	}
	if err := s.initialize(g.initializers); err != nil {
		n.fail(err)
	}
	n.im.nodes(g.nodes, s, n.depth+1)
	var names []string
	for _, o := range g.outputs {
		names = append(names, o.name)
	}
	return n.results(names, s)
}

// results returns the values of a function or branch with the given names.
func (n *node) results(names []string, s *scope) []item {
	out := make([]item, len(names))
	for i, o := range names {
		if list, ok := s.sequence(o); ok {
			out[i] = item{list: list, sequence: true}
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
		out[i].value = v
	}
	return out
}
