package main

// bfloats writes the kernels on pairs of bfloat16 other than those of convolutions. A pixel
// has 16 pairs, four vectors.
func bfloats(a *asm) {
	roundPairs(a)
	widenPixels(a)
	pairRows(a)
}

// roundPairs rounds to nearest even, as simd.ToBFloat16: it adds half of the last place, and 1
// more if the last place is odd. A NaN becomes quiet. The clamp keeps a zero's sign, which
// FMAX would not.
func roundPairs(a *asm) {
	const (
		x, y, res, t            vec = 0, 4, 8, 12
		lo, hi, half, one, nans vec = 24, 25, 26, 27, 28
		mask, odd, quiet        vec = 20, 21, 22
	)
	a.text("roundPairs", 48, 0)
	for i, name := range []string{"dst", "lower", "upper", "n", "residual"} {
		a.do("MOVD %s+%d(FP), R%d", name, 8*i, i)
	}
	a.do("MOVD $lo+40(FP), R5")
	a.broadcast(lo, "R5")
	a.do("MOVD $hi+44(FP), R5")
	a.broadcast(hi, "R5")
	a.constants(half, 0x7fff, 1, 0x400000)
	a.label("pixel")
	a.do("VLD1.P 64(R1), %s", x.list(4))
	a.do("VLD1.P 64(R2), %s", y.list(4))
	a.do("CBZ R4, clamp")
	a.do("VLD1.P 64(R4), %s", res.list(4))
	for v := range vec(4) {
		a.do("VSHL $16, %v, %v", res+v, t+v)
		a.upperHalf(res + v)
		a.add(x+v, x+v, t+v)
		a.add(y+v, y+v, res+v)
	}
	a.label("clamp")
	for v := range vec(8) {
		a.greater(mask, lo, x+v)
		a.do("VBIT V%d.B16, V%d.B16, V%d.B16", int(mask), int(lo), int(x+v))
		a.greater(mask, x+v, hi)
		a.do("VBIT V%d.B16, V%d.B16, V%d.B16", int(mask), int(hi), int(x+v))
		a.equal(mask, x+v, x+v)
		a.do("VUSHR $16, %v, %v", x+v, odd)
		a.do("VAND V%d.B16, V%d.B16, V%d.B16", int(one), int(odd), int(odd))
		a.do("VORR V%d.B16, V%d.B16, V%d.B16", int(nans), int(x+v), int(quiet))
		a.do("VADD %v, %v, %v", half, x+v, x+v)
		a.do("VADD %v, %v, %v", odd, x+v, x+v)
		a.do("VBIF V%d.B16, V%d.B16, V%d.B16", int(mask), int(quiet), int(x+v))
	}
	for v := range vec(4) {
		a.do("VSRI $16, %v, %v", x+v, y+v)
	}
	a.do("VST1.P %s, 64(R0)", y.list(4))
	a.down("R3", "pixel")
	a.do("RET")
}

func widenPixels(a *asm) {
	const upper, lower vec = 0, 4
	a.text("widenPixels", 32, 0)
	for i, name := range []string{"lower", "upper", "src", "n"} {
		a.do("MOVD %s+%d(FP), R%d", name, 8*i, i)
	}
	a.label("pixel")
	a.do("VLD1.P 64(R2), %s", upper.list(4))
	for v := range vec(4) {
		a.do("VSHL $16, %v, %v", upper+v, lower+v)
		a.upperHalf(upper + v)
	}
	a.do("VST1.P %s, 64(R0)", lower.list(4))
	a.do("VST1.P %s, 64(R1)", upper.list(4))
	a.down("R3", "pixel")
	a.do("RET")
}

// pairRows keeps the 32 sums in registers.
func pairRows(a *asm) {
	const lower, upper, x, w, t vec = 0, 4, 8, 12, 16
	a.text("pairRows", 32, 0)
	for i, name := range []string{"sums", "x", "w", "n"} {
		a.do("MOVD %s+%d(FP), R%d", name, 8*i, i)
	}
	a.do("ADD $64, R0, R4")
	a.do("VLD1 (R0), %s", lower.list(4))
	a.do("VLD1 (R4), %s", upper.list(4))
	a.label("rows")
	a.do("VLD1.P 16(R1), %s", x.list(1))
	for row := range 4 {
		a.do("VLD1.P 64(R2), %s", w.list(4))
		for v := range vec(4) {
			a.do("VSHL $16, %v, %v", w+v, t+v)
			a.upperHalf(w + v)
			a.fmaLane(lower+v, t+v, x, row)
			a.fmaLane(upper+v, w+v, x, row)
		}
	}
	a.do("SUBS $4, R3")
	a.do("BNE rows")
	a.do("VST1 %s, (R0)", lower.list(4))
	a.do("VST1 %s, (R4)", upper.list(4))
	a.do("RET")
}
