// Command winograd writes the AVX-512 and AVX2 transforms of F(m×m,3×3),
// m = 2, 4, 6:
//
//	go run modelc/internal/kernelgen/winograd -out zwinograd_amd64.s -stubs zwinograd_amd64.go -pkg simd
package main

import (
	"os"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/x86"
)

func main() {
	os.Setenv("GOFLAGS", "-tags=purego")
	Package("modelc/runtime/internal/simd")
	ConstraintExpr("!purego")
	for _, m := range []int{2, 4, 6} {
		inputAVX512(m)
		outputAVX512(m)
		weights(x86.AVX512, m)
		inputAVX2(m)
		outputAVX2(m)
		weights(x86.AVX2, m)
	}
	inputPairs()
	outputPairs("pairTilesOut", false)
	outputPairs("pairTilesPool", true)
	Generate()
}

// at returns base + k·stride + disp. r holds the stride times 1, 3, 5 and 7.
func at(base GPPhysical, k int, r []GPPhysical, disp int) Mem {
	m := Mem{Base: base, Disp: disp}
	switch k {
	case 0:
	case 1, 2, 4:
		m.Index, m.Scale = r[0], uint8(k)
	case 3, 6:
		m.Index, m.Scale = r[1], uint8(k/3)
	case 5:
		m.Index, m.Scale = r[2], 1
	case 7:
		m.Index, m.Scale = r[3], 1
	}
	return m
}

func multiples(r []GPPhysical) {
	LEAQ(Mem{Base: r[0], Index: r[0], Scale: 2}, r[1])
	LEAQ(Mem{Base: r[0], Index: r[0], Scale: 4}, r[2])
	if len(r) > 3 {
		LEAQ(Mem{Base: r[1], Index: r[0], Scale: 4}, r[3])
	}
}
