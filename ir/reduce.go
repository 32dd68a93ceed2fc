package ir

import "slices"

// ReduceFn is a reduction.
type ReduceFn uint8

// The reductions.
const (
	ReduceMean ReduceFn = iota
	ReduceSum
	ReduceMax
	ReduceMin
	ReduceProd
	ReduceL1
	ReduceL2
	ReduceSumSquare
	ReduceLogSum
	ReduceLogSumExp
)

var reduceNames = enumNames{"mean", "sum", "max", "min", "prod", "l1", "l2", "sumsquare", "logsum", "logsumexp"}

func (f ReduceFn) String() string                { return reduceNames.name(uint8(f)) }
func (f ReduceFn) MarshalText() ([]byte, error)  { return []byte(f.String()), nil }
func (f *ReduceFn) UnmarshalText(b []byte) error { return reduceNames.parse(b, (*uint8)(f)) }

// Reduce reduces Axes, which are sorted and non-negative, with Fn. If KeepDims is set, the
// axes stay with extent 1.
type Reduce struct {
	Fn       ReduceFn
	Axes     []int
	KeepDims bool
}

func (Reduce) Name() string { return "Reduce" }

func (r Reduce) Infer(in []Type) ([]Type, error) {
	if err := checkAxes(r.Axes, in[0].Rank()); err != nil {
		return nil, err
	}
	if in[0].DType == Bool && r.Fn != ReduceMax && r.Fn != ReduceMin {
		return typeErr("%s of truth values %s", r.Fn, in[0])
	}
	return one(Type{in[0].DType, reducedShape(in[0].Shape, r.Axes, r.KeepDims)})
}

func reducedShape(s Shape, axes []int, keep bool) Shape {
	out := Shape{}
	for i, d := range s {
		switch {
		case !slices.Contains(axes, i):
			out = append(out, d)
		case keep:
			out = append(out, 1)
		}
	}
	return out
}

// ArgReduce finds the index of the largest element along Axis, or of the smallest if Min is
// set. Of equal elements it finds the first, or the last if Last is set.
type ArgReduce struct {
	Axis     int
	Min      bool
	Last     bool
	KeepDims bool
}

func (ArgReduce) Name() string { return "ArgReduce" }

func (a ArgReduce) Infer(in []Type) ([]Type, error) {
	if err := checkAxes([]int{a.Axis}, in[0].Rank()); err != nil {
		return nil, err
	}
	s := reducedShape(in[0].Shape, []int{a.Axis}, a.KeepDims)
	if in[0].Shape[a.Axis] == 0 && s.Len() > 0 {
		return typeErr("axis %d of %s has no element to find", a.Axis, in[0])
	}
	return one(Type{Int64, s})
}
