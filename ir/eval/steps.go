package eval

import (
	"fmt"
	"math"

	"modelc/ir"
)

// CompareSteps compares the results of two graphs of a quantised network, of which one is
// made of the other. A step between the integers of a layer becomes many in the layers
// behind it. CompareSteps therefore compares each layer alone: where both graphs compute
// integers of the same name and type, the nodes of g read those of the reference.
//
// Integers may differ by one step if a node computes them, and only in a tenth of the
// elements: if the reference rounds a sum of floats to an integer, ties may go either way.
// Nodes that move integers must give the same integers. Outputs of floats must agree to tol
// of the largest magnitude.
func CompareSteps(g, reference *ir.Graph, in []*ir.Tensor, tol float64) error {
	common := map[string]*ir.Tensor{}
	for v := range g.Values() {
		if v.Def() != nil && isQuantised(v) {
			common[v.Name] = nil
		}
	}
	want, err := Trace(reference, in, func(v *ir.Value, t *ir.Tensor) error {
		if _, ok := common[v.Name]; ok && isQuantised(v) {
			common[v.Name] = t
		}
		return nil
	})
	if err != nil {
		return err
	}
	got, err := Replace(g, in, func(v *ir.Value, t *ir.Tensor) (*ir.Tensor, error) {
		w := common[v.Name]
		if w == nil || !w.Type.Equal(v.Type) {
			return t, nil
		}
		one, more := CountSteps(t, w)
		if more > 0 || 10*one > w.Shape.Len()+20 || one > 0 && ir.InfoOf(v.Def().Op).FLOPs == nil {
			return nil, fmt.Errorf("%s: of %d integers of %s, %d differ by one step and %d by more", v.Def(), w.Shape.Len(), v, one, more)
		}
		return w, nil
	})
	if err != nil {
		return err
	}
	for i, w := range want {
		if d, err := Compare(got[i], w); err != nil || !d.Agrees(tol, integerStep(w.Type)) {
			return fmt.Errorf("output %d: %v %w", i, d, err)
		}
	}
	return nil
}

func isQuantised(v *ir.Value) bool { return v.Type.DType.IsInt() && v.Type.DType.Size() <= 2 }

func integerStep(t ir.Type) float64 {
	if t.DType.IsInt() {
		return 1
	}
	return 0
}

// CountSteps returns the number of integers of a and b that differ by one, and by more.
func CountSteps(a, b *ir.Tensor) (one, more int) {
	w := b.Float64s()
	for i, x := range a.Float64s() {
		switch d := math.Abs(x - w[i]); {
		case d == 1:
			one++
		case d > 1:
			more++
		}
	}
	return one, more
}
