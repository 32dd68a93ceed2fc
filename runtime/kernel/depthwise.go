package kernel

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
)

// Depthwise is a convolution with one filter per channel, NC16 to NC16. Operands are
// as in [Conv].
type Depthwise struct {
	Src, Dst        Image
	W               Ref // [ceil(C/16)][KH][KW][16]
	Bias            Ref
	Residual        Image
	Scale, Shift    Ref
	Pre, Act        Act
	KH, KW          int
	SH, SW          int
	DH, DW          int
	PadTop, PadLeft int
}

// Check declares the memory of the step.
func (k *Depthwise) Check(v *Verifier) {
	v.reads("Src", &k.Src)
	k.checkOperands(v)
	v.Require(k.Src.N == k.Dst.N && k.Src.Blocks() == k.Dst.Blocks(), "the extents of the operands differ")
	v.prologue(k.Scale, k.Shift, k.Pre, k.Src.Blocks())
	v.Require(v.Windows(k.filter(), k.Dst.H, k.Dst.W, &k.Src), leaves)
}

// checkOperands declares the operands of all channels but the input.
func (k *Depthwise) checkOperands(v *Verifier) {
	v.writes("Dst", &k.Dst)
	v.residual(&k.Residual, &k.Dst)
	v.floats("W", k.W, Product(k.Dst.Blocks(), k.KH, k.KW, lanes))
	v.channels("Bias", k.Bias, k.Dst.Blocks())
	v.Act(k.Act.Fn)
}

// checkReader is Check for a step that computes the input m itself, with rows of zeros above
// and below.
func (k *Depthwise) checkReader(v *Verifier, m *Image) {
	k.checkOperands(v)
	v.Require(k.Dst.N == m.N && k.Dst.Blocks() == m.Blocks() && !k.prologue(), "the second convolution does not fit the first")
	all := *m
	all.Top, all.Bottom = MaxExtent, MaxExtent
	v.Require(v.Windows(k.filter(), k.Dst.H, k.Dst.W, &all), leaves)
}

func (k *Depthwise) filter() Filter {
	return Filter{k.KH, k.KW, k.SH, k.SW, k.DH, k.DW, k.PadTop, k.PadLeft}
}

// ScratchBytes is the size of one transformed block of the input, zero without a
// prologue.
func (k *Depthwise) ScratchBytes() int {
	if !k.prologue() {
		return 0
	}
	return k.inRows(k.Dst.H) * k.inCols() * pixelBytes
}

func (k *Depthwise) prologue() bool {
	return k.Scale.Present() || k.Shift.Present() || k.Pre.Fn != ActIdentity
}

func (k *Depthwise) inRows(rows int) int { return (rows-1)*k.SH + (k.KH-1)*k.DH + 1 }
func (k *Depthwise) inCols() int         { return (k.Dst.W-1)*k.SW + (k.KW-1)*k.DW + 1 }

// Run computes the convolution.
func (k *Depthwise) Run(c *Context) {
	k.Dst.ClearBorder(c)
	blocks := k.Dst.N * k.Dst.Blocks()
	c.Do(blocks*k.chunks(c), tileWork(blocks*16*k.Dst.H*k.Dst.W*k.KH*k.KW), k)
}

// chunks returns the number of ranges into which the rows of a block are cut, so that
// every worker finds work.
func (k *Depthwise) chunks(c *Context) int {
	blocks := k.Dst.N * k.Dst.Blocks()
	if c.Threads() == 1 || blocks >= 4*c.Threads() {
		return 1
	}
	return min(k.Dst.H, team.Split(4*c.Threads(), blocks))
}

// Part computes rows of one block of 16 channels of one image.
func (k *Depthwise) Part(c *Context, i, worker int) {
	chunks := k.chunks(c)
	chunk := i % chunks
	n, b := i/chunks/k.Dst.Blocks(), i/chunks%k.Dst.Blocks()
	y0, y1 := team.Cut(k.Dst.H, chunks, chunk), team.Cut(k.Dst.H, chunks, chunk+1)

	src := c.F32(k.Src.Ref)[n*k.Src.BatchStride+b*k.Src.Plane():]
	row := k.Src.Row()
	in := k.Src.At(0, 0, y0*k.SH-k.PadTop, -k.PadLeft)
	if k.prologue() {
		one := k.Src
		one.C = 16
		pr := prologue{src: src, img: &one, scale: blockOf(c.F32(k.Scale), b), shift: blockOf(c.F32(k.Shift), b), act: k.Pre}
		scratch := Floats(c.scratch[worker])
		pr.window(scratch, y0*k.SH-k.PadTop, -k.PadLeft, k.inRows(y1-y0), k.inCols())
		src, row, in = scratch, k.inCols()*16, 0
	}
	k.rows(c, n, b, y0, y1, src[in:], row)
}

// rows computes output rows y0 ≤ y < y1 of block b of image n. src starts at the
// first tap of row y0; row is the distance between its rows in floats.
func (k *Depthwise) rows(c *Context, n, b, y0, y1 int, src []float32, row int) {
	dst := c.F32(k.Dst.Ref)
	var bias [16]float32
	copy(bias[:], blockOf(c.F32(k.Bias), b))

	a := simd.NewTile(c.double)
	more := !setAct(&a, k.Act)
	a.W, a.Bias = unsafe.Pointer(&c.F32(k.W)[b*k.KH*k.KW*16]), unsafe.Pointer(&bias)
	a.Pix, a.OutPix, a.ResPix = k.SW*pixelBytes, pixelBytes, pixelBytes
	a.Rows, a.RowStride = k.KH, k.DH*row*4
	a.Cols, a.ColStride = k.KW, k.DW*pixelBytes
	a.InLine, a.OutLine = k.SH*row*4, k.Dst.RowBytes()
	lines := y1 - y0
	if more || k.Residual.N > 0 {
		lines = 1 // an activation finds its line in L1
	}
	for y := y0; y < y1; y += lines {
		out := k.Dst.row(dst, n, b, y)
		var res unsafe.Pointer
		if k.Residual.N > 0 {
			res = unsafe.Pointer(&k.Residual.row(c.F32(k.Residual.Ref), n, b, y)[0])
		}
		a.DepthwiseLines(unsafe.Pointer(&src[(y-y0)*k.SH*row]), unsafe.Pointer(&out[0]), res, k.Dst.W, lines)
		if more {
			Apply(out, k.Act)
		}
	}
}
