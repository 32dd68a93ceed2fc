package modelc

import (
	"math"

	"modelc/backend/golang"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/runtime/kernel"
	"modelc/runtime/vision"
)

// golden sets the expected outputs of the self-test, the mask of its inputs, and
// the error of weights in half precision.
//
// The expected outputs are those of the reference interpreter with the rounded
// weights. So the self-test has the usual tolerance, and the error of rounding is
// reported separately. If convolutions round their results, the tolerance is a multiple
// of that error, because sums in another order may be rounded differently.
func (c *Compiled) golden(g *golang.Options) error {
	in, want, err := c.reference(g)
	if err == nil && g.CUDA != nil {
		g.CUDA.Rounding, err = c.cudaRounding(in, want)
	}
	if err != nil || c.Options.Weights == kernel.F32 && c.Options.Compute == kernel.F32 {
		g.Golden = want
		return err
	}
	if g.Golden, err = c.first(c.Graph, in, g.GoldenParts); err != nil {
		return err
	}
	if g.Rounding, err = rounding(c.Options.Weights.String(), g.Golden, want); err == nil && c.Options.Compute != kernel.F32 {
		const margin, least = 4, 1e-2 // for other orders of sums, and Winograd's algorithms
		g.Rounding.Compute = c.Options.Compute.String()
		g.Tolerance = max(least, math.Ceil(100*margin*g.Rounding.Error)/100)
	}
	return err
}

// reference returns the inputs of the self-test and the outputs of the model, with
// its own weights, before the passes. If the model computes the examples of a batch
// independently, the outputs are those of the first one.
func (c *Compiled) reference(g *golang.Options) (in, out []*ir.Tensor, err error) {
	if g.Pictures != nil {
		if in, err = golang.GoldenPicture(c.Before, g.Pictures.Preprocess); err != nil {
			return nil, nil, err
		}
		out, err = c.Reference(in)
		return in, out, err
	}
	graph, err := c.referenceGraph()
	if err != nil {
		return nil, nil, err
	}
	if _, n := oneExample(graph); n > 1 {
		g.GoldenParts = n
	}
	for _, g.GoldenMask = range golang.GoldenMasks {
		in = golang.GoldenInputs(c.Before, g.GoldenMask)
		if out, err = c.first(graph, in, g.GoldenParts); err == nil {
			return in, out, nil
		}
	}
	return nil, nil, err
}

// rounding compares got, the outputs with numbers in the named format, with want.
func rounding(format string, got, want []*ir.Tensor) (*golang.Rounding, error) {
	r := &golang.Rounding{Name: format}
	for i := range want {
		d, err := eval.Compare(got[i], want[i])
		if err != nil {
			return nil, err
		}
		r.Error = max(r.Error, d.Rel)
		if s := want[i].Shape; len(s) == 2 && s[1] > 1 && want[i].DType == ir.Float32 {
			a, b := got[i].Float32s(), want[i].Float32s()
			for row := 0; row < len(a); row += s[1] {
				r.Rows++
				if vision.Top(a[row:row+s[1]], 1, nil)[0].Index != vision.Top(b[row:row+s[1]], 1, nil)[0].Index {
					r.Changed++
				}
			}
		}
	}
	return r, nil
}
