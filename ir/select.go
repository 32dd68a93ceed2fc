package ir

import "slices"

// TopK finds the K largest (or, with Smallest, smallest) elements along Axis,
// in order; of equal ones the first comes first, and NaN counts as smaller
// than every number. Results: the elements, and their positions along Axis as
// i64.
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

// NonMaxSuppression picks, for each image and class, boxes in the order of
// their scores, leaving out those that overlap a picked one: whose
// intersection over union with it is greater than Overlap. Operands: boxes
// f32[N,B,4], scores f32[N,C,B]. A box is y1, x1, y2, x2 (two opposite
// corners), or, with Center, x, y, width, height around its center. Boxes
// count only with a score greater than Score (−Inf: all), at most PerClass for
// each image and class.
//
// The first result, i64[N·C·min(PerClass,B),3], holds rows of image, class
// and box, padded with rows of −1; the second, i64[1], how many are real.
// Everything is computed in float32, as the thresholds decide on it.
type NonMaxSuppression struct {
	PerClass int
	Overlap  float64
	Score    float64
	Center   bool
}

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
