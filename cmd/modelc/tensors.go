package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"modelc/frontend/onnx"
	"modelc/internal/npy"
	"modelc/ir"
)

// readTensor reads a .npy file or a serialised ONNX tensor.
func readTensor(path string) (*ir.Tensor, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".npy":
		return npy.Read(path)
	case ".pb":
		t, _, err := onnx.ReadTensor(path)
		return t, err
	}
	return nil, fmt.Errorf("%s: want a .npy or .pb file", path)
}

// fit returns t as the type wanted where that loses nothing but the width of
// floats: half-precision data for a model that is computed in float32.
func fit(t *ir.Tensor, want ir.Type) (*ir.Tensor, error) {
	if t.Type.Equal(want) {
		return t, nil
	}
	if t.Shape.Equal(want.Shape) && t.DType.IsFloat() && want.DType.IsFloat() {
		return ir.FromFloat64s(want, t.Float64s()), nil
	}
	return nil, fmt.Errorf("the data is %s, the model wants %s", t.Type, want)
}
