package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"modelc/ir"
)

// node is a node that is being imported. Its methods are the vocabulary of builders.
//
// A builder returns the values for an operator. If the node is not supported, a method
// of node panics with a bailout, and run converts it to an error.
type node struct {
	im      *importer
	p       *nodeProto
	scope   *scope
	version int // opset of the default domain
	name    string
	in      []*ir.Value // operands; nil if absent; required operands are present
	depth   int
	// quantising are the operands that the builder read as scales and zero points. They are
	// no parameters of the model.
	quantising []int
}

type bailout struct{ err error }

// run calls a builder.
func (n *node) run(build func(*node) []*ir.Value) (out []*ir.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			b, ok := r.(bailout)
			if !ok {
				panic(r)
			}
			err = b.err
		}
	}()
	return build(n), nil
}

// fail ends the builder with an error.
func (n *node) fail(err error) { panic(bailout{err}) }

func (n *node) failf(format string, args ...any) { n.fail(fmt.Errorf(format, args...)) }

func (n *node) refuse(reason, remedy string) { n.fail(refusal{reason, remedy}) }

// operands lists the types of the operands for messages.
func (n *node) operands() string {
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

// emit appends a node with one result.
func (n *node) emit(op ir.Op, in ...*ir.Value) *ir.Value { return n.append(op, in...).Out[0] }

// one appends a node whose results are those of the operator.
func (n *node) one(op ir.Op, in ...*ir.Value) []*ir.Value { return n.append(op, in...).Out }

func (n *node) append(op ir.Op, in ...*ir.Value) *ir.Node {
	m, err := n.im.g.Append(n.name, op, in...)
	if err != nil {
		if inner := errors.Unwrap(err); inner != nil {
			err = inner // without the node's name, which the problem contains
		}
		n.fail(err)
	}
	return m
}

// Shorthands for frequent nodes.

func (n *node) binary(f ir.BinaryFn, a, b *ir.Value) *ir.Value { return n.emit(ir.Binary{Fn: f}, a, b) }

func (n *node) unary(f ir.Fn, x *ir.Value) *ir.Value { return n.emit(ir.Unary{Fn: ir.Act{Fn: f}}, x) }

func (n *node) reshape(x *ir.Value, s ir.Shape) *ir.Value {
	if x.Type.Shape.Equal(s) {
		return x
	}
	return n.emit(ir.Reshape{Shape: s}, x)
}

func (n *node) transpose(x *ir.Value, perm ...int) *ir.Value {
	return n.emit(ir.Transpose{Perm: perm}, x)
}

func (n *node) cast(x *ir.Value, to ir.DType) *ir.Value {
	if x.Type.DType == to {
		return x
	}
	return n.emit(ir.Cast{To: to}, x)
}

// constValue adds a constant.
func (n *node) constValue(t *ir.Tensor) *ir.Value { return n.im.g.AddConst(n.p.outputs[0]+".const", t) }

// number adds a scalar constant of the given type.
func (n *node) number(d ir.DType, x float64) *ir.Value {
	return n.constValue(ir.FromFloat64s(ir.T(d), []float64{x}))
}

// budget returns the number of elements of a constant to make. It fails if the constants
// of the graph would be too large.
func (n *node) budget(s ir.Shape) int {
	if err := s.Check(); err != nil {
		n.fail(err)
	}
	// Some operators make the elements in float64 first.
	if err := n.im.afford(8 * int64(s.Len())); err != nil {
		n.fail(fmt.Errorf("a constant of shape %s: %w", s, err))
	}
	return s.Len()
}

// arg returns operand i, or nil if it is absent.
func (n *node) arg(i int) *ir.Value {
	if i < len(n.in) {
		return n.in[i]
	}
	return nil
}

// sequenceArg returns operand i, which must be a sequence.
func (n *node) sequenceArg(i int) ([]*ir.Value, bool) {
	if i >= len(n.p.inputs) {
		return nil, false
	}
	return n.scope.sequence(n.p.inputs[i])
}

// wants reports whether the node's output i is used by name.
func (n *node) wants(i int) bool { return i < len(n.p.outputs) && n.p.outputs[i] != "" }

// constant returns the constant value of operand i, or nil if it is absent.
func (n *node) constant(i int, what string) *ir.Tensor {
	v := n.arg(i)
	if v == nil {
		return nil
	}
	return n.fixed(v, what)
}

// fixed returns the constant value of v.
func (n *node) fixed(v *ir.Value, what string) *ir.Tensor {
	t, ok := n.im.folder.Const(v)
	if !ok {
		n.refuse(fmt.Sprintf("%s (%q) is computed at run time", what, v.Name), "it must be a constant; --bind NAME=FILE makes a graph input constant")
	}
	return t
}

// scalar returns the only element of the constant operand i, or def if it is absent.
func (n *node) scalar(i int, what string, def float64) float64 {
	t := n.constant(i, what)
	if t == nil {
		return def
	}
	if t.Shape.Len() != 1 {
		n.failf("%s is %s, want one element", what, t.Type)
	}
	return t.Float64s()[0]
}

// integersOf returns the elements of a constant as integers. Numbers outside the range
// of int64 become its nearest end, which is outside the range of every parameter.
func integersOf(t *ir.Tensor) []int64 {
	if t.DType.IsInt() && t.DType != ir.Uint64 || t.DType == ir.Bool {
		return t.Int64s()
	}
	v := make([]int64, t.Shape.Len())
	for i, x := range t.Float64s() {
		switch {
		case x < math.MinInt64 || x != x:
			v[i] = math.MinInt64
		case x >= math.MaxInt64: // as a float64 this is MaxInt64+1
			v[i] = math.MaxInt64
		default:
			v[i] = int64(x)
		}
	}
	return v
}

// legal returns a value of an attribute or operand if it is in the range for its name
// in the table of limits.
func (n *node) legal(name string, x int64) int {
	if err := ir.CheckLimit(strings.TrimPrefix(name, "the "), x); err != nil {
		n.fail(err)
	}
	return int(x)
}

func (n *node) legals(name string, list []int64) []int {
	out := make([]int, len(list))
	for i, x := range list {
		out[i] = n.legal(name, x)
	}
	return out
}

// clamped returns a value clamped to the range for its name. It is for values that
// have the same meaning beyond the limit as at the limit: exporters write the largest
// integer for the end of an axis.
func (n *node) clamped(name string, x int64) int {
	if l, ok := ir.LimitOf(name); ok {
		x = min(max(x, l.Min), l.Max)
	}
	return n.legal(name, x)
}

// whole returns the element of the constant operand i, a whole number of any type.
func (n *node) whole(i int, what string) int64 {
	t := n.constant(i, what)
	if t == nil || t.Shape.Len() != 1 {
		n.failf("%s is not one element", what)
	}
	x := t.Float64s()[0]
	if x != math.Trunc(x) || math.Abs(x) > 1<<53 {
		n.failf("%s is %g, want a whole number", what, x)
	}
	return int64(x)
}

// integers returns the integers of the constant operand i, or nil and false if it is
// absent.
func (n *node) integers(i int, what string) ([]int64, bool) {
	t := n.constant(i, what)
	if t == nil {
		return nil, false
	}
	if !t.DType.IsInt() && t.Shape.Len() > 0 {
		n.failf("%s (%q) is %s, want integers", what, n.in[i].Name, t.Type)
	}
	return integersOf(t), true
}

// list returns the integers of the constant operand i and checks that they are legal.
func (n *node) list(i int, what string) ([]int, bool) {
	list, ok := n.integers(i, what)
	if !ok {
		return nil, false
	}
	return n.legals(what, list), true
}

// integer returns the only element of the constant operand i, or def if it is absent.
func (n *node) integer(i int, what string, def int64) int64 {
	list, ok := n.integers(i, what)
	switch {
	case !ok:
		return def
	case len(list) != 1:
		n.failf("%s is %s, want one element", what, n.in[i].Type)
	}
	return list[0]
}

// attrOrList reads integers that are an attribute in older opsets and operand i in
// newer ones.
func (n *node) attrOrList(name string, i int) ([]int, bool) {
	if n.attr(name) != nil {
		return n.ints(name), true
	}
	return n.list(i, name)
}

// clampedList is like attrOrList for names whose values are clamped.
func (n *node) clampedList(name string, i int) ([]int, bool) {
	var list []int64
	ok := true
	if a := n.attr(name); a != nil {
		list = a.ints
	} else if list, ok = n.integers(i, name); !ok {
		return nil, false
	}
	out := make([]int, len(list))
	for k, x := range list {
		out[k] = n.clamped(name, x)
	}
	return out, true
}

// resolve resolves a reference to an attribute of the enclosing function.
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
		return n.legal(name, a.i)
	}
	return def
}

func (n *node) clampedInt(name string, def int) int {
	if a := n.attr(name); a != nil {
		return n.clamped(name, a.i)
	}
	return def
}

func (n *node) flag(name string, def bool) bool {
	if a := n.attr(name); a != nil {
		return a.i != 0
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
	return n.legals(name, a.ints)
}

// axis returns axis a of a tensor of the given rank as a non-negative number.
func (n *node) axis(a, rank int) int {
	if a < -rank || a >= rank {
		n.failf("axis %d is out of range for a tensor of %d axes", a, rank)
	}
	if a < 0 {
		a += rank
	}
	return a
}

// axes converts axes to non-negative numbers and sorts them.
func (n *node) axes(list []int, rank int) []int {
	out := make([]int, len(list))
	for i, a := range list {
		out[i] = n.axis(a, rank)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func repeat(x, n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = x
	}
	return s
}

// upTo returns the integers from first to end−1.
func upTo(first, end int) []int {
	var s []int
	for i := first; i < end; i++ {
		s = append(s, i)
	}
	return s
}
