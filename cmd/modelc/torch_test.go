//go:build unix

package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"modelc"
	"modelc/backend/cpu"
	"modelc/internal/gorun"
	"modelc/internal/units"
	"modelc/ir"
)

// Generated packages of networks of torchvision and others, at full size and from
// both exporters of PyTorch, give the outputs of PyTorch. testdata/torch.sh makes
// the folder in MODELC_TORCH. -update rewrites the table in docs/models.md.
func TestTorch(t *testing.T) {
	dir := os.Getenv("MODELC_TORCH")
	if dir == "" {
		t.Skip("MODELC_TORCH is not set: testdata/torch.sh exports the networks, with PyTorch")
	}
	var rows []string
	for _, set := range folders(t, dir) {
		t.Run(filepath.Base(set), func(t *testing.T) {
			begin := processorTime(t)
			c, err := load(filepath.Join(set, "model.onnx"), set, modelc.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			folder := t.TempDir()
			defer os.RemoveAll(folder) // the networks take gigabytes together
			b, err := gorun.NewBuilder(folder, true)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Add(c.Compiled); err != nil {
				t.Fatal(err)
			}
			p, err := b.Build(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			took := processorTime(t) - begin
			got, err := p.Run(t.Context(), 0, c.in)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			v := verifier{engine: "go", tol: 1e-4, halfTol: halfTolerance, out: &out}
			if err := v.report(c, got); err != nil {
				t.Fatal(err)
			}
			if v.failed {
				t.Errorf("%s", out.Bytes())
			}
			share, steps := generic(c.Program)
			if len(steps) > 0 {
				t.Errorf("more than %g of the memory traffic each:\n%s", mostGeneric, strings.Join(steps, "\n"))
			}
			parameters, flops := size(c.Before)
			at := strings.LastIndex(filepath.Base(set), "-")
			off := fmt.Sprintf("%.0e", v.worst)
			for _, o := range v.verdicts[0].Outputs {
				if o.Arbiter != nil {
					off += fmt.Sprintf(" (from float64: %.0e, PyTorch's %.0e)", float64(o.Arbiter.Got), float64(o.Arbiter.Expected))
				}
			}
			row := fmt.Sprintf("| %s | %s | %s | %s | %d → %d | %.1f %% | %s | %.0f |", filepath.Base(set)[:at], filepath.Base(set)[at+1:],
				units.Count(parameters), units.Count(flops), len(c.Before.Nodes), len(c.Program.Layers), 100*share, off, took.Seconds())
			t.Log(row)
			rows = append(rows, row)
		})
	}
	t.Log("\n" + strings.Join(rows, "\n"))
	if *update && !t.Failed() {
		page, err := os.ReadFile(modelsDoc)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(modelsDoc, replaceSection(t, page, "torch", torchTable(string(page), rows)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// torchTable returns the table with new rows. They replace rows of the same networks
// and exporters, so that a run may have only some of the networks.
func torchTable(page string, rows []string) string {
	row := regexp.MustCompile(`(?m)^(\| \S+ \| (?:torchscript|dynamo) \|).*$`)
	all := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(page+"\n"+strings.Join(rows, "\n"), -1) {
		all[m[1]] = m[0]
	}
	var b strings.Builder
	b.WriteString("| network | exporter | parameters | FLOP | nodes → steps | generic | error | compile, CPU s |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, key := range slices.Sorted(maps.Keys(all)) {
		b.WriteString(all[key] + "\n")
	}
	fmt.Fprintf(&b, "\nCompiled on %s, %d processors, %s.\n", processor(), runtime.NumCPU(), runtime.Version())
	return b.String()
}

// processorTime returns the processor time of this process and its children.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

// mostGeneric is the maximum share of a step with a generic kernel in the bytes that all
// steps read and write, except for the weights of other kernels. A larger share means that
// a layer of these networks does not use its fast kernel.
const mostGeneric = 0.05

// generic returns the share of these bytes that generic kernels read and write,
// and the steps whose share exceeds mostGeneric.
func generic(p *cpu.Program) (share float64, steps []string) {
	var slow, all int64
	for _, l := range p.Layers {
		if l.Generic {
			slow += l.Bytes()
			all += l.Bytes()
		} else {
			all += l.Activations
		}
	}
	for _, l := range p.Layers {
		if l.Generic && float64(l.Bytes()) > mostGeneric*float64(all) {
			steps = append(steps, fmt.Sprintf("%s: %s, %d of %d bytes", l.Name, l.Doc, l.Bytes(), all))
		}
	}
	return float64(slow) / float64(all), steps
}

// size returns the number of parameters of a model and the number of operations of a
// run.
func size(g *ir.Graph) (parameters int, flops int64) {
	for _, v := range g.Constants {
		if v.Type.DType.IsFloat() {
			parameters += v.Type.Shape.Len()
		}
	}
	for _, n := range g.Nodes {
		flops += ir.FLOPs(n)
	}
	return parameters, flops
}
