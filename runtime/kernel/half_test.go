package kernel

import (
	"math"
	"testing"

	"modelc/ir"
)

// Widen and package ir convert every half-precision number to the same float32.
func TestWiden(t *testing.T) {
	src := make([]uint16, 1<<16)
	for i := range src {
		src[i] = uint16(i)
	}
	dst := make([]float32, len(src))
	for _, c := range []struct {
		f    Format
		want func(uint16) float32
	}{{F16, ir.Float16ToFloat32}, {BF16, ir.BFloat16ToFloat32}} {
		widen(dst, src, c.f)
		for i, h := range src {
			if got, want := math.Float32bits(dst[i]), math.Float32bits(c.want(h)); got != want {
				t.Fatalf("%s %#04x is %#08x, want %#08x", c.f, h, got, want)
			}
		}
	}
}
