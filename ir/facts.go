package ir

import "reflect"

// FLOPs returns the number of floating-point operations of n; a multiply-add
// counts as two.
func FLOPs(n *Node) int64 {
	if f := InfoOf(n.Op).FLOPs; f != nil {
		return f(n.Op, n.InTypes(), n.OutTypes())
	}
	return 0
}

// Traffic returns the size of the operands and results of n in bytes. That is the memory
// traffic if each is read or written once.
func Traffic(n *Node) int64 {
	b := int64(0)
	for _, t := range append(n.InTypes(), n.OutTypes()...) {
		if t.Present() {
			b += int64(t.Bytes())
		}
	}
	return b
}

// Label returns the name of op for people. For ops that stand for many functions, such as
// [Unary], it is the name of the function.
func Label(op Op) string {
	switch op := op.(type) {
	case Unary:
		return op.Fn.String()
	case Binary:
		return op.Fn.String()
	case Reduce:
		return "Reduce " + op.Fn.String()
	case Pool:
		return op.Kind.String() + " pool"
	}
	return op.Name()
}

// Epilogue returns the function that op applies to its result. ok is false if op cannot
// have an epilogue.
func Epilogue(op Op) (a Act, ok bool) {
	i := InfoOf(op).epilogue
	if i < 0 {
		return Act{}, false
	}
	return reflect.ValueOf(op).Field(i).Interface().(Act), true
}

// WithEpilogue returns op with epilogue a. It panics if op cannot have an epilogue.
func WithEpilogue(op Op, a Act) Op { return withAct(op, InfoOf(op).epilogue, a) }

// Rounds reports whether op rounds its result to whole numbers. The smallest error of its
// operand may then become a whole step.
func Rounds(op Op) bool {
	switch op := op.(type) {
	case Quantize, DynamicQuantize:
		return true
	case Unary:
		return op.Fn.rounds()
	}
	a, ok := Epilogue(op)
	return ok && a.rounds()
}

// rounds reports whether a gives whole numbers for all arguments.
func (a Act) rounds() bool { return a.Fn == Round || a.Fn == Floor || a.Fn == Ceil }

func withAct(op Op, field int, a Act) Op {
	v := reflect.New(reflect.TypeOf(op)).Elem()
	v.Set(reflect.ValueOf(op))
	v.Field(field).Set(reflect.ValueOf(a))
	return v.Interface().(Op)
}

// HasPrologue reports whether n first transforms x, by the function of the prologue or by
// a scale or shift per channel.
func (n *Node) HasPrologue() bool {
	info := InfoOf(n.Op)
	if info.prologue < 0 {
		return false
	}
	fn := reflect.ValueOf(n.Op).Field(info.prologue).Interface().(Act)
	return !fn.IsIdentity() || n.Input(info.scale) != nil || n.Input(info.scale+1) != nil
}

// SetPrologue makes n, a convolution or pool without a prologue, read x as
// fn(x·scale+shift). scale and shift have the shape [C], or are both nil.
func (g *Graph) SetPrologue(n *Node, fn Act, scale, shift *Value) {
	info := InfoOf(n.Op)
	n.Op = withAct(n.Op, info.prologue, fn)
	if scale != nil {
		g.SetInput(n, info.scale, scale)
		g.SetInput(n, info.scale+1, shift)
	}
}
