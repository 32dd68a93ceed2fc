package x86

import (
	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// PixelBases lists the registers with the input column of pixels 0, 4, 8 and 12 of a tile.
var PixelBases = []GPPhysical{R11, RAX, RCX, R15}

// SetPixelBases sets the bases of p pixels from R11. R14 holds the size of a pixel.
func SetPixelBases(p int) {
	for i := 1; i*4 < p; i++ {
		build.LEAQ(Mem{Base: PixelBases[i-1], Index: R14, Scale: 4}, PixelBases[i])
	}
}

// Pixel returns the address disp bytes behind the start of pixel i. R14 and R13 hold the
// size of one and of three pixels.
func Pixel(i, disp int) Mem {
	m := Mem{Base: PixelBases[i/4], Disp: disp}
	switch i % 4 {
	case 1:
		m.Index, m.Scale = R14, 1
	case 2:
		m.Index, m.Scale = R14, 2
	case 3:
		m.Index, m.Scale = R13, 1
	}
	return m
}
