package main

import "math"

func bits(x float64) uint32 { return math.Float32bits(float32(x)) }

// vectors writes the kernels that walk rows of NC16 pixels.
func vectors(a *asm) {
	affine(a)
	binary(a, "addRow", a.add)
	binary(a, "mulRow", a.mul)
	strassen(a)
	interleave(a)
	activation(a, "tanh", tanh)
	activation(a, "sigmoid", sigmoid)
	activation(a, "exp", exp)
	activation(a, "hardSwish", hardSwish)
	activation(a, "gelu", gelu)
	parametric(a, "leakyRelu", leakyRelu)
	parametric(a, "silu", silu)
}

const lo, hi vec = 30, 31

// bounds loads the arguments lo and hi at offset 40.
func bounds(a *asm) {
	a.do("FMOVS lo+40(FP), F%d", int(lo))
	a.do("VDUP V%d.S[0], %v", int(lo), lo)
	a.do("FMOVS hi+44(FP), F%d", int(hi))
	a.do("VDUP V%d.S[0], %v", int(hi), hi)
}

func affine(a *asm) {
	a.text("affine", 48, 0)
	a.do("MOVD dst+0(FP), R0")
	a.do("MOVD src+8(FP), R1")
	a.do("MOVD n+16(FP), R2")
	a.do("MOVD scale+24(FP), R3")
	a.do("MOVD shift+32(FP), R4")
	bounds(a)
	const x, y, scale, shift vec = 0, 4, 16, 20
	a.do("VLD1 (R3), %s", scale.list(4))
	a.do("VLD1 (R4), %s", shift.list(4))
	a.label("loop")
	a.do("VLD1.P 64(R1), %s", x.list(4))
	for v := range vec(4) {
		a.move(y+v, shift+v)
		a.fma(y+v, x+v, scale+v)
		a.clamp(y+v, lo, hi)
	}
	a.do("VST1.P %s, 64(R0)", y.list(4))
	a.down("R2", "loop")
	a.do("RET")
}

func binary(a *asm, name string, op func(dst, x, y vec)) {
	a.text(name, 48, 0)
	a.do("MOVD dst+0(FP), R0")
	a.do("MOVD a+8(FP), R1")
	a.do("MOVD b+16(FP), R2")
	a.do("MOVD n+24(FP), R3")
	a.do("MOVD bStep+32(FP), R4")
	bounds(a)
	const x, y vec = 0, 4
	a.label("loop")
	a.do("VLD1.P 64(R1), %s", x.list(4))
	a.do("VLD1 (R2), %s", y.list(4))
	a.do("ADD R4, R2")
	for v := range vec(4) {
		op(x+v, x+v, y+v)
		a.clamp(x+v, lo, hi)
	}
	a.do("VST1.P %s, 64(R0)", x.list(4))
	a.down("R3", "loop")
	a.do("RET")
}

// strassen writes the sums of pixels of Strassen's algorithm.
func strassen(a *asm) {
	a.text("strassen", 56, 0)
	a.do("MOVD s+0(FP), R0")
	a.do("MOVD stride+8(FP), R8")
	for i := range 3 {
		a.do("ADD R8, R%d, R%d", i, i+1)
	}
	for i, name := range []string{"a11", "a12", "a21", "a22", "n"} {
		a.do("MOVD %s+%d(FP), R%d", name, 16+8*i, 4+i)
	}
	const a11, a12, a21, a22, s2 vec = 0, 4, 8, 12, 16
	a.label("loop")
	for i, x := range []vec{a11, a12, a21, a22} {
		a.do("VLD1.P 64(R%d), %s", 4+i, x.list(4))
	}
	for v := range vec(4) {
		a.add(a22+v, a21+v, a22+v)
		a.sub(s2+v, a22+v, a11+v)
		a.sub(a21+v, a11+v, a21+v)
		a.sub(a12+v, a12+v, s2+v)
	}
	for i, x := range []vec{a22, s2, a21, a12} {
		a.do("VST1.P %s, 64(R%d)", x.list(4), i)
	}
	a.down("R8", "loop")
	a.do("RET")
}

// interleave writes the transposition of three planes of a picture to pixels, with VST3.
func interleave(a *asm) {
	a.text("interleave3", 40, 0)
	a.do("MOVD dst+0(FP), R0")
	a.do("MOVD a+8(FP), R1")
	a.do("MOVD b+16(FP), R2")
	a.do("MOVD c+24(FP), R3")
	a.do("MOVD n+32(FP), R4")
	a.do("LSL $2, R4")
	a.label("loop")
	for p := range vec(3) {
		a.do("VLD1.P 16(R%d), %s", int(p)+1, p.list(1))
	}
	a.do("VST3.P %s, 48(R0)", vec(0).list(3))
	a.down("R4", "loop")
	a.do("RET")
}

// activation writes a function of one variable. f emits the function of register 0.
func activation(a *asm, name string, f func(a *asm, k func(x float64) vec)) {
	a.text(name, 16, 0)
	a.loop(f)
}

// alpha holds the parameter of a function that has one.
const alpha vec = 31

// parametric is like activation, for functions that read alpha.
func parametric(a *asm, name string, f func(a *asm, k func(x float64) vec)) {
	a.text(name, 20, 0)
	a.do("FMOVS alpha+16(FP), F%d", int(alpha))
	a.do("VDUP V%d.S[0], %v", int(alpha), alpha)
	a.loop(f)
}

// loop applies f to each vector.
func (a *asm) loop(f func(a *asm, k func(x float64) vec)) {
	a.do("MOVD x+0(FP), R0")
	a.do("MOVD n+8(FP), R1")
	a.do("LSL $2, R1")
	// Only the code determines the constants, so it is written first.
	const first vec = 8
	var consts []uint32
	body := &asm{}
	f(body, func(x float64) vec {
		b := bits(x)
		if x == exponentBias {
			b = exponentBias // an integer
		}
		for i, c := range consts {
			if c == b {
				return first + vec(i)
			}
		}
		consts = append(consts, b)
		return first + vec(len(consts)-1)
	})
	a.constants(first, consts...)
	a.label("loop")
	a.load(0, 0, "R0")
	a.code.Write(body.code.Bytes())
	a.do("FMOVQ.P F0, 16(R0)")
	a.down("R1", "loop")
	a.do("RET")
}

const exponentBias = 127

// exp replaces x, register 0, by eˣ = 2ⁿ·eʳ with |r| ≤ ln2/2, and by infinity if
// x ≥ 88.73. It computes r with Cody and Waite's split of ln2, and eʳ with the polynomial
// of Cephes' expf. It uses registers 1 to 3.
func exp(a *asm, k func(x float64) vec) {
	const x, n, p, t vec = 0, 1, 2, 3
	a.min(x, x, k(89))
	a.max(x, x, k(-104))
	a.mul(n, x, k(1.4426950408889634))
	a.nearest(n, n)
	a.fms(x, n, k(0.693359375))
	a.fms(x, n, k(-2.12194440e-4))
	polynomial(a, p, x, t, k, 1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
	a.mul(t, x, x)
	a.fma(x, t, p)
	a.add(p, x, k(1))
	// 2ⁿ may exceed the normal numbers. Its two factors do not.
	a.toInt(n, n)
	a.shiftRight1(t, n)
	a.do("VSUB %v, %v, %v", t, n, n)
	for _, half := range []vec{t, n} {
		a.do("VADD %v, %v, %[2]v", k(exponentBias), half)
		a.do("VSHL $23, %v, %[1]v", half)
		a.mul(p, p, half)
	}
	a.move(x, p)
}

// polynomial sets p to a polynomial in x by Horner's rule. The coefficient of the highest
// power comes first.
func polynomial(a *asm, p, x, t vec, k func(x float64) vec, coefficients ...float64) {
	a.move(p, k(coefficients[0]))
	for _, c := range coefficients[1:] {
		a.move(t, k(c))
		a.fma(t, p, x)
		a.move(p, t)
	}
}

// sigmoid computes 1/(1+e^−x).
func sigmoid(a *asm, k func(x float64) vec) {
	a.negate(0, 0)
	exp(a, k)
	a.add(0, 0, k(1))
	a.div(0, k(1), 0)
}

// tanh follows Cephes: a polynomial below 0.625, 1−2/(1+e^2x) above.
func tanh(a *asm, k func(x float64) vec) {
	const x, t, small, sq, p vec = 0, 3, 4, 5, 6
	a.move(small, x)
	a.mul(sq, x, x)
	polynomial(a, p, sq, t, k, -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
	a.mul(p, p, sq)
	a.fma(small, small, p) // x+x·p
	a.add(x, x, x)
	exp(a, k)
	a.add(x, x, k(1))
	a.div(x, k(2), x)
	a.sub(x, k(1), x)
	// Use the polynomial where x² is below 0.625².
	a.greater(t, k(0.625*0.625), sq)
	a.do("VBIT V%d.B16, V%d.B16, V%d.B16", int(t), int(small), int(x))
}

// hardSwish computes x·min(max(x/6+1/2, 0), 1).
func hardSwish(a *asm, k func(x float64) vec) {
	const x, t vec = 0, 1
	a.move(t, k(0.5))
	a.fma(t, x, k(1.0/6))
	a.clamp(t, k(0), k(1))
	a.mul(x, x, t)
}

// leakyRelu computes max(x, 0)+alpha·min(x, 0). The sum is exact.
func leakyRelu(a *asm, k func(x float64) vec) {
	const x, t vec = 0, 1
	a.min(t, x, k(0))
	a.max(x, x, k(0))
	a.fma(x, t, alpha)
}

func silu(a *asm, k func(x float64) vec) {
	const x, t vec = 0, 5
	a.move(t, x)
	a.mul(x, x, alpha)
	sigmoid(a, k)
	a.mul(x, x, t)
}

// gelu computes x/2·(1+erf(x/√2)), with erf as on amd64.
func gelu(a *asm, k func(x float64) vec) {
	const x, z, sq, p, q, t vec = 0, 1, 2, 3, 4, 5
	a.mul(z, x, k(math.Sqrt2/2))
	a.clamp(z, k(-4), k(4))
	a.mul(sq, z, z)
	polynomial(a, p, sq, t, k, -2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05, -7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02)
	polynomial(a, q, sq, t, k, -1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03, -1.42647390514189e-02)
	a.mul(p, p, z)
	a.div(p, p, q)
	a.mul(x, x, k(0.5))
	a.fma(x, x, p)
}
