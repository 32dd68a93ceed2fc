package modelc

import (
	"embed"
	"path"
	"strings"

	"modelc/backend/cuda"
	"modelc/backend/cuda/nvrtc"
	"modelc/backend/golang"
	"modelc/internal/gomod"
)

// launcherSource holds package launcher, which is copied to packages for a GPU.
//
//go:embed backend/cuda/launcher/*.go
var launcherSource embed.FS

// purego is the module that the launcher imports.
const purego = "github.com/ebitengine/purego"

// CUDAProgram returns c.CUDA. If Options.CUDA was not set, it compiles the model for a GPU
// with the default options.
func (c *Compiled) CUDAProgram() (*cuda.Program, error) {
	if c.CUDA != nil {
		return c.CUDA, nil
	}
	return cuda.Build(c.Graph, cuda.Config{})
}

// setCUDA adds the files for a GPU to the package. Without a compiler for PTX it adds a
// note with the command that makes the PTX.
func (c *Compiled) setCUDA(t *target) error {
	g := &golang.CUDA{Launcher: golang.Files{}, Command: nvrtc.Command(nvrtc.DefaultArch)}
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
			if p.PTX, err = nvrtc.PTX(m.CUDA.Source); err != nil {
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
