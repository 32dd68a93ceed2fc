package inproc

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"modelc/backend/cpu"
	"modelc/backend/cpu/support"
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/ir/examples"
	"modelc/runtime"
	"modelc/runtime/kernel"
)

// check runs g in the engine and in the reference interpreter, and compares every
// value.
func check(t *testing.T, g *ir.Graph, cfg cpu.Config, tol float64) {
	t.Helper()
	if err := ir.Verify(g); err != nil {
		t.Fatal(err)
	}
	p, err := cpu.Build(g, cfg)
	if err != nil {
		t.Fatal(err)
	}
	in := eval.Inputs(g, 7)
	want := map[*ir.Value]*ir.Tensor{}
	wantOut, err := eval.Trace(g, in, func(v *ir.Value, x *ir.Tensor) error { want[v] = x; return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, threads := range []int{1, 3} {
		e, err := New(p, threads)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		// The second run uses an arena that is not zero.
		for range 2 {
			got, err := e.Trace(in, func(l plan.Layer, x *ir.Tensor) {
				if d, err := eval.Compare(x, want[l.Value]); err != nil || !d.Within(tol) {
					t.Errorf("%d threads, %s (%s): %v %v", threads, l.Name, l.Doc, d, err)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if d, err := eval.Compare(got[i], wantOut[i]); err != nil || !d.Within(tol) {
					t.Errorf("%d threads, output %d: %v %v", threads, i, d, err)
				}
			}
		}
		// A garbage collection during the runs allocates too. A step that allocates
		// does so in every run.
		allocs := 1.0
		for try := 0; allocs > 0 && try < 3; try++ {
			allocs = testing.AllocsPerRun(3, func() { e.Step() })
		}
		if allocs > 0 {
			t.Errorf("%d threads: %g allocations a run", threads, allocs)
		}
	}
}

// The programs of the golden tests of package cpu give the values of the reference
// interpreter.
func TestProgramCases(t *testing.T) {
	files, _ := filepath.Glob("../cpu/testdata/*.txtar")
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".txtar")
		if name == "no_kernel" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			ar, err := txtar.ParseFile(f)
			if err != nil {
				t.Fatal(err)
			}
			g, err := ir.Parse(string(ar.Files[0].Data))
			if err != nil {
				t.Fatal(err)
			}
			check(t, g, cpu.Config{Exact: true}, 2e-6)
			check(t, g, cpu.Config{}, 1e-5)
			checkHalf(t, g, cpu.Config{}, 1e-5)
		})
	}
}

// checkHalf is like check, with weights in half precision. It rounds the weights
// of g.
func checkHalf(t *testing.T, g *ir.Graph, cfg cpu.Config, tol float64) {
	t.Helper()
	for _, cfg.Weights = range []kernel.Format{kernel.F16, kernel.BF16} {
		g := g.Clone()
		if err := cpu.RoundWeights(g, cfg.Weights); err != nil {
			t.Fatal(err)
		}
		check(t, g, cfg, tol)
	}
}

// Each testdata/*.txtar holds graphs of ops that run in kernels on dense tensors.
func TestPlainKernels(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, f := range files {
		ar, err := txtar.ParseFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range ar.Files {
			t.Run(c.Name, func(t *testing.T) {
				g, err := ir.Parse(string(c.Data))
				if err != nil {
					t.Fatal(err)
				}
				check(t, g, cpu.Config{Exact: true}, 2e-6)
				checkHalf(t, g, cpu.Config{Exact: true}, 2e-6)
			})
		}
	}
}

// Every kernel gives the values of the reference interpreter, for every element
// type that it supports.
func TestExamples(t *testing.T) {
	list, err := examples.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if _, err := cpu.Build(e.Graph, cpu.Config{}); err == nil {
			t.Run(e.Name+" "+e.DType.String(), func(t *testing.T) {
				check(t, e.Graph, cpu.Config{}, 1e-5)
				if e.DType == ir.Float32 {
					checkHalf(t, e.Graph, cpu.Config{}, 1e-5)
				}
			})
		}
	}
	kernels, err := support.Ops()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kernels {
		if len(k.Types) == 0 || len(k.Names) == 0 && k.Op != "Reshape" {
			t.Errorf("%s: types %v, kernels %v: no example of it in ir/examples/examples.txtar", k.Op, k.Types, k.Names)
		}
		t.Log(k)
	}
}

// Half precision halves the size of weights, for every kernel that reads them, and
// does not change other constants.
func TestHalfSize(t *testing.T) {
	g, err := ir.Parse(`graph "halves"
input %x : f32[1,64,12,12]
const %w : f32[64,64,3,3] = seed=1
const %p : f32[64,64,1,1] = seed=2
const %dw : f32[64,1,3,3] = seed=3
const %t : f32[64,64,2,2] = seed=4
const %b : f32[64] = seed=5
const %d : f32[36864,8] = seed=6
const %k : f32[64] = seed=7
%a = Conv(%x, %w, %b) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1
%c = Conv(%a, %p) strides=[1,1] pads=[0,0,0,0] dilations=[1,1] groups=1
%e = Conv(%c, %dw) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=64
%s = Affine(%e, %k, %b)
%u = ConvTranspose(%s, %t) strides=[2,2] pads=[0,0,0,0] dilations=[1,1] outputPads=[0,0] groups=1
%f = Reshape(%u) shape=[1,36864]
%y = Dense(%f, %d)
output "y" %y
`)
	if err != nil {
		t.Fatal(err)
	}
	plan := func(f kernel.Format) *runtime.Plan {
		p, err := cpu.Build(g, cpu.Config{Weights: f})
		if err != nil {
			t.Fatal(err)
		}
		return p.Plan
	}
	full := plan(kernel.F32)
	weights := 0 // bytes of the weights of layers, in blocks of 16 channels
	for _, n := range []int{64 * 64 * 9, 64 * 64, 64 * 9, 64 * 64 * 4, 36864 * 16} {
		weights += n * 4
	}
	for _, f := range []kernel.Format{kernel.F16, kernel.BF16} {
		if half := plan(f); half.WeightsBytes != full.WeightsBytes-weights/2 || half.Graph == full.Graph {
			t.Errorf("%s: %d bytes of %d, want %d less", f, half.WeightsBytes, full.WeightsBytes, weights/2)
		}
	}
	checkHalf(t, g, cpu.Config{}, 1e-5)

	large := ir.NewTensor(ir.T(ir.Float32, 64, 64, 1, 1))
	ir.Elements[float32](large)[7] = -70000
	g.Lookup("p").Const = large
	err = cpu.RoundWeights(g, kernel.F16)
	if err == nil || !strings.Contains(err.Error(), "-70000 is too large for f16: store the weights as bf16") {
		t.Errorf("a weight of -70000 as f16: %v", err)
	}
	if err := cpu.RoundWeights(g, kernel.BF16); err != nil {
		t.Error(err)
	}
}
