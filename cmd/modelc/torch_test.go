package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"modelc"
	"modelc/backend/golang"
	"modelc/backend/schedule"
	"modelc/internal/gorun"
	"modelc/ir"
)

// The networks of torchvision and others at full size, exported by both
// exporters of PyTorch, through generated packages against what PyTorch
// computed. testdata/torch.sh makes the folder that MODELC_TORCH names. With
// -update the table in docs/models.md is written anew.
func TestTorch(t *testing.T) {
	dir := os.Getenv("MODELC_TORCH")
	if dir == "" {
		t.Skip("MODELC_TORCH is not set: testdata/torch.sh exports the networks, with PyTorch")
	}
	var rows []string
	for _, set := range folders(t, dir) {
		t.Run(filepath.Base(set), func(t *testing.T) {
			begin := time.Now()
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
			took := time.Since(begin)
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
			if share > mostGeneric {
				t.Errorf("%.1f %% of the memory traffic goes through generic kernels:\n%s", 100*share, strings.Join(steps, "\n"))
			}
			parameters, flops := size(c.Before)
			at := strings.LastIndex(filepath.Base(set), "-")
			row := fmt.Sprintf("| %s | %s | %s | %s | %d → %d | %.1f %% | %.0e | %.0f |", filepath.Base(set)[:at], filepath.Base(set)[at+1:],
				golang.Count(float64(parameters)), golang.Count(float64(flops)), len(c.Before.Nodes), len(c.Program.Layers), 100*share, v.worst, took.Seconds())
			t.Log(row)
			rows = append(rows, row)
		})
	}
	text := "| network | exporter | parameters | FLOP | nodes → steps | generic | error | compile, s |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n" + strings.Join(rows, "\n") + "\n\n" +
		fmt.Sprintf("Compiled on %s, %d processors, %s.\n", processor(), runtime.NumCPU(), runtime.Version())
	t.Log("\n" + text)
	if *update && !t.Failed() {
		page, err := os.ReadFile(modelsDoc)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(modelsDoc, replaceSection(t, page, "torch", text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// mostGeneric is the largest share of generic kernels in what the steps read
// and write: beyond it a layer of these networks has lost its fast kernel.
const mostGeneric = 0.05

// generic returns the share of the bytes that generic kernels read and write,
// and what they compute.
func generic(p *schedule.Program) (share float64, steps []string) {
	var slow, all int64
	for _, l := range p.Layers {
		all += l.Bytes
		if l.Generic() {
			slow += l.Bytes
			steps = append(steps, fmt.Sprintf("%s: %s, %d bytes", l.Name, l.Doc, l.Bytes))
		}
	}
	return float64(slow) / float64(all), steps
}

// size returns how many parameters a model has and what operations a run
// takes.
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
