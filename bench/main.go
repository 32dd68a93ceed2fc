// Command bench compares the speed of modelc with that of ONNX Runtime. Both run the
// same models in one process in turn. It prints ratios of medians.
package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"modelc/frontend/source"
	"modelc/internal/speed"
	"modelc/internal/zoo"
	"modelc/ir"
)

func main() {
	o := options{}
	flag.StringVar(&o.threads, "threads", "1", "comma-separated numbers of threads")
	flag.Float64Var(&o.seconds, "seconds", 4, "measuring time in seconds for each model and number of threads")
	flag.BoolVar(&o.json, "json", false, "print one JSON object per line")
	flag.BoolVar(&o.memory, "memory", false, "start processes and compare their memory")
	flag.BoolVar(&o.start, "start", false, "start processes and compare the time to their first result")
	flag.BoolVar(&o.throughput, "throughput", false, "compare images per second: one session, one for each processor, and batches")
	flag.StringVar(&o.report, "report", "", "make all measurements with all engines and write bench.md, bench.svg and bench.json to this `folder`")
	flag.StringVar(&o.int8, "int8", "", "quantise the models to 8 bits with this `tool` first: modelc, or onnxruntime, which the interpreter of -python must have")
	flag.BoolVar(&o.bf16, "bf16", false, "compute in bfloat16 in modelc, and in OpenVINO with -report; ONNX Runtime computes in float32")
	flag.Func("shape", "`extents` of the input such as 1,3,1080,1920, for files with open dimensions", func(text string) error {
		s, err := shape(text)
		o.source.InputShapes = []ir.Shape{s}
		return err
	})
	flag.StringVar(&o.python, "python", "", "Python `interpreter` with the other engines, for -report")
	isChild := flag.Bool("child", false, "")
	flag.Parse()
	err := initialise()
	if err == nil && *isChild {
		err = child(flag.Args())
	} else if err == nil {
		err = run(flag.Args(), o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	threads             string
	seconds             float64
	json, memory, start bool
	throughput          bool
	report, python      string
	int8                string
	bf16                bool
	source              source.Options
}

const timesHead = "| model | threads | modelc ms | ORT ms | × faster | spread of the ratio | load ms | ORT load ms | max error / max |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |"

func (r *result) row() string {
	return fmt.Sprintf("| %s | %d | %.3f | %.3f | **%.2f** | %.2f–%.2f | %.0f | %.0f | %.1e |",
		r.Model, r.Threads, r.Ms, r.OrtMs, r.Ratio, r.RatioLow, r.RatioHigh, r.LoadMs, r.OrtLoadMs, r.Error)
}

func run(models []string, o options) error {
	defer ort.DestroyEnvironment()
	if o.report != "" {
		return report(models, o)
	}
	if !o.json {
		head := timesHead
		if o.memory {
			head = memoryHead
		} else if o.start {
			head = processHead
		} else if o.throughput {
			head = rateHead
		}
		fmt.Printf("%s, %d CPUs, ONNX Runtime %s\n\n%s\n", cpuName(), goruntime.NumCPU(), ortVersion(), head)
	}
	print := func(value any, row string) error {
		if o.json {
			return json.NewEncoder(os.Stdout).Encode(value)
		}
		fmt.Println(row)
		return nil
	}
	budget := time.Duration(o.seconds * float64(time.Second))
	return each(models, o, func(name, path, dir string, threads int) error {
		if o.throughput {
			return throughputs(name, path, dir, o, budget, func(r *rate) error { return print(r, r.row()) })
		}
		if o.memory || o.start {
			f, err := measure(path, o, threads)
			if err != nil {
				return err
			}
			f.Model = name
			if o.memory {
				return print(f, f.memoryRow())
			}
			return print(f, f.processRow())
		}
		r, err := compare(path, o, threads, budget)
		if err != nil {
			return err
		}
		r.Model = name
		return print(r, r.row())
	})
}

// each calls f for every model and number of threads, with the path of the model and
// a folder for its files. Without names, the models are those of the zoo. With o.int8 they
// are quantised. The names say so, and whether they compute in bfloat16.
func each(models []string, o options, f func(name, path, dir string, threads int) error) error {
	var counts []int
	for _, t := range strings.Split(o.threads, ",") {
		n, err := strconv.Atoi(t)
		if err != nil {
			return err
		}
		counts = append(counts, n)
	}
	if len(models) == 0 {
		models = zoo.Names()
	}
	one := func(m string) error {
		dir, err := os.MkdirTemp("", "modelc-bench")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		path := m
		if !strings.HasSuffix(m, ".onnx") {
			path = filepath.Join(dir, "model.onnx")
			if err := writeZoo(path, m, 1); err != nil {
				return err
			}
		}
		name := m
		if o.int8 != "" {
			name = fmt.Sprintf("%s, 8 bits by %s", strings.TrimSuffix(filepath.Base(m), ".onnx"), o.int8)
			if path, err = quantise(path, dir, o); err != nil {
				return err
			}
		}
		if o.bf16 {
			name += ", bf16"
		}
		for _, n := range counts {
			if err := f(name, path, dir, n); err != nil {
				return fmt.Errorf("%s: %w", m, err)
			}
		}
		return nil
	}
	for _, m := range models {
		if err := one(m); err != nil {
			return err
		}
	}
	return nil
}

func ortVersion() string { return ort.GetVersion() }

// sortRows sorts rows by the order of models in the zoo, then by threads.
func sortRows(rows []*speed.Row) {
	names := zoo.Names()
	at := func(r *speed.Row) int {
		network, _, _ := strings.Cut(r.Model, ",")
		return slices.Index(names, network)
	}
	slices.SortStableFunc(rows, func(a, b *speed.Row) int {
		return cmp.Or(at(a)-at(b), strings.Compare(a.Model, b.Model), a.Threads-b.Threads)
	})
}

// writeZoo writes a network of the zoo for a batch size.
func writeZoo(path, name string, batch int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := zoo.Write(f, name, zoo.Options{Batch: batch}); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// cpuName returns the processor's name.
func cpuName() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return goruntime.GOARCH
	}
	for _, l := range strings.Split(string(b), "\n") {
		if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return goruntime.GOARCH
}
