package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"modelc/frontend/onnx"
	"modelc/internal/files"
	"modelc/internal/npy"
	"modelc/internal/plaintext"
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

// jsonFlag adds --json to a command.
func jsonFlag(c *cobra.Command, on *bool) {
	c.Flags().BoolVar(on, "json", false, "print JSON")
}

func printJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, plaintext.JSON(b.String()))
	return err
}

// finite is a float whose JSON form is null for NaN and infinities, which JSON
// cannot represent.
type finite float64

func (n finite) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}
