package inproc

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"modelc/backend/cpu"
	"modelc/ir"
)

// Every mode of interpolation, mapping of coordinates and rounding gives the values
// of the reference interpreter, on dense tensors and on images, also for regions
// that leave the operand.
func TestResize(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for mode := ir.ResizeNearest; mode <= ir.ResizeCubic; mode++ {
		for coord := ir.HalfPixel; coord <= ir.TfBicubic; coord++ {
			for nearest := ir.RoundPreferFloor; nearest <= ir.RoundCeil; nearest++ {
				if mode != ir.ResizeNearest && nearest > 0 {
					continue
				}
				for range 6 {
					op := ir.Resize{Mode: mode, Coord: coord, Nearest: nearest, Shape: ir.Shape{1, 3, 1, 1}, Scales: []float64{1, 1, 1, 1}, CubicA: -0.75}
					op.ExcludeOutside = mode == ir.ResizeCubic && r.IntN(2) == 0 && coord != ir.TfCropAndResize
					op.Antialias = mode != ir.ResizeNearest && r.IntN(3) == 0 && coord != ir.TfCropAndResize
					in := []int{1 + r.IntN(8), 1 + r.IntN(8)}
					if coord == ir.TfCropAndResize {
						op.Region = []float64{0, 0, 0, 0, 1, 1, 1, 1}
					}
					for a, n := range in {
						op.Shape[2+a] = 1 + r.IntN(12)
						op.Scales[2+a] = float64(op.Shape[2+a]) / float64(n)
						if op.Region != nil {
							op.Region[2+a], op.Region[6+a] = -1+2*r.Float64(), 2*r.Float64()
							op.Scales[2+a] = float64(op.Shape[2+a]) / (float64(n) * (op.Region[6+a] - op.Region[2+a]))
							if op.Scales[2+a] <= 0 {
								op.Region[2+a], op.Region[6+a] = op.Region[6+a], op.Region[2+a]
								op.Scales[2+a] = -op.Scales[2+a]
							}
						}
					}
					g := ir.NewGraph("resize")
					x := g.AddInput("x", ir.T(ir.Float32, 1, 3, in[0], in[1]))
					image, err := g.Emit("image", ir.Pool{Kernel: []int{1, 1}, Strides: []int{1, 1}, Pads: make([]int, 4), Dilations: []int{1, 1}}, x)
					if err != nil {
						t.Fatal(err)
					}
					for i, v := range []*ir.Value{x, image} {
						y, err := g.Emit("y", op, v)
						if err != nil {
							t.Fatalf("%+v: %v", op, err)
						}
						g.AddOutput(fmt.Sprint("y", i), y)
					}
					t.Run(fmt.Sprintf("%s %s %s %v→%v %v", mode, coord, nearest, in, op.Shape[2:], op.Region), func(t *testing.T) {
						check(t, g, cpu.Config{}, 1e-5)
					})
				}
			}
		}
	}
}
