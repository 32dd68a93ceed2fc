package passes

import (
	"modelc/ir"
	"modelc/passes/integer"
)

// recogniseQuantisation replaces quantisation and dequantisation written as arithmetic by
// Quantize and Dequantize. [integer.Recognise] states the patterns and when they are legal.
func recogniseQuantisation(g *ir.Graph, _ *Config) (int, error) { return integer.Recognise(g) }

// formIntegers makes layers between Dequantize and Quantize compute on integers, as ONNX
// Runtime does. [integer.Form] states the rules.
//
// It is not exact: where the model rounds a sum of floats, an integer may differ by one step.
func formIntegers(g *ir.Graph, cfg *Config) (int, error) {
	changed, r, err := integer.Form(g)
	if cfg.report != nil {
		cfg.report.Integers = r
	}
	return changed, err
}

// dequantiseConstants computes constants that are dequantised, such as the weights of layers
// on floats.
func dequantiseConstants(g *ir.Graph, _ *Config) (int, error) { return computeConstants(g, true) }
