package main

import (
	"fmt"
	"slices"

	"modelc/internal/kernelgen/abi"
	"modelc/internal/kernelgen/transform"
)

// The transforms process four channels at a time. They first transform columns and store
// them on the stack as [row][column] vectors. Then they transform rows.

func winograd(a *asm) {
	for _, m := range []int{2, 4, 6} {
		transformInput(a, m)
		transformOutput(a, m)
	}
}

// apply emits ops, whose factors are in registers starting at firstFactor. It calls store
// for each result.
func apply(a *asm, ops []transform.Op, store func(i int, x vec)) {
	factors := transform.Factors(ops)
	for _, op := range ops {
		dst, x, y := vec(op.Dst), vec(op.X), vec(op.Y)
		k := func(f float64) vec { return firstFactor + vec(slices.Index(factors, f)) }
		switch op.Kind {
		case transform.Move:
			a.move(dst, x)
		case transform.Scale:
			a.mul(dst, x, k(op.Factor))
		case transform.Add:
			a.add(dst, x, y)
		case transform.Sub:
			a.sub(dst, x, y)
		case transform.FMA:
			if op.Factor > 0 {
				a.fma(dst, x, k(op.Factor))
			} else {
				a.fms(dst, x, k(-op.Factor))
			}
		case transform.Store:
			store(op.Dst, x)
		}
	}
}

const firstFactor vec = transform.Registers

func loadFactors(a *asm, ops []transform.Op) {
	var b []uint32
	for _, f := range transform.Factors(ops) {
		b = append(b, bits(f))
	}
	a.constants(firstFactor, b...)
}

// multiple names the register that holds k times a stride, 1 ≤ k < 8.
func multiple(k int) string { return fmt.Sprintf("R%d", 18+k) }

// multiples sets multiple(2), multiple(3), … from the stride in multiple(1).
func multiples(a *asm, n int) {
	for k := 2; k < n; k++ {
		a.do("ADD %s, %s, %s", multiple(1), multiple(k-1), multiple(k))
	}
}

// loadStrided loads n vectors, stride apart, starting at base, into registers 0 ….
func loadStrided(a *asm, n int, base, stride string) {
	a.do("MOVD %s, R16", base)
	for i := range n {
		a.load(vec(i), 0, "R16")
		if i < n-1 {
			a.do("ADD %s, R16", stride)
		}
	}
}

// quarters emits a loop that runs f four times, for four channels each. It advances
// pointers.
func quarters(a *asm, pointers []string, f func()) {
	a.do("MOVD $4, R5")
	a.label("quarter")
	f()
	for _, p := range pointers {
		a.do("ADD $16, %s", p)
	}
	a.down("R5", "quarter")
	for _, p := range pointers {
		a.do("SUB $64, %s", p)
	}
}

func transformInput(a *asm, m int) {
	al := m + 2
	frame := al * al * 16
	a.text(fmt.Sprintf("winogradIn%d", m), 40, frame)
	a.do("MOVD in+0(FP), R0")
	a.do("MOVD out+8(FP), R1")
	a.do("MOVD rowStride+16(FP), R2")
	a.do("MOVD posStride+24(FP), %s", multiple(1))
	a.do("MOVD n+32(FP), R3")
	multiples(a, al)
	ops := transform.InputOps(m)
	loadFactors(a, ops)
	a.label("tile")
	quarters(a, []string{"R0", "R1"}, func() {
		a.do("MOVD $columns-%d(SP), R6", frame)
		a.do("MOVD R0, R7")
		a.do("MOVD $%d, R8", al)
		a.label("column")
		loadStrided(a, al, "R7", "R2")
		apply(a, ops, func(i int, x vec) { a.store(x, i*al*16, "R6") })
		a.do("ADD $64, R7")
		a.do("ADD $16, R6")
		a.down("R8", "column")
		a.do("MOVD $columns-%d(SP), R6", frame)
		a.do("MOVD R1, R7")
		a.do("MOVD $%d, R8", al)
		a.label("row")
		for j := range al {
			a.load(vec(j), j*16, "R6")
		}
		apply(a, ops, func(j int, x vec) {
			if j == 0 {
				a.store(x, 0, "R7")
				return
			}
			a.do("ADD %s, R7, R16", multiple(j))
			a.store(x, 0, "R16")
		})
		a.do("ADD %s, R7", multiple(al-1))
		a.do("ADD %s, R7", multiple(1))
		a.do("ADD $%d, R6", al*16)
		a.down("R8", "row")
	})
	a.do("ADD $%d, R0", m*64)
	a.do("ADD $64, R1")
	a.down("R3", "tile")
	a.do("RET")
}

func transformOutput(a *asm, m int) {
	al := m + 2
	frame := m * al * 16
	a.text(fmt.Sprintf("winogradOut%d", m), 8, frame)
	a.do("MOVD a+0(FP), R16")
	for i, r := range []string{"R0", "R1", "R2", "R9", "R10", "R11", "R3"} { // in the order of the fields
		a.do("MOVD %d(R16), %s", 8*i, r)
	}
	a.do("ADD $%d, R16", abi.WinogradLoHi)
	a.broadcast(lo, "R16")
	a.do("ADD $4, R16")
	a.broadcast(hi, "R16")
	a.do("MOVD $%d, R12", al)
	a.do("MUL R9, R12") // from one row of positions to the next
	ops := transform.OutputOps(m)
	loadFactors(a, ops)
	a.label("tile")
	quarters(a, []string{"R0", "R1"}, func() {
		a.do("MOVD $columns-%d(SP), R6", frame)
		a.do("MOVD R0, R7")
		a.do("MOVD $%d, R8", al)
		a.label("column")
		loadStrided(a, al, "R7", "R12")
		apply(a, ops, func(i int, x vec) { a.store(x, i*al*16, "R6") })
		a.do("ADD R9, R7")
		a.do("ADD $16, R6")
		a.down("R8", "column")
		a.do("MOVD $columns-%d(SP), R6", frame)
		a.do("MOVD R1, R7")
		a.do("MOVD R2, R13")
		a.do("MOVD $%d, R8", m)
		a.label("row")
		for j := range al {
			a.load(vec(j), j*16, "R6")
		}
		apply(a, ops, func(j int, x vec) {
			const residual vec = 29
			label := fmt.Sprintf("clamp%d", j)
			a.do("CBZ R2, %s", label)
			a.load(residual, j*64, "R13")
			a.add(x, x, residual)
			a.label(label)
			a.clamp(x, lo, hi)
			a.store(x, j*64, "R7")
		})
		a.do("ADD R10, R7")
		a.do("ADD R11, R13")
		a.do("ADD $%d, R6", al*16)
		a.down("R8", "row")
		a.do("CBZ R2, absent")
		a.do("ADD $16, R2")
		a.label("absent")
	})
	a.do("ADD $64, R0")
	a.do("ADD $%d, R1", m*64)
	a.do("CBZ R2, next")
	a.do("ADD $%d, R2", m*64-64)
	a.label("next")
	a.down("R3", "tile")
	a.do("RET")
}
