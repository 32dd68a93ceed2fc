package main

import (
	"testing"

	. "github.com/mmcloughlin/avo/reg"
)

// The bytes are those that GNU as 2.40 writes for {vex} vpdpbusd and {vex} vpdpwssd.
func TestVex(t *testing.T) {
	for _, c := range []struct {
		opcode    byte
		w, x, acc VecPhysical
		want      [5]byte
	}{
		{dotBytes, Y3, Y4, Y5, [5]byte{0xc4, 0xe2, 0x5d, 0x50, 0xeb}},
		{dotBytes, Y12, Y15, Y2, [5]byte{0xc4, 0xc2, 0x05, 0x50, 0xd4}},
		{dotBytes, Y1, Y14, Y11, [5]byte{0xc4, 0x62, 0x0d, 0x50, 0xd9}},
		{dotWords, Y12, Y15, Y0, [5]byte{0xc4, 0xc2, 0x05, 0x52, 0xc4}},
		{dotWords, Y9, Y2, Y10, [5]byte{0xc4, 0x42, 0x6d, 0x52, 0xd1}},
		{dotBytes, Y8, Y7, Y15, [5]byte{0xc4, 0x42, 0x45, 0x50, 0xf8}},
	} {
		if got := vex(c.opcode, c.w.PhysicalIndex(), c.x.PhysicalIndex(), c.acc.PhysicalIndex()); got != c.want {
			t.Errorf("%#x %s, %s, %s is % x, want % x", c.opcode, c.w.Asm(), c.x.Asm(), c.acc.Asm(), got, c.want)
		}
	}
}
