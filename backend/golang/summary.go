package golang

import (
	"fmt"

	"modelc/backend/cpu"
	"modelc/ir"
)

// Summary is the cost of a compiled package.
type Summary struct {
	Layers     int   `json:"layers"`
	Parameters int64 `json:"parameters"` // number of elements of the constants
	FLOPs      int64 `json:"flops"`      // floating-point operations of the optimised graph, per run
	Arena      int   `json:"arena_bytes"`
	LowerBound int   `json:"arena_lower_bound"`
	Weights    int   `json:"weights_bytes"`
	Prepared   int   `json:"prepared_bytes"`
}

// Summarize returns the cost of the package of p.
func Summarize(p *cpu.Program) Summary {
	s := Summary{Layers: len(p.Layers), Arena: p.Plan.ArenaBytes, LowerBound: p.LowerBound, Weights: p.Plan.WeightsBytes, Prepared: p.Plan.PreparedBytes}
	for _, c := range p.Graph.Constants {
		s.Parameters += int64(c.Type.Shape.Len())
	}
	for _, n := range p.Graph.Nodes {
		s.FLOPs += ir.FLOPs(n)
	}
	return s
}

// Rounding is the effect of weights in half precision on a network, and of convolutions
// that compute in it.
type Rounding struct {
	Name string `json:"format"` // of the weights
	// Compute is the format of activations and weights of convolutions, "" for f32.
	Compute string `json:"compute,omitempty"`
	// Error is the largest change of an output on the self-test's input,
	// relative to the largest magnitude of that output.
	Error float64 `json:"error"`
	// Rows is the number of rows of scores. Changed is the number of rows in which
	// another class becomes the best.
	Rows    int `json:"rows"`
	Changed int `json:"best_changed"`
}

func (r *Rounding) String() string {
	if r.Compute != "" {
		return fmt.Sprintf("Convolutions multiply activations and weights in %s and sum in float32. On the input of the self-test, rounding ", r.Compute) + r.effect()
	}
	return fmt.Sprintf("Weights are stored as %s and widened to float32 at load. On the input of the self-test, rounding them ", r.Name) + r.effect()
}

// Products returns the sentence for the precision of products on a GPU.
func (r *Rounding) Products() string {
	return fmt.Sprintf("Tensor cores round the operands of products to %s and sum in float32. On the input of the self-test, this ", r.Name) + r.effect()
}

// effect returns the end of a sentence about the effect on the outputs.
func (r *Rounding) effect() string {
	s := fmt.Sprintf("changes outputs by at most %.1e of the largest", r.Error)
	switch {
	case r.Rows == 0:
		return s + "."
	case r.Changed == 0:
		return s + ", and leaves the best class the same."
	}
	return s + fmt.Sprintf(", and changes the best class of %d rows of %d.", r.Changed, r.Rows)
}
