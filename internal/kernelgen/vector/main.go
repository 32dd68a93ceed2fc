// Command vector writes the AVX-512 kernels that walk rows of NC16 pixels:
//
//	go run modelc/internal/kernelgen/vector -out zvector_amd64.s -stubs zvector_amd64.go -pkg runtime
package main

import (
	"fmt"
	"math"
	"os"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	os.Setenv("GOFLAGS", "-tags=purego")
	Package("modelc/runtime")
	ConstraintExpr("!purego")
	affine()
	binary("addRowAVX512", "addRowAVX512 computes dst = clamp(a + b) over n pixels; b moves by bStep bytes.", func(b Mem, a VecPhysical) { VADDPS(b, a, a) })
	binary("mulRowAVX512", "mulRowAVX512 computes dst = clamp(a · b) over n pixels; b moves by bStep bytes.", func(b Mem, a VecPhysical) { VMULPS(b, a, a) })
	interleave()
	activation("tanhAVX512", "tanhAVX512 replaces n vectors of 16 floats by their hyperbolic tangents.", tanh)
	activation("sigmoidAVX512", "sigmoidAVX512 replaces n vectors of 16 floats by 1/(1+exp(−x)).", sigmoid)
	Generate()
}

// unrolled writes a loop over pixels, four at a time, then one at a time.
func unrolled(n GPPhysical, ptrs []GPPhysical, body func(i int)) {
	CMPQ(n, Imm(4))
	JLT(LabelRef("tail"))
	Label("four")
	for i := range 4 {
		body(i)
	}
	for _, p := range ptrs {
		ADDQ(U32(256), p)
	}
	SUBQ(Imm(4), n)
	CMPQ(n, Imm(4))
	JGE(LabelRef("four"))
	Label("tail")
	TESTQ(n, n)
	JZ(LabelRef("done"))
	Label("one")
	body(0)
	for _, p := range ptrs {
		ADDQ(Imm(64), p)
	}
	DECQ(n)
	JNZ(LabelRef("one"))
	Label("done")
	VZEROUPPER()
	RET()
}

func affine() {
	TEXT("affineAVX512", NOSPLIT, "func(dst, src *float32, n int, scale, shift *float32, lo, hi float32)")
	Doc("affineAVX512 computes dst = min(max(src·scale+shift, lo), hi) over n pixels of 16 channels.")
	Pragma("noescape")
	Load(Param("dst"), RDI)
	Load(Param("src"), RSI)
	Load(Param("n"), RCX)
	Load(Param("scale"), RAX)
	Load(Param("shift"), RBX)
	VMOVUPS(Mem{Base: RAX}, Z16)
	VMOVUPS(Mem{Base: RBX}, Z17)
	VBROADCASTSS(NewParamAddr("lo", 40), Z18)
	VBROADCASTSS(NewParamAddr("hi", 44), Z19)
	z := []VecPhysical{Z0, Z1, Z2, Z3}
	unrolled(RCX, []GPPhysical{RDI, RSI}, func(i int) {
		VMOVUPS(Mem{Base: RSI, Disp: 64 * i}, z[i])
		VFMADD132PS(Z16, Z17, z[i])
		// The last operand is what comes out of a comparison with NaN.
		VMAXPS(z[i], Z18, z[i])
		VMINPS(z[i], Z19, z[i])
		VMOVUPS(z[i], Mem{Base: RDI, Disp: 64 * i})
	})
}

func binary(name, doc string, op func(b Mem, a VecPhysical)) {
	TEXT(name, NOSPLIT, "func(dst, a, b *float32, n, bStep int, lo, hi float32)")
	Doc(doc)
	Pragma("noescape")
	Load(Param("dst"), RDI)
	Load(Param("a"), RSI)
	Load(Param("b"), RDX)
	Load(Param("n"), RCX)
	Load(Param("bStep"), RAX)
	VBROADCASTSS(NewParamAddr("lo", 40), Z18)
	VBROADCASTSS(NewParamAddr("hi", 44), Z19)
	z := []VecPhysical{Z0, Z1, Z2, Z3}
	unrolled(RCX, []GPPhysical{RDI, RSI}, func(i int) {
		VMOVUPS(Mem{Base: RSI, Disp: 64 * i}, z[i])
		op(Mem{Base: RDX}, z[i])
		ADDQ(RAX, RDX)
		VMAXPS(z[i], Z18, z[i])
		VMINPS(z[i], Z19, z[i])
		VMOVUPS(z[i], Mem{Base: RDI, Disp: 64 * i})
	})
}

// interleave writes the transposition of three planes of a picture to pixels.
// Each of three output vectors takes lanes from all planes, in two steps.
func interleave() {
	TEXT("interleave3AVX512", NOSPLIT, "func(dst, a, b, c *float32, n int)")
	Doc("interleave3AVX512 writes a[0], b[0], c[0], a[1], … for n vectors of 16 floats of each.")
	Pragma("noescape")
	Load(Param("dst"), RDI)
	Load(Param("a"), RSI)
	Load(Param("b"), RDX)
	Load(Param("c"), RBX)
	Load(Param("n"), RCX)
	index := []VecPhysical{Z16, Z17, Z18, Z19, Z20, Z21}
	for v := range 3 {
		var ab, abc [16]uint32
		for lane := range uint32(16) {
			e := uint32(v)*16 + lane // element e of the result is lane e/3 of plane e%3
			switch e % 3 {
			case 0:
				ab[lane], abc[lane] = e/3, lane
			case 1:
				ab[lane], abc[lane] = 16+e/3, lane
			case 2:
				abc[lane] = 16 + e/3
			}
		}
		for step, table := range [][16]uint32{ab, abc} {
			m := GLOBL(fmt.Sprintf("interleave%d%d", v, step), 8|16)
			for i, x := range table {
				DATA(4*i, U32(x))
			}
			VMOVUPS(m, index[2*v+step])
		}
	}
	out := []VecPhysical{Z4, Z5, Z6}
	Label("loop")
	VMOVUPS(Mem{Base: RSI}, Z0)
	VMOVUPS(Mem{Base: RDX}, Z1)
	VMOVUPS(Mem{Base: RBX}, Z2)
	for v, z := range out {
		VMOVAPS(Z0, z)
		VPERMT2PS(Z1, index[2*v], z)
		VPERMT2PS(Z2, index[2*v+1], z)
		VMOVUPS(z, Mem{Base: RDI, Disp: 64 * v})
	}
	for _, p := range []GPPhysical{RSI, RDX, RBX} {
		ADDQ(Imm(64), p)
	}
	ADDQ(U32(192), RDI)
	DECQ(RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// constant broadcasts a number from read-only memory.
var constants = map[float64]Mem{}

func constant(x float64) Mem {
	m, ok := constants[x]
	if !ok {
		m = GLOBL("f"+name(x), 8|16)
		DATA(0, U32(math.Float32bits(float32(x))))
		constants[x] = m
	}
	return m
}

func name(x float64) string {
	const hex = "0123456789abcdef"
	b := math.Float32bits(float32(x))
	s := ""
	for i := 28; i >= 0; i -= 4 {
		s += string(hex[b>>i&15])
	}
	return s
}

func activation(name, doc string, f func(x VecPhysical)) {
	TEXT(name, NOSPLIT, "func(x *float32, n int)")
	Doc(doc)
	Pragma("noescape")
	Load(Param("x"), RSI)
	Load(Param("n"), RCX)
	Label("loop")
	VMOVUPS(Mem{Base: RSI}, Z0)
	f(Z0)
	VMOVUPS(Z0, Mem{Base: RSI})
	ADDQ(Imm(64), RSI)
	DECQ(RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// exp replaces x by eˣ: 2ⁿ·eʳ with |r| ≤ ln2/2, r by Cody and Waite's split of
// ln2, eʳ by the polynomial of Cephes' expf. It uses Z20–Z23.
func exp(x VecPhysical) {
	n, p, t := Z20, Z21, Z22
	// x stands where NaN comes through.
	VBROADCASTSS(constant(88.7), t)
	VMINPS(x, t, x)
	VBROADCASTSS(constant(-104), t)
	VMAXPS(x, t, x)
	VMULPS_BCST(constant(1.4426950408889634), x, n)
	VRNDSCALEPS(Imm(0), n, n)
	VFNMADD231PS_BCST(constant(0.693359375), n, x)
	VFNMADD231PS_BCST(constant(-2.12194440e-4), n, x)
	VBROADCASTSS(constant(1.9875691500e-4), p)
	for _, c := range []float64{1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
		VFMADD213PS_BCST(constant(c), x, p)
	}
	VMULPS(x, x, t)
	VFMADD213PS(x, t, p)
	VADDPS_BCST(constant(1), p, p)
	VSCALEFPS(n, p, x)
}

func sigmoid(x VecPhysical) {
	// 1/(1+e^−x)
	VPXORQ(Z24, Z24, Z24)
	VSUBPS(x, Z24, x)
	exp(x)
	VADDPS_BCST(constant(1), x, x)
	VBROADCASTSS(constant(1), Z24)
	VDIVPS(x, Z24, x)
}

// tanh follows Cephes: a polynomial below 0.625, 1−2/(1+e^2x) above.
func tanh(x VecPhysical) {
	small, sq, p := Z24, Z25, Z26
	VMOVAPS(x, small)
	VMULPS(x, x, sq)
	VBROADCASTSS(constant(-5.70498872745e-3), p)
	for _, c := range []float64{2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1} {
		VFMADD213PS_BCST(constant(c), sq, p)
	}
	VMULPS(sq, p, p)
	VFMADD213PS(small, small, p) // p·x+x
	VADDPS(x, x, x)
	exp(x)
	VADDPS_BCST(constant(1), x, x)
	VBROADCASTSS(constant(2), Z27)
	VDIVPS(x, Z27, x)
	VBROADCASTSS(constant(1), Z27)
	VSUBPS(x, Z27, x)
	// Where x² is below 0.625², or x is NaN, the polynomial holds.
	VCMPPS_BCST(Imm(5), constant(0.625*0.625), sq, K1) // not less than
	VMOVAPS(x, K1, p)
	VMOVAPS(p, x)
}
