package runtime

// Kernels on dense row-major tensors of any type: correct first. T is the
// element type; Bool is held as uint8.

// StridedCopy copies between two strided views of the same extents: Slice,
// Transpose, Expand (stride 0), Concat and constant Pad are made of it.
type StridedCopy[T Number] struct {
	Src, Dst             Ref
	Shape                []int // up to 8 axes
	SrcStart, DstStart   int   // elements
	SrcStride, DstStride []int // elements, may be 0 or negative in Src
}

// Fill sets every element.
type Fill[T Number] struct {
	Dst   Ref
	Value T
}

// UnaryPlain applies Fn to each element, in float64 for float64 tensors.
// Integer tensors take Abs, Neg, Sign, Relu, Clip and Not.
type UnaryPlain[T Number] struct {
	Src, Dst    Ref
	Fn          Fn
	Alpha, Beta float64
}

// TestPlain applies a function that yields truth values (IsNaN, IsInf, Not).
type TestPlain[T Number] struct {
	Src, Dst    Ref // Dst uint8
	Fn          Fn
	Alpha, Beta float64
}

// BinaryPlain is Dst = Act(Fn(A, B)) with broadcasting by strides. Act is
// applied to float types only.
type BinaryPlain[T Number] struct {
	Fn               BinaryFn
	A, B, Dst        Ref
	Shape            []int
	AStride, BStride []int // elements, 0 along broadcast axes
	Act              Act
}

// ComparePlain is BinaryPlain for functions that yield truth values.
type ComparePlain[T Number] struct {
	Fn               BinaryFn
	A, B, Dst        Ref // Dst uint8
	Shape            []int
	AStride, BStride []int
}

// PowPlain raises A to B, whose type may differ.
type PowPlain[T, E Number] struct {
	A, B, Dst        Ref
	Shape            []int
	AStride, BStride []int
}

// WherePlain selects A where Cond is not 0, B elsewhere.
type WherePlain[T Number] struct {
	Cond, A, B, Dst              Ref
	Shape                        []int
	CondStride, AStride, BStride []int
}

// CastPlain converts element types: floats to integers toward zero, and to
// truth values as x ≠ 0 when ToBool is set.
type CastPlain[From, To Number] struct {
	Src, Dst Ref
	ToBool   bool
}

// GatherPlain takes slices along one axis: Src [Outer,Axis,Inner] at Indices
// gives Dst [Outer,len(Indices),Inner]. Negative indices count from the end;
// indices outside are clamped, so that no input reads foreign memory.
type GatherPlain[T, I Number] struct {
	Src, Indices, Dst  Ref
	Outer, Axis, Inner int
}

// ReduceFn names a reduction, with the values of ir.ReduceFn.
type ReduceFn uint8

// The reductions.
const (
	RedMean ReduceFn = iota
	RedSum
	RedMax
	RedMin
	RedProd
	RedL1
	RedL2
	RedSumSquare
	RedLogSum
	RedLogSumExp
)

// ReducePlain folds axes: for every element of Dst (extents Shape, strides
// SrcStride in Src) the elements at RedShape × RedStride from there, summed
// in float64.
type ReducePlain[T Number] struct {
	Fn                  ReduceFn
	Src, Dst            Ref
	Shape, SrcStride    []int
	RedShape, RedStride []int
}

// ArgReducePlain finds the index of the extreme element of Src
// [Outer,Axis,Inner] along Axis. Dst is int64 [Outer,Inner].
type ArgReducePlain[T Number] struct {
	Src, Dst           Ref
	Outer, Axis, Inner int
	Min, Last          bool
}

// SoftmaxPlain normalises Src [Outer,Axis,Inner] along Axis; its logarithm
// when Log is set. T is float32 or float64.
type SoftmaxPlain[T Number] struct {
	Src, Dst           Ref
	Outer, Axis, Inner int
	Log                bool
}

// NormalizePlain is (x−mean)/√(variance+ε)·scale+bias with moments over the
// RedShape × RedStride elements of each group (Shape × SrcStride); scale and
// bias are absent or read with strides of their own over Shape, then RedShape.
type NormalizePlain[T Number] struct {
	Src, Dst, Scale, Bias   Ref
	Shape, SrcStride        []int
	RedShape, RedStride     []int
	ScaleStride, BiasStride []int // len(Shape)+len(RedShape)
	Epsilon                 float64
}

// MatMulPlain multiplies matrices [M,K]·[K,N] for every element of Lead, by
// strides. Float types sum in float64 chunks of their own order.
type MatMulPlain[T Number] struct {
	A, B, Dst    Ref
	Lead         []int
	ALead, BLead []int // strides along Lead, elements
	M, K, N      int
	ARow, BRow   int // distance between rows, elements
}

// ConvPlain is a convolution of any rank, groups and dilation on dense
// tensors, with the operands of Conv; T is float32 or float64.
type ConvPlain[T Number] struct {
	Src, Dst, W, Bias, Residual, Scale, Shift Ref // W [M,C/Groups,K…]
	N, C, M, Groups                           int
	In, Out, Kernel                           []int
	Strides, Pads, Dilations                  []int // Pads: begins
	Pre, Act                                  Act
}

// ConvTransposePlain is the gradient of a convolution; W [C,M/Groups,K…].
type ConvTransposePlain[T Number] struct {
	Src, Dst, W, Bias        Ref
	N, C, M, Groups          int
	In, Out, Kernel          []int
	Strides, Pads, Dilations []int // Pads: begins
	Act                      Act
}

// PoolPlain is pooling of any rank on dense tensors; Indices receives the
// flat position of each maximum as int64 when present.
type PoolPlain[T Number] struct {
	Kind                              uint8 // 0 max, 1 average, 2 Lp
	Src, Dst, Indices, Scale, Shift   Ref
	N, C                              int
	In, Out, Kernel                   []int
	Strides, Pads, EndPads, Dilations []int // begins; ends that CountPad counts
	CountPad                          bool
	P                                 int
	ColMajor                          bool
	Pre                               Act
}

// LRNPlain is LRN on dense [N,C,Inner].
type LRNPlain[T Number] struct {
	Src, Dst          Ref
	N, C, Inner, Size int
	Alpha, Beta, Bias float64
}

// ResizePlain interpolates one axis after the other with tables as in
// ResizeImage: Src [Outer,In,Inner] to Dst [Outer,Out,Inner].
type ResizePlain[T Number] struct {
	Src, Dst              Ref
	Outer, In, Out, Inner int
	Taps                  int
	Index                 []int32
	Weight                []float32
}

// PadPlain makes a border by index tables per axis: −1 stands for Value.
type PadPlain[T Number] struct {
	Src, Dst Ref
	InShape  []int
	Index    [][]int32 // per axis, one source position per result position
	Value    T
}
