package ir

import (
	"fmt"
	"reflect"
	"strings"
)

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

// Info is what is known of an op beside its type rule.
type Info struct {
	// Op is the zero value of the op's struct.
	Op Op
	// Args names the operands; "?" after a name marks an optional one, "…"
	// that it repeats.
	Args []string
	// Doc says in one sentence what the op computes.
	Doc string
	// Elementwise: each element of the result depends on the elements at the
	// same (broadcast) position alone, so any layout serves.
	Elementwise bool
	// FLOPs counts floating-point operations, a multiply-add as two. nil for
	// ops that only move data.
	FLOPs func(op Op, in, out []Type) int64
}

// table lists every op. docs/ops.md, `modelc ops`, the text parser, arity
// checks and FLOP counts are made from it.
var table = []Info{
	{Op: Conv{}, Args: []string{"x", "w", "bias?", "residual?", "scale?", "shift?"}, FLOPs: convFLOPs,
		Doc: "Correlation of x [N,C,D…] with w [M,C/groups,K…], plus bias [M], plus residual, then the epilogue. With scale and shift [C], or a prologue, x is replaced by prologue(x·scale+shift) before zero padding."},
	{Op: ConvTranspose{}, Args: []string{"x", "w", "bias?"}, FLOPs: convTransposeFLOPs,
		Doc: "Gradient of a convolution: x [N,C,D…] with w [C,M/groups,K…], plus bias [M], then the epilogue."},
	{Op: Dense{}, Args: []string{"x", "w", "bias?"}, FLOPs: denseFLOPs,
		Doc: "x [N,K] times constant w [K,M] ([M,K] when transposed), plus bias [M], then the epilogue."},
	{Op: MatMul{}, Args: []string{"a", "b"}, FLOPs: matMulFLOPs,
		Doc: "Matrix product over the last two axes, leading axes broadcast (numpy.matmul)."},
	{Op: Pool{}, Args: []string{"x", "scale?", "shift?"}, FLOPs: poolFLOPs,
		Doc: "Maximum or average over windows of x [N,C,D…]. With scale and shift [C], or a prologue, x is replaced by prologue(x·scale+shift) first."},
	{Op: MaxUnpool{}, Args: []string{"x", "indices"},
		Doc: "Zeros with the elements of x [N,C,D…] at the flat positions that a max pool recorded in indices."},
	{Op: BatchNorm{}, Args: []string{"x", "scale", "bias", "mean", "var"}, FLOPs: perOutput(2),
		Doc: "Batch normalisation at test time: scale·(x−mean)/√(var+ε)+bias per channel (axis 1)."},
	{Op: Affine{}, Args: []string{"x", "scale", "shift"}, FLOPs: perOutput(2),
		Doc: "x·scale+shift per channel (axis 1), then the epilogue."},
	{Op: LRN{}, Args: []string{"x"}, FLOPs: func(op Op, in, out []Type) int64 { return int64(op.(LRN).Size+4) * outLen(out) },
		Doc: "Local response normalisation across channels."},
	{Op: Normalize{}, Args: []string{"x", "scale?", "bias?"}, FLOPs: perOutput(8),
		Doc: "(x−mean)/√(variance+ε) with moments over the given axes (layer, instance and group normalisation), then ·scale+bias, broadcast."},
	{Op: Unary{}, Args: []string{"x"}, Elementwise: true, FLOPs: perOutput(1),
		Doc: "A function of one variable applied to each element."},
	{Op: Binary{}, Args: []string{"a", "b"}, Elementwise: true, FLOPs: perOutput(1),
		Doc: "A function of two variables applied to each pair of elements, operands broadcast; then the epilogue."},
	{Op: PRelu{}, Args: []string{"x", "slope"}, Elementwise: true, FLOPs: perOutput(1),
		Doc: "x where x ≥ 0, slope·x elsewhere; slope broadcast."},
	{Op: Where{}, Args: []string{"cond", "a", "b"}, Elementwise: true,
		Doc: "a where cond holds, b elsewhere; operands broadcast."},
	{Op: Cast{}, Args: []string{"x"}, Elementwise: true,
		Doc: "Conversion to another element type."},
	{Op: Softmax{}, Args: []string{"x"}, FLOPs: perOutput(5),
		Doc: "exp(x−max)/Σ exp(x−max) along the axes taken together; its logarithm when Log is set."},
	{Op: Reduce{}, Args: []string{"x"}, FLOPs: func(_ Op, in, _ []Type) int64 { return int64(in[0].Shape.Len()) },
		Doc: "Reduction over axes. Global pooling is Reduce over the spatial axes with kept axes."},
	{Op: ArgReduce{}, Args: []string{"x"},
		Doc: "Index of the largest or smallest element along one axis, as i64."},
	{Op: TopK{}, Args: []string{"x"},
		Doc: "The k largest or smallest elements along one axis, in order, and their positions as i64."},
	{Op: NonMaxSuppression{}, Args: []string{"boxes", "scores"},
		Doc: "Best boxes that do not overlap: rows of image, class, box as i64, padded with −1, and how many there are."},
	{Op: Reshape{}, Args: []string{"x"},
		Doc: "The same elements in row-major order under another shape."},
	{Op: Transpose{}, Args: []string{"x"},
		Doc: "Axes permuted: axis i of the result is axis perm[i] of x."},
	{Op: Concat{}, Args: []string{"x…"},
		Doc: "Operands joined along one axis."},
	{Op: Interleave{}, Args: []string{"x…"},
		Doc: "Images woven together: the result at spatial coordinates q·strides+p is operand p at q."},
	{Op: Slice{}, Args: []string{"x"},
		Doc: "Elements start, start+step, … along each axis; count gives how many."},
	{Op: Pad{}, Args: []string{"x"},
		Doc: "x with a border: a constant, or its edge, reflected, mirrored or wrapped elements. Negative pads crop."},
	{Op: Expand{}, Args: []string{"x"},
		Doc: "x broadcast to a larger shape."},
	{Op: Gather{}, Args: []string{"x", "indices"},
		Doc: "Slices of x along one axis at the given indices; negative indices count from the end."},
	{Op: Resize{}, Args: []string{"x"}, FLOPs: perOutput(7),
		Doc: "Interpolation along each axis with the scale, coordinate mapping and rounding of ONNX Resize."},
	{Op: GridSample{}, Args: []string{"x", "grid"}, FLOPs: perOutput(8),
		Doc: "Interpolation of x [N,C,D…] at the coordinates in grid [N,E…,r], −1 and 1 at the ends of x."},
}

var byName = func() map[string]*Info {
	m := make(map[string]*Info, len(table))
	for i := range table {
		name := table[i].Op.Name()
		if m[name] != nil {
			panic("ir: op listed twice: " + name)
		}
		m[name] = &table[i]
	}
	return m
}()

// Ops returns the facts of every op, in the order of the documentation.
func Ops() []Info { return table }

// InfoOf returns the facts of op. It panics for an op outside the table.
func InfoOf(op Op) *Info {
	info := byName[op.Name()]
	if info == nil {
		panic("ir: op not in the table: " + op.Name())
	}
	return info
}

// FLOPs returns the floating-point operations n takes, a multiply-add as two.
func FLOPs(n *Node) int64 {
	if f := InfoOf(n.Op).FLOPs; f != nil {
		return f(n.Op, n.InTypes(), n.OutTypes())
	}
	return 0
}

// Traffic returns the bytes of n's operands and results: what it moves if each
// is read or written once.
func Traffic(n *Node) int64 {
	b := int64(0)
	for _, t := range append(n.InTypes(), n.OutTypes()...) {
		if t.Present() {
			b += int64(t.Bytes())
		}
	}
	return b
}

// Label names op for people: of ops that are families, the function.
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

func outLen(out []Type) int64 { return int64(out[0].Shape.Len()) }

func perOutput(k int64) func(Op, []Type, []Type) int64 {
	return func(_ Op, _, out []Type) int64 { return k * outLen(out) }
}

func checkArity(op Op, in []*Value) error {
	info := byName[op.Name()]
	if info == nil || reflect.TypeOf(info.Op) != reflect.TypeOf(op) {
		return fmt.Errorf("op %s (%T) is not in the table of ops", op.Name(), op)
	}
	variadic := strings.HasSuffix(info.Args[len(info.Args)-1], "…")
	if len(in) > len(info.Args) && !variadic {
		return fmt.Errorf("%d operands, at most %d fit", len(in), len(info.Args))
	}
	for i, a := range info.Args {
		if !strings.HasSuffix(a, "?") && (i >= len(in) || in[i] == nil) {
			return fmt.Errorf("operand %q is missing", strings.TrimSuffix(a, "…"))
		}
	}
	return nil
}

// one wraps the single result of most ops.
func one(t Type) ([]Type, error) { return []Type{t}, nil }

func typeErr(format string, args ...any) ([]Type, error) {
	return nil, fmt.Errorf(format, args...)
}

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

// checkChannel reports whether t, if present, is one value per channel.
func checkChannel(name string, t Type, c int, d DType) error {
	if t.Present() && (t.DType != d || !t.Shape.Equal(Shape{c})) {
		return fmt.Errorf("%s is %s, want %s", name, t, T(d, c))
	}
	return nil
}
