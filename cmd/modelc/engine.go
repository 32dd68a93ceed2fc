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
	"runtime"
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
	"modelc/backend/golang"
	"modelc/backend/inproc"
	"modelc/internal/files"
	"modelc/internal/gomod"
	"modelc/internal/gorun"
	"modelc/ir"
)

// engine runs a compiled model, for one goroutine at a time.
type engine interface {
	run(ctx context.Context, in []*ir.Tensor) ([]*ir.Tensor, error)
	close() error
}

// engineFlag adds --engine and checks its value.
func engineFlag(c *cobra.Command, name *string) {
	c.Flags().StringVar(name, "engine", "go", "`ENGINE`: go (build and run the generated package), inproc (run its kernels in this process), eval (the reference interpreter), cuda (an NVIDIA GPU) or cuda-emulated (its kernels without a GPU)")
	c.PreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains([]string{"go", "inproc", "eval", "cuda", "cuda-emulated"}, *name) {
			return usageError{fmt.Errorf("--engine %q: want go, inproc, eval, cuda or cuda-emulated", *name)}
		}
		return nil
	}
}

// newEngine returns the engine with a name that engineFlag has checked.
func newEngine(ctx context.Context, name string, c *modelc.Compiled) (engine, error) {
	list, err := newEngines(ctx, name, c, 1)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// newEngines returns n engines that work at the same time and share the processors.
func newEngines(ctx context.Context, name string, c *modelc.Compiled, n int) ([]engine, error) {
	threads := 0 // one per processor
	if n > 1 {
		threads = max(1, runtime.GOMAXPROCS(0)/n)
	}
	list := make([]engine, n)
	if name == "go" {
		p, err := buildPackage(ctx, c)
		for i := range list {
			list[i] = &generated{program: p, threads: threads}
		}
		return list, err
	}
	for i := range list {
		switch name {
		case "eval":
			list[i] = reference{c}
		case "inproc":
			e, err := inproc.New(c.Program, threads)
			if err != nil {
				return nil, err
			}
			list[i] = inProcess{e}
		default:
			e, err := newCUDA(ctx, name, c, cuda.Config{})
			if err != nil {
				return nil, err
			}
			list[i] = onGPU{e}
		}
	}
	return list, nil
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

func (g onGPU) close() error {
	g.e.Close()
	return nil
}

type reference struct{ c *modelc.Compiled }

func (r reference) run(_ context.Context, in []*ir.Tensor) ([]*ir.Tensor, error) {
	return r.c.Reference(in)
}

func (r reference) close() error { return nil }

type inProcess struct{ e *inproc.Engine }

func (p inProcess) run(_ context.Context, in []*ir.Tensor) ([]*ir.Tensor, error) { return p.e.Run(in) }

func (p inProcess) close() error {
	p.e.Close()
	return nil
}

// generated is a program built around a generated package.
type generated struct {
	program *gorun.Program
	threads int            // 0 for one per processor
	process *gorun.Process // nil before the first run, and after a failure
}

func (g *generated) run(ctx context.Context, in []*ir.Tensor) ([]*ir.Tensor, error) {
	if g.process == nil {
		var env []string
		if g.threads > 0 {
			env = []string{fmt.Sprintf("GOMAXPROCS=%d", g.threads)}
		}
		var err error
		if g.process, err = g.program.Start(ctx, 0, env...); err != nil {
			return nil, err
		}
	}
	out, err := g.process.Run(in)
	if err != nil {
		err = errors.Join(err, g.close())
	}
	return out, err
}

func (g *generated) close() error {
	if g.process == nil {
		return nil
	}
	p := g.process
	g.process = nil
	return p.Close()
}

// buildPackage generates and builds the package in a folder of the cache. Its key
// is a digest of the model, the flags and this command.
func buildPackage(ctx context.Context, c *modelc.Compiled) (*gorun.Program, error) {
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
		return p, os.Chtimes(dir, now, now)
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
	return p, nil
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
	fmt.Fprintf(h, "%v %v %v %v %v %q %q\n", o.Exact, o.Weights, o.Compute, o.MaxError, o.Batches, o.Passes.Only, o.Passes.Disable)
	if err := json.NewEncoder(h).Encode(o.Tuning); err != nil {
		return "", err
	}
	compiler, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("%w: install Go %s or later, or give --engine inproc", gomod.ErrNoGo, golang.MinimumGo)
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
