package ir

// Dense is a fully connected layer. Operands: x [N,K], w [K,M], or [M,K] if TransW is
// set, bias [M]. Weights keep the layout of the model file, because they may have
// hundreds of megabytes.
type Dense struct {
	TransW   bool
	Epilogue Act
	Integer  Integer // of layers on integers
}

// The positions of operands of a Dense on integers, see [Integer].
const (
	DenseMultiplier = 3 // f32, a scalar or [M]
	DenseXZero      = 4 // the zero point of x in place of Integer.XZero, a scalar
)

func (Dense) Name() string { return "Dense" }

// KM returns the number of input features K and of output features M of weights
// of shape w.
func (d Dense) KM(w Shape) (k, m int) {
	if d.TransW {
		return w[1], w[0]
	}
	return w[0], w[1]
}

func (d Dense) Infer(in []Type) ([]Type, error) {
	x, w := in[0], in[1]
	if x.Rank() != 2 || w.Rank() != 2 || x.DType != w.DType && d.Integer.IsZero() {
		return typeErr("x %s and weights %s must be matrices of one type", x, w)
	}
	k, m := d.KM(w.Shape)
	if x.Shape[1] != k {
		return typeErr("x has %d features, weights %s want %d", x.Shape[1], w.Shape, k)
	}
	if !d.Integer.IsZero() {
		if err := d.Integer.check(x, w, m, arg(in, Bias), arg(in, DenseMultiplier), arg(in, DenseXZero), d.Epilogue); err != nil {
			return nil, err
		}
		return one(T(d.Integer.To, x.Shape[0], m))
	}
	if arg(in, DenseMultiplier).Present() || arg(in, DenseXZero).Present() {
		return typeErr("a multiplier or zero point with floats")
	}
	if err := checkChannel("bias", arg(in, Bias), m, x.DType); err != nil {
		return nil, err
	}
	return one(T(x.DType, x.Shape[0], m))
}

func denseFLOPs(op Op, in, out []Type) int64 {
	return 2 * int64(in[0].Shape.Len()) * int64(out[0].Shape[1])
}

// MatMul is numpy.matmul. A product of matrices with constant weights is a [Dense]
// instead.
type MatMul struct{}

func (MatMul) Name() string { return "MatMul" }

func (MatMul) Infer(in []Type) ([]Type, error) {
	a, b := in[0], in[1]
	if a.Rank() == 0 || b.Rank() == 0 || a.DType != b.DType {
		return typeErr("operands %s and %s", a, b)
	}
	as, bs := a.Shape, b.Shape
	if len(as) == 1 {
		as = Shape{1, as[0]}
	}
	if len(bs) == 1 {
		bs = Shape{bs[0], 1}
	}
	if as[len(as)-1] != bs[len(bs)-2] {
		return typeErr("inner extents differ: %s times %s", a, b)
	}
	lead, err := BroadcastShapes(as[:len(as)-2], bs[:len(bs)-2])
	if err != nil {
		return nil, err
	}
	out := append(Shape{}, lead...)
	if a.Rank() > 1 {
		out = append(out, as[len(as)-2])
	}
	if b.Rank() > 1 {
		out = append(out, bs[len(bs)-1])
	}
	return one(Type{a.DType, out})
}

func matMulFLOPs(op Op, in, out []Type) int64 {
	return 2 * outLen(out) * int64(in[0].Shape[in[0].Rank()-1])
}
