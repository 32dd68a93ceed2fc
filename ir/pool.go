package ir

// PoolKind is the function that a pool computes over its window.
type PoolKind uint8

// The kinds of pooling.
const (
	MaxPool PoolKind = iota
	AvgPool
	LpPool // (Σ|x|^P)^(1/P)
)

var poolKindNames = enumNames{"max", "avg", "lp"}

func (k PoolKind) String() string                { return poolKindNames.name(uint8(k)) }
func (k PoolKind) MarshalText() ([]byte, error)  { return []byte(k.String()), nil }
func (k *PoolKind) UnmarshalText(b []byte) error { return poolKindNames.parse(b, (*uint8)(k)) }

// Pool reduces windows of x. Operands: x [N,C,D…], scale [C], shift [C]; the last two
// belong to the prologue, as in [Conv]. A maximum ignores elements outside x. An average
// divides by the number of elements inside x or, with CountPad, inside x and Pads. Extra
// never counts.
type Pool struct {
	Kind      PoolKind
	Kernel    []int
	Strides   []int
	Pads      []int // begins, then ends
	Extra     []int // further padding at ends that Pads does not crop, from ceil_mode; nil for none
	Dilations []int
	CountPad  bool
	P         int  // the order of LpPool
	Indices   bool // adds a second result of type i64: the flat index of each maximum in x
	ColMajor  bool // makes the index count the last two spatial axes column first (storage_order 1)
	Prologue  Act
}

// The positions of the operands of Pool behind x.
const (
	PoolScale = 1
	PoolShift = 2
)

func (Pool) Name() string { return "Pool" }

func (p Pool) Infer(in []Type) ([]Type, error) {
	x := in[0]
	if x.Rank() < 3 || x.DType == Bool {
		return typeErr("x is %s, want numbers [N,C,D…]", x)
	}
	if p.Kind == LpPool && p.P < 1 {
		return typeErr("a norm of order %d", p.P)
	}
	sp, err := windowShape(x.Shape, p.Kernel, p.Strides, p.Pads, p.Dilations, p.Extra)
	if err != nil {
		return nil, err
	}
	if err := checkAffine(in, 1, x); err != nil {
		return nil, err
	}
	t := Type{x.DType, append(Shape{x.Shape[0], x.Shape[1]}, sp...)}
	if p.Indices {
		return []Type{t, {Int64, t.Shape}}, nil
	}
	return one(t)
}

// MaxUnpool moves the elements of x to the positions from which a max pool took them.
// Operands: x [N,C,D…], indices of type i64 and the shape of x. Element i of x goes to the
// flat position indices[i] of the result [N,C,Spatial…], which is zero elsewhere.
type MaxUnpool struct {
	Spatial []int
}

// MaxUnpoolIndices is the position of an operand of MaxUnpool.
const MaxUnpoolIndices = 1

func (MaxUnpool) Name() string { return "MaxUnpool" }

func (u MaxUnpool) Infer(in []Type) ([]Type, error) {
	x, idx := in[0], in[1]
	if x.Rank() != 2+len(u.Spatial) || x.Rank() < 3 || idx.DType != Int64 || !idx.Shape.Equal(x.Shape) {
		return typeErr("x %s and indices %s for spatial extents %v, want [N,C,D…] twice, the indices i64", x, idx, u.Spatial)
	}
	return one(Type{x.DType, append(Shape{x.Shape[0], x.Shape[1]}, u.Spatial...)})
}

func poolFLOPs(op Op, in, out []Type) int64 {
	return outLen(out) * int64(Shape(op.(Pool).Kernel).Len())
}
