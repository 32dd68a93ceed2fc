package keras

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"modelc/frontend/keras/hdf5"
	"modelc/ir"
)

// call is a call of a layer that is being imported. Its methods are the
// vocabulary of builders.
//
// A builder returns the nodes for a layer. If the layer is not supported, a
// method of call panics with a bailout, and importer.build converts it to a
// problem.
type call struct {
	im     *importer
	l      *layer
	store  store
	config *record
	name   string // of the layer, prefixed with its submodels
	in     inbound
	dtype  ir.DType // element type of the layer's computation
	vars   []*hdf5.Dataset
	loaded bool // vars is valid
	taken  int  // number of variables used
	parts  int  // number of variables that its parts used
}

type bailout struct{ reason, remedy string }

// build runs the builder of a layer and returns its results. If the builder
// fails, build records a problem and returns nil.
func (im *importer) build(l *layer, st store, name string, in inbound) []*ir.Value {
	e, _, _ := lookup(l)
	c := &call{im: im, l: l, store: st, config: l.config, name: name, in: in}
	before := len(im.g.Nodes)
	out, bad := c.run(e.build)
	if bad != nil {
		im.problem(l, name, bad.reason+c.operands(), bad.remedy)
		return nil
	}
	if len(out) == 1 && im.madeSince(before, out[0]) {
		im.g.Rename(out[0], name)
	}
	return out
}

func (c *call) run(build func(*call) []*ir.Value) (out []*ir.Value, bad *bailout) {
	defer func() {
		if r := recover(); r != nil {
			b, ok := r.(bailout)
			if !ok {
				panic(r)
			}
			bad = &b
		}
	}()
	c.policy()
	out = build(c)
	c.unread()
	if left := len(c.vars) - c.taken; c.taken > 0 && left > 0 && left != c.parts {
		c.failf("it has %d weights in the file, want %d", len(c.vars), c.taken)
	}
	return out, nil
}

// unread fails if a parameter of an operation was not read and differs from its default,
// so that no parameter is ignored by mistake.
func (c *call) unread() {
	if !c.l.isTF() && !c.l.isOperation() {
		return
	}
	for _, r := range []*record{c.in.kwargs, c.config} {
		for _, key := range r.names() {
			v := r.values[key]
			switch {
			case r.read[key], v == nil, v == false, v == 0.0, v == "", slices.Contains(harmless[key], v):
			case key == "name", key == "dtype" && r == c.config, key == "trainable", key == "function":
			default:
				c.failf("its parameter %s is %.60v, which is not supported", key, v)
			}
		}
	}
}

// harmless lists values of parameters that every builder may ignore.
var harmless = map[string][]any{
	"data_format":      {"channels_last", "NHWC"},
	"fill_mode":        {"constant"},
	"out_type":         {"int32"},
	"sorted":           {true},
	"use_cudnn_on_gpu": {true},
	"validate_indices": {true},
}

// failf ends the builder with a reason.
func (c *call) failf(format string, args ...any) {
	panic(bailout{reason: fmt.Sprintf(format, args...)})
}

// refuse ends the builder with a reason and a remedy.
func (c *call) refuse(reason, remedy string) { panic(bailout{reason, remedy}) }

// policy sets the element type of the layer's computation.
func (c *call) policy() {
	d, half, err := parseDType(c.config.get("dtype"))
	if err != nil {
		c.failf("%v", err)
	}
	c.im.half = c.im.half || half
	if !d.IsFloat() {
		d = ir.Float32
	}
	c.dtype = d
}

// operands lists the types of the layer's operands.
func (c *call) operands() string {
	var s []string
	mapValues(c.in.args, func(v *ir.Value) { s = append(s, v.Type.String()) })
	if s == nil {
		return ""
	}
	return "; called with " + strings.Join(s, ", ")
}

// mapValues calls f for the tensors in an argument.
func mapValues(a any, visit func(*ir.Value)) {
	switch a := a.(type) {
	case *ir.Value:
		if a != nil {
			visit(a)
		}
	case []any:
		for _, e := range a {
			mapValues(e, visit)
		}
	}
}

// xs returns the tensors of the layer's first argument. Like Keras, it casts
// them to the element type of the layer's computation.
func (c *call) xs() []*ir.Value {
	for k, a := range c.in.args {
		if _, tensor := a.(*ir.Value); tensor && k > 0 {
			c.failf("it is called with a second tensor (a mask?)")
		}
	}
	for _, k := range []string{"mask", "attention_mask"} {
		mapValues(c.in.kwargs.get(k), func(*ir.Value) { c.failf("it is called with a mask") })
	}
	var list []*ir.Value
	mapValues(first(c.in, "inputs"), func(v *ir.Value) { list = append(list, c.cast(v, c.dtype)) })
	return list
}

// x returns the layer's only input.
func (c *call) x() *ir.Value {
	list := c.xs()
	if len(list) != 1 {
		c.failf("it is called with %d tensors, want one", len(list))
	}
	return list[0]
}

// image returns the layer's only input, which must have a batch, a channel
// and n spatial axes.
func (c *call) image(n int) *ir.Value {
	x := c.x()
	if x.Type.Rank() != n+2 {
		c.failf("its input has %d axes, want %d", x.Type.Rank(), n+2)
	}
	return x
}

// maxElements is the maximum number of elements of a tensor.
const maxElements = ir.MaxExtent

// legal returns x if it is in the range of the parameter named key.
func (c *call) legal(key string, x int64) int {
	if err := ir.CheckLimit(key, x); err != nil {
		c.failf("%v", err)
	}
	return int(x)
}

// extent returns x as the computed extent of an axis.
func (c *call) extent(x int64) int {
	if x < 0 || x > ir.MaxExtent {
		c.failf("its result has %d elements along an axis", x)
	}
	return int(x)
}

// elements returns the number of elements of a shape, or maxElements+1 if it is
// larger.
func elements(s ir.Shape) int {
	n := 1
	for _, d := range s {
		if d == 0 {
			return 0
		}
		if n > maxElements/d {
			n = maxElements + 1
			break
		}
		n *= d
	}
	return n
}

// emit appends a node with one result. The result is named after the layer and
// the op; the layer's own result is renamed later.
func (c *call) emit(op ir.Op, in ...*ir.Value) *ir.Value {
	v, err := c.im.g.Emit(c.name, op, in...)
	if err != nil {
		if inner := errors.Unwrap(err); inner != nil {
			err = inner // without the node's name, which the problem contains
		}
		c.failf("%v", err)
	}
	if elements(v.Type.Shape) > maxElements {
		c.failf("its result of shape %s is too large", v.Type.Shape)
	}
	c.im.g.Rename(v, c.name+"."+op.Name())
	return v
}

// Shorthands for frequent nodes.

func (c *call) unary(f ir.Act, x *ir.Value) *ir.Value { return c.emit(ir.Unary{Fn: f}, x) }

func (c *call) binary(f ir.BinaryFn, a, b *ir.Value) *ir.Value {
	return c.emit(ir.Binary{Fn: f}, a, b)
}

func (c *call) reshape(x *ir.Value, s ir.Shape) *ir.Value {
	if x.Type.Shape.Equal(s) {
		return x
	}
	if elements(x.Type.Shape) != elements(s) {
		c.failf("shape %s does not fit %s", s, x.Type.Shape)
	}
	return c.emit(ir.Reshape{Shape: s}, x)
}

func (c *call) transpose(x *ir.Value, perm []int) *ir.Value {
	if slices.IsSorted(perm) {
		return x
	}
	return c.emit(ir.Transpose{Perm: perm}, x)
}

func (c *call) cast(x *ir.Value, to ir.DType) *ir.Value {
	if x.Type.DType == to {
		return x
	}
	return c.emit(ir.Cast{To: to}, x)
}

// planar applies an op on [N,C,D…] to an image in the layer's data format.
func (c *call) planar(x *ir.Value, op func(x *ir.Value) *ir.Value) *ir.Value {
	if c.firstFormat() {
		return op(x)
	}
	r := x.Type.Rank()
	return c.transpose(op(c.transpose(x, ir.ChannelsFirst(r))), ir.ChannelsLast(r))
}

// firstFormat reports whether the layer's images have channels first.
func (c *call) firstFormat() bool {
	switch f := c.str("data_format", "channels_last"); f {
	case "channels_last":
		return false
	case "channels_first":
		return true
	default:
		c.failf("data_format %q", f)
		return false
	}
}

// channelAxis returns the axis of an image's channels.
func (c *call) channelAxis(x *ir.Value) int {
	if c.firstFormat() {
		return 1
	}
	return x.Type.Rank() - 1
}

// spatial returns the first spatial axis of an image.
func (c *call) spatial() int {
	if c.firstFormat() {
		return 2
	}
	return 1
}

// The following methods return fields of the configuration. A field that is
// missing or null has the default value.

func (c *call) str(key, def string) string {
	v := c.config.get(key)
	if v == nil {
		return def
	}
	s, ok := v.(string)
	if !ok {
		c.failf("%s is %.60v, not a string", key, v)
	}
	return s
}

func (c *call) flag(key string, def bool) bool {
	v := c.config.get(key)
	if v == nil {
		return def
	}
	b, ok := v.(bool)
	if !ok {
		c.failf("%s is %.60v, not true or false", key, v)
	}
	return b
}

func (c *call) float(key string, def float64) float64 {
	v := c.config.get(key)
	if v == nil {
		return def
	}
	return c.number(key, v)
}

func (c *call) number(what string, v any) float64 {
	f, ok := v.(float64)
	if r := object(v); !ok && r != nil {
		f, ok = array(r).(float64)
	}
	if !ok {
		c.failf("%s is %.60v, not a number", what, v)
	}
	return f
}

// array returns the number or list of numbers of a serialised NumPy array or tensor.
func array(r *record) any {
	if v := r.get("value"); v != nil {
		return v
	}
	return object(r.get("config")).get("value")
}

func (c *call) int(key string, def int) int {
	v := c.config.get(key)
	if v == nil {
		return def
	}
	n, ok := integer(v)
	if !ok {
		c.failf("%s is %.60v, not a whole number", key, v)
	}
	return n
}

// tuple returns n positive integers. The field is a list of n numbers or one
// number for all.
func (c *call) tuple(key string, n, def int) []int {
	out := slices.Repeat([]int{def}, n)
	switch v := c.config.get(key).(type) {
	case nil:
	case float64:
		out = slices.Repeat([]int{c.int(key, def)}, n)
	default:
		list, ok := integers(v)
		if !ok || len(list) != n {
			c.failf("%s is %.60v, not %d whole numbers", key, v, n)
		}
		out = list
	}
	for _, x := range out {
		c.legal(key, int64(x))
	}
	return out
}

// axis returns axis a of a tensor of the given rank as a non-negative number.
func (c *call) axis(a, rank int) int {
	if a < -rank || a >= rank {
		c.failf("axis %d is out of range for a tensor of %d axes", a, rank)
	}
	if a < 0 {
		a += rank
	}
	return a
}

// axes reads an axis or a list of axes. It returns sorted non-negative numbers.
func (c *call) axes(v any, rank int) []int {
	list, ok := integers(v)
	if a, single := integer(v); single {
		list, ok = []int{a}, true
	}
	if !ok {
		c.failf("axis is %.60v, not a list of whole numbers", v)
	}
	for i := range list {
		list[i] = c.axis(list[i], rank)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// The following methods return weights.

// weight returns the layer's next variable. The variable must have the given
// shape.
func (c *call) weight(name string, shape ir.Shape) *ir.Tensor {
	d := c.variable(name)
	if !slices.Equal(d.Shape, shape) {
		c.failf("its weight %q has shape %s in the file, but shape %s in the configuration", name, ir.Shape(d.Shape), shape)
	}
	t, err := tensor(d, c.dtype)
	if err != nil {
		c.failf("%v", err)
	}
	return t
}

// variable returns the layer's next variable.
func (c *call) variable(name string) *hdf5.Dataset {
	if !c.loaded {
		var err error
		if c.vars, err = c.store.variables(); err != nil {
			c.failf("%v", err)
		}
		c.loaded = true
	}
	if c.taken >= len(c.vars) {
		c.refuse(fmt.Sprintf("its weight %q (number %d) is not in the file, which has %d weights of this layer", name, c.taken, len(c.vars)),
			"build the model and save it again")
	}
	c.taken++
	d := c.vars[c.taken-1]
	c.im.count(c.l, name, d)
	return d
}

// param returns a weight as a constant of the graph, after layout has
// rearranged it. All calls of a layer use the same constant.
func (c *call) param(name string, shape ir.Shape, layout func(*ir.Tensor) *ir.Tensor) *ir.Value {
	if v := c.l.params[name]; v != nil {
		c.variable(name)
		if want := ir.Shape(c.vars[c.taken-1].Shape); !want.Equal(shape) {
			c.failf("it is shared, but its weight %q has shape %s, and this call needs shape %s", name, want, shape)
		}
		return v
	}
	t := c.weight(name, shape)
	if layout != nil {
		t = layout(t)
	}
	return c.keep(name, t)
}

// keep adds a constant of the layer to the graph. All calls of the layer share
// it.
func (c *call) keep(name string, t *ir.Tensor) *ir.Value {
	v := c.l.params[name]
	if v == nil {
		v = c.im.g.AddConst(c.name+"/"+name, t)
		c.l.params[name] = v
	}
	return v
}

// scalar adds the number x to the graph as a constant of type d.
func (c *call) scalar(x float64, d ir.DType) *ir.Value {
	return c.im.g.AddConst(c.name+"/const", ir.FromFloat64s(ir.T(d), []float64{x}))
}

// afford counts the elements of a constant to make. It fails if the constants of the model
// become too large.
func (c *call) afford(elements int) {
	c.im.made += 8 * int64(elements)
	if err := c.im.opts.Bounds.Check(ir.BoundConstants, 8*c.im.made); err != nil {
		c.failf("%v", err)
	}
}

// filled returns a tensor of n elements with value x.
func (c *call) filled(n int, x float64) *ir.Tensor {
	c.afford(n)
	v := make([]float64, n)
	for i := range v {
		v[i] = x
	}
	return ir.FromFloat64s(ir.T(c.dtype, n), v)
}

// permuted returns t with permuted axes: axis i of the result is axis perm[i]
// of t.
func permuted(t *ir.Tensor, perm ...int) *ir.Tensor {
	shape := make(ir.Shape, len(perm))
	strides := make([]int, len(perm))
	from := t.Shape.Strides()
	for i, p := range perm {
		shape[i], strides[i] = t.Shape[p], from[p]
	}
	out := ir.NewTensor(ir.Type{DType: t.DType, Shape: shape})
	size := t.DType.Size()
	src, dst := t.Bytes(), out.Bytes()
	var visit func(axis, at int)
	visit = func(axis, at int) {
		if axis == len(shape)-1 {
			n, step := shape[axis], strides[axis]*size
			for range n {
				copy(dst[:size], src[at:])
				dst = dst[size:]
				at += step
			}
			return
		}
		for range shape[axis] {
			visit(axis+1, at)
			at += strides[axis] * size
		}
	}
	if len(dst) > 0 {
		visit(0, 0)
	}
	return out
}
