package ir

import (
	"math"
	"slices"
)

// HoldsIntegers reports whether a float v is known to hold nothing but whole
// numbers, as values between the layers of a quantised network do.
func HoldsIntegers(v *Value) bool { return integers{}.holds(v) }

// SumsIntegers reports whether n is a convolution or dense layer of integers
// with integer weights: in float32 its sums are exact below 2²⁴, in any order,
// as long as nothing else is multiplied into the weights and the algorithm
// adds and multiplies integers alone.
func SumsIntegers(n *Node) bool {
	known := integers{}
	switch op := n.Op.(type) {
	case Conv:
		if !op.Prologue.keepsIntegers() || len(n.In) > 4 && !known.all(n.In[4:]) {
			return false
		}
	case ConvTranspose, Dense:
	default:
		return false
	}
	return known.all(n.In[:2])
}

// RoundsResult reports whether n or what reads its result rounds it to whole
// numbers, as quantised networks do: the smallest error may become a whole step
// there.
func RoundsResult(n *Node) bool {
	known := integers{}
	return known.holds(n.Out[0]) || slices.ContainsFunc(n.Out[0].Uses(), func(u Use) bool {
		return u.Node != nil && known.holds(u.Node.Out[0])
	})
}

// integers is what is known of values so far: a value that is read twice is
// looked at once.
type integers map[*Value]bool

func (known integers) holds(v *Value) bool {
	if is, ok := known[v]; ok {
		return is
	}
	is := known.decide(v)
	known[v] = is
	return is
}

func (known integers) decide(v *Value) bool {
	if v.Const != nil {
		return v.Const.integers()
	}
	n := v.Def()
	if n == nil {
		return false
	}
	switch op := n.Op.(type) {
	case Cast:
		return n.In[0].Type.DType.IsInt()
	case Unary:
		return op.Fn.rounds() || op.Fn.keepsIntegers() && known.holds(n.In[0])
	case Binary:
		return op.Epilogue.rounds() || op.Fn <= Mul && op.Epilogue.keepsIntegers() && known.all(n.In)
	case Affine:
		return op.Epilogue.rounds() || op.Epilogue.keepsIntegers() && known.all(n.In)
	case Conv:
		return op.Epilogue.rounds()
	case Dense:
		return op.Epilogue.rounds()
	case Pool:
		return op.Kind == MaxPool && op.Prologue.IsIdentity() && n.Input(1) == nil && known.holds(n.In[0])
	case Reshape, Transpose:
		return known.holds(n.In[0])
	case Concat:
		return known.all(n.In)
	}
	return false
}

// all reports whether all operands that are there hold integers.
func (known integers) all(in []*Value) bool {
	for _, v := range in {
		if v != nil && !known.holds(v) {
			return false
		}
	}
	return true
}

// rounds reports whether a gives integers, whatever it is applied to.
func (a Act) rounds() bool { return a.Fn == Round || a.Fn == Floor || a.Fn == Ceil }

// keepsIntegers reports whether a makes integers of integers.
func (a Act) keepsIntegers() bool {
	switch a.Fn {
	case Identity, Relu, Abs, Neg:
		return true
	case Clip:
		return a.Alpha == math.Trunc(a.Alpha) && a.Beta == math.Trunc(a.Beta)
	}
	return a.rounds()
}

// integers reports whether all elements are whole numbers.
func (t *Tensor) integers() bool {
	if t.DType != Float32 { // where large weights are, the first few tell
		for _, x := range t.Float64s() {
			if x != math.Trunc(x) {
				return false
			}
		}
		return true
	}
	for _, x := range t.Float32s() {
		if x != float32(math.Trunc(float64(x))) {
			return false
		}
	}
	return true
}
