package eval

import (
	"fmt"
	"math"
	"slices"

	"modelc/ir"
)

// Diff is the difference between two tensors.
type Diff struct {
	MaxAbs float64 // the largest absolute difference; +Inf if NaN or infinity disagree
	Rel    float64 // MaxAbs divided by the largest magnitude of the reference; MaxAbs if that is 0
	At     int     // the flat position of the largest difference
	Got    float64
	Want   float64
}

// Compare returns the difference between two tensors. It fails if their types differ. Equal
// infinities agree, and so do NaNs. Integers and truth values are compared as numbers, so
// that a tolerance of 0 requires equality.
func Compare(got, want *ir.Tensor) (Diff, error) {
	if !got.Type.Equal(want.Type) {
		return Diff{}, fmt.Errorf("got %s, want %s", got.Type, want.Type)
	}
	g, w := got.Float64s(), want.Float64s()
	d := Diff{}
	top := 0.0
	for i := range w {
		if a := math.Abs(w[i]); !math.IsInf(a, 0) && a > top {
			top = a
		}
		if g[i] == w[i] || math.IsNaN(g[i]) && math.IsNaN(w[i]) {
			continue
		}
		e := math.Abs(g[i] - w[i])
		if math.IsNaN(e) {
			e = math.Inf(1)
		}
		if e > d.MaxAbs {
			d.MaxAbs, d.At, d.Got, d.Want = e, i, g[i], w[i]
		}
	}
	d.Rel = d.MaxAbs
	if top > 0 {
		d.Rel = d.MaxAbs / top
	}
	return d, nil
}

// Within reports whether the difference is at most tol of the reference's
// largest magnitude.
func (d Diff) Within(tol float64) bool { return d.Rel <= tol }

// Step returns the distance between adjacent values of v if v is quantised and its integers
// depend on floats that the graph computes, or on operators that engines compute in floats;
// otherwise 0. If such a float lies between two integers, engines that round in different
// orders may be one step apart. docs/quantisation.md lists the operators.
func Step(v *ir.Value) float64 { return steps{}.of(v) }

// steps records the results of Step, so that a value with many readers is examined once.
type steps map[*ir.Value]float64

func (s steps) of(v *ir.Value) float64 {
	if v == nil || v.Def() == nil {
		return 0
	}
	if step, ok := s[v]; ok {
		return step
	}
	s[v] = s.decide(v.Def())
	return s[v]
}

func (s steps) decide(n *ir.Node) float64 {
	switch op := n.Op.(type) {
	case ir.Quantize, ir.DynamicQuantize:
		if n.In[0].Def() == nil {
			return 0 // a quotient, which is rounded alike
		}
		return 1
	case ir.Dequantize:
		scale, ok := Const(n.In[ir.QuantizeScale])
		if !ok {
			return 0
		}
		return s.of(n.In[0]) * slices.Max(scale.Float64s())
	case ir.Conv:
		if op.Sum != (ir.QBinary{}) {
			return 1 // as QBinary
		}
		if !op.Integer.Requantises() {
			return 0
		}
	case ir.Dense:
		if !op.Integer.Requantises() {
			return 0
		}
	case ir.QBinary, ir.QAveragePool:
		return 1 // ONNX Runtime rounds them in another order
	case ir.Pool, ir.Lookup:
	default:
		if ir.InfoOf(op).Moves == ir.Computes {
			return 0
		}
	}
	step := 0.0
	for _, x := range n.In {
		step = max(step, s.of(x))
	}
	return step
}

// Agrees reports whether the difference is within tol, or within a rounding
// step of a quantised value (see [Step]).
func (d Diff) Agrees(tol, step float64) bool { return d.Within(tol) || d.MaxAbs <= step*(1+1e-5) }

// Cut makes outputs of g comparable with those of an engine whose shapes are dynamic. The
// results of [ir.NonMaxSuppression] have the maximum number of rows, and other outputs of g
// count the used ones. Cut shortens an axis to the extent in want if that is one of the
// counts. It omits counts that want lacks.
func Cut(g *ir.Graph, got, want []*ir.Tensor) []*ir.Tensor {
	counts := map[int]bool{}
	given := len(got)
	for i, o := range g.Outputs {
		if isCount(o.Value) {
			counts[got[i].Ints()[0]] = true
			given = min(given, max(i, len(want)))
		}
	}
	out := slices.Clone(got[:given])
	for i := range min(given, len(want)) {
		w := want[i].Shape
		t := out[i].Type
		if len(counts) == 0 || len(w) != len(t.Shape) {
			continue
		}
		t.Shape = slices.Clone(t.Shape)
		for a, d := range w {
			if d < t.Shape[a] && counts[d] {
				t.Shape[a] = d
			}
		}
		from := got[i].Shape.Strides()
		out[i] = pick(t, got[i], func(at []int) int {
			p := 0
			for a, x := range at {
				p += x * from[a]
			}
			return p
		})
	}
	return out
}

// isCount reports whether v counts the boxes of a NonMaxSuppression.
func isCount(v *ir.Value) bool {
	if v.Def() == nil || v != v.Def().Out[len(v.Def().Out)-1] {
		return false
	}
	_, ok := v.Def().Op.(ir.NonMaxSuppression)
	return ok
}

func (d Diff) String() string {
	if d.MaxAbs == 0 {
		return "equal"
	}
	return fmt.Sprintf("max abs %.2e, rel %.2e (element %d: got %g, want %g)", d.MaxAbs, d.Rel, d.At, d.Got, d.Want)
}
