package kernel_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/tools/txtar"

	"modelc/backend/cpu"
	"modelc/backend/inproc"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/ir/examples"
	"modelc/passes"
	"modelc/runtime"
	"modelc/runtime/internal/simd"
	"modelc/runtime/kernel"
)

var guardGraphs = flag.Int("guard.graphs", fewGraphs, "the number of random graphs that TestGuardPages runs")

// With fewGraphs or less, the test leaves out programs of more than fewFLOPs.
const (
	fewGraphs = 40
	fewFLOPs  = 2 << 20
)

// cases calls visit with small graphs: random ones, those around each op, and those of
// the tests of packages cpu and inproc.
func cases(t *testing.T, random int, visit func(name string, g *ir.Graph)) {
	t.Helper()
	for seed := range uint64(random) {
		g, err := examples.Random(seed)
		if err != nil {
			t.Fatal(err)
		}
		visit(fmt.Sprint("random ", seed), g)
	}
	list, err := examples.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		visit(e.Name+" "+e.DType.String(), e.Graph)
	}
	for _, pattern := range []string{"../../backend/cpu/testdata/*.txtar", "../../backend/inproc/testdata/*.txtar"} {
		files, _ := filepath.Glob(pattern)
		if len(files) == 0 {
			t.Fatalf("no files %s", pattern)
		}
		for _, f := range files {
			ar, err := txtar.ParseFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range ar.Files {
				if g, err := ir.Parse(string(c.Data)); err == nil {
					visit(filepath.Base(f)+" "+c.Name, g)
				}
			}
		}
	}
}

// programs calls visit with the programs of g: without passes, with all of them, with
// sums in float64, with weights in half precision, and with layers on bfloat16. It ignores
// graphs that have no kernels.
func programs(t *testing.T, g *ir.Graph, visit func(how string, p *cpu.Program)) {
	t.Helper()
	build := func(how string, g *ir.Graph, cfg cpu.Config) {
		t.Helper()
		if p, err := cpu.Build(g, cfg); err == nil {
			visit(how, p)
		} else if strings.Contains(err.Error(), "bug") {
			t.Fatalf("%s, %s: %v\n%s", g.Name, how, err, ir.Format(g))
		}
	}
	build("no passes", g, cpu.Config{})
	for _, exact := range []bool{false, true} {
		c := g.Clone()
		if _, err := passes.Run(c, &passes.Config{Exact: exact}); err != nil {
			t.Fatal(err)
		}
		if build("passes", c, cpu.Config{Exact: exact}); exact {
			continue
		}
		narrow := c.Clone()
		if err := cpu.RoundWeights(c, kernel.F16); err != nil {
			t.Fatal(err)
		}
		build("f16", c, cpu.Config{Weights: kernel.F16})
		if err := cpu.NarrowLayers(narrow, func(*ir.Node) bool { return false }); err != nil {
			t.Fatal(err)
		}
		build("bf16", narrow, cpu.Config{Compute: kernel.BF16})
	}
}

// tiers calls visit with the tiers of this machine in use.
func tiers(t *testing.T, visit func(t *testing.T, tier *simd.Tier)) {
	before := simd.Active()
	defer simd.Use(before)
	for _, tier := range simd.Available() {
		t.Run(tier.Name, func(t *testing.T) {
			simd.Use(tier)
			visit(t, tier)
		})
	}
}

// Programs give the same bits when each operand of each kernel, and the scratch
// memory, lies between protected pages, at either end.
func TestGuardPages(t *testing.T) {
	tiers(t, func(t *testing.T, _ *simd.Tier) {
		graphs, runs := 0, 0
		cases(t, *guardGraphs, func(name string, g *ir.Graph) {
			graphs++
			n := 0
			programs(t, g, func(how string, p *cpu.Program) {
				if n++; strings.HasPrefix(name, "random") && n != 1 && n != 2+graphs%4 {
					return // each random graph with two programs
				}
				flops := int64(0)
				for _, l := range p.Layers {
					flops += l.FLOPs
				}
				if *guardGraphs <= fewGraphs && flops > fewFLOPs {
					return
				}
				for _, atEnd := range []bool{true, false} {
					threads := 1
					if graphs%4 == 0 {
						threads = 3
					}
					k, err := guardedRun(p, threads, atEnd)
					if runs += k; err != nil {
						t.Fatalf("%s, %s, at the end %t: %v\n%s", name, how, atEnd, err, ir.Format(g))
					}
				}
			})
		})
		t.Logf("%d graphs, %d runs of kernels", graphs, runs)
	})
}

// guardedRun runs all steps of a program between protected pages. It compares the
// outputs with those of a plain run. It returns the number of steps.
func guardedRun(p *cpu.Program, threads int, atEnd bool) (steps int, err error) {
	in := eval.Inputs(p.Graph, 3)
	e, err := inproc.New(p, threads)
	if err != nil {
		return 0, err
	}
	defer e.Close()
	want, err := e.Run(in)
	if err != nil {
		return 0, err
	}
	var weights bytes.Buffer
	if err := p.WriteWeights(&weights); err != nil {
		return 0, err
	}
	memory := [][]byte{make([]byte, p.Plan.ArenaBytes), weights.Bytes(), make([]byte, p.Plan.PreparedBytes)}
	for _, x := range in {
		memory = append(memory, x.Bytes())
	}
	for _, o := range p.Plan.Outputs {
		memory = append(memory, make([]byte, o.Bytes))
	}
	for i, s := range append(p.Plan.Load[:len(p.Plan.Load):len(p.Plan.Load)], p.Plan.Steps...) {
		k, err := isolate(p.Plan, s, i < len(p.Plan.Load))
		if err != nil {
			return steps, fmt.Errorf("%s: %w", s.Name, err)
		}
		at := func(i int) []byte { r := k.regions[i]; return memory[r.space][r.from:r.to] }
		if err := k.run(threads, atEnd, func(i int, b []byte) { copy(b, at(i)) }, func(i int, b []byte) { copy(at(i), b) }); err != nil {
			return steps, fmt.Errorf("%s: %T: %w", s.Name, s.Kernel, err)
		}
		steps++
	}
	for i, got := range memory[int(kernel.IO)+len(in):] {
		if !bytes.Equal(got, want[i].Bytes()) {
			return steps, fmt.Errorf("output %d differs from that of a plain run", i)
		}
	}
	return steps, nil
}

// overrun is a kernel that touches a float outside an operand.
type overrun struct {
	Src, Dst kernel.Ref
	At       int // the float
	Writes   bool
}

func (k *overrun) ScratchBytes() int { return 0 }

func (k *overrun) Check(v *kernel.Verifier) {
	v.Read("Src", k.Src, 4, int64(k.Src.Len))
	v.Write("Dst", k.Dst, 4, int64(k.Dst.Len))
}

func (k *overrun) Run(c *kernel.Context) {
	src, dst := c.F32(k.Src), c.F32(k.Dst)
	if p := (*float32)(unsafe.Add(unsafe.Pointer(&dst[0]), k.At*4)); k.Writes {
		*p = src[0]
	} else {
		dst[0] = *(*float32)(unsafe.Add(unsafe.Pointer(&src[0]), k.At*4))
	}
}

// A read or a write next to an operand is found: by its page at the one end, and a
// write by the canary at the other one.
func TestOverrun(t *testing.T) {
	p := &runtime.Plan{ArenaBytes: 4096}
	for _, at := range []int{-1, 0, 7, 8} {
		for _, writes := range []bool{false, true} {
			for _, atEnd := range []bool{false, true} {
				step := runtime.Step{Kernel: &overrun{kernel.Ref{Off: 64, Len: 8}, kernel.Ref{Off: 128, Len: 8}, at, writes}}
				k, err := isolate(p, step, false)
				if err != nil {
					t.Fatal(err)
				}
				err = k.run(1, atEnd, func(_ int, b []byte) { clear(b) }, func(int, []byte) {})
				outside := at < 0 || at > 7
				protected := outside && (at > 0) == atEnd
				if found := errors.As(err, new(fault)); found != (protected || outside && writes) {
					t.Errorf("float %d, write %t, at the end %t: %v", at, writes, atEnd, err)
				}
			}
		}
	}
}
