package inproc

import (
	"fmt"
	"strings"
	"testing"

	"modelc/backend/cpu"
	"modelc/ir"
)

// Every function of ir gives the same values in the kernels as in the reference
// interpreter, on dense tensors and on images.
func TestFunctions(t *testing.T) {
	for f := ir.Fn(0); !strings.HasPrefix(f.String(), "Fn("); f++ {
		t.Run(f.String(), func(t *testing.T) {
			// A function ignores parameters that it does not have.
			op := ir.Unary{Fn: ir.Act{Fn: f, Alpha: 0.25, Beta: 0.75}}
			g := ir.NewGraph(f.String())
			x := g.AddInput("x", ir.T(ir.Float32, 1, 16, 5, 5))
			image, err := g.Emit("image", ir.Pool{Kernel: []int{1, 1}, Strides: []int{1, 1}, Pads: make([]int, 4), Dilations: []int{1, 1}}, x)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range []*ir.Value{x, image} {
				y, err := g.Emit("y", op, v)
				if err != nil {
					t.Fatal(err)
				}
				g.AddOutput(fmt.Sprint("y", i), y)
			}
			check(t, g, cpu.Config{}, 1e-5)
		})
	}
}

// Every function of two variables gives the same values as in the reference
// interpreter.
func TestBinaryFunctions(t *testing.T) {
	for f := ir.BinaryFn(0); !strings.HasSuffix(f.String(), "?"); f++ {
		t.Run(f.String(), func(t *testing.T) {
			d := ir.Float32
			switch f {
			case ir.And, ir.Or, ir.Xor:
				d = ir.Bool
			case ir.BitAnd, ir.BitOr, ir.BitXor, ir.ShiftLeft, ir.ShiftRight:
				d = ir.Uint32
			}
			g := ir.NewGraph(f.String())
			a, b := g.AddInput("a", ir.T(d, 1, 16, 5, 5)), g.AddInput("b", ir.T(d, 1, 16, 5, 5))
			y, err := g.Emit("y", ir.Binary{Fn: f}, a, b)
			if err != nil {
				t.Fatal(err)
			}
			g.AddOutput("y", y)
			check(t, g, cpu.Config{}, 1e-5)
		})
	}
}
