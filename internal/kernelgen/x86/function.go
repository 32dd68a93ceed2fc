package x86

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/abi"
)

// Function starts the kernel of the table with the given name, for the instruction set.
func (s ISA) Function(name string, attributes attr.Attribute) {
	k := abi.Lookup(name, s.Name)
	build.TEXT(name+s.Name, attributes, fmt.Sprintf("func(%s)", k.Args))
	build.Doc(name + s.Name + " " + k.Doc)
	build.Pragma("noescape")
}

// Transpose8 writes the transpose of the eight rows of eight floats in r to t. It
// overwrites r.
func Transpose8(r, t []reg.VecPhysical) {
	for i := 0; i < 8; i += 2 { // columns 0, 1, 4, 5 and 2, 3, 6, 7 of two rows
		build.VUNPCKLPS(r[i+1], r[i], t[i])
		build.VUNPCKHPS(r[i+1], r[i], t[i+1])
	}
	for i := 0; i < 8; i += 4 { // two columns of four rows
		for k := range 2 {
			build.VSHUFPS(operand.Imm(0x44), t[i+2+k], t[i+k], r[i+2*k])
			build.VSHUFPS(operand.Imm(0xEE), t[i+2+k], t[i+k], r[i+2*k+1])
		}
	}
	for k := range 4 {
		build.VPERM2F128(operand.Imm(0x20), r[4+k], r[k], t[k])
		build.VPERM2F128(operand.Imm(0x31), r[4+k], r[k], t[4+k])
	}
}
