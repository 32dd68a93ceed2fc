// Package gorun builds generated packages into programs and runs them. The
// command and the tests execute compiled models with it as a user would.
//
// It stands above package modelc and below the command. The packages of many
// models go into one program, because a second program takes longer to build
// than a second package.
package gorun

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"modelc"
	"modelc/backend/golang"
	"modelc/internal/files"
	"modelc/ir"
)

// Names in a program's folder.
const (
	program     = "run.exe"
	programSum  = "run.exe.sha256" // its digest
	modulePath  = "program"
	packageName = "model" // of every package; their folders differ
)

// Builder collects compiled models for one program.
type Builder struct {
	p       Program
	o       modelc.PackageOptions
	folders map[string]bool // folders of the packages
}

// NewBuilder starts a program in the folder dir, which becomes a module without
// requirements. If sidecar is set, the weights are files beside the program;
// otherwise they are embedded.
func NewBuilder(dir string, sidecar bool) (*Builder, error) {
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module "+modulePath+"\n\ngo "+golang.MinimumGo+"\n"), 0o644); err != nil {
		return nil, err
	}
	o := modelc.PackageOptions{Package: packageName, Sidecar: sidecar, Runtime: modulePath + "/runtime", SharedRuntime: filepath.Join(dir, "runtime")}
	return &Builder{Program{dir: dir}, o, map[string]bool{}}, nil
}

// Add generates the package of c and returns its number in the program.
// Models whose packages differ only in comments, self-tests and their origin share a
// package.
func (b *Builder) Add(c *modelc.Compiled) (int, error) {
	tmp := filepath.Join(b.p.dir, "new")
	if _, err := c.WritePackage(tmp, b.o); err != nil {
		return 0, err
	}
	b.o.SharedRuntime = "" // the first package brought it
	// The name is a digest of the package, so that equal packages have one
	// folder, and later builds find them in the toolchain's cache.
	name, err := digest(tmp)
	if err != nil {
		return 0, err
	}
	b.p.models = append(b.p.models, model{name, c.Graph})
	if b.folders[name] {
		return len(b.p.models) - 1, os.RemoveAll(tmp)
	}
	b.folders[name] = true
	return len(b.p.models) - 1, os.Rename(tmp, filepath.Join(b.p.dir, name))
}

// ignored matches lines that do not change what a package computes: comments, and the
// origin in its plan.
var ignored = regexp.MustCompile(`^\s*(//|(Model|ModelSHA256|Version):)`)

// digest returns a digest of what a package computes: its code without lines that are
// ignored, and its weights.
func digest(dir string) (string, error) {
	h := sha256.New()
	for _, name := range []string{"model.go", "layers.go"} {
		src, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		for line := range bytes.Lines(src) {
			if !ignored.Match(line) {
				h.Write(line)
			}
		}
	}
	f, err := os.Open(filepath.Join(dir, golang.WeightsFile))
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("m%x", h.Sum(nil)[:12]), nil
}

// Packages returns the number of different packages.
func (b *Builder) Packages() int { return len(b.folders) }

// Build compiles the program.
func (b *Builder) Build(ctx context.Context) (*Program, error) {
	if err := os.WriteFile(filepath.Join(b.p.dir, "main.go"), []byte(b.main()), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, ".")
	cmd.Dir = b.p.dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build of generated packages: %w\n%.2000s", err, msg)
	}
	sum, err := sumOf(filepath.Join(b.p.dir, program))
	if err != nil {
		return nil, err
	}
	return &b.p, os.WriteFile(filepath.Join(b.p.dir, programSum), sum, 0o644)
}

// main returns the source of the program, which has a function for each package in
// a table with the packages' folders as keys.
func (b *Builder) main() string {
	var imports, table, funcs strings.Builder
	done := map[string]bool{}
	for _, m := range b.p.models {
		if done[m.folder] {
			continue
		}
		done[m.folder] = true
		fmt.Fprintf(&imports, "\t%s %q\n", m.folder, modulePath+"/"+m.folder)
		fmt.Fprintf(&table, "\t%q: run_%[1]s,\n", m.folder)
		open := m.folder + ".New()"
		if b.o.Sidecar {
			open = fmt.Sprintf("%s.Open(%q)", m.folder, m.folder+"/"+golang.WeightsFile)
		}
		fmt.Fprintf(&funcs, "\nfunc run_%s(r *bufio.Reader, w *bufio.Writer) {\n\tm, err := %s\n\tcheck(err)\n", m.folder, open)
		fmt.Fprintf(&funcs, "\ts := m.NewSession()\n\tin, out := %s.NewInput(), %[1]s.NewOutput()\n", m.folder)
		in, out := golang.Fields(m.graph)
		funcs.WriteString("\tfor more := true; more; more = next(r) {\n")
		for _, f := range in {
			fmt.Fprintf(&funcs, "\t\tcheck(binary.Read(r, binary.LittleEndian, in.%s))\n", f)
		}
		funcs.WriteString("\t\tcheck(s.Run(in, out))\n")
		for _, f := range out {
			fmt.Fprintf(&funcs, "\t\tcheck(binary.Write(w, binary.LittleEndian, out.%s))\n", f)
		}
		funcs.WriteString("\t\tcheck(w.Flush())\n\t}\n}\n")
	}
	return fmt.Sprintf(mainSource, imports.String(), table.String(), funcs.String())
}

const mainSource = `package main

import (
	"bufio"
	"encoding/binary"
	"log"
	"os"

%s)

func main() {
	log.SetFlags(0)
	run[os.Args[1]](bufio.NewReaderSize(os.Stdin, 1<<20), bufio.NewWriterSize(os.Stdout, 1<<20))
}

// next waits for the inputs of another run. It returns false if there are none.
func next(r *bufio.Reader) bool {
	_, err := r.Peek(1)
	return err == nil
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

var run = map[string]func(r *bufio.Reader, w *bufio.Writer){
%s}
%s`

// Program is a built program.
type Program struct {
	dir    string
	models []model
}

// model is a compiled model in a program.
type model struct {
	folder string // folder of its package
	graph  *ir.Graph
}

// Open returns the program that an earlier build left in dir. The program must
// have one model, with the graph g. Open fails if the program is not the one that was
// built, for example because the disk was full.
func Open(dir string, g *ir.Graph) (*Program, error) {
	want, err := files.Read(filepath.Join(dir, programSum), sha256.Size)
	if err != nil {
		return nil, err
	}
	sum, err := sumOf(filepath.Join(dir, program))
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(sum, want) {
		return nil, fmt.Errorf("%s changed after it was built", filepath.Join(dir, program))
	}
	packages, err := filepath.Glob(filepath.Join(dir, "m*", golang.WeightsFile))
	if err != nil || len(packages) != 1 {
		return nil, fmt.Errorf("%s contains %d packages, want one", dir, len(packages))
	}
	return &Program{dir, []model{{filepath.Base(filepath.Dir(packages[0])), g}}}, nil
}

// sumOf returns the digest of a file.
func sumOf(path string) ([]byte, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return h.Sum(nil), err
}

// Run computes the outputs of model i in a new process. Inputs and outputs have the
// order of the model's graph.
func (p *Program) Run(ctx context.Context, i int, in []*ir.Tensor) ([]*ir.Tensor, error) {
	r, err := p.Start(ctx, i)
	if err != nil {
		return nil, err
	}
	out, err := r.Run(in)
	return out, errors.Join(err, r.Close())
}

// Process is a running program, which computes one model again and again. It is for one
// goroutine at a time.
type Process struct {
	graph *ir.Graph
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   io.Reader
	msg   bytes.Buffer
	ended error // why the process has ended; nil while it runs
}

// Start starts a process that computes model i. env are further variables of its
// environment. If ctx is cancelled, the process ends.
func (p *Program) Start(ctx context.Context, i int, env ...string) (*Process, error) {
	path, err := filepath.Abs(filepath.Join(p.dir, program))
	if err != nil {
		return nil, err
	}
	r := &Process{graph: p.models[i].graph, cmd: exec.CommandContext(ctx, path, p.models[i].folder)}
	r.cmd.Dir, r.cmd.Stderr = p.dir, &r.msg
	r.cmd.Env = append(os.Environ(), env...)
	if r.stdin, err = r.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if r.out, err = r.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return r, r.cmd.Start()
}

// Run computes the outputs for in. Inputs and outputs have the order of the model's graph.
// After an error of the process all further runs fail.
func (r *Process) Run(in []*ir.Tensor) ([]*ir.Tensor, error) {
	if len(in) != len(r.graph.Inputs) {
		return nil, fmt.Errorf("the model takes %d inputs, got %d", len(r.graph.Inputs), len(in))
	}
	for k, t := range in {
		if v := r.graph.Inputs[k]; !t.Type.Equal(v.Type) {
			return nil, fmt.Errorf("input %q is %s, want %s", v.Name, t.Type, v.Type)
		}
	}
	if r.ended != nil {
		return nil, r.ended
	}
	n := 0
	for _, o := range r.graph.Outputs {
		n += o.Value.Type.Bytes()
	}
	b := make([]byte, n)
	var failed error
	for _, t := range in {
		if _, failed = r.stdin.Write(t.Bytes()); failed != nil {
			break
		}
	}
	if failed == nil {
		_, failed = io.ReadFull(r.out, b)
	}
	if failed != nil {
		return nil, r.end(failed)
	}
	return outputs(r.graph, b)
}

// end waits for the end of the process, which failed. It returns the reason.
func (r *Process) end(failed error) error {
	r.stdin.Close()
	if err := r.cmd.Wait(); err != nil {
		failed = err
	}
	r.ended = fmt.Errorf("the generated program failed: %w\n%.2000s", failed, r.msg.Bytes())
	return r.ended
}

// Close ends the process.
func (r *Process) Close() error {
	if r.ended != nil {
		return nil // and reported
	}
	r.stdin.Close()
	r.ended = errors.New("the process is closed")
	if err := r.cmd.Wait(); err != nil {
		return fmt.Errorf("the generated program failed: %w\n%.2000s", err, r.msg.Bytes())
	}
	return nil
}

// outputs splits what a program wrote into the outputs of g.
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
