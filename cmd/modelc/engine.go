package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/cuda"
	"modelc/backend/cuda/emulator"
	cudaengine "modelc/backend/cuda/engine"
	"modelc/backend/cuda/launcher"
	"modelc/backend/cuda/nvrtc"
	"modelc/backend/inproc"
	"modelc/internal/files"
	"modelc/internal/gorun"
	"modelc/ir"
)

// engine runs a compiled model.
type engine interface {
	run(ctx context.Context, in []*ir.Tensor) ([]*ir.Tensor, error)
}

// engineFlag adds --engine and checks its value.
func engineFlag(c *cobra.Command, name *string) {
	c.Flags().StringVar(name, "engine", "go", "go (build and run the generated package), inproc (run its kernels in this process), eval (the reference interpreter), cuda (an NVIDIA GPU) or cuda-emulated (its kernels without a GPU)")
	c.PreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains([]string{"go", "inproc", "eval", "cuda", "cuda-emulated"}, *name) {
			return usageError{fmt.Errorf("--engine %q: want go, inproc, eval, cuda or cuda-emulated", *name)}
		}
		return nil
	}
}

// newEngine returns the engine with a name that engineFlag has checked.
func newEngine(ctx context.Context, name string, c *modelc.Compiled) (engine, error) {
	switch name {
	case "eval":
		return reference{c}, nil
	case "inproc":
		e, err := inproc.New(c.Program, 0)
		return inProcess{e}, err
	case "cuda", "cuda-emulated":
		e, err := newCUDA(ctx, name, c, cuda.Config{})
		return onGPU{e}, err
	}
	return buildPackage(ctx, c)
}

// newCUDA returns an engine on a GPU, or one that emulates it.
func newCUDA(ctx context.Context, name string, c *modelc.Compiled, cfg cuda.Config) (*cudaengine.Engine, error) {
	p, err := cuda.Build(c.Graph, cfg)
	if err != nil {
		return nil, err
	}
	if name == "cuda-emulated" {
		return emulator.New(ctx, p, false)
	}
	ptx, err := nvrtc.PTX(p.Source, p.Capability)
	if err != nil {
		return nil, err
	}
	return cudaengine.New(p, ptx, launcher.Options{})
}

type onGPU struct{ e *cudaengine.Engine }

func (g onGPU) run(_ context.Context, in []*ir.Tensor) ([]*ir.Tensor, error) { return g.e.Run(in) }

type reference struct{ c *modelc.Compiled }

func (r reference) run(_ context.Context, in []*ir.Tensor) ([]*ir.Tensor, error) {
	return r.c.Reference(in)
}

type inProcess struct{ e *inproc.Engine }

func (p inProcess) run(_ context.Context, in []*ir.Tensor) ([]*ir.Tensor, error) { return p.e.Run(in) }

// generated is a program built around a generated package.
type generated struct{ p *gorun.Program }

func (g generated) run(ctx context.Context, in []*ir.Tensor) ([]*ir.Tensor, error) {
	return g.p.Run(ctx, 0, in)
}

// buildPackage generates and builds the package in a folder of the cache. Its key
// is a digest of the model, the flags and this command.
func buildPackage(ctx context.Context, c *modelc.Compiled) (engine, error) {
	root, err := cacheDir()
	if err != nil {
		return nil, err
	}
	key, err := cacheKey(c)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(root, key)
	p, err := gorun.Open(dir, c.Graph)
	if err == nil {
		now := time.Now()
		return generated{p}, os.Chtimes(dir, now, now)
	}
	if !errors.Is(err, fs.ErrNotExist) { // a damaged build
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
	}
	trim(root)
	tmp, err := os.MkdirTemp(root, "build")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	b, err := gorun.NewBuilder(tmp, true)
	if err != nil {
		return nil, err
	}
	if _, err := b.Add(c); err != nil {
		return nil, err
	}
	if err := c.Options.Progress.Update("go build", 0, 1); err != nil {
		return nil, err
	}
	if _, err := b.Build(ctx); err != nil {
		return nil, err
	}
	renamed := os.Rename(tmp, dir)
	if p, err = gorun.Open(dir, c.Graph); err != nil {
		return nil, errors.Join(renamed, err) // unless another process has built it
	}
	return generated{p}, nil
}

// cacheDir returns the folder of the cache, which has a folder for each build. Nobody else
// can write to it, because the command executes programs in it.
func cacheDir() (string, error) { return files.Private() }

// unused is the time after its last use for which a build stays in the cache. The
// build of a large network takes half a gigabyte.
const unused = 5 * 24 * time.Hour

// trim removes old builds and remains of interrupted builds from the cache. It
// ignores errors, because the next build tries again.
func trim(root string) {
	entries, _ := os.ReadDir(root)
	for _, e := range entries {
		if i, err := e.Info(); err == nil && e.IsDir() && e.Name() != "locks" && time.Since(i.ModTime()) > unused {
			os.RemoveAll(filepath.Join(root, e.Name()))
		}
	}
}

// cacheKey returns the key of a build. It depends on everything that shapes the program: the
// model, the options, this command, and the go command with its settings.
func cacheKey(c *modelc.Compiled) (string, error) {
	h := sha256.New()
	o := &c.Options
	fmt.Fprintf(h, "%s %s %q\n", modelc.Version, c.Model.SHA256, o.Flags)
	fmt.Fprintf(h, "%v %v %v %q %q\n", o.Exact, o.Weights, o.Batches, o.Passes.Only, o.Passes.Disable)
	if err := json.NewEncoder(h).Encode(o.Tuning); err != nil {
		return "", err
	}
	compiler, err := exec.LookPath("go")
	if err != nil {
		return "", err
	}
	st, err := os.Stat(compiler)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(h, "%q %d %v\n", compiler, st.Size(), st.ModTime())
	for _, v := range slices.Sorted(slices.Values(os.Environ())) {
		if strings.HasPrefix(v, "GO") && !strings.HasPrefix(v, "GOMAXPROCS=") {
			fmt.Fprintf(h, "%q\n", v)
		}
	}
	for _, v := range c.Graph.Inputs {
		fmt.Fprintf(h, "%q %s\n", v.Name, v.Type)
	}
	bound := c.Options.Source.Bind
	for _, name := range slices.Sorted(maps.Keys(bound)) {
		fmt.Fprintf(h, "%q %s\n", name, bound[name].Type)
		h.Write(bound[name].Bytes())
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(self)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)[:12]), nil
}
