package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"modelc/bench/chart"
	"modelc/bench/peers"
	"modelc/runtime"
)

// row holds the measurements of a model with one number of threads.
type row struct {
	Model   string
	Threads int
	// Ms holds the medians by engine.
	Ms map[string]float64
	// Versions of the engines that ran.
	Versions map[string]string
	// Errors are max |other − modelc| / max |other|.
	Errors map[string]float64
	// Failed says what an engine did instead of running: "crashed" or "failed".
	Failed    map[string]string `json:",omitempty"`
	GFLOPS    float64           // modelc's rate of the model's operations
	OfPeak    float64           // GFLOPS as a fraction of the measured multiply-add peak, of products of bytes or of bfloat16 if the model computes in them
	Footprint *footprint
}

// columns lists the engines of a report. modelc and ONNX Runtime run in this process,
// each other engine in its own.
var columns = append([]string{"modelc", "onnxruntime"}, peers.Names...)

// slice is the duration of an engine's turn.
const slice = 60 * time.Millisecond

// leftOut reports and records that engine c does not run the model.
func (r *row) leftOut(c string, err error) {
	fmt.Fprintf(os.Stderr, "bench: %s: left out: %v\n", r.Model, err)
	if r.Failed == nil {
		r.Failed = map[string]string{}
	}
	if r.Failed[c] = "failed"; errors.Is(err, peers.ErrCrashed) {
		r.Failed[c] = "crashed"
	}
	delete(r.Ms, c)
}

// versus measures all engines on a model in turn until the time is over.
func versus(name, path, dir string, o options, threads int) (*row, error) {
	b, err := open(path, o, threads)
	if err != nil {
		return nil, err
	}
	defer b.close()
	r := &row{Model: name, Threads: threads, Ms: map[string]float64{}, Versions: map[string]string{"onnxruntime": ortVersion()}, Errors: map[string]float64{"onnxruntime": relError(b.out, b.theirOut)}}
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
				r.leftOut(p, err)
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
				r.leftOut(c, err)
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
	var rows []*row
	if b, err := os.ReadFile(data); err == nil {
		if err := json.Unmarshal(b, &rows); err != nil {
			return fmt.Errorf("%s: %w", data, err)
		}
	}
	if err := os.MkdirAll(o.report, 0o777); err != nil {
		return err
	}
	err := each(models, o, func(name, path, dir string, threads int) error {
		r, err := versus(name, path, dir, o, threads)
		if err != nil {
			return err
		}
		if threads == 1 && !o.bf16 { // the other process would compute in float32
			if r.Footprint, err = measure(path, o, threads); err != nil {
				return err
			}
		}
		at := slices.IndexFunc(rows, func(old *row) bool { return old.Model == name && old.Threads == threads })
		if at < 0 {
			rows = append(rows, r)
		} else {
			rows[at] = r
		}
		b, err := json.MarshalIndent(rows, "", "\t")
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%s, %d thread(s): %v\n", name, threads, r.Ms)
		return os.WriteFile(data, b, 0o666)
	})
	if err != nil {
		return err
	}
	sortRows(rows)
	table, err := os.Create(filepath.Join(o.report, "bench.md"))
	if err != nil {
		return err
	}
	defer table.Close()
	if err := writeTables(table, rows); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.report, "bench.svg"), []byte(picture(rows)), 0o666)
}

// colours are those of the engines, which are distinguishable without colour vision, on
// light and on dark.
var colours = map[string]string{"modelc": "#11946a", "onnxruntime": "#7b8894", "openvino": "#8b7fb8", "ncnn": "#d98f3a", "mnn": "#5f9bc6", "tflite": "#c2a85f"}

// picture draws the times of the engines with one thread, with a panel for each model.
func picture(rows []*row) string {
	var panels []chart.Panel
	for _, r := range rows {
		if r.Threads != 1 {
			continue
		}
		p := chart.Panel{Title: r.Model}
		for _, c := range columns {
			if t := r.Ms[c]; t > 0 {
				p.Bars = append(p.Bars, chart.Bar{Name: titles[c], Colour: colours[c], Ms: t, Label: number(t) + " ms"})
			}
		}
		panels = append(panels, p)
	}
	return chart.Draw(fmt.Sprintf("Time of one image, one thread: %s, %s", cpuName(), tierName()), panels)
}

// writeTables writes a table of times and a table of the costs of processes.
func writeTables(w io.Writer, rows []*row) error {
	versions := map[string]string{}
	for _, r := range rows {
		for k := range r.Failed {
			versions[k] = cmp.Or(versions[k], " ")
		}
		for k, v := range r.Versions {
			versions[k] = v
		}
	}
	var cols, head []string
	for _, c := range columns {
		if c == "modelc" || versions[c] != "" {
			cols = append(cols, c)
			head = append(head, strings.TrimSpace(titles[c]+" "+versions[c]))
		}
	}
	fmt.Fprintf(w, "%s, %s. Medians in ms, batch 1, float32 unless the name of the model says 8 bits or bf16; ONNX Runtime has no bf16.\n\n", cpuName(), tierName())
	fmt.Fprintf(w, "| model | threads | %s | × ONNX Runtime | × the fastest other | GFLOP/s | of the peak |\n|%s\n", strings.Join(head, " | "), strings.Repeat(" --- |", len(cols)+6))
	for _, r := range rows {
		fmt.Fprintf(w, "| %s | %d |", r.Model, r.Threads)
		best := 0.0
		for _, c := range cols {
			t := r.Ms[c]
			fmt.Fprintf(w, " %s |", cmp.Or(r.Failed[c], number(t)))
			if c != "modelc" && t > 0 && (best == 0 || t < best) {
				best = t
			}
		}
		fmt.Fprintf(w, " **%.2f** | **%.2f** | %.0f | %.0f %% |\n", r.Ms["onnxruntime"]/r.Ms["modelc"], best/r.Ms["modelc"], r.GFLOPS, 100*r.OfPeak)
	}
	if !slices.ContainsFunc(rows, func(r *row) bool { return r.Footprint != nil }) {
		return nil
	}
	fmt.Fprintf(w, "\n| model | New ms | cold start ms | ONNX Runtime | × | resident MB | ONNX Runtime | × | shipped MB | ONNX Runtime |\n|%s\n", strings.Repeat(" --- |", 10))
	mb := func(n int64) float64 { return float64(n) / (1 << 20) }
	for _, r := range rows {
		if f := r.Footprint; f != nil {
			fmt.Fprintf(w, "| %s | %.1f | %.1f | %.1f | **%.2f** | %.0f | %.0f | **%.2f** | %.1f | %.1f |\n", r.Model, f.Load, f.Start, f.OrtStart, f.Start/f.OrtStart,
				mb(f.Resident), mb(f.OrtResident), float64(f.Resident)/float64(f.OrtResident), mb(f.Shipped), mb(f.OrtShipped))
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

var titles = map[string]string{"modelc": "modelc", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "ncnn": "ncnn", "mnn": "MNN", "tflite": "TFLite"}

// number formats a time with three digits, or as a dash if there is none.
func number(t float64) string {
	switch {
	case t == 0:
		return "–"
	case t < 1:
		return fmt.Sprintf("%.4f", t)
	case t < 10:
		return fmt.Sprintf("%.2f", t)
	case t < 100:
		return fmt.Sprintf("%.1f", t)
	}
	return fmt.Sprintf("%.0f", t)
}
