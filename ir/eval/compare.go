package eval

import (
	"fmt"
	"math"

	"modelc/ir"
)

// Diff is how far one tensor is from another.
type Diff struct {
	MaxAbs float64 // largest absolute difference; +Inf where NaN or infinity disagree
	Rel    float64 // MaxAbs over the largest magnitude of the reference, or MaxAbs itself when that is 0
	At     int     // flat position of the largest difference
	Got    float64
	Want   float64
}

// Compare returns the difference between two tensors of the same type.
// Equal infinities and NaNs agree. Integers and truth values differ by 0 or
// more like floats: a tolerance of 0 demands equality.
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

func (d Diff) String() string {
	if d.MaxAbs == 0 {
		return "equal"
	}
	return fmt.Sprintf("max abs %.2e, rel %.2e (element %d: got %g, want %g)", d.MaxAbs, d.Rel, d.At, d.Got, d.Want)
}
