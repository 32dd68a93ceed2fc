package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"modelc/frontend/onnx"
	"modelc/internal/files"
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

// fit returns t converted to the type want. Only floats are converted, such as
// half-precision data for a model that is computed in float32.
func fit(t *ir.Tensor, want ir.Type) (*ir.Tensor, error) {
	if t.Type.Equal(want) {
		return t, nil
	}
	if t.Shape.Equal(want.Shape) && t.DType.IsFloat() && want.DType.IsFloat() {
		return ir.FromFloat64s(want, t.Float64s()), nil
	}
	return nil, fmt.Errorf("the data is %s, the model wants %s", t.Type, want)
}

// maxJSON is the maximum size of a JSON file to read, in bytes.
const maxJSON = 64 << 20

// readJSON reads a file that the given command wrote.
func readJSON(path, command string, v any) error {
	b, err := files.Read(path, maxJSON)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s was not written by %s: %w", path, command, err)
	}
	return nil
}
