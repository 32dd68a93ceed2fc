package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/inproc"
	"modelc/internal/gorun"
	"modelc/ir"
)

// engine runs a compiled model.
type engine interface {
	run(ctx context.Context, in []*ir.Tensor) ([]*ir.Tensor, error)
}

// engineFlag adds --engine, which names what newEngine returns.
func engineFlag(c *cobra.Command, name *string) {
	c.Flags().StringVar(name, "engine", "go", "go (build and run the generated package), inproc (its kernels in this process) or eval (the reference interpreter)")
	c.PreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains([]string{"go", "inproc", "eval"}, *name) {
			return usageError{fmt.Errorf("--engine %q: want go, inproc or eval", *name)}
		}
		return nil
	}
}

// newEngine returns the engine of that name, which engineFlag has checked.
func newEngine(ctx context.Context, name string, c *modelc.Compiled) (engine, error) {
	switch name {
	case "eval":
		return reference{c}, nil
	case "inproc":
		e, err := inproc.New(c.Program, 0)
		return inProcess{e}, err
	}
	return buildPackage(ctx, c)
}

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

// buildPackage generates and builds in a cache folder keyed by everything
// that shapes the result: the model, the flags and this command itself.
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
	if p, err := gorun.Open(dir, c.Graph); err == nil {
		now := time.Now()
		return generated{p}, os.Chtimes(dir, now, now)
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
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
	p, err := gorun.Open(dir, c.Graph)
	if err != nil {
		return nil, errors.Join(renamed, err) // and not another process that was faster
	}
	return generated{p}, nil
}

// cacheDir is where builds are kept, each in a folder.
func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "modelc"), err
}

// unused is how long a build stays in the cache after its last use. A large
// network takes half a gigabyte.
const unused = 5 * 24 * time.Hour

// trim removes builds from the cache that nobody has used for long, and what
// interrupted builds left. Failures do not matter: the next build tries again.
func trim(root string) {
	entries, _ := os.ReadDir(root)
	for _, e := range entries {
		if i, err := e.Info(); err == nil && time.Since(i.ModTime()) > unused {
			os.RemoveAll(filepath.Join(root, e.Name()))
		}
	}
}

func cacheKey(c *modelc.Compiled) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %q\n", modelc.Version, c.Model.SHA256, c.Options.Flags)
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
