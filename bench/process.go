package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"modelc"
	"modelc/internal/speed"
	"modelc/internal/units"
	"modelc/ir"
	"modelc/runtime/kernel"
)

// footprint holds the costs of a process of each engine: times in milliseconds,
// sizes in bytes.
type footprint struct {
	Model   string
	Threads int
	// The arena of a session, its lower bound, and the size of all activations
	// without sharing; the size of the weights as shipped and as transformed.
	Arena, LowerBound, Activations, Weights, Prepared int64
	// The bytes that all nodes read and write, before and after the passes.
	MovedBefore, MovedAfter int64
	speed.Process
}

// processes is the number of processes of each engine. Results are medians.
const processes = 5

// measure builds a program with the generated package of a model. It starts this
// program and one with ONNX Runtime in turn.
func measure(path string, o options, threads int) (*footprint, error) {
	f := &footprint{Threads: threads}
	co := modelc.Options{Source: o.source}
	if o.bf16 {
		co.Compute = kernel.BF16
	}
	c, err := modelc.Compile(path, co)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	p := c.Program
	f.Arena, f.LowerBound = int64(p.Plan.ArenaBytes), int64(p.LowerBound)
	f.Weights, f.Prepared = int64(p.Plan.WeightsBytes), int64(p.Plan.PreparedBytes)
	for _, b := range p.Buffers {
		f.Activations += int64(b.Bytes)
	}
	f.MovedBefore, f.MovedAfter = c.Report.Passes[0].Before.Bytes, c.Report.Passes[len(c.Report.Passes)-1].After.Bytes

	dir, err := os.MkdirTemp("", "modelc-process")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program, err := build(dir, c, threads)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	in, out := c.Before.Inputs[0], c.Before.Outputs[0]
	theirs := []string{"-child", path, strconv.Itoa(threads), in.Name, extents(in.Type.Shape), out.Name, extents(out.Value.Type.Shape)}
	if f.Shipped, err = size(program); err != nil {
		return nil, err
	}
	for _, file := range []string{os.Getenv("ORT_LIB"), path} {
		n, err := size(file)
		if err != nil {
			return nil, err
		}
		f.OrtShipped += n
	}
	var ours, others []process
	for range processes {
		p, err := first(exec.Command(program))
		if err != nil {
			return nil, err
		}
		q, err := first(exec.Command(self, theirs...))
		if err != nil {
			return nil, err
		}
		ours, others = append(ours, p), append(others, q)
	}
	f.Load = median(ours, func(p process) float64 { return p.load })
	f.Start, f.OrtStart = median(ours, process.startMs), median(others, process.startMs)
	f.Resident, f.OrtResident = int64(median(ours, process.residentBytes)), int64(median(others, process.residentBytes))
	return f, nil
}

// process holds the measurements of a process.
type process struct {
	start    float64 // time to its first result
	load     float64 // time of New that it prints, or 0
	resident int64
}

func (p process) startMs() float64       { return p.start }
func (p process) residentBytes() float64 { return float64(p.resident) }

func median(all []process, of func(process) float64) float64 {
	var x []float64
	for _, p := range all {
		x = append(x, of(p))
	}
	slices.Sort(x)
	return x[len(x)/2]
}

// build writes and builds the program with the generated package and embedded
// weights.
func build(dir string, c *modelc.Compiled, threads int) (string, error) {
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module process\n\ngo 1.24\n"), 0o644); err != nil {
		return "", err
	}
	if _, err := c.WritePackage(filepath.Join(dir, "model"), modelc.PackageOptions{Package: "model", Standalone: true}); err != nil {
		return "", err
	}
	main := fmt.Sprintf(`package main

import (
	"fmt"
	"log"
	"os"
	"time"

	"process/model"
)

func main() {
	start := time.Now()
	m, err := model.New()
	if err != nil {
		log.Fatal(err)
	}
	load := time.Since(start)
	s := m.NewSession(model.Threads(%d))
	in, out := model.NewInput(), model.NewOutput()
	if err := s.Run(in, out); err != nil {
		log.Fatal(err)
	}
	fmt.Println("first")
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(b)
	fmt.Println("load:", load.Nanoseconds())
}
`, threads)
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(main), 0o644); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", "program", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOWORK=off")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, msg)
	}
	return filepath.Join(dir, "program"), nil
}

// first starts a process, which prints the line "first", then its status.
func first(cmd *exec.Cmd) (p process, err error) {
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return p, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return p, err
	}
	r := bufio.NewReader(out)
	line, _ := r.ReadString('\n')
	p.start = ms(time.Since(began))
	rest, _ := io.ReadAll(r)
	if err := cmd.Wait(); err != nil || line != "first\n" {
		return p, fmt.Errorf("%s: %v\n%s", cmd.Path, err, errs.Bytes())
	}
	for _, l := range strings.Split(string(rest), "\n") {
		key, value, _ := strings.Cut(l, ":")
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
		switch key {
		case "VmRSS":
			p.resident = n << 10
		case "load":
			p.load = float64(n) / 1e6
		default:
			continue
		}
		if err != nil {
			return p, err
		}
	}
	if p.resident == 0 {
		return p, fmt.Errorf("no VmRSS in /proc/self/status")
	}
	return p, nil
}

// child is the main function of the process with ONNX Runtime: one session, one run.
func child(args []string) error {
	path, in, out := args[0], args[2], args[4]
	threads, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	inShape, err := shape(args[3])
	if err != nil {
		return err
	}
	outShape, err := shape(args[5])
	if err != nil {
		return err
	}
	x := ir.NewTensor(ir.Type{DType: ir.Float32, Shape: inShape})
	s, err := ortSession(path, threads, in, out, x, outShape, make([]float32, outShape.Len()))
	if err != nil {
		return err
	}
	if err := s.Run(); err != nil {
		return err
	}
	fmt.Println("first")
	b, err := os.ReadFile("/proc/self/status")
	os.Stdout.Write(b)
	return err
}

func initialise() error {
	lib := os.Getenv("ORT_LIB")
	if lib == "" {
		return fmt.Errorf("ORT_LIB must be the path of ONNX Runtime's shared library; README.md describes how to get it")
	}
	ort.SetSharedLibraryPath(lib)
	return ort.InitializeEnvironment()
}

func extents(s ir.Shape) string {
	var parts []string
	for _, d := range s {
		parts = append(parts, strconv.Itoa(d))
	}
	return strings.Join(parts, ",")
}

// shape parses extents such as 1,3,224,224.
func shape(text string) (ir.Shape, error) {
	var s ir.Shape
	for _, d := range strings.Split(text, ",") {
		n, err := strconv.Atoi(d)
		if err != nil {
			return nil, fmt.Errorf("%q is not an extent", d)
		}
		s = append(s, n)
	}
	return s, nil
}

func size(path string) (int64, error) {
	st, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

const (
	memoryHead  = "| model | session | lower bound | activations side by side | weights | transformed at load | moved per run, as written | after the passes | resident | ONNX Runtime | ratio |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
	processHead = "| model | threads | New ms | first result ms | ORT ms | × faster | shipped MB | ORT MB |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
)

func (f *footprint) memoryRow() string {
	b := units.Bytes[int64]
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %.2f |", f.Model, b(f.Arena), b(f.LowerBound), b(f.Activations), b(f.Weights), b(f.Prepared),
		b(f.MovedBefore), b(f.MovedAfter), b(f.Resident), b(f.OrtResident), float64(f.Resident)/float64(f.OrtResident))
}

func (f *footprint) processRow() string {
	return fmt.Sprintf("| %s | %d | %.1f | %.1f | %.1f | **%.1f** | %.1f | %.1f |", f.Model, f.Threads, f.Load, f.Start, f.OrtStart, f.OrtStart/f.Start,
		float64(f.Shipped)/(1<<20), float64(f.OrtShipped)/(1<<20))
}
