package integer

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// Depthwise is a convolution with one filter per channel. Operands are as in [Conv].
type Depthwise struct {
	Src, Dst kernel.Image
	// W is s8 [ceil(C/16)][Parts][KH][ceil(KW/4)][16][4]: four taps of a filter row for
	// each channel, zeros beyond KW.
	W               kernel.Ref
	Parts           int
	KH, KW          int
	SH, SW          int
	DH, DW          int
	PadTop, PadLeft int
	Result
}

// groups returns the number of groups of four taps.
func (k *Depthwise) groups() int { return max(1, k.Parts) * k.KH * team.Split(k.KW, 4) }

// Check declares the memory of the step.
func (k *Depthwise) Check(v *kernel.Verifier) {
	v.Bytes("Src", &k.Src, false)
	k.checkResult(v, &k.Src, &k.Dst)
	v.Require(!k.adds(), "a residual with groups")
	v.Require(k.Src.Blocks() == k.Dst.Blocks() && k.Src.Lanes() == lanes, "the extents of the operands differ")
	inside(v, kernel.Filter{KH: k.KH, KW: k.KW, SH: k.SH, SW: k.SW, DH: k.DH, DW: k.DW, PadTop: k.PadTop, PadLeft: k.PadLeft}, &k.Src, &k.Dst)
	v.Require(k.Parts >= 0 && k.Parts <= kernel.MaxExtent, "a number of parts is negative or too large")
	if v.Failed() {
		return
	}
	groups := kernel.Product(max(1, k.Parts), k.KH, team.Split(k.KW, 4))
	v.Require(groups <= kernel.MaxExtent/256, "there are too many taps")
	v.Read("W", k.W, 1, groups*kernel.Product(k.Dst.Blocks(), 64))
}

// ScratchBytes is the size of widened weights, and of the offsets of the taps.
func (k *Depthwise) ScratchBytes() int { return simd.IntWideBytes(k.groups()) + k.groups()*4*8 }

// three reports whether a kernel for 3×3 taps computes the convolution.
func (k *Depthwise) three() bool {
	return k.KH == 3 && k.KW == 3 && k.DH == 1 && k.DW == 1 && k.SH == k.SW && k.SW <= 2 && k.Parts <= 1 && k.Dst.W >= 4 && k.Dst.Elem == kernel.Uint8
}

// Run computes the convolution.
func (k *Depthwise) Run(c *kernel.Context) {
	k.Dst.ClearBorder(c)
	blocks := k.Dst.N * k.Dst.Blocks()
	c.Do(blocks*k.chunks(c), 2*work(blocks*16*k.Dst.H*k.Dst.W*k.KH*k.KW), k)
}

// chunks returns the number of ranges into which the rows of a block are cut, so that
// every worker finds work.
func (k *Depthwise) chunks(c *kernel.Context) int {
	blocks := k.Dst.N * k.Dst.Blocks()
	if c.Threads() == 1 || blocks >= 4*c.Threads() {
		return 1
	}
	return min(k.Dst.H, team.Split(4*c.Threads(), blocks))
}

// Part computes rows of one block of 16 channels of one image.
func (k *Depthwise) Part(c *kernel.Context, i, worker int) {
	chunks := k.chunks(c)
	n, b, chunk := i/chunks/k.Dst.Blocks(), i/chunks%k.Dst.Blocks(), i%chunks
	y0, y1 := team.Cut(k.Dst.H, chunks, chunk), team.Cut(k.Dst.H, chunks, chunk+1)
	src := c.Bytes(k.Src.Ref, 1)
	v := k.channels(c, b*16, 16, 0)
	a := simd.IntDepthwise{Start: unsafe.Pointer(&v.start), Groups: k.groups(), Pix: k.SW * 16, Pixels: k.Dst.W, Zero: k.Zero, Lo: k.Lo, Hi: k.Hi}
	a.W = unsafe.Pointer(&c.Bytes(k.W, 1)[b*a.Groups*64])
	quantised := k.Dst.Elem == kernel.Uint8
	if quantised {
		a.Multiplier = unsafe.Pointer(&v.multiplier)
	}
	wide := unsafe.Pointer(unsafe.SliceData(c.Scratch(worker)))
	if k.three() {
		a.In = unsafe.Pointer(&src[k.Src.At(n, b, y0*k.SH-k.PadTop, -k.PadLeft)])
		a.Out = unsafe.Pointer(&c.Bytes(k.Dst.Ref, 1)[k.Dst.At(n, b, y0, 0)])
		a.Row, a.OutRow, a.Rows = k.Src.RowBytes(), k.Dst.RowBytes(), y1-y0
		if a.Compute3(wide) {
			return
		}
	}
	a.Prepare(wide)
	a.Taps = k.taps(c.Scratch(worker)[simd.IntWideBytes(a.Groups):])
	for y := y0; y < y1; y++ {
		a.In = unsafe.Pointer(&src[k.Src.At(n, b, y*k.SH-k.PadTop, -k.PadLeft)])
		o := k.Dst.At(n, b, y, 0)
		if quantised {
			a.Out = unsafe.Pointer(&c.Bytes(k.Dst.Ref, 1)[o])
			a.Compute()
			continue
		}
		out := c.F32(k.Dst.Ref)[o:][:k.Dst.W*16]
		a.Out = unsafe.Pointer(&out[0])
		a.Compute()
		k.floats(out, &v, 0)
	}
}

// taps writes the offsets of the taps to scratch. Taps beyond a filter row repeat its
// last one.
func (k *Depthwise) taps(scratch []byte) unsafe.Pointer {
	p := unsafe.Pointer(unsafe.SliceData(scratch))
	list := unsafe.Slice((*int64)(p), k.groups()*4)
	i := 0
	for range max(1, k.Parts) {
		for y := range k.KH {
			for x := range team.Split(k.KW, 4) * 4 {
				list[i] = int64(y*k.DH*k.Src.RowBytes() + min(x, k.KW-1)*k.DW*16)
				i++
			}
		}
	}
	return p
}
