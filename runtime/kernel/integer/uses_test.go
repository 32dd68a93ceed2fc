package integer

import (
	"maps"
	"testing"

	"modelc/runtime/kernel"
)

// The lists have the micro-kernels of every block of output channels, and for dense layers
// the numbers of pixels.
func TestUses(t *testing.T) {
	for _, c := range []struct {
		k    kernel.Kernel
		want map[string]bool
	}{
		{&Conv{Src: kernel.Image{C: 16}, Dst: kernel.Image{C: 70}}, map[string]bool{"IntBlock32": true, "IntBlock16": true, "IntProduct32": true, "IntProduct16": true}},
		{&Conv{Src: kernel.Image{C: 16}, Dst: kernel.Image{C: 64}}, map[string]bool{"IntBlock32": true, "IntProduct32": true}},
		{&Conv{Src: kernel.Image{C: 32}, Dst: kernel.Image{C: 96}, Groups: 2}, map[string]bool{"IntBlock32": true, "IntBlock16": true, "IntProduct32": true, "IntProduct16": true}},
		{&Conv{Src: kernel.Image{C: 3, Block: 4}, Dst: kernel.Image{C: 10}}, map[string]bool{"IntPixel16": true, "IntPair16": true}},
		{&ConvPool{Conv: Conv{Src: kernel.Image{C: 3, Block: 4}, Dst: kernel.Image{C: 40}}}, map[string]bool{"IntPixel32": true, "IntPixel16": true, "IntPair32": true, "IntPair16": true}},
		{&Winograd{Dst: kernel.Image{C: 20}}, map[string]bool{"IntProduct32": true}},
		{&ConvByTier{Bytes: Conv{Src: kernel.Image{C: 16}, Dst: kernel.Image{C: 20}}, Words: Winograd{Dst: kernel.Image{C: 20}}}, map[string]bool{"IntBlock32": true, "IntProduct32": true}},
		{&Dense{N: 1, K: 10, M: 40}, map[string]bool{"IntBlock32": true, "IntBlock16": true}},
		{&Depthwise{}, map[string]bool{}},
	} {
		got := map[string]bool{}
		kernel.Uses(c.k, false, func(micro string, pixels int) {
			got[micro] = true
			if _, dense := c.k.(*Dense); dense != (pixels != kernel.AnyPixels) || pixels > 1 {
				t.Errorf("%T: %s of %d pixels", c.k, micro, pixels)
			}
		})
		if !maps.Equal(got, c.want) {
			t.Errorf("%T uses %v, want %v", c.k, got, c.want)
		}
	}
}
