package inproc

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"modelc/backend/cpu"
	"modelc/ir"
)

// Every mode and border of GridSample gives the values of the reference interpreter, at
// coordinates inside and outside the operand.
func TestGridSample(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for mode := ir.ResizeNearest; mode <= ir.ResizeCubic; mode++ {
		for border := ir.SampleZeros; border <= ir.SampleReflection; border++ {
			for i := range 12 {
				op := ir.GridSample{Mode: mode, Border: border, AlignCorners: i%2 == 1}
				rank := 1 + r.IntN(3)
				x, grid := ir.Shape{1 + r.IntN(2), 1 + r.IntN(3)}, ir.Shape{}
				grid = append(grid, x[0])
				for range rank {
					x, grid = append(x, 1+r.IntN(5)), append(grid, 1+r.IntN(5))
				}
				g := ir.NewGraph("sample")
				// The inputs have a variance of one, so that many coordinates are outside.
				y, err := g.Emit("y", op, g.AddInput("x", ir.Type{DType: ir.Float32, Shape: x}), g.AddInput("grid", ir.Type{DType: ir.Float32, Shape: append(grid, rank)}))
				if err != nil {
					t.Fatal(err)
				}
				g.AddOutput("y", y)
				t.Run(fmt.Sprintf("%s %s %v %v", mode, border, op.AlignCorners, x), func(t *testing.T) {
					check(t, g, cpu.Config{}, 1e-5)
				})
			}
		}
	}
}
