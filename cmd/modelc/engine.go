package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/golang"
	"modelc/backend/inproc"
	"modelc/ir"
	"modelc/ir/eval"
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
		return reference{c.Before}, nil
	case "inproc":
		e, err := inproc.New(c.Program, 0)
		return inProcess{e}, err
	}
	return buildPackage(ctx, c)
}

type reference struct{ g *ir.Graph }

func (r reference) run(_ context.Context, in []*ir.Tensor) ([]*ir.Tensor, error) {
	return eval.Run(r.g, in)
}

type inProcess struct{ e *inproc.Engine }

func (p inProcess) run(_ context.Context, in []*ir.Tensor) ([]*ir.Tensor, error) { return p.e.Run(in) }

// generatedPackage is a program built around a generated package. It reads
// the inputs' elements from standard input and writes the outputs'.
type generatedPackage struct {
	dir string
	g   *ir.Graph
}

func (p generatedPackage) run(ctx context.Context, in []*ir.Tensor) ([]*ir.Tensor, error) {
	var raw []io.Reader
	for i, t := range in {
		if !t.Type.Equal(p.g.Inputs[i].Type) {
			return nil, fmt.Errorf("input %q is %s, want %s", p.g.Inputs[i].Name, t.Type, p.g.Inputs[i].Type)
		}
		raw = append(raw, bytes.NewReader(t.Bytes()))
	}
	cmd := exec.CommandContext(ctx, filepath.Join(p.dir, program), filepath.Join(p.dir, "model", golang.WeightsFile))
	cmd.Stdin = io.MultiReader(raw...)
	var out, msg bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &msg
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("the generated program failed: %w\n%s", err, msg.Bytes())
	}
	return outputs(p.g, out.Bytes())
}

// outputs cuts what a driver wrote into the outputs of g.
func outputs(g *ir.Graph, b []byte) ([]*ir.Tensor, error) {
	var res []*ir.Tensor
	for _, o := range g.Outputs {
		n := o.Value.Type.Bytes()
		if len(b) < n {
			return nil, fmt.Errorf("the generated program wrote %d bytes too few", n-len(b))
		}
		t, err := ir.FromBytes(o.Value.Type, b[:n])
		if err != nil {
			return nil, err
		}
		res = append(res, t)
		b = b[n:]
	}
	return res, nil
}

const program = "run.exe"

// buildPackage generates and builds in a cache folder keyed by everything
// that shapes the result: the model, the flags and this command itself.
func buildPackage(ctx context.Context, c *modelc.Compiled) (engine, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	key, err := cacheKey(c)
	if err != nil {
		return nil, err
	}
	root := filepath.Join(cache, "modelc")
	dir := filepath.Join(root, key)
	e := generatedPackage{dir, c.Graph}
	if _, err := os.Stat(filepath.Join(dir, program)); err == nil {
		now := time.Now()
		return e, os.Chtimes(dir, now, now)
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
	if err := os.WriteFile(filepath.Join(tmp, "go.mod"), []byte("module modelcrun\n\ngo 1.24\n"), 0o644); err != nil {
		return nil, err
	}
	if _, err := c.WritePackage(filepath.Join(tmp, "model"), modelc.PackageOptions{Package: "model", Sidecar: true, Standalone: true}); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(tmp, "main.go"), []byte(driver(c.Graph)), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	cmd.Dir = tmp
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build of the generated package: %w\n%s", err, msg)
	}
	if err := os.Rename(tmp, dir); err != nil {
		if _, other := os.Stat(filepath.Join(dir, program)); other != nil {
			return nil, err // not another process that was faster
		}
	}
	return e, nil
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

// driver is the program around the package.
func driver(g *ir.Graph) string {
	return `package main

import (
	"bufio"
	"encoding/binary"
	"log"
	"os"

	"modelcrun/model"
)

func main() {
	log.SetFlags(0)
	check := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	m, err := model.Open(os.Args[1])
	check(err)
	r := bufio.NewReaderSize(os.Stdin, 1<<20)
	w := bufio.NewWriterSize(os.Stdout, 1<<20)
` + driverRun("model", g) + `	check(w.Flush())
}
`
}

// driverRun is the part of a driver that runs m, a Model of the package, once:
// inputs from r, outputs to w, errors to check.
func driverRun(pkg string, g *ir.Graph) string {
	in, out := golang.Fields(g)
	var b strings.Builder
	fmt.Fprintf(&b, "\ts := m.NewSession()\n\tin, out := %s.NewInput(), %[1]s.NewOutput()\n", pkg)
	for _, f := range in {
		fmt.Fprintf(&b, "\tcheck(binary.Read(r, binary.LittleEndian, in.%s))\n", f)
	}
	b.WriteString("\tcheck(s.Run(in, out))\n")
	for _, f := range out {
		fmt.Fprintf(&b, "\tcheck(binary.Write(w, binary.LittleEndian, out.%s))\n", f)
	}
	return b.String()
}
