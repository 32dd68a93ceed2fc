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

// With AVX-512, tiles stay in registers. The input transform computes two rows at a time,
// a pair that shares its even and its odd part. The output transform computes all rows for
// m = 2 and 4. For m = 6 it computes the even rows, then the odd ones.

// body collects the instructions of a loop, so that the constants that they need can be
// loaded before the loop.
type body struct {
	emit   []func()
	consts []float64
	first  int // register of the first constant
}

func (b *body) add(f func()) { b.emit = append(b.emit, f) }

func (b *body) constant(v float64) VecPhysical {
	for i, c := range b.consts {
		if c == v {
			return x86.AVX512.Regs[b.first+i]
		}
	}
	b.consts = append(b.consts, v)
	return x86.AVX512.Regs[b.first+len(b.consts)-1]
}

// factor is an operand of a linear combination with its factor.
type factor struct {
	f float64
	x Op
}

// linear emits dst = Σ f·x. It emits nothing for a first term that is dst.
func (b *body) linear(dst VecPhysical, terms []factor) {
	for i, t := range terms {
		switch {
		case i == 0 && t.x == Op(dst):
		case i == 0 && t.f == 1:
			b.add(func() { VMOVUPS(t.x, dst) })
		case i == 0:
			k := b.constant(t.f)
			b.add(func() { VMULPS(t.x, k, dst) })
		case t.f == 1:
			b.add(func() { VADDPS(t.x, dst, dst) })
		case t.f == -1:
			b.add(func() { VSUBPS(t.x, dst, dst) })
		case t.f > 0:
			k := b.constant(t.f)
			b.add(func() { VFMADD231PS(t.x, k, dst) })
		default:
			k := b.constant(-t.f)
			b.add(func() { VFNMADD231PS(t.x, k, dst) })
		}
	}
}

func (b *body) pair(p transform.Pair, src []Op, x, y, t, u VecPhysical) {
	terms := func(list []transform.Term) []factor {
		var out []factor
		for _, e := range list {
			out = append(out, factor{e.Factor, src[e.Source]})
		}
		return out
	}
	if !p.Share {
		b.linear(x, terms(p.First))
		b.linear(y, terms(p.Second))
		return
	}
	b.linear(t, terms(p.First))
	b.linear(u, terms(p.Second))
	b.add(func() { VADDPS(u, t, x); VSUBPS(u, t, y) })
}

var globals = map[float64]Mem{}

func (b *body) finish() {
	for i, c := range b.consts {
		m, ok := globals[c]
		if !ok {
			m = GLOBL(fmt.Sprintf("w%08x", math.Float32bits(float32(c))), 8|16)
			DATA(0, U32(math.Float32bits(float32(c))))
			globals[c] = m
		}
		VBROADCASTSS(m, x86.AVX512.Regs[b.first+i])
	}
	Label("loop")
	for _, f := range b.emit {
		f()
	}
	DECQ(RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func inputAVX512(m int) {
	al := m + 2
	x86.AVX512.Function(fmt.Sprintf("winogradIn%d", m), NOSPLIT)
	Load(Param("in"), RSI)
	Load(Param("out"), RDI)
	Load(Param("rowStride"), R8)
	Load(Param("posStride"), R12)
	Load(Param("n"), RCX)
	rs, ps := []GPPhysical{R8, R9, R10, R11}, []GPPhysical{R12, R13, R15, RAX}
	multiples(rs)
	multiples(ps)
	b := &body{first: 2*al + 4}
	t, u, v, w := x86.AVX512.Regs[2*al], x86.AVX512.Regs[2*al+1], x86.AVX512.Regs[2*al+2], x86.AVX512.Regs[2*al+3]
	for _, p := range transform.Input[m] {
		for j := range al {
			var src []Op
			for i := range al {
				src = append(src, at(RSI, i, rs, j*64))
			}
			b.pair(p, src, x86.AVX512.Regs[j], x86.AVX512.Regs[al+j], t, u)
		}
		for half, row := range []int{p.A, p.B} {
			b.add(func() { IMUL3Q(U32(uint32(row*al)), R12, RBX); ADDQ(RDI, RBX) })
			var src []Op
			for k := range al {
				src = append(src, x86.AVX512.Regs[half*al+k])
			}
			for _, q := range transform.Input[m] {
				x, y := t, u
				if q.Share {
					x, y = v, w
				}
				b.pair(q, src, x, y, t, u)
				b.add(func() { VMOVUPS(x, at(RBX, q.A, ps, 0)); VMOVUPS(y, at(RBX, q.B, ps, 0)) })
			}
		}
	}
	b.add(func() { ADDQ(U32(uint32(m*64)), RSI); ADDQ(Imm(64), RDI) })
	b.finish()
}

// outputAVX512 writes the output transform. Registers: SI and DI point to the first
// position and pixel of the tile, DX to the pixel of the residual. R14 holds the row stride
// of the residual, AX the position stride. R8–R11, R12, R13 and R15 hold multiples of
// strides. BX is scratch.
func outputAVX512(m int) {
	al, np := m+2, m/2
	x86.AVX512.Function(fmt.Sprintf("winogradOut%d", m), NOSPLIT)
	Load(Param("a"), RBX)
	arg := func(off int) Mem { return Mem{Base: RBX, Disp: off} }
	MOVQ(arg(abi.WinogradIn), RSI)
	MOVQ(arg(abi.WinogradOut), RDI)
	MOVQ(arg(abi.WinogradRes), RDX)
	MOVQ(arg(abi.WinogradPosStride), RAX)
	MOVQ(arg(abi.WinogradRowStride), R12)
	MOVQ(arg(abi.WinogradResStride), R14)
	MOVQ(arg(abi.WinogradTiles), RCX)
	IMUL3Q(U32(uint32(al)), RAX, R8)
	ms, rs := []GPPhysical{R8, R9, R10, R11}, []GPPhysical{R12, R13, R15}
	multiples(ms)
	multiples(rs)
	groups := [][]int{{0, 2, 4}, {1, 3, 5}}
	first := 27
	if m < 6 {
		groups, first = [][]int{nil}, 28
		for r := range m {
			groups[0] = append(groups[0], r)
		}
	}
	g := len(groups[0])
	b := &body{first: first}
	t := x86.AVX512.Regs[g*al : g*al+np]
	for _, rows := range groups {
		b.add(func() { MOVQ(RSI, RBX) })
		for j := range al {
			src := make([]Mem, al)
			for i := range src {
				src[i] = at(RBX, i, ms, 0)
			}
			for parity := range 2 {
				var sel []int
				for n, r := range rows {
					if r%2 == parity {
						sel = append(sel, n)
					}
				}
				if sel == nil {
					continue
				}
				for k := range np {
					b.add(func() {
						VMOVUPS(src[2*k+1], t[k])
						if parity == 1 {
							VSUBPS(src[2*k+2], t[k], t[k])
						} else {
							VADDPS(src[2*k+2], t[k], t[k])
						}
					})
				}
				for _, n := range sel {
					var terms []factor
					switch rows[n] {
					case 0:
						terms = append(terms, factor{1, src[0]})
					case m - 1:
						terms = append(terms, factor{1, src[al-1]})
					}
					for k, f := range transform.Output[m][rows[n]] {
						terms = append(terms, factor{f, t[k]})
					}
					b.linear(x86.AVX512.Regs[n*al+j], terms)
				}
			}
			b.add(func() { ADDQ(RAX, RBX) })
		}
		for n, r := range rows {
			a := x86.AVX512.Regs[n*al : n*al+al]
			pixels := make([]VecPhysical, m)
			var free []VecPhysical
			for k := range np {
				b.add(func() { VADDPS(a[2*k+2], a[2*k+1], t[k]); VSUBPS(a[2*k+2], a[2*k+1], a[2*k+2]) })
				free = append(free, a[2*k+1])
			}
			for parity := range 2 {
				src := append([]VecPhysical(nil), t...)
				if parity == 1 {
					free = append(free, t...)
					for k := range np {
						src[k] = a[2*k+2]
					}
				}
				for x := parity; x < m; x += 2 {
					var d VecPhysical
					var terms []factor
					switch x {
					case 0:
						d = a[0]
						terms = append(terms, factor{1, d})
					case m - 1:
						d = a[al-1]
						terms = append(terms, factor{1, d})
					default:
						d, free = free[0], free[1:]
					}
					for k, f := range transform.Output[m][x] {
						terms = append(terms, factor{f, src[k]})
					}
					b.linear(d, terms)
					pixels[x] = d
				}
			}
			// The differences are no longer needed.
			lo, hi := a[2], free[0]
			b.add(func() { finishRow(r, m, pixels, lo, hi, at(RDI, r, rs, 0)) })
		}
	}
	b.add(func() { ADDQ(U32(uint32(m*64)), RDI); ADDQ(U32(uint32(m*64)), RDX); ADDQ(Imm(64), RSI) })
	b.finish()
}

// finishRow adds the residual to row r of a tile, clamps it and stores it.
func finishRow(r, m int, pixels []VecPhysical, lo, hi VecPhysical, to Mem) {
	clamp := fmt.Sprintf("clamp%d", r)
	Load(Param("a"), RBX)
	VBROADCASTSS(Mem{Base: RBX, Disp: abi.WinogradLoHi}, lo)
	VBROADCASTSS(Mem{Base: RBX, Disp: abi.WinogradLoHi + 4}, hi)
	CMPQ(Mem{Base: RBX, Disp: abi.WinogradRes}, Imm(0))
	JEQ(LabelRef(clamp))
	IMUL3Q(U32(uint32(r)), R14, RBX)
	ADDQ(RDX, RBX)
	for x, p := range pixels {
		VADDPS(Mem{Base: RBX, Disp: 64 * x}, p, p)
	}
	Label(clamp)
	for x, p := range pixels {
		// If one operand is NaN, the result is the first operand.
		VMAXPS(p, lo, p)
		VMINPS(p, hi, p)
		to.Disp = 64 * x
		VMOVUPS(p, to)
	}
}
