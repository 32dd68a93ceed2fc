// Command bench times modelc against ONNX Runtime on the same models, in one
// process, alternating, and prints ratios of medians.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"modelc/internal/zoo"
)

func main() {
	threads := flag.String("threads", "1", "comma-separated numbers of threads")
	seconds := flag.Float64("seconds", 4, "time to spend on each pair")
	asJSON := flag.Bool("json", false, "one JSON object a line")
	flag.Parse()
	if err := run(flag.Args(), *threads, *seconds, *asJSON); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(models []string, threads string, seconds float64, asJSON bool) error {
	lib := os.Getenv("ORT_LIB")
	if lib == "" {
		return fmt.Errorf("ORT_LIB must name ONNX Runtime's shared library; README.md tells how to get it")
	}
	ort.SetSharedLibraryPath(lib)
	if err := ort.InitializeEnvironment(); err != nil {
		return err
	}
	defer ort.DestroyEnvironment()
	if len(models) == 0 {
		models = zoo.Names()
	}
	dir, err := os.MkdirTemp("", "modelc-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if !asJSON {
		fmt.Printf("%s, %d CPUs, ONNX Runtime %s\n\n", cpuName(), goruntime.NumCPU(), ort.GetVersion())
		fmt.Println("| model | threads | modelc ms | ORT ms | × faster | spread of the ratio | load ms | ORT load ms | max error / max |")
		fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	}
	for _, m := range models {
		path := m
		if !strings.HasSuffix(m, ".onnx") {
			path = filepath.Join(dir, m+".onnx")
			if err := writeZoo(path, m); err != nil {
				return err
			}
		}
		for _, t := range strings.Split(threads, ",") {
			n, err := strconv.Atoi(t)
			if err != nil {
				return err
			}
			r, err := compare(path, n, time.Duration(seconds*float64(time.Second)))
			if err != nil {
				return fmt.Errorf("%s: %w", m, err)
			}
			r.Model = m
			if asJSON {
				if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
					return err
				}
				continue
			}
			fmt.Printf("| %s | %d | %.3f | %.3f | **%.2f** | %.2f–%.2f | %.0f | %.0f | %.1e |\n",
				r.Model, r.Threads, r.Ms, r.OrtMs, r.Ratio, r.RatioLow, r.RatioHigh, r.LoadMs, r.OrtLoadMs, r.Error)
		}
		if path != m {
			os.Remove(path)
		}
	}
	return nil
}

func writeZoo(path, name string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := zoo.Write(f, name, zoo.Options{}); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// cpuName reads the processor's name, for the heading of a table.
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
