package modelc

import (
	"embed"
	"path"
	"strings"

	"modelc/backend/cuda"
	"modelc/backend/cuda/nvrtc"
	"modelc/backend/golang"
	"modelc/internal/gomod"
	"modelc/ir"
	"modelc/ir/eval"
)

// launcherSource holds package launcher, which is copied to packages for a GPU.
//
//go:embed backend/cuda/launcher/*.go
var launcherSource embed.FS

// purego is the module that the launcher imports.
const purego = "github.com/ebitengine/purego"

// setCUDA adds the files for a GPU to the package. Without a compiler for PTX it adds a
// note with the command that makes the PTX.
func (c *Compiled) setCUDA(t *target) error {
	g := &golang.CUDA{Launcher: golang.Files{}, Command: nvrtc.Command(c.CUDA.Capability)}
	entries, err := launcherSource.ReadDir("backend/cuda/launcher")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		if g.Launcher[e.Name()], err = launcherSource.ReadFile("backend/cuda/launcher/" + e.Name()); err != nil {
			return err
		}
	}
	at, err := gomod.Locate(t.dir, purego)
	if err != nil {
		return err
	}
	g.Imports = path.Join(at.Path, golang.LauncherDir)
	if !at.Imports {
		t.notes = append(t.notes, "the package imports "+purego+": add it to the module with go get "+purego)
	}
	_, missing := nvrtc.Load()
	for i, m := range append([]*Compiled{c}, c.more...) {
		p := golang.CUDAProgram{Program: m.CUDA}
		if missing == nil {
			if err := c.Options.Progress.Update("PTX", i, 1+len(c.more)); err != nil {
				return err
			}
			if p.PTX, err = nvrtc.PTX(m.CUDA.Source, m.CUDA.Capability); err != nil {
				return err
			}
		}
		g.Programs = append(g.Programs, p)
	}
	if missing != nil {
		t.notes = append(t.notes, "there is no PTX, and NewCUDA fails without it: "+missing.Error()+"; or run in the package's folder: "+g.Command)
	}
	t.options.CUDA = g
	return nil
}

// cudaRounding returns the effect of the precision of products on the GPU, with the inputs
// and expected outputs of the self-test. The reference interpreter rounds the operands of
// all convolutions and dense layers, also of those that the GPU computes in float32. It
// returns nil if they are float32.
func (c *Compiled) cudaRounding(in, want []*ir.Tensor) (*golang.Rounding, error) {
	p := c.Options.CUDA.Precision
	if p == cuda.Float32 {
		return nil, nil
	}
	g := c.Graph.Clone()
	operand := map[*ir.Value]bool{}
	for _, n := range g.Nodes {
		switch n.Op.(type) {
		case ir.Conv, ir.ConvTranspose, ir.Dense, ir.MatMul:
			operand[n.In[0]], operand[n.In[1]] = true, true
		}
	}
	rounded := func(v *ir.Value, t *ir.Tensor) (*ir.Tensor, error) {
		if !operand[v] || t.DType != ir.Float32 {
			return t, nil
		}
		r := ir.NewTensor(t.Type)
		to := ir.Elements[float32](r)
		for i, x := range t.Float32s() {
			to[i] = p.Round(x)
		}
		return r, nil
	}
	var err error
	for _, v := range g.Constants {
		if v.Const, err = rounded(v, v.Const); err != nil {
			return nil, err
		}
	}
	given := make([]*ir.Tensor, len(in))
	for i, v := range g.Inputs {
		if given[i], err = rounded(v, in[i]); err != nil {
			return nil, err
		}
	}
	got, err := eval.Replace(g, given, rounded)
	if err != nil {
		return nil, err
	}
	return rounding(p.String(), got, want)
}
