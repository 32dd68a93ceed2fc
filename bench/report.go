package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"time"

	"modelc/bench/peers"
	"modelc/internal/speed"
	"modelc/runtime"
)

// columns lists the engines of a report. modelc and ONNX Runtime run in this process,
// each other engine in its own.
var columns = append([]string{"modelc", "onnxruntime"}, peers.Names...)

// slice is the duration of an engine's turn.
const slice = 60 * time.Millisecond

// leftOut reports and records in r that engine c does not run the model.
func leftOut(r *speed.Row, c string, err error) {
	fmt.Fprintf(os.Stderr, "bench: %s: left out: %v\n", r.Model, err)
	if r.Failed == nil {
		r.Failed = map[string]string{}
	}
	if r.Failed[c] = "failed"; errors.Is(err, peers.ErrCrashed) {
		r.Failed[c] = "crashed"
	}
	delete(r.Ms, c)
}

// commit returns the commit of modelc, or "unknown" outside a repository.
func commit() string {
	b, err := exec.Command("git", "describe", "--always", "--dirty", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

// versus measures all engines on a model in turn until the time is over.
func versus(name, path, dir string, o options, threads int) (*speed.Row, error) {
	b, err := open(path, o, threads)
	if err != nil {
		return nil, err
	}
	defer b.close()
	r := &speed.Row{
		Model: name, Threads: threads,
		Machine: fmt.Sprintf("%s, %d CPUs", cpuName(), goruntime.NumCPU()), Tier: runtime.Tier(),
		Commit: commit(), Command: strings.Join(append([]string{"go run ."}, os.Args[1:]...), " "),
		Ms: map[string]float64{}, Versions: map[string]string{"onnxruntime": ortVersion()},
		Errors: map[string]float64{"onnxruntime": relError(b.out, b.theirOut)},
	}
	run := map[string]func(n int) ([]float64, error){
		"modelc":      loop(func() error { return b.ours.Step() }),
		"onnxruntime": loop(func() error { return b.theirs.Run() }),
	}
	others, rate := peers.Names, 1.0
	if o.int8 != "" {
		others, rate = peers.Quantised, runtime.ByteRate()
	}
	if o.bf16 {
		others, rate = peers.Narrow, cmp.Or(runtime.PairGFLOPS()/runtime.PeakGFLOPS(), 1)
	}
	if o.python != "" {
		m := peers.Model{Network: name, Path: path, Shape: b.in.Shape, Input: b.in.Float32s(), BF16: o.bf16, Dir: dir}
		for _, p := range others {
			e, err := peers.Start(o.python, p, m, threads)
			if errors.Is(err, peers.ErrNone) {
				continue
			}
			if err != nil {
				leftOut(r, p, err)
				continue
			}
			defer e.Close()
			r.Versions[p], run[p] = e.Version, e.Run
			if e.SameWeights {
				r.Errors[p] = relError(e.Output, b.out)
			}
		}
	}
	fmt.Fprintf(os.Stderr, "%s, %d thread(s): timing %d engines\n", name, threads, len(run))
	peak := runtime.PeakGFLOPS()
	times, runs := map[string][]float64{}, map[string]int{}
	budget := time.Duration(o.seconds * float64(time.Second))
	for end, round := time.Now().Add(budget), 0; round < 4 || time.Now().Before(end); round++ {
		for _, c := range columns {
			f := run[c]
			if f == nil {
				continue
			}
			if threads > 1 {
				time.Sleep(settle)
			}
			t, err := f(1 + max(1, runs[c]))
			if err != nil {
				if !slices.Contains(peers.Names, c) {
					return nil, fmt.Errorf("%s: %w", c, err)
				}
				leftOut(r, c, err)
				delete(run, c)
				delete(times, c)
				continue
			}
			t = t[1:] // the first run warms up the caches
			runs[c] = min(1000, int(ms(slice)/slices.Min(t)))
			if round > 0 {
				times[c] = append(times[c], t...)
			}
		}
	}
	peak = max(peak, runtime.PeakGFLOPS())
	for c, t := range times {
		slices.Sort(t)
		r.Ms[c] = t[len(t)/2]
	}
	r.GFLOPS = b.gflop / r.Ms["modelc"] * 1e3
	r.OfPeak = r.GFLOPS / (peak * rate) / float64(threads)
	return r, nil
}

func loop(f func() error) func(n int) ([]float64, error) {
	return func(n int) ([]float64, error) {
		var times []float64
		for range n {
			start := time.Now()
			if err := f(); err != nil {
				return nil, err
			}
			times = append(times, ms(time.Since(start)))
		}
		return times, nil
	}
}

// report measures the models and writes tables and a picture to dir. It keeps the
// measurements of earlier calls for other models.
func report(models []string, o options) error {
	data := filepath.Join(o.report, "bench.json")
	rows, err := speed.Read(data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(o.report, 0o777); err != nil {
		return err
	}
	err = each(models, o, func(name, path, dir string, threads int) error {
		r, err := versus(name, path, dir, o, threads)
		if err != nil {
			return err
		}
		if threads == 1 && !o.bf16 { // the other process would compute in float32
			f, err := measure(path, o, threads)
			if err != nil {
				return err
			}
			r.Process = &f.Process
		}
		at := slices.IndexFunc(rows, func(old *speed.Row) bool { return old.Model == name && old.Threads == threads })
		if at < 0 {
			rows = append(rows, r)
		} else {
			rows[at] = r
		}
		fmt.Fprintf(os.Stderr, "%s, %d thread(s): %v\n", name, threads, r.Ms)
		sortRows(rows)
		return speed.Write(data, rows)
	})
	if err != nil {
		return err
	}
	tables := speed.Times(rows)
	if costs := speed.Costs(rows); costs != "" {
		tables += "\n" + costs
	}
	if err := os.WriteFile(filepath.Join(o.report, "bench.md"), []byte(tables), 0o666); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.report, "bench.svg"), []byte(speed.Picture(rows)), 0o666)
}
