package ir

import (
	"errors"
	"fmt"
	"slices"
)

// BroadcastShapes returns the shape that a and b broadcast to by numpy's
// rule: aligned at the last axis, extents equal or 1.
func BroadcastShapes(a, b Shape) (Shape, error) {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := make(Shape, len(a))
	copy(out, a)
	for i := range b {
		k := len(a) - len(b) + i
		switch {
		case a[k] == b[i] || b[i] == 1:
		case a[k] == 1:
			out[k] = b[i]
		default:
			return nil, fmt.Errorf("shapes %s and %s do not broadcast: %d against %d", a, b, a[k], b[i])
		}
	}
	return out, nil
}

// PerChannel reports whether a tensor of shape s broadcasts to x [N,C,…] with
// one value per channel, or with one value for all elements.
func PerChannel(s, x Shape) bool {
	if len(s) > len(x) {
		return false
	}
	for i, d := range s {
		if k := len(x) - len(s) + i; d != 1 && !(k == 1 && d == x[1]) {
			return false
		}
	}
	return true
}

// Unary applies Fn to each element.
type Unary struct {
	Fn Act
}

func (Unary) Name() string { return "Unary" }

func (u Unary) Infer(in []Type) ([]Type, error) {
	if u.Fn.Fn.ResultBool() {
		return one(Type{Bool, in[0].Shape})
	}
	return one(in[0])
}

// BinaryFn is a function of two variables.
type BinaryFn uint8

// The functions of two variables.
const (
	Add BinaryFn = iota
	Sub
	Mul
	Div // integers: truncated toward zero
	Pow
	Max
	Min
	Mod  // the sign of the divisor, as in Python
	FMod // the sign of the dividend, as in C
	Equal
	Less
	LessOrEqual
	Greater
	GreaterOrEqual
	And // of truth values
	Or
	Xor
	BitAnd
	BitOr
	BitXor
	ShiftLeft
	ShiftRight
)

var binaryNames = enumNames{"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Mod", "FMod", "Equal", "Less", "LessOrEqual",
	"Greater", "GreaterOrEqual", "And", "Or", "Xor", "BitAnd", "BitOr", "BitXor", "ShiftLeft", "ShiftRight"}

func (f BinaryFn) String() string                { return binaryNames.name(uint8(f)) }
func (f BinaryFn) MarshalText() ([]byte, error)  { return []byte(f.String()), nil }
func (f *BinaryFn) UnmarshalText(b []byte) error { return binaryNames.parse(b, (*uint8)(f)) }

// ResultBool reports whether the result is a truth value.
func (f BinaryFn) ResultBool() bool { return f >= Equal && f <= Xor }

// Commutative reports whether the operands may be swapped.
func (f BinaryFn) Commutative() bool {
	switch f {
	case Add, Mul, Max, Min, Equal, And, Or, Xor, BitAnd, BitOr, BitXor:
		return true
	}
	return false
}

// Binary applies Fn to each pair of elements of its operands, and the epilogue to the
// result. The operands broadcast. Integers divided by zero, and their remainder, are zero;
// see [CheckConstants].
type Binary struct {
	Fn       BinaryFn
	Epilogue Act
}

func (Binary) Name() string { return "Binary" }

func (b Binary) Infer(in []Type) ([]Type, error) {
	s, err := BroadcastShapes(in[0].Shape, in[1].Shape)
	if err != nil {
		return nil, err
	}
	// A power may have an exponent of another type.
	if in[0].DType != in[1].DType && b.Fn != Pow {
		return typeErr("operands %s and %s differ in type", in[0], in[1])
	}
	if b.Fn.ResultBool() {
		return one(Type{Bool, s})
	}
	return one(Type{in[0].DType, s})
}

func (b Binary) checkConstants(n *Node) error {
	by := n.Const(1)
	if by == nil || b.Fn != Div && b.Fn != Mod && b.Fn != FMod || !by.DType.IsInt() || n.Out[0].Type.Shape.Len() == 0 {
		return nil
	}
	if slices.Contains(by.Int64s(), 0) {
		return errors.New("integers are divided by a constant zero")
	}
	return nil
}

// PRelu is x where x ≥ 0 and slope·x elsewhere. Operands: x, and a slope that
// broadcasts to it.
type PRelu struct{}

// PReluSlope is the position of an operand of PRelu.
const PReluSlope = 1

func (PRelu) Name() string { return "PRelu" }

func (PRelu) Infer(in []Type) ([]Type, error) {
	s, err := BroadcastShapes(in[0].Shape, in[1].Shape)
	if err != nil {
		return nil, err
	}
	if !s.Equal(in[0].Shape) || in[0].DType != in[1].DType {
		return typeErr("slope %s does not broadcast to x %s", in[1], in[0])
	}
	return one(in[0])
}

// Where selects elements of a where cond is true, and of b elsewhere. Operands: cond of
// type Bool, a, b; all broadcast.
type Where struct{}

// The positions of the operands of Where after the condition.
const (
	WhereA = 1
	WhereB = 2
)

func (Where) Name() string { return "Where" }

func (Where) Infer(in []Type) ([]Type, error) {
	if in[0].DType != Bool || in[1].DType != in[2].DType {
		return typeErr("condition %s, operands %s and %s", in[0], in[1], in[2])
	}
	s, err := BroadcastShapes(in[1].Shape, in[2].Shape)
	if err == nil {
		s, err = BroadcastShapes(s, in[0].Shape)
	}
	if err != nil {
		return nil, err
	}
	return one(Type{in[1].DType, s})
}

// Cast converts to another element type. It truncates floats toward zero for integers.
// The result of a conversion to Bool is x ≠ 0.
type Cast struct {
	To DType
}

func (Cast) Name() string { return "Cast" }

func (c Cast) Infer(in []Type) ([]Type, error) {
	if c.To == Invalid {
		return typeErr("no target type")
	}
	return one(Type{c.To, in[0].Shape})
}
