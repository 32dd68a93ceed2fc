package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/abi"
	"modelc/internal/kernelgen/transform"
	"modelc/internal/kernelgen/x86"
)

// A tile does not fit into the registers of AVX2. The transforms first transform columns
// and store them on the stack as [row][column] vectors of eight channels. Then they
// transform rows.

// vectors holds constants in read-only memory.
var vectors = map[float64]Mem{}

func vector(f float64) Mem {
	m, ok := vectors[f]
	if !ok {
		bits := math.Float32bits(float32(f))
		m = GLOBL(fmt.Sprintf("v%08x", bits), 8|16)
		for i := range 8 {
			DATA(4*i, U32(bits))
		}
		vectors[f] = m
	}
	return m
}

// apply emits ops. It calls store for each result.
func apply(ops []transform.Op, store func(i int, x VecPhysical)) {
	r := x86.AVX2.Regs
	for _, op := range ops {
		switch op.Kind {
		case transform.Move:
			VMOVAPS(r[op.X], r[op.Dst])
		case transform.Scale:
			VMULPS(vector(op.Factor), r[op.X], r[op.Dst])
		case transform.Add:
			VADDPS(r[op.Y], r[op.X], r[op.Dst])
		case transform.Sub:
			VSUBPS(r[op.Y], r[op.X], r[op.Dst])
		case transform.FMA:
			if op.Factor > 0 {
				VFMADD231PS(vector(op.Factor), r[op.X], r[op.Dst])
			} else {
				VFNMADD231PS(vector(-op.Factor), r[op.X], r[op.Dst])
			}
		case transform.Store:
			store(op.Dst, r[op.X])
		}
	}
}

// square allocates the given number of vectors for transformed columns. It returns a
// function that makes a register point to them.
func square(vectors int) func(r GPPhysical) {
	local := AllocLocal(vectors*32 + 32)
	return func(r GPPhysical) {
		LEAQ(local.Offset(31), r)
		ANDQ(I8(-32), r)
	}
}

// loop emits f as the body of a loop.
func loop(name string, counter GPPhysical, n int, f func()) {
	MOVQ(U32(uint32(n)), counter)
	Label(name)
	f()
	DECQ(counter)
	JNZ(LabelRef(name))
}

func inputAVX2(m int) {
	al := m + 2
	x86.AVX2.Function(fmt.Sprintf("winogradIn%d", m), 0)
	Load(Param("in"), RSI)
	Load(Param("out"), RDI)
	Load(Param("rowStride"), R8)
	Load(Param("posStride"), R12)
	Load(Param("n"), RCX)
	rs, ps := []GPPhysical{R8, R9, R10, R11}, []GPPhysical{R12, R13, R15, RAX}
	multiples(rs)
	multiples(ps)
	columns := square(al * al)
	ops := transform.InputOps(m)
	Label("tile")
	for half := range 2 {
		columns(RDX)
		LEAQ(Mem{Base: RSI, Disp: half * 32}, RBX)
		loop(fmt.Sprintf("columns%d", half), R14, al, func() {
			for i := range al {
				VMOVUPS(at(RBX, i, rs, 0), x86.AVX2.Regs[i])
			}
			apply(ops, func(i int, x VecPhysical) { VMOVAPS(x, Mem{Base: RDX, Disp: i * al * 32}) })
			ADDQ(Imm(64), RBX)
			ADDQ(Imm(32), RDX)
		})
		columns(RDX)
		LEAQ(Mem{Base: RDI, Disp: half * 32}, RBX)
		loop(fmt.Sprintf("rows%d", half), R14, al, func() {
			for j := range al {
				VMOVAPS(Mem{Base: RDX, Disp: j * 32}, x86.AVX2.Regs[j])
			}
			apply(ops, func(j int, x VecPhysical) { VMOVUPS(x, at(RBX, j, ps, 0)) })
			LEAQ(at(RBX, 1, ps, 0), RBX)
			LEAQ(at(RBX, al-1, ps, 0), RBX)
			ADDQ(U32(uint32(al*32)), RDX)
		})
	}
	ADDQ(U32(uint32(m*64)), RSI)
	ADDQ(Imm(64), RDI)
	DECQ(RCX)
	JNZ(LabelRef("tile"))
	VZEROUPPER()
	RET()
}

func outputAVX2(m int) {
	al := m + 2
	x86.AVX2.Function(fmt.Sprintf("winogradOut%d", m), 0)
	Load(Param("a"), RBX)
	arg := func(off int) Mem { return Mem{Base: RBX, Disp: off} }
	MOVQ(arg(abi.WinogradIn), RSI)
	MOVQ(arg(abi.WinogradOut), RDI)
	MOVQ(arg(abi.WinogradRes), RDX)
	MOVQ(arg(abi.WinogradPosStride), RAX)
	MOVQ(arg(abi.WinogradRowStride), R12)
	MOVQ(arg(abi.WinogradResStride), R14)
	MOVQ(arg(abi.WinogradTiles), RCX)
	lo, hi := x86.AVX2.Last(1), x86.AVX2.Last(0)
	VBROADCASTSS(arg(abi.WinogradLoHi), lo)
	VBROADCASTSS(arg(abi.WinogradLoHi+4), hi)
	columns := square(m * al)
	ops := transform.OutputOps(m)
	ms := []GPPhysical{R8, R9, R10, R11}
	Label("tile")
	for half := range 2 {
		IMUL3Q(U32(uint32(al)), RAX, R8)
		multiples(ms)
		columns(R13)
		LEAQ(Mem{Base: RSI, Disp: half * 32}, RBX)
		loop(fmt.Sprintf("columns%d", half), R15, al, func() {
			for i := range al {
				VMOVUPS(at(RBX, i, ms, 0), x86.AVX2.Regs[i])
			}
			apply(ops, func(i int, x VecPhysical) { VMOVAPS(x, Mem{Base: R13, Disp: i * al * 32}) })
			ADDQ(RAX, RBX)
			ADDQ(Imm(32), R13)
		})
		columns(R13)
		LEAQ(Mem{Base: RDI, Disp: half * 32}, RBX)
		LEAQ(Mem{Base: RDX, Disp: half * 32}, R8)
		loop(fmt.Sprintf("rows%d", half), R15, m, func() {
			for j := range al {
				VMOVAPS(Mem{Base: R13, Disp: j * 32}, x86.AVX2.Regs[j])
			}
			apply(ops, func(j int, x VecPhysical) {
				clamp := fmt.Sprintf("clamp%d_%d", half, j)
				TESTQ(RDX, RDX)
				JZ(LabelRef(clamp))
				VADDPS(Mem{Base: R8, Disp: j * 64}, x, x)
				Label(clamp)
				// If one operand is NaN, the result is the first operand.
				VMAXPS(x, lo, x)
				VMINPS(x, hi, x)
				VMOVUPS(x, Mem{Base: RBX, Disp: j * 64})
			})
			ADDQ(R12, RBX)
			ADDQ(R14, R8)
			ADDQ(U32(uint32(al*32)), R13)
		})
	}
	ADDQ(U32(uint32(m*64)), RDI)
	LEAQ(Mem{Base: RDX, Disp: m * 64}, R8)
	TESTQ(RDX, RDX) // an absent residual stays absent
	CMOVQNE(R8, RDX)
	ADDQ(Imm(64), RSI)
	DECQ(RCX)
	JNZ(LabelRef("tile"))
	VZEROUPPER()
	RET()
}
