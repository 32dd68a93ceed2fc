package x86

import (
	"encoding/binary"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// AVX512BF16 is AVX512VNNI with products of pairs of bfloat16. Neither package avo nor
// Go's assembler knows its instructions.
var AVX512BF16 = ISA{"AVX512BF16", 64, AVX512.Regs}

// Prefixes of instructions.
const (
	prefixF3 = 2
	prefixF2 = 3
)

// VDPBF16PS adds to each float of acc the products of the pairs of w and x at its
// position: first that of the upper halves, then that of the lower ones.
func VDPBF16PS(w, x, acc VecPhysical) { emit(evex(prefixF3, 0x52, w, x, acc)) }

// VCVTNE2PS2BF16 rounds lo to the lower half of dst and hi to the upper half.
func VCVTNE2PS2BF16(lo, hi, dst VecPhysical) { emit(evex(prefixF2, 0x72, lo, hi, dst)) }

var pairOrder *Mem

// PairOrder returns the vector in memory with which VPERMW makes pairs of the result of
// VCVTNE2PS2BF16. Each generator gives it a name of its own, because the files of assembly
// become one in a copy of the runtime.
func PairOrder(name string) Mem {
	if pairOrder == nil {
		m := build.GLOBL(name, 8|16)
		for i := range 32 {
			build.DATA(2*i, U16(i/2+i%2*16))
		}
		pairOrder = &m
	}
	return *pairOrder
}

// evex returns the bytes of an instruction on registers of 64 bytes, with operands in the
// order of Go's assembler: EVEX.512.prefix.0F38.W0 opcode /r (Intel, Software Developer's
// Manual, volume 2).
func evex(prefix, opcode byte, w, x, acc VecPhysical) [6]byte {
	r, v, b := byte(acc.PhysicalIndex()), byte(x.PhysicalIndex()), byte(w.PhysicalIndex())
	inverted := func(reg, bit, to byte) byte { return ^reg >> bit & 1 << to }
	return [6]byte{0x62,
		inverted(r, 3, 7) | inverted(b, 4, 6) | inverted(b, 3, 5) | inverted(r, 4, 4) | 2,
		^v&15<<3 | 1<<2 | prefix,
		2<<5 | inverted(v, 4, 3),
		opcode, 0xc0 | r&7<<3 | b&7}
}

func emit(code [6]byte) {
	build.Instruction(&ir.Instruction{Opcode: "LONG", Operands: []Op{U32(binary.LittleEndian.Uint32(code[:]))}})
	build.Instruction(&ir.Instruction{Opcode: "WORD", Operands: []Op{U16(binary.LittleEndian.Uint16(code[4:]))}})
}
