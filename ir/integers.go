package ir

import (
	"math"
	"slices"
)

// HoldsIntegers reports whether all elements of v, a tensor of floats, are known to be
// whole numbers. They are between the layers of a quantised network.
func HoldsIntegers(v *Value) bool { return integers{}.holds(v) }

// SumsIntegers reports whether n is a convolution or dense layer whose operand and weights
// hold whole numbers only. In float32 its sums are exact below 2²⁴, in any order, if no
// scale is folded into the weights and the algorithm computes with whole numbers only.
func SumsIntegers(n *Node) bool {
	known := integers{}
	switch op := n.Op.(type) {
	case Conv:
		if !op.Prologue.keepsIntegers() || !known.holdsOrAbsent(n.Input(ConvScale)) || !known.holdsOrAbsent(n.Input(ConvShift)) {
			return false
		}
	case ConvTranspose, Dense:
	default:
		return false
	}
	return known.holds(n.In[0]) && known.holds(n.In[Weights])
}

// RoundsResult reports whether n, or a node that reads its result, rounds to whole
// numbers, as in quantised networks. The smallest error may then become a whole step.
func RoundsResult(n *Node) bool {
	known := integers{}
	return known.holds(n.Out[0]) || slices.ContainsFunc(n.Out[0].Uses(), func(u Use) bool {
		return u.Node != nil && known.holds(u.Node.Out[0])
	})
}

// integers records whether values hold whole numbers only, so that a value with many
// readers is examined once.
type integers map[*Value]bool

func (known integers) holds(v *Value) bool {
	if is, ok := known[v]; ok {
		return is
	}
	is := known.decide(v)
	known[v] = is
	return is
}

func (known integers) holdsOrAbsent(v *Value) bool { return v == nil || known.holds(v) }

func (known integers) decide(v *Value) bool {
	if v.Const != nil {
		return v.Const.integers()
	}
	n := v.Def()
	if n == nil {
		return false
	}
	if a, ok := Epilogue(n.Op); ok && !a.keepsIntegers() {
		return false
	} else if ok && a.rounds() {
		return true
	}
	rule := InfoOf(n.Op).integers
	return rule != nil && rule(n, known.holds)
}

// The rules of the table, each for a kind of op.

// allIntegers is the rule of ops whose result holds integers if all operands do.
func allIntegers(n *Node, holds func(*Value) bool) bool {
	return !slices.ContainsFunc(n.In, func(v *Value) bool { return v != nil && !holds(v) })
}

func castOfIntegers(n *Node, _ func(*Value) bool) bool { return n.In[0].Type.DType.IsInt() }

func functionOfIntegers(n *Node, holds func(*Value) bool) bool {
	fn := n.Op.(Unary).Fn
	return fn.rounds() || fn.keepsIntegers() && holds(n.In[0])
}

func arithmeticOfIntegers(n *Node, holds func(*Value) bool) bool {
	return n.Op.(Binary).Fn <= Mul && allIntegers(n, holds)
}

func poolOfIntegers(n *Node, holds func(*Value) bool) bool {
	p := n.Op.(Pool)
	plain := p.Prologue.IsIdentity() && n.Input(PoolScale) == nil && n.Input(PoolShift) == nil
	return p.Kind == MaxPool && plain && holds(n.In[0])
}

// rounds reports whether a gives whole numbers for all arguments.
func (a Act) rounds() bool { return a.Fn == Round || a.Fn == Floor || a.Fn == Ceil }

// keepsIntegers reports whether a gives whole numbers for whole numbers.
func (a Act) keepsIntegers() bool {
	switch a.Fn {
	case Identity, Relu, Abs, Neg:
		return true
	case Clip:
		return a.Alpha == math.Trunc(a.Alpha) && a.Beta == math.Trunc(a.Beta)
	}
	return a.rounds()
}

// integers reports whether all elements of t are whole numbers.
func (t *Tensor) integers() bool {
	if t.DType != Float32 {
		for _, x := range t.Float64s() {
			if x != math.Trunc(x) {
				return false
			}
		}
		return true
	}
	for _, x := range t.Float32s() { // in place: weights are large, and the first few elements usually decide
		if x != float32(math.Trunc(float64(x))) {
			return false
		}
	}
	return true
}
