package onnx

import "modelc/ir"

var elementwiseOps = []operator{
	{name: "Abs", operands: 1, becomes: "Unary Abs", build: act(ir.Abs)},
	{name: "Neg", operands: 1, becomes: "Unary Neg", build: act(ir.Neg)},
	{name: "Sign", since: 9, operands: 1, becomes: "Unary Sign", build: act(ir.Sign)},
	{name: "Exp", operands: 1, becomes: "Unary Exp", build: act(ir.Exp)},
	{name: "Log", operands: 1, becomes: "Unary Log", build: act(ir.Log)},
	{name: "Sqrt", operands: 1, becomes: "Unary Sqrt", build: act(ir.Sqrt)},
	{name: "Reciprocal", operands: 1, becomes: "Unary Reciprocal", build: act(ir.Reciprocal)},
	{name: "Erf", since: 9, operands: 1, becomes: "Unary Erf", build: act(ir.Erf)},
	{name: "Floor", operands: 1, becomes: "Unary Floor", build: act(ir.Floor)},
	{name: "Ceil", operands: 1, becomes: "Unary Ceil", build: act(ir.Ceil)},
	{name: "Round", since: 11, operands: 1, becomes: "Unary Round", build: act(ir.Round)},
	{name: "Sin", since: 7, operands: 1, becomes: "Unary Sin", build: act(ir.Sin)},
	{name: "Cos", since: 7, operands: 1, becomes: "Unary Cos", build: act(ir.Cos)},
	{name: "Tan", since: 7, operands: 1, becomes: "Unary Tan", build: act(ir.Tan)},
	{name: "Asin", since: 7, operands: 1, becomes: "Unary Asin", build: act(ir.Asin)},
	{name: "Acos", since: 7, operands: 1, becomes: "Unary Acos", build: act(ir.Acos)},
	{name: "Atan", since: 7, operands: 1, becomes: "Unary Atan", build: act(ir.Atan)},
	{name: "Sinh", since: 9, operands: 1, becomes: "Unary Sinh", build: act(ir.Sinh)},
	{name: "Cosh", since: 9, operands: 1, becomes: "Unary Cosh", build: act(ir.Cosh)},
	{name: "Asinh", since: 9, operands: 1, becomes: "Unary Asinh", build: act(ir.Asinh)},
	{name: "Acosh", since: 9, operands: 1, becomes: "Unary Acosh", build: act(ir.Acosh)},
	{name: "Atanh", since: 9, operands: 1, becomes: "Unary Atanh", build: act(ir.Atanh)},
	{name: "Not", operands: 1, becomes: "Unary Not", build: act(ir.Not)},
	{name: "IsNaN", since: 9, operands: 1, becomes: "Unary IsNaN", build: act(ir.IsNaN)},
	{name: "IsInf", since: 10, operands: 1, becomes: "Unary IsInf", build: isInf},

	{name: "Add", operands: 2, becomes: "Binary Add", build: binary(ir.Add)},
	{name: "Sub", operands: 2, becomes: "Binary Sub", build: binary(ir.Sub)},
	{name: "Mul", operands: 2, becomes: "Binary Mul", build: binary(ir.Mul)},
	{name: "Div", operands: 2, becomes: "Binary Div", build: binary(ir.Div)},
	{name: "Pow", operands: 2, becomes: "Binary Pow", build: binary(ir.Pow)},
	{name: "Mod", since: 10, operands: 2, becomes: "Binary Mod or FMod", build: mod},
	{name: "Equal", operands: 2, becomes: "Binary Equal", build: binary(ir.Equal)},
	{name: "Less", operands: 2, becomes: "Binary Less", build: binary(ir.Less)},
	{name: "LessOrEqual", since: 12, operands: 2, becomes: "Binary LessOrEqual", build: binary(ir.LessOrEqual)},
	{name: "Greater", operands: 2, becomes: "Binary Greater", build: binary(ir.Greater)},
	{name: "GreaterOrEqual", since: 12, operands: 2, becomes: "Binary GreaterOrEqual", build: binary(ir.GreaterOrEqual)},
	{name: "And", operands: 2, becomes: "Binary And", build: binary(ir.And)},
	{name: "Or", operands: 2, becomes: "Binary Or", build: binary(ir.Or)},
	{name: "Xor", operands: 2, becomes: "Binary Xor", build: binary(ir.Xor)},
	{name: "BitwiseAnd", since: 18, operands: 2, becomes: "Binary BitAnd", build: binary(ir.BitAnd)},
	{name: "BitwiseOr", since: 18, operands: 2, becomes: "Binary BitOr", build: binary(ir.BitOr)},
	{name: "BitwiseXor", since: 18, operands: 2, becomes: "Binary BitXor", build: binary(ir.BitXor)},
	{name: "BitwiseNot", since: 18, operands: 1, becomes: "Binary BitXor", build: bitwiseNot},
	{name: "BitShift", since: 11, operands: 2, becomes: "Binary ShiftLeft or ShiftRight", build: bitShift},

	{name: "Sum", operands: 1, most: []most{{1, anyNumber}}, becomes: "Binary Add", build: chain(ir.Add)},
	{name: "Mean", operands: 1, most: []most{{1, anyNumber}}, becomes: "Binary Add, Div", build: mean},
	{name: "Max", operands: 1, most: []most{{1, anyNumber}}, becomes: "Binary Max", build: chain(ir.Max)},
	{name: "Min", operands: 1, most: []most{{1, anyNumber}}, becomes: "Binary Min", build: chain(ir.Min)},
	{name: "Where", since: 9, operands: 3, becomes: "Where", build: where},
	{name: "Cast", operands: 1, becomes: "Cast", limits: "no strings, 8-bit floats and 4-bit types", build: cast},
	{name: "CastLike", since: 15, operands: 2, becomes: "Cast", build: castLike},
}

func isInf(n *node) []*ir.Value {
	return n.one(ir.Unary{Fn: ir.Act{Fn: ir.IsInf, Alpha: n.truth("detect_negative"), Beta: n.truth("detect_positive")}}, n.in[0])
}

// truth reads a flag that is stored as a number and set by default.
func (n *node) truth(name string) float64 {
	if n.flag(name, true) {
		return 1
	}
	return 0
}

// binary reads two operands. Before opset 7 they have a broadcast attribute.
func binary(f ir.BinaryFn) func(n *node) []*ir.Value {
	return func(n *node) []*ir.Value {
		a, b := n.in[0], n.in[1]
		if n.version < 7 && n.flag("broadcast", false) {
			// The first axis of b corresponds to this axis of a.
			ra, rb := a.Type.Rank(), b.Type.Rank()
			at := n.int("axis", ra-rb)
			if at < 0 {
				at += ra
			}
			if at < 0 || at+rb > ra {
				n.failf("operand %s does not fit %s at axis %d", b.Type, a.Type, at)
			}
			b = n.reshape(b, append(append(ir.Shape{}, b.Type.Shape...), repeat(1, ra-at-rb)...))
		}
		return n.one(ir.Binary{Fn: f}, a, b)
	}
}

func mod(n *node) []*ir.Value {
	if n.flag("fmod", false) {
		return binary(ir.FMod)(n)
	}
	return binary(ir.Mod)(n)
}

func bitShift(n *node) []*ir.Value {
	if n.str("direction", "") == "LEFT" {
		return binary(ir.ShiftLeft)(n)
	}
	return binary(ir.ShiftRight)(n)
}

func bitwiseNot(n *node) []*ir.Value {
	d := n.in[0].Type.DType
	if !d.IsInt() {
		n.failf("elements of type %s", d)
	}
	ones := ir.NewTensor(ir.T(d))
	for i := range ones.Bytes() {
		ones.Bytes()[i] = 0xff
	}
	return n.one(ir.Binary{Fn: ir.BitXor}, n.in[0], n.constValue(ones))
}

// chain applies a binary function to any number of operands from the left.
func chain(f ir.BinaryFn) func(n *node) []*ir.Value {
	return func(n *node) []*ir.Value {
		v := n.in[0]
		for i := 1; i < len(n.in); i++ {
			if n.in[i] == nil {
				n.failf("operand %d is missing", i)
			}
			v = n.binary(f, v, n.in[i])
		}
		return []*ir.Value{v}
	}
}

func mean(n *node) []*ir.Value {
	sum := chain(ir.Add)(n)
	if len(n.in) == 1 {
		return sum
	}
	return n.one(ir.Binary{Fn: ir.Div}, sum[0], n.number(sum[0].Type.DType, float64(len(n.in))))
}

func where(n *node) []*ir.Value { return n.one(ir.Where{}, n.in[:3]...) }

// castNames maps the names of element types that Cast used before opset 6.
var castNames = map[string]int64{"FLOAT": 1, "UINT8": 2, "INT8": 3, "UINT16": 4, "INT16": 5, "INT32": 6, "INT64": 7, "BOOL": 9,
	"FLOAT16": 10, "DOUBLE": 11, "UINT32": 12, "UINT64": 13}

func cast(n *node) []*ir.Value {
	to := int64(n.int("to", 0))
	if n.version < 6 {
		to = castNames[n.str("to", "")]
	}
	d, err := elementType(to)
	if err != nil {
		n.refuse("cast to "+err.Error(), "float, double, integer and bool types are supported")
	}
	n.im.widened = n.im.widened || isHalf(to)
	return []*ir.Value{n.cast(n.in[0], d)}
}

func castLike(n *node) []*ir.Value { return []*ir.Value{n.cast(n.in[0], n.in[1].Type.DType)} }
