// Package roofline estimates what bounds each kernel of a program on a GPU: its arithmetic
// intensity, the roofline, and the occupancy that its registers and shared memory allow.
package roofline

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"modelc/backend/cuda"
	"modelc/backend/cuda/nvrtc"
	"modelc/internal/columns"
)

// Row describes a kernel.
type Row struct {
	Kernel    string  `json:"kernel"`
	Layer     string  `json:"layer"`
	Grid      [3]int  `json:"grid"`
	Block     [3]int  `json:"block"`
	FLOPs     int64   `json:"flops"`
	Bytes     int64   `json:"bytes"`       // of operands and results, each counted once
	Intensity float64 `json:"intensity"`   // FLOPs per byte
	Roofline  float64 `json:"roofline_us"` // at the peak rate of the kernel's instructions
	Memory    bool    `json:"memory"`      // whether the memory bounds the kernel, otherwise its arithmetic
	// Usage and Occupancy are absent without NVRTC and ptxas.
	Usage     *nvrtc.Usage `json:"usage,omitempty"`
	Occupancy float64      `json:"occupancy,omitempty"` // part of the resident threads of a multiprocessor
	Waves     float64      `json:"waves,omitempty"`     // blocks per block that the GPU holds at once
	Measured  float64      `json:"measured_us,omitempty"`
}

// Report describes a program on a GPU.
type Report struct {
	GPU      string  `json:"gpu"`
	Rows     []Row   `json:"kernels"`
	FLOPs    int64   `json:"flops"`
	Bytes    int64   `json:"bytes"`
	Roofline float64 `json:"roofline_us"` // sum of the kernels'
	Weights  int     `json:"weights_bytes"`
	Arena    int     `json:"arena_bytes"`
	// Runs are the times of whole runs in microseconds, without copies to and from the
	// device, in ascending order.
	Runs []float64 `json:"runs_us,omitempty"`
	// Missing says why there is no usage.
	Missing string `json:"missing,omitempty"`
}

// Usages compiles and assembles the kernels of p for a GPU of compute capability arch. It
// returns their usage by name.
func Usages(p *cuda.Program, arch int) (map[string]nvrtc.Usage, error) {
	c, err := nvrtc.Load()
	if err != nil {
		return nil, err
	}
	a, err := nvrtc.FindAssembler()
	if err != nil {
		return nil, err
	}
	ptx, err := c.Compile("kernels.cu", p.Source, arch)
	if err != nil {
		return nil, err
	}
	list, err := a.Assemble(ptx, arch)
	if err != nil {
		return nil, err
	}
	usages := map[string]nvrtc.Usage{}
	for _, u := range list {
		usages[u.Kernel] = u
	}
	return usages, nil
}

// Analyse describes the kernels of p on a GPU. Without NVRTC or ptxas the usage is missing.
func Analyse(p *cuda.Program, g nvrtc.GPU) *Report {
	r := &Report{GPU: g.Name, Weights: len(p.Weights), Arena: p.Arena}
	usages, err := Usages(p, g.Arch)
	if err != nil {
		r.Missing = err.Error()
	}
	for _, k := range p.Kernels {
		seconds, memory := g.Roofline(k.FLOPs, k.Bytes, k.Rate)
		row := Row{Kernel: k.Name, Layer: k.Layer, Grid: k.Grid, Block: k.Block, FLOPs: k.FLOPs, Bytes: k.Bytes,
			Intensity: float64(k.FLOPs) / float64(max(k.Bytes, 1)), Roofline: 1e6 * seconds, Memory: memory}
		if u, ok := usages[k.Name]; ok {
			threads := k.Block[0] * k.Block[1] * k.Block[2]
			row.Usage, row.Occupancy = &u, g.Occupancy(u, threads, k.Shared)
			if row.Occupancy > 0 {
				warps := (threads + 31) / 32 * k.Grid[0] * k.Grid[1] * k.Grid[2]
				row.Waves = float64(warps) / (row.Occupancy * float64(g.Threads/32*g.Multiprocessors))
			}
		}
		r.Rows = append(r.Rows, row)
		r.FLOPs, r.Bytes, r.Roofline = r.FLOPs+k.FLOPs, r.Bytes+k.Bytes, r.Roofline+row.Roofline
	}
	return r
}

// Time adds measured times: those of whole runs, and the shortest of each kernel.
func (r *Report) Time(runs, kernels []time.Duration) {
	for _, d := range runs {
		r.Runs = append(r.Runs, float64(d)/1e3)
	}
	slices.Sort(r.Runs)
	for i, d := range kernels {
		r.Rows[i].Measured = float64(d) / 1e3
	}
}

// Print writes the report as a table. If top is not 0, the table has only the top slowest
// kernels, by measured time or else by roofline.
func (r *Report) Print(out io.Writer, top int) error {
	rows := r.Rows
	if top > 0 {
		rows = slices.Clone(rows)
		slices.SortStableFunc(rows, func(a, b Row) int {
			return cmp.Or(cmp.Compare(b.Measured, a.Measured), cmp.Compare(b.Roofline, a.Roofline))
		})
		rows = rows[:min(top, len(rows))]
	}
	align, headings := "rrrrlrrrrrrr", []string{"MFLOP", "MB", "FLOP/B", "roofline µs", "bound by", "blocks", "threads", "registers", "shared", "spills", "occupancy", "waves"}
	if len(r.Runs) > 0 {
		align, headings = align+"rr", append(headings, "µs", "of roofline")
	}
	t := columns.New(align+"ll", append(headings, "kernel", "layer")...)
	for _, k := range rows {
		bound := "arithmetic"
		if k.Memory {
			bound = "memory"
		}
		number := func(decimals int, x float64) string { return strconv.FormatFloat(x, 'f', decimals, 64) }
		row := []string{number(2, float64(k.FLOPs)/1e6), number(3, float64(k.Bytes)/1e6), number(1, k.Intensity), number(2, k.Roofline), bound,
			strconv.Itoa(k.Grid[0] * k.Grid[1] * k.Grid[2]), strconv.Itoa(k.Block[0] * k.Block[1] * k.Block[2])}
		if u := k.Usage; u != nil {
			row = append(row, strconv.Itoa(u.Registers), strconv.Itoa(u.Shared), strconv.Itoa(u.Spills), number(0, 100*k.Occupancy)+" %", number(2, k.Waves))
		} else {
			row = append(row, "", "", "", "", "")
		}
		if len(r.Runs) > 0 {
			row = append(row, number(2, k.Measured), number(0, 100*k.Roofline/max(k.Measured, 1e-9))+" %")
		}
		t.Row(append(row, k.Kernel, k.Layer)...)
	}
	if err := t.Print(out, ""); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s: %d kernels, %.1f MFLOP, roofline %.1f µs; weights %.1f MB, memory of a session %.1f MB\n", r.GPU, len(r.Rows), float64(r.FLOPs)/1e6, r.Roofline, float64(r.Weights)/1e6, float64(r.Arena)/1e6)
	if n := len(r.Runs); n > 0 {
		fmt.Fprintf(out, "measured: median %.1f µs, best %.1f µs, 90 %% below %.1f µs\n", r.Runs[n/2], r.Runs[0], r.Runs[n*9/10])
	}
	if r.Missing != "" {
		fmt.Fprintf(out, "no registers, shared memory and occupancy: %s\n", r.Missing)
	}
	return nil
}
