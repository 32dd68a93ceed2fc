// Command integer writes the micro-kernels on integers of amd64:
//
//	go run modelc/internal/kernelgen/integer -out zinteger_amd64.s -stubs zinteger_amd64.go -pkg simd
//
// With VNNI, VPDPBUSD adds the products of four bytes without a sign and four with a sign
// to a sum of 32 bits, and VPDPWSSD those of two words. Without it, VPMADDWD multiplies
// and adds words, and VPADDD adds the result: VPMADDUBSW is never used, because the sums
// of its 16-bit products saturate.
package main

import (
	"encoding/binary"
	"os"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/x86"
)

func main() {
	// Load package simd without the files that this program writes.
	os.Setenv("GOFLAGS", "-tags=purego")
	Package("modelc/runtime/internal/simd")
	ConstraintExpr("!purego")
	tiles(x86.AVX512VNNI)
	tiles(x86.AVXVNNI)
	tiles(x86.AVX2)
	for _, isa := range []x86.ISA{x86.AVX512, x86.AVX2} {
		transformIn(isa)
		floats(isa)
	}
	transformOutAVX512()
	transformOutAVX2()
	depthwiseAVX512()
	depthwiseAVX2()
	depthwise3AVX512()
	depthwise3AVX2()
	widenTaps3()
	filters()
	widen()
	widenPixels()
	widenWeights()
	Generate()
}

// The opcodes of the dot products.
const (
	dotBytes = 0x50 // VPDPBUSD
	dotWords = 0x52 // VPDPWSSD
)

// dot adds the products of w and x to acc. x has no sign if opcode is dotBytes. Package
// avo does not know the instructions, and Go's assembler knows only their EVEX forms.
func dot(isa x86.ISA, opcode byte, w, x, acc VecPhysical) {
	if isa.Name == x86.AVX512VNNI.Name {
		name := map[byte]string{dotBytes: "VPDPBUSD", dotWords: "VPDPWSSD"}[opcode]
		Instruction(&ir.Instruction{Opcode: name, Operands: []Op{w, x, acc}})
		return
	}
	code := vex(opcode, w.PhysicalIndex(), x.PhysicalIndex(), acc.PhysicalIndex())
	Instruction(&ir.Instruction{Opcode: "LONG", Operands: []Op{U32(binary.LittleEndian.Uint32(code[:]))}})
	Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []Op{U8(code[4])}})
}

// vex returns the bytes of a dot product on registers of 32 bytes:
// VEX.256.66.0F38.W0 opcode /r (Intel, Software Developer's Manual, volume 2).
func vex(opcode byte, w, x, acc Index) [5]byte {
	r, v, b := byte(acc), byte(x), byte(w)
	return [5]byte{0xc4, ^r>>3&1<<7 | 1<<6 | ^b>>3&1<<5 | 2, ^v&15<<3 | 1<<2 | 1, opcode, 0xc0 | r&7<<3 | b&7}
}

// permutation returns an operand of VPERMD with the given indices.
func permutation(name string, index ...uint32) Mem {
	m := GLOBL(name, 8|16)
	for i, v := range index {
		DATA(4*i, U32(v))
	}
	return m
}

// stride returns base + k·stride + disp for 0 ≤ k ≤ 5. r holds the stride times 1,
// 3 and 5.
func stride(base GPPhysical, k int, r [3]GPPhysical, disp int) Mem {
	m := Mem{Base: base, Disp: disp}
	switch k {
	case 0:
	case 1, 2, 4:
		m.Index, m.Scale = r[0], uint8(k)
	case 3:
		m.Index, m.Scale = r[1], 1
	case 5:
		m.Index, m.Scale = r[2], 1
	}
	return m
}

func multiples(r [3]GPPhysical) {
	LEAQ(Mem{Base: r[0], Index: r[0], Scale: 2}, r[1])
	LEAQ(Mem{Base: r[0], Index: r[0], Scale: 4}, r[2])
}
