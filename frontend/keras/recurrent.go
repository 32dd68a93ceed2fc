package keras

import (
	"fmt"
	"slices"
	"strings"

	"modelc/ir"
)

// Recurrent layers have sequences [N,T,C], or [T,N,C] if time_major is set, and states
// [N,units]. Their result is the state of the last step, or those of all steps in the order
// in which the layer visits them. With return_state, the last states follow.
var _ = registerMany(nsLayer, "recurrent", map[string]func(*call) []*ir.Value{
	"SimpleRNN":     recurrentLayer,
	"GRU":           recurrentLayer,
	"LSTM":          recurrentLayer,
	"Bidirectional": bidirectional,
})

// cells has, by class, the cell, the name of its weights in legacy files, and, for each gate
// of ir.Recurrent, the gate of Keras.
var cells = map[string]struct {
	cell  ir.Cell
	gates []int
}{
	"SimpleRNN": {ir.CellRNN, []int{0}},
	"GRU":       {ir.CellGRU, []int{0, 1, 2}},
	"LSTM":      {ir.CellLSTM, []int{0, 3, 1, 2}}, // i, f, c, o
}

// recurrence is a recurrent layer, or a direction of one. Its weights are those of
// ir.Recurrent with one direction.
type recurrence struct {
	op                    ir.Recurrent
	units                 int
	backwards             bool
	sequences, state      bool // return_sequences, return_state
	timeMajor             bool
	kernel, weights, bias *ir.Tensor
}

// recurrence reads the configuration and the weights of a layer over sequences of the given
// number of features.
func (c *call) recurrence(features int) recurrence {
	of := cells[c.l.class]
	r := recurrence{op: ir.Recurrent{Cell: of.cell}, units: c.int("units", 0), backwards: c.flag("go_backwards", false),
		sequences: c.flag("return_sequences", false), state: c.flag("return_state", false), timeMajor: c.flag("time_major", false)}
	if c.flag("stateful", false) {
		c.refuse("it is stateful: it keeps its states from one call to the next", "build the model with stateful=False, and make the states inputs (initial_state) and outputs (return_state)")
	}
	if c.training() && (c.float("dropout", 0) > 0 || c.float("recurrent_dropout", 0) > 0) {
		c.refuse("it is called with training=True, which makes it random", "call it without training=True")
	}
	u, g := c.legal("units", int64(r.units)), of.cell.Gates()
	switch of.cell {
	case ir.CellRNN:
		r.op.F = c.function("activation", "tanh")
	case ir.CellGRU:
		r.op.F, r.op.G = c.function("recurrent_activation", "sigmoid"), c.function("activation", "tanh")
		r.op.LinearBeforeReset = c.flag("reset_after", c.im.major >= 3)
	case ir.CellLSTM:
		r.op.F, r.op.G = c.function("recurrent_activation", "sigmoid"), c.function("activation", "tanh")
		r.op.H = r.op.G
	}
	var err error
	if c.store, err = c.store.part("cell", nil); err != nil {
		c.failf("%v", err)
	}
	// gates rearranges a tensor [rows,G·units] to [1,G·units,rows].
	gates := func(t *ir.Tensor, rows int) *ir.Tensor {
		v, out := t.Float64s(), make([]float64, t.Shape.Len())
		for i := range out {
			row, gate, unit := i%rows, i/rows/u, i/rows%u
			out[i] = v[row*g*u+of.gates[gate]*u+unit]
		}
		return ir.FromFloat64s(ir.T(t.DType, 1, g*u, rows), out)
	}
	c.afford(g * u * (features + u))
	r.kernel = gates(c.weight("kernel", ir.Shape{features, g * u}), features)
	r.weights = gates(c.weight("recurrent_kernel", ir.Shape{u, g * u}), u)
	if !c.flag("use_bias", true) {
		return r
	}
	// The bias is that of the products of inputs. A GRU with reset_after has one of the
	// products of states, too.
	shape := ir.Shape{g * u}
	if r.op.LinearBeforeReset {
		shape = ir.Shape{2, g * u}
	}
	bias := c.weight("bias", shape)
	all := make([]float64, 2*g*u)
	for i := range shape.Len() / (g * u) {
		part := ir.FromFloat64s(ir.T(bias.DType, 1, g*u), bias.Float64s()[i*g*u:][:g*u])
		copy(all[i*g*u:], gates(part, 1).Float64s())
	}
	r.bias = ir.FromFloat64s(ir.T(bias.DType, 1, 2*g*u), all)
	return r
}

// function returns the function in a field of the configuration.
func (c *call) function(key, def string) ir.Act {
	v := c.config.get(key)
	if r := object(v); r != nil {
		module := text(r.get("module"))
		if text(r.get("class_name")) != "function" || !slices.Contains([]string{"", "builtins", "keras.activations"}, module) || strings.Contains(text(r.get("registered_name")), ">") {
			c.refuse(fmt.Sprintf("%s is not a function of Keras: modelc does not run its Python code", key), "use a built-in activation")
		}
		v = r.get("config")
	}
	name := text(v)
	switch {
	case v == nil && slices.Contains(c.config.keys, key):
		name = "linear" // null
	case v == nil:
		name = def
	}
	if name == "hard_sigmoid" {
		return c.im.hardSigmoid()
	}
	act, ok := elementwise[name]
	if !ok {
		c.failf("%s %.60v is not supported in a recurrent layer", key, v)
	}
	return act
}

// sequence returns the layer's input and its initial states, none if they are absent.
func (c *call) sequence() (x *ir.Value, states []*ir.Value) {
	in := c.in
	mapValues(in.kwargs.get("initial_state"), func(v *ir.Value) { states = append(states, v) })
	if len(in.args) > 1 { // the second argument
		mapValues(in.args[1], func(v *ir.Value) { states = append(states, v) })
		in.args = in.args[:1]
	}
	c.in = in
	list := c.xs()
	if len(list) == 0 {
		c.failf("it is called without a tensor")
	}
	x, states = list[0], append(list[1:], states...)
	if x.Type.Rank() != 3 || x.Type.Shape.Len() == 0 {
		c.failf("its input is %s, want a sequence with three axes", x.Type)
	}
	return x, states
}

// emitRecurrent emits a layer with the directions given by parts. It returns the states of
// all steps [T,N,D,units] and the last states of each direction, each [N,units].
func (c *call) emitRecurrent(x *ir.Value, states []*ir.Value, parts ...recurrence) (y *ir.Value, last [][]*ir.Value) {
	r := parts[0]
	op, n := r.op, x.Type.Shape[1]
	switch {
	case len(parts) == 2:
		op.Direction = ir.Bidirectional
	case r.backwards:
		op.Direction = ir.Reverse
	}
	// joined returns a constant of all directions.
	joined := func(name string, of func(r recurrence) *ir.Tensor) *ir.Value {
		first := of(r)
		if first == nil {
			return nil
		}
		var all []float64
		for _, p := range parts {
			all = append(all, of(p).Float64s()...)
		}
		shape := slices.Clone(first.Shape)
		shape[0] = len(parts)
		return c.keep(name, ir.FromFloat64s(ir.Type{DType: first.DType, Shape: shape}, all))
	}
	in := []*ir.Value{x,
		joined("kernel", func(r recurrence) *ir.Tensor { return r.kernel }),
		joined("recurrent_kernel", func(r recurrence) *ir.Tensor { return r.weights }),
		joined("bias", func(r recurrence) *ir.Tensor { return r.bias })}
	kinds := 1
	if op.Cell == ir.CellLSTM {
		kinds = 2
	}
	if len(states) > 0 {
		if len(states) != kinds*len(parts) {
			c.failf("it is called with %d initial states, want %d", len(states), kinds*len(parts))
		}
		for k := range kinds {
			var of []*ir.Value
			for d := range parts {
				of = append(of, c.reshape(c.cast(states[d*kinds+k], c.dtype), ir.Shape{1, n, r.units}))
			}
			in = append(in, c.concat(of, 0))
		}
	}
	node, err := c.im.g.Append(c.name, op, in...)
	if err != nil {
		c.failf("%v", err)
	}
	for i, name := range []string{"sequence", "h", "c"}[:len(node.Out)] {
		c.im.g.Rename(node.Out[i], c.name+"."+name)
	}
	for d := range parts {
		var of []*ir.Value
		for _, v := range node.Out[1:] {
			of = append(of, c.reshape(c.slice(v, 0, d, 1), ir.Shape{n, r.units}))
		}
		last = append(last, of)
	}
	return node.Out[0], last
}

// timeFirst swaps the axes of time and of the batch, unless time is first already.
func (r recurrence) timeFirst(c *call, x *ir.Value) *ir.Value {
	if r.timeMajor {
		return x
	}
	perm := identity(x.Type.Rank())
	perm[0], perm[1] = 1, 0
	return c.transpose(x, perm)
}

// reversed reverses a sequence [T,…].
func (c *call) reversed(x *ir.Value) *ir.Value {
	s := ir.Slice{Start: make([]int, x.Type.Rank()), Count: slices.Clone(x.Type.Shape), Step: slices.Repeat([]int{1}, x.Type.Rank())}
	s.Start[0], s.Step[0] = x.Type.Shape[0]-1, -1
	return c.emit(s, x)
}

func recurrentLayer(c *call) []*ir.Value {
	x, states := c.sequence()
	r := c.recurrence(x.Type.Shape[2])
	y, last := c.emitRecurrent(r.timeFirst(c, x), states, r)
	out := []*ir.Value{last[0][0]}
	if r.sequences {
		s := y.Type.Shape
		if y = c.reshape(y, ir.Shape{s[0], s[1], r.units}); r.backwards {
			y = c.reversed(y)
		}
		out[0] = r.timeFirst(c, y)
	}
	if r.state {
		out = append(out, last[0]...)
	}
	return out
}

// bidirectional applies two layers, of which one visits the steps from the last to the first.
// Its results are in the order of time.
func bidirectional(c *call) []*ir.Value {
	if c.l.directions == nil {
		c.failf("it wraps no layer")
	}
	x, states := c.sequence()
	var parts []recurrence
	for i, l := range c.l.directions {
		if e, reason, remedy := lookup(l); e == nil {
			c.refuse(fmt.Sprintf("it wraps %s %q: %s", l.class, l.name, reason), remedy)
		}
		if _, ok := cells[l.class]; !ok {
			c.failf("it wraps %s %q, want SimpleRNN, GRU or LSTM", l.class, l.name)
		}
		st, err := c.store.part([]string{"forward_layer", "backward_layer"}[i], l)
		if err != nil {
			c.failf("%v", err)
		}
		inner := &call{im: c.im, l: l, store: st, config: l.config, name: c.name, in: c.in, dtype: c.dtype}
		parts = append(parts, inner.recurrence(x.Type.Shape[2]))
		if inner.taken != len(inner.vars) {
			c.failf("its layer %q has %d weights in the file, want %d", l.name, len(inner.vars), inner.taken)
		}
	}
	f, b := parts[0], parts[1]
	if f.backwards {
		c.failf("its layer goes backwards")
	}
	if f.op.Cell != b.op.Cell || f.op.F != b.op.F || f.op.G != b.op.G || f.op.LinearBeforeReset != b.op.LinearBeforeReset ||
		f.units != b.units || f.sequences != b.sequences || (f.bias == nil) != (b.bias == nil) {
		c.failf("its two layers have different options")
	}
	y, last := c.emitRecurrent(f.timeFirst(c, x), states, f, b)
	merged := []*ir.Value{last[0][0], last[1][0]}
	if f.sequences {
		for d := range merged {
			v := c.slice(y, 2, d, 1)
			merged[d] = f.timeFirst(c, c.reshape(v, ir.Shape{v.Type.Shape[0], v.Type.Shape[1], f.units}))
		}
	}
	mode := text(c.config.get("merge_mode"))
	if c.config.get("merge_mode") == nil && !slices.Contains(c.config.keys, "merge_mode") {
		mode = "concat"
	}
	out := merged
	switch mode {
	case "concat":
		if f.sequences {
			s := y.Type.Shape
			out = []*ir.Value{f.timeFirst(c, c.reshape(y, ir.Shape{s[0], s[1], 2 * f.units}))}
		} else {
			out = []*ir.Value{c.concat(merged, 1)}
		}
	case "sum":
		out = []*ir.Value{c.binary(ir.Add, merged[0], merged[1])}
	case "mul":
		out = []*ir.Value{c.binary(ir.Mul, merged[0], merged[1])}
	case "ave":
		out = []*ir.Value{c.binary(ir.Mul, c.binary(ir.Add, merged[0], merged[1]), c.scalar(0.5, c.dtype))}
	case "": // None: both results
	default:
		c.failf("merge_mode %q", mode)
	}
	if f.state {
		out = append(out, append(last[0], last[1]...)...)
	}
	return out
}

// parseDirections returns the layers of Bidirectional: the one that it wraps, and another of
// the same configuration unless the file has one. It does not copy other layers than those of
// cells, which could contain such layers in turn.
func parseDirections(l *layer) ([]*layer, error) {
	forward := object(l.config.get("layer"))
	if forward == nil {
		return nil, nil
	}
	f, err := parseLayer(forward)
	if err != nil {
		return nil, err
	}
	backward := object(l.config.get("backward_layer"))
	if _, ok := cells[f.class]; backward == nil && !ok {
		return []*layer{f}, nil
	}
	if backward == nil {
		backward = forward
	}
	b, err := parseLayer(backward)
	return []*layer{f, b}, err
}

// recurrent returns the weights of a cell or direction, which lie below the path of the layer. The name of a cell varies with the
// version of Keras, and early versions omit it. The names of the layers of Bidirectional start
// with forward_ and backward_.
func (s legacyLayer) recurrent(name string) legacyLayer {
	names := s.names
	if !s.top {
		names = nil
		for _, p := range s.paths {
			for k := 0; k < len(p) && names == nil; k++ {
				names = s.under(strings.Join(p[k:], "/"))
			}
		}
	}
	if direction, ok := strings.CutSuffix(name, "layer"); ok {
		names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !strings.Contains("/"+n, "/"+direction) })
	}
	return legacyLayer{legacyGroup: &legacyGroup{group: s.group, names: names}, top: true}
}

// under returns the names of the weights whose path has the given part.
func (g *legacyGroup) under(path string) (names []string) {
	for _, n := range g.names {
		if strings.Contains("/"+n, "/"+path+"/") {
			names = append(names, n)
		}
	}
	return names
}
