package main

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"modelc"
	"modelc/ir"
	"modelc/ir/eval"
)

//go:embed peers/quantise.py
var quantiseScript []byte

// noise has random inputs for a model: the speed of a quantised network does not depend on
// its scales.
type noise struct{ g *ir.Graph }

func (n noise) Len() int                        { return 2 }
func (n noise) Input(i int) (*ir.Tensor, error) { return eval.Inputs(n.g, uint64(i))[0], nil }
func (n noise) Label(int) int                   { return -1 }
func (n noise) Name(i int) string               { return fmt.Sprint("random input ", i) }

// quantise writes the model in 8 bits to dir, with u8 activations and i8 weights per
// channel, and returns its path.
func quantise(path, dir string, o options) (string, error) {
	out := filepath.Join(dir, "int8.onnx")
	switch o.int8 {
	case "modelc":
		c, err := modelc.Compile(path, modelc.Options{})
		if err != nil {
			return "", err
		}
		defer c.Close()
		q, err := c.Quantize(noise{c.Before}, modelc.QuantizeOptions{})
		if err != nil {
			return "", err
		}
		f, err := os.Create(out)
		if err != nil {
			return "", err
		}
		if err := q.WriteONNX(f); err != nil {
			f.Close()
			return "", err
		}
		return out, f.Close()
	case "onnxruntime":
		if o.python == "" {
			return "", fmt.Errorf("-int8 onnxruntime needs -python: an interpreter with onnxruntime and onnx")
		}
		script := filepath.Join(dir, "quantise.py")
		if err := os.WriteFile(script, quantiseScript, 0o666); err != nil {
			return "", err
		}
		if msg, err := exec.Command(o.python, script, path, out).CombinedOutput(); err != nil {
			return "", fmt.Errorf("quantise.py: %w\n%s", err, msg)
		}
		return out, nil
	}
	return "", fmt.Errorf("-int8 %s: want modelc or onnxruntime", o.int8)
}
