package ir

import "slices"

// BatchNorm is batch normalisation with fixed statistics. Operands: x [N,C,…],
// scale, bias, mean, var, each [C].
type BatchNorm struct {
	Epsilon float64
}

// The positions of the operands of BatchNorm behind x.
const (
	BatchNormScale = 1
	BatchNormBias  = 2
	BatchNormMean  = 3
	BatchNormVar   = 4
)

func (BatchNorm) Name() string { return "BatchNorm" }

func (b BatchNorm) Infer(in []Type) ([]Type, error) {
	x := in[0]
	if x.Rank() < 2 {
		return typeErr("x is %s, want [N,C,…]", x)
	}
	for i, name := range []string{"scale", "bias", "mean", "var"} {
		if t := in[1+i]; t.DType != x.DType || !t.Shape.Equal(Shape{x.Shape[1]}) {
			return typeErr("%s is %s, want %s", name, in[1+i], T(x.DType, x.Shape[1]))
		}
	}
	return one(x)
}

// Affine is x·scale+shift per channel, then the epilogue. Operands: x [N,C,…], scale [C],
// shift [C].
type Affine struct {
	Epilogue Act
}

// The positions of the operands of Affine behind x.
const (
	AffineScale = 1
	AffineShift = 2
)

func (Affine) Name() string { return "Affine" }

func (Affine) Infer(in []Type) ([]Type, error) {
	x := in[0]
	if x.Rank() < 2 {
		return typeErr("x is %s, want [N,C,…]", x)
	}
	if err := checkAffine(in, 1, x); err != nil {
		return nil, err
	}
	return one(x)
}

// LRN is local response normalisation (Krizhevsky et al. 2012):
// x / (Bias + Alpha/Size · Σ x²)^Beta. The sum runs over Size channels around that of x.
type LRN struct {
	Size              int
	Alpha, Beta, Bias float64
}

func (LRN) Name() string { return "LRN" }

func (l LRN) Infer(in []Type) ([]Type, error) {
	if in[0].Rank() < 3 || l.Size < 1 {
		return typeErr("x is %s with size %d, want [N,C,D…] and a positive size", in[0], l.Size)
	}
	return one(in[0])
}

// Normalize shifts and scales x to zero mean and unit variance over Axes, which are sorted
// and non-negative. Then it applies the optional operands scale and bias, which broadcast
// to x.
type Normalize struct {
	Axes    []int
	Epsilon float64
}

// The positions of the operands of Normalize behind x.
const (
	NormalizeScale = 1
	NormalizeBias  = 2
)

func (Normalize) Name() string { return "Normalize" }

func (n Normalize) Infer(in []Type) ([]Type, error) {
	x := in[0]
	if err := checkAxes(n.Axes, x.Rank()); err != nil {
		return nil, err
	}
	for i := 1; i < len(in); i++ {
		if !in[i].Present() {
			continue
		}
		s, err := BroadcastShapes(x.Shape, in[i].Shape)
		if err != nil || !s.Equal(x.Shape) {
			return typeErr("operand %d, %s, does not broadcast to x %s", i, in[i], x)
		}
		if in[i].DType != x.DType {
			return typeErr("operand %d is %s, x is %s", i, in[i], x)
		}
	}
	return one(x)
}

// Softmax divides exp(x) by its sum over all Axes together.
type Softmax struct {
	Axes []int // sorted, non-negative
	Log  bool
}

func (Softmax) Name() string { return "Softmax" }

func (s Softmax) Infer(in []Type) ([]Type, error) {
	if err := checkAxes(s.Axes, in[0].Rank()); err != nil {
		return nil, err
	}
	return one(in[0])
}

func checkAxes(axes []int, rank int) error {
	if !slices.IsSorted(axes) {
		_, err := typeErr("axes %v are not sorted", axes)
		return err
	}
	for i, a := range axes {
		if a < 0 || a >= rank || i > 0 && a == axes[i-1] {
			_, err := typeErr("axes %v do not fit a tensor of %d axes", axes, rank)
			return err
		}
	}
	return nil
}
