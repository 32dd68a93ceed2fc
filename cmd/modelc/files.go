package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

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

// readJSON reads a file that the given command wrote.
func readJSON(path, command string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s was not written by %s: %w", path, command, err)
	}
	return nil
}

// writeFile writes a temporary file and renames it to path. If it returns an
// error, the file at path is unchanged.
func writeFile(path string, write func(f *os.File) error) error {
	tmp := path + ".tmp"
	f, err := os.Create(tmp)
	var p *fs.PathError
	if errors.As(err, &p) {
		p.Path = path // the user does not know tmp
	}
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// jsonFlag adds --json to a command.
func jsonFlag(c *cobra.Command, on *bool) {
	c.Flags().BoolVar(on, "json", false, "print JSON")
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
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
