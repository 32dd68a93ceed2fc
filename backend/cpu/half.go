package cpu

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"modelc/ir"
	"modelc/runtime"
	"modelc/runtime/kernel"
)

// isWeights reports whether v is used only as the weights of layers. Such
// constants are worth storing in half precision. Biases, per-channel factors and
// other constants are small.
func isWeights(v *ir.Value) bool {
	return v.Type.DType == ir.Float32 && len(v.Uses()) > 0 && !slices.ContainsFunc(v.Uses(), func(u ir.Use) bool {
		if u.Node == nil {
			return true
		}
		switch u.Node.Op.(type) {
		case ir.Conv, ir.ConvTranspose, ir.Dense:
			return u.Index != 1
		case ir.MatMul:
			return false
		}
		return true
	})
}

// halves returns the tensors of g that are stored in half precision.
func halves(g *ir.Graph) map[*ir.Tensor]bool {
	m := map[*ir.Tensor]bool{}
	for _, v := range g.Constants {
		if isWeights(v) {
			m[v.Const] = true
		}
	}
	return m
}

// RoundWeights rounds the weights of g's layers to the format f. It adds the error
// of each weight of a filter to the next weight, so that the sum over the filter
// stays the same up to the error of the last weight. Inputs after a ReLU are
// positive, so errors with the same sign would add up. If a weight is too large
// for f, RoundWeights changes nothing and returns an error that lists all such
// layers.
func RoundWeights(g *ir.Graph, f kernel.Format) error {
	if f == kernel.F32 {
		return nil
	}
	var errs []error
	rounded := map[*ir.Value]*ir.Tensor{}
	for _, v := range g.Constants {
		if !isWeights(v) {
			continue
		}
		t := ir.NewTensor(v.Type)
		rounded[v] = t
		to := ir.Elements[float32](t)
		filter, n := filterOf(v)
		owed := make([]float32, n)
		for i, x := range v.Const.Float32s() {
			debt := &owed[filter(i)]
			to[i] = round(f, x+*debt)
			if *debt += x - to[i]; *debt-*debt != 0 { // do not carry an infinity or NaN
				*debt = 0
			}
			if math.IsInf(float64(to[i]), 0) && !math.IsInf(float64(x), 0) {
				errs = append(errs, fmt.Errorf("%s: a weight of %g is too large for %s: store the weights as %s", v.Uses()[0].Node, x, f, wider(f)))
				break
			}
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	for v, t := range rounded {
		v.Const = t
	}
	return nil
}

// filterOf returns the number n of filters in the weights v, as the first reader
// of v uses them, and a function from the index of an element of v to the index of
// its filter. A filter holds the weights of one output channel.
func filterOf(v *ir.Value) (filter func(i int) int, n int) {
	u, s := v.Uses()[0], v.Type.Shape
	rows := func(n int) (func(i int) int, int) {
		per := max(1, s.Len()/max(1, n))
		return func(i int) int { return i / per }, n
	}
	columns := func(n int) (func(i int) int, int) { return func(i int) int { return i % n }, n }
	switch op := u.Node.Op.(type) {
	case ir.ConvTranspose: // [C,M/groups,K…]
		mg, ks, cg := s[1], s[2:].Len(), s[0]/op.Groups
		return func(i int) int { return i/(mg*ks)/cg*mg + i/ks%mg }, mg * op.Groups
	case ir.Dense:
		if !op.TransW {
			return columns(s[1])
		}
	case ir.MatMul:
		if u.Index == 1 && len(s) > 1 {
			return columns(s[len(s)-1])
		}
		return rows(s[:len(s)-1].Len())
	}
	return rows(s[0])
}

// wider returns the next format with a larger range.
func wider(f kernel.Format) kernel.Format {
	if f == kernel.F16 {
		return kernel.BF16
	}
	return kernel.F32
}

func round(f kernel.Format, x float32) float32 {
	if f == kernel.F16 {
		return ir.Float16ToFloat32(ir.Float32ToFloat16(x))
	}
	return ir.BFloat16ToFloat32(ir.Float32ToBFloat16(x))
}

// narrow returns the elements of x in the format f, which must represent them
// exactly.
func narrow(f kernel.Format, x []float32) []byte {
	out := make([]uint16, len(x))
	to := ir.Float32ToBFloat16
	if f == kernel.F16 {
		to = ir.Float32ToFloat16
	}
	for i, v := range x {
		out[i] = to(v)
	}
	return runtime.BytesOf(out)
}
