package ir

import (
	"fmt"
	"slices"
)

// TopK finds the K largest elements along Axis, in order, or the smallest if Smallest is
// set. Equal elements keep their order. NaN counts as smaller than every number. Results:
// the elements, and their positions along Axis as i64.
type TopK struct {
	Axis, K  int
	Smallest bool
}

func (TopK) Name() string { return "TopK" }

func (t TopK) Infer(in []Type) ([]Type, error) {
	x := in[0]
	if err := checkAxes([]int{t.Axis}, x.Rank()); err != nil {
		return nil, err
	}
	if t.K < 0 || t.K > x.Shape[t.Axis] {
		return typeErr("the %d first of %d along axis %d of %s", t.K, x.Shape[t.Axis], t.Axis, x)
	}
	if x.DType == Bool {
		return typeErr("truth values %s have no order", x)
	}
	s := slices.Clone(x.Shape)
	s[t.Axis] = t.K
	return []Type{{x.DType, s}, {Int64, s}}, nil
}

// NonMaxSuppression selects boxes of each image and class in the order of their scores. It
// skips a box if its intersection over union with a selected box is greater than Overlap,
// or if its score is not greater than Score; a Score of −Inf admits all boxes. It selects
// at most PerClass boxes for each image and class. Operands: boxes f32[N,B,4], scores
// f32[N,C,B]. A box is y1, x1, y2, x2, which are two opposite corners. With Center it is
// x, y, width, height, where x and y are its center.
//
// The first result, i64[N·C·min(PerClass,B),3], holds rows of image, class and box, padded
// with rows of −1. The second, i64[1], is the number of boxes. All computations are in
// float32, because the thresholds compare their results.
type NonMaxSuppression struct {
	PerClass int
	Overlap  float64
	Score    float64
	Center   bool
}

// NonMaxSuppressionScores is the position of an operand of NonMaxSuppression.
const NonMaxSuppressionScores = 1

func (NonMaxSuppression) Name() string { return "NonMaxSuppression" }

func (s NonMaxSuppression) Infer(in []Type) ([]Type, error) {
	b, sc := in[0], in[1]
	if b.DType != Float32 || sc.DType != Float32 || b.Rank() != 3 || sc.Rank() != 3 || b.Shape[2] != 4 ||
		b.Shape[0] != sc.Shape[0] || b.Shape[1] != sc.Shape[2] {
		return typeErr("boxes %s and scores %s, want f32[N,B,4] and f32[N,C,B]", b, sc)
	}
	if s.PerClass < 0 {
		return typeErr("%d boxes per class", s.PerClass)
	}
	rows := Shape{sc.Shape[0], sc.Shape[1], min(s.PerClass, b.Shape[1]), 3}
	if err := rows.Check(); err != nil {
		return nil, err
	}
	return []Type{T(Int64, rows[:3].Len(), 3), T(Int64, 1)}, nil
}

// suppressionFLOPs counts a comparison of each box with each box that can be selected before
// it.
func suppressionFLOPs(op Op, in, out []Type) int64 {
	boxes := int64(in[NonMaxSuppressionScores].Shape[2])
	return int64(out[0].Shape[0]) * boxes
}

// Reduction combines elements of the operands of [Scatter].
type Reduction uint8

// The reductions. Without one, an update replaces the element.
const (
	ReplaceUpdates Reduction = iota
	AddUpdates
	MulUpdates
	MaxUpdates
	MinUpdates
)

var reductionNames = enumNames{"none", "add", "mul", "max", "min"}

func (r Reduction) String() string                { return reductionNames.name(uint8(r)) }
func (r Reduction) MarshalText() ([]byte, error)  { return []byte(r.String()), nil }
func (r *Reduction) UnmarshalText(b []byte) error { return reductionNames.parse(b, (*uint8)(r)) }

// Fn returns the function that combines an element with an update. ok is false if the update
// replaces the element.
func (r Reduction) Fn() (fn BinaryFn, ok bool) {
	return []BinaryFn{0, Add, Mul, Max, Min}[r], r != ReplaceUpdates
}

// Scatter is x [P,S…] with slices combined with updates [K…,S…]: update k is combined with the
// slice at position indices[k], i32 or i64, in row-major order of k. A negative index counts
// from the end. A compiled model ignores the update of an index outside the axis, and the
// reference interpreter returns an error; see [CheckConstants].
type Scatter struct {
	Reduction Reduction
}

// The positions of the operands of Scatter behind x.
const (
	ScatterIndices = 1
	ScatterUpdates = 2
)

func (Scatter) Name() string { return "Scatter" }

func (s Scatter) Infer(in []Type) ([]Type, error) {
	x, idx, u := in[0], in[ScatterIndices], in[ScatterUpdates]
	if s.Reduction > MinUpdates {
		return typeErr("reduction %d", s.Reduction)
	}
	if x.Rank() == 0 || idx.DType != Int64 && idx.DType != Int32 {
		return typeErr("x is %s and indices are %s, want an axis and i32 or i64", x, idx)
	}
	if u.DType != x.DType || !u.Shape.Equal(slices.Concat(idx.Shape, x.Shape[1:])) {
		return typeErr("updates are %s, want %s", u, Type{x.DType, slices.Concat(idx.Shape, x.Shape[1:])})
	}
	if s.Reduction != ReplaceUpdates && x.DType == Bool {
		return typeErr("%s of truth values %s", s.Reduction, x)
	}
	return one(x)
}

func (s Scatter) checkConstants(n *Node) error {
	return checkPositions(n, ScatterIndices, 0)
}

// checkPositions returns an error if operand indices of n is constant and has a position
// outside the axis of operand 0.
func checkPositions(n *Node, indices, axis int) error {
	idx := n.Const(indices)
	if idx == nil {
		return nil
	}
	x := n.In[0].Type
	for _, k := range idx.Int64s() {
		if d := int64(x.Shape[axis]); k < -d || k >= d {
			return fmt.Errorf("index %d is outside axis %d of %s", k, axis, x)
		}
	}
	return nil
}

func scatterFLOPs(op Op, in, _ []Type) int64 {
	if _, ok := op.(Scatter).Reduction.Fn(); !ok {
		return 0
	}
	return int64(in[ScatterUpdates].Shape.Len())
}
