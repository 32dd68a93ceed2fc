package modelc

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"modelc/backend/inproc"
	"modelc/frontend/source"
	"modelc/internal/zoo"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/runtime/kernel"
)

// One weights file serves several batch sizes, and each example of a batch gets the
// outputs that it gets alone. The test has every network of the zoo, with a fixed
// batch size of 1 in the file.
func TestBatches(t *testing.T) {
	for _, name := range zoo.Names() {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name+".onnx")
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			o := zoo.Options{Width: 0.25, Size: 64}
			if strings.HasPrefix(name, "lenet") {
				o = zoo.Options{}
			}
			if err := errors.Join(zoo.Write(f, name, o), f.Close()); err != nil {
				t.Fatal(err)
			}
			formats := []kernel.Format{kernel.F32}
			if name == "resnet18" {
				formats = append(formats, kernel.BF16)
			}
			for _, format := range formats {
				alone, err := Compile(path, Options{Weights: format})
				if err != nil {
					t.Fatal(err)
				}
				defer alone.Close()
				c, err := Compile(path, Options{Batches: []int{3, 1, 3}, Weights: format})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if len(c.more) != 1 || c.batch != 1 || c.more[0].batch != 3 {
					t.Fatalf("batches of %d and %d others", c.batch, len(c.more))
				}
				if got, want := c.Program.Plan.WeightsBytes, alone.Program.Plan.WeightsBytes; got != want {
					t.Errorf("%s: %d bytes of weights, one batch size has %d", format, got, want)
				}
				sideBySide(t, c)
			}
		})
	}
}

// sideBySide compares the outputs of batches of c with those of single examples.
func sideBySide(t *testing.T, c *Compiled) {
	t.Helper()
	one, err := inproc.New(c.Program, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	for _, m := range c.more {
		all, err := inproc.New(m.Program, 2)
		if err != nil {
			t.Fatal(err)
		}
		defer all.Close()
		in := eval.Inputs(m.Before, 5)
		got, err := all.Run(in)
		if err != nil {
			t.Fatal(err)
		}
		for i := range m.batch {
			var row []*ir.Tensor
			for k, x := range in {
				row = append(row, example(t, x, c.Before.Inputs[k].Type, i))
			}
			want, err := one.Run(row)
			if err != nil {
				t.Fatal(err)
			}
			for k := range want {
				d, err := eval.Compare(example(t, got[k], want[k].Type, i), want[k])
				if err != nil || !d.Agrees(tolerance, eval.Step(c.Graph.Outputs[k].Value)) {
					t.Errorf("batch of %d, example %d, output %d: %v %v", m.batch, i, k, d, err)
				}
			}
		}
	}
}

// example returns example i of a batch, with the given type.
func example(t *testing.T, batch *ir.Tensor, one ir.Type, i int) *ir.Tensor {
	t.Helper()
	n := one.Bytes()
	x, err := ir.FromBytes(one, batch.Bytes()[i*n:(i+1)*n])
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// Models that mix the examples of a batch are refused. The error names the node.
func TestNoBatch(t *testing.T) {
	graph := func(text string) *ir.Graph {
		g, err := ir.Parse("graph \"g\"\n" + text)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	for _, c := range []struct{ name, one, four, err string }{
		{"rows", "input %x : f32[1,6]\n%y = Unary(%x) fn=Relu\noutput \"y\" %y\n", "input %x : f32[4,6]\n%y = Unary(%x) fn=Relu\noutput \"y\" %y\n", ""},
		{"merged", "input %x : f32[1,6]\n%y = Reshape(%x) shape=[1,6]\noutput \"y\" %y\n", "input %x : f32[4,6]\n%y = Reshape(%x) shape=[1,24]\noutput \"y\" %y\n", "f32[1,24]"},
		{"no batch", "input %x : f32[1,6]\n%y = Unary(%x) fn=Relu\noutput \"y\" %y\n", "input %x : f32[1,6]\n%y = Unary(%x) fn=Relu\noutput \"y\" %y\n", "is not the batch"},
		{"two batches", "input %x : f32[1,6]\ninput %z : f32[2,6]\n%y = Unary(%x) fn=Relu\noutput \"y\" %y\n", "input %x : f32[4,6]\ninput %z : f32[4,6]\n%y = Unary(%x) fn=Relu\noutput \"y\" %y\n", "batch sizes of 1 and 2"},
		{"constant", "input %x : f32[1,6]\nconst %k : f32[2] = seed=1\n%y = Unary(%k) fn=Relu\noutput \"y\" %y\n", "input %x : f32[4,6]\nconst %k : f32[2] = seed=1\n%y = Unary(%k) fn=Relu\noutput \"y\" %y\n", "does not depend"},
	} {
		err := checkBatch(graph(c.one), graph(c.four), 4)
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.err)
		}
	}
}

// Batches of models of the corpus give the outputs of single examples, also if the
// file fixes the batch size. With -v the test lists the refused models.
func TestBatchCorpus(t *testing.T) {
	root := os.Getenv("MODELC_CORPUS")
	if root == "" {
		t.Skip("MODELC_CORPUS is not set: models from outside are not tested")
	}
	var refused []string
	done, open, more := 0, 0, 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		set := strings.Contains(path, "torch-small") || strings.Contains(path, "keras-small")
		if err != nil || !set || !slices.Contains([]string{".onnx", ".keras", ".h5"}, filepath.Ext(path)) {
			return err
		}
		name, _ := filepath.Rel(root, path)
		exact := strings.Contains(name, "_q") // quantised: a sum may lie between two integers
		alone, err := Compile(path, Options{Exact: exact})
		if err != nil {
			open++ // has other open dimensions, or is not supported
			return nil
		}
		defer alone.Close()
		c, err := Compile(path, Options{Batches: []int{1, 3}, Exact: exact})
		if err != nil {
			var u *source.Unsupported
			if !errors.As(err, &u) && !strings.Contains(err.Error(), "for batches of 3") && !strings.Contains(err.Error(), "for batches of 1") {
				t.Errorf("%s: %v", name, err)
			}
			refused = append(refused, err.Error())
			return nil
		}
		done++
		if c.Program.Plan.WeightsBytes != alone.Program.Plan.WeightsBytes {
			more++
			t.Logf("%s: %d bytes of weights, one batch size has %d", name, c.Program.Plan.WeightsBytes, alone.Program.Plan.WeightsBytes)
		}
		t.Run(name, func(t *testing.T) { defer c.Close(); sideBySide(t, c) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if more > 1 { // one model has a constant of the batch's shape
		t.Errorf("%d models take more weights for two batch sizes than for one", more)
	}
	t.Logf("%d models in batches of 1 and 3, %d not compiled at all, %d refused:\n%s", done, open, len(refused), strings.Join(refused, "\n"))
	if done < 400 {
		t.Errorf("%d models compile for batches", done)
	}
}
