package keras

import (
	"fmt"
	"slices"
	"strings"

	"modelc/frontend/source"
	"modelc/ir"
	"modelc/ir/eval"
)

// importer converts a model to IR.
type importer struct {
	g         *ir.Graph
	opts      source.Options
	major     int // version of Keras that wrote the file: 2 or 3
	problems  []source.Problem
	reported  map[*layer]bool // layers of an unknown class that problems contains
	notes     []string
	half      bool // the model has a layer or input in half precision
	folder    eval.Folder
	open      []openDim // extents of inputs that are open
	dims      []string  // names of the extents that the file leaves open
	aliases   []string  // other names of these extents, INPUT.AXIS
	exhausted bool      // a limit of the expansion was reported
	calls     int       // imported calls of layers; each counts as its number of tensors
	made      int64     // bytes of the constants that layers made, at 8 an element
	waiting   int       // layers whose inputs are being imported
	layers    source.Layers
	counted   map[string]bool // paths of the weights that are counted as parameters
}

// Limits of the operands of a layer, of the bytes of its name with those of the models
// around it, of the layers that precede their operands in the list, and of the inputs and
// outputs of a model. Networks of two thousand layers stay far below them.
const (
	maxOperands  = 1 << 9
	maxName      = 1 << 12
	maxWaiting   = 1 << 12
	maxTerminals = 1 << 12
)

func (im *importer) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(im.notes, n) {
		im.notes = append(im.notes, n)
	}
}

// problem records a problem with a use of a layer.
func (im *importer) problem(l *layer, name, reason, remedy string) {
	op := l.class
	switch {
	case l.custom != "":
		op = l.custom
	case l.isTF():
		op = "tf." + text(l.config.get("function"))
	case l.module != "":
		op = l.module + "." + op
	case l.isOperation():
	default:
		op = "keras.layers." + op
	}
	im.problems = append(im.problems, source.Problem{Node: name, Op: op, Reason: reason, Remedy: remedy})
}

// scope is a use of a network: the whole model, or a call of a submodel. A value
// is nil if its layer failed and was reported. Layers that read such a value
// are skipped without a report.
type scope struct {
	im     *importer
	n      *network
	store  store
	prefix string      // prefix of the names of its layers
	given  []*ir.Value // the inputs of a submodel
	inputs map[string]int
	done   map[place]*result
}

// place identifies a call of a layer in a scope.
type place struct {
	l    *layer
	call int
}

type result struct {
	out    []*ir.Value // nil while the call is being imported
	active bool
}

// run imports the whole model.
func (im *importer) run(n *network, st store) error {
	s := &scope{im: im, n: n, store: st}
	if n.sequential {
		shape, name, dtype := n.inputShape, "input", any("float32")
		if len(n.layers) > 0 && n.layers[0].class == "InputLayer" {
			first := n.layers[0]
			shape, name, dtype = first.batchShape(), first.name, first.config.get("dtype")
		}
		v, err := im.input(name, shape, dtype)
		if err != nil {
			return err
		}
		s.given = []*ir.Value{v}
	} else {
		for _, t := range n.inputs {
			l := n.byName[t.ref.layer]
			if l == nil || l.class != "InputLayer" {
				return fmt.Errorf("model %q has input %q, which is not an InputLayer", n.name, t.ref.layer)
			}
			v, err := im.input(l.name, l.batchShape(), l.config.get("dtype"))
			if err != nil {
				return err
			}
			s.given = append(s.given, v)
		}
	}
	for name := range im.opts.Dims {
		if !slices.Contains(im.dims, name) && !slices.Contains(im.aliases, name) {
			return source.UnknownDim(name, im.dims)
		}
	}
	if len(im.open) > 0 {
		return openError(im.open)
	}
	out := s.run()
	if len(im.problems) > 0 {
		return nil
	}
	taken := map[string]bool{}
	for i, v := range out {
		base := n.name
		if n.sequential && len(n.layers) > 0 {
			base = n.layers[len(n.layers)-1].name
		} else if !n.sequential {
			base = n.outputs[i].name
		}
		name := base
		for k := 1; taken[name]; k++ {
			name = fmt.Sprintf("%s_%d", base, k)
		}
		taken[name] = true
		if v == nil {
			return fmt.Errorf("model %q: its output %q is not computed", n.name, name)
		}
		im.g.AddOutput(name, v)
	}
	return nil
}

// run imports the layers of the network and returns its outputs.
func (s *scope) run() []*ir.Value {
	s.done = map[place]*result{}
	if s.n.sequential {
		x := s.given
		poisoned := false
		for _, l := range s.n.layers {
			if l.class == "InputLayer" {
				continue
			}
			if !poisoned && len(x) != 1 {
				s.im.problem(l, s.prefix+l.name, fmt.Sprintf("it is part of a Sequential and has %d inputs", len(x)), "")
				return nil
			}
			poisoned = poisoned || x[0] == nil
			in := inbound{args: []any{(*ir.Value)(nil)}, kwargs: newRecord()}
			if !poisoned {
				in.args[0] = x[0]
			}
			x = s.call(l, 0, in, poisoned)
			poisoned = poisoned || x == nil
		}
		if poisoned {
			return nil
		}
		return x
	}
	s.inputs = map[string]int{}
	for i, t := range s.n.inputs {
		s.inputs[t.ref.layer] = i
	}
	for _, l := range s.n.layers {
		for k := range max(len(l.calls), 1) {
			s.eval(l, k)
		}
	}
	var out []*ir.Value
	for _, t := range s.n.outputs {
		v, err := s.value(t.ref)
		if err != nil {
			s.im.problem(&layer{class: "Functional"}, s.prefix+s.n.name, "output "+err.Error(), "")
		}
		out = append(out, v)
	}
	return out
}

// eval returns the results of call k of a layer. It imports the call the first
// time.
func (s *scope) eval(l *layer, k int) *result {
	at := place{l, k}
	if r := s.done[at]; r != nil {
		return r
	}
	r := &result{active: true}
	s.done[at] = r
	defer func() { r.active = false }()
	name := s.prefix + l.name
	if i, ok := s.inputs[l.name]; ok && i < len(s.given) {
		r.out = []*ir.Value{s.given[i]}
		s.im.layers.Begin(l, source.Layer{Name: name, Class: l.class})
		s.im.layers.End(nil, r.out, nil, []string{name})
		return r
	}
	if len(l.calls) == 0 {
		s.im.problem(l, name, "its input is not connected", "")
		return r
	}
	if s.im.waiting >= maxWaiting {
		s.im.problem(l, name, fmt.Sprintf("more than %d layers precede the layers that they read", maxWaiting), "")
		return r
	}
	s.im.waiting++
	defer func() { s.im.waiting-- }()
	c := l.calls[k]
	poisoned := false
	resolve := func(f ref) any {
		v, err := s.value(f)
		if err != nil {
			s.im.problem(l, name, "its input "+err.Error(), "")
		}
		poisoned = poisoned || v == nil
		return v
	}
	call := inbound{args: mapRefs(c.args, resolve).([]any), kwargs: mapRefs(c.kwargs, resolve).(*record)}
	r.out = s.call(l, k, call, poisoned)
	return r
}

// value returns the tensor of a reference, or nil if its layer failed.
func (s *scope) value(f ref) (*ir.Value, error) {
	l := s.n.byName[f.layer]
	if l == nil {
		return nil, fmt.Errorf("comes from layer %q, which does not exist", f.layer)
	}
	if f.node >= max(len(l.calls), 1) {
		return nil, fmt.Errorf("comes from call %d of layer %q, which is called %d times", f.node, f.layer, len(l.calls))
	}
	r := s.eval(l, f.node)
	switch {
	case r.active:
		return nil, fmt.Errorf("comes from layer %q, which depends on this layer: the layers form a cycle", f.layer)
	case r.out == nil:
		return nil, nil
	case f.tensor >= len(r.out):
		return nil, fmt.Errorf("is output %d of layer %q, which has %d", f.tensor, f.layer, len(r.out))
	}
	return r.out[f.tensor], nil
}

// call imports a call of a layer. It returns nil if the import fails, or if an
// input is missing because another layer failed. In both cases it reports the
// problems of the layer itself.
func (s *scope) call(l *layer, k int, in inbound, poisoned bool) []*ir.Value {
	im := s.im
	name := s.prefix + l.name
	if k > 0 {
		name = fmt.Sprintf("%s.%d", name, k)
	}
	if im.exhausted {
		return nil
	}
	if len(name) > maxName {
		im.exhausted = true
		im.problem(l, name[:maxName], fmt.Sprintf("its name, with those of the models around it, is longer than %d bytes", maxName), "")
		return nil
	}
	operands := 0
	mapValues(in.args, func(*ir.Value) { operands++ })
	if operands > maxOperands {
		im.problem(l, name, fmt.Sprintf("it reads %d tensors, at most %d are supported", operands, maxOperands), "")
		return nil
	}
	im.calls += 1 + operands
	if err := im.opts.Bounds.Check(ir.BoundNodes, int64(im.calls)); err != nil {
		im.exhausted = true
		im.problem(l, name, fmt.Sprintf("its nested models expand to more than %d layers and inputs of layers", im.opts.Bounds.Max(ir.BoundNodes)), "raise it with --limit nodes=N")
		return nil
	}
	st, err := s.store.layer(l)
	if err != nil {
		im.problem(l, name, err.Error(), "")
		return nil
	}
	if l.network == nil && (!im.known(l, name, in) || poisoned) {
		return nil
	}
	before := len(im.g.Nodes)
	im.layers.Begin(l, s.describe(l, k))
	var out []*ir.Value
	if l.network != nil {
		out = im.submodel(l, st, name, in)
	} else {
		out = im.build(l, st, name, in)
	}
	im.layers.End(im.g.Nodes[before:], out, s.reads(l, k), makes(l, k, len(out)))
	return out
}

// submodel imports a call of a layer that is a model.
func (im *importer) submodel(l *layer, st store, name string, in inbound) []*ir.Value {
	n := l.network
	inner := &scope{im: im, n: n, store: st, prefix: name + "/"}
	want := len(n.inputs)
	if n.sequential {
		want = 1
	}
	switch a := first(in, "inputs").(type) {
	case *ir.Value:
		inner.given = []*ir.Value{a}
	case []any:
		for _, e := range a {
			v, _ := e.(*ir.Value)
			inner.given = append(inner.given, v)
		}
	case *record:
		for _, t := range n.inputs {
			v, _ := a.get(t.name).(*ir.Value)
			inner.given = append(inner.given, v)
		}
	}
	if len(inner.given) != want {
		im.problem(l, name, fmt.Sprintf("it is called with %d inputs, want %d", len(inner.given), want), "")
		return nil
	}
	before := len(im.g.Nodes)
	out := inner.run()
	// The result has the submodel's name, as in Keras's summary.
	if len(out) == 1 && out[0] != nil && im.madeSince(before, out[0]) {
		im.g.Rename(out[0], name)
	}
	return out
}

// first returns the first argument of a call.
func first(in inbound, name string) any {
	if len(in.args) > 0 {
		return in.args[0]
	}
	return in.kwargs.get(name)
}

// madeSince reports whether v is the result of a node after the first nodes.
func (im *importer) madeSince(nodes int, v *ir.Value) bool {
	return slices.ContainsFunc(im.g.Nodes[nodes:], func(n *ir.Node) bool { return n == v.Def() })
}

// known reports whether the layer's class is supported. If it is not, known
// records a problem the first time.
func (im *importer) known(l *layer, name string, in inbound) bool {
	if l.class == "InputLayer" {
		im.problem(l, name, "it is not among the inputs of its model", "")
		return false
	}
	e, reason, remedy := lookup(l)
	if e != nil && l.wrapped != nil && l.wrapped.network == nil {
		if e, reason, remedy = lookup(l.wrapped); e == nil {
			reason = fmt.Sprintf("it wraps %s %q: %s", l.wrapped.class, l.wrapped.name, reason)
		}
	}
	if e == nil && !im.reported[l] {
		im.reported[l] = true
		im.problem(l, name, reason+standing(l), remedy)
	}
	return e != nil
}

// standing describes the place of an unsupported layer by the layers that it
// reads.
func standing(l *layer) string {
	var from []string
	for _, c := range l.calls {
		mapRefs(c.args, func(r ref) any {
			if !slices.Contains(from, r.layer) && len(from) < 4 {
				from = append(from, r.layer)
			}
			return r
		})
	}
	if from == nil {
		return ""
	}
	return fmt.Sprintf("; it reads %q", from)
}

// input adds a graph input, or a constant if opts.Bind has a value for it.
func (im *importer) input(name string, shape []int, dtype any) (*ir.Value, error) {
	if t := im.opts.Bind[name]; t != nil {
		return im.g.AddConst(name, t), nil
	}
	d, half, err := parseDType(dtype)
	if err != nil {
		return nil, fmt.Errorf("input %q: %w", name, err)
	}
	im.half = im.half || half
	s, open, err := im.bind(name, shape)
	if err != nil {
		return nil, err
	}
	if open != nil {
		im.open = append(im.open, open...)
		return nil, nil
	}
	if err := im.opts.Bounds.Check(ir.BoundElements, int64(elements(s))); err != nil {
		return nil, fmt.Errorf("input %q of shape %s: %w", name, s, err)
	}
	return im.g.AddInput(name, ir.Type{DType: d, Shape: s}), nil
}

// bind replaces the open extents (−1) of an input by their values, and returns the
// dimensions that have none.
func (im *importer) bind(input string, dims []int) (shape ir.Shape, open []openDim, err error) {
	want, given := im.opts.Shapes[input]
	if i := len(im.g.Inputs); !given && i < len(im.opts.InputShapes) {
		want, given = im.opts.InputShapes[i], true
	}
	if dims == nil {
		if !given {
			return nil, nil, fmt.Errorf("input %q: the file does not contain its shape: set it with --shape %s=…", input, input)
		}
		return want, nil, nil
	}
	if given && len(want) != len(dims) {
		return nil, nil, fmt.Errorf("input %q has %d axes, the shape %s given for it has %d", input, len(dims), want, len(want))
	}
	shape = make(ir.Shape, len(dims))
	for i, d := range dims {
		name := dimName(dims, i)
		alias := fmt.Sprintf("%s.%d", input, i)
		n, bound := im.opts.Dims[name]
		if !bound {
			n, bound = im.opts.Dims[alias]
		}
		if d < 0 {
			im.aliases = append(im.aliases, alias)
			if !slices.Contains(im.dims, name) {
				im.dims = append(im.dims, name)
			}
		}
		switch {
		case d >= 0:
			if given && want[i] != d {
				return nil, nil, fmt.Errorf("input %q has extent %d along axis %d, the shape %s given for it has %d", input, d, i, want, want[i])
			}
			shape[i] = d
			if i == 0 && !given {
				shape[i] = im.opts.Rebatch(d, len(dims))
			}
		case given:
			shape[i] = want[i]
		case bound:
			shape[i] = n
		case i == 0 && im.opts.Batch > 0:
			shape[i] = im.opts.Batch
		case i == 0:
			shape[i] = 1
			im.note("dimension %s is open: compiled for 1 (--batch N for more)", name)
		default:
			open = append(open, openDim{input, name, i})
		}
		if shape[i] < 0 {
			return nil, nil, fmt.Errorf("input %q: extent %d along axis %d", input, shape[i], i)
		}
	}
	return shape, open, nil
}

// openDim is an extent of an input that nothing sets.
type openDim struct {
	input, name string
	axis        int
}

// openError lists all open extents and the flags that set them.
func openError(list []openDim) error {
	var axes, flags []string
	for _, d := range list {
		axes = append(axes, fmt.Sprintf("%s of input %q (axis %d)", d.name, d.input, d.axis))
		if flag := fmt.Sprintf("--dim %s=N", d.name); !slices.Contains(flags, flag) {
			flags = append(flags, flag)
		}
	}
	return fmt.Errorf("open extents: %s: set %s", strings.Join(axes, ", "), strings.Join(flags, " "))
}

// dimName returns the name of an open extent of an input: batch, height, width,
// …
func dimName(dims []int, i int) string {
	last := len(dims) - 1
	switch {
	case i == 0:
		return "batch"
	case len(dims) == 4:
		names := [4]string{"batch", "height", "width", "channels"}
		if dims[1] >= 0 && dims[2] < 0 && dims[3] < 0 { // channels first
			names = [4]string{"batch", "channels", "height", "width"}
		}
		return names[i]
	case len(dims) == 3 && i == 1:
		return "steps"
	case i == last:
		return "channels"
	}
	return fmt.Sprintf("axis%d", i)
}

// parseDType reads a dtype or a dtype policy and returns the element type in
// which layers are computed. half reports whether the file has half precision.
func parseDType(v any) (d ir.DType, half bool, err error) {
	name := text(v)
	if r := object(v); r != nil {
		name = text(object(r.get("config")).get("name"))
		if c := text(r.get("class_name")); c != "DTypePolicy" && c != "Policy" && c != "PolicyV1" {
			return 0, false, fmt.Errorf("dtype policy %s %q is not supported", c, name)
		}
	}
	switch name {
	case "", "float32", "infer", "_infer":
		return ir.Float32, false, nil
	case "float64", "mixed_float64":
		return ir.Float64, false, nil
	case "float16", "bfloat16", "mixed_float16", "mixed_bfloat16":
		return ir.Float32, true, nil
	case "bool":
		return ir.Bool, false, nil
	}
	for _, t := range []ir.DType{ir.Int8, ir.Int16, ir.Int32, ir.Int64, ir.Uint8, ir.Uint16, ir.Uint32, ir.Uint64} {
		if long := strings.NewReplacer("i", "int", "u", "uint").Replace(t.String()); name == long {
			return t, false, nil
		}
	}
	return 0, false, fmt.Errorf("dtype %q is not supported", name)
}
