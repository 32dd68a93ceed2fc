package ir

import "fmt"

// Op is an operation. Each op is a struct whose exported fields are its static attributes.
// Ops are values and never change in place: a pass that alters an op assigns a new one to
// Node.Op.
type Op interface {
	// Name returns the op's name in the text form and in messages.
	Name() string
	// Infer returns the types of the results for the given types of operands. The
	// zero Type stands for an absent optional operand. Infer fails if an operand or
	// an attribute does not fit, and its error names it.
	Infer(in []Type) ([]Type, error)
}

// CheckConstants returns an error if an operand of n is a constant for which the result is
// only defined to keep computation safe: a zero that divides integers, or an index outside
// its axis. Such a constant is a mistake in the model.
func CheckConstants(n *Node) error {
	c, ok := n.Op.(interface{ checkConstants(n *Node) error })
	if !ok {
		return nil
	}
	if err := c.checkConstants(n); err != nil {
		return &ConstantError{n, err}
	}
	return nil
}

// ConstantError is the error of [CheckConstants].
type ConstantError struct {
	Node   *Node
	Reason error
}

func (e *ConstantError) Error() string { return fmt.Sprintf("%s: %v", e.Node, e.Reason) }

func (e *ConstantError) Unwrap() error { return e.Reason }

// Info holds the facts about an op beside its rule of types. Passes, back ends, the text
// form and docs/ops.md read them.
type Info struct {
	// Op is the zero value of the op's struct.
	Op Op
	// Args names the operands in order. The name of an optional operand ends in "?".
	// The name of a list of operands ends in "…"; a list is the last operand.
	Args []string
	// Doc describes in one sentence what the op computes.
	Doc string
	// Elementwise reports whether each element of the result depends only on the
	// elements of the operands at the same position. Operands broadcast. Such an op
	// computes the same for any order of axes.
	Elementwise bool
	// Moves describes how ops that only move elements place them.
	Moves Movement
	// FLOPs returns the number of floating-point operations for operands and
	// results of the given types; a multiply-add counts as two. It is nil for
	// ops that move elements.
	FLOPs func(op Op, in, out []Type) int64

	// Indices of fields of the struct (epilogue, prologue) and of an operand (scale),
	// −1 if the op has none.
	epilogue, prologue, scale int
}

// Movement is the relation between the elements of the results and of the operands of an
// op.
type Movement uint8

// The kinds of movement. Each kind but the first is a special case of the next.
const (
	// Computes means that the op computes elements of the results.
	Computes Movement = iota
	// Reorders means that the result has each element of the single operand once.
	Reorders
	// Repeats means that the result has each element of the single operand at least
	// once.
	Repeats
	// Copies means that each element of the result is an element of an operand or a
	// constant.
	Copies
)

func outLen(out []Type) int64 { return int64(out[0].Shape.Len()) }

// one returns the types of the results of an op with one result.
func one(t Type) ([]Type, error) { return []Type{t}, nil }

func typeErr(format string, args ...any) ([]Type, error) {
	return nil, fmt.Errorf(format, args...)
}

// checkChannel returns an error if t is present and is not one value per channel.
func checkChannel(name string, t Type, c int, d DType) error {
	if t.Present() && (t.DType != d || !t.Shape.Equal(Shape{c})) {
		return fmt.Errorf("%s is %s, want %s", name, t, T(d, c))
	}
	return nil
}
