package ir

import "fmt"

// Op is an operation. Each op is a struct whose exported fields are its
// static attributes, held by value and never changed in place: a pass that
// alters an op assigns a new one to Node.Op.
type Op interface {
	// Name returns the op's name in the text form and in messages.
	Name() string
	// Infer returns the types of the results for the given operand types
	// (the zero Type where an optional operand is absent) or says which of
	// them does not fit.
	Infer(in []Type) ([]Type, error)
}

// Info holds the facts about an op that its type rule does not give. Passes,
// back ends, the text form and docs/ops.md read them.
type Info struct {
	// Op is the zero value of the op's struct.
	Op Op
	// Args names the operands in order. "?" follows the name of an optional
	// operand, "…" the name of a list of operands, which comes last.
	Args []string
	// Doc says in one sentence what the op computes.
	Doc string
	// Elementwise reports whether each element of the result depends only on
	// the elements at the same position of the operands, which broadcast. Such
	// an op computes the same in any order of axes.
	Elementwise bool
	// Moves tells how ops that compute nothing place elements.
	Moves Movement
	// FLOPs returns the number of floating-point operations for operands and
	// results of the given types; a multiply-add counts as two. It is nil for
	// ops that move elements.
	FLOPs func(op Op, in, out []Type) int64

	// integers reports whether the result of n holds whole numbers only if
	// holds says so of its operands; the epilogue is looked at elsewhere. nil
	// stands for false.
	integers func(n *Node, holds func(*Value) bool) bool

	// Fields of the struct and positions of operands, −1 where there is none.
	epilogue, prologue, scale int
}

// Movement tells how the results of an op are made of its operands' elements.
type Movement uint8

// The kinds of movement. Each kind but the first is a special case of the next.
const (
	// Computes: elements of the results are computed.
	Computes Movement = iota
	// Reorders: the result has each element of the single operand once.
	Reorders
	// Repeats: the result has each element of the single operand at least once.
	Repeats
	// Copies: each element of the result is an element of an operand or a
	// constant.
	Copies
)

func outLen(out []Type) int64 { return int64(out[0].Shape.Len()) }

// one wraps the single result of most ops.
func one(t Type) ([]Type, error) { return []Type{t}, nil }

func typeErr(format string, args ...any) ([]Type, error) {
	return nil, fmt.Errorf(format, args...)
}

// checkChannel reports whether t, if present, is one value per channel.
func checkChannel(name string, t Type, c int, d DType) error {
	if t.Present() && (t.DType != d || !t.Shape.Equal(Shape{c})) {
		return fmt.Errorf("%s is %s, want %s", name, t, T(d, c))
	}
	return nil
}
