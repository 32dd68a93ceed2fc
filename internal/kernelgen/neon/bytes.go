package main

import "modelc/internal/kernelgen/abi"

// byteKernels writes the kernels on bytes. A byte becomes a 32-bit integer, then a float,
// and the result is rounded half to even. Floats are clamped before that, so that a NaN
// becomes the lower bound.
func byteKernels(a *asm) {
	quantizeRow(a)
	quantizePixels(a)
	dequantizeRow(a)
	rangeRow(a)
	byteBinary(a, "addBytes", func(x, y, xScale, yScale vec) {
		a.toFloat(x, x)
		a.toFloat(y, y)
		a.mul(x, x, xScale)
		a.mul(y, y, yScale)
		a.add(x, x, y)
	})
	byteBinary(a, "mulBytes", func(x, y, xScale, _ vec) {
		a.three("MUL", 0x4EA09C00, x, x, y)
		a.toFloat(x, x)
		a.mul(x, x, xScale)
	})
	maxBytes(a)
	averageBytes(a)
	affineBytes(a)
}

func (a *asm) toFloat(dst, x vec) { a.two("SCVTF", 0x4E21D800, dst, x) }

// round replaces the floats x by clamped and rounded integers. NaN becomes low.
func (a *asm) round(x, low, high vec) {
	a.three("FMAXNM", 0x4E20C400, x, x, low)
	a.three("FMINNM", 0x4EA0C400, x, x, high)
	a.toInt(x, x)
}

// widen converts the 16 bytes of src to integers in registers dst … dst+3. It uses src.
func (a *asm) widen(dst, src vec) {
	a.do("VUSHLL2 $0, V%d.B16, V%d.H8", int(src), int(dst)+2)
	a.do("VUSHLL $0, V%d.B8, V%d.H8", int(src), int(dst))
	for _, v := range []vec{dst + 2, dst} {
		a.do("VUSHLL2 $0, V%d.H8, V%d.S4", int(v), int(v)+1)
		a.do("VUSHLL $0, V%d.H4, V%d.S4", int(v), int(v))
	}
}

// narrow writes the low bytes of the integers in x … x+3 to x.
func (a *asm) narrow(x vec) {
	for _, v := range []vec{x, x + 2} {
		a.do("VUZP1 V%d.H8, V%d.H8, V%d.H8", int(v)+1, int(v), int(v))
	}
	a.do("VUZP1 V%d.B16, V%d.B16, V%[2]d.B16", int(x)+2, int(x))
}

// spread sets all lanes of dst to the argument of 32 bits at the given offset.
func (a *asm) spread(dst vec, name string, offset int) {
	a.do("MOVWU %s+%d(FP), R16", name, offset)
	a.do("VDUP R16, %v", dst)
}

// byteBounds sets low = −zero and high = 255−zero as floats, and zero to the argument at
// the given offset, in all lanes.
func (a *asm) byteBounds(offset int, low, high, zero vec) {
	a.do("MOVW zero+%d(FP), R16", offset)
	a.do("VDUP R16, %v", zero)
	a.do("NEGW R16, R17")
	a.do("VDUP R17, %v", low)
	a.toFloat(low, low)
	a.do("ADDW $255, R17")
	a.do("VDUP R17, %v", high)
	a.toFloat(high, high)
}

const byteScale, byteLow, byteHigh, byteZero vec = 28, 29, 30, 31

func quantizeRow(a *asm) {
	a.text("quantizeRow", 32, 0)
	a.do("MOVD dst+0(FP), R0")
	a.do("MOVD src+8(FP), R1")
	a.do("MOVD n+16(FP), R2")
	a.spread(byteScale, "scale", 24)
	a.byteBounds(28, byteLow, byteHigh, byteZero)
	const x vec = 0
	a.label("loop")
	a.do("VLD1.P 64(R1), %s", x.list(4))
	for v := range vec(4) {
		a.div(x+v, x+v, byteScale)
		a.round(x+v, byteLow, byteHigh)
		a.do("VADD %v, %v, %[2]v", byteZero, x+v)
	}
	a.narrow(x)
	a.do("FMOVQ.P F0, 16(R0)")
	a.down("R2", "loop")
	a.do("RET")
}

// quantizePixels starts with the last channel, whose byte moves up for each other one.
func quantizePixels(a *asm) {
	a.text("quantizePixels", 48, 0)
	a.do("MOVD dst+0(FP), R0")
	a.do("MOVD src+8(FP), R1")
	a.do("MOVD plane+16(FP), R2")
	a.do("MOVD channels+24(FP), R3")
	a.do("MOVD n+32(FP), R4")
	a.spread(byteScale, "scale", 40)
	a.byteBounds(44, byteLow, byteHigh, byteZero)
	a.do("LSL $2, R4")
	a.do("SUB $1, R3, R5")
	a.do("MUL R2, R5")
	a.do("ADD R5, R1") // the last channel
	const x, pixel vec = 0, 1
	a.label("loop")
	a.zero(pixel)
	a.do("MOVD R1, R5")
	a.do("MOVD R3, R6")
	a.label("channel")
	a.load(x, 0, "R5")
	a.div(x, x, byteScale)
	a.round(x, byteLow, byteHigh)
	a.do("VADD %v, %v, %[2]v", byteZero, x)
	a.do("VSHL $8, %v, %[1]v", pixel)
	a.do("VORR V%d.B16, V%d.B16, V%[2]d.B16", int(x), int(pixel))
	a.do("SUB R2, R5")
	a.down("R6", "channel")
	a.do("FMOVQ.P F%d, 16(R0)", int(pixel))
	a.do("ADD $16, R1")
	a.down("R4", "loop")
	a.do("RET")
}

func dequantizeRow(a *asm) {
	a.text("dequantizeRow", 32, 0)
	a.do("MOVD dst+0(FP), R0")
	a.do("MOVD src+8(FP), R1")
	a.do("MOVD n+16(FP), R2")
	a.spread(byteScale, "scale", 24)
	a.do("MOVW zero+28(FP), R16")
	a.do("VDUP R16, %v", byteZero)
	const x, bytes vec = 0, 4
	a.label("loop")
	a.do("FMOVQ.P 16(R1), F%d", int(bytes))
	a.widen(x, bytes)
	for v := range vec(4) {
		a.do("VSUB %v, %v, %[2]v", byteZero, x+v)
		a.toFloat(x+v, x+v)
		a.mul(x+v, x+v, byteScale)
	}
	a.do("VST1.P %s, 64(R0)", x.list(4))
	a.down("R2", "loop")
	a.do("RET")
}

// rangeRow relies on FMIN and FMAX, which keep NaN.
func rangeRow(a *asm) {
	a.text("rangeRow", 24, 0)
	a.do("MOVD bounds+0(FP), R0")
	a.do("MOVD x+8(FP), R1")
	a.do("MOVD n+16(FP), R2")
	const x, low, high, t vec = 0, 4, 8, 12
	a.do("ADD $4, R0, R3")
	for v := range vec(4) {
		a.broadcast(low+v, "R0")
		a.broadcast(high+v, "R3")
	}
	a.label("loop")
	a.do("VLD1.P 64(R1), %s", x.list(4))
	for v := range vec(4) {
		a.min(low+v, low+v, x+v)
		a.max(high+v, high+v, x+v)
	}
	a.down("R2", "loop")
	across := func(v vec, op func(dst, x, y vec), at int) {
		op(v, v, v+1)
		op(v+2, v+2, v+3)
		op(v, v, v+2)
		for _, shift := range []int{8, 4} {
			a.do("VEXT $%d, V%d.B16, V%[2]d.B16, V%d.B16", shift, int(v), int(t))
			op(v, v, t)
		}
		a.do("FMOVS F%d, %d(R0)", int(v), at)
	}
	across(low, a.min, 0)
	across(high, a.max, 4)
	a.do("RET")
}

// byteBinary writes a function of two bytes. f replaces x by the result as floats.
func byteBinary(a *asm, name string, f func(x, y, xScale, yScale vec)) {
	a.text(name, 48, 0)
	a.do("MOVD dst+0(FP), R0")
	a.do("MOVD a+8(FP), R1")
	a.do("MOVD b+16(FP), R2")
	a.do("MOVD n+24(FP), R3")
	a.do("MOVD bStep+32(FP), R4")
	a.do("MOVD p+40(FP), R5")
	const x, y, bytes, first vec = 0, 4, 8, 16
	at := func(offset int) vec { return first + vec(offset/4) }
	for i := range 7 {
		a.broadcast(first+vec(i), "R5")
		a.do("ADD $4, R5")
	}
	a.label("loop")
	a.do("FMOVQ.P 16(R1), F%d", int(bytes))
	a.widen(x, bytes)
	a.load(bytes, 0, "R2")
	a.do("ADD R4, R2")
	a.widen(y, bytes)
	for v := range vec(4) {
		a.do("VSUB %v, %v, %[2]v", at(abi.ByteAZero), x+v)
		a.do("VSUB %v, %v, %[2]v", at(abi.ByteBZero), y+v)
		f(x+v, y+v, at(abi.ByteAScale), at(abi.ByteBScale))
		a.round(x+v, at(abi.ByteLow), at(abi.ByteHigh))
		a.do("VADD %v, %v, %[2]v", at(abi.ByteZero), x+v)
	}
	a.narrow(x)
	a.do("FMOVQ.P F%d, 16(R0)", int(x))
	a.down("R3", "loop")
	a.do("RET")
}

func maxBytes(a *asm) {
	a.text("maxBytes", 64, 0)
	for i, name := range []string{"dst", "src", "n", "pix", "rows", "rowStride", "cols", "colStride"} {
		a.do("MOVD %s+%d(FP), R%d", name, 8*i, i)
	}
	const acc, x vec = 0, 1
	a.label("loop")
	a.zero(acc)
	a.do("MOVD R1, R8")
	a.do("MOVD R4, R9")
	a.label("row")
	a.do("MOVD R8, R10")
	a.do("MOVD R6, R11")
	a.label("col")
	a.load(x, 0, "R10")
	a.do("ADD R7, R10")
	a.do("VUMAX V%d.B16, V%d.B16, V%[2]d.B16", int(x), int(acc))
	a.down("R11", "col")
	a.do("ADD R5, R8")
	a.down("R9", "row")
	a.do("FMOVQ.P F%d, 16(R0)", int(acc))
	a.do("ADD R3, R1")
	a.down("R2", "loop")
	a.do("RET")
}

func averageBytes(a *asm) {
	a.text("averageBytes", 72, 0)
	for i, name := range []string{"dst", "src", "n", "pix", "rows", "rowStride", "cols", "colStride", "p"} {
		a.do("MOVD %s+%d(FP), R%d", name, 8*i, i)
	}
	const x, sums, bytes, first vec = 0, 4, 8, 16
	for i := range 5 {
		a.broadcast(first+vec(i), "R8")
		a.do("ADD $4, R8")
	}
	at := func(offset int) vec { return first + vec(offset/4) }
	a.label("loop")
	for v := range vec(4) {
		a.move(sums+v, at(abi.AverageStart))
	}
	a.do("MOVD R1, R8")
	a.do("MOVD R4, R9")
	a.label("row")
	a.do("MOVD R8, R10")
	a.do("MOVD R6, R11")
	a.label("col")
	a.load(bytes, 0, "R10")
	a.do("ADD R7, R10")
	a.widen(x, bytes)
	for v := range vec(4) {
		a.do("VADD %v, %v, %[2]v", x+v, sums+v)
	}
	a.down("R11", "col")
	a.do("ADD R5, R8")
	a.down("R9", "row")
	for v := range vec(4) {
		a.toFloat(sums+v, sums+v)
		a.mul(sums+v, sums+v, at(abi.AverageBy))
		a.round(sums+v, at(abi.AverageLow), at(abi.AverageHigh))
		a.do("VADD %v, %v, %[2]v", at(abi.AverageZero), sums+v)
	}
	a.narrow(sums)
	a.do("FMOVQ.P F%d, 16(R0)", int(sums))
	a.do("ADD R3, R1")
	a.down("R2", "loop")
	a.do("RET")
}

func affineBytes(a *asm) {
	a.text("affineBytes", 48, 0)
	for i, name := range []string{"dst", "src", "n", "scale", "shift", "p"} {
		a.do("MOVD %s+%d(FP), R%d", name, 8*i, i)
	}
	const x, y, bytes, scale, shift, first vec = 0, 4, 8, 12, 16, 20
	a.do("VLD1 (R3), %s", scale.list(4))
	a.do("VLD1 (R4), %s", shift.list(4))
	for i := range 8 {
		a.broadcast(first+vec(i), "R5")
		a.do("ADD $4, R5")
	}
	at := func(offset int) vec { return first + vec(offset/4) }
	a.label("loop")
	a.do("FMOVQ.P 16(R1), F%d", int(bytes))
	a.widen(x, bytes)
	for v := range vec(4) {
		a.do("VSUB %v, %v, %[2]v", at(abi.AffineXZero), x+v)
		a.toFloat(x+v, x+v)
		a.mul(x+v, x+v, at(abi.AffineXScale))
		a.move(y+v, shift+v)
		a.fma(y+v, x+v, scale+v)
		a.clamp(y+v, at(abi.AffineLo), at(abi.AffineHi))
		a.div(y+v, y+v, at(abi.AffineScale))
		a.round(y+v, at(abi.AffineLow), at(abi.AffineHigh))
		a.do("VADD %v, %v, %[2]v", at(abi.AffineZero), y+v)
	}
	a.narrow(y)
	a.do("FMOVQ.P F%d, 16(R0)", int(y))
	a.down("R2", "loop")
	a.do("RET")
}
