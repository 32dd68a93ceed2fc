package x86

import (
	"testing"

	. "github.com/mmcloughlin/avo/reg"
)

// The bytes are those that GNU as 2.40 writes for vdpbf16ps and vcvtne2ps2bf16.
func TestEvex(t *testing.T) {
	for _, c := range []struct {
		prefix, opcode byte
		w, x, acc      VecPhysical
		want           [6]byte
	}{
		{prefixF3, 0x52, Z3, Z4, Z5, [6]byte{0x62, 0xf2, 0x5e, 0x48, 0x52, 0xeb}},
		{prefixF3, 0x52, Z31, Z2, Z17, [6]byte{0x62, 0x82, 0x6e, 0x48, 0x52, 0xcf}},
		{prefixF3, 0x52, Z12, Z25, Z9, [6]byte{0x62, 0x52, 0x36, 0x40, 0x52, 0xcc}},
		{prefixF2, 0x72, Z1, Z2, Z3, [6]byte{0x62, 0xf2, 0x6f, 0x48, 0x72, 0xd9}},
		{prefixF2, 0x72, Z20, Z7, Z30, [6]byte{0x62, 0x22, 0x47, 0x48, 0x72, 0xf4}},
	} {
		if got := evex(c.prefix, c.opcode, c.w, c.x, c.acc); got != c.want {
			t.Errorf("%#x %s, %s, %s is % x, want % x", c.opcode, c.w.Asm(), c.x.Asm(), c.acc.Asm(), got, c.want)
		}
	}
}
