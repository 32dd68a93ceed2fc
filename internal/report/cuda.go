package report

import (
	_ "embed"
	"fmt"
	"slices"

	"modelc"
	"modelc/backend/cuda/roofline"
	"modelc/backend/plan"
	"modelc/internal/units"
)

//go:embed cuda.html
var cudaHTML string

// cudaSection shows the kernels for an NVIDIA GPU.
type cudaSection struct {
	GPU, Roofline, Weights, Arena, Missing string
	Kernels                                []kernelRow
}

// kernelRow is a kernel with its texts.
type kernelRow struct {
	roofline.Row
	Class, Doc, Ratio, Time, Occupied string
	Blocks, Threads                   int
}

// cudaOf returns the section of a program's report, or an error if r is of another program
// than that of c.
func cudaOf(c *modelc.Compiled, r *roofline.Report) (*cudaSection, error) {
	if c.CUDA == nil || !slices.EqualFunc(c.CUDA.Steps.Layers, r.Rows, func(l plan.Layer, row roofline.Row) bool { return l.Kernel == row.Kernel }) {
		return nil, ErrProfile
	}
	s := &cudaSection{GPU: r.GPU, Roofline: decimals(r.Roofline), Weights: units.Bytes(r.Weights), Arena: units.Bytes(r.Arena), Missing: r.Missing}
	for i, row := range r.Rows {
		l := &c.CUDA.Steps.Layers[i]
		k := kernelRow{Row: row, Class: shapeFamily.class, Doc: l.Doc, Ratio: decimals(row.Intensity), Time: decimals(row.Roofline),
			Blocks: row.Grid[0] * row.Grid[1] * row.Grid[2], Threads: row.Block[0] * row.Block[1] * row.Block[2]}
		if l.Node != nil {
			k.Class = familyOf(l.Node.Op).class
		}
		if row.Usage != nil {
			k.Occupied = fmt.Sprintf("%.0f %%", 100*row.Occupancy)
		}
		s.Kernels = append(s.Kernels, k)
	}
	return s, nil
}
