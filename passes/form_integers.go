package passes

import (
	"modelc/ir"
	"modelc/passes/integer"
)

// formIntegers makes layers between Dequantize and Quantize compute on integers, as ONNX
// Runtime does. Package integer has the rules. It then computes what is left of dequantised
// weights, for the layers that stay in floats.
//
// It is not exact: where the model rounds a sum of floats, an integer may differ by one step.
func formIntegers(g *ir.Graph, cfg *Config) (int, error) {
	changed, r, err := integer.Form(g)
	if err != nil || r == nil {
		return changed, err
	}
	if cfg.report != nil {
		cfg.report.Integers = r
	}
	folded, err := computeConstants(g, true)
	return changed + folded, err
}
