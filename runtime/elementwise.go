package runtime

// Affine is Dst = Act(Src·Scale+Shift) per channel, NC16 to NC16.
// Dst may be Src.
type Affine struct {
	Src, Dst     Image
	Scale, Shift Ref // [C padded to 16], absent for 1 and 0
	Act          Act
}

// BinaryFn names a function of two variables, with the values of ir.BinaryFn.
type BinaryFn uint8

// The functions of two variables.
const (
	BinAdd BinaryFn = iota
	BinSub
	BinMul
	BinDiv
	BinPow
	BinMax
	BinMin
	BinMod
	BinFMod
	BinEqual
	BinLess
	BinLessOrEqual
	BinGreater
	BinGreaterOrEqual
	BinAnd
	BinOr
	BinXor
	BinBitAnd
	BinBitOr
	BinBitXor
	BinShiftLeft
	BinShiftRight
)

// Binary is Dst = Act(Fn(A, B)) on images, Fn one of BinAdd … BinMin. B has
// the extents of A, or H = W = 1 and is broadcast over the pixels; N of B may
// be 1. Dst may be A.
type Binary struct {
	Fn        BinaryFn
	A, B, Dst Image
	Act       Act
}

// PRelu is a leaky ReLU with a slope per channel, NC16 to NC16.
type PRelu struct {
	Src, Dst Image
	Slope    Ref // [C padded to 16]
}

// LRN is local response normalisation across channels, NC16 to NC16:
// x / (Bias + Alpha/Size · Σ x²)^Beta.
type LRN struct {
	Src, Dst          Image
	Size              int
	Alpha, Beta, Bias float32
}
